# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The present idea of the rig in the world: what the estimator fuses views with, good enough to publish or not yet."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from . import rotation
from .body import BONE_PRIOR_M, STATURE_LOG_SIGMA, STATURE_PRIOR_M, stature_m
from .camera import FOCAL_PRIOR
from .cameras import Cameras
from .fusion.lifted import LiftedRig, lifted_rig
from .fusion.triangulation import triangulate
from .lifting import pinhole
from .noise import NoiseModel
from .rig import Rig
from .rig.bundle import BundleState
from .rig.solver import Solution, Tracks, problem_of
from .rig.world import MetricScale, World, find_world, metric_scale

__all__ = ['RigModel', 'lifted_model', 'model_from_rig', 'model_from_solution']

Array = NDArray[np.float64]

#: pictures whose width over height differs by less than this show the same
_SAME_SHAPE = .02


@dataclass(frozen=True)
class RigModel:
    """Cameras in metres in the world frame, the body that they were found with, and how good that is.

    Attributes:
        cameras: (V,) names.  R, t: x_cam = R x_world + t.  focal (V,), centre (V, 2): px.
        bones: (16,) m.  noise: of the 2D network.  level: 1, 2 or 3.
        aspect: (V,) fy / fx of known intrinsics; pixels are brought to square ones before.
        solution: in its own frame, to start the next solve from.  world, scale: how the world frame was found.
        lifted: it rests on lifted poses alone, nothing was solved.  depth_sigma: relative spread of distances along the
            view that a guessed focal length leaves, where a single camera cannot tell; from `origin` (3,) m on.
    """

    cameras: tuple[str, ...]
    R: Array
    t: Array
    focal: Array
    centre: Array
    image_size: NDArray[np.int64]
    distortion: Array
    bones: Array
    noise: NoiseModel
    level: int
    quality: float
    rotation_sigma_deg: Array
    solution: Solution
    world: World
    scale: MetricScale
    stamp: float
    aspect: Array = field(default_factory=lambda: np.ones(1))
    lifted: bool = False
    depth_sigma: float = 0.
    origin: Array = field(default_factory=lambda: np.zeros(3))

    @property
    def geometry(self) -> Cameras:
        """The cameras as one value that projects."""
        return Cameras(self.R, self.t, self.focal, self.centre)

    @property
    def pinholes(self) -> dict[str, Array]:
        """K (3, 3) px of each camera's undistorted, square pixels."""
        return {c: np.array([[f, 0, x], [0, f, y], [0, 0, 1.]])
                for c, f, (x, y) in zip(self.cameras, self.focal, self.centre, strict=True)}

    def with_camera(self, v: int, R: Array, t: Array) -> RigModel:
        """The same world with another pose of one camera."""
        Rs, ts, s = self.R.copy(), self.t.copy(), self.solution.state
        Rs[v], ts[v] = R, t
        there = replace(s.cameras, R=Rs @ self.world.R, t=(ts + Rs @ self.world.t) / self.scale.factor)
        return replace(self, R=Rs, t=ts, solution=replace(self.solution, state=replace(s, cameras=there)))

    def with_cameras_of(self, other: RigModel) -> RigModel:
        """This model, with the cameras that it lacks as another one of the same world has them; cameras by name."""
        more = [v for v, c in enumerate(other.cameras) if c not in self.cameras]
        if not more:
            return self
        names = (*self.cameras, *(other.cameras[v] for v in more))
        order = sorted(range(len(names)), key=lambda v: names[v])

        def both(mine: Array, theirs: Array) -> Array:
            return np.concatenate([mine, theirs[more]])[order]
        R, t = both(self.R, other.R), both(self.t, other.t)
        focal, size = both(self.focal, other.focal), np.concatenate([self.image_size, other.image_size[more]])[order]
        sigma = both(self.rotation_sigma_deg, other.rotation_sigma_deg)
        s, seen = self.solution, self.solution.tracks
        there = Cameras(R @ self.world.R, (t + R @ self.world.t) / self.scale.factor, focal,
                        both(self.centre, other.centre))
        state = replace(s.state, cameras=there)
        solution = replace(s, state=state, tracks=seen.with_unseen(tuple(names[v] for v in order), size),
                           covariance=np.zeros((there.layout.size,) * 2), rotation_sigma_deg=sigma,
                           clock_offset_s=both(self.clock_offset_s, other.clock_offset_s))
        return replace(self, cameras=tuple(names[v] for v in order), R=R, t=t, focal=focal,
                       centre=there.centre, image_size=size,
                       distortion=both(self.distortion, other.distortion), rotation_sigma_deg=sigma, solution=solution,
                       aspect=both(self.aspect, other.aspect))

    def with_size(self, v: int, size: tuple[int, int]) -> RigModel | None:
        """The same camera, whose pictures come at another resolution (w, h) px; None when they show another part."""
        share = np.array(size) / self.image_size[v]
        if abs(share[0] / share[1] - 1) > _SAME_SHAPE:
            return None
        focal, centre, sizes, s = self.focal.copy(), self.centre.copy(), self.image_size.copy(), self.solution.state
        focal[v] *= share[0]
        centre[v] *= share
        sizes[v] = size
        return replace(self, focal=focal, centre=centre, image_size=sizes,
                       solution=replace(self.solution,
                                        state=replace(s, cameras=replace(s.cameras, focal=focal, centre=centre))))

    @property
    def clock_offset_s(self) -> Array:
        """(V,) s: a camera's stamps minus true time, relative to the first camera."""
        found = self.solution.clock_offset_s
        return found if len(found) == len(self.cameras) else np.zeros(len(self.cameras))

    def rig(self) -> Rig:
        """As it is published."""
        K = np.zeros((len(self.cameras), 3, 3))
        K[:, 0, 0] = self.focal
        K[:, 1, 1] = self.focal * self.aspect
        K[:, :2, 2] = self.centre
        K[:, 2, 2] = 1.
        return Rig(self.cameras, K, self.distortion, self.image_size, self.R, self.t, self.quality, self.scale.source,
                   self.scale.sigma, self.rotation_sigma_deg, self.world.sigma_deg, self.solution.reprojection_px,
                   self.clock_offset_s, self.solution.frames, self.stamp)


