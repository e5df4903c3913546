# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""When a rig is solved, and where: in line (deterministic), in a thread, or in a process of its own."""
from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from .noise import NoiseModel
from .rig import NotSolved, SolveFailed
from .rig.everybody import solve_views
from .rig.sightings import Sightings
from .rig.solver import Solution, SolverConfig, Tracks
from .rig.start import Start
from .worker_process import ProcessEnded, WorkerProcess

__all__ = ['RigWorker', 'WORKERS']

WORKERS = ('inline', 'thread', 'process')
#: a solve must not take the stream's time; blocks of 51 gain nothing from more threads than one, they only spin
_NICE = 5


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
        self._runner: ThreadPoolExecutor | WorkerProcess | None = None
        self._future: Future[Solution | NotSolved] | None = None
        self._due = 0.
        self._result: Solution | NotSolved | None = None
        if where == 'process':                              # it takes a second to start: not with the first solve
            self._start()

    @property
    def busy(self) -> bool:
        return self._future is not None or self._result is not None

    @staticmethod
    def delay_s(views: Tracks | Sightings, config: SolverConfig, known: bool = False) -> float:
        """What a solve takes on one core here, about, s; known: it has cameras to start from."""
        poses = len(views.stamp)
        if isinstance(views, Sightings):
            poses *= int(views.present.any(0).any(0).sum())
        once = .0012 * len(views.cameras) * min(poses, config.frames)
        if isinstance(views, Tracks):
            return .02 + once
        return .1 + once if known else .3 + 1.5 * once

    def submit(self, now: float, views: Tracks | Sightings, config: SolverConfig, start: Start | None,
               noise: NoiseModel | None = None) -> None:
        """Begin; the caller has checked `busy`. Start and noise: see `rig.everybody.solve_views`."""
        try:
            if self.where == 'inline':
                self._result = solve_views(views, config, start=start, noise=noise)
                self._due = now + self.delay_s(views, config, start is not None)
                return
            self._future = self._start().submit(solve_views, views, config, start=start, noise=noise)
        except Exception as error:  # noqa: BLE001 - a defect of the solver must not cost people and rig
            self._result, self._due = _failed(error), now

    def _start(self) -> ThreadPoolExecutor | WorkerProcess:
        if isinstance(self._runner, WorkerProcess) and not self._runner.alive:
            self._runner.close()                            # it was killed since the last solve
            self._runner = None
        if self._runner is None:
            self._runner = (ThreadPoolExecutor(1, 'rig-solver') if self.where == 'thread'
                            else WorkerProcess(solve_views.__module__, nice=_NICE))
        return self._runner

    def poll(self, now: float) -> Solution | NotSolved | None:
        """The result once it is there."""
        if self._result is not None and now >= self._due:
            result, self._result = self._result, None
            return result
        if self._future is not None and self._future.done():
            future, self._future = self._future, None
            try:
                return future.result()
            except ProcessEnded:                             # killed, out of memory: the next solve gets a new process
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
        runner, self._runner = self._runner, None
        if isinstance(runner, WorkerProcess):
            runner.close()
        elif runner is not None:
            runner.shutdown(wait=False, cancel_futures=True)
