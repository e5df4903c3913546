# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Boxes of detectors made by hand, and the people that they mean."""
from __future__ import annotations

import cv2
import numpy as np
from decode_outputs import yolox_raw

from selfpose_ros.inference.tensors.decode import boxes_of, nms, rtmdet, yolox


def test_nms_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [100, 0, 110, 10], [1, 0, 11, 10], [0, 5, 10, 10.]])
    score = np.array([.8, .7, .5, .9, .6])
    # 3 is the best; of 0 it has 9/11, of the halves 45/105
    assert nms(boxes, score, .5).tolist() == [3, 1, 4, 2]
    assert nms(boxes, score, .9).tolist() == [3, 0, 1, 4, 2]
    assert nms(boxes, score, .4).tolist() == [3, 2]


def test_nms_removes_above_the_overlap_and_not_at_it() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5.]])     # 50 of 100
    assert nms(boxes, [.9, .8], .5).tolist() == [0, 1]
    assert nms(boxes, [.9, .8], .49).tolist() == [0]


def test_a_box_that_is_removed_removes_none() -> None:
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10.]])    # a chain: 6/14 each, 2/18 across
    assert nms(boxes, [.9, .8, .7], .4).tolist() == [0, 2]


def test_nms_with_ties_and_nothing() -> None:
    same = np.tile([0, 0, 10, 10.], (4, 1))
    assert nms(same, np.full(4, .5), .5).tolist() == [0]
    assert nms(same + np.arange(4)[:, None] * 50, np.full(4, .5), 0.).tolist() == [0, 1, 2, 3]
    assert nms(np.zeros((0, 4)), np.zeros(0), .5).tolist() == []
    assert nms(np.zeros((3, 4)), [.1, .2, .3], .5).tolist() == [2, 1, 0]   # no area, no overlap


def test_nms_is_not_misled_by_a_box_turned_inside_out() -> None:
    boxes = np.array([[10, 0, 0, 100], [200, 0, 210, 10.]])
    assert nms(boxes, [.9, .8], .5).tolist() == [0, 1]


def test_nms_agrees_with_opencv() -> None:
    rng = np.random.default_rng(6)
    low = rng.uniform(0, 300, (300, 2))
    boxes, score = np.hstack([low, low + rng.uniform(20, 120, (300, 2))]), (rng.permutation(300) + 1) / 301
    theirs = cv2.dnn.NMSBoxes(np.hstack([low, boxes[:, 2:] - low]).tolist(), score.tolist(), 0., .45)
    ours = nms(boxes, score, .45)
    assert ours.tolist() == list(theirs) and 20 < len(ours) < 280


def test_rtmdet_keeps_people() -> None:
    dets = np.array([[[0, 0, 10, 20, .4], [1, 1, 9, 9, .95], [5, 5, 50, 90, .9], [0, 0, 9, 9, .25], [0, 0, 0, 0, -1]],
                     [[0, 0, 0, 0, 0]] * 5], np.float32)
    labels = np.array([[0, 56, 0, 0, -1], [0] * 5])
    (boxes, score), nobody = rtmdet(dets, labels, .25)
    assert boxes.tolist() == [[5, 5, 50, 90], [0, 0, 10, 20]] and np.allclose(score, [.9, .4])
    assert nobody[0].shape == (0, 4) and nobody[1].shape == (0,)


def test_boxes_without_classes() -> None:
    dets = np.array([[[0, 0, 10, 20, .4], [5, 5, 50, 90, 1.0005], [0, 0, 9, 9, .1]]])
    ((boxes, score),) = boxes_of(dets, .25)
    assert boxes.tolist() == [[5, 5, 50, 90], [0, 0, 10, 20]] and score.tolist() == [1, .4]


def test_yolox_by_hand() -> None:
    # 416 px: 52 * 52 cells of 8 px, from 2704 on 26 * 26 of 16 px, from 3380 on 13 * 13 of 32 px
    raw = yolox_raw((416, 416), {
        10 * 52 + 3: (.5, .25, np.log(2), np.log(4), .9, .8),             # row 10, column 3: centre 28, 82; 16 x 32
        2704 + 5 * 26 + 7: (0, 1, 0, np.log(3), .5, .8),                  # centre 112, 96; 16 x 48
        3380 + 12 * 13 + 11: (.5, -.5, np.log(2), 0, 1, .5),              # centre 368, 368; 64 x 32
        3548: (0, 0, 0, 0, 1, .2),                                        # too weak
        20: (0, 0, 1, 1, .9, .1, .9),                                     # something else
    }, classes=80)
    assert raw.shape == (1, 3549, 85)
    ((boxes, score),) = yolox(raw, (416, 416), .3, .45)
    assert np.allclose(boxes, [[20, 66, 36, 98], [336, 352, 400, 384], [104, 72, 120, 120]], atol=1e-4)
    assert np.allclose(score, [.72, .5, .4])


def test_yolox_with_a_wide_input_and_duplicates() -> None:
    # 64 x 32 px: 8 x 4 cells of 8 px, 4 x 2 of 16, 2 x 1 of 32
    raw = yolox_raw((64, 32), {13: (0, 0, 1, 1, .9, .9), 14: (-1, 0, 1, 1, .8, .9), 41: (0, .5, 0, 0, .7, 1)})
    assert raw.shape == (1, 42, 6)
    ((boxes, score),) = yolox(raw, (64, 32), .3, .45)
    half = 8 * np.e / 2
    assert np.allclose(boxes, [[40 - half, 8 - half, 40 + half, 8 + half], [16, 0, 48, 32]], atol=1e-4)
    assert np.allclose(score, [.81, .7])
    ((boxes, score),) = yolox(np.zeros((1, 42, 6)), (64, 32), 0., .45)
    assert boxes.shape == (0, 4) and score.shape == (0,)
