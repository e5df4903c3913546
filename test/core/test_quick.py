# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Quick operations give what NumPy's own give."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.core.quick import median


@pytest.mark.parametrize('shape', [(1,), (2,), (17,), (16,), (6, 2), (7, 2)])
def test_median_is_that_of_numpy(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(len(shape)).normal(size=shape)
    np.testing.assert_allclose(median(x), np.median(x, axis=0), rtol=1e-15)
