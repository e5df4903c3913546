# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The shared tensors: what data sources make, what methods take."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from selfpose_ros.core.camera import FOCAL_PRIOR

from ..errors import TrainingError
from .normalise import Normalised, norm2d

__all__ = ['Batch']


@dataclass
class Batch:
    """One instant of one person in each of B samples, seen by up to V views; float32, J = 17 joints.

    Attributes:
        kp_px: (B, V, 17, 2) px, anything finite where unseen.
        conf: (B, V, 17) 0..1, 0 = unseen.
        image_size: (B, V, 2) px, width and height.
        view_mask: (B, V) bool, which views are there.
        subj, rig: (B,) int; cameras are only exchanged between samples that agree in both.
        K: (B, V, 3, 3) px or None; zero or NaN focal lengths where a single camera is not known.
        X: (B, 17, 3) m or None: world pose. Truth for `supervised` and for evaluation, the teacher's for `system`.
        X_sigma: (B, 17) m or None: how well X is known; not above 0 or not finite = X is not known there.
        R, t: (B, V, 3, 3), (B, V, 3) m or None: x_cam = R x_world + t.
        rig_K: (B, V, 3, 3) px or None: intrinsics that losses know beside R and t; networks do not get to see them.
        past_px, past_conf: (B, T, V, 17, 2), (B, T, V, 17) or None: for temporal lifters, oldest first; the last
            is the instant itself, the same as kp_px and conf. conf = 0 where there was no frame.
        source: (B,) int or None: which 2D network a sample comes from; 0, or None for all: the one that the lifter is
            for.

    Sums and means over joints and views always honour `seen`.
    """

    kp_px: Tensor
    conf: Tensor
    image_size: Tensor
    view_mask: Tensor
    subj: Tensor
    rig: Tensor
    K: Tensor | None = None
    X: Tensor | None = None
    X_sigma: Tensor | None = None
    R: Tensor | None = None
    t: Tensor | None = None
    rig_K: Tensor | None = None
    past_px: Tensor | None = None
    past_conf: Tensor | None = None
    source: Tensor | None = None

    @property
    def samples(self) -> int:
        return int(self.kp_px.shape[0])

    @property
    def views(self) -> int:
        return int(self.kp_px.shape[1])

    @cached_property
    def weight(self) -> Tensor:
        """(B, V, 17) confidence, 0 for absent views."""
        return self.conf * self.view_mask[..., None]

    @property
    def seen(self) -> Tensor:
        """(B, V, 17) bool: the joint is seen and its view is there."""
        return self.weight > 0

    @cached_property
    def pinhole(self) -> Tensor:
        """(B, V, 3, 3) px: K where it is known, else the guess of `core.camera.guessed_intrinsics`.

        A body beside the optical axis looks turned; even a guessed focal length takes most of that away, and at run
        time the same is done.
        """
        width, height = self.image_size.unbind(-1)
        guess = torch.zeros(*width.shape, 3, 3, dtype=width.dtype, device=width.device)
        guess[..., 0, 0] = guess[..., 1, 1] = FOCAL_PRIOR[0] * torch.maximum(width, height)
        guess[..., 0, 2], guess[..., 1, 2], guess[..., 2, 2] = width / 2, height / 2, 1.
        return guess if self.K is None else torch.where((self.K[..., 0, 0] > 0)[..., None, None], self.K, guess)

    @cached_property
    def normalised(self) -> Normalised:
        """`norm2d` of all views, through the virtual camera that looks at the root."""
        return norm2d(self.kp_px, self.weight, self.pinhole)

    @property
    def w2d(self) -> Tensor:
        """(B, V, 17, 2) normalised 2D joints, 0 where unseen."""
        return self.normalised.w2d

    @property
    def root_px(self) -> Tensor:
        """(B, V, 2) px."""
        return self.normalised.root_px

    @property
    def scale_px(self) -> Tensor:
        """(B, V, 1) units of the virtual image plane."""
        return self.normalised.scale_px

    @property
    def ray_rot(self) -> Tensor:
        """(B, V, 3, 3) virtual camera -> camera."""
        return self.normalised.ray_rot

    @cached_property
    def pose(self) -> Tensor:
        """What a frame lifter takes: (B, V, 17, 3) [w_x, w_y, conf]."""
        return torch.cat([self.w2d, self.weight[..., None]], -1)

    @cached_property
    def past_pose(self) -> Tensor:
        """What a temporal lifter takes: (B, V, T, 17, 3), oldest first; every frame is normalised by itself.

        Raises:
            TrainingError: the batch has no past.
        """
        if self.past_px is None or self.past_conf is None:
            raise TrainingError('batch: a temporal lifter needs the frames before, and this data source gives single '
                                'frames', 'set frames in the data source to the T of the network')
        conf = (self.past_conf * self.view_mask[:, None, :, None]).transpose(1, 2)
        K = self.pinhole[:, :, None].expand(-1, -1, conf.shape[2], -1, -1)
        w2d = norm2d(self.past_px.transpose(1, 2), conf, K).w2d
        return torch.cat([w2d, conf[..., None]], -1)

    def prepare(self, past: bool = False) -> None:
        """Compute what networks take now, not when it is used; `past`: of the frames before, too."""
        _ = self.past_pose if past and self.past_px is not None else self.pose

    def truth(self) -> Tensor:
        """(B, V, 17, 3) m: X relative to the pelvis, in the axes of the virtual cameras: the target of a lifter.

        Raises:
            TrainingError: the batch has no X or no R.
        """
        if self.X is None or self.R is None:
            raise TrainingError('batch: the 3D pose in camera axes needs X and R, and this data source has none',
                                'take motion capture, or a method that needs no 3D (canonpose, cross_view)')
        return torch.einsum('bvik,bjk->bvji', self.ray_rot.mT @ self.R, self.X - self.X[:, :1])

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on this device."""
        return self._each(lambda x: x.to(device, non_blocking=True))

    def take(self, index: Tensor | slice) -> Batch:
        """These samples only."""
        return self._each(lambda x: x[index])

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """A new batch with every tensor changed like this."""
        now = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Batch(**{k: None if x is None else change(x) for k, x in now.items()})    # type: ignore[arg-type]
