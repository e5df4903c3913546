# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""ONNX files whose weights lie in files beside them: found, and taken into one file.

ONNX is a protocol buffer; its messages are gone through here byte by byte, because a robot need not have the package
`onnx`. Field numbers are those of onnx.proto3, which never change.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from .errors import ModelError

__all__ = ['LARGEST', 'outside_files', 'write_whole']

#: bytes that one protocol buffer can hold
LARGEST = (1 << 31) - 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: message -> number of a field -> message in it; those that a tensor can lie in
_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _SPARSE, _FUNCTION, _TENSOR, _TRAINING = range(8)
_INSIDE: dict[int, dict[int, int]] = {
    _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
}
#: fields of a tensor
_NAME, _RAW, _EXTERNAL, _LOCATION = 8, 9, 13, 14
#: graphs within graphs; no exporter comes near
_DEEPEST = 64


class _Damaged(ValueError):
    """The bytes are no protocol buffer."""


def outside_files(file: Path) -> tuple[str, ...]:
    """Names of the files, as the ONNX file has them, that hold weights of it; () = it is whole, or no ONNX file.

    Raises:
        ModelError: it cannot be read.
    """
    found: dict[str, None] = {}

    def note(entries: dict[str, str]) -> bytes:
        found[entries.get('location', '')] = None
        return b''

    try:
        _whole(memoryview(_content(file)), _MODEL, note)
    except _Damaged:
        return ()
    return tuple(found)


def write_whole(source: Path, target: Path) -> None:
    """Copy an ONNX file, and take in what it has in other files.

    Raises:
        ModelError: it is empty or damaged, or a file of its weights is missing, too short, or elsewhere than beside
            it; or all of it is more than the 2 GiB that one file can hold.
        OSError: `target` cannot be written.
    """
    content = memoryview(_content(source))
    if not content:
        raise ModelError('is empty', 'copy or export the model again', place=source)
    taken = len(content)

    def take(entries: dict[str, str]) -> bytes:
        nonlocal taken
        data = _read(source, entries)
        taken += len(data)
        if taken > LARGEST:                                # before memory is full of them
            raise _too_large(source)
        return data

    try:
        whole = _whole(content, _MODEL, take)
    except _Damaged as error:
        raise ModelError(f'is no ONNX file, or a damaged one ({error})',
                         'name the ONNX file of the network, or copy or export it again', place=source) from error
    target.write_bytes(whole)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise ModelError('no such file', 'name the ONNX file of the network', place=file) from None
    except IsADirectoryError:
        raise ModelError('is a folder', 'name the ONNX file in it', place=file) from None
    except OSError as error:
        raise ModelError(f'cannot be read ({error.strerror or error})', 'check it and its permissions',
                         place=file) from error


def _too_large(source: Path) -> ModelError:
    return ModelError(f'its weights, which are in other files, are more than the {LARGEST / 1000000000.0:.1f} GB that '
                      'one ONNX file can hold', 'export a smaller network', place=source)


def _read(source: Path, entries: dict[str, str]) -> bytes:
    """The weights of one tensor."""
    location, what = entries.get('location', ''), f'{source}: has weights in the file {entries.get("location")!r}'
    place = PurePosixPath(location)
    if not location or '\0' in location or '\\' in location or place.is_absolute() or '..' in place.parts:
        raise ModelError(f'{what}, which is not beside it',
                         'export the model again, with its weights in the same folder')
    file = source.parent / place
    try:
        real = file.resolve(strict=True)
        # a download cache keeps both as links into one other folder
        if not any(real.is_relative_to(p) for p in (source.parent.resolve(), source.resolve().parent)):
            raise ModelError(f'{what}, a link to {real}', 'put the file itself beside it')
        offset = int(entries.get('offset', 0))
        length = int(entries['length']) if 'length' in entries else real.stat().st_size - offset
        if offset < 0 or length < 0:
            raise ValueError(f'{length} bytes from {offset} on')
        if length > LARGEST:
            raise _too_large(source)
        with real.open('rb') as stream:
            stream.seek(offset)
            data = stream.read(length) if length <= real.stat().st_size - offset else b''
    except ValueError as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f'{what}, at a place that is none ({error})', 'export the model again') from error
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f'{what}, and there is no {file}',
                         'copy it there, or export the model again in one file') from None
    except OSError as error:
        raise ModelError(f'{what}, and {file} cannot be read ({error.strerror or error})',
                         'check it and its permissions') from error
    if len(data) != length:
        raise ModelError(f'{what}, and {file} is too short: {real.stat().st_size} bytes, {offset + length} are needed',
                         'copy it again')
    return data


# -- protocol buffers

def _whole(message: memoryview, kind: int, read: Callable[[dict[str, str]], bytes], depth: int = 0) -> memoryview:
    """The message with all weights inside; the same object where nothing was outside."""
    if depth > _DEEPEST:
        raise _Damaged('graphs within graphs without end')
    if kind == _TENSOR:
        return _whole_tensor(message, read)
    parts: list[bytes | memoryview] = []
    changed = False
    for number, wire, start, value, end in _fields(message):
        inside = _INSIDE[kind].get(number) if wire == _BYTES else None
        old = message[value:end]
        new = old if inside is None else _whole(old, inside, read, depth + 1)
        if new is old:
            parts.append(message[start:end])
        else:
            changed = True
            parts += [_head(number, len(new)), new]
    return memoryview(b''.join(parts)) if changed else message


def _whole_tensor(message: memoryview, read: Callable[[dict[str, str]], bytes]) -> memoryview:
    entries: dict[str, str] = {}
    outside, kept = False, []
    for number, wire, start, value, end in _fields(message):
        if number == _EXTERNAL and wire == _BYTES:
            entry = {n: bytes(message[value:end][a:b]) for n, w, _, a, b in _fields(message[value:end]) if w == _BYTES}
            try:
                entries[entry.get(1, b'').decode()] = entry.get(2, b'').decode()
            except UnicodeDecodeError as error:
                raise _Damaged('a name that is no text') from error
        elif number == _LOCATION and wire == _VARINT:
            outside = message[value] == 1
        elif number != _RAW:
            kept.append(message[start:end])
    if not outside:
        return message
    data = read(entries)
    return memoryview(b''.join([*kept, _head(_RAW, len(data)), data]))


def _fields(message: memoryview) -> Iterator[tuple[int, int, int, int, int]]:
    """(number, wire type, start, start of the value, end) of each field."""
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value = at
            _, at = _varint(message, at)
        elif wire == _BYTES:
            length, value = _varint(message, at)
            at = value + length
        elif wire in (_FIXED64, _FIXED32):
            value, at = at, at + (8 if wire == _FIXED64 else 4)
        else:
            raise _Damaged(f'a field of type {wire} at byte {start}')
        if number == 0 or at > len(message):
            raise _Damaged(f'it ends within the field at byte {start}' if number else f'no field at byte {start}')
        yield number, wire, start, value, at


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    number = 0
    for i in range(10):
        if at + i >= len(message):
            raise _Damaged('it ends within a number')
        byte = message[at + i]
        number |= (byte & 127) << 7 * i
        if byte < 128:
            return number, at + i + 1
    raise _Damaged(f'a number without end at byte {at}')


def _head(number: int, length: int) -> bytes:
    """Key and length of a field of bytes."""
    out = bytearray()
    for n in (number << 3 | _BYTES, length):
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        out.append(n)
    return bytes(out)
