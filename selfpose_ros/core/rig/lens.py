# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What lenses there are: the prior of focal lengths and radial distortion, and what no camera has.

Focal lengths are a mixture of classes of lenses, as shares of the longer side of the image: phones, webcams and
machine vision (50 to 75 degrees along that side), wide and action cameras (75 to 115), long lenses (25 to 50). A lens
between a pinhole and the equidistant projection, r = atan(R) = R - R^3/3 + R^5/5, has k1 from 0 to -1/3, and k2 of
about -0.35 k1 where r is fitted up to 45 degrees off the axis; the spreads allow for twice as much.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..camera import Intrinsics
from ..cameras import Cameras

__all__ = ['FOCAL_RANGE', 'LensPrior', 'exists', 'unknown_lenses']

Array = NDArray[np.float64]

#: classes: share, focal length / longer side, standard deviation of its logarithm
_CLASSES = np.array([(.55, .82, .18), (.25, .50, .18), (.20, 1.25, .28)])
#: the same for cameras that go together: all are of one class with this probability, and about a focal length of their
#: own within it differ by so much, log. Those of recorded rigs are mostly of one type
_TOGETHER, _APART_LOG = .7, .15
#: focal length / longer side of the cameras that there are: from 127 degrees along that side down to 14
FOCAL_RANGE = (.25, 4.)
#: k1, and k2 about _RATIO k1; the second spread is of lenses that fold back nowhere, as those of that ratio do not
_K1_SIGMA, _RATIO, _K2_SIGMA, _K2_SIGMA_WHOLE = .2, -.35, .08, .015
#: how far lenses of one type differ: log focal length, k1, k2
_SAME = np.array([.004, .004, .004])


