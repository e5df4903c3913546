# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Results of a clip, made of its truth."""
from __future__ import annotations

import numpy as np

from selfpose_ros.core import rotation
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.rig import NotSolved, Rig
from selfpose_ros.synthetic.clips import Clip

CAMERAS = ('cam1', 'cam2', 'cam3', 'cam4')


def result_of(clip: Clip, joints: np.ndarray, *, sigma: float = .02, rig: Rig | NotSolved | None = None) -> Skeletons:
    """One person with these joints (T, 17, 3) at level 3."""
    T = len(joints)
    known = np.isfinite(joints).all((1, 2))
    return Skeletons(clip.instant, joints[:, None], np.full((T, 1, 17), sigma), np.ones((T, 1, 17)),
                     np.full((T, 1, 17), 4), np.where(known, 3, 0)[:, None], np.where(known, 1, 0)[:, None], CAMERAS,
                     rig or NotSolved('none'))


def true_rig(clip: Clip, turn_deg: float = 0., focal: float = 1.) -> Rig:
    """The true cameras; the last one turned, all focal lengths longer."""
    t = clip.truth
    R, K = t.R.copy(), t.K.copy()
    R[-1] = rotation.exp(np.array([0., np.deg2rad(turn_deg), 0.])) @ R[-1]
    K[:, :2, :2] *= focal
    return Rig(CAMERAS, K, np.zeros((4, 5)), clip.image_size, R, t.t, .9)
