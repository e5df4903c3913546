# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A pose2d_node of four cameras is configured, sees, and is cleaned up, again and again: MB in memory after each.

Usage: many_lives.py MODEL [LIVES [IMAGES]]; MODEL '' is a stand-in that has no network. With IMAGES, they come over
DDS, all the time, and each life lasts until every camera has seen so many; without, they are handed over.
"""
from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ros_world import World, draw, jpeg, pose, raw, stamp
from sensor_msgs.msg import CompressedImage, Image
from soak_images import Glance

from selfpose_ros.nodes.pose2d_node import Pose2DNode


def resident_mb() -> float:
    """Of this process."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * 4096 / 2**20


def _send(world: World, image: np.ndarray) -> Callable[[], None]:
    """Two cameras publish raw images, two JPEG; the next image of each on every call."""
    publishers = [world.node.create_publisher(*kind, 5) for kind in (
        (Image, '/a/image_raw'), (CompressedImage, '/b/image_raw/compressed'),
        (Image, '/c/image_raw'), (CompressedImage, '/d/image_raw/compressed'))]
    messages = [raw(image, 1.), jpeg(image, 1.)] * 2
    at = itertools.count(100)

    def send() -> None:
        now = stamp(next(at) / 16)
        for publisher, message in zip(publishers, messages, strict=True):
            message.header.stamp = now
            publisher.publish(message)
    return send


def main(model: str, lives: int = 15, images: int = 0) -> None:
    world = World()
    given = {'model': model} if model else {'args': {'make_network': lambda *_: Glance()}}
    node = world.make(Pose2DNode, up=False, cameras=list('abcd'), **given)
    image = np.tile(draw(pose()), (2, 2, 1))
    send = _send(world, image) if images else lambda: None
    for _ in range(lives):
        # a transition in this thread, as one of a service's callback in the executor's, has the node for itself
        world.executor.remove_node(node)
        node.bring_up()
        world.executor.add_node(node)
        world.until(lambda: all(c.views.total >= images for c in node._cameras.values()), 'views of all cameras', send)
        for camera in () if images else node._cameras.values():
            for t in (1., 2.):
                camera.maker.view(raw(image, t), None, t)
        world.executor.remove_node(node)
        node.trigger_deactivate()
        node.trigger_cleanup()
        print(f'{resident_mb():.1f}', flush=True)
    world.close()


if __name__ == '__main__':
    main(sys.argv[1], *map(int, sys.argv[2:]))
