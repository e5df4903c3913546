# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""On each host with cameras: the topics of its own cameras in, their keypoints out. See also fusion.launch.py.

ros2 launch selfpose_ros pose2d.launch.py cameras:=cam1,cam2 namespace:=left_pc
"""
from launch import LaunchDescription

from selfpose_ros.nodes.launching import arguments, lifecycle_node


def generate_launch_description() -> LaunchDescription:
    """The 2D node, brought up."""
    return LaunchDescription([
        *arguments('cameras', 'params_file', 'namespace', 'use_sim_time', 'log_level'),
        lifecycle_node('pose2d_node'),
    ])
