# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""pose2d_node for a long time among cameras that die and send what is no image; see soak.py."""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from garbage import giant_png
from ros_world import Process, World, jpeg, raw
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from soaking import Soak

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.pose2d import People2D
from selfpose_ros.nodes.messages import time_from

#: px
SIZE = (160, 120)
PICTURES = 30


class Glance:
    """A stand-in for a network that costs next to nothing: one person where the image is bright."""

    name, device, joint_names = 'glance', 'CPU (test)', JOINTS

    def infer(self, image_bgr: np.ndarray) -> People2D:
        at = np.array(cv2.minMaxLoc(image_bgr[..., 1])[3], float)
        return People2D(np.tile(at, (1, 17, 1)) + np.arange(17)[None, :, None], np.full((1, 17), .9))

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def _pictures() -> list[np.ndarray]:
    """Something bright that wanders over noise."""
    random, out = np.random.default_rng(1), []
    for n in range(PICTURES):
        image = random.integers(30, 90, (SIZE[1], SIZE[0], 3), np.uint8)
        cv2.circle(image, (20 + 4 * n, 60), 12, (255, 255, 255), -1)
        out.append(image)
    return out


class Camera:
    """A camera whose images come, raw or as JPEG; publishes what the clock asks for."""

    def __init__(self, world: World, name: str, compressed: bool, pictures: Sequence[np.ndarray]) -> None:
        self.world, self.name = world, name
        self.kind, self.topic = ((CompressedImage, f'/{name}/image_raw/compressed') if compressed
                                 else (Image, f'/{name}/image_raw'))
        self.messages = [(jpeg if compressed else raw)(p, 0.) for p in pictures]
        self.shift, self.dead_until, self.odd_until = 0., 0., 0.
        self.images: Any = None
        self.info = world.node.create_publisher(CameraInfo, f'/{name}/camera_info', 1)

    def send(self, number: int, now: float) -> None:
        if now < self.dead_until:
            if self.images is not None:
                self.world.node.destroy_publisher(self.images)
                self.images = None
            return
        if self.images is None:
            self.images = self.world.node.create_publisher(self.kind, self.topic, 5)
        turn, at = divmod(number, PICTURES - 1)
        self.publish(self.messages[at if turn % 2 == 0 else PICTURES - 1 - at])

    def publish(self, message: Any) -> None:
        message.header.stamp = time_from(time.time() + self.shift)
        if self.images is not None:
            self.images.publish(message)


def _bad_raw() -> dict[str, Image]:
    """Raw images that are none."""
    good = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)

    def changed(**changes: Any) -> Image:
        made = raw(good, 0.)
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    return {'strange encoding': changed(encoding='pixels'), 'no encoding': changed(encoding=''),
            'long encoding': changed(encoding='x' * 100_000), 'depth': changed(encoding='32FC1'),
            'cut off': changed(data=bytes(1000)), 'no bytes': changed(data=b''), 'no size': changed(height=0, width=0),
            '2^32 px': changed(height=2**32 - 1, width=2**32 - 1), 'step of 2^32': changed(step=2**32 - 1),
            'no step': changed(step=0), 'another encoding': changed(encoding='bgra16'),
            'NV12 of too few bytes': changed(encoding='nv12', height=1000), '1 px': raw(good[:1, :1], 0.)}


