# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rotations at every angle, also where series, half turns and mirrors lie in wait."""
from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from selfpose_ros.core.rotation import (
    angle_deg,
    cross_matrix,
    exp,
    log,
    mean_rotation,
    nearest_rotation,
    ray_rotation,
    rigid_alignment,
    similarity_alignment,
)

Array = NDArray[np.float64]

ANGLES = (0., 1e-14, 1e-9, 9e-6, 1.1e-5, 1e-3, 1., 3., np.pi - 1e-4, np.pi - 1e-7, np.pi - 1e-10)


def directions(n: int = 60) -> Array:
    """Random ones and those in which quaternion components vanish."""
    rng = np.random.default_rng(0)
    special = [*np.eye(3), *-np.eye(3), [1, 1, 0], [1, 0, -1], [0, -1, 1], [1, 1, 1]]
    d = np.concatenate([rng.normal(size=(n, 3)), np.array(special, float)])
    return d / np.linalg.norm(d, axis=-1, keepdims=True)


@pytest.mark.parametrize('angle', [*ANGLES, np.pi])
def test_exponential_is_that_of_scipy(angle: float) -> None:
    """To 3e-15, measured 7e-16."""
    w = angle * directions()
    assert np.abs(exp(w) - Rotation.from_rotvec(w).as_matrix()).max() < 3e-15


@pytest.mark.parametrize('angle', ANGLES)
def test_logarithm_undoes_the_exponential_up_to_the_half_turn(angle: float) -> None:
    """To 1e-14 rad, measured 9e-16, also 1e-10 rad before the half turn."""
    w = angle * directions()
    assert np.abs(log(exp(w)) - w).max() < 1e-14
    assert np.allclose(log(exp(w)), w, rtol=1e-6, atol=0)


def test_half_turns_have_a_logarithm() -> None:
    """At pi the axis' sign is free, the rotation is not: to 1e-14, measured 9e-16; the length is pi."""
    R = exp(np.pi * directions())
    w = log(R)
    assert np.abs(np.linalg.norm(w, axis=-1) - np.pi).max() < 1e-12
    assert np.abs(exp(w) - R).max() < 1e-14


def test_longer_vectors_come_back_as_the_shorter_way_round() -> None:
    w = (np.pi + .3) * directions()
    assert np.abs(log(exp(w)) + (np.pi - .3) * directions()).max() < 1e-13


def test_logarithm_of_noisy_matrices_stays_finite() -> None:
    """Matrices that are rotations to 1e-6 only, as files hold them: within 1e-5 rad."""
    rng = np.random.default_rng(1)
    for angle in ANGLES:
        w = angle * directions()
        back = exp(log(exp(w) + 1e-6 * rng.normal(size=(len(w), 3, 3))))
        assert np.abs(back - exp(w)).max() < 1e-5


def test_cross_matrix_is_the_cross_product() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 5, 3))
    assert np.allclose(np.einsum('nij,nj->ni', cross_matrix(a), b), np.cross(a, b), atol=1e-15)


def test_angle_is_exact_for_small_and_large_differences() -> None:
    """1e-7 degrees is told from nothing (the trace formula could not); 179.999 degrees to 1e-9."""
    R = exp(directions())
    for deg in (0., 1e-7, 1e-3, 30., 179.999):
        other = R @ exp(np.deg2rad(deg) * directions()[::-1])
        assert angle_deg(R, other) == pytest.approx(deg, rel=1e-6, abs=1e-12)
        assert np.allclose(angle_deg(R, other), angle_deg(other, R), atol=1e-9)


def test_nearest_rotation_is_never_a_mirror() -> None:
    """Rotations come back as they are; reflections, singular and zero matrices give determinant +1."""
    R = exp(directions())
    assert np.abs(nearest_rotation(3.7 * R) - R).max() < 1e-14
    rng = np.random.default_rng(3)
    hard = np.concatenate([-R[:5], np.diag([1., 1., -1.])[None], np.diag([1., 1., 0.])[None], np.zeros((1, 3, 3)),
                           rng.normal(size=(50, 3, 3))])
    out = nearest_rotation(hard)
    assert np.linalg.det(out) == pytest.approx(1.)
    assert np.abs(out @ np.swapaxes(out, 1, 2) - np.eye(3)).max() < 1e-13


def test_nearest_rotation_is_the_nearest() -> None:
    """No small turn away from it comes closer, in the Frobenius norm."""
    M = np.random.default_rng(4).normal(size=(20, 3, 3))
    best = nearest_rotation(M)
    d0 = ((best - M) ** 2).sum((1, 2))
    for step in 1e-2 * directions():
        assert ((((exp(step) @ best) - M) ** 2).sum((1, 2)) >= d0 - 1e-12).all()


