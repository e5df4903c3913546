# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The 2D networks that are shipped, on people whom they have never seen: rendered, with motion of another source."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.core.camera import project
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.pose2d import make_pose2d
from selfpose_ros.inference.pose2d.network import VisionNetwork
from selfpose_ros.inference.tensors.decode import yolox
from selfpose_ros.models.store import open_model, shipped
from selfpose_ros.synthetic import ring_rig, walker
from selfpose_ros.synthetic.figure import drawn_joints
from selfpose_ros.synthetic.renderer import VirtualCamera
from selfpose_training.images.boxes import Task, torso_px
from selfpose_training.images.rendering import make_pictures

SIZE = (640, 480)


@pytest.fixture(scope='module')
def motion():
    return np.concatenate([walker(20., 4., seed=s, style='mixed') for s in range(4)])


def test_both_are_shipped_and_small():
    assert {'rendered_pose', 'rendered_detector'} <= set(shipped())
    for name, kind in (('rendered_pose', 'pose2d'), ('rendered_detector', 'detector')):
        model = open_model(name)
        assert model.card.kind == kind and model.card.everything['parameters'] <= 2_000_000
        assert model.card.licence == 'Apache-2.0' and 'rendered people' in model.card.everything['notes']
    assert open_model('rendered_pose').card.joints == JOINTS


def test_joints_of_people_rendered_in_motion_that_was_not_trained_on(motion):
    network = VisionNetwork(open_model('rendered_pose'))
    task = Task('pose2d', network.vision.size, network.vision.padding)
    pictures = make_pictures(motion.astype(np.float32), task, 80, 77_000)
    pictures.varied = False
    near, there = [], []
    for batch in pictures.batches(0, 40):
        blob = (batch.image.numpy() - np.array(network.vision.mean, np.float32)[:, None, None]) / network.vision.std[0]
        points, _ = network.decode_people(network.run(blob.astype(np.float32)))
        off = np.linalg.norm(points - batch.points.numpy()[:, 0], axis=-1)
        near.append(off < .2 * batch.torso.numpy())
        there.append(batch.weight.numpy()[:, 0] > 0)
    pck = np.concatenate(near)[np.concatenate(there)].mean()
    assert pck >= .95                                      # measured: 0.963


def test_the_detector_finds_people_and_no_furniture(motion):
    network = VisionNetwork(open_model('rendered_detector'))
    pictures = make_pictures(motion.astype(np.float32), Task('detector', network.vision.size), 40, 78_000)
    pictures.varied = False
    found = right = people = 0
    for batch in pictures.batches(0, 40):
        blob = (batch.image.numpy() - network.vision.mean[0]) / network.vision.std[0]
        tensors = network.run(blob.astype(np.float32))
        for i, (boxes, _) in enumerate(yolox(tensors['output'], network.vision.size, .4, .5)):
            truth = batch.box[i][batch.weight[i].sum(-1) > 0].numpy()
            found, people = found + len(boxes), people + len(truth)
            if len(boxes) and len(truth):
                low = np.maximum(boxes[:, None, :2], truth[None, :, :2])
                inner = np.clip(np.minimum(boxes[:, None, 2:], truth[None, :, 2:]) - low, 0, None).prod(-1)
                area = [(b[:, 2:] - b[:, :2]).prod(-1) for b in (boxes, truth)]
                right += int((inner / (area[0][:, None] + area[1] - inner) > .5).any(0).sum())
    assert right >= .88 * people and right >= .7 * found


@pytest.mark.parametrize('people', [0, 1, 2])
def test_the_whole_chain_finds_everybody_and_nobody_else(motion, people):
    rig = ring_rig(2, seed=4, image_size=SIZE, focal_px=(520, 640), distance_m=(4., 4.4), height_m=(1.2, 1.8))
    camera = VirtualCamera(rig.K[0], rig.R[0], rig.t[0], SIZE)
    network = make_pose2d('rendered_pose')
    # the others stand on either side, seen from this camera
    side = rig.R[0][0] * [1, 1, 0]
    places = {0: [], 1: [0.], 2: [-.9, .9]}[people]
    bodies = [motion[40 * (k + 1)] - motion[40 * (k + 1)][0] * [1, 1, 0] + x * side for k, x in enumerate(places)]
    image = camera.image(bodies)
    for _ in range(3):
        seen = network.infer(image)
        assert len(seen.keypoints) == people
    for body in bodies:
        truth = project(drawn_joints(body), rig.K[0], rig.R[0], rig.t[0])
        off = np.linalg.norm(seen.keypoints - truth, axis=-1)
        assert np.nanmean(off, 1).min() < .15 * torso_px(truth)
    network.close()
