# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""When a rig is solved, and where: in line (deterministic), in a thread, or in a process of its own."""
from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

from .rig import NotSolved, SolveFailed
from .rig.largest import solve_largest
from .rig.solver import Solution, SolverConfig, Tracks

__all__ = ['RigWorker', 'WORKERS']

WORKERS = ('inline', 'thread', 'process')


_THREADS = ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')


def _quiet_process() -> None:
    """A solve must not take the stream's time: low priority. Ctrl-C is the parent's business, which ends this one."""
    os.nice(5)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Environment for a child whose linear algebra has one thread: blocks of 51 gain nothing from more, they only spin.

    It has to be set before the child loads numpy, so it is set here for as long as the child takes to start.
    """
    before = {n: os.environ.get(n) for n in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, '1'))
    try:
        yield
    finally:
        for n, value in before.items():
            if value is None:
                del os.environ[n]
            else:
                os.environ[n] = value


def _failed(error: Exception) -> SolveFailed:
    return SolveFailed(f'defect of this program, the solve of the rig is tried again: {type(error).__name__}: {error}')


class RigWorker:
    """At most one solve at a time.

    In line, the result is held back for as long as a solve of that size takes (`delay_s`), counted in time of the
    stream: a replay then shows what a robot would have seen, and gives the same result every time.

    Whatever a solve raises becomes a `SolveFailed`: an estimator outlives it.
    """

    def __init__(self, where: str = 'inline') -> None:
        if where not in WORKERS:
            raise ValueError(f'rig_solver must be one of {", ".join(WORKERS)}, got {where!r}')
        self.where = where
        self._executor: Executor | None = None
        self._future: Future[Solution | NotSolved] | None = None
        self._due = 0.
        self._result: Solution | NotSolved | None = None
        self._children: list[BaseProcess] = []
        if where == 'process':                              # it takes a second to start: not with the first solve
            with _one_thread():
                self._start()

    @property
    def busy(self) -> bool:
        return self._future is not None or self._result is not None

    @staticmethod
    def delay_s(tracks: Tracks, config: SolverConfig) -> float:
        """What a solve takes on one core here, about, s."""
        return .02 + .0012 * len(tracks.cameras) * min(len(tracks.stamp), config.frames)

    def submit(self, now: float, tracks: Tracks, config: SolverConfig, start: Solution | None) -> None:
        """Begin; the caller has checked `busy`."""
        noise = start.noise if start is not None and start.noise.measured else None
        try:
            if self.where == 'inline':
                self._result = solve_largest(tracks, config, start=start, noise=noise)
                self._due = now + self.delay_s(tracks, config)
                return
            with _one_thread():
                try:
                    self._future = self._start().submit(solve_largest, tracks, config, start=start, noise=noise)
                except BrokenProcessPool:                    # it was killed since the last solve
                    self.close()
                    self._future = self._start().submit(solve_largest, tracks, config, start=start, noise=noise)
        except Exception as error:  # noqa: BLE001 - a defect of the solver must not cost people and rig
            self._result, self._due = _failed(error), now

    def _start(self) -> Executor:
        if self._executor is None:
            if self.where == 'thread':
                self._executor = ThreadPoolExecutor(1, 'rig-solver')
            else:
                before = multiprocessing.active_children()
                self._executor = ProcessPoolExecutor(1, multiprocessing.get_context('spawn'), _quiet_process)
                self._executor.submit(os.getpid)
                self._children = [c for c in multiprocessing.active_children() if c not in before]
        return self._executor

    def poll(self, now: float) -> Solution | NotSolved | None:
        """The result once it is there."""
        if self._result is not None and now >= self._due:
            result, self._result = self._result, None
            return result
        if self._future is not None and self._future.done():
            future, self._future = self._future, None
            try:
                return future.result()
            except BrokenProcessPool:                        # killed, out of memory: the next solve gets a new process
                self.close()
                return SolveFailed('the process that solves the rig ended unexpectedly: it is started anew')
            except Exception as error:  # noqa: BLE001 - as in `submit`
                return _failed(error)
        return None

    def cancel(self) -> None:
        """Forget what is under way."""
        self._result = None
        if self._future is not None:
            self._future.cancel()
            self._future = None

    def close(self) -> None:
        """End the thread or process. A process is ended in the middle of its solve; a thread finishes it unheard."""
        self.cancel()
        if self._executor is None:
            return
        for child in self._children:
            child.terminate()
        # Wait for the process: an executor that is still being taken down when the interpreter ends prints a traceback
        # (its exit hook writes to a pipe that its own thread is closing).
        self._executor.shutdown(wait=self.where == 'process', cancel_futures=True)
        self._executor, self._children = None, []
