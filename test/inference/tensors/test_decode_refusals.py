# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Outputs of 2D networks that fit no decoding, and options that none has."""
from __future__ import annotations

import numpy as np
import pytest
from decode_outputs import SIZE, yolox_raw

from selfpose_ros.inference.errors import InputError, OutputError
from selfpose_ros.inference.tensors.decode import (
    BOXES,
    PEOPLE,
    POSES,
    boxes_of,
    heatmap,
    nms,
    rtmdet,
    rtmo,
    simcc,
    yolo_pose,
    yolox,
)
from selfpose_ros.models.vision import FAMILIES


def test_nothing_in_nothing_out() -> None:
    assert [a.shape for a in simcc(np.zeros((0, 17, 384)), np.zeros((0, 17, 512)), 2.)] == [(0, 17, 2), (0, 17)]
    for method in ('quarter', 'dark', 'udp'):
        assert [a.shape for a in heatmap(np.zeros((0, 17, 64, 48)), SIZE, method)] == [(0, 17, 2), (0, 17)]
    (nobody,) = rtmo(np.zeros((1, 0, 5)), np.zeros((1, 0, 17, 3)), .3)
    assert [a.shape for a in nobody] == [(0, 4), (0,), (0, 17, 2), (0, 17)]
    ((boxes, score),) = rtmdet(np.zeros((1, 0, 5)), np.zeros((1, 0), np.int64), .3)
    assert boxes.shape == (0, 4) and score.shape == (0,)
    ((boxes, score),) = boxes_of(np.zeros((1, 0, 5)), .3)
    assert boxes.shape == (0, 4) and score.shape == (0,)
    assert rtmo(np.zeros((0, 9, 5)), np.zeros((0, 9, 17, 3)), .3) == [] == boxes_of(np.zeros((0, 9, 5)), .3)


Z = np.zeros


