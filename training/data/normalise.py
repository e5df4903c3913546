# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The one normalisation of 2D poses for training, export and run time (there in numpy: `selfpose_ros.core.lifting`).

Mode 'frob': root at the origin, divided by the Frobenius norm over the joints seen, times sqrt(seen / 17), so that a
whole and a partial body have like scale. With known intrinsics through a virtual camera that looks at the root:
rotations of different cameras are only comparable after that.
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ['Normalised', 'denormalise', 'norm2d', 'root_rotation']

_PELVIS, _HIPS = 0, [1, 4]
#: least depth, relative to the distance along the ray, of what a virtual camera sees
_NEAREST = 1e-3


class Normalised(NamedTuple):
    """What `norm2d` gives; leading axes as the input's.

    Attributes:
        w2d: (..., 17, 2) unitless, 0 where unseen.
        root_px: (..., 2) px, what was taken for the root.
        scale_px: (..., 1) what w2d was divided by: px, or units of the image plane where the intrinsics are known.
        ray_rot: (..., 3, 3) rotation virtual camera -> camera; the identity without intrinsics.
    """

    w2d: Tensor
    root_px: Tensor
    scale_px: Tensor
    ray_rot: Tensor


def root_rotation(ray: Tensor) -> Tensor:
    """Smallest rotation (..., 3, 3) that takes the optical axis (0, 0, 1) to this ray (..., 3), z > 0, any length."""
    a, b, c = torch.nn.functional.normalize(ray, dim=-1).unbind(-1)
    k = 1 / (1 + c)
    return torch.stack([1 - a * a * k, -a * b * k, a, -a * b * k, 1 - b * b * k, b, -a, -b, c],
                       -1).unflatten(-1, (3, 3))


def _root(kp_px: Tensor, seen: Tensor) -> Tensor:
    """(..., 2) px: the pelvis, else the middle of the hips that are seen, else of all joints that are, else 0."""
    s = seen.to(kp_px.dtype)
    hips = torch.zeros_like(s)
    hips[..., _HIPS] = s[..., _HIPS]
    weight = torch.where((hips > 0).any(-1, keepdim=True), hips, s)
    middle = (kp_px * weight[..., None]).sum(-2) / weight.sum(-1, keepdim=True).clamp(min=1)
    return torch.where(seen[..., _PELVIS, None], kp_px[..., _PELVIS, :], middle)


def norm2d(kp_px: Tensor, conf: Tensor, K: Tensor | None = None) -> Normalised:
    """Normalise 2D poses (methods.md 7.3, mode 'frob').

    Args:
        kp_px: (..., 17, 2) px; anything where unseen.
        conf: (..., 17) 0..1, 0 = unseen.
        K: (..., 3, 3) px, or None. Where its focal length is not above 0 (or NaN) the camera counts as unknown.
    """
    seen = conf > 0
    present = seen[..., None].to(kp_px.dtype)
    kp_px = torch.where(seen[..., None], kp_px, 0.)
    root_px = _root(kp_px, seen)
    flat = kp_px - root_px[..., None, :]
    eye = torch.eye(3, dtype=kp_px.dtype, device=kp_px.device)
    if K is None:
        ray_rot = eye.expand(*kp_px.shape[:-2], 3, 3)
    else:
        known = (K[..., 0, 0] > 0)[..., None, None]
        rays_of = torch.linalg.inv(torch.where(known, K, eye))
        ones = torch.ones_like(kp_px[..., :1])
        rays = torch.cat([kp_px, ones], -1) @ rays_of.mT
        ray_rot = root_rotation((rays_of @ torch.cat([root_px, ones[..., 0, :]], -1)[..., None])[..., 0])
        turned = rays @ ray_rot                                          # S^T ray, as rows
        plane = turned[..., :2] / turned[..., 2:].clamp(min=_NEAREST)
        flat = torch.where(known, plane, flat)
        ray_rot = torch.where(known, ray_rot, eye)
    flat = flat * present
    share = present.sum((-1, -2)).clamp(min=1) / kp_px.shape[-2]
    norm = flat.square().sum((-1, -2)).sqrt()
    scale = torch.where(norm > 0, norm / share.sqrt(), torch.ones_like(norm))[..., None]
    return Normalised(flat / scale[..., None], root_px, scale, ray_rot)


def denormalise(w2d: Tensor, root_px: Tensor, scale_px: Tensor, ray_rot: Tensor | None = None,
                K: Tensor | None = None) -> Tensor:
    """Undo `norm2d`: (..., 17, 2) px; ray_rot and K where they were used."""
    flat = w2d * scale_px[..., None, :]
    plain = flat + root_px[..., None, :]
    if K is None or ray_rot is None:
        return plain
    known = (K[..., 0, 0] > 0)[..., None, None]
    rays = torch.cat([flat, torch.ones_like(flat[..., :1])], -1) @ ray_rot.mT @ torch.where(known, K, 0).mT
    return torch.where(known, rays[..., :2] / torch.where(known, rays[..., 2:], 1.), plain)
