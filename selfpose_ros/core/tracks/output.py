# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From followed people to the skeletons that are published: newest or late, corrected, with uncertainty."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..filtering import smooth_back, spread_of
from ..fusion.corrected import RunningLengths, between
from ..lifting import LiftedViews
from ..observation import Skeleton3D
from ..rig_model import RigModel
from ..uncertainty import by_cameras, place_sigma, uncertainty
from .person import Person, measurement_of
from .person_fusion import stacked

__all__ = ['COAST_S', 'SkeletonOutput']

Array = NDArray[np.float64]

#: somebody nobody sees any more is shown on for this long, s; and somebody whom one camera sees is at level 3
COAST_S = .4


class SkeletonOutput:
    """Skeletons of people.

    Args:
        lag_s: results are this old, in the light of what came since (0 = newest), s.
        correction: see `EstimatorConfig`.
    """

    def __init__(self, lag_s: float, correction: bool) -> None:
        self.lag_s = lag_s
        self._lengths = RunningLengths() if correction and not lag_s else None

    def of(self, people: Sequence[Person], now: float, model: RigModel, lifted: LiftedViews | None,
           left_out: frozenset[str]) -> list[Skeleton3D]:
        """The skeletons of these people, at `now` s or `lag_s` before."""
        if not self.lag_s:
            if not people:
                return []
            filters = [p.filter for p in people]
            x = np.array([self._corrected(p, model, lifted, left_out) for p in people])
            return _skeletons(people, now, x, np.array([f.v for f in filters]),
                              spread_of(np.array([f.pp for f in filters])), np.array([p.measured() for p in people]),
                              model, lifted is not None)
        late = [self._late(p, now, model, lifted is not None) for p in people]
        stamp = max((s.stamp for s in late if s is not None), default=now)
        return [s for s in late if s is not None and s.stamp == stamp]

    def _corrected(self, p: Person, m: RigModel, lifted: LiftedViews | None, left_out: frozenset[str]) -> Array:
        """Joints (17, 3) m to show: between the filter's and what this instant's lifted poses come to, corrected.

        With a rig that is trusted the filter already makes the most of the pixels.
        """
        x = p.filter.x
        if self._lengths is None or lifted is None or m.level >= 3:
            return x
        known = lifted.of({c: r for c, r in p.row.items() if c not in left_out}, m.pinholes, p.identity)
        if not known:
            return x
        v, joints, sigma = stacked(known, m)
        obs = measurement_of(m, p.stamp, p.row, left_out)
        rays = m.geometry.take(v).rays(obs.kp[v])
        k = m.focal[v, None] / obs.sigma[v]                                  # 0 where sigma is inf
        return between(x, joints, sigma, rays, k, self._lengths.add(p.identity, joints, p.filter.lengths[:16]))

    def _late(self, p: Person, now: float, m: RigModel, lifts: bool) -> Skeleton3D | None:
        """The person as of `lag_s` ago; None while there is no tick that old."""
        while len(p.past) > 1 and p.past[1][0] <= now - self.lag_s + 1e-6:
            p.past.popleft()
        if not p.past or p.past[0][0] > now - self.lag_s + 1e-6:
            return None
        stamp, *_, views = p.past[0]
        x, v, sigma = smooth_back([(dt, pred, post) for _, dt, pred, post, _ in p.past])
        return _skeletons([p], stamp, x[None], v[None], sigma[None], views[None], m, lifts)[0]


def _skeletons(people: Sequence[Person], now: float, x: Array, v: Array, spread: Array, views: NDArray[np.int64],
               m: RigModel, lifts: bool) -> list[Skeleton3D]:
    """Of N people with joints x, v (N, 17, 3), their standard deviations and cameras (N, 17)."""
    u, level, place = uncertainty(spread, m), [m.level] * len(people), by_cameras(
        x, np.array([[c in p.row for c in m.cameras] for p in people]), m)
    for n, p in enumerate(people):
        if now > p.pair_seen:
            # the nearest of the cameras that see him
            seen_by = [m.cameras.index(c) for c in p.row if c in m.cameras] or [0]
            near = min(seen_by, key=lambda v: float(m.R[v, 2] @ x[n, 0] + m.t[v, 2]))
            place[n] = np.hypot(place[n], place_sigma(x[n], m, near, now - p.pair_seen))
            if lifts and now - p.pair_seen > COAST_S:
                level[n] = 1                                        # one camera and a lifter
    known, sigma = u.known, np.hypot(u.sigma, place[:, None])
    x, v = np.where(known[..., None], x, np.nan), np.where(known[..., None], v, np.nan)
    sigma, views = np.where(known, sigma, np.nan), np.where(known, views, 0)
    return [Skeleton3D(p.identity, now, x[n], sigma[n], u.confidence[n], views[n], level[n], v[n], place[n])
            for n, p in enumerate(people)]
