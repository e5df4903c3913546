# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lifted poses of several views to one body, to a first rig, and into the filter."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import Oracle
from scenes import EXACT, fit, rotation_errors, scene, tracks_of
from scipy.spatial.transform import Rotation

from selfpose_ros.core import rotation
from selfpose_ros.core.body import BONE_A, BONE_B
from selfpose_ros.core.filtering import Measurement, SkeletonFilter
from selfpose_ros.core.fusion.lifted import (
    _mean,
    align_views,
    body_in_world,
    bone_vectors,
    depth_agreement,
    fuse,
    lifted_rig,
)
from selfpose_ros.core.lifting import lift
from selfpose_ros.core.rig.initial import from_lifted
from selfpose_ros.core.rig.solver import Tracks, solve

Array = NDArray[np.float64]

SCENE = scene(4, 3., 15., 2, 'mixed')
CLEAN = scene(4, 3., 15., 2, 'mixed', **EXACT)
TRUE_BONES = np.linalg.norm(SCENE.first[0, BONE_B] - SCENE.first[0, BONE_A], axis=-1)


def lifted(s: Tracks, error: float, turned: float = 0.) -> tuple[Array, Array]:
    oracle = Oracle(SCENE.joints, SCENE.rig, error=error, turned=turned, seed=4)
    N, V = s.kp.shape[:2]
    seen = np.isfinite(s.kp).all(-1)
    conf = np.where(seen, s.confidence, 0.)
    joints, sigma = lift(oracle, np.where(seen[..., None], s.kp, 0.).reshape(-1, 17, 2), conf.reshape(-1, 17),
                         np.tile(SCENE.rig.K, (N, 1, 1)))
    return joints.reshape(N, V, 17, 3), sigma.reshape(N, V, 17)


def views_of(s: Tracks) -> tuple[Array, Array]:
    """Rays and weights with the true intrinsics."""
    seen = np.isfinite(s.kp).all(-1) & (s.confidence > 0)
    f = SCENE.rig.K[:, 0, 0]
    rays = (np.where(seen[..., None], s.kp, 0.) - SCENE.rig.K[:, :2, 2][:, None]) / f[:, None, None]
    return rays, np.where(seen, (f[:, None] / 5.) ** 2, 0.)


def test_faultless_poses_give_the_true_rig_from_one_instant() -> None:
    """Rotations to 0.01 degrees, bodies to a millimetre, sizes by the bones that are told."""
    t = tracks_of(CLEAN.frames[:1])
    joints, sigma = lifted(t, 0.)
    found = lifted_rig(joints, sigma, *views_of(t), TRUE_BONES)
    assert found is not None and rotation_errors(found.R, SCENE.rig.R).max() < .01
    f = fit(found.X, SCENE.first[:1])
    assert f.median_m < .001 and f.scale == pytest.approx(1., abs=.02)
    base = np.linalg.norm(np.diff(-np.einsum('vji,vj->vi', found.R, found.t), axis=0), axis=1)
    assert np.allclose(base, np.linalg.norm(np.diff(SCENE.rig.centres, axis=0), axis=1), rtol=.02)


def test_rotations_get_better_with_more_instants_though_some_stray() -> None:
    """Errors of 12 %, every tenth pose inside out: the mean of 45 instants is better than 8 degrees, and than one."""
    joints, sigma = lifted(tracks_of(SCENE.frames), .12, .1)
    every = align_views(joints, sigma)
    assert every is not None
    R, predicted, ref = every
    e = rotation_errors(R, SCENE.rig.R)
    single = [align_views(joints[n:n + 1], sigma[n:n + 1]) for n in range(0, 45, 5)]
    alone = np.mean([rotation_errors(x[0], SCENE.rig.R).max() for x in single if x is not None])
    assert e.max() < 8. and e.max() < alone
    assert predicted[ref] == 0. and (np.delete(predicted, ref) > 2.).all()
    assert np.allclose(R[ref], np.eye(3)) and np.allclose(np.linalg.det(R), 1.)


