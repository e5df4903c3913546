# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who is expected in which image, live and in recordings, and views with whom a second look finds."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from selfpose_ros.core.camera import project
from selfpose_ros.core.observation import Skeleton3D, View2D
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.rig import NotSolved, Rig
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.errors import InferenceError
from selfpose_ros.inference.pose2d import People2D
from selfpose_ros.inference.second_look import NOBODY, ExpectedPeople, SecondLook, missed_in
from selfpose_ros.inference.views import ViewNetwork
from selfpose_ros.synthetic import ring_rig

RIG: Rig = ring_rig(3, seed=1)
BODY = np.random.default_rng(1).uniform([-.3, -.3, 0.], [.3, .3, 1.7], (17, 3))
SPEED = np.array([.8, 0., 0.])


def person(stamp: float, views: int = 3, level: int = 3, known: bool = True) -> Skeleton3D:
    velocity = np.tile(SPEED if known else np.full(3, np.nan), (17, 1))
    joints = BODY + stamp * SPEED
    return Skeleton3D(7, stamp, joints, np.full(17, .02), np.ones(17), np.full(17, views), level, velocity)


def seen(camera: int, stamp: float) -> np.ndarray:
    return project(BODY + stamp * SPEED, RIG.K[camera], RIG.R[camera], RIG.t[camera])


@pytest.mark.parametrize('velocities', [True, False])
def test_somebody_is_expected_where_he_walks_to(velocities: bool) -> None:
    people = ExpectedPeople()
    people.put_rig(RIG)
    for t in (.0, .1, .2):
        people.put([person(t, known=velocities)])
    np.testing.assert_allclose(people.at(RIG.cameras[1], .4)[0], seen(1, .4), atol=1e-6)
    people.put([person(.3, views=0)])                      # at this instant no camera of his took a picture
    np.testing.assert_allclose(people.at(RIG.cameras[2], .4)[0], seen(2, .4), atol=1e-6)
    assert not len(people.at(RIG.cameras[1], 1.5)), 'too long ago'
    assert not len(people.at('another', .4))
    people.forget()
    assert not len(people.at(RIG.cameras[1], .4))


def test_while_the_fusion_has_no_rig_anybody_is_expected_for_a_while() -> None:
    people, camera = ExpectedPeople(), RIG.cameras[0]
    assert people.at(camera, 0.) is NOBODY, 'there is no fusion'
    for begin in (5., 100.):
        people.put_rig(None, 'too little motion')
        assert people.at(camera, begin) is None and people.at('another', begin + 19.9) is None
        people.put_rig(None, 'still too little')
        assert people.at(camera, begin + 20.1) is NOBODY, 'there may never be one'
        people.put_rig(RIG)
        assert people.at(camera, begin) is NOBODY
    people.put_rig(None)
    people.forget()
    assert people.at(camera, 200.) is NOBODY


@pytest.mark.parametrize('nobody', [person(.2, level=2), person(.2, views=1)])
def test_who_is_not_sure_to_be_there_is_not_expected(nobody: Skeleton3D) -> None:
    people = ExpectedPeople()
    people.put_rig(RIG)
    people.put([nobody])
    assert not len(people.at(RIG.cameras[0], .2))


def test_behind_a_camera_nobody_is_expected() -> None:
    people = ExpectedPeople()
    people.put_rig(RIG)
    away = RIG.centres[0] - (BODY.mean(0) - RIG.centres[0])
    p = person(0.)
    people.put([Skeleton3D(7, 0., BODY + away - BODY.mean(0), p.sigma, p.confidence, p.views, 3)])
    assert not len(people.at(RIG.cameras[0], 0.))


def result(stamps: np.ndarray, people: Sequence[Sequence[Skeleton3D]], rig: Rig | NotSolved = RIG) -> Skeletons:
    return Skeletons.of(stamps, people, RIG.cameras, rig)


def view(camera: int, stamp: float, there: bool) -> View2D:
    keypoints = seen(camera, stamp)[None][:int(there)]
    return View2D(RIG.cameras[camera], stamp, keypoints, np.ones(keypoints.shape[:2]), tuple(RIG.image_size[camera]))


STAMPS = np.arange(0., 1., .1)


@pytest.mark.parametrize(('causal', 'last'), [(False, .9), (True, 1.25)])
def test_views_that_miss_somebody_of_a_recording(causal: bool, last: float) -> None:
    late = {RIG.cameras[0]: 2.}                             # its stamps were 2 s too large as they were read
    rows = [[person(t)] for t in STAMPS]
    views = [view(0, t + 2., False) for t in (.45, last, 5.)] + [view(1, .45, True), view(2, .52, False)]
    rig = Rig(**{**RIG.__dict__, 'clock_offset_s': np.array([0., -2., -2.])})
    missed = missed_in(views, result(STAMPS, rows, rig), late, causal)
    assert set(missed) == {(RIG.cameras[0], 2.45), (RIG.cameras[0], 2. + last), (RIG.cameras[2], .52)}
    np.testing.assert_allclose(missed[RIG.cameras[0], 2.45][0], seen(0, .45), atol=1e-6)
    np.testing.assert_allclose(missed[RIG.cameras[2], .52][0], seen(2, .52), atol=1e-6)


def test_causally_nothing_is_taken_from_later() -> None:
    rows = [[person(t)] for t in STAMPS]
    elsewhere = [Skeleton3D(7, t, BODY + 5., np.ones(17), np.ones(17), np.full(17, 3), 3) for t in STAMPS[5:]]
    later = [*rows[:5], *([p] for p in elsewhere)]
    for people in (rows, later):
        missed = missed_in([view(0, .45, False)], result(STAMPS, people), {}, True)
        np.testing.assert_allclose(missed[RIG.cameras[0], .45][0], seen(0, .45), atol=1e-6)


def test_without_a_rig_nobody_is_missed() -> None:
    rows = [[person(t)] for t in STAMPS]
    assert not missed_in([view(0, .45, False)], result(STAMPS, rows, NotSolved('no motion')), {})


class Finds:
    """A network whose second look finds the expected, and whose first one must not be taken."""

    name, device, joint_names = 'finds', 'none', JOINTS

    def __init__(self) -> None:
        self.looks = 0

    def search(self) -> None:
        raise AssertionError('everybody was looked for')

    def infer(self, image_bgr: np.ndarray) -> People2D:
        raise AssertionError('the first look was taken')

    def look_again(self, image_bgr: np.ndarray, expected: np.ndarray, known: np.ndarray,
                   known_confidence: np.ndarray) -> People2D:
        self.looks += 1
        return People2D(expected, .5 * np.ones(expected.shape[:2]), np.arange(len(expected)))

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_second_reading_looks_where_somebody_is_missed_alone() -> None:
    image, network = np.zeros((8, 8, 3), np.uint8), Finds()
    views = [view(0, .1, True), view(0, .2, False), view(0, .3, True)]
    camera = RIG.cameras[0]
    again = SecondLook(lambda: ViewNetwork(network), views, {(camera, .2): seen(0, .2)[None], (camera, .3): seen(
        0, .9)[None]})
    assert again.view(camera, .1, image) is views[0] and network.looks == 0
    assert len(again.view(camera, .2, image).keypoints) == 1
    two = again.view(camera, .3, image)
    assert np.array_equal(two.keypoints, np.stack([seen(0, .3), seen(0, .9)])) and two.person.tolist() == [-1, -1]
    with pytest.raises(InferenceError, match='the first look at this image gave nothing'):
        again.view(camera, .4, image)
