# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joints of one person for each image: rows of bins, heat maps, points.

Coordinates are px of the network's input. Joints: NaN with score 0 where the network finds nothing.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....models.vision import Vision
from ...errors import InputError
from ..geometry import checked_size
from .checks import finite, misshapen, numbers

__all__ = ['HEATMAP_METHODS', 'POSES', 'SIMCC_SCORES', 'PoseDecoder', 'depths', 'heatmap', 'points', 'seen', 'simcc']

Array = NDArray[np.float64]
#: of a family: tensors by role and the card's part -> points (B, K, 2) and score (B, K)
PoseDecoder = Callable[[Mapping[str, NDArray[Any]], Vision], tuple[Array, Array]]

SIMCC_SCORES = ('min', 'mean')
HEATMAP_METHODS = ('quarter', 'dark', 'udp')

#: a step below the pixel that goes further, in px of the heatmap, comes from a map that has no peak like a Gaussian's
MAX_STEP = 2.


def simcc(x: ArrayLike, y: ArrayLike, split: float, score: str = 'min') -> tuple[Array, Array]:
    """RTMPose: one row of bins for each axis and joint. The first of equal bins counts.

    Args:
        x: (B, K, Wx) raw values of the bins from left to right.
        y: (B, K, Hy) from top to bottom.
        split: bins a px.
        score: 'min' or 'mean' of the two maxima.

    Returns:
        points (B, K, 2) and score (B, K) in 0..1.

    Raises:
        OutputError: the shapes do not fit together, or a number is not finite.
        InputError: an option is out of its range.
    """
    if not (np.isfinite(split) and split > 0):
        raise InputError(f'simcc: split is {split!r}', "choose the bins a px from the model's card, usually 2")
    if score not in SIMCC_SCORES:
        raise InputError(f'simcc: score is {score!r}', f'choose one of {", ".join(SIMCC_SCORES)}')
    bx, by = numbers('simcc', x, y)
    if bx.ndim != 3 or by.ndim != 3 or bx.shape[:2] != by.shape[:2] or 0 in bx.shape[1:] + by.shape[1:]:
        raise misshapen('simcc', 'x (B, K, bins) and y (B, K, bins) of the same B and K', bx, by)
    finite('simcc', bx, by)
    points = np.empty((*bx.shape[:2], 2))
    batch, joint = np.arange(len(bx))[:, None], np.arange(bx.shape[1])
    top = []
    for axis, bins in enumerate((bx, by)):
        at = bins.argmax(2)
        points[..., axis] = at
        top.append(bins[batch, joint, at].astype(float))
    return seen(points / split, np.minimum(*top) if score == 'min' else (top[0] + top[1]) / 2)


def points(at: ArrayLike, score: ArrayLike) -> tuple[Array, Array]:
    """Networks whose joints come out as they are: at (B, K, 2) px of the network's input, score (B, K).

    Raises:
        OutputError: the shapes do not fit, or a number is not finite.
    """
    a, b = numbers('points', at, score)
    if a.ndim != 3 or a.shape[2] != 2 or b.shape != a.shape[:2]:
        raise misshapen('points', 'points (B, K, 2) and score (B, K) of the same B and K', a, b)
    finite('points', a, b)
    return seen(a.astype(float), b.astype(float))


def depths(depth: ArrayLike, sigma: ArrayLike) -> Array:
    """(B, K, 2): depths behind the pelvis and standard deviations, each (B, K).

    Raises:
        OutputError: the shapes do not fit, or a number is not finite.
    """
    a, b = numbers('depth', depth, sigma)
    if a.ndim != 2 or b.shape != a.shape:
        raise misshapen('depth', 'depth (B, K) and sigma (B, K) of the same B and K', a, b)
    finite('depth', a, b)
    return np.stack([a, b], -1).astype(float)


