# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Linear algebra on one thread per process: systems of 51 unknowns gain nothing from more, their threads only spin."""
from __future__ import annotations

import os

__all__ = ['one_thread']


def one_thread() -> None:
    """Ask OpenBLAS, OpenMP and MKL for one thread, unless the user has set others. Works before numpy is loaded."""
    for name in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ.setdefault(name, '1')
