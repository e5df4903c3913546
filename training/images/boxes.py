# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a network of images is to see: its input, boxes around people, windows of a picture about them."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.inference.tensors.geometry import person_crop

from . import scenes

__all__ = ['MARGIN', 'Task', 'body_box', 'person_window', 'torso_px']

Array = NDArray[np.float64]

#: a picture is kept this much wider than what the network sees, so that it can be moved, turned and scaled
MARGIN = 1.2
#: the margin of a box around the joints, share of its longer side; that of the run time's boxes
BOX_MARGIN = .1


@dataclass(frozen=True)
class Task:
    """What a network of images is to learn.

    Attributes:
        kind: 'pose2d': the joints of the person in a box. 'detector': the boxes of everybody in the whole image.
        size: (w, h) px of the network's input.  padding: factor on a person's box.
    """

    kind: str
    size: tuple[int, int]
    padding: float = 1.25

    @property
    def canvas(self) -> tuple[int, int]:
        """(w, h) px of the pictures that are kept."""
        w, h = self.size
        return round(w * MARGIN), round(h * MARGIN)


def body_box(points: Array, inside: NDArray[np.bool_], limit: Array) -> Array | None:
    """(4,) px around the joints (17, 2) that are inside, with the run time's margin; None: too few are."""
    if inside.sum() < 6:
        return None
    low, high = points[inside].min(0), points[inside].max(0)
    out = BOX_MARGIN * (high - low).max()
    low, high = np.maximum(low - out, -.5), np.minimum(high + out, limit - .5)
    return np.concatenate([low, high]) if (high - low > 3).all() else None


def person_window(rng: np.random.Generator, points: Array, inside: NDArray[np.bool_], task: Task,
                  image_size: tuple[int, int] = scenes.IMAGE, wider: float = 1.) -> Array | None:
    """Image px -> canvas px (2, 3) about somebody whose joints (17, 2) px are where they are, as a run time's box is.

    None: too little of him is inside (17,), or he is too far away.

    Args:
        wider: factor on the box.
    """
    limit = np.array(image_size, float)
    box = body_box(np.nan_to_num(points), inside, limit)
    if box is None or (box[2:] - box[:2]).max() < 40:      # nobody looks for a pose in so few pixels
        return None
    centre, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    centre = centre + rng.normal(0, .05, 2) * extent
    extent = extent * (wider * np.exp(rng.normal(.03, .12)))
    window = person_crop(np.r_[centre - extent / 2, centre + extent / 2], task.size, task.padding).matrix.copy()
    window[:, 2] += (np.array(task.canvas) - task.size) / 2   # the same, in the middle of the canvas
    return window


def torso_px(points: Array) -> float:
    """The scale of PCK: the longer diagonal of the torso, from a shoulder to the other side's hip, px."""
    return float(np.max([np.linalg.norm(points[11] - points[1]), np.linalg.norm(points[14] - points[4]), 1.]))