@pytest.mark.parametrize('call, sentence', [
    (lambda: simcc(Z((1, 17, 384)), Z((1, 16, 512)), 2.), r'^simcc: expected x .*\(1, 17, 384\) and \(1, 16, 512\)'),
    (lambda: simcc(Z((17, 384)), Z((17, 512)), 2.), '^simcc: expected x'),
    (lambda: simcc(Z((1, 17, 384)), Z((1, 17, 64, 48)), 2.), '^simcc: expected x'),
    (lambda: simcc(Z((1, 17, 384)), Z((1, 17, 0)), 2.), '^simcc: expected x'),
    (lambda: simcc(Z((1, 0, 384)), Z((1, 0, 512)), 2.), '^simcc: expected x'),
    (lambda: heatmap(Z((17, 64, 48)), SIZE), r'^heatmap: expected \(B, K, h, w\).*got \(17, 64, 48\)'),
    (lambda: heatmap(Z((1, 17, 1, 48)), SIZE), '^heatmap: expected'),
    (lambda: heatmap(Z((1, 0, 64, 48)), SIZE), '^heatmap: expected'),
    (lambda: rtmo(Z((1, 9, 6)), Z((1, 9, 17, 3)), .3), r'^rtmo: expected dets .*\(1, 9, 6\)'),
    (lambda: rtmo(Z((1, 9, 5)), Z((1, 8, 17, 3)), .3), '^rtmo: expected dets'),
    (lambda: rtmo(Z((1, 9, 5)), Z((1, 9, 51)), .3), '^rtmo: expected dets'),
    (lambda: rtmo(Z((1, 9, 5)), Z((1, 9, 17, 2)), .3), '^rtmo: expected dets'),
    (lambda: rtmo(Z((1, 9, 5)), Z((1, 9, 0, 3)), .3), '^rtmo: expected dets'),
    (lambda: rtmo(Z((9, 5)), Z((9, 17, 3)), .3), '^rtmo: expected dets'),
    (lambda: yolo_pose(Z((1, 84, 8400)), 17, .3, .5),
     r'^yolo_pose: expected one of \(B, 56, anchors\) and \(B, N, 57\) for 17 joints, got \(1, 84, 8400\)'),
    (lambda: yolo_pose(Z((1, 8400, 56)), 17, .3, .5), '^yolo_pose: expected'),
    (lambda: yolo_pose(Z((1, 56, 57)), 17, .3, .5), '^yolo_pose: expected'),
    (lambda: yolo_pose(Z((56, 8400)), 17, .3, .5), '^yolo_pose: expected'),
    (lambda: rtmdet(Z((1, 9, 4)), Z((1, 9)), .3), '^rtmdet: expected dets'),
    (lambda: rtmdet(Z((1, 9, 5)), Z((1, 8)), .3), r'^rtmdet: expected .*\(1, 8\)'),
    (lambda: boxes_of(Z((9, 5)), .3), r'^boxes_of: expected dets .*\(9, 5\)'),
    (lambda: boxes_of(Z((1, 9, 6)), .3), '^boxes_of: expected dets'),
    (lambda: yolox(Z((1, 8400, 85)), (416, 416), .3, .45),
     r'^yolox: expected \(B, 3549, 5 \+ classes\) for an input of 416x416 px, got \(1, 8400, 85\)'),
    (lambda: yolox(Z((1, 3549, 5)), (416, 416), .3, .45), '^yolox: expected'),
    (lambda: nms(Z((9, 5)), Z(9), .5), r'^nms: expected boxes .*\(9, 5\)'),
    (lambda: nms(Z((9, 4)), Z(8), .5), r'^nms: expected boxes .*\(8,\)'),
    (lambda: simcc(np.full((1, 17, 384), '1'), Z((1, 17, 512)), 2.), '^simcc: expected numbers, got <U1'),
    (lambda: boxes_of(Z((1, 9, 5), complex), .3), '^boxes_of: expected numbers, got complex128'),
])
def test_another_shape_is_another_family(call, sentence: str) -> None:
    with pytest.raises(OutputError, match=sentence) as error:
        call()
    assert "check the family on the model's card" in str(error.value)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('where, call, shapes', [
    ('simcc', lambda x, y: simcc(x, y, 2.), [(1, 17, 384), (1, 17, 512)]),
    ('heatmap', lambda h: heatmap(h, SIZE), [(1, 17, 64, 48)]),
    ('heatmap', lambda h: heatmap(h, SIZE, 'dark'), [(1, 17, 64, 48)]),
    ('heatmap', lambda h: heatmap(h, SIZE, 'udp'), [(1, 17, 64, 48)]),
    ('rtmo', lambda d, k: rtmo(d, k, .3), [(1, 9, 5), (1, 9, 17, 3)]),
    ('yolo_pose', lambda a: yolo_pose(a, 17, .3, .5), [(1, 56, 84)]),
    ('yolo_pose', lambda a: yolo_pose(a, 17, .3, .5), [(1, 300, 57)]),
    ('rtmdet', lambda d, c: rtmdet(d, c, .3), [(1, 9, 5), (1, 9)]),
    ('boxes_of', lambda d: boxes_of(d, .3), [(1, 9, 5)]),
    ('yolox', lambda a: yolox(a, (64, 32), .3, .45), [(1, 42, 6)]),
    ('nms', lambda b, s: nms(b, s, .5), [(9, 4), (9,)]),
])
def test_one_number_that_is_not_finite_is_enough(where, call, shapes, bad: float) -> None:
    call(*(Z(s) for s in shapes))
    for i, shape in enumerate(shapes):
        for at in (0, -1):
            arrays = [Z(s) for s in shapes]
            arrays[i].flat[at] = bad
            with pytest.raises(OutputError, match=f'^{where}: expected finite numbers, got 1 that'):
                call(*arrays)
        assert arrays[i].shape == shape


def test_a_box_that_grows_without_bounds() -> None:
    with pytest.raises(OutputError, match='^yolox: expected finite numbers, got 1'):
        yolox(yolox_raw((64, 32), {3: (0, 0, 1000, 0, 1, 1)}), (64, 32), .3, .45)


@pytest.mark.parametrize('call', [
    lambda v: rtmo(np.array([[[0, 0, 9, 9, v]]]), Z((1, 1, 17, 3)), .3),
    lambda v: yolo_pose(np.where(np.arange(56) == 4, v, 0.)[None, :, None], 17, .3, .5),
    lambda v: yolo_pose(np.where(np.arange(57) == 4, v, 0.)[None, None], 17, .3, .5),
    lambda v: rtmdet(np.array([[[0, 0, 9, 9, v]]]), [[0]], .3),
    lambda v: boxes_of(np.array([[[0, 0, 9, 9, v]]]), .3),
    lambda v: yolox(yolox_raw((64, 32), {3: (0, 0, 0, 0, 1, v)}), (64, 32), .3, .45),
])
def test_a_score_that_is_none(call) -> None:
    assert call(1.0005)[0][1].tolist() == [1.]
    for value, said in ((7.25, '7.25'), (-4.5, '-4.5')):
        with pytest.raises(OutputError, match=f'expected scores in 0..1, got {said}; check the family'):
            call(value)


