# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Bundle adjustment: derivatives against finite differences, gauge, exact data, gross errors."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from problems import exact
from scenes import rotation_errors

from selfpose_ros.core import rotation
from selfpose_ros.core.body import BONE_A, BONE_B, BONE_LOG_SIGMA, BONE_PRIOR_M, MIRROR_BONE
from selfpose_ros.core.rig import bundle
from selfpose_ros.core.rig.bundle import adjust
from selfpose_ros.core.rig.bundle_equations import centre_equations, gathered, linearise, normal_equations
from selfpose_ros.core.rig.bundle_problem import (
    SYMMETRY_LOG_SIGMA,
    BundleProblem,
    BundleState,
    bone_prior,
    cost_of,
    residuals,
)
from selfpose_ros.core.rig.lens import LensPrior

Array = NDArray[np.float64]


def shaken(s: BundleState, seed: int = 0, size: float = 1.) -> BundleState:
    """Away from the solution: cameras by about 3 degrees and 10 cm, focal lengths by 10 %, joints by 5 cm."""
    rng = np.random.default_rng(seed)
    c = s.cameras
    V = len(c)
    w, dt = size * .05 * rng.normal(size=(V, 3)), size * .1 * rng.normal(size=(V, 3))
    w[0] = dt[0] = 0.
    other = replace(c, R=rotation.exp(w) @ c.R, t=c.t + dt, focal=c.focal * np.exp(size * .1 * rng.normal(size=V)))
    return BundleState(other, s.X + size * .05 * rng.normal(size=s.X.shape),
                       s.bones * np.exp(size * .05 * rng.normal(size=16)))


def behind_lenses(p: BundleProblem, s: BundleState) -> tuple[BundleProblem, BundleState]:
    """With lenses, of which two are equal, and the prior of those that exist."""
    unknown = np.full(3, np.nan)
    prior = LensPrior.of(np.full((3, 2), 1000), p.centre, unknown, unknown, [(0, 2)]).with_distortion()
    lens = np.array([[-.3, .1], [.05, .01], [-.28, .11]])
    return replace(p, lens=prior, temper=3.), replace(s, cameras=replace(s.cameras, lens=lens))


def moved(s: BundleState, dc: Array, dx: Array) -> BundleState:
    """The state changed as the parameters of the normal equations mean it."""
    c, was = dc[:-16].reshape(-1, 9), s.cameras
    there = replace(was, R=rotation.exp(c[:, :3]) @ was.R, t=was.t + c[:, 3:6], focal=was.focal * np.exp(c[:, 6]),
                    lens=was.lenses + c[:, 7:])
    return BundleState(there, s.X + dx.reshape(s.X.shape), s.bones * np.exp(dc[-16:]))


def some_unseen(p: BundleProblem) -> BundleProblem:
    sigma = p.sigma * np.exp(np.random.default_rng(5).normal(0, .3, p.sigma.shape))
    sigma[0, 0, 3] = sigma[1, :, 5] = sigma[2, 1] = np.inf
    return replace(p, sigma=sigma)


# -- derivatives

@pytest.mark.parametrize('lens', [False, True])
def test_residuals_derivatives_are_those_of_finite_differences(lens: bool) -> None:
    """Central differences, step 1e-6: to 1e-6 of the largest entry, measured 1e-9."""
    _, p, s = exact()
    p, s = some_unseen(p), shaken(s)
    p, s = behind_lenses(p, s) if lens else (p, s)
    _, JX, Jc = linearise(s, p)
    h = 1e-6
    for axis in range(3):
        e = np.zeros(3)
        e[axis] = h
        a, b = (linearise(replace(s, X=s.X + k * e), p)[0] for k in (1, -1))
        assert np.abs((a - b) / (2 * h) - JX[..., axis]).max() < 1e-6 * np.abs(JX).max()
    for k in range(9):
        dc = np.zeros((3, 9))
        dc[:, k] = h
        flat = np.r_[dc.ravel(), np.zeros(16)]
        a, b = (linearise(moved(s, sign * flat, np.zeros(s.X.size)), p)[0] for sign in (1, -1))
        assert np.abs((a - b) / (2 * h) - Jc[..., k]).max() < 1e-6 * np.abs(Jc[..., k]).max()


