# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A page of pictures with the joints found in them, and beside each the 3D pose from the front and from the side."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..io.overlay import Image, draw_bones, draw_text
from .errors import DemoError

__all__ = ['LiftedPicture', 'page']

Array = NDArray[np.float64]

#: height of a picture on the page, px; a body in 3D is drawn into as much, with a margin
_HEIGHT = 288
_BODY = .42
_GROUND, _TRUTH = (38, 34, 32), (120, 120, 120)


@dataclass(frozen=True)
class LiftedPicture:
    """One picture.

    Attributes:
        image: (H, W, 3) uint8 BGR.  points: (17, 2) px, NaN = not found.
        joints: (17, 3) of any size, camera axes, relative to the pelvis; None: no 3D.
        true: (17, 3) the truth, any size, likewise; None: not known.
    """

    image: Image
    points: Array
    joints: Array | None = None
    true: Array | None = None


def page(pictures: Sequence[LiftedPicture], columns: int = 3) -> Image:
    """All of them; left cyan, right orange, the truth grey behind.

    Raises:
        DemoError: there is none.
    """
    if not pictures:
        raise DemoError('no picture to draw', 'give at least one')
    cells = [_cell(p) for p in pictures]
    wide = max(c.shape[1] for c in cells)
    blank = np.full((_HEIGHT, wide, 3), _GROUND, np.uint8)
    cells = [_beside(c, blank) for c in cells]
    columns = min(columns, len(cells))
    cells += [blank] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[i:i + columns]) for i in range(0, len(cells), columns)])


def _beside(cell: Image, blank: Image) -> Image:
    out = blank.copy()
    out[:, :cell.shape[1]] = cell
    return out


def _cell(picture: LiftedPicture) -> Image:
    zoom = _HEIGHT / picture.image.shape[0]
    image = np.asarray(cv2.resize(picture.image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA if zoom < 1 else
                                  cv2.INTER_CUBIC)[:_HEIGHT], np.uint8)
    draw_bones(image, (np.asarray(picture.points, float) + .5) * zoom - .5)
    parts = [image]
    if picture.joints is not None:
        for name, across in (('front', np.array([1., 0, 0])), ('side', np.array([0., 0, 1]))):
            parts.append(_seen(picture, across, name))
    return np.hstack(parts)


def _seen(picture: LiftedPicture, across: Array, name: str) -> Image:
    """A 3D pose seen along a horizontal direction, x to the right of the page given by `across`."""
    assert picture.joints is not None
    view = np.full((_HEIGHT, round(.62 * _HEIGHT), 3), _GROUND, np.uint8)
    middle = np.array([view.shape[1], view.shape[0]]) / 2
    drawn = [(picture.joints, None)] if picture.true is None else [(picture.true, _TRUTH), (picture.joints, None)]
    # sizes are not told by a single picture: both are drawn equally large
    for pose, colour in drawn:
        pose = pose - pose.mean(0)
        flat = np.stack([pose @ across, pose[:, 1]], -1) / max(float(np.sqrt((pose ** 2).sum(-1).mean())), 1e-9)
        draw_bones(view, middle + flat * _BODY * _HEIGHT / 1.7, 2, colour, colour is None)
    draw_text(view, name, (8, 20), 15, (170, 170, 170))
    return view
