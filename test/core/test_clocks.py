# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Offsets between clocks with the rig known, sigma and sign; tracks put right."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from selfpose_ros.core.body import BONE_PRIOR_M
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.resample import move_in_time
from selfpose_ros.core.rig import Rig, clocks, largest
from selfpose_ros.core.rig.bundle_problem import BundleState
from selfpose_ros.core.rig.clocks import ClockOffsets, clock_offsets, retimed, solve_with_clocks
from selfpose_ros.core.rig.solver import Solution, Tracks
from selfpose_ros.synthetic import ring_rig, walker

Array = NDArray[np.float64]

FPS = 25.
AHEAD = np.array([0., .05, -.03, .02])


def px_of(X: Array, rig: Rig, v: int) -> Array:
    C = X @ rig.R[v].T + rig.t[v]
    return np.asarray(C[..., :2] / C[..., 2:] * rig.K[v, 0, 0] + rig.K[v, :2, 2])


def tracks_and_solution(ahead: Array = AHEAD, noise_px: float = 1., style: str = 'walk',
                        fps: float = FPS, n: int = 100) -> tuple[Tracks, Solution]:
    """Somebody seen in n instants by cameras with these clocks: at stamp s each shows what was at s - ahead; the true
    rig.
    """
    rig = ring_rig(4, 2)
    fine = walker(5., 200., 2, style)
    stamp = np.arange(n) / fps
    rng = np.random.default_rng(0)
    kp = np.stack([px_of(fine[np.round((stamp + .5 - d) * 200).astype(int)], rig, v) for v, d in enumerate(ahead)], 1)
    kp = kp + rng.normal(0, noise_px, kp.shape)
    tracks = Tracks(rig.cameras, stamp, kp, np.ones((n, 4, 17)), rig.image_size, (None,) * 4)
    state = BundleState(rig.geometry, np.zeros((0, 17, 3)), BONE_PRIOR_M.copy())
    noise = NoiseModel(np.array([1.]), np.array([max(noise_px, .5)]), 0., 1 / FPS, True)
    nothing = tracks.rows(np.zeros(0, np.int64))
    return tracks, Solution(state, nothing, np.zeros((28, 28)), np.zeros(4), noise, 0., 1., 1., 9)


@pytest.mark.parametrize(('rows', 'window'), [(5, 5), (8, 7), (40, 11)])
def test_parabolas_are_those_of_scipy(rows: int, window: int) -> None:
    from scipy.signal import savgol_filter
    x = np.random.default_rng(0).normal(size=(rows, 17, 3))
    np.testing.assert_allclose(clocks._smoothed(x, window), savgol_filter(x, window, 2, axis=0), atol=1e-12)


def test_offsets_are_found_with_sign_and_sigma() -> None:
    """To 3 ms (measured 1), the first camera being the reference; the sigma is of that size."""
    found = clock_offsets(*tracks_and_solution())
    assert found is not None and found.significant
    assert np.abs(found.offset_s - AHEAD).max() < .003 and found.offset_s[0] == 0.
    assert (found.sigma_s[1:] > 1e-5).all() and (found.sigma_s[1:] < .003).all()


def test_quick_and_noisy_cameras_are_averaged_over_as_long_as_slow_ones() -> None:
    """100 Hz, 4 px of noise: velocities of neighbouring instants would be made of it. To 4 ms (measured 2.3)."""
    found = clock_offsets(*tracks_and_solution(noise_px=4., fps=100., n=300))
    assert found is not None and np.abs(found.offset_s - AHEAD).max() < .004


@pytest.mark.parametrize('fps', [25., 60., 100.])
def test_a_second_of_motion_tells_nothing_at_any_rate(fps: float) -> None:
    """On 1.7 s of real videos at 60 Hz clocks that agree were found 19 ms apart, with a sigma of 3."""
    assert clock_offsets(*tracks_and_solution(fps=fps, n=round(1.7 * fps))) is None
    assert clock_offsets(*tracks_and_solution(fps=fps, n=round(3 * fps))) is not None


