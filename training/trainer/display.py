# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Progress of a training on stderr: a bar with the loss terms on a terminal, a plain line now and then elsewhere."""
from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from typing import Self

__all__ = ['Display']

#: a plain line no more often than this, s
_PLAIN_EVERY_S = 10.


class Display:
    """Shows steps, steps a second, time to go and loss terms; `note` prints a sentence that stays."""

    def __init__(self, *, quiet: bool = False, prefix: str = '', stream: TextIO | None = None) -> None:
        self._quiet, self._prefix, self._stream = quiet, prefix, stream or sys.stderr
        self._bar: Any = None
        self._task: Any = None
        self._written = -_PLAIN_EVERY_S

    def __enter__(self) -> Self:
        if not self._quiet and self._stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
            self._bar = Progress(TextColumn('{task.description}'), BarColumn(20), MofNCompleteColumn(),
                                 TextColumn('{task.fields[text]}'), console=Console(file=self._stream))
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, step: int, total: int, rate: float, values: Mapping[str, float]) -> None:
        """Show where the training is.

        Args:
            step: steps done, of `total`.
            rate: steps a second.
            values: loss terms and whatever else matters.
        """
        text = f'{rate:.1f} steps/s, {_duration((total - step) / rate) if rate > 0 else "?"} to go'
        text += ''.join(f', {k} {v:.4g}' for k, v in values.items())
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task(self._prefix, total=total, text='')
            self._bar.update(self._task, completed=step, text=text)
        elif not self._quiet and (time.monotonic() - self._written >= _PLAIN_EVERY_S or step >= total):
            self._written = time.monotonic()
            self._write(f'step {step} of {total}, {text}')

    def note(self, text: str) -> None:
        """Print a sentence, unless quiet."""
        if not self._quiet:
            self._write(text)

    def _write(self, text: str) -> None:
        line = f'{self._prefix}: {text}' if self._prefix else text
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            self._stream.write(line + '\n')
            self._stream.flush()


def _duration(seconds: float) -> str:
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{s:02}' if hours else f'{minutes}:{s:02}'
