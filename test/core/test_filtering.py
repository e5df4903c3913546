# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The causal filter: against dense computations, and against what cameras do to it."""
from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime

from selfpose_ros.core.body import BONE_A, BONE_B
from selfpose_ros.core.camera import project
from selfpose_ros.core.filtering import FilterConfig, Measurement, SkeletonFilter, State, smooth_back
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.skeleton import MIRROR, SWAP_GROUPS
from selfpose_ros.core.trajectory import ACCELERATION_SIGMA, ACCELERATION_STEP_S
from selfpose_ros.synthetic import ring_rig, walker

Array = NDArray[np.float64]

FPS = 25.
DT = 1 / FPS


def new_filter(rig: Rig, X: Array, config: FilterConfig | None = None) -> SkeletonFilter:
    bones = np.linalg.norm(X[BONE_B] - X[BONE_A], axis=-1)
    hips = float(np.linalg.norm(X[1] - X[4]))
    f = SkeletonFilter(rig.geometry, bones, hips, config)
    f.start(X, .05)
    return f


def seen(X: Array, rig: Rig, sigma_px: float = 2., noise_px: float = 0., seed: int = 0) -> Measurement:
    V = len(rig.cameras)
    kp = np.stack([project(X, rig.K[v], rig.R[v], rig.t[v]) for v in range(V)])
    kp = kp + noise_px * np.random.default_rng(seed).normal(size=kp.shape)
    return Measurement(kp, np.full((V, 17), sigma_px), np.zeros(V))


def far(f: SkeletonFilter, X: Array) -> Array:
    return np.asarray(np.linalg.norm(f.x - X, axis=-1))


# -- against dense computations

def test_prediction_is_that_of_the_dense_kalman_filter() -> None:
    """State F x and covariance F P F^T + Q of piecewise constant acceleration, joint by joint: to 1e-12."""
    rig, X = ring_rig(3, 1), walker(1., FPS, 1)
    f = new_filter(rig, X[0])
    rng = np.random.default_rng(0)
    L = rng.normal(size=(17, 6, 6)) * .1
    P = L @ np.swapaxes(L, 1, 2)
    f.pp, f.pv, f.vv = P[:, :3, :3].copy(), P[:, :3, 3:].copy(), P[:, 3:, 3:].copy()
    f.v = rng.normal(size=(17, 3))
    state = np.concatenate([f.x, f.v], 1)
    f.predict(DT)
    F = np.block([[np.eye(3), DT * np.eye(3)], [np.zeros((3, 3)), np.eye(3)]])
    G = np.concatenate([.5 * DT ** 2 * np.eye(3), DT * np.eye(3)])
    for j in range(17):
        a2 = (ACCELERATION_SIGMA[j] * f.config.acceleration) ** 2 * ACCELERATION_STEP_S / DT
        want = F @ P[j] @ F.T + a2 * G @ G.T
        got = np.block([[f.pp[j], f.pv[j]], [f.pv[j].T, f.vv[j]]])
        assert np.abs(got - want).max() < 1e-12
        assert np.allclose(np.r_[f.x[j], f.v[j]], F @ state[j], atol=1e-14)


def plain() -> FilterConfig:
    """No robustness, no memory, prior as given: the posterior is that of weighted least squares."""
    return FilterConfig(outlier=1e6, memory=0., tail=1e6, first_trust=1., steps=6)


def dense_cost(f: SkeletonFilter, x: Array, x0: Array, prior: Array, m: Measurement) -> float:
    """What one tick minimises, written down a second time."""
    c = f.cameras
    C = x.reshape(17, 3) @ np.swapaxes(c.R, 1, 2) + c.t[:, None]
    px = C[..., :2] / C[..., 2:] * c.focal[:, None, None] + c.centre[:, None]
    total = .5 * (((px - m.kp) / m.sigma[..., None]) ** 2).sum()
    d = (x - x0.ravel()).reshape(17, 3)
    total += .5 * np.einsum('ji,jik,jk->', d, prior, d)
    a, b = np.r_[BONE_A, 1], np.r_[BONE_B, 4]
    e2 = (np.linalg.norm(x.reshape(17, 3)[b] - x.reshape(17, 3)[a], axis=-1) - f.lengths) ** 2 * f.bone_weight
    return float(total + 4.5 * np.log1p(e2 / 9.).sum())


