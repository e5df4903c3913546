# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cross-view self-fusion (CVSF, Kim, Lee, Oh and Lee, ACCV 2022; methods.md 6), and what we made of it.

`cvsf` is the paper's: lift, let the views refine each other's unsure 2D joints, lift again, in two stages of weights.
`cross_view` fuses in 3D, too: once the lifter's rotations mean something, those of all frames of a rig in the batch
are refined together with the skeletons (`rig_fusion`), and every view learns the fused pose. No 3D label in either.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.normalise import norm2d
from ..fusion.cross_view import CrossViewFusion, Fused
from ..fusion.rig import RigPoses, fuse_rigs
from ..losses.agreement import canonical_consistency, procrustes_rotation, step_consistency
from ..losses.anatomy import depth_elongation
from ..losses.fusion import csm_keep, csm_terms
from ..losses.likelihood import pose_distance
from ..losses.reprojection import cam_shuffle, mix_of, pair_errors, rep_of
from ..networks import Lifted, Lifter
from ..networks.heads import rooted
from ..settings import Settings
from .base import LifterSettings, Method, consistency, rotations_of, seen_views, sigma_term
from .canonpose import other_views

__all__ = ['CVSF', 'CVSFSettings', 'CrossView', 'CrossViewSettings', 'fused_of']

#: weights of methods.md 6.5: before and from `stage` on
_STAGES: dict[str, tuple[float, float]] = {
    'rep': (1., .1), 'mix': (1., .1), 'cam_shuffle': (.1, .1), 'csm_keep': (1., .01), 'csm_rep': (.01, 1.),
    'csm_mix': (.01, 1.), 'canonical_consistency': (.001, .01), 'step_consistency': (.1, .001), 'rep2': (.1, .1),
    'mix2': (.1, .1)}
#: residual, in normalised units, of fused poses that are half trusted; that of good ones is .015
_SOUND = .03
#: confidences between which a joint is almost sure
_ALMOST = (.7, .85)
#: fused rigs are trusted below the first and not at all above the second depth / width
_ELONGATION = (1.3, 1.6)


def _depth_trust(depth: Tensor) -> Tensor:
    return ((_ELONGATION[1] - depth) / (_ELONGATION[1] - _ELONGATION[0])).clamp(0, 1)


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
    """`fuse_rigs` of a lifter's output for a batch; frames of one (subj, rig) are of one standing rig."""
    X, R = to_canonical(lifted.y_cam.detach(), batch.weight)
    key = batch.subj.long() * (batch.rig.max().long() + 1) + batch.rig.long()
    group = torch.unique(key, return_inverse=True)[1]
    return fuse_rigs(batch.w2d, batch.weight, X, R, group, rounds, batch.ray_rot, batch.scale_px, own)


@dataclass(frozen=True, kw_only=True)
class CrossViewSettings(LifterSettings):
    """Of `CrossView`."""

    head: str = 'canon_direct'
    per_rig: int = 8
    #: the paper's loss: lift, refine, lift again
    paper_loss: bool = False
    #: how 2D joints are refined: solve, heat (the release's heat map) or off
    csm: str = 'solve'
    #: confidence below which a joint is refined
    tau: float = .5
    #: share of the training from which on joints are refined, and poses fused
    csm_from: float = .1
    #: with the paper's loss: share of the training at which its second stage begins
    stage: float = .6
    #: share of the training over which the fused poses' weight rises
    ramp: float = .1
    #: rounds of skeletons and rotations in the fusion of a rig
    rounds: int = 6
    #: weights of the reprojection into the own view, into the others, and with rotations of another instant
    rep: float = 1.
    mix: float = 1.
    cam_shuffle: float = .1
    #: weight of what poses are deeper than wide
    depth_elongation: float = 1.
    #: share of the reprojection losses that is left where fused poses are trusted
    reprojection_share: float = .1
    #: weight of the distance to the fused poses
    fused_pose: float = 1.
    #: weight of a view's own 2D in the fused pose that it learns
    own_view: float = .25


@dataclass(frozen=True, kw_only=True)
class CVSFSettings(CrossViewSettings):
    """Of `CVSF`: the paper's."""

    paper_loss: bool = True
    head: str = 'canon_rot'
    depth_elongation: float = 0.
    csm: str = 'heat'
    tau: float = .85
    csm_from: float = .05
    width: int = 1024
    weight_decay: float = 1e-5
    clip: float = 0.
    keep: str = 'best'
    per_rig: int = 4
    mirror: float = 0.
    lr: float = 1e-4
    epochs: int = 100
    schedule: str = 'step'
    warmup: int = 0
    ema: float = 0.
    decays: list[list[float]] = field(
        default_factory=lambda: [[.3, .1], [.5, .01], [.6, .5], [.8, .05], [.9, .005]])


