# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the launch files are made of: their arguments, the nodes, rviz.

Arguments exist only for what differs from robot to robot; everything else is a parameter of the nodes, with its
default there, and is set in a parameter file. Needs `launch` and `launch_ros`, which come with ROS, not from PyPI.

The nodes configure and activate themselves (parameter `autostart`). Launch does not do it by transition events: an
event sent before discovery is through is lost, and the node would stay inactive for ever.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler, Shutdown
from launch.event_handlers import OnProcessExit
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.substitutions import FindPackageShare

__all__ = ['ARGUMENTS', 'LaunchError', 'arguments', 'lifecycle_node', 'rviz']

PACKAGE = 'selfpose_ros'
YES_NO = ('true', 'false')
#: argument -> (default, choices or None, what it is); an empty default leaves the matter to the nodes
ARGUMENTS: dict[str, tuple[str, tuple[str, ...] | None, str]] = {
    'cameras': ('', None, 'names of the cameras, separated by commas: cam1,cam2,cam3; empty: from params_file'),
    'params_file': ('', None, 'YAML file with parameters of the nodes (ros__parameters)'),
    'namespace': ('', None, 'namespace of the nodes'),
    'use_sim_time': ('', ('', *YES_NO), 'take the time from /clock: simulation, or a bag played with --clock'),
    'log_level': ('', ('', 'debug', 'info', 'warn', 'error', 'fatal'), 'log level of the nodes'),
    'rviz': ('false', YES_NO, 'show the skeletons in rviz2'),
}


class LaunchError(RuntimeError):
    """A launch argument that cannot be used, or a node that died."""


def arguments(*names: str) -> list[LaunchDescriptionEntity]:
    """Declarations of these launch arguments, see `ARGUMENTS`."""
    declared: list[LaunchDescriptionEntity] = []
    for name in names:
        default, choices, description = ARGUMENTS[name]
        extra = {'choices': list(choices)} if choices else {}
        declared.append(DeclareLaunchArgument(name, default_value=default, description=description, **extra))
    return declared


def lifecycle_node(executable: str) -> LaunchDescriptionEntity:
    """One of the nodes; when it ends, everything ends, with status 1 if it died."""
    return OpaqueFunction(function=_start, args=[executable])


def rviz() -> LaunchDescriptionEntity:
    """rviz2 with this package's configuration, when the argument `rviz` says so."""
    return OpaqueFunction(function=_start_rviz)


def _parameters(given: dict[str, str]) -> list[Any]:
    """Parameter sources in the order of rising precedence: the file, then the arguments."""
    sources: list[Any] = []
    if given['params_file']:
        path = Path(given['params_file']).expanduser().absolute()
        if not path.is_file():
            raise LaunchError(f'params_file: there is no file {path}; give the path of a YAML parameter file')
        sources.append(str(path))
    own: dict[str, Any] = {'use_sim_time': given['use_sim_time'] == 'true'} if given['use_sim_time'] else {}
    if given['cameras']:
        cameras = [name.strip() for name in given['cameras'].split(',')]
        if not all(cameras):
            raise LaunchError(f'cameras: empty name in {given["cameras"]!r}; write cameras:=cam1,cam2,cam3')
        own['cameras'] = cameras
    return [*sources, own] if own else sources


def _start_rviz(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = context.launch_configurations
    if given['rviz'] != 'true':
        return []
    config = PathJoinSubstitution([FindPackageShare(PACKAGE), 'config', 'selfpose.rviz'])
    return [Node(package='rviz2', executable='rviz2', name='rviz2', namespace=given['namespace'],
                 arguments=['-d', config], parameters=[{'use_sim_time': given['use_sim_time'] == 'true'}])]


def _start(context: LaunchContext, executable: str) -> list[LaunchDescriptionEntity]:
    given = {name: context.launch_configurations.get(name, default).strip()
             for name, (default, _, _) in ARGUMENTS.items()}
    ros_arguments: list[str] = []
    if given['log_level']:
        # for this node's logger alone: the middleware's own debug output would bury it
        logger = '.'.join([*given['namespace'].strip('/').split('/'), executable]).lstrip('.')
        ros_arguments = ['--log-level', f'{logger}:={given["log_level"]}']
    node = LifecycleNode(
        package=PACKAGE, executable=executable, name=executable, namespace=given['namespace'],
        parameters=_parameters(given), ros_arguments=ros_arguments, output='screen', emulate_tty=True)
    end = OnProcessExit(target_action=node, on_exit=[OpaqueFunction(function=_end, args=[executable])])
    return [RegisterEventHandler(end), node]


def _end(context: LaunchContext, label: str) -> list[LaunchDescriptionEntity]:
    """One node ended: end the rest, once. A second shutdown while one is under way is an error of launch_ros."""
    if context.is_shutdown:
        return []
    status = context.locals.event.returncode
    if status:
        raise LaunchError(f'{label} died with status {status}; its own last message says why')
    return [Shutdown(reason=f'{label} has ended')]
