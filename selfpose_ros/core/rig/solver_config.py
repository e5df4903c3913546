# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How much a solve looks at, and what it takes for a rig."""
from __future__ import annotations

from dataclasses import dataclass

__all__ = ['SolverConfig']


@dataclass(frozen=True)
class SolverConfig:
    """Attributes:
    frames: instants used in the fine adjustment.  first_frames: in the coarse ones.
    max_rotation_sigma_deg: a solution that is predicted to be worse is none.
    same_lens: names of cameras that have equal lenses.
    """

    frames: int = 100
    first_frames: int = 40
    max_rotation_sigma_deg: float = 12.
    crowd: bool = False
    same_lens: tuple[tuple[str, ...], ...] = ()
