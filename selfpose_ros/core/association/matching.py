# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Assignment one to one; and with a rig, detections of several cameras to new people."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..assignment import least_cost_pairs
from ..errors import ObservationError
from ..observation import View2D
from ..quick import masked_median, padded
from .distance import MIN_JOINTS, person_size, pose_distance

__all__ = ['assign', 'assign_each', 'group_views']

Array = NDArray[np.float64]

_NEAR_PARALLEL = np.sin(np.deg2rad(4.))                   # below, where two rays meet says nothing
_SIZE_COST = .15                                          # per unit of the log ratio of a body's size in two views
_RAY_CAP = .5                                             # body sizes; see `distance`
_REFINE_GATE = .15                                        # body sizes
_STRAY_M = .1                                             # rays that miss a joint by this much lose their weight
#: of more detections than this, those of some cameras are compared with each other, and the bodies that they make with
#: those of all others: comparisons grow with the square of the detections, joining them with the cube
_MOST_COMPARED = 64


def assign(cost: Array, gate: float | Array) -> NDArray[np.int64]:
    """Best one-to-one assignment of rows (N) to columns (P): column of each row, -1 = none below the gate.

    The gate is a positive number or (N, P), costs may be inf. What a pair gains falls from 1 at no cost to 0 at
    the gate: a poor pair is not worth spoiling a good one.
    """
    return assign_each(cost[None], gate)[0]


def assign_each(cost: Array, gate: float | Array) -> NDArray[np.int64]:
    """`assign` of K problems at once: costs (K, N, P), the columns (K, N) of each."""
    K, N, P = cost.shape
    if not cost.size:
        return np.full((K, N), -1, np.int64)
    loss = np.where(cost < gate, cost / gate - 1., 0.)
    best = loss.argmin(-1)
    out = np.where(loss.min(-1) < 0, best, -1)
    wanted = (out[..., None] == np.arange(P)).sum(1)
    for k in np.flatnonzero((wanted > 1).any(-1)):           # elsewhere everybody gets his best, as nearly always
        rows, columns = least_cost_pairs(loss[k])
        good = loss[k, rows, columns] < 0
        out[k] = -1
        out[k, rows[good]] = columns[good]
    return out


def group_views(
    views: Sequence[View2D], projections: ArrayLike, free: Sequence[ArrayLike], gate: float = .12,
    height_m: tuple[float, float] = (.5, 2.6),
) -> list[dict[int, int]]:
    """Detections of several cameras that are the same person, for people that nobody follows yet.

    Two detections fit when the rays of their joints pass close to each other in front of both cameras, and when
    the body has the same size in both. Detections are joined best first by the mean over all their pairs (average
    linkage), so one agreement by chance does not join two people. Of more than 64 detections, those of cameras that
    are far from each other are compared like that, and the other cameras' join the bodies that three or more make;
    whom only these others see is found when fewer are free.

    Args:
        views: V views; pixels of ideal pinhole cameras (undistorted).
        projections: (V, 3, 4) metric projection matrices, as `Cameras.projection`.
        free: per view, indices of the detections that may be used.
        gate: no match from this mean distance of the rays on, in body sizes, with the price of unequal sizes.
        height_m: bodies of another size (about the standing height) are no people.

    Returns:
        One {view index: detection index} per new person, of two views or more, best supported first.

    Raises:
        ObservationError: unequal numbers of views, projections and index lists.
    """
    P = np.asarray(projections, float)
    if P.shape != (len(views), 3, 4) or len(free) != len(views):
        raise ObservationError(f'group_views: {len(views)} views, projections {P.shape} and {len(free)} lists of free '
                               'detections do not belong together', 'give one of each per view')
    index = [(v, int(d)) for v, ds in enumerate(free) for d in np.asarray(ds, np.int64).ravel()]
    if len({v for v, _ in index}) < 2:
        return []
    P = P / np.linalg.norm(P[:, 2, :3], axis=-1)[:, None, None]                  # depth in metres
    kp = np.stack([views[v].keypoints[d] for v, d in index])
    conf = np.stack([views[v].confidence[d] for v, d in index])
    view = np.array([v for v, _ in index])
    some = _compared(view, P)
    clusters = _link(_pair_costs(kp[some], conf[some], P, view[some], gate, height_m), view[some].tolist(), gate)
    clusters = _refine(clusters, kp[some], conf[some], P, view[some])
    if len(some) < len(index):
        clusters = _extend([some[c].tolist() for c in clusters], kp, conf, P, view, set(view[some].tolist()))
    groups = [{index[i][0]: index[i][1] for i in sorted(c)} for c in clusters]
    return sorted(groups, key=lambda g: (-len(g), sorted(g.items())))


