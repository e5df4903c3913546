# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A camera that was bumped, or that sinks slowly: noticed by its residuals, and put right by resection.

Other cameras keep measuring the skeleton; the moved one is left out, compared with it for a few seconds, and placed
anew against it. The world frame stays.
"""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import exp

import numpy as np
from numpy.typing import NDArray

from .. import rotation
from ..cameras import Cameras
from ..fusion.triangulation import triangulate
from ..robust_fit import robust_fit

__all__ = ['DriftMonitor', 'Resection', 'odd_one_out', 'resect']

Array = NDArray[np.float64]

#: residuals are smoothed over this long; a camera's own normal is learned in the first seconds of a rig, s
_SMOOTH_S, _LEARN_S = .6, 3.
#: suspicious: the whole body is off by this many sigmas in one direction, for this long, s. Noise of 17 joints over
#: half a second averages to about .2
_SHIFT, _FOR_S = 1.5, .6
#: without the moved camera the others' shifts are below this, sigmas, and clearly below what they are without another
_AGREE = .6


@dataclass
class _State:
    # shifts x + iy: Python's complex numbers take a tenth of the time of arrays of two
    smooth: complex | None = None
    normal: complex = 0j
    learned: float = 0.
    suspicious: float = 0.

    @property
    def excess(self) -> float:
        return abs(self.smooth - self.normal) if self.smooth is not None else 0.


@dataclass
class DriftMonitor:
    """Each camera's shift of the whole body against the skeleton in, names of moved cameras out.

    Single joints say little, they are noisy and sometimes wrong; but a camera that was turned sees all of them on one
    side of where they should be.
    """

    cameras: dict[str, _State] = field(default_factory=dict)

    def reset(self) -> None:
        """A new rig: normal is learned anew."""
        self.cameras.clear()

    def forget(self, camera: str) -> None:
        """One camera has a new pose."""
        self.cameras.pop(camera, None)

    def update(self, dt: float, shift: dict[str, Array]) -> list[str]:
        """Cameras that have just been found to have moved.

        Args:
            shift: per camera the median over joints of (predicted - seen), (2,) in sigmas.

        Returns:
            Names of the suspicious ones; `odd_one_out` tells which. With two cameras nobody can say: both.
        """
        share = 1 - exp(-dt / _SMOOTH_S)
        for name, (x, y) in shift.items():
            s, e = self.cameras.setdefault(name, _State()), complex(x, y)
            e *= min(1., 10. / max(abs(e), 1e-9))
            s.smooth = e if s.smooth is None else s.smooth + share * (e - s.smooth)
            if s.learned < _LEARN_S:
                s.learned += dt
                # a rig that is a little off shifts bodies a little; what is far off is not to be got used to
                s.normal = s.smooth * min(1., .5 / max(abs(s.smooth), 1e-9))
            s.suspicious = s.suspicious + dt if s.excess > _SHIFT else 0.
        seen = [n for n in shift if self.cameras[n].learned >= .5]
        bad = [n for n in seen if self.cameras[n].suspicious >= _FOR_S]
        if not bad or len(seen) < 2:
            return []
        return sorted(bad) if len(seen) > 2 else sorted(seen)

    def settle(self) -> None:
        """A camera was left out: the others, which it had pulled, get time to come back."""
        for s in self.cameras.values():
            s.suspicious = -1.


def odd_one_out(kp: Array, sigma: Array, cameras: Cameras) -> int:
    """Which camera has moved: the one without which the others agree best; -1 when they do not agree then, either.

    A moved camera pulls the skeleton towards its view, so that the residuals of the others grow, too, and the largest
    one may be another's.

    Args:
        kp: (N, V, 17, 2) undistorted px of about a second.  sigma: (N, V, 17) px, inf = unseen.  V >= 3.
    """
    V = len(cameras)
    rays, weight = cameras.rays(kp), cameras.ray_weight(sigma)
    left = np.full(V, np.inf)
    for c in range(V):
        rest = [v for v in range(V) if v != c]
        others = cameras.take(rest)
        X = triangulate(rays[:, rest], weight[:, rest], others.R, others.t, rounds=4, scale=6.)
        r = (others.project(X) - kp[:, rest]) / sigma[:, rest][..., None]
        r = np.where(np.isfinite(r) & np.isfinite(sigma[:, rest])[..., None], r, np.nan)
        if np.isfinite(r).any((0, 2, 3)).all():
            left[c] = np.linalg.norm(np.nanmedian(r, axis=(0, 2)), axis=-1).sum() / len(rest)
    best = int(left.argmin())
    without = np.delete(left, best)
    return best if left[best] < _AGREE and left[best] < .6 * without.min() else -1


class Resection:
    """Collects what a moved camera sees against the skeleton of the others."""

    def __init__(self, most: int = 120) -> None:
        self.rows: deque[tuple[float, Array, Array, Array]] = deque(maxlen=most)
        self._began = np.inf

    def add(self, stamp: float, X: Array, kp: Array, sigma: Array) -> None:
        """Joints (17, 3) m, pixels (17, 2) undistorted, sigma (17,) px."""
        self.rows.append((stamp, X, kp, sigma))
        self._began = min(self._began, stamp)

    @property
    def waited_s(self) -> float:
        """How long the camera has been collected for; `span_s` is what of that is still kept."""
        return self.rows[-1][0] - self._began if self.rows else 0.

    @property
    def span_s(self) -> float:
        return self.rows[-1][0] - self.rows[0][0] if self.rows else 0.


def resect(rows: list[tuple[float, Array, Array, Array]], camera: Cameras) -> tuple[Array, Array, float]:
    """Pose of one camera against known joints, robustly, from its former pose.

    Returns:
        R (3, 3), t (3,), and the median residual per axis in sigmas.
    """
    take = rows[::max(1, len(rows) // 60)]
    X = np.concatenate([r[1] for r in take])
    kp = np.concatenate([r[2] for r in take])
    sigma = np.concatenate([r[3] for r in take])
    ok = np.isfinite(sigma) & np.isfinite(X).all(-1)
    X, kp, sigma = X[ok], kp[ok], sigma[ok]
    R, t, middle = camera.R[0], camera.t[0], X.mean(0)

    def residual(q: Array) -> Array:
        # turned about the body, not about the far origin: rotation and translation are then nearly independent
        c = (X - middle) @ (rotation.exp(q[:3]) @ R).T + (R @ middle + t) + q[3:]
        return np.asarray(((camera.pixels(c[None])[0] - kp) / sigma[:, None]).ravel())

    scale = np.repeat([.05, .1], 3)
    q, _ = robust_fit(residual, np.zeros(6), scale, 'cauchy', 4.)
    q, _ = robust_fit(residual, q, scale, 'soft_l1', 2.)
    Rn = rotation.exp(q[:3]) @ R
    tn = R @ middle + t + q[3:] - Rn @ middle
    e = residual(q).reshape(-1, 2)
    return Rn, tn, float(np.median(np.sqrt((e * e).sum(1) / 2)))
