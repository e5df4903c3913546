# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cross-view self-fusion (CVSF, Kim, Lee, Oh and Lee, ACCV 2022; methods.md 6), and what we made of it.

`cvsf` is the paper's: lift, let the views refine each other's unsure 2D joints, lift again, in two stages of weights.
`cross_view` fuses in 3D, too: once the lifter's rotations mean something, those of all frames of a rig in the batch
are refined together with the skeletons (`rig_fusion`), and every view learns the fused pose. No 3D label in either.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..batch import Batch
from ..cross_view import CrossViewFusion, Fused
from ..losses.agreement import can_agree, procrustes_rotation, step_agree
from ..losses.anatomy import drawn_out
from ..losses.fusion import csm_keep, csm_terms
from ..losses.likelihood import pose_distance
from ..losses.reprojection import cam_shuffle, mix_of, pair_errors, rep_of
from ..networks import Lifted, Lifter
from ..networks.heads import rooted
from ..normalise import norm2d
from ..rig_fusion import RigPoses, fuse_rigs
from .canonpose import other_views
from .contract import NETWORK, consistency, network_of, rotations_of, seen_views, sigma_term

__all__ = ['CVSF', 'CrossView', 'fused_of']

#: weights of methods.md 6.5: before and from `stage` on
_STAGES: dict[str, tuple[float, float]] = {
    'rep': (1., .1), 'mix': (1., .1), 'cam_shuffle': (.1, .1), 'csm_keep': (1., .01), 'csm_rep': (.01, 1.),
    'csm_mix': (.01, 1.), 'can_agree': (.001, .01), 'step_agree': (.1, .001), 'rep2': (.1, .1), 'mix2': (.1, .1)}


#: residual, in normalised units, of fused poses that are half trusted; that of good ones is .015
_SOUND = .03
#: confidences between which a joint is almost sure
_ALMOST = (.7, .85)
#: fused rigs are trusted below the first and not at all above the second depth / width
_DRAWN_OUT = (1.3, 1.6)


def _round_enough(depth: Tensor) -> Tensor:
    return ((_DRAWN_OUT[1] - depth) / (_DRAWN_OUT[1] - _DRAWN_OUT[0])).clamp(0, 1)


def to_canonical(y_cam: Tensor, conf: Tensor) -> tuple[Tensor, Tensor]:
    """Poses of all views in the axes of the surest one, (B, V, 17, 3), and its rotations to them, (B, V, 3, 3).

    By Procrustes (methods.md 7.6): needs no rotations from the network; y_cam (B, V, 17, 3), conf (B, V, 17).
    """
    surest = conf.mean(-1).argmax(1)
    index = torch.arange(len(conf), device=conf.device)
    reference = y_cam[index, surest][:, None].expand_as(y_cam)
    R = procrustes_rotation(reference, y_cam, conf * conf[index, surest][:, None])
    return y_cam @ R, R


def fused_of(lifted: Lifted, batch: Batch, rounds: int, own: float = 1.) -> RigPoses:
    """`fuse_rigs` of what a lifter says about a batch; frames of one (subj, rig) are of one standing rig."""
    X, R = to_canonical(lifted.y_cam.detach(), batch.weight)
    key = batch.subj.long() * (batch.rig.max().long() + 1) + batch.rig.long()
    group = torch.unique(key, return_inverse=True)[1]
    return fuse_rigs(batch.w2d, batch.weight, X, R, group, rounds, batch.ray_rot, batch.scale_px, own)