def test_update_is_the_maximum_a_posteriori_of_the_dense_problem() -> None:
    """Gradient of the cost at the result against that at the start: 1e-5 of it (measured 2e-7); sigmas are those
    of the inverse of the dense Hessian to 5 % (Gauss-Newton; measured 3).
    """
    rig, X = ring_rig(3, 1), walker(1., FPS, 1)
    f = new_filter(rig, X[0], plain())
    f.start(X[0] + .01 * np.random.default_rng(0).normal(size=(17, 3)), .05)
    m = seen(X[0], rig, noise_px=2.)
    x0, prior = f.x.copy(), np.linalg.inv(f.pp)
    f.update(m)
    def gradient(x: Array) -> Array:
        return np.array([(dense_cost(f, x + e, x0, prior, m) - dense_cost(f, x - e, x0, prior, m)) / 2e-6
                         for e in 1e-6 * np.eye(51)])
    assert np.abs(gradient(f.x.ravel())).max() < 1e-5 * np.abs(gradient(x0.ravel())).max()
    H = approx_fprime(f.x.ravel(), gradient, 1e-5)
    cov = np.linalg.inv(.5 * (H + H.T)).reshape(17, 3, 17, 3)
    blocks = cov[np.arange(17), :, np.arange(17)]
    assert np.abs(np.sqrt(np.einsum('jii->j', f.pp) / np.einsum('jii->j', blocks)) - 1).max() < .05


def test_velocity_follows_as_in_the_dense_kalman_filter() -> None:
    """Mean and covariance of the velocities after an update are those of the joint Gaussian conditioned on the
    position.
    """
    rig, X = ring_rig(3, 1), walker(1., FPS, 1)
    f = new_filter(rig, X[0], plain())
    f.predict(DT)
    x0, v0, pp, pv, vv = f.x.copy(), f.v.copy(), f.pp.copy(), f.pv.copy(), f.vv.copy()
    f.update(seen(X[1], rig, noise_px=1.))
    gain = np.swapaxes(pv, 1, 2) @ np.linalg.inv(pp)
    assert np.allclose(f.v, v0 + (gain @ (f.x - x0)[..., None])[..., 0], atol=1e-12)
    assert np.allclose(f.vv, vv - gain @ (pp - f.pp) @ np.swapaxes(gain, 1, 2), atol=1e-12)
    assert np.allclose(f.pv, f.pp @ np.swapaxes(gain, 1, 2), atol=1e-12)
    assert (np.linalg.eigvalsh(np.block([[f.pp, f.pv], [np.swapaxes(f.pv, 1, 2), f.vv]])) > 0).all()


# -- against the world

def follow(rig: Rig, X: Array, noise_px: float, change: object = None, config: FilterConfig | None = None,
           seed: int = 0) -> tuple[SkeletonFilter, Array, Array]:
    """Filter, errors (T, 17) and sigmas (T, 17) m; `change(i, measurement)` in between."""
    f = new_filter(rig, X[0], config)
    errors, sigmas = [], []
    for i, x in enumerate(X):
        if i:
            f.predict(DT)
        m = seen(x, rig, max(noise_px, 1.), noise_px, seed + i)
        f.update(change(i, m) if callable(change) else m)
        errors.append(far(f, x))
        sigmas.append(f.sigma)
    return f, np.array(errors), np.array(sigmas)


def test_exact_images_are_followed_exactly() -> None:
    """Median 1 mm (measured 0.4), never more than 5 mm (2.0) once it runs."""
    _, e, _ = follow(ring_rig(4, 1), walker(2., FPS, 1), 0.)
    assert np.median(e) < .001 and e[5:].max() < .005