@pytest.mark.parametrize('bone_weight', [1., 0.])
@pytest.mark.parametrize('kind', ['l2', 'cauchy', 'gm'])
@pytest.mark.parametrize('lens', [False, True])
def test_gradient_of_the_normal_equations_is_that_of_the_cost(lens: bool, kind: str, bone_weight: float) -> None:
    """Along 12 random directions of all parameters together, with and without bones, robust loss and a prior of lenses
    whose observations count less: to 1e-6, measured 4e-9.
    """
    _, p, s = exact()
    p, s = replace(some_unseen(p), bone_weight=bone_weight), shaken(s)
    p, s = behind_lenses(p, s) if lens else (p, s)
    prior = bone_prior(p)
    _, _, _, gx, gc = normal_equations(s, p, 3., kind, prior)
    rng = np.random.default_rng(2)
    for _ in range(12):
        dc, dx = rng.normal(size=gc.size) * .3, rng.normal(size=gx.size)
        h = 1e-6
        up, down = (cost_of(moved(s, sign * h * dc, sign * h * dx), p, 3., kind, prior) for sign in (1, -1))
        expected = float(gc @ dc + gx.ravel() @ dx)
        size = float(np.abs(gc * dc).sum() + np.abs(gx.ravel() * dx).sum())
        assert abs((up - down) / (2 * h) - expected) < 1e-6 * size


def of_two() -> tuple[BundleProblem, BundleState]:
    """As `exact`, but at every other instant it is somebody else, a tenth larger."""
    _, p, s = exact(3, 6)
    person, X = np.arange(6) % 2, s.X.copy()
    X[1::2] = X[1::2, :1] + 1.1 * (X[1::2] - X[1::2, :1])
    p = replace(p, kp=s.cameras.project(X), person=person)
    return p, BundleState(s.cameras, X, np.stack([s.bones, 1.1 * s.bones]))


def test_gradient_with_two_people_is_that_of_the_cost() -> None:
    """Each has bones of his own; a pose of one of them tells nothing of the other's."""
    p, s = of_two()
    rng = np.random.default_rng(4)
    s = replace(s, X=s.X + .05 * rng.normal(size=s.X.shape), bones=s.bones * np.exp(.05 * rng.normal(size=(2, 16))))
    prior = bone_prior(p)
    _, _, _, gx, gc = normal_equations(s, p, 3., 'gm', prior)
    assert gc.size == 3 * 9 + 2 * 16
    h = 1e-6
    for _ in range(6):
        dc, dx, db = rng.normal(size=27) * .3, rng.normal(size=gx.size), rng.normal(size=(2, 16)) * .3
        costs = []
        for sign in (1, -1):
            there = moved(replace(s, bones=s.bones[0]), sign * h * np.r_[dc, np.zeros(16)], sign * h * dx)
            there = replace(there, bones=s.bones * np.exp(sign * h * db))
            costs.append(cost_of(there, p, 3., 'gm', prior))
        expected = float(gc @ np.r_[dc, db.ravel()] + gx.ravel() @ dx)
        size = float(np.abs(gc * np.r_[dc, db.ravel()]).sum() + np.abs(gx.ravel() * dx).sum())
        assert abs((costs[0] - costs[1]) / (2 * h) - expected) < 1e-6 * size


def test_two_people_are_found_with_a_body_each() -> None:
    p, s = of_two()
    rng = np.random.default_rng(5)
    start = replace(s, X=s.X + .03 * rng.normal(size=s.X.shape), bones=s.bones * np.exp(.03 * rng.normal(size=(2, 16))))
    r = adjust(start, replace(p, hold_cameras=True, bone_mean=s.bones[0] * np.sqrt(1.1)), steps=30, tolerance=1e-9)
    size = np.exp(np.log(r.state.bones[1] / r.state.bones[0]).mean())
    assert size == pytest.approx(1.1, abs=.01)             # the prior of bones pulls a little
    assert np.abs(r.state.cameras.project(r.state.X) - p.kp).max() < .5


