# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joint angles, and feet that stand, of one person who walks about a room: against the motion capture that was seen."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.angle_trajectory import angle_trajectory
from ..core.angles import AngleTracker, closed_form
from ..core.causal import estimate_causally
from ..core.contacts import everybody_held
from ..core.estimator import EstimatorConfig
from ..core.kinematics import ANGLES, LIMBS
from ..core.lifting import Lifter
from ..core.observation import Skeleton3D
from ..core.offline import reconstruct_offline
from ..core.usual_poses import wrapped
from ..synthetic.crowd import CrowdScene, seen_scene
from ..synthetic.motion_capture import Motion
from ..synthetic.rigs import ring_rig
from ..synthetic.roaming import roaming
from .rows import Row

__all__ = ['MOTION', 'angle_errors', 'motion_rows', 'slides']

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
People = Sequence[Sequence[Skeleton3D]]

#: row groups of this file; scenes, of so many seconds; until then the first rig is being found, s
MOTION, SCENES, SECONDS, _BEGUN_S = ('angles', 'feet'), 4, 24., 4.
#: half the side of a room, m
_ROOM_M = 2.2
#: a limb with less of a bend does not show its turn; with more abduction, flexion and turn of a shoulder are hardly
#: two angles, rad
_STRAIGHT, _SINGULAR = np.deg2rad(20.), np.deg2rad(60.)
#: bends of elbow or knee between which errors of turns are told apart, deg
_BENDS = (20, 35, 60, 90, 180)
#: a foot truly stands below this speed of its ankle, m/s, no higher than this above its lowest, m
_STANDS, _LOW = .12, .08
_ANKLES = (3, 6)
#: a camera with so many joints in its image has the whole body
_WHOLE = 15
#: the angles of the limbs, and their names without the side
_LIMB = np.arange(5, len(ANGLES))
_NAMES = tuple(dict.fromkeys(ANGLES[n].name[2:] for n in _LIMB))


class AngleErrors(NamedTuple):
    """Of one person at T instants, NaN = not known, see `angle_errors`.

    Attributes:
        error: (T, 21) deg, absolute; of the turn of a limb that is straight NaN.
        sigma: (T, 21) deg, the standard deviations that go with them.
        clear: (T, 21), where an angle is one of its own: not at a shoulder whose arm points sideways.
        arc: (T, 21) deg, by how much each error turns the upper or lower part of its limb (all of flexion where the
            limb hangs, none where it points sideways; all of a turn where elbow or knee have a right angle, none where
            they are straight).
        bend: (T, 21) deg, of the elbow or knee of the limb that an angle is of.
    """

    error: Array
    sigma: Array
    clear: NDArray[np.bool_]
    arc: Array
    bend: Array


@dataclass
class _Found:
    """Of all scenes: errors of the angles, and the speeds of standing feet without and with `hold_feet`, m/s; of each
    the ways `causal` and `off line`.
    """

    angles: dict[str, list[AngleErrors]] = field(default_factory=dict)
    slide: dict[str, list[tuple[Array, Array]]] = field(default_factory=dict)


def motion_rows(motion: Motion, seed: int, lifter: Lifter | None, names: Sequence[str], progress: Progress,
                scenes: int = SCENES, seconds: float = SECONDS) -> Iterator[Row]:
    """Rows of the groups that are named. progress: called with scenes done, and in all."""
    found = _Found()
    for n in range(scenes):
        progress(n, scenes)
        _measure(_room(motion, seed, n, seconds), lifter, found)
    progress(scenes, scenes)
    if 'angles' in names:
        for way, scenes_of in found.angles.items():
            yield _angle_row(way, AngleErrors(*map(np.concatenate, zip(*scenes_of, strict=True))))
    if 'feet' in names:
        for way, both in found.slide.items():
            before, after = (float(np.concatenate([pair[k] for pair in both]).mean()) for k in (0, 1))
            yield Row('feet', f'slide of standing feet, {way}: before / with --hold-feet', before / after, 'x',
                      f'{1e3 * before:.0f} mm/s before, {1e3 * after:.0f} with it')


def _room(motion: Motion, seed: int, number: int, seconds: float) -> CrowdScene:
    rng = np.random.default_rng([seed, number, 61])
    rig = ring_rig(4, int(rng.integers(1 << 31)), (4., 7.), (1., 3.), room_radius_m=_ROOM_M)
    return seen_scene(rng, motion, roaming(rng, motion, int(seconds * motion.fps))[:, None], rig, 0.)


def _measure(scene: CrowdScene, lifter: Lifter | None, found: _Found) -> None:
    for way, people in (('causal', estimate_causally(scene.frames, EstimatorConfig(rig_solver='inline'),
                                                     lifter=lifter)[0]),
                        ('off line', reconstruct_offline(scene.frames, lifter=lifter)[0])):
        found.angles.setdefault(way, []).append(angle_errors(scene, people, way == 'off line'))
        held = everybody_held(people, way == 'off line')
        found.slide.setdefault(way, []).append((slides(scene, people), slides(scene, held)))


def _one(people: People) -> list[Skeleton3D | None]:
    """The person who is there most often, at level 3."""
    count: dict[int, int] = {}
    for instant in people:
        for p in instant:
            count[p.person] = count.get(p.person, 0) + (p.level == 3)
    who = max(count, key=lambda p: count[p], default=0)
    return [next((p for p in instant if p.person == who and p.level == 3), None) for instant in people]


