# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Memory that networks had goes back to the system when a node is cleaned up.

By default glibc takes ever larger blocks from its heaps once such a block was freed. A network's weights then lie
between small things that live on, and most of what a closed network had stays with the process: 110 MB for each
cleanup and configure of four cameras with MediaPipe, for dozens of cycles.
"""
from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import Any

__all__ = ['give_back', 'keep_large_blocks_apart']

#: glibc's mallopt: numbers of the parameters
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: blocks from here on are mapped, and unmapped when they are freed, bytes. A raw image of 1920 x 1080 stays below:
#: memory that is used again is quicker than memory that is new
_LARGE = 8 << 20
#: free memory at the end of the heap that is kept between two images, bytes
_KEPT = 16 << 20


@lru_cache(maxsize=1)
def _glibc() -> Any:
    """The C library, if it is glibc; others have no such functions and need none."""
    if sys.platform != 'linux':
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, 'mallopt') and hasattr(library, 'malloc_trim') else None


def keep_large_blocks_apart() -> None:
    """For the whole process, from now on."""
    library = _glibc()
    if library is not None:
        library.mallopt(_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)


def give_back() -> None:
    """Return all free pages to the system; some milliseconds."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)
