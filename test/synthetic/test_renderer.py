# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The virtual cameras: what they show is where it should be, and in the right order."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from selfpose_ros.core.camera import project
from selfpose_ros.core.errors import CameraError, ObservationError
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.synthetic import ring_rig, walker
from selfpose_ros.synthetic.figure import Cone, Ellipsoid, Look, body_parts, drawn_joints
from selfpose_ros.synthetic.renderer import VirtualCamera

SIZE = (320, 240)
K = np.array([[300., 0, 160], [0, 300., 120], [0, 0, 1]])
# looks along the world's x axis from 4 m away at 1 m height: image right = -y, image down = -z
R = np.array([[0., -1, 0], [0, 0, -1], [1, 0, 0]])
T = -R @ np.array([-4., 0, 1])
RED, GREEN = (0., 0., 1.), (0., 1., 0.)


@pytest.fixture(scope='module')
def camera():
    return VirtualCamera(K, R, T, SIZE)


@pytest.fixture(scope='module')
def motion():
    return walker(20., 1., seed=5)


def _ball(x, y, z, radius, colour):
    return Ellipsoid(np.array([x, y, z]), radius * np.eye(3), colour)


def test_joints_project_into_the_body_that_is_drawn_around_them(motion):
    rig = ring_rig(3, seed=1, image_size=SIZE, focal_px=(200, 300))
    inside = total = 0
    for v in range(3):
        camera = VirtualCamera(rig.K[v], rig.R[v], rig.t[v], SIZE)
        for joints in motion:
            layers = camera.trace(*body_parts(joints))
            px = np.round(project(joints, rig.K[v], rig.R[v], rig.t[v])).astype(int)
            z = joints @ rig.R[v, 2] + rig.t[v, 2]
            for j, (x, y) in enumerate(px):
                if JOINTS[j] == 'head' or not (0 <= x < SIZE[0] and 0 <= y < SIZE[1]):
                    continue                               # the top of the head is the edge of the drawing
                total += 1
                inside += layers.depth[y, x] < z[j] + .02
    assert total > 700
    assert inside / total > .99                            # measured: 1.0


def test_a_ball_has_its_size_and_depth(camera):
    depth = camera.trace([], [_ball(0, 0, 1, .4, RED)]).depth
    assert depth[120, 160] == pytest.approx(3.6, abs=1e-3)
    seen = np.isfinite(depth)
    # silhouette of a sphere: tan of asin(r / d)
    radius = 300 * np.tan(np.arcsin(.4 / 4))
    assert seen[120].sum() == pytest.approx(2 * radius, abs=2)
    assert seen[:, 160].sum() == pytest.approx(2 * radius, abs=2)


def test_an_ellipsoid_is_as_wide_and_high_as_its_axes(camera):
    turn = np.array([[1., 0, 0], [0, 0, -1], [0, 1, 0]])
    ball = Ellipsoid(np.array([0., 0, 1]), turn * np.array([.1, .5, .2]), RED)
    seen = np.isfinite(camera.trace([], [ball]).depth)
    assert seen[:, 160].sum() == pytest.approx(2 * 300 * .5 / 4, rel=.05)      # the second axis stands upright
    assert seen[120].sum() == pytest.approx(2 * 300 * .2 / 4, rel=.05)


@pytest.mark.parametrize('a, b, ra, rb', [
    ((0, -.5, .6), (0, .5, 1.4), .1, .1), ((-.6, -.3, 1), (.5, .4, 1.2), .25, .08),
    ((-1., 0, 1), (1., 0, 1.), .1, .3), ((0, 0, .5), (0, 0, 1.5), .05, .3), ((0, 0, 1), (0, .05, 1), .3, .1),
])
def test_a_cone_is_the_hull_of_all_spheres_along_it(camera, a, b, ra, rb):
    a, b = np.array(a, float), np.array(b, float)
    cone = camera.trace([Cone(a, b, ra, rb, RED)], []).depth
    u = np.linspace(0, 1, 400)
    spheres = [Ellipsoid(a + k * (b - a), (ra + k * (rb - ra)) * np.eye(3), RED) for k in u]
    many = camera.trace([], spheres).depth
    both = np.isfinite(cone) & np.isfinite(many)
    assert both.sum() > 200
    assert (np.isfinite(cone) != np.isfinite(many)).sum() < .02 * both.sum() + 4
    assert np.percentile(np.abs(cone[both] - many[both]), 99) < .01


@pytest.mark.parametrize('order', [1, -1])
def test_the_nearer_thing_hides_the_farther_one_whatever_is_drawn_first(camera, order):
    near, far = _ball(-1, 0, 1, .2, RED), _ball(1, 0, 1, .4, GREEN)
    layers = camera.trace([], [near, far][::order])
    assert layers.colour[120, 160].tolist() == list(RED)
    edge = 160 + round(300 * .35 / 5)
    assert layers.colour[120, edge].tolist() == list(GREEN)


