# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A rig is cameras in one world or it is refused; saved and read again it is the same."""
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from raising import raises

from selfpose_ros.core.camera import project
from selfpose_ros.core.errors import RigError
from selfpose_ros.core.rig import NotSolved, Rig
from selfpose_ros.synthetic import ring_rig


def test_saved_and_read_again_it_is_the_same() -> None:
    """Through JSON, with unknown (NaN) numbers in it, to the last bit."""
    rig = replace(ring_rig(3, 5, distortion=(-.1, .02, 1e-3, 0, 0)), gravity_sigma_deg=np.nan, quality=.83,
                  clock_offset_s=np.array([0., .01, -.02]), frames=77, stamp=12.5)
    again = Rig.from_dict(json.loads(json.dumps(rig.to_dict())))
    for name in Rig.__dataclass_fields__:
        a, b = getattr(rig, name), getattr(again, name)
        assert np.array_equal(a, b, equal_nan=True) if isinstance(a, np.ndarray | float) else a == b, name


def test_projection_and_centres_belong_to_the_convention() -> None:
    """x_cam = R x + t: P projects as `camera.project` does, and a camera's centre is its own origin."""
    rig = ring_rig(4, 1)
    X = np.random.default_rng(0).normal(0, .5, (10, 3)) + [0, 0, 1.]
    for v in range(4):
        h = np.concatenate([X, np.ones((10, 1))], 1) @ rig.geometry.projection[v].T
        assert np.allclose(h[:, :2] / h[:, 2:], project(X, rig.K[v], rig.R[v], rig.t[v]))
        assert np.allclose(rig.R[v] @ rig.centres[v] + rig.t[v], 0, atol=1e-12)


@pytest.mark.parametrize('field, value', [
    ('R', np.tile(np.diag([1., 1., -1.]), (2, 1, 1))), ('R', 1.01 * np.tile(np.eye(3), (2, 1, 1))),
    ('R', np.full((2, 3, 3), np.nan)), ('t', np.array([[0, 0, np.inf], [0, 0, 1.]])), ('t', np.zeros((3, 3))),
    ('K', np.zeros((2, 3, 4))), ('distortion', np.zeros((2, 7))), ('image_size', np.zeros((1, 2))),
    ('cameras', ('a', 'b', 'c')),
], ids=['mirror', 'scaled', 'NaN', 'infinite', 'too many', 'K 3x4', 'distortion of 7', 'one size', 'three names'])
def test_what_is_no_rig_is_refused(field: str, value: Any) -> None:
    """A mirrored world is no rig: it would hand out skeletons with left and right exchanged."""
    with raises(RigError, place='rig') as refused:
        changed: dict[str, Any] = {field: value}
        replace(ring_rig(2, 1), **changed)
    assert refused.value.what.startswith('K ' if field == 'cameras' else f'{field} ')


def test_a_file_of_another_version_is_refused_by_field() -> None:
    d = ring_rig(2, 1).to_dict()
    with raises(RigError, place='rig', what="unknown fields ['colour'], missing fields []",
                remedy='save it again with this version'):
        Rig.from_dict({**d, 'colour': 'blue'})
    del d['t']
    with raises(RigError, place='rig', what="unknown fields [], missing fields ['t']"):
        Rig.from_dict(d)


def test_a_file_without_the_optional_fields_is_enough() -> None:
    d = ring_rig(2, 1).to_dict()
    rig = Rig.from_dict({k: d[k] for k in ('cameras', 'K', 'distortion', 'image_size', 'R', 't', 'quality')})
    assert rig.rotation_sigma_deg.tolist() == [0, 0] and rig.scale_source == 'adult prior'


def test_nobody_can_change_a_rig_that_others_use() -> None:
    given = np.tile(np.eye(3), (2, 1, 1))
    rig = replace(ring_rig(2, 1), R=given)
    with pytest.raises(ValueError):
        rig.R[0, 0, 0] = 5.
    given[0] = 0.
    assert np.array_equal(rig.R[0], np.eye(3))


def test_no_rig_is_false_and_says_why() -> None:
    no = NotSolved('the person has hardly moved', {'frames': 3})
    assert not no and no.reason == 'the person has hardly moved' and no.numbers['frames'] == 3
    assert bool(ring_rig(2, 1))
