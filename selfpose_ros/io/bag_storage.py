# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a storage file of rosbag2 is to those who read it, of whatever kind it is."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

__all__ = ['Channel', 'Storage']


@dataclass(frozen=True)
class Channel:
    """One topic of one file.

    Attributes:
        kind: message type.  encoding: of its bytes, 'cdr' as a rule.  count: messages.
    """

    topic: str
    kind: str
    encoding: str
    count: int


class Storage(Protocol):
    """One file. Every pass over its messages opens it anew, so that threads do not meet.

    Attributes:
        channels: what is in it.
        notes: sentences on what is odd about the file.
    """

    channels: tuple[Channel, ...]
    notes: tuple[str, ...]

    def messages(self, topics: Collection[str], broken: Callable[[str], None]) -> Iterator[tuple[Channel, int, bytes]]:
        """(channel, time of recording ns, bytes) in order of time; `broken` is told of what cannot be read."""
        ...
