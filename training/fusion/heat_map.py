# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cross-view self-fusion with heat maps, as it was released with CVSF (methods.md 6.3); for reproduction.

The confidences are those of each sample (the release took the first sample's for all). No gradient passes.
"""
from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['heat_map_refine']

#: pixels of a side; normalised 2D p lies at pixel 64 p + 32
_SIDE = 64
#: half width of the stamps and their standard deviations, px: of projected joints, of samples along lines
_JOINT_HALF, _JOINT_SIGMA, _LINE_HALF, _LINE_SIGMA = 3, 3., 2, 2.
_SAMPLES = 16
#: depth to which a line is drawn, and the part of the grid in which it is
_FAR, _BOX = 3., ((.2, .8), (.1, .9))
#: pelvis, thorax, neck, head stay as they were detected
_KEPT = [0, 7, 8, 9]


@torch.no_grad()
def heat_map_refine(w2d: Tensor, conf: Tensor, x_can: Tensor, R: Tensor, tau: float,
                    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Refined 2D joints, confidences as they were, zeros, and which joints were refined; see `CrossViewFusion`."""
    B, V, J = conf.shape
    there = (conf > 0).any(-1, keepdim=True)
    wanted = (conf < tau) & there
    wanted[..., _KEPT] = False
    nothing = torch.zeros_like(conf)
    b, v, j = wanted.nonzero(as_tuple=True)
    if not len(b):
        return w2d, conf, nothing, nothing > 0
    p = (R[:, :, :2].reshape(B, V * 2, 3) @ x_can.reshape(B, V * J, 3).mT).view(B, V, 2, V, J).permute(0, 1, 3, 4, 2)
    p = p / p.square().mean((-1, -2), keepdim=True).clamp(min=1e-12).sqrt() \
        * w2d.square().mean((-1, -2), keepdim=True).sqrt()[:, :, None]
    c = conf[b, :, j]                                                                  # N, U
    heat = _joints(_pixel(p[b, v, :, j]), c) + _lines(w2d, R, b, v, j, c)
    best = heat.flatten(1).argmax(1)
    at = torch.stack([best % _SIDE, best // _SIDE], -1).to(w2d.dtype)
    found = (heat.flatten(1).amax(1) > 0)[:, None]
    w_ref = w2d.index_put((b, v, j), torch.where(found, (at - _SIDE / 2) / _SIDE, w2d[b, v, j]))
    return w_ref, conf, nothing, (nothing > 0).index_put((b, v, j), found[:, 0])


def _pixel(p: Tensor) -> Tensor:
    return _SIDE * p + _SIDE / 2


def _stamp(half: int, sigma: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets (K, 2) px x, y of a square window and its Gaussian (K,)."""
    d = torch.arange(-half, half + 1, device=like.device)
    offset = torch.stack(torch.meshgrid(d, d, indexing='xy'), -1).flatten(0, 1)
    return offset, (-offset.to(like.dtype).square().sum(-1) / (2 * sigma * sigma)).exp()


def _joints(px: Tensor, c: Tensor) -> Tensor:
    """(N, 64, 64): Gaussians of height c (N, U) about px (N, U, 2), summed; those outside the grid are dropped."""
    offset, value = _stamp(_JOINT_HALF, _JOINT_SIGMA, px)
    inside = ((px >= 0) & (px < _SIDE)).all(-1)
    at = px.trunc().long()[:, :, None] + offset                                        # N, U, K, 2
    use = ((at >= 0) & (at < _SIDE)).all(-1) & inside[..., None]
    index = torch.where(use, at[..., 1] * _SIDE + at[..., 0], 0)
    height = torch.where(use, c[..., None] * value, 0.)
    grid = px.new_zeros(len(px), _SIDE * _SIDE)
    return grid.scatter_add_(1, index.flatten(1), height.flatten(1)).view(-1, _SIDE, _SIDE)


def _lines(w2d: Tensor, R: Tensor, b: Tensor, v: Tensor, j: Tensor, c: Tensor) -> Tensor:
    """(N, 64, 64): epipolar lines of the other views, summed; none where there is only one."""
    V = w2d.shape[1]
    Q = (R[:, :, None] @ R[:, None].mT)[b, v]                                          # N, U, 3, 3
    flat = (Q[..., :2, :2] @ w2d[b, :, j][..., None])[..., 0]
    ends = _pixel(torch.stack([flat - _FAR * Q[..., :2, 2], flat + _FAR * Q[..., :2, 2]], -2))
    first, last, crosses = _clip(ends)
    use = crosses & (c > 0) & (torch.arange(V, device=w2d.device) != v[:, None])
    use = use & (use.sum(1, keepdim=True) > 1)
    offset, value = _stamp(_LINE_HALF, _LINE_SIGMA, w2d)
    grid = w2d.new_zeros(len(b), V, _SIDE * _SIDE + 1)     # the last one takes what lies outside
    for k in torch.linspace(0, 1, _SAMPLES).tolist():      # in order: each overwrites those before
        at = (first + k * (last - first)).trunc().long()[:, :, None] + offset
        ok = ((at >= 0) & (at < _SIDE)).all(-1) & use[..., None]
        grid.scatter_(2, torch.where(ok, at[..., 1] * _SIDE + at[..., 0], _SIDE * _SIDE), c[..., None] * value)
    return grid[..., :-1].sum(1).view(-1, _SIDE, _SIDE)


def _clip(ends: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """First and last point (N, U, 2) px of segments (N, U, 2, 2) inside the box, and whether they cross it at all."""
    a, d = ends[..., 0, :], ends[..., 1, :] - ends[..., 0, :]
    low = torch.tensor([x[0] * _SIDE for x in _BOX], dtype=a.dtype, device=a.device)
    high = torch.tensor([x[1] * _SIDE for x in _BOX], dtype=a.dtype, device=a.device)
    step = torch.where(d.abs() < 1e-9, torch.full_like(d, 1e-9), d)
    enter, leave = (low - a) / step, (high - a) / step
    t0 = torch.minimum(enter, leave).amax(-1).clamp(min=0)
    t1 = torch.maximum(enter, leave).amin(-1).clamp(max=1)
    return a + t0[..., None] * d, a + t1[..., None] * d, t0 < t1
