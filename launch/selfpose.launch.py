# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Everything on one host: camera topics in, skeletons out.

ros2 launch selfpose_ros selfpose.launch.py cameras:=cam1,cam2,cam3,cam4 rviz:=true
"""
from launch import LaunchDescription

from selfpose_ros.nodes.launching import arguments, both_nodes, rviz


def generate_launch_description() -> LaunchDescription:
    """Both nodes."""
    return LaunchDescription([
        *arguments('cameras', 'image_topics', 'person_height_m', 'rig_file', 'model', 'workers', 'params_file',
                   'namespace', 'use_sim_time', 'autostart', 'composed', 'respawn', 'log_level', 'rviz'),
        rviz(),
        both_nodes(),
    ])
