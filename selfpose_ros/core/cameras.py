# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The cameras of a rig as one value: projection, its derivatives, rays, and the layout of their parameters.

Nobody else divides by depth. Pixels are square, and those of the lens that the cameras have: a pinhole where they have
none (see `camera.undistort` for lenses that are known). Camera axes are those of REP-103's optical frames: x right,
y down, z forward. x_cam = R x + t in whatever frame and unit the points are in.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import rotation
from .radial import COEFFICIENTS, distorted, fold_radius, undistorted

__all__ = ['NEAREST', 'CameraLayout', 'Cameras']

Array = NDArray[np.float64]

#: depth below which a point is projected as if it were there: one behind a camera pulls like one close in front
NEAREST = .2


@dataclass(frozen=True)
class CameraLayout:
    """Where the parameters of V cameras stand in one vector, camera by camera: rotation, translation, log focal length,
    lens.

    A rotation is the vector w of `rotation.exp(w) @ R`, rad; a translation is added to t; a focal length is multiplied
    by exp(its parameter); the coefficients of the lens, see `radial`, are added to.
    """

    cameras: int

    #: parameters of one camera, and where each group of them stands
    EACH = 7 + COEFFICIENTS
    ROTATION, TRANSLATION, FOCAL, LENS = slice(0, 3), slice(3, 6), 6, slice(7, EACH)
    POSE, INTRINSIC = slice(0, 6), slice(6, EACH)

    @property
    def size(self) -> int:
        """Length of the vector."""
        return self.EACH * self.cameras

    def split(self, vector: Array) -> Array:
        """A view (V, EACH) of the first `size` elements of a vector."""
        return vector[:self.size].reshape(self.cameras, self.EACH)

    def camera(self, v: int) -> slice:
        """Where the parameters of one camera stand."""
        return slice(self.EACH * v, self.EACH * (v + 1))

    @property
    def focal(self) -> NDArray[np.int64]:
        """(V,) where the focal lengths stand."""
        return self.EACH * np.arange(self.cameras) + self.FOCAL

    def add_blocks(self, H: Array, blocks: Array) -> None:
        """Add (V, EACH, EACH) to the diagonal blocks of a square matrix that begins with the cameras, in place."""
        for v in range(self.cameras):
            H[self.camera(v), self.camera(v)] += blocks[v]

    def rotation_sigma_deg(self, covariance: Array) -> Array:
        """(V,) standard deviation of the rotations, root of the summed variances of the three axes, degrees."""
        variance = np.diag(covariance)[:self.size].reshape(self.cameras, self.EACH)[:, self.ROTATION]
        return np.asarray(np.rad2deg(np.sqrt(variance.sum(1))))


