# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Whether results can be written: asked before the work, not found out after it."""
from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..io.errors import IoError

__all__ = ['check_writable']


def check_writable(files: Iterable[Path]) -> None:
    """Whether these files can be made. Their folders are, where they are missing.

    Raises:
        IoError: one of them cannot be written, and why.
    """
    tried: set[Path] = set()
    for file in files:
        if file.is_dir():
            raise IoError('is a folder, where a file is to be written', 'give it another name with -o', place=file)
        if file.parent in tried:
            continue
        tried.add(file.parent)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=file.parent):
                pass
        except OSError as error:
            raise IoError(f'cannot be written ({error.strerror or error})', 'choose another place',
                          place=file) from error
