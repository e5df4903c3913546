# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A rig that gets better moves in steps that its own expected errors cover."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import scene

from selfpose_ros.core import rotation
from selfpose_ros.core.estimator import Estimator, EstimatorConfig
from selfpose_ros.core.model import model_from_rig
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.rig_glide import Glide, step_size
from selfpose_ros.core.rig_model import RigModel
from selfpose_ros.synthetic import ring_rig, walker


def of_rig(sigma_deg: float = 1., sigma_m: float = .05) -> RigModel:
    rig = ring_rig(4, 1)
    sigma = np.r_[0., np.full(3, sigma_deg)]
    rig = replace(rig, rotation_sigma_deg=sigma, centre_sigma_m=np.full(4, sigma_m), focal_sigma=np.full(4, .02))
    return model_from_rig(rig, NoiseModel.prior(rig.image_size), 3)


def shifted(model: RigModel, metres: float = 0., degrees: float = 0.) -> RigModel:
    """Each camera, moved to a side and turned about its own axis z."""
    g = model.geometry
    R = rotation.exp(np.deg2rad([0., 0., degrees])[None]) @ g.R
    centres = g.centres + [metres, 0., 0.]
    return replace(model, geometry=replace(g, R=R, t=-np.einsum('vij,vj->vi', R, centres), focal=1.1 * g.focal,
                                           centre=g.centre + 5.),
                   rotation_sigma_deg=model.rotation_sigma_deg / 2, quality=.99)


@pytest.mark.parametrize(('metres', 'degrees', 'size'), [(.1, 0., 2.), (0., 3., 3.), (.1, 3., 3.)])
def test_a_step_is_measured_by_what_the_old_rig_is_expected_to_be_off(metres: float, degrees: float,
                                                                      size: float) -> None:
    old = of_rig()
    assert step_size(old, shifted(old, metres, degrees)) == pytest.approx(size, rel=1e-6)


@pytest.mark.parametrize(('metres', 'degrees'), [(.2, 0.), (.05, 3.)])
def test_every_step_is_smaller_than_expected_errors_and_the_last_one_is_the_new_rig(metres: float,
                                                                                    degrees: float) -> None:
    old = replace(of_rig(), quality=.7)
    new, glide = shifted(old, metres, degrees), Glide()
    at, now, models = old, 10., [glide.begin(old, new, 10.)]
    for _ in range(400):
        now += .04
        models += [m for m in [glide.step(now)] if m is not None]
    assert len(models) > 3 and models[-1] is new
    way = new.geometry.centres - old.geometry.centres
    for m in models:
        assert 0 < step_size(at, m) < 1
        done = (m.geometry.centres - old.geometry.centres) / np.where(way == 0, 1, way)
        assert np.allclose(done[:, 0], done[0, 0]) and (m.geometry.focal <= new.geometry.focal).all()
        if m is not new:                                    # it is neither better nor worse than both are said to be
            assert m.quality == .7 and np.array_equal(m.rotation_sigma_deg, old.rotation_sigma_deg)
        at = m
    assert glide.step(now + 1.) is None


def test_a_small_change_is_one_step_and_another_one_ends_it() -> None:
    old = of_rig()
    glide, small = Glide(), shifted(old, .01)
    assert glide.begin(old, small, 0.) is small and glide.step(9.) is None
    first = glide.begin(old, shifted(old, .5), 1.)
    other = shifted(first, .01)
    assert glide.begin(first, other, 1.1) is other and glide.step(9.) is None
    glide.begin(old, shifted(old, .5), 1.)
    glide.clear()
    assert glide.step(9.) is None


def test_other_cameras_are_taken_at_once() -> None:
    old, glide = of_rig(), Glide()
    new = replace(shifted(old, .5), cameras=('a', 'b', 'c', 'd'))
    assert step_size(old, new) == 0. and glide.begin(old, new, 0.) is new


def test_the_world_of_a_live_rig_makes_no_larger_step() -> None:
    """From the first rig that is published on, while it gets better; each change goes on to its end, with the errors
    that the new rig is expected to have, also while cameras are watched for being moved.
    """
    rig = ring_rig(4, 2)
    estimator, old, steps, world = Estimator(EstimatorConfig(rig_solver='inline')), None, [], 0
    expected = []
    for frame in scene(4, seed=3, rig=rig, joints=walker(14., 25., 2, 'walk')).frames:
        estimator.update(frame)
        model = estimator.model
        if estimator.rig is None or model is None:
            continue
        if old is not None and world == estimator.world and model is not old:
            steps.append(step_size(old, model))
        old, world = model, estimator.world
        expected.append((frame.stamp, model.rotation_sigma_deg, model.solution.rotation_sigma_deg))
    estimator.close()
    assert len(steps) > 4 and 0 < max(steps) < 1
    on_the_way = [stamp for stamp, now, end in expected if not np.array_equal(now, end)]
    assert 0 < len(on_the_way) < .2 * len(expected)
