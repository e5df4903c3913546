# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How far a build has come, and its cancellation: TensorRT's nested phases as one share that never falls."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .interface import IBuilderConfig, TensorRT

__all__ = ['Phases', 'Progress', 'progress_monitor']

#: called with the share 0..1; False = cancel. Raises nothing.
Progress = Callable[[float], bool]


class Phases:
    """The share of the work that is done, from phases within phases."""

    def __init__(self) -> None:
        #: name -> [name of the phase that it is a step of, steps done, steps in all]; in the order of their start
        self._open: dict[str, tuple[str | None, int, int]] = {}
        self._root: str | None = None
        self.share = 0.

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins."""
        if self._root is None:
            self._root = name
        self._open[name] = (parent, 0, max(steps, 1))

    def step(self, name: str, step: int) -> None:
        """Step number `step`, from 0, of a phase is done."""
        if name in self._open:
            parent, _, steps = self._open[name]
            self._open[name] = (parent, min(step + 1, steps), steps)
            if self._root is not None:
                self.share = max(self.share, self._of(self._root))

    def finish(self, name: str) -> None:
        """A phase ends; its step of the phase around it is reported separately."""
        self._open.pop(name, None)

    def _of(self, name: str) -> float:
        _, done, steps = self._open.get(name, (None, 1, 1))
        inner = max((self._of(n) for n, (parent, _, _) in self._open.items() if parent == name and n != name),
                    default=0.)
        return min((done + inner) / steps, 1.)


def progress_monitor(trt: TensorRT, config: IBuilderConfig, progress: Progress) -> Callable[[], bool]:
    """Have a build report its progress; returns whether it was cancelled, when called.

    What is returned keeps the monitor alive, which TensorRT does not.
    """
    phases, cancelled = Phases(), False

    class Monitor(trt.IProgressMonitor):                   # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            phases.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            nonlocal cancelled
            phases.step(phase_name, step)
            cancelled = cancelled or not progress(phases.share)
            return not cancelled

        def phase_finish(self, phase_name: str) -> None:
            phases.finish(phase_name)

    monitor: Any = Monitor()
    config.progress_monitor = monitor

    def was_cancelled(monitor: Any = monitor) -> bool:
        return cancelled

    return was_cancelled
