# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The demo's other processes: started, watched, and ended whatever happens."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from .errors import DemoError

if TYPE_CHECKING:
    from typing import Self

__all__ = ['Child']

#: patience after an interrupt and after a request to end, s
_PATIENCE_S = (6., 3.)


class Child:
    """One process of this Python; a context manager that ends it.

    Args:
        name: for messages.
        arguments: after the interpreter's name.
        log: file for what it writes; its stdout can be read instead with `lines`.
        environment: of the process.
        lines: keep stdout as a pipe.
    """

    def __init__(self, name: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str],
                 lines: bool = False) -> None:
        self.name, self.log = name, log
        self._arguments, self._environment, self._lines = list(arguments), environment, lines
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with self.log.open('w') as log:
            # a session of its own: Ctrl-C shall end the demo, and the demo its children, in this order
            self._process = subprocess.Popen(
                [sys.executable, *self._arguments], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._lines else log, stderr=log, env=dict(self._environment), text=True,
                start_new_session=True)
        return self

    @property
    def stdout(self) -> IO[str]:
        """What it writes, if it was asked to keep its lines."""
        if self._process is None or self._process.stdout is None:
            raise DemoError(f'demo: {self.name} has no output to read')
        return self._process.stdout

    @property
    def status(self) -> int | None:
        """Exit status, None while it runs."""
        return None if self._process is None else self._process.poll()

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            DemoError: it has ended.
        """
        if self.status is not None:
            raise DemoError(f'demo: {self.name} ended with status {self.status} ({self.last_words()})',
                            f'see {self.log}')

    def last_words(self) -> str:
        """The last line of its log that is not empty."""
        lines = [line.strip() for line in self.log.read_text(errors='replace').splitlines()]
        return next((line[-300:] for line in reversed(lines) if line), 'it said nothing')

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        process = self._process
        if process is None:
            return
        for number, patience in zip((signal.SIGINT, signal.SIGTERM), _PATIENCE_S, strict=True):
            if process.poll() is None:
                process.send_signal(number)
                try:
                    process.wait(patience)
                except subprocess.TimeoutExpired:
                    continue
        try:
            # also what the process itself may have started: nothing of the demo outlives it
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass                                           # nobody is left
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
