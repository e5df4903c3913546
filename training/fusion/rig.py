# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Fusion in 3D of what the views of standing rigs see, in weak perspective: the target of a lifter.

Cross-view self-fusion carried on from 2D to 3D (methods.md 7.6): the relative rotations that the lifter predicts are
averaged over the frames of a rig in the batch, then skeletons (robust orthographic triangulation with the lifter's own
poses as a prior) and rotations (Gauss-Newton) are refined in turns. Needs nothing but 2D joints and the lifter itself;
no calibration. It cannot choose the sign of depth, it takes the lifter's.
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..losses.agreement import unit_pose
from ..networks.rotation import rodrigues

__all__ = ['RigPoses', 'fuse_rigs', 'nearest_rotation']

#: standard deviation of a 2D joint of confidence 1 in normalised units, detection and perspective together
_JOINT = .02
#: weight of the lifter's own pose against a joint that is seen with confidence 1 by one view
_PRIOR = .02
#: rotations move by at most this much in a round, rad
_STEP = .3
_FLOOR = 1e-9
#: squared confidence of a joint that a view sees well enough to do without another view
_SEEN = .04
#: a body is not nearer to a camera than twice its own depth
_DEEPEST = .5


class RigPoses(NamedTuple):
    """Fused poses.

    Attributes:
        y_cam: (B, V, 17, 3) as a lifter's: camera axes, relative to the pelvis, unit RMS.
        weight: (B, 17) 0..1 how well a joint is known: near 1 where two views or more agree on it.
        residual: (B, V) weighted RMS distance of the fused pose from the view's 2D, normalised units.
        R: (B, V, 3, 3) rotations of the (virtual) cameras, from one standing rig for all of its frames.
        depth: (B,) spread of depths over that of widths, over all frames and views of the rig. Near 1 for bodies seen
            from around; far above it, the rotations between the cameras are too small and the body is drawn out in
            depth to make up for it: nearly as good an explanation of the 2D, and the one that lifters find first.
    """

    y_cam: Tensor
    weight: Tensor
    residual: Tensor
    R: Tensor
    depth: Tensor


def nearest_rotation(M: Tensor) -> Tensor:
    """Rotation (..., 3, 3) nearest to a matrix; never a reflection."""
    u, _, vt = torch.linalg.svd(M)
    d = torch.ones_like(M[..., 0])
    d[..., 2] = torch.where(torch.det(u @ vt) < 0, -1., 1.)
    return (u * d[..., None, :]) @ vt


