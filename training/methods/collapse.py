# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Detectors of degenerate solutions, which losses without 3D allow (methods.md 7.12); logged at every evaluation."""
from __future__ import annotations

from collections.abc import Mapping

import torch

from ..data.batch import Batch
from ..losses.anatomy import chirality_score
from ..networks import Lifter
from ..networks.heads import CanonRotHead
from ..networks.rotation import angle_deg

__all__ = ['detect', 'verdict']

#: limits of methods.md 7.12
_LEAST_VIEW_ANGLE_DEG, _LEAST_DEPTH = 10., .2
#: with more poses than this of the rarer sign of depth there is no sign
_MOST_REVERSED = .4
#: rotation vectors beyond a full turn; joints that are almost sure are moved by so much only by views that echo each
#: other, in units of normalised 2D (their own error is about .02)
_MOST_TURN, _MOST_ECHO = 6.2832, .06
#: a person whom cameras see well enough to learn from is this far away on average, m
_ROOT_M = (1., 15.)
#: joints in a picture that is cut out around somebody are spread over so much of its height; share of poses whose
#: reference bone is longer in the picture than its depth allows
_LEAST_EXTENT, _MOST_STRETCHED = .06, .3
#: depth over width of bodies that are seen from around is about 1
_MOST_ELONGATION = 2.5
#: share of poses whose depth turns over when they are lifted from another side
_MOST_CYCLIC = .05
#: a body in this unit whose score is as large as this bends its knees visibly
_LEAST_SCORE = .005


@torch.no_grad()
def detect(network: Lifter, batch: Batch) -> dict[str, float]:
    """Figures of a network on a batch; nothing here looks at 3D.

    Returns:
        chirality: mean score of all poses; below 0 = everything is reversed in depth.
        reversed: share of poses whose own score is below 0.
        depth: spread of the depths over that of x; near 0 = flat poses.
        variety: variance of each joint over the batch / mean square of the joints, poses in camera axes.
        and for networks with canonical poses and rotations
        view_angle: mean angle, degrees, between the cameras of a sample (samples of two views or more).
        canonical_variety: as variety, of canonical poses.
        turn: largest length of a rotation vector, rad (heads with rotation vectors).
    Methods add figures of their own: cross-view self-fusion `echo`, a root branch `root_depth`, networks of images
    with depth `extent`, `stretched` and `depth_elongation`. The size of poses is no figure: heads give unit poses.
    """
    lifted = network.lift(batch)
    there = batch.view_mask & (batch.weight > 0).any(-1)
    if not bool(there.any()):
        return {}
    y = lifted.y_cam[there]
    score = chirality_score(y)
    out = {'chirality': score.mean(), 'reversed': (score < 0).float().mean(),
           'depth': y[..., 2].std() / y[..., 0].std().clamp(min=1e-9), 'variety': _variety(y)}
    if lifted.R is not None and lifted.x_can is not None:
        out['canonical_variety'] = _variety(lifted.x_can[there])
        pairs = (there[:, :, None] & there[:, None]).triu(1)
        if bool(pairs.any()):
            Q = lifted.R[:, :, None] @ lifted.R[:, None].mT
            out['view_angle'] = angle_deg(Q)[pairs].mean()
    if isinstance(network.head, CanonRotHead) and network.head.rotation == 'rotvec':
        pose = batch.past_pose[:, :, -network.frames:] if network.frames > 1 else batch.pose
        out['turn'] = network.head.raw_rotation(network.body(pose[there])).norm(dim=-1).max()
    return {k: float(v) for k, v in out.items()}


def _variety(poses: torch.Tensor) -> torch.Tensor:
    """(N, 17, 3): variance over N / mean square, both over all numbers."""
    return poses.var(0, unbiased=False).mean() / poses.square().mean().clamp(min=1e-12)


def verdict(values: Mapping[str, float]) -> list[str]:
    """Sentences about what has collapsed; none = it is sound. Figures that are missing are not judged."""
    out = []
    chirality = values.get('chirality', 1.)
    if chirality < 0:
        out.append(f'the depth is reversed (chirality {chirality:.3f}): flip its sign with flip()')
    elif chirality < _LEAST_SCORE or values.get('reversed', 0.) > _MOST_REVERSED:
        out.append(f'the depth has no clear sign (chirality {chirality:.3f}, {values.get("reversed", 0.):.0%} of the '
                   'poses reversed): train longer, or with more than two views')
    if values.get('depth', 1.) < _LEAST_DEPTH:
        out.append(f'poses are flat (depth / width {values["depth"]:.2f}): raise mix, or train longer')
    if values.get('variety', 1.) < .01:
        out.append(f'the pose is the same whatever is seen (variety {values["variety"]:.4f}): lower lr')
    if values.get('view_angle', 90.) < _LEAST_VIEW_ANGLE_DEG:
        out.append(f'all views got the same camera (mean angle {values["view_angle"]:.1f} degrees): raise mix')
    if values.get('turn', 0.) > _MOST_TURN:
        out.append(f'rotation vectors wind up ({values["turn"]:.1f} rad): set rotation=6d')
    if values.get('echo', 0.) > _MOST_ECHO:
        out.append(f'views agree on wrong places (joints that are almost sure are moved by {values["echo"]:.2f}): '
                   'lower tau, or raise csm_from and stage')
    if values.get('cyclic_flip', 0.) > _MOST_CYCLIC:
        out.append(f'depth turns over from one lift to the next ({values["cyclic_flip"]:.0%} of the poses): raise '
                   'adv_2d or cycle_3d, or train longer')
    if values.get('canonical_variety', 1.) < .01:
        out.append(f'the canonical pose is constant (variety {values["canonical_variety"]:.4f}): raise mix, or '
                   'lower lr')
    if not _ROOT_M[0] <= values.get('root_depth', 4.) <= _ROOT_M[1]:
        out.append(f'people are placed {values["root_depth"]:.1f} m away from the cameras: raise '
                   'root_pretrain_share, or lower lr')
    if values.get('depth_elongation', 1.) > _MOST_ELONGATION:
        out.append(f'poses are elongated in depth (depth / width {values["depth_elongation"]:.1f}): raise '
                   'depth_elongation and limb_length')
    if values.get('extent', 1.) < _LEAST_EXTENT:
        out.append(f'joints fall onto one place (spread over {values["extent"]:.1%} of the picture): lower multi_view, '
                   'or raise labelled and stage')
    if values.get('stretched', 0.) > _MOST_STRETCHED:
        out.append(f'depths are too large for the bones seen ({values["stretched"]:.0%} of the poses): raise z_bound '
                   'and limb_length')
    return out
