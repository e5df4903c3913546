# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Labels for images: the fused people of a recording projected into its cameras, as far as they are sure and seen.

A recording is split in time as for lifters: the first part is calibrated by itself, the last one with the whole.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.camera import project
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.offline import reconstruct_offline
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.rig import Rig
from selfpose_ros.io.recording import Recording

from ..images.boxes import torso_px
from .variety import too_still, variety

__all__ = ['ImageLabel', 'Labels', 'SplitImages', 'each_of', 'key_of', 'labels_of', 'split_images']

Array = NDArray[np.float64]

#: between what is learned from and what is held out: s, and as a share of the recording where that is less
_GAP_S, _GAP_SHARE = 1., .1
#: instants to learn from and to compare on, at least
_LEARN, _COMPARE = 25, 15
#: between instants that are further apart than this nobody's pose is known, s
_APART_S = .2
#: shares of the torso: a joint that is this uncertain in the image counts half; a more uncertain one not at all
_DOUBT, _UNSURE = .05, .15
#: a joint that the recording's own 2D network did not see, at this confidence, is taken for hidden; so is one that it
#: saw further from the label than this share of the torso, for one of them is wrong
_SEEN, _AGREES = .3, .4
#: of somebody, joints that are left, at least
_FEWEST = 8


@dataclass(frozen=True, eq=False)
class ImageLabel:
    """Somebody in an image.

    Attributes:
        points: (17, 2) px.  weight: (17,) 0 = left out: unsure or hidden.
        torso: px, the scale of PCK.
    """

    points: Array
    weight: Array
    torso: float


#: of images, by `key_of`
Labels = Mapping[tuple[str, int], Sequence[ImageLabel]]


@dataclass(frozen=True, eq=False)
class SplitImages:
    """Labels of a recording, split in time.

    Attributes:
        learn: of the first part, calibrated by itself.  compare: of the last part, from the whole recording.
        since: first stamp of the last part, s.
        quality: of the rigs of the first part and of the whole.
        cameras, learn_s, compare_s: of the recording; lengths of the parts, s.
    """

    learn: Labels
    compare: Labels
    since: float
    quality: tuple[float, float]
    cameras: int
    learn_s: float
    compare_s: float

    def summary(self) -> dict[str, Any]:
        """For reports."""
        return {'cameras': self.cameras, 'learn_s': self.learn_s, 'compare_s': self.compare_s,
                'people_in_images': [sum(map(len, x.values())) for x in (self.learn, self.compare)],
                'rig_quality': list(self.quality)}


def key_of(camera: str, stamp: float) -> tuple[str, int]:
    """What an image is called in `Labels`: keypoints that came of it have the same stamp but for rounding."""
    return camera, round(1e4 * stamp)


def split_images(recording: Recording, held_out: float) -> SplitImages | str:
    """Calibrate and label a recording, or the reason why nothing is learned from it.

    Args:
        held_out: share of its time for comparing.
    """
    name, frames = recording.name, recording.frames()
    stamp = np.array([f.stamp for f in frames])
    span = float(stamp[-1] - stamp[0])
    since = float(stamp[-1] - held_out * span)
    first = since - min(_GAP_S, _GAP_SHARE * span)
    learn, compare = int((stamp < first).sum()), int((stamp >= since).sum())
    if learn < _LEARN or compare < _COMPARE:
        return (f'{name}: {len(stamp)} instants are too few to learn from one part ({learn}, {_LEARN} are needed) and '
                f'compare on another ({compare}, {_COMPARE} are needed): record longer')
    parts, quality = [], []
    for part, low, high in ((frames[:learn], -math.inf, first), (frames, since, math.inf)):
        people, rig = reconstruct_offline(part)
        if not isinstance(rig, Rig):
            return f'{name}: {rig.reason}'
        result = Skeletons.of([f.stamp for f in part], people, recording.cameras, rig)
        found = labels_of(result, [v for v in recording.views if low <= v.stamp < high])
        still = too_still(max(variety(*x) for x in each_of(result))) if part is not frames and found else ''
        if still:
            return f'{name}: {still}'
        if not found:
            return f'{name}: nobody at level 3 whose joints are sure and seen from {max(low, stamp[0]):.1f} s on'
        parts.append(found)
        quality.append(rig.quality)
    return SplitImages(parts[0], parts[1], since, (quality[0], quality[1]), len(recording.image_size),
                       float(stamp[learn - 1] - stamp[0]), float(stamp[-1] - stamp[-compare]))


