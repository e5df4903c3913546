# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Two people who stand close: a third who is made of their joints is nobody; who is half hidden is somebody."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.pose2d.network import Found
from selfpose_ros.inference.pose2d.top_down import TopDown

Array = NDArray[np.float64]
BODY = np.random.default_rng(3).uniform(0., 200., (17, 2))
IMAGE = np.zeros((400, 640, 3), np.uint8)


class Scripted:
    """In place of both networks: a box for each person, and in each the joints and confidences that are given."""

    def __init__(self, points: list[Array], confidence: list[float]) -> None:
        card = SimpleNamespace(name='x', kind='detector', joints=JOINTS, accuracy=None)
        self.model: Any = SimpleNamespace(card=card, folder='x')
        self.vision = SimpleNamespace(decode={'min_score': .2})
        self.points, self.confidence = np.array(points), np.repeat(np.array(confidence)[:, None], 17, 1)

    def find(self, image: NDArray[np.uint8]) -> Found:
        # far from each other: what the boxes have in common is not what is tried here
        boxes = np.array([[150. * i, 0., 150. * i + 140., 200.] for i in range(len(self.points))])
        return Found(boxes, np.ones(len(boxes)))

    def poses_in_depth(self, image: NDArray[np.uint8], boxes: Array) -> tuple[Array, Array, None]:
        return self.points[:len(boxes)], self.confidence[:len(boxes)], None


def found(points: list[Array], confidence: list[float]) -> int:
    network: Any = Scripted(points, confidence)
    return len(TopDown(network, network).infer(IMAGE))


def mixed(first: Array, second: Array, of_first: int) -> Array:
    return np.concatenate([first[:of_first], second[of_first:]])


LEFT, RIGHT = BODY + [20., 20.], BODY + [300., 20.]


@pytest.mark.parametrize(('order', 'sure'), [([0, 1, 2], .4), ([2, 0, 1], .4), ([0, 2, 1], .5)])
def test_who_has_joints_of_two_and_is_unsure_is_nobody(order: list[int], sure: float) -> None:
    points, confidence = [LEFT, RIGHT, mixed(LEFT, RIGHT + 60., 8)], [.9, .8, sure]
    assert found([points[i] for i in order], [confidence[i] for i in order]) == 2


def test_who_is_unsure_with_joints_of_his_own_is_somebody() -> None:
    assert found([LEFT, RIGHT, BODY[::-1] + [150., 20.]], [.9, .8, .3]) == 3
    assert found([LEFT, mixed(LEFT, RIGHT, 3)], [.9, .4]) == 2, 'three joints may coincide'


def test_who_is_as_sure_as_the_other_is_somebody() -> None:
    assert found([LEFT, mixed(LEFT, RIGHT, 6)], [.9, .8]) == 2
