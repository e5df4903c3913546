# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Losses on 2D joints that the views have refined together (methods.md 6.5; CVSF, Kim et al., ACCV 2022)."""
from __future__ import annotations

from torch import Tensor

from .reprojection import mix_of, pair_errors, rep_l1, rep_of

__all__ = ['csm_keep', 'csm_terms']


def csm_keep(w: Tensor, w_ref: Tensor, c: Tensor, views: Tensor) -> Tensor:
    """Refined 2D must stay near the input: early rotations are wrong. Its gradient goes through the refinement."""
    return (rep_l1(w, w_ref, c) * views).sum() / views.sum().clamp(min=1)


def csm_terms(w_ref: Tensor, X: Tensor, R: Tensor, c: Tensor, views: Tensor) -> tuple[Tensor, Tensor]:
    """Own poses, and the other views' poses (summed like `mix_of`), against refined 2D, which is taken as given."""
    errors = pair_errors(w_ref.detach(), X, R, c.detach())
    return rep_of(errors, views), mix_of(errors, views)
