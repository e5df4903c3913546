# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""README and docs against the code: a command that is not there, a table that fell behind, a link into nothing."""
from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import re
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from selfpose_ros import cli
from selfpose_ros.core.observation import LEVEL_NAMES, Skeleton3D, View2D
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.skeleton import JOINT_SETS, JOINTS
from selfpose_ros.io.archive import read_keypoints, write_keypoints
from selfpose_ros.io.ros_messages.keypoints import KEYPOINT_FIELDS
from selfpose_ros.io.skeletons import write_skeletons
from selfpose_ros.nodes.parameters import NODES, markdown_table, settings_from, unknown_names

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
MOST_BYTES, MOST_PICTURE_BYTES = 15_000, 400_000
PATIENCE_S = 20.


def _page(name: str) -> str:
    return (ROOT / name).read_text(encoding='utf-8')


def _between(mark: str) -> str:
    """What stands between <!-- mark --> and the next closing mark, on the one page that has it."""
    found = [part for page in PAGES for part in
             re.findall(rf'<!-- {re.escape(mark)} -->\n(.*?)\n<!-- /', page.read_text(encoding='utf-8'), re.S)]
    assert len(found) == 1, f'{len(found)} pages have a part <!-- {mark} -->'
    return str(found[0])


def _rows(text: str) -> list[list[str]]:
    """Cells of a markdown table without its head; code marks are taken off cells that are code alone."""
    lines = [line for line in text.splitlines() if line.startswith('|')][2:]
    return [[re.sub(r'^`([^`]*)`$', r'\1', c.strip()) for c in line.strip('|').split('|')] for line in lines]


def _section(page: str, title: str) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(rf'^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)', _page(page), re.S | re.M)
    assert found, f'{page} has no section {title!r}'
    return found[1]


def _blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(rf'^```{language}\n(.*?)^```', page.read_text(encoding='utf-8'), re.S | re.M):
            yield page.name, block


def _command_lines() -> list[str]:
    """Lines of the shell blocks, without comments."""
    return [line.split('  #')[0].strip() for _, block in _blocks('bash')
            for line in block.replace('\\\n', ' ').splitlines() if line.strip()]


# -- commands, make, launch

def test_the_table_of_commands_is_that_of_the_program() -> None:
    rows = _rows(_page('README.md').split('Your own videos')[0])
    assert [r[0] for r in rows] == [f'selfpose {name}' for name in cli.COMMANDS]


def _parsed(line: str) -> argparse.Namespace:
    name, *arguments = shlex.split(line)[1:]
    module = importlib.import_module(f'selfpose_ros.commands.{cli.COMMANDS[name][0]}')
    parser = argparse.ArgumentParser(prog=name, exit_on_error=False)
    module.add_arguments(parser)
    return parser.parse_args(arguments)


def test_every_command_line_is_understood() -> None:
    lines = [part for line in _command_lines() for part in line.split(' && ') if part.startswith('selfpose ')]
    assert len(lines) >= 6
    for line in lines:
        _parsed(line)


def test_an_option_that_is_not_there_would_be_noticed() -> None:
    with pytest.raises((SystemExit, argparse.ArgumentError)):
        _parsed('selfpose play a.mp4 --speed 2')


def _options(parser: argparse.ArgumentParser) -> set[str]:
    """Those of its sub-commands, too."""
    inner = [p for a in parser._actions if isinstance(a.choices, dict) for p in a.choices.values()]
    return {o for a in parser._actions for o in a.option_strings}.union(*map(_options, inner))


def test_options_in_the_text_exist() -> None:
    known = {'--break-system-packages', '--system-site-packages', '--force-reinstall', '--no-deps',   # of pip, venv
             '--once', '--full-length', '--write_json',
             '--keypoint_scale', '--instants',             # of selfpose_training.evaluation.correction
             '--world', '--test', '--recordings', '--truth',    # of selfpose_training.evaluation.shifted
             '--offset',                                   # of selfpose_training.evaluation.convention
             '--leave',                                    # of selfpose_training.evaluation.kinds
             '--node', '--minutes', '--reload',            # of test/nodes/soak.py
             '--loss', '--reliability'}                    # of test/nodes/lossy_network.py
    for name in cli.COMMANDS:
        parser = argparse.ArgumentParser()
        importlib.import_module(f'selfpose_ros.commands.{cli.COMMANDS[name][0]}').add_arguments(parser)
        known |= _options(parser)
    for page in PAGES:
        text = re.sub(r'^```.*?^```', '', page.read_text(encoding='utf-8'), flags=re.S | re.M)
        told = {o for code in re.findall(r'`[^`]*`', text) for o in re.findall(r'(?<![\w-])--[a-z][\w-]*', code)}
        assert told <= known, page.name


