# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What lies before and after a lifting network: normalisation, virtual camera, size, place, memory."""
from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import Oracle
from scenes import scene

from selfpose_ros.core import rotation
from selfpose_ros.core.body import BONE_A, BONE_B, BONE_PRIOR_M, stature_m
from selfpose_ros.core.camera import FOCAL_PRIOR, Intrinsics, project
from selfpose_ros.core.errors import ObservationError
from selfpose_ros.core.lifting import (
    LiftedViews,
    depth_information,
    lift,
    metres,
    norm2d,
    pinhole,
    place,
    ray_rotation,
)
from selfpose_ros.core.person_view import Detections
from selfpose_ros.synthetic import ring_rig, walker

Array = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(5)
K = np.array([[900., 0, 500], [0, 900, 400], [0, 0, 1]])


def body() -> Array:
    return walker(1., 15., 3, 'mixed')


def seen(X: Array, at: Array, turn: Array | None = None) -> tuple[Array, Array]:
    """Pixels of poses that stand at `at` before a camera K, and their camera axes."""
    R = np.array([[1., 0, 0], [0, 0, -1], [0, 1, 0]]) if turn is None else turn
    cam = (X - X[:, :1]) @ R.T
    return project(cam + at, K, np.eye(3), np.zeros(3)), cam


def test_norm2d_takes_place_and_size_away() -> None:
    kp, conf = RNG.normal(500, 100, (4, 17, 2)), np.full((4, 17), .7)
    n = norm2d(kp, conf)
    assert np.allclose((n.w2d ** 2).sum((1, 2)), 1.) and np.allclose(n.w2d[:, 0], 0.)
    again = norm2d(3 * kp + [50, -20], conf)
    assert np.allclose(again.w2d, n.w2d) and np.allclose(again.scale_px, 3 * n.scale_px)
    assert np.allclose(n.w2d * n.scale_px[..., None] + n.root_px[:, None], kp)
    assert np.array_equal(n.ray_rot, np.tile(np.eye(3), (4, 1, 1)))


def test_norm2d_of_a_partial_body() -> None:
    """Unseen joints are zero, whatever their pixels; the joints left have the scale that they have in the whole body's
    mean; the root falls back on hips, then on all that is seen.
    """
    kp, conf = RNG.normal(500, 100, (17, 2)), np.ones(17)
    conf[[3, 9]] = 0.
    kp[3], kp[9] = np.nan, 1e9
    n = norm2d(kp, conf)
    assert np.isfinite(n.w2d).all() and not n.w2d[[3, 9]].any()
    assert (n.w2d ** 2).sum() == pytest.approx(15 / 17)
    conf[0] = 0.
    assert np.allclose(norm2d(kp, conf).root_px, kp[[1, 4]].mean(0))
    conf[1] = 0.
    assert np.allclose(norm2d(kp, conf).root_px, kp[4])
    conf[4] = 0.
    assert np.allclose(norm2d(kp, conf).root_px, kp[conf > 0].mean(0))
    nothing = norm2d(kp, np.zeros(17))
    assert not nothing.w2d.any() and np.isfinite(nothing.scale_px).all()


def test_ray_rotation_is_the_smallest_one() -> None:
    ray = np.array([[.3, -.2, 1.], [0, 0, 2.], [-1., .5, 1.]])
    R = ray_rotation(ray)
    unit = ray / np.linalg.norm(ray, axis=1, keepdims=True)
    assert np.allclose(R[:, :, 2], unit) and np.allclose(R @ R.swapaxes(1, 2), np.eye(3)) and np.allclose(
        np.linalg.det(R), 1.)
    assert np.allclose(rotation.angle_deg(R, np.tile(np.eye(3), (3, 1, 1))), np.rad2deg(np.arccos(unit[:, 2])))


