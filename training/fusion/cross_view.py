# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cross-view self-fusion of 2D joints: unsure joints are repaired by the other views, with predicted rotations only.

Source: CVSF, Kim, Lee, Oh and Lee, ACCV 2022 (methods.md 6). Mode 'solve' is the closed form of methods.md 6.4: robust
least squares between the detection, what the poses of all views project to, and the epipolar lines of the
other views. Mode 'heat' is the released heat map (6.3), for reproduction. No calibration is used.
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import TrainingError
from .heat_map import heat_map_refine

__all__ = ['CrossViewFusion', 'Fused', 'MODES']

MODES = ('off', 'heat', 'solve')
#: standard deviations of detection, reprojection and epipolar line, in units of normalised 2D
_DETECTION, _REPROJECTION, _LINE = 2 / 64, 3 / 64, 2 / 64
#: lines shorter than this have no direction: both cameras look along one axis
_SHORTEST = .1
_ROUNDS = 6
_FLOOR = 1e-9


class Fused(NamedTuple):
    """Refined 2D joints.

    Attributes:
        w2d: (B, V, 17, 2), the input where nothing was refined.
        conf: (B, V, 17), raised where the other views agree with each other; unchanged elsewhere.
        residual: (B, V, 17) how far the other views are from the refined place, RMS; 0 where nothing was looked at.
        refined: (B, V, 17) bool.
    """

    w2d: Tensor
    conf: Tensor
    residual: Tensor
    refined: Tensor


class CrossViewFusion:
    """Refines the 2D joints of all views of a sample together.

    Args:
        mode: 'off', 'heat' or 'solve'.
        tau: confidence below which a joint is refined. 0.85 suits AlphaPose; take the 20th percentile of yours.
        others: this many other views must be sure of a joint (6.9: two, else views agree on a wrong place) ...
        sure: ... with at least this confidence ...
        residual: ... and not be further from the result than this, in units of normalised 2D (solve).
        soft: confidence below tau over which a joint is moved gradually, so that the loss is continuous; 0: at once.
        gradient: whether gradients pass to poses and rotations (solve), through the last of the rounds.
    """

    def __init__(self, mode: str = 'solve', tau: float = .85, others: int = 2, sure: float = .6,
                 residual: float = .05, soft: float = 0., gradient: bool = True) -> None:
        if mode not in MODES:
            raise TrainingError(f"fusion: mode '{mode}' is not one of {', '.join(MODES)}")
        self.mode, self.tau, self.others, self.sure = mode, tau, others, sure
        self.residual, self.soft, self.gradient = residual, soft, gradient

    def __call__(self, w2d: Tensor, conf: Tensor, x_can: Tensor, R: Tensor) -> Fused:
        """Refine.

        Args:
            w2d: (B, V, 17, 2) normalised 2D (`norm2d`).  conf: (B, V, 17), 0 = unseen, or no such view.
            x_can: (B, V, 17, 3) canonical poses.  R: (B, V, 3, 3) canonical -> camera.
        """
        nothing = torch.zeros_like(conf)
        unchanged = Fused(w2d, conf, nothing, nothing > 0)
        if self.mode == 'off' or conf.shape[1] < 2:
            return unchanged
        if self.mode == 'heat':
            return Fused(*heat_map_refine(w2d, conf, x_can, R, self.tau))
        return self._solve(w2d, conf, x_can, R, unchanged)

    def _solve(self, w2d: Tensor, conf: Tensor, x_can: Tensor, R: Tensor, unchanged: Fused) -> Fused:
        there = (conf > 0).any(-1, keepdim=True)
        sure = (conf >= self.sure).sum(1, keepdim=True) - (conf >= self.sure).long()
        wanted = (conf < self.tau) & there & (sure >= self.others)
        wanted[..., 0] = False                             # the root is where it is by definition
        b, v, j = wanted.nonzero(as_tuple=True)
        if not len(b):
            return unchanged
        if self.gradient:
            evidence = self._evidence(w2d, conf, x_can, R, b, v, j)
        else:
            with torch.no_grad():
                evidence = self._evidence(w2d, conf, x_can, R, b, v, j)
        x, agreement, residual = evidence.solve(self.gradient)
        c = conf[b, v, j]
        good = residual < self.residual
        gate = good.to(x.dtype)
        if self.soft:
            gate = gate * ((self.tau - c) / self.soft).clamp(0, 1)
        old = w2d[b, v, j]
        # a joint that was not seen at all has no old place to stay at
        gate = torch.where(c > 0, gate, good.to(x.dtype))
        w_ref = w2d.index_put((b, v, j), old + gate[:, None] * (x - old))
        new = torch.maximum(c, torch.where(good, self.tau * agreement, 0.)).detach()
        return Fused(w_ref, conf.index_put((b, v, j), new), unchanged.residual.index_put((b, v, j), residual.detach()),
                     unchanged.refined.index_put((b, v, j), good))

    @staticmethod
    def _evidence(w2d: Tensor, conf: Tensor, x_can: Tensor, R: Tensor, b: Tensor, v: Tensor, j: Tensor) -> _Evidence:
        """What is known of joints j of views v in samples b; all of them (N,)."""
        B, V, J = conf.shape
        projected = (R[:, :, :2].reshape(B, V * 2, 3) @ x_can.reshape(B, V * J, 3).mT).view(B, V, 2, V, J)
        projected = projected.permute(0, 1, 3, 4, 2)                                   # B, V, U, J, 2
        scale, shift = _laid_on(projected, w2d, conf)                                  # B, V, U and B, V, U, 2
        p = scale[..., None, None] * projected + shift[..., None, :]
        u = torch.arange(V, device=w2d.device)
        own_scale, own_shift = scale[:, u, u], shift[:, u, u]
        Q = (R[:, :, None] @ R[:, None].mT)[b, v]                                      # N, U, 3, 3
        ratio = scale[b, v] / own_scale[b].clamp(min=1e-3)                             # N, U
        source = w2d[b, :, j] - own_shift[b]                                           # N, U, 2
        on_line = ratio[..., None] * (Q[..., :2, :2] @ source[..., None])[..., 0] + shift[b, v]
        d = Q[..., :2, 2]
        length = d.square().sum(-1).add(1e-12).sqrt()
        normal = torch.stack([-d[..., 1], d[..., 0]], -1) / length[..., None]
        c = conf[b, :, j]                                                              # N, U
        other = (u != v[:, None]) & (length > _SHORTEST)
        return _Evidence(w2d[b, v, j], conf[b, v, j], p[b, v, :, j], c, normal, (normal * on_line).sum(-1),
                         c * length * other, u != v[:, None])