def heatmap(h: ArrayLike, size: tuple[int, int], method: str = 'quarter', kernel: int = 11) -> tuple[Array, Array]:
    """HRNet, ViTPose: one map for each joint. The first of equal maxima counts, row by row.

    Args:
        h: (B, K, h, w).
        size: (width, height) px of the network's input.
        method: from the maximum to below the pixel. 'quarter': a quarter of a pixel towards the higher neighbour;
            'dark': to the peak of the Gaussian through the blurred map, from neighbours at 1 and 2; 'udp': the same
            from the nearest neighbours, and the centres of the outer pixels of map and input are the same.
        kernel: px of the map, odd, of the blur.

    Returns:
        points (B, K, 2) and score (B, K) in 0..1, the maximum of the map.

    Raises:
        OutputError: the shape does not fit, or a number is not finite.
        InputError: an option is out of its range.
    """
    if method not in HEATMAP_METHODS:
        raise InputError(f'heatmap: method is {method!r}', f'choose one of {", ".join(HEATMAP_METHODS)}')
    if kernel < 1 or kernel % 2 != 1:
        raise InputError(f'heatmap: kernel is {kernel!r}', 'choose an odd number, usually 11')
    target = checked_size('heatmap', size)
    (a,) = numbers('heatmap', h)
    if a.ndim != 4 or a.shape[1] == 0 or min(a.shape[2:]) < 2:
        raise misshapen('heatmap', '(B, K, h, w) with maps of at least 2x2', a)
    finite('heatmap', a)
    (batch, joints, height, width) = a.shape
    maps = a.reshape(batch * joints, height, width)
    index = maps.reshape(len(maps), height * width).argmax(1)
    y, x = index // width, index % width
    peak = maps[np.arange(len(maps)), y, x].astype(float)
    if method == 'quarter':
        step = _quarter(maps, x, y)
    elif method == 'dark':
        step = _dark(maps, x, y, kernel)
    else:
        step = _udp(maps, x, y, kernel)
    grid = np.array([width, height], float)
    factor = (target - 1) / (grid - 1) if method == 'udp' else target / grid
    points = (np.column_stack([x, y]) + step) * factor
    return seen(points.reshape(batch, joints, 2), peak.reshape(batch, joints))


def seen(points: Array, score: Array) -> tuple[Array, Array]:
    """A score of nothing, or less, is no joint; one above 1 tells no more than 1."""
    return np.where(score[..., None] > 0, points, np.nan), np.minimum(np.maximum(score, 0.), 1.)


