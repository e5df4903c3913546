# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What came on the topics as a rosbag2 folder."""
from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from .errors import DemoError

__all__ = ['write_bag']

#: topics whose last message a late subscriber gets: a player has to offer them the same way
_LATCHED = ('/rig', '/skeleton_model', '_info')


def write_bag(path: Path, messages: Iterable[tuple[str, str, int, bytes]]) -> None:
    """Write (topic, type, receive time ns, CDR bytes) to a new bag folder (mcap); an older one there is replaced.

    Raises:
        DemoError: the folder cannot be written, or is not a bag.
    """
    from rosbags.interfaces import (
        Connection,
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )
    from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
    from rosbags.typesys import Stores, get_typestore
    if path.exists():
        if not (path / 'metadata.yaml').is_file():
            raise DemoError(f'demo: {path} exists and is no bag', 'move it away or choose another -o DIR')
        shutil.rmtree(path)
    store = get_typestore(Stores.ROS2_JAZZY)
    ever = QosTime(2147483647, 4294967295)

    def qos(topic: str) -> Qos:
        latched = topic.endswith(_LATCHED)
        return Qos(QosHistory.KEEP_LAST, 1 if latched else 10, QosReliability.RELIABLE,
                   QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE, ever, ever,
                   QosLiveliness.AUTOMATIC, ever, False)

    try:
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections: dict[str, Connection] = {}
            for topic, kind, stamp_ns, data in messages:
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=store,
                                                               offered_qos_profiles=[qos(topic)])
                writer.write(connections[topic], stamp_ns, data)
    except (OSError, WriterError) as error:
        raise DemoError(f'demo: cannot write the bag {path} ({error})', 'choose another -o DIR') from error
