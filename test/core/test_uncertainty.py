# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is published of a covariance: one rule, live and off line."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from selfpose_ros.core import offline
from selfpose_ros.core.filtering import spread_of
from selfpose_ros.core.model import RigModel, model_from_rig
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.person_view import Detections
from selfpose_ros.core.tracks.output import SkeletonOutput
from selfpose_ros.core.tracks.people import People
from selfpose_ros.core.uncertainty import UNKNOWN_M, Uncertainty, place_sigma, uncertainty
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

Array = NDArray[np.float64]


def model(rotation_sigma_deg: float = 0., lifted: bool = False) -> RigModel:
    rig = replace(ring_rig(3, 1), rotation_sigma_deg=np.array([0., rotation_sigma_deg, rotation_sigma_deg / 2]))
    return replace(model_from_rig(rig, NoiseModel.prior(rig.image_size), 3), lifted=lifted)


def test_sigma_grows_with_the_spread_and_with_the_worst_camera() -> None:
    """Without the cameras' error a fixed factor of about one; the cameras' own comes to it in squares: 17 cm
    for each radian, 9 with lifted poses alone.
    """
    spread = np.array([.005, .01, .02])
    alone = uncertainty(spread, model()).sigma
    assert np.allclose(alone, 1.1 * spread)
    with_rig = uncertainty(spread, model(2.)).sigma
    lifted = uncertainty(spread, model(2., True)).sigma
    for sigma, lever in ((with_rig, .17), (lifted, .09)):
        assert np.allclose(np.sqrt(sigma ** 2 - alone ** 2) / np.deg2rad(2.), lever)


def test_confidence_is_half_at_six_centimetres_and_none_where_nothing_is_known() -> None:
    u = uncertainty(np.linspace(.001, .5, 2000), model())
    assert (np.diff(u.confidence) <= 0).all() and u.confidence[0] > .99
    assert u.confidence[np.abs(u.sigma - .06).argmin()] == pytest.approx(.5, abs=.01)
    assert u.confidence[np.abs(u.sigma - .12).argmin()] == pytest.approx(.2, abs=.01)
    assert (u.known == (u.sigma < UNKNOWN_M)).all() and not u.confidence[~u.known].any()
    assert UNKNOWN_M == pytest.approx(.3)


def test_one_camera_leaves_the_distance_open_more_and_more() -> None:
    """From nothing, by a quarter of a metre a second, up to 6 % of the distance, over three axes; what a guessed focal
    length adds grows from the place where the body was seen first on.
    """
    m = model()
    x = np.linspace([0., 0., .9], [.4, .3, 1.7], 17)
    far = float(m.R[1, 2] @ x[0] + m.t[1, 2])
    assert place_sigma(x, m, 1, 0.) == 0
    assert place_sigma(x, m, 1, .2) == pytest.approx(.25 * .2 / np.sqrt(3))
    assert place_sigma(x, m, 1, 100.) == pytest.approx(.06 * far / np.sqrt(3))
    guessed = replace(m, depth_sigma=.25, origin=x[0] - 2 * m.R[0, 2])
    along = 2 + float((x.mean(0) - x[0]) @ m.R[0, 2])
    assert abs(along - 2) > .1 and place_sigma(x, guessed, 1, 0.) == pytest.approx(.25 * along / np.sqrt(3))


def test_live_and_off_line_publish_by_the_same_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same spread, with the same rig, is the same sigma, confidence and unknown joint."""
    rig = replace(ring_rig(3, 1), rotation_sigma_deg=np.array([0., 1., 2.]))
    m = model_from_rig(rig, NoiseModel.prior(rig.image_size), 3)
    frames = frames_of(observe(walker(.8, 15., 1), rig, 15., 1, 0., 0., 0.))
    people = People(1)
    people.model = m
    for f in frames:
        live = people.update(Detections.of(f), {})
    p = people.everybody[0]
    p.filter.pp[3] *= 1e4                                                   # a joint of which nothing is known
    said = SkeletonOutput(0., False).of([p], frames[-1].stamp, m, None, frozenset())[0]
    want = uncertainty(spread_of(p.filter.pp), m)
    assert live and np.isnan(said.sigma[3]) and np.isnan(said.joints[3]).all() and said.confidence[3] == 0
    assert np.array_equal(said.sigma[4:], want.sigma[4:]) and np.array_equal(said.confidence, want.confidence)
    monkeypatch.setattr(offline, '_solve', lambda *given: m)
    seen: list[Array] = []

    def heard(spread: Array, of: RigModel) -> Uncertainty:
        seen.append(spread)
        return uncertainty(spread, of)
    monkeypatch.setattr(offline, 'uncertainty', heard)
    out, _ = offline.reconstruct_offline(frames)
    want = uncertainty(np.concatenate(seen), m)
    assert np.array_equal(np.stack([o[0].sigma for o in out if o]), np.where(want.known, want.sigma, np.nan),
                          equal_nan=True)
    assert np.array_equal(np.stack([o[0].confidence for o in out if o]), want.confidence)
