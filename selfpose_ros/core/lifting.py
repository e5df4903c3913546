# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A 2D pose of one view to a 3D pose: what a lifting network is asked, and what its answer means in metres.

The network itself lives elsewhere (`Lifter` is all that is known of it here). It gets a pose without place and size,
and gives one without place and size; this module does what lies before and after it.
"""
from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .body import BONE_A, BONE_B, BONE_LOG_SIGMA
from .camera import Intrinsics, guessed_intrinsics
from .errors import ObservationError
from .past_poses import PastPoses
from .person_view import Lifted, PersonView, Row
from .relative_depth import pose_with_depth
from .rotation import ray_rotation

__all__ = ['Lifted', 'LiftedViews', 'Lifter', 'Normalised', 'bone_information', 'depth_information',
           'lift', 'lift_views', 'metres', 'norm2d', 'pinhole', 'place', 'ray_rotation']

Array = NDArray[np.float64]

_HIPS = [1, 4]
#: share of a lifted joint's squared error along each axis across the view and along it: the 2D pose tells the former
_ACROSS, _ALONG = .4, 2.2
#: a body that is a single point stays at the origin
_SMALLEST = 1e-6
#: a pose of which fewer joints are seen is not lifted
_FEWEST = 8


class Lifter(Protocol):
    """A lifting network.

    Attributes:
        frames: length of the sequence it wants, the newest last; 1 = it lifts single poses.
        interval_s: time between the poses of that sequence, s; 0 for single poses.
    """

    @property
    def frames(self) -> int: ...

    @property
    def interval_s(self) -> float: ...

    def lift(self, pose: NDArray[np.float32]) -> tuple[Array, Array]:
        """Poses (N, 17, 3), or (N, T, 17, 3) with `frames` T above 1, of [w_x, w_y, confidence] as `norm2d` makes them.

        Returns:
            joints (N, 17, 3): relative to the pelvis, axes of the (virtual) camera, root mean square distance 1; and
            the standard deviation (N, 17) of each joint in the same unit, root mean square over the axes.
        """
        ...


class Normalised(NamedTuple):
    """A 2D pose without place and size.

    Attributes:
        w2d: (..., 17, 2), Frobenius norm sqrt(present / 17); 0 where unseen.
        root_px: (..., 2) px, what was at the origin.
        scale_px: (..., 1) what w2d was divided by: px, or normalised image units when K was given.
        ray_rot: (..., 3, 3) camera axes from those of the virtual camera that looks at the root; identity without K.
    """

    w2d: Array
    root_px: Array
    scale_px: Array
    ray_rot: Array


def norm2d(kp_px: Array, conf: Array, K: Array | None = None) -> Normalised:
    """Normalisation 'frob': root to the origin, Frobenius norm to sqrt(present / 17).

    The root is the pelvis; unseen, the mean of the hips that are seen; else the mean of all that is seen. With K, the
    pose is first looked at by a virtual camera in the same place that looks at the root: a body beside the optical axis
    looks turned otherwise. A pose of which nothing is seen is all zero.

    Args:
        kp_px: (..., 17, 2) undistorted px, anything where conf is 0.  conf: (..., 17), 0 = unseen.
        K: (3, 3) or (..., 3, 3) px; None = unknown.
    """
    seen = conf > 0
    kp = np.where(seen[..., None], kp_px, 0.)
    hips = np.zeros_like(seen)
    hips[..., _HIPS] = seen[..., _HIPS]
    pelvis = np.zeros_like(seen)
    pelvis[..., 0] = seen[..., 0]
    use = np.where(pelvis.any(-1, keepdims=True), pelvis, np.where(hips.any(-1, keepdims=True), hips, seen))
    root = (kp * use[..., None]).sum(-2) / np.maximum(use.sum(-1), 1)[..., None]
    if K is None:
        w = kp - root[..., None, :]
        rot = np.broadcast_to(np.eye(3), (*conf.shape[:-1], 3, 3)).copy()
    else:
        Ki = np.linalg.inv(K)
        rot = ray_rotation(np.concatenate([root, np.ones_like(root[..., :1])], -1)[..., None, :] @ np.swapaxes(
            Ki, -1, -2))[..., 0, :, :]
        rays = np.concatenate([kp, np.ones_like(kp[..., :1])], -1) @ np.swapaxes(Ki, -1, -2) @ rot
        w = rays[..., :2] / np.maximum(rays[..., 2:], _SMALLEST)
    w = np.where(seen[..., None], w, 0.)
    size = np.sqrt((w * w).sum((-1, -2)))
    share = np.sqrt(seen.sum(-1) / 17.)
    scale = np.where(size > _SMALLEST, size / np.maximum(share, 1e-9), 1.)[..., None]
    return Normalised(w / scale[..., None], root, scale, rot)


def pinhole(intrinsics: Intrinsics | None, image_size: tuple[int, int]) -> Array:
    """K (3, 3) px that goes with undistorted, square pixels (`camera.undistort`); guessed when nothing is known."""
    K = np.array(_guessed(image_size) if intrinsics is None else intrinsics.K)
    K[1, 1] = K[0, 0]
    K[0, 1] = 0.
    return K


@lru_cache(maxsize=64)
def _guessed(image_size: tuple[int, int]) -> Array:
    return guessed_intrinsics(image_size).K


def lift(lifter: Lifter, kp: Array, conf: Array, K: Array) -> tuple[Array, Array]:
    """Lift M poses in one call.

    Args:
        kp: (M, 17, 2) px, or (M, T, 17, 2) with their past, the newest last.  conf: (M, 17) or (M, T, 17).
        K: (M, 3, 3) px, known or guessed.

    Returns:
        joints (M, 17, 3) relative to the pelvis in camera axes, root mean square distance 1; sigma (M, 17).

    Raises:
        ObservationError: the lifter's answer has another shape, or is not finite.
    """
    n = norm2d(kp, conf, K[:, None] if kp.ndim == 4 else K)
    pose = np.concatenate([n.w2d, conf[..., None]], -1).astype(np.float32)
    joints, sigma = (np.asarray(a, float) for a in lifter.lift(pose))
    M = len(kp)
    if joints.shape != (M, 17, 3) or sigma.shape != (M, 17):
        raise ObservationError(f'the lifter gave joints {joints.shape} and sigma {sigma.shape} for {M} poses',
                               f'({M}, 17, 3) and ({M}, 17) are needed: it is none for these 17 joints')
    if not (np.isfinite(joints).all() and np.isfinite(sigma).all()):
        raise ObservationError('the lifter gave numbers that are not finite: its model file is damaged')
    turn = n.ray_rot if kp.ndim == 3 else n.ray_rot[:, -1]
    joints = (joints - joints[:, :1]) @ turn.swapaxes(-1, -2)
    size = np.sqrt((joints ** 2).sum(-1).mean(-1))[:, None]
    size = np.maximum(size, 1e-6)
    return joints / size[..., None], np.maximum(sigma / size, 1e-3)


class LiftedViews:
    """A lifter, and what it made of views that are still in use: nothing is lifted twice, what is asked together is one
    call.

    Views whose 2D network gave depths are not lifted: they are poses already, whatever lifter there is.

    Args:
        lifter: None = there is none; only views with depths become poses.
    """

    def __init__(self, lifter: Lifter | None) -> None:
        self.lifter = lifter
        self._past = PastPoses(1) if lifter is None else PastPoses(lifter.frames, lifter.interval_s)
        self._known: WeakKeyDictionary[PersonView, Lifted] = WeakKeyDictionary()

    @property
    def reach_s(self) -> float:
        """How far back from a view the lifter looks, s."""
        return self._past.reach_s

    def add(self, who: Hashable, row: Row) -> None:
        """The newest views of somebody."""
        for camera, view in row.items():
            self._past.add((who, camera), view.stamp, view.keypoints, view.confidence)

    def of(self, row: Row, pinholes: Mapping[str, Array], who: Hashable = None) -> dict[str, Lifted]:
        """Lifted poses by camera, of views in which enough is seen; `pinholes`: K (3, 3) px by camera."""
        return self.of_people([(who, row)], pinholes)[0]

    def of_people(self, people: Sequence[tuple[Hashable, Row]],
                  pinholes: Mapping[str, Array]) -> list[dict[str, Lifted]]:
        """As `of`, of several people's (who, row); all that is new is lifted in one call."""
        found: list[dict[str, Lifted]] = [{} for _ in people]
        new: list[tuple[int, Hashable, PersonView]] = []
        for n, (who, row) in enumerate(people):
            for c, view in row.items():
                if c not in pinholes or view.seen < _FEWEST:
                    continue
                pose = view.lifted or self._known.get(view) or _with_depth(view, pinholes[c])
                if pose is not None:
                    found[n][c] = self._known[view] = pose
                else:
                    new.append((n, who, view))
        if new and self.lifter is not None:
            poses = [(v.keypoints, v.confidence) if self.lifter.frames < 2 else
                     self._past.of((who, v.camera), v.stamp, v.keypoints, v.confidence) for _, who, v in new]
            kp, conf = np.array([p for p, _ in poses]), np.array([q for _, q in poses])
            joints, sigma = lift(self.lifter, kp, conf, np.array([pinholes[v.camera] for *_, v in new]))
            for (n, _, view), j, s in zip(new, joints, sigma, strict=True):
                found[n][view.camera] = self._known[view] = j, s
        return [{c: poses[c] for c in row if c in poses} for poses, (_, row) in zip(found, people, strict=True)]

    def carried(self, row: Row, pinholes: Mapping[str, Array], who: Hashable = None) -> dict[str, PersonView]:
        """The row, each view with what `of` gives for it: to be kept."""
        poses = self.of(row, pinholes, who)
        return {c: replace(v, lifted=poses[c]) if c in poses else v for c, v in row.items()}


