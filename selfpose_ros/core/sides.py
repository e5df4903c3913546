# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Left and right: in which views a 2D network exchanged them, and when it is the skeleton whose sides are exchanged.

A network exchanges sides in one view, now and then, for a few frames. What all views name alike is therefore evidence:
when every one of them seems exchanged against a skeleton, the skeleton is wrong and not the views. Both are weighed in
one probability: of the pixels, of as many exchanges as that takes, and, over time, of the movement that it takes.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .robust import robust_cost
from .skeleton import MIRROR, SWAP_GROUPS

__all__ = ['PERMUTATIONS', 'agreed_permutation', 'permutations_in_time']

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: cost of an exchange in one view at one instant, in units of the robust cost (half squared sigmas, nats): about one in
#: a hundred views has one of three kinds
_EXCHANGE = 6.
#: the same over time: share of the time that a view is exchanged, how long that lasts, s; as the benchmark's network
#: has it. What all views have for as long as that is no coincidence; what one has for long costs little more
_SHARE, _LASTS_S = .01, .12
#: residuals beyond about this many sigmas tell no more
_SCALE = 3.


def _permutations() -> Index:
    out = np.tile(np.arange(17), (4, 1))
    for k, groups in enumerate(((), ('arms',), ('legs',), ('arms', 'legs'))):
        for g in groups:
            i = np.array(SWAP_GROUPS[g])
            out[k, i] = np.array(MIRROR)[i]
    return out


#: (4, 17) source joint of each joint: as seen, arms exchanged, legs exchanged, both
PERMUTATIONS = _permutations()
#: one exchange after another: [s, f] is what s and f together are. Its own inverse
_TOGETHER = np.arange(4)[:, None] ^ np.arange(4)
#: (2, 17) a joint as seen, and its mirror image; (34, 4) which of both each of the permutations takes
_EITHER = np.stack([np.arange(17), np.array(MIRROR)])
_CHOICE = np.concatenate([PERMUTATIONS == np.arange(17), PERMUTATIONS != np.arange(17)], 1).T.astype(float)
_COST = np.array([0., _EXCHANGE, _EXCHANGE, _EXCHANGE])


def _costs(px: Array, kp: Array, sigma: Array) -> Array:
    """Robust cost (..., 4) of predicted pixels px (..., 17, 2) against kp (..., 17, 2), sigma (..., 17) by order."""
    inv = np.where(np.isfinite(sigma), 1 / sigma, 0.)
    # a joint is either itself or the one on the other side
    d = (px[..., None, :, :] - kp[..., _EITHER, :]) * inv[..., _EITHER, None]
    cost = robust_cost(d[..., 0] * d[..., 0] + d[..., 1] * d[..., 1], _SCALE, 'gm')
    return np.asarray(cost.reshape(*cost.shape[:-2], 34) @ _CHOICE)


def agreed_permutation(px: Array, kp: Array, sigma: Array) -> Index:
    """Which of `PERMUTATIONS` puts each view's names right (..., V), all views of an instant together.

    Views that are exchanged against the prediction px (..., V, 17, 2) are put right, unless it takes fewer exchanges
    that the sides of the prediction are exchanged: then the others are, and what most views name stands.
    kp (..., V, 17, 2), sigma (..., V, 17).
    """
    cost = _costs(px, kp, sigma)
    if not (cost[..., 0] - cost.min(-1) > _EXCHANGE).any():                # the rule
        return np.zeros(cost.shape[:-1], np.int64)
    each = cost[..., _TOGETHER] + _COST[:, None]                           # ..., V, s, turned
    total = each.min(-2).sum(-2)                                           # ..., turned
    turned = np.where(total[..., 0] - total.min(-1) > _EXCHANGE, total.argmin(-1), 0)
    chosen = np.take_along_axis(each, turned[..., None, None, None], -1)[..., 0]
    return np.asarray(chosen.argmin(-1))


def _change_costs(dt: Array) -> Array:
    """Cost (N-1, 4, 4) of going from one order to another within dt (N-1,) s: a Markov chain in continuous time."""
    gone = 1 - np.exp(-np.asarray(dt) / _LASTS_S)
    p = np.empty((len(dt), 4, 4))
    p[:, :, 1:] = (_SHARE / 3 * gone)[:, None, None]
    p[:, :, 0] = ((1 - _SHARE) * gone)[:, None]
    p[:, range(4), range(4)] += (1 - gone)[:, None]
    return np.asarray(-np.log(p))


def _cheapest(unary: Array, change: Array) -> Index:
    """States (N, ...) of least cost: unary (N, ..., K), change (N-1, ..., K, K) from earlier to later (Viterbi)."""
    n = len(unary)
    came = np.zeros(unary.shape, np.int64)
    total = unary[0]
    for i in range(1, n):
        every = total[..., :, None] + change[i - 1]
        came[i] = every.argmin(-2)
        total = every.min(-2) + unary[i]
    out = np.empty(unary.shape[:-1], np.int64)
    out[-1] = total.argmin(-1)
    for i in range(n - 1, 0, -1):
        out[i - 1] = np.take_along_axis(came[i], out[i][..., None], -1)[..., 0]
    return out


def permutations_in_time(px: Array, kp: Array, sigma: Array, stamp: Array, turning: Array) -> tuple[Index, Index]:
    """Which of `PERMUTATIONS` puts each view's names right (N, V), and which the sides of the prediction (N,).

    Args:
        px: (N, V, 17, 2) predicted px.  kp: (N, V, 17, 2) px, sigma (N, V, 17) px: as the network gave them.
        stamp: (N,) s.
        turning: (N-1, 4) what a body pays that is turned by each of the permutations between two instants (motion).
    """
    cost = _costs(px, kp, sigma)                                           # N,V,s
    n, V, f = np.arange(len(cost)), np.arange(cost.shape[1]), np.arange(4)
    change = _change_costs(np.diff(stamp))
    # exchanges of each view if the prediction is turned by f; then by what it is turned when
    unary = cost[:, :, _TOGETHER].swapaxes(-1, -2)                         # N,V,f,s
    unary[0] += -np.log([1 - _SHARE, _SHARE / 3, _SHARE / 3, _SHARE / 3])
    s = _cheapest(unary, change[:, None, None])                            # N,V,f
    of = np.take_along_axis(unary, s[..., None], -1)[..., 0].sum(1)        # N,f
    step = change[n[:-1, None, None, None], s[:-1, :, :, None], s[1:, :, None, :]].sum(1)       # N-1,f,f
    turned = _cheapest(of, step + turning[:, f[:, None] ^ f])
    return s[n[:, None], V, turned[:, None]], turned
