# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""mcap files (https://mcap.dev/spec), whole or not.

What is in a file is found by walking from record to record over its length, without its index: a recording that was
not closed has none. So a file that ends in the middle gives all that lies before, and one that is damaged in the
middle what its index tells to lie behind, too. Nothing is unpacked to more than its record says.
"""
from __future__ import annotations

import heapq
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from .bag_storage import Channel
from .errors import IoError
from .unpacking import Damaged, unpacked

__all__ = ['MCAP', 'McapStorage']

MCAP = b'\x89MCAP0\r\n'
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _INDEX, _CHUNK_INDEX, _LAST = 2, 3, 4, 5, 6, 7, 8, 15
_HEAD = 9
#: bytes of one record, and of an unpacked chunk: a message of the largest images fits several times
_MOST_BYTES = 2**29
#: bytes of schemas and channels
_MOST_TEXT = 2**24
#: chunks overlap in time; more bytes than these do not wait for each other
_MOST_WAITING = 2**29


@dataclass
class _Span:
    """A part of the file that holds messages: a chunk, or records that are in none.

    Attributes:
        start, stored: where its records lie in the file, and on how many bytes.
        size: bytes of the unpacked records, -1 = not packed, read record by record.
        how: compression.  crc: of the unpacked records, 0 = none.
        begin_ns: of its first message.
        counts: messages by channel; None = unknown.
        cut: it ends in the middle.
    """

    start: int
    stored: int
    size: int = -1
    how: str = ''
    crc: int = 0
    begin_ns: int = 0
    counts: Counter[int] | None = None
    cut: bool = False


@dataclass
class _Contents:
    """What the walk has found."""

    spans: list[_Span] = field(default_factory=list)
    schemas: dict[int, str] = field(default_factory=dict)
    channels: dict[int, tuple[int, str, str]] = field(default_factory=dict)
    ended: str = 'its end is missing'
    damaged: list[str] = field(default_factory=list)

    def uncount_last(self) -> None:
        """What stands behind the last chunk, and tells what is in it, may be incomplete."""
        if self.spans and self.spans[-1].size >= 0:
            self.spans[-1].counts = None


class McapStorage:
    """A .mcap file; see `bag_storage.Storage`."""

    def __init__(self, path: Path) -> None:
        """Look what is in it.

        Raises:
            IoError: nothing in it can be read.
        """
        self._path = path
        found = _Contents()
        try:
            with path.open('rb') as file:
                _walk(file, path.stat().st_size, found)
                self._complete(file, found)
        except OSError as error:
            raise IoError(f'the bag cannot be opened ({error})', 'check the path', place=path) from error
        self._spans = [s for s in found.spans if s.counts]
        counts: Counter[int] = Counter()
        for span in self._spans:
            counts.update(span.counts)
        self._channels = {i: Channel(topic, found.schemas.get(schema, ''), encoding, counts[i])
                          for i, (schema, topic, encoding) in found.channels.items()}
        self.channels = tuple(self._channels.values())
        self.notes: tuple[str, ...] = tuple(found.damaged)
        if found.ended:
            if not counts:
                raise IoError(f'the bag cannot be opened ({found.ended}, and there is no message in what is left)',
                              'try mcap recover, or record it again', place=path)
            self.notes += (f'{path.name}: {found.ended}, the recording was not closed or the file is damaged; the '
                           f'{sum(counts.values())} messages that are whole are read',)

    def messages(self, topics: Collection[str], broken: Callable[[str], None]) -> Iterator[tuple[Channel, int, bytes]]:
        """See `bag_storage.Storage`."""
        ids = {i for i, c in self._channels.items() if c.topic in topics}
        waiting: list[tuple[int, int, int, bytes]] = []
        number = size = 0
        with self._path.open('rb') as file:
            for span in sorted(self._spans, key=lambda s: s.begin_ns):
                if ids.isdisjoint(span.counts or ()):
                    continue
                while waiting and (waiting[0][0] < span.begin_ns or size > _MOST_WAITING):
                    ns, _, i, data = heapq.heappop(waiting)
                    size -= len(data)
                    yield self._channels[i], ns, data
                try:
                    for i, ns, data in _messages(file, span, ids):
                        if span.size < 0:                  # in the order of the file: it may be all of it
                            yield self._channels[i], ns, data
                            continue
                        number += 1
                        size += len(data)
                        heapq.heappush(waiting, (ns, number, i, data))
                except Damaged as error:
                    broken(str(error))
            while waiting:
                ns, _, i, data = heapq.heappop(waiting)
                yield self._channels[i], ns, data

    def _complete(self, file: BinaryIO, found: _Contents) -> None:
        """Look into the chunks where the walk has not told what is in them."""
        for span in found.spans:
            if span.counts is not None and span.counts.keys() <= found.channels.keys():
                continue
            counts: Counter[int] = Counter()
            try:
                for op, record in _records(file, span):
                    if op == _MESSAGE and len(record) >= 22:
                        counts[struct.unpack_from('<H', record)[0]] += 1
                    else:
                        _declare(op, record, found)
            except Damaged as error:
                found.damaged.append(f'{self._path.name}: damaged, a part of it is left out ({error})')
            if span.counts is None:
                span.counts = counts
        for span in found.spans:                           # of channels that nobody has declared
            span.counts = Counter({i: n for i, n in (span.counts or {}).items() if i in found.channels})


def _walk(file: BinaryIO, size: int, found: _Contents) -> None:
    at = len(MCAP)
    loose: _Span | None = None
    whole = ''                                             # what is noted if the end comes
    while True:
        file.seek(at)
        head = file.read(_HEAD)
        if len(head) < _HEAD:
            found.uncount_last()
            return
        op, length = struct.unpack('<BQ', head)
        end = at + _HEAD + length
        if op == _FOOTER:
            found.ended = whole if end + len(MCAP) <= size else found.ended
            return
        if op == 0 or _LAST < op < 0x80 or (end > size and op not in (_CHUNK, _MESSAGE)) or (
                op == _MESSAGE and not 22 <= length <= _MOST_BYTES):
            found.uncount_last()
            again = _behind(file, size, at)
            if again is None:
                return
            whole, at, loose = 'a part of it is damaged', again, None
            continue
        if op == _CHUNK:
            span = _chunk(file, at, min(end, size))
            if span is not None:
                span.cut = end > size
                found.spans.append(span)
            loose = None
        elif op == _MESSAGE and end <= size:
            channel, _, ns = struct.unpack('<HIQ', file.read(14))
            if loose is None:
                loose = _Span(at, 0, begin_ns=ns, counts=Counter())
                found.spans.append(loose)
            assert loose.counts is not None
            loose.counts[channel] += 1
            loose.stored = end - loose.start
        elif op == _INDEX and found.spans and length >= 6:
            channel, entries = struct.unpack('<HI', file.read(6))
            last = found.spans[-1]
            if last.size >= 0:
                last.counts = last.counts or Counter()
                last.counts[channel] += entries // 16
        elif op in (_SCHEMA, _CHANNEL) and length <= _MOST_TEXT:
            _declare(op, file.read(length), found)
        if end > size:
            return
        at = end


def _chunk(file: BinaryIO, at: int, end: int) -> _Span | None:
    """The chunk whose record lies from `at` to `end`; None: it is cut off before its content, or no chunk."""
    head = file.read(min(end - at - _HEAD, 300))
    if len(head) < 40:
        return None
    begin, _, size, crc, letters = struct.unpack_from('<QQQII', head)
    if letters > 16 or len(head) < 40 + letters:
        return None
    how = head[32:32 + letters].decode(errors='replace')
    stored, = struct.unpack_from('<Q', head, 32 + letters)
    start = at + _HEAD + 40 + letters
    return _Span(start, min(stored, end - start), size, how, crc, begin)


def _behind(file: BinaryIO, size: int, at: int) -> int | None:
    """The next chunk behind a damaged place, as the file's index tells."""
    tail = 8 + 20 + _HEAD
    file.seek(max(size - tail, 0))
    end = file.read()
    if len(end) < tail or not end.endswith(MCAP) or end[0] != _FOOTER:
        return None
    place, = struct.unpack_from('<Q', end, _HEAD)
    starts = []
    while at < place < size - tail:
        file.seek(place)
        op, length = struct.unpack('<BQ', file.read(_HEAD))
        if op == _CHUNK_INDEX and length >= 32 and place + _HEAD + 32 <= size:
            starts.append(struct.unpack('<QQQQ', file.read(32))[2])
        place += _HEAD + length
    return min((s for s in starts if at < s < size), default=None)


