# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Our build code with NVIDIA's own parser and builder, of the 10.x and of the 11.x interface, without a GPU.

TensorRT for RTX is another product than TensorRT: what this shows is that the calls, their order and what they say on
failure are right, not which operators TensorRT takes nor what its engines compute.
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
from wheels import RTX, process, wheel

from selfpose_ros.inference.tensorrt.progress import Phases


@pytest.fixture(scope='module', params=RTX)
def outcome(request) -> dict[str, Any]:
    """Of all cases of `rtx_builds`."""
    done = process([Path(__file__).with_name('rtx_builds.py')], wheel(request.param))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result['version'] == request.param.removeprefix('rtx-')
    return result


@pytest.mark.parametrize('name', ['lifter', 'rtmpose', 'rtmpose, half'])
def test_networks_of_ours_are_built(outcome: dict[str, Any], name: str):
    told = outcome[name]
    assert told['bytes'] > 1_000_000 and told['magic'] == 'vtrt' and told['again'] > 1_000_000
    assert told['rises'] and told['steps'] > 10 and 0 < told['shares'][0] < .1 and .7 < told['shares'][1] <= 1.


def test_half_precision_comes_from_the_file(outcome: dict[str, Any]):
    assert outcome['rtmpose, half']['bytes'] < .8 * outcome['rtmpose']['bytes']


@pytest.mark.parametrize('name', ['cancelled at once', 'cancelled in the middle'])
def test_a_build_can_be_cancelled(outcome: dict[str, Any], name: str):
    assert outcome[name] == {'error': 'BuildCancelled', 'text': 'model.onnx: the build of its engine was cancelled'}
    assert outcome['seen'] >= .5


@pytest.mark.parametrize(('name', 'words'), [
    ('bad profile', ['batches of 1 to 8, tuned for 9', 'MIN<=OPT<=MAX']),
    ('unknown operator', ['operator Frobnicate of node strange_1', 'has no such operator']),
    ('NMS inside', ['non-maximum suppression', 'suppress_1', 'use onnxruntime']),
    ('selection', ['select_1', 'use onnxruntime']),
    ('open size', ['the input image (-1, 3, -1, -1) is open in more than the batch']),
    ('garbage', ['is it an ONNX file?']),
    ('empty', ['is it an ONNX file?']),
    ('cut off', ['Failed to parse']),
])
def test_what_it_does_not_take_is_one_sentence_that_names_it(outcome: dict[str, Any], name: str, words: list[str]):
    assert outcome[name]['error'] == 'GraphRefused'
    assert outcome[name]['text'].startswith('model.onnx: ') and '\n' not in outcome[name]['text']
    for word in words:
        assert word in outcome[name]['text']


def test_a_foreign_timing_cache_does_no_harm(outcome: dict[str, Any]):
    assert outcome['foreign timing cache']['bytes'] > 1_000_000


def test_the_share_of_nested_phases_never_falls():
    phases = Phases()
    phases.start('all', None, 2)
    phases.start('tactics', 'all', 4)
    shares = []
    for step in range(4):
        phases.step('tactics', step)
        shares.append(phases.share)
    phases.finish('tactics')
    phases.step('all', 0)
    phases.start('all again', None, 1)                     # a second root is not the work
    phases.step('unknown', 3)
    shares.append(phases.share)
    phases.step('all', 1)
    assert shares == [.125, .25, .375, .5, .5] and phases.share == 1.