@dataclass(frozen=True)
class LensPrior:
    """Of the log focal lengths and of k1, k2 of V cameras.

    Attributes:
        longer: (V,) px, longer side of the image.  radius: (V,) px from the principal point to the farthest corner.
        log_focal, log_focal_sigma: (V,) of cameras whose focal length is given as a number with a spread; NaN = the
            classes of lenses.
        distorted: (V,) whether k1 and k2 are to be found; else they are held.
        same: groups of cameras, by number, that the user has said have equal lenses.
        whole: k2 follows k1 closely, so that no lens folds back within the image: where little is seen near its
            corners, nothing else keeps them from it.
    """

    longer: Array
    radius: Array
    log_focal: Array
    log_focal_sigma: Array
    distorted: NDArray[np.bool_]
    same: tuple[tuple[int, ...], ...] = ()
    whole: bool = False

    @classmethod
    def of(cls, image_size: ArrayLike, centre: Array, log_focal: Array, log_focal_sigma: Array,
           same: Sequence[Sequence[int]] = ()) -> LensPrior:
        """Of cameras with images (V, 2) px and principal points (V, 2); pinholes so far.

        Args:
            log_focal, log_focal_sigma: (V,) given ones, NaN = unknown; sigma 0 = known exactly.
        """
        size = np.asarray(image_size, float)
        corner = np.maximum(centre, size - centre)
        return cls(size.max(1), np.linalg.norm(corner, axis=1), np.asarray(log_focal, float),
                   np.asarray(log_focal_sigma, float), np.zeros(len(size), bool), tuple(map(tuple, same)))

    def with_distortion(self) -> LensPrior:
        """The same, with k1 and k2 to be found of the cameras of whose lens nothing is given."""
        return replace(self, distorted=np.isnan(self.log_focal_sigma))

    @property
    def means(self) -> Array:
        """(L, V) weights of the cameras in each of the L different lenses to be found."""
        V, grouped = len(self.longer), {c for group in self.same for c in group}
        groups = [g for g in self.same if self.distorted[list(g)].any()]
        groups += [(int(c),) for c in np.nonzero(self.distorted)[0] if c not in grouped]
        out = np.zeros((len(groups), V))
        for row, group in zip(out, groups, strict=True):
            row[list(group)] = 1 / len(group)
        return out

    @property
    def log_volume(self) -> float:
        """Half the log determinant of the covariance of k1 and k2 of all different lenses to be found."""
        return float(len(self.means) * np.log(_K1_SIGMA * self._k2_sigma))

    def cost(self, cameras: Cameras) -> float:
        """Negative log density, up to a constant; with what it costs a lens to fold back within the image."""
        x = np.log(cameras.focal / self.longer)
        lens, share = cameras.lenses, self._share
        total = self._focal(x)[0]
        k1, k2 = lens[:, 0], lens[:, 1]
        bent = (k1 / _K1_SIGMA) ** 2 + ((k2 - _RATIO * k1) / self._k2_sigma) ** 2
        total += .5 * (share * np.where(self.distorted, bent, 0.)).sum()
        for group in self.same:
            d = self._apart(group, x, lens)
            total += .5 * (d * d).sum()
        return float(total)

    def normal_equations(self, cameras: Cameras) -> tuple[Array, Array]:
        """Gradient (V, 3) and matrix (V, 3, V, 3) of a quadratic that touches `cost` at these cameras and lies above it
        (EM for the mixture); in the order log focal length, k1, k2.
        """
        V = len(self.longer)
        x, lens, share = np.log(cameras.focal / self.longer), cameras.lenses, self._share
        g, H = np.zeros((V, 3)), np.zeros((V, 3, V, 3))
        _, g[:, 0], H[:, 0, :, 0] = self._focal(x)
        follow = self._k2_sigma ** -2
        own = np.array([[_K1_SIGMA ** -2 + _RATIO ** 2 * follow, -_RATIO * follow], [-_RATIO * follow, follow]])
        for c in np.nonzero(self.distorted)[0]:
            H[c, 1:, c, 1:] += share[c] * own
            g[c, 1:] += share[c] * own @ lens[c]
        for group in self.same:
            index, d = np.array(group), self._apart(group, x, lens)
            centring = np.eye(len(group)) - 1 / len(group)
            for k in range(3):
                H[index[:, None], k, index[None], k] += centring / _SAME[k] ** 2
                g[index, k] += d[:, k] / _SAME[k]
        return g, H

    @property
    def _k2_sigma(self) -> float:
        return _K2_SIGMA_WHOLE if self.whole else _K2_SIGMA

    @property
    def _share(self) -> Array:
        """(V,) lenses that are one are counted once."""
        share = np.ones(len(self.longer))
        for group in self.same:
            share[list(group)] = 1 / len(group)
        return share

    def _apart(self, group: Sequence[int], x: Array, lens: Array) -> Array:
        """(n, 3) how far each of equal lenses is from their mean, sigmas."""
        own = np.concatenate([x[:, None], lens], 1)[list(group)]
        return np.asarray((own - own.mean(0)) / _SAME)

    def _focal(self, x: Array) -> tuple[float, Array, Array]:
        """Cost, its gradient (V,) and the matrix (V, V) of the quadratic above it, at log shares of the longer side.

        Unknown ones: each by itself of a class, or all of one class and alike, as Gaussians with a common part.
        """
        g, H = np.zeros(len(x)), np.zeros((len(x), len(x)))
        given = np.isfinite(self.log_focal)
        near = given & (self.log_focal_sigma > 0)
        d = (x + np.log(self.longer))[near] - self.log_focal[near]
        s = self.log_focal_sigma[near]
        g[near], H[near, near] = self._share[near] * d / s ** 2, self._share[near] / s ** 2
        cost = .5 * float((self._share[near] * (d / s) ** 2).sum())
        unknown = np.nonzero(~given)[0]
        if not len(unknown):
            return cost, g, H
        n = self._share[unknown]
        share, mean, sigma = _CLASSES[:, 0], np.log(_CLASSES[:, 1]), _CLASSES[:, 2]
        y = x[unknown, None] - mean                                               # (U, classes)
        log_each = np.log(share / sigma) - .5 * (y / sigma) ** 2
        most = log_each.max(1, keepdims=True)
        each = np.exp(log_each - most)
        w = each / each.sum(1, keepdims=True)
        log_p = [np.log(1 - _TOGETHER) + float(n @ (most[:, 0] + np.log(each.sum(1))))]
        parts = [(n * (w * y / sigma ** 2).sum(1), np.diag(n * (w / sigma ** 2).sum(1)))]
        for k in range(len(_CLASSES)):
            common = sigma[k] ** 2 - _APART_LOG ** 2
            # of n cameras, each counted by its share: precision of a common part plus own ones (Woodbury)
            P = np.diag(n) / _APART_LOG ** 2
            P -= np.outer(n, n) * common / _APART_LOG ** 2 / (_APART_LOG ** 2 + common * n.sum())
            log_det = -n.sum() * np.log(_APART_LOG ** 2) - np.log1p(common * n.sum() / _APART_LOG ** 2)
            log_p.append(np.log(_TOGETHER * share[k]) + .5 * log_det - .5 * float(y[:, k] @ P @ y[:, k]))
            parts.append((P @ y[:, k], P))
        weight = np.exp(np.array(log_p) - max(log_p))
        cost -= max(log_p) + float(np.log(weight.sum()))
        weight /= weight.sum()
        g[unknown] = sum(r * p[0] for r, p in zip(weight, parts, strict=True))
        H[np.ix_(unknown, unknown)] = sum(r * p[1] for r, p in zip(weight, parts, strict=True))
        return cost, g, H


def unknown_lenses(cameras: Cameras, known: Sequence[Intrinsics | None]) -> Cameras:
    """For pixels from which the distortion of lenses that are known has been taken: the others keep theirs."""
    if cameras.lens is None:
        return cameras
    lens = np.where([[k is None] for k in known], cameras.lens, 0.)
    return replace(cameras, lens=lens if lens.any() else None)


def exists(cameras: Cameras, image_size: ArrayLike) -> NDArray[np.bool_]:
    """(V,) whether there are cameras of such a focal length for images (V, 2) px, with a lens that shows them whole."""
    size = np.asarray(image_size, float)
    share = cameras.focal / size.max(1)
    whole = cameras.reach > np.linalg.norm(np.maximum(cameras.centre, size - cameras.centre), axis=1)
    return np.asarray((share > FOCAL_RANGE[0]) & (share < FOCAL_RANGE[1]) & whole)
