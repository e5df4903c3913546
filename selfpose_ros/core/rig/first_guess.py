# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras that fit roughly, from nothing: several first guesses, adjusted coarsely, and the best of them.

Weak-perspective factorisation and its mirror, essential matrices, lifted poses, the rig known so far; the best by
robust cost among those in which the body faces the right way.
"""
from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .. import rotation
from ..cameras import Cameras
from ..fusion.lifted import align_views, depth_agreement
from ..noise import NoiseModel
from .bundle import BundleResult, adjust
from .bundle_problem import BundleProblem, BundleState
from .initial import factorise, from_lifted, from_pairs
from .lens import unknown_lenses
from .observed import NOWHERE_TWICE, Tracks, evenly, points, problem_of, usable_rows
from .solver_config import SolverConfig
from .start import Start
from .value import NotSolved
from .world import body_forward_score

__all__ = ['FirstGuess', 'bones_for', 'first_guess']

Array = NDArray[np.float64]

#: first guesses whose cost differs by less than this share explain the images equally well
_TIE = .004
#: agreement with lifted poses, or with their mirror images, that decides
_CLEAR = .4
#: homographies that are off by less than this many sigmas explain a pair of views
_FLAT = 1.6
#: cameras that see the body from directions that differ by more than this, and twice the error, are apart, degrees
_OTHER_SIDE_DEG = 20.
#: factor on the predicted errors of a rig whose pairs of views a homography explains nearly as well
_FLAT_DOUBT = 2.5


@dataclass(frozen=True)
class FirstGuess:
    """Cameras that fit, roughly: where the fine adjustment begins.

    Attributes:
        cameras, bones: see `BundleState`.  noise: of the 2D network, as it was taken to be.
        rival_deg: how far the rotations of another guess that fits as well are from it, degrees.
        doubt: factor on the predicted errors.
    """

    cameras: Cameras
    bones: Array
    noise: NoiseModel
    rival_deg: float = 0.
    doubt: float = 1.


def first_guess(tracks: Tracks, config: SolverConfig | None = None, *, start: Start | None = None,
                noise: NoiseModel | None = None) -> FirstGuess | NotSolved:
    """The best of several first guesses, each adjusted coarsely; arguments as those of `solve`."""
    config = config or SolverConfig()
    V = len(tracks.cameras)
    if V < 2:
        return NotSolved('one camera has no rig: a second one must see the person, too', {'cameras': V})
    rows = usable_rows(tracks)
    if len(rows) < 1:
        return NOWHERE_TWICE
    noise = noise or tracks.prior
    first = tracks.rows(evenly(rows, config.first_frames))
    n = len(first.stamp)
    p = problem_of(first, noise)
    seen_views = np.isfinite(p.sigma).any(-1).sum(0)
    if seen_views.min() < max(1, min(4, n)):
        v = int(seen_views.argmin())
        return NotSolved(f'camera {tracks.cameras[v]} has seen the person in {seen_views[v]} of {n} instants: '
                         'walk where all cameras overlap', {'frames': float(seen_views[v])}, one_camera=True)
    flat = _same_place(p)
    if flat and (_still(p) or not _apart(first, p)):
        return NotSolved(flat, {'frames': float(n)})
    found = _coarse(p, start, first)
    if found is None:
        return NotSolved('no first guess fits the images: more movement, and more of the body, in all cameras',
                         {'frames': n}, one_camera=True)
    return FirstGuess(found[0].state.cameras, found[0].state.bones, noise, found[1], _FLAT_DOUBT if flat else 1.)


def _guesses(p: BundleProblem, start: Start | None, tracks: Tracks | None = None) -> list[Cameras]:
    V, unposed = p.kp.shape[1], p.unposed
    rays, w = unposed.rays(p.kp), unposed.ray_weight(p.sigma)
    poses = [*factorise(rays, w), *from_pairs(rays, w, unposed.focal)]
    known = [start.cameras] if start is not None and len(start.cameras) == V else []
    if tracks is not None:
        known = [unknown_lenses(c, tracks.intrinsics) for c in known]
    lifted = []
    if tracks is not None and tracks.lifted is not None and tracks.lifted_sigma is not None:
        lifted = from_lifted(rays, w, tracks.lifted, tracks.lifted_sigma)
    return [*(replace(unposed, R=R, t=t) for R, t in poses), *known, *(replace(unposed, R=R, t=t) for R, t in lifted)]


def _coarse(p: BundleProblem, start: Start | None,
            tracks: Tracks | None = None) -> tuple[BundleResult, float] | None:
    """The best first guess, adjusted, and how far the rotations of an equally good one are from it, degrees."""
    results = []
    for cameras in _guesses(p, start, tracks):
        try:
            bones = bones_for(p, None if start is None else start.bones)
            r = adjust(points(p, cameras, bones), p, scale=5., kind='cauchy', steps=25, tolerance=1e-3,
                       covariance=False)
        except np.linalg.LinAlgError:
            continue
        if np.isfinite(r.cost):
            results.append((r.cost, _handedness(r.state, tracks), r))
    if not results:
        return None
    # the mirrored world fits almost as well when the motion is narrow: a body that bends its knees backwards is none
    upright = sorted((r for r in results if r[1] > 0), key=lambda r: r[0])
    if not upright:
        return None
    best = upright[0]
    # another rig that explains the images as well: which of the two it is must not be left to chance
    rivals = [_rotation_apart(best[2].state.cameras.R, r[2].state.cameras.R) for r in upright[1:]
              if r[0] < best[0] * (1 + _TIE)]
    return best[2], max(rivals, default=0.)


def bones_for(p: BundleProblem, known: Array | None) -> Array:
    """Bones to start from, in the shape that the problem wants: those known, as far as they are of the same people."""
    if known is None:
        known = p.bone_mean
    if p.person is None:
        return np.asarray(known if known.ndim == 1 else np.exp(np.log(known).mean(0)))
    if known.ndim == 1:
        return np.tile(known, (p.people, 1))
    more = np.tile(np.exp(np.log(known).mean(0)), (max(p.people - len(known), 0), 1))
    return np.concatenate([known[:p.people], more])


def _handedness(s: BundleState, tracks: Tracks | None) -> float:
    """Negative for a mirrored world."""
    if tracks is not None and tracks.lifted is not None and tracks.lifted_sigma is not None:
        # a lifter knows how bodies lie in depth: that tells mirrored worlds even where knees are straight
        agreement = depth_agreement(s.X, s.cameras.R, tracks.lifted, tracks.lifted_sigma)
        if abs(agreement) > _CLEAR:
            return agreement
    return body_forward_score(s.X)


def _rotation_apart(A: Array, B: Array) -> float:
    """Largest difference of the rotations relative to the first camera, degrees."""
    return float(rotation.angle_deg(A @ A[0].T, B @ B[0].T).max())


def _same_place(p: BundleProblem) -> str:
    """Why a plane-to-plane map explains every pair of cameras, in a sentence; '' when it does not.

    From one place, turned or not, all images are homographies of each other, whatever the depth: a rig would be made
    of noise. (A body does not lie in a plane as seen from two places.)
    """
    N, V = p.kp.shape[:2]
    if N < 10:
        return ''
    for a in range(V):
        for b in range(a + 1, V):
            both = np.isfinite(p.sigma[:, a]) & np.isfinite(p.sigma[:, b])
            if both.sum() < 60:
                continue
            x, y = p.kp[:, a][both], p.kp[:, b][both]
            H, _ = cv2.findHomography(x, y, cv2.LMEDS)
            if H is None:
                continue
            q = np.concatenate([x, np.ones((len(x), 1))], 1) @ H.T
            e = np.linalg.norm(q[:, :2] / q[:, 2:] - y, axis=1)
            usual = np.hypot(p.sigma[:, a][both], p.sigma[:, b][both])
            if np.median(e / usual) > _FLAT:
                return ''
    if _still(p):
        return 'the person has hardly moved: walk or turn about'
    return 'the cameras look from nearly the same place: nothing tells depth; put them further apart'


def _apart(tracks: Tracks, p: BundleProblem) -> bool:
    """Whether lifted poses say that all cameras see the body from other sides, whatever a homography explains."""
    if tracks.lifted is None or tracks.lifted_sigma is None:
        return False
    found = align_views(tracks.lifted, tracks.lifted_sigma)
    if found is None:
        return False
    R, sigma_deg, _ = found
    seen = np.isfinite(p.sigma)
    root = np.where(seen[..., None], p.kp, 0.).sum(2) / np.maximum(seen.sum(2), 1)[..., None]
    ray = np.concatenate([(root - p.centre) / np.exp(p.log_focal)[:, None], np.ones((*root.shape[:2], 1))], -1)
    # lines of sight in the body's axes: a camera that turns in its place still sees the same side
    sight = np.einsum('vba,nvb->nva', R, ray / np.linalg.norm(ray, axis=-1, keepdims=True))
    V = len(R)
    for a in range(V):
        for b in range(a + 1, V):
            both = seen[:, a].any(-1) & seen[:, b].any(-1)
            if not both.any():
                return False
            angle = np.rad2deg(np.arccos(np.clip((sight[both, a] * sight[both, b]).sum(-1), -1, 1)))
            if float(np.median(angle)) - 2 * float(max(sigma_deg[a], sigma_deg[b])) < _OTHER_SIDE_DEG:
                return False
    return True


def _still(p: BundleProblem) -> bool:
    """Joints stay where they are in the images, up to noise."""
    seen = np.isfinite(p.sigma)
    kp = np.where(seen[..., None], p.kp, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)             # joints that are never seen
        spread = 1.4826 * np.nanmedian(np.abs(kp - np.nanmedian(kp, axis=0)), axis=0).max(-1)
        usual = np.nanmedian(np.where(seen, p.sigma, np.nan), axis=0)
        return bool(np.nanquantile(spread / usual, .8) < 2.5)
