# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is known of bodies before one is seen: bone lengths, their spread and symmetry."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .skeleton import BONES, MIRROR

__all__ = ['BONE_A', 'BONE_B', 'BONE_LOG_SIGMA', 'BONE_PRIOR_M', 'MIRROR_BONE', 'STATURE_LOG_SIGMA', 'STATURE_PRIOR_M',
           'stature_m']

Array = NDArray[np.float64]

BONE_A = np.array([a for a, _ in BONES])
BONE_B = np.array([b for _, b in BONES])
MIRROR_BONE = np.array([BONES.index((MIRROR[a], MIRROR[b])) for a, b in BONES])

#: lengths of the 16 bones in `core.skeleton.BONES`' order as shares of the stature. Limbs: Drillis and Contini 1966 as
#: tabulated by Winter (thigh .245, shank .246, upper arm .186, forearm .146, hip width .191, shoulder width .259);
#: trunk and head from where detectors place those joints. The spread is wide enough for other conventions.
_SHARE = np.array([.055, .240, .248, .055, .240, .248, .128, .138, .110, .060, .113, .172, .152, .113, .172, .152])
#: adults of both sexes world-wide: 1.68 m with 5.5 % (NCD-RisC 2020 country means and spreads)
STATURE_PRIOR_M, STATURE_LOG_SIGMA = 1.70, 0.055
BONE_PRIOR_M = _SHARE * STATURE_PRIOR_M
#: spread of a bone's share around the table, as logarithm: joints of the trunk, head and hips depend on the detector
BONE_LOG_SIGMA = np.array([.25, .08, .08, .25, .08, .08, .20, .20, .25, .30, .20, .09, .12, .20, .09, .12])


def stature_m(bones: Array) -> float:
    """Standing height that fits bone lengths (16,) m best, weighted by how well each bone tells it."""
    w = BONE_LOG_SIGMA ** -2.
    return float(np.exp((w * np.log(np.maximum(bones, 1e-6) / _SHARE)).sum() / w.sum()))