def lift_views(lifter: Lifter | None, views: Sequence[PersonView]) -> dict[PersonView, Lifted]:
    """Poses of views of any people, each by itself, in one call; those in which too little is seen are left out.

    lifter: None = only views with depths become poses. One that wants a past gets the same pose again and again.
    """
    found: dict[PersonView, Lifted] = {}
    new: list[PersonView] = []
    for view in views:
        if view.seen < _FEWEST:
            continue
        pose = view.lifted or _with_depth(view, pinhole(view.intrinsics, view.image_size))
        if pose is not None:
            found[view] = pose
        else:
            new.append(view)
    if new and lifter is not None:
        kp, conf = np.array([np.nan_to_num(v.keypoints) for v in new]), np.array([v.confidence for v in new])
        if lifter.frames > 1:
            kp, conf = (np.repeat(x[:, None], lifter.frames, 1) for x in (kp, conf))
        joints, sigma = lift(lifter, kp, conf, np.array([pinhole(v.intrinsics, v.image_size) for v in new]))
        found.update({v: (j, s) for v, j, s in zip(new, joints, sigma, strict=True)})
    return found


def _with_depth(view: PersonView, K: Array) -> Lifted | None:
    if view.depth is None or view.depth_sigma is None:
        return None
    seen = np.isfinite(view.keypoints).all(-1) & (view.confidence > 0) & np.isfinite(view.depth) \
        & np.isfinite(view.depth_sigma)
    return pose_with_depth(view.keypoints, seen, view.depth, view.depth_sigma, K) if seen.sum() >= _FEWEST else None


