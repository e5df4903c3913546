# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters: declared once, the YAML file follows, and what people write wrongly is told."""
from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from raising import raises

from selfpose_ros.nodes.errors import ParameterError
from selfpose_ros.nodes.parameters import (
    NODES,
    FusionSettings,
    Pose2DSettings,
    default_yaml,
    markdown_table,
    settings_from,
    table,
    unknown_names,
)

ROOT = Path(__file__).resolve().parents[2]


def test_the_shipped_yaml_is_that_of_the_table() -> None:
    assert (ROOT / 'config' / 'default.yaml').read_text(encoding='utf-8') == default_yaml(), \
        'write config/default.yaml anew: python -c "from selfpose_ros.nodes.parameters import *; ' \
        'open(\'config/default.yaml\', \'w\').write(default_yaml())"'


@pytest.mark.parametrize('node', NODES)
def test_the_shipped_yaml_gives_the_defaults(node: str) -> None:
    given = yaml.safe_load(default_yaml())[f'/**/{node}']['ros__parameters']
    assert settings_from(NODES[node], given) == NODES[node]()
    assert list(given) == [p.name for p in table(NODES[node])]


@pytest.mark.parametrize('node', NODES)
def test_every_parameter_is_explained_and_its_default_allowed(node: str) -> None:
    for p in table(NODES[node]):
        assert p.sentence.endswith('.') and len(p.sentence) > 15, p.name
        assert p.low is None or p.low <= p.default <= (p.high or p.default), p.name
        assert not p.choices or p.default in p.choices, p.name
        assert f'| `{p.name}` | {p.kind} |' in markdown_table(node)
        assert not p.name.endswith(('_m', '_s')) or p.unit == p.name.rsplit('_', 1)[1], p.name


def test_what_launch_and_yaml_files_write_is_understood() -> None:
    s = settings_from(FusionSettings, {
        'cameras': 'left, right', 'baseline_cameras': ['left', 'right'], 'baseline_m': 2, 'max_people': 3.0,
        'keypoints_topics': None, 'rig_file': ''})
    assert s.cameras == ('left', 'right') and s.baseline_m == 2. and isinstance(s.baseline_m, float)
    assert s.max_people == 3 and isinstance(s.max_people, int)
    assert s.keypoints_topics == ()
    assert settings_from(Pose2DSettings, {'cameras': ['']}).cameras == ()


@pytest.mark.parametrize(('settings', 'values', 'name', 'what', 'remedy'), [
    (Pose2DSettings, {'workers': 0}, 'workers', '0 is out of range', 'give 1 to 64'),
    (Pose2DSettings, {'workers': 1.5}, 'workers', '1.5 is not a whole number', 'give 1 to 64'),
    (Pose2DSettings, {'workers': True}, 'workers', 'True is not a whole number', 'give 1 to 64'),
    (Pose2DSettings, {'workers': 'two'}, 'workers', "'two' is not a whole number", 'give 1 to 64'),
    (Pose2DSettings, {'workers': 10 ** 400}, 'workers', 'a number of about 402 digits cannot be used', 'give 1 to 64'),
    (Pose2DSettings, {'autostart': 'yes'}, 'autostart', "'yes' is not true or false", 'give true or false'),
    (Pose2DSettings, {'image_reliability': 'reliabel'}, 'image_reliability', "'reliabel' cannot be chosen",
     'give one of: auto, reliable, best_effort; did you mean reliable?'),
    (Pose2DSettings, {'cameras': [1, 2]}, 'cameras', '(1, 2) is not a list of strings', 'give a list of strings'),
    (Pose2DSettings, {'cameras': ['cam 1']}, 'cameras', "'cam 1' cannot name a topic",
     'use letters, digits, _ and / and begin with a letter'),
    (Pose2DSettings, {'cameras': ['a', 'b', 'a']}, 'cameras', "'a' is given twice",
     'every camera needs a name of its own'),
    (Pose2DSettings, {'cameras': ['a', 'b'], 'image_topics': ['x']}, 'image_topics', '1 entries for 2 cameras',
     'give one topic for each camera in the same order, or none'),
    (Pose2DSettings, {'model_options': ['fast']}, 'model_options', "'fast' has no =",
     "write each option as 'name=value'"),
    (FusionSettings, {'person_height_m': 180}, 'person_height_m', '180 is out of range', 'give 0 to 2.5 m'),
    (FusionSettings, {'person_height_m': float('nan')}, 'person_height_m', 'nan is out of range', 'give 0 to 2.5 m'),
    (FusionSettings, {'baseline_cameras': ['a']}, 'baseline_cameras', "['a'] are not two cameras",
     'name two, or none'),
    (FusionSettings, {'same_lens': ['a']}, 'same_lens', "'a' is one camera",
     'name two cameras or more, as in "cam1,cam2"'),
    (FusionSettings, {'cameras': ['a', 'b'], 'same_lens': ['a,c']}, 'same_lens', "'c' is not in cameras (a, b)",
     'name one that is'),
    (FusionSettings, {'cameras': ['a', 'b'], 'baseline_cameras': ['a', 'c']}, 'baseline_cameras',
     "'c' is not in cameras (a, b)", 'name one that is'),
    (FusionSettings, {'world_frame': ''}, 'world_frame', "'' is empty, or that of provisional_frame, too",
     'give two different names'),
    (FusionSettings, {'parent_frame': 'selfpose_world'}, 'parent_frame',
     "'selfpose_world' is one of the frames that it is to be the parent of", 'name another frame'),
    (FusionSettings, {'anchor_pose': '1 2 3 0 0 nan'}, 'anchor_pose', "'1 2 3 0 0 nan' is no pose",
     "write six numbers, 'x y z roll pitch yaw', m and rad"),
    (FusionSettings, {'anchor_places': ['cam1: 1 2 3']}, 'anchor_places', "'cam1: 1 2 3' is no place of a camera",
     "write each as 'camera=x y z', m"),
    (FusionSettings, {'cameras': ['a'], 'keypoints_topics': ['x', 'y']}, 'keypoints_topics', '2 entries for 1 cameras',
     'give one topic for each camera in the same order, or none'),
])
def test_a_wrong_value_is_refused_by_name_with_a_remedy(settings: type, values: dict, name: str, what: str,
                                                        remedy: str) -> None:
    with raises(ParameterError, place=f'parameter {name}', what=what, remedy=remedy):
        settings_from(settings, values)


def test_a_misspelt_name_is_told_and_those_of_ros_are_not() -> None:
    said = unknown_names(FusionSettings, ['max_waits', 'use_sim_time', 'qos_overrides./tf.depth', 'lag_s'])
    assert said == ['parameter max_waits is not known here and has no effect; did you mean max_wait_s?']


def test_a_convention_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
    from selfpose_ros.core.convention import Convention
    from selfpose_ros.io.convention_file import write_convention
    from selfpose_ros.nodes.fusion_node import _convention
    knees = Convention({('knee', 'knee', 'hip'): .1})
    write_convention(tmp_path / 'c.json', knees, ['monday'])
    assert _convention('') is None
    found = _convention(str(tmp_path / 'c.json'))
    assert found is not None and found.shares == knees.shares
    missing = f'parameter convention: {tmp_path / "none.json"}'
    with raises(ParameterError, place=missing, what='not a file of joint conventions (No such file or directory)'):
        _convention(str(tmp_path / 'none.json'))
