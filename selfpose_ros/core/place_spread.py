# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How far off a whole body may be because its cameras are: all of its joints together.

Where a rig was found, errors of its cameras cancel: it is what makes the people there fit. Somebody farther off than
they were, or seen by two cameras that stand side by side, is placed by what these cameras have in error. The covariance
of the rig's parameters is carried to the place that the cameras give a body (first-order propagation), apart from
what is no error: a similarity of the whole world, laid on the people that the rig was found with.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import rotation
from .cameras import CameraLayout, Cameras
from .rig.solution import Solution
from .rig.world import World

__all__ = ['PlaceSpread', 'place_spread']

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: joints and instants of the people that the rig was found with, by which the world is laid on the true one
_JOINTS, _INSTANTS = [0, 3, 6, 10, 13, 16], 40


@dataclass(frozen=True)
class PlaceSpread:
    """Of the cameras of a rig.

    Attributes:
        root: (P, r), times its transpose the covariance of the parameters: those of `CameraLayout`, in metres and in
            the world frame, then the principal points (2 V,) as shares of the focal lengths.
        common: (7, r) the similarity that each of those r errors does to the people whom the rig was found with.
        covers: (V,) cameras whose errors are predicted.
    """

    root: Array
    common: Array
    covers: Flags

    def sigma(self, cameras: Cameras, x: Array, seen: Flags) -> Array:
        """(N,) m per axis, of points x (N, 3) m that the cameras `seen` (N, V) place, as far as their errors are
        predicted; 0 for fewer than two.
        """
        seen = seen & self.covers
        two = seen.sum(1) > 1
        out = np.zeros(len(x))
        if two.any():
            d = _moved(cameras, x[two], seen[two], self.root) - _similarities(x[two]) @ self.common
            out[two] = np.sqrt((d ** 2).sum((1, 2)) / 3)
        return out

    def rearranged(self, index: Sequence[int]) -> PlaceSpread:
        """Of cameras in another order, by where they stand now; -1 = one whose errors are not predicted."""
        each, V, has = CameraLayout.EACH, len(self.covers), np.array(index) >= 0
        own, centres = self.root[:each * V].reshape(V, each, -1), self.root[each * V:].reshape(V, 2, -1)
        parts = [np.where(has[:, None, None], a[list(index)], 0.).reshape(-1, self.root.shape[1])
                 for a in (own, centres)]
        return PlaceSpread(np.concatenate(parts), self.common, has & self.covers[list(index)])


def place_spread(found: Solution, cameras: Cameras, factor: float, world: World) -> PlaceSpread | None:
    """Of a solution whose cameras stand in the world like this; None where all of them were known.

    factor: metres in a unit of the solution.
    """
    layout, V = cameras.layout, len(cameras)
    to = np.eye(len(found.covariance))
    for v in range(V):
        own = to[layout.camera(v), layout.camera(v)]
        own[layout.TRANSLATION, layout.TRANSLATION] *= factor
        # the solution's origin stands elsewhere in the world: a turn of the camera moves it
        own[layout.TRANSLATION, layout.ROTATION] = rotation.cross_matrix(cameras.R[v] @ world.t)
        at = layout.size + 2 * v
        to[at:at + 2, at:at + 2] /= cameras.focal[v]
    value, vector = np.linalg.eigh(to @ found.covariance @ to.T)
    keep = value > 1e-12 * value.max(initial=0.)
    if not keep.any():
        return None
    root = vector[:, keep] * np.sqrt(value[keep])
    some = np.unique(np.linspace(0, found.frames - 1, _INSTANTS).astype(int))
    X = found.state.X[some][:, _JOINTS] * factor @ world.R.T + world.t
    seen = np.isfinite(found.tracks.kp[some]).all(-1).any(-1)
    ok = seen.sum(1) > 1
    x, by = X[ok].reshape(-1, 3), np.repeat(seen[ok], len(_JOINTS), 0)
    common = np.linalg.pinv(_similarities(x).reshape(-1, 7)) @ _moved(cameras, x, by, root).reshape(-1, root.shape[1])
    return PlaceSpread(root, common, np.ones(V, bool))


def _moved(cameras: Cameras, x: Array, seen: Flags, root: Array) -> Array:
    """(N, 3, r) where points x (N, 3), seen by two cameras or more (N, V), are triangulated more, for errors (P, r)."""
    _, A, own = (a[:, :, 0] for a in cameras.project_jacobian(x[:, None]))
    A = A * seen[:, :, None, None]
    b = np.einsum('nvak,nvap->nkvp', A, own)
    axes = (A * cameras.focal[:, None, None]).transpose(0, 3, 1, 2)
    by = np.concatenate([b.reshape(*b.shape[:2], -1), axes.reshape(len(x), 3, -1)], 2)
    H = np.einsum('nvak,nval->nkl', A, A)
    H += (1e-9 * np.trace(H, axis1=1, axis2=2) + 1e-9)[:, None, None] * np.eye(3)     # of rays in one line, too
    return np.asarray(-np.linalg.solve(H, by @ root))


def _similarities(x: Array) -> Array:
    """(N, 3, 7) how points x (N, 3) move with a shift, a turn and a scaling of the world."""
    out = np.zeros((len(x), 3, 7))
    out[:, :, :3] = np.eye(3)
    out[:, [2, 0, 1], [3, 4, 5]] = x[:, [1, 2, 0]]                           # axes times x
    out[:, [1, 2, 0], [3, 4, 5]] = -x[:, [2, 0, 1]]
    out[:, :, 6] = x
    return out