def _declare(op: int, record: bytes | memoryview, found: _Contents) -> None:
    """Take a schema or a channel."""
    try:
        if op == _SCHEMA:
            key, letters = struct.unpack_from('<HI', record)
            found.schemas[key] = bytes(record[6:6 + letters]).decode(errors='replace')
        elif op == _CHANNEL:
            key, schema, letters = struct.unpack_from('<HHI', record)
            topic = bytes(record[8:8 + letters]).decode(errors='replace')
            more, = struct.unpack_from('<I', record, 8 + letters)
            encoding = bytes(record[12 + letters:12 + letters + more]).decode(errors='replace')
            found.channels.setdefault(key, (schema, topic, encoding))
    except struct.error:
        return                                             # its messages belong to nothing


def _messages(file: BinaryIO, span: _Span, ids: Collection[int]) -> Iterator[tuple[int, int, bytes]]:
    """(channel, ns, bytes) of those channels."""
    for op, record in _records(file, span):
        if op == _MESSAGE:
            if len(record) < 22:
                raise Damaged('a message is too short')
            channel, _, ns = struct.unpack_from('<HIQ', record)
            if channel in ids:
                yield channel, ns, bytes(record[22:])


def _records(file: BinaryIO, span: _Span) -> Iterator[tuple[int, bytes | memoryview]]:
    """(kind, content) of the records of a span, as far as they are whole."""
    if span.size < 0:
        at, end = span.start, span.start + span.stored
        while at < end:
            file.seek(at)
            op, length = struct.unpack('<BQ', file.read(_HEAD))
            yield op, file.read(length) if op == _MESSAGE else b''
            at += _HEAD + length
        return
    if span.size > _MOST_BYTES or span.stored > _MOST_BYTES:
        raise Damaged(f'a chunk of {span.size} bytes is larger than the {_MOST_BYTES} that are allowed')
    file.seek(span.start)
    content = unpacked(file.read(span.stored), span.how, span.size)
    if not span.cut and len(content) != span.size:
        raise Damaged(f'a chunk has {len(content)} bytes instead of {span.size}')
    if not span.cut and span.crc and zlib.crc32(content) != span.crc:
        raise Damaged('the checksum of a chunk is wrong')
    view, at = memoryview(content), 0
    while at + _HEAD <= len(content):
        op, length = struct.unpack_from('<BQ', content, at)
        end = at + _HEAD + length
        if end > len(content):
            if not span.cut:
                raise Damaged('a record of a chunk ends behind it')
            return
        yield op, view[at + _HEAD:end]
        at = end