def test_views_of_different_bodies_are_no_rig() -> None:
    """One camera shows somebody who lies upside down against what the others would have."""
    joints, sigma = lifted(tracks_of(SCENE.frames[:10]), .05)
    other = joints.copy()
    other[:, 2] = np.roll(joints[:, 2], 5, axis=1) * [1, -1, 1]
    other[:, 2] -= other[:, 2, :1]
    assert align_views(joints, sigma) is not None and align_views(other, sigma) is None
    alone = joints.copy()
    alone[:, 3] = np.nan
    assert align_views(alone, sigma) is None


def test_fused_bodies_are_better_than_any_view() -> None:
    """Depth is what a single view does not tell: four views halve the error."""
    joints, sigma = lifted(tracks_of(SCENE.frames), .12)
    true = SCENE.first - SCENE.first[:, :1]
    size = np.sqrt((true ** 2).sum(-1).mean(-1))[:, None, None]
    x, spread = fuse(joints, sigma, SCENE.rig.R)
    off = np.linalg.norm(x - true / size, axis=-1).mean()
    alone = np.linalg.norm(joints - np.einsum('vab,njb->nvja', SCENE.rig.R, true / size), axis=-1).mean()
    assert off < .55 * alone
    rms = np.sqrt((((x - true / size)[:, 1:]) ** 2).mean())
    assert .5 < rms / spread[:, 1:].mean() < 2.


def test_a_first_guess_of_the_solver_where_others_have_too_little() -> None:
    """Four instants: the guess is within 40 degrees, and the solver, told of lifted poses, finds the rig to 6."""
    t = tracks_of(SCENE.frames[20:24])
    joints, sigma = lifted(t, .12)
    rays, w = views_of(t)
    (R, trans), = from_lifted(rays, w, joints, sigma)
    assert rotation_errors(R, SCENE.rig.R).max() < 40. and np.allclose(R[0], np.eye(3)) and np.allclose(trans[0], 0.)
    solution = solve(replace(t, lifted=joints, lifted_sigma=sigma))
    assert hasattr(solution, 'state') and rotation_errors(solution.state.cameras.R, SCENE.rig.R).max() < 6.
    assert from_lifted(rays, w, np.full_like(joints, np.nan), sigma) == []


def test_without_lifted_poses_the_solver_does_what_it_did() -> None:
    """Tracks without, and tracks in which none was asked for, give the same rig to rounding errors."""
    t = tracks_of(SCENE.frames[:12])
    none = replace(t, lifted=np.full((*t.kp.shape[:3], 3), np.nan), lifted_sigma=np.full(t.kp.shape[:3], np.nan))
    a, b = solve(t), solve(none)
    assert hasattr(a, 'state') and np.allclose(a.state.cameras.R, b.state.cameras.R, rtol=0, atol=1e-7)
    assert np.allclose(a.state.X, b.state.X, rtol=0, atol=1e-6)


def test_a_mirrored_world_is_told_from_the_true_one() -> None:
    joints, sigma = lifted(tracks_of(SCENE.frames[:5]), .12)
    X, R, D = SCENE.first[:5], SCENE.rig.R, np.diag([1., 1., -1.])
    right = depth_agreement(X, R, joints, sigma)
    # the same images under weak perspective: every camera looks from the other side at the reflected body
    wrong = depth_agreement(X @ D, D @ R @ D, joints, sigma)
    assert right > .7 and wrong < -.7
    assert depth_agreement(X, R, np.full_like(joints, np.nan), sigma) == 0.


