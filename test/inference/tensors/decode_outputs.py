# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Outputs of 2D networks, made of what they mean."""
from __future__ import annotations

import numpy as np

SIZE = (192, 256)
UDP = np.array([191 / 47, 255 / 63])


def bins(centre: np.ndarray, count: int, height: np.ndarray | float = 1.) -> np.ndarray:
    """(..., count) a Gaussian of 5 bins around each centre, in bins."""
    out = np.exp(-(np.arange(count) - np.asarray(centre)[..., None]) ** 2 / (2 * 5. ** 2))
    return (out * np.asarray(height)[..., None]).astype(np.float32)


def maps(centre: np.ndarray, sigma: float = 2., size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """(..., h, w) a Gaussian around each centre (..., 2), in px of the map."""
    y, x = np.mgrid[:size[1], :size[0]]
    cx, cy = np.moveaxis(np.asarray(centre, float)[..., None, None], -3, 0)
    return np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma ** 2)).astype(np.float32)


def centres(margin: float, size: tuple[int, int] = (48, 64), seed: int = 0) -> np.ndarray:
    """(20, 17, 2) places between the pixels, not closer to the border."""
    return np.random.default_rng(seed).uniform(margin, np.array(size) - 1 - margin, (20, 17, 2))


def yolox_raw(size: tuple[int, int], cells: dict[int, tuple[float, ...]], classes: int = 1) -> np.ndarray:
    out = np.zeros((1, size[0] * size[1] * 21 // 1024, 5 + classes), np.float32)
    for index, row in cells.items():
        out[0, index, :len(row)] = row
    return out


def people_of_yolo(joints: int = 17) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    boxes = np.array([[100, 50, 200, 350], [300, 80, 380, 300], [20, 20, 60, 160.]])
    trio = np.dstack([rng.uniform(0, 400, (3, joints, 2)), rng.uniform(.1, 1, (3, joints))])
    return boxes, np.array([.6, .9, .7]), trio


def raw_of_yolo(boxes: np.ndarray, score: np.ndarray, trio: np.ndarray) -> np.ndarray:
    """Every person in three neighbouring anchors, the middle one the best."""
    rows = np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2], score[:, None],
                      trio.reshape(len(boxes), -1)])
    out = np.zeros((1, rows.shape[1], 8400), np.float32)
    for i, row in enumerate(rows):
        for k, (shift, less) in enumerate(((3., .1), (0., 0.), (-2., .2))):
            out[0, :, 100 * i + 7 + k] = row
            out[0, 0, 100 * i + 7 + k] += shift
            out[0, 4, 100 * i + 7 + k] -= less
    return out


def ready_of_yolo(boxes: np.ndarray, score: np.ndarray, trio: np.ndarray) -> np.ndarray:
    out = np.zeros((1, 300, 6 + trio[0].size), np.float32)
    out[0, :len(boxes)] = np.hstack([boxes, score[:, None], np.zeros((len(boxes), 1)), trio.reshape(len(boxes), -1)])
    return out