def test_filter_beats_each_instant_alone() -> None:
    """4 px independent noise, memory off: at most 0.8 of the error of triangulation (measured 0.72)."""
    from selfpose_ros.core.fusion.triangulation import triangulate
    rig, X = ring_rig(4, 1), walker(3., FPS, 1)
    _, e, _ = follow(rig, X, 4., config=FilterConfig(memory=0.))
    kp = np.stack([seen(x, rig, 4., 4., i).kp for i, x in enumerate(X)])
    rays = (kp - rig.K[:, None, :2, 2]) / rig.K[:, 0, 0, None, None]
    alone = np.linalg.norm(triangulate(rays, np.ones(rays.shape[:3]), rig.R, rig.t) - X, axis=-1)
    assert e[10:].mean() < .8 * alone[10:].mean()


def test_sigma_tells_the_error() -> None:
    """4 px independent noise, memory off: root mean square error per axis over sigma between 0.7 and 1.4 (measured
    0.86).
    """
    _, e, s = follow(ring_rig(4, 1), walker(3., FPS, 1), 4., config=FilterConfig(memory=0.))
    assert .7 < np.sqrt((e[10:] ** 2).mean() / 3) / s[10:].mean() < 1.4


def hidden_wrist(seed: int = 1) -> tuple[Array, Array]:
    """Errors and sigmas (T,) m of a wrist that nobody sees from frame 20 to 29."""
    rig, X = ring_rig(3, seed), walker(3., FPS, seed)

    def hide(i: int, m: Measurement) -> Measurement:
        if 20 <= i < 30:
            m.sigma[:, 16] = np.inf
        return m
    _, e, s = follow(rig, X, 1., hide)
    return e[:, 16], s[:, 16]


def test_joints_that_nobody_sees_coast_and_become_uncertain() -> None:
    """A wrist unseen for 0.4 s: sigma grows tenfold until the bones stop it, and three sigma cover the error
    (measured 1.5 at the most); half a second after it is seen again it is back to 2 cm (measured 0.7).
    """
    e, s = hidden_wrist()
    assert (np.diff(s[19:25]) > 0).all() and s[25:30].min() > 10 * s[19]
    assert (e[20:30] / (np.sqrt(3) * s[20:30])).max() < 3
    assert e[42:].max() < .02


def test_a_joint_that_is_seen_again_is_found_at_once() -> None:
    """Two frames after all three cameras see it again: 5 cm."""
    e, _ = hidden_wrist()
    assert e[32:].max() < .05


def test_nothing_seen_at_all_is_only_a_prediction() -> None:
    """Positions as predicted, up to what bones pull (2 cm at most; measured 1.5), sigma hardly smaller."""
    rig, X = ring_rig(2, 1), walker(1., FPS, 1)
    f, _, _ = follow(rig, X[:10], 1.)
    f.predict(DT)
    x, s = f.x.copy(), f.sigma
    f.update(Measurement(np.zeros((2, 17, 2)), np.full((2, 17), np.inf), np.zeros(2)))
    assert np.abs(f.x - x).max() < .02 and np.isfinite(f.pp).all()
    assert not f.used.any() and (f.sigma > .5 * s).all()


def test_a_wrong_but_stable_limb_in_one_view_is_left_out() -> None:
    """One of four cameras sees an arm 80 px elsewhere for 0.6 s: within 4 cm, at 2 px noise (measured 3.1; 1.5
    without it), and its rays count as unused.
    """
    rig, X = ring_rig(4, 1), walker(2., FPS, 1)
    used = []

    def wrong(i: int, m: Measurement) -> Measurement:
        if 15 <= i < 30:
            m.kp[2, 15:17] += [60., -50.]
        return m

    def error(change: object) -> float:
        f, worst = new_filter(rig, X[0]), 0.
        for i, x in enumerate(X):
            if i:
                f.predict(DT)
            m = seen(x, rig, 3., 2., i)
            f.update(change(i, m) if callable(change) else m)
            if 15 <= i < 30:
                worst = max(worst, float(far(f, x)[15:17].max()))
                used.append(f.used[2, 15:17].max())
        return worst
    assert error(wrong) < .04 and max(used) < .25
    assert error(None) < .04 and max(used) > .25