def test_where_a_body_is_in_a_known_rig() -> None:
    """From all views, and from one alone: 3 and 25 cm (bones known, faultless poses: 1 mm and 5 cm)."""
    t = tracks_of(SCENE.frames[:1])
    rays, w = views_of(t)
    joints, sigma = lifted(t, .12)
    rig = SCENE.rig
    every = body_in_world(joints[0], sigma[0], rays[0], w[0], rig.R, rig.t, TRUE_BONES, [0, 1, 2, 3])
    assert every is not None and np.median(np.linalg.norm(every - SCENE.first[0], axis=-1)) < .05
    only = np.where(np.arange(4)[:, None] == 1, w[0], 0.)
    one = body_in_world(joints[0, 1:2], sigma[0, 1:2], rays[0], only, rig.R, rig.t, TRUE_BONES, [1])
    assert one is not None and np.median(np.linalg.norm(one - SCENE.first[0], axis=-1)) < .35
    c = tracks_of(CLEAN.frames[:1])
    rays, w = views_of(c)
    joints, sigma = lifted(c, 0.)
    one = body_in_world(joints[0, 1:2], sigma[0, 1:2], rays[0], np.where(np.arange(4)[:, None] == 1, w[0], 0.), rig.R,
                        rig.t, TRUE_BONES, [1])
    assert one is not None and np.linalg.norm(one - SCENE.first[0], axis=-1).max() < .05
    assert body_in_world(joints[0, 1:2], sigma[0, 1:2], rays[0], 0 * w[0], rig.R, rig.t, TRUE_BONES, [1]) is None


def test_bone_vectors_are_those_of_the_body() -> None:
    joints, sigma = lifted(tracks_of(CLEAN.frames[:1]), 0.)
    bones, info = bone_vectors(joints[0], sigma[0], SCENE.rig.R, SCENE.rig.t, SCENE.first[0, 0], TRUE_BONES)
    true = SCENE.first[0, BONE_B] - SCENE.first[0, BONE_A]
    assert np.abs(bones - true).max() < .02
    assert np.linalg.eigvalsh(info).min() > 0
    # a body of twice the size is lifted twice as unsurely
    twice, less = bone_vectors(joints[0], sigma[0], SCENE.rig.R, SCENE.rig.t, SCENE.first[0, 0], 2 * TRUE_BONES)
    assert np.allclose(twice, 2 * bones) and np.allclose(less, info / 4)
    # one view: least sure along it
    _, info = bone_vectors(joints[0, :1], sigma[0, :1], SCENE.rig.R[:1], SCENE.rig.t[:1], SCENE.first[0, 0], TRUE_BONES)
    axis = SCENE.rig.R[0] @ SCENE.first[0, 0] + SCENE.rig.t[0]
    axis = SCENE.rig.R[0].T @ axis / np.linalg.norm(axis)
    across = np.cross(axis, [0, 0, 1.])
    across /= np.linalg.norm(across)
    assert axis @ info[2] @ axis < .3 * (across @ info[2] @ across)


def seen_by_one(told: bool, wrong: bool = False) -> tuple[SkeletonFilter, Array]:
    """A filter that knew a body roughly, and sees it with one camera for 30 ticks."""
    rig, X = SCENE.rig, SCENE.first[0]
    bones = X[BONE_B] - X[BONE_A]
    f = SkeletonFilter(rig.geometry.take([0]), TRUE_BONES, float(np.linalg.norm(X[1] - X[4])))
    rng = np.random.default_rng(1)
    f.start(X + rng.normal(0, .08, X.shape), .15)
    cam = X @ rig.R[0].T + rig.t[0]
    px = cam[:, :2] / cam[:, 2:] * rig.K[0, 0, 0] + rig.K[0, :2, 2]
    if wrong:
        bones = np.where(np.arange(16)[:, None] == 2, bones * -4., bones)
    info = np.tile(np.eye(3) / .05 ** 2, (16, 1, 1))
    for _ in range(30):
        f.predict(1 / 15)
        f.update(Measurement(px[None], np.full((1, 17), 3.), np.zeros(1), *((bones, info) if told else ())))
    return f, X


def test_lifted_bones_hold_a_body_that_one_camera_sees() -> None:
    """Its depth is right and known, which it is not without."""
    with_, X = seen_by_one(True)
    without, _ = seen_by_one(False)
    shape = lambda x: np.linalg.norm((x - x[0]) - (X - X[0]), axis=-1).mean()      # noqa: E731
    assert shape(with_.x) < .02 and shape(with_.x) < .5 * shape(without.x)
    assert with_.sigma.mean() < without.sigma.mean()


def test_a_lifted_bone_that_cannot_be_does_not_pull() -> None:
    f, X = seen_by_one(True, wrong=True)
    assert np.linalg.norm((f.x - f.x[0]) - (X - X[0]), axis=-1).max() < .15


