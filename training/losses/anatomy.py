# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is known of bodies: sides are equal, knees bend forwards, bones keep their lengths."""
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, relu

from selfpose_ros.core.skeleton import BONE_NAMES, BONES

__all__ = ['bone_lengths', 'bone_vec', 'bone_vectors', 'chirality', 'chirality_score', 'depth_elongation', 'limb_len',
           'symmetry', 'z_bound']

_PARENT, _CHILD = [a for a, _ in BONES], [b for _, b in BONES]
_LEFT = [i for i, name in enumerate(BONE_NAMES) if '-l_' in name]
_RIGHT = [BONE_NAMES.index(BONE_NAMES[i].replace('l_', 'r_')) for i in _LEFT]
_PELVIS, _R_HIP, _L_HIP, _THORAX, _NOSE, _HEAD = 0, 1, 4, 8, 9, 10
_HIPS, _KNEES, _ANKLES = [1, 4], [2, 5], [3, 6]
#: a pose that is flatter than this does not show the sign of its depth, in units of its RMS
_MARGIN = .02
_FLOOR = 1e-12


def bone_vectors(X: Tensor) -> Tensor:
    """(..., 17, 3) -> (..., 16, 3), child minus parent in the order of `core.skeleton.BONES`."""
    return X[..., _CHILD, :] - X[..., _PARENT, :]


def bone_lengths(X: Tensor) -> Tensor:
    """(..., 17, 3) -> (..., 16)."""
    return bone_vectors(X).square().sum(-1).add(_FLOOR).sqrt()


def symmetry(X: Tensor) -> Tensor:
    """Mean |left - right| of the paired bones over the mean of all bones' lengths."""
    n = bone_lengths(X)
    return ((n[..., _LEFT] - n[..., _RIGHT]).abs().mean(-1) / n.mean(-1)).mean()


def chirality_score(X: Tensor) -> Tensor:
    """(..., 17, 3) -> (...): above 0 where knees and nose are in front, below 0 for a mirrored body (methods.md 7.7).

    Forward is (l_hip - r_hip) x (thorax - pelvis) of right-handed axes, any rotation of them. In the unit of X.
    """
    forward = normalize(torch.linalg.cross(X[..., _L_HIP, :] - X[..., _R_HIP, :],
                                           X[..., _THORAX, :] - X[..., _PELVIS, :]), dim=-1)
    knees = (X[..., _KNEES, :] - .5 * (X[..., _HIPS, :] + X[..., _ANKLES, :])).sum(-2)
    nose = X[..., _NOSE, :] - .5 * (X[..., _THORAX, :] + X[..., _HEAD, :])
    return ((knees + nose) * forward).sum(-1)


def chirality(X: Tensor) -> Tensor:
    """relu(0.02 - score), mean: pushes unit-RMS poses towards the right sign of depth."""
    return relu(_MARGIN - chirality_score(X)).mean()


def depth_elongation(Y: Tensor, views: Tensor, most: float = 1.2) -> Tensor:
    """How far the depths' spread over the widths' exceeds `most`, over all poses Y (B, V, 17, 3) of a batch.

    People are seen from around, so in camera axes bodies are about as deep as wide on the average. Poses that are
    elongated in depth, with cameras that hardly turn, explain the 2D nearly as well; lifters find them first.
    """
    size = (Y.square() * views[..., None, None]).sum((0, 1, 2))
    return relu((size[2] / size[0].clamp(min=_FLOOR)).add(_FLOOR).sqrt() - most)


def bone_vec(Y: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean L1 distance of bone vectors of poses (..., 17, 3); a bone weighs as the lesser of its joints, (..., 17)."""
    w = torch.minimum(weight[..., _CHILD], weight[..., _PARENT])
    return ((bone_vectors(Y) - bone_vectors(target)).abs().mean(-1) * w).sum() / w.sum().clamp(min=_FLOOR)


def limb_len(X: Tensor, lengths: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean |length / reference - 1| of bones, both relative to their mean; lengths (..., 16) in any unit.

    Args:
        weight: (..., 17) of the joints; a bone weighs as the lesser of its two. None = all alike.
    """
    n = bone_lengths(X)
    mine, known = n / n.mean(-1, keepdim=True), lengths / lengths.mean(-1, keepdim=True)
    off = (mine / known - 1).abs()
    if weight is None:
        return off.mean()
    w = torch.minimum(weight[..., _CHILD], weight[..., _PARENT])
    return (off * w).sum() / w.sum().clamp(min=_FLOOR)


def z_bound(Y: Tensor, bound: float) -> Tensor:
    """Mean of what the joints' depths exceed +-bound by, in the unit of Y."""
    return relu(Y[..., 2].abs() - bound).mean()