def test_sums_over_poses_stand_where_their_person_s_bones_do() -> None:
    p, s = of_two()
    rng = np.random.default_rng(6)
    layout, C = s.cameras.layout, 27 + 32
    for kept in (np.arange(27 + 16), np.r_[3:27, 27:43:2]):
        A, B = rng.normal(size=(2, 6, 51, len(kept)))
        want, vector = np.zeros((C, C)), np.zeros(C)
        for n in range(6):
            where = np.r_[np.arange(27), 27 + 16 * (n % 2) + np.arange(16)][kept]
            want[np.ix_(where, where)] += A[n].T @ B[n]
            vector[where] += A[n].T @ B[n, :, 0]
        assert np.allclose(gathered(p, layout, kept, A, B), want)
        assert np.allclose(gathered(p, layout, kept, A, B[..., 0]), vector)


def test_gradients_change_with_principal_points_as_their_equations_say() -> None:
    p, s = of_two()
    s = replace(s, X=s.X + .05 * np.random.default_rng(7).normal(size=s.X.shape))
    by_camera, by_point, own, gradient = centre_equations(s, p, 3., 'l2')
    prior, h = bone_prior(p), 1e-3
    assert by_camera.shape == (27 + 32, 6) and by_point.shape == (6, 51, 6)
    for v, axis in np.ndindex(3, 2):
        grads, costs, slopes = [], [], []
        for sign in (1, -1):
            centre = s.cameras.centre.copy()
            centre[v, axis] += sign * h
            there = replace(s, cameras=replace(s.cameras, centre=centre))
            grads.append(normal_equations(there, replace(p, centre=centre), 3., 'l2', prior)[3:])
            costs.append(.5 * residuals(there, p).sum())
            slopes.append(centre_equations(there, p, 3., 'l2')[3][2 * v + axis])
        assert gradient[2 * v + axis] == pytest.approx((costs[0] - costs[1]) / (2 * h), rel=1e-4, abs=1e-4)
        assert own[2 * v + axis] == pytest.approx((slopes[0] - slopes[1]) / (2 * h), rel=1e-6)
        (gx1, gc1), (gx0, gc0) = grads
        for found, want in ((by_camera[:, 2 * v + axis], gc1 - gc0), (by_point[..., 2 * v + axis], gx1 - gx0)):
            assert np.allclose(found, want / (2 * h), atol=1e-4 * np.abs(found).max())


def test_second_derivative_is_exact_where_residuals_vanish() -> None:
    """At the noise-free solution Gauss-Newton's matrix is the true one, along random directions to 1e-4."""
    _, p, s = exact()
    p = replace(p, log_focal=np.log(s.cameras.focal), bone_mean=s.bones)
    prior = bone_prior(p)
    Hxx, Hxc, Hcc, _, _ = normal_equations(s, p, 3., 'l2', prior)
    rng = np.random.default_rng(3)
    for _ in range(6):
        dc, dx = rng.normal(size=len(Hcc)) * .3, rng.normal(size=s.X.size)
        h = 1e-6
        (_, _, _, gx1, gc1), (_, _, _, gx0, gc0) = (
            normal_equations(moved(s, k * h * dc, k * h * dx), p, 3., 'l2', prior) for k in (1, -1))
        dxn = dx.reshape(len(s.X), -1)
        want_c = Hcc @ dc + np.einsum('nia,ni->a', Hxc, dxn)
        want_x = np.einsum('nij,nj->ni', Hxx, dxn) + Hxc @ dc
        assert np.abs((gc1 - gc0) / (2 * h) - want_c).max() < 1e-4 * np.abs(want_c).max()
        assert np.abs((gx1 - gx0) / (2 * h) - want_x).max() < 1e-4 * np.abs(want_x).max()


