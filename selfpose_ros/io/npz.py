# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""npz files: arrays checked for shape and kind when they are read, whole or not at all when they are written."""
from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import IoError

if TYPE_CHECKING:
    from typing import Self

__all__ = ['NpzReader', 'atomically', 'write_npz']

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, NotImplementedError)


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is gone when it does not.

    Raises:
        IoError: the folder cannot be made or written.
    """
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        raise IoError(f'{path}: cannot be written ({error.strerror or error}); choose another place or free the '
                      'space') from error
    finally:
        with suppress(OSError):
            part.unlink()


def write_npz(path: Path, **arrays: Any) -> None:
    """Write a compressed npz in one step: readers see the old file or the new one, never half of one.

    Raises:
        IoError: the file cannot be written.
    """
    with atomically(path) as part, part.open('wb') as file:
        np.savez_compressed(file, **arrays)


class NpzReader:
    """Arrays of one npz, checked against shapes given as letters; a letter is the same size in the whole file."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            IoError: there is no such file, or it is no npz.
        """
        self.path = path
        self.sizes: dict[str, int] = {}
        if not path.is_file():
            raise IoError(f'{path}: no such file; check the path')
        try:
            loaded = np.load(path, allow_pickle=False)
        except _DAMAGED as error:
            raise IoError(f'{path}: not a readable npz ({_plain(error)}); write or copy it again') from error
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise IoError(f'{path}: a single array, not an npz of named arrays; save it with numpy.savez')
        self._file = loaded

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._file.files

    def array(self, key: str, *shapes: str, text: bool = False) -> NDArray[Any]:
        """The array of a key, as float (or str), if it has one of the shapes.

        Args:
            key: its name.
            shapes: as 'T V J 2': letters are sizes that must agree between the keys read, numbers are fixed.
            text: an array of strings is wanted.

        Raises:
            IoError: the key is missing, damaged, of another kind or of another shape.
        """
        if key not in self:
            names = ', '.join(self._file.files) or 'nothing'
            raise IoError(f'{self.path}: {key} is missing, expected with shape {self._any(shapes)} '
                          f'(the file holds {names})')
        try:
            value = self._file[key]
        except _DAMAGED as error:
            raise IoError(f'{self.path}: {key} cannot be read ({_plain(error)}); '
                          'write or copy the file again') from error
        fits = value.dtype.kind in ('US' if text else 'fiub')
        if not fits:
            raise IoError(f'{self.path}: {key} must hold {"text" if text else "numbers"}, got {value.dtype}')
        for shape in shapes:
            sizes = self._match(shape.split(), value.shape)
            if sizes is not None:
                self.sizes.update(sizes)
                return value.astype(str) if text else value.astype(float)
        raise IoError(f'{self.path}: {key} must have shape {self._any(shapes)}, got {value.shape}')

    def _match(self, shape: Sequence[str], actual: tuple[int, ...]) -> dict[str, int] | None:
        if len(shape) != len(actual):
            return None
        sizes = dict(self.sizes)
        for letter, size in zip(shape, actual, strict=True):
            if sizes.setdefault(letter, int(letter) if letter.isdigit() else size) != size:
                return None
        return {k: v for k, v in sizes.items() if not k.isdigit()}

    def _any(self, shapes: Sequence[str]) -> str:
        return ' or '.join(map(self._shown, shapes))

    def _shown(self, shape: str) -> str:
        letters = shape.split()
        known = [str(self.sizes.get(s, s)) for s in letters]
        comma = ',' if len(letters) == 1 else ''
        text = f'({", ".join(letters)}{comma})'
        return text if known == letters else f'{text} = ({", ".join(known)}{comma})'


def _plain(error: BaseException) -> str:
    return ' '.join(str(error).split()) or type(error).__name__
