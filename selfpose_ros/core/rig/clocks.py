# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Constant offsets between the cameras' clocks, from motion: a late camera sees a moving hand where it was."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..fusion.triangulation import triangulate
from ..noise import NoiseModel
from ..resample import move_in_time
from ..robust import robust_weight
from .airborne import flights_of
from .bundle_equations import linearise
from .solver import Solution, SolverConfig, Tracks, problem_of, solve
from .start import Start
from .value import NotSolved

__all__ = ['ClockOffsets', 'clock_offsets', 'retimed', 'solve_with_clocks', 'timed']

Array = NDArray[np.float64]

#: joints slower than this tell nothing of time, quicker ones jump; velocities are taken from parabolas over this long
_SLOW_M_S, _FASTEST_M_S, _WINDOW_S = .5, 8., .2
#: motion of less than this, s, goes one way: where a 2D network puts a joint elsewhere looks like a late camera then
_LEAST_S = 2.
#: steps across a hole, s, carry no time; errors are taken to be less alike than this, from instant to instant
_LONGEST_STEP_S, _MOST_ALIKE = .12, .98
#: moves at most, and one that is none, s
_LONGEST_MOVE_S, _NO_MOVE_S = .03, .0002
#: offsets, sigmas: that begin to be corrected, and that go on
_BEGINS, _STAYS = 4., 2.
#: errors of a body are taken to be independent after this, s
_STRETCH_S = 1.
#: three sigmas of Student's distribution are wider by about this over its degrees of freedom (7 to 30 of them)
_FEW = 4.
#: fewer instants tell neither clocks nor flights
_FEWEST_ROWS = 60
#: rounds of retiming and solving; offsets that were found earlier and are below this, s, are none, and so are moves
_MOST_ROUNDS, _SMALL_S = 4, .002


@dataclass(frozen=True)
class ClockOffsets:
    """offset_s (V,): a camera's stamps minus true time, relative to the first camera; sigma_s (V,) of each; stretches:
    number of those with independent errors that they rest on.
    """

    offset_s: Array
    sigma_s: Array
    stretches: float = np.inf

    @property
    def significant(self) -> bool:
        """Worth correcting: more than 3 ms and more than three sigmas somewhere."""
        return self.beyond(3.)

    def beyond(self, sigmas: float) -> bool:
        """More than 3 ms, and than so many sigmas would be of many stretches, somewhere."""
        # of few stretches an error of three sigmas is no rare one (Student's distribution)
        wider = 1 + _FEW / max(self.stretches - 1, .1)
        return bool((np.abs(self.offset_s) > np.maximum(sigmas * wider * self.sigma_s, .003)).any())

    @property
    def known(self) -> bool:
        """As well as free-running cameras need: every one to some milliseconds."""
        return bool((self.sigma_s < .004).all())


def clock_offsets(tracks: Tracks, solution: Solution, rounds: int = 8) -> ClockOffsets | None:
    """Least squares over all instants with the cameras held and the points eliminated; None without enough motion, or
    where no offsets were reached.

    Args:
        tracks: at a rate that follows the motion (instants at most 0.1 s apart), not a selection.
    """
    pieces = [of for person in tracks.pieces for of in np.split(
        person, 1 + np.flatnonzero(np.diff(tracks.stamp[person]) > _LONGEST_STEP_S)) if len(of) > 4]
    if not pieces:
        return None
    keep = np.sort(np.concatenate(pieces))
    if len(keep) < len(tracks.stamp):
        tracks, pieces = tracks.rows(keep), [np.searchsorted(keep, of) for of in pieces]
    dt = np.concatenate([np.diff(tracks.stamp[of]) for of in pieces])
    if len(dt) < 20 or np.median(dt) > .1 or dt.sum() < _LEAST_S:
        return None
    V = len(tracks.cameras)
    delta, own = np.zeros(V - 1), np.eye(V - 1)
    move = delta
    stretch = _stretches(tracks, pieces)
    step, covariance = _step(tracks, solution, pieces, stretch, delta)
    for _ in range(rounds):
        # velocities contain noise, so that a step is short, but it ends at the right place: its length is learned
        # (Broyden 1965)
        move = np.clip(own @ step, -_LONGEST_MOVE_S, _LONGEST_MOVE_S)
        before, delta = step, delta + move
        step, covariance = _step(tracks, solution, pieces, stretch, delta)
        if np.abs(move).max() < _NO_MOVE_S:
            break
        reached = own @ (before - step)
        own += np.outer(move - reached, move @ own) / (move @ reached if abs(move @ reached) > 1e-12 else np.inf)
    sigma = np.r_[0., np.sqrt(np.diag(own @ covariance @ own.T))]
    if not np.isfinite(sigma).all() or sigma.max() > .05 or np.abs(move).max() > _SMALL_S:
        return None                                               # nothing tells them, or they were not reached
    return ClockOffsets(np.r_[0., delta], sigma, len(np.unique(stretch)))


