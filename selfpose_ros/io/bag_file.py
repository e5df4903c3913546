# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A rosbag2 recording on disk: topics, messages, and what is damaged of it."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .bag_messages import BadMessage
from .errors import IoError

__all__ = ['BAG_SUFFIXES', 'BagFile', 'Trouble', 'typestore']

#: storage files of rosbag2
BAG_SUFFIXES = frozenset(('.db3', '.mcap'))


@dataclass
class Trouble:
    """What was odd on one topic.

    Attributes:
        bad: messages that could not be used.  first: why the first of them could not.
        unstamped: messages whose header has no stamp.
        broken_off: '' or why reading ended early.
    """

    bad: int = 0
    first: str = ''
    unstamped: int = 0
    broken_off: str = ''

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
            out.append(f'{topic}: the bag is damaged, what lies behind is lost ({self.broken_off})')
        return out


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
            IoError: no bag, or one that cannot be opened.
        """
        if not path.exists():
            raise IoError(f'{path}: no such bag; check the path')
        self.path = path
        self.notes: list[str] = []
        self._parts: tuple[Path, ...] = (path,)
        if path.is_dir() and not (path / 'metadata.yaml').is_file():
            self._parts = tuple(sorted(p for p in path.iterdir() if p.suffix in BAG_SUFFIXES))
            if not self._parts:
                raise IoError(f'{path}: no bag in it, neither metadata.yaml nor .db3 or .mcap; check the path')
            self.notes.append(f'{path}: metadata.yaml is missing, the recording was not closed; its files are '
                              'read one by one')
        self.topics: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        for part in self._parts:
            with _opened(part) as reader:
                for c in reader.connections:
                    self.topics.setdefault(c.topic, c.msgtype)
                    self.counts[c.topic] = self.counts.get(c.topic, 0) + c.msgcount

    @property
    def name(self) -> str:
        """Of the folder or file, without suffix."""
        return self.path.resolve().name if self.path.is_dir() else self.path.stem

    def messages(self, topics: Sequence[str], trouble: dict[str, Trouble]) -> Iterator[tuple[str, float, Any]]:
        """(topic, time of recording s, message) in the order of the bag.

        Messages that cannot be read are left out; that, and a bag that breaks off, is written into `trouble`,
        which holds an entry for each of the topics.
        """
        types = typestore()
        for part in self._parts:
            with _opened(part) as reader:
                chosen = [c for c in reader.connections if c.topic in topics and c.msgtype == self.topics[c.topic]]
                stored = reader.messages(connections=chosen) if chosen else iter(())
                while True:
                    try:
                        connection, ns, data = next(stored)
                    except StopIteration:
                        break
                    except Exception as error:  # noqa: BLE001 - damaged files make the reader raise many kinds
                        for topic in topics:
                            trouble[topic].broken_off = _plain(error)
                        break
                    try:
                        yield connection.topic, ns * 1e-9, _deserialised(types, data, connection.msgtype)
                    except BadMessage as error:
                        trouble[connection.topic].count(error)


@lru_cache(maxsize=1)
def typestore() -> Any:
    """The standard message types; those that are read here are the same in all distributions."""
    from rosbags.typesys import Stores, get_typestore
    return get_typestore(Stores.ROS2_JAZZY)


def _plain(error: BaseException) -> str:
    return ' '.join(str(error).split()) or type(error).__name__


def _deserialised(types: Any, data: Any, kind: str) -> Any:
    try:
        return types.deserialize_cdr(data, kind)
    except Exception as error:                             # whatever the bytes make it raise
        raise BadMessage(f'{len(data)} bytes are no {kind} ({_plain(error)})') from error


@contextmanager
def _opened(part: Path) -> Iterator[Any]:
    from rosbags.rosbag2 import Reader
    try:
        reader = Reader(part)
        reader.open()
    except Exception as error:                             # the reader raises many kinds on damaged files
        raise IoError(f'{part}: the bag cannot be opened ({_plain(error)}); try mcap recover and ros2 bag '
                      'reindex, or record it again') from error
    try:
        yield reader
    finally:
        reader.close()
