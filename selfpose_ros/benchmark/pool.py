# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Many clips at once: one process for each core, one thread of linear algebra each."""
from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence

from ..core.worker_process import in_processes
from .cases import Outcome, Task, run_task

__all__ = ['run_tasks']


def run_tasks(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Outcome | None, str]]:
    """(task, outcome, '') or (task, None, trace) as they end: a defect on one clip does not lose the others."""
    if jobs == 1:
        for task in tasks:
            try:
                yield task, run_task(task), ''
            except Exception:  # noqa: BLE001 - reported with the others at the end
                yield task, None, traceback.format_exc()
        return
    for task, future in in_processes(run_task, tasks, jobs):
        failure = future.exception()
        trace = '' if failure is None else ''.join(traceback.format_exception(failure))
        yield task, None if failure else future.result(), trace
