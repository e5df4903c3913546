# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""On one host: the keypoints of all cameras in, skeletons out. See also pose2d.launch.py.

ros2 launch selfpose_ros fusion.launch.py cameras:=left/cam1,left/cam2,right/cam1,right/cam2 rviz:=true
"""
from launch import LaunchDescription

from selfpose_ros.nodes.launching import arguments, lifecycle_node, rviz


def generate_launch_description() -> LaunchDescription:
    """The fusion node."""
    return LaunchDescription([
        *arguments('cameras', 'person_height_m', 'rig_file', 'params_file', 'namespace', 'use_sim_time', 'autostart',
                   'respawn', 'log_level', 'rviz'),
        rviz(),
        lifecycle_node('fusion_node'),
    ])
