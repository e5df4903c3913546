# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters: declared once, the YAML file follows, and what people write wrongly is told."""
from __future__ import annotations

from pathlib import Path

import pytest
import yaml

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


@pytest.mark.parametrize(('settings', 'values', 'words'), [
    (Pose2DSettings, {'workers': 0}, 'workers is 0, must be 1 to 64'),
    (Pose2DSettings, {'workers': 1.5}, 'workers is 1.5, must be a whole number'),
    (Pose2DSettings, {'workers': True}, 'workers is True, must be a whole number'),
    (Pose2DSettings, {'workers': 'two'}, "workers is 'two', must be a whole number"),
    (Pose2DSettings, {'autostart': 'yes'}, "autostart is 'yes', must be true or false"),
    (Pose2DSettings, {'image_reliability': 'reliabel'}, 'did you mean reliable'),
    (Pose2DSettings, {'cameras': [1, 2]}, 'must be a list of strings'),
    (Pose2DSettings, {'cameras': ['cam 1']}, "'cam 1' cannot name a topic"),
    (Pose2DSettings, {'cameras': ['a', 'b', 'a']}, "'a' is given twice"),
    (Pose2DSettings, {'cameras': ['a', 'b'], 'image_topics': ['x']}, 'image_topics has 1 entries for 2 cameras'),
    (Pose2DSettings, {'model_options': ['fast']}, "model_options holds 'fast'"),
    (FusionSettings, {'person_height_m': 180}, 'person_height_m is 180, must be 0 to 2.5 m'),
    (FusionSettings, {'person_height_m': float('nan')}, 'person_height_m is nan, must be 0 to 2.5 m'),
    (FusionSettings, {'baseline_cameras': ['a']}, 'name two cameras, or none'),
    (FusionSettings, {'same_lens': ['a']}, 'name two cameras or more'),
    (FusionSettings, {'cameras': ['a', 'b'], 'same_lens': ['a,c']}, "'c' is not in cameras"),
    (FusionSettings, {'cameras': ['a', 'b'], 'baseline_cameras': ['a', 'c']}, "'c', which is not in cameras"),
    (FusionSettings, {'world_frame': ''}, 'two different names'),
    (FusionSettings, {'cameras': ['a'], 'keypoints_topics': ['x', 'y']}, 'keypoints_topics has 2 entries'),
])
def test_a_wrong_value_is_refused_in_one_sentence(settings: type, values: dict, words: str) -> None:
    with pytest.raises(ParameterError) as told:
        settings_from(settings, values)
    assert words in str(told.value) and '\n' not in str(told.value)


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
    with pytest.raises(ParameterError, match=r'^parameter convention: .*none.json: not a file of joint conventions'):
        _convention(str(tmp_path / 'none.json'))
