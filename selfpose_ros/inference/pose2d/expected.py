# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People who are expected in an image, as other cameras see them: who of them was not found, and who was after all."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.association.distance import person_size, pose_distance
from ...core.association.matching import assign_each

__all__ = ['HIS_JOINTS', 'LESS_SURE', 'newly_found', 'not_found']

Array = NDArray[np.float64]
#: body sizes between the expected pose and that of who was found, at most
_NEAR = .3
#: joints that are nearer than this, in body sizes, are one; two poses that share so many of those that both have are
#: one person
_SAME_JOINT, _SAME_JOINTS = .08, .5
#: of two people who stand close a network mixes a third, unsure, who has joints of both: confidence below this share
#: of another's, and share of joints where his are. Chosen on `selfpose evaluate rendered_pose --people 3`
LESS_SURE, HIS_JOINTS = .75, .25


def not_found(expected: Array, keypoints: Array, confidence: Array) -> NDArray[np.int64]:
    """Who of N expected people is none of P that were found, each of whom is one of them at most.

    Args:
        expected: (N, 17, 2) px, NaN = not known.
        keypoints: (P, 17, 2) px.  confidence: (P, 17).

    Returns:
        Indices of expected people.
    """
    far, _ = pose_distance(expected, person_size(expected, np.ones(expected.shape[:2])), keypoints, confidence)
    return np.flatnonzero(assign_each(far[None], _NEAR)[0] < 0)


def newly_found(expected: Array, keypoints: Array, confidence: Array, known: Array,
                known_confidence: Array) -> list[int]:
    """Who was really found where he is expected, and is neither known already nor made of others' joints.

    Args:
        expected: (N, 17, 2) px, NaN = not known.
        keypoints, confidence: (N, 17, 2) px and (N, 17) of who was found there; NaN and 0 = nobody.
        known, known_confidence: (P, 17, 2) px and (P, 17) of the people who are known.

    Returns:
        Indices of expected people.
    """
    out: list[int] = []
    for i in range(len(expected)):
        if len(not_found(expected[i:i + 1], keypoints[i:i + 1], confidence[i:i + 1])):
            continue
        size = person_size(known, known_confidence)[:, None]
        with np.errstate(invalid='ignore'):
            close = (np.linalg.norm(keypoints[i] - known, axis=-1) < _SAME_JOINT * size).sum(1)
        seen = np.minimum((confidence[i] > 0).sum(), (known_confidence > 0).sum(1))
        unsure = confidence[i].mean() < LESS_SURE * known_confidence.mean(1)
        if not (close >= np.where(unsure, HIS_JOINTS * 17, _SAME_JOINTS * seen)).any():
            out.append(i)
            known = np.concatenate([known, keypoints[i:i + 1]])
            known_confidence = np.concatenate([known_confidence, confidence[i:i + 1]])
    return out
