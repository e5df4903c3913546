# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of a 2D network that stay: it puts a joint beside where the skeleton has it, at every instant alike, and
elsewhere from another side.

No number of instants averages that away while somebody stays on the spot: it goes into cameras and lenses, and into
what they are expected to be off. An offset of a joint, in the axes of the trunk, is a smooth function of the azimuth
from which a camera sees it: a constant, first and second harmonics. Two variances of them are told by those residuals
that cameras, bones and poses cannot take up (restricted maximum likelihood, Patterson and Thompson 1971, averaged over
what it leaves open). The offsets themselves are not estimated: `place` considers them.

Principal points, which all instants share as well, are estimated with the rig (`refinement`).
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..cameras import Cameras
from ..robust import robust_weight
from .bundle_equations import centre_equations, gathered, held_parameters, linearise, normal_equations
from .bundle_problem import BundleProblem, BundleState, bone_prior
from .elimination import solve_poses

__all__ = ['CENTRE_SHARE', 'Reduced', 'better_centres', 'body_axes', 'centre_share', 'centre_sigma', 'offset_variance',
           'reduced']

Array = NDArray[np.float64]

_J, _SIDES = 17, 5
#: of one joint: functions of the azimuth, and axes of the trunk
SHAPE = (_J, _SIDES, 3)
#: what harmonics have of the variance that hangs on the side
_HARMONICS = np.array([1., 1., .5, .5])
#: standard deviations per axis that are compared, m: of what is constant, and of what hangs on the side
_CONSTANT, _BY_SIDE = (np.array([.0, .003, .006, .009, .013, .018, .026, .04]),
                       np.array([.0, .001, .002, .004, .006, .009, .013, .02, .03]))
#: how quickly larger ones are less likely beforehand, m
_USUAL_CONSTANT, _USUAL_BY_SIDE = .012, .006
#: standard deviation of a principal point along each axis, as a share of the longer side of the image: those of webcams
#: and phones lie up to 2 % off the middle
CENTRE_SHARE = .012
#: those that are compared: cameras are made with care, or not
_CENTRE_SHARES = np.array([.0015, .003, .006, .012])
#: directions of the offsets that are told of less than this, relative to the best one, tell nothing
_TOLD = 1e-6


def body_axes(X: Array) -> Array:
    """(N, 3, 3) rows right, forward, up of the trunks of bodies (N, 17, 3)."""
    up = X[:, 8] - X[:, 0]
    up = up / np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-9)
    right = X[:, 1] - X[:, 4] + X[:, 14] - X[:, 11]
    right = right - (right * up).sum(-1, keepdims=True) * up
    right = right / np.maximum(np.linalg.norm(right, axis=-1, keepdims=True), 1e-9)
    return np.stack([right, np.cross(up, right), up], 1)


def _sides(s: BundleState) -> tuple[Array, Array]:
    """Axes of the trunks (N, 3, 3), and functions (N, V, 5) of the azimuth from which cameras see them."""
    A = body_axes(s.X)
    b = np.einsum('nka,nva->nvk', A, s.cameras.centres - s.X[:, :1])
    phi = np.arctan2(b[..., 1], b[..., 0])
    return A, np.stack([np.ones_like(phi), np.cos(phi), np.sin(phi), np.cos(2 * phi), np.sin(2 * phi)], -1)


@dataclass(frozen=True)
class Reduced:
    """Normal equations with the poses eliminated: of what is free of cameras and bones, F, then of principal points,
    px, with their prior, C, then of K = 255 offsets, which are held.

    Attributes:
        H: (F + C + K, F + C + K).  g: (F + C + K,).  go: (parameters,) which of those of cameras and bones are free.
        centres: (2 V,) which of the principal points are uncertain.  off: (2 V,) px from where they are thought to be.
        prior: (C,) of those, 1 / px2, times how many residuals count as one.
    """

    H: Array
    g: Array
    go: NDArray[np.bool_]
    centres: NDArray[np.bool_]
    off: Array
    prior: Array

    @property
    def held(self) -> int:
        """F: with principal points that are held."""
        return int(self.go.sum())

    @property
    def free(self) -> int:
        """F + C."""
        return self.held + int(self.centres.sum())

    @property
    def centre(self) -> slice:
        """Where the principal points stand."""
        return slice(self.held, self.free)

    def with_centres(self, sigma: Array, temper: float) -> Reduced:
        """With another spread (V,) px of the principal points."""
        prior = temper / np.repeat(sigma, 2)[self.centres] ** 2
        H, g = self.H.copy(), self.g.copy()
        H[self.centre, self.centre] += np.diag(prior - self.prior)
        g[self.centre] += (prior - self.prior) * self.off[self.centres]
        return replace(self, H=H, g=g, prior=prior)


