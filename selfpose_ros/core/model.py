# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where a model of the rig comes from: a solution, a rig that was saved, or lifted poses alone."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from . import rotation
from .body import BONE_PRIOR_M, STATURE_LOG_SIGMA, STATURE_PRIOR_M
from .camera import FOCAL_PRIOR, Intrinsics
from .cameras import Cameras
from .fusion.lifted import LiftedRig, depth_agreement, lifted_rig
from .fusion.triangulation import triangulate
from .lifting import pinhole
from .noise import NoiseModel
from .place_spread import place_spread
from .radial import IN_OPENCV
from .rig import Rig
from .rig.lens import unknown_lenses
from .rig.solver import Solution, Tracks, evenly, problem_of
from .rig.world import MetricScale, World, find_world, metric_scale
from .rig_model import RigModel, common_cameras

__all__ = ['RigModel', 'contradicts_lifted', 'lifted_model', 'model_from_rig', 'model_from_solution']

Array = NDArray[np.float64]


def _lenses(known: Sequence[Intrinsics | None], found: Array | None = None) -> tuple[Array, Array]:
    """Distortion (V, D) and fy / fx (V,) of intrinsics; k1, k2 (V, 2) that were found, or none, and one where they are
    unknown.
    """
    lens = np.zeros((len(known), max([5, *(len(k.distortion) for k in known if k is not None)])))
    for v, k in enumerate(known):
        if k is not None:
            lens[v, :len(k.distortion)] = k.distortion
        elif found is not None:
            lens[v, IN_OPENCV] = found[v]
    return lens, np.array([1. if k is None else k.K[1, 1] / k.K[0, 0] for k in known])


def model_from_solution(
    solution: Solution, level: int, *, height_m: float = 0., baseline_m: float = 0.,
    baseline_pair: tuple[int, int] = (0, 1), keep: RigModel | None = None, hold: bool = False,
) -> RigModel:
    """Put a solution into the world.

    Args:
        keep: a model whose world frame goes on, with two cameras or more of the solution's: heading and place stay, up
            and floor are measured anew.
        hold: up and floor stay, too.
    """
    s, tracks = solution.state, solution.tracks
    people = 1 if s.bones.ndim == 1 else len(s.bones)
    scale = metric_scale(solution.bones, s.cameras.centres, height_m, baseline_m, baseline_pair,
                         flights=solution.flights, people=people)
    X = s.X * scale.factor
    measured = find_world(X, s.cameras.R[0][2], s.cameras.R, solution.flights)
    world = measured if keep is None else _same_world(solution, scale.factor, keep)
    if keep is not None and not hold:
        world = _turned_alike(measured, world, np.median(X[:, 0], axis=0))
    R = s.cameras.R @ world.R.T
    late = solution.clock_offset_s if len(solution.clock_offset_s) else np.zeros(len(tracks.cameras))
    geometry = replace(s.cameras.pinholes, R=R, t=s.cameras.t * scale.factor - R @ world.t)
    return RigModel(tracks.cameras, geometry, tracks.image_size, *_lenses(tracks.intrinsics, s.cameras.lens),
                    solution.bones * scale.factor, solution.noise, level, solution.quality, solution.rotation_sigma_deg,
                    late, world, scale, float(tracks.stamp.max()), solution, solution.reprojection_px,
                    focal_sigma=solution.log_focal_sigma, centre_sigma_m=solution.centre_sigma * scale.factor,
                    place=place_spread(solution, geometry, scale.factor, world))


#: instants by which a world is carried over from one model to the next
_COMPARED_ROWS = 60


def _same_world(solution: Solution, scale: float, keep: RigModel) -> World:
    """World frame in which the body is where the kept model saw it, at the instants of the solution."""
    s, n = solution.state, solution.frames
    pick = evenly(np.arange(n), _COMPARED_ROWS)
    here, there = common_cameras(solution.tracks.cameras, keep.cameras)
    tracks = solution.tracks.rows(pick).views(np.array(here))
    kp, conf, cameras = tracks.kp, tracks.confidence, unknown_lenses(keep.seen.take(there), tracks.intrinsics)
    seen = np.isfinite(kp).all(-1) & (conf > 0)
    sigma = keep.noise.sigma(np.where(seen, conf, 1.))
    weight = cameras.ray_weight(np.where(seen, sigma, np.inf))
    old = triangulate(cameras.rays(np.nan_to_num(kp)), weight, cameras.R, cameras.t, rounds=4,
                      scale=4.).reshape(-1, 3)
    new = (s.X[pick] * scale).reshape(-1, 3)
    ok = np.isfinite(old).all(-1)
    old, new = old[ok], new[ok]
    w = np.ones(len(old))
    R, t = np.eye(3), np.zeros(3)
    for _ in range(4):                                            # limbs that were wrong once must not turn the room
        R, t = rotation.rigid_alignment(new, old, w)
        off = np.linalg.norm(new @ R.T + t - old, axis=1)
        w = 1 / (1 + (off / max(1.5 * float(np.median(off)), 1e-3)) ** 2) ** 2
    return World(R, t, keep.world.sigma_deg)


def _turned_alike(measured: World, like: World, body: Array) -> World:
    """The measured up and floor, with the heading of `like` and the body (3,), in the rig's frame, on the same spot."""
    M = like.R @ measured.R.T                                     # like_from_measured: a small tilt and any heading
    yaw = np.arctan2(M[1, 0] - M[0, 1], M[0, 0] + M[1, 1])
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.]])
    there, here = like.R @ body + like.t, turn @ (measured.R @ body + measured.t)
    return World(turn @ measured.R, turn @ measured.t + np.array([there[0] - here[0], there[1] - here[1], 0.]),
                 measured.sigma_deg)


