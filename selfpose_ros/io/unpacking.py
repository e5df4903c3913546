# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Compressed parts of bags -> bytes, no more than expected: a few bytes can unpack to all memory or disk there is."""
from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, BinaryIO

from .errors import IoError

__all__ = ['ZSTD', 'Damaged', 'is_zstd', 'unpacked', 'unpacked_file']

#: how a zstd frame begins
ZSTD = b'\x28\xb5\x2f\xfd'
#: bytes that are read and written at once
_PIECE = 2**20
#: frames of one block; writers make one
_FRAMES = 64
#: images of an empty room shrink to a thousandth; more than that is no recording
_RATIO, _LEAST = 1000, 2**26


class Damaged(Exception):
    """Bytes that are not what they should be; says why in a few words."""


def unpacked(data: bytes | memoryview, how: str, limit: int) -> bytes:
    """The content of a compressed block; of one that is cut off, what lies before the cut.

    Args:
        data: the block.
        how: '', 'zstd' or 'lz4'.
        limit: bytes that are allowed.

    Raises:
        Damaged: no such block, more bytes than allowed, or compressed in another way.
    """
    if not how:
        out = bytes(data)
    elif how in ('zstd', 'lz4'):
        try:
            out = _frames(bytes(data), how, limit + 1)
        except Exception as error:                         # the decoders raise many kinds
            raise Damaged(f'{how}: {error}') from error
    else:
        raise Damaged(f'compression {how!r} is not known')
    if len(out) > limit:
        raise Damaged(f'unpacks to more than {limit} bytes')
    return out


def _decoder(how: str) -> Any:
    # not at the top: who reads no compressed bag need not have them
    if how == 'lz4':
        from lz4.frame import LZ4FrameDecompressor
        return LZ4FrameDecompressor()
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdDecompressor
    else:
        from backports.zstd import ZstdDecompressor
    return ZstdDecompressor()


def _frames(data: bytes, how: str, most: int) -> bytes:
    out: list[bytes] = []
    left = most
    for _ in range(_FRAMES):
        frame = _decoder(how)
        out.append(frame.decompress(data, max_length=left))
        left -= len(out[-1])
        data = (frame.unused_data or b'') if frame.eof else b''
        if not data or left <= 0:
            return b''.join(out)
    raise ValueError(f'more than {_FRAMES} frames')


def is_zstd(path: Path) -> bool:
    """Whether a file is compressed with zstd."""
    with path.open('rb') as file:
        return file.read(4) == ZSTD


def unpacked_file(path: Path, folder: Path) -> tuple[Path, bool]:
    """Unpack a zstd file into a folder; returns the new file, and whether the old one was whole.

    Raises:
        IoError: not such a file, or too large for the folder's disk.
    """
    target = folder / f'{len(list(folder.iterdir()))}_{path.stem}'
    limit = min(shutil.disk_usage(folder).free // 2, _RATIO * path.stat().st_size + _LEAST)
    try:
        with path.open('rb') as packed, target.open('wb') as out:
            whole = _unpack(packed, out, limit)
    except _TooMuch as error:
        raise IoError(f'unpacks to more than {limit >> 20} MB, more than there is room for in {folder.parent}',
                      'unpack it with `unzstd` where there is room, and read that file', place=path) from error
    except Exception as error:                             # the decoder raises many kinds, the disk others
        raise IoError(f'cannot be unpacked ({" ".join(str(error).split())})',
                      'unpack it with `unzstd`, or copy it again', place=path) from error
    return target, whole


class _TooMuch(Exception):
    """More bytes than are allowed."""


def _unpack(packed: BinaryIO, out: BinaryIO, limit: int) -> bool:
    """Frame after frame; returns whether the last one was whole."""
    frame, done = _decoder('zstd'), 0
    while True:
        piece = b''
        if frame.eof:
            piece, frame = frame.unused_data or packed.read(_PIECE), _decoder('zstd')
            if not piece:
                return True
        elif frame.needs_input:
            piece = packed.read(_PIECE)
            if not piece:
                return False
        content = frame.decompress(piece, max_length=_PIECE)
        done += len(content)
        if done > limit:
            raise _TooMuch
        out.write(content)
