# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Bones of a solved rig: how constant they are, and by how much noise makes them longer."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..body import BONE_A, BONE_B, MIRROR_BONE
from ..robust import robust_weight
from .bundle_equations import linearise, pose_covariance
from .bundle_problem import BONE_SIGMA_M, BundleProblem, BundleState, bone_vectors, pose_lengths

__all__ = ['bone_stretch', 'measure_bone_sigma']

Array = NDArray[np.float64]

#: of a bone's length, the bone's own constancy left out: more room than this share of its variance there always is
_LEAST_ROOM = .02
#: variance across a bone that lengthens it, as a share of its squared length: beyond, it may point anywhere
_MOST_SHARE = 1.


def measure_bone_sigma(state: BundleState, problem: BundleProblem) -> Array:
    """(16,) m: how much bones really change their length between instants, beyond what the 2D noise explains.

    Motion capture keeps them exactly; a detector that puts the hip where the trousers fold does not. Lengths come from
    points adjusted without bones, cameras held; robust spread, expected noise of both ends taken off.
    """
    free = _without_bones(state, problem)
    cov = np.linalg.inv(_point_equations(free, problem, 4.)[0] + 25. * np.eye(3))
    d = free.X[:, BONE_B] - free.X[:, BONE_A]
    n = np.linalg.norm(d, axis=-1)
    u = d / n[..., None].clip(1e-6)
    noise = np.einsum('nka,nkab,nkb->nk', u, cov[:, BONE_A] + cov[:, BONE_B], u)
    good = noise < .05 ** 2                                              # lengths that the views really measure
    out = BONE_SIGMA_M.copy()
    for k in range(16):
        if good[:, k].sum() >= 30:
            off = n[good[:, k], k]
            of = np.zeros(len(off), np.int64) if problem.person is None else problem.person[good[:, k]]
            for q in np.unique(of):                                      # each person has lengths of his own
                off[of == q] -= np.median(off[of == q])
            spread = 1.4826 * np.median(np.abs(off))
            out[k] = np.sqrt(max(spread ** 2 - np.median(noise[good[:, k], k]), 0.))
    return np.clip(np.maximum(out, out[MIRROR_BONE]), .010, .04)


def bone_stretch(state: BundleState, problem: BundleProblem, scale: float, kind: str) -> Array:
    """(N, 16) by how much noise lengthens each bone of each pose, as a share of its length.

    An error across a bone of length L makes it longer by its square / 2 L, to whichever side it goes. Poses are
    adjusted together with the cameras, not averaged over: bones of those who are far away, or seen from one side, come
    out too long, and focal lengths that shorten them are preferred (incidental parameters; Neyman and Scott 1948). A
    bone whose length is to be constant is therefore to have the length that noise shows of it.

    The errors are those that all else leaves of the bone (the posterior of the pose without this bone's own constancy),
    and the mean length is taken by a quadrature of three points for each of both directions across it. scale, kind: of
    the loss of the adjustment.
    """
    P = pose_covariance(state, problem, scale, kind).transpose(1, 3, 0, 2, 4)
    both = P[BONE_B, BONE_A]
    P = (P[BONE_A, BONE_A] + P[BONE_B, BONE_B] - both - both.swapaxes(-1, -2)).swapaxes(0, 1)      # (N, 16, 3, 3)
    _, u = bone_vectors(state.X)
    Pu = (P @ u[..., None])[..., 0]
    along = (u * Pu).sum(-1)
    room = np.maximum(problem.bone_sigma ** 2 - along, _LEAST_ROOM * problem.bone_sigma ** 2)
    P = P + Pu[..., None] * (Pu / room[..., None])[..., None, :]
    across = np.eye(3) - u[..., None] * u[..., None, :]
    lengths = pose_lengths(state, replace(problem, bone_stretch=None))
    share = np.maximum(np.linalg.eigvalsh(across @ P @ across), 0.) / lengths[..., None] ** 2
    return np.asarray((np.sqrt(1 + 3 * np.minimum(share, _MOST_SHARE)) - 1).sum(-1) / 3)


def _without_bones(state: BundleState, problem: BundleProblem, steps: int = 4) -> BundleState:
    """Points adjusted to what is seen of them alone, by Gauss-Newton: without bones each is a problem of its own."""
    for _ in range(steps):
        H, g = _point_equations(state, problem, 3.)
        # points that one camera sees, or none, must not make it singular
        H = H + np.einsum('njaa->nja', 1e-3 * H + 1e-6 * np.eye(3))[..., None] * np.eye(3)
        state = replace(state, X=state.X - np.clip(np.linalg.solve(H, g[..., None])[..., 0], -1., 1.))
    return state


def _point_equations(state: BundleState, problem: BundleProblem, scale: float) -> tuple[Array, Array]:
    """Normal equations of each point with the cameras held: H (N, 17, 3, 3), g (N, 17, 3); robust to `scale` sigmas."""
    r, JX, _ = linearise(state, problem)
    root = np.sqrt(robust_weight((r * r).sum(-1), scale))[..., None]
    r, JX = r * root, JX * root[..., None]
    H = np.einsum('nvjka,nvjkb->njab', JX, JX, optimize=True)
    return H, np.einsum('nvjka,nvjk->nja', JX, r, optimize=True)
