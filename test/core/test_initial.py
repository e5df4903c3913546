# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""First guesses: exact on what each is made for, honest where it cannot work."""
from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import of_cameras, rays_of, rotation_errors

from selfpose_ros.core.rig import Rig
from selfpose_ros.core.rig.initial import factorise, from_pairs
from selfpose_ros.synthetic import ring_rig, walker

Array = NDArray[np.float64]

REVERSED = np.diag([1., 1., -1.])


def orthographic(X: Array, rig: Rig) -> Array:
    """(N, V, J, 2) scaled orthography: every joint at the distance of the body's middle."""
    C = np.einsum('vik,njk->nvji', rig.R, X) + rig.t[:, None]
    z = C[..., 2].mean((0, 2))
    return np.asarray(C[..., :2] / z[:, None, None])


def unequal(shape: tuple[int, ...]) -> Array:
    """Weights as confidences give them."""
    return np.random.default_rng(9).uniform(.2, 1., shape)


def on_the_spot(seed: int = 0, seconds: float = 3.) -> Array:
    """Movement without way: the depth of the body stays, as weak perspective wants it."""
    X = walker(seconds, 10, seed, 'exercise')
    return np.asarray(X - X[:, :1])


@pytest.mark.parametrize('views', [3, 4, 6])
def test_factorisation_of_orthographic_images_is_exact_up_to_the_mirror(views: int) -> None:
    """One of the two has all rotations to 0.01 degrees (measured 1e-13), the other is its depth reversal."""
    rig, X = ring_rig(views, 2), on_the_spot()
    found = factorise(orthographic(X, rig), np.ones((len(X), views, 17)))
    assert len(found) == 2
    errors = [rotation_errors(R, rig.R).max() for R, _ in found]
    assert min(errors) < .01 < 20 < max(errors)
    mirrored = REVERSED @ found[int(np.argmin(errors))][0] @ REVERSED
    assert rotation_errors(found[int(np.argmax(errors))][0], mirrored).max() < .01
    assert np.linalg.det(np.stack([R for R, _ in found])) == pytest.approx(1.)


def test_both_of_the_mirror_pair_explain_orthographic_images() -> None:
    """That is why both are handed on: images of scaled orthography cannot tell them apart. Residual of the best
    body in either rig: below 1e-4 of the image.
    """
    rig, X = ring_rig(4, 2), on_the_spot()
    px = orthographic(X, rig)
    px = px - px.mean(2, keepdims=True)
    scale = np.sqrt((px ** 2).sum(-1).mean((0, 2)))
    for R, _ in factorise(px, np.ones((len(X), 4, 17))):
        # every camera has its own scale: solve for it along with the body, by alternation
        s = 1 / scale
        for _ in range(200):
            A = R[:, :2].reshape(8, 3)
            Y = np.linalg.lstsq(A, (px * s[:, None, None]).transpose(1, 3, 0, 2).reshape(8, -1), rcond=None)[0]
            fit = (A @ Y).reshape(4, 2, len(X), 17).transpose(2, 0, 3, 1)
            s = (fit * px).sum((0, 2, 3)) / (px * px).sum((0, 2, 3))
        assert np.abs(fit - px * s[:, None, None]).max() < 1e-4 * np.abs(fit).max()


def test_factorisation_of_perspective_images_is_near_enough_to_start_from() -> None:
    """Real perspective, a walker: the better one within 25 degrees (measured 12 to 16)."""
    for seed in range(1, 5):
        rig, X = ring_rig(4, seed), walker(3., 10, seed)
        errors = [rotation_errors(R, rig.R).max() for R, _ in factorise(rays_of(X, rig), np.ones((len(X), 4, 17)))]
        assert min(errors) < 25.


def test_bodies_lie_in_front_of_the_guessed_cameras() -> None:
    """At the right distance for a body of adult size, to 20 % (measured 12)."""
    rig, X = ring_rig(4, 3), walker(2., 10, 3)
    true = X.mean((0, 1)) @ rig.R[:, 2].T + rig.t[:, 2]
    for _, t in factorise(rays_of(X, rig), np.ones((len(X), 4, 17))):
        assert np.abs(t[:, 2] / true - 1).max() < .2


def test_factorisation_bears_wrong_limbs_and_what_is_not_seen() -> None:
    """5 % of the joints 0.1 (100 px) off, 20 % unseen with nonsense in their place: within 3 degrees (measured
    1.4).
    """
    rig, X = ring_rig(4, 2), on_the_spot()
    px = orthographic(X, rig)
    rng = np.random.default_rng(0)
    bad = rng.random(px.shape[:3]) < .05
    px[bad] += rng.choice([-.1, .1], (bad.sum(), 2))
    w = (rng.random(px.shape[:3]) > .05).astype(float)           # a joint must be seen by all: 0.95^4 = 0.8
    px[w == 0] = 1e9
    assert min(rotation_errors(R, rig.R).max() for R, _ in factorise(px, w)) < 3.


def test_two_views_are_not_factorised() -> None:
    """Two orthographic views fit any angle between them: no answer rather than one of many."""
    rig, X = ring_rig(2, 2), on_the_spot()
    assert factorise(orthographic(X, rig), np.ones((len(X), 2, 17))) == []


