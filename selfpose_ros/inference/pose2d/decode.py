# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What 2D networks give, made people: one function for each form of output, arrays in, arrays out.

All coordinates are px of the network's input; `Placement.to_image` brings them home. Joints: NaN with score 0 where the
network says that there is nothing. People: best first, those above `min_score`.
"""
from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .geometry import checked_size
from .tensor_checks import finite, misshapen, numbers, scores, share

__all__ = ['HEATMAP_METHODS', 'SIMCC_SCORES', 'Boxes', 'People', 'boxes_of', 'heatmap', 'movenet', 'nms', 'rtmdet',
           'rtmo', 'simcc', 'yolo_pose', 'yolox']

Array = NDArray[np.float64]
#: boxes (P, 4) x1 y1 x2 y2, score (P,) of one image
Boxes = tuple[Array, Array]
#: boxes (P, 4) x1 y1 x2 y2, score (P,), points (P, K, 2), joint score (P, K) of one image
People = tuple[Array, Array, Array, Array]

SIMCC_SCORES = ('min', 'mean')
HEATMAP_METHODS = ('quarter', 'dark', 'udp')

#: a step below the pixel that goes further, in px of the heatmap, comes from a map that has no peak like a Gaussian's
MAX_STEP = 2.
#: cells of YOLOX, px
STRIDES = (8, 16, 32)


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
        raise InputError(f"simcc: split is {split!r}; choose the bins a px from the model's card, usually 2")
    if score not in SIMCC_SCORES:
        raise InputError(f'simcc: score is {score!r}; choose one of {", ".join(SIMCC_SCORES)}')
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
    return _seen(points / split, np.minimum(*top) if score == 'min' else (top[0] + top[1]) / 2)


def points(at: ArrayLike, score: ArrayLike) -> tuple[Array, Array]:
    """Networks whose joints come out as they are: at (B, K, 2) px of the network's input, score (B, K).

    Raises:
        OutputError: the shapes do not fit, or a number is not finite.
    """
    a, b = numbers('points', at, score)
    if a.ndim != 3 or a.shape[2] != 2 or b.shape != a.shape[:2]:
        raise misshapen('points', 'points (B, K, 2) and score (B, K) of the same B and K', a, b)
    finite('points', a, b)
    return _seen(a.astype(float), b.astype(float))


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
        raise InputError(f'heatmap: method is {method!r}; choose one of {", ".join(HEATMAP_METHODS)}')
    if kernel < 1 or kernel % 2 != 1:
        raise InputError(f'heatmap: kernel is {kernel!r}; choose an odd number, usually 11')
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
    return _seen(points.reshape(batch, joints, 2), peak.reshape(batch, joints))


def rtmo(dets: ArrayLike, keypoints: ArrayLike, min_score: float) -> list[People]:
    """RTMO: people with their joints, NMS done by the network.

    Args:
        dets: (B, N, 5) x1 y1 x2 y2 score.
        keypoints: (B, N, K, 3) x y score.
        min_score: 0..1.

    Raises:
        OutputError: the shapes do not fit together, a number is not finite or the score of a person not in 0..1.
        InputError: `min_score` is out of its range.
    """
    share('rtmo', 'min_score', min_score)
    d, k = numbers('rtmo', dets, keypoints)
    if d.ndim != 3 or d.shape[2] != 5 or k.ndim != 4 or k.shape[:2] != d.shape[:2] or k.shape[3] != 3 or not k.shape[2]:
        raise misshapen('rtmo', 'dets (B, N, 5) and keypoints (B, N, K, 3) of the same B and N', d, k)
    finite('rtmo', d, k)
    scores('rtmo', d[..., 4])
    people = []
    for rows, joints in zip(d.astype(float), k, strict=True):
        best = _best(rows[:, 4], rows[:, 4] > min_score)
        people.append(_people(rows[best, :4], rows[best, 4], joints[best]))
    return people


def yolo_pose(output: ArrayLike, joints: int, min_score: float, iou: float) -> list[People]:
    """YOLOv8-pose and its successors, with or without the last stage inside.

    Args:
        output: (B, 5 + 3K, A) raw: cx cy w h score, then K times x y score; or (B, N, 6 + 3K) end to end: x1 y1 x2 y2
            score class, then the same joints, without duplicates already. Classes other than 0 are left out.
        joints: K.
        min_score: 0..1.
        iou: 0..1, overlap from which two raw boxes are one person.

    Raises:
        OutputError: the shape fits neither form or both, a number is not finite or the score of a person not in 0..1.
        InputError: an option is out of its range.
    """
    share('yolo_pose', 'min_score', min_score)
    share('yolo_pose', 'iou', iou)
    if joints < 1:
        raise InputError(f'yolo_pose: joints is {joints!r}; choose the number of joints of the network')
    (a,) = numbers('yolo_pose', output)
    raw = a.ndim == 3 and a.shape[1] == 5 + 3 * joints
    ready = a.ndim == 3 and a.shape[2] == 6 + 3 * joints
    if raw == ready:                                       # neither, or a shape that says nothing
        raise misshapen('yolo_pose', f'one of (B, {5 + 3 * joints}, anchors) and (B, N, {6 + 3 * joints}) for '
                         f'{joints} joints', a)
    finite('yolo_pose', a)
    scores('yolo_pose', a[:, 4] if raw else a[..., 4])
    people = []
    for one in a:
        if raw:
            rows = one[:, one[4].astype(float) > min_score].T.astype(float)
            middle, half = rows[:, :2], rows[:, 2:4] / 2
            boxes, trio = np.hstack([middle - half, middle + half]), rows[:, 5:]
            best = nms(boxes, rows[:, 4], iou)
        else:
            rows = one.astype(float)
            boxes, trio = rows[:, :4], rows[:, 6:]
            best = _best(rows[:, 4], (rows[:, 4] > min_score) & (np.round(rows[:, 5]) == 0))
        people.append(_people(boxes[best], rows[best, 4], trio[best].reshape(len(best), joints, 3)))
    return people


def movenet(output: ArrayLike, joints: int, size: tuple[int, int], min_score: float) -> list[People]:
    """MoveNet, for one person or for several.

    Args:
        output: (B, N, 3K + 5) several: y x score of each joint, then y1 x1 y2 x2 score of the person; or (B, 1, K, 3)
            one. Coordinates are shares of the input's sides.
        joints: K.
        size: (width, height) px of the network's input.
        min_score: 0..1, of a person; of a network for one the mean over the joints.

    Raises:
        OutputError: the shape fits neither form, a number is not finite or the score of a person not in 0..1.
        InputError: an option is out of its range.
    """
    share('movenet', 'min_score', min_score)
    sides = checked_size('movenet', size)
    (a,) = numbers('movenet', output)
    several = a.ndim == 3 and a.shape[2] == 3 * joints + 5
    if not several and not (a.ndim == 4 and a.shape[1:] == (1, joints, 3)):
        raise misshapen('movenet', f'(B, N, {3 * joints + 5}) or (B, 1, {joints}, 3)', a)
    finite('movenet', a)
    people = []
    for one in a.astype(float):
        trio = (one[:, :3 * joints] if several else one).reshape(len(one), joints, 3)[..., [1, 0, 2]]
        trio = np.concatenate([trio[..., :2] * sides, trio[..., 2:]], -1)
        if several:
            boxes, score = one[:, [-4, -5, -2, -3]] * np.tile(sides, 2), one[:, -1]
        else:
            boxes, score = np.hstack([trio[..., :2].min(1), trio[..., :2].max(1)]), trio[..., 2].mean(1)
        scores('movenet', score)
        best = _best(score, score > min_score)
        people.append(_people(boxes[best], score[best], trio[best]))
    return people


def rtmdet(dets: ArrayLike, labels: ArrayLike, min_score: float) -> list[Boxes]:
    """RTMDet: boxes with their classes, NMS done by the network; class 0 is kept.

    Args:
        dets: (B, N, 5) x1 y1 x2 y2 score.
        labels: (B, N).
        min_score: 0..1.

    Raises:
        OutputError: the shapes do not fit together, a number is not finite or a score not in 0..1.
        InputError: `min_score` is out of its range.
    """
    d, c = numbers('rtmdet', dets, labels)
    if d.ndim != 3 or d.shape[2] != 5 or c.shape != d.shape[:2]:
        raise misshapen('rtmdet', 'dets (B, N, 5) and labels (B, N)', d, c)
    finite('rtmdet', d, c)
    return _boxes('rtmdet', d, np.round(c) == 0, min_score)


def boxes_of(dets: ArrayLike, min_score: float) -> list[Boxes]:
    """A detector of people alone that does NMS itself, as YOLOX is exported too.

    Args:
        dets: (B, N, 5) x1 y1 x2 y2 score.
        min_score: 0..1.

    Raises:
        OutputError: the shape does not fit, a number is not finite or a score not in 0..1.
        InputError: `min_score` is out of its range.
    """
    (d,) = numbers('boxes_of', dets)
    if d.ndim != 3 or d.shape[2] != 5:
        raise misshapen('boxes_of', 'dets (B, N, 5)', d)
    finite('boxes_of', d)
    return _boxes('boxes_of', d, np.ones(d.shape[:2], bool), min_score)


def yolox(raw: ArrayLike, size: tuple[int, int], min_score: float, iou: float) -> list[Boxes]:
    """YOLOX before its last stage: offsets in cells of 8, 16 and 32 px, each grid row by row; class 0 is kept.

    Args:
        raw: (B, A, 5 + C) x y log w log h, in cells, then objectness and C classes in 0..1.
        size: (width, height) px of the network's input, multiples of 32.
        min_score: 0..1, of objectness times class.
        iou: 0..1, overlap from which two boxes are one person.

    Raises:
        OutputError: the shape does not fit, a number or box is not finite or a score not in 0..1.
        InputError: an option is out of its range.
    """
    share('yolox', 'min_score', min_score)
    share('yolox', 'iou', iou)
    width, height = (int(n) for n in checked_size('yolox', size))
    if width % STRIDES[-1] or height % STRIDES[-1]:
        raise InputError(f'yolox: the input is {width}x{height} px; choose multiples of {STRIDES[-1]}')
    cells = np.concatenate([_cells(width // s, height // s, s) for s in STRIDES])
    (a,) = numbers('yolox', raw)
    if a.ndim != 3 or a.shape[1] != len(cells) or a.shape[2] < 6:
        raise misshapen('yolox', f'(B, {len(cells)}, 5 + classes) for an input of {width}x{height} px', a)
    finite('yolox', a)
    scores('yolox', a[..., 4:], least=0.)                # two negative numbers would make a good score
    found = []
    for rows in a.astype(float):
        score = rows[:, 4] * rows[:, 5]
        kept = score > min_score
        stride = cells[kept, 2:]
        middle = (rows[kept, :2] + cells[kept, :2]) * stride
        with np.errstate(over='ignore'):                   # found out in the next line
            half = np.exp(rows[kept, 2:4]) * stride / 2
        finite('yolox', half)
        boxes = np.hstack([middle - half, middle + half])
        best = nms(boxes, score[kept], iou)
        found.append((boxes[best], np.clip(score[kept][best], 0., 1.)))
    return found


def nms(boxes: ArrayLike, score: ArrayLike, iou: float) -> NDArray[np.int64]:
    """Which boxes stay when every box removes the worse ones that it overlaps by more than `iou`.

    Args:
        boxes: (N, 4) x1 y1 x2 y2.
        score: (N,); of equal ones the first is the better.
        iou: 0..1, intersection over union.

    Returns:
        (P,) indices, best first.

    Raises:
        OutputError: the shapes do not fit together, or a number is not finite.
        InputError: `iou` is out of its range.
    """
    share('nms', 'iou', iou)
    b, s = numbers('nms', boxes, score)
    if b.ndim != 2 or b.shape[1] != 4 or s.shape != b.shape[:1]:
        raise misshapen('nms', 'boxes (N, 4) and score (N,)', b, s)
    finite('nms', b, s)
    b = b.astype(float)
    area = np.maximum(b[:, 2:] - b[:, :2], 0).prod(1)
    left = np.argsort(-s.astype(float), kind='stable')
    kept = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(first)
        low, high = np.maximum(b[first, :2], b[left, :2]), np.minimum(b[first, 2:], b[left, 2:])
        common = np.maximum(high - low, 0).prod(1)
        # not divided by the union: it may be 0
        left = left[common <= iou * (area[first] + area[left] - common)]
    return np.array(kept, np.int64)


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


def _cells(columns: int, rows: int, stride: int) -> Array:
    """(rows * columns, 3) column, row, stride."""
    y, x = np.divmod(np.arange(rows * columns), columns)
    return np.column_stack([x, y, np.full(rows * columns, stride)]).astype(float)


def _boxes(where: str, dets: NDArray[Any], person: NDArray[np.bool_], min_score: float) -> list[Boxes]:
    share(where, 'min_score', min_score)
    scores(where, dets[..., 4])
    found = []
    for rows, kept in zip(dets.astype(float), person, strict=True):
        best = _best(rows[:, 4], kept & (rows[:, 4] > min_score))
        found.append((rows[best, :4], np.clip(rows[best, 4], 0., 1.)))
    return found


def _best(score: NDArray[Any], kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indices of those kept, best first, equal ones in their order."""
    index = np.flatnonzero(kept)
    return index[np.argsort(-score[index].astype(float), kind='stable')]


def _people(boxes: NDArray[Any], score: NDArray[Any], trio: NDArray[Any]) -> People:
    points, joint_score = _seen(trio[..., :2].astype(float), trio[..., 2].astype(float))
    return boxes.astype(float), np.clip(score.astype(float), 0., 1.), points, joint_score


def _seen(points: Array, score: Array) -> tuple[Array, Array]:
    """A score of nothing, or less, is no joint; one above 1 tells no more than 1."""
    return np.where(score[..., None] > 0, points, np.nan), np.minimum(np.maximum(score, 0.), 1.)