def _in_world(s: BundleState, scale: float, world: World) -> tuple[Array, Array]:
    """Cameras of a state in its own units -> (R, t) for metric world points."""
    R = s.cameras.R @ world.R.T
    return R, s.cameras.t * scale - R @ world.t


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
    scale = metric_scale(s.bones, s.cameras.centres, height_m, baseline_m, baseline_pair)
    X = s.X * scale.factor
    world = find_world(X, s.cameras.R[0][2]) if keep is None else _same_world(solution, scale.factor, keep)
    known = tracks.intrinsics
    if keep is not None and not hold:
        world = _turned_alike(find_world(X, s.cameras.R[0][2]), world, np.median(X[:, 0], axis=0))
    R, t = _in_world(s, scale.factor, world)
    distortion = np.array([np.zeros(5) if k is None else k.distortion[:5] for k in known])
    return RigModel(tracks.cameras, R, t, s.cameras.focal, s.cameras.centre, tracks.image_size, distortion,
                    s.bones * scale.factor, solution.noise, level, solution.quality, solution.rotation_sigma_deg,
                    solution, world, scale, float(tracks.stamp[-1]),
                    np.array([1. if k is None else k.K[1, 1] / k.K[0, 0] for k in known]))


def common_cameras(a: Sequence[str], b: Sequence[str]) -> tuple[list[int], list[int]]:
    """Where the cameras that both name stand in each."""
    both = [c for c in a if c in b]
    return [a.index(c) for c in both], [b.index(c) for c in both]


