# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""sqlite3 files of rosbag2, whole or not."""
from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .bag_storage import Channel
from .errors import IoError

__all__ = ['SQLITE', 'SqliteStorage']

SQLITE = b'SQLite format 3\0'


class SqliteStorage:
    """A .db3 file; see `bag_storage.Storage`. Of one that is cut off, the messages before the cut are read."""

    def __init__(self, path: Path) -> None:
        """Look what is in it.

        Raises:
            IoError: not of rosbag2, or nothing in it can be read.
        """
        self._path, self._damaged = path, ''
        self.notes: tuple[str, ...] = ()
        log = path.with_name(f'{path.name}-wal')
        if log.is_file() and log.stat().st_size:
            self.notes = (f'{path}: {log.name} holds messages that are not in it yet and are left out; run '
                          f"`sqlite3 {path.name} 'PRAGMA wal_checkpoint'` beside it to take them over",)
        try:
            with closing(self._connected()) as base:
                tables = {n for n, in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
                if not tables >= {'topics', 'messages'}:
                    raise sqlite3.DatabaseError('no tables of rosbag2 in it'
                                                + (f', {log.name} may hold them' if self.notes else ''))
                rows = base.execute('SELECT id, name, type, serialization_format FROM topics ORDER BY id').fetchall()
            counts = self._counts()
        except sqlite3.Error as error:
            raise IoError(f'the bag cannot be opened ({error})', f'try `sqlite3 {path.name} .recover | sqlite3 '
                          'new.db3`, or record it again', place=path) from error
        self._channels = {i: Channel(str(topic), str(kind), str(encoding), counts[i])
                          for i, topic, kind, encoding in rows}
        self.channels = tuple(self._channels.values())
        if self._damaged:
            self.notes += (f'{path.name}: the file is cut off or damaged ({self._damaged}); the '
                           f'{sum(counts.values())} messages before that are read',)

    def _counts(self) -> Counter[Any]:
        counts: Counter[Any] = Counter()
        try:
            with closing(self._connected()) as base:
                counts.update(dict(base.execute('SELECT topic_id, count(*) FROM messages GROUP BY topic_id')))
        except sqlite3.Error as error:
            self._damaged = str(error)
            counts.clear()
            counts.update(i for i, _, _ in self._rows(()))
            if not counts:
                raise
        return counts

    def messages(self, topics: Collection[str], broken: Callable[[str], None]) -> Iterator[tuple[Channel, int, bytes]]:
        """See `bag_storage.Storage`."""
        ids = tuple(i for i, c in self._channels.items() if c.topic in topics)
        try:
            for i, ns, data in self._rows(ids):
                if i in ids:
                    yield self._channels[i], ns if isinstance(ns, int) else 0, data if isinstance(data, bytes) else b''
        except sqlite3.Error as error:
            broken(str(error))

    def _rows(self, ids: tuple[Any, ...]) -> Iterator[tuple[Any, Any, Any]]:
        """(topic id, time ns, bytes) in order of time; of a damaged file all there are, in the order of the file."""
        with closing(self._connected()) as base:
            if not self._damaged:
                places = ','.join('?' * len(ids))
                yield from base.execute('SELECT topic_id, timestamp, data FROM messages '
                                        f'WHERE topic_id IN ({places}) ORDER BY timestamp', ids)
                return
            try:
                yield from base.execute('SELECT topic_id, timestamp, data FROM messages NOT INDEXED')
            except sqlite3.Error:
                return

    def _connected(self) -> sqlite3.Connection:
        # a generator may be closed in another thread than it was made in
        base = sqlite3.connect(f'file:{quote(str(self._path.resolve()))}?mode=ro&immutable=1', uri=True,
                               check_same_thread=False)
        base.text_factory = lambda b: b.decode(errors='replace')
        base.execute('PRAGMA trusted_schema = OFF')
        base.execute('PRAGMA writable_schema = ON')        # a file that ends too early is opened, too
        if hasattr(base, 'setlimit'):                      # from Python 3.11 on
            base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2**29)
        return base
