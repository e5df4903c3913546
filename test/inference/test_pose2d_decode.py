# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Outputs of 2D networks made by hand, and the joints and people that they mean."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from selfpose_ros.inference.errors import InputError, OutputError
from selfpose_ros.inference.pose2d.decode import boxes_of, heatmap, nms, rtmdet, rtmo, simcc, yolo_pose, yolox
from selfpose_ros.inference.pose2d.geometry import Placement, letterbox, person_crop

SIZE = (192, 256)
UDP = np.array([191 / 47, 255 / 63])


def bins(centre: np.ndarray, count: int, height: np.ndarray | float = 1.) -> np.ndarray:
    """(..., count) a Gaussian of 5 bins around each centre, in bins."""
    out = np.exp(-(np.arange(count) - np.asarray(centre)[..., None]) ** 2 / (2 * 5. ** 2))
    return (out * np.asarray(height)[..., None]).astype(np.float32)


def maps(centre: np.ndarray, sigma: float = 2., size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """(..., h, w) a Gaussian around each centre (..., 2), in px of the map."""
    y, x = np.mgrid[:size[1], :size[0]]
    cx, cy = np.moveaxis(np.asarray(centre, float)[..., None, None], -3, 0)
    return np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma ** 2)).astype(np.float32)


def centres(margin: float, size: tuple[int, int] = (48, 64), seed: int = 0) -> np.ndarray:
    """(20, 17, 2) places between the pixels, not closer to the border."""
    return np.random.default_rng(seed).uniform(margin, np.array(size) - 1 - margin, (20, 17, 2))


# --- SimCC ----------------------------------------------------------------------------------------------------------

def test_simcc_by_hand() -> None:
    x, y = np.zeros((2, 3, 384), np.float32), np.zeros((2, 3, 512), np.float32)
    x[0, 0, 101], y[0, 0, 300] = .8, .6
    x[0, 1, 0], y[0, 1, 511] = .5, 3.
    x[0, 2, 383], y[0, 2, 0] = 2., 4.
    x[1, 0, 7] = 1.                                        # y says nothing
    x[1, 1], y[1, 1] = -.5, -.2
    points, score = simcc(x, y, 2.)
    assert points[0].tolist() == [[50.5, 150], [0, 255.5], [191.5, 0]]
    assert np.allclose(score[0], [.6, .5, 1.])
    assert np.isnan(points[1]).all() and score[1].tolist() == [0, 0, 0]
    points, score = simcc(x, y, 2., 'mean')
    assert np.allclose(score, [[.7, 1., 1.], [.5, 0, 0]])  # .5 of 1 and 0, the mean of .5 and 3 is above 1
    assert points[1, 0].tolist() == [3.5, 0] and np.isnan(points[1, 1:]).all()


def test_the_first_of_equal_bins_counts() -> None:
    x, y = np.zeros((1, 1, 10)), np.full((1, 1, 10), .5)
    x[0, 0, [4, 8]] = .5
    points, score = simcc(x, y, 1.)
    assert points.tolist() == [[[4, 0]]] and score.tolist() == [[.5]]


def test_another_split_is_another_scale() -> None:
    x, y = bins(np.array([[60.]]), 288), bins(np.array([[90.]]), 384)
    assert simcc(x, y, 1.5)[0].tolist() == [[[40, 60]]]


# --- heat maps ------------------------------------------------------------------------------------------------------

def test_a_quarter_of_a_step_by_hand() -> None:
    h = np.zeros((1, 5, 64, 48), np.float32)
    h[0, 0, 20, 10], h[0, 0, 20, 11], h[0, 0, 19, 10] = .9, .5, .2    # right and up
    h[0, 1, 20, 10], h[0, 1, 20, 9], h[0, 1, 21, 10] = 1.5, .5, .2    # left and down
    h[0, 2, 20, 10] = .5                                              # no neighbour is higher
    h[0, 3, 0, 47], h[0, 3, 1, 47], h[0, 3, 0, 46] = .5, .4, .4       # the corner: no neighbour across the border
    h[0, 4, 0, 10], h[0, 4, 0, 11] = .5, .4                           # the top: along it alone
    points, score = heatmap(h, SIZE)
    assert points[0].tolist() == [[41, 79], [39, 81], [40, 80], [188, 0], [41, 0]]
    assert np.allclose(score, [[.9, 1, .5, .5, .5]])