def _bad_packed(picture: np.ndarray) -> dict[str, CompressedImage]:
    """Compressed images that are none."""
    whole = bytes(jpeg(picture, 0.).data)
    junk = np.random.default_rng(2).integers(0, 256, 5000, np.uint8).tobytes()
    return {name: CompressedImage(format='jpeg', data=data) for name, data in {
        'cut off': whole[:len(whole) // 2], 'end alone': whole[-200:], 'empty': b'', 'random': junk,
        'random after a head': whole[:20] + junk, 'giant PNG': giant_png(60_000, 60_000),
        'PNG without end': cv2.imencode('.png', picture)[1].tobytes()[:3000], 'text': b'no image' * 100,
        'video': b'\x00\x00\x00\x01\x67' + junk, 'two ends': b'\xff\xd8\xff\xd9'}.items()}


class ImageSoak(Soak):
    """Of pose2d_node."""

    program = (f'import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from soak_images import main; '
               'raise SystemExit(main())')
    parameters = {'cameras': '[cam1,cam2,cam3,cam4]'}

    def __init__(self, world: World, process: Process, *args: Any) -> None:
        super().__init__(world, process, 'pose2d_node', *args)
        pictures = _pictures()
        self.cameras = [Camera(world, f'cam{i + 1}', i % 2 == 1, pictures) for i in range(4)]
        self.bad = {Image: _bad_raw(), CompressedImage: _bad_packed(pictures[0])}
        for camera in self.cameras:
            world.node.create_subscription(PointCloud2, f'/{camera.name}/keypoints', partial(self._heard, camera), 30)

    def _heard(self, camera: Camera, message: PointCloud2, about: dict[str, Any]) -> None:
        if time.monotonic() < camera.odd_until:            # its stamps are not those of this host's clock
            self.report.messages += 1
            return
        self._age(1e-9 * about['source_timestamp'] - message.header.stamp.sec - 1e-9 * message.header.stamp.nanosec)

    @property
    def faults(self) -> Sequence[Callable[[Any], None]]:
        return [self.death, self.clock_back, self.standstill, self.no_image, self.no_image, self.rival, self.odd_info,
                self.flood, *super().faults]

    def death(self, camera: Camera) -> None:
        camera.dead_until = time.monotonic() + 4.
        self._expect(f'{camera.name} died', self._says(f'camera {camera.name}', 'no image for', 'nobody publishes'))

    def clock_back(self, camera: Camera) -> None:
        camera.dead_until = 0.
        camera.shift -= self.random.choice([1., 30., 3600.])
        camera.odd_until = time.monotonic() + 6.
        self._after(4., lambda: setattr(camera, 'shift', 0.))
        self._expect(f'clock of {camera.name} went back',
                     self._says(f'camera {camera.name}', 'jumped back', 'were too old'))

    def standstill(self, camera: Camera) -> None:
        """Stamps that do not move for two seconds."""
        camera.dead_until, at, alive = 0., time.time(), camera.send
        camera.odd_until = time.monotonic() + 4.

        def send(number: int, now: float) -> None:
            camera.shift = at - time.time()
            alive(number, now)

        def end() -> None:
            camera.send, camera.shift = alive, 0.                           # type: ignore[method-assign]

        camera.send = send                                                  # type: ignore[method-assign]
        self._after(2.5, end)
        self._expect(f'stamps of {camera.name} stand still', self._says(f'camera {camera.name}', 'newer than the last',
                                                                                'were too old'))

    def no_image(self, camera: Camera) -> None:
        """Three of them, among good ones."""
        name, message = self.random.choice(list(self.bad[camera.kind].items()))
        camera.dead_until = 0.
        for wait_s in (0., .2, .4):
            self._after(wait_s, partial(camera.publish, message))
        self._expect(f'{camera.name}: {camera.kind.__name__} {name!r}',
                     self._says(f'camera {camera.name}', 'images cannot be used', 'no image can be used'))

    def rival(self, camera: Camera) -> None:
        """A second publisher, for a while."""
        camera.dead_until = 0.
        other = self.world.node.create_publisher(camera.kind, camera.topic, 5)
        self._after(3., lambda: self.world.node.destroy_publisher(other))
        self._expect(f'a rival of {camera.name}', self._says(f'camera {camera.name}', 'publishers on'))

    def odd_info(self, camera: Camera) -> None:
        """Calibrations of no camera; the last one is none, and changes nothing."""
        for info in (CameraInfo(height=1, width=1, k=[float('nan')] * 9), CameraInfo(
                height=2**32 - 1, width=7, distortion_model='x' * 1000, k=[1e308] * 9, d=[1e300] * 50), CameraInfo()):
            camera.info.publish(info)

    def flood(self, camera: Camera) -> None:
        for i in range(200):
            camera.publish(camera.messages[i % PICTURES])


def main() -> int:
    """The node under test, with the stand-in."""
    from selfpose_ros.nodes.pose2d_node import Pose2DNode
    from selfpose_ros.nodes.process import run_alone
    return run_alone(lambda: Pose2DNode(make_network=lambda *_: Glance()), None)
