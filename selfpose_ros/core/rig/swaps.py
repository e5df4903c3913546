# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Observations of an adjustment whose left and right were exchanged, put right; see `sides`."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..sides import PERMUTATIONS, agreed_permutation
from .bundle_problem import BundleProblem, BundleState

__all__ = ['renamed', 'undo_swaps']

Index = NDArray[np.int64]


def undo_swaps(state: BundleState, problem: BundleProblem) -> tuple[BundleProblem, Index]:
    """The problem with exchanged observations put right, instant by instant, and the (N, V, 17) source index of each
    joint; see `sides.agreed_permutation`.
    """
    return renamed(problem, agreed_permutation(state.cameras.project(state.X), problem.kp, problem.sigma))


def renamed(problem: BundleProblem, permutation: Index) -> tuple[BundleProblem, Index]:
    """The problem with observations in these orders (N, V), and the (N, V, 17) source index of each joint."""
    index = PERMUTATIONS[permutation]
    kp = np.take_along_axis(problem.kp, index[..., None], 2)
    return replace(problem, kp=kp, sigma=np.take_along_axis(problem.sigma, index, 2)), index