@pytest.mark.parametrize('method', ['quarter', 'dark', 'udp'])
def test_a_peak_on_a_pixel_is_that_pixel(method: str) -> None:
    at = np.array([[[24, 32], [7, 9], [40, 56]]])
    points, score = heatmap(maps(at), SIZE, method)
    assert np.abs(points - at * (UDP if method == 'udp' else 4.)).max() < 1e-3
    assert np.allclose(score, 1.)


@pytest.mark.parametrize('method, sigma, error', [
    # measured, worst of 340 peaks at least 8 px from the border, px of the map:
    ('quarter', 2., .25),                                  # .2492
    ('dark', 1., .05),                                     # .00001
    ('dark', 2., .05),                                     # .0003
    ('dark', 3., .05),                                     # .0002
    ('udp', 1., .05),                                      # .000001
    ('udp', 2., .05),                                      # .00004
    ('udp', 3., .05),                                      # .00002
])
def test_below_the_pixel(method: str, sigma: float, error: float) -> None:
    at = centres(8.)
    points, score = heatmap(maps(at, sigma), SIZE, method)
    assert np.abs(points / (UDP if method == 'udp' else 4.) - at).max() < error
    assert not (np.round(points / (UDP if method == 'udp' else 4.), 6) % 1 == 0).all(-1).any()    # a step for all
    assert (score > .75).all() and (score <= 1).all()


@pytest.mark.parametrize('method', ['dark', 'udp'])
def test_noise_moves_the_peak_less_than_a_tenth(method: str) -> None:
    at = centres(8.)
    noisy = maps(at) + np.random.default_rng(3).normal(0, .01, (20, 17, 64, 48))
    points, _ = heatmap(noisy, SIZE, method)
    assert np.abs(points / (UDP if method == 'udp' else 4.) - at).max() < .05    # measured: .03


@pytest.mark.parametrize('method', ['quarter', 'dark', 'udp'])
def test_at_the_border_nothing_runs_away(method: str) -> None:
    # measured: .50 each: no step is taken there, or none that is worse than none
    at = centres(0.)
    at[..., 0] = at[..., 0] % 3
    points, _ = heatmap(maps(at), SIZE, method)
    assert np.abs(points / (UDP if method == 'udp' else 4.) - at).max() <= .5


@pytest.mark.parametrize('kernel', [3, 7, 11])
@pytest.mark.parametrize('method', ['dark', 'udp'])
def test_the_same_as_with_whole_maps_blurred_by_opencv(method: str, kernel: int) -> None:
    # another way to the same numbers: the whole map, padded, numpy's gradients, and a solver
    at = centres(3., seed=4)[:3]
    values = maps(at, 1.7) * .6 + .3 * maps(centres(3., seed=5)[:3], 4.)
    points, score = heatmap(values, SIZE, method, kernel)
    moved = 0
    for i in np.ndindex(3, 17):
        y, x = np.unravel_index(values[i].argmax(), (64, 48))
        padded = np.pad(values[i].astype(float), 20)
        blurred = cv2.GaussianBlur(padded, (kernel, kernel), 0)
        if method == 'dark':
            blurred *= values[i].max() / blurred.max()
            log = np.log(np.maximum(blurred, 1e-10))
            gy, gx = np.gradient(log)
            gxy, gxx = np.gradient(gx)
            gyy = np.gradient(gy)[0]
            hessian = np.array([[gxx[y + 20, x + 20], gxy[y + 20, x + 20]], [gxy[y + 20, x + 20], gyy[y + 20, x + 20]]])
        else:
            log = np.log(np.clip(blurred, 1e-3, 50))
            gy, gx = np.gradient(log)
            xx, yy = (np.diff(v, 2)[0] for v in (log[y + 20, x + 19:x + 22], log[y + 19:y + 22, x + 20]))
            xy = np.gradient(gx)[0][y + 20, x + 20]
            hessian = np.array([[xx, xy], [xy, yy]])
        step = -np.linalg.solve(hessian, [gx[y + 20, x + 20], gy[y + 20, x + 20]])
        assert np.linalg.norm(step) < 2
        moved += np.linalg.norm(step) > .1
        assert np.allclose(points[i], (step + [x, y]) * (UDP if method == 'udp' else 4.), atol=1e-6)
        assert score[i] == pytest.approx(min(values[i].max(), 1.))
    assert moved > 20


