# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile with which raw images get through: where it is, and how a process takes it."""
from __future__ import annotations

import os
import site
import sys
from pathlib import Path

__all__ = ['profile_file', 'use_profile']

_PROFILE = 'fastdds_large_images.xml'


def profile_file() -> Path | None:
    """The Fast DDS profile for large images, of the checkout or the installation; None = not found."""
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix, site.getuserbase() or '']
    places = [Path(__file__).resolve().parents[2] / 'config',
              *(Path(p) / 'share' / 'selfpose_ros' / 'config' for p in prefixes if p)]
    return next((p / _PROFILE for p in places if (p / _PROFILE).is_file()), None)


def use_profile() -> bool:
    """Make Fast DDS use that profile in this process, unless the user has chosen one; call it before ROS starts.

    A raw image does not fit into the default shared memory segment and would go through UDP in fragments.
    """
    names = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    path = profile_file()
    if path is None or any(os.environ.get(n) for n in names):
        return False
    for name in names:
        os.environ[name] = str(path)
    return True