@torch.no_grad()
def fuse_rigs(w2d: Tensor, conf: Tensor, x_can: Tensor, R: Tensor, group: Tensor, rounds: int = 4,
              ray_rot: Tensor | None = None, scale_px: Tensor | None = None, own: float = 1.) -> RigPoses:
    """Fuse.

    Args:
        w2d: (B, V, 17, 2) normalised 2D.  conf: (B, V, 17), 0 = unseen or no such view.
        x_can: (B, V, 17, 3), R: (B, V, 3, 3) from the lifter.
        group: (B,) int, 0..G-1: frames with the same number are of one standing rig.
        rounds: of skeleton and rotations in turns.
        ray_rot: (B, V, 3, 3) virtual camera -> camera; None = the axes are those of the cameras themselves.
        scale_px: (B, V, 1) what w2d was divided by, in units of the image plane at distance 1: then joints that are
            nearer than the pelvis are known to look larger. None = weak perspective.
        own: weight of a view's 2D in its own target, where three views or more see a joint. Below 1 the
            errors of what it is to learn are not those of what it looks at.
    """
    ray = torch.eye(3, device=R.device).expand_as(R) if ray_rot is None else ray_rot
    count = int(group.max()) + 1
    views = (conf > 0).any(-1).to(w2d.dtype)
    turn, gauge = _averaged(ray @ R, views, group, count)                                    # G, V, 3, 3 and B, 3, 3
    c = conf.square()
    lifted = unit_pose(x_can) @ gauge[:, None].mT
    prior = (lifted * c[..., None]).sum(1) / c.sum(1).clamp(min=_FLOOR)[..., None]
    X, q, flat = prior, c, w2d
    for i in range(rounds):
        axes = ray.mT @ turn[group]
        Y = X[:, None] @ axes.mT                                                       # B, V, 17, 3
        scale, shift = _laid_on(Y[..., :2], flat, q)
        flat = _flattened(w2d, Y, scale, scale_px)
        if i:
            turn = _turned(turn, Y, flat, q, scale, shift, ray, group)
            axes = ray.mT @ turn[group]
            Y = X[:, None] @ axes.mT
            scale, shift = _laid_on(Y[..., :2], flat, q)
        q = c * _certainty(Y, flat, scale, shift)
        X = _triangulated(axes, flat, q, scale, shift, prior)
    Y = X[:, None] @ axes.mT
    flat = _flattened(w2d, Y, scale, scale_px)
    scale, shift = _laid_on(Y[..., :2], flat, q)
    off = (scale[..., None, None] * Y[..., :2] + shift[..., None, :] - flat).square().sum(-1)
    residual = ((off * q).sum(-1) / q.sum(-1).clamp(min=_FLOOR)).sqrt()
    if own < 1:
        less = 1 - (1 - own) * ((c > _SEEN).sum(1, keepdim=True) > 2)
        Y = _apart(axes, flat, q, less, scale, shift, prior) @ axes.mT
    # what is left of a joint when its best view is taken away
    weight = ((q.sum(1) - q.amax(1)) / .25).clamp(0, 1)
    y_cam = unit_pose(Y - Y[:, :, :1])
    spread = _sum((y_cam.square() * views[..., None, None]).sum((1, 2)), group, count)[group]
    depth = (spread[:, 2] / spread[:, 0].clamp(min=_FLOOR)).sqrt()
    return RigPoses(y_cam, weight, residual, axes, depth)


def _sum(values: Tensor, group: Tensor, count: int) -> Tensor:
    return values.new_zeros(count, *values.shape[1:]).index_add_(0, group, values)


