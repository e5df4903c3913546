# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lift, turn, project, lift again: single views, 2D alone (Chen et al., CVPR 2019; methods.md 1).

A pose is lifted, seen from another side, lifted again and turned back: the 2D must come out. A critic rates whether
what is seen from the other side could be a person, another one whether people move like that. Unlike the paper's, the
lifter estimates all of a pose, not its depth alone, so that a wrong 2D joint can be corrected; and what is seen from
the other side gets the 2D errors of another sample: a critic would recognise it without. Perspective is
that of the cameras, with guessed focal lengths, and how far they look down is learned on the way (as in ElePose, CVPR
2022): a symmetric guess would allow the depth reversal.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..data.batch import Batch
from ..errors import SettingError
from ..losses.adversarial import critic_loss, generator_loss, gradient_penalty
from ..losses.anatomy import bone_lengths, chirality, depth_elongation, limb_len, symmetry
from ..losses.cycle import camera_distance, framed, seen_from, turns_between
from ..losses.likelihood import pose_distance
from ..losses.reprojection import rep_l1
from ..networks import Lifted, Lifter
from ..networks.adapter import Adapter
from ..networks.critic import Critic, Tilt, frozen
from .base import AuxiliarySettings, Method, NetworkSettings, seen_views, sigma_term

__all__ = ['LiftReprojectLift', 'LiftReprojectLiftSettings']

#: the critics' gradients are penalised in every fourth step only, and count four times as much
_PENALTY_EVERY = 4
#: larger 2D errors than this are not handed on: the lifter is not yet good enough to measure them
_MOST_ERROR = .3


class _Views(NamedTuple):
    """N single views at two instants.

    Attributes:
        pose: (N, 2, 17, 3) as lifters take them, the newer one last.
        scale: (N, 1, 1) what the newer one was divided by, units of the image plane.
        other: (N,) bool, of the second source.
    """

    pose: Tensor
    scale: Tensor
    other: Tensor


@dataclass(frozen=True, kw_only=True)
class LiftReprojectLiftSettings(NetworkSettings, AuxiliarySettings):
    """Of `LiftReprojectLift`."""

    head: str = 'pose3d'
    lr: float = 1e-3
    weight_decay: float = 0.
    schedule: str = 'cosine'
    steps: int = 1000
    warmup: int = 100
    ema: float = .999
    clip: float = 1.
    mirror: float = .5
    keep: str = 'last'
    evaluate_every: int = 100
    val_samples: int = 512
    sign_check_after: float = .15
    #: frames between the two poses that the critic of motion gets
    frame_gap: int = 15
    #: of critics and adapter
    critic_width: int = 128
    #: share of the training over which the weight of the critics rises
    adversarial_warmup: float = .2
    #: weights of the reprojection, and of 2D and 3D after the cycle
    rep: float = 2.
    cycle_2d: float = 1.
    cycle_3d: float = .5
    #: weights of the critics of poses and of motion
    adv_2d: float = .2
    adv_temporal: float = .1
    #: weight of the penalty on the critics' gradients (R1)
    gradient_penalty: float = 3e-4
    #: weights of bone lengths, equal sides, bent knees, and of what poses are deeper than wide
    bone_length: float = .5
    symmetry: float = .1
    chirality: float = .05
    depth_elongation: float = 1.
    #: how far cameras look down, rad, where its estimate begins
    initial_tilt: float = .12
    #: 2D joints of another 2D network: a path, or "shifted"; '' = none
    second_source: str = ''
    #: whether an adapter maps these to the first network's, with a critic, and the weights of both
    adapter: bool = True
    adv_domain: float = .3
    adapter_keep: float = 1.