@pytest.mark.parametrize('method', ['quarter', 'dark', 'udp'])
def test_flat_and_empty_maps(method: str) -> None:
    h = np.zeros((1, 5, 64, 48), np.float32)
    h[0, 1] = -.5                                          # negative everywhere
    h[0, 2] = .5                                           # a tie of all: the first, and no step
    h[0, 3, 30, 20] = h[0, 3, 30, 30] = .5                 # a tie of two: the first
    h[0, 4] = -1.
    h[0, 4, 30, 20] = .5                                   # a peak that the blur drowns
    points, score = heatmap(h, SIZE, method)
    factor = UDP if method == 'udp' else 4.
    assert np.isnan(points[0, :2]).all() and score[0].tolist() == [0, 0, .5, .5, .5]
    assert np.abs(points[0, 2:] - np.array([[0, 0], [20, 30], [20, 30]]) * factor).max() < .02


@pytest.mark.parametrize('method', ['dark', 'udp'])
def test_a_step_that_runs_away_is_left_out(method: str) -> None:
    # one bright pixel on the flank of a wide hill: the blur sees the hill, whose top is 9 px away
    h = .9 * maps(np.array([[[30., 30.]]]), 12.)
    h[0, 0, 30, 21] = .95
    points, _ = heatmap(h, SIZE, method)
    assert np.allclose(points[0, 0], np.array([21, 30]) * (UDP if method == 'udp' else 4.))


@pytest.mark.parametrize('method', ['dark', 'udp'])
def test_a_saddle_has_no_top(method: str) -> None:
    # blurred, the bright pixel lies between two tops, a little off their middle
    h = .8 * maps(np.array([[[20., 23.8]]]), 3.) + .8 * maps(np.array([[[20., 36.]]]), 3.)
    h[0, 0, 30, 20] = .95
    points, _ = heatmap(h, SIZE, method)
    assert np.allclose(points[0, 0], np.array([20, 30]) * (UDP if method == 'udp' else 4.))


@pytest.mark.parametrize('method, height', [('dark', .01), ('dark', 1e-8), ('udp', .01)])
def test_a_faint_peak_is_a_peak(method: str, height: float) -> None:
    at = centres(8.)
    points, score = heatmap(maps(at) * np.float32(height), SIZE, method)
    assert np.abs(points / (UDP if method == 'udp' else 4.) - at).max() < .05
    assert (score > .75 * height).all() and (score <= height * 1.0001).all()


def test_udp_looks_at_nothing_below_its_floor() -> None:
    at = centres(8.)
    points, _ = heatmap(maps(at) * np.float32(1e-3), SIZE, 'udp')
    assert np.allclose(points, np.round(at) * UDP)


def test_a_narrow_peak_with_a_small_blur() -> None:
    # measured: .031; three pixels are no Gaussian any more
    at = centres(8.)
    assert np.abs(heatmap(maps(at, .8), SIZE, 'dark', 3)[0] / 4 - at).max() < .05


def test_udp_joins_the_outer_pixels() -> None:
    h = np.zeros((1, 2, 64, 48), np.float32)
    h[0, 0, 63, 47] = h[0, 1, 0, 0] = 1.
    assert np.allclose(heatmap(h, SIZE, 'udp')[0], [[[191, 255], [0, 0]]])
    assert np.allclose(heatmap(h, SIZE, 'dark')[0], [[[188, 252], [0, 0]]])


def test_half_precision_is_enough() -> None:
    at = centres(8.)[:2]
    for method in ('dark', 'udp'):
        exact, half = (heatmap(maps(at).astype(t), SIZE, method)[0] for t in (np.float32, np.float16))
        assert np.abs(exact - half).max() < .05            # px of the input


# --- boxes ----------------------------------------------------------------------------------------------------------

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


def yolox_raw(size: tuple[int, int], cells: dict[int, tuple[float, ...]], classes: int = 1) -> np.ndarray:
    out = np.zeros((1, size[0] * size[1] * 21 // 1024, 5 + classes), np.float32)
    for index, row in cells.items():
        out[0, index, :len(row)] = row
    return out


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


# --- people in one stage --------------------------------------------------------------------------------------------

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


def people_of_yolo(joints: int = 17) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    boxes = np.array([[100, 50, 200, 350], [300, 80, 380, 300], [20, 20, 60, 160.]])
    trio = np.dstack([rng.uniform(0, 400, (3, joints, 2)), rng.uniform(.1, 1, (3, joints))])
    return boxes, np.array([.6, .9, .7]), trio


def raw_of_yolo(boxes: np.ndarray, score: np.ndarray, trio: np.ndarray) -> np.ndarray:
    """Every person in three neighbouring anchors, the middle one the best."""
    rows = np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2], score[:, None],
                      trio.reshape(len(boxes), -1)])
    out = np.zeros((1, rows.shape[1], 8400), np.float32)
    for i, row in enumerate(rows):
        for k, (shift, less) in enumerate(((3., .1), (0., 0.), (-2., .2))):
            out[0, :, 100 * i + 7 + k] = row
            out[0, 0, 100 * i + 7 + k] += shift
            out[0, 4, 100 * i + 7 + k] -= less
    return out