def _quarter(maps: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> Array:
    """(N, h, w) and maxima (N,) -> step (N, 2) px of the map; none along an axis where a neighbour is missing."""
    n, (height, width) = np.arange(len(maps)), maps.shape[1:]
    right, left = maps[n, y, np.minimum(x + 1, width - 1)], maps[n, y, np.maximum(x - 1, 0)]
    below, above = maps[n, np.minimum(y + 1, height - 1), x], maps[n, np.maximum(y - 1, 0), x]
    # compared, not subtracted: integers without a sign would wrap
    towards = np.column_stack([(right > left).astype(float) - (right < left),
                               (below > above).astype(float) - (below < above)])
    inside = np.column_stack([(x > 0) & (x < width - 1), (y > 0) & (y < height - 1)])
    return 0.25 * towards * inside


def _dark(maps: NDArray[Any], x: NDArray[Any], y: NDArray[Any], kernel: int) -> Array:
    """(N, h, w) and maxima (N,) -> step (N, 2) px of the map; none closer than 2 px to the border."""
    near = _blurred(maps, x, y, kernel, 2)
    top = near.max((1, 2))
    # the height of the peak, a constant in the logarithm, cancels below: it is 1 here for the floor alone
    v = np.log(np.maximum(near / np.where(top > 0, top, 1.)[:, None, None], 1e-10))
    gradient = 0.5 * np.column_stack([v[:, 2, 3] - v[:, 2, 1], v[:, 3, 2] - v[:, 1, 2]])
    xx = 0.25 * (v[:, 2, 4] - 2 * v[:, 2, 2] + v[:, 2, 0])
    yy = 0.25 * (v[:, 4, 2] - 2 * v[:, 2, 2] + v[:, 0, 2])
    xy = 0.25 * (v[:, 3, 3] - v[:, 1, 3] - v[:, 3, 1] + v[:, 1, 1])
    return _newton(gradient, xx, yy, xy) * _inside(maps, x, y, 2)[:, None]


def _udp(maps: NDArray[Any], x: NDArray[Any], y: NDArray[Any], kernel: int) -> Array:
    """(N, h, w) and maxima (N,) -> step (N, 2) px of the map; none closer than 2 px to the border."""
    v = np.log(np.clip(_blurred(maps, x, y, kernel, 1), 1e-3, 50.))
    gradient = 0.5 * np.column_stack([v[:, 1, 2] - v[:, 1, 0], v[:, 2, 1] - v[:, 0, 1]])
    xx = v[:, 1, 2] - 2 * v[:, 1, 1] + v[:, 1, 0]
    yy = v[:, 2, 1] - 2 * v[:, 1, 1] + v[:, 0, 1]
    xy = 0.25 * (v[:, 2, 2] - v[:, 0, 2] - v[:, 2, 0] + v[:, 0, 0])
    # at 1 px the map has the neighbours, but the blur misses so much of the peak that the step makes it worse
    return _newton(gradient, xx, yy, xy) * _inside(maps, x, y, 2)[:, None]


def _inside(maps: NDArray[Any], x: NDArray[Any], y: NDArray[Any], margin: int) -> NDArray[np.bool_]:
    """(N,) whether the maxima have as many px of the map on every side."""
    height, width = maps.shape[1:]
    return np.asarray((x >= margin) & (x < width - margin) & (y >= margin) & (y < height - margin), np.bool_)


def _blurred(maps: NDArray[Any], x: NDArray[Any], y: NDArray[Any], kernel: int, reach: int) -> Array:
    """The blurred map around its maximum alone, (N, 2 * reach + 1, 2 * reach + 1), for nothing else is looked at.

    Outside, the map is 0. Mirrored, it would hold a second peak next to one near the border (measured with a Gaussian
    2 to 3 px from it: 1.3 px of error at worst instead of 0.2).
    """
    around = np.arange(-(kernel // 2 + reach), kernel // 2 + reach + 1)
    rows, columns = y[:, None] + around, x[:, None] + around
    in_y, in_x = (rows >= 0) & (rows < maps.shape[1]), (columns >= 0) & (columns < maps.shape[2])
    patch = maps[np.arange(len(maps))[:, None, None], np.where(in_y, rows, 0)[:, :, None],
                 np.where(in_x, columns, 0)[:, None, :]].astype(float)
    patch *= in_y[:, :, None] & in_x[:, None, :]
    weights = cv2.getGaussianKernel(kernel, 0).ravel()     # 0: the sigma that belongs to the kernel, 2 px for 11
    shifted = np.zeros((2 * reach + 1, len(around)))
    for i in range(2 * reach + 1):
        shifted[i, i:i + kernel] = weights
    return np.asarray(shifted @ patch @ shifted.T, np.float64)


def _newton(gradient: Array, xx: Array, yy: Array, xy: Array) -> Array:
    """The step (N, 2) to the top of a paraboloid, 0 where there is no top or it is too far away."""
    det = xx * yy - xy * xy
    peaked = (xx < 0) & (det > 1e-12)
    safe = np.where(peaked, det, 1.)
    step = np.column_stack([xy * gradient[:, 1] - yy * gradient[:, 0],
                            xy * gradient[:, 0] - xx * gradient[:, 1]]) / safe[:, None]
    return step * (peaked & (np.hypot(step[:, 0], step[:, 1]) <= MAX_STEP))[:, None]


#: families that look at one person
POSES: dict[str, PoseDecoder] = {
    'simcc': lambda t, v: simcc(t['x'], t['y'], v.decode['split'], v.decode['score']),
    'heatmap': lambda t, v: heatmap(t['heatmap'], v.size, v.decode['method'], v.decode['kernel']),
    'points25d': lambda t, v: points(t['points'], t['score']),
}