def test_joints_that_disagree_make_offsets_less_sure() -> None:
    """Every joint is seen somewhere else by one camera, along its way, as if each had a clock: 20 ms, one joint as the
    next, either way.
    """
    tracks, solution = tracks_and_solution()
    late = np.random.default_rng(1).normal(0, .02, 17)
    kp = tracks.kp.copy()
    kp[:, 1] += np.gradient(kp[:, 1], tracks.stamp, axis=0) * late[:, None]
    sure, unsure = (clock_offsets(t, solution) for t in (tracks, replace(tracks, kp=kp)))
    assert sure is not None and unsure is not None
    assert unsure.sigma_s[1] > 2 * sure.sigma_s[1]
    assert abs(unsure.offset_s[1] - AHEAD[1]) < 3 * unsure.sigma_s[1]


def test_errors_that_last_make_offsets_less_sure() -> None:
    tracks, solution = tracks_and_solution()
    lasting = replace(solution, noise=replace(solution.noise, correlation=.6))
    a, b = clock_offsets(tracks, solution), clock_offsets(tracks, lasting)
    assert a is not None and b is not None
    ratio = b.sigma_s[1:] / a.sigma_s[1:]
    assert (ratio > 1.4).all() and (ratio < np.sqrt(1.6 / .4)).all()           # nobody walks at one speed for ever


def test_what_changes_quickly_counts_more_where_errors_last() -> None:
    """Errors that last 0.4 s hide the speed of walking, hardly that of hands, and sigmas that hold."""
    off, share = {.0: [], .9: []}, []                                  # type: ignore[var-annotated]
    for seed in range(12):
        tracks, solution = tracks_and_solution(noise_px=0.)
        rng, noise = np.random.default_rng(seed), np.zeros(tracks.kp.shape)
        noise[0] = rng.normal(size=noise.shape[1:])
        for n in range(1, len(noise)):
            noise[n] = .9 * noise[n - 1] + np.sqrt(1 - .9 ** 2) * rng.normal(size=noise.shape[1:])
        for rho, errors in off.items():
            measured = NoiseModel(np.array([1.]), np.array([4.]), rho, 1 / FPS, True)
            found = clock_offsets(replace(tracks, kp=tracks.kp + 4 * noise), replace(solution, noise=measured))
            assert found is not None
            errors.append(found.offset_s - AHEAD)
            if rho:
                share.append(errors[-1][1:] / found.sigma_s[1:])
    rms = {rho: float(np.sqrt(np.mean(np.square(e)))) for rho, e in off.items()}
    assert rms[.9] < .85 * rms[0.]                                    # measured .81
    assert .6 < np.sqrt(np.mean(np.square(share))) < 1.6


def test_clocks_that_agree_are_left_alone() -> None:
    found = clock_offsets(*tracks_and_solution(np.zeros(4)))
    assert found is not None and not found.significant


def test_slow_rates_and_people_who_stand_tell_nothing() -> None:
    tracks, solution = tracks_and_solution()
    assert clock_offsets(tracks.rows(np.arange(0, 100, 3)), solution) is None           # 0.12 s apart
    assert clock_offsets(tracks.rows(np.arange(20)), solution) is None
    X = np.repeat(walker(.1, FPS, 2)[:1], 100, 0)
    still = np.stack([px_of(X, ring_rig(4, 2), v) for v in range(4)], 1)
    assert clock_offsets(replace(tracks, kp=still), solution) is None


def test_a_joint_that_jumps_carries_no_time() -> None:
    """A wrist that a camera sees elsewhere in every tenth instant: still to 3 ms."""
    tracks, solution = tracks_and_solution()
    kp = tracks.kp.copy()
    kp[::10, 1, 16] += 90.
    found = clock_offsets(replace(tracks, kp=kp), solution)
    assert found is not None and np.abs(found.offset_s - AHEAD).max() < .003