def test_what_was_not_seen_does_not_count_whatever_number_stands_there() -> None:
    _, p, s = exact()
    p = some_unseen(p)
    nonsense = np.where(np.isfinite(p.sigma)[..., None], p.kp, 1e9)
    r0, r1 = residuals(s, p), residuals(s, replace(p, kp=nonsense))
    assert np.array_equal(r0, r1)
    a, b = (adjust(shaken(s), q, steps=3) for q in (p, replace(p, kp=nonsense)))
    assert np.array_equal(a.state.X, b.state.X) and np.array_equal(a.state.cameras.R, b.state.cameras.R)


# -- solutions

@pytest.mark.parametrize('views, seed', [(2, 3), (3, 1), (4, 2)])
def test_noise_free_images_give_the_true_rig_with_unknown_focal_lengths(views: int, seed: int) -> None:
    """From 3 degrees, 10 cm and 10 % away: rotations to 0.05 degrees (measured 0.025 with 2 views, 2e-5 with
    more), focal lengths to 0.5 % (0.07 % and 2e-6), joints to 5 mm (1.4; the prior pulls the body's shape a
    little).
    """
    rig, p, s = exact(views, 30, seed, sigma_px=.2, fps=6.)
    out = adjust(shaken(s), p, scale=5., kind='cauchy', steps=60, tolerance=1e-9)
    assert rotation_errors(out.state.cameras.R, rig.R).max() < .05
    assert np.abs(out.state.cameras.focal / rig.K[:, 0, 0] - 1).max() < .005
    assert np.median(np.linalg.norm(out.state.X - s.X, axis=-1)) < .005


def test_exact_solution_stays_where_it_is() -> None:
    """With the truth as its own prior nothing moves: to 1e-6."""
    rig, p, s = exact(3, 10)
    p = replace(p, log_focal=np.log(s.cameras.focal), bone_mean=s.bones)
    out = adjust(s, p, steps=5)
    assert rotation_errors(out.state.cameras.R, rig.R).max() < 1e-4 and np.abs(out.state.X - s.X).max() < 1e-5


def test_gauge_first_camera_and_known_focal_lengths_are_held() -> None:
    """The first camera is the frame; focal lengths with spread 0 keep every bit; their covariance is 0."""
    _, p, s = exact(3, 10, known=True)
    start = shaken(s)
    start = replace(start, cameras=replace(start.cameras, focal=s.cameras.focal))
    out = adjust(start, p, steps=30)
    assert np.array_equal(out.state.cameras.R[0], start.cameras.R[0])
    assert rotation_errors(out.state.cameras.R, start.cameras.R).max() > 1.
    assert np.abs(out.state.cameras.t[0]).max() < 1e-14
    assert np.array_equal(out.state.cameras.focal, s.cameras.focal)
    held = np.r_[np.arange(6), 6:9, 15:18, 24:27]
    assert not out.covariance[held].any() and (np.diag(out.covariance)[[9, 10, 11, 18]] > 0).all()


def test_scale_is_that_of_the_prior_body_whatever_it_starts_from() -> None:
    """Images do not tell the scale: started at half or double size, the bones come out alike, to 0.1 %."""
    _, p, s = exact(3, 10)
    out = []
    for k in (.5, 2.):
        b = shaken(s, size=.3)
        b = b.scaled(k)
        out.append(adjust(b, p, scale=5., kind='cauchy', steps=60, tolerance=1e-8).state)
    assert np.abs(out[0].bones / out[1].bones - 1).max() < 1e-3
    w = BONE_LOG_SIGMA ** -2.
    assert abs(w @ np.log(out[0].bones / BONE_PRIOR_M) / w.sum()) < 1e-3