def test_rotation_is_never_a_reflection() -> None:
    """Poses of one view all inside out: still a rotation between the views, and a large misfit."""
    joints, sigma = lifted(tracks_of(SCENE.frames[:6]), .05)
    joints[:, 1] *= [1, 1, -1]
    found = align_views(joints, sigma)
    assert found is None or np.allclose(np.linalg.det(found[0]), 1.)
    assert rotation.angle_deg(np.eye(3)[None], np.eye(3)[None])[0] == 0.


# -- weights

def two_views(joints: int = 17) -> tuple[Array, Array]:
    """Poses (1, 2, 17, 3) of one body from two sides that do not quite fit together, and the turn between them."""
    rng = np.random.default_rng(3)
    y = rng.normal(0, .5, (1, 2, joints, 3))
    R = rotation.exp(np.array([.3, -1.1, .2]))
    y[:, 1] = y[:, 0] @ R.T + rng.normal(0, .1, (1, joints, 3))
    y[:, :, 0] = 0.
    return y, R


def test_a_joint_counts_by_what_both_views_make_of_it() -> None:
    """One view is surer of these joints, the other of those, by as much: every joint weighs the same, and the rotation
    is that of plain Procrustes.
    """
    y, _ = two_views()
    sigma = np.full((1, 2, 17), .2)
    sigma[0, 0, 1:9] = sigma[0, 1, 9:] = .05
    found = align_views(y, sigma)
    assert found is not None and found[2] == 0
    plain, _ = Rotation.align_vectors(y[0, 1], y[0, 0])
    assert rotation.angle_deg(found[0][1], plain.as_matrix()) < 1e-5


def test_joints_that_a_view_is_unsure_of_do_not_turn_it() -> None:
    """Five joints of one of three views are anywhere, and said to be: rotations to 0.002 degrees."""
    X = two_views()[0][:, 0]
    true = rotation.exp(np.array([[0., 0., 0.], [.3, -1.1, .2], [-.5, .4, 1.]]))
    y = np.einsum('vab,njb->nvja', true, X)
    sigma = np.full((1, 3, 17), .1)
    y[:, 1, 5:10] += np.random.default_rng(1).normal(0, .5, (1, 5, 3))
    sigma[:, 1, 5:10] = 1e3
    found = align_views(y, sigma)
    assert found is not None and rotation_errors(found[0], true).max() < .002


def test_the_reference_is_the_view_that_is_seen_most_surely() -> None:
    """Not the one that is hardly seen, however unsure all are."""
    y = np.repeat(two_views()[0], 4, 0)
    y[1:, 0] = np.nan
    for sigma in (.01, .1, 3.):
        found = align_views(y, np.full((4, 2, 17), sigma))
        assert found is not None and found[2] == 1


def test_how_sure_a_mean_rotation_is() -> None:
    """Turns by 10 degrees to either side: one in ten instants counts, and 3 degrees stay however many there are; turns
    by 1 degree are trusted as if they were 4.
    """
    def told(degrees: float, n: int) -> float:
        w = np.deg2rad(degrees) * np.where(np.arange(n) % 2, 1., -1.)[:, None] * [0., 0., 1.]
        mean, sigma = _mean(rotation.exp(w), np.ones(n))
        assert n % 2 or np.allclose(mean, np.eye(3))
        return sigma
    assert told(10., 40) == pytest.approx(np.hypot(10. / 2, 3.)) and told(10., 4) == pytest.approx(np.hypot(10., 3.))
    assert told(1., 40) == pytest.approx(np.hypot(4. / 2, 3.)) and told(10., 40000) == pytest.approx(3., abs=.01)
    assert [_mean(np.eye(3)[None].repeat(n, 0), np.ones(n))[1] for n in (1, 2)] == pytest.approx([12., 12. / 2 ** .5])


def test_a_body_that_no_view_shows_is_known_to_be_unknown() -> None:
    y, R = two_views()
    x, spread = fuse(np.full_like(y, np.nan), np.full((1, 2, 17), .1), np.stack([np.eye(3), R]))
    assert np.abs(x).max() == 0. and np.isfinite(spread).all() and spread.min() > 1e4