def test_tracks_put_right_are_those_of_clocks_that_agree() -> None:
    """Noise-free, away from the ends, to 15 % of what was wrong (feet that strike are not between their
    neighbours); what was not seen stays unseen.
    """
    late, good = (tracks_and_solution(a, 0.)[0] for a in (AHEAD, np.zeros(4)))
    moved = retimed(late, AHEAD)
    was, left = (np.abs(k.kp - good.kp)[5:-5].mean() for k in (late, moved))
    assert left < .15 * was and was > 2.
    kp = late.kp.copy()
    kp[40:60, 1] = np.nan
    gone = retimed(replace(late, kp=kp), AHEAD)
    assert np.isnan(gone.kp[44:56, 1]).all() and np.array_equal(gone.kp[:, 0], late.kp[:, 0])


def test_a_short_quick_recording_is_no_failure() -> None:
    """24 instants at 400 Hz: the parabola is not longer than they are."""
    tracks, solution = tracks_and_solution()
    short = tracks.rows(np.arange(24))
    clock_offsets(replace(short, stamp=np.arange(24) / 400.), solution)


def test_a_camera_that_is_lost_for_a_while_tells_no_wrong_time() -> None:
    """One of the cameras sees another joint in a tenth of the instants, a whole leg: still to 4 ms."""
    tracks, solution = tracks_and_solution()
    kp = tracks.kp.copy()
    kp[40:50, 1, 1:7] += [120., -120.]
    found = clock_offsets(replace(tracks, kp=kp), solution)
    assert found is not None and np.abs(found.offset_s - AHEAD).max() < .004


def scripted(monkeypatch: pytest.MonkeyPatch, solution: Solution, rounds: list, others_s: float) -> list[Tracks]:
    """Offset and sigma of the second camera, s, in each round, or None; others_s: sigma of the third and fourth, whose
    offsets are none. Every solve gives the solution; returned are the tracks that solves have got so far.
    """
    told, solved = iter(rounds), list[Tracks]()

    def offsets(moved: Tracks, _: Solution) -> ClockOffsets | None:
        found = next(told)
        return found and ClockOffsets(np.array([0., found[0], 0., 0.]), np.array([0., found[1], others_s, others_s]))

    def solve(moved: Tracks, *others: object, **more: object) -> Solution:
        solved.append(moved)
        return solution

    monkeypatch.setattr(clocks, 'clock_offsets', offsets)
    monkeypatch.setattr(clocks, 'solve', solve)
    return solved


@pytest.mark.parametrize(('rounds', 'total', 'solves'), [
    ([(.0, .01)], 0., 1),                                   # chance
    ([(.03, .001), (.0005, .001)], .0305, 2),               # put right at once; a little that is left alone
    ([(.03, .001), (.006, .001), (.0005, .001)], .0365, 3),
    ([(.006, .003)], 0., 1),                                # no reason to begin
    ([(.03, .001), None], .03, 2),                          # nothing can be told any more
    ([(.03, .001)] * 9, .15, 5),                            # an end
    ([(.03, .001), (-.029, .001), (.0, .001)], 0., 3),      # the rig found with it needs none
])
def test_clocks_are_put_right_in_rounds(monkeypatch: pytest.MonkeyPatch, rounds: list, total: float,
                                        solves: int) -> None:
    """Offset and sigma of the second camera, s, in each round; every solve gets tracks put right by all before it."""
    tracks, solution = tracks_and_solution()
    solved = scripted(monkeypatch, solution, rounds, .001)
    out = solve_with_clocks(tracks)
    assert isinstance(out, Solution) and len(solved) == solves
    assert out.clock_offset_s == pytest.approx(np.array([0., total, 0., 0.]))
    late = np.cumsum([0., *(r[0] for r in rounds[:solves - 1])])
    for moved, by in zip(solved, np.where(late < .003, 0., late), strict=True):
        assert np.array_equal(moved.kp, retimed(tracks, np.array([0., by, 0., 0.])).kp, equal_nan=True)


