# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Constant offsets between the cameras' clocks, from motion: a late camera sees a moving hand where it was."""
from __future__ import annotations

from collections.abc import Callable
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

__all__ = ['ClockOffsets', 'clock_offsets', 'retimed', 'solve_with_clocks', 'with_clocks']

Array = NDArray[np.float64]

#: joints slower than this tell nothing of time; velocities are taken from parabolas over this long
_SLOW_M_S, _WINDOW_S = .5, .36
#: rounds of retiming and solving; a further one is not worth it for offsets below this, s
_MOST_ROUNDS, _SMALL_S = 4, .002


@dataclass(frozen=True)
class ClockOffsets:
    """offset_s (V,): a camera's stamps minus true time, relative to the first camera; sigma_s (V,) of each."""

    offset_s: Array
    sigma_s: Array

    @property
    def significant(self) -> bool:
        """Worth correcting: more than 3 ms and more than three sigmas somewhere."""
        return bool((np.abs(self.offset_s) > np.maximum(3 * self.sigma_s, .003)).any())

    @property
    def known(self) -> bool:
        """As well as free-running cameras need: every one to some milliseconds."""
        return bool((self.sigma_s < .004).all())


def clock_offsets(tracks: Tracks, solution: Solution, rounds: int = 5) -> ClockOffsets | None:
    """Least squares over all instants with the cameras held and the points eliminated; None without enough motion.

    Args:
        tracks: at a rate that follows the motion (instants at most 0.1 s apart), not a selection.
    """
    pieces = [of for of in tracks.pieces if len(of) > 4]
    if not pieces:
        return None
    keep = np.sort(np.concatenate(pieces))
    if len(keep) < len(tracks.stamp):
        tracks, pieces = tracks.rows(keep), [np.searchsorted(keep, of) for of in pieces]
    dt = np.concatenate([np.diff(tracks.stamp[of]) for of in pieces])
    if len(dt) < 20 or np.median(dt) > .1:
        return None
    s, p = solution.state, problem_of(tracks, solution.noise)
    V = len(tracks.cameras)
    delta = np.zeros(V)
    shift = np.zeros_like(p.kp)
    sigma = np.full(V, np.inf)
    usual = _WINDOW_S / np.median(dt)
    for _ in range(rounds):
        kp = p.kp + shift
        X = triangulate(s.cameras.rays(kp), s.cameras.ray_weight(p.sigma), s.cameras.R, s.cameras.t, rounds=4, scale=4.)
        ok = np.isfinite(X).all(-1)
        middle = np.where(ok[..., None], X, 0.).sum(1, keepdims=True) / np.maximum(ok.sum(1), 1)[:, None, None]
        X = np.where(ok[..., None], X, middle)
        velocity, step_s = np.zeros_like(X), np.ones(len(X))
        for of in pieces:
            window = int(np.clip(usual, 5, max(len(of) // 2, 5))) // 2 * 2 + 1
            if window <= len(of):
                velocity[of] = np.gradient(_smoothed(X[of], window), tracks.stamp[of], axis=0)
                step_s[of] = np.gradient(tracks.stamp[of])
        # a joint that hardly moves has a velocity made of noise, which would pull every offset towards zero; a step
        # across a hole, or a joint that jumps, carries no time
        speed = np.linalg.norm(velocity, axis=-1)
        still = (step_s > .12)[:, None] | (speed > 6.) | (speed < _SLOW_M_S) | ~ok
        velocity[still] = 0.
        state = replace(s, X=X)
        r, JX, _ = linearise(state, replace(p, kp=kp))
        root = np.sqrt(robust_weight((r * r).sum(-1), 4.))[..., None]
        r, JX = r * root, JX * root[..., None]
        Jd = np.einsum('nvjka,nja->nvjk', JX, velocity)           # px in sigmas per second of lateness
        step, sigma = _solve(r, JX, Jd, V)
        delta = delta + step
        JX = linearise(state, p)[1] * np.where(np.isfinite(p.sigma), p.sigma, 0.)[..., None, None]
        shift = np.einsum('nvjka,nja->nvjk', JX, velocity) * delta[:, None, None]
    # neighbouring instants share their errors
    rho = solution.noise.correlation
    sigma = sigma * np.sqrt((1 + rho) / (1 - rho))
    if not np.isfinite(sigma[1:]).all() or sigma[1:].max() > .05:
        return None
    return ClockOffsets(delta - delta[0], sigma)


def _smoothed(x: Array, window: int) -> Array:
    """(N, ...) after a parabola was fitted around each row (Savitzky and Golay 1964), at the ends the first and last.

    window: rows of a parabola, odd. As `scipy.signal.savgol_filter`, whose import takes every process half a second.
    """
    powers = np.arange(window)[:, None] ** np.arange(3.)
    fit = powers @ np.linalg.pinv(powers)                     # what a window becomes, row by row
    half = window // 2
    out = np.empty_like(x)
    out[half:len(x) - half] = np.lib.stride_tricks.sliding_window_view(x, window, 0) @ fit[half]
    out[:half] = np.tensordot(fit[:half], x[:window], 1)
    out[len(x) - half:] = np.tensordot(fit[half + 1:], x[-window:], 1)
    return out


def _solve(r: Array, JX: Array, Jd: Array, V: int) -> tuple[Array, Array]:
    """Offsets relative to the first camera with each point's position eliminated."""
    N, _, J, _ = r.shape
    H = np.einsum('nvjka,nvjkb->njab', JX, JX, optimize=True) + 1e-3 * np.eye(3)
    B = np.einsum('nvjka,nvjk->njva', JX, Jd, optimize=True)                # N,J,V,3
    g = np.einsum('nvjka,nvjk->nja', JX, r, optimize=True)
    HiB = np.linalg.solve(H, B.swapaxes(-1, -2))                             # N,J,3,V
    A = np.diag(np.einsum('nvjk,nvjk->v', Jd, Jd)) - np.einsum('njva,njaw->vw', B, HiB, optimize=True)
    b = np.einsum('nvjk,nvjk->v', Jd, r) - np.einsum('njaw,nja->w', HiB, g, optimize=True)
    A, b = A[1:, 1:], b[1:]
    A = A + 1e-6 * np.trace(A) * np.eye(V - 1) + 1e-3 * np.eye(V - 1)
    # a camera that stamps d too late shows at its stamp what was d before: predicted - observed = velocity x d
    return np.r_[0., np.linalg.solve(A, b)], np.r_[0., np.sqrt(np.diag(np.linalg.inv(A)))]


def retimed(tracks: Tracks, offset_s: Array) -> Tracks:
    """Tracks as clocks that agree would have stamped them."""
    kp, conf = tracks.kp.copy(), tracks.confidence.copy()
    for of in tracks.pieces:
        for v, d in enumerate(offset_s):
            have = of[np.isfinite(kp[of, v]).all(-1).any(-1)]
            if d and len(have) > 2:
                t = tracks.stamp[have]
                kp[have, v], conf[have, v] = move_in_time(t - d, kp[have, v], conf[have, v], t)
    return replace(tracks, kp=kp, confidence=conf)


def solve_with_clocks(tracks: Tracks, config: SolverConfig | None = None, *, start: Start | None = None,
                      noise: NoiseModel | None = None) -> Solution | NotSolved:
    """`solve`, and once more with the clocks put right when they disagree by more than can be chance."""
    try:
        solution = solve(tracks, config, start=start, noise=noise)
    except np.linalg.LinAlgError:                          # all joints in one point, say: nothing that has a shape
        return NotSolved('the joints have no shape that could be measured: is the 2D network working?', {},
                         one_camera=True)
    if isinstance(solution, NotSolved) or len(tracks.stamp) < 60:
        return solution
    return with_clocks(tracks, solution, lambda moved, s: solve(moved, config, start=s.start, noise=s.noise))


def with_clocks(tracks: Tracks, solution: Solution,
                again: Callable[[Tracks, Solution], Solution | NotSolved]) -> Solution:
    """The solution of tracks whose clocks were put right by `again`; as it is when they agree."""
    # a rig that was found with wrong times has taken part of the offsets into its poses: several rounds
    total, moved = np.zeros(len(tracks.cameras)), tracks
    for rounds in range(_MOST_ROUNDS + 1):
        clocks = clock_offsets(moved, solution)
        if clocks is None:
            break
        worth_it = clocks.significant or total.any() and np.abs(clocks.offset_s).max() > _SMALL_S
        if not worth_it or rounds == _MOST_ROUNDS:
            # too small to matter to the rig: the offsets alone are better with it
            solution = replace(solution, clock_offset_s=total + clocks.offset_s) if clocks.known else solution
            break
        total = total + clocks.offset_s
        moved = retimed(tracks, total)
        better = again(moved, solution)
        if isinstance(better, NotSolved):
            break
        solution = replace(better, clock_offset_s=total)
    return replace(solution, flights=flights_of(moved, solution))
