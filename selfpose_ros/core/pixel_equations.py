# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The normal equations of joints in the pixels of several cameras, of everybody and all cameras in a few products.

The derivatives of a pixel by its point are the two rows s (R_0 - x R_2) and s (R_1 - y R_2): rows R_i of the camera's
rotation, normalised coordinates x, y, and pixels per metre s at that depth. What they add to the normal equations is
therefore made of products of rows of R, which stay, and of four numbers for each pixel. Written so, a sum over the
cameras is one product of two large matrices, and no small ones are multiplied one by one.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cameras import NEAREST, Cameras

__all__ = ['PixelEquations', 'Projected']

Array = NDArray[np.float64]


class Projected(NamedTuple):
    """Points as V cameras see them, joints of all people in rows (M = 17 N), cameras in columns.

    Attributes:
        px: (2, M, V) px.  n: (2, M, V) normalised coordinates.
        slope: (M, V) px per m across the view at the depth of the point; 0 of what lies nearer than `NEAREST`.
    """

    px: Array
    n: Array
    slope: Array


class PixelEquations:
    """Of N people before V pinholes.

    Args:
        velocity: (N, 17, 3) m/s of the joints.  offset: (N, V) s, when each camera sees them.
    """

    def __init__(self, cameras: Cameras, velocity: Array, offset: Array) -> None:
        if cameras.lens is not None:
            raise ValueError('pixels must be undistorted, and the cameras pinholes: see Cameras.pinholes')
        self.cameras, self.N, self.V = cameras, len(velocity), len(cameras)
        self._turn = cameras.R.transpose(1, 2, 0)                            # by axis of the camera, 3,3,V
        self._move = cameras.t.T[:, None]
        if offset.any():
            self._move = self._move + np.matmul(velocity.reshape(-1, 3), self._turn) * np.repeat(offset, 17, 0)

    def in_rows(self, values: Array) -> Array:
        """Values (N, V, 17, ...) as (..., M, V)."""
        last = range(3, values.ndim)
        return values.transpose(*last, 0, 2, 1).reshape(*values.shape[3:], self.N * 17, self.V)

    def by_camera(self, rows: Array) -> Array:
        """The inverse of `in_rows`."""
        several = rows.reshape(*rows.shape[:-2], self.N, 17, self.V)
        n = several.ndim
        return several.transpose(n - 3, n - 1, n - 2, *range(n - 3))

    def project(self, x: Array) -> Projected:
        """Joints (N, 17, 3) m."""
        C = np.matmul(x.reshape(-1, 3), self._turn) + self._move
        z = np.maximum(C[2], NEAREST)
        n = C[:2] / z
        focal = self.cameras.focal
        px = n * focal + self.cameras.centre.T[:, None]
        return Projected(px, n, np.where(C[2] > NEAREST, focal / z, 0.))

    def system(self, at: Projected, weight: Array, residual: Array) -> tuple[Array, Array]:
        """Sums over the cameras of J' W J (N, 17, 3, 3) and of J' W r (N, 17, 3).

        Args:
            weight: (M, V) inverse variance of the pixels.  residual: (2, M, V) px.
        """
        M, V, (x, y) = len(weight), self.V, at.n
        pull = weight * at.slope
        four, three = np.empty((M, 4, V)), np.empty((M, 3, V))
        four[:, 0] = pull * at.slope
        four[:, 1:3] = (four[:, 0] * -at.n).swapaxes(0, 1)
        four[:, 3] = four[:, 0] * (x * x + y * y)
        three[:, :2] = (pull * residual).swapaxes(0, 1)
        three[:, 2] = -(three[:, 0] * x + three[:, 1] * y)
        R = self.cameras.R.swapaxes(0, 1).reshape(-1, 3)
        return ((four.reshape(M, -1) @ self.cameras.row_products).reshape(self.N, 17, 3, 3),
                (three.reshape(M, -1) @ R).reshape(self.N, 17, 3))
