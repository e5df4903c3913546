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


@pytest.mark.parametrize(('value', 'target', 'aim', 'better', 'verdict'), [
    (.7, .8, .6, 'low', 'target'), (.6, .8, .6, 'low', 'aim'), (.81, .8, .6, 'low', 'missed'),
    (.97, .97, 1., 'high', 'target'), (1., .97, 1., 'high', 'aim'), (.96, .97, 1., 'high', 'missed'),
    (.68, (.6, .76), None, 'middle', 'target'), (.8, (.6, .76), None, 'middle', 'missed'),
    (np.nan, .8, .6, 'low', 'missed'), (np.inf, 6., 3., 'low', 'missed'), (.5, None, None, 'low', ''),
])
def test_a_verdict_is_what_the_numbers_say(value, target, aim, better, verdict):
    row = Row('x', 'y', value, 'x', target, aim, better)
    assert row.verdict == verdict
    assert row.to_dict()['value'] == (value if np.isfinite(value) else None)


@pytest.mark.parametrize(('value', 'unit', 'text'), [
    (.6834, '%', '68.3 %'), ((.6, .76), '%', '60-76 %'), (np.inf, 's', 'never'), (np.nan, 's', 'not measured'),
    (1.234, 'x', '1.23 x'), (12.34, 'ms', '12.3 ms'), (None, 'x', ''), (.7, '', '0.70'),
])
def test_numbers_are_shown_with_their_units(value, unit, text):
    assert shown(value, unit) == text