@pytest.mark.parametrize(('rounds', 'total', 'solves'), [
    ([None], .03, 1),                                      # nothing is told now: what was found earlier stays
    ([(.001, .001)], .031, 1),
    ([(.01, .001), (.0005, .001)], .0405, 2),
    ([(-.03, .001), (.0, .001)], .0, 2),                   # the clock was put right meanwhile
])
def test_clocks_that_were_found_earlier_stay(monkeypatch: pytest.MonkeyPatch, rounds: list, total: float,
                                             solves: int) -> None:
    """The second camera was 30 ms late when the rig that is started from was solved; the fifth is not here now."""
    tracks, solution = tracks_and_solution()
    earlier = replace(solution, clock_offset_s=np.array([0., .03, 0., 0.])).start
    a, b = tracks.cameras[:2]
    others = replace(earlier, names=('z', *tracks.cameras[:3]), clock_offset_s=np.array([.1, 0., .03, 0.]))
    for start in (earlier, others):
        solved = scripted(monkeypatch, solution, rounds, .001)
        out = largest._solve(tracks, None, start, None, 0.)
        assert isinstance(out, Solution) and len(solved) == solves
        assert np.array_equal(solved[0].kp, retimed(tracks, np.array([0., .03, 0., 0.])).kp, equal_nan=True)
        late = dict(zip(tracks.cameras, out.clock_offset_s, strict=True))
        assert late[b] - late[a] == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize(('before', 'found', 'late', 'moved'), [
    (0., None, 0., 0.),
    (0., (.012, .004, 30), 0., 0.),                        # three sigmas: what a young rig errs by looks like this
    (0., (.02, .004, 30), .02, .02),
    (0., (.03, .004, 4), 0., 0.),                          # of four seconds seven sigmas are chance
    (0., (.002, .0001, 30), 0., 0.),                       # too little to matter
    (.03, None, .03, 0.),                                  # nothing is told now: it stays
    (.03, (.005, .003, 30), .035, 0.),                     # the better one; nothing that a rig must be found anew for
    (.03, (.005, .006, 30), .03, 0.),
    (.03, (.02, .004, 30), .05, .02),
    (.03, (-.029, .003, 30), 0., .03),                     # the clock was put right meanwhile, or never was late
])
def test_offsets_begin_where_they_are_sure(
        monkeypatch: pytest.MonkeyPatch, before: float, found: tuple[float, float, int] | None, late: float,
        moved: float) -> None:
    """The second camera's, s, its sigma, and the seconds of people that they rest on; the first one is 1 s off."""
    tracks, solution = tracks_and_solution()
    offsets = found and ClockOffsets(np.array([0., found[0], 0., 0.]), np.array([0., *[found[1]] * 3]), found[2])
    monkeypatch.setattr(clocks, 'clock_offsets', lambda *given: offsets)
    out = clocks.timed(tracks, solution, 1. + np.array([0., before, 0., 0.]))
    assert out.clock_offset_s == pytest.approx(np.array([0., late, 0., 0.]))
    assert out.clocks_moved_s == pytest.approx(moved)


def test_seconds_that_disagree_make_offsets_less_sure() -> None:
    """A whole body is seen elsewhere by one camera, along its way, as if its clock were 8 ms early in one second and
    late in the next.
    """
    tracks, solution = tracks_and_solution()
    kp, second = tracks.kp.copy(), tracks.stamp.astype(int)
    kp[:, 1] += np.gradient(kp[:, 1], tracks.stamp, axis=0) * np.array([.008, -.008, .008, -.008])[second, None, None]
    sure, unsure = (clock_offsets(t, solution) for t in (tracks, replace(tracks, kp=kp)))
    assert sure is not None and unsure is not None and sure.stretches == 4
    assert unsure.sigma_s[1] > 3 * sure.sigma_s[1]
    assert abs(unsure.offset_s[1] - AHEAD[1]) < 3 * unsure.sigma_s[1]