def centre_sigma(p: BundleProblem, share: float = CENTRE_SHARE) -> Array:
    """(V,) px, standard deviation of principal points along each axis; 0 = known. share: of the longer side."""
    side = np.full(len(p.centre), 2 * p.centre.max()) if p.lens is None else p.lens.longer
    return np.where(p.log_focal_sigma > 0, share * side, 0.)


def centre_share(e: Reduced, temper: float, share: float) -> float:
    """Standard deviation of principal points, as a share of the longer side: of those that there are, averaged over
    what the residuals leave open. share: with which the equations were made.
    """
    n, at = e.held, e.centre
    taken = np.linalg.pinv(e.H[:n, :n], hermitian=True) @ np.concatenate([e.H[:n, at], e.g[:n, None]], 1)
    Q = e.H[at, at] - e.H[at, :n] @ taken[:, :-1] - np.diag(e.prior)
    off = e.off[e.centres]
    g = e.g[at] - e.H[at, :n] @ taken[:, -1] - e.prior * off - Q @ off    # as if they were where they should be
    side = np.sqrt(temper / e.prior) / share
    told, U = np.linalg.eigh(side[:, None] * (Q + Q.T) / 2 * side)
    good = told > _TOLD * max(told[-1], 1e-300)
    y, told = (U.T @ (side * g))[good], told[good]

    v = temper * told + (_CENTRE_SHARES[:, None] * told) ** 2
    log_p = -.5 * (y * y / v + np.log(v)).sum(1)
    weight = np.exp(log_p - log_p.max())
    return float(np.sqrt(weight @ _CENTRE_SHARES ** 2 / weight.sum()))


def reduced(s: BundleState, p: BundleProblem, scale: float, kind: str, share: float = CENTRE_SHARE,
            offsets: bool = True) -> Reduced:
    """At a state; the residuals are those of the problem's pixels.

    Args:
        share: see `centre_sigma`.  offsets: K is 255, else 0.
    """
    layout, go = s.cameras.layout, ~held_parameters(p)
    Hxx, Hxc, Hcc, gx, gc = normal_equations(s, p, scale, kind, bone_prior(p))
    by_centre, x_by_centre, own_centre, g_centre = centre_equations(s, p, scale, kind)
    np.einsum('nii->ni', Hxx)[:] += 1e-6                      # joints that nobody sees
    kept = np.nonzero(go[:layout.size + 16])[0]
    sigma = np.repeat(centre_sigma(p, share), 2)
    centres = sigma > 0
    prior = p.temper / sigma[centres] ** 2
    off = (s.cameras.centre - p.centre).ravel()
    g_centre = g_centre[centres] + prior * off[centres]
    # what has no place among cameras and bones: principal points, offsets
    o = _offset_equations(s, p, scale, kind) if offsets else _Offsets.none(p, len(gc))
    Hxq = np.concatenate([x_by_centre[..., centres], o.Hxo], -1)
    direct = np.block([[np.diag(own_centre[centres] + prior), o.by_centre[:, centres].T],
                       [o.by_centre[:, centres], o.Hoo]])
    sol = solve_poses(Hxx, np.concatenate([gx[..., None], Hxc[:, :, kept], Hxq], -1))
    k, Q, F = len(kept), Hxq.shape[-1], int(go.sum())
    solved = sol[..., 1:1 + k]
    H, g = np.zeros((F + Q, F + Q)), np.zeros(F + Q)
    H[:F, :F] = (Hcc - gathered(p, layout, kept, Hxc[:, :, kept], solved))[np.ix_(go, go)]
    g[:F] = (gc - gathered(p, layout, kept, Hxc[:, :, kept], sol[..., 0]))[go]
    cross = np.concatenate([by_centre[:, centres], o.Hco], 1)
    for of, at in _people(p, layout.size, kept):
        cross[at] -= np.einsum('nia,nib->ab', solved[of], Hxq[of], optimize=True)
    H[:F, F:] = cross[go]
    H[F:, :F] = H[:F, F:].T
    own = np.einsum('nia,nib->ab', Hxq, np.concatenate([sol[..., :1], sol[..., 1 + k:]], -1), optimize=True)
    H[F:, F:], g[F:] = direct - own[:, 1:], np.concatenate([g_centre, o.go]) - own[:, 0]
    return Reduced(H, g, go, centres, off, prior)


def better_centres(e: Reduced, cameras: Cameras) -> Cameras:
    """With principal points after a step of Gauss and Newton, together with cameras, bones and poses."""
    n = e.free
    step = np.zeros(len(e.centres))
    step[e.centres] = (np.linalg.pinv(e.H[:n, :n], hermitian=True) @ e.g[:n])[e.held:]
    return replace(cameras, centre=cameras.centre - step.reshape(-1, 2))


