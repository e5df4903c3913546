# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The place: metres without a given length, and clocks of recordings that did not start together, in rooms."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.lifting import Lifter
from ..core.observation import View2D
from ..core.offline import reconstruct_offline
from ..core.rig import Rig
from ..io.recording import Recording
from ..io.synchronised import synchronised
from ..synthetic.crowd import CrowdScene, crowd_scene, seen_scene
from ..synthetic.jumps import jumping
from ..synthetic.motion_capture import Motion
from .rows import Row

__all__ = ['PLACE', 'place_rows']

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]

#: row groups of this file; scenes of each kind, of so many seconds
PLACE, SCENES, SECONDS = ('scale', 'sync'), 6, 30.
_PEOPLE = 1, 2
#: when somebody jumps, shares of a scene; recordings start apart by this at most, s; frames within which one is found
_JUMPS, _APART_S, _FRAME_S = (.3, .7), 20., .04


def place_rows(motion: Motion, seed: int, lifter: Lifter | None, names: Sequence[str], progress: Progress,
               scenes: int = SCENES) -> Iterator[Row]:
    """Rows of the groups that are named. progress: called with scenes done, and in all."""
    total, done = scenes * (2 * ('scale' in names) + len(_PEOPLE) * ('sync' in names)), 0

    def counted() -> None:
        nonlocal done
        done += 1
        progress(done, total)
    if 'scale' in names:
        for what, at in (('two jumps', _JUMPS), ('no jumps added', ())):
            found = []
            for n in range(scenes):
                found.append(_metre(_room(motion, seed, n, SECONDS, at), lifter))
                counted()
            yield _scale_row(what, found)
    if 'sync' in names:
        for people in _PEOPLE:
            clocks = []
            for n in range(scenes):
                clocks.append(_clocks(motion, people, seed, n, lifter if people == 1 else None))
                counted()
            yield from _sync_rows(people, clocks)


def _room(motion: Motion, seed: int, number: int, seconds: float, jumps: Sequence[float]) -> CrowdScene:
    """One person in a room."""
    scene = crowd_scene(motion, 1, 4, seed, number, seconds)
    X = jumping(scene.joints[:, 0], motion.fps, [a * seconds for a in jumps])
    return seen_scene(np.random.default_rng([seed, number, 47]), motion, X[:, None], scene.rig, 0.)


@dataclass(frozen=True)
class _Metre:
    """Relative error of the size of the world, its sigma, and where the metre is from; NaN without a rig."""

    error: float
    sigma: float
    source: str


def _metre(scene: CrowdScene, lifter: Lifter | None) -> _Metre:
    _, rig = reconstruct_offline(scene.frames, lifter=lifter)
    if not isinstance(rig, Rig):
        return _Metre(np.nan, np.nan, '')
    i = [scene.rig.cameras.index(c) for c in rig.cameras]
    a, b = (x - x.mean(0) for x in (rig.centres, scene.rig.centres[i]))
    return _Metre(float(np.sqrt((a ** 2).sum() / (b ** 2).sum()) - 1), rig.scale_sigma, rig.scale_source)


def _scale_row(what: str, found: Sequence[_Metre]) -> Row:
    error = np.abs([m.error for m in found])
    good = np.isfinite(error)
    if not good.any():
        return Row('scale', f'error of the metre, {what}, median', float('nan'), '%', 'no rig')
    within = float((error[good] < np.array([m.sigma for m in found])[good]).mean())
    flights = sum('flight' in m.source for m in found)
    return Row('scale', f'error of the metre, {what}, median', float(np.median(error[good])), '%', (
        f'worst {error[good].max():.1%}; within its sigma in {within:.0%}; flights found in {flights} of {len(found)}; '
        f'no rig in {int((~good).sum())}'))


@dataclass(frozen=True)
class _Clocks:
    """Errors of the offsets against the first camera, s: by motion alone, NaN = not decided; and with the rig."""

    motion: Array
    rig: Array


def _clocks(motion: Motion, people: int, seed: int, number: int, lifter: Lifter | None) -> _Clocks:
    """Each camera has its own part of a longer scene, and a clock that begins with it; at the first instants of a
    phase of its own.
    """
    scene = crowd_scene(motion, people, 4, seed, 100 + number, SECONDS + _APART_S)
    rng = np.random.default_rng([seed, number, people, 53])
    begin = np.r_[0., rng.uniform(.1, _APART_S, 3)][rng.permutation(4)]
    views = [v for f in scene.frames for v in f.views]
    own = {c: [v for v in views if v.camera == c and b <= v.stamp < b + SECONDS]
           for c, b in zip(scene.rig.cameras, begin, strict=True)}
    begin = np.array([own[c][0].stamp for c in scene.rig.cameras])
    phase = rng.uniform(0., 1 / motion.fps, 4)
    moved: list[View2D] = []
    for c, b, p in zip(scene.rig.cameras, begin, phase, strict=True):
        moved += [replace(v, stamp=v.stamp - b + p) for v in own[c]]
    late = phase - begin
    recording = synchronised(Recording.of('room', scene.rig.cameras, moved))
    true = dict(zip(scene.rig.cameras, late - late[0], strict=True))
    known = recording.late_s
    first = next(iter(known), '')
    by_motion = np.array([known[c] - (true[c] - true[first]) if c in known else np.nan for c in true])[1:]
    with_rig = np.full(3, np.nan)
    if lifter is not None and len(known) > 1:
        _, rig = reconstruct_offline(recording.frames(), lifter=lifter)
        if isinstance(rig, Rig):
            c0 = rig.cameras[0]
            with_rig = np.array([
                known[c] - known[c0] + rig.clock_offset_s[k] - (true[c] - true[c0])
                for k, c in enumerate(rig.cameras)])[1:]
    return _Clocks(by_motion, with_rig)


def _sync_rows(people: int, found: Sequence[_Clocks]) -> Iterator[Row]:
    error = np.abs(np.concatenate([c.motion for c in found]))
    known = np.isfinite(error)
    who = '1 person' if people == 1 else f'{people} people'
    value = float((error[known] < _FRAME_S).sum() / len(error))
    median = 1e3 * float(np.median(error[known])) if known.any() else float('nan')
    yield Row('sync', f'clocks up to {_APART_S:g} s apart found within a frame, {who}', value, '%', (
        f'by motion alone: median {median:.0f} ms, wrong {int((error[known] >= _FRAME_S).sum())}, not decided '
        f'{int((~known).sum())} of {len(error)}'))
    with_rig = np.abs(np.concatenate([c.rig for c in found]))
    with_rig = with_rig[np.isfinite(with_rig)]
    if len(with_rig):
        yield Row('sync', f'the same with the rig, {who}, median', 1e3 * float(np.median(with_rig)), 'ms', (
            f'90 % below {1e3 * np.quantile(with_rig, .9):.1f} ms; within a frame {int((with_rig < _FRAME_S).sum())} '
            f'of {len(error)}'))
