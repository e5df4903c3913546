# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The end of a thread is waited for, and not for ever: a node that says where a thread is stuck is better than none."""
from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

__all__ = ['PATIENCE_S', 'stuck']

#: longer than any image or instant takes on a busy machine, s
PATIENCE_S = 20.
#: calls that are named, the innermost first
_CALLS = 4


def stuck(threads: Sequence[threading.Thread], patience_s: float = PATIENCE_S) -> str:
    """Wait for threads that were asked to end, all together for so long; '' or a sentence on those that did not."""
    until = time.monotonic() + patience_s
    for thread in threads:
        thread.join(max(0., until - time.monotonic()))
    return '; '.join(f'thread {t.name} was asked to end and has not for {patience_s:g} s, it is left behind in {place}'
                     for t in threads if (place := _place(t)))


def _place(thread: threading.Thread) -> str:
    """Where a thread is; '' = it has ended."""
    frame = sys._current_frames().get(thread.ident or 0) if thread.is_alive() else None
    if frame is None:
        return ''
    calls = reversed(traceback.extract_stack(frame)[-_CALLS:])
    return ', called from '.join(f'{call.name} ({Path(call.filename).name}:{call.lineno})' for call in calls)