def test_adjusting_never_makes_it_worse() -> None:
    """Robust cost of the result against that of the start, from bad starts, with few steps."""
    _, p, s = exact(3, 8)
    for seed in range(5):
        start = shaken(s, seed, 3.)
        before = cost_of(bundle._rescale(start, p), p, 3., 'gm', bone_prior(p))
        out = adjust(start, p, steps=1 + seed)
        assert out.cost * np.isfinite(p.sigma).sum() <= before


def test_a_pose_takes_as_much_of_its_own_step_as_it_gains_by() -> None:
    """The first pose is offered a step that is twice too long, the second one that leads away, the others the right
    one; cameras and bones move for all alike.
    """
    _, p, s = exact(3, 6)
    rng = np.random.default_rng(8)
    off = .03 * rng.normal(size=(6, 51))
    start = replace(s, X=s.X + off.reshape(s.X.shape))
    own = off.copy()
    own[0], own[1] = 2.5 * off[0], -3. * off[1]
    dc, along = np.zeros(27 + 16), .001 * rng.normal(size=(6, 51))
    dc[6] = .001
    prior = bone_prior(p)
    flat = np.zeros((6, 51, 51)), np.zeros((6, 51)), 1.          # of which no damped step comes
    new, cost = bundle._best_step(start, p, dc, own, along, flat, 3., 'gm', prior)
    taken = (start.X.reshape(6, -1) - along - new.X.reshape(6, -1)) / own
    assert taken == pytest.approx(np.repeat([[.3], [0.], [1.], [1.], [1.], [1.]], 51, 1), abs=1e-9)
    assert new.cameras.focal[0] == pytest.approx(start.cameras.focal[0] * np.exp(.001))
    assert cost == pytest.approx(cost_of(new, p, 3., 'gm', prior))
    Hxx, _, _, gx, _ = normal_equations(start, p, 3., 'gm', prior)
    damped, less = bundle._best_step(start, p, dc, own, along, (Hxx, gx, 1.), 3., 'gm', prior)
    assert less < cost and np.allclose(np.delete(damped.X, 1, 0), np.delete(new.X, 1, 0))
    assert np.abs(damped.X[1] - s.X[1]).mean() < .5 * np.abs(start.X[1] - s.X[1]).mean()


def test_gross_errors_hardly_move_the_rig() -> None:
    """One joint in ten is 40 to 200 px off: rotations stay within 0.3 degrees (measured 0.07; least squares 5)."""
    rig, p, s = exact(4, 30, 2, sigma_px=1., fps=6.)
    rng = np.random.default_rng(1)
    kp = p.kp + rng.normal(0, 1., p.kp.shape)
    bad = rng.random(p.sigma.shape) < .1
    kp[bad] += rng.choice([-1, 1], (bad.sum(), 2)) * rng.uniform(40, 200, (bad.sum(), 2))
    p = replace(p, kp=kp)
    robust = adjust(shaken(s), p, scale=5., kind='cauchy', steps=30)
    robust = adjust(robust.state, p, scale=4., kind='gm', steps=30)
    assert rotation_errors(robust.state.cameras.R, rig.R).max() < .3
    square = adjust(shaken(s), p, kind='l2', steps=30)
    assert rotation_errors(square.state.cameras.R, rig.R).max() > 1.


def test_points_alone_follow_the_cameras_that_are_held() -> None:
    _, p, s = exact(3, 10)
    p = replace(p, bone_mean=s.bones)
    start = shaken(s)
    out = adjust(replace(s, X=start.X), p, kind='cauchy', steps=30, points_only=True)
    assert np.array_equal(out.state.cameras.R, s.cameras.R) and np.array_equal(out.state.cameras.focal, s.cameras.focal)
    assert np.array_equal(out.state.bones, s.bones)
    assert np.abs(out.state.X - s.X).max() < 1e-3


