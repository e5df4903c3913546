# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who is who once the cameras are known, or supposed to be: all detections of all people, and how many that explains.

A rig is right when what it makes of the views is bodies: the share of all detections that two views or more explain
tells right rigs from wrong ones, whoever of the people they were found with.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..cameras import Cameras
from ..fusion.triangulation import triangulate
from ..noise import NoiseModel
from .sightings import Sightings

__all__ = ['Assignment', 'assign_all', 'bodies_of']

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: rays of joints that pass each other at this distance, body sizes, speak neither for nor against one person
_GATE = .10
#: a joint whose rays are further apart counts as this, body sizes; price of unequal sizes, per unit of the log ratio
_CAP, _SIZE_COST = .4, .15
#: rays nearer to parallel than this do not tell where they meet, sine
_PARALLEL = .05
#: size of a body (3.4 times the spread of its joints), m, in the adjustment's scale
_BODY_M = (.6, 2.8)
#: a detection is explained when its median joint lies this near to where the body is seen, body sizes
_EXPLAINED = .03
#: a view that is further off than this shows somebody else: it leaves the pose, body sizes
_STRAY = .09
#: instants for which two tracklets speak against each other before they are cut; how often all are looked at
_AGAINST, _CUTS = 3., 2
#: cameras that should see fewer poses together than this are not asked whether they do
_FEW_JOINED = 8


@dataclass(frozen=True)
class Assignment:
    """Attributes:
    instant: (N,), chosen (N, V), person (N,): poses seen in two views or more, see `Sightings.tracks`.
    misfit: (N, V) median distance of the joints from where the body is seen, body sizes; NaN = not in the pose.
    share: 0..1 of all detections that show half of a body, those that are explained; what never moves and one view
        alone shows is a picture, and does not count.
    seen: number of detections that count for the share.
    found: 0..1 of all views in which a body of a pose should be seen, as the cameras have it, those that show it.
    joined: 0..1 of the poses that should be seen on both sides, however one or two cameras are parted from the others,
        those that are. A rig of two halves that never see one body together explains much, and is no rig.
    """

    instant: Index
    chosen: Index
    person: Index
    misfit: Array
    share: float
    seen: int
    found: float = 0.
    joined: float = 0.

    @property
    def support(self) -> float:
        """0..1: what speaks for the cameras, see `share` and `found`."""
        return self.share * self.found

    def many(self, most: int) -> Assignment:
        """The poses of the `most` people who are seen most, numbered from 0 in that order."""
        count = np.bincount(self.person, minlength=1)
        order = np.argsort(-count, kind='stable')[:most]
        number = np.full(len(count), -1)
        number[order] = np.arange(len(order))
        keep = np.nonzero(number[self.person] >= 0)[0]
        keep = keep[np.lexsort((self.instant[keep], number[self.person[keep]]))]
        return replace(self, instant=self.instant[keep], chosen=self.chosen[keep], person=number[self.person[keep]],
                       misfit=self.misfit[keep])