def _stretches(tracks: Tracks, pieces: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """(M,) number of the second of one piece that each step between two of its rows lies in."""
    number = np.concatenate([np.stack([np.full(len(of) - 1, n), (tracks.stamp[of[:-1]] - tracks.stamp[of[0]])
                                       // _STRETCH_S], 1) for n, of in enumerate(pieces)])
    return np.asarray(np.unique(number, axis=0, return_inverse=True)[1]).ravel()


def _step(tracks: Tracks, solution: Solution, pieces: Sequence[NDArray[np.int64]], stretch: NDArray[np.int64],
          delta: Array) -> tuple[Array, Array]:
    """Offsets that are left (V - 1,) once clocks were put right by delta (V - 1,), and their covariance.

    pieces: rows without holes.  stretch: see `_stretches`.
    """
    p = problem_of(retimed(tracks, np.r_[0., delta]), solution.noise)
    s, seen = solution.state, np.isfinite(p.sigma)
    X = triangulate(s.cameras.rays(p.kp), s.cameras.ray_weight(p.sigma), s.cameras.R, s.cameras.t, rounds=4, scale=4.)
    ok = np.isfinite(X).all(-1)
    middle = np.where(ok[..., None], X, 0.).sum(1, keepdims=True) / np.maximum(ok.sum(1), 1)[:, None, None]
    X = np.where(ok[..., None], X, middle)
    velocity, jumps = np.zeros_like(X), np.zeros(X.shape[:2], bool)
    usual_s = np.median(np.concatenate([np.diff(tracks.stamp[of]) for of in pieces]))
    for of in pieces:
        window = int(np.clip(_WINDOW_S / usual_s, 5, max(len(of) // 2, 5))) // 2 * 2 + 1
        if window <= len(of):
            velocity[of] = np.gradient(_smoothed(X[of], window), tracks.stamp[of], axis=0)
        step = np.linalg.norm(np.diff(X[of], axis=0), axis=-1) > _FASTEST_M_S * np.diff(tracks.stamp[of])[:, None]
        near = np.pad(step, ((window // 2 + 1, window // 2), (0, 0)))
        jumps[of] = np.lib.stride_tricks.sliding_window_view(near, window // 2 * 2 + 1, 0).any(-1)[:len(of)]
    # what hardly moves has a velocity made of noise; a joint that jumps carries no time
    velocity[(np.linalg.norm(velocity, axis=-1) < _SLOW_M_S) | jumps | ~ok] = 0.
    r, JX, _ = linearise(replace(s, X=X), p)
    root = np.sqrt(robust_weight((r * r).sum(-1), 4.))[..., None]
    r, JX = r * root, JX * root[..., None]
    Jd = np.einsum('nvjka,nja->nvjk', JX, velocity)               # px in sigmas per second of lateness
    before, after = (np.concatenate([of[cut] for of in pieces]) for cut in (slice(None, -1), slice(1, None)))
    gap = tracks.stamp[after] - tracks.stamp[before]
    alike = np.minimum([solution.noise.correlation_at(float(g)) for g in gap], _MOST_ALIKE)
    use = (seen[before] == seen[after]).all(1) & ok[before] & ok[after]
    step, covariance, wider = _solve(r, JX, Jd, (before, after), use, alike, stretch)
    return step, covariance * wider * wider[:, None]


def _smoothed(x: Array, window: int) -> Array:
    """(N, ...) after a parabola was fitted around each row (Savitzky and Golay 1964), at the ends the first and last.

    window: rows of a parabola, odd. As `scipy.signal.savgol_filter`.
    """
    powers = np.arange(window)[:, None] ** np.arange(3.)
    fit = powers @ np.linalg.pinv(powers)                     # what a window becomes, row by row
    half = window // 2
    out = np.empty_like(x)
    out[half:len(x) - half] = np.lib.stride_tricks.sliding_window_view(x, window, 0) @ fit[half]
    out[:half] = np.tensordot(fit[:half], x[:window], 1)
    out[len(x) - half:] = np.tensordot(fit[half + 1:], x[-window:], 1)
    return out


def _solve(r: Array, JX: Array, Jd: Array, instants: tuple[NDArray[np.int64], NDArray[np.int64]],
           use: NDArray[np.bool_], alike: Array, stretch: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """Offsets (V - 1,) against the first camera with each point's position eliminated, their covariance, and by how
    much further off they are (V - 1,), 1 or more, as joints and stretches of time disagree.

    Errors of neighbouring instants are alike, so that what changes slowly is seen through more of them than what
    changes quickly: of each instant that follows on another, what is new in it counts (generalised least squares for
    errors of a first-order autoregression; Cochrane and Orcutt 1949).

    Args:
        r: (N, V, 17, 2) sigmas, JX: their (N, V, 17, 2, 3) derivatives by the points, Jd: (N, V, 17, 2) by lateness.
        instants: rows (M,) of M instants, and of those that follow on them.
        use: (M, 17) which joints of both count.  alike: (M,) correlation of the errors of both.
        stretch: (M,) number of that whose errors are alike, from 0.
    """
    V, parts = r.shape[1], []
    alike, (before, after) = alike[:, None, None, None], instants
    new = 1 / np.sqrt(1 - alike ** 2)
    for j in range(r.shape[2]):
        J = JX[:, :, j]
        H = np.einsum('nvka,nvkb->nab', J, J) + 1e-3 * np.eye(3)
        # what each camera's lateness does to the residuals, and these
        own = np.concatenate([Jd[:, :, j, :, None] * np.eye(V)[:, None], r[:, :, j, :, None]], -1)
        own -= np.einsum('nvka,nab->nvkb', J, np.linalg.solve(H, np.einsum('nvka,nvkb->nab', J, own)))
        change = ((own[after] - alike * own[before]) * new * use[:, j, None, None, None])[..., 1:]
        parts.append([np.tensordot(c[..., :-1], c, ((0, 1, 2), (0, 1, 2)))
                      for c in (change[stretch == k] for k in range(stretch.max() + 1))])
    each: Array = np.array(parts)                                # by joint and stretch
    each_A, each_b = each[..., :-1], each[..., -1]
    A = each_A.sum((0, 1))
    A = A + 1e-6 * np.trace(A) * np.eye(V - 1) + 1e-3 * np.eye(V - 1)
    # a camera that stamps d too late shows at its stamp what was d before: predicted - observed = velocity x d
    covariance = np.linalg.inv(A)
    step = covariance @ each_b.sum((0, 1))
    # a 2D network puts a joint elsewhere for seconds, and a body for a while: what the offsets would be without one of
    # the joints, or of the stretches, tells how far they are off, whatever their errors are (Tukey's jackknife)
    wider = np.ones(V - 1)
    for axis in (1, 0):
        less_A, less_b = A - each_A.sum(axis), each_b.sum((0, 1)) - each_b.sum(axis)
        n, without = len(less_b), np.linalg.solve(less_A, less_b[..., None])[..., 0]
        wider = np.maximum(wider, np.sqrt((n - 1) / n * ((without - step) ** 2).sum(0) / np.diag(covariance)))
    return step, covariance, wider


def retimed(tracks: Tracks, offset_s: Array) -> Tracks:
    """Tracks as clocks that agree would have stamped them."""
    if not offset_s.any():
        return tracks
    kp, conf = tracks.kp.copy(), tracks.confidence.copy()
    for of in tracks.pieces:
        for v, d in enumerate(offset_s):
            have = of[np.isfinite(kp[of, v]).all(-1).any(-1)]
            if d and len(have) > 2:
                t = tracks.stamp[have]
                kp[have, v], conf[have, v] = move_in_time(t - d, kp[have, v], conf[have, v], t)
    return replace(tracks, kp=kp, confidence=conf)


def timed(tracks: Tracks, solution: Solution, before: Array) -> Solution:
    """A solution with the offsets of the cameras' clocks and with flights.

    Offsets that were none begin where they are sure, and end where they are no longer: a rig that was found a moment
    after the start errs in ways that look like late cameras.

    Args:
        tracks: at a rate that follows the motion.
        before: (V,) s by which they were put right, as those of the solution were.
    """
    before = before - before[0]
    found, late, left = clock_offsets(tracks, solution), before, 0.
    if found is not None and (found.known or found.significant):
        whole = replace(found, offset_s=before + found.offset_s)
        if whole.beyond(_STAYS if before.any() else _BEGINS):
            late, left = whole.offset_s, float(np.abs(found.offset_s).max()) if found.significant else 0.
        else:
            late, left = np.zeros(len(before)), float(np.abs(before).max())
    return replace(solution, clock_offset_s=late, clocks_moved_s=left, flights=flights_of(tracks, solution))


def solve_with_clocks(tracks: Tracks, config: SolverConfig | None = None, *, start: Start | None = None,
                      noise: NoiseModel | None = None, clocks: Array | None = None) -> Solution | NotSolved:
    """`solve`, and again with the clocks put right as long as they disagree by more than can be chance.

    clocks: (V,) s, offsets that were found earlier: they stay where these tracks tell none.
    """
    late = np.zeros(len(tracks.cameras)) if clocks is None or np.abs(clocks).max() < _SMALL_S else clocks - clocks[0]
    moved = retimed(tracks, late)
    try:
        solution = solve(moved, config, start=start, noise=noise)
    except np.linalg.LinAlgError:                          # all joints in one point, say: nothing that has a shape
        return NotSolved('the joints have no shape that could be measured: is the 2D network working?', {},
                         one_camera=True)
    if isinstance(solution, NotSolved):
        return solution
    if len(tracks.stamp) < _FEWEST_ROWS:
        return replace(solution, clock_offset_s=late)
    solution = timed(moved, solution, late)
    # a rig that was found with wrong times has taken part of the offsets into its poses: several rounds
    for _ in range(_MOST_ROUNDS):
        if not solution.clocks_moved_s:
            break
        late = solution.clock_offset_s
        moved = retimed(tracks, late)
        better = solve(moved, config, start=solution.start, noise=solution.noise)
        if isinstance(better, NotSolved):
            break
        solution = timed(moved, better, late)
    return solution
