# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Tests of the nodes talk over real DDS, on this host alone."""
from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

# read when the first context is made
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

if TYPE_CHECKING:
    from ros_world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A ROS world of its own for one test."""
    pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
    from ros_world import World
    made = World()
    yield made
    made.close()