def test_two_negative_numbers_are_no_score() -> None:
    with pytest.raises(OutputError, match='yolox: expected scores'):
        yolox(yolox_raw((64, 32), {3: (0, 0, 0, 0, -.9, -.9)}), (64, 32), .3, .45)


@pytest.mark.parametrize('call, sentence', [
    (lambda: simcc(Z((1, 1, 4)), Z((1, 1, 4)), 0.), 'simcc: split is 0.0; choose'),
    (lambda: simcc(Z((1, 1, 4)), Z((1, 1, 4)), np.nan), 'simcc: split is nan; choose'),
    (lambda: simcc(Z((1, 1, 4)), Z((1, 1, 4)), 2., 'max'), "simcc: score is 'max'; choose one of min, mean"),
    (lambda: heatmap(Z((1, 1, 4, 4)), SIZE, 'drak'), "method is 'drak'; choose one of quarter, dark, udp"),
    (lambda: heatmap(Z((1, 1, 4, 4)), SIZE, kernel=10), 'kernel is 10; choose an odd number'),
    (lambda: heatmap(Z((1, 1, 4, 4)), SIZE, kernel=-1), 'kernel is -1; choose an odd number'),
    (lambda: heatmap(Z((1, 1, 4, 4)), (192, 0)), r'heatmap: expected a size .*\(192, 0\)'),
    (lambda: rtmo(Z((1, 9, 5)), Z((1, 9, 17, 3)), 1.5), 'rtmo: min_score is 1.5; choose'),
    (lambda: yolo_pose(Z((1, 56, 9)), 17, np.nan, .5), 'yolo_pose: min_score is nan; choose'),
    (lambda: yolo_pose(Z((1, 56, 9)), 17, .3, 50), 'yolo_pose: iou is 50; choose'),
    (lambda: yolo_pose(Z((1, 56, 9)), 0, .3, .5), 'yolo_pose: joints is 0; choose'),
    (lambda: rtmdet(Z((1, 9, 5)), Z((1, 9)), -.1), 'rtmdet: min_score is -0.1; choose'),
    (lambda: boxes_of(Z((1, 9, 5)), 30), 'boxes_of: min_score is 30; choose'),
    (lambda: yolox(Z((1, 42, 6)), (64, 32), 2, .45), 'yolox: min_score is 2; choose'),
    (lambda: yolox(Z((1, 42, 6)), (64, 32), .3, -1), 'yolox: iou is -1; choose'),
    (lambda: yolox(Z((1, 42, 6)), (64, 40), .3, .45), 'yolox: the input is 64x40 px; choose multiples of 32'),
    (lambda: yolox(Z((1, 42, 6)), 416, .3, .45), 'yolox: expected a size .*416'),
    (lambda: nms(Z((9, 4)), Z(9), 1.1), 'nms: iou is 1.1; choose'),
])
def test_an_option_out_of_its_range_is_named(call, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        call()


# --- by family ------------------------------------------------------------------------------------------------------

def test_every_family_has_one_decoding() -> None:
    for name, family in FAMILIES.items():
        assert [name in way for way in (POSES, PEOPLE, BOXES)].count(True) == 1, name
        assert (name in POSES) == family.top_down, name
    assert {*POSES, *PEOPLE, *BOXES} == set(FAMILIES)


@pytest.mark.parametrize('family, shapes, joints', [
    ('simcc', {'x': (None, 17, 384)}, 17), ('simcc', {}, None), ('heatmap', {'heatmap': (1, 26, 64, 48)}, 26),
    ('rtmo', {'keypoints': (1, None, 21, 3)}, 21), ('blazepose', {}, 33),
    ('yolo_pose', {'output': (1, 56, 8400)}, 17), ('yolo_pose', {'output': (1, 56, None)}, 17),
    ('yolo_pose', {'output': (1, 300, 57)}, 17), ('yolo_pose', {'output': (None, None, 57)}, 17),
    ('yolo_pose', {'output': (1, 84, 8401)}, None), ('yolo_pose', {'output': (1, 84)}, None),
    ('movenet', {'output': (1, 6, 56)}, 17), ('movenet', {'output': (1, 6, None)}, None),
    ('movenet', {'output': (1, 6, 57)}, None), ('movenet_single', {'output': (1, 1, 17, 3)}, 17)])
def test_shapes_that_say_how_many_joints_there_are(family: str, shapes: dict[str, tuple[int | None, ...]],
                                                   joints: int | None) -> None:
    assert FAMILIES[family].joint_count(shapes) == joints
