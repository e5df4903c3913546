# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Outputs of one-stage networks made by hand, and the people that they mean; from the image and back to it."""
from __future__ import annotations

import numpy as np
import pytest
from decode_outputs import SIZE, UDP, bins, maps, people_of_yolo, raw_of_yolo, ready_of_yolo, yolox_raw
from placing import to_network

from selfpose_ros.inference.tensors.decode import boxes_of, heatmap, rtmdet, rtmo, simcc, yolo_pose, yolox
from selfpose_ros.inference.tensors.geometry import Placement, letterbox, person_crop


def test_rtmo_by_hand() -> None:
    dets = np.array([[[10, 20, 110, 220, .6], [0, 0, 5, 5, .3], [300, 20, 400, 220, .8]], [[0, 0, 0, 0, 0]] * 3])
    keypoints = np.zeros((2, 3, 2, 3))
    keypoints[0, 0] = [[50, 40, .9], [60, 90, 0]]
    keypoints[0, 2] = [[350, 40, 1.2], [360, 90, .1]]
    (boxes, score, points, joint), nobody = rtmo(dets, keypoints, .3)
    assert boxes.tolist() == [[300, 20, 400, 220], [10, 20, 110, 220]] and score.tolist() == [.8, .6]
    assert points[0].tolist() == [[350, 40], [360, 90]] and points[1, 0].tolist() == [50, 40]
    assert np.isnan(points[1, 1]).all() and joint.tolist() == [[1, .1], [.9, 0]]
    assert [a.shape for a in nobody] == [(0, 4), (0,), (0, 2, 2), (0, 2)]


@pytest.mark.parametrize('joints', [17, 26])
def test_yolo_raw_and_end_to_end_are_the_same_people(joints: int) -> None:
    boxes, score, trio = people_of_yolo(joints)
    for output in (raw_of_yolo(boxes, score, trio), ready_of_yolo(boxes, score, trio)):
        ((b, s, p, j),) = yolo_pose(output, joints, .3, .5)
        assert np.allclose(b, boxes[[1, 2, 0]], atol=1e-4) and np.allclose(s, [.9, .7, .6])
        assert np.allclose(p, trio[[1, 2, 0], :, :2], atol=1e-4) and np.allclose(j, trio[[1, 2, 0], :, 2])


def test_yolo_end_to_end_is_not_thinned_again_and_other_classes_go() -> None:
    boxes, score, trio = people_of_yolo()
    boxes[2] = boxes[1] + 1
    output = ready_of_yolo(boxes, score, trio)
    ((b, _, _, _),) = yolo_pose(output, 17, .3, .5)
    assert np.allclose(b, boxes[[1, 2, 0]])
    output[0, 1, 5] = 1
    ((b, _, _, _),) = yolo_pose(output, 17, .3, .5)
    assert np.allclose(b, boxes[[2, 0]])
    ((b, _, _, _),) = yolo_pose(raw_of_yolo(boxes, score, trio), 17, .3, .5)
    assert np.allclose(b, boxes[[1, 0]])


@pytest.mark.parametrize('output', [np.zeros((1, 56, 8400)), np.zeros((1, 300, 57)), np.zeros((1, 0, 57)),
                                    np.zeros((1, 56, 0))])
def test_yolo_with_nobody(output: np.ndarray) -> None:
    (nobody,) = yolo_pose(output, 17, 0., .5)
    assert [a.shape for a in nobody] == [(0, 4), (0,), (0, 17, 2), (0, 17)]


#: a person half outside an image of 641 x 479 px
BOX = [-40., 100., 120., 520.]
JOINTS = np.random.default_rng(8).uniform([-20, 120], [100, 500], (17, 2))


@pytest.mark.parametrize('mode', ['classic', 'udp'])
def test_image_to_simcc_and_back(mode: str) -> None:
    place = person_crop(BOX, SIZE, mode=mode)
    there = to_network(place, JOINTS)[None]
    points, score = simcc(bins(there[..., 0] * 2, 384), bins(there[..., 1] * 2, 512), 2.)
    pixel = 1 / place.matrix[0, 0]
    assert np.abs(place.to_image(points[0]) - JOINTS).max() <= .25 * pixel + 1e-9    # half a bin
    assert (score > .9).all()


@pytest.mark.parametrize('mode, method, error', [('classic', 'quarter', .26 * 4), ('classic', 'dark', .05),
                                                 ('udp', 'udp', .05)])
def test_image_to_heatmap_and_back(mode: str, method: str, error: float) -> None:
    place = person_crop(BOX, SIZE, mode=mode)
    there = to_network(place, JOINTS)[None]
    points, _ = heatmap(maps(there / (UDP if method == 'udp' else 4.)), SIZE, method)
    assert np.abs(place.to_image(points[0]) - JOINTS).max() < error / place.matrix[0, 0]


@pytest.mark.parametrize('place', [letterbox((641, 479), (640, 640)), letterbox((641, 479), (640, 640), 'centre'),
                                   letterbox((479, 641), (640, 640), 'centre')])
def test_image_to_one_stage_and_back(place: Placement) -> None:
    box = to_network(place, np.reshape(BOX, (2, 2))).ravel()[None]
    trio = np.dstack([to_network(place, JOINTS)[None], np.full((1, 17), .8)])
    score = np.array([.9])
    for (found,) in (rtmo(np.hstack([box, score[:, None]])[None], trio[None], .3),
                     yolo_pose(raw_of_yolo(box, score, trio), 17, .3, .5),
                     yolo_pose(ready_of_yolo(box, score, trio), 17, .3, .5)):
        assert np.abs(place.to_image(found[2][0]) - JOINTS).max() < 1e-3
        assert np.abs(place.to_image(found[0].reshape(2, 2)).ravel() - BOX).max() < 1e-3


@pytest.mark.parametrize('mode', ['corner', 'centre'])
def test_image_to_a_detector_and_back(mode: str) -> None:
    place = letterbox((641, 479), (416, 416), mode)
    box = to_network(place, np.reshape(BOX, (2, 2))).ravel()
    dets = np.append(box, .9)[None, None]
    middle, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    cell = np.floor(np.maximum(middle, 0) / 32)
    row = (*(middle / 32 - cell), *np.log(extent / 32), 1, .9)
    raw = yolox_raw((416, 416), {3380 + int(cell[1] * 13 + cell[0]): row})
    for ((boxes, score),) in (rtmdet(dets, [[0]], .3), boxes_of(dets, .3), yolox(raw, (416, 416), .3, .45)):
        assert np.abs(place.to_image(boxes.reshape(2, 2)).ravel() - BOX).max() < 1e-3
        assert np.allclose(score, .9)
