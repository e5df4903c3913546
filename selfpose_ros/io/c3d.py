# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""C3D, the file of motion capture laboratories: the joints as markers, mm, z up; one file for each person.

Written to the format's manual (c3d.org): header, parameters, then four floats a marker; little endian, no analog data.
"""
from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.result import Skeletons
from .npz import atomically
from .people import Track, each_person, rate_of

__all__ = ['write_c3d']

_BLOCK = 512
#: of a file in which numbers are floats
_SCALE = -1.
_MOST = 65535                                              # frames that 16 bits can count


def write_c3d(path: Path, result: Skeletons) -> list[Path]:
    """One file for each person, named as those of `people.each_person`. What is not known is marked so (residual -1).

    Raises:
        IoError: a file cannot be written.
    """
    return each_person(path, result, _write)


def _write(path: Path, track: Track) -> None:
    known = np.isfinite(track.joints).all(-1)
    data = np.zeros((*known.shape, 4), '<f4')
    data[..., :3] = np.where(known[..., None], 1e3 * track.joints, 0.)
    data[..., 3] = np.where(known, 0., -1.)
    frames, rate = len(data), rate_of(track.stamp)
    names = track.joint_names
    blocks = _parameters(names, frames, rate, 0).count
    parameters = _parameters(names, frames, rate, 2 + blocks)
    head = struct.pack('<BBHHHHHfHHf', 2, 0x50, len(names), 0, 1, min(frames, _MOST), 0, _SCALE, 2 + blocks, 0, rate)
    with atomically(path) as part, part.open('wb') as file:
        file.write(head.ljust(_BLOCK, b'\0'))
        file.write(parameters.bytes)
        file.write(data.tobytes())
        file.write(bytes(-data.nbytes % _BLOCK))


class _Section:
    """The section of the parameters as it grows."""

    def __init__(self) -> None:
        self._records: list[bytes] = []
        self._group = 0

    def group(self, name: str) -> None:
        self._group += 1
        self._records.append(struct.pack('<bb', len(name), -self._group) + name.encode() + b'%s\0')

    def add(self, name: str, kind: int, dims: Sequence[int], data: bytes) -> None:
        """kind: -1 text, 2 int16, 4 float."""
        body = struct.pack('<bB', kind, len(dims)) + bytes(dims) + data + b'\0'
        self._records.append(struct.pack('<bb', len(name), self._group) + name.encode() + b'%s' + body)

    def text(self, name: str, words: Sequence[str]) -> None:
        width = max([1, *map(len, words)])
        self.add(name, -1, [width, len(words)], ''.join(w.ljust(width) for w in words).encode('ascii'))

    def word(self, name: str, text: str) -> None:
        self.add(name, -1, [len(text)], text.encode('ascii'))

    def whole(self, name: str, *values: int) -> None:
        self.add(name, 2, [len(values)] if len(values) != 1 else [],
                 b''.join(struct.pack('<H', v) for v in values))

    def number(self, name: str, value: float) -> None:
        self.add(name, 4, [], struct.pack('<f', value))

    @property
    def bytes(self) -> bytes:
        """Padded to whole blocks."""
        out = b''
        for n, record in enumerate(self._records):
            name, rest = record.split(b'%s', 1)
            # from the offset itself to the next record; 0 = there is none
            step = 2 + len(rest) if n + 1 < len(self._records) else 0
            out += name + struct.pack('<h', step) + rest
        blocks = -(-(4 + len(out)) // _BLOCK)
        return (bytes([1, 0x50, blocks, 84]) + out).ljust(blocks * _BLOCK, b'\0')

    @property
    def count(self) -> int:
        """Blocks."""
        return len(self.bytes) // _BLOCK


def _parameters(names: Sequence[str], frames: int, rate: float, data_start: int) -> _Section:
    s = _Section()
    s.group('POINT')
    s.whole('USED', len(names))
    s.number('SCALE', _SCALE)
    s.number('RATE', rate)
    s.whole('DATA_START', data_start)
    s.whole('FRAMES', min(frames, _MOST))
    s.text('LABELS', names)
    s.text('DESCRIPTIONS', names)
    s.word('UNITS', 'mm')
    s.word('X_SCREEN', '+X')
    s.word('Y_SCREEN', '+Z')
    s.group('ANALOG')
    s.whole('USED', 0)
    s.number('GEN_SCALE', 1.)
    s.number('RATE', 0.)
    s.group('TRIAL')
    s.whole('ACTUAL_START_FIELD', 1, 0)
    s.whole('ACTUAL_END_FIELD', frames & 0xffff, frames >> 16)
    return s
