# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People with their joints in one image, by networks of one stage.

Coordinates are px of the network's input. Joints: NaN with score 0 where the network finds nothing.
People: best first, those above `min_score`.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....models.vision import Vision
from ...errors import InputError
from ..geometry import checked_size
from .boxes import best_first, nms
from .checks import finite, misshapen, numbers, scores, share
from .poses import seen

__all__ = ['PEOPLE', 'People', 'PeopleDecoder', 'movenet', 'rtmo', 'yolo_pose']

Array = NDArray[np.float64]
#: boxes (P, 4) x1 y1 x2 y2, score (P,), points (P, K, 2), joint score (P, K) of one image
People = tuple[Array, Array, Array, Array]
#: of a family: tensors by role, the card's part and the number of joints -> people of each image
PeopleDecoder = Callable[[Mapping[str, NDArray[Any]], Vision, int], list[People]]


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
        best = best_first(rows[:, 4], rows[:, 4] > min_score)
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
        raise InputError(f'yolo_pose: joints is {joints!r}', 'choose the number of joints of the network')
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
            best = best_first(rows[:, 4], (rows[:, 4] > min_score) & (np.round(rows[:, 5]) == 0))
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
        best = best_first(score, score > min_score)
        people.append(_people(boxes[best], score[best], trio[best]))
    return people


def _people(boxes: NDArray[Any], score: NDArray[Any], trio: NDArray[Any]) -> People:
    points, joint_score = seen(trio[..., :2].astype(float), trio[..., 2].astype(float))
    return boxes.astype(float), np.clip(score.astype(float), 0., 1.), points, joint_score


def _movenet(tensors: Mapping[str, NDArray[Any]], vision: Vision, joints: int) -> list[People]:
    return movenet(tensors['output'], joints, vision.size, vision.decode['min_score'])


#: one-stage families
PEOPLE: dict[str, PeopleDecoder] = {
    'rtmo': lambda t, v, joints: rtmo(t['dets'], t['keypoints'], v.decode['min_score']),
    'yolo_pose': lambda t, v, joints: yolo_pose(t['output'], joints, v.decode['min_score'], v.decode['iou']),
    'movenet': _movenet, 'movenet_single': _movenet,
}
