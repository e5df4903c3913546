# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""npz files: arrays checked for shape and kind when they are read, whole or not at all when they are written."""
from __future__ import annotations

import math
import os
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

#: numbers that one array may have, 2 GiB of them as float64; and bytes of an array of text
_MOST_NUMBERS, _MOST_TEXT_B = 1 << 28, 1 << 24


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
        raise IoError(f'cannot be written ({error.strerror or error})', 'choose another place or free the space',
                      place=path) from error
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
            raise IoError('no such file', 'check the path', place=path)
        try:
            loaded = np.load(path, mmap_mode='r', allow_pickle=False)    # a single array is not read at all
        except Exception as error:
            raise IoError(f'not a readable npz ({_plain(error)})', 'write or copy it again', place=path) from error
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise IoError('a single array, not an npz of named arrays', 'save it with numpy.savez', place=path)
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
            raise IoError(f'{key} is missing, expected with shape {self._any(shapes)} (the file holds {names})',
                          place=self.path)
        try:
            actual, kind = self._declared(key)
        except Exception as error:
            raise self._unreadable(key, error) from error
        if kind.hasobject:
            raise IoError(f'{key} cannot be read (it holds Python objects)', 'save plain arrays', place=self.path)
        if kind.kind not in ('US' if text else 'fiub'):
            raise IoError(f'{key} must hold {"text" if text else "numbers"}, got {kind}', place=self.path)
        sizes = next((s for s in (self._match(shape.split(), actual) for shape in shapes) if s is not None), None)
        if sizes is None:
            raise IoError(f'{key} must have shape {self._any(shapes)}, got {actual}', place=self.path)
        count = math.prod(actual)
        if count > _MOST_NUMBERS or (text and count * kind.itemsize > _MOST_TEXT_B):
            raise IoError(f'{key} is too large, {actual} of {kind}', 'cut the recording into parts', place=self.path)
        try:
            value = self._file[key].astype(str if text else float)
        except Exception as error:
            raise self._unreadable(key, error) from error
        self.sizes.update(sizes)
        return value

    def dimensions(self, key: str) -> int | None:
        """Number of dimensions of the array of a key; None: there is no such key, or it cannot be read."""
        try:
            return len(self._declared(key)[0]) if key in self else None
        except Exception:  # noqa: BLE001 - see __init__; whoever reads it hears why
            return None

    def _declared(self, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and kind that the header of an array declares; nothing is allocated for it yet."""
        name = key if key in self._file.zip.namelist() else f'{key}.npy'
        with self._file.zip.open(name) as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, kind = read(member)
            if kind.itemsize * math.prod(shape) > self._file.zip.getinfo(name).file_size and not kind.hasobject:
                raise ValueError(f'it declares {shape} of {kind}, but is shorter')
        return tuple(int(s) for s in shape), kind

    def _unreadable(self, key: str, error: Exception) -> IoError:
        return IoError(f'{key} cannot be read ({_plain(error)})', 'write or copy the file again', place=self.path)

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