@dataclass(frozen=True)
class Cameras:
    """V cameras with square pixels.

    Attributes:
        R: (V, 3, 3).  t: (V, 3).  focal: (V,) px.  centre: (V, 2) principal points, px.
        lens: (V, COEFFICIENTS) radial distortion k1, k2, see `radial`; None = pinholes.
    """

    R: Array
    t: Array
    focal: Array
    centre: Array
    lens: Array | None = None

    def __len__(self) -> int:
        return len(self.R)

    @property
    def layout(self) -> CameraLayout:
        """Of the parameters that `moved` takes."""
        return CameraLayout(len(self.R))

    @cached_property
    def centres(self) -> Array:
        """(V, 3) where the cameras stand."""
        return -np.einsum('vji,vj->vi', self.R, self.t)

    @property
    def projection(self) -> Array:
        """(V, 3, 4) projection matrices to undistorted pixels."""
        K = np.zeros((len(self), 3, 3))
        K[:, 0, 0] = K[:, 1, 1] = self.focal
        K[:, :2, 2], K[:, 2, 2] = self.centre, 1.
        return np.asarray(K @ np.concatenate([self.R, self.t[..., None]], -1))

    @cached_property
    def row_products(self) -> Array:
        """(4 V, 9) outer products (3, 3) of rows of each R, each for all cameras in turn: 0 with 0 plus 1 with
        1; 0 with 2; 1 with 2, both with their transposes; 2 with 2. See `pixel_equations`.
        """
        a, b, c = self.R.swapaxes(0, 1)
        aa, bb, cc, ac, bc = (x[:, :, None] * y[:, None] for x, y in ((a, a), (b, b), (c, c), (a, c), (b, c)))
        some = (aa + bb, ac + ac.swapaxes(1, 2), bc + bc.swapaxes(1, 2), cc)
        return np.concatenate(some).reshape(-1, 9)

    def take(self, index: ArrayLike | Sequence[int]) -> Cameras:
        """Some of the cameras, in the order of `index`."""
        i = np.asarray(index)
        return Cameras(self.R[i], self.t[i], self.focal[i], self.centre[i], None if self.lens is None else self.lens[i])

    def joined(self, others: Cameras) -> Cameras:
        """These and others of the same frame, after them."""
        plain = self.lens is None and others.lens is None
        return Cameras(np.concatenate([self.R, others.R]), np.concatenate([self.t, others.t]),
                       np.concatenate([self.focal, others.focal]), np.concatenate([self.centre, others.centre]),
                       None if plain else np.concatenate([self.lenses, others.lenses]))

    def moved(self, delta: Array) -> Cameras:
        """The cameras with the parameters of `layout` changed by delta (V, EACH)."""
        c = self.layout
        lens = self.lens
        if lens is not None or delta[:, c.LENS].any():
            lens = self.lenses + delta[:, c.LENS]
        return Cameras(rotation.exp(delta[:, c.ROTATION]) @ self.R, self.t + delta[:, c.TRANSLATION],
                       self.focal * np.exp(delta[:, c.FOCAL]), self.centre, lens)

    def scaled(self, k: float) -> Cameras:
        """For points whose coordinates are multiplied by k: the pictures stay."""
        return Cameras(self.R, self.t * k, self.focal, self.centre, self.lens)

    @property
    def lenses(self) -> Array:
        """(V, COEFFICIENTS) k1, k2; zeros of pinholes."""
        return np.zeros((len(self.R), COEFFICIENTS)) if self.lens is None else self.lens

    @property
    def pinholes(self) -> Cameras:
        """The same cameras without the distortion of their lenses: of undistorted pixels."""
        return Cameras(self.R, self.t, self.focal, self.centre)

    @property
    def reach(self) -> Array:
        """(V,) px from the principal point, up to where the lens model holds: there it folds back; inf = nowhere."""
        return self.focal * fold_radius(self.lenses)

    def rays(self, px: Array) -> Array:
        """Pixels (..., V, J, 2) to normalised image coordinates x/z, y/z."""
        n = np.asarray((px - self.centre[:, None]) / self.focal[:, None, None])
        return n if self.lens is None else undistorted(n, self.lens[:, None])

    def ray_weight(self, sigma: Array) -> Array:
        """Standard deviations (..., V, J) px to inverse variances of the normalised coordinates; 0 where inf."""
        return np.where(np.isfinite(sigma), (self.focal[:, None] / sigma) ** 2, 0.)

    def in_axes(self, X: Array) -> Array:
        """Points (..., J, 3) in the axes of each camera: (..., V, J, 3)."""
        return np.asarray(np.matmul(X[..., None, :, :], self.R.swapaxes(1, 2)) + self.t[:, None])

    def depth(self, X: Array) -> Array:
        """Depth (..., V, J) of points (..., J, 3) before each camera."""
        return np.asarray(np.matmul(X[..., None, :, :], self.R[:, 2, :, None])[..., 0] + self.t[:, 2, None])

    def project(self, X: Array, shift: Array | None = None) -> Array:
        """Points (..., J, 3) to pixels (..., V, J, 2).

        Args:
            shift: (..., V, J, 3) is added to the points, for each camera what they have moved at its own time.
        """
        return self.pixels(self.in_axes(X) if shift is None else self._shifted(X, shift))

    def pixels(self, C: Array) -> Array:
        """Points (..., V, J, 3) in the axes of the cameras to pixels (..., V, J, 2)."""
        n = C[..., :2] / np.maximum(C[..., 2:], NEAREST)
        if self.lens is not None:
            n = distorted(n, self.lens[:, None])[0]
        return np.asarray(n * self.focal[:, None, None] + self.centre[:, None])

    def project_jacobian(self, X: Array) -> tuple[Array, Array, Array]:
        """Pixels (..., V, J, 2) of points (..., J, 3), and their derivatives.

        Returns:
            Pixels; derivatives by the points (..., V, J, 2, 3); by each camera's own parameters in the order of
            `layout` (..., V, J, 2, EACH). What lies nearer than `NEAREST` pulls on nothing but the focal length.
        """
        Y = np.matmul(X[..., None, :, :], self.R.swapaxes(1, 2))
        C = Y + self.t[:, None]
        px, A, c = self.pixels(C), self._by_axes(C), CameraLayout
        own = np.empty((*A.shape[:-1], c.EACH))
        for i, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):                # d(exp(w) Y) = -[Y]x w
            own[..., i] = Y[..., None, j] * A[..., k] - Y[..., None, k] * A[..., j]
        own[..., c.TRANSLATION] = A
        own[..., c.FOCAL] = px - self.centre[:, None]
        n = C[..., :2] / np.maximum(C[..., 2:], NEAREST)
        own[..., c.LENS] = self.focal[:, None, None, None] * distorted(n, self.lenses[:, None])[2]
        return px, np.matmul(A, self.R[:, None]), own

    def _shifted(self, X: Array, shift: Array) -> Array:
        return np.asarray(np.matmul(X[..., None, :, :] + shift, self.R.swapaxes(1, 2)) + self.t[:, None])

    def _by_axes(self, C: Array) -> Array:
        """Derivatives (..., 2, 3) of the pixels by points (..., V, J, 3) in the axes of the cameras."""
        z = np.maximum(C[..., 2], NEAREST)
        f = np.where(C[..., 2] > NEAREST, self.focal[:, None] / z, 0.)
        A = np.zeros((*C.shape[:-1], 2, 3))
        A[..., 0, 0] = A[..., 1, 1] = f
        A[..., 2] = C[..., :2] * (-f / z)[..., None]
        if self.lens is None:
            return A
        n = C[..., :2] / z[..., None]
        return np.asarray(np.matmul(distorted(n, self.lens[:, None])[1], A))
