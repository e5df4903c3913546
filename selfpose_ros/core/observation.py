# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What flows through the system: frozen values with checked shapes and stated units."""
from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .camera import Intrinsics
from .errors import ObservationError
from .noise import Accuracy

__all__ = ['View2D', 'MultiView', 'Skeleton3D', 'LEVEL_NAMES']

Array = NDArray[np.float64]

#: how a skeleton was made: see the README's table of levels
LEVEL_NAMES = {0: 'none', 1: 'lifted', 2: 'aligned', 3: 'self-calibrated'}


@dataclass(frozen=True)
class View2D:
    """The people one camera saw in one image.

    Attributes:
        camera: name of the camera, unique in the rig.
        stamp: acquisition time, s.
        keypoints: (P, 17, 2) px in the order of `core.skeleton.JOINTS`; NaN = not seen.
        confidence: (P, 17) in 0..1; 0 where the joint is NaN.
        image_size: (w, h) px.
        person: (P,) identity that the camera's own tracker gave, -1 = none.
        intrinsics: known intrinsics, or None: unknown.
        depth: (P, 17) how far a joint lies behind the pelvis, along the ray to the pelvis, in lengths of the line from
            pelvis to thorax; NaN = not known. None: the 2D network tells no depths.
        depth_sigma: (P, 17) standard deviation of such a joint's place in 3D, per axis, in that unit.
        accuracy: what error goes with the confidences, as the network's card has it; None: not known.
    """

    camera: str
    stamp: float
    keypoints: Array
    confidence: Array
    image_size: tuple[int, int]
    person: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    intrinsics: Intrinsics | None = None
    depth: Array | None = None
    depth_sigma: Array | None = None
    accuracy: Accuracy | None = None

    def __post_init__(self) -> None:
        kp, conf = np.array(self.keypoints, float), np.array(self.confidence, float)
        if kp.size == 0:
            kp, conf = np.zeros((0, 17, 2)), np.zeros((0, 17))
        if kp.ndim != 3 or kp.shape[1:] != (17, 2) or conf.shape != kp.shape[:2]:
            raise ObservationError(f'camera {self.camera!r}: expected keypoints (P, 17, 2) and confidence (P, 17), got '
                                   f'{kp.shape} and {conf.shape}', 'map other joint sets with core.skeleton.joint_map')
        if not np.isfinite(self.stamp):
            raise ObservationError(f'camera {self.camera!r}: stamp is {self.stamp}, must be finite seconds')
        w, h = self.image_size
        if not (1 <= w < np.inf and 1 <= h < np.inf):
            raise ObservationError(f'camera {self.camera!r}: image size {w}x{h} px is no image')
        person = np.array(self.person, np.int64).ravel()
        if person.size != len(kp):
            if person.size:
                raise ObservationError(f'camera {self.camera!r}: {len(kp)} people but {person.size} identities')
            person = np.full(len(kp), -1, np.int64)
        # what is not a number is not seen; a joint without confidence is not seen either
        seen = np.isfinite(kp).all(-1) & (conf > 0) & (conf < np.inf)
        conf = np.minimum(conf, 1.)
        if not seen.all():
            kp[~seen], conf[~seen] = np.nan, 0.
        for a in (kp, conf, person):
            a.setflags(write=False)
        object.__setattr__(self, 'keypoints', kp)
        object.__setattr__(self, 'confidence', conf)
        object.__setattr__(self, 'person', person)
        object.__setattr__(self, 'image_size', (int(w), int(h)))
        if (self.depth is None) != (self.depth_sigma is None):
            raise ObservationError(f'camera {self.camera!r}: give depth and depth_sigma, or neither')
        if self.depth is not None:
            self._with_depth(np.array(self.depth, float), np.array(self.depth_sigma, float))
        object.__setattr__(self, 'stamp', float(self.stamp))

    def joined(self, other: View2D) -> View2D:
        """This view with the people of another one of the same image and network behind its own."""
        if not len(other.keypoints) or not len(self.keypoints):
            return self if len(self.keypoints) else other
        def both(a: Array | None, b: Array | None) -> Array | None:
            return None if a is None or b is None else np.concatenate([a, b])
        return replace(
            self, keypoints=np.concatenate([self.keypoints, other.keypoints]),
            confidence=np.concatenate([self.confidence, other.confidence]),
            person=np.concatenate([self.person, other.person]), depth=both(self.depth, other.depth),
            depth_sigma=both(self.depth_sigma, other.depth_sigma))

    def _with_depth(self, depth: Array, sigma: Array) -> None:
        if depth.size == 0 == self.confidence.size:
            depth = sigma = np.zeros((0, 17))
        if depth.shape != self.confidence.shape or sigma.shape != depth.shape:
            raise ObservationError(f'camera {self.camera!r}: expected depth and depth_sigma '
                                   f'{self.confidence.shape}, got {depth.shape} and {sigma.shape}')
        known = np.isfinite(depth) & np.isfinite(sigma) & (sigma > 0)
        for name, a in (('depth', depth), ('depth_sigma', sigma)):
            a = np.where(known, a, np.nan)
            a.setflags(write=False)
            object.__setattr__(self, name, a)


@dataclass(frozen=True)
class MultiView:
    """At most one View2D per camera, taken around one instant. Each view keeps its own acquisition stamp.

    Attributes:
        stamp: the instant that a result shall be given for, s.
        views: the views that came, any order.
        missing: cameras that are alive but gave nothing for this instant.
    """

    stamp: float
    views: tuple[View2D, ...]
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, 'views', tuple(self.views))
        names = [v.camera for v in self.views]
        if len(set(names)) != len(names):
            raise ObservationError(f'a camera occurs twice in one instant: {sorted(names)}')
        if not np.isfinite(self.stamp):
            raise ObservationError(f'stamp is {self.stamp}, must be finite seconds')


@dataclass(frozen=True)
class Skeleton3D:
    """One person at one instant.

    Attributes:
        person: identity, kept over time, from 1.
        stamp: s.
        joints: (17, 3) m, NaN = not known. Frame: `selfpose_world` (z up, origin on the floor) at level 3; at lower
            levels a provisional one of the same kind, which may be another one with every new idea of the rig.
        sigma: (17,) m, standard deviation of a joint's position (root mean square over the three axes).
        confidence: (17,) in 0..1.
        views: (17,) number of cameras that the joint was measured with; 0 = filled from bones, motion or lifter.
        level: 1 lifted, 2 aligned, 3 self-calibrated.
        velocity: (17, 3) m/s, NaN where unknown.
        place_sigma: m per axis, the part of sigma that all joints have in common: where the whole body is.
    """

    person: int
    stamp: float
    joints: Array
    sigma: Array
    confidence: Array
    views: NDArray[np.int64]
    level: int
    velocity: Array = field(default_factory=lambda: np.full((17, 3), np.nan))
    place_sigma: float = 0.

    @property
    def own_sigma(self) -> Array:
        """(17,) m, what is left of sigma apart from where the whole body is."""
        return np.sqrt(np.maximum(self.sigma ** 2 - self.place_sigma ** 2, 0.))

    def __post_init__(self) -> None:
        for name, shape in (('joints', (17, 3)), ('sigma', (17,)), ('confidence', (17,)), ('views', (17,)),
                            ('velocity', (17, 3))):
            value: ArrayLike = getattr(self, name)
            a = np.array(value, np.int64 if name == 'views' else float)
            if a.shape != shape:
                raise ObservationError(f'skeleton: {name} must have shape {shape}, got {a.shape}')
            a.setflags(write=False)
            object.__setattr__(self, name, a)