class CrossView(Method):
    """Cross-view self-fusion in 2D and 3D."""

    name = 'cross_view'
    summary = 'views repair and label_all each other (CVSF, ACCV 2022, carried on to 3D over the frames of a rig)'

    settings_type: ClassVar[type[Settings]] = CrossViewSettings
    settings: CrossViewSettings
    _fusion = CrossViewFusion('off')

    def build(self) -> Lifter:
        s = self.settings
        self._fusion = CrossViewFusion(s.csm, s.tau, soft=.06 if s.csm == 'solve' else 0., gradient=s.paper_loss)
        network: Lifter = super().build()
        return network

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        return (self._two_steps if self.settings.paper_loss else self._with_fused_poses)(network, batch, progress)

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

    def _with_fused_poses(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Reprojection alone, then mostly the fused poses of the rigs."""
        s, c, views = self.settings, batch.weight, seen_views(batch)
        lifted = network.lift(batch)
        X, R = rotations_of(lifted, self.name)
        ramp = min(max((progress - s.csm_from) / max(s.ramp, 1e-9), 0.), 1.)
        trusted: float | Tensor = 0.
        w, found, target, known = batch.w2d, rooted(X @ R.mT), other_views(lifted, views), c
        terms: dict[str, Tensor] = {}
        if ramp:
            fused = fused_of(lifted, batch, s.rounds, s.own_view)
            # a rig whose fused poses do not explain its 2D, or are deeper than wide, has no sound rotations yet
            sound = 1 / (1 + (fused.residual / _SOUND) ** 4) * _depth_trust(fused.depth)[:, None] * views
            trusted = ramp * (sound.sum() / views.sum().clamp(min=1))
            target, known = fused.y_cam, fused.weight[:, None] * sound[..., None]
            terms['fused'] = trusted * s.fused_pose * pose_distance(lifted.y_cam, target, known)
            refined = self._fusion(w, c, X.detach(), R.detach())
            w, c = refined.w2d, refined.conf
        left = 1 - (1 - s.reprojection_share) * trusted
        if s.head == 'canon_direct':                       # as long as no fused pose is trusted
            terms['follow'] = (1 - trusted) * pose_distance(
                lifted.y_cam, found.detach(), views[..., None] * torch.ones_like(c))
        errors = pair_errors(w, X, R, c)
        terms['rep'] = left * s.rep * rep_of(errors, views)
        terms['mix'] = left * s.mix * mix_of(errors, views)
        if s.cam_shuffle:
            terms['cam_shuffle'] = left * s.cam_shuffle * cam_shuffle(
                w, X, R, c, views, batch.subj, batch.rig, batch.ray_rot)
        if s.depth_elongation:
            terms['depth_elongation'] = s.depth_elongation * depth_elongation(found, views)
        return terms | {'sigma': sigma_term(lifted, target, known)}

    def _two_steps(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Lift, refine, lift again (methods.md 6.5)."""
        s, w, c, views = self.settings, batch.w2d, batch.weight, seen_views(batch)
        weight = {k: v[progress >= s.stage] for k, v in _STAGES.items()}
        lifted = network.lift(batch)
        X, R = rotations_of(lifted, self.name)
        errors = pair_errors(w, X, R, c)
        terms = {'rep': rep_of(errors, views), 'mix': mix_of(errors, views),
                 'cam_shuffle': cam_shuffle(w, X, R, c, views, batch.subj, batch.rig, batch.ray_rot)}
        if progress >= s.csm_from:
            refined = self._fusion(w, c, X, R)
            terms['csm_keep'] = csm_keep(w, refined.w2d, c, views)
            terms['csm_rep'], terms['csm_mix'] = csm_terms(refined.w2d, X, R, refined.conf, views)
            again = norm2d(refined.w2d.detach(), refined.conf).w2d
            second = network.lift_views(torch.cat([again, refined.conf[..., None]], -1))
            X2, R2 = rotations_of(second, self.name)
            errors = pair_errors(again, X2, R2, refined.conf)
            terms |= {'canonical_consistency': canonical_consistency(X2, views),
                      'step_consistency': step_consistency(X, X2, c), 'rep2': rep_of(errors, views),
                      'mix2': mix_of(errors, views)}
        out = {k: weight[k] * v for k, v in terms.items()}
        return out | {'sigma': sigma_term(lifted, other_views(lifted, views), c)}


class CVSF(CrossView):
    """The paper's weights and schedule (methods.md 6.5, 6.6), the width of its network, and its heat map."""

    name = 'cvsf'
    summary = "cross-view self-fusion with the paper's network, heat map, weights and schedule (ACCV 2022)"
    settings_type = CVSFSettings
