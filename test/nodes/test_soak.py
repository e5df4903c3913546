# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Half a minute of the soak; what depends on how busy the machine is, is left to the long run: see soak.py."""
from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from soak import soak


def test_half_a_minute_of_faults() -> None:
    """Thirty seconds: every kind of fault once, 2 s apart, and time for each to do its harm."""
    log: list[str] = []
    report = soak(25., seed=3, every_s=2., log=log.append)
    said = '\n'.join([*report.lines(), *log])
    assert not report.exceptions and not report.ended and not report.hung, said
    assert report.faults >= 5 and report.messages > 20, said


def test_images_among_faults() -> None:
    """Eight seconds of what befalls cameras, and time for each to do its harm."""
    log: list[str] = []
    report = soak(8., seed=2, every_s=1., log=log.append, node='pose2d_node', reload_s=3.)
    said = '\n'.join([*report.lines(), *log])
    assert not report.exceptions and not report.ended and not report.hung, said
    assert report.faults >= 3 and report.messages > 20, said
    assert report.reloads >= 2 and not report.refused, said
