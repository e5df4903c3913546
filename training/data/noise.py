# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a training asks of a model of the 2D network; `selfpose_ros.synthetic.network2d` has the simulated one."""
from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ['NoiseSource']

Float = NDArray[np.float32]
Int = NDArray[np.int64]


class NoiseSource(Protocol):
    """Observes clips."""

    def observe(self, rng: np.random.Generator, true_px: Float, start: Int, side_px: float) -> tuple[Float, Float]:
        """What is reported of the true pixels of clips that follow one another.

        Args:
            rng: the only source of chance.
            true_px: (F, V, 17, 2) px, NaN = not to be seen.
            start: (C + 1,) first frame of each clip, and F; time runs inside a clip only.
            side_px: of the square image.

        Returns:
            Pixels (F, V, 17, 2), 0 where unseen, and confidence (F, V, 17), 0 where unseen.
        """
        ...
