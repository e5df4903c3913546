# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the estimator costs: a tick alone, a tick while a rig is solved beside it, a solve; on synthetic people."""
from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.estimator import Estimator, EstimatorConfig
from ..core.history import History
from ..core.lifting import Lifter
from ..core.observation import MultiView
from ..core.person_view import Detections
from ..core.rig.solver import SolverConfig, solve
from ..synthetic import frames_of, observe, ring_rig, walker
from .rows import Row
from .stack_sampler import StackSampler

__all__ = ['SPEED', 'Ticks', 'correction_ticks', 'scene', 'solve_time_s', 'speed_row', 'ticks']

Array = NDArray[np.float64]

_FPS = 30.
#: paths of four people who stay apart, m
_STARTS = ((1., .9), (-1., .9), (-1., -.9), (1., -.9))
_SEED = 3
#: others come in after this time, s
_ALONE_S = 8.
#: footage before the first update that counts, s: at first solves follow each other too closely to be distinguished
_WARM_S = 5.
#: how much faster than taken frames come while a rig is solved: a solve is met by more of them
_PACE = 4.


@dataclass(frozen=True)
class Ticks:
    """Times of single updates at level 3.

    Attributes:
        alone_s: no solve was running.  solving_s: a solve was running, or its result was taken over.
        people: median number of people in the results.
        parts: share of the time by what was done, the largest first; empty when it was not asked for.
    """

    alone_s: Array
    solving_s: Array
    people: float
    parts: dict[str, float]


def scene(cameras: int, people: int, seconds: float) -> list[MultiView]:
    """Synchronous views of people who walk and exercise, at 30 Hz; the first has the room for himself for a while."""
    X = np.stack([walker(seconds, _FPS, seed=_SEED + p, start=_STARTS[p] if people > 1 else (0., 0.),
                         style='exercise' if p else 'mixed') for p in range(people)], 1)
    X[:round(_ALONE_S * _FPS), 1:] = np.nan
    room = 2. if people > 1 else 1.5
    rig = ring_rig(cameras, _SEED, distance_m=(4., 6.), focal_px=(500., 1100.), room_radius_m=room)
    return frames_of(observe(X, rig, _FPS, _SEED))


def ticks(frames: Sequence[MultiView], solver: str = 'inline', *, pace: float = 0., sampled: bool = False,
          lifter: Lifter | None = None) -> Ticks:
    """Run the estimator over all frames and time every update at level 3.

    Args:
        solver: 'inline': updates in which a rig is solved or taken over are left out; 'process': they are
            `Ticks.solving_s`, with all others while a solve is under way.
        pace: frames come this many times faster than they were taken; 0 = as fast as they are dealt with.
        sampled: find out what the time is spent on, which costs some.
    """
    estimator = Estimator(EstimatorConfig(rig_solver=solver), lifter=lifter)
    alone, solving, people = [], [], []
    sampler = StackSampler()
    parts: dict[str, float] = {}
    was_busy, begin = False, time.perf_counter()
    try:
        for i, frame in enumerate(frames):
            if pace:
                time.sleep(max(0., begin + i / _FPS / pace - time.perf_counter()))
            with sampler.running(sampled):
                start = time.perf_counter()
                found = estimator.update(frame)
                took = time.perf_counter() - start
            busy = estimator.status.solving
            switched, was_busy = busy != was_busy, busy
            if i < _WARM_S * _FPS or estimator.rig is None or not found:
                continue
            if solver == 'inline':
                if switched:
                    continue
                for part in filter(None, sampler.taken):
                    parts[part] = parts.get(part, 0.) + 1
            if solver == 'process' and (busy or switched):
                solving.append(took)
            else:
                alone.append(took)
            people.append(len(found))
    finally:
        estimator.close()
    total = sum(parts.values())
    shares = {k: n / total for k, n in sorted(parts.items(), key=lambda p: -p[1])}
    return Ticks(np.array(alone), np.array(solving), float(np.median(people)) if people else 0., shares)


