# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Progress of long work on stderr: a bar on a terminal, a plain line now and then elsewhere."""
from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

__all__ = ['ProgressDisplay']

#: a plain line no more often than this, s
_PLAIN_EVERY_S = 10.


class ProgressDisplay:
    """Call it with (what is done, steps done, steps in all; 0 = not known); one caller at a time."""

    def __init__(self, *, quiet: bool = False, prefix: str = '') -> None:
        self._quiet, self._prefix = quiet, prefix
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
            self._bar = Progress(TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
                                 TimeRemainingColumn(), console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, what: str, done: int, total: int) -> None:
        what = self._prefix + what
        if self._bar is not None:
            if what not in self._tasks:
                self._tasks[what] = self._bar.add_task(what, total=total or None)
            self._bar.update(self._tasks[what], completed=done, total=total or None)
        elif not self._quiet and time.monotonic() - self._written >= _PLAIN_EVERY_S:
            self._written = time.monotonic()
            sys.stderr.write(f'{what}: {f"{done / total:.0%}" if total else done}\n')
            sys.stderr.flush()
