# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A network that loses a fifth of all packets: fusion degrades, and does not stop. See lossy_network.py."""
from __future__ import annotations

import os

import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

import lossy_network


@pytest.mark.skipif(os.environ.get('SELFPOSE_NETWORK') != '1',
                    reason='makes network namespaces and takes 30 s: SELFPOSE_NETWORK=1 runs it, as root')
def test_a_fifth_of_all_packets_is_lost() -> None:
    if why := lossy_network.permitted():
        pytest.skip(why)
    found = lossy_network.trial(.2, 12., 'best_effort')
    assert .1 < found.lost < .3 and found.instants > .7, found.line()
    assert found.level3_s < 8 and found.cover > .9 and found.people == 1 and found.pa < 40, found.line()