class _Evidence(NamedTuple):
    """Terms of the energy of N joints, from U views each.

    Attributes:
        seen, conf: (N, 2), (N,) the detection.
        p, p_weight: (N, U, 2), (N, U) projections of the views' poses, by the source's confidence.
        normal, offset, line_weight: (N, U, 2), (N, U), (N, U) lines n.x = offset.
        other: (N, U) bool, not the view itself.
    """

    seen: Tensor
    conf: Tensor
    p: Tensor
    p_weight: Tensor
    normal: Tensor
    offset: Tensor
    line_weight: Tensor
    other: Tensor

    def solve(self, gradient: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Places (N, 2), agreement (N,) 0..1 and residual (N,) of the other views.

        Geman-McClure by iterative reweighting; gradients pass through the last round, which is what matters where the
        weights have settled.
        """
        with torch.no_grad():
            w = self.p_weight[..., None] + _FLOOR
            x = (self.p * w).sum(1) / w.sum(1)
            for _ in range(_ROUNDS - 1):
                x = self._round(x)
        with torch.set_grad_enabled(gradient and torch.is_grad_enabled()):
            x = self._round(x)
        with torch.no_grad():
            to_p = (x[:, None] - self.p).square().sum(-1)
            to_line = ((self.normal * x[:, None]).sum(-1) - self.offset).square()
            wp, wl = self.p_weight * self.other, self.line_weight * self.other
            total = (wp + wl).sum(1).clamp(min=_FLOOR)
            energy = (wp * _saturated(to_p / _REPROJECTION ** 2) + wl * _saturated(to_line / _LINE ** 2)).sum(1) / total
            off = (wp * _saturated(to_p / _REPROJECTION ** 2) * _REPROJECTION ** 2
                   + wl * _saturated(to_line / _LINE ** 2) * _LINE ** 2).sum(1) / total
        return x, (-energy).exp(), off.sqrt()

    def _round(self, x: Tensor) -> Tensor:
        """One round: weights at x, then the 2 x 2 normal equations."""
        k = self.conf / _DETECTION ** 2 * _certainty((x - self.seen).square().sum(-1) / _DETECTION ** 2)
        to_p = (x[:, None] - self.p).square().sum(-1)
        kp = self.p_weight / _REPROJECTION ** 2 * _certainty(to_p / _REPROJECTION ** 2)
        to_line = ((self.normal * x[:, None]).sum(-1) - self.offset).square()
        kl = self.line_weight / _LINE ** 2 * _certainty(to_line / _LINE ** 2)
        points = k + kp.sum(1)
        nx, ny = self.normal.unbind(-1)
        a = points + (kl * nx * nx).sum(1) + _FLOOR
        c = points + (kl * ny * ny).sum(1) + _FLOOR
        b = (kl * nx * ny).sum(1)
        r = k[:, None] * self.seen + (kp[..., None] * self.p).sum(1) \
            + ((kl * self.offset)[..., None] * self.normal).sum(1)
        return torch.stack([c * r[:, 0] - b * r[:, 1], a * r[:, 1] - b * r[:, 0]], -1) / (a * c - b * b)[:, None]


def _certainty(e2: Tensor) -> Tensor:
    """Weight of a term at a squared distance in units of its variance; three of them are where it gives way."""
    return (1 + e2 / 9).square().reciprocal()


def _saturated(e2: Tensor) -> Tensor:
    """Squared distance that does not grow past 9."""
    return e2 / (1 + e2 / 9)


def _laid_on(p: Tensor, w: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Scale (B, V, U) and shift (B, V, U, 2) that lay projections (B, V, U, 17, 2) on 2D joints (B, V, 17, 2).

    Least squares, weighted by squared confidences c (B, V, 17). Equal norms would do for clean joints; this also holds
    when some of them, or the root, are wrong.
    """
    m = c.square()[:, :, None, :, None]
    total = m.sum(-2).clamp(min=_FLOOR)
    w = w[:, :, None]
    mean_p, mean_w = (p * m).sum(-2) / total, (w * m).sum(-2) / total
    dp, dw = p - mean_p[..., None, :], w - mean_w[..., None, :]
    scale = (dp * dw * m).sum((-1, -2)) / (dp.square() * m).sum((-1, -2)).clamp(min=_FLOOR)
    return scale, mean_w - scale[..., None] * mean_p
