# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the launch files are made of: their arguments, the nodes, rviz.

Arguments exist only for what differs from robot to robot; everything else is a parameter of the nodes, with its
default there, and is set in a parameter file. An argument that is not given leaves a parameter as it is in that file,
or else to the node's own default. Needs `launch` and `launch_ros`, which come with ROS, not from PyPI.

The nodes configure and activate themselves (parameter `autostart`). Launch does not do it by transition events: an
event sent before discovery is through is lost, and the node would stay inactive for ever.
"""
from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler, Shutdown
from launch.event_handlers import OnProcessExit
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.substitutions import FindPackageShare

from .errors import ParameterError
from .parameters import NODES, Parameter, checked, table

__all__ = ['ARGUMENTS', 'LaunchError', 'arguments', 'both_nodes', 'lifecycle_node', 'rviz']

PACKAGE = 'selfpose_ros'
YES_NO = ('true', 'false')
#: node -> its parameters by name
_TABLES = {node: {p.name: p for p in table(settings)} for node, settings in NODES.items()}
#: parameters that are arguments, too
_PARAMETERS = ('image_topics', 'model', 'workers', 'person_height_m', 'rig_file', 'autostart')
#: a node that died is started again after so long, s
_RESPAWN_S = 2.
#: the executable with both nodes in it
_COMPOSED = 'composed_node'
#: a node's exit status when its parameters cannot be used: a second start would not help
_USER_ERROR = 2


def _described(name: str) -> str:
    parameter = next(t[name] for t in _TABLES.values() if name in t)
    return f'{parameter.sentence} Not given: as in params_file, else {_default_text(parameter)}'


def _default_text(parameter: Parameter) -> str:
    """The default of a parameter as a launch file is given it; 'empty' for none."""
    default = parameter.default
    if isinstance(default, bool):
        return str(default).lower()
    return ','.join(default) or 'empty' if isinstance(default, tuple) else str(default) or 'empty'


#: argument -> (default, choices or None, what it is); an empty default leaves the matter to the nodes
ARGUMENTS: dict[str, tuple[str, tuple[str, ...] | None, str]] = {
    'cameras': ('', None, 'names of the cameras, separated by commas: cam1,cam2,cam3; empty: from params_file'),
    'params_file': ('', None, 'YAML file with parameters of the nodes (ros__parameters)'),
    'namespace': ('', None, 'namespace of the nodes'),
    'use_sim_time': ('', ('', *YES_NO), 'take the time from /clock: simulation, or a bag played with --clock'),
    'log_level': ('', ('', 'debug', 'info', 'warn', 'error', 'fatal'), 'log level of the nodes'),
    'rviz': ('false', YES_NO, 'show the skeletons in rviz2'),
    'composed': ('false', YES_NO, 'both nodes in one process: views need no message, and one that dies takes the other '
                 'along'),
    'respawn': ('false', YES_NO, 'start a node again that has died; else its death ends everything'),
    **{name: ('', ('', *YES_NO) if name == 'autostart' else None, _described(name)) for name in _PARAMETERS},
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
    """One of the nodes; when it ends, everything ends, with status 1 if it died and is not to be started again."""
    return OpaqueFunction(function=_start, args=[executable])


def both_nodes() -> LaunchDescriptionEntity:
    """Both nodes, each as `lifecycle_node`; or, when the argument `composed` says so, in one process."""
    return OpaqueFunction(function=_start_both)


def rviz() -> LaunchDescriptionEntity:
    """rviz2 with this package's configuration, when the argument `rviz` says so. It stands before the nodes: where it
    is not installed, nothing is started.
    """
    return OpaqueFunction(function=_start_rviz)


def _value(parameter: Parameter, text: str) -> Any:
    """What the node is given for an argument.

    Raises:
        LaunchError: it cannot be used.
    """
    name, kind = parameter.name, parameter.kind
    try:
        if kind == 'string[]':
            value = [v.strip() for v in text.split(',')]
            if not all(value):
                raise LaunchError(f'{name}: empty name in {text!r}; write {name}:=first,second,third')
            return value
        return checked(parameter, text if kind == 'string' else yaml.safe_load(text))
    except (ParameterError, yaml.YAMLError) as error:
        raise LaunchError(' '.join(str(error).split())) from error


def _quoted_all(value: Any) -> Any:
    if isinstance(value, list):
        return [_quoted(v) for v in value]
    return _quoted(value) if isinstance(value, str) else value


def _quoted(text: str) -> str:
    """As it must be for launch_ros, which reads strings as YAML: 123 and no would become something else."""
    try:
        plain = yaml.safe_load(text) == text
    except yaml.YAMLError:
        plain = False
    return text if plain else "'{}'".format(text.replace("'", "''"))


def _parameters(given: dict[str, str], executable: str) -> list[Any]:
    """Parameter sources in the order of rising precedence: the file, then the arguments."""
    own = {name: _quoted_all(value) for name, value in _own(given, executable).items()}
    return [*_file(given), own] if own else _file(given)


def _file(given: dict[str, str]) -> list[str]:
    if not given['params_file']:
        return []
    path = Path(given['params_file']).expanduser().absolute()
    if not path.is_file():
        raise LaunchError(f'params_file: there is no file {path}; give the path of a YAML parameter file')
    return [str(path)]


def _own(given: dict[str, str], executable: str) -> dict[str, Any]:
    """Parameters of one node that arguments give."""
    own: dict[str, Any] = {'use_sim_time': given['use_sim_time'] == 'true'} if given['use_sim_time'] else {}
    return own | {name: _value(parameter, given[name]) for name, parameter in _TABLES[executable].items()
                  if given.get(name)}


def _start_rviz(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = context.launch_configurations
    if given['rviz'] != 'true':
        return []
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError as error:
        distribution = os.environ.get('ROS_DISTRO', 'jazzy')
        raise LaunchError(f'rviz: rviz2 is not installed; sudo apt-get install ros-{distribution}-rviz2, or leave out '
                          'rviz:=true') from error
    config = PathJoinSubstitution([FindPackageShare(PACKAGE), 'config', 'selfpose.rviz'])
    return [Node(package='rviz2', executable='rviz2', name='rviz2', namespace=given['namespace'],
                 arguments=['-d', config], parameters=[{'use_sim_time': given['use_sim_time'] == 'true'}])]


def _given(context: LaunchContext) -> dict[str, str]:
    return {name: context.launch_configurations.get(name, default).strip()
            for name, (default, _, _) in ARGUMENTS.items()}


def _log_level(given: dict[str, str], executable: str) -> list[str]:
    if not given['log_level']:
        return []
    # for this node's logger alone: the middleware's own debug output would bury it
    logger = '.'.join([*given['namespace'].strip('/').split('/'), executable]).lstrip('.')
    return ['--log-level', f'{logger}:={given["log_level"]}']


def _again(given: dict[str, str]) -> dict[str, Any]:
    return {'respawn': True, 'respawn_delay': _RESPAWN_S} if given['respawn'] == 'true' else {}


def _start(context: LaunchContext, executable: str) -> list[LaunchDescriptionEntity]:
    given = _given(context)
    return _with_end(LifecycleNode(
        package=PACKAGE, executable=executable, name=executable, namespace=given['namespace'],
        parameters=_parameters(given, executable), ros_arguments=_log_level(given, executable), output='screen',
        emulate_tty=True, **_again(given)), executable, given)


def _start_both(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = _given(context)
    if given['composed'] != 'true':
        return [entity for executable in NODES for entity in _start(context, executable)]
    return _with_end(Node(
        package=PACKAGE, executable=_COMPOSED, namespace=given['namespace'],
        parameters=[*_file(given), *_file_of_both(given)],
        ros_arguments=[word for executable in NODES for word in _log_level(given, executable)],
        output='screen', emulate_tty=True, **_again(given)), _COMPOSED, given)


def _file_of_both(given: dict[str, str]) -> list[str]:
    """Parameters that arguments give, in a file: a dictionary would go to both nodes, and `-p node:name:=value` reaches
    no node in a namespace.
    """
    own = {f'/**/{executable}': {'ros__parameters': _own(given, executable)} for executable in NODES
           if _own(given, executable)}
    if not own:
        return []
    with tempfile.NamedTemporaryFile('w', prefix='selfpose_', suffix='.yaml', delete=False) as file:
        yaml.safe_dump(own, file, default_flow_style=None)
    return [file.name]


def _with_end(node: LaunchDescriptionEntity, executable: str, given: dict[str, str]) -> list[LaunchDescriptionEntity]:
    end = OnProcessExit(target_action=node,
                        on_exit=[OpaqueFunction(function=_end, args=[executable, bool(_again(given))])])
    return [RegisterEventHandler(end), node]


def _end(context: LaunchContext, label: str, respawn: bool) -> list[LaunchDescriptionEntity]:
    """One node ended: end the rest, once. A second shutdown while one is under way is an error of launch_ros."""
    status = context.locals.event.returncode
    if context.is_shutdown or (respawn and status not in (0, _USER_ERROR)):
        return []
    if status:
        raise LaunchError(f'{label} died with status {status}; its own last message says why')
    return [Shutdown(reason=f'{label} has ended')]