class CrossView:
    """Cross-view self-fusion in 2D and 3D."""

    name = 'cross_view'
    summary = 'views repair and teach each other (CVSF, ACCV 2022, carried on to 3D over the frames of a rig)'

    def __init__(self) -> None:
        self._settings: dict[str, Any] = self.defaults()
        self._fusion = CrossViewFusion('off')

    def defaults(self) -> dict[str, Any]:
        return {
            **NETWORK, 'head': 'canon_direct', 'batch': 64, 'lr': 1e-3, 'weight_decay': 0., 'clip': 1.,
            'schedule': 'cosine', 'epochs': 20, 'warmup': 200, 'floor': .003, 'ema': .999, 'keep': 'last',
            'per_rig': 8, 'mirror': .5,
            'paper': False, 'csm': 'solve', 'tau': .5, 'csm_from': .1, 'stage': .6, 'ramp': .1, 'rounds': 6,
            'rep': 1., 'mix': 1., 'cam_shuffle': .1, 'drawn_out': 1., 'left': .1, 'fused': 1., 'own': .25,
        }

    def build(self, config: Mapping[str, Any]) -> Lifter:
        s = self._settings = self.defaults() | dict(config)
        self._fusion = CrossViewFusion(s['csm'], s['tau'], soft=.06 if s['csm'] == 'solve' else 0., gradient=s['paper'])
        return network_of(s)

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        return (self._two_steps if self._settings['paper'] else self._taught)(network, batch, progress)

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        return float(consistency(network.lift(batch), batch))

    @torch.no_grad()
    def figures(self, network: Lifter, batch: Batch) -> dict[str, float]:
        """echo: how far the other views would move joints that are almost sure, mean, units of normalised 2D.

        Such a joint's own error is .02. What is moved further is moved by views that learned to agree with each other
        on a wrong place (methods.md 7.12).
        """
        X, R = rotations_of(network.lift(batch), self.name)
        w, c = batch.w2d, batch.weight
        fused = CrossViewFusion('solve', _ALMOST[1], gradient=False)(w, c, X, R)
        almost = fused.refined & (c > _ALMOST[0])
        return {'echo': float((fused.w2d - w).norm(dim=-1)[almost].mean())} if bool(almost.any()) else {}

    def refine(self, lifted: Lifted, batch: Batch) -> Fused:
        """2D joints of a batch after cross-view self-fusion, normalised; `denormalise` takes them back to px."""
        X, R = rotations_of(lifted, self.name)
        return self._fusion(batch.w2d, batch.weight, X, R)

    def _taught(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Reprojection alone, then mostly the fused poses of the rigs."""
        s, c, views = self._settings, batch.weight, seen_views(batch)
        lifted = network.lift(batch)
        X, R = rotations_of(lifted, self.name)
        ramp = min(max((progress - s['csm_from']) / max(s['ramp'], 1e-9), 0.), 1.)
        taught: float | Tensor = 0.
        w, found, target, known = batch.w2d, rooted(X @ R.mT), other_views(lifted, views), c
        terms: dict[str, Tensor] = {}
        if ramp:
            fused = fused_of(lifted, batch, s['rounds'], s['own'])
            # a rig whose fused poses do not explain its 2D, or are drawn out in depth, has no sound rotations yet
            sound = 1 / (1 + (fused.residual / _SOUND) ** 4) * _round_enough(fused.depth)[:, None] * views
            taught = ramp * (sound.sum() / views.sum().clamp(min=1))
            target, known = fused.y_cam, fused.weight[:, None] * sound[..., None]
            terms['fused'] = taught * s['fused'] * pose_distance(lifted.y_cam, target, known)
            refined = self._fusion(w, c, X.detach(), R.detach())
            w, c = refined.w2d, refined.conf
        left = 1 - (1 - s['left']) * taught
        if s['head'] == 'canon_direct':                    # until somebody knows better
            terms['follow'] = (1 - taught) * pose_distance(
                lifted.y_cam, found.detach(), views[..., None] * torch.ones_like(c))
        errors = pair_errors(w, X, R, c)
        terms['rep'] = left * s['rep'] * rep_of(errors, views)
        terms['mix'] = left * s['mix'] * mix_of(errors, views)
        if s['cam_shuffle']:
            terms['cam_shuffle'] = left * s['cam_shuffle'] * cam_shuffle(
                w, X, R, c, views, batch.subj, batch.rig, batch.ray_rot)
        if s['drawn_out']:
            terms['drawn_out'] = s['drawn_out'] * drawn_out(found, views)
        return terms | {'sigma': sigma_term(lifted, target, known)}

    def _two_steps(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Lift, refine, lift again (methods.md 6.5)."""
        s, w, c, views = self._settings, batch.w2d, batch.weight, seen_views(batch)
        weight = {k: v[progress >= s['stage']] for k, v in _STAGES.items()}
        lifted = network.lift(batch)
        X, R = rotations_of(lifted, self.name)
        errors = pair_errors(w, X, R, c)
        terms = {'rep': rep_of(errors, views), 'mix': mix_of(errors, views),
                 'cam_shuffle': cam_shuffle(w, X, R, c, views, batch.subj, batch.rig, batch.ray_rot)}
        if progress >= s['csm_from']:
            refined = self._fusion(w, c, X, R)
            terms['csm_keep'] = csm_keep(w, refined.w2d, c, views)
            terms['csm_rep'], terms['csm_mix'] = csm_terms(refined.w2d, X, R, refined.conf, views)
            again = norm2d(refined.w2d.detach(), refined.conf).w2d
            second = network.lift_views(torch.cat([again, refined.conf[..., None]], -1))
            X2, R2 = rotations_of(second, self.name)
            errors = pair_errors(again, X2, R2, refined.conf)
            terms |= {'can_agree': can_agree(X2, views), 'step_agree': step_agree(X, X2, c),
                      'rep2': rep_of(errors, views), 'mix2': mix_of(errors, views)}
        out = {k: weight[k] * v for k, v in terms.items()}
        return out | {'sigma': sigma_term(lifted, other_views(lifted, views), c)}


class CVSF(CrossView):
    """The paper's weights and schedule (methods.md 6.5, 6.6), the width of its network, and its heat map."""

    name = 'cvsf'
    summary = "cross-view self-fusion with the paper's network, heat map, weights and schedule (ACCV 2022)"

    def defaults(self) -> dict[str, Any]:
        return super().defaults() | {
            'paper': True, 'head': 'canon_rot', 'drawn_out': 0., 'csm': 'heat', 'tau': .85, 'csm_from': .05,
            'stage': .6, 'width': 1024, 'weight_decay': 1e-5, 'clip': 0., 'keep': 'best', 'per_rig': 4, 'mirror': 0.,
            'lr': 1e-4, 'epochs': 100, 'schedule': 'step', 'warmup': 0, 'ema': 0.,
            'decays': [[.3, .1], [.5, .01], [.6, .5], [.8, .05], [.9, .005]]}
