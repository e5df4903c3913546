# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Overlays, the drawing of the world, the sheet, the video."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from selfpose_ros.core.camera import project
from selfpose_ros.core.observation import Skeleton3D, View2D
from selfpose_ros.core.skeleton import BONES, JOINTS
from selfpose_ros.demo.errors import DemoError
from selfpose_ros.demo.film import make_film
from selfpose_ros.demo.picture import Sheet, write_video
from selfpose_ros.demo.record import Instant, Record
from selfpose_ros.demo.scene import Viewpoint
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.overlay import COLOURS, draw_bones, draw_keypoints, draw_skeleton, draw_text, joint_colour

PX = np.stack([40 + 30 * (np.arange(17) % 6), 40 + 60 * (np.arange(17) // 6)], -1).astype(float)


def _black(h=240, w=320):
    return np.zeros((h, w, 3), np.uint8)


@pytest.fixture(scope='module')
def film():
    return make_film(cameras=3, seconds=2., seed=1, rate_hz=4., size=(160, 120), workers=0)


def _record(film, level=3):
    record = Record(start_s=0.)
    for t in np.arange(.3, 2., .25):
        joints = film.truth.at(t)
        record.instants.append(Instant(t, .1, (Skeleton3D(1, t, joints, np.full(17, .02), np.ones(17),
                                                          np.full(17, 3), level),)))
    if level == 3:
        record.rigs.append((.2, film.rig))
    for t, c in zip(film.time_s, film.camera, strict=True):
        name = film.rig.cameras[c]
        px = project(film.truth.at(t), film.rig.K[c], film.rig.R[c], film.rig.t[c])
        record.views.setdefault(name, []).append(View2D(name, t, px[None], np.ones((1, 17)), (160, 120)))
    return record


def test_sides_have_their_own_colours():
    for j, name in enumerate(JOINTS):
        side = name[0] if name[:2] in ('l_', 'r_') else 'm'
        assert joint_colour(j) == COLOURS[side]


def test_keypoints_are_drawn_at_their_pixels_and_only_those_that_were_seen():
    px, conf = PX.copy(), np.ones(17)
    px[3], conf[5] = np.nan, 0.
    image = draw_keypoints(_black(), px, conf)
    for j, (x, y) in enumerate(PX.astype(int)):
        assert image[y, x].any() == (j not in (3, 5)), JOINTS[j]
        if j not in (3, 5):
            assert image[y, x].tolist() == list(joint_colour(j))


def test_an_unsure_keypoint_is_hollow():
    image = draw_keypoints(_black(), PX, np.where(np.arange(17) == 2, .2, 1.), radius=6)
    x, y = PX[2].astype(int)
    assert image[y, x].max() < 60 < image[y - 6:y + 7, x - 6:x + 7].max()


def test_bones_join_their_joints_and_unknown_ones_are_left_out():
    px = PX.copy()
    px[12] = np.nan
    image = draw_bones(_black(), px, outline=False)
    a, b = BONES[0]
    x, y = np.round((PX[a] + PX[b]) / 2).astype(int)
    assert image[y, x].any()
    whole = draw_bones(_black(), PX, outline=False)
    assert (whole > 0).sum() > (image > 0).sum()


def test_points_far_outside_do_not_overflow():
    px = PX.copy()
    px[2], px[5] = [1e7, -1e7], [-1e5, 3e9]
    assert draw_bones(_black(), px).any()
    assert draw_keypoints(_black(), px, np.ones(17)).any()


def test_a_skeleton_is_drawn_where_the_camera_sees_it(film):
    K, R, t = film.rig.K[1], film.rig.R[1], film.rig.t[1]
    joints = film.truth.at(1.)
    image = draw_skeleton(_black(120, 160), joints, K, R, t)
    px = np.round(project(joints, K, R, t)).astype(int)
    inside = [(x, y) for x, y in px if 0 <= x < 160 and 0 <= y < 120]
    assert len(inside) > 10 and all(image[y, x].any() for x, y in inside)
    assert not draw_skeleton(_black(120, 160), joints, K, R, t - 2 * R @ [0, 0, 0] - [0, 0, 20.]).any()


@pytest.mark.parametrize('call', [
    lambda: draw_bones(_black(), PX[:5]), lambda: draw_keypoints(_black(), PX, np.ones(3)),
    lambda: draw_skeleton(_black(), np.zeros((17, 2)), np.eye(3), np.eye(3), np.zeros(3)),
    lambda: draw_text(_black(), 'x', (0, 0), anchor='centre'),
])
def test_other_shapes_are_refused_with_a_sentence(call):
    with pytest.raises(IoError, match='overlay: '):
        call()


def test_the_world_is_drawn_upright_and_not_mirrored():
    eye = Viewpoint((0, 0, 1), 5., -90., 0., (400, 400))   # looks along +y
    x, z, middle = eye.pixels([[1., 0, 1]])[0], eye.pixels([[0, 0, 2.]])[0], eye.pixels([[0, 0, 1.]])[0]
    assert x[0] > middle[0] + 50 and abs(x[1] - middle[1]) < 1
    assert z[1] < middle[1] - 50 and abs(z[0] - middle[0]) < 1
    assert np.isnan(eye.pixels([0, -20., 1])).all()


def test_the_sheet_shows_views_skeleton_and_level(film):
    sheet = Sheet(film, _record(film))
    before, after = sheet.at(.1), sheet.at(1.4)
    assert before.shape == after.shape == (900, 1600, 3)
    scene = (slice(58, 786), slice(990, 1590))
    coloured = [(np.ptp(s[scene].astype(int), axis=-1) > 60).sum() for s in (before, after)]
    assert coloured[1] > coloured[0] + 1500                # the person and the cameras came
    assert 1. < sheet.best_moment() < 2.


@pytest.mark.parametrize('level', [1, 2])
def test_a_pose_without_a_room_is_drawn_without_cameras(film, level):
    assert Sheet(film, _record(film, level)).at(1.4).std() > 10


def test_a_sheet_of_a_run_without_any_message_can_be_drawn(film):
    sheet = Sheet(film, Record())
    assert sheet.at(sheet.best_moment()).shape == (900, 1600, 3)


def test_joints_that_nobody_knows_do_not_stop_the_drawing(film):
    record = _record(film)
    joints = film.truth.at(1.).copy()
    joints[[0, 3, 13]] = np.nan
    person = Skeleton3D(1, 1., joints, np.full(17, np.nan), np.ones(17), np.full(17, 3), 3)
    record.instants = [Instant(1., .1, (person,))]
    assert Sheet(film, record).at(1.05).any()


def test_the_video_has_as_many_images_as_it_should_and_shows_the_sheet(film, tmp_path):
    sheet = Sheet(film, _record(film))
    steps = []
    write_video(tmp_path / 'v.mp4', sheet, 1.2, 5., 640, lambda *step: steps.append(step))
    video = cv2.VideoCapture(str(tmp_path / 'v.mp4'))
    images = []
    while True:
        ok, image = video.read()
        if not ok:
            break
        images.append(image)
    assert len(images) == 6 and steps[-1][1:] == (6, 6)
    expected = cv2.resize(sheet.at(1.), (640, 360), interpolation=cv2.INTER_AREA)
    assert np.abs(images[5].astype(int) - expected).mean() < 6


def test_a_folder_that_is_not_there_is_named(film, tmp_path):
    with pytest.raises(DemoError, match='cannot write'):
        write_video(tmp_path / 'no' / 'v.mp4', Sheet(film, Record()), .2)
