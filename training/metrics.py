# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of poses against the truth, as the literature defines them. numpy only; a batch of poses at once.

Poses are (N, J, 3) mm in camera axes (or any others: only `reversed_in_depth` cares), joint 0 is the root. Results
are one number for each pose, (N,), or the errors of the joints, (N, J), unless noted. N-PCK is PCK of a
scaled pose: `pck(joint_errors(scaled(p, g), g))`.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.evaluation.alignment import aligned

__all__ = ['AUC_MM', 'CPS_MM', 'EVAL16', 'LIMB_JOINTS', 'PCK_MM', 'auc', 'centred', 'cps', 'jdr', 'joint_errors',
           'mpjpe', 'n_mpjpe', 'pa_errors', 'pa_mpjpe', 'pck', 'procrustes', 'reversed_in_depth', 'scaled']

Array = NDArray[np.floating]

#: joints that count: all but the spine, whose place detectors invent
EVAL16: tuple[int, ...] = tuple(j for j, name in enumerate(JOINTS) if name != 'spine')
#: a joint counts as found below this error, mm
PCK_MM = 150.
#: thresholds of the area under the PCK curve, mm: 31 of them
AUC_MM: tuple[float, ...] = tuple(5. * i for i in range(31))
#: thresholds of the correct-pose score, mm
CPS_MM: tuple[int, ...] = tuple(range(301))
#: joints of arms and legs, those that a cross-view method refines
LIMB_JOINTS: dict[str, tuple[int, int]] = {
    'hip': (1, 4), 'knee': (2, 5), 'ankle': (3, 6), 'shoulder': (14, 11), 'elbow': (15, 12), 'wrist': (16, 13)}

#: below this size, mm, a pose is a point: nothing can be scaled onto the truth
_POINT = 1e-9


def centred(poses: Array) -> Array:
    """Poses about their root (joint 0)."""
    poses = np.asarray(poses, float)
    return np.asarray(poses - poses[..., :1, :])


def joint_errors(poses: Array, true: Array) -> Array:
    """(N, J) mm, distance of each joint with the roots laid on each other."""
    return np.asarray(np.linalg.norm(centred(poses) - centred(true), axis=-1))


def mpjpe(poses: Array, true: Array) -> Array:
    """Mean per-joint position error, 'Protocol 1'."""
    return np.asarray(joint_errors(poses, true).mean(-1))


def scaled(poses: Array, true: Array, rule: str = 'least squares') -> Array:
    """Centred poses times one factor each that brings them to the size of the truth.

    Args:
        poses, true: (N, J, 3).
        rule: 'least squares': the factor with the smallest squared error; a pose that looks the other way gets a
            small or even negative one.  'norm ratio': the one that makes the Frobenius norms equal. Papers use both.

    Raises:
        ValueError: another rule.
    """
    p, g = centred(poses), centred(true)
    squares = np.maximum((p * p).sum((-1, -2), keepdims=True), _POINT**2)
    if rule == 'least squares':
        return np.asarray(p * ((p * g).sum((-1, -2), keepdims=True) / squares))
    if rule == 'norm ratio':
        return np.asarray(p * np.sqrt((g * g).sum((-1, -2), keepdims=True) / squares))
    raise ValueError(f"rule {rule!r}; use 'least squares' or 'norm ratio'")


def n_mpjpe(poses: Array, true: Array, rule: str = 'least squares') -> Array:
    """MPJPE after scaling, see `scaled`."""
    return mpjpe(scaled(poses, true, rule), true)


def procrustes(poses: Array, true: Array, reflection: bool = False) -> Array:
    """Poses moved onto the truth by a similarity each, least squares.

    Source: Umeyama, TPAMI 1991. With `reflection` a mirror image may be used where it fits better, as several
    published evaluations do: a network with reversed depth scores well then, so give both figures.
    """
    return aligned(poses, true, reflection=reflection)


def pa_errors(poses: Array, true: Array, reflection: bool = False) -> Array:
    """(N, J) mm, distance of each joint after `procrustes`."""
    return np.asarray(np.linalg.norm(procrustes(poses, true, reflection) - np.asarray(true, float), axis=-1))


def pa_mpjpe(poses: Array, true: Array, reflection: bool = False) -> Array:
    """MPJPE after `procrustes`, 'Protocol 2'."""
    return np.asarray(pa_errors(poses, true, reflection).mean(-1))


def pck(errors: Array, threshold: float = PCK_MM) -> Array:
    """Percentage of joints with an error below the threshold: (N, J) -> (N,)."""
    return np.asarray(100. * (np.asarray(errors) < threshold).mean(-1))


def auc(errors: Array) -> float:
    """Area under the PCK curve, per cent: the mean over the thresholds `AUC_MM`, of (N, J) errors."""
    flat = np.sort(np.asarray(errors).ravel())
    return float(100. * np.searchsorted(flat, AUC_MM, side='left').mean() / len(flat))


def cps(errors: Array) -> float:
    """Correct-pose score of (N, J) errors after Procrustes (`pa_errors`), 0..300.

    A pose is correct at a threshold if its worst joint is below it; the score is the area under the share of correct
    poses over 0..300 mm. Source: Wandt et al., CanonPose, CVPR 2021.
    """
    worst = np.sort(np.asarray(errors).max(-1))
    return float(np.searchsorted(worst, CPS_MM, side='left').sum() / len(worst))


def reversed_in_depth(poses: Array, true: Array) -> NDArray[np.bool_]:
    """(N,) whether a pose in camera axes is nearer to the truth (N-MPJPE) once the sign of its depth is flipped.

    One camera without perspective cannot distinguish a pose from this twin; a network that learned without labels may
    have chosen the twin for all poses.
    """
    twin = centred(poses) * np.array([1., 1., -1.])
    return np.asarray(n_mpjpe(twin, true) < n_mpjpe(poses, true))


def jdr(points: Array, true: Array, head_size: Array, seen: NDArray[np.bool_] | None = None) -> dict[str, float]:
    """Joint detection rate of 2D poses, per cent for each kind of limb joint, both sides together.

    Args:
        points, true: (N, 17, 2) px.
        head_size: (N,) px; a joint is found when it lies within half of it.
        seen: (N, 17), joints that count; default all.

    Returns:
        {'hip': ..., 'knee': ..., ...} in the order of `LIMB_JOINTS`; NaN where no joint counts.
    """
    found = np.linalg.norm(np.asarray(points, float) - true, axis=-1) < .5 * np.asarray(head_size, float)[:, None]
    seen = np.ones(found.shape, bool) if seen is None else np.asarray(seen, bool)
    out = {}
    for limb, sides in LIMB_JOINTS.items():
        counts = seen[:, sides]
        out[limb] = float(100. * found[:, sides][counts].mean()) if counts.any() else float('nan')
    return out
