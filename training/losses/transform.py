# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Transform re-projection (Li et al., AAAI 2020; methods.md 2.4): poses of one view, in metres, seen by the others.

The cameras are known, x_cam = R x_world + t. All ordered pairs of views are one tensor: `transform_residuals` gives how
far joint j of the pose of view u lies from what view v saw, and the losses are weighted means of its size. Everything
in the image is in units of the normalised image plane (px / focal length): cameras of any focal length agree.
"""
from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['NEAREST_M', 'WEIGHTS', 'flat_residuals', 'on_plane', 'pair_weights', 'plane_points', 'pose_residuals',
           'relative', 'reproj', 'root_pretrain', 'sizes', 't_reproj', 'transform_residuals', 'transformed']

#: nothing is nearer to a camera than this, m; what is predicted there is projected as if it were this far
NEAREST_M = .3
#: by whose confidence the residual of a joint in another view counts: both views' (its noise comes from both), that of
#: the view it is measured in, that of the view that predicts (as printed in the paper), or nobody's
WEIGHTS = ('product', 'target', 'source', 'none')
_FLOOR = 1e-12


def relative(R: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations Q (B, V, U, 3, 3) and shifts s (B, V, U, 3) m from camera u to camera v: x_v = Q x_u + s.

    Args:
        R: (B, V, 3, 3), t: (B, V, 3) m: x_cam = R x_world + t.
    """
    Q = R[:, :, None] @ R[:, None].mT
    return Q, t[:, :, None] - (Q @ t[:, None, :, :, None])[..., 0]


def transformed(Y: Tensor, R: Tensor, t: Tensor) -> Tensor:
    """Poses Y (B, U, 17, 3) m in the axes of camera u to those of all cameras v: (B, V, U, 17, 3) m (tau of the paper).

    Args:
        R, t: as for `relative`.
    """
    world = (Y - t[:, :, None]) @ R                                                    # R^T (Y - t), as rows
    B, U, J = Y.shape[:3]
    seen = world.reshape(B, 1, U * J, 3) @ R.mT + t[:, :, None]
    return seen.view(B, R.shape[1], U, J, 3)


def on_plane(Y: Tensor) -> Tensor:
    """Points (..., 3) m in camera axes on the normalised image plane, (..., 2); at least `NEAREST_M` away."""
    return Y[..., :2] / Y[..., 2:].clamp(min=NEAREST_M)


def plane_points(px: Tensor, K: Tensor) -> Tensor:
    """Pixels (..., N, 2) on the normalised image plane; K (..., 3, 3) px, without skew."""
    focal = torch.stack([K[..., 0, 0], K[..., 1, 1]], -1)
    return (px - K[..., None, :2, 2]) / focal[..., None, :]


def transform_residuals(x: Tensor, Y: Tensor, R: Tensor, t: Tensor) -> Tensor:
    """(B, V, U, 17, 2): from what view v saw to where the joints of view u's pose are seen by it.

    Args:
        x: (B, V, 17, 2) what was seen, on the normalised image plane.
        Y: (B, V, 17, 3) m: the views' poses in their cameras' axes, root position included.
        R, t: as for `relative`.
    """
    return on_plane(transformed(Y, R, t)) - x[:, :, None]


def flat_residuals(w: Tensor, Y: Tensor, R: Tensor, c: Tensor) -> Tensor:
    """(B, V, U, 17, 2) as `transform_residuals`, without root, baseline or perspective: poses are only turned.

    What is left when the pelvis is not placed: in every view a pose gets the size that the 2D joints have.

    Args:
        w: (B, V, 17, 2) what was seen, on the image plane of the virtual camera that looks at the root.
        Y: (B, V, 17, 3) in the axes of these cameras, any size.  R: (B, V, 3, 3) world -> these cameras.
        c: (B, V, 17) confidence, 0 = unseen.
    """
    B, V, J = c.shape
    p = ((Y @ R).reshape(B, 1, V * J, 3) @ R.mT).view(B, V, V, J, 3)[..., :2]
    m = c[:, :, None, :, None]
    size, seen = ((x.square() * m).sum((-1, -2), keepdim=True) for x in (p, w[:, :, None]))
    return p * (seen / size.clamp(min=_FLOOR) + _FLOOR).sqrt() - w[:, :, None]


def pose_residuals(residuals: Tensor, weight: Tensor) -> Tensor:
    """Residuals (B, V, U, 17, 2) without their mean over the joints, by weight (B, V, U, 17).

    A root that is off moves all joints alike, and usually by more than the pose is wrong.
    """
    w = weight[..., None]
    return residuals - (residuals * w).sum(-2, keepdim=True) / w.sum(-2, keepdim=True).clamp(min=_FLOOR)


def sizes(residuals: Tensor, square: bool = False) -> Tensor:
    """Lengths of residuals (..., 2), or their squares."""
    off = residuals.square().sum(-1)
    return off if square else (off + _FLOOR).sqrt()


def pair_weights(c: Tensor, how: str = 'product') -> Tensor:
    """(B, V, U, 17) weights of joints of view u's pose in view v, 0 where v does not see the joint.

    Args:
        c: (B, V, 17) confidence, 0 = unseen or no such view.
        how: one of `WEIGHTS`. A view's error in itself counts by its confidence once, except with 'none'.
    """
    seen = (c > 0).to(c.dtype)
    there = seen.any(-1).to(c.dtype)[:, None, :, None]                                 # view u predicts something
    if how == 'none':
        return seen[:, :, None] * there
    if how == 'target':
        return c[:, :, None] * there
    if how == 'source':
        return seen[:, :, None] * c[:, None]
    own = torch.eye(c.shape[1], dtype=torch.bool, device=c.device)[:, :, None]
    return torch.where(own, c[:, :, None], c[:, :, None] * c[:, None])


def reproj(errors: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean error of the views' own poses; errors and weight (B, V, V, 17). 0 where nothing is seen."""
    w = weight.diagonal(dim1=1, dim2=2)
    return (errors.diagonal(dim1=1, dim2=2) * w).sum() / w.sum().clamp(min=_FLOOR)


def t_reproj(errors: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean error of all views' poses in all other views; errors and weight (B, V, V, 17)."""
    V = weight.shape[1]
    w = weight * ~torch.eye(V, dtype=torch.bool, device=weight.device)[:, :, None]
    return (errors * w).sum() / w.sum().clamp(min=_FLOOR)


def root_pretrain(Y: Tensor, R: Tensor, t: Tensor, views: Tensor) -> Tensor:
    """Mean squared distance, m^2, of the poses of all other views from each view's own, in its axes.

    It only places the roots: any pose that is the same in all views costs nothing.

    Args:
        Y, R, t: as for `transform_residuals`.  views: (B, V) bool.
    """
    off = (transformed(Y, R, t) - Y[:, :, None]).square().sum(-1).mean(-1)             # B, V, U
    pairs = views[:, :, None] & views[:, None] & ~torch.eye(views.shape[1], dtype=torch.bool, device=views.device)
    return (off * pairs).sum() / pairs.sum().clamp(min=1)
