# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A lifter that knows the scene: finds which view a 2D pose is of, and tells its truth with the errors of a network."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.camera import project
from selfpose_ros.core.lifting import norm2d
from selfpose_ros.core.rig import Rig

Array = NDArray[np.float64]


class Oracle:
    """See `core.lifting.Lifter`.

    Args:
        joints: (T, 17, 3) or (T, P, 17, 3) m, the truth.  rig: the true cameras.
        error: root mean square error of a joint over the body's size; mostly along the view, the same for a while.
        turned: share of the poses that are told inside out (front for back).
        frames: as a temporal lifter that looks at the newest pose alone.
    """

    def __init__(self, joints: Array, rig: Rig, *, error: float = .12, turned: float = .03, seed: int = 0,
                 frames: int = 1) -> None:
        X = joints if joints.ndim == 3 else joints.reshape(-1, 17, 3)
        self.frames, self.interval_s, self.calls, self.poses = frames, 1 / 15, 0, 0
        rng = np.random.default_rng([seed, 31])
        seen, told = [], []
        for v in range(len(rig.cameras)):
            px = project(X, rig.K[v], rig.R[v], rig.t[v])
            ok = np.isfinite(px).all((1, 2))
            n = norm2d(np.where(ok[:, None, None], px, 0.), np.ones(px.shape[:2]), rig.K[v])
            y = (X - X[:, :1]) @ rig.R[v].T @ n.ray_rot
            y = y / np.sqrt((y ** 2).sum(-1).mean(-1))[:, None, None]
            inside_out = rng.random(len(y)) < turned
            y = np.where(inside_out[:, None, None], y * [1, 1, -1], y)
            if error:
                e = rng.normal(size=(len(y) // 8 + 2, 17, 3))
                i, u = np.divmod(np.arange(len(y)), 8)
                e = e[i] * np.sqrt(1 - u / 8)[:, None, None] + e[i + 1] * np.sqrt(u / 8)[:, None, None]
                e[:, 0] = 0.
                y = y + error * e * [.6, .6, 1.5]
            seen.append(n.w2d[ok])
            told.append(y[ok])
        self._seen, self._told = np.concatenate(seen), np.concatenate(told)
        self._sigma = max(error, .01)

    def lift(self, pose: NDArray[Any]) -> tuple[Array, Array]:
        self.calls += 1
        self.poses += len(pose)
        assert pose.dtype == np.float32 and pose.ndim == (3 if self.frames == 1 else 4)
        pose = pose if self.frames == 1 else pose[:, -1]
        w = pose[..., 2:] > 0
        off = ((np.abs(pose[:, None, :, :2] - self._seen) * w[:, None]).sum(-1)).mean(-1)
        y = self._told[off.argmin(1)]
        size = np.sqrt((y ** 2).sum(-1).mean(-1))[:, None, None]
        return y / size, np.full(y.shape[:2], self._sigma) * np.where(np.arange(17) == 0, .01, 1.)
