# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Crops and letterboxes: known pixels in, known pixels out, and back again."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from placing import to_network

from selfpose_ros.inference.errors import InputError
from selfpose_ros.inference.tensors.geometry import Placement, box_of, letterbox, person_crop, warp, whole_pixels

PLACEMENTS = {
    'classic': person_crop([100, 50, 180, 290], (192, 256)),
    'udp': person_crop([100, 50, 180, 290], (192, 256), mode='udp'),
    'beyond': person_crop([-60, 200, 90, 700], (192, 256)),
    'corner': letterbox((641, 479), (640, 640)),
    'centre': letterbox((641, 479), (640, 640), 'centre'),
    'upscaled': letterbox((321, 243), (416, 416), 'centre'),
}
for _mode in ('classic', 'udp'):
    for _name, _box in (('inside', [200.3, 130.2, 330.9, 350.4]), ('left', [-70.2, 90.7, 120.4, 300.1]),
                        ('corner', [560.9, 250.3, 690.1, 440.8]), ('high', [250.1, -40.3, 380.2, 540.6])):
        PLACEMENTS[f'whole {_mode} {_name}'] = whole_pixels(person_crop(_box, (192, 256), mode=_mode), (641, 479),
                                                            (192, 256))


def picture(width: int, height: int, at: tuple[float, float]) -> np.ndarray:
    """A wide, smooth, bright spot on black."""
    y, x = np.mgrid[:height, :width]
    spot = 255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 8. ** 2))
    return np.repeat(np.round(spot).astype(np.uint8)[..., None], 3, axis=2)


def centroid(image: np.ndarray) -> np.ndarray:
    grey = image[..., 0].astype(float)
    y, x = np.mgrid[:image.shape[0], :image.shape[1]]
    return np.array([(grey * x).sum(), (grey * y).sum()]) / grey.sum()


def test_a_classic_crop_by_hand() -> None:
    # 80 x 240 times 1.25 = 100 x 300, widened to 225 x 300 around (140, 170): 27.5..252.5 and 20..320
    place = person_crop([100, 50, 180, 290], (192, 256))
    assert np.allclose(to_network(place, [[27.5, 20], [252.5, 320], [140, 170]]), [[0, 0], [192, 256], [96, 128]])
    assert np.allclose(place.to_image([48, 64]), [27.5 + 225 / 4, 20 + 75])


def test_a_udp_crop_by_hand() -> None:
    place = person_crop([100, 50, 180, 290], (192, 256), mode='udp')
    assert np.allclose(to_network(place, [[27.5, 20], [252.5, 320], [140, 170]]), [[0, 0], [191, 255], [95.5, 127.5]])


def test_a_lying_person_is_made_higher() -> None:
    # 240 x 80 times 1 = 240 x 80, made 240 x 320 around (160, 240)
    place = person_crop([40, 200, 280, 280], (192, 256), padding=1.)
    assert np.allclose(to_network(place, [[40, 80], [280, 400]]), [[0, 0], [192, 256]])


def test_a_person_beyond_the_border_keeps_its_scale() -> None:
    inside, beyond = person_crop([200, 200, 260, 400], (192, 256)), person_crop([-30, -150, 30, 50], (192, 256))
    assert np.allclose(inside.matrix[:, :2], beyond.matrix[:, :2])
    assert np.allclose(to_network(beyond, [0, -50]), [96, 128])


@pytest.mark.parametrize('image, size, corner, centre', [
    ((1280, 720), (640, 640), (640, 360), (0, 140)),
    ((720, 1280), (640, 640), (360, 640), (140, 0)),
    ((641, 479), (640, 640), (640, 479 * 640 / 641), (0, (640 - 479 * 640 / 641) / 2)),
    ((320, 240), (640, 640), (640, 480), (0, 80)),
    ((500, 500), (640, 384), (384, 384), (128, 0)),
])
def test_letterboxes_by_hand(image, size, corner, centre) -> None:
    place = letterbox(image, size)
    assert np.allclose(to_network(place, [[0, 0], image]), [[0, 0], corner])
    place = letterbox(image, size, 'centre')
    assert np.allclose(to_network(place, [[0, 0], image]), [centre, np.add(centre, corner)])