def test_bones_hold_joints_that_one_view_sees() -> None:
    """An elbow that one camera of two sees all the time, first taken 10 cm too far away: the bones bring it back
    to 1 cm (median; measured 1 mm), without them it stays where it was put (95 mm).
    """
    _, p, s = exact(2, 20, 3, known=True, fps=6.)
    p.sigma[:, 1, 15] = np.inf
    start = replace(s, X=s.X.copy())
    start.X[:, 15] *= 1 + .1 / np.linalg.norm(start.X[:, 15], axis=-1, keepdims=True)
    with_bones = adjust(start, p, steps=60, tolerance=1e-8).state
    without = adjust(start, replace(p, bone_weight=0.), steps=60, tolerance=1e-8).state
    far = [np.median(np.linalg.norm(x.X[:, 15] - s.X[:, 15], axis=-1)) for x in (with_bones, without)]
    assert far[0] < .01 and far[1] > .08


def test_a_point_behind_a_camera_gives_numbers() -> None:
    _, p, s = exact(3, 4)
    s.X[0, 3] = -s.X[0, 3]
    assert np.isfinite(s.cameras.project(s.X)).all()
    out = adjust(s, p, steps=5)
    assert np.isfinite(out.state.X).all() and np.isfinite(out.cost)


def test_symmetry_of_the_body_is_part_of_the_prior() -> None:
    """A left thigh 10 % longer than the right costs, the same on both sides costs little."""
    _, p, s = exact(2, 2)
    prior = bone_prior(p)
    thigh = next(k for k in range(16) if (BONE_A[k], BONE_B[k]) == (1, 2))
    one, both = s.bones.copy(), s.bones.copy()
    one[thigh] *= 1.1
    both[[thigh, MIRROR_BONE[thigh]]] *= 1.1
    base, a, b = (cost_of(bundle._rescale(replace(s, bones=x), p), replace(p, bone_weight=0.,
                  sigma=np.full_like(p.sigma, np.inf)), 3., 'l2', prior) for x in (s.bones, one, both))
    assert a - base > 5 * (b - base) > 0


def test_spreads_of_focal_lengths_stand_in_the_matrix_as_their_precision() -> None:
    """A spread of 0.25 instead of 0.5 adds 16 - 4 for each focal length, and nothing elsewhere."""
    _, p, s = exact()
    narrow, wide = (normal_equations(s, replace(p, log_focal_sigma=np.full(3, x), temper=3.), 3., 'l2', bone_prior(p))
                    for x in (.25, .5))
    expected = np.zeros(len(wide[2]))
    expected[s.cameras.layout.focal] = 3. * (16. - 4.)
    np.testing.assert_allclose(narrow[2] - wide[2], np.diag(expected), atol=1e-6)


def test_joints_that_nothing_holds_leave_a_block_that_can_be_solved() -> None:
    """Damping adds its share of what there is, and of the mean of what others have."""
    H = np.zeros((1, 51, 51))
    H[0, :3, :3] = 8. + np.diag([8., 8., 8.])
    damped = bundle._damped(H, .5, 2.)[0]
    np.testing.assert_allclose(np.diag(damped), np.r_[np.full(3, 16. * 1.5), np.zeros(48)] + .5 * 2., atol=1e-5)
    np.testing.assert_allclose(damped - np.diag(np.diag(damped)), H[0] - np.diag(np.diag(H[0])))
    assert (np.linalg.eigvalsh(damped) > 0).all()


# -- uncertainty

def test_a_joint_that_nobody_sees_leaves_the_covariance_as_it_is() -> None:
    """Without bones nothing holds it, as nothing holds the scale: rotations alone."""
    _, p, s = exact(instants=6)
    p = replace(p, bone_weight=0.)
    hidden = replace(p, sigma=p.sigma.copy())
    hidden.sigma[:, :, 5] = np.inf
    rest = replace(p, sigma=p.sigma.copy())
    rest.sigma[:, 0, 5] = rest.sigma[:, 1, 5] = np.inf           # one view alone says nothing of cameras
    a, b = (np.diag(adjust(s, q, steps=1).covariance)[[9, 10, 11, 18, 19, 20]] for q in (hidden, rest))
    assert (a > 0).all()
    np.testing.assert_allclose(a, b, rtol=1e-2)