def solve_time_s(frames: Sequence[MultiView], rows: int = 80, repeats: int = 3) -> float:
    """Median time of a first solve over so many instants, spread over the frames, s."""
    history = History()
    for i in np.linspace(0, len(frames) - 1, rows).astype(int):
        history.add(frames[i].stamp, Detections.of(frames[i]).first())
    tracks, took = history.tracks(), []
    for _ in range(repeats):
        start = time.perf_counter()
        solve(tracks, SolverConfig(frames=rows))
        took.append(time.perf_counter() - start)
    return float(np.median(took))


def _cost_row(name: str, what: str, t: Ticks, people: int) -> Row:
    ms = 1e3 * t.alone_s
    if not len(ms):
        return Row(name, what, float('nan'), 'ms', 'level 3 was not reached')
    parts = ', '.join(f'{part} {share:.0%}' for part, share in list(t.parts.items())[:4])
    return Row(name, what, float(np.median(ms)), 'ms', (
        f'mean {ms.mean():.1f}, 99 % below {np.quantile(ms, .99):.1f}; {t.people:.0f} of {people} people found; '
        f'{parts}'))


def _stall_row(t: Ticks) -> Row:
    what = 'tick p99 while a rig is solved / alone'
    if min(len(t.alone_s), len(t.solving_s)) < 50:
        return Row('stall', what, float('nan'), 'x', (
            f'{len(t.alone_s)} ticks alone, {len(t.solving_s)} during a solve: too few'))
    alone, solving = (1e3 * np.quantile(x, .99) for x in (t.alone_s, t.solving_s))
    return Row('stall', what, float(solving / alone), 'x', (
        f'{solving:.1f} ms of {len(t.solving_s)} ticks against {alone:.1f} of {len(t.alone_s)}; '
        f'medians {1e3 * np.median(t.solving_s):.2f} and {1e3 * np.median(t.alone_s):.2f}'))


def correction_ticks(frames: Sequence[MultiView], lifter: Lifter) -> tuple[Array, Array]:
    """Times of single updates below level 3, s: without correction and with it, update by update in turn.

    No rig is ever solved: what is timed is lifting, matching, filtering, and the correction.
    """
    both = [Estimator(EstimatorConfig(solve_first_s=np.inf, correction=on), lifter=lifter) for on in (False, True)]
    took = np.full((len(frames), 2), np.nan)
    try:
        for i, frame in enumerate(frames):
            for k in ((0, 1), (1, 0))[i % 2]:
                start = time.perf_counter()
                if both[k].update(frame):
                    took[i, k] = time.perf_counter() - start
    finally:
        for estimator in both:
            estimator.close()
    took = took[np.isfinite(took).all(1)]
    return took[:, 0], took[:, 1]


def _correction_row(frames: Sequence[MultiView], lifter: Lifter | None) -> Row:
    what = 'tick below level 3 with correction / without'
    off, on = correction_ticks(frames, lifter) if lifter is not None else (np.zeros(0), np.zeros(0))
    if len(off) < 50:
        return Row('correction', what, float('nan'), 'x', note='no lifter' if lifter is None else 'too few ticks')
    return Row('correction', what, float(np.median(on) / np.median(off)), 'x', note=(
        f'medians {1e3 * np.median(on):.2f} and {1e3 * np.median(off):.2f} ms of {len(on)} ticks in turn, 4 views'))


#: row group -> seconds of the scene
SPEED: dict[str, float] = {'tick': 35., 'crowd': 30., 'stall': 75., 'solve': 12., 'correction': 8.}


def speed_row(name: str, lifter: Lifter | None = None) -> tuple[Row, Ticks | None]:
    """Row of one name of `SPEED`, and the ticks behind it."""
    cameras, people = (8, 4) if name == 'crowd' else (4, 1)
    frames = scene(cameras, people, SPEED[name])
    if name == 'solve':
        return Row(name, 'a first solve over 80 frames, 4 views', solve_time_s(frames), 's'), None
    if name == 'correction':
        return _correction_row(frames, lifter), None
    if name == 'stall':
        t = ticks(frames, 'process', pace=_PACE, lifter=lifter)
        return _stall_row(t), t
    plain, looked_into = ticks(frames, lifter=lifter), ticks(frames, sampled=True, lifter=lifter)
    t = Ticks(plain.alone_s, plain.solving_s, plain.people, looked_into.parts)
    seen = f'{cameras} views, {people} {"person" if people == 1 else "people"}'
    return _cost_row(name, f'tick at level 3, {seen}', t, people), t
