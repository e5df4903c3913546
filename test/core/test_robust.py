# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Robust losses: weights belong to their costs, and what is far off pulls less."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.core.robust import robust_cost, robust_weight


@pytest.mark.parametrize('kind', ['l2', 'cauchy', 'gm'])
@pytest.mark.parametrize('scale', [1., 4.])
def test_a_weight_belongs_to_its_loss(kind: str, scale: float) -> None:
    """Weight = 2 d cost / d e2, to 1e-7; no loss falls with the residual; small ones cost half their square."""
    e2 = np.linspace(0, 300, 400)
    h = 1e-4
    slope = (robust_cost(e2 + h, scale, kind) - robust_cost(e2 - h, scale, kind)) / (2 * h)
    assert np.abs(2 * slope - robust_weight(e2, scale, kind)).max() < 1e-7
    assert (np.diff(robust_cost(e2, scale, kind)) > 0).all()
    assert robust_cost(np.array([1e-6]), scale, kind) == pytest.approx(5e-7, rel=1e-5)


def test_losses_at_their_scale() -> None:
    """A residual of the scale weighs a quarter with Geman and McClure's loss, and half with Cauchy's."""
    e2 = np.array([0., 9.])
    assert robust_weight(e2, 3.).tolist() == robust_weight(e2, 3., 'gm').tolist() == [1., .25]
    assert robust_weight(e2, 3., 'cauchy').tolist() == [1., .5] and robust_weight(e2, 3., 'l2').tolist() == [1., 1.]
    assert robust_cost(e2, 3., 'gm').tolist() == [0., 2.25]
    assert robust_cost(e2, 3., 'cauchy') == pytest.approx([0., 4.5 * np.log(2)])
    assert robust_cost(e2, 3., 'l2').tolist() == [0., 4.5]
