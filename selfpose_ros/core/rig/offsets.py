# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of a 2D network that stay: it puts a joint beside where the skeleton has it, at every instant alike, and
elsewhere from another side.

No number of instants averages that away while somebody stays on the spot: it goes into cameras and lenses, and into
what they are expected to be off. An offset of a joint, in the axes of the trunk, is a smooth function of the azimuth
from which a camera sees it: a constant, first and second harmonics. Two variances of them are told by those residuals
that cameras, bones and poses cannot take up (restricted maximum likelihood, Patterson and Thompson 1971, averaged over
what it leaves open). The offsets themselves are not estimated: `place` considers them.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..robust import robust_weight
from .bundle import (
    BundleProblem,
    BundleState,
    bone_prior,
    centre_equations,
    gathered,
    held_parameters,
    linearise,
    normal_equations,
)
from .elimination import solve_poses

__all__ = ['Reduced', 'body_axes', 'offset_variance', 'reduced']

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
    """Normal equations with the poses eliminated, of F parameters of cameras and bones that are free, K = 255 of the
    offsets, and V principal points, both of which are held.

    Attributes:
        H: (F + K, F + K).  g: (F + K,).  by_centre: (F, 2 V) derivatives of the gradient by principal points, px.
        go: (C,) which of the parameters of cameras and bones are free.
    """

    H: Array
    g: Array
    by_centre: Array
    go: NDArray[np.bool_]

    @property
    def free(self) -> int:
        """F."""
        return int(self.go.sum())


def reduced(s: BundleState, p: BundleProblem, scale: float, kind: str) -> Reduced:
    """At a state; the residuals are those of the problem's pixels."""
    layout, go = s.cameras.layout, ~held_parameters(p)
    Hxx, Hxc, Hcc, gx, gc = normal_equations(s, p, scale, kind, bone_prior(p))
    by_centre, x_by_centre = centre_equations(s, p, scale, kind)
    np.einsum('nii->ni', Hxx)[:] += 1e-6                      # joints that nobody sees
    kept = np.nonzero(go[:layout.size + 16])[0]
    o = _offset_equations(s, p, scale, kind)
    sol = solve_poses(Hxx, np.concatenate([gx[..., None], Hxc[:, :, kept], o.Hxo], -1))
    k, K, F = len(kept), o.Hxo.shape[-1], int(go.sum())
    solved = sol[..., 1:1 + k]
    H, g = np.zeros((F + K, F + K)), np.zeros(F + K)
    H[:F, :F] = (Hcc - gathered(p, layout, kept, Hxc[:, :, kept], solved))[np.ix_(go, go)]
    g[:F] = (gc - gathered(p, layout, kept, Hxc[:, :, kept], sol[..., 0]))[go]
    cross = np.concatenate([o.Hco, by_centre], 1)             # of what has no place among cameras and bones
    held = np.concatenate([o.Hxo, x_by_centre], -1)
    for of, at in _people(p, layout.size, kept):
        cross[at] -= np.einsum('nia,nib->ab', solved[of], held[of], optimize=True)
    H[:F, F:] = cross[go, :K]
    H[F:, :F] = H[:F, F:].T
    own = np.einsum('nia,nib->ab', o.Hxo, np.concatenate([sol[..., :1], sol[..., 1 + k:]], -1), optimize=True)
    H[F:, F:], g[F:] = o.Hoo - own[:, 1:], o.go - own[:, 0]
    return Reduced(H, g, cross[go, K:], go)


@dataclass(frozen=True)
class _Offsets:
    """Before the poses are eliminated."""

    Hxo: Array
    Hco: Array
    Hoo: Array
    go: Array


def _offset_equations(s: BundleState, p: BundleProblem, scale: float, kind: str) -> _Offsets:
    N = len(p.kp)
    layout, each = s.cameras.layout, 3 * _SIDES
    r, JX, Jc = linearise(s, p)
    w = robust_weight((r * r).sum(-1), scale, kind)
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
                    np.einsum('nvjka,nvjk,nvf->jfa', wJA, r, f, optimize=True).ravel())


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
