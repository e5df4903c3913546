# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Values from networks and wires are full of NaN, infinities and wrong shapes."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from selfpose_ros.core.errors import CoreError, ObservationError
from selfpose_ros.core.observation import MultiView, Skeleton3D, View2D


def view(**changes: Any) -> View2D:
    values: dict[str, Any] = {'camera': 'cam1', 'stamp': 1., 'keypoints': np.full((2, 17, 2), 5.),
                              'confidence': np.full((2, 17), .5), 'image_size': (640, 480)}
    return View2D(**{**values, **changes})


def test_a_joint_is_seen_with_position_and_confidence_or_not_at_all() -> None:
    kp, conf = np.full((1, 17, 2), 5.), np.full((1, 17), .5)
    kp[0, 0, 0], kp[0, 1, 1] = np.nan, np.inf
    conf[0, 2:7] = 0., -1., np.nan, np.inf, -np.inf
    conf[0, 7] = 7.
    v = view(keypoints=kp, confidence=conf)
    assert np.isnan(v.keypoints[0, :7]).all() and (v.confidence[0, :7] == 0).all()
    assert v.confidence[0, 7] == 1 and (v.confidence[0, 8:] == .5).all() and np.isfinite(v.keypoints[0, 7:]).all()


@pytest.mark.parametrize('empty', [np.zeros((0, 17, 2)), np.zeros(0), []])
def test_nobody_is_a_valid_view(empty: Any) -> None:
    v = view(keypoints=empty, confidence=np.zeros((0, 17)))
    assert v.keypoints.shape == (0, 17, 2) and v.confidence.shape == (0, 17) and v.person.shape == (0,)


def test_people_without_identity_have_none() -> None:
    assert view().person.tolist() == [-1, -1] and view(person=[3, 8]).person.tolist() == [3, 8]


@pytest.mark.parametrize(('changes', 'message'), [
    ({'keypoints': np.zeros((2, 16, 2))}, r'expected keypoints \(P, 17, 2\).* got \(2, 16, 2\) and \(2, 17\)'),
    ({'keypoints': np.ones((17, 2))}, r'got \(17, 2\)'),
    ({'confidence': np.ones((1, 17))}, r'and \(1, 17\)'),
    ({'stamp': np.nan}, 'stamp is nan, must be finite'), ({'stamp': np.inf}, 'stamp is inf'),
    ({'image_size': (0, 480)}, 'image size 0x480 px is no image'), ({'image_size': (640, -1)}, 'no image'),
    ({'image_size': (np.nan, 480)}, 'no image'), ({'image_size': (np.inf, 480)}, 'no image'),
    ({'person': [1]}, '2 people but 1 identities')])
def test_impossible_views_are_refused_and_name_the_camera(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ObservationError, match=message) as caught:
        view(**changes)
    assert "camera 'cam1'" in str(caught.value) and isinstance(caught.value, CoreError)


def test_a_tiny_image_is_an_image() -> None:
    assert view(image_size=(1, 1)).image_size == (1, 1)
    assert view(image_size=np.array([640., 480.])).image_size == (640, 480)


def test_values_do_not_change_with_the_arrays_they_came_from() -> None:
    kp, conf, person = np.full((1, 17, 2), 5.), np.ones((1, 17)), np.array([4])
    v = view(keypoints=kp, confidence=conf, person=person)
    kp[:], conf[:], person[:] = 0., 0., 0
    assert (v.keypoints == 5).all() and (v.confidence == 1).all() and v.person.tolist() == [4]
    for a in (v.keypoints, v.confidence, v.person):
        with pytest.raises(ValueError):
            a[...] = 0


def test_a_camera_twice_in_one_instant_is_refused() -> None:
    with pytest.raises(ObservationError, match="twice in one instant: \\['cam1', 'cam1'\\]"):
        MultiView(1., (view(), view(stamp=1.1)))
    with pytest.raises(ObservationError, match='stamp is nan'):
        MultiView(np.nan, (view(),))
    assert MultiView(1., [view()]).views[0].camera == 'cam1'      # type: ignore[arg-type]
    assert isinstance(MultiView(1., [view()]).views, tuple)       # type: ignore[arg-type]


def skeleton(**changes: Any) -> Skeleton3D:
    values: dict[str, Any] = {'person': 1, 'stamp': 1., 'joints': np.zeros((17, 3)), 'sigma': np.ones(17),
                              'confidence': np.ones(17), 'views': np.ones(17), 'level': 3}
    return Skeleton3D(**{**values, **changes})


def test_skeletons_have_seventeen_joints() -> None:
    s = skeleton()
    assert s.views.dtype == np.int64 and np.isnan(s.velocity).all() and s.velocity.shape == (17, 3)
    with pytest.raises(ValueError):
        s.joints[0] = 1.
    for name, value in (('joints', np.zeros((16, 3))), ('sigma', np.zeros((17, 3))), ('confidence', 1.),
                        ('views', np.zeros(3)), ('velocity', np.zeros(17))):
        with pytest.raises(ObservationError, match=f'skeleton: {name} must have shape'):
            skeleton(**{name: value})
