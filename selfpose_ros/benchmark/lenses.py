# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The place of cameras: rotations, fields of view and centres of rigs that are found in rooms, of one person who walks
about, of one who stays on the spot and of several, through pinholes and through lenses; and whether their expected
errors and their quality are right.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.lifting import Lifter
from ..core.offline import reconstruct_offline
from ..core.rig import Rig
from ..core.rotation import similarity_alignment
from ..core.skeleton import JOINTS
from ..evaluation.rig_errors import RigErrors, rig_errors
from ..synthetic.clips import Truth
from ..synthetic.crowd import CrowdScene, crowd_scene, seen_scene
from ..synthetic.motion_capture import Motion
from .rows import Row, rank_correlation

__all__ = ['LENSES', 'Placed', 'lens_rows']

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]

#: row groups of this file; scenes of each kind of lens, of so many seconds
LENSES, SCENES, SECONDS = ('rooms', 'lens'), 6, 30.
#: quality from which on errors above these, degrees, are too many: of rotations, of fields of view
_SURE, _OFF_DEG = .8, (3., 8.)


@dataclass(frozen=True)
class _Kind:
    """Scenes of one kind.

    Attributes:
        focal: / longer side, range.  k1: range; k2 is -0.35 k1 where that is negative.  off: how far the principal
            point is off, at most, / longer side.
        people: how many.  still: they stay on the spot.
    """

    focal: tuple[float, float]
    k1: tuple[float, float] = (0., 0.)
    off: float = 0.
    people: int = 1
    still: bool = False


_NARROW = (.8, 1.4)
_KINDS = {
    'rooms': {'narrow': _Kind(_NARROW), 'on the spot': _Kind(_NARROW, still=True),
              'two people': _Kind(_NARROW, people=2), 'three people': _Kind(_NARROW, people=3)},
    'lens': {'webcam': _Kind((.65, 1.), (-.12, .04), .02), 'wide': _Kind((.45, .7), (-.05, 0.), .02),
             'action': _Kind((.45, .6), (-.32, -.2), .02)}}


@dataclass(frozen=True)
class Placed:
    """Errors of one rig; and those of each camera over what was expected: rotations, focal lengths, centres."""

    errors: RigErrors
    ratios: tuple[Array, Array, Array]

    @property
    def worst_deg(self) -> float:
        """What the quality is to follow: error of the rotations, or a third of that of the fields of view, degrees."""
        return max(self.errors.ae, self.errors.fov / 3)


def lens_rows(motion: Motion, seed: int, lifter: Lifter | None, names: Sequence[str], progress: Progress,
              scenes: int = SCENES) -> tuple[list[Row], dict[str, list[Placed]]]:
    """Rows of the groups that are named, off line, and the rigs by kind.

    progress: called with scenes done, and in all.
    """
    kinds = [(group, kind) for group in names for kind in _KINDS[group]]
    rows, placed = [], {}
    for k, (group, kind) in enumerate(kinds):
        found = []
        for n in range(scenes):
            found.append(_judged(_scene(motion, seed, n, _KINDS[group][kind]), lifter))
            progress(k * scenes + n + 1, len(kinds) * scenes)
        placed[kind] = [f for f in found if f is not None]
        rows.append(_row(group, kind, placed[kind], scenes))
    return [*rows, _quality_row(names[-1], placed)], placed


def _scene(motion: Motion, seed: int, number: int, kind: _Kind) -> CrowdScene:
    """People in a room, seen through lenses."""
    scene = crowd_scene(motion, kind.people, 4, seed, number, SECONDS)
    rng = np.random.default_rng([seed, number, 59])
    V, side = len(scene.rig.cameras), scene.rig.image_size.max(1)
    K, lens = scene.rig.K.copy(), np.zeros((V, 5))
    K[:, 0, 0] = K[:, 1, 1] = rng.uniform(*kind.focal, V) * side
    K[:, :2, 2] += rng.uniform(-kind.off, kind.off, (V, 2)) * side[:, None]
    lens[:, 0] = rng.uniform(*kind.k1, V)
    lens[:, 1] = np.where(lens[:, 0] < 0, -.35 * lens[:, 0], 0.)
    X = scene.joints.copy()
    if kind.still:
        X[..., :2] -= X[:, :, :1, :2]
    return seen_scene(rng, motion, X, replace(scene.rig, K=K, distortion=lens), 0.)


def _judged(scene: CrowdScene, lifter: Lifter | None) -> Placed | None:
    """Without a rig of all cameras: None."""
    _, rig = reconstruct_offline(scene.frames, lifter=lifter)
    true = scene.rig
    if not isinstance(rig, Rig) or set(rig.cameras) != set(true.cameras):
        return None
    order = [rig.cameras.index(c) for c in true.cameras]
    at = rig.only(true.cameras)
    errors = rig_errors(Truth(scene.joints[:, 0], JOINTS, true.K, true.R, true.t, true.distortion), rig, order)
    k, R, t = similarity_alignment(true.centres, at.centres)
    off = np.linalg.norm(k * true.centres @ R.T + t - at.centres, axis=1)
    focal = np.abs(np.log(at.K[:, 0, 0] / true.K[:, 0, 0]))
    return Placed(errors, (np.array([errors.ae / at.rotation_sigma_deg[1:].mean()]), focal / at.focal_sigma,
                           off / at.centre_sigma_m))


def _row(group: str, kind: str, found: Sequence[Placed], scenes: int) -> Row:
    what = f'{kind}: error of the rotations between cameras, mean'
    if not found:
        return Row(group, what, float('nan'), 'deg', f'no rig in any of {scenes} scenes')
    mean = {name: float(np.mean([getattr(f.errors, name) for f in found]))
            for name in ('ae', 'fov', 's_te', 'quality')}
    within = [100 * float((np.concatenate([f.ratios[k] for f in found]) < 1).mean()) for k in range(3)]
    return Row(group, what, mean['ae'], 'deg', (
        f'field of view {mean["fov"]:.2f} deg, places {100 * mean["s_te"]:.1f} cm; within the expected error: '
        f'rotations {within[0]:.0f}, focal lengths {within[1]:.0f}, places {within[2]:.0f} %; quality '
        f'{mean["quality"]:.2f}; no rig in {scenes - len(found)} of {scenes}'))


def _quality_row(group: str, placed: Mapping[str, Sequence[Placed]]) -> Row:
    found = [p for some in placed.values() for p in some]
    e = [f.errors for f in found]
    wrong = sum(x.quality >= _SURE and (x.ae > _OFF_DEG[0] or x.fov > _OFF_DEG[1]) for x in e)
    return Row(group, 'quality against errors, rank correlation', rank_correlation(
        [-x.quality for x in e], [f.worst_deg for f in found]), '', (
        f'of {len(e)} rigs; {wrong} of quality {_SURE:g} or more are off by {_OFF_DEG[0]:g} deg, or '
        f'{_OFF_DEG[1]:g} deg of a field of view'))
