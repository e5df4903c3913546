# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Images to 3D poses: 2D labels for some pictures, and several views of the same instant that nobody has labelled.

Iqbal, Molchanov and Kautz, CVPR 2020 (methods.md 4). The network gives joints and their depths behind the pelvis; with
the camera's intrinsics that is a pose, and poses of one instant must be the same body up to a rotation.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from selfpose_ros.core.body import BONE_PRIOR_M
from selfpose_ros.core.skeleton import MIRROR
from selfpose_ros.models.store import open_model

from .. import checkpoint, metrics
from ..errors import TrainingError
from ..export.reader import read_pose2d
from ..images.groups import GroupBatch, Groups, make_groups
from ..losses.agreement import mv_procrustes, procrustes_rotation, unit_pose
from ..losses.anatomy import chirality, chirality_score, depth_elongation, limb_len, z_bound
from ..losses.heat_map import heatmap_cross, heatmap_mse
from ..losses.likelihood import laplace_nll
from ..metrics import EVAL16
from ..networks.points25d import HeatMap25D, Seen, confidence, places, pose_of, rays_of, target_maps
from ..networks.vision import MEAN, STD
from .image_base import ImageMethod, TowerSettings
from .pose2d import pck

__all__ = ['HeatMap25DMethod', 'HeatMap25DSettings', 'PointsGraph']

#: weight of "nowhere" for a joint outside the picture
_NOWHERE = .05
#: share of the training over which the losses without labels rise
_RAMP = .1
#: share of the training over which the loss of chirality fades
_FADE = .3
_SIGMA_WEIGHT = 1e-2
_FLOOR = 1e-8
#: what the names of its weights begin with
_TOWER = 'tower.'


@dataclass(frozen=True, kw_only=True)
class HeatMap25DSettings(TowerSettings):
    """Of `HeatMap25DMethod`."""

    #: whose tower it begins with: a model of `pose2d` (its folder, or the name of a shipped one), or the folder of a
    #: run of `pose2d`; '' = none, which needs many more steps and labels
    start: str = 'rendered_pose'
    #: pictures of an instant, and all that are rendered
    views: int = 2
    pictures: int = 800
    #: groups with 2D labels, and whether the others are used, too
    labelled: int = 40
    unlabelled: bool = True
    batch: int = 8
    lr: float = 1e-3
    schedule: str = 'cosine'
    steps: int = 1500
    warmup: int = 50
    ema: float = .99
    val_samples: int = 256
    evaluate_every: int = 250
    clip: float = 5.
    floor: float = .003
    sign_check_after: float = .5
    #: weights of the heat maps, squared and cross-entropy
    heatmap: float = 1.
    cross: float = 1.
    #: weights of the views' agreement, of bone lengths, of depths beyond max_depth, of poses deeper than wide, of knees
    multi_view: float = 2.
    limb_length: float = .5
    z_bound: float = 1.
    #: in lengths of the reference bone
    max_depth: float = 1.5
    depth_elongation: float = 1.
    chirality: float = 1.
    #: weight of pseudo labels (a picture and its mirror image), and from which confidence on they are used
    pseudo: float = .3
    pseudo_confidence: float = .5
    #: share of the losses' gradient that moves joints in the picture; all of it moves depths
    point_gradient: float = .3
    #: share of the training at which the losses without labels begin
    stage: float = .2