class LiftReprojectLift(Method):
    """One view at a time; critics, tilt and adapter are auxiliary networks."""

    name = 'lift_reproject_lift'
    summary = 'single views: seen from another side, a lifted pose must still be a person (Chen et al., CVPR 2019)'
    #: of each clip, for the critic of motion
    frames = 2

    settings_type = LiftReprojectLiftSettings
    settings: LiftReprojectLiftSettings
    auxiliary: nn.ModuleDict

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary = nn.ModuleDict()
        #: name of a critic -> real and generated poses of the last batch
        self._pairs: dict[str, tuple[Tensor, Tensor]] = {}

    @property
    def frame_gap(self) -> int:
        return self.settings.frame_gap

    @property
    def second_source(self) -> str:
        return self.settings.second_source

    def build(self) -> Lifter:
        """The lifter, and the auxiliary networks.

        Raises:
            TrainingError: the lifter looks at several frames.
        """
        s = self.settings
        network: Lifter = super().build()
        if network.frames > 1:
            raise SettingError(f'must be frame_mlp or res_mlp: {self.name} lifts single frames', setting='body')
        width = s.critic_width
        self.auxiliary = nn.ModuleDict({'tilt': Tilt(start=s.initial_tilt)})
        if s.adv_2d:
            self.auxiliary['pose'] = Critic(1, width)
        if s.adv_temporal:
            self.auxiliary['motion'] = Critic(2, width)
        if s.second_source and s.adapter:
            self.auxiliary['adapter'], self.auxiliary['domain'] = Adapter(width), Critic(1, width)
        return network

    # -- the lifter's loss ------------------------------------------------------------------------------------------

    def loss(self, network: Lifter, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Terms of the lifter, and of the auxiliary networks that minimise them, too: tilt and adapter."""
        s = self.settings
        terms: dict[str, Tensor] = {}
        self._pairs = {}
        views = self._adapted(_views(batch), terms)
        n, now = len(views.pose), views.pose[:, 1]
        w, c = now[..., :2], now[..., 2]
        lifted = network(views.pose.flatten(0, 1))
        both = lifted.y_cam.unflatten(0, (n, 2))
        y = both[:, 1]
        distance = camera_distance(y, w * views.scale, c)
        turns = self._turns(now)
        turned = both @ turns[:, None].mT
        here, there = _both_seen(both, distance), _both_seen(turned, distance)
        observed = _observed(there, views.pose, here)
        again = network(observed[:, 1]).y_cam
        back = again @ turns
        terms |= {
            'rep': s.rep * rep_l1(w, here[:, 1], c).mean(),
            'cycle_3d': s.cycle_3d * pose_distance(again, turned[:, 1], torch.ones_like(c)),
            'cycle_2d': s.cycle_2d * rep_l1(w, seen_from(back, distance), c).mean(),
            'bone_length': s.bone_length * limb_len(y, bone_lengths(y).detach().mean(0)),
            'symmetry': s.symmetry * symmetry(y), 'chirality': s.chirality * chirality(y),
            'depth_elongation': s.depth_elongation * depth_elongation(
                y[:, None], torch.ones_like(c[:, :1], dtype=torch.bool))}
        real, generated = views.pose[..., :2], observed[..., :2]
        self._pairs |= {'pose': (real[:, 1], generated[:, 1]), 'motion': (real, generated)}
        # critics hold an untrained lifter back: their weight rises
        ramp = min(1., progress / s.adversarial_warmup) if s.adversarial_warmup else 1.
        for name, weight in (('pose', s.adv_2d), ('motion', s.adv_temporal)):
            if weight:
                with frozen(self.auxiliary[name]):
                    terms['adv_' + name] = ramp * weight * generator_loss(self.auxiliary[name], self._pairs[name][1])
        newer = Lifted(y, None, None, lifted.log_sigma.unflatten(0, (n, 2))[:, 1])
        return terms | {'sigma': sigma_term(newer, back, c)}

    def _adapted(self, views: _Views, terms: dict[str, Tensor]) -> _Views:
        """2D poses of the second source as the first would give them; the adapter's own go into `terms`."""
        if 'adapter' not in self.auxiliary or not bool(views.other.any()) or bool(views.other.all()):
            return views
        s, domain = self.settings, self.auxiliary['domain']
        theirs = views.pose[views.other].flatten(0, 1)
        moved = self.auxiliary['adapter'](theirs)
        xy, conf = moved[..., :2] - moved[:, :1, :2], moved[..., 2]
        adapted = torch.cat([framed(xy, conf), conf[..., None]], -1)
        self._pairs['domain'] = (views.pose[~views.other].flatten(0, 1)[..., :2], adapted[..., :2])
        with frozen(domain):
            terms['adv_domain'] = s.adv_domain * generator_loss(domain, adapted[..., :2])
        terms['adapter_keep'] = s.adapter_keep * (moved - theirs).square().sum((-1, -2)).mean()
        pose = views.pose.clone()
        pose[views.other] = adapted.detach().unflatten(0, (-1, 2))
        return views._replace(pose=pose)

    def _turns(self, pose: Tensor) -> Tensor:
        """(N, 3, 3) to other cameras: any azimuth, as high as another sample's camera."""
        azimuth = (torch.rand(len(pose), device=pose.device) * 2 - 1) * math.pi
        tilt = self.auxiliary['tilt'](pose)
        return turns_between(azimuth, tilt, tilt.detach()[torch.randperm(len(tilt), device=tilt.device)])

    # -- the critics' own loss -----------------------------------------------------------------------------------

    def auxiliary_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Critics, of what the lifter's loss has just made of this batch."""
        terms: dict[str, Tensor] = {}
        for name, (real, generated) in self._pairs.items():
            if name not in self.auxiliary:
                continue
            critic = self.auxiliary[name]
            terms['critic_' + name] = critic_loss(critic, real, generated)
            if self.settings.gradient_penalty and step % _PENALTY_EVERY == 0:
                terms['gradient_penalty_' + name] = (_PENALTY_EVERY * self.settings.gradient_penalty
                                                     * gradient_penalty(critic, real))
        return terms

    # -- held-out data ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def criterion(self, network: Lifter, batch: Batch) -> float:
        """Error of the 2D that comes out of the cycle, the same turns in every evaluation."""
        _, again, turns, distance, pose = self._cycle(network, batch)
        return float(rep_l1(pose[..., :2], seen_from(again @ turns, distance), pose[..., 2]).mean())

    @torch.no_grad()
    def figures(self, network: Lifter, batch: Batch) -> dict[str, float]:
        """cyclic_flip: share of poses whose depth has the other sign when they are lifted from the other side."""
        turned, again, *_ = self._cycle(network, batch)
        return {'cyclic_flip': float(((turned[..., 2] * again[..., 2]).sum(-1) < 0).float().mean())}

    def _cycle(self, network: Lifter, batch: Batch) -> tuple[Tensor, ...]:
        """Poses (N, 17, 3) turned and lifted again, turns, distances and 2D poses."""
        views = seen_views(batch)
        pose = batch.pose[views]
        conf = pose[..., 2]
        y = network.lift(batch).y_cam[views]
        distance = camera_distance(y, pose[..., :2] * batch.scale_px[views][..., None], conf)
        azimuth = torch.linspace(.3, 2 * math.pi - .3, len(y), device=y.device)
        tilt = torch.full_like(azimuth, self.settings.initial_tilt)
        turns = turns_between(azimuth, tilt, tilt)
        turned = y @ turns.mT
        w = framed(seen_from(turned, distance), conf)
        again = network.lift_views(torch.cat([w, conf[..., None]], -1)[:, None]).y_cam[:, 0]
        return turned, again, turns, distance, pose


def _views(batch: Batch) -> _Views:
    """The views of a batch in which anything is seen, one by one; of a batch of single frames each twice."""
    there = seen_views(batch)
    if batch.past_px is None:
        pose = batch.pose[:, :, None].expand(-1, -1, 2, -1, -1)
    else:
        pose = batch.past_pose[:, :, -2:]
    other = torch.zeros_like(there) if batch.source is None else (batch.source > 0)[:, None].expand_as(there)
    return _Views(pose[there], batch.scale_px[there][..., None], other[there])


def _both_seen(poses: Tensor, distance: Tensor) -> Tensor:
    """2D (N, 2, 17, 2) of poses (N, 2, 17, 3)."""
    return seen_from(poses.flatten(0, 1), distance.repeat_interleave(2)).unflatten(0, (-1, 2))


def _observed(there: Tensor, pose: Tensor, here: Tensor) -> Tensor:
    """2D poses (N, 2, 17, 3) from there as a 2D network would give them: with another sample's errors and confidences.

    Args:
        there, here: (N, 2, 17, 2) what the lifted pose looks like from there, and from where it was seen.
        pose: (N, 2, 17, 3) what was seen.
    """
    order = torch.randperm(len(there), device=there.device)
    errors = (pose[..., :2] - here).detach()[order].clamp(-_MOST_ERROR, _MOST_ERROR)
    conf = pose[order][..., 2]
    noisy = there + errors
    noisy = noisy - noisy[:, :, :1]
    return torch.cat([framed(noisy.flatten(0, 1), conf.flatten(0, 1)).unflatten(0, (-1, 2)), conf[..., None]], -1)
