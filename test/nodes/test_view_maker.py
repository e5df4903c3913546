# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One camera's images to views: stamps that lie, networks that fail, people beyond the number wanted."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from ros_world import DotsNetwork, draw, jpeg, pose, raw
from sensor_msgs.msg import CameraInfo

from selfpose_ros.core.check import Kind
from selfpose_ros.core.errors import SkeletonError
from selfpose_ros.inference.errors import InferenceError
from selfpose_ros.inference.pose2d import People2D, no_people
from selfpose_ros.nodes.errors import ImageError
from selfpose_ros.nodes.view_maker import ViewMaker


def test_a_clock_that_jumps_back_begins_a_new_track_and_disorder_does_not() -> None:
    network = DotsNetwork()
    maker = ViewMaker('cam1', network)
    stamps = [100., 100.033, 100.033, 100.02, 100.066, 50., 50.033, 100.1]
    views = [maker.view(raw(draw(pose()), t), None, 0.) for t in stamps]
    assert [v is not None for v in views] == [True, True, False, False, True, True, True, True]
    assert (maker.doubles, maker.jumps.total, network.resets) == (2, 1, 1)
    assert views[5] is not None and views[5].stamp == 50.


def test_an_image_that_changes_its_size_begins_a_new_track() -> None:
    network = DotsNetwork()
    maker = ViewMaker('cam1', network)
    sizes = [(320, 240), (320, 240), (640, 480), (640, 480)]
    views = [maker.view(raw(draw(pose(), s), 10. + i), None, 0.) for i, s in enumerate(sizes)]
    assert [v.image_size for v in views if v is not None] == sizes and network.resets == 1


def test_a_driver_without_stamps_is_used_with_the_time_of_arrival_and_told() -> None:
    maker = ViewMaker('cam1', DotsNetwork())
    view = maker.view(raw(draw(pose()), 0.), None, 77.5)
    assert view is not None and view.stamp == 77.5 and 'sets no stamps' in maker.note


def test_an_empty_scene_is_a_view_without_people() -> None:
    view = ViewMaker('cam1', DotsNetwork()).view(jpeg(draw(None), 1.), None, 0.)
    assert view is not None and view.keypoints.shape == (0, 17, 2) and view.image_size == (320, 240)


def test_calibration_comes_along_and_what_does_not_fit_is_told_but_stops_nothing() -> None:
    maker = ViewMaker('cam1', DotsNetwork())
    info = CameraInfo(width=320, height=240, k=[300., 0., 160., 0., 300., 120., 0., 0., 1.])
    view = maker.view(raw(draw(pose()), 1.), info, 0.)
    assert view is not None and view.intrinsics is not None and view.intrinsics.K[0, 0] == 300 and maker.note == ''
    info.width = 240
    view = maker.view(raw(draw(pose()), 2.), info, 0.)
    assert view is not None and view.intrinsics is None and 'CameraInfo is for 240x240 px' in maker.note


class _Crowd(DotsNetwork):
    def infer(self, image_bgr: np.ndarray) -> People2D:
        confidence = np.stack([np.full(17, c) for c in (0.2, 0.9, 0.04, 0.5)])
        return People2D(np.tile(pose(), (4, 1, 1)), confidence, np.array([10, 11, 12, 13]))


def test_the_most_confident_people_and_joints_are_kept() -> None:
    maker = ViewMaker('cam1', _Crowd(), max_people=3, min_confidence=0.1)
    view = maker.view(raw(draw(pose()), 1.), None, 0.)
    assert view is not None and view.person.tolist() == [11, 13, 10]
    maker.max_people, maker.min_confidence = 1, 0.95
    view = maker.view(raw(draw(pose()), 2.), None, 0.)
    assert view is not None and len(view.keypoints) == 0, 'nobody is sure enough'


class _Broken(DotsNetwork):
    def infer(self, image_bgr: np.ndarray) -> People2D:
        raise InferenceError('the network stumbled; go on')


def test_a_network_that_fails_is_told_with_the_camera() -> None:
    with pytest.raises(ImageError, match='camera cam1: the network stumbled'):
        ViewMaker('cam1', _Broken()).view(raw(draw(pose()), 1.), None, 0.)


class _NoBody(DotsNetwork):
    joint_names = ('nose', 'tail')


def test_a_network_without_a_body_is_refused_before_the_first_image() -> None:
    with pytest.raises(SkeletonError, match='missing among 2 names'):
        ViewMaker('cam1', _NoBody())


class _Blind(DotsNetwork):
    def infer(self, image_bgr: np.ndarray) -> People2D:
        return no_people(17)


def test_pictures_that_show_nothing_are_found() -> None:
    def found(drawn: Callable[[int], np.ndarray], images: int = 15) -> list[Kind]:
        maker = ViewMaker('cam1', _Blind())
        for n in range(images):
            maker.view(raw(drawn(n), 10. + n / 10), None, 0.)
        return [f.kind for f in maker.pictures.findings()]
    assert found(lambda n: draw(pose(2. * n))) == []
    assert found(lambda n: np.maximum(draw(pose()), 60), 110) == [Kind.FROZEN]
    assert found(lambda n: draw(None)) == [Kind.BLACK]
    assert found(lambda n: draw(None) + np.uint8(90)) == [Kind.UNIFORM]