def assign_all(d: Sightings, cameras: Cameras, noise: NoiseModel, explained: float = _EXPLAINED) -> Assignment:
    """All detections to people, tracklet by tracklet, with these cameras (in the order of the detections').

    Args:
        explained: body sizes below which a detection is.

    Tracklets whose rays pass near each other over the time that both are seen are joined by average linkage: what
    speaks against is weighed with what speaks for, and nobody is two detections of one image.
    """
    T, V, D = d.tracklet.shape
    first = np.r_[0, np.cumsum(d.tracklet.max((0, 2), initial=-1) + 1)]
    of = np.where(d.present, first[:V, None] + d.tracklet, -1)
    pairs = _pairs(d, cameras)
    for left in range(_CUTS, -1, -1):
        label = _clusters(of, pairs)                          # (K,) cluster of every tracklet of every camera
        cut = _cut(of, pairs, label) if left else of
        if cut is of:
            break
        of = cut
    cluster = np.where(d.present, label[of], -1)
    instant, chosen, person = [], [], []
    for q in np.unique(cluster[cluster >= 0]):
        t, v, i = np.nonzero(cluster == q)
        row = np.full((T, V), -1)
        row[t, v] = i
        rows = np.nonzero((row >= 0).sum(1) > 1)[0]
        instant.append(rows)
        chosen.append(row[rows])
        person.append(np.full(len(rows), q))
    if not instant or not sum(map(len, instant)):
        none = np.zeros(0, np.int64)
        return Assignment(none, np.zeros((0, V), np.int64), none, np.zeros((0, V)), 0., 0)
    n, k, who = np.concatenate(instant), np.concatenate(chosen), np.concatenate(person)
    misfit, _ = _misfit(d, cameras, noise, n, k)
    # a view that shows somebody else leaves the pose, and the rest is looked at once more
    worst = np.nanargmax(np.where(np.isfinite(misfit), misfit, -1), axis=1)
    bad = np.nonzero(misfit[np.arange(len(n)), worst] > _STRAY)[0]
    if len(bad):
        k[bad, worst[bad]] = -1
        keep = (k >= 0).sum(1) > 1
        n, k, who = n[keep], k[keep], who[keep]
    misfit, X = _misfit(d, cameras, noise, n, k)
    fits = np.nan_to_num(misfit, nan=np.inf) < explained
    counts = d.present & ((d.confidence > 0).sum(-1) >= 8)
    good = (fits.sum(1) > 1)[:, None] & fits
    row, v = np.nonzero(good)
    told = np.zeros((T, V, D), bool)
    told[n[row], v, k[row, v]] = True
    counts &= told | ~d.pictures
    total = int(counts.sum())
    expected = _inside(d, cameras, X) & d.present.any(-1)[n]
    expected[row, v] = True
    some = good.any(1)
    return Assignment(n, k, who, misfit, float((told & counts).sum() / max(total, 1)), total,
                      float(good.sum() / max(expected[some].sum(), 1)), _joined_share(good[some], expected[some]))


