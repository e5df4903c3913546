# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The end of a process that has done its work."""
from __future__ import annotations

import signal

__all__ = ['no_more_signals']


def no_more_signals() -> None:
    """Let Ctrl-C and SIGTERM end nothing any more: there is nothing left to end but the interpreter.

    Under `ros2 launch` Ctrl-C arrives twice. The second one would meet the interpreter on its way out, where Python has
    put back the default action: the process would count as killed, after a clean end.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