def ready_of_yolo(boxes: np.ndarray, score: np.ndarray, trio: np.ndarray) -> np.ndarray:
    out = np.zeros((1, 300, 6 + trio[0].size), np.float32)
    out[0, :len(boxes)] = np.hstack([boxes, score[:, None], np.zeros((len(boxes), 1)), trio.reshape(len(boxes), -1)])
    return out


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


# --- from the image and back to it ----------------------------------------------------------------------------------

#: a person half outside an image of 641 x 479 px
BOX = [-40., 100., 120., 520.]
JOINTS = np.random.default_rng(8).uniform([-20, 120], [100, 500], (17, 2))


@pytest.mark.parametrize('mode', ['classic', 'udp'])
def test_image_to_simcc_and_back(mode: str) -> None:
    place = person_crop(BOX, SIZE, mode=mode)
    there = place.to_network(JOINTS)[None]
    points, score = simcc(bins(there[..., 0] * 2, 384), bins(there[..., 1] * 2, 512), 2.)
    pixel = 1 / place.matrix[0, 0]
    assert np.abs(place.to_image(points[0]) - JOINTS).max() <= .25 * pixel + 1e-9    # half a bin
    assert (score > .9).all()


@pytest.mark.parametrize('mode, method, error', [('classic', 'quarter', .26 * 4), ('classic', 'dark', .05),
                                                 ('udp', 'udp', .05)])
def test_image_to_heatmap_and_back(mode: str, method: str, error: float) -> None:
    place = person_crop(BOX, SIZE, mode=mode)
    there = place.to_network(JOINTS)[None]
    points, _ = heatmap(maps(there / (UDP if method == 'udp' else 4.)), SIZE, method)
    assert np.abs(place.to_image(points[0]) - JOINTS).max() < error / place.matrix[0, 0]


@pytest.mark.parametrize('place', [letterbox((641, 479), (640, 640)), letterbox((641, 479), (640, 640), 'centre'),
                                   letterbox((479, 641), (640, 640), 'centre')])
def test_image_to_one_stage_and_back(place: Placement) -> None:
    box = place.to_network(np.reshape(BOX, (2, 2))).ravel()[None]
    trio = np.dstack([place.to_network(JOINTS)[None], np.full((1, 17), .8)])
    score = np.array([.9])
    for (found,) in (rtmo(np.hstack([box, score[:, None]])[None], trio[None], .3),
                     yolo_pose(raw_of_yolo(box, score, trio), 17, .3, .5),
                     yolo_pose(ready_of_yolo(box, score, trio), 17, .3, .5)):
        assert np.abs(place.to_image(found[2][0]) - JOINTS).max() < 1e-3
        assert np.abs(place.to_image(found[0].reshape(2, 2)).ravel() - BOX).max() < 1e-3


@pytest.mark.parametrize('mode', ['corner', 'centre'])
def test_image_to_a_detector_and_back(mode: str) -> None:
    place = letterbox((641, 479), (416, 416), mode)
    box = place.to_network(np.reshape(BOX, (2, 2))).ravel()
    dets = np.append(box, .9)[None, None]
    middle, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    cell = np.floor(np.maximum(middle, 0) / 32)
    row = (*(middle / 32 - cell), *np.log(extent / 32), 1, .9)
    raw = yolox_raw((416, 416), {3380 + int(cell[1] * 13 + cell[0]): row})
    for ((boxes, score),) in (rtmdet(dets, [[0]], .3), boxes_of(dets, .3), yolox(raw, (416, 416), .3, .45)):
        assert np.abs(place.to_image(boxes.reshape(2, 2)).ravel() - BOX).max() < 1e-3
        assert np.allclose(score, .9)


# --- what does not fit ----------------------------------------------------------------------------------------------

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
