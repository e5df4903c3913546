# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A small motion file of our own people, and the reference protocol, where it lies next to the checkout."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selfpose_ros.benchmark.motion import Motion, read_motion
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.synthetic import walker

FPS = 25.
#: (name, style, frames, seed): the second is too short for a clip, the third is cut into two
SEQUENCES = (('a#1', 'mixed', 80, 1), ('b', 'walk', 40, 2), ('c', 'exercise', 330, 3))


@pytest.fixture(scope='session')
def motion_file(tmp_path_factory) -> Path:
    """Three sequences; their clips are the numbers 0, 2 and 3."""
    parts = [walker(n / FPS, FPS, seed, style).astype(np.float32) for _, style, n, seed in SEQUENCES]
    path = tmp_path_factory.mktemp('motion') / 'tiny.npz'
    np.savez(path, pos=np.concatenate(parts), seq_start=np.cumsum([0, *map(len, parts)]),
             seq_name=np.array([s[0] for s in SEQUENCES]), subject=np.array(['x'] * len(parts)),
             fps=np.float32(FPS), joints=np.array(JOINTS))
    return path


@pytest.fixture(scope='session')
def motion(motion_file) -> Motion:
    """The same, read."""
    return read_motion(motion_file)


@pytest.fixture(scope='session')
def reference() -> Path:
    """Folder of the reference protocol and scorer."""
    folder = Path(__file__).resolve().parents[3] / 'shared' / 'bench'
    if not (folder / 'make_archives.py').is_file():
        pytest.skip(f'the reference protocol is not at {folder}')
    return folder
