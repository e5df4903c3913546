# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A second look where somebody is expected: who is there is found, told once, and followed; nobody is made up."""
from __future__ import annotations

import numpy as np
import pytest
from test_blazepose import picture, seeing  # noqa: F401 - a fixture
from test_tiles import BODY, NEAR, SMALL, Blobs, room

from selfpose_ros.core.skeleton import joint_map
from selfpose_ros.inference.pose2d.contract import SearchingPose2D
from selfpose_ros.inference.pose2d.expected import newly_found, not_found
from selfpose_ros.inference.pose2d.top_down import TopDown
from selfpose_ros.inference.second_look import people_in

ONES = np.ones((1, 17))


def joints_of(x: int, y: int, height: int) -> np.ndarray:
    return [x, y] + BODY * [height // 3 - 1., height - 1.]


def top_down(**options: int) -> TopDown:
    blobs = Blobs()
    return TopDown(blobs, blobs, **options)                # type: ignore[arg-type]


def test_who_is_too_small_for_the_detector_is_found_where_he_is_expected_and_followed() -> None:
    network, image, joints = top_down(), room(NEAR, SMALL), joint_map(top_down().joint_names)
    assert isinstance(network, SearchingPose2D)
    assert len(network.infer(image)) == 1
    expected = np.stack([joints_of(*NEAR) + 4., joints_of(*SMALL) + 2.])
    people = people_in(network, joints, image, expected)
    assert len(people) == 2 and len(set(people.person.tolist())) == 2
    np.testing.assert_allclose(people.keypoints[1], joints_of(*SMALL))
    followed = people_in(network, joints, image, None)
    assert followed.person.tolist() == people.person.tolist(), 'he is followed, nobody is expected any more'


@pytest.mark.parametrize('expected', [
    joints_of(*NEAR) + [40., 0.], joints_of(300, 300, 120), np.full((17, 2), np.nan), joints_of(-300, 60, 300)])
def test_where_nobody_else_is_nobody_is_found(expected: np.ndarray) -> None:
    network, image = top_down(), room(NEAR)
    assert len(people_in(network, joint_map(network.joint_names), image, expected[None])) == 1
    assert len(network.infer(image)) == 1


def test_as_many_as_are_asked_for() -> None:
    network, image = top_down(max_people=1), room(NEAR, SMALL)
    assert len(people_in(network, joint_map(network.joint_names), image, joints_of(*SMALL)[None])) == 1


def test_blazepose_turns_to_where_somebody_is_expected(seeing) -> None:    # noqa: F811
    image = picture((200, 300, 100), (460, 300, 120))
    network, _, _ = seeing()
    joints = joint_map(network.joint_names)
    both = network.infer(image)
    expected, _ = joints.apply(both.keypoints, both.confidence)
    network, _, detector = seeing()
    detector.blind = True
    people = people_in(network, joints, image, expected + 3.)
    assert len(people) == 2 and len(set(people.person.tolist())) == 2
    assert sorted(network.infer(image).person.tolist()) == sorted(people.person.tolist())
    assert len(people_in(network, joints, image, expected)) == 2, 'nobody is there twice'
    nobody, _, detector = seeing()
    detector.blind = True
    assert len(people_in(nobody, joints, picture(), expected)) == 0


def test_each_who_was_found_is_one_of_the_expected() -> None:
    body = joints_of(100, 100, 200)
    two = np.stack([body, body + [20., 0.]])
    assert not_found(two, body[None], ONES).tolist() == [1], 'who stands in front is not both of them'
    assert not_found(two, two, np.ones((2, 17))).tolist() == []
    assert not_found(two, np.zeros((0, 17, 2)), np.zeros((0, 17))).tolist() == [0, 1]


@pytest.mark.parametrize(('shared', 'sure', 'new'), [(0, 1., True), (5, 1., True), (5, .5, False), (12, 1., False)])
def test_who_is_made_of_anothers_joints_is_nobody(shared: int, sure: float, new: bool) -> None:
    known = joints_of(100, 100, 200)
    found = known + [60., 0.]
    found[:shared] = known[:shared]
    assert (newly_found(found[None], found[None], sure * ONES, known[None], ONES) == [0]) == new