def test_nothing_seen_gives_no_guess() -> None:
    rays = np.zeros((5, 3, 17, 2))
    assert factorise(rays, np.zeros((5, 3, 17))) == []
    assert from_pairs(rays, np.zeros((5, 3, 17)), np.full(3, 1000.)) == []
    few = np.zeros((5, 3, 17))
    few[0, :, :5] = 1.
    assert factorise(rays, few) == [] and from_pairs(rays, few, np.full(3, 1000.)) == []


@pytest.mark.parametrize('views', [2, 3, 5])
def test_essential_matrices_of_exact_rays_are_exact(views: int) -> None:
    """Rotations to 0.01 degrees (measured 5e-5), directions of the baselines to 0.01 (8e-6)."""
    rig, X = ring_rig(views, 1), walker(3., 10, 1)
    found = from_pairs(rays_of(X, rig), unequal((len(X), views, 17)), rig.K[:, 0, 0])
    assert len(found) == 1
    R, t = found[0]
    assert rotation_errors(R, rig.R).max() < .01
    true = rig.t - np.einsum('vij,j->vi', rig.R @ rig.R[0].T, rig.t[0])
    a, b = t[1:] / np.linalg.norm(t[1:]), true[1:] / np.linalg.norm(true[1:])
    assert np.rad2deg(np.abs(a - b).max()) < .01
    assert np.array_equal(R[0], np.eye(3)) or np.allclose(R[0], np.eye(3), atol=1e-12)


def test_a_detector_that_is_equally_sure_of_everything_can_start_a_rig() -> None:
    """Some networks say 1 for every joint: two views have no other first guess than the essential matrix."""
    rig, X = ring_rig(2, 1), walker(3., 10, 1)
    found = from_pairs(rays_of(X, rig), np.ones((len(X), 2, 17)), rig.K[:, 0, 0])
    assert found and rotation_errors(found[0][0], rig.R).max() < .05


def test_essential_matrices_bear_outliers() -> None:
    """A fifth of the joints anywhere, 2 px noise: within 5 degrees (measured 2.1)."""
    rig, X = ring_rig(3, 1), walker(3., 10, 1)
    rng = np.random.default_rng(0)
    rays = rays_of(X, rig) + rng.normal(0, .002, (len(X), 3, 17, 2))
    bad = rng.random(rays.shape[:3]) < .2
    rays[bad] += rng.uniform(-.3, .3, (bad.sum(), 2))
    R, _ = from_pairs(rays, unequal((len(X), 3, 17)), rig.K[:, 0, 0])[0]
    assert rotation_errors(R, rig.R).max() < 5.


def test_a_further_camera_is_placed_by_what_it_is_sure_of() -> None:
    """A quarter of its joints, those that it is least sure of, are anywhere."""
    rig, X = ring_rig(3, 1), walker(3., 10, 1)
    rays, w = rays_of(X, rig), unequal((len(X), 3, 17))
    w[:, 1] = w[:, 0]                                            # these two begin
    wrong = w[:, 2] < np.quantile(w[:, 2], .25)
    w[:, 2] *= .5
    rays[:, 2][wrong] = np.random.default_rng(1).uniform(-.4, .4, (wrong.sum(), 2))
    (R, _), = from_pairs(rays, w, rig.K[:, 0, 0])
    assert rotation_errors(R, rig.R).max() < .1


def test_guesses_are_the_same_every_time() -> None:
    """RANSAC is seeded: a replay must not depend on what ran before."""
    rig, X = ring_rig(3, 1), walker(2., 10, 1)
    rays = rays_of(X, rig) + np.random.default_rng(0).normal(0, .003, (len(X), 3, 17, 2))
    w = unequal((len(X), 3, 17))
    a, b = (from_pairs(rays, w, rig.K[:, 0, 0])[0] for _ in range(2))
    assert np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])


def test_a_camera_that_saw_nothing_leaves_no_half_rig() -> None:
    """Three cameras, one blind: there is no rig of three, and none is made up."""
    rig, X = ring_rig(3, 1), walker(2., 10, 1)
    w = unequal((len(X), 3, 17))
    w[:, 2] = 0.
    assert from_pairs(rays_of(X, rig), w, rig.K[:, 0, 0]) == []


def test_cameras_in_one_place_do_not_raise() -> None:
    rig = of_cameras(ring_rig(2, 1), [0, 0])
    X = walker(2., 10, 1)
    for R, t in from_pairs(rays_of(X, rig), unequal((len(X), 2, 17)), rig.K[:, 0, 0]):
        assert np.isfinite(R).all() and np.isfinite(t).all()


def test_a_camera_that_sees_one_spot_is_no_first_guess_and_no_failure() -> None:
    # a 2D network that is out of its depth says the same place for all joints
    rig = ring_rig(3, seed=2)
    X = walker(3., 10, 1, 'mixed')
    rays = rays_of(X, rig)
    rays[:, 2] = [.1, .2]
    assert from_pairs(rays, np.ones((len(X), 3, 17)), rig.K[:, 0, 0]) == []