def test_make_has_the_targets() -> None:
    makefile = _page('Makefile')
    targets = [line.split()[1] for line in _command_lines() if line.startswith('make ')]
    assert {'demo', 'test', 'lint'} <= set(targets)
    for target in targets:
        assert re.search(rf'^{target}:', makefile, re.M), target


def test_launch_files_have_the_arguments() -> None:
    lines = [line for line in _command_lines() if line.startswith('ros2 launch selfpose_ros')]
    lines += [line for p in PAGES for line in re.findall(r'`(ros2 launch selfpose_ros[^`]*)`', p.read_text('utf-8'))]
    assert len(lines) >= 6
    for file, *arguments in (line.split()[3:] for line in lines):
        source = _page(f'launch/{file}')
        for argument in arguments:
            name = argument.split(':=')[0]
            assert name == '-s' or f"'{name}'" in source, f'{file}: {argument}'


# -- tables

@pytest.mark.parametrize('node', NODES)
def test_parameter_tables_are_those_of_the_code(node: str) -> None:
    assert _between(f'parameters {node}') == markdown_table(node), \
        f'put the output of markdown_table({node!r}) of nodes/parameters.py there'


def test_parameter_files_in_the_text_are_good() -> None:
    files = [yaml.safe_load(block) for _, block in _blocks('yaml')]
    assert files
    for file in files:
        for node, content in file.items():
            given = content['ros__parameters']
            kind = NODES[node.rpartition('/')[2]]
            assert unknown_names(kind, given) == []
            settings_from(kind, given)                              # type: ignore[type-var]


def test_levels_have_their_names() -> None:
    rows = _rows(_section('README.md', 'How it works'))
    assert {int(r[0]): r[1] for r in rows} == {k: v for k, v in LEVEL_NAMES.items() if k}


