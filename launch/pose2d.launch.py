# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""On each host with cameras: the topics of its own cameras in, their keypoints out. See also fusion.launch.py.

ros2 launch selfpose_ros pose2d.launch.py cameras:=cam1,cam2 namespace:=left

With several such hosts give each a namespace of its own, since no two nodes may have the same full name; the
cameras above are then left/cam1 and left/cam2, with images on /left/cam1/image_raw.
"""
from launch import LaunchDescription

from selfpose_ros.nodes.launching import arguments, lifecycle_node


def generate_launch_description() -> LaunchDescription:
    """The 2D node."""
    return LaunchDescription([
        *arguments('cameras', 'image_topics', 'model', 'workers', 'params_file', 'namespace', 'use_sim_time',
                   'autostart', 'respawn', 'log_level'),
        lifecycle_node('pose2d_node'),
    ])