def test_a_body_beside_the_optical_axis_looks_as_it_does_on_it() -> None:
    """With K the virtual camera sees the same pose; without, it does not: 27 degrees off the axis."""
    X = body()[:3]
    there = np.array([2., .3, 4.])
    S = ray_rotation(there)
    on, _ = seen(X, np.array([0, 0, np.linalg.norm(there)]))
    R = S @ np.array([[1., 0, 0], [0, 0, -1], [0, 1, 0]])
    off, _ = seen(X, there, R)
    ones = np.ones((3, 17))
    with_K, without = norm2d(off, ones, K), norm2d(off, ones)
    assert np.abs(with_K.w2d - norm2d(on, ones, K).w2d).max() < 1e-9
    assert np.abs(without.w2d - norm2d(on, ones, K).w2d).max() > .01
    assert np.allclose(with_K.ray_rot, S)


def test_the_same_as_in_training() -> None:
    torch = pytest.importorskip('torch')
    file = ROOT / 'training' / 'normalise.py'
    if not file.exists():
        pytest.skip('the training package is not here')
    spec = importlib.util.spec_from_file_location('training_normalise', file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    kp, conf = RNG.normal(500, 120, (50, 17, 2)), RNG.random((50, 17)) * (RNG.random((50, 17)) < .8)
    for k in (None, np.tile(K, (50, 1, 1))):
        ours = norm2d(kp, conf, k)
        theirs = module.norm2d(torch.tensor(kp), torch.tensor(conf), None if k is None else torch.tensor(k))
        for a, b in zip(ours, theirs, strict=True):
            assert np.abs(a - b.numpy()).max() < 1e-9


def test_lift_answers_in_camera_axes() -> None:
    """A faultless lifter, a body 20 degrees beside the axis, true K: the body as it stands before that camera."""
    X = body()
    rig = ring_rig(1, 4)
    R, t = rig.R[0], rig.t[0] + [1.2, .2, 0]
    from dataclasses import replace
    moved = replace(rig, t=t[None])
    oracle = Oracle(X, moved, error=0., turned=0.)
    px = project(X, rig.K[0], R, t)
    joints, sigma = lift(oracle, px, np.ones(px.shape[:2]), np.tile(rig.K[0], (len(X), 1, 1)))
    true = (X - X[:, :1]) @ R.T
    true = true / np.sqrt((true ** 2).sum(-1).mean(-1))[:, None, None]
    assert np.abs(joints - true).max() < 1e-6 and (sigma > 0).all() and oracle.calls == 1


def test_lift_refuses_a_lifter_of_other_joints() -> None:
    class Other:
        frames = 1

        def lift(self, pose: NDArray[np.float32]) -> tuple[Array, Array]:
            return np.zeros((len(pose), 16, 3)), np.ones((len(pose), 16))

    class Broken(Other):
        def lift(self, pose: NDArray[np.float32]) -> tuple[Array, Array]:
            return np.full((len(pose), 17, 3), np.nan), np.ones((len(pose), 17))
    pose = np.zeros((2, 17, 2)), np.ones((2, 17)), np.tile(K, (2, 1, 1))
    with pytest.raises(ObservationError, match='17 joints'):
        lift(Other(), *pose)
    with pytest.raises(ObservationError, match='damaged'):
        lift(Broken(), *pose)


def test_metres_is_the_size_of_the_bones() -> None:
    X = body()
    bones = np.linalg.norm(X[:, BONE_B] - X[:, BONE_A], axis=-1).mean(0)
    assert np.allclose(metres(X / 3.3, bones), 3.3, rtol=.02)
    assert np.allclose(metres(X, BONE_PRIOR_M) * stature_m(bones), stature_m(BONE_PRIOR_M), rtol=.02)


def test_place_is_exact_without_noise_and_says_how_sure_it_is_with() -> None:
    X = body()
    at = np.array([.8, -.3, 4.5])
    px, cam = seen(X, at)
    rays, w = (px - K[:2, 2]) / 900, np.ones((15, 17))
    t, sigma = place(cam, rays, w)
    assert np.abs(t - at).max() < 1e-6
    wrong = rays.copy()
    wrong[:, 3] += .2                                                      # a wild joint is no matter
    assert np.abs(place(cam, wrong, w)[0] - at).max() < .1
    # errors of a lifter's size, many times: as large as told, within a factor
    many = np.tile(cam[:1], (400, 1, 1)) + RNG.normal(0, .04, (400, 17, 3))
    t, sigma = place(many, np.tile(rays[:1], (400, 1, 1)), np.ones((400, 17)))
    off = np.std(t[:, 2]) / 4.5
    assert .7 < np.median(sigma) / off < 3.
    few = np.zeros((15, 17))
    few[:, :2] = 1.
    assert np.isnan(place(cam, rays, few)[0]).all()


def test_errors_lie_along_the_view() -> None:
    for axis in (np.array([0, 0, 1.]), np.array([.6, 0, .8])):
        cov = np.linalg.inv(depth_information(np.linspace(.1, .2, 17), axis))
        assert np.allclose(np.trace(cov, axis1=-2, axis2=-1), 3 * np.linspace(.1, .2, 17) ** 2)
        along, across = axis @ cov @ axis, np.array([0, 1., 0]) @ cov @ [0, 1., 0]
        assert (along > 4 * across).all() and np.allclose(np.linalg.eigvalsh(cov)[:, :2], across[:, None])


def test_pinhole_has_square_pixels() -> None:
    assert np.allclose(pinhole(None, (1000, 800))[0, 0], FOCAL_PRIOR[0] * 1000)
    k = pinhole(Intrinsics(np.array([[900., 0, 500], [0, 800, 400], [0, 0, 1]])), (1000, 800))
    assert k[0, 0] == k[1, 1] == 900.


@pytest.mark.parametrize('frames', [1, 5])
def test_views_are_lifted_once_and_together(frames: int) -> None:
    s = scene(3, 1., 15., 2, noise_px=1., outliers=0., swap=0.)
    oracle = Oracle(s.joints, s.rig, frames=frames)
    views = LiftedViews(oracle)
    row = Detections.of(s.frames[3]).first()
    pinholes = {c: s.rig.K[i] for i, c in enumerate(s.rig.cameras)}
    views.add(1, row)
    found = views.of(row, pinholes, 1)
    assert set(found) == set(row) and (oracle.calls, oracle.poses) == (1, 3)
    again = views.of(row, pinholes, 1)
    assert oracle.calls == 1 and all(np.array_equal(again[c][0], found[c][0]) for c in row)
    few = np.where(np.arange(17) < 6, row['cam1'].confidence, 0.)
    hidden = replace(row['cam1'], keypoints=np.where(few[:, None] > 0, row['cam1'].keypoints, np.nan), confidence=few)
    assert views.of({'cam1': hidden}, pinholes, 1) == {}
    assert views.of({'cam9': row['cam1']}, pinholes, 1) == {}


def test_a_temporal_lifter_gets_the_moments_of_its_training() -> None:
    """A camera of 30 Hz and a network of 15: every second frame; who is new has one pose, as often as it takes."""
    s = scene(3, 1., 30., 2, noise_px=1., outliers=0., swap=0.)
    given = []

    class Watching(Oracle):
        def lift(self, pose):
            given.append(pose[:, :, 2, 0])
            return super().lift(pose)

    views = LiftedViews(Watching(s.joints, s.rig, frames=5))
    pinholes = {c: s.rig.K[i] for i, c in enumerate(s.rig.cameras)}
    rows = [Detections.of(f).first() for f in s.frames[:12]]
    poses = []
    for row in rows:
        views.add(1, row)
        views.of(row, pinholes, 1)
        poses.append(given[-1][:, -1])
    assert (given[-1] == np.array(poses[3:12:2]).T).all()
    assert (given[4] == np.array([poses[0], poses[0], poses[0], poses[2], poses[4]]).T).all()
    views.of(Detections.of(s.frames[12]).first(), pinholes, 2)
    assert (given[-1] == given[-1][:, -1:]).all()