def test_covariance_does_not_depend_on_how_the_adjustment_went() -> None:
    """Steps that fail raise the damping, which is no information about the cameras."""
    _, p, truth = exact(instants=12)
    noisy = replace(p, kp=p.kp + np.random.default_rng(3).normal(0, 2., p.kp.shape))
    best = adjust(shaken(truth, size=.3), noisy, steps=60, tolerance=1e-12)
    again = adjust(best.state, noisy, steps=3, tolerance=0.)          # nothing is left to gain: every step fails
    np.testing.assert_allclose(again.covariance, best.covariance, rtol=.02, atol=1e-9)
    spread = np.sqrt(np.diag(best.covariance))
    assert (spread.reshape(3, 9)[1:, :7] > 0).all() and (spread[:6] == 0).all() and spread[6] > .005
    assert not adjust(best.state, noisy, steps=3, covariance=False).covariance.any()


def test_covariance_is_the_spread_of_the_estimates() -> None:
    """Rotations and focal lengths over 40 draws of the noise: RMS of error / sigma, measured 0.9 to 1.1."""
    _, p, truth = exact(instants=10)
    z = []
    for seed in range(40):
        noisy = replace(p, kp=p.kp + np.random.default_rng(seed).normal(0, 2., p.kp.shape))
        r = adjust(truth, noisy, scale=30., steps=20)
        spread = np.sqrt(np.diag(r.covariance))
        turned = np.stack([rotation.log(r.state.cameras.R[v] @ truth.cameras.R[v].T) for v in range(1, 3)])
        z.append(np.r_[(turned / spread.reshape(3, 9)[1:, :3]).ravel(),
                       np.log(r.state.cameras.focal / truth.cameras.focal) / spread[6::9]])
    rms = np.sqrt(np.mean(np.square(z), axis=0))
    assert (rms > .6).all() and (rms < 1.4).all(), rms


def test_what_is_alike_on_both_sides_is_symmetrical() -> None:
    """With bones that may have any length, and the scale held: thighs longer and shins shorter by as much cost nothing,
    a left thigh and a right shin the square of their difference over its spread.
    """
    _, p, _ = exact(2, 2)
    _, precision = bone_prior(replace(p, bone_log_sigma=np.full(16, 1e3)))
    bone = {(BONE_A[k], BONE_B[k]): k for k in range(16)}
    left, right = (bone[1, 2], bone[2, 3]), (bone[4, 5], bone[5, 6])
    assert [MIRROR_BONE[k] for k in left] == list(right)
    alike, unlike = np.zeros(16), np.zeros(16)
    alike[[left[0], right[0]]], alike[[left[1], right[1]]] = .1, -.1
    unlike[left[0]], unlike[right[1]] = .1, -.1
    assert alike @ precision @ alike < 1e-6
    assert unlike @ precision @ unlike == pytest.approx(2 * (.1 / SYMMETRY_LOG_SIGMA) ** 2)


def test_no_step_goes_too_far_whichever_way() -> None:
    """However large it is: joints by 1 m along an axis, lengths by a factor of exp(0.5), lenses by 0.2; and there and
    back are alike.
    """
    _, _, s = exact()
    ahead, back = (bundle._step(s, np.r_[np.tile([0., 0, 0, 0, 0, 0, k, k, k], 3), np.full(16, k)],
                                np.full((len(s.X), 51), k)) for k in (50., -50.))
    np.testing.assert_allclose(ahead.X - s.X, s.X - back.X)
    np.testing.assert_allclose(ahead.X - s.X, 1.)
    np.testing.assert_allclose(ahead.cameras.lenses, .2)
    np.testing.assert_allclose(back.cameras.lenses, -.2)
    for a, b, was in ((ahead.bones, back.bones, s.bones), (ahead.cameras.focal, back.cameras.focal, s.cameras.focal)):
        np.testing.assert_allclose(a * b, was ** 2)
        np.testing.assert_allclose(a, np.exp(.5) * was)
