# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The rig of as many cameras as agree: one that hardly sees the person, shows somebody else, was moved or cannot be
placed never costs the others theirs.

All cameras that saw enough are tried together; when they are refused and one of them may be the reason, sets without
one are tried, then without two, and so on. Which set is right is told by what can be told at all: sets of three or more
check themselves; of pairs, nearly all fit something, so that one is taken only where no other pair has a rig.
"""
from __future__ import annotations

from dataclasses import replace
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from ..noise import NoiseModel
from .clocks import solve_with_clocks
from .late import late_cameras, out_of_step_text
from .solver import Solution, SolverConfig, Tracks, misfits, problem_of, usable_rows
from .start import Start
from .value import NotSolved

__all__ = ['FEWEST_VIEWS', 'MANY_VIEWS', 'TRUSTED_DEG', 'saw_enough', 'solve_largest']

#: predicted error of the cameras' rotations that is good enough to publish, degrees
TRUSTED_DEG = 3.5
#: a camera is solved for with this many instants, if they are this share of all, or with this many at any rate
FEWEST_VIEWS, _SHARE, MANY_VIEWS = 4, .15, 200
#: sets of fewer cameras than all are tried from this many instants on, for all refuse the first few; instants after
#: which a camera that is still uncertain will not get better by itself; sets that are tried at most
_FEWEST_ROWS, _SETTLED_ROWS, _MOST_SETS = 20, 60, 40
#: a camera that shows somebody else can be fitted with a body of compromises: its median joint is off by this share of
#: the body, and by this many times as much as in the other cameras
_ODD, _ODD_TIMES = .025, 2.5


def saw_enough(views: NDArray[np.int64], rows: int) -> NDArray[np.bool_]:
    """Which cameras, of views (V,) in so many instants, saw the person often enough to be placed."""
    return np.asarray((views >= MANY_VIEWS) | (views >= min(max(FEWEST_VIEWS, _SHARE * rows), rows)))


def solve_largest(tracks: Tracks, config: SolverConfig | None = None, *, start: Start | None = None,
                  noise: NoiseModel | None = None, min_quality: float = 0.) -> Solution | NotSolved:
    """The rig of all cameras, or of the most that have one. Deterministic.

    Args:
        start, noise: see `solver.solve`; of a start with other cameras the clocks alone are taken.
        min_quality: what is predicted to be worse is as good as refused.

    Returns:
        A solution; its `tracks.cameras` are those that are part of it. Or why not even two cameras have a rig: the
        refusal of all that saw enough.
    """
    rows = usable_rows(tracks)
    half = ((np.isfinite(tracks.kp[rows]).all(-1) & (tracks.confidence[rows] > 0)).sum(-1) >= 8).sum(0)
    enough = np.nonzero(saw_enough(half, len(rows)))[0]
    if 2 <= len(enough) < len(half):
        tracks = tracks.views(enough)
    # a camera that is late can fit as one that errs much: it must not be used, whether there is a rig with it or not
    late = late_cameras(tracks)
    if late:
        return _without_late(tracks, late, config, start, noise, min_quality)
    found = _solve(tracks, config, start, noise, min_quality)
    V = len(tracks.cameras)
    crowd = config is not None and config.crowd          # who is who may be wrong in any camera: sets fit by chance
    if V < 3 or crowd or not _is_one_camera_the_reason(found, len(rows)):
        return found
    tried = 0
    for size in range(V - 1, 1, -1):
        if size == 2 and V > 3:
            break
        good = []
        for chosen in islice(combinations(range(V), size), _MOST_SETS - tried):
            tried += 1
            part = _solve(tracks.views(np.array(chosen)), config, start, noise, min_quality)
            if isinstance(part, Solution) and part.rotation_sigma_deg.max() < TRUSTED_DEG:
                good.append(part)
        if good and (size > 2 or len(good) == 1):
            return min(good, key=lambda s: float(s.rotation_sigma_deg.max()))
        if good or tried >= _MOST_SETS:
            break
    return found


def _without_late(tracks: Tracks, late: dict[str, float], config: SolverConfig | None, start: Start | None,
                  noise: NoiseModel | None, min_quality: float) -> Solution | NotSolved:
    """The rig of those that are in step; a start with others among them was wrong."""
    kept = np.array([v for v, c in enumerate(tracks.cameras) if c not in late])
    if len(kept) < 2:
        return NotSolved(f'{out_of_step_text(late)}: synchronise their clocks', {'late': max(map(abs, late.values()))})
    found = _solve(tracks.views(kept), config, start, noise, min_quality)
    wrong = start is not None and bool(set(late) & set(start.names))
    return found if isinstance(found, NotSolved) else replace(found, late=late, overturned=wrong)


def _solve(tracks: Tracks, config: SolverConfig | None, start: Start | None, noise: NoiseModel | None,
           min_quality: float) -> Solution | NotSolved:
    same = start is not None and start.names == tracks.cameras
    found = solve_with_clocks(tracks, config, start=start if same else None, noise=noise,
                              clocks=None if start is None else start.clocks_of(tracks.cameras))
    if isinstance(found, Solution) and found.quality < min_quality:
        return NotSolved(f'predicted quality {found.quality:.2f} is below min_quality {min_quality:.2f}: '
                         'more movement, or more cameras', {'quality': found.quality}, one_camera=True)
    return found


def _is_one_camera_the_reason(found: Solution | NotSolved, rows: int) -> bool:
    """Whether leaving a camera out may help."""
    if isinstance(found, NotSolved):
        return found.one_camera and rows >= _FEWEST_ROWS
    if rows >= _SETTLED_ROWS and float(found.rotation_sigma_deg.max()) >= TRUSTED_DEG:
        return True
    off = np.sort(misfits(found.state, problem_of(found.tracks, found.noise)))
    return rows >= _FEWEST_ROWS and bool(off[-1] > max(_ODD, _ODD_TIMES * float(np.median(off[:-1]))))
