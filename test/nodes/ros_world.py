# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A small ROS world in this process for the tests of the nodes: own domain, one executor thread, no sleeps."""
from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.pose2d import People2D, no_people

#: a condition that is not met by then will not be met; nothing waits this long when all is well
PATIENCE_S = 30.
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SIZE = (320, 240)


def free_domain() -> int:
    """A domain that no other program on this machine is in: its first participant's port is free."""
    for domain in (1 + (os.getpid() + i) % 100 for i in range(100)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', 7410 + 250 * domain))
                return domain
            except OSError:
                continue
    raise RuntimeError('all ROS domains from 1 to 100 are in use on this machine')


DOMAIN = free_domain()


class World:
    """Nodes under test, a node of the test, and what the test hears."""

    def __init__(self) -> None:
        self.dead: Exception | None = None
        self.context = Context()
        rclpy.init(context=self.context, domain_id=DOMAIN, args=[])
        self.executor = SingleThreadedExecutor(context=self.context)
        self.nodes: list[Node] = []
        self.node = self.add(Node('tester', context=self.context))
        self.status: dict[str, DiagnosticStatus] = {}
        self.listen('/diagnostics', DiagnosticArray, self._on_diagnostics)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            while self.context.ok():
                try:
                    self.executor.spin()
                except InvalidHandle:                      # a transition from the test's thread destroyed what it held
                    continue
        except ExternalShutdownException:
            return
        except Exception as error:
            if self.context.ok():                          # else it ended just before the executor waited
                self.dead = error
                raise

    def add(self, node: Any) -> Any:
        """Spin a node."""
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def make(self, kind: Callable[..., Any], up: bool = True, **kwargs: Any) -> Any:
        """A node under test with these parameters (and arguments in `args`), configured and active."""
        args = kwargs.pop('args', {})
        # nothing is late: the machine that runs the tests may have other work
        given = {'diagnostics_period_s': 0.1, 'max_age_s': 0., 'startup_s': 0., **kwargs}
        overrides = [Parameter(k, Parameter.Type.STRING_ARRAY if isinstance(v, list) else None, v)
                     for k, v in given.items()]
        node = kind(context=self.context, parameter_overrides=overrides, **args)
        self.nodes.append(node)                            # destroyed at the end, also if it does not come up
        if up:
            node.bring_up()
        self.executor.add_node(node)
        return node

    def listen(self, topic: str, kind: Any, callback: Callable[[Any], None] | None = None,
               qos: QoSProfile | int = 50) -> list[Any]:
        """Everything that comes on a topic, in a list that grows."""
        heard: list[Any] = []
        self.node.create_subscription(kind, topic, callback or heard.append, qos)
        return heard

    def until(self, condition: Callable[[], Any], what: str, each: Callable[[], Any] | None = None) -> Any:
        """Wait for a condition and return its value, calling `each` some 50 times a second meanwhile."""
        end = time.monotonic() + PATIENCE_S
        while not (value := condition()):
            if time.monotonic() > end or self.dead:
                said = '\n'.join(f'  {k}: {v.message}' for k, v in self.status.items())
                raise AssertionError(f'never came: {what}; {self.dead or ""}\n{said}')
            if each is not None:
                each()
            time.sleep(0.02)
        return value

    def says(self, name: str, words: str, each: Callable[[], Any] | None = None) -> DiagnosticStatus:
        """Wait until the diagnostics entry `name` holds these words."""
        self.until(lambda: name in self.status and words in self.status[name].message, f'{name}: {words}', each)
        return self.status[name]

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """The answer of a service."""
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, f'service {name}')
        future = client.call_async(request)
        self.until(future.done, f'answer of {name}')
        self.node.destroy_client(client)
        return future.result()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.status[status.name] = status

    def close(self) -> None:
        """End everything, in the order that leaves nothing behind."""
        self.context.try_shutdown()
        self._thread.join(PATIENCE_S)
        for node in reversed(self.nodes):
            node.destroy_node()
        self.executor.shutdown()


def values(status: DiagnosticStatus) -> dict[str, str]:
    """Figures of a diagnostics entry."""
    return {v.key: v.value for v in status.values}


# -- commands of the product as processes

_ROOT = Path(__file__).resolve().parents[2]
_ENVIRONMENT = {**os.environ, 'PYTHONPATH': str(_ROOT), 'ROS_DOMAIN_ID': str(DOMAIN),
               'PYTHONUNBUFFERED': '1'}


