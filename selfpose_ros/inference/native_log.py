# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Keeps start-up chatter of native libraries off stderr, and nothing else."""
from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = ['without_native_noise']

_lock = threading.RLock()
_depth = 0


@contextmanager
def without_native_noise(noise: Sequence[str]) -> Iterator[None]:
    """Drop the lines that contain one of `noise` from what is written to stderr inside the block.

    Native code writes to the file descriptor itself, so it is exchanged for the whole process: every other line is
    passed on when the block ends. Blocks of several threads follow each other.
    """
    global _depth
    with _lock:
        if _depth:
            yield
            return
        try:
            kept = os.dup(2)
        except OSError:                                    # no stderr at all: nothing to protect
            yield
            return
        _depth += 1
        try:
            with tempfile.TemporaryFile() as caught:
                sys.stderr.flush()
                os.dup2(caught.fileno(), 2)
                try:
                    yield
                finally:
                    sys.stderr.flush()
                    os.dup2(kept, 2)
                    caught.seek(0)
                    words = [n.encode() for n in noise]
                    rest = b''.join(line for line in caught.read().splitlines(keepends=True)
                                    if not any(w in line for w in words))
                    if rest:
                        os.write(kept, rest)
        finally:
            _depth -= 1
            os.close(kept)