@pytest.mark.parametrize('name', PLACEMENTS)
def test_there_and_back(name: str) -> None:
    points = np.random.default_rng(0).uniform(-500, 1500, (3, 17, 2))
    points[1, 4] = np.nan
    points[2, 5, 0] = np.nan
    place = PLACEMENTS[name]
    there = to_network(place, points)
    assert np.isnan(there[1, 4]).all() and np.isnan(there[2, 5, 0]) and np.isnan(there).sum() <= 4
    back = place.to_image(there)
    assert back.shape == points.shape and np.isnan(back[1, 4]).all() and np.isnan(back[2, 5, 0])
    seen = np.isfinite(points).all(-1)
    assert np.abs(back - points)[seen].max() < 1e-9
    assert place.to_image(np.zeros((0, 17, 2))).shape == (0, 17, 2)


@pytest.mark.parametrize('name, image, size, at', [
    ('classic', (641, 479), (192, 256), (150.3, 180.7)),
    ('udp', (641, 479), (192, 256), (150.3, 180.7)),
    ('beyond', (641, 479), (192, 256), (40.6, 420.2)),
    ('corner', (641, 479), (640, 640), (333.3, 222.2)),
    ('centre', (641, 479), (640, 640), (333.3, 222.2)),
    ('upscaled', (321, 243), (416, 416), (200.2, 101.7)),
    *((f'whole {m} {n}', (641, 479), (192, 256), at) for m in ('classic', 'udp') for n, at in (
        ('inside', (260.3, 250.6)), ('left', (60.3, 180.6)), ('corner', (590.3, 340.6)), ('high', (300.3, 250.6)))),
])
def test_the_pixels_go_where_the_points_go(name, image, size, at) -> None:
    place = PLACEMENTS[name]
    seen = centroid(warp(picture(*image, at), place, size, 0))
    # measured: at most .013 px, of OpenCV's 1/32 px and of 8 bits
    assert np.abs(seen - to_network(place, at)).max() < 0.05
    assert np.abs(place.to_image(seen) - at).max() < 0.05


def test_what_lies_at_a_whole_pixel_is_copied() -> None:
    image = np.random.default_rng(1).integers(0, 256, (51, 47, 3)).astype(np.uint8)
    out = warp(image, Placement(np.array([[1., 0, 5], [0, 1, -3]])), (60, 50), 7)
    assert out.shape == (50, 60, 3) and out.dtype == np.uint8
    assert (out[:48, 5:52] == image[3:]).all()
    assert (out[:, :5] == 7).all() and (out[:, 52:] == 7).all() and (out[48:] == 7).all()


def test_bilinear_between_two_pixels() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, 20:] = 100
    out = warp(image, Placement(np.array([[1., 0, .25], [0, 1, 0]])), (40, 40), 0)
    assert out[10, 18:22, 1].tolist() == [0, 0, 75, 100]


def test_a_letterbox_is_filled_with_the_border() -> None:
    image = np.full((480, 640, 3), 200, np.uint8)
    out = warp(image, letterbox((640, 480), (320, 320)), (320, 320), 114)
    assert (out[:239] == 200).all() and (out[241:] == 114).all()
    out = warp(image, letterbox((640, 480), (320, 320), 'centre'), (320, 320), 114)
    assert (out[:39] == 114).all() and (out[41:279] == 200).all() and (out[281:] == 114).all()


def test_a_person_outside_the_image_is_all_border() -> None:
    image = np.full((480, 640, 3), 200, np.uint8)
    assert (warp(image, person_crop([-400, 10, -300, 200], (192, 256)), (192, 256), 3) == 3).all()


@pytest.mark.parametrize('mode', ['classic', 'udp'])
def test_whole_pixels_are_a_neighbour_and_no_other_place(mode: str) -> None:
    """The crop moves by about half a pixel and is stretched by 2 % at most, wherever the person is."""
    rng, fitted = np.random.default_rng(5), 0
    edges = np.array([[-.5, -.5], [191.5, 255.5]])
    for _ in range(400):
        centre, extent = rng.uniform([-60, -60], [700, 540]), rng.uniform([60, 120], [260, 460])
        wanted = person_crop(np.r_[centre - extent / 2, centre + extent / 2], (192, 256), mode=mode)
        near = whole_pixels(wanted, (641, 479), (192, 256))
        if near is wanted:
            continue
        fitted += 1
        stretch = np.diag(near.matrix[:, :2]) / np.diag(wanted.matrix[:, :2])
        assert np.abs(stretch - 1).max() <= .02
        moved = near.to_image(edges) - wanted.to_image(edges)
        assert np.abs(moved).max() < 4. and np.abs(moved * np.diag(wanted.matrix[:, :2])).max() < 4.
    assert fitted > 250


