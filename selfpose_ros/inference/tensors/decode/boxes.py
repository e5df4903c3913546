# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Boxes of people in one image, by detectors, and which of those that overlap are one person.

Coordinates are px of the network's input. People: best first, those above `min_score`.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....models.vision import Vision
from ...errors import InputError
from ..geometry import checked_size
from .checks import finite, misshapen, numbers, scores, share

__all__ = ['BOXES', 'STRIDES', 'Boxes', 'BoxDecoder', 'best_first', 'boxes_of', 'nms', 'rtmdet', 'yolox']

Array = NDArray[np.float64]
#: boxes (P, 4) x1 y1 x2 y2, score (P,) of one image
Boxes = tuple[Array, Array]
#: of a family: tensors by role and the card's part -> boxes of each image
BoxDecoder = Callable[[Mapping[str, NDArray[Any]], Vision], list[Boxes]]

#: cells of YOLOX, px
STRIDES = (8, 16, 32)


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
        raise InputError(f'yolox: the input is {width}x{height} px', f'choose multiples of {STRIDES[-1]}')
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


def best_first(score: NDArray[Any], kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indices of those kept, best first, equal ones in their order."""
    index = np.flatnonzero(kept)
    return index[np.argsort(-score[index].astype(float), kind='stable')]


def _cells(columns: int, rows: int, stride: int) -> Array:
    """(rows * columns, 3) column, row, stride."""
    y, x = np.divmod(np.arange(rows * columns), columns)
    return np.column_stack([x, y, np.full(rows * columns, stride)]).astype(float)


def _boxes(where: str, dets: NDArray[Any], person: NDArray[np.bool_], min_score: float) -> list[Boxes]:
    share(where, 'min_score', min_score)
    scores(where, dets[..., 4])
    found = []
    for rows, kept in zip(dets.astype(float), person, strict=True):
        best = best_first(rows[:, 4], kept & (rows[:, 4] > min_score))
        found.append((rows[best, :4], np.clip(rows[best, 4], 0., 1.)))
    return found


#: detectors
BOXES: dict[str, BoxDecoder] = {
    'rtmdet': lambda t, v: rtmdet(t['dets'], t['labels'], v.decode['min_score']),
    'yolox': lambda t, v: yolox(t['output'], v.size, v.decode['min_score'], v.decode['iou']),
    'boxes': lambda t, v: boxes_of(t['dets'], v.decode['min_score']),
}
