# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A rig in somebody else's frame."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from raising import raises

from selfpose_ros.core import rotation
from selfpose_ros.core.anchor import from_camera, from_places
from selfpose_ros.core.errors import RigError
from selfpose_ros.synthetic import ring_rig

RIG = ring_rig(4, 1)
R, T = rotation.exp(np.array([.2, -.1, 2.])), np.array([1., -2, .5])


def test_one_camera_and_three_places_tell_the_same() -> None:
    i = 2
    known = from_camera(RIG, RIG.cameras[i], R @ RIG.centres[i] + T, R @ RIG.R[i].T)
    places = from_places(RIG, {c: R @ x + T for c, x in zip(RIG.cameras[:3], RIG.centres, strict=False)})
    for a in (known, places):
        np.testing.assert_allclose(a.R, R, atol=1e-9)
        np.testing.assert_allclose(a.t, T, atol=1e-9)
        assert a.residual_m < 1e-9 and a.scale == pytest.approx(1)


def test_another_metre_is_told_and_the_rig_keeps_its_own() -> None:
    a = from_places(RIG, {c: 1.1 * (R @ x) + T for c, x in zip(RIG.cameras, RIG.centres, strict=True)})
    assert a.scale == pytest.approx(1.1) and a.residual_m > .1
    np.testing.assert_allclose(a.R, R, atol=1e-9)


def test_what_does_not_tell_the_place_is_one_sentence() -> None:
    with raises(RigError, place='camera cam9', remedy='name one that is'):
        from_camera(RIG, 'cam9', T, R)
    with raises(RigError, place='places', what=f'{RIG.cameras[0]}, {RIG.cameras[1]} are in the rig, three are needed',
                remedy=f'the rig has {", ".join(RIG.cameras)}'):
        from_places(RIG, {RIG.cameras[0]: T, RIG.cameras[1]: T + 1, 'cam9': T})
    line = replace(RIG, t=-np.einsum('vij,vj->vi', RIG.R, np.array([[0., 0, 2], [1, 0, 2], [2, 0, 2], [3, 0, 2]])))
    with raises(RigError, place='places', remedy='give the place of one beside it'):
        from_places(line, dict(zip(line.cameras, line.centres, strict=True)))