@pytest.mark.parametrize('mode', ['classic', 'udp'])
@pytest.mark.parametrize('size', [(641, 479), (320, 243)])
def test_whole_pixels_and_any_pixels_give_the_same_crop(mode: str, size: tuple[int, int]) -> None:
    """What OpenCV resizes is what it would have warped by the same matrix, the border included."""
    rng = np.random.default_rng(6)
    image = cv2.GaussianBlur(rng.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8), (0, 0), 4) * 3
    image = cv2.GaussianBlur(image, (0, 0), 3)
    for _ in range(40):
        centre, extent = rng.uniform([0, 0], size), rng.uniform([60, 120], [260, 460])
        wanted = person_crop(np.r_[centre - extent / 2, centre + extent / 2], (192, 256), mode=mode)
        near = whole_pixels(wanted, size, (192, 256))
        if near is wanted:
            continue
        out = warp(image, near, (192, 256), 7)
        by_matrix = cv2.warpAffine(image, near.matrix, (192, 256), flags=cv2.INTER_LINEAR,
                                   borderMode=cv2.BORDER_REPLICATE).astype(int)
        place = near.to_image(np.stack(np.meshgrid(np.arange(192), np.arange(256)), -1).reshape(-1, 2))
        inside = ((place > -.5) & (place < np.array(size) - .5)).all(-1).reshape(256, 192)
        assert np.abs(out - by_matrix)[inside].max() <= 3
        assert (out[~inside] == 7).all()


def test_a_small_person_and_one_who_is_gone_keep_their_placement() -> None:
    for box in ([10, 10, 22, 26], [-400, 10, -300, 200], [756, 100, 864, 470]):
        wanted = person_crop(box, (192, 256))
        assert whole_pixels(wanted, (640, 480), (192, 256)) is wanted
    turned = Placement(np.array([[.6, .1, 3], [-.1, .6, 4]]))
    assert whole_pixels(turned, (640, 480), (192, 256)) is turned


def test_the_result_goes_where_it_is_wanted() -> None:
    image = picture(640, 480, (300, 200))
    out = np.full((256, 192, 3), 77, np.uint8)
    given = warp(image, PLACEMENTS['classic'], (192, 256), 0, out)
    assert given is out
    assert (out == warp(image, PLACEMENTS['classic'], (192, 256), 0)).all() and not (out == 77).all()


def test_a_flipped_view_is_an_image_too() -> None:
    image = picture(640, 480, (300, 200))
    out = warp(image[:, ::-1], PLACEMENTS['corner'], (640, 640), 0)
    assert np.abs(centroid(out) - to_network(PLACEMENTS['corner'], [339, 200])).max() < 0.1


@pytest.mark.parametrize('margin, box', [
    (0., [100, 50, 200, 250]),
    (.1, [80, 30, 220, 270]),
    (1., [-.5, -.5, 400, 450]),
    (9., [-.5, -.5, 640.5, 478.5]),
])
def test_the_box_around_joints(margin: float, box: list[float]) -> None:
    points = np.array([[100, 70], [200, 50], [150, 250], [900, 900], [np.nan, 0], [-500, -500]])
    confidence = np.array([1, .9, .5, .3, 1, 0])
    assert np.allclose(box_of(points, confidence, (641, 479), margin, threshold=.3), box)


def test_joints_of_one_column_have_a_box_with_a_width() -> None:
    points = np.array([[100., 50], [100, 150], [100, 250]])
    assert np.allclose(box_of(points, np.ones(3), (640, 480), .1), [80, 30, 120, 270])
    assert box_of(points, np.ones(3), (640, 480), 0.) is None


def test_too_few_joints_make_no_box() -> None:
    points = np.array([[100., 50], [120, 150], [140, 250]])
    assert box_of(points, [1, 1, .2], (640, 480), .1, threshold=.2) is None
    assert box_of(points, [1, 1, .2], (640, 480), .1, least=2, threshold=.2) is not None
    assert box_of(points, [1, 1, 0], (640, 480), .1) is None
    assert box_of(np.full((17, 2), np.nan), np.zeros(17), (640, 480), .1, least=1) is None
    assert box_of(np.zeros((0, 2)), np.zeros(0), (640, 480), .1) is None


def test_a_person_who_left_the_image_has_no_box() -> None:
    points = np.array([[700., 50], [720, 150], [740, 250]])
    assert box_of(points, np.ones(3), (640, 480), .1) is None
    assert np.allclose(box_of(points, np.ones(3), (640, 480), .5), [600, -.5, 639.5, 350])
    assert box_of(points - [0, 600], np.ones(3), (800, 480), .1) is None


def test_a_placement_cannot_be_changed() -> None:
    matrix = np.array([[2., 0, 1], [0, 2, 1]])
    place = Placement(matrix)
    matrix[0, 0] = 5
    assert to_network(place, [1, 1]).tolist() == [3, 3]
    with pytest.raises(ValueError):
        place.matrix[0, 0] = 5