@pytest.mark.parametrize('group', ['arms', 'legs'])
def test_exchanged_sides_in_one_view_are_put_right(group: str) -> None:
    """One of three cameras exchanges them for 0.6 s: errors as if it had not, to 2 mm (measured 0)."""
    rig, X = ring_rig(3, 1), walker(2., FPS, 1)
    a = list(SWAP_GROUPS[group])
    b = [MIRROR[j] for j in a]

    def swap(i: int, m: Measurement) -> Measurement:
        if 15 <= i < 30:
            m.kp[1, a] = m.kp[1, b].copy()
        return m
    _, with_swap, _ = follow(rig, X, 1., swap)
    _, without, _ = follow(rig, X, 1.)
    assert np.abs(with_swap - without).max() < .002


def test_a_burst_is_followed() -> None:
    """A wrist that is suddenly 0.3 m elsewhere in all views is there two frames later, to 2 cm (measured 1.4)."""
    rig, X = ring_rig(4, 1), walker(2., FPS, 1)
    X = X.copy()
    X[20:, 16] += [.1, .2, .2]
    f = new_filter(rig, X[0])
    f.set_bone_sigma(.2)
    e = []
    for i, x in enumerate(X):
        if i:
            f.predict(DT)
        f.update(seen(x, rig, 2., 1., i))
        e.append(far(f, x)[16])
    assert max(e[22:]) < .02


def test_views_of_other_moments_are_compared_at_their_own_time() -> None:
    """Cameras that run 15 ms apart, walking: half of the error that taking them for simultaneous makes (measured
    0.24).
    """
    rig, X = ring_rig(4, 1), walker(3., 1000., 1, 'walk')
    offset = np.array([-.015, 0., .015, -.008])

    def error(told: bool) -> float:
        f, out = None, []
        for k in range(100, len(X) - 100, 40):
            at = [X[k + round(1000 * d)] for d in offset]
            kp = np.stack([project(at[v], rig.K[v], rig.R[v], rig.t[v]) for v in range(4)])
            if f is None:
                f = new_filter(rig, X[k])
            else:
                f.predict(DT)
            f.update(Measurement(kp, np.full((4, 17), 1.), offset if told else 0. * offset))
            out.append(far(f, X[k]))
        return float(np.mean(out[10:]))
    assert error(True) < .5 * error(False)


def test_two_cameras_and_bones_keep_a_limb_that_one_camera_sees() -> None:
    """An ankle seen by one camera of two for 0.6 s: bones and motion hold its depth to 15 cm (measured 10)."""
    rig, X = ring_rig(2, 3), walker(2., FPS, 3, 'exercise')

    def hide(i: int, m: Measurement) -> Measurement:
        if 15 <= i < 30:
            m.sigma[1, 3] = np.inf
        return m
    _, e, _ = follow(rig, X, 1., hide)
    assert e[15:30, 3].max() < .15


def test_a_long_gap_between_ticks_does_not_break_it() -> None:
    """One second without a tick, then again: finite all along, and back to 3 cm after five frames."""
    rig, X = ring_rig(4, 1), walker(4., FPS, 1)
    f = new_filter(rig, X[0])
    for i in [*range(25), *range(50, 60)]:
        if i:
            f.predict(DT if i != 50 else 1. + DT)
        f.update(seen(X[i], rig, 2., 1., i))
        assert np.isfinite(f.x).all() and (np.linalg.eigvalsh(f.pp) > 0).all()
    assert far(f, X[59]).max() < .03


