# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Many clips at once: one process for each core, one thread of linear algebra each."""
from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from .cases import Outcome, Task, run_task

__all__ = ['run_tasks']


def run_tasks(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Outcome | None, str]]:
    """(task, outcome, '') or (task, None, trace) as they end: a defect on one clip does not lose the others."""
    if jobs == 1:
        for task in tasks:
            try:
                yield task, run_task(task), ''
            except Exception:  # noqa: BLE001 - told with the others at the end
                yield task, None, traceback.format_exc()
        return
    for name in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ.setdefault(name, '1')                   # read by the children when they load numpy
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context('spawn'))
    try:
        futures = {pool.submit(run_task, task): task for task in tasks}
        for future in as_completed(futures):
            failure = future.exception()
            trace = '' if failure is None else ''.join(traceback.format_exception(failure))
            yield futures[future], None if failure else future.result(), trace
    finally:
        for child in multiprocessing.active_children():    # after Ctrl-C nobody waits for half a clip
            child.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