@pytest.mark.parametrize('offset, sigma, want', [(.004, .001, True), (.0029, .0001, False), (.01, .004, False),
                                                 (-.013, .004, True)])
def test_what_is_worth_correcting(offset: float, sigma: float, want: bool) -> None:
    assert ClockOffsets(np.array([0., offset]), np.array([0., sigma])).significant == want


@pytest.mark.parametrize('sigma, want', [(.0039, True), (.0041, False)])
def test_what_is_known_well_enough(sigma: float, want: bool) -> None:
    assert ClockOffsets(np.zeros(3), np.array([0., .001, sigma])).known is want


def test_offsets_without_the_points_are_those_of_all_unknowns_together() -> None:
    """Against one dense least squares of offsets and positions; sigmas are those of its inverse normal matrix."""
    rng, (N, V, J) = np.random.default_rng(4), (3, 4, 2)
    r, JX, Jd = (1e3 * rng.normal(size=(N, V, J, 2, *more)) for more in ((), (3,), ()))
    design = np.zeros((N, V, J, 2, V - 1 + 3 * N * J))
    for v in range(1, V):
        design[:, v, :, :, v - 1] = Jd[:, v]
    for n, j in np.ndindex(N, J):
        at = V - 1 + 3 * (n * J + j)
        design[n, :, j, :, at:at + 3] = JX[n, :, j]
    flat, r_flat = design[1:].reshape(r[1:].size, -1)[:, np.abs(design[1:]).any((0, 1, 2, 3))], r[1:].ravel()
    # the first instant follows on none
    one_by_one = np.arange(N - 1), np.arange(1, N)
    offset, covariance, _ = clocks._solve(r, JX, Jd, one_by_one, np.ones((N - 1, J), bool), np.zeros(N - 1),
                                          np.arange(N - 1))
    np.testing.assert_allclose(offset, np.linalg.lstsq(flat, r_flat, rcond=None)[0][:V - 1], rtol=1e-4)
    np.testing.assert_allclose(covariance, np.linalg.inv(flat.T @ flat)[:V - 1, :V - 1], rtol=1e-4, atol=1e-12)


def test_without_movement_nothing_is_known_of_clocks() -> None:
    rng = np.random.default_rng(5)
    offset, covariance, _ = clocks._solve(rng.normal(size=(3, 4, 2, 2)), rng.normal(size=(3, 4, 2, 2, 3)),
                                  np.zeros((3, 4, 2, 2)), (np.arange(2), np.arange(1, 3)), np.ones((2, 2), bool),
                                  np.full(2, .5), np.arange(2))
    assert not offset.any() and (np.diag(covariance) > 100.).all()