def test_an_arm_in_front_of_the_chest_is_seen_and_behind_it_is_not(motion):
    joints = motion[0].copy()
    joints -= joints[0] * [1, 1, 0]
    left = joints[11] - joints[14]
    ahead = np.cross(left, [0, 0, 1]) / np.linalg.norm(left)
    chest = .5 * (joints[7] + joints[8])
    look = Look(skin=RED, shirt=GREEN, sleeve=GREEN)
    seen = []
    for side in (1., -1.):
        j = joints.copy()
        j[13] = chest + side * .3 * ahead                  # left wrist before or behind the chest
        j[12] = .5 * (j[11] + j[13]) + .1 * left / np.linalg.norm(left)
        eye = chest + 3 * ahead
        z = -ahead
        x = np.cross(z, [0, 0, 1.])
        rot = np.stack([x, np.cross(z, x), z])
        camera = VirtualCamera(K, rot, -rot @ eye, SIZE)
        x_px, y_px = np.round(project(j[13], K, rot, -rot @ eye)).astype(int)
        seen.append(camera.trace(*body_parts(j, look)).colour[y_px, x_px].tolist())
    assert seen == [list(RED), list(GREEN)]


def test_the_face_is_in_front_and_the_hair_behind(motion):
    j = drawn_joints(motion[4])
    nose, top = j[9], j[10]
    middle = top - [0, 0, .12]
    ahead = (nose - middle) * [1, 1, 0]
    ahead /= np.linalg.norm(ahead)
    look = Look(skin=RED, hair=GREEN)
    share = []
    for side in (1., -1.):
        z = -side * ahead
        x = np.cross(z, [0, 0, 1.])
        rot = np.stack([x, np.cross(z, x), z])
        eye = middle - 2 * z
        layers = VirtualCamera(K, rot, -rot @ eye, SIZE).trace(*body_parts(motion[4], look))
        x_px, y_px = np.round(project(middle, K, rot, -rot @ eye)).astype(int)
        patch = layers.colour[y_px - 8:y_px + 8, x_px - 6:x_px + 7]
        share.append([(patch == np.array(c, np.float32)).all(-1).mean() for c in (RED, GREEN)])
    assert share[0][0] > .6 and share[0][0] > share[0][1]
    assert share[1][1] > .6


def test_the_nose_that_is_drawn_is_the_truth_that_is_told(motion):
    for joints in motion[::4]:
        told = drawn_joints(joints)
        assert np.abs(np.delete(told - joints, 9, 0)).max() == 0
        _, balls = body_parts(joints, Look(skin=RED))
        middle = joints[10] - .12 * (joints[10] - joints[8]) / np.linalg.norm(joints[10] - joints[8])
        tips = [b.centre for b in balls if b.colour == RED and np.linalg.norm(b.centre - told[9]) < .03]
        assert tips and np.linalg.norm(told[9] - middle) < .2


def test_light_falls_on_the_upper_side_and_the_shadow_onto_the_floor(camera, motion):
    joints = motion[0] - motion[0, 0] * [1, 1, 0]
    empty = VirtualCamera(K, R, T, SIZE, noise=0).image([]).astype(float)
    person = VirtualCamera(K, R, T, SIZE, noise=0).image([joints]).astype(float)
    body = np.isfinite(camera.trace(*body_parts(joints)).depth)
    change = (person - empty).mean(-1)
    apart = cv2.dilate(body.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0   # the lens blurs the edge
    assert (change[apart] < -15).sum() > 150               # px of shadow
    assert change[apart].max() < 3                         # and nothing became brighter
    # nothing above the horizon, which lies in the image's middle, got a shadow
    assert np.abs(change[:110][apart[:110]]).max() < 3


def test_people_behind_the_camera_or_far_aside_are_not_drawn(camera, motion):
    joints = motion[0] - motion[0, 0] * [1, 1, 0]
    for away in ([-9, 0, 0], [0, 30, 0], [-4, 0, 0], [-3.9, .3, 0]):
        layers = camera.trace(*body_parts(joints + away))
        image = camera.image([joints + away])
        assert image.shape == (240, 320, 3)
        if away[0] == -9 or away[1] == 30:
            assert not np.isfinite(layers.depth).any()


def test_two_people_are_both_drawn(camera, motion):
    joints = motion[0] - motion[0, 0] * [1, 1, 0]
    one, two = (camera.image([joints + [0, d, 0] for d in ds]) for ds in ((.8,), (.8, -.8)))
    right, left = (slice(60, 200), slice(190, 260)), (slice(60, 200), slice(60, 130))
    assert (np.abs(two[right].astype(int) - one[right]) > 30).any(-1).sum() > 500
    assert (np.abs(two[left].astype(int) - one[left]) > 30).any(-1).sum() < 50


def test_the_same_seed_gives_the_same_images(motion):
    a, b, c = (VirtualCamera(K, R, T, SIZE, seed=s) for s in (4, 4, 5))
    for joints in motion[:3]:
        first = a.image([joints])
        assert (first == b.image([joints])).all()
        assert (first != c.image([joints])).any()


def test_unknown_joints_cannot_be_drawn(camera, motion):
    joints = motion[0].copy()
    joints[13] = np.nan
    with pytest.raises(ObservationError, match='finite joints'):
        camera.image([joints])
    with pytest.raises(ObservationError, match='17, 3'):
        camera.image([motion[0][:14]])


def test_an_image_too_small_to_show_anything_is_refused():
    with pytest.raises(CameraError, match='8x8'):
        VirtualCamera(K, R, T, (8, 8))
