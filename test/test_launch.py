# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Launch files: what they declare and start, with recording stand-ins for `launch`, and for real where it is.

`launch` and `launch_ros` come with ROS and are not on PyPI. That `launch` can be imported means nothing here: the
folder launch/ of the checkout can be, as an empty package; so `launch_ros` decides.
"""
from __future__ import annotations

import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfpose_ros.nodes.parameters import NODES, settings_from, table

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(f.name for f in (ROOT / 'launch').glob('*.launch.py'))
STARTS = {'selfpose.launch.py': {'pose2d_node', 'fusion_node'}, 'pose2d.launch.py': {'pose2d_node'},
          'fusion.launch.py': {'fusion_node'}, 'record.launch.py': set()}
NEEDS_LAUNCH = pytest.mark.skipif(importlib.util.find_spec('launch_ros') is None,
                                  reason='launch_ros is not here: it comes with ROS, not from PyPI')


class Recorded:
    """Stands for any class of launch: remembers what it was made with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


STAND_INS = {
    'ament_index_python': (),
    'ament_index_python.packages': ('PackageNotFoundError', 'get_package_prefix'),
    'launch': ('LaunchContext', 'LaunchDescription', 'LaunchDescriptionEntity'),
    'launch.actions': ('DeclareLaunchArgument', 'ExecuteProcess', 'OpaqueFunction', 'RegisterEventHandler',
                       'Shutdown'),
    'launch.event_handlers': ('OnProcessExit',),
    'launch.substitutions': ('PathJoinSubstitution',),
    'launch_ros': (),
    'launch_ros.actions': ('LifecycleNode', 'Node'),
    'launch_ros.substitutions': ('FindPackageShare',),
}


