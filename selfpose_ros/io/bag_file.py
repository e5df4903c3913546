# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A rosbag2 recording on disk: topics, messages, and what is damaged of it."""
from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .bag_metadata import BAG_SUFFIXES, bag_files, bag_name, is_bag_file
from .bag_storage import Storage
from .errors import BadMessage, IoError
from .mcap_file import MCAP, McapStorage
from .sqlite_file import SQLITE, SqliteStorage
from .unpacking import ZSTD, Damaged, is_zstd, unpacked, unpacked_file

__all__ = ['BAG_SUFFIXES', 'BagFile', 'Trouble', 'is_bag_file', 'typestore']

#: bytes of one message that is compressed by itself
_MOST_BYTES = 2**29


@dataclass
class Trouble:
    """What was odd on one topic.

    Attributes:
        bad: messages that could not be used.  first: why the first of them could not.
        unstamped: messages whose header has no stamp.
        broken_off: '' or why a part of the bag could not be read.
        odd: '' or a further sentence.
    """

    bad: int = 0
    first: str = ''
    unstamped: int = 0
    broken_off: str = ''
    odd: str = ''

    def count(self, error: BadMessage) -> None:
        """One more bad message."""
        self.bad += 1
        self.first = self.first or str(error)

    def notes(self, topic: str) -> list[str]:
        """A sentence for each kind of trouble."""
        out = []
        if self.bad:
            out.append(f'{topic}: {self.bad} bad messages are left out, the first because: {self.first}')
        if self.unstamped:
            out.append(f'{topic}: {self.unstamped} messages have no stamp and got the time of recording')
        if self.broken_off:
            out.append(f'{topic}: the bag is damaged, a part of it is left out ({self.broken_off})')
        if self.odd:
            out.append(f'{topic}: {self.odd}')
        return out


def _opened(path: Path) -> Storage:
    """Look what is in a file; its first bytes say what kind it is.

    Raises:
        IoError: neither sqlite3 nor mcap, or nothing in it can be read.
    """
    try:
        with path.open('rb') as file:
            begin = file.read(16)
    except OSError as error:
        raise IoError(f'the bag cannot be opened ({error.strerror})', 'check the path', place=path) from error
    if begin.startswith(MCAP):
        return McapStorage(path)
    if begin == SQLITE:
        return SqliteStorage(path)
    what = 'it is empty' if not begin else 'it is neither mcap nor sqlite3'
    raise IoError(f'the bag cannot be opened ({what})', 'copy or record it again', place=path)


class BagFile:
    """One bag. Every pass over its messages opens it anew, so that threads do not meet.

    Attributes:
        path: as given.
        topics: topic -> message type.
        counts: topic -> number of messages.
        notes: sentences on what is odd about the files.
    """

    def __init__(self, path: Path) -> None:
        """Look what is in it.

        Raises:
            IoError: no bag, or none of its files can be opened.
        """
        if not path.exists():
            raise IoError('no such bag', 'check the path', place=path)
        self.path = path
        parts, self.notes = bag_files(path)
        self._room: Any = None
        self._storages: list[Storage] = []
        failed: list[IoError] = []
        for part in parts:
            try:
                self._storages.append(self._open(part))
            except IoError as error:
                failed.append(error)
        if failed and not self._storages:
            raise failed[0]
        self.notes += [f'{error}; its messages are left out' for error in failed]
        self.topics: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        for storage in self._storages:
            self.notes += storage.notes
            for c in storage.channels:
                if c.encoding != 'cdr':
                    self.notes.append(f'{c.topic}: left out, its messages are not in CDR but in {c.encoding!r}')
                elif self.topics.setdefault(c.topic, c.kind) == c.kind:
                    self.counts[c.topic] = self.counts.get(c.topic, 0) + c.count

    def _open(self, part: Path) -> Storage:
        try:
            packed = is_zstd(part)
        except OSError as error:
            raise IoError(f'the bag cannot be opened ({error.strerror})', 'check the path', place=part) from error
        if not packed:
            return _opened(part)
        if self._room is None:                             # removed with this object, or at the end of the process
            self._room = tempfile.TemporaryDirectory(prefix='selfpose_bag_')
        file, whole = unpacked_file(part, Path(self._room.name))
        if not whole:
            self.notes.append(f'{part}: ends in the middle; what is whole is read')
        try:
            return _opened(file)
        except IoError as error:
            raise IoError(f'unpacked, but {error.what}', error.remedy, place=part) from error

    @property
    def name(self) -> str:
        """Of the folder or file, without suffix."""
        return bag_name(self.path)

    def messages(self, topics: Sequence[str], trouble: dict[str, Trouble]) -> Iterator[tuple[str, float, Any]]:
        """(topic, time of recording s, message) in the order of the bag.

        Messages that cannot be read are left out; that, and a bag that breaks off, is written into `trouble`,
        which holds an entry for each of the topics.
        """
        types = typestore()

        def broken(why: str) -> None:
            for topic in topics:
                trouble[topic].broken_off = _plain(why)

        for storage in self._storages:
            stored = storage.messages(topics, broken)
            while True:
                try:
                    channel, ns, data = next(stored)
                except StopIteration:
                    break
                except OSError as error:
                    broken(str(error))
                    break
                if channel.encoding != 'cdr' or channel.kind != self.topics[channel.topic]:
                    continue
                try:
                    yield channel.topic, ns * 1e-9, _deserialised(types, data, channel.kind)
                except BadMessage as error:
                    trouble[channel.topic].count(error)


@lru_cache(maxsize=1)
def typestore() -> Any:
    """The standard message types; those that are read here are the same in all distributions."""
    from rosbags.typesys import Stores, get_typestore
    return get_typestore(Stores.ROS2_JAZZY)


def _plain(error: object) -> str:
    return ' '.join(str(error).split()) or type(error).__name__


def _deserialised(types: Any, data: bytes, kind: str) -> Any:
    try:
        if data.startswith(ZSTD):                          # compressed one by one; no CDR begins so
            data = unpacked(data, 'zstd', _MOST_BYTES)
        return types.deserialize_cdr(data, kind)
    except Damaged as error:
        raise BadMessage(str(error)) from error
    except Exception as error:                             # whatever the bytes make it raise
        raise BadMessage(f'{len(data)} bytes are no {kind} ({_plain(error)})') from error
