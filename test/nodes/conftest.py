# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Tests of the nodes talk over real DDS, on this host alone."""
from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# some tests see with the networks of another folder
sys.path.append(str(Path(__file__).resolve().parents[1] / 'inference'))
sys.path.append(str(Path(__file__).resolve().parents[1] / 'inference' / 'engines'))
sys.path.append(str(Path(__file__).resolve().parents[1] / 'training'))
# read when the first context is made
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

if TYPE_CHECKING:
    from ros_world import Process, World


@pytest.fixture
def world() -> Iterator[World]:
    """A ROS world of its own for one test."""
    pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
    from ros_world import World
    made = World()
    yield made
    made.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts commands of the product; those that still run at the end of the test are ended."""
    from ros_world import Process
    made: list[Process] = []

    def launch(*words: str) -> Process:
        made.append(Process(*words))
        return made[-1]

    yield launch
    for p in made:
        if p.process.poll() is None:                       # killed outright, it would leave shared memory behind
            p.end(signal.SIGTERM)
        p.output.close()
