# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A network of images that finds joints and how far each lies behind the pelvis: 2.5D heat maps (methods.md 4.2, 4.3).

Iqbal, Molchanov and Kautz, CVPR 2020. The unit of depth is the reference bone, thorax to pelvis. Once the camera's
focal length is known, that bone's length gives the distance of the pelvis, in closed form, and with it all joints.
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from selfpose_ros.core.body import BONE_PRIOR_M
from selfpose_ros.core.relative_depth import (
    END_ON,
    FARTHEST,
    FORESHORTENED,
    NEAREST,
    OTHER_BONES,
    REFERENCE,
    REFERENCE_M,
)

from .vision import Tower

__all__ = ['HeatMap25D', 'Seen', 'confidence', 'places', 'pose_of', 'rays_of', 'root_depth', 'target_maps']

#: px of the input for a cell of the maps
CELL = 4
#: standard deviation of a target, cells
SIGMA = 1.
_SMALLEST = 1e-6
_A = [REFERENCE[0], *(a for a, _, _ in OTHER_BONES)]
_B = [REFERENCE[1], *(b for _, b, _ in OTHER_BONES)]
_LENGTH = [1., *(float(BONE_PRIOR_M[k]) / REFERENCE_M for _, _, k in OTHER_BONES)]


class Seen(NamedTuple):
    """What the network sees in pictures.

    Attributes:
        points: (N, 17, 2) px of the input.  depth: (N, 17) behind the pelvis, in lengths of the reference bone.
        log_sigma: (N, 17) of a joint of the pose, in that unit, per axis.
        heat: (N, 17, h, w) sums of 1.
    """

    points: Tensor
    depth: Tensor
    log_sigma: Tensor
    heat: Tensor