def _joined_share(good: NDArray[np.bool_], expected: NDArray[np.bool_]) -> float:
    """See `Assignment.joined`; good, expected (N, V): a camera shows a pose, and should."""
    N, V = good.shape
    if not N:
        return 0.
    parts = [p for size in (1, 2) for p in combinations(range(V), size) if size < V]
    side = np.array([[v in p for v in range(V)] for p in parts], float)                           # (C, V)

    def on_both(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.asarray((seen @ side.T > 0) & (seen @ (1 - side).T > 0))

    should = on_both(expected)
    count = should.sum(0)
    share = (on_both(good) & should).sum(0) / np.maximum(count, 1)
    return float(share[count >= _FEW_JOINED].min(initial=1.))


def bodies_of(d: Sightings, cameras: Cameras, noise: NoiseModel, found: Assignment) -> Array:
    """(N, 17, 3) the bodies of an assignment's poses; NaN = seen in fewer than two views."""
    return _misfit(d, cameras, noise, found.instant, found.chosen)[1]


def _inside(d: Sightings, cameras: Cameras, X: Array) -> NDArray[np.bool_]:
    """(N, V) whether bodies X (N, 17, 3) stand whole within the image of a camera."""
    known, X = np.isfinite(X).all(-1)[:, None], np.nan_to_num(X)
    px, margin = cameras.project(X), .02 * d.image_size
    inside = ((px > margin[:, None]) & (px < (d.image_size - margin)[:, None])).all(-1) & (cameras.depth(X) > 0)
    return np.asarray((inside | ~known).all(-1) & (known.sum(-1) >= 8))


def _misfit(d: Sightings, cameras: Cameras, noise: NoiseModel, n: Index, k: Index) -> tuple[Array, Array]:
    """(N, V) median distance of the seen joints of each view from the body's, body sizes, NaN where there is none; and
    the bodies (N, 17, 3).
    """
    v = np.arange(k.shape[1])[None]
    none = k < 0
    kp = np.where(none[..., None, None], 0., np.nan_to_num(d.kp[n[:, None], v, k]))
    conf = np.where(none[..., None], 0., d.confidence[n[:, None], v, k])
    size = d.size[n[:, None], v, k]
    sigma = np.where(conf > 0, noise.sigma(np.where(conf > 0, conf, 1.)), np.inf)
    X = triangulate(cameras.rays(kp), cameras.ray_weight(sigma), cameras.R, cameras.t, rounds=4, scale=5.)
    off = np.linalg.norm(cameras.project(np.nan_to_num(X)) - kp, axis=-1)
    use = (conf > 0) & np.isfinite(X).all(-1)[:, None]
    behind = (cameras.depth(np.nan_to_num(X)) <= 0) & use
    off = np.where(use, np.where(behind, np.inf, off), np.nan)
    some = use.any(-1)
    out = np.full(k.shape, np.nan)
    out[some] = np.nanmedian(off[some], axis=-1) / size[some]
    return out, X


@dataclass(frozen=True)
class _Pairs:
    """Every two detections of two views at one instant: t, view and place in it of either, and what `_apart` gives."""

    t: Index
    va: Index
    ia: Index
    vb: Index
    ib: Index
    value: Array


def _pairs(d: Sightings, cameras: Cameras) -> _Pairs:
    V = len(d.cameras)
    n = cameras.rays(np.nan_to_num(d.kp).swapaxes(1, 2)).swapaxes(1, 2)
    ray = np.concatenate([n, np.ones((*n.shape[:-1], 1))], -1)
    ray = np.einsum('vba,tvdjb->tvdja', cameras.R, ray / np.linalg.norm(ray, axis=-1, keepdims=True))
    centres, slope = cameras.centres, d.size / cameras.focal[:, None]
    present, found = d.present, []
    for a, b in combinations(range(V), 2):
        t, i, j = np.nonzero(present[:, a, :, None] & present[:, b, None, :])
        value = _apart(ray[t, a, i], ray[t, b, j], d.confidence[t, a, i], d.confidence[t, b, j],
                       slope[t, a, i], slope[t, b, j], centres[b] - centres[a])
        found.append((t, np.full(len(t), a), i, np.full(len(t), b), j, value))
    return _Pairs(*(np.concatenate(x) for x in zip(*found, strict=True)))


def _clusters(of: Index, p: _Pairs) -> Index:
    """(K,) cluster of each tracklet; of: (T, V, D) number of the tracklet of a detection among all, -1 = none."""
    K = int(of.max(initial=-1)) + 1
    link, clash = np.zeros((K, K)), np.zeros((K, K), bool)
    a, b = of[p.t, p.va, p.ia], of[p.t, p.vb, p.ib]
    np.add.at(link, (a, b), p.value)
    np.add.at(link, (b, a), p.value)
    t, v, i, j = np.nonzero((of[:, :, :, None] >= 0) & (of[:, :, None, :] >= 0))
    clash[of[t, v, i], of[t, v, j]] = True
    np.fill_diagonal(clash, False)
    return _joined(link, clash)


def _cut(of: Index, p: _Pairs, label: Index) -> Index:
    """The tracklets cut where one becomes somebody else: two of one cluster speak against each other for as long as
    `_AGAINST`, and one of them agrees then with another one of the other's view (if there is none, it is the
    cameras that may be wrong). A tracklet goes over from one person to another where they pass each other, in two
    views at once when both look from the same side. Returns `of` itself when nothing is cut.
    """
    T, K = len(of), len(label)
    a, b = of[p.t, p.va, p.ia], of[p.t, p.vb, p.ib]
    one = np.nonzero((label[a] == label[b]) & (p.value != 0))[0]
    cuts = np.zeros((K, T + 1), bool)
    pair, member = np.unique(a[one] * K + b[one], return_inverse=True)
    for k, of_pair in enumerate(np.split(one[np.argsort(member, kind='stable')], np.cumsum(np.bincount(member))[:-1])):
        t, value = p.t[of_pair], np.clip(p.value[of_pair], -1, 1)
        begin, end, against = _least(value)
        if against < -_AGAINST:
            i, j = divmod(int(pair[k]), K)
            first, last = t[begin], t[end - 1]
            then = (p.t >= first) & (p.t <= last) & (p.va == p.va[of_pair[0]]) & (p.vb == p.vb[of_pair[0]])
            better = [np.bincount(other[now], np.clip(p.value[now], -1, 1), 1).max()
                      for other, now in ((b, then & (a == i)), (a, then & (b == j)))]
            if max(better) > _AGAINST / 3:
                cuts[[i, j], first] = cuts[[i, j], last + 1] = True
    part = np.cumsum(cuts, 1)
    if not part.any():
        return of
    at = np.nonzero(of >= 0)
    cut, old = np.full_like(of, -1), of[at]
    cut[at] = np.unique(old * (T + 2) + part[old, at[0]], return_inverse=True)[1]
    return cut


def _least(x: Array) -> tuple[int, int, float]:
    """begin, end and sum of the stretch of x whose sum is the least."""
    total = np.r_[0, np.cumsum(x)]
    before = np.maximum.accumulate(total)
    end = int(np.argmin(total - before))
    begin = int(np.argmax(total[:end + 1]))
    return begin, end, float(total[end] - total[begin])


def _apart(ra: Array, rb: Array, ca: Array, cb: Array, slope_a: Array, slope_b: Array, base: Array) -> Array:
    """(M,) 1 = two detections are one body as far as their rays tell, 0 = cannot be told, negative = they are not.

    Args:
        ra, rb: (M, 17, 3) unit rays in the frame of the rig.  ca, cb: (M, 17) confidences.
        slope_a, slope_b: (M,) size of the body over its distance.  base: (3,) from the first camera to the second.
    """
    dot, pa, pb = (ra * rb).sum(-1), ra @ base, rb @ base
    sin2 = np.maximum(1 - dot * dot, 1e-9)
    use = (ca > 0) & (cb > 0) & (sin2 > _PARALLEL ** 2)
    w = np.where(use, np.sqrt(ca * cb), 0.)
    far_a, far_b = (pa - dot * pb) / sin2, (dot * pa - pb) / sin2
    gap = np.abs((np.cross(ra, rb) * base).sum(-1)) / np.sqrt(sin2)
    total = np.maximum(w.sum(-1), 1e-9)
    with np.errstate(invalid='ignore', divide='ignore'):
        body_a = slope_a * (w * far_a).sum(-1) / total
        body_b = slope_b * (w * far_b).sum(-1) / total
        body = np.sqrt(body_a * body_b)
        miss = (w * np.minimum(gap / body[:, None], _CAP)).sum(-1) / total
        miss = miss + _SIZE_COST * np.abs(np.log(body_a / body_b))
        person = (body_a > 0) & (body_b > 0) & (body > _BODY_M[0]) & (body < _BODY_M[1])
    miss = np.where(person & np.isfinite(miss), np.minimum(miss, _CAP), _CAP)
    return np.where(use.sum(-1) >= 4, 1 - miss / _GATE, 0.)


def _joined(link: Array, clash: NDArray[np.bool_]) -> Index:
    """(K,) cluster of each of K tracklets: average linkage, best first, without clashes."""
    K = len(link)
    label = np.arange(K)
    link, clash = link.copy(), clash.copy()
    np.fill_diagonal(link, -np.inf)
    link[clash] = -np.inf
    while K > 1:
        i, j = np.unravel_index(int(np.argmax(link)), link.shape)
        if not link[i, j] > 0:
            break
        label[label == j] = i
        link[i] += link[j]
        link[:, i] = link[i]
        clash[i] |= clash[j]
        clash[:, i] = clash[i]
        link[clash[i], i] = link[i, clash[i]] = -np.inf
        link[i, i] = -np.inf
        link[j] = link[:, j] = -np.inf
    return label
