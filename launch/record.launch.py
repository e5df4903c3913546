# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Record what the nodes say: keypoints of all cameras, skeletons, the rig, TF, diagnostics; images on request.

ros2 launch selfpose_ros record.launch.py output:=monday images:=true

A bag of keypoints is small (some 20 kB a second and camera), and `selfpose reconstruct` works from it; a bag of
images can be gone through again with another 2D network.
"""
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction

from selfpose_ros.nodes.launching import arguments

#: by name's end, because namespaces and names of cameras differ from robot to robot
PRODUCT = r'.*/keypoints(_info)?|.*/(skeletons|skeleton_model|rig)|/tf|/tf_static|/diagnostics'
IMAGES = r'.*/image(_raw|_color|_rect|_rect_color)?(/compressed)?|.*/camera_info'


def _record(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = context.launch_configurations
    # rosbag2 looks for the expression anywhere in a name: without its ends, /rig takes all of /right
    topics = f'^({PRODUCT}|{IMAGES})$' if given['images'] == 'true' else f'^({PRODUCT})$'
    output = ['--output', given['output']] if given['output'] else []
    clock = ['--use-sim-time'] if given['use_sim_time'] == 'true' else []
    return [ExecuteProcess(cmd=['ros2', 'bag', 'record', *output, *clock, '--regex', topics], output='screen')]


def generate_launch_description() -> LaunchDescription:
    """`ros2 bag record` with the topics that matter."""
    return LaunchDescription([
        DeclareLaunchArgument('output', default_value='', description='folder of the bag; empty: the time'),
        DeclareLaunchArgument('images', default_value='false', choices=['true', 'false'],
                              description='record image and camera_info topics too'),
        *arguments('use_sim_time'),
        OpaqueFunction(function=_record),
    ])
