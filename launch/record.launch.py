# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Record what the nodes say: keypoints of all cameras, skeletons, the rig, TF, diagnostics; images on request.

ros2 launch selfpose_ros record.launch.py output:=monday images:=true

A bag of keypoints is small (some 20 kB a second and camera), and `selfpose reconstruct` works from it; a bag of
images can be gone through again with another 2D network.
"""
import shutil

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction

from selfpose_ros.nodes.launching import LaunchError, arguments
from selfpose_ros.nodes.recorded_topics import expression

#: argument -> (default, choices or None, what it is, option of `ros2 bag record`)
OPTIONS: dict[str, tuple[str, list[str] | None, str, str]] = {
    'output': ('', None, 'folder of the bag; empty: the time', '--output'),
    'storage': ('', ['', 'mcap', 'sqlite3'], 'format of the bag; empty: that of this rosbag2', '--storage'),
    'max_bag_duration_s': ('', None, 'begin a new file after so long, s; empty: never', '--max-bag-duration'),
    'max_bag_size_bytes': ('', None, 'begin a new file at this size; empty: never', '--max-bag-size'),
    'qos_file': ('', None, 'YAML file with the QoS of subscriptions by topic; empty: as offered',
                 '--qos-profile-overrides-path'),
    'compression': ('', ['', 'zstd'], 'compress the files; empty: not', '--compression-format'),
}


def _record(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    if shutil.which('ros2') is None:
        raise LaunchError('ros2 bag record cannot be started: the command ros2 is not on PATH; source ROS 2, or record '
                          'with: selfpose record -o FOLDER')
    given = context.launch_configurations
    options = [word for name, (*_, option) in OPTIONS.items() if given[name] for word in (option, given[name])]
    if given['compression']:
        options += ['--compression-mode', 'file']
    clock = ['--use-sim-time'] if given['use_sim_time'] == 'true' else []
    topics = expression(given['images'] == 'true')
    return [ExecuteProcess(cmd=['ros2', 'bag', 'record', *options, *clock, '--regex', topics], output='screen')]


def generate_launch_description() -> LaunchDescription:
    """`ros2 bag record` with the topics that matter."""
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description,
                                **({'choices': choices} if choices else {}))
          for name, (default, choices, description, _) in OPTIONS.items()),
        DeclareLaunchArgument('images', default_value='false', choices=['true', 'false'],
                              description='record image and camera_info topics too'),
        *arguments('use_sim_time'),
        OpaqueFunction(function=_record),
    ])
