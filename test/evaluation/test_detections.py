# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People in pictures against those who are there: who counts, who is found, what error goes with a confidence."""
from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from selfpose_ros.evaluation.detections import Picture, score_detections

Array = NDArray[np.float64]


def people(*left: float) -> Array:
    """(P, 17, 2) px, people of 17 different joints within a square of 200 px, at these places."""
    body = np.random.default_rng(7).uniform(0., 200., (17, 2))
    return np.stack([body + [x, 50.] for x in left])


def picture(true: Array, found: Array, visible: NDArray[np.bool_] | None = None, confidence: float = 1.) -> Picture:
    return Picture(true, np.ones(true.shape[:2], bool) if visible is None else visible, found,
                   np.full(found.shape[:2], confidence))


def test_everybody_is_found_once_and_in_any_order() -> None:
    true = people(0., 300.)
    s = score_detections([picture(true, true[::-1]), picture(true, true)])
    assert (s.pictures, s.people, s.recall, s.precision) == (2, 4, 100., 100.)
    twice = score_detections([picture(true[:1], np.concatenate([true[:1], true[:1] + 1.]))])
    assert (twice.recall, twice.precision) == (100., 50.)


def test_nobody_nowhere_and_somebody_who_is_no_one() -> None:
    true, none = people(0.), np.zeros((0, 17, 2))
    s = score_detections([picture(true, none), picture(none, true)])
    assert (s.people, s.recall, s.precision) == (1, 0., 0.)
    assert np.isnan(score_detections([picture(none, none)]).recall)
    assert score_detections([picture(true, true + 150.)]).recall == 0.


def test_who_is_hardly_to_be_seen_need_not_be_found_but_may_be() -> None:
    true, visible = people(0., 300.), np.ones((2, 17), bool)
    visible[1, 8:] = False
    assert score_detections([picture(true, true[:1], visible)]).recall == 100.
    s = score_detections([picture(true, true, visible)])
    assert (s.people, s.recall, s.precision) == (1, 100., 100.)


def test_the_error_of_a_confidence_is_the_one_that_was_made() -> None:
    """Two confidences, errors of 2 and 8 px along an axis; what one joint in ten makes up changes neither."""
    rng, true = np.random.default_rng(0), people(0.)
    pictures = []
    for _ in range(120):
        for confidence, sigma in ((.9, 2.), (.3, 8.)):
            found = true + rng.normal(0., sigma, true.shape)
            found[:, rng.integers(17)] += 400.
            pictures.append(picture(true, found, confidence=confidence))
    s = score_detections(pictures)
    assert s.recall == 100. and sum(b.joints for b in s.bins) == 240 * 17
    low, high = s.bins[0], s.bins[-1]
    assert (low.confidence, high.confidence) == (pytest.approx(.3), pytest.approx(.9))
    assert low.sigma * s.size_px == pytest.approx(8., rel=.15) and high.sigma * s.size_px == pytest.approx(2., rel=.15)
    assert all(a.sigma >= b.sigma for a, b in zip(s.bins, s.bins[1:], strict=False)) and .05 < low.astray < .1
    assert s.to_dict()['bins'][0]['joints'] == low.joints


def test_few_joints_tell_no_error() -> None:
    assert score_detections([picture(people(0.), people(0.))]).bins == ()


def _unsure(seed: int, worse: float = 1.) -> list[Picture]:
    """Pictures whose errors along an axis go with the confidence: 8 px at .3, 4 at .6, 2 at .9."""
    rng, true = np.random.default_rng(seed), people(0.)
    return [picture(true, true + rng.normal(0., worse * sigma, true.shape), confidence=c)
            for _ in range(60) for c, sigma in ((.3, 8.), (.6, 4.), (.9, 2.))]


def test_an_accuracy_holds_in_pictures_that_it_was_not_made_of() -> None:
    """Of Gaussian errors 68 and 95 % are within 1 and 2 sigma, at each confidence; of errors twice as large fewer."""
    accuracy = score_detections(_unsure(1), bins=3).accuracy
    assert accuracy is not None and accuracy.confidence == (.3, .6, .9)
    size = score_detections(_unsure(1)).size_px
    assert [s * size for s in accuracy.sigma] == pytest.approx([8., 4., 2.], rel=.1)
    check = score_detections(_unsure(2), accuracy, 3).check
    assert check is not None and check.ratio == pytest.approx(1., abs=.06) and check.ratios == pytest.approx(
        [1.] * 3, abs=.12)
    assert check.within_1 == pytest.approx(68.3, abs=3.) and check.within_2 == pytest.approx(95.4, abs=2.)
    wrong = score_detections(_unsure(2, worse=2.), accuracy).check
    assert wrong is not None and wrong.ratio == pytest.approx(2., abs=.12) and wrong.within_1 < 42.
    assert score_detections(_unsure(2)).check is None


def test_bins_of_one_confidence_are_one_knot() -> None:
    true = people(0.)
    rng = np.random.default_rng(0)
    sure = [picture(true, true + rng.normal(0., 3., true.shape)) for _ in range(80)]
    s = score_detections(sure)
    accuracy = s.accuracy
    assert len(s.bins) > 1 and accuracy is not None and accuracy.confidence == (1.,)
    assert accuracy.sigma[0] * s.size_px == pytest.approx(3., rel=.1)
    assert score_detections([picture(true, true)]).accuracy is None