@dataclass(frozen=True)
class _Offsets:
    """Before the poses are eliminated."""

    Hxo: Array
    Hco: Array
    Hoo: Array
    go: Array
    by_centre: Array

    @classmethod
    def none(cls, p: BundleProblem, parameters: int) -> _Offsets:
        """Of no joint."""
        N, V = p.kp.shape[:2]
        return cls(np.zeros((N, 3 * _J, 0)), np.zeros((parameters, 0)), np.zeros((0, 0)), np.zeros(0),
                   np.zeros((0, 2 * V)))


def _offset_equations(s: BundleState, p: BundleProblem, scale: float, kind: str) -> _Offsets:
    N, V = p.kp.shape[:2]
    layout, each = s.cameras.layout, 3 * _SIDES
    r, JX, Jc = linearise(s, p)
    w = robust_weight((r * r).sum(-1), scale, kind)
    inverse = np.where(np.isfinite(p.sigma), 1 / p.sigma, 0.)
    A, f = _sides(s)
    JA = np.matmul(JX, A.swapaxes(1, 2)[:, None, None])       # along the axes of the trunk
    wJA = w[..., None, None] * JA
    jj = np.arange(_J)
    Hxo = np.zeros((N, _J, 3, _J, each))
    Hxo[:, jj, :, jj] = np.einsum('nvjka,nvjkb,nvf->jnafb', JX, wJA, f, optimize=True).reshape(_J, N, 3, each)
    Hco = np.zeros((layout.size + 16 * p.people, _J * each))
    Hco[:layout.size] = np.einsum('nvjkc,nvjkb,nvf->vcjfb', Jc, wJA, f, optimize=True).reshape(layout.size, -1)
    Hoo = np.zeros((_J, each, _J, each))
    Hoo[jj, :, jj] = np.einsum('nvjab,nvf,nvg->jfagb', np.einsum('nvjka,nvjkb->nvjab', JA, wJA), f, f,
                               optimize=True).reshape(_J, each, each)
    return _Offsets(Hxo.reshape(N, 3 * _J, -1), Hco, Hoo.reshape(_J * each, -1),
                    np.einsum('nvjka,nvjk,nvf->jfa', wJA, r, f, optimize=True).ravel(),
                    np.einsum('nvjka,nvj,nvf->jfavk', wJA, inverse, f, optimize=True).reshape(-1, 2 * V))


def _people(p: BundleProblem, cameras: int,
            kept: NDArray[np.int64]) -> list[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """Poses of each person, and where columns that concern a pose stand among all parameters."""
    person = np.zeros(len(p.kp), np.int64) if p.person is None else p.person
    return [(person == q, np.where(kept < cameras, kept, kept + 16 * q)) for q in range(p.people)]


def _variance(constant: float, by_side: float) -> Array:
    """(17, 5, 3) m2 of standard deviations, m."""
    out = np.empty(SHAPE)
    out[:, 0] = constant ** 2
    out[:, 1:] = (_HARMONICS * by_side ** 2)[:, None]
    return out


def offset_variance(e: Reduced, temper: float) -> Array:
    """(17, 5, 3) m2 of the offsets, from equations at the state that a problem was adjusted to.

    temper: how many residuals count as one.
    """
    F = e.free
    C = e.H[:F, F:]
    taken = np.linalg.pinv(e.H[:F, :F], hermitian=True) @ np.concatenate([C, e.g[:F, None]], 1)
    Q = e.H[F:, F:] - C.T @ taken[:, :-1]
    g = e.g[F:] - C.T @ taken[:, -1]
    told, U = np.linalg.eigh((Q + Q.T) / 2)
    good = told > _TOLD * told[-1]
    root, U = np.sqrt(told[good]), U[:, good]
    y = U.T @ g / root                                        # covariance: temper, and what the offsets add
    parts = []
    for unit in (_variance(1., 0.), _variance(0., 1.)):
        B = root[:, None] * U.T * np.sqrt(unit.ravel())
        parts.append(B @ B.T)
    log_p = np.empty((len(_CONSTANT), len(_BY_SIDE)))
    for i, a in enumerate(_CONSTANT):
        for k, b in enumerate(_BY_SIDE):
            L = np.linalg.cholesky(temper * np.eye(len(y)) + a * a * parts[0] + b * b * parts[1])
            z = np.linalg.solve(L, y)
            log_p[i, k] = -.5 * z @ z - np.log(np.diag(L)).sum() - a / _USUAL_CONSTANT - b / _USUAL_BY_SIDE
    weight = np.exp(log_p - log_p.max()) * np.outer(np.gradient(_CONSTANT), np.gradient(_BY_SIDE))
    weight /= weight.sum()
    return _variance(float(np.sqrt(weight.sum(1) @ _CONSTANT ** 2)), float(np.sqrt(weight.sum(0) @ _BY_SIDE ** 2)))
