# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Bodies and weak-perspective cameras for tests, with all truth: (X, R) explain the 2D exactly."""
from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from selfpose_ros.synthetic import STYLES, walker
from selfpose_training.data.batch import Batch
from selfpose_training.data.motion import Poses
from selfpose_training.networks.rotation import rodrigues

#: camera axes (y down, z forward) of somebody who looks along +y of a world with z up
_UPRIGHT = torch.tensor([[1., 0, 0], [0, 0, -1], [0, 1, 0]])


def bodies(n: int, seed: int = 0) -> Tensor:
    """(n, 17, 3) m, z up, relative to the pelvis, of several people who move."""
    each = -(-n // len(STYLES))
    joints = np.concatenate([walker(each / 5., 25., seed + i, s)[::5][:each] for i, s in enumerate(STYLES)])
    X = torch.tensor(joints, dtype=torch.float32)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed))
    X = X[order][:n]
    return X - X[:, :1]


def cameras(n: int, views: int, seed: int = 0, per_rig: int = 1) -> Tensor:
    """(n, views, 3, 3) world -> camera, at azimuths at least 25 degrees apart; groups of per_rig share their rig."""
    g = torch.Generator().manual_seed(seed)
    rigs = -(-n // per_rig)
    step = 2 * math.pi / views
    azimuth = (torch.arange(views) + .5 * torch.rand(rigs, views, generator=g)) * step
    azimuth = azimuth + 2 * math.pi * torch.rand(rigs, 1, generator=g)
    tilt = .35 * torch.rand(rigs, views, generator=g)
    zero = torch.zeros_like(azimuth)
    R = rodrigues(torch.stack([tilt, zero, zero], -1)) @ _UPRIGHT @ rodrigues(torch.stack([zero, zero, azimuth], -1))
    return R.repeat_interleave(per_rig, 0)[:n]


def noisy(R: Tensor, degrees: float, seed: int = 0) -> Tensor:
    """Rotations turned by this angle about random axes."""
    axis = torch.nn.functional.normalize(torch.randn(*R.shape[:-2], 3,
                                                     generator=torch.Generator().manual_seed(seed)), dim=-1)
    return rodrigues(axis * math.radians(degrees)) @ R


def project(X: Tensor, R: Tensor) -> Tensor:
    """(B, V, 17, 2) weak-perspective 2D of unit Frobenius norm; X (B, 17, 3), R (B, V, 3, 3)."""
    w = (X[:, None] @ R.mT)[..., :2]
    w = w - w[..., :1, :]
    return w / w.square().sum((-1, -2), keepdim=True).sqrt()


def as_batch(X: Tensor, R: Tensor, conf: Tensor | None = None, per_rig: int = 1, view_mask: Tensor | None = None,
             ) -> Batch:
    """The batch that a data source would make: 500 px bodies about the middle of 1000 x 1000 images."""
    n, views = R.shape[:2]
    conf = torch.full((n, views, 17), .9) if conf is None else conf
    return Batch(
        kp_px=project(X, R) * 500 + 500, conf=conf, image_size=torch.full((n, views, 2), 1000.),
        view_mask=torch.ones(n, views, dtype=torch.bool) if view_mask is None else view_mask,
        subj=torch.zeros(n, dtype=torch.long), rig=torch.arange(n) // per_rig, X=X, R=R, t=torch.zeros(n, views, 3))


def articulated(n: int, seed: int = 0, spread: float = 1.) -> Tensor:
    """(n, 17, 3) m, z up, relative to the pelvis: everybody in a pose of their own, knees and elbows bent as they bend.

    They look along +y. spread: 0..1, of the joints' angles about the middle of their ranges.
    """
    g = torch.Generator().manual_seed(seed)

    def angles(low: float, high: float) -> Tensor:
        return torch.deg2rad((low + high) / 2 + (high - low) * spread * (torch.rand(n, generator=g) - .5))

    def about(axis: int, angle: Tensor) -> Tensor:
        return rodrigues(angle[:, None] * torch.eye(3)[axis])

    X = torch.zeros(n, 17, 3)

    def put(child: int, parent: int, frame: Tensor, *offset: float) -> None:
        X[:, child] = X[:, parent] + (frame @ torch.tensor(offset)[:, None])[..., 0]

    trunk = about(0, angles(-50, 10)) @ about(1, angles(-20, 20)) @ about(2, angles(-25, 25))
    root = torch.eye(3).expand(n, 3, 3)
    for hip, side in ((1, 1.), (4, -1.)):                  # the right one is at +x of somebody who looks along +y
        put(hip, 0, root, .13 * side, 0., 0.)
        thigh = about(0, angles(-15, 90)) @ about(1, side * angles(-30, 5))
        put(hip + 1, hip, thigh, 0., 0., -.42)
        put(hip + 2, hip + 1, thigh @ about(0, angles(-110, -5)), 0., 0., -.42)
    put(7, 0, trunk, 0., 0., .24)
    put(8, 7, trunk, 0., 0., .25)
    neck = trunk @ about(0, angles(-30, 20)) @ about(2, angles(-40, 40))
    put(9, 8, neck, 0., .09, .1)
    put(10, 8, neck, 0., 0., .24)
    for shoulder, side in ((14, 1.), (11, -1.)):
        put(shoulder, 8, trunk, .17 * side, 0., 0.)
        arm = trunk @ about(0, angles(-30, 140)) @ about(1, side * angles(-90, -5))
        put(shoulder + 1, shoulder, arm, 0., 0., -.28)
        put(shoulder + 2, shoulder + 1, arm @ about(0, angles(5, 120)), 0., 0., -.25)
    return X


BODY = np.array([[0, 0, .95], [-.1, 0, .93], [-.1, .05, .5], [-.1, 0, .08], [.1, 0, .93], [.1, .05, .5], [.1, 0, .08],
                 [0, 0, 1.2], [0, 0, 1.45], [0, .1, 1.55], [0, .05, 1.7], [.17, 0, 1.42], [.4, 0, 1.3], [.6, .1, 1.2],
                 [-.17, 0, 1.42], [-.4, 0, 1.3], [-.6, .1, 1.2]])


def walk(lengths: tuple[int, ...] = (120, 40, 1, 300), seed: int = 0, speed: float = .6) -> Poses:
    """Somebody who sways, swings the limbs and walks away."""
    rng = np.random.default_rng(seed)
    clips = []
    for n in lengths:
        t = np.arange(n)[:, None, None] / 25
        sway = .08 * np.sin(2 * np.pi * (rng.uniform(.3, 1, (1, 17, 3)) * t + rng.random((1, 17, 3))))
        clips.append(BODY + sway + t * rng.uniform(-speed, speed, 3) * [1, 1, 0])
    return Poses(np.concatenate(clips), np.cumsum([0, *lengths]), subject=np.arange(len(lengths)) // 2)
