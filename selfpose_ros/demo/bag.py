# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What came on the topics as a rosbag2 folder."""
from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from ..io.bag_writer import BagWriter
from ..io.errors import IoError
from .errors import DemoError

__all__ = ['write_bag']

#: topics whose last message a late subscriber gets: a player has to offer them the same way
_LATCHED = ('/rig', '/skeleton_model', '_info')


def write_bag(path: Path, messages: Iterable[tuple[str, str, int, bytes]]) -> None:
    """Write (topic, type, receive time ns, CDR bytes) to a new bag folder (mcap); an older one there is replaced.

    Raises:
        DemoError: the folder cannot be written, or is not a bag.
    """
    if path.exists():
        if not (path / 'metadata.yaml').is_file():
            raise DemoError(f'demo: {path} exists and is no bag', 'move it away or choose another -o DIR')
        shutil.rmtree(path)
    try:
        with BagWriter(path) as bag:
            for topic, kind, stamp_ns, data in messages:
                bag.cdr(topic, kind, data, stamp_ns, latched=topic.endswith(_LATCHED))
    except IoError as error:
        raise DemoError.of(error) from error