def each_of(result: Skeletons) -> list[tuple[Array, Array]]:
    """Joints (N, 17, 3) m and sigmas (N, 17) m of each person at level 3."""
    rows = [(result.level == 3) & (result.person == p) for p in np.unique(result.person[result.level == 3])]
    return [(result.joints[r], result.own_sigma[r]) for r in rows]


def labels_of(result: Skeletons, views: Sequence[View2D]) -> dict[tuple[str, int], list[ImageLabel]]:
    """The people of level 3 in these views, where the views' own 2D network found them, too."""
    rig = result.rig
    assert isinstance(rig, Rig)
    out: dict[tuple[str, int], list[ImageLabel]] = {}
    for v, camera in enumerate(rig.cameras):
        own = [view for view in views if view.camera == camera and len(view.keypoints)]
        if not own:
            continue
        X, sigma = _at(result, np.array([view.stamp for view in own]) - rig.clock_offset_s[v])
        px = project(X, rig.K[v], rig.R[v], rig.t[v], rig.distortion[v])
        depth = X @ rig.R[v][2] + rig.t[v][2]
        with np.errstate(invalid='ignore', divide='ignore'):
            error = sigma * rig.K[v, 0, 0] / depth
        for n, view in enumerate(own):
            found = [label for p in range(X.shape[1])
                     if (label := _label(px[n, p], error[n, p], view)) is not None]
            if found:
                out[key_of(camera, view.stamp)] = found
    return out


def _at(result: Skeletons, stamps: Array) -> tuple[Array, Array]:
    """Joints (M, P, 17, 3) m and sigmas (M, P, 17) m at M stamps, between the instants around; NaN = not known."""
    T = result.stamp
    b = np.clip(np.searchsorted(T, stamps), 1, len(T) - 1)
    a = b - 1
    u = np.clip((stamps - T[a]) / np.maximum(T[b] - T[a], 1e-9), 0, 1)[:, None, None]
    level = np.where(result.level == 3, 1., np.nan)[..., None]
    known = np.where((T[b] - T[a] <= _APART_S) & (stamps >= T[0] - _APART_S) & (stamps <= T[-1] + _APART_S), 1., np.nan)
    # a column is handed on to others; between two people there is nobody
    known = known[:, None] * np.where(result.person[a] == result.person[b], 1., np.nan)
    X, sigma = result.joints * level[..., None], result.own_sigma * level
    return ((1 - u[..., None]) * X[a] + u[..., None] * X[b]) * known[..., None, None], \
        ((1 - u) * sigma[a] + u * sigma[b]) * known[..., None]


def _label(points: Array, error: Array, view: View2D) -> ImageLabel | None:
    """Of somebody at (17, 2) px, uncertain by (17,) px, in a view."""
    if not np.isfinite(points).all():
        return None
    torso = torso_px(points)
    with np.errstate(invalid='ignore'):
        off = np.linalg.norm(view.keypoints - points, axis=-1) / torso                    # P, 17
        agrees = (view.confidence >= _SEEN) & (off < _AGREES)
        share = error / torso
        inside = ((points >= 0) & (points < np.array(view.image_size))).all(-1)
        sure = np.isfinite(share) & (share < _UNSURE)
    best = int(agrees.sum(1).argmax())
    weight = np.where(agrees[best] & inside & sure, 1 / (1 + (np.nan_to_num(share) / _DOUBT) ** 2), 0.)
    return ImageLabel(points, weight, torso) if (weight > 0).sum() >= _FEWEST else None