def metres(joints: Array, bones: Array) -> Array:
    """Factor (...) that turns poses (..., 17, 3) into metres for a body with bones (16,) m."""
    n = np.linalg.norm(joints[..., BONE_B, :] - joints[..., BONE_A, :], axis=-1)
    w = BONE_LOG_SIGMA ** -2.
    return np.asarray(np.exp((w * np.log(bones / np.maximum(n, .02 * bones))).sum(-1) / w.sum()))


def place(joints: Array, rays: Array, weight: Array, rounds: int = 3) -> tuple[Array, Array]:
    """Where bodies stand before their cameras: linear least squares, robust (methods: translation from intrinsics).

    Args:
        joints: (..., 17, 3) m relative to any point, camera axes.
        rays: (..., 17, 2) normalised image coordinates.  weight: (..., 17) >= 0, 0 = unseen.

    Returns:
        Positions (..., 3) m of that point, and the relative standard deviation (...) of the distance that the misfit
        of the shape leaves; what a guessed focal length adds is not in it. NaN where fewer than three joints are seen.
    """
    A = np.zeros((*weight.shape, 2, 3))
    A[..., 0, 0] = A[..., 1, 1] = 1.
    A[..., 2] = -rays
    b = rays * joints[..., 2:] - joints[..., :2]
    w = weight / np.maximum(weight.max(-1, keepdims=True), 1e-12)
    enough = (weight > 0).sum(-1) >= 3
    base, t, M, e2 = w, np.zeros((*weight.shape[:-1], 3)), np.zeros((*weight.shape[:-1], 3, 3)), np.zeros(weight.shape)
    for _ in range(rounds):
        Aw = A * w[..., None, None]
        M = np.einsum('...jka,...jkb->...ab', Aw, A) + 1e-9 * np.eye(3)
        y = np.einsum('...jka,...jk->...a', Aw, b)
        t = np.linalg.solve(M, y[..., None])[..., 0]
        r = np.einsum('...jka,...a->...jk', A, t) - b
        e2 = (r * r).sum(-1)
        usual = np.sqrt(np.median(np.where(base > 0, e2, np.nan_to_num(e2.min(-1, keepdims=True))), -1, keepdims=True))
        w = base / (1 + e2 / np.maximum(3 * usual, .02) ** 2) ** 2
    # coordinates of a few neighbouring joints are off together: about six of the 34 tell something of their own
    spread = (w * e2).sum(-1) / np.maximum(w.sum(-1), 1e-9) / 2
    var = np.linalg.inv(M)[..., 2, 2] * spread * np.maximum((w > 0).sum(-1), 1) * 2 / 6.
    ok = enough & (t[..., 2] > .3)
    sigma = np.sqrt(var) / np.maximum(t[..., 2], .3)
    return np.where(ok[..., None], t, np.nan), np.where(ok, sigma, np.nan)


def depth_information(sigma: Array, axis: Array) -> Array:
    """Inverse covariances (..., 17, 3, 3) of lifted joints with sigma (..., 17): most of the error lies along the view.

    Args:
        axis: (..., 3) unit vector of the viewing direction.
    """
    along = axis[..., :, None] * axis[..., None, :]
    shape = np.eye(3) / _ACROSS + (1 / _ALONG - 1 / _ACROSS) * along
    return np.asarray(sigma[..., None, None] ** -2. * shape[..., None, :, :])


def bone_information(sigma: Array, axis: Array) -> Array:
    """Inverse covariances (..., 16, 3, 3) of the bone vectors of lifted poses with sigma (..., 17).

    The error of a joint is that of its parent and its bone's own.

    Args:
        axis: (..., 3) unit vector of the viewing direction.
    """
    child = sigma[..., BONE_B] ** 2
    own = np.sqrt(np.maximum(child - sigma[..., BONE_A] ** 2, .25 * child))
    return depth_information(own, axis)