def _compared(view: NDArray[np.int64], P: Array) -> NDArray[np.int64]:
    """Detections that are compared with each other, of those in these views: all, or those of cameras all around."""
    if len(view) <= _MOST_COMPARED:
        return np.arange(len(view))
    number = np.bincount(view, minlength=len(P))
    centres = -np.linalg.solve(P[:, :, :3], P[:, :, 3:])[..., 0]
    chosen = [int(number.argmax())]
    far = np.where(number > 0, np.linalg.norm(centres - centres[chosen[0]], axis=1), -1.)
    while True:
        far[chosen[-1]] = -1.
        following = int(far.argmax())
        total = number[chosen].sum() + number[following]
        if far[following] < 0 or (len(chosen) > 2 and total > _MOST_COMPARED):
            return np.flatnonzero(np.isin(view, chosen))
        chosen.append(following)
        far = np.minimum(far, np.linalg.norm(centres - centres[following], axis=1))


def _pair_costs(kp: Array, conf: Array, P: Array, view: NDArray[np.int64], gate: float,
                height_m: tuple[float, float]) -> Array:
    """(D, D) cost of two detections being one person; inf = impossible, NaN = their cameras cannot tell."""
    M = P[:, :, :3]
    centres = -np.linalg.solve(M, P[:, :, 3:])[..., 0]
    pixel = np.concatenate([np.nan_to_num(kp), np.ones(kp.shape[:2] + (1,))], -1)
    ray = pixel @ np.linalg.inv(M).swapaxes(1, 2)[view]
    ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    focal = np.sqrt(np.abs(np.linalg.det(M)))[view]                              # M = K R
    size = person_size(kp, conf) / focal                                         # body size per distance
    a, b = np.nonzero(view[:, None] < view[None])
    ra, rb = ray[a], ray[b]
    base = (centres[view[b]] - centres[view[a]])[:, None]
    dot, pa, pb = (ra * rb).sum(-1), (base * ra).sum(-1), (base * rb).sum(-1)
    sin2 = np.maximum(1 - dot * dot, 1e-12)
    ta, tb = (pa - dot * pb) / sin2, (dot * pa - pb) / sin2                     # along the rays to the meeting
    gap = np.abs((base * np.cross(ra, rb)).sum(-1)) / np.sqrt(sin2)
    w = np.sqrt(conf[a] * conf[b])
    use = (w > 0) & (sin2 > _NEAR_PARALLEL ** 2)
    w = np.where(use, w, 0.)
    shared, total = use.sum(-1), np.maximum(w.sum(-1), 1e-9)
    far_a, far_b = masked_median(ta, use), masked_median(tb, use)
    with np.errstate(invalid='ignore', divide='ignore'):
        body_a, body_b = size[a] * far_a, size[b] * far_b
        body = np.sqrt(body_a * body_b)
        miss = (w * np.minimum(gap / body[:, None], _RAY_CAP)).sum(-1) / total
        value = miss + _SIZE_COST * np.abs(np.log(body_a / body_b))
        people = (far_a > 0) & (far_b > 0) & (body > height_m[0]) & (body < height_m[1])
    value = np.where(people & np.isfinite(value), value, np.inf)
    seen = ((conf[a] > 0) & (conf[b] > 0)).sum(-1)
    value = np.where(shared >= MIN_JOINTS, value, np.where(seen >= MIN_JOINTS, np.nan, np.inf))
    cost = np.full((len(kp), len(kp)), np.inf)
    cost[a, b] = cost[b, a] = np.where(value > 4 * gate, np.inf, value)
    return cost


def _link(cost: Array, view: list[int], gate: float) -> list[list[int]]:
    """Average linkage with at most one member per view; pairs that cannot tell are left out of the averages."""
    n = len(view)
    comparable = np.isfinite(cost)
    total, count = np.where(comparable, cost, 0.), comparable.astype(float)
    total[np.isinf(cost)], count[np.isinf(cost)] = 4 * gate, 1.                  # speaks against, but not for ever
    members = [[i] for i in range(n)]
    taken = np.array([[v == w for w in range(max(view) + 1)] for v in view])
    blocked = (taken[:, None] & taken[None]).any(-1)
    alive = np.ones(n, bool)
    while True:
        with np.errstate(invalid='ignore', divide='ignore'):
            mean = np.where(blocked | (count == 0) | ~alive[:, None] | ~alive[None], np.inf, total / count)
        i, j = np.unravel_index(np.argmin(mean), mean.shape)
        if not mean[i, j] < gate:
            return [m for k, m in enumerate(members) if alive[k] and len(m) > 1]
        members[i] += members[j]
        alive[j] = False
        taken[i] |= taken[j]
        total[i] += total[j]
        count[i] += count[j]
        total[:, i], count[:, i] = total[i], count[i]
        blocked[i] = blocked[:, i] = (taken & taken[i]).any(-1)