@pytest.fixture
def launching(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """`selfpose_ros.nodes.launching` over stand-ins; the launch files import the same one."""
    for name, classes in STAND_INS.items():
        module = types.ModuleType(name)
        for c in classes:
            setattr(module, c, type(c, (Recorded,), {}))
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(shutil, 'which', lambda name: f'/usr/bin/{name}')
    monkeypatch.delitem(sys.modules, 'selfpose_ros.nodes.launching', raising=False)
    module = importlib.import_module('selfpose_ros.nodes.launching')
    # the module over stand-ins must not outlive the test
    monkeypatch.setitem(sys.modules, 'selfpose_ros.nodes.launching', module)
    return module


def launch(file: str, **arguments: str) -> tuple[dict[str, Recorded], list[Recorded]]:
    """Declared arguments by name, and everything that the file starts when it is given these arguments."""
    description = runpy.run_path(str(ROOT / 'launch' / file))['generate_launch_description']()
    declared: dict[str, Recorded] = {}
    started: list[Recorded] = []
    for entity in description.args[0]:
        if type(entity).__name__ == 'DeclareLaunchArgument':
            declared[entity.args[0]] = entity
    configuration = {n: d.kwargs['default_value'] for n, d in declared.items()} | arguments
    assert set(arguments) <= set(declared)
    context = types.SimpleNamespace(launch_configurations=configuration, is_shutdown=False)
    for entity in description.args[0]:
        if type(entity).__name__ == 'OpaqueFunction':
            started += entity.kwargs['function'](context, *entity.kwargs.get('args', []))
    return declared, started


def nodes(started: list[Recorded]) -> dict[str, dict[str, Any]]:
    """Executable -> what its lifecycle node was made with."""
    return {s.kwargs['executable']: s.kwargs for s in started if type(s).__name__ == 'LifecycleNode'}


def test_these_are_the_launch_files():
    assert set(FILES) == set(STARTS)


@pytest.mark.parametrize('file', FILES)
def test_arguments_are_explained_and_repeat_no_default_of_the_nodes(launching: types.ModuleType, file: str):
    declared, started = launch(file)
    assert set(nodes(started)) == STARTS[file]
    for name, argument in declared.items():
        assert argument.kwargs['default_value'] in ('', 'false'), name
        assert len(argument.kwargs['description']) > 10, name
    for node in nodes(started).values():
        assert node['parameters'] == [] and node['package'] == 'selfpose_ros'


@pytest.mark.parametrize('file', [f for f in FILES if STARTS[f]])
def test_arguments_reach_the_nodes_and_beat_the_parameter_file(launching: Any, tmp_path: Path, file: str):
    path = tmp_path / 'robot.yaml'
    path.write_text('/**:\n  ros__parameters:\n    cameras: [other]\n')
    _, started = launch(file, cameras='cam1, left/cam2', params_file=str(path), use_sim_time='true',
                        namespace='robot', log_level='debug')
    for executable, node in nodes(started).items():
        assert node['parameters'] == [str(path), {'use_sim_time': True, 'cameras': ['cam1', 'left/cam2']}]
        assert node['namespace'] == 'robot' and node['name'] == executable
        assert node['ros_arguments'] == ['--log-level', f'robot.{executable}:=debug']
        known = {p.name for p in table(NODES[executable])} | {'use_sim_time'}
        assert set(node['parameters'][1]) <= known


@pytest.mark.parametrize(('arguments', 'says'), [
    ({'params_file': '/no/such.yaml'}, '/no/such.yaml'), ({'cameras': 'cam1,,cam2'}, 'cam1,,cam2')])
def test_a_bad_argument_is_named(launching: types.ModuleType, arguments: dict[str, str], says: str):
    with pytest.raises(launching.LaunchError, match=re.escape(says)):
        launch('selfpose.launch.py', **arguments)


def test_a_node_that_ends_ends_the_launch_and_one_that_dies_makes_it_fail(launching: types.ModuleType):
    def end(returncode: int, is_shutdown: bool = False) -> list[Recorded]:
        event = types.SimpleNamespace(returncode=returncode)
        context = types.SimpleNamespace(is_shutdown=is_shutdown, locals=types.SimpleNamespace(event=event))
        _, started = launch('pose2d.launch.py')
        handler = next(s for s in started if type(s).__name__ == 'RegisterEventHandler').args[0]
        assert handler.kwargs['target_action'] in started
        action = handler.kwargs['on_exit'][0]
        return action.kwargs['function'](context, *action.kwargs['args'])

    assert [type(a).__name__ for a in end(0)] == ['Shutdown']
    assert end(-2, is_shutdown=True) == []
    with pytest.raises(launching.LaunchError, match='pose2d_node died with status 2'):
        end(2)


OWN = {'pose2d_node': ('image_topics', 'model', 'workers', 'autostart'),
       'fusion_node': ('person_height_m', 'rig_file', 'autostart')}


@pytest.mark.parametrize('file', [f for f in FILES if STARTS[f]])
def test_arguments_of_single_parameters_reach_their_node_in_its_types(launching: Any, file: str):
    given = {'image_topics': '/a/image, /b/image', 'model': '123', 'workers': '3', 'person_height_m': '2',
             'rig_file': '~/.ros/rig.yaml', 'autostart': 'false'}
    wanted = {'image_topics': ['/a/image', '/b/image'], 'model': "'123'", 'workers': 3, 'person_height_m': 2.,
              'rig_file': '~/.ros/rig.yaml', 'autostart': False}
    names = {n for node in STARTS[file] for n in OWN[node]}
    declared, started = launch(file, **{n: given[n] for n in names})
    assert set(given) & set(declared) == names
    for executable, node in nodes(started).items():
        own, = node['parameters']
        assert own == {n: wanted[n] for n in OWN[executable]}
        assert {n: type(v) for n, v in own.items()} == {n: type(wanted[n]) for n in own}


@pytest.mark.parametrize('file', [f for f in FILES if STARTS[f]])
def test_the_defaults_that_arguments_tell_are_those_of_the_nodes(launching: Any, file: str):
    """To leave an argument out is the same as to give what its description tells."""
    declared, _ = launch(file)
    for node in STARTS[file]:
        told = {n: declared[n].kwargs['description'].rpartition(' else ')[2] for n in OWN[node]}
        _, started = launch(file, **{n: '' if t == 'empty' else t for n, t in told.items()})
        own = (nodes(started)[node]['parameters'] or [{}])[0]
        assert settings_from(NODES[node], own) == NODES[node]()
        assert {n for n, t in told.items() if t != 'empty'} == set(own) != set()


@pytest.mark.parametrize(('argument', 'says'), [
    ({'workers': 'many'}, "parameter workers: 'many' is not a whole number"),
    ({'person_height_m': '180'}, 'parameter person_height_m: 180 is out of range; give 0 to 2.5 m'),
    ({'image_topics': 'a,,b'}, "image_topics: empty name in 'a,,b'")])
def test_a_value_that_the_node_would_refuse_is_refused_before_it_starts(
        launching: Any, argument: dict[str, str], says: str):
    with pytest.raises(launching.LaunchError, match=re.escape(says)):
        launch('selfpose.launch.py', **argument)


def test_a_node_that_died_is_started_again_on_request_and_not_for_a_users_error(launching: types.ModuleType):
    _, started = launch('pose2d.launch.py')
    assert 'respawn' not in nodes(started)['pose2d_node']
    _, started = launch('pose2d.launch.py', respawn='true')
    assert nodes(started)['pose2d_node']['respawn'] is True and nodes(started)['pose2d_node']['respawn_delay'] > 0
    handler = next(s for s in started if type(s).__name__ == 'RegisterEventHandler').args[0]
    action = handler.kwargs['on_exit'][0]

    def end(returncode: int) -> list[Recorded]:
        event = types.SimpleNamespace(returncode=returncode)
        context = types.SimpleNamespace(is_shutdown=False, locals=types.SimpleNamespace(event=event))
        return action.kwargs['function'](context, *action.kwargs['args'])

    assert end(1) == end(-11) == []
    assert [type(a).__name__ for a in end(0)] == ['Shutdown'], 'its lifecycle ended it'
    with pytest.raises(launching.LaunchError, match='pose2d_node died with status 2'):
        end(2)


@pytest.mark.parametrize('file', ['selfpose.launch.py', 'fusion.launch.py'])
def test_without_rviz2_nothing_is_started_and_one_sentence_says_what_to_install(
        launching: Any, monkeypatch: pytest.MonkeyPatch, file: str):
    def prefix(package: str) -> str:
        raise KeyError(package)

    monkeypatch.setattr(launching, 'get_package_prefix', prefix)
    monkeypatch.setattr(launching, 'PackageNotFoundError', KeyError)
    monkeypatch.setattr(launching, '_start', None)         # no node is started before that
    monkeypatch.setenv('ROS_DISTRO', 'kilted')
    with pytest.raises(launching.LaunchError, match='sudo apt-get install ros-kilted-rviz2, or leave out rviz:=true'):
        launch(file, rviz='true')


def test_rviz_comes_only_when_asked_for(launching: types.ModuleType):
    def viewers(**arguments: str) -> list[dict[str, Any]]:
        return [s.kwargs for s in launch('selfpose.launch.py', **arguments)[1] if type(s).__name__ == 'Node']

    assert viewers() == []
    viewer, = viewers(rviz='true', use_sim_time='true', namespace='robot')
    assert viewer['package'] == 'rviz2' and viewer['parameters'] == [{'use_sim_time': True}]
    # topics in selfpose.rviz are relative: the viewer must be in the namespace of the nodes
    assert viewer['namespace'] == 'robot'
    assert viewer['arguments'][1].args[0][1:] == ['config', 'selfpose.rviz']


def test_recording_takes_what_the_nodes_say_and_images_on_request(launching: types.ModuleType):
    def topics(**arguments: str) -> re.Pattern[str]:
        process, = launch('record.launch.py', **arguments)[1]
        command = process.kwargs['cmd']
        assert command[:3] == ['ros2', 'bag', 'record']
        return re.compile(command[command.index('--regex') + 1])

    own = ['/cam1/keypoints', '/left/cam1/keypoints_info', '/fusion_node/skeletons', '/robot/fusion_node/rig',
           '/fusion_node/skeleton_model', '/diagnostics', '/tf']
    images = ['/cam1/image_raw', '/cam1/image_raw/compressed', '/left/cam2/color/image_rect', '/cam1/camera_info']
    images += ['/right/cam1/image_raw', '/rig/image_raw', '/tf/image_raw', '/keypoints/image', '/rig_2/camera_info',
               '/diagnostics/image_color/compressed', '/robot/rig/cam1/image_rect_color', '/skeletons/cam_1/image_raw']
    others = ['/scan', '/cam1/keypoints_debug', '/rosout', '/cam1/depth/points', '/right/scan', '/rigid_bodies',
              '/robot/rig/state', '/fusion_node/rig_status', '/tf_old', '/robot/tf', '/robot/tf_static',
              '/tf2/buffer', '/diagnostics_agg', '/robot/diagnostics', '/cam1/keypoints/debug',
              '/cam1/keypoints_info/raw', '/cam1/mykeypoints', '/skeletons_raw', '/camera_info_manager',
              '/cam1/camera_info/raw', '/cam1/image_raw2', '/cam1/image_raw/theora',
              '/cam1/image_raw/compressedDepth', '/cam1/my_image_raw', '/cam1/image_mono']
    # rosbag2 searches (std::regex_search), it does not match whole names
    small, large = topics(), topics(images='true', output='monday')
    assert [t for t in own if not (small.search(t) and large.search(t))] == []
    assert [t for t in images if not large.search(t) or small.search(t)] == []
    assert [t for t in others if small.search(t) or large.search(t)] == []


def test_options_of_recording_are_those_of_ros2_bag(launching: types.ModuleType):
    def command(**arguments: str) -> list[str]:
        process, = launch('record.launch.py', **arguments)[1]
        words = process.kwargs['cmd']
        return words[3:words.index('--regex')]

    assert command() == []
    assert command(output='monday', storage='mcap', max_bag_duration_s='600', max_bag_size_bytes='1000000',
                   qos_file='qos.yaml', compression='zstd', use_sim_time='true') == [
        '--output', 'monday', '--storage', 'mcap', '--max-bag-duration', '600', '--max-bag-size', '1000000',
        '--qos-profile-overrides-path', 'qos.yaml', '--compression-format', 'zstd', '--compression-mode', 'file',
        '--use-sim-time']


def test_without_ros2_recording_names_what_does_it(launching: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    with pytest.raises(launching.LaunchError, match='selfpose record -o'):
        launch('record.launch.py')


@pytest.fixture
def robot(tmp_path: Path) -> Path:
    """An installation whose nodes write down their arguments; the one called $ENDS ends with $STATUS."""
    prefix = tmp_path / 'install'
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    library = prefix / 'lib' / 'selfpose_ros'
    index.mkdir(parents=True)
    library.mkdir(parents=True)
    (prefix / 'share' / 'selfpose_ros').mkdir()
    (index / 'selfpose_ros').touch()
    for name in ('pose2d_node', 'fusion_node'):
        (library / name).write_text(textwrap.dedent(f"""\
            #!/bin/sh
            for a in "$@"; do [ -f "$a" ] && cat "$a" >> {tmp_path}/{name}.parameters; done
            echo "$@" > {tmp_path}/{name}.arguments
            trap 'exit 0' INT TERM
            cd {tmp_path}
            # not before the other one has written too
            until [ -s fusion_node.arguments ] && [ -s pose2d_node.arguments ]; do sleep 0.1; done
            [ {name} = "$ENDS" ] && exit "$STATUS"
            while :; do sleep 0.1; done
            """))
        (library / name).chmod(0o755)
    return prefix


@NEEDS_LAUNCH
@pytest.mark.parametrize('status', [0, 2])
def test_launch_runs_both_nodes_and_ends_as_they_do(robot: Path, tmp_path: Path, status: int):
    program = textwrap.dedent(f"""
        import sys
        from launch import LaunchDescription, LaunchService
        from launch.actions import IncludeLaunchDescription
        from launch.launch_description_sources import PythonLaunchDescriptionSource
        source = PythonLaunchDescriptionSource({str(ROOT / 'launch' / 'selfpose.launch.py')!r})
        given = [('cameras', 'cam1,cam2'), ('namespace', 'robot'), ('log_level', 'debug')]
        service = LaunchService(noninteractive=True)
        service.include_launch_description(
            LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given)]))
        sys.exit(service.run())
        """)
    paths = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    environment = os.environ | {
        'AMENT_PREFIX_PATH': os.pathsep.join([str(robot), os.environ.get('AMENT_PREFIX_PATH', '')]),
        'PYTHONPATH': paths, 'ENDS': 'fusion_node', 'STATUS': str(status)}
    done = subprocess.run([sys.executable, '-c', program], cwd=tmp_path, env=environment, check=False,
                          capture_output=True, text=True, timeout=60)
    output = done.stdout + done.stderr
    assert done.returncode == (1 if status else 0), output
    assert ('fusion_node died with status 2' in output) == bool(status)
    for name in ('pose2d_node', 'fusion_node'):
        arguments = (tmp_path / f'{name}.arguments').read_text()
        assert f'__node:={name}' in arguments and '__ns:=/robot' in arguments
        assert f'--log-level robot.{name}:=debug' in arguments
        assert re.search(r'cameras:.*\n\s*- cam1\n\s*- cam2', (tmp_path / f'{name}.parameters').read_text())


@NEEDS_LAUNCH
@pytest.mark.parametrize('there', [True, False])
def test_launch_runs_ros2_bag_where_it_is(tmp_path: Path, there: bool):
    program = textwrap.dedent(f"""
        import sys
        from launch import LaunchDescription, LaunchService
        from launch.actions import IncludeLaunchDescription
        from launch.launch_description_sources import PythonLaunchDescriptionSource
        source = PythonLaunchDescriptionSource({str(ROOT / 'launch' / 'record.launch.py')!r})
        service = LaunchService(noninteractive=True)
        service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
            source, launch_arguments=[('output', 'monday'), ('images', 'true')])]))
        sys.exit(service.run())
        """)
    if there:
        (tmp_path / 'ros2').write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n')
        (tmp_path / 'ros2').chmod(0o755)
    environment = os.environ | {'PATH': str(tmp_path) + (os.pathsep + '/bin' if there else ''),
                                'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])}
    done = subprocess.run([sys.executable, '-c', program], cwd=tmp_path, env=environment, check=False,
                          capture_output=True, text=True, timeout=60)
    assert ('selfpose record -o' in done.stdout + done.stderr) != there and done.returncode == (0 if there else 1)
    if there:
        assert (tmp_path / 'arguments').read_text().startswith('bag record --output monday --regex ')


def test_composed_is_one_process_whose_arguments_reach_each_node_alone(launching: Any, tmp_path: Path):
    path = tmp_path / 'robot.yaml'
    path.write_text('/**:\n  ros__parameters:\n    cameras: [other]\n')
    given = {'cameras': 'cam1, left/cam2', 'model': 'no', 'workers': '3', 'person_height_m': '2', 'autostart': 'false'}
    _, started = launch('selfpose.launch.py', composed='true', params_file=str(path), namespace='robot',
                        log_level='debug', respawn='true', **given)
    assert not nodes(started)
    process, = (s.kwargs for s in started if type(s).__name__ == 'Node')
    assert (process['executable'], process['namespace']) == ('composed_node', 'robot')
    first, second = process['parameters']
    assert first == str(path)
    assert yaml.safe_load(Path(second).read_text()) == {
        '/**/pose2d_node': {'ros__parameters': {'cameras': ['cam1', 'left/cam2'], 'model': 'no', 'workers': 3,
                                                'autostart': False}},
        '/**/fusion_node': {'ros__parameters': {'cameras': ['cam1', 'left/cam2'], 'person_height_m': 2.,
                                                'autostart': False}}}
    Path(second).unlink()
    assert 'name' not in process, 'it would be given to both nodes'
    assert process['respawn'] is True
    words = process['ros_arguments']
    assert {words[i + 1] for i, w in enumerate(words) if w == '--log-level'} == {
        'robot.pose2d_node:=debug', 'robot.fusion_node:=debug'}
