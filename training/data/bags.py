# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 recordings of keypoints (or of images, with a 2D network) as recordings to learn from."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfpose_ros.io.bag import read_bag
from selfpose_ros.io.detect import Network, NetworkMaker
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.recording import Progress

from ..errors import TrainingError
from .archives import recorded
from .recordings import Recorded

__all__ = ['read_training_bag']


def read_training_bag(path: Path, make: NetworkMaker | None = None, *, topics: Sequence[str] = (), subject: str = '',
                      progress: Progress | None = None) -> Recorded:
    """One bag: a folder, or a single .db3 or .mcap file.

    Args:
        path: the bag.
        make: makes the 2D network for image topics; None = only keypoint topics can be used.
        topics: those to read; empty = all that fit.
        subject: who it is; '' = somebody of their own.
        progress: see `selfpose_ros.io.recording.Progress`.

    Raises:
        TrainingError: no bag, nothing in it to learn from, or images without a network.
    """
    def none() -> Network:
        raise TrainingError('holds images, no keypoints, and no 2D network was given',
                            f'run selfpose reconstruct {path}, or record the keypoints topics', place=path)

    try:
        recording = read_bag(path, make or none, topics=topics, progress=progress)
    except IoError as error:
        raise TrainingError.of(error) from error
    return recorded(recording, str(path), subject)