def test_diagnostics_say_so() -> None:
    said: list[str] = []
    for file in (f for room in ('core', 'io', 'nodes') for f in (ROOT / 'selfpose_ros' / room).rglob('*.py')):
        said += [n.value for n in ast.walk(ast.parse(file.read_text(encoding='utf-8')))
                 if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    rows = _rows(_between('diagnostics'))
    assert len(rows) > 15
    for row in rows:
        for piece in row[0].split('…'):
            assert not piece.strip() or any(piece.strip() in s for s in said), row[0]


def test_published_joints_fields_and_rig_keys() -> None:
    messages = pytest.importorskip('selfpose_ros.nodes.messages', reason='ROS 2 (rclpy) is not installed')
    skeletons = _section('docs/interfaces.md', '`~/skeletons`')
    fields = [f for row in _rows(skeletons) for f in row[0].replace('`', '').split()]
    assert fields == list(messages.SKELETON_FIELDS)
    assert ', '.join(f'`{j}`' for j in JOINTS) in skeletons
    keypoints = _section('docs/interfaces.md', 'Keypoints')
    assert all(f'`{f}`' in keypoints for f in KEYPOINT_FIELDS)
    keys = [k.replace('`', '').strip() for row in _rows(_section('docs/interfaces.md', '`~/rig`'))
            for k in row[0].split(',')]
    assert sorted(k.strip('`') for k in keys) == sorted(Rig.__dataclass_fields__)


def _skeleton(stamp: float) -> Skeleton3D:
    joints = np.tile(np.arange(17.)[:, None], 3)
    return Skeleton3D(1, stamp, joints, np.full(17, .02), np.full(17, .9), np.full(17, 2), 3, np.zeros((17, 3)))


def _rig() -> Rig:
    K = np.array([[600., 0, 160], [0, 600, 120], [0, 0, 1]])
    R, t = np.stack([np.eye(3)] * 2), np.array([[0, 0, 4.], [1, 0, 4.]])
    return Rig(('a', 'b'), np.stack([K, K]), np.zeros((2, 5)), np.tile([320, 240], (2, 1)), R, t, .8)


def _keys(page: str, title: str) -> set[str]:
    return {row[0] for row in _rows(_section(page, title))}


def test_files_hold_what_is_told(tmp_path: Path) -> None:
    result = Skeletons.of([0., .1], [[_skeleton(0.)], [_skeleton(.1)]], ('a', 'b'), _rig())
    write_skeletons(tmp_path / 'out.npz', result)
    with np.load(tmp_path / 'out.npz') as z:
        assert _keys('docs/formats.md', 'npz') == set(z.files)
    told = _keys('docs/formats.md', 'Keypoint archive')
    (example,) = [b for _, b in _blocks('python') if 'savez' in b]
    here: dict[str, Any] = {}
    exec(example.replace('session.npz', str(tmp_path / 'in.npz')), here)
    with np.load(tmp_path / 'in.npz') as z:
        assert set(z.files) <= told
    recording = read_keypoints(tmp_path / 'in.npz')
    assert len(recording.cameras) == here['V'] and len(recording.views) == here['T'] * here['V']
    write_keypoints(tmp_path / 'again.npz', recording)
    with np.load(tmp_path / 'again.npz') as z:
        assert set(z.files) <= told
    assert set(re.findall(r'`(\w+\d\w*)`', _section('docs/formats.md', 'Joint sets'))) >= set(JOINT_SETS)


def test_the_example_program_reads_the_topic() -> None:
    messages = pytest.importorskip('selfpose_ros.nodes.messages', reason='ROS 2 (rclpy) is not installed')
    (example,) = [b for _, b in _blocks('python') if 'rclpy' in b]
    names: dict[str, Any] = {'__name__': 'example'}
    exec(example, names)
    said: list[str] = []

    class Logger:
        def info(self, text: str) -> None:
            said.append(text)

    watcher = object.__new__(names['WristWatcher'])
    watcher.get_logger = Logger                                     # type: ignore[attr-defined]
    watcher.on_skeletons(messages.skeletons_from([_skeleton(5.)], 5., 'selfpose_world'))
    watcher.on_skeletons(messages.skeletons_from([], 5., 'selfpose_world'))
    assert said == ['person 1: wrist at 16.00 16.00 16.00 m, plus or minus 0.02']


# -- the graph

class _Estimator:
    """Has a rig and sees one person."""

    def __init__(self, *_: Any) -> None:
        from selfpose_ros.core.estimator import EstimatorStatus
        self.rig, self.status = _rig(), EstimatorStatus(3, 'level 3', True)

    def update(self, observation: Any) -> list[Skeleton3D]:
        return [_skeleton(observation.stamp)]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Network:
    name, device, joint_names = 'none', 'CPU', JOINTS

    def infer(self, image_bgr: Any) -> Any:
        from selfpose_ros.inference.pose2d import no_people
        return no_people(17)

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def _told() -> set[tuple[str, str, str, str, str]]:
    """(node, reads or writes, topic, type, QoS) of the table."""
    out = set()
    for who, topic, kind, qos, _ in _rows(_between('topics')):
        node, verb = re.fullmatch(r'`(\w+)` (reads|writes)', who).groups()      # type: ignore[union-attr]
        topic = topic.replace('~', f'/{node}').replace('<camera>', 'a').replace('<id>', '1')
        out.add((node, verb, topic if topic.startswith('/') else f'/{topic}', kind, qos))
    return out


def _qos(profile: Any) -> str:
    if profile.durability.name == 'TRANSIENT_LOCAL':
        return 'latched'
    return 'reliable' if profile.reliability.name == 'RELIABLE' else 'best effort'


def _found(tester: Any) -> set[tuple[str, str, str, str, str]]:
    """The same, of the running nodes; what every node has is left out."""
    common = {'/rosout', '/parameter_events', '/clock', *(f'/{n}/transition_event' for n in NODES)}
    out = set()
    for topic, kinds in tester.get_topic_names_and_types():
        for verb, infos in (('writes', tester.get_publishers_info_by_topic(topic)),
                            ('reads', tester.get_subscriptions_info_by_topic(topic))):
            out |= {(i.node_name, verb, topic, kinds[0], _qos(i.qos_profile)) for i in infos
                    if i.node_name in NODES and topic not in common}
    return out


@pytest.fixture
def graph() -> Iterator[tuple[Any, Any]]:
    """(a node of the test, call to let everything run for a moment); pose2d_node, fusion_node and two cameras."""
    rclpy = pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    from sensor_msgs.msg import CompressedImage, Image

    from selfpose_ros.nodes.fusion_node import FusionNode
    from selfpose_ros.nodes.pose2d_node import Pose2DNode
    context = Context()
    rclpy.init(context=context, args=[])
    executor = SingleThreadedExecutor(context=context)
    tester = Node('tester', context=context)
    # pictures of camera a are looked at
    tester.create_subscription(Image, '/pose2d_node/overlay/a', lambda _: None, 1)
    # a camera is subscribed to in one way at a time, so there is one for each
    tester.create_publisher(Image, 'a/image_raw', 5)
    tester.create_publisher(CompressedImage, 'b/image_raw/compressed', 5)
    cameras = [Parameter('cameras', Parameter.Type.STRING_ARRAY, ['a', 'b'])]
    fusion = FusionNode(context=context, parameter_overrides=cameras, make_estimator=_Estimator, local_cameras=())
    pose2d = Pose2DNode(context=context, parameter_overrides=cameras, make_network=lambda *_: _Network())
    nodes = [tester, fusion, pose2d]
    try:
        for node in nodes:
            executor.add_node(node)
        for node in (pose2d, fusion):
            node.bring_up()

        def turn() -> None:
            for _ in range(20):
                executor.spin_once(timeout_sec=.01)
            now = time.time()
            for camera in ('a', 'b'):
                fusion.take(View2D(camera, now, np.full((1, 17, 2), 50.), np.ones((1, 17)), (320, 240)))
        yield tester, turn
    finally:
        context.try_shutdown()
        for node in reversed(nodes):
            node.destroy_node()
        executor.shutdown()


def test_topics_and_services_are_those_of_the_running_nodes(graph: tuple[Any, Any]) -> None:
    tester, turn = graph
    told = _told()
    if importlib.util.find_spec('tf2_msgs') is None:
        told = {t for t in told if t[2] not in ('/tf', '/tf_static')}
    if importlib.util.find_spec('hri_msgs') is None:
        told = {t for t in told if not t[3].startswith('hri_msgs')}
    # what a camera offers is what is asked for; these publishers offer reliable
    told = {(*t[:4], 'reliable' if t[4] == 'as offered' else t[4]) for t in told}
    # camera b stands for the compressed topic of any camera, and else repeats a
    told = {(n, v, t.replace('/a/', '/b/') if t == '/a/image_raw/compressed' else t, k, q) for n, v, t, k, q in told}

    def found() -> set[tuple[str, str, str, str, str]]:
        return {t for t in _found(tester) if t[2] == '/b/image_raw/compressed' or not re.search(r'/b(/|$)', t[2])}

    end = time.monotonic() + 2 * PATIENCE_S
    while found() != told and time.monotonic() < end:
        turn()
    assert sorted(found() - told) == [], 'the code has topics that the table does not have, or has otherwise'
    assert sorted(told - found()) == [], 'the table has topics that the code does not have, or not so'
    every_node = re.compile(r'rcl_interfaces|lifecycle_msgs|type_description_interfaces')

    def services() -> set[tuple[str, str]]:
        return {(name.replace(f'/{node}/', '~/'), kinds[0]) for node in NODES
                for name, kinds in tester.get_service_names_and_types_by_node(node, '/')
                if not every_node.match(kinds[0])}

    # discovery tells of services after topics, and late on a busy machine
    wanted = {(r[0], r[1]) for r in _rows(_between('services'))}
    while services() != wanted and time.monotonic() < end:
        turn()
    assert services() == wanted


# -- links, pictures, length

def _anchors(text: str) -> set[str]:
    """As GitHub makes them."""
    text = re.sub(r'^```.*?^```', '', text, flags=re.S | re.M)
    plain = (re.sub(r'[^\w\- ]', '', h.lower()).replace(' ', '-') for h in re.findall(r'^#+ (.*)$', text, re.M))
    return set(plain)


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding='utf-8')
    for target in re.findall(r'\]\(([^)]+)\)', text):
        if target.startswith('https://'):
            continue
        path, _, anchor = target.partition('#')
        file = (page.parent / path) if path else page
        assert file.exists(), f'{page.name}: {target}'
        assert not anchor or anchor in _anchors(file.read_text(encoding='utf-8')), f'{page.name}: {target}'


