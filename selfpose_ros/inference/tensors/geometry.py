# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From the image to what a network is fed, and back: crops around a person, letterboxes, boxes around joints.

All coordinates are px, x right, y down. One matrix places the image, and the same one is inverted for the joints: what
the network sees at a pixel comes back to where it was in the image, whatever convention the family trains with.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checked_image import checked_image
from ..errors import InputError

__all__ = ['CROP_MODES', 'LETTERBOX_MODES', 'Placement', 'box_of', 'checked_size', 'letterbox', 'person_crop', 'warp',
           'whole_pixels']

Array = NDArray[np.float64]

CROP_MODES = ('classic', 'udp')
LETTERBOX_MODES = ('corner', 'centre')

#: a person is stretched by this share at most so that pixels stay whole; networks are trained with ten times as much
_STRETCH = .02
#: where a pixel of the image is more of the network's than this, half of one is too much to be moved
_MAGNIFIED = 2.


# no comparison by value: that of two arrays is no bool
@dataclass(frozen=True, eq=False)
class Placement:
    """Where the image lies in the input of the network.

    Attributes:
        matrix: (2, 3) image px -> network px, pixel centres at integers in both.

    Raises:
        InputError: the matrix has another shape, is not finite or cannot be inverted.
    """

    matrix: Array

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, float)
        # by hand: this is done for every image, and LAPACK's way for two by two takes longer than the crop
        if matrix.shape != (2, 3) or not np.isfinite(matrix).all() or not _determinant(matrix):
            raise InputError(f'placement: expected a finite (2, 3) matrix that can be inverted, got {matrix.tolist()}',
                             'make it with person_crop or letterbox')
        matrix.setflags(write=False)
        object.__setattr__(self, 'matrix', matrix)

    def to_image(self, points: ArrayLike) -> Array:
        """(..., 2) network px -> (..., 2) image px; NaN stays NaN."""
        (a, b, _), (c, d, _) = self.matrix.tolist()
        back = np.array([[d, -c], [-b, a]]) / (a * d - b * c)              # transposed
        return np.asarray((_points(points) - self.matrix[:, 2]) @ back, np.float64)


def person_crop(box: ArrayLike, size: tuple[int, int], padding: float = 1.25, mode: str = 'classic') -> Placement:
    """The box of one person, enlarged and widened to the shape of the network's input.

    Args:
        box: (4,) x1 y1 x2 y2 px; it may reach beyond the image.
        size: (width, height) px of the network's input.
        padding: factor on the width and the height of the box.
        mode: what the edges of the crop become: 'classic' 0 and W, 'udp' the centres of the outer pixels, 0 and W - 1.

    Raises:
        InputError: the box is not finite or has no area, or an option is out of its range.
    """
    edges = np.asarray(box, float)
    x1, y1, x2, y2 = edges.tolist() if edges.shape == (4,) else (np.nan,) * 4
    if not (np.isfinite(edges).all() and x1 < x2 and y1 < y2):
        raise InputError('person_crop: expected a finite box x1 y1 x2 y2 with x1 < x2 and y1 < y2, got '
                         f'{edges.tolist()}', 'leave this person out')
    width, height = checked_size('person_crop', size).tolist()
    if not (np.isfinite(padding) and padding > 0):
        raise InputError(f'person_crop: padding is {padding!r}', 'choose a number above 0, usually 1.25')
    if mode not in CROP_MODES:
        raise InputError(f'person_crop: mode is {mode!r}', f'choose one of {", ".join(CROP_MODES)}')
    # the axis that needs more image for a pixel of the network decides for both: nothing of the box is cut off
    pixel = max((x2 - x1) * padding / width, (y2 - y1) * padding / height)
    inner = (width, height) if mode == 'classic' else (width - 1, height - 1)
    scale = inner[0] / (width * pixel), inner[1] / (height * pixel)
    return _scaled(scale, (inner[0] / 2 - (x1 + x2) / 2 * scale[0], inner[1] / 2 - (y1 + y2) / 2 * scale[1]))