def test_a_surprise_makes_all_of_a_joint_less_sure_alike() -> None:
    """The body is seen 30 cm further: each joint's prior covariance is inflated as a whole (position, velocity and what
    connects them, by one factor of more than 1), and the velocity follows the joint by just that covariance.
    """
    rig, X = ring_rig(4, 1), walker(1., FPS, 1)
    f = new_filter(rig, X[0])
    for x in X[:6]:
        f.predict(DT)
        f.update(seen(x, rig))
    f.predict(DT)
    before = f.pred
    f.update(seen(X[6] + [.3, 0., 0.], rig))
    x0, v0, pp, pv, vv = f.pred
    more = pp[:, 0, 0] / before[2][:, 0, 0]
    assert (more > 1.).all() and more.max() > 2.
    for inflated, was in zip((pp, pv, vv), before[2:], strict=True):
        assert np.allclose(inflated, more[:, None, None] * was, rtol=1e-9)
    gain = np.swapaxes(pv, 1, 2) @ np.linalg.inv(pp)
    assert np.allclose(f.v - v0, (gain @ (f.x - x0)[..., None])[..., 0], atol=1e-9)
    assert np.allclose(f.vv, vv - gain @ (pp - f.pp) @ np.swapaxes(gain, 1, 2), atol=1e-9)
    joint = np.block([[f.pp, f.pv], [np.swapaxes(f.pv, 1, 2), f.vv]])
    assert np.linalg.eigvalsh(joint).min() > 0


def test_smoothing_is_the_best_guess_from_all_measurements_together() -> None:
    """A point that moves freely, seen at four unequally spaced instants: position, velocity and sigma at the first are
    those of one least-squares problem over all states at once, to 1e-6 of them.
    """
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 6))
    first, noise, seen = np.zeros(6), A @ A.T + np.eye(6), np.eye(6)[:3]
    times, z = (0., .1, .25, .3), rng.normal(size=(4, 3))
    Q, W = np.diag([.01] * 3 + [.1] * 3), np.eye(3) / .04
    steps: list[tuple[float, State, State]] = []
    rows, right = np.zeros((24, 24)), np.zeros(24)         # normal equations of all four states
    rows[:6, :6] = np.linalg.inv(noise)
    x, P = first, noise
    for k, t in enumerate(times):
        dt, now = t - times[max(k - 1, 0)], slice(6 * k, 6 * k + 6)
        F = np.eye(6)
        F[:3, 3:] = dt * np.eye(3)
        if k:
            x, P = F @ x, F @ P @ F.T + Q
            D = np.zeros((6, 24))
            D[:, 6 * k - 6:6 * k], D[:, now] = -F, np.eye(6)
            rows += D.T @ np.linalg.inv(Q) @ D
        before = state_of(x, P)
        P, was = np.linalg.inv(np.linalg.inv(P) + seen.T @ W @ seen), P
        x = P @ (np.linalg.solve(was, x) + seen.T @ W @ z[k])
        rows[now, now] += seen.T @ W @ seen
        right[now] += seen.T @ W @ z[k]
        steps.append((dt, before, state_of(x, P)))
    want, spread = np.linalg.solve(rows, right)[:6], np.linalg.inv(rows)[:6, :6]
    position, velocity, sigma = smooth_back(steps)
    np.testing.assert_allclose(position, np.tile(want[:3], (17, 1)), rtol=1e-6)
    np.testing.assert_allclose(velocity, np.tile(want[3:], (17, 1)), rtol=1e-6)
    np.testing.assert_allclose(sigma, np.sqrt(np.trace(spread[:3, :3]) / 3), rtol=1e-6)


def state_of(x: Array, P: Array) -> State:
    """The same for 17 joints."""
    return tuple(np.tile(part, (17, *[1] * part.ndim)) for part in (  # type: ignore[return-value]
        x[:3], x[3:], P[:3, :3], P[:3, 3:], P[3:, 3:]))
