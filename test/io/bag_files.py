# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Storage files of rosbag2 made byte by byte, as no writer here makes them: small chunks, odd compressions, lies."""
from __future__ import annotations

import struct
import sys
from pathlib import Path

import lz4.frame
from bags import write_bag

from selfpose_ros.io.bag_file import BagFile, typestore

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b'\x89MCAP0\r\n'
PACK = {'': bytes, 'zstd': zstd.compress, 'lz4': lz4.frame.compress}


def record(op: int, content: bytes) -> bytes:
    """One record of mcap."""
    return struct.pack('<BQ', op, len(content)) + content


def text(value: str) -> bytes:
    """One string of mcap."""
    return struct.pack('<I', len(value)) + value.encode()


def chunk(records: bytes, compression: str = '', *, begin: int = 0, size: int | None = None, crc: int = 0) -> bytes:
    """A chunk; `size` = what it says of itself, whatever it has."""
    packed = PACK[compression](records)
    head = struct.pack('<QQQI', begin, begin, len(records) if size is None else size, crc)
    return record(6, head + text(compression) + struct.pack('<Q', len(packed)) + packed)


def channel(number: int, topic: str, kind: str, encoding: str = 'cdr') -> bytes:
    """Schema and channel of one topic."""
    return (record(3, struct.pack('<H', number) + text(kind) + text('ros2msg') + text(''))
            + record(4, struct.pack('<HH', number, number) + text(topic) + text(encoding) + text('')))


def message(number: int, ns: int, data: bytes) -> bytes:
    """One message of a channel."""
    return record(5, struct.pack('<HIQQ', number, 0, ns, ns) + data)


def mcap(path: Path, *parts: bytes, end: bool = False) -> Path:
    """A file of these records, as a recorder leaves it that was not closed; with `end` it is closed, without index."""
    tail = record(15, b'\0' * 4) + record(2, b'\0' * 20) + MAGIC if end else b''
    path.write_bytes(MAGIC + record(1, text('ros2') + text('test')) + b''.join(parts) + tail)
    return path


def serialised(kind: str, *values: object) -> bytes:
    """CDR of a message of the standard types."""
    types = typestore()
    return bytes(types.serialize_cdr(types.types[kind](*values), kind))


def rechunked(path: Path, views: list, compression: str, per_chunk: int) -> Path:
    """Views as keypoint topics in small chunks without index."""
    from rosbags.rosbag2 import Reader
    source = path.with_suffix('.made')
    write_bag(source, views)
    with Reader(source) as reader:
        numbers = {c.topic: (i, c.msgtype) for i, c in enumerate(reader.connections, 1)}
        stored = [(numbers[c.topic][0], ns, bytes(data)) for c, ns, data in reader.messages()]
    head = b''.join(channel(i, topic, kind) for topic, (i, kind) in numbers.items())
    parts = []
    for k in range(0, len(stored), per_chunk):
        piece = stored[k:k + per_chunk]
        parts.append(chunk(head + b''.join(message(*m) for m in piece), compression, begin=piece[0][1]))
    return mcap(path, *parts)


def topics_of(path: Path) -> dict[str, int]:
    """Messages by topic."""
    return BagFile(path).counts