def letterbox(image_size: tuple[int, int], size: tuple[int, int], mode: str = 'corner') -> Placement:
    """The whole image, as large as fits with one scale for both axes.

    A point x of the image is at x * scale, plus half of what is left over for 'centre', as these families count.

    Args:
        image_size: (width, height) px.
        size: (width, height) px of the network's input.
        mode: 'corner' puts the image at the top left, 'centre' in the middle.

    Raises:
        InputError: a size or the mode is out of its range.
    """
    source, target = checked_size('letterbox', image_size), checked_size('letterbox', size)
    if mode not in LETTERBOX_MODES:
        raise InputError(f'letterbox: mode is {mode!r}', f'choose one of {", ".join(LETTERBOX_MODES)}')
    scale = float((target / source).min())
    left, top = ((target - source * scale) / 2).tolist() if mode == 'centre' else (0., 0.)
    return _scaled((scale, scale), (left, top))


def whole_pixels(placement: Placement, image_size: tuple[int, int], size: tuple[int, int]) -> Placement:
    """A placement next to this one that begins and ends between two pixels: `warp` takes half the time with it.

    The crop's edges move by about half a pixel. No joint does: the matrix has where everything has gone.

    Args:
        placement: without rotation.
        image_size: (width, height) px.
        size: (width, height) px of the network's input.

    Returns:
        The placement itself where pixels are too large for that, or it would be stretched by more than 2 %: of a person
        who is small, or of whom hardly anything is in the image.
    """
    x, y = (_whole(placement, axis, image_size[axis], size[axis]) for axis in (0, 1))
    if x is None or y is None or not (x.near and y.near):
        return placement
    return _scaled((x.scale, y.scale), (x.shift, y.shift))


