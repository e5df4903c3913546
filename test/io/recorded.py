# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings for the tests of this room: small, exact, every number different."""
from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np

from selfpose_ros.core.camera import Intrinsics
from selfpose_ros.core.observation import MultiView, Skeleton3D, View2D
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.views import ViewMap


def archive(T=6, V=3, J=17, **changes):
    """Arrays of a good keypoint archive; `changes` replaces some, None leaves one out."""
    rng = np.random.default_rng(1)
    arrays = {
        'keypoints': rng.uniform(100, 900, (T, V, J, 2)), 'confidence': rng.uniform(.3, 1, (T, V, J)),
        'stamp': 5 + np.arange(T) / 25, 'image_size': np.tile([1000, 800], (V, 1)),
        'joint_names': np.array(JOINTS),
    } | changes
    return {k: v for k, v in arrays.items() if v is not None}


def write_archive(path: Path, **changes) -> Path:
    """Write one and give its path back."""
    np.savez_compressed(path, **archive(**changes))
    return path


def view(camera='cam1', stamp=0., people=1, seed=0, size=(640, 480), K=None) -> View2D:
    """A view with people whose numbers tell camera, time and person apart."""
    rng = np.random.default_rng([seed, int(stamp * 1e3), *camera.encode()])
    return View2D(camera, stamp, rng.uniform(50, 400, (people, 17, 2)).round(2), np.full((people, 17), .5), size,
                  np.arange(people) + 7, None if K is None else Intrinsics(K))


def skeletons(T=4, level=3):
    """Stamps and two people: 1 all the time, 2 from the third instant on."""
    def person(i, p):
        joints = np.arange(51.).reshape(17, 3) / 10 + i + 100 * p
        return Skeleton3D(p, i / 10, joints, np.full(17, .01), np.full(17, .9), np.full(17, 3), level)
    return [i / 10 for i in range(T)], [[person(i, p) for p in ((1, 2) if i > 1 else (1,))] for i in range(T)]


def rig(cameras=('cam2', 'cam1')) -> Rig:
    """A rig, in another order than the recording's cameras."""
    n = len(cameras)
    K = np.tile(np.diag([900., 900., 1.]), (n, 1, 1)) + np.arange(n)[:, None, None] * np.diag([1., 1., 0.])
    return Rig(tuple(cameras), K, np.zeros((n, 5)), np.tile([640, 480], (n, 1)), np.tile(np.eye(3), (n, 1, 1)),
               np.arange(3. * n).reshape(n, 3), .8, 'known height', .02)


def same_views(a, b, atol=1e-3) -> bool:
    """Whether two lists of views hold the same."""
    return len(a) == len(b) and all(
        (x.camera, x.stamp, x.image_size) == (y.camera, y.stamp, y.image_size)
        and np.array_equal(x.person, y.person) and np.allclose(x.keypoints, y.keypoints, atol=atol, equal_nan=True)
        and np.allclose(x.confidence, y.confidence, atol=1e-3) for x, y in zip(a, b, strict=True))


def instants(frames: list[MultiView]):
    """[(stamp, {camera: stamp})] of instants."""
    return [(f.stamp, {v.camera: v.stamp for v in f.views}) for f in frames]


def openpose_folder(folder: Path, frames: dict[int, list], joints=25) -> Path:
    """JSON files as OpenPose writes them; a frame is a list of (joints, 3) people."""
    folder.mkdir(parents=True)
    for number, people in frames.items():
        content = {'version': 1.3, 'people': [
            {'person_id': [-1], 'pose_keypoints_2d': np.ravel(p).tolist()} for p in people]}
        (folder / f'clip_{number:012d}_keypoints.json').write_text(json.dumps(content))
    return folder


def video(path: Path, frames=10, size=(64, 48), fps=25., level=None) -> Path:
    """A video whose image n has the brightness `level(n)`, default 10 n; the upper left corner is white."""
    codec = 'MJPG' if path.suffix == '.avi' else 'mp4v'
    out = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, size)
    for n in range(frames):
        image = np.full((size[1], size[0], 3), (level or (lambda n: 10 * n % 256))(n), np.uint8)
        image[:8, :8] = 255
        out.write(image)
    out.release()
    return path


def turn_quarter(path: Path) -> Path:
    """Set the mark 'turn by 90 degrees' in an mp4, as phones do."""
    content = bytearray(path.read_bytes())
    at = content.find(b'tkhd') + 4
    at += 4 + (20 if content[at] == 0 else 32) + 16
    content[at:at + 36] = struct.pack('>9i', 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    path.write_bytes(content)
    return path


class BrightnessNetwork:
    """A 2D network for the videos above: one person whose joints lie at (brightness, joint number)."""

    joint_names = JOINTS
    made = 0

    def __init__(self):
        type(self).made += 1
        self.closed = False

    def infer(self, image):
        level = float(image[image.shape[0] // 2, image.shape[1] // 2].mean())
        keypoints = np.stack([np.full(17, level), np.arange(17.)], -1)[None]
        return View2D('x', 0., keypoints, np.ones((1, 17)), (64, 48), np.array([3]))

    def view(self, camera, stamp, image, intrinsics=None):
        return ViewMap(self.joint_names).view(self.infer(image), camera, stamp, image.shape[1::-1], intrinsics)

    def close(self):
        self.closed = True
