# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""BlazePose's published weights on LiteRT, against MediaPipe's own graph on real videos, where they are at hand."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from selfpose_ros.inference.pose2d import make_pose2d
from selfpose_ros.inference.pose2d.importing import Request, import_model

pytest.importorskip('ai_edge_litert', reason='LiteRT is not installed: pip install ai-edge-litert')
mediapipe = pytest.importorskip('mediapipe', reason='MediaPipe, the reference, is not installed')

MODULES = Path(mediapipe.__file__).parent / 'modules'
VIDEOS = Path(__file__).resolve().parents[4] / 'shared' / 'data' / 'real' / 'balance'
#: images of each video, and how far apart they are: a person is followed, and moves
COUNT, STEP = 6, 3


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> tuple[Path, Path]:
    """Folders of the landmark network and the detector, from the files that lie in MediaPipe's package."""
    root = tmp_path_factory.mktemp('models')
    for name, file in (('blazepose', 'pose_landmark/pose_landmark_full.tflite'),
                       ('blazepose-detector', 'pose_detection/pose_detection.tflite')):
        if not (MODULES / file).is_file():
            pytest.skip(f'{MODULES / file} is not there')
        import_model(Request(MODULES / file, root / name, name))
    return root / 'blazepose', root / 'blazepose-detector'


def images(name: str) -> list[np.ndarray]:
    if not (VIDEOS / name).is_file():
        pytest.skip(f'the real videos are not at {VIDEOS}')
    video = cv2.VideoCapture(str(VIDEOS / name))
    out = []
    while len(out) < COUNT:
        for _ in range(STEP):
            read, image = video.read()
        assert read
        out.append(image)
    return out


def test_the_joints_are_those_of_mediapipe(model):
    # he is 1100 to 1500 px tall here, and the joints that the network tells move by as much when the square
    # that it looks at moves by one; measured over 60 images each: median 1.7 px, with confidences within 0.001
    apart, unsure = [], []
    for name in ('cam1.mp4', 'cam2.mp4', 'cam3.mp4', 'cam4.mp4'):
        ours, theirs = make_pose2d(str(model[0]), detector=str(model[1]), max_people=1), make_pose2d('mediapipe')
        for image in images(name):
            a, b = ours.infer(image), theirs.infer(image)
            assert len(a) == len(b) == 1
            apart.append(np.linalg.norm(a.keypoints[0] - b.keypoints[0], axis=-1))
            unsure.append(np.abs(a.confidence[0] - b.confidence[0]))
        ours.close()
        theirs.close()
    # the first of each video is of the detector alone, before anything is followed
    assert np.nanmedian(np.array(apart)[::COUNT]) < .8
    assert np.nanmedian(apart) < 2.
    assert np.median(unsure) < .01


def test_two_people_in_one_picture_are_two(model):
    left, right = (cv2.resize(images(n)[0], None, fx=.4, fy=.4) for n in ('cam1.mp4', 'cam3.mp4'))
    height = min(len(left), len(right))
    both = np.hstack([left[:height], right[:height]])
    net = make_pose2d(str(model[0]), detector=str(model[1]))
    people = net.infer(both)
    assert len(people) == 2
    middles = np.sort(np.nanmedian(people.keypoints[..., 0], 1))
    assert middles[0] < left.shape[1] < middles[1]


def test_the_default_network_is_found_by_its_name_with_its_detector(default_network: str):
    net = make_pose2d()
    assert net.name == default_network and len(net.sessions) == 2
    assert 'LiteRT' in net.device
