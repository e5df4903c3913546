# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The present idea of the rig in the world: what the estimator fuses views with, good enough to publish or not yet."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .camera import Intrinsics
from .cameras import Cameras
from .noise import NoiseModel
from .place_spread import PlaceSpread
from .radial import IN_OPENCV
from .rig import Rig
from .rig.bundle_problem import BONE_SIGMA_M
from .rig.solver import Solution
from .rig.start import Start
from .rig.world import MetricScale, World

__all__ = ['RigModel', 'alike', 'common_cameras']

Array = NDArray[np.float64]

#: pictures whose width over height differs by less than this show the same
_SAME_SHAPE = .02


@dataclass(frozen=True)
class RigModel:
    """Cameras in metres in the world frame, the body that they were found with, and how good that is.

    Attributes:
        cameras: (V,) names.  geometry: where they are in the world, and their focal lengths, of undistorted square
            pixels.
        image_size: (V, 2) px.  distortion: (V, D) as in `Rig`, known or found.
        aspect: (V,) fy / fx of known intrinsics.
        bones: (16,) m.  noise: of the 2D network.  level: 1, 2 or 3.  quality: as in `Rig`.
        rotation_sigma_deg, focal_sigma, centre_sigma_m: (V,) as in `Rig`.
        clock_offset_s: (V,) a camera's stamps minus true time, relative to the first camera, s.
        world, scale: how the world frame was found: that of `start` in it.
        stamp: of the newest instant that it rests on, s.
        solution: what it was solved from; None = it was saved, or rests on lifted poses alone (`lifted`).
        reprojection_px: as in `Rig`.
        depth_sigma: relative spread of distances along the view that a guessed focal length leaves, where a single
            camera cannot tell; from `origin` (3,) m on.
        place: how far off bodies may be because of the cameras; None = no such thing is predicted.
    """

    cameras: tuple[str, ...]
    geometry: Cameras
    image_size: NDArray[np.int64]
    distortion: Array
    aspect: Array
    bones: Array
    noise: NoiseModel
    level: int
    quality: float
    rotation_sigma_deg: Array
    clock_offset_s: Array
    world: World
    scale: MetricScale
    stamp: float
    solution: Solution | None = None
    reprojection_px: float = np.nan
    lifted: bool = False
    depth_sigma: float = 0.
    origin: Array = field(default_factory=lambda: np.zeros(3))
    focal_sigma: Array = field(default_factory=lambda: np.zeros(0))
    centre_sigma_m: Array = field(default_factory=lambda: np.zeros(0))
    place: PlaceSpread | None = None

    def __post_init__(self) -> None:
        for name in ('focal_sigma', 'centre_sigma_m'):
            if not getattr(self, name).size:
                object.__setattr__(self, name, np.zeros(len(self.cameras)))

    @property
    def R(self) -> Array:
        """(V, 3, 3) of x_cam = R x_world + t."""
        return self.geometry.R

    @property
    def t(self) -> Array:
        """(V, 3) m of x_cam = R x_world + t."""
        return self.geometry.t

    @property
    def focal(self) -> Array:
        """(V,) px."""
        return self.geometry.focal

    @property
    def centre(self) -> Array:
        """(V, 2) principal points, px."""
        return self.geometry.centre

    @property
    def frames(self) -> int:
        """Number of instants that it was solved from; 0 = it was not solved."""
        return self.solution.frames if self.solution is not None else 0

    @property
    def bone_sigma(self) -> Array:
        """(16,) m: constancy of the bones, measured where it was solved."""
        return self.solution.bone_sigma if self.solution is not None else BONE_SIGMA_M

    @property
    def start(self) -> Start:
        """To start the next solve from: the cameras and the body as they are here, in the frame and at the scale that
        `world` and `scale` lead from.
        """
        g, w, k = self.seen, self.world, self.scale.factor
        return Start(self.cameras, replace(g, R=g.R @ w.R, t=(g.t + g.R @ w.t) / k), self.bones / k,
                     self.clock_offset_s)

    @property
    def seen(self) -> Cameras:
        """The cameras with the radial distortion of their lenses: of pixels as they were given, without intrinsics."""
        known = np.delete(self.distortion, IN_OPENCV, 1).any(1)              # what is found here has no other
        lens = np.where(known[:, None], 0., self.distortion[:, IN_OPENCV])
        return replace(self.geometry, lens=lens) if lens.any() else self.geometry

    @cached_property
    def lenses(self) -> dict[str, Intrinsics]:
        """By camera, what undistorts the pixels of those that come without intrinsics; pinholes are left out."""
        K = self.K
        return {c: Intrinsics(K[v], self.distortion[v], 'estimated') for v, c in enumerate(self.cameras)
                if self.distortion[v].any()}

    @property
    def K(self) -> Array:
        """(V, 3, 3) px."""
        g = self.geometry
        K = np.zeros((len(g), 3, 3))
        K[:, 0, 0] = g.focal
        K[:, 1, 1] = g.focal * self.aspect
        K[:, :2, 2] = g.centre
        K[:, 2, 2] = 1.
        return K

    @cached_property
    def pinholes(self) -> dict[str, Array]:
        """K (3, 3) px of each camera's undistorted, square pixels."""
        g = self.geometry
        return {c: np.array([[f, 0, x], [0, f, y], [0, 0, 1.]])
                for c, f, (x, y) in zip(self.cameras, g.focal, g.centre, strict=True)}

    def with_camera(self, v: int, R: Array, t: Array) -> RigModel:
        """The same world with another pose of one camera."""
        g = self.geometry
        Rs, ts = g.R.copy(), g.t.copy()
        Rs[v], ts[v] = R, t
        return replace(self, geometry=replace(g, R=Rs, t=ts))

    def with_cameras_of(self, other: RigModel) -> RigModel:
        """This model, with the cameras that it lacks as another one of the same world has them; cameras by name."""
        more = [v for v, c in enumerate(other.cameras) if c not in self.cameras]
        if not more:
            return self
        names = (*self.cameras, *(other.cameras[v] for v in more))
        order = sorted(range(len(names)), key=lambda v: names[v])
        a, b = self.geometry, other.geometry

        def both(mine: Array, theirs: Array) -> Array:
            return np.concatenate([mine, theirs[more]])[order]
        return replace(
            self, cameras=tuple(names[v] for v in order),
            geometry=Cameras(both(a.R, b.R), both(a.t, b.t), both(a.focal, b.focal), both(a.centre, b.centre)),
            image_size=np.concatenate([self.image_size, other.image_size[more]])[order],
            distortion=both(*alike(self.distortion, other.distortion)), aspect=both(self.aspect, other.aspect),
            rotation_sigma_deg=both(self.rotation_sigma_deg, other.rotation_sigma_deg),
            clock_offset_s=both(self.clock_offset_s, other.clock_offset_s),
            focal_sigma=both(self.focal_sigma, other.focal_sigma),
            centre_sigma_m=both(self.centre_sigma_m, other.centre_sigma_m),
            place=None if self.place is None else self.place.rearranged(
                [v if v < len(self.cameras) else -1 for v in order]))

    def with_size(self, v: int, size: tuple[int, int]) -> RigModel | None:
        """The same camera, whose pictures come at another resolution (w, h) px; None when they show another part."""
        share = np.array(size) / self.image_size[v]
        if abs(share[0] / share[1] - 1) > _SAME_SHAPE:
            return None
        g = self.geometry
        focal, centre, sizes = g.focal.copy(), g.centre.copy(), self.image_size.copy()
        focal[v] *= share[0]
        centre[v] *= share
        sizes[v] = size
        return replace(self, geometry=replace(g, focal=focal, centre=centre), image_size=sizes)

    def rig(self) -> Rig:
        """As it is published."""
        g = self.geometry
        return Rig(self.cameras, self.K, self.distortion, self.image_size, g.R, g.t, self.quality, self.scale.source,
                   self.scale.sigma, self.rotation_sigma_deg, self.world.sigma_deg, self.reprojection_px,
                   self.clock_offset_s, self.frames, self.stamp, self.focal_sigma, self.centre_sigma_m)


def alike(a: Array, b: Array) -> tuple[Array, Array]:
    """Both with as many coefficients as the longer one has."""
    n = max(a.shape[1], b.shape[1])
    return np.pad(a, ((0, 0), (0, n - a.shape[1]))), np.pad(b, ((0, 0), (0, n - b.shape[1])))


def common_cameras(a: Sequence[str], b: Sequence[str]) -> tuple[list[int], list[int]]:
    """Where the cameras that both name stand in each."""
    both = [c for c in a if c in b]
    return [a.index(c) for c in both], [b.index(c) for c in both]
