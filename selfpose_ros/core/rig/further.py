# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A camera placed against the bodies that the others of a rig see: a further one, or one that is wrong.

A camera that saw nobody, or somebody else, while the others found each other is not in their rig, and a rig that
explains what its cameras see gives no reason to look for another. The bodies that it makes are poses like any other: as
two cameras are turned towards each other by lifted poses of people (`alike`), a further camera is towards the rig.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .. import rotation
from ..cameras import Cameras
from ..lifting import place
from ..noise import NoiseModel
from ..robust_fit import robust_fit
from .alike import Alike, alike
from .assigned import Assignment, bodies_of
from .observed import evenly, focal_prior
from .sightings import Sightings

__all__ = ['further_camera']

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: instants at which a body and a tracklet are seen together, to propose a rotation; proposals that are tried
_FEWEST, _PROPOSALS = 4, 3
#: poses that a camera is placed by at most
_POSES = 80


def further_camera(d: Sightings, c: int, names: tuple[str, ...], cameras: Cameras, noise: NoiseModel,
                   found: Assignment) -> Cameras | None:
    """One camera (in the frame of the others) that sees their bodies best.

    Args:
        d: detections with lifted poses.  c: index of the camera.  names: of the others, found: who is who in them.

    Returns:
        None where nobody of theirs passes for somebody that it sees.
    """
    part = d.views(np.array([d.cameras.index(n) for n in names]))
    X = bodies_of(part, cameras, noise, found)
    both = _facing(d, c, X, found)
    if both is None:
        return None
    log_focal, spread, centre = focal_prior(d.intrinsics[c], d.image_size[c])
    best: tuple[float, Cameras] | None = None
    for _, R in both.proposals(_FEWEST)[:_PROPOSALS]:
        body, kp, conf = _matched(d, c, X, found, both, R)
        start = Cameras(R[None], np.zeros((1, 3)), np.exp([log_focal]), centre[None])
        placed = _placed(start, body, kp, noise.sigma(conf), spread)
        if placed is not None and (best is None or placed[0] < best[0]):
            best = placed
    return None if best is None else best[1]


def _facing(d: Sightings, c: int, X: Array, found: Assignment) -> Alike | None:
    """The rig, as a camera whose tracklets are people and whose lifted poses are their bodies, against the camera."""
    T, D = d.tracklet.shape[0], max(d.tracklet.shape[2], int(np.bincount(found.instant, minlength=1).max(initial=1)))
    seen = np.isfinite(X).all((1, 2))
    pose = X - X[:, :1]
    size = np.sqrt((pose ** 2).sum(-1).mean(-1))
    lifted, sigma, person = np.full((T, 2, D, 17, 3), np.nan), np.full((T, 2, D, 17), np.nan), np.full((T, 2, D), -1)
    place_of = np.zeros(T, np.int64)
    for n in np.flatnonzero(seen & (size > .05)):
        t, k = found.instant[n], place_of[found.instant[n]]
        if (person[t, 0, :k] == found.person[n]).any():
            continue
        lifted[t, 0, k], sigma[t, 0, k], person[t, 0, k] = pose[n] / size[n], .1, found.person[n]
        place_of[t] += 1
    own = d.tracklet.shape[2]
    lifted[:, 1, :own], sigma[:, 1, :own], person[:, 1, :own] = d.lifted[:, c], d.lifted_sigma[:, c], d.tracklet[:, c]
    pair = replace(d, cameras=('rig', d.cameras[c]), lifted=lifted, lifted_sigma=sigma, tracklet=person,
                   image_size=d.image_size[[c, c]], intrinsics=(None, None))
    return alike(pair).get((0, 1))


def _matched(d: Sightings, c: int, X: Array, found: Assignment, both: Alike, R: Array) -> tuple[Array, Array, Array]:
    """Bodies (M, 17, 3) m and what the camera sees of them under R: (M, 17, 2) px, confidence (M, 17)."""
    body, kp, conf = [], [], []
    for m in both.matches(R):
        t, k = np.nonzero(d.tracklet[:, c] == m.b)
        for n in np.flatnonzero(found.person == m.a):
            at = np.flatnonzero(t == found.instant[n])
            if len(at) and np.isfinite(X[n]).all():
                body.append(X[n])
                kp.append(d.kp[t[at[0]], c, k[at[0]]])
                conf.append(d.confidence[t[at[0]], c, k[at[0]]])
    if not body:
        return np.zeros((0, 17, 3)), np.zeros((0, 17, 2)), np.zeros((0, 17))
    some = evenly(np.arange(len(body)), _POSES)
    return np.stack(body)[some], np.stack(kp)[some], np.stack(conf)[some]


def _placed(start: Cameras, X: Array, kp: Array, sigma: Array, log_focal_sigma: float) -> tuple[float, Cameras] | None:
    """The camera that shows joints X (M, 17, 3) at kp (M, 17, 2) px, from its rotation alone, and its cost a joint."""
    seen = np.isfinite(kp).all(-1) & np.isfinite(sigma)
    if seen.sum() < 17:
        return None
    rays = start.rays(np.nan_to_num(kp)[:, None])[:, 0]
    each, _ = place(X @ start.R[0].T, rays, np.where(seen, 1 / np.where(seen, sigma, 1.) ** 2, 0.))
    each = each[np.isfinite(each).all(-1)]
    if len(each) < _FEWEST:
        return None
    R, t, middle = start.R[0], np.median(each, axis=0), X.mean((0, 1))
    joints, px, s = X[seen], kp[seen], sigma[seen]
    free = log_focal_sigma > 0

    def camera(q: Array) -> Cameras:
        # turned about the people, not about the far origin: rotation and translation are then nearly independent
        turned = rotation.exp(q[:3]) @ R
        return replace(start, R=turned[None], t=(R @ middle + t + q[3:6] - turned @ middle)[None],
                       focal=start.focal * np.exp(q[6]) if free else start.focal)

    def residual(q: Array) -> Array:
        off = ((camera(q).project(joints)[0] - px) / s[:, None]).ravel()
        # joints of one pose, and poses of one moment, are off together: the prior counts as much as a few of them
        return np.r_[off, np.sqrt(len(off) / 34.) * q[6] / log_focal_sigma] if free else off

    scale = np.array([.05] * 3 + [.1] * 3 + [.1] * free)
    q, cost = robust_fit(residual, np.zeros(6 + free), scale, 'soft_l1', 3.)
    return cost / len(joints), camera(q)