def test_files_that_are_named_exist() -> None:
    name_of_file = re.compile(r'`((?:config|launch|docs|test|nodes|\.ci)/[\w./-]+)`')
    for page in PAGES:
        for name in name_of_file.findall(page.read_text(encoding='utf-8')):
            assert (ROOT / name).exists() or (ROOT / 'selfpose_ros' / name).exists(), f'{page.name}: {name}'


def test_readme_is_short_and_its_pictures_light() -> None:
    assert len(_page('README.md').encode()) <= MOST_BYTES
    pictures = [p for p in (ROOT / 'docs').iterdir() if p.suffix in ('.png', '.jpg')]
    assert pictures and all(p.stat().st_size < MOST_PICTURE_BYTES for p in pictures)
    shown = {(page.parent / target).resolve() for page in PAGES
             for target in re.findall(r'!\[[^]]*\]\(([^)]+)\)', page.read_text(encoding='utf-8'))}
    assert all(p.resolve() in shown for p in pictures), 'each is shown on some page'


def test_nothing_is_left_to_be_filled_in() -> None:
    for page in PAGES:
        text = page.read_text(encoding='utf-8')
        assert not re.search(r'TODO|FIXME|XXX|\?\?\?|@\w+@', text), page.name


if __name__ == '__main__':
    sys.exit(pytest.main([__file__, '-q']))
