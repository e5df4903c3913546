# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Two hosts with a bad network between them: keypoints in one network namespace, fusion_node in another.

    sudo .venv/bin/python test/nodes/lossy_network.py --loss 0 20 40

Each namespace has one Ethernet device (a tap); this program carries the frames from one to the other and loses some of
them at random, in both directions, DDS's own repeats and acknowledgements included. Linux, as root; nothing of it
leaves the machine. The keypoints are published reliably, as pose2d_node does it; `--reliability best_effort` is what
fusion_node asks for then (by qos_overrides): nothing is sent again, and nothing waits for what is. Frames are lost from
the first keypoints on, when both sides have found each other.
"""
from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import random
import select
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfpose_ros.evaluation.alignment import pa_mm

_TUNSETIFF, _TAP, _NO_INFO = 0x400454ca, 0x0002, 0x1000
NAMES, ADDRESSES = ('sp_cameras', 'sp_fusion'), ('10.77.61.1/24', '10.77.61.2/24')
FPS, SEED = 15., 3


def permitted() -> str:
    """'' where namespaces and taps can be made, else why not."""
    if not sys.platform.startswith('linux') or os.geteuid() != 0:
        return 'network namespaces need Linux and root'
    if not Path('/dev/net/tun').exists():
        return 'there is no /dev/net/tun'
    try:
        with network(0.):
            return ''
    except (OSError, subprocess.CalledProcessError) as error:
        return f'network namespaces are not permitted here: {error}'


class Wire:
    """Carries frames between two taps and loses some of them.

    Attributes:
        loss: share of frames; may change.  carried, lost: frames.
    """

    def __init__(self, taps: tuple[int, int], loss: float) -> None:
        self._taps, self.loss, self._random = taps, loss, random.Random(1)
        self.carried = self.lost = 0
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending:
            for tap in select.select(self._taps, [], [], .1)[0]:
                frame = os.read(tap, 65536)
                if self._random.random() < self.loss:
                    self.lost += 1
                    continue
                self.carried += 1
                with contextlib.suppress(OSError):
                    os.write(self._taps[1 - self._taps.index(tap)], frame)

    def close(self) -> None:
        self._ending = True
        self._thread.join()


@contextlib.contextmanager
def network(loss: float) -> Iterator[Wire]:
    """Two namespaces and the wire between them; loss: share of frames."""
    def ip(*words: str) -> None:
        subprocess.run(['ip', *words], check=True, capture_output=True, text=True)

    taps: list[int] = []
    wire = None
    try:
        for n, (name, address) in enumerate(zip(NAMES, ADDRESSES, strict=True)):
            ip('netns', 'add', name)
            tap = os.open('/dev/net/tun', os.O_RDWR)
            taps.append(tap)
            fcntl.ioctl(tap, _TUNSETIFF, struct.pack('16sH', f'sptap{n}'.encode(), _TAP | _NO_INFO))
            ip('link', 'set', f'sptap{n}', 'netns', name)
            ip('-n', name, 'addr', 'add', address, 'dev', f'sptap{n}')
            ip('-n', name, 'link', 'set', 'lo', 'up')
            ip('-n', name, 'link', 'set', f'sptap{n}', 'up')
            ip('-n', name, 'route', 'add', '224.0.0.0/4', 'dev', f'sptap{n}')
        wire = Wire((taps[0], taps[1]), loss)
        yield wire
    finally:
        if wire is not None:
            wire.close()
        for tap in taps:
            os.close(tap)
        for name in NAMES:
            subprocess.run(['ip', 'netns', 'del', name], check=False, capture_output=True)


@dataclass(frozen=True)
class Trial:
    """What came of it: share of frames that were lost; messages of `~/skeletons` against instants that were sent, the
    first at level 3 (s after the first keypoints), share of instants with somebody from then on, identities, PA (mm),
    and delays from image to skeleton (s, median and 95 %).
    """

    lost: float
    instants: float
    level3_s: float
    cover: float
    people: int
    pa: float
    delay_s: tuple[float, float]

    def line(self) -> str:
        return (f'{self.lost:5.0%} lost: {self.instants:4.0%} of the instants, level 3 after {self.level3_s:.1f} s, '
                f'somebody in {self.cover:.0%} from then on, {self.people} identity, PA {self.pa:.1f} mm, delay '
                f'{1e3 * self.delay_s[0]:.0f} ms (95 %: {1e3 * self.delay_s[1]:.0f})')


def trial(loss: float, seconds: float = 20., reliability: str = 'reliable') -> Trial:
    """One run. loss: share of frames, in both directions."""
    env = {**os.environ, 'ROS_DOMAIN_ID': '77', 'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4',
           'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET', 'PYTHONUNBUFFERED': '1'}
    here = [sys.executable, str(Path(__file__).resolve())]
    with network(0.) as wire, tempfile.TemporaryDirectory() as folder:
        heard, begun = Path(folder) / 'heard.json', Path(folder) / 'begun'

        def run(name: str, *command: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(['ip', 'netns', 'exec', name, *command], env=env)

        children = [run(NAMES[1], *here, '--part', 'fusion', '--seconds', str(seconds), '--reliability', reliability,
                        '--out', str(heard)),
                    run(NAMES[0], *here, '--part', 'cameras', '--seconds', str(seconds), '--out', str(begun))]
        try:
            while not begun.exists() and all(child.poll() is None for child in children):
                time.sleep(.02)
            wire.loss, wire.carried = loss, 0
            for child in reversed(children):
                child.wait(seconds + 90)
        finally:
            for child in children:
                if child.poll() is None:
                    child.kill()
        told = json.loads(heard.read_text(encoding='utf-8'))
        share = wire.lost / max(wire.lost + wire.carried, 1)
        first = float(begun.read_text(encoding='utf-8'))
    return _scored(told, first, share, seconds)


def _scored(told: list[dict[str, Any]], first: float, lost: float, seconds: float) -> Trial:
    X = _walk(seconds)
    begin, pa, delay, people, cover = float('nan'), [], [], set(), []
    for t in told:
        frame = round((t['stamp'] - first) * FPS)
        rows = t['people']
        third = [p for p in rows if p['level'] == 3]
        if third and not np.isfinite(begin):
            begin = frame / FPS
        if np.isfinite(begin):
            cover.append(bool(rows))
            delay.append(t['delay'])
            people.update(p['person'] for p in third)
            if third and 0 <= frame < len(X):
                pa.append(pa_mm(np.array(third[0]['joints'], float), X[frame]))
    return Trial(lost, len(told) / (seconds * FPS), begin, float(np.mean(cover)) if cover else 0., len(people),
                 float(np.nanmean(pa)) if pa else float('nan'),
                 (float(np.median(delay)), float(np.quantile(delay, .95))) if delay else (float('nan'),) * 2)


def _walk(seconds: float) -> np.ndarray:
    from selfpose_ros.synthetic import walker
    return walker(seconds, FPS, SEED, 'walk')


def _cameras(seconds: float, begun: Path) -> None:
    """Publish keypoints as pose2d_node does, once fusion_node listens."""
    import rclpy
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import PointCloud2
    from std_msgs.msg import Header, String

    from selfpose_ros.core.skeleton import JOINTS
    from selfpose_ros.nodes.messages import KeypointsInfo, keypoints_from, time_from
    from selfpose_ros.synthetic import frames_of, observe, ring_rig
    frames = frames_of(observe(_walk(seconds)[:, None], ring_rig(4, SEED), FPS, SEED))
    rclpy.init()
    node = rclpy.create_node('cameras')
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE)
    stream = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
    out, info = {}, {}
    for v in frames[0].views:
        info[v.camera] = node.create_publisher(String, f'{v.camera}/keypoints_info', latched)
        info[v.camera].publish(String(data=KeypointsInfo(v.camera, JOINTS, v.image_size).text()))
        out[v.camera] = node.create_publisher(PointCloud2, f'{v.camera}/keypoints', stream)
    end = time.monotonic() + 30
    while any(p.get_subscription_count() < 1 for p in out.values()) and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=.1)
    time.sleep(1.)
    begin = time.time()
    begun.write_text(str(begin), encoding='utf-8')
    for f in frames:
        time.sleep(max(begin + f.stamp - time.time(), 0.))
        for v in f.views:
            out[v.camera].publish(keypoints_from(v, Header(stamp=time_from(begin + f.stamp), frame_id=v.camera)))
    time.sleep(2.)
    node.destroy_node()
    rclpy.shutdown()


def _fusion(seconds: float, reliability: str, out: Path) -> None:
    """fusion_node, and what it published."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    from sensor_msgs.msg import PointCloud2

    from selfpose_ros.nodes.fusion_node import FusionNode
    from selfpose_ros.nodes.messages import skeletons_of, stamp_of
    rclpy.init()
    executor, told = SingleThreadedExecutor(), []
    asked = [Parameter(f'qos_overrides./cam{n}/keypoints.subscription.reliability', value=reliability)
             for n in range(1, 5)]
    node, listener = FusionNode(parameter_overrides=asked), Node('listener')

    def on_skeletons(message: PointCloud2) -> None:
        stamp = stamp_of(message.header, 'skeletons')
        told.append({'stamp': stamp, 'delay': time.time() - stamp, 'people': [
            {'person': p.person, 'level': p.level, 'joints': p.joints.tolist()} for p in skeletons_of(message)]})

    listener.create_subscription(PointCloud2, '/fusion_node/skeletons', on_skeletons, 50)
    node.bring_up()
    executor.add_node(node)
    executor.add_node(listener)
    end = time.monotonic() + seconds + 45
    while time.monotonic() < end and not (told and time.time() - told[-1]['stamp'] > 4.):
        executor.spin_once(.1)
    out.write_text(json.dumps(told), encoding='utf-8')
    node.destroy_node()
    listener.destroy_node()
    rclpy.shutdown()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--loss', type=float, nargs='+', default=[0., 20., 40.], metavar='%')
    parser.add_argument('--seconds', type=float, default=20.)
    parser.add_argument('--reliability', choices=('reliable', 'best_effort'), default='reliable')
    parser.add_argument('--part', choices=('cameras', 'fusion'), help=argparse.SUPPRESS)
    parser.add_argument('--out', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part == 'cameras':
        _cameras(args.seconds, args.out)
    elif args.part == 'fusion':
        _fusion(args.seconds, args.reliability, args.out)
    elif why := permitted():
        print(why, file=sys.stderr)
        return 2
    else:
        for loss in args.loss:
            print(trial(loss / 100, args.seconds, args.reliability).line(), flush=True)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