def model_from_rig(rig: Rig, noise: NoiseModel, level: int) -> RigModel:
    """A rig that was saved: level 2 until views of today agree with it."""
    g = rig.geometry
    world = World(g.R[0].T, -g.R[0].T @ g.t[0], rig.gravity_sigma_deg)
    return RigModel(rig.cameras, g, rig.image_size, rig.distortion, rig.K[:, 1, 1] / rig.K[:, 0, 0],
                    BONE_PRIOR_M.copy(), noise, level, rig.quality, rig.rotation_sigma_deg, rig.clock_offset_s, world,
                    MetricScale(1., rig.scale_source, rig.scale_sigma), rig.stamp,
                    reprojection_px=rig.reprojection_px, focal_sigma=rig.focal_sigma,
                    centre_sigma_m=rig.centre_sigma_m)


def lifted_model(tracks: Tracks, height_m: float, old: RigModel | None = None) -> RigModel | None:
    """The idea of the rig that lifted poses give, see `_model_from_lifted`; with views that show another body than the
    surest one left out. None when there is nothing to go by.
    """
    assert tracks.lifted is not None and tracks.lifted_sigma is not None
    seen = np.isfinite(tracks.lifted).all((-1, -2))
    bones = BONE_PRIOR_M * ((height_m or STATURE_PRIOR_M) / STATURE_PRIOR_M)
    p = problem_of(tracks, tracks.prior)
    cameras = p.unposed
    found = lifted_rig(tracks.lifted, tracks.lifted_sigma, cameras.rays(p.kp), cameras.ray_weight(p.sigma), bones)
    if found is None and len(tracks.cameras) > 1:
        best = int(np.nansum(tracks.lifted_sigma ** -2., axis=(0, 2)).argmax())
        rows = np.nonzero(seen[:, best])[0]
        return lifted_model(tracks.views(np.array([best])).rows(rows), height_m, old)
    if found is None:
        return None
    sigma = STATURE_LOG_SIGMA if not height_m else .02
    scale = MetricScale(1., 'known height' if height_m else 'adult prior', float(np.hypot(sigma, .03)))
    level = 2 if len(tracks.cameras) > 1 and len(tracks.stamp) >= 12 else 1
    return _model_from_lifted(found, tracks, bones, level, scale, old)


#: world axes (x forward, y left, z up) to those of a level camera
_LEVEL = np.array([[0., -1., 0.], [0., 0., -1.], [1., 0., 0.]])
#: height of the ankle joint above the sole, m
_ANKLE_M = .08


def _model_from_lifted(found: LiftedRig, tracks: Tracks, bones: Array, level: int, scale: MetricScale,
                      keep: RigModel | None = None) -> RigModel:
    """A first idea of the rig, from lifted poses alone. Where down is remains open: the reference camera is taken for
    level, x is where it looks, the origin lies on the floor below the body where it was seen first.

    Args:
        found: of the newest instants of `tracks`.  keep: an earlier idea; the world of a common camera goes on.
    """
    names = tracks.cameras
    common = [c for c in (names[found.reference], *names) if keep is not None and c in keep.cameras]
    a = names.index(common[0]) if common else found.reference
    if common and keep is not None:
        k = keep.cameras.index(common[0])
        Ra, ta = keep.R[k], keep.t[k]
    else:
        Ra = _LEVEL
        P = found.X[-1] @ Ra
        ta = Ra @ np.array([P[0, 0], P[0, 1], min(P[3, 2], P[6, 2]) - _ANKLE_M])
    turn = found.R @ found.R[a].T
    R, t = turn @ Ra, turn @ (ta - found.t[a]) + found.t
    known = tracks.intrinsics
    focal = np.array([pinhole(k, (int(s[0]), int(s[1])))[0, 0] for k, s in zip(known, tracks.image_size, strict=True)])
    centre = np.array([tracks.image_size[v] / 2. if k is None else k.K[:2, 2] for v, k in enumerate(known)])
    guessed = len(names) == 1 and (known[0] is None or known[0].source != 'known')
    return RigModel(
        names, Cameras(R, t, focal, centre), tracks.image_size, *_lenses(known), bones,
        tracks.prior, level, 0., found.sigma_deg, np.zeros(len(names)),
        World(Ra.T, -Ra.T @ ta, 15.), scale, float(tracks.stamp[-1]), lifted=True,
        depth_sigma=FOCAL_PRIOR[1] if guessed else 0.,
        origin=keep.origin if common and keep is not None else np.array([0., 0., .9]))


#: agreement with lifted poses below which a solution is none: of two cameras, which fit much; of more
_AGREE_TWO, _AGREE = .5, .1


def contradicts_lifted(solution: Solution) -> bool:
    """Bodies of a solution do not lie in depth as the lifter sees them."""
    tracks, s = solution.tracks, solution.state
    if tracks.lifted is None or tracks.lifted_sigma is None or not np.isfinite(tracks.lifted).any():
        return False
    return depth_agreement(s.X, s.cameras.R, tracks.lifted, tracks.lifted_sigma) < (
        _AGREE if len(tracks.cameras) > 2 else _AGREE_TWO)
