# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Topics into a bag, as bytes: subscriptions in the executor's thread, the file in a thread of its own."""
from __future__ import annotations

import re
import threading
import time
from collections import deque
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ..io.bag_writer import BagWriter
from ..io.errors import IoError, UnknownType
from .thread_end import stuck

__all__ = ['Recorder']

#: how often topics are looked for, s
_LOOK_S = .5
#: messages of a topic that may wait in the middleware, bytes that may wait for the disk
_DEPTH, _MOST_BYTES = 100, 256 << 20
_RELIABLE, _LATCHED = ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL


class Recorder(Node):
    """Records until `close`.

    Args:
        path: of the new bag.  storage: see `io.bag_writer.STORAGES`.
        topics: regular expression of their names.
        kwargs: to the node.

    Attributes:
        written: messages by topic.
        lost: messages that the disk was too slow for.
        strange: topics of types that are not known here, left out.
        failure: '' or why it cannot go on.

    Raises:
        IoError: there is something already, or it cannot be written there.
    """

    def __init__(self, path: Path, topics: str, storage: str = 'mcap', **kwargs: Any) -> None:
        super().__init__('selfpose_recorder', **kwargs)
        self.written: dict[str, int] = {}
        self.lost, self.failure = 0, ''
        self.strange: set[str] = set()
        self._path, self._storage, self._wanted = path, storage, re.compile(topics)
        self._kinds: dict[str, str] = {}
        self._waiting: deque[tuple[str, bytes, int, bool]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._ending = False
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._write, name='bag', daemon=True)
        self._thread.start()
        self._opened.wait()
        if self.failure:
            raise IoError(self.failure)
        self.create_timer(_LOOK_S, self.look)
        self.look()

    def look(self) -> None:
        """Subscribe to what has come since, with what its publishers offer."""
        for topic, kinds in self.get_topic_names_and_types():
            if topic in self._kinds or topic in self.strange or not self._wanted.search(topic):
                continue
            offers = self.get_publishers_info_by_topic(topic)
            if not offers:
                continue
            try:
                kind = _message(kinds[0])
            except (AttributeError, ImportError, ValueError):
                self.strange.add(topic)
                continue
            latched = all(o.qos_profile.durability == _LATCHED for o in offers)
            reliable = all(o.qos_profile.reliability == _RELIABLE for o in offers)
            self._kinds[topic] = kinds[0]
            self.create_subscription(
                kind, topic, partial(self._take, topic, latched), QoSProfile(
                    depth=_DEPTH, reliability=_RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
                    durability=_LATCHED if latched else DurabilityPolicy.VOLATILE), raw=True)

    def close(self) -> str:
        """Write what waits, and the bag's index; '' or what went wrong."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        return stuck([self._thread]) or self.failure

    def _take(self, topic: str, latched: bool, data: bytes) -> None:
        with self._changed:
            if self._bytes > _MOST_BYTES or self.failure:
                self.lost += 1
                return
            self._waiting.append((topic, data, time.time_ns(), latched))
            self._bytes += len(data)
            self._changed.notify()

    def _write(self) -> None:
        """Open, fill and close: all in this thread, as SQLite wants it."""
        try:
            with BagWriter(self._path, self._storage) as bag:
                self._opened.set()
                while True:
                    with self._changed:
                        while not self._waiting and not self._ending:
                            self._changed.wait()
                        if not self._waiting:
                            return
                        topic, data, at, latched = self._waiting.popleft()
                        self._bytes -= len(data)
                    try:
                        bag.cdr(topic, self._kinds[topic], data, at, latched=latched)
                    except UnknownType:
                        self.strange.add(topic)
                        continue
                    self.written[topic] = self.written.get(topic, 0) + 1
        except IoError as error:
            self.failure = str(error)
        finally:
            self._opened.set()


def _message(kind: str) -> Any:
    """The class of 'std_msgs/msg/String'."""
    package, _, name = kind.split('/')
    return getattr(import_module(f'{package}.msg'), name)