class Process:
    """A command of the product under test."""

    def __init__(self, *words: str) -> None:
        self.output = tempfile.NamedTemporaryFile('r+')
        self.process = subprocess.Popen([sys.executable, *words], env=_ENVIRONMENT, cwd='/',
                                        stdout=self.output, stderr=subprocess.STDOUT)

    @property
    def text(self) -> str:
        """Everything it said."""
        return Path(self.output.name).read_text()

    def end(self, number: int, times: int = 1) -> int:
        """Signal it and return its exit status."""
        for _ in range(times):
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit status, once it ends by itself."""
        limit = time.monotonic() + PATIENCE_S
        while (status := self.process.poll()) is None and time.monotonic() < limit:
            time.sleep(0.02)
        if status is None:
            self.process.kill()
            self.process.wait()
        return -99 if status is None else status


# -- images of dots: joint j is a disc of its own hue

def _hue(joint: int) -> int:
    return 10 * joint


def draw(points: np.ndarray | None, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W, 3) BGR image of one person of (17, 2) px, or of an empty scene."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for j, (x, y) in enumerate(() if points is None else points):
        cv2.circle(image, (round(x), round(y)), 5, (_hue(j), 255, 255), -1)
    return cv2.cvtColor(image, cv2.COLOR_HSV2BGR)


def pose(shift: float = 0.) -> np.ndarray:
    """(17, 2) px: a grid of joints that no two discs share."""
    j = np.arange(17)
    return np.stack([40. + 50 * (j % 5) + shift, 30. + 55 * (j // 5)], -1)


class DotsNetwork:
    """A 2D network for images of dots: it finds what is really in the image, in whatever way that came."""

    name, device, joint_names = 'dots', 'CPU (test)', JOINTS

    def __init__(self) -> None:
        self.resets, self.closed, self.seen = 0, False, 0

    def infer(self, image_bgr: np.ndarray) -> People2D:
        self.seen += 1
        hsv = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2HSV)
        strong = hsv[..., 2] > 128
        keypoints, confidence = np.full((1, 17, 2), np.nan), np.zeros((1, 17))
        for j in range(17):
            off = (hsv[..., 0].astype(int) - _hue(j) + 90) % 180 - 90
            ys, xs = np.nonzero(strong & (hsv[..., 1] > 128) & (np.abs(off) < 4))
            if len(xs) > 20:
                keypoints[0, j], confidence[0, j] = (xs.mean(), ys.mean()), 0.9
        return People2D(keypoints, confidence) if confidence.any() else no_people(17)

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed = True


def stamp(seconds: float) -> Time:
    """Message of a time."""
    return Time(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))


def raw(image: np.ndarray, at: float, encoding: str = 'bgr8', frame: str = '') -> Image:
    """A raw image message."""
    h, w = image.shape[:2]
    return Image(header=Header(stamp=stamp(at), frame_id=frame), height=h, width=w, encoding=encoding,
                 step=w * (image.size // (h * w)) * image.itemsize, data=image.tobytes())


def jpeg(image: np.ndarray, at: float) -> CompressedImage:
    """A JPEG message of good quality; small discs are told apart by hues, which are at half the resolution else."""
    data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
                                        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444])[1].tobytes()
    return CompressedImage(header=Header(stamp=stamp(at)), format='jpeg', data=data)


class Driver:
    """A camera driver: sends the next image on every call."""

    def __init__(self, world: World, camera: str, kind: Any = Image, qos: QoSProfile | int = 5,
                 begin: float = 100.) -> None:
        self.world, self.kind, self.at = world, kind, begin
        message = raw if kind is Image else jpeg
        # light changes: a picture that stays the same is that of a driver that hangs
        self.image: Callable[[float], Any] = lambda at: message(draw(pose()) | np.uint8(int(16 * at) % 2 * 8), at)
        suffix = 'image_raw' if kind is Image else 'image_raw/compressed'
        self.publisher = world.node.create_publisher(kind, f'/{camera}/{suffix}', qos)

    def __call__(self) -> None:
        self.at += 1 / 16
        self.publisher.publish(self.image(self.at))

    def die(self) -> None:
        self.world.node.destroy_publisher(self.publisher)
