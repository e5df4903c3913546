# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A node for a long time among cameras that die, clocks that jump, garbage, floods and changes of its state.

    .venv/bin/python test/nodes/soak.py --minutes 20 --people 3
    .venv/bin/python test/nodes/soak.py --node pose2d_node --minutes 20

Four cameras at 15 Hz. fusion_node follows people who walk about in their keypoints, pose2d_node looks at their images
with a stand-in for a network. Every few seconds something goes wrong; each thing must be in the diagnostics soon,
nothing may end the node or raise in it, its memory may not grow, and nobody may be handed on late.
"""
from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from garbage import CLOUDS, ODD, TEXTS
from ros_world import DOMAIN, LATCHED, Process, World
from sensor_msgs.msg import PointCloud2
from soak_images import ImageSoak
from soaking import PARAMETERS, RATE_HZ, Report, Soak
from std_msgs.msg import Header, String

from selfpose_ros.core.observation import View2D
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.nodes.messages import KeypointsInfo, keypoints_from, time_from
from selfpose_ros.synthetic import observe, ring_rig, walker

CLIP_S = 20.
#: from one person to the next, m
APART_M = 1.2


class Camera:
    """A camera whose keypoints come; publishes what the clock asks for."""

    def __init__(self, world: World, name: str, views: list[View2D]) -> None:
        self.world, self.name, self.views = world, name, views
        self.shift = 0.
        self.dead_until = 0.
        self.cloud: Any = None
        self.info = world.node.create_publisher(String, f'/{name}/keypoints_info', LATCHED)
        self.tell()

    def tell(self, text: str | None = None) -> None:
        good = KeypointsInfo(self.name, JOINTS, self.views[0].image_size).text()
        self.info.publish(String(data=good if text is None else text))

    def send(self, number: int, now: float) -> None:
        if now < self.dead_until:
            if self.cloud is not None:
                self.world.node.destroy_publisher(self.cloud)
                self.cloud = None
            return
        if self.cloud is None:
            self.cloud = self.world.node.create_publisher(PointCloud2, f'/{self.name}/keypoints', 10)
        # forth and back: a man who walks on without a jump
        turn, at = divmod(number, len(self.views) - 1)
        view = self.views[at if turn % 2 == 0 else len(self.views) - 1 - at]
        self.cloud.publish(keypoints_from(view, Header(stamp=time_from(time.time() + self.shift))))


class KeypointsSoak(Soak):
    """Of fusion_node."""

    program = 'from selfpose_ros.nodes.start import fusion; raise SystemExit(fusion())'
    parameters = {'person_height_m': '1.75', 'leave_after_s': '5.0'}

    def __init__(self, world: World, process: Process, *args: Any, people: int = 1) -> None:
        super().__init__(world, process, 'fusion_node', *args)
        rig = ring_rig(4, seed=3)
        X = np.stack([walker(CLIP_S, RATE_HZ, 5 + p, start=(APART_M * p, 0.)) for p in range(people)], 1)
        clip = observe(X, rig, fps=RATE_HZ, seed=2, noise_px=2.)
        self.cameras = [Camera(world, c, [v for v in clip if v.camera == c]) for c in rig.cameras]
        world.node.create_subscription(PointCloud2, '/fusion_node/skeletons', self._heard, 30)

    def _heard(self, message: PointCloud2, about: dict[str, Any]) -> None:
        self._age(1e-9 * about['source_timestamp'] - message.header.stamp.sec - 1e-9 * message.header.stamp.nanosec)
        self.report.people[message.height] += 1

    @property
    def faults(self) -> Sequence[Callable[[Any], None]]:
        return [self.death, self.clock_step, self.bad_text, self.bad_cloud, self.crowd, self.odd_cloud, self.flood,
                *super().faults]

    def death(self, camera: Camera) -> None:
        camera.dead_until = time.monotonic() + 4.
        self._expect(f'{camera.name} died', self._says(f'camera {camera.name}', 'no keypoints for', 'nobody publishes'))

    def clock_step(self, camera: Camera) -> None:
        camera.shift = self.random.choice([-30., -5., -2.5, 2.5, 5., 3600.])
        self._after(4., lambda: setattr(camera, 'shift', 0.))
        self._expect(f'clock of {camera.name} stepped by {camera.shift:g} s',
                     self._says(f'camera {camera.name}', 'its clock', 'its views come'))

    def bad_text(self, camera: Camera) -> None:
        name, text = self.random.choice(list(TEXTS.items()))
        camera.tell(text)
        self._after(3., camera.tell)
        self._expect(f'{camera.name}: keypoints_info {name!r}', self._says(f'camera {camera.name}', 'keypoints_info: '))

    def bad_cloud(self, camera: Camera) -> None:
        name, message = self.random.choice(list(CLOUDS.items()))
        count = iter(range(5 if len(message.data) < 1_000_000 else 2))

        def send() -> None:
            message.header.stamp = time_from(time.time() + camera.shift)
            if camera.cloud is not None and next(count, None) is not None:
                camera.cloud.publish(message)
                self._after(.1, send)

        camera.dead_until = 0.                             # among its own good messages
        send()
        self._expect(f'{camera.name}: cloud {name!r}', self._says(f'camera {camera.name}', '/keypoints: '))

    def crowd(self, camera: Camera) -> None:
        message = ODD['5000 people']
        message.header.stamp = time_from(time.time() + camera.shift)
        if camera.cloud is not None:
            camera.cloud.publish(message)
            self._expect(f'{camera.name}: 5000 people', self._says(f'camera {camera.name}', 'people in a message'))

    def odd_cloud(self, camera: Camera) -> None:
        for message in ODD.values():
            message.header.stamp = time_from(time.time() + camera.shift)
            if camera.cloud is not None:
                camera.cloud.publish(message)

    def flood(self, camera: Camera) -> None:
        for i in range(300):
            if camera.cloud is not None:
                view = camera.views[i % len(camera.views)]
                camera.cloud.publish(keypoints_from(view, Header(stamp=time_from(time.time() + camera.shift))))


#: by the name of the node
KINDS: dict[str, type[KeypointsSoak] | type[ImageSoak]] = {'fusion_node': KeypointsSoak, 'pose2d_node': ImageSoak}


def soak(seconds: float, seed: int = 1, every_s: float = 6., patience_s: float = 2.,
         log: Callable[[str], None] | None = None, anew_s: float = 60., node: str = 'fusion_node',
         reload_s: float = 60., people: int = 1) -> Report:
    """Run it and report."""
    kind = KINDS[node]
    world = World()
    process = Process('-X', 'faulthandler', '-c', kind.program, '--ros-args',
                      *(w for k, v in (PARAMETERS | kind.parameters).items() for w in ('-p', f'{k}:={v}')))
    try:
        of = {'people': people} if kind is KeypointsSoak else {}
        run = kind(world, process, seconds, seed, every_s, patience_s, anew_s, reload_s, **of)
        world.until(lambda: any(node in name for name in world.status), 'the node')
        report = run.run()
        if log is not None:
            log(process.text)
        return report
    finally:
        if process.process.poll() is None:
            process.end(signal.SIGTERM)
        world.close()


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--node', choices=KINDS, default='fusion_node')
    parser.add_argument('--minutes', type=float, default=20.)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--anew', type=float, default=60., help='seconds between two times that it is configured anew')
    parser.add_argument('--reload', type=float, default=60., help='seconds between two loadings of the model')
    parser.add_argument('--people', type=int, default=1, help='in the sight of fusion_node')
    parser.add_argument('--log', type=Path, help="file for the node's own log")
    args = parser.parse_args()
    print(f'domain {DOMAIN}', flush=True)
    done = soak(60 * args.minutes, args.seed, log=None if args.log is None else args.log.write_text,
                anew_s=args.anew, node=args.node, reload_s=args.reload, people=args.people)
    print('\n'.join(done.lines()))
    raise SystemExit(bool(done.exceptions or done.unseen or done.ended or done.hung or done.late or done.refused
                          or done.growth_mb > 20.))
