# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Bodies that nobody follows yet: detections of several cameras that are one body, and where that is."""
from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..association.matching import group_views
from ..body import BONE_A, BONE_B, BONE_PRIOR_M
from ..observation import View2D
from ..person_view import Detections, PersonView
from ..rig_model import RigModel
from .person import Person
from .person_fusion import BONES_GUESSED_M, PersonFusion

__all__ = ['newcomers', 'shared_centre']

Array = NDArray[np.float64]

#: the median bone of a body differs from the usual by less, as a logarithm
_BONE = .35


def newcomers(fusion: PersonFusion, views: Sequence[View2D], detections: Detections, taken: set[tuple[str, int]],
              single: bool) -> Iterator[tuple[Person, dict[str, PersonView]]]:
    """Filters, without identity, begun with detections (camera, index) that are not taken; and their views.

    single: one view is enough.
    """
    free = [[k for k in range(len(v.keypoints)) if (v.camera, k) not in taken] for v in views]
    if single:
        rows = [{v.camera: detections.people[v.camera][k]} for v, ks in zip(views, free, strict=True) for k in ks]
    elif sum(bool(f) for f in free) < 2:
        return
    else:
        P = fusion.model.geometry.projection[[fusion.model.cameras.index(v.camera) for v in views]]
        rows = [{views[i].camera: detections.people[views[i].camera][k] for i, k in group.items()}
                for group in group_views(views, P, free)]
    usual = BONE_PRIOR_M * float(np.mean(fusion.model.bones / BONE_PRIOR_M))
    for row in rows:
        p = fusion.start(detections.stamp, row, usual, BONES_GUESSED_M)
        if p is not None and (single or _is_body(p.filter.x, usual)):
            yield p, row


def _is_body(x: Array, usual: Array) -> bool:
    """Views of different people meet somewhere, too, but their limbs are of any length."""
    length = np.linalg.norm(x[BONE_B] - x[BONE_A], axis=1)
    return bool(np.median(np.abs(np.log(np.maximum(length, 1e-3) / usual))) < _BONE)


def shared_centre(m: RigModel) -> Array:
    """(3,) m: the point nearest to where all cameras look, the middle of the volume that they share."""
    axis = m.R[:, 2]
    centre = m.geometry.centres
    across = np.eye(3) - axis[:, :, None] * axis[:, None]
    # a weak pull to 3 m before the cameras: parallel axes meet nowhere
    pull = .02 * np.eye(3)
    A = (across + pull).sum(0)
    b = (across @ centre[..., None] + pull @ (centre + 3. * axis)[..., None]).sum(0)
    return np.asarray(np.linalg.solve(A, b)[:, 0])