class HeatMap25D(nn.Module):
    """(N, 3, H, W) to `Seen`; a joint's depth is a map's mean under its heat map, plus a term of all joints' places.

    Args:
        size: (w, h) px, multiples of 16.
        norm: see `vision.Tower`.
    """

    frames = 1

    def __init__(self, size: tuple[int, int], stages: list[int], depth: list[int], hidden: int,
                 joints: int = 17, norm: bool = True) -> None:
        super().__init__()
        self.size, self.joints = size, joints
        self.tower = Tower(stages, depth, norm)
        self.side = nn.ModuleList([nn.Conv2d(width, hidden, 1) for width in stages])
        self.near = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.heat, self.behind = nn.Conv2d(hidden, joints, 1), nn.Conv2d(hidden, joints, 1)
        # flat until views teach otherwise: near any other start lie poses that agree because they are all depth
        nn.init.zeros_(self.behind.weight)
        wide = 4 * hidden
        self.shape = nn.Sequential(nn.Linear(2 * joints, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU(),
                                   nn.Linear(wide, joints))
        for p in self.shape[-1].parameters():
            nn.init.zeros_(p)
        self.unsure = nn.Linear(stages[2], joints)
        nn.init.zeros_(self.unsure.weight)
        nn.init.constant_(self.unsure.bias, -1.5)

    def forward(self, image: Tensor) -> Seen:
        """image: as on the card, see `vision.MEAN`."""
        first, middle, deep = self.tower(image)
        x = self.side[1](middle) + _twice(self.side[2](deep))
        x = torch.relu(self.near(torch.relu(self.side[0](first) + _twice(x))))
        logits = self.heat(x)
        heat = logits.flatten(2).softmax(-1)
        points = places(heat.unflatten(2, logits.shape[2:]))
        # views that disagree in depth are to move the depth, not the joint
        behind = (heat.detach() * self.behind(x).flatten(2)).sum(-1)
        at = points.detach() - points[:, :1].detach()
        at = at / at.square().mean((1, 2), keepdim=True).clamp(min=_SMALLEST).sqrt()
        behind = behind + self.shape(at.flatten(1))
        log_sigma = self.unsure(deep.mean((2, 3))).clamp(-5., 1.)
        return Seen(points, behind - behind[:, :1], log_sigma, heat.unflatten(2, logits.shape[2:]))

    def flip(self) -> None:
        """Flip the sign of the depth."""
        with torch.no_grad():
            for p in (*self.behind.parameters(), *self.shape[-1].parameters()):
                p.neg_()


def _twice(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2., mode='nearest')


def places(heat: Tensor) -> Tensor:
    """Middles (..., 2) px of maps (..., h, w) that sum to 1."""
    h, w = heat.shape[-2:]
    x, y = (CELL * torch.arange(n, device=heat.device, dtype=heat.dtype) + (CELL - 1) / 2 for n in (w, h))
    return torch.stack([(heat.sum(-2) * x).sum(-1), (heat.sum(-1) * y).sum(-1)], -1)


def target_maps(points: Tensor, like: Tensor) -> Tensor:
    """Gaussians (..., h, w) that sum to 1 about points (..., 2) px; all alike where a point is far outside the map."""
    h, w = like.shape[-2:]
    at = (points - (CELL - 1) / 2) / CELL
    x, y = (torch.exp(-.5 * ((torch.arange(n, device=points.device) - at[..., i:i + 1]) / SIGMA) ** 2)
            for i, n in enumerate((w, h)))
    maps = y[..., :, None] * x[..., None, :]
    total = maps.sum((-2, -1), keepdim=True)
    return torch.where(total > 1e-3, maps / total.clamp(min=1e-3), 1 / (h * w))


def confidence(heat: Tensor) -> Tensor:
    """(..., h, w) -> (...): the most that lies in three by three cells, over what does of a target; 0..1."""
    flat = heat.flatten(0, -3)[:, None]
    most = 9 * nn.functional.avg_pool2d(flat, 3, 1, 1).amax((1, 2, 3))
    side = torch.exp(-.5 * (torch.arange(-6., 7.) / SIGMA) ** 2)
    share = float((side[5:8].sum() / side.sum()) ** 2)
    return (most / share).clamp(max=1.).unflatten(0, heat.shape[:-2])


def rays_of(points: Tensor, to_ray: Tensor) -> tuple[Tensor, Tensor]:
    """Rays (..., 17, 2), x and y at z = 1, of a virtual camera that looks at the pelvis; see `core.lifting.norm2d`.

    Args:
        points: (..., 17, 2) px.  to_ray: (..., 3, 3), px of the picture to rays of the camera.

    Returns:
        The rays, and the rotation (..., 3, 3) from axes of the virtual camera to those of the camera.
    """
    rays = points @ to_ray[..., :2, :2].mT + to_ray[..., None, :2, 2]
    x, y = rays[..., 0, :].detach().unbind(-1)
    c = (x * x + y * y + 1).rsqrt()
    x, y = x * c, y * c
    k = 1 / (1 + c)
    turn = torch.stack([1 - k * x * x, -k * x * y, x, -k * x * y, 1 - k * y * y, y, -x, -y, c], -1)
    turn = turn.unflatten(-1, (3, 3))
    seen = torch.cat([rays, torch.ones_like(rays[..., :1])], -1) @ turn
    return seen[..., :2] / seen[..., 2:].clamp(min=.1), turn


def root_depth(rays: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
    """How far away the pelvis is, from a bone of known length: the larger root of a quadratic (methods.md 4.3).

    Where the reference bone points at the camera its length in the picture has no information: the limbs', of usual
    length, are taken instead.

    Args:
        rays: (..., 17, 2), see `rays_of`.  depth: (..., 17) behind the pelvis, in lengths of the reference bone.

    Returns:
        (...) in that unit; and (...) bool: the bone is longer in the picture than its depth allows.
    """
    n, m, dn, dm = rays[..., _B, :], rays[..., _A, :], depth[..., _B], depth[..., _A]
    length = rays.new_tensor(_LENGTH).square()
    mn = (m * n).sum(-1)
    a = (n - m).square().sum(-1)
    b = 2 * (dn * (n.square().sum(-1) - mn) + dm * (m.square().sum(-1) - mn))
    c = (n * dn[..., None] - m * dm[..., None]).square().sum(-1) + (dn - dm).square() - length
    under = b * b - 4 * a * c
    # the root's slope is without bounds where a bone is seen end on
    root = torch.maximum(under, (4 * a * length * END_ON).clamp(min=_SMALLEST ** 2)).sqrt()
    q = ((root - b) / (2 * a.clamp(min=_SMALLEST))).clamp(NEAREST, FARTHEST)
    across = (a * q.square() / length).detach()
    share = across[..., 1:].clamp(max=1.) ** 4
    others = (share * q[..., 1:]).sum(-1) / share.sum(-1).clamp(min=_SMALLEST ** 2)
    return torch.where(across[..., 0] > FORESHORTENED ** 2, q[..., 0], others), under[..., 0] < 0


def pose_of(rays: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
    """Joints (..., 17, 3) about the pelvis in axes of the virtual camera, in lengths of the reference bone.

    And, as of `root_depth`, whether the bone is longer in the picture than its depth allows (...).
    """
    q, stretched = root_depth(rays, depth)
    far = (q[..., None] + depth).clamp(min=.2)
    X = far[..., None] * torch.cat([rays, torch.ones_like(rays[..., :1])], -1)
    return X - X[..., :1, :], stretched
