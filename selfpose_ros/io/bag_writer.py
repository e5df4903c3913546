# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 recordings written without ROS; `ros2 bag play` plays them with the qualities of service they name."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .bag_file import typestore
from .errors import IoError, UnknownType

if TYPE_CHECKING:
    from typing import Self

__all__ = ['BagWriter', 'STORAGES']

#: storage formats
STORAGES: tuple[str, ...] = ('mcap', 'sqlite3')


class BagWriter:
    """Writes one new bag: topics are made when their first message comes. Used by one thread, closed by `with`."""

    def __init__(self, path: Path, storage: str = 'mcap') -> None:
        """Make the bag's folder.

        Raises:
            IoError: it exists already or cannot be made, or the storage is not known.
        """
        from rosbags.rosbag2 import StoragePlugin, Writer
        if storage not in STORAGES:
            raise IoError(f'storage {storage!r} is not known', f'choose one of: {", ".join(STORAGES)}', place=path)
        if path.exists():
            raise IoError('exists already', 'remove it or choose another place', place=path)
        self.path = path
        self._types: Any = typestore()
        self._connections: dict[str, Any] = {}
        self._writer: Any = Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()])
        with self._checked():
            self._writer.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Write the index and the metadata; may be called twice.

        Raises:
            IoError: the disk does not take it.
        """
        writer, self._writer = self._writer, None
        if writer is not None:
            with self._checked():
                writer.close()

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise IoError(f'cannot be written ({error})', 'choose another place or free the space',
                          place=self.path) from error

    def cdr(self, topic: str, kind: str, data: bytes, stamp_ns: int, *, latched: bool = False) -> None:
        """A message as it comes from a raw subscription: its type, such as 'std_msgs/msg/String', and its bytes.

        Args:
            stamp_ns: time of recording, ns.
            latched: the topic is transient local (`/tf_static`, descriptions).

        Raises:
            IoError: a type that is not known, or the disk does not take it.
        """
        if topic not in self._connections:
            if kind not in self._types.types:
                raise UnknownType(f'message type {kind!r} of {topic} is not known', 'leave the topic out',
                                  place=self.path)
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._types, offered_qos_profiles=[_quality(latched)])
        with self._checked():
            self._writer.write(self._connections[topic], stamp_ns, data)


def _quality(latched: bool) -> Any:
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
    endless = QosTime(9223372036, 854775807)
    return Qos(QosHistory.KEEP_LAST, 1 if latched else 5, QosReliability.RELIABLE,
               QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE, endless, endless,
               QosLiveliness.AUTOMATIC, endless, False)