def test_mean_lies_in_the_middle_and_follows_its_weights() -> None:
    """R turned by +w and -w has the mean R; with weights 3 to 1 it lies nearer the first; a mean is a rotation."""
    R = exp(np.array([.3, -2.5, 1.]))
    w = np.array([.4, .2, -.1])
    pair = np.stack([exp(w) @ R, exp(-w) @ R])
    assert angle_deg(mean_rotation(pair), R) < 1e-9
    heavy = mean_rotation(pair, np.array([3., 1.]))
    assert angle_deg(heavy, pair[0]) < angle_deg(R, pair[0]) - 5.
    far = np.stack([np.eye(3), exp(np.array([np.pi, 0, 0])), exp(np.array([0, np.pi, 0]))])
    assert np.linalg.det(mean_rotation(far)) == pytest.approx(1.)


def test_alignment_is_exact_without_noise() -> None:
    rng = np.random.default_rng(5)
    p = rng.normal(size=(17, 3))
    R0, t0 = exp(np.array([2., -1., .5])), np.array([1., -20., 3.])
    s, R, t = similarity_alignment(p, 2.5 * p @ R0.T + t0)
    assert s == pytest.approx(2.5) and np.allclose(R, R0, atol=1e-13) and np.allclose(t, t0, atol=1e-12)
    R, t = rigid_alignment(p, p @ R0.T + t0)
    assert np.allclose(R, R0, atol=1e-13) and np.allclose(t, t0, atol=1e-12)


def test_several_sets_are_aligned_each_by_itself() -> None:
    rng = np.random.default_rng(9)
    p, g = rng.normal(size=(2, 3, 4, 17, 3))
    s, R, t = similarity_alignment(p, g, np.arange(17.))
    assert s.shape == (3, 4) and R.shape == (3, 4, 3, 3) and t.shape == (3, 4, 3)
    assert np.array_equal(similarity_alignment(p[1], g[1], np.arange(17.))[0], s[1])
    for i in np.ndindex(3, 4):
        one = similarity_alignment(p[i], g[i], np.arange(17.))
        assert isinstance(one[0], float)
        assert all(np.allclose(a[i], b, atol=1e-12) for a, b in zip((s, R, t), one, strict=True))


def test_a_rigid_motion_does_not_grow() -> None:
    """Of points and their doubles: the middle goes to the middle, and twice as far is left to be off by."""
    p = np.random.default_rng(10).normal(size=(17, 3))
    R, t = rigid_alignment(p, 2 * p)
    assert np.allclose(R, np.eye(3), atol=1e-12) and np.allclose(t, p.mean(0), atol=1e-12)


def test_alignment_with_a_mirror_image_stays_a_rotation() -> None:
    p = np.random.default_rng(6).normal(size=(17, 3))
    s, R, t = similarity_alignment(p, p * [1, 1, -1])
    assert np.linalg.det(R) == pytest.approx(1.)
    assert np.linalg.norm(s * p @ R.T + t - p * [1, 1, -1], axis=-1).mean() > .3


def test_alignment_of_flat_points_is_exact_and_weights_silence_outliers() -> None:
    """A body seen edge on (all joints in one plane) has one rotation all the same."""
    rng = np.random.default_rng(7)
    p = rng.normal(size=(17, 3)) * [1, 1, 0]
    R0 = exp(np.array([.1, 3., -.2]))
    g = p @ R0.T
    _, R, _ = similarity_alignment(p, g)
    assert angle_deg(R, R0) < 1e-6
    g[3] += 10.
    w = np.ones(17)
    w[3] = 0.
    s, R, _ = similarity_alignment(p, g, w)
    assert angle_deg(R, R0) < 1e-6 and s == pytest.approx(1.)


def test_alignment_of_coinciding_points_is_finite() -> None:
    s, R, t = similarity_alignment(np.ones((4, 3)), np.ones((4, 3)))
    assert np.isfinite(s) and np.isfinite(R).all() and np.isfinite(t).all()
    assert np.linalg.det(R) == pytest.approx(1.)


def test_ray_rotation_is_the_smallest_that_takes_the_axis_to_the_ray() -> None:
    """Rays of any length in front: no turn about the axis itself, the angle that lies between; to 1e-12."""
    rays = np.random.default_rng(8).normal(size=(4, 30, 3)) * [1, 1, .3] + [0, 0, 1.2]
    rays[..., 2] = np.abs(rays[..., 2])
    R = ray_rotation(rays)
    assert np.array_equal(ray_rotation(rays[1, 2]), R[1, 2])
    unit = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    assert np.allclose(R[..., 2], unit, atol=1e-12)
    assert np.allclose(R @ np.swapaxes(R, -1, -2), np.eye(3), atol=1e-12) and np.allclose(np.linalg.det(R), 1.)
    axis = log(R)
    assert np.allclose(axis[..., 2], 0., atol=1e-9)
    assert np.allclose(np.linalg.norm(axis, axis=-1), np.arccos(unit[..., 2]), atol=1e-7)
