# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How good a lifter is on motion seen by the benchmark's virtual cameras. No PyTorch: whatever runs the lifter.

All clips of the motion, all frames, every view by itself; 16 joints, without the spine, whose place detectors invent.
Temporal lifters get each clip from its start, the first frame repeated before it, and never see the future.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.correction import CorrectionConfig
from selfpose_ros.core.lifting import Lifter
from selfpose_ros.synthetic.clips import Conditions, make_clip
from selfpose_ros.synthetic.motion_capture import Motion, pieces

from .. import metrics
from ..metrics import EVAL16
from .corrected import Corrections, corrected
from .figures import Figures, figures, sigma_calibration
from .lifting import Lifted, fused_views, lift_clip, rotated_onto

__all__ = ['Evaluation', 'evaluate']

Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        frames, views, clips, seed, travel: what was looked at.
        single: of single views.
        fused: of all views of an instant together, turned onto each other without any camera; None with one view.
        depth_reversed: share of poses that are nearer to the truth with the sign of their depth flipped; about 0 or 1.
        within_sigma: share of errors along an axis below 1 sigma; 0.68 where sigma is calibrated and errors are normal.
        sigma_ratio: root mean square of the errors over that of the sigmas; 1 where sigma is calibrated.
        noise: factor on the protocol's 2D noise.
        corrected, corrected_fused: as `single` and `fused`, of poses corrected by their 2D joints; None = not wanted.
        accepted, accepted_fused: shares of the corrections that the guards let pass.
    """

    frames: int
    views: int
    clips: int
    seed: int
    travel: bool
    single: Figures
    fused: Figures | None
    depth_reversed: float
    within_sigma: float
    sigma_ratio: float
    noise: float = 1.
    corrected: Figures | None = None
    corrected_fused: Figures | None = None
    accepted: float | None = None
    accepted_fused: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def evaluate(lifter: Lifter, motion: Motion, seed: int, *, views: int = 4, travel: bool = False, noise: float = 1.,
             correction: CorrectionConfig | None = None, progress: Progress | None = None) -> Evaluation:
    """Figures of a lifter on a motion.

    Args:
        lifter: gets 2D poses normalised through virtual cameras with guessed intrinsics, as at run time.
        motion: see `selfpose_ros.synthetic.motion_capture`.
        seed: of cameras and 2D errors; the same seed gives the same clips on every machine.
        views: 1 to 4.
        travel: people keep their path over the floor; else they are kept in the middle.
        noise: factor on the protocol's 2D noise.
        correction: also correct all poses by their 2D joints, see `corrected`.
        progress: called with (what is done, clips done, clips in all).

    Raises:
        SyntheticError: a number of views that the protocol does not have.
    """
    conditions = Conditions(views, travel=travel, noise=noise)
    parts: list[Lifted] = []
    corrections: list[Corrections] = []
    cut = pieces(motion)
    for i, piece in enumerate(cut):
        parts.append(lift_clip(lifter, make_clip(motion, piece, seed, conditions)))
        if correction is not None:
            p = parts[-1]
            corrections.append(corrected(p.joints, p.sigma, p.rays, p.k, correction))
        if progress is not None:
            progress('clips lifted', i + 1, len(cut))
    lifted = Lifted(*(np.concatenate([getattr(p, name) for p in parts]) for name in Lifted.__annotations__))
    single = [a[:, :, EVAL16].reshape(-1, len(EVAL16), 3) for a in (lifted.joints, lifted.true)]
    fused = None
    if views > 1:
        together = fused_views(lifted.joints, lifted.sigma)
        fused = figures(together[:, :, EVAL16].reshape(-1, len(EVAL16), 3), single[1])
    after: list[Figures] = []
    if corrections:
        after.append(figures(np.concatenate([m.single for m in corrections])[:, :, EVAL16].reshape(-1, len(EVAL16), 3),
                             single[1]))
    if corrections and views > 1:
        together = np.concatenate([m.fused for m in corrections])[:, None]
        turned = rotated_onto(np.broadcast_to(together, lifted.joints.shape), lifted.joints)
        after.append(figures(turned[:, :, EVAL16].reshape(-1, len(EVAL16), 3), single[1]))
    shares = [float(np.concatenate([getattr(m, n) for m in corrections]).mean()) if corrections else None
              for n in ('accepted', 'accepted_fused')]
    calibration = sigma_calibration(single[0], lifted.sigma[:, :, EVAL16].reshape(-1, len(EVAL16)), single[1])
    return Evaluation(len(lifted.joints), views, len(cut), seed, travel, figures(*single), fused,
                      float(metrics.reversed_in_depth(*single).mean()), calibration.within, calibration.ratio, noise,
                      after[0] if after else None, after[1] if len(after) > 1 else None, shares[0],
                      shares[1] if views > 1 else None)
