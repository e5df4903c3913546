# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A row that flatters is worse than none: what never came, what was refused and what cannot be told."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.benchmark.rows import Row, median_time, rank_correlation
from selfpose_ros.benchmark.table import shown


def test_clips_that_end_early_do_not_make_the_start_look_quick():
    # half of the clips end before it happened; the median of those that got there would be 2 s
    reached, watched = [1., 2., 3., np.nan, np.nan, np.nan], [9., 9., 9., 9., 9., 9.]
    assert median_time(reached, watched) == 3.
    assert median_time([1., np.nan, np.nan], [9., 9., 9.]) == np.inf
    # one that ended after half a second says nothing about later
    assert median_time([1., 2., 3., np.nan], [9., 9., 9., .5]) == 2.


def test_quality_that_is_the_same_everywhere_predicts_nothing():
    assert np.isnan(rank_correlation([.5] * 6, [1., 2., 3., 4., 5., 6.]))
    assert np.isnan(rank_correlation([1., 2., np.nan, 4., 5.], [1., 2., 3., 4., 5.]))
    assert rank_correlation([1., 2., 3., 4., 100.], [1., 8., 9., 10., 11.]) == pytest.approx(1.)
    from scipy.stats import spearmanr
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 50).astype(float), rng.integers(0, 5, 50).astype(float)
    assert rank_correlation(a, a + b) == pytest.approx(float(spearmanr(a, a + b)[0]))


@pytest.mark.parametrize('value', [.7, np.nan, np.inf])
def test_what_could_not_be_measured_is_none_in_json(value):
    assert Row('x', 'y', value, 'x').to_dict() == {
        'row': 'x', 'what': 'y', 'value': value if np.isfinite(value) else None, 'unit': 'x', 'note': ''}


@pytest.mark.parametrize(('value', 'unit', 'text'), [
    (.6834, '%', '68.3 %'), (np.inf, 's', 'never'), (np.nan, 's', 'not measured'),
    (1.234, 'x', '1.23 x'), (12.34, 'ms', '12.3 ms'), (.7, '', '0.70'),
])
def test_numbers_are_shown_with_their_units(value, unit, text):
    assert shown(value, unit) == text
