# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What BlazePose's two networks give, made people. Facts from the options of the published graph, not its code.

The detector (Bazarevsky et al. 2020, BlazePose) finds a face-sized box and four points of each person: the middle of
the hips, a point on the circle around it that holds the whole body, and the same for the upper body. The landmark
network looks at the square around that circle, turned until the body stands upright. Coordinates: px of a network's
input, pixel centres at integers.
"""
from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....core.joint_sets import MEDIAPIPE33
from ....models.vision import Vision
from ..geometry import Placement, checked_size
from .checks import finite, misshapen, numbers, share
from .people import People, PeopleDecoder
from .poses import PoseDecoder

__all__ = ['JOINTS', 'Landmarks', 'PEOPLE', 'POSES', 'detections', 'landmarks', 'region', 'weighted_nms']

Array = NDArray[np.float64]
#: points (B, 33, 2), score (B, 33), presence of a person (B,), middle of the hips and top of the circle (B, 2, 2)
Landmarks = tuple[Array, Array, Array, Array]

JOINTS = MEDIAPIPE33
#: (stride px, anchors in each cell): three layers of 32 px stand in one grid; two anchors a layer
_GRIDS = ((8, 2), (16, 2), (32, 6))
#: numbers of a detection: x y w h, then four points
_COORDINATES, _POINTS = 12, 4
#: landmarks of the network: those of `JOINTS`, then the two that tell the next square, then four others
_ALL, _VALUES = 39, 5
#: cells of a heat map that are looked at around a landmark, and the least peak in them that may move it
_KERNEL, _PEAK = 7, .5
#: raw scores beyond which a sigmoid tells no more
_CLIP = 100.


@lru_cache(maxsize=4)
def _anchors(width: int, height: int) -> Array:
    """(A, 2) px, from the edge, of the middles of the cells, each as often as it has anchors."""
    out = []
    for stride, each in _GRIDS:
        y, x = np.divmod(np.arange((width // stride) * (height // stride)), width // stride)
        out.append(np.repeat((np.column_stack([x, y]) + .5) * stride, each, 0))
    return np.concatenate(out)


def detections(boxes: ArrayLike, scores: ArrayLike, size: tuple[int, int], min_score: float,
               iou: float) -> tuple[Array, Array, Array]:
    """The people whom the detector finds in one image.

    Args:
        boxes: (1, A, 12) offsets from the anchors, px.  scores: (1, A, 1) raw.
        size: (width, height) px of the network's input.
        min_score: 0..1.
        iou: 0..1, overlap of face boxes from which two detections are one person.

    Returns:
        Boxes (P, 4) x1 y1 x2 y2 of the squares around the whole bodies, score (P,) best first, and points (P, 4, 2):
        middle of the hips, point of the whole body's circle, middle of the shoulders, point of the upper body's.

    Raises:
        OutputError: the shapes do not fit together, or a number is not finite.
        InputError: an option is out of its range.
    """
    share('blazepose', 'min_score', min_score)
    share('blazepose', 'iou', iou)
    width, height = (int(n) for n in checked_size('blazepose', size))
    at = _anchors(width, height)
    b, s = numbers('blazepose', boxes, scores)
    if b.shape != (1, len(at), _COORDINATES) or s.shape != (1, len(at), 1):
        raise misshapen('blazepose', f'boxes (1, {len(at)}, {_COORDINATES}) and scores (1, {len(at)}, 1) for an input '
                        f'of {width}x{height} px', b, s)
    finite('blazepose', b, s)
    score = _sigmoid(s[0, :, 0])
    kept = np.flatnonzero(score >= min_score)
    raw, anchors = b[0, kept].astype(float), at[kept]
    middle, half = raw[:, :2] + anchors, raw[:, 2:4] / 2
    corners = np.hstack([middle - half, middle + half])
    points = raw[:, 4:].reshape(len(kept), _POINTS, 2) + anchors[:, None]
    score, points = weighted_nms(corners, score[kept], points.reshape(len(kept), 2 * _POINTS), iou)
    points = points.reshape(-1, _POINTS, 2)
    centre, radius = points[:, 0], np.linalg.norm(points[:, 1] - points[:, 0], axis=-1)[:, None]
    return np.hstack([centre - radius, centre + radius]), score, points


def weighted_nms(boxes: Array, score: Array, values: Array, iou: float) -> tuple[Array, Array]:
    """Detections of one person are averaged, by their scores, not thrown away.

    Args:
        boxes: (N, 4) x1 y1 x2 y2.  score: (N,).  values: (N, V) that are averaged.
        iou: overlap with the best one from which a detection is of the same person.

    Returns:
        score (P,) of the best ones, best first, and values (P, V).
    """
    left = np.argsort(-score, kind='stable')
    area = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1)
    best, means = [], []
    while len(left):
        first = left[0]
        low, high = np.maximum(boxes[first, :2], boxes[left, :2]), np.minimum(boxes[first, 2:], boxes[left, 2:])
        common = np.maximum(high - low, 0).prod(1)
        same = common > iou * (area[first] + area[left] - common)
        same[0] = True                                     # a box without area does not overlap itself
        best.append(score[first])
        means.append(np.average(values[left[same]], axis=0, weights=score[left[same]]))
        left = left[~same]
    return np.array(best), np.reshape(means, (-1, values.shape[1]))


def landmarks(raw: ArrayLike, presence: ArrayLike, heatmap: ArrayLike, size: tuple[int, int]) -> Landmarks:
    """The joints of people, one in each image.

    Args:
        raw: (B, 195) x px, y px, z, visibility, presence of 39 landmarks; the last two before their sigmoids.
        presence: (B, 1) of a person, 0..1.
        heatmap: (B, h, w, 39) before its sigmoid: where it has a peak near a landmark, its centre of mass is taken.
        size: (width, height) px of the network's input.

    Returns:
        See `Landmarks`. The score of a joint is the smaller one of visibility and presence.

    Raises:
        OutputError: the shapes do not fit together, or a number is not finite.
    """
    width, height = checked_size('blazepose', size).tolist()
    a, p, h = numbers('blazepose', raw, presence, heatmap)
    if a.ndim != 2 or a.shape[1] != _ALL * _VALUES or p.shape != (len(a), 1) or h.ndim != 4 or (
            h.shape[0] != len(a) or h.shape[3] != _ALL):
        raise misshapen('blazepose', f'landmarks (B, {_ALL * _VALUES}), presence (B, 1) and heatmap (B, h, w, {_ALL})',
                        a, p, h)
    finite('blazepose', a, p)
    values = a.reshape(len(a), _ALL, _VALUES).astype(float)
    points = np.array([_refined(one[:, :2] / [width, height], maps) for one, maps in zip(values, h, strict=True)])
    points = points.reshape(len(a), _ALL, 2) * [width, height]
    score = _sigmoid(values[..., 3:]).min(-1)
    n = len(JOINTS)
    return points[:, :n], score[:, :n], np.clip(p[:, 0].astype(float), 0., 1.), points[:, n:n + 2]


def _refined(at: Array, maps: NDArray[np.float32]) -> Array:
    """(39, 2) shares of the image, and maps (h, w, 39) -> the same, moved by the map."""
    rows, columns = maps.shape[:2]
    cell = np.floor(np.nan_to_num(at) * [columns, rows])
    inside = ((cell >= 0) & (cell < [columns, rows])).all(1)
    x, y = np.clip(cell, 0, [columns - 1, rows - 1]).astype(int).T
    around = np.arange(_KERNEL) - _KERNEL // 2
    xs, ys = x[:, None] + around, y[:, None] + around
    values = maps[np.clip(ys, 0, rows - 1)[:, :, None], np.clip(xs, 0, columns - 1)[:, None, :],
                  np.arange(len(at))[:, None, None]].astype(float)
    weight = _sigmoid(values)
    weight *= ((ys >= 0) & (ys < rows))[:, :, None] & ((xs >= 0) & (xs < columns))[:, None, :]
    total = weight.sum((1, 2))
    moved = inside & (weight.max((1, 2)) >= _PEAK) & (total > 0)
    safe = np.where(moved, total, 1.)
    mass = np.column_stack([(weight.sum(1) * xs).sum(1) / safe / columns, (weight.sum(2) * ys).sum(1) / safe / rows])
    return np.where(moved[:, None], mass, at)


def region(centre: ArrayLike, top: ArrayLike, size: tuple[int, int], padding: float) -> Placement | None:
    """Where a person goes in the input of the landmark network: upright, in the middle.

    Args:
        centre: (2,) px of the image, middle of the hips.
        top: (2,) px, the point of the circle that comes to lie above it.
        size: (width, height) px of the network's input, a square.
        padding: factor on the circle.

    Returns:
        None where the circle is smaller than two pixels, or no circle.
    """
    (cx, cy), (tx, ty) = np.asarray(centre, float).tolist(), np.asarray(top, float).tolist()
    dx, dy = tx - cx, ty - cy
    radius = float(np.hypot(dx, dy))
    if not 2. <= radius < 1e6:                             # a NaN is not within
        return None
    scale = min(size) / (2 * radius * padding)
    # turned until (dx, dy) is (0, -1)
    turn = np.array([[-dy, dx], [-dx, -dy]]) * (scale / radius)
    middle = np.array(size) / 2
    return Placement(np.column_stack([turn, middle - turn @ [cx, cy]]))


def _sigmoid(raw: NDArray[np.floating]) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(raw.astype(float), -_CLIP, _CLIP))), np.float64)


def _people(tensors: Mapping[str, NDArray[Any]], vision: Vision, joints: int) -> list[People]:
    boxes, score, four = detections(tensors['boxes'], tensors['scores'], vision.size, vision.decode['min_score'],
                                    vision.decode['iou'])
    return [(boxes, score, four, np.ones(four.shape[:2]))]


#: see `poses.POSES` and `people.PEOPLE`; joints of the second one are its four points
POSES: dict[str, PoseDecoder] = {
    'blazepose': lambda t, v: landmarks(t['landmarks'], t['presence'], t['heatmap'], v.size)[:2]}
PEOPLE: dict[str, PeopleDecoder] = {'blazepose_detector': _people}
