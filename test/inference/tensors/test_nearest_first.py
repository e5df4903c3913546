# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Of more people than are wanted the nearest are taken; and rows of MoveNet that are none are refused."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.errors import InputError, OutputError
from selfpose_ros.inference.pose2d.contract import People2D
from selfpose_ros.inference.tensors.decode import movenet
from selfpose_ros.inference.views import ViewMap

SHAPE = np.random.default_rng(5).uniform(0, 1, (len(JOINTS), 2))


def people(*sizes: float, confidence: tuple[float, ...] = ()) -> People2D:
    """As tall as this, px; named by their places."""
    sure = np.array(confidence or (.8,) * len(sizes))
    return People2D(np.array([SHAPE * s + 10 for s in sizes]), np.repeat(sure[:, None], len(JOINTS), 1),
                    np.arange(len(sizes)))


@pytest.mark.parametrize(('found', 'most', 'kept'), [
    (people(50, 200, 120), 2, [1, 2]), (people(50, 200, 120), 9, [1, 2, 0]), (people(50, 200, 120), None, [0, 1, 2]),
    # what is large and hardly believed comes after somebody who is there
    (people(300, 200, confidence=(.1, .9)), 1, [1]), (people(100, 100), 1, [0])])
def test_the_nearest_are_taken(found: People2D, most: int | None, kept: list[int]):
    view = ViewMap(JOINTS).view(found, 'a', 1., (640, 480), most=most)
    assert view.person.tolist() == kept


def test_somebody_of_one_joint_comes_before_nobody():
    found = people(100, 100)
    confidence = found.confidence.copy()
    confidence[0], confidence[1] = 0, 0
    confidence[1, 3] = .5
    view = ViewMap(JOINTS).view(People2D(found.keypoints, confidence, found.person), 'a', 1., (640, 480), most=1)
    assert view.person.tolist() == [1]


def test_movenet_gives_shares_of_the_sides_with_y_first():
    row = np.zeros((1, 6, 56), np.float32)
    row[0, 2, :51] = np.tile([.25, .5, .9], 17)
    row[0, 2, 51:] = [.1, .2, .6, .8, .7]                  # y1 x1 y2 x2 score
    boxes, score, points, joint_score = movenet(row, 17, (320, 160), .3)[0]
    np.testing.assert_allclose(points, np.tile([160., 40.], (1, 17, 1)))
    np.testing.assert_allclose(boxes, [[64, 16, 256, 96]], rtol=1e-6)
    np.testing.assert_allclose(score, [.7], rtol=1e-6)
    assert joint_score.shape == (1, 17)


def test_other_rows_are_refused():
    for shape in ((1, 6, 55), (6, 56), (1, 2, 17, 3)):
        with pytest.raises(OutputError, match=r'movenet: expected \(B, N, 56\) or \(B, 1, 17, 3\)'):
            movenet(np.zeros(shape, np.float32), 17, (256, 256), .3)
    with pytest.raises(OutputError, match='finite'):
        movenet(np.full((1, 6, 56), np.nan, np.float32), 17, (256, 256), .3)
    with pytest.raises(InputError, match='min_score'):
        movenet(np.zeros((1, 6, 56), np.float32), 17, (256, 256), 2.)