def _averaged(R: Tensor, views: Tensor, group: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Rotations (G, V, 3, 3) of each rig and of the canonical frame of each sample (B, 3, 3): R = turn @ gauge."""
    first = torch.full((count,), len(R), device=R.device, dtype=torch.long)
    first = first.scatter_reduce(0, group, torch.arange(len(R), device=R.device), 'amin')
    turn, gauge = R[first], R[:, 0]
    weighted = R * views[..., None, None]
    for _ in range(3):
        gauge = nearest_rotation((turn[group].mT @ weighted).sum(1))
        turn = nearest_rotation(_sum(weighted @ gauge[:, None].mT, group, count) + _FLOOR * turn)
    return turn, gauge


def _laid_on(p: Tensor, w: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Scale (B, V), shift (B, V, 2) that lay p on w (B, V, 17, 2), weighted by q (B, V, 17)."""
    m = q[..., None]
    total = m.sum(-2).clamp(min=_FLOOR)
    mean_p, mean_w = (p * m).sum(-2) / total, (w * m).sum(-2) / total
    dp, dw = p - mean_p[..., None, :], w - mean_w[..., None, :]
    scale = ((dp * dw * m).sum((-1, -2)) / (dp.square() * m).sum((-1, -2)).clamp(min=_FLOOR)).clamp(min=1e-3)
    return scale, mean_w - scale[..., None] * mean_p


def _flattened(w2d: Tensor, Y: Tensor, scale: Tensor, scale_px: Tensor | None) -> Tensor:
    """2D (B, V, 17, 2) as it would be without perspective, for bodies Y (B, V, 17, 3) in camera axes.

    scale * scale_px is the size of Y's unit over the distance of the body.
    """
    if scale_px is None:
        return w2d
    nearer = (Y[..., 2] - Y[..., :1, 2]) * (scale * scale_px[..., 0])[..., None]
    return w2d * (1 + nearer.clamp(-_DEEPEST, _DEEPEST))[..., None]


def _certainty(Y: Tensor, w: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """(B, V, 17) weights of joints by their distance from the fused pose, Geman-McClure at three sigmas."""
    off = (scale[..., None, None] * Y[..., :2] + shift[..., None, :] - w).square().sum(-1)
    return (1 + off / (9 * _JOINT ** 2)).square().reciprocal()


def _triangulated(R: Tensor, w: Tensor, q: Tensor, scale: Tensor, shift: Tensor, prior: Tensor) -> Tensor:
    """(B, 17, 3): orthographic triangulation, one 3 x 3 system for each joint."""
    A = R[:, :, :2] * scale[..., None, None]                                           # B, V, 2, 3
    AA = (A.mT @ A).flatten(-2)                                                        # B, V, 9
    b = (w - shift[..., None, :]) @ A                                                  # B, V, 17, 3
    # weights relative to the size of the projections, so that the prior weighs the same for every scale
    mean = scale.square().mean(-1)[:, None, None]
    M = (q.transpose(1, 2) @ AA) / mean
    r = (b * q[..., None]).sum(1) / mean + _PRIOR * prior
    return _solved(M + _PRIOR * torch.eye(3, device=w.device).flatten(), r)


def _apart(R: Tensor, w: Tensor, q: Tensor, less: Tensor, scale: Tensor, shift: Tensor, prior: Tensor) -> Tensor:
    """(B, V, 17, 3): as `_triangulated`, once for every view, whose own 2D counts by the factor less (B, 1, 17)."""
    each = []
    for v in range(q.shape[1]):
        mine = torch.zeros_like(q)
        mine[:, v] = (1 - less[:, 0]) * q[:, v]
        each.append(_triangulated(R, w, q - mine, scale, shift, prior))
    return torch.stack(each, 1)


def _solved(M: Tensor, r: Tensor) -> Tensor:
    """M^-1 r for symmetric positive M (..., 9) and r (..., 3): thousands of tiny systems, by cofactors."""
    a, b, c, _, d, e, _, _, f = M.unbind(-1)
    A, B, C = d * f - e * e, c * e - b * f, b * e - c * d
    D, E, F = a * f - c * c, b * c - a * e, a * d - b * b
    x, y, z = r.unbind(-1)
    return torch.stack([A * x + B * y + C * z, B * x + D * y + E * z, C * x + E * y + F * z], -1) \
        / (a * A + b * B + c * C)[..., None]


def _turned(turn: Tensor, Y: Tensor, w: Tensor, q: Tensor, scale: Tensor, shift: Tensor, ray: Tensor,
            group: Tensor) -> Tensor:
    """A Gauss-Newton step for the rotations (G, V, 3, 3), over all frames and joints of a rig."""
    x, y, z = (Y * scale[..., None, None]).unbind(-1)
    zero = torch.zeros_like(x)
    J = torch.stack([torch.stack([zero, z, -y], -1), torch.stack([-z, zero, x], -1)], -2)        # B, V, 17, 2, 3
    J = J @ ray.mT[:, :, None]                                                         # about the camera's own axes
    r = w - shift[..., None, :] - torch.stack([x, y], -1)
    Jq = J * q[..., None, None]
    JJ = _sum((Jq.flatten(2, 3).mT @ J.flatten(2, 3)), group, len(turn))
    Jr = _sum((Jq.flatten(2, 3).mT @ r.flatten(2, 3)[..., None])[..., 0], group, len(turn))
    damping = 1e-3 * JJ.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] + _FLOOR
    step = torch.linalg.solve(JJ + damping * torch.eye(3, device=w.device), Jr)
    length = step.norm(dim=-1, keepdim=True)
    return rodrigues(step * (_STEP / length.clamp(min=_STEP))) @ turn
