# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From the people of a 2D network to a view: which of them, in which order, with what."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.core.camera import Intrinsics
from selfpose_ros.core.errors import SkeletonError
from selfpose_ros.core.noise import Accuracy
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.pose2d import People2D
from selfpose_ros.inference.views import ViewMap, ViewNetwork

SIZE = (640, 480)


def people(*confidence: float, depth: bool = False) -> People2D:
    """One person for each confidence of all joints; person p has his joints at (100 p, joint)."""
    P = len(confidence)
    at = np.stack([np.repeat(100. * np.arange(P), 17).reshape(P, 17), np.tile(np.arange(17.), (P, 1))], -1)
    conf = np.repeat(np.array(confidence), 17).reshape(P, 17)
    in_depth = np.stack([at[..., 0] / 1000, np.full((P, 17), .1)], -1) if depth else None
    return People2D(at, conf, np.arange(P) + 7, in_depth)


def test_everybody_of_whom_a_joint_is_seen_in_the_networks_order() -> None:
    known = Intrinsics(np.diag([500., 500., 1.]))
    view = ViewMap(JOINTS).view(people(.3, 0., .9, depth=True), 'a', 1.5, SIZE, known)
    assert view.person.tolist() == [7, 9] and view.keypoints[:, 0, 0].tolist() == [0., 200.]
    assert (view.camera, view.stamp, view.image_size, view.intrinsics) == ('a', 1.5, SIZE, known)
    assert view.depth is not None and view.depth_sigma is not None
    assert np.allclose(view.depth, [[0.] * 17, [.2] * 17]) and np.allclose(view.depth_sigma, .1)


def test_the_surest_where_not_all_are_wanted() -> None:
    view = ViewMap(JOINTS).view(people(.3, .5, .9, .1), 'a', 0., SIZE, most=3, min_confidence=.2)
    assert view.person.tolist() == [9, 8, 7] and view.depth is None
    assert not len(ViewMap(JOINTS).view(people(.1), 'a', 0., SIZE, min_confidence=.2).keypoints)


def test_joints_of_a_face_are_no_body() -> None:
    with pytest.raises(SkeletonError):
        ViewMap(('nose', 'l_eye', 'r_eye'))


def test_a_network_of_views_takes_size_and_intrinsics_from_where_they_are() -> None:
    class Network:
        name, device, joint_names, accuracy, closed = 'x', 'CPU', JOINTS, Accuracy((.5,), (.02,)), False

        def infer(self, image_bgr: np.ndarray) -> People2D:
            return people(.5)

        def reset(self) -> None:
            pass

        def close(self) -> None:
            self.closed = True
    network = Network()
    seeing = ViewNetwork(network)
    view = seeing.view('b', 2., np.zeros((48, 64, 3), np.uint8))
    assert (view.camera, view.stamp, view.image_size, view.intrinsics) == ('b', 2., (64, 48), None)
    assert view.accuracy == network.accuracy
    seeing.close()
    assert network.closed