def _same_world(solution: Solution, scale: float, keep: RigModel) -> World:
    """World frame in which the body is where the kept model saw it, at the instants of the solution."""
    s, n = solution.state, solution.frames
    pick = np.unique(np.linspace(0, n - 1, min(n, 60)).astype(int))
    here, there = common_cameras(solution.tracks.cameras, keep.cameras)
    tracks = solution.tracks.rows(pick).views(np.array(here))
    kp, conf, cameras = tracks.kp, tracks.confidence, keep.geometry.take(there)
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
    V = len(rig.cameras)
    turn = rig.R @ rig.R[0].T
    cameras = Cameras(turn, rig.t - turn @ rig.t[0], rig.K[:, 0, 0], rig.K[:, :2, 2])
    s = BundleState(cameras, np.zeros((0, 17, 3)), BONE_PRIOR_M)
    none = Tracks(rig.cameras, np.zeros(0), np.zeros((0, V, 17, 2)), np.zeros((0, V, 17)), rig.image_size, (None,) * V)
    solution = Solution(s, none, np.zeros((cameras.layout.size,) * 2), rig.rotation_sigma_deg, noise, np.nan,
                        rig.reprojection_px, 0., 0, clock_offset_s=rig.clock_offset_s)
    world = World(rig.R[0].T, -rig.R[0].T @ rig.t[0], rig.gravity_sigma_deg)
    return RigModel(rig.cameras, rig.R, rig.t, rig.K[:, 0, 0].copy(), rig.K[:, :2, 2].copy(), rig.image_size,
                    rig.distortion, BONE_PRIOR_M.copy(), noise, level, rig.quality, rig.rotation_sigma_deg, solution,
                    world, MetricScale(1., rig.scale_source, rig.scale_sigma), rig.stamp,
                    rig.K[:, 1, 1] / rig.K[:, 0, 0])


def lifted_model(tracks: Tracks, height_m: float, old: RigModel | None = None) -> RigModel | None:
    """The idea of the rig that lifted poses give, see `_model_from_lifted`; with views that show another body than the
    surest one left out. None when there is nothing to go by.
    """
    assert tracks.lifted is not None and tracks.lifted_sigma is not None
    seen = np.isfinite(tracks.lifted).all((-1, -2))
    bones = BONE_PRIOR_M * ((height_m or STATURE_PRIOR_M) / STATURE_PRIOR_M)
    p = problem_of(tracks, NoiseModel.prior(tracks.image_size))
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
    """A first idea of the rig, from lifted poses alone. Nothing tells where down is: the reference camera is taken for
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
    V = len(names)
    cameras = Cameras(turn, found.t - turn @ found.t[a], focal, centre)
    state = BundleState(cameras, np.zeros((0, 17, 3)), bones)
    solution = Solution(state, tracks.rows(np.zeros(0, np.int64)), np.zeros((cameras.layout.size,) * 2),
                        found.sigma_deg, NoiseModel.prior(tracks.image_size), np.nan, np.nan, 0., 0)
    guessed = V == 1 and (known[0] is None or known[0].source != 'known')
    return RigModel(
        names, R, t, focal, centre, tracks.image_size,
        np.array([np.zeros(5) if k is None else k.distortion[:5] for k in known]), bones, solution.noise, level, 0.,
        found.sigma_deg, solution, World(Ra.T, -Ra.T @ ta, 15.), scale, float(tracks.stamp[-1]),
        np.array([1. if k is None else k.K[1, 1] / k.K[0, 0] for k in known]), True, FOCAL_PRIOR[1] if guessed else 0.,
        keep.origin if common and keep is not None else np.array([0., 0., .9]))


def with_level(model: RigModel, level: int) -> RigModel:
    """The same model at another level."""
    return replace(model, level=level)


def body_height_m(model: RigModel) -> float:
    """Standing height that goes with the model's bones, m."""
    return stature_m(model.bones)