def _counts(scene: CrowdScene) -> NDArray[np.bool_]:
    """(T,) instants that count: two cameras have the whole body in their images, and the first rig had time."""
    whole = scene.visible[:, :, 0].sum(-1) >= _WHOLE
    return np.asarray((whole.sum(1) >= 2) & (scene.stamp >= _BEGUN_S))


def angle_errors(scene: CrowdScene, people: People, offline: bool) -> AngleErrors:
    """Of the one person in a scene. True angles are those of the true joints in closed form, instant by instant.

    offline: smoothed both ways, as files have them; else as they are published.
    """
    X, skeletons = scene.joints[:, 0], _one(people)
    true = np.full((len(X), len(ANGLES)), np.nan)
    for t, x in enumerate(X):
        form = closed_form(x)
        if form is not None:
            true[t] = form[2]
    tracker = AngleTracker()
    got = [None if s is None else tracker.update(s) for s in skeletons]
    if offline:
        got = angle_trajectory(skeletons, tracker.body)
    error, sigma = np.full_like(true, np.nan), np.full_like(true, np.nan)
    counts = _counts(scene)
    for t, a in enumerate(got):
        if a is not None and counts[t]:
            error[t], sigma[t] = np.rad2deg(np.abs(wrapped(a.angle - true[t]))), np.rad2deg(a.sigma)
    arc, first = error.copy(), 5 + 4 * np.arange(4)
    arc[:, first] *= np.cos(true[:, first + 1])
    arc[:, first + 2] *= np.sin(np.abs(true[:, first + 3]))
    upper, lower = (X[:, LIMBS[:, k + 1]] - X[:, LIMBS[:, k]] for k in (0, 1))
    along = (upper * lower).sum(-1) / np.maximum(np.linalg.norm(upper, axis=-1) * np.linalg.norm(lower, axis=-1), 1e-9)
    turns, bends = first + 2, np.arccos(np.clip(along, -1, 1))
    error[:, turns] = np.where(bends < _STRAIGHT, np.nan, error[:, turns])
    bend = np.full_like(true, np.nan)
    bend[:, _LIMB] = np.rad2deg(np.repeat(bends, 4, axis=1))
    clear = np.ones(true.shape, bool)
    for arm in first[2:]:
        clear[:, [arm, arm + 2]] = np.abs(true[:, arm + 1, None]) < _SINGULAR
    return AngleErrors(error, sigma, clear, arc, bend)


def _mean(values: Array) -> float:
    """Of those that are known; NaN = none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float('nan')


def _angle_row(way: str, found: AngleErrors) -> Row:
    error, sigma, clear = found.error, found.sigma, found.clear
    mean = np.nanmean(error, 0)
    both = {n: [i for i in _LIMB if ANGLES[i].name[2:] == n] for n in _NAMES}
    table = ', '.join(f'{n.replace("_", " ")} {mean[i].mean():.1f}' for n, i in both.items())
    own = np.nanmean(np.where(clear, error, np.nan), 0)
    bends = [i for i in _LIMB if not ANGLES[i].name.endswith('rotation')]
    arc = np.nanmean(found.arc, 0)[_LIMB].mean()
    far = (error / sigma)[:, _LIMB]
    known = np.isfinite(far)
    ratio = float(np.sqrt((far[known] ** 2).mean()))
    turns = [i for i in _LIMB if i not in bends]
    turn, bend = error[:, turns], found.bend[:, turns]
    by_bend = ', '.join(f'{low} to {high} deg {_mean(turn[(low <= bend) & (bend < high)]):.1f}'
                        for low, high in pairwise(_BENDS))
    return Row('angles', f"error of the limbs' joint angles, {way}", float(mean[_LIMB].mean()), 'deg', (
        f'{table}; without arms that point sideways (within 30 deg) {own[_LIMB].mean():.1f}; without turns about the '
        f'limb {mean[bends].mean():.1f}, both {own[bends].mean():.1f}, median {np.nanmedian(error[:, bends]):.1f}; as '
        f'arcs {arc:.1f}; turns by the bend of elbow or knee, {by_bend}; errors {ratio:.1f} sigma, '
        f'{(far[known] < 1).mean():.0%} and {(far[known] < 2).mean():.0%} of them within 1 and 2'))


def slides(scene: CrowdScene, people: People) -> Array:
    """Speeds along the floor, m/s, of ankles whose true ones stand."""
    skeletons, step, counts, out = _one(people), np.diff(scene.stamp), _counts(scene), []
    at = np.stack([np.full((17, 3), np.nan) if s is None else s.joints for s in skeletons])
    for ankle in _ANKLES:
        speed = np.linalg.norm(np.diff(scene.joints[:, 0, ankle], axis=0), axis=-1) / step
        z = scene.joints[1:, 0, ankle, 2]
        stands = (speed < _STANDS) & (z < z.min() + _LOW) & counts[1:] & counts[:-1]
        own = np.linalg.norm(np.diff(at[:, ankle, :2], axis=0), axis=-1) / step
        out.append(own[stands & np.isfinite(own)])
    return np.concatenate(out)
