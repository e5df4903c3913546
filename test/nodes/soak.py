# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""fusion_node for a long time among cameras that die, clocks that jump, garbage, floods and changes of its state.

    .venv/bin/python test/nodes/soak.py --minutes 20

Four cameras at 15 Hz look at a walking man. Every few seconds something goes wrong; each thing must be in the
diagnostics soon, nothing may end the node or raise in it, its memory may not grow, and no skeleton
may be handed on late.
"""
from __future__ import annotations

import argparse
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from garbage import CLOUDS, ODD, TEXTS
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_world import DOMAIN, LATCHED, Process, World
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, String

from selfpose_ros.core.observation import View2D
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.nodes.messages import KeypointsInfo, keypoints_from, time_from
from selfpose_ros.synthetic import observe, ring_rig, walker

RATE_HZ, CLIP_S = 15., 20.
#: no diagnostics for so long: the node hangs, s
HUNG_S = 30.
COMMAND = ['-X', 'faulthandler', '-c',
           'from selfpose_ros.nodes.start import fusion; raise SystemExit(fusion())', '--ros-args']
PARAMETERS = {'diagnostics_period_s': '0.5', 'stale_after_s': '1.0', 'startup_s': '0.0', 'person_height_m': '1.75',
              'leave_after_s': '5.0'}
TRANSITIONS = {'configure': 1, 'cleanup': 2, 'activate': 3, 'deactivate': 4}


@dataclass
class Report:
    """What was found.

    Attributes:
        unseen: faults that were not in the diagnostics within the patience, with how long was waited.
        seen_s: for each fault that was seen, after how long.
        oldest_s: age of the oldest skeleton at its publication.
        growth_mb: of the node's memory, from the end of the warm-up to the end.
    """

    faults: int = 0
    unseen: list[str] = field(default_factory=list)
    seen_s: list[float] = field(default_factory=list)
    oldest_s: float = 0.
    late: int = 0
    skeletons: int = 0
    growth_mb: float = 0.
    memory_mb: list[float] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    ended: bool = False
    hung: bool = False

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f'faults made {self.faults}, not seen in the diagnostics in time: {len(self.unseen)}'
        yield from (f'  {u}' for u in self.unseen)
        if self.seen_s:
            yield f'seen after: median {np.median(self.seen_s):.2f} s, at most {max(self.seen_s):.2f} s'
        yield f'skeleton messages {self.skeletons}, oldest {self.oldest_s:.3f} s, older than 0.5 s: {self.late}'
        yield (f'memory {self.memory_mb[0] if self.memory_mb else 0:.0f} MB after the start, {self.growth_mb:+.1f} MB '
               'from the end of the warm-up to the end')
        yield f'exceptions in the log: {len(self.exceptions)}; node ended by itself: {self.ended}, hung: {self.hung}'
        yield from (f'  {e}' for e in self.exceptions[:5])


class Camera:
    """A camera of the soak; publishes what the clock asks for."""

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


class Soak:
    """Runs for so long; see the module."""

    def __init__(self, world: World, process: Process, seconds: float, seed: int, every_s: float,
                 patience_s: float, anew_s: float) -> None:
        self.world, self.process, self.report = world, process, Report()
        self.seconds, self.random, self.every_s, self.patience_s = seconds, random.Random(seed), every_s, patience_s
        rig = ring_rig(4, seed=3)
        clip = observe(walker(CLIP_S, fps=RATE_HZ, seed=5), rig, fps=RATE_HZ, seed=2, noise_px=2.)
        self.cameras = [Camera(world, c, [v for v in clip if v.camera == c]) for c in rig.cameras]
        world.node.create_subscription(PointCloud2, '/fusion_node/skeletons', self._heard, 30)
        self.change = world.node.create_client(ChangeState, '/fusion_node/change_state')
        self.set = world.node.create_client(SetParameters, '/fusion_node/set_parameters')
        self.watch: list[tuple[str, float, Callable[[], bool]]] = []
        self.later: list[tuple[float, Callable[[], Any]]] = []
        self.anew_s, self.reported = anew_s, time.monotonic()
        world.listen('/diagnostics', DiagnosticArray, self._reports)

    def _heard(self, message: PointCloud2, about: dict[str, Any]) -> None:
        age = 1e-9 * about['source_timestamp'] - message.header.stamp.sec - 1e-9 * message.header.stamp.nanosec
        self.report.skeletons += 1
        self.report.late += age > .5
        self.report.oldest_s = max(self.report.oldest_s, age)

    def _reports(self, message: DiagnosticArray) -> None:
        self.reported = time.monotonic()

    def _says(self, entry: str, *words: str) -> Callable[[], bool]:
        def told() -> bool:
            status = [s for name, s in self.world.status.items() if name.endswith(entry)]
            return any(w in s.message for s in status for w in words)
        return told

    def _expect(self, what: str, told: Callable[[], bool]) -> None:
        self.report.faults += 1
        self.watch.append((what, time.monotonic(), told))

    # -- what goes wrong

    def death(self, camera: Camera) -> None:
        camera.dead_until = time.monotonic() + 4.
        self._expect(f'{camera.name} died', self._says(f'camera {camera.name}', 'no keypoints for', 'nobody publishes'))

    def clock_step(self, camera: Camera) -> None:
        camera.shift = self.random.choice([-30., -5., -2.5, 2.5, 5., 3600.])
        self.later.append((time.monotonic() + 4., lambda: setattr(camera, 'shift', 0.)))
        self._expect(f'clock of {camera.name} stepped by {camera.shift:g} s',
                     self._says(f'camera {camera.name}', 'its clock', 'its views come'))

    def bad_text(self, camera: Camera) -> None:
        name, text = self.random.choice(list(TEXTS.items()))
        camera.tell(text)
        self.later.append((time.monotonic() + 3., camera.tell))
        self._expect(f'{camera.name}: keypoints_info {name!r}', self._says(f'camera {camera.name}', 'keypoints_info: '))

    def bad_cloud(self, camera: Camera) -> None:
        name, message = self.random.choice(list(CLOUDS.items()))
        count = iter(range(20 if len(message.data) < 1_000_000 else 2))

        def send() -> None:
            message.header.stamp = time_from(time.time() + camera.shift)
            if camera.cloud is not None and next(count, None) is not None:
                camera.cloud.publish(message)
                self.later.append((time.monotonic() + .1, send))

        # its own good messages would take the sentence back before anybody reads it
        camera.dead_until, alive = 0., camera.send
        camera.send = lambda number, now: None                              # type: ignore[method-assign]
        self.later.append((time.monotonic() + 2.2, lambda: setattr(camera, 'send', alive)))
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

    def odd_request(self, camera: Camera) -> None:
        request = ChangeState.Request()
        request.transition.id = self.random.choice([77, 1, 255])
        self.change.call_async(request)
        self._expect('a transition that cannot be', self._says('program', 'cannot be served'))

    def odd_parameters(self, camera: Camera) -> None:
        for name, kind in (('max_people', ParameterType.PARAMETER_DOUBLE), ('stale_after_s', 200), ('', 4),
                           ('nothing', 2)):
            value = ParameterValue(type=kind, double_value=float('inf'))
            self.set.call_async(SetParameters.Request(parameters=[Parameter(name=name, value=value)]))

    def configure_anew(self) -> None:
        for i, word in enumerate(('deactivate', 'cleanup', 'configure', 'activate')):
            request = ChangeState.Request()
            request.transition.id = TRANSITIONS[word]
            self.later.append((time.monotonic() + .3 * i, lambda r=request: self.change.call_async(r)))

    # -- the run

    def _memory_mb(self) -> float:
        pages = int(Path(f'/proc/{self.process.process.pid}/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE') / 2**20

    def run(self) -> Report:
        """Until the time is over, or the node ended."""
        faults = [self.death, self.clock_step, self.bad_text, self.bad_cloud, self.crowd, self.odd_cloud, self.flood,
                  self.odd_request, self.odd_parameters]
        queue: list[Any] = []
        begin, number, memory = time.monotonic(), 0, []
        next_fault, next_look, next_anew = begin + 6., begin + 5., begin + self.anew_s
        while (now := time.monotonic()) < begin + self.seconds or self.watch:
            if self.process.process.poll() is not None:
                self.report.ended = True
                break
            if now - self.reported > HUNG_S:
                self.report.hung = True
                self.process.end(signal.SIGABRT)            # faulthandler writes where it stands
                break
            number = max(number + 1, int((now - begin) * RATE_HZ))
            for camera in self.cameras:
                camera.send(number, now)
            due = [action for at, action in self.later if at <= now]
            self.later = [(at, action) for at, action in self.later if at > now]
            for action in due:
                action()
            for entry in list(self.watch):
                what, since, told = entry
                if told():
                    self.report.seen_s.append(now - since)
                    self.watch.remove(entry)
                elif now - since > self.patience_s:
                    self.report.unseen.append(f'at {since - begin:.0f} s: {what}')
                    self.watch.remove(entry)
            if now > next_anew:
                next_anew = now + self.anew_s
                self.configure_anew()
                next_fault = now + 6.
            if next_fault < now < min(begin + self.seconds, next_anew - 3.):
                next_fault = now + self.every_s
                # each kind once before any comes again
                queue = queue or self.random.sample(faults, len(faults))
                queue.pop()(self.random.choice(self.cameras))
            if now > next_look:
                next_look = now + 2.
                memory.append((now - begin, self._memory_mb()))
            time.sleep(max(0., begin + (number + 1) / RATE_HZ - time.monotonic()))
        return self._closed(memory)

    def _closed(self, memory: list[tuple[float, float]]) -> Report:
        r = self.report
        r.memory_mb = [m for _, m in memory]
        warm = [m for t, m in memory if t > .25 * self.seconds]
        if len(warm) >= 10:
            fifth = len(warm) // 5
            r.growth_mb = float(np.median(warm[-fifth:]) - np.median(warm[:fifth]))
        text = self.process.text
        r.exceptions = [line for line in text.splitlines() if 'Traceback' in line or 'defect of this program' in line]
        return r


def soak(seconds: float, seed: int = 1, every_s: float = 6., patience_s: float = 2.,
         log: Callable[[str], None] | None = None, anew_s: float = 60.) -> Report:
    """Run it and report."""
    world = World()
    process = Process(*COMMAND, *(w for k, v in PARAMETERS.items() for w in ('-p', f'{k}:={v}')))
    try:
        run = Soak(world, process, seconds, seed, every_s, patience_s, anew_s)
        world.until(lambda: any('fusion' in name for name in world.status), 'the node')
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
    parser.add_argument('--minutes', type=float, default=20.)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--anew', type=float, default=60., help='seconds between two times that it is configured anew')
    parser.add_argument('--log', type=Path, help="file for the node's own log")
    args = parser.parse_args()
    print(f'domain {DOMAIN}', flush=True)
    done = soak(60 * args.minutes, args.seed, log=None if args.log is None else args.log.write_text,
                anew_s=args.anew)
    print('\n'.join(done.lines()))
    raise SystemExit(bool(done.exceptions or done.unseen or done.ended or done.hung or done.late
                          or done.growth_mb > 20.))