def _refine(
    clusters: list[list[int]], kp: Array, conf: Array, P: Array, view: NDArray[np.int64],
) -> list[list[int]]:
    """Members again, by the bodies that well supported clusters make: a stray goes where it belongs."""
    views = np.unique(view)
    for _ in range(2):
        solid = [c for c in clusters if 2 * len(c) >= len(views)]
        if max((len(c) for c in solid), default=0) < 3:
            break                                         # bodies of two views fit whatever they are made of
        rest = [c for c in clusters if 2 * len(c) < len(views)]
        body = _bodies(solid, kp, conf, P, view)
        again: list[list[int]] = [[] for _ in solid]
        _join(again, body, views, kp, conf, P, view)
        if all(set(x) == set(y) for x, y in zip(again, solid, strict=True)):
            break
        taken = {i for c in again for i in c}
        again += [[i for i in c if i not in taken] for c in rest]
        clusters = [c for c in again if len(c) > 1]
    return clusters


def _extend(clusters: list[list[int]], kp: Array, conf: Array, P: Array, view: NDArray[np.int64],
            compared: set[int]) -> list[list[int]]:
    """Members from the views that were not compared, for clusters whose bodies three views make or more."""
    solid = [list(c) for c in clusters if len(c) > 2]
    if solid:
        others = np.array([v for v in np.unique(view) if v not in compared])
        _join(solid, _bodies(solid, kp, conf, P, view), others, kp, conf, P, view)
    return solid + [c for c in clusters if len(c) <= 2]


def _join(clusters: list[list[int]], body: Array, views: NDArray[np.int64], kp: Array, conf: Array, P: Array,
          view: NDArray[np.int64]) -> None:
    """Add to each cluster the detection of each of the views that its body (17, 3) m accounts for."""
    here = [np.flatnonzero(view == v) for v in views]
    seen = np.concatenate([body, np.ones(body.shape[:2] + (1,))], -1) @ P[views, None].swapaxes(-1, -2)
    px = seen[..., :2] / np.where(seen[..., 2:] > 0, seen[..., 2:], np.nan)
    size = person_size(px, np.isfinite(px).all(-1).astype(float))
    far, _ = pose_distance(px, size, padded([kp[h] for h in here]), padded([conf[h] for h in here]))
    for h, chosen in zip(here, assign_each(far, _REFINE_GATE), strict=True):
        for k in np.flatnonzero(chosen >= 0):
            clusters[k].append(int(h[chosen[k]]))


def _bodies(clusters: list[list[int]], kp: Array, conf: Array, P: Array, view: NDArray[np.int64]) -> Array:
    """Joints (N, 17, 3) m nearest to the rays of each cluster's members, robustly; NaN with one ray or none."""
    n, most = len(clusters), max(len(c) for c in clusters)
    at = np.array([c + [c[0]] * (most - len(c)) for c in clusters])
    real = np.array([[k < len(c) for k in range(most)] for c in clusters])
    M = P[view[at]][..., :3]
    centre = -np.linalg.solve(M, P[view[at]][..., 3:])
    pixel = np.concatenate([np.nan_to_num(kp[at]), np.ones((n, most, 17, 1))], -1)
    ray = pixel @ np.linalg.inv(M).swapaxes(-1, -2)
    ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    across = np.eye(3) - ray[..., :, None] * ray[..., None, :]                   # (N, V, 17, 3, 3)
    offset = across @ centre[:, :, None]
    trust = np.where(real[..., None], conf[at], 0.)
    w, x = trust, np.zeros((n, 17, 3, 1))
    for _ in range(4):
        A = (w[..., None, None] * across).sum(1) + 1e-9 * np.eye(3)
        x = np.linalg.solve(A, (w[..., None, None] * offset).sum(1))
        miss = np.linalg.norm(across @ x[:, None] - offset, axis=(-2, -1))
        w = trust / (1 + (miss / _STRAY_M) ** 2) ** 2
    return np.where(((trust > 0).sum(1) > 1)[..., None], x[..., 0], np.nan)