def warp(image_bgr: NDArray[np.uint8], placement: Placement, size: tuple[int, int], border: int | None,
         out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """The input of the network, bilinear.

    Args:
        image_bgr: (H, W, 3) uint8.
        placement: where the image goes.
        size: (width, height) px of the result.
        border: 0..255, all channels, where the image does not reach; None: what its edge shows.
        out: (height, width, 3) uint8 to write into; it shares no memory with the image.

    Returns:
        (height, width, 3) uint8, `out` itself if that is given.

    Raises:
        InputError: no such image, or a size, border or `out` that does not fit.
    """
    image = checked_image(image_bgr)
    width, height = (int(n) for n in checked_size('warp', size))
    if border is not None and not 0 <= border <= 255:
        raise InputError(f'warp: border is {border!r}', 'choose a grey value in 0..255')
    if out is None:
        out = np.empty((height, width, 3), np.uint8)
    elif out.shape != (height, width, 3) or out.dtype != np.uint8 or not (out.flags.c_contiguous
                                                                          and out.flags.writeable):
        # OpenCV would leave it alone and write into a new array
        raise InputError(f'warp: expected out as a contiguous, writeable ({height}, {width}, 3) uint8, got {out.shape} '
                         f'{out.dtype}', 'leave it out to have it made')
    x, y = (_whole(placement, axis, image.shape[1 - axis], n) for axis, n in ((0, width), (1, height)))
    if x is None or y is None or border is None or not (x.exact and y.exact):
        mode = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
        cv2.warpAffine(image, placement.matrix, (width, height), dst=out, flags=cv2.INTER_LINEAR,
                       borderMode=mode, borderValue=(border or 0,) * 3)
        return out
    if x.to != (0, width) or y.to != (0, height):
        out[:y.to[0]], out[y.to[1]:] = border, border
        out[y.to[0]:y.to[1], :x.to[0]], out[y.to[0]:y.to[1], x.to[1]:] = border, border
    inner = out[y.to[0]:y.to[1], x.to[0]:x.to[1]]
    cv2.resize(image[y.of[0]:y.of[1], x.of[0]:x.of[1]], (inner.shape[1], inner.shape[0]), dst=inner,
               interpolation=cv2.INTER_LINEAR)
    return out


class _Whole(NamedTuple):
    """Which pixels of the image become which of the network's, along one axis.

    Attributes:
        of, to: first and end.  scale, shift: the row of a matrix that does the same.
        near: that is next to the placement.  exact: that is the placement.
    """

    of: tuple[int, int]
    to: tuple[int, int]
    scale: float
    shift: float
    near: bool
    exact: bool


def _whole(placement: Placement, axis: int, source: int, target: int) -> _Whole | None:
    """None: the placement turns the image, or nothing of the image is there."""
    row = placement.matrix[axis].tolist()
    scale, other = row[axis], row[1 - axis]
    if other or scale <= 0:
        return None
    # from here on edges count, not centres: pixel i reaches from i to i + 1
    first = row[2] + .5 - .5 * scale                       # where the image begins
    last = first + scale * source
    of = max(round(-first / scale), 0), min(round((target - first) / scale), source)
    to = (round(first) if first > 0 else 0), (round(last) if last < target else target)
    if of[0] >= of[1] or to[0] >= to[1]:
        return None
    found = (to[1] - to[0]) / (of[1] - of[0])
    begin = to[0] - found * of[0]
    exact = abs(begin - first) < 1e-6 and abs(begin + found * source - last) < 1e-6
    near = found <= _MAGNIFIED and abs(found / scale - 1) <= _STRETCH
    return _Whole(of, to, found, begin - .5 + .5 * found, near, exact)


def box_of(keypoints: ArrayLike, confidence: ArrayLike, image_size: tuple[int, int], margin: float,
           least: int = 3, threshold: float = 0.) -> Array | None:
    """The box around the joints of one person that are seen: where to look in the next image.

    Args:
        keypoints: (J, 2) image px, NaN = not seen.
        confidence: (J,).
        image_size: (width, height) px.
        margin: every side goes out by this share of the longer side: joints of one column are a person seen from the
            side, whose box still needs a width.
        least: fewer seen joints make no box.
        threshold: a joint is seen above it.

    Returns:
        (4,) x1 y1 x2 y2 px, clipped to the edges of the image (-0.5 and W - 0.5); None when too few joints are seen
        or nothing of the box is inside the image.

    Raises:
        InputError: the shapes do not fit together, or an option is out of its range.
    """
    points, conf = np.asarray(keypoints, float), np.asarray(confidence, float)
    if points.ndim != 2 or points.shape[1] != 2 or conf.shape != points.shape[:1]:
        raise InputError(f'box_of: expected keypoints (J, 2) and confidence (J,), got {points.shape} and {conf.shape}',
                         'give one person at a time')
    limit = (checked_size('box_of', image_size) - 0.5).tolist()
    if not (np.isfinite(margin) and margin >= 0):
        raise InputError(f'box_of: margin is {margin!r}', 'choose a share of 0 or more')
    if least < 1:
        raise InputError(f'box_of: least is {least!r}', 'choose 1 joint or more')
    # seventeen joints are looked at sooner in a loop than by a dozen calls of numpy
    seen = [(x, y) for (x, y), c in zip(points.tolist(), conf.tolist(), strict=True)
            if c > threshold and math.isfinite(x) and math.isfinite(y)]
    if len(seen) < least:
        return None
    xs, ys = zip(*seen, strict=True)
    x1, y1, x2, y2 = min(xs), min(ys), max(xs), max(ys)
    out = margin * max(x2 - x1, y2 - y1)
    x1, y1, x2, y2 = max(x1 - out, -.5), max(y1 - out, -.5), min(x2 + out, limit[0]), min(y2 + out, limit[1])
    return np.array([x1, y1, x2, y2]) if x1 < x2 and y1 < y2 else None


def checked_size(where: str, size: Any) -> Array:
    """(width, height) px as (2,) float64, for the function of this name.

    Raises:
        InputError: it is not two whole numbers of at least 2.
    """
    if type(size) is tuple and len(size) == 2 and all(type(n) is int and n >= 2 for n in size):
        return np.array(size, float)                       # as nearly always
    out = np.asarray(size, float)
    if out.shape != (2,) or not np.isfinite(out).all() or (out < 2).any() or (out != np.round(out)).any():
        raise InputError(f'expected a size (width, height) in whole px of at least 2, got {size!r}',
                         "check it and the model's card", place=where)
    return out


def _determinant(matrix: Array) -> float:
    (a, b, _), (c, d, _) = matrix.tolist()
    return float(a * d - b * c)


def _points(points: ArrayLike) -> Array:
    out = np.asarray(points, float)
    if out.ndim < 1 or out.shape[-1] != 2:
        raise InputError(f'placement: expected points (..., 2), got {out.shape}', 'give x and y in the last axis')
    return out


def _scaled(scale: tuple[float, float], shift: tuple[float, float]) -> Placement:
    return Placement(np.array([[scale[0], 0., shift[0]], [0., scale[1], shift[1]]]))
