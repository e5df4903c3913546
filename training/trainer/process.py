# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a training asks of its process: threads, memory that is kept, and a Ctrl-C that ends it in good order."""
from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch

__all__ = ['Stop', 'peak_memory_mb', 'prepare', 'stoppable']

#: glibc's mallopt: numbers of the parameters, and the largest threshold that it takes
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _LARGEST = -1, -3, 1 << 30


def prepare(threads: int) -> int:
    """Set the threads of PyTorch's operators, keep freed memory, round denormals to zero.

    Gradients are tens of megabytes that are freed and wanted again in every step. By default glibc gives them back to
    the system and gets them page by page, which cost a third of the backward pass of a lifter of 10 M parameters.
    Denormals appear in Adam's second moments and slow it down.

    Args:
        threads: 0: one for each core, divided by the training processes on this host.

    Returns:
        The threads in use.
    """
    if sys.platform == 'linux':
        mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)      # other C libraries have none and need none
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _LARGEST)
            mallopt(_TRIM_THRESHOLD, _LARGEST)
    torch.set_flush_denormal(True)
    processes = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    torch.set_num_threads(threads or max(1, len(os.sched_getaffinity(0)) // processes))
    return torch.get_num_threads()


def peak_memory_mb() -> float:
    """Most memory that this process has held at one time since it began (resident set), MB."""
    status = Path('/proc/self/status')
    if status.is_file():              # the other figure begins with what the process had that started this one
        counted = [line.split()[1] for line in status.read_text().splitlines() if line.startswith('VmHWM')]
        if counted:
            return int(counted[0]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == 'darwin' else peak * 1024 / 1e6     # bytes there, KiB elsewhere


class Stop:
    """A wish to stop, from Ctrl-C or SIGTERM: true once it was uttered; the second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.requested = False

    def __bool__(self) -> bool:
        return self.requested

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Signal handler."""
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Ctrl-C and SIGTERM set the flag that is returned, until the block ends. In other threads: nothing changes."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
