# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A pose2d_node of four cameras is configured, sees, and is cleaned up, again and again: MB in memory after each.

Usage: many_lives.py MODEL [LIVES]; MODEL '' is a stand-in that has no network.
"""
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ros_world import DotsNetwork, World, draw, pose, raw

from selfpose_ros.nodes.pose2d_node import Pose2DNode


def resident_mb() -> float:
    """Of this process."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * 4096 / 2**20


def main(model: str, lives: int = 15) -> None:
    world = World()
    given = {'model': model} if model else {'args': {'make_network': lambda *_: DotsNetwork()}}
    node = world.make(Pose2DNode, up=False, cameras=list('abcd'), **given)
    image = np.tile(draw(pose()), (2, 2, 1))
    for _ in range(lives):
        node.bring_up()
        for camera in node._cameras.values():
            for t in (1., 2.):
                camera.maker.view(raw(image, t), None, t)
        node.trigger_deactivate()
        node.trigger_cleanup()
        print(f'{resident_mb():.1f}', flush=True)
    world.close()


if __name__ == '__main__':
    main(sys.argv[1], *map(int, sys.argv[2:]))