class HeatMap25DMethod(ImageMethod):
    """See the module."""

    name = 'heatmap25d'
    summary = 'images to 3D with 2D labels for a part and unlabelled multi-view pictures (Iqbal et al., CVPR 2020)'
    settings_type = HeatMap25DSettings
    settings: HeatMap25DSettings

    def make_pictures(self, joints: Any, count: int, seed: int, file: Path, jobs: int, held_out: bool) -> Groups:
        """Groups of pictures of people in poses `joints` (N, 17, 3) m."""
        s = self.settings
        groups = make_groups(joints, self.task, s.views, max(count // s.views, 1), seed, file, jobs)
        if held_out:
            return groups
        # the others are not used before the heat maps are there
        epoch = max(1, len(groups) // s.batch)
        steps = s.steps or s.epochs * epoch
        return groups.of(s.labelled, s.unlabelled, int(s.stage * steps / epoch))

    def build(self) -> HeatMap25D:
        s = self.settings
        tower = _tower_of(s.start) if s.start else {}
        # a model's tower has its batch normalisation in its convolutions, which have biases of their own then
        normal = not tower or any(name.endswith('running_mean') for name in tower)
        network = HeatMap25D(self.task.size, list(s.stages), list(s.depth), s.hidden, norm=normal)
        if tower:
            _take_tower(network, tower, s.start)
        return network.to(memory_format=torch.channels_last)   # type: ignore[call-overload,no-any-return]

    # -- training

    def loss(self, network: nn.Module, batch: GroupBatch, progress: float) -> dict[str, Tensor]:
        s = self.settings
        ramp = min(max((progress - s.stage) / _RAMP, 0.), 1.)
        if ramp <= 0 and not bool(batch.labelled.all()):
            batch = batch.part(batch.labelled)             # the others are not used yet
        images = (batch.image.flatten(0, 1) - MEAN) / STD
        seen = network(images)
        labelled = batch.labelled[:, None].expand(batch.weight.shape[:2]).flatten()
        weight = batch.weight.flatten(0, 1)
        target = target_maps(batch.points.flatten(0, 1), seen.heat)
        target = torch.where(weight[..., None, None] > 0, target, 1. / target[0, 0].numel())
        share = torch.where(weight > 0, weight, _NOWHERE) * labelled[:, None]
        terms = {'heatmap': s.heatmap * heatmap_mse(seen.heat, target, weight * labelled[:, None]),
                 'cross': s.cross * heatmap_cross(seen.heat, target, share)}
        if ramp <= 0:
            return terms
        if s.pseudo and not bool(labelled.all()):
            pseudo, sure = _pseudo_labels(network, images[~labelled], seen.heat[~labelled].detach())
            use = (sure > s.pseudo_confidence).float()
            terms['pseudo'] = ramp * s.pseudo * heatmap_cross(seen.heat[~labelled], pseudo, use)
        # the labels hold the joints in place; what views disagree about is the depth first
        points = seen.points.detach() + s.point_gradient * (seen.points - seen.points.detach())
        pose = _posed(seen._replace(points=points), batch)
        Y, c = pose.joints, pose.weight
        lengths = torch.as_tensor(BONE_PRIOR_M, dtype=Y.dtype, device=Y.device)
        terms['multi_view'] = ramp * s.multi_view * mv_procrustes(Y, c, sized=True)
        terms['limb_length'] = ramp * s.limb_length * limb_len(Y, lengths, c)
        terms['z_bound'] = ramp * s.z_bound * z_bound(Y, s.max_depth)
        terms['depth_elongation'] = ramp * s.depth_elongation * depth_elongation(Y, torch.ones_like(Y[..., 0, 0]))
        # views agree about reversed bodies, too, and fall for them more often than not; later on it would only hide a
        # body that is reversed but for the knees
        fading = min(max((s.stage + _FADE - progress) / (_FADE - _RAMP), 0.), 1.)
        terms['chirality'] = ramp * fading * s.chirality * chirality(unit_pose(Y))
        terms['sigma'] = ramp * _SIGMA_WEIGHT * laplace_nll(Y.detach(), _of_others(Y.detach(), c), pose.log_sigma, c)
        return terms

    @torch.no_grad()
    def criterion(self, network: nn.Module, batch: GroupBatch) -> float:
        """Mean distance in 2D (no more than 1 for a joint) plus how far views disagree, both in torso lengths."""
        seen = network((batch.image.flatten(0, 1) - MEAN) / STD)
        off, there = _errors(seen, batch)
        pose = _posed(seen, batch)
        return float((off.clamp(max=1.) * there).sum() / there.sum().clamp(min=1)
                     + mv_procrustes(pose.joints, pose.weight, sized=True))

    @torch.no_grad()
    def figures(self, network: nn.Module, batch: GroupBatch) -> dict[str, float]:
        """Detectors of collapse, PCK in per cent, and for groups whose truth is known errors in mm.

        extent: root mean square distance of the joints from their middle over the height of the picture.
        stretched: share of poses whose reference bone is longer in the picture than its depth allows.
        depth_elongation: spread of the depths over that of x, as `depth`; large = poses that are all depth.
        disagreement: of views after the best rotation, lengths of the reference bone.
        chirality, reversed, depth, variety: see `collapse.detect`.
        """
        seen = network((batch.image.flatten(0, 1) - MEAN) / STD)
        off, there = _errors(seen, batch)
        pose = _posed(seen, batch)
        y = unit_pose(pose.joints.flatten(0, 1))
        score = chirality_score(y)
        middle = seen.points - seen.points.mean(1, keepdim=True)
        out = {'pck_20': torch.tensor(pck(off, there, .2)), 'pck_10': torch.tensor(pck(off, there, .1)),
               'chirality': score.mean(), 'reversed': (score < 0).float().mean(),
               'depth': y[..., 2].std() / y[..., 0].std().clamp(min=_FLOOR),
               'variety': y.var(0, unbiased=False).mean() / y.square().mean().clamp(min=_FLOOR),
               'depth_elongation': y[..., 2].std() / y[..., 0].std().clamp(min=_FLOOR),
               'extent': middle.square().sum(-1).mean().sqrt() / batch.image.shape[-2],
               'stretched': pose.stretched.float().mean(),
               'disagreement': mv_procrustes(pose.joints, pose.weight, sized=True)}
        figures = {k: float(v) for k, v in out.items()}
        return figures if batch.joints is None else figures | _true_errors(pose, batch.joints)

    def export(self, network: nn.Module, folder: Path, card: Mapping[str, Any]) -> None:
        """A model folder, see `images.export`."""
        from ..export.images import export_vision
        export_vision(PointsGraph(network), 'points25d', self.task.size, folder, card)


def _tower_of(start: str) -> dict[str, Tensor]:
    """Weights of the tower of a run of `pose2d`, or of a model that came of one.

    Raises:
        TrainingError, ModelError: there is neither.
    """
    run = Path(start).expanduser() / checkpoint.BEST
    weights = checkpoint.load(run)['network'] if run.exists() else read_pose2d(open_model(start)).state_dict()
    return {k[len(_TOWER):]: v for k, v in weights.items() if k.startswith(_TOWER)}


def _take_tower(network: HeatMap25D, tower: Mapping[str, Tensor], start: str) -> None:
    try:
        network.tower.load_state_dict(tower)
    except RuntimeError as error:
        raise TrainingError('has another tower than these settings make', 'set stages and depth as in its config.json '
                            'or on its card', place=start) from error


class PointsGraph(nn.Module):
    """What is exported: joints (N, 17, 2) px, confidences, depths and sigmas (N, 17), see `Seen`."""

    names = ('points', 'score', 'depth', 'sigma')

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        seen = self.network(image)
        return seen.points, confidence(seen.heat), seen.depth, seen.log_sigma.exp()


class _Posed:
    """`Seen` of a batch as poses.

    Attributes:
        joints: (B, V, 17, 3) about the pelvis, axes of the virtual cameras, lengths of the reference bone; as people
            are, whether the picture is mirrored or not.
        weight: (B, V, 17) confidences.  depth: (B, V, 17).  log_sigma: (B, V, 17).
        turn: (B, V, 3, 3) to camera axes.  stretched: (B, V) bool, see `root_depth`.
    """

    def __init__(self, points: Tensor, depth: Tensor, log_sigma: Tensor, weight: Tensor, to_ray: Tensor) -> None:
        rays, self.turn = rays_of(points, to_ray)
        self.joints, self.stretched = pose_of(rays, depth)
        self.depth, self.log_sigma, self.weight = depth, log_sigma, weight


def _posed(seen: Seen, batch: GroupBatch) -> _Posed:
    shape = batch.mirrored.shape
    mirror = list(MIRROR)

    def righted(a: Tensor) -> Tensor:
        a = a.unflatten(0, shape)
        return torch.where(batch.mirrored.reshape(*shape, *[1] * (a.ndim - 2)), a[:, :, mirror], a)

    weight = confidence(seen.heat).detach()
    return _Posed(righted(seen.points), righted(seen.depth), righted(seen.log_sigma), righted(weight), batch.to_ray)


@torch.no_grad()
def _pseudo_labels(network: nn.Module, images: Tensor, heat: Tensor) -> tuple[Tensor, Tensor]:
    """Target maps where the network sees joints in pictures and in their mirror images together, and how sure (N, 17).

    Args:
        heat: what it sees in the pictures themselves.
    """
    training = network.training
    network.eval()
    other = network(images.flip(-1)).heat.flip(-1)[:, list(MIRROR)]
    network.train(training)
    both = (heat + other) / 2
    return target_maps(places(both), both), confidence(both)


def _of_others(Y: Tensor, c: Tensor) -> Tensor:
    """The mean (B, V, 17, 3) of the other views' poses, turned onto each view's."""
    V = Y.shape[1]
    shape = (*Y.shape[:2], V, *Y.shape[2:])
    a, b = Y[:, :, None].expand(shape), Y[:, None].expand(shape)
    both = c[:, :, None] * c[:, None]
    turned = b @ procrustes_rotation(b, a, both).mT
    others = ~torch.eye(V, dtype=torch.bool, device=Y.device)[None, :, :, None, None]
    w = (c[:, None, :, :, None] + _FLOOR) * others
    return (turned * w).sum(2) / w.sum(2)


def _errors(seen: Seen, batch: GroupBatch) -> tuple[Tensor, Tensor]:
    """(N, 17) distance in torso lengths, and whether it counts."""
    off = (seen.points - batch.points.flatten(0, 1)).norm(dim=-1) / batch.torso.flatten()[:, None]
    return off, (batch.weight.flatten(0, 1) > 0).float()


def _true_errors(pose: _Posed, joints: Tensor) -> dict[str, float]:
    """Errors in mm over 16 joints, and of the sigmas."""
    found = (pose.joints @ pose.turn.mT).flatten(0, 1)[:, EVAL16].double().cpu().numpy()
    true = 1e3 * joints.flatten(0, 1)[:, EVAL16].double().cpu().numpy()
    scaled, centred = metrics.scaled(found, true), metrics.centred(true)
    size = np.linalg.norm(scaled, axis=(1, 2)) / np.maximum(np.linalg.norm(found, axis=(1, 2)), 1e-9)
    sigma = pose.log_sigma.exp().flatten(0, 1)[:, EVAL16].double().cpu().numpy() * size[:, None]
    ratio = np.sqrt(((scaled - centred)[:, 1:] ** 2).mean() / (sigma[:, 1:] ** 2).mean())
    return {'n_mpjpe': float(metrics.n_mpjpe(found, true).mean()),
            'pa_mpjpe': float(metrics.pa_mpjpe(found, true).mean()), 'sigma_ratio': float(ratio)}
