# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Weak-perspective reprojection between all pairs of views (methods.md 5.5; CanonPose, Wandt et al., CVPR 2021).

Everything of a batch is one product: `pair_errors` gives the error of the pose of every view u in every view v, and
the losses are weighted sums of that matrix. No loss here can see a reversed depth (methods.md 5.9).
"""
from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['cam_shuffle', 'mix_of', 'pair_errors', 'partners', 'rep_l1', 'rep_of', 'unit_rms']

_FLOOR = 1e-8


def unit_rms(p: Tensor, m: Tensor) -> Tensor:
    """2D poses (..., 17, 2) divided by the RMS of the numbers of the joints where m (..., 17) > 0."""
    m = (m > 0).to(p.dtype)[..., None]
    count = 2 * m.sum((-1, -2), keepdim=True).clamp(min=1)
    return p * (((p * m).square().sum((-1, -2), keepdim=True) / count) + _FLOOR).rsqrt()


def rep_l1(a: Tensor, p: Tensor, c: Tensor) -> Tensor:
    """Error (...) of 2D poses p against targets a (..., 17, 2), both without scale, weighted by c (..., 17).

    A mean over the numbers of the joints with c > 0.
    """
    count = 2 * (c > 0).sum(-1).clamp(min=1)
    return ((unit_rms(a, c) - unit_rms(p, c)).abs().sum(-1) * c).sum(-1) / count


def pair_errors(w: Tensor, X: Tensor, R: Tensor, c: Tensor) -> Tensor:
    """`rep_l1` of the pose of view u turned into view v: (B, V, U).

    Args:
        w: (B, V, 17, 2) 2D targets.  c: (B, V, 17) their weights, 0 = unseen or no such view.
        X: (B, U, 17, 3) canonical poses.  R: (B, V, 3, 3) canonical -> camera; any common rotation and scale.
    """
    B, V, J = c.shape
    U = X.shape[1]
    m = (c > 0).to(w.dtype)
    half = .5 / m.sum(-1).clamp(min=1)                                                 # 1 / (2 joints seen)
    a = unit_rms(w, c).transpose(2, 3)[:, :, :, None]                                  # B, V, 2, 1, J
    p = (R[:, :, :2].reshape(B, V * 2, 3) @ X.reshape(B, U * J, 3).mT).view(B, V, 2, U, J)
    size = (p.square() * m[:, :, None, None]).sum((2, 4))                              # B, V, U
    scale = (size * half[:, :, None] + _FLOOR).rsqrt()
    off = (p * scale[:, :, None, :, None] - a).abs() * (c * half[..., None])[:, :, None, None]
    return off.sum((2, 4))


def rep_of(errors: Tensor, views: Tensor) -> Tensor:
    """Mean error of the views' own poses; errors (B, V, V), views (B, V) bool."""
    own = errors.diagonal(dim1=1, dim2=2)
    return (own * views).sum() / views.sum().clamp(min=1)


def mix_of(errors: Tensor, views: Tensor, samples: Tensor | None = None) -> Tensor:
    """Sum over sources u of the mean over targets v != u, mean over samples that have two views or more: poses of all
    views must explain the 2D of all others (CanonPose's "view" loss; a sum of V means).

    Args:
        errors: (B, V, V) as from `pair_errors`.  views: (B, V) bool.
        samples: (B,) bool, those that count; None = all.
    """
    n = views.sum(-1)
    use = n > 1 if samples is None else (n > 1) & samples
    pairs = views[:, :, None] & views[:, None, :] & ~torch.eye(views.shape[1], dtype=torch.bool, device=views.device)
    weight = use / (n - 1).clamp(min=1) / use.sum().clamp(min=1)
    return (errors * pairs * weight[:, None, None]).sum()


def partners(subj: Tensor, rig: Tensor) -> tuple[Tensor, Tensor]:
    """For each sample a random other one of the same subject and rig: index (B,), and (B,) whether there is one."""
    group = torch.unique(subj.long() * (int(rig.max()) + 1) + rig.long(), return_inverse=True)[1]
    order = torch.argsort(group + torch.rand(len(group), device=group.device, dtype=torch.float64))
    ranked = group[order]
    first = torch.searchsorted(ranked, ranked)
    last = torch.searchsorted(ranked, ranked, right=True) - 1
    place = torch.arange(len(group), device=group.device)
    follower = torch.where(place < last, place + 1, first)
    index = torch.empty_like(order)
    index[order] = order[follower]
    return index, index != place


def cam_shuffle(w: Tensor, X: Tensor, R: Tensor, c: Tensor, views: Tensor, subj: Tensor, rig: Tensor,
                ray_rot: Tensor | None = None) -> Tensor:
    """`mix_of` with the relative rotations of another instant of the same rig: cameras that stand still.

    CanonPose's "camera" loss: Q_vu of sample s times R_u X_u. Samples without another one in their (subj, rig) do not
    count; rigs never mix. 0 when there is none at all. Virtual cameras turn with the person: with ray_rot
    (B, V, 3, 3), virtual camera -> camera, it is the rotations of the cameras themselves that are exchanged.
    """
    s, found = partners(subj, rig)
    shared = views & views[s]
    other = R[s] if ray_rot is None else ray_rot.mT @ ray_rot[s] @ R[s]                # of s, in this sample's axes
    turned = X @ (other.mT @ R).mT                                                     # R_u^(s)T R_u X_u
    return mix_of(pair_errors(w, turned, other, c), shared, found)