def test_a_joint_that_jumps_for_all_cameras_at_once_carries_no_time() -> None:
    """A wrist that every 0.2 s is 2.5 m elsewhere in all views has a speed that no wrist has: still to 3 ms."""
    tracks, solution = tracks_and_solution()
    rig = ring_rig(4, 2)
    where = walker(5., 200., 2)[0, 16] + np.where(np.arange(100)[:, None] // 5 % 2, 2.5, 0.) * [0., 0., .5]
    kp = tracks.kp.copy()
    kp[:, :, 16] = np.stack([px_of(where, rig, v) for v in range(4)], 1)
    found = clock_offsets(replace(tracks, kp=kp), solution)
    assert found is not None and np.abs(found.offset_s - AHEAD).max() < .003


def test_velocities_made_of_noise_do_not_shorten_offsets() -> None:
    """Slow movement under noise that lasts: a regression on noisy velocities finds a half of the offset."""
    tracks, solution = tracks_and_solution(noise_px=0.)
    got = []
    for seed in range(6):
        rng, noise = np.random.default_rng(seed), np.zeros(tracks.kp.shape)
        noise[0] = rng.normal(size=noise.shape[1:])
        for n in range(1, len(noise)):
            noise[n] = .7 * noise[n - 1] + np.sqrt(1 - .7 ** 2) * rng.normal(size=noise.shape[1:])
        measured = NoiseModel(np.array([1.]), np.array([12.]), .7, 1 / FPS, True)
        found = clock_offsets(replace(tracks, kp=tracks.kp + 12 * noise), replace(solution, noise=measured))
        assert found is not None
        got.append(found.offset_s[1:] / AHEAD[1:])
    assert np.mean(got) == pytest.approx(1., abs=.12)


def test_offsets_that_were_not_reached_are_not_given() -> None:
    tracks, solution = tracks_and_solution()
    assert clock_offsets(tracks, solution, rounds=1) is None
    assert clock_offsets(tracks, solution) is not None


@pytest.mark.filterwarnings('error')
def test_a_joint_that_is_never_seen_is_no_warning() -> None:
    tracks, solution = tracks_and_solution()
    kp, confidence = tracks.kp.copy(), tracks.confidence.copy()
    kp[:, :, 3], confidence[:, :, 3] = np.nan, 0.
    found = clock_offsets(replace(tracks, kp=kp, confidence=confidence), solution)
    assert found is not None and np.abs(found.offset_s - AHEAD).max() < .003


def test_joints_that_rest_do_not_pull_offsets_to_zero() -> None:
    """One wrist moves, all else rests, with 6 px of noise."""
    tracks, solution = tracks_and_solution(noise_px=6.)
    rig, rng = ring_rig(4, 2), np.random.default_rng(3)
    body = walker(.1, FPS, 2)[0]
    kp = np.empty_like(tracks.kp)
    for v, d in enumerate(AHEAD):
        X = np.repeat(body[None], 100, 0)
        X[:, 16] += .4 * np.stack([np.sin(7 * (tracks.stamp - d)), np.cos(7 * (tracks.stamp - d)), 0 * tracks.stamp], 1)
        kp[:, v] = px_of(X, rig, v)
    found = clock_offsets(replace(tracks, kp=kp + rng.normal(0, 6., kp.shape)), solution)
    assert found is not None and np.abs(found.offset_s - AHEAD).max() < .006


# -- moved in time

def test_a_hand_that_moves_fast_is_moved_in_time() -> None:
    """One joint at 20 times the speed of the others, as a wrist at 25 Hz: to a tenth of what the nearer frame is off
    by. It was taken for a jump.
    """
    t = np.arange(60) / FPS
    phase = 2 * np.pi * 1.2 * t[:, None] + np.arange(17)
    kp = np.stack([np.sin(phase), np.cos(phase)], -1) * 4.
    kp[:, 13] *= 20.
    to = t[:-1] + .019

    def true(at: Array) -> Array:
        angle = 2 * np.pi * 1.2 * at + 13
        return np.stack([np.sin(angle), np.cos(angle)], -1) * 80.
    moved, _ = move_in_time(t[:-1], kp[:-1], np.ones((59, 17)), to)
    off = np.linalg.norm(moved[1:-1, 13] - true(to[1:-1]), axis=-1)
    nearest = np.linalg.norm(kp[1:-2, 13] - true(to[1:-1]), axis=-1)
    assert np.median(off) < .1 * np.median(nearest)


def test_a_jump_is_not_moved_in_time() -> None:
    """From one place to another, where it stays: the nearer of both is taken, nothing between."""
    t = np.arange(40) / FPS
    kp = np.cumsum(np.full((40, 17, 2), .5), axis=0)
    kp[20:, 5] += 90.
    moved, _ = move_in_time(t, kp, np.ones((40, 17)), t + .01)
    assert np.isin(moved[19, 5], kp[19:21, 5]).all() and np.allclose(moved[10, 5], kp[10, 5] + .125)