def test_opencv_means_the_same_by_the_matrix() -> None:
    points = np.random.default_rng(2).uniform(0, 600, (5, 2))
    for place in PLACEMENTS.values():
        assert np.allclose(cv2.transform(points[:, None], place.matrix)[:, 0], to_network(place, points))


@pytest.mark.parametrize('box', [[0, 0, 0, 10], [0, 0, 10, 0], [10, 0, 0, 10], [0, 0, np.nan, 10],
                                 [0, 0, np.inf, 10], [0, 0, 10], [[0, 0, 10, 10]]])
def test_a_box_that_is_none(box) -> None:
    with pytest.raises(InputError, match=r'^person_crop: expected a finite box.*leave this person out'):
        person_crop(box, (192, 256))


@pytest.mark.parametrize('call, sentence', [
    (lambda: Placement(np.eye(3)), 'placement: expected a finite'),
    (lambda: Placement(np.zeros((2, 3))), 'placement: expected a finite .* inverted'),
    (lambda: Placement(np.array([[1, 0, np.nan], [0, 1, 0]])), 'placement: expected a finite'),
    (lambda: PLACEMENTS['udp'].to_image(np.zeros((17, 3))), r'placement: expected points .*\(17, 3\)'),
    (lambda: PLACEMENTS['udp'].to_image(3.), 'placement: expected points'),
    (lambda: person_crop([0, 0, 9, 9], (192, 256), mode='upd'), "mode is 'upd'; choose one of classic, udp"),
    (lambda: person_crop([0, 0, 9, 9], (192, 256), padding=0.), 'padding is 0.0; choose'),
    (lambda: person_crop([0, 0, 9, 9], (192, 256), padding=np.nan), 'padding is nan; choose'),
    (lambda: person_crop([0, 0, 9, 9], (192, 1)), r'person_crop: expected a size .*\(192, 1\)'),
    (lambda: letterbox((640, 480), (640, 640), 'center'), "mode is 'center'; choose one of corner, centre"),
    (lambda: letterbox((640, 0), (640, 640)), r'letterbox: expected a size .*\(640, 0\)'),
    (lambda: letterbox((640, 480), (640.5, 640)), 'letterbox: expected a size'),
    (lambda: letterbox((640, 480), (640, 640, 3)), 'letterbox: expected a size'),
    (lambda: letterbox((640, 480), (640, np.nan)), 'letterbox: expected a size'),
    (lambda: warp(np.zeros((48, 64)), PLACEMENTS['udp'], (192, 256), 0), 'image: expected'),
    (lambda: warp(picture(64, 48, (9, 9)), PLACEMENTS['udp'], (192, 256), 256), 'border is 256; choose'),
    (lambda: warp(picture(64, 48, (9, 9)), PLACEMENTS['udp'], (192, 256), -1), 'border is -1; choose'),
    (lambda: warp(picture(64, 48, (9, 9)), PLACEMENTS['udp'], (0, 256), 0), 'warp: expected a size'),
    (lambda: warp(picture(64, 48, (9, 9)), PLACEMENTS['udp'], (192, 256), 0, np.zeros((192, 256, 3), np.uint8)),
     r'warp: expected out .*\(256, 192, 3\) uint8, got \(192, 256, 3\)'),
    (lambda: warp(picture(64, 48, (9, 9)), PLACEMENTS['udp'], (192, 256), 0, np.zeros((256, 192, 3))), 'got .*float64'),
    (lambda: warp(picture(64, 48, (9, 9)), PLACEMENTS['udp'], (192, 256), 0,
                  np.zeros((256, 192, 3), np.uint8)[:, ::-1]), 'expected out as a contiguous'),
    (lambda: box_of(np.zeros((17, 3)), np.zeros(17), (640, 480), .1), r'box_of: expected keypoints .*\(17, 3\)'),
    (lambda: box_of(np.zeros((17, 2)), np.zeros(16), (640, 480), .1), r'box_of: .*\(16,\)'),
    (lambda: box_of(np.zeros((17, 2)), np.zeros(17), (640, 480), -.1), 'margin is -0.1; choose'),
    (lambda: box_of(np.zeros((17, 2)), np.zeros(17), (640, 480), .1, least=0), 'least is 0; choose'),
    (lambda: box_of(np.zeros((17, 2)), np.zeros(17), (640,), .1), 'box_of: expected a size'),
])
def test_what_does_not_fit_is_named(call, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        call()
