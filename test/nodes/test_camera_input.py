# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which topic and which reliability, workers that share the cameras, figures, log lines."""
from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from rclpy.qos import ReliabilityPolicy
from ros_world import raw, stamp

from selfpose_ros.io.ros_messages.image_topics import info_topic
from selfpose_ros.nodes.camera_input import CameraInput, Choice, choose
from selfpose_ros.nodes.diagnostics import ERROR, OK, WARN, Entry, StateLog
from selfpose_ros.nodes.meters import Meter, received_share
from selfpose_ros.nodes.workers import Workers


def _offer(kind: str, reliable: bool) -> SimpleNamespace:
    policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return SimpleNamespace(topic_type=f'sensor_msgs/msg/{kind}', qos_profile=SimpleNamespace(reliability=policy))


RAW, RAW_BEST = _offer('Image', True), _offer('Image', False)
JPEG, JPEG_BEST = _offer('CompressedImage', True), _offer('CompressedImage', False)
OTHER = SimpleNamespace(topic_type='std_msgs/msg/String', qos_profile=RAW.qos_profile)


@pytest.mark.parametrize(('here', 'beside', 'transport', 'reliability', 'expected'), [
    ([], [], 'auto', 'auto', None),
    ([OTHER], [], 'auto', 'auto', None),
    ([RAW], [], 'auto', 'auto', ('x', False, True)),
    ([RAW_BEST], [], 'auto', 'auto', ('x', False, False)),
    ([RAW, RAW_BEST], [], 'auto', 'auto', ('x', False, False)),             # else the second would not be heard
    ([RAW], [JPEG], 'auto', 'auto', ('x', False, True)),
    ([RAW_BEST], [JPEG_BEST], 'auto', 'auto', ('x/compressed', True, False)),  # raw would be lost on the way
    ([], [JPEG_BEST], 'auto', 'auto', ('x/compressed', True, False)),
    ([JPEG], [], 'auto', 'auto', ('x', True, True)),                        # the topic itself is compressed
    ([RAW_BEST], [JPEG], 'raw', 'auto', ('x', False, False)),
    ([RAW], [JPEG_BEST], 'compressed', 'auto', ('x/compressed', True, False)),
    ([RAW], [], 'compressed', 'auto', None),
    ([], [JPEG], 'raw', 'auto', None),
    ([RAW], [], 'auto', 'best_effort', ('x', False, False)),
    ([RAW_BEST], [], 'auto', 'reliable', ('x', False, True)),
])
def test_the_subscription_follows_the_publishers(here: list, beside: list, transport: str, reliability: str,
                                                 expected: tuple | None) -> None:
    assert choose('x', here, beside, transport, reliability) == (None if expected is None else Choice(*expected))


@pytest.mark.parametrize(('image', 'info'), [
    ('cam1/image_raw', 'cam1/camera_info'), ('/a/b/image', '/a/b/camera_info'), ('image_raw', 'camera_info'),
    ('/cam/image_raw/compressed', '/cam/camera_info')])
def test_camera_info_lies_beside_the_image(image: str, info: str) -> None:
    assert info_topic(image) == info


def _camera(share: int, reliable: bool, pixels: int = 640 * 480) -> CameraInput:
    """A camera of 30 images a second of which every `share`-th pair arrived."""
    node = SimpleNamespace(resolve_topic_name=lambda name, only_expand=False: f'/{name}')
    camera = CameraInput(node, 'a', 'a/image_raw', 'a/camera_info', 'auto', 'auto', lambda: None)
    camera.choice = Choice('/a/image_raw', False, reliable)
    image = raw(np.zeros((1, pixels, 3), np.uint8), 0.)
    for i in range(300):
        if i % share in (0, 1):
            image.header.stamp = stamp(100 + i / 30)
            camera._on_image(image, {})
    return camera


def test_raw_images_that_get_lost_are_told_with_the_remedy() -> None:
    hint = _camera(share=10, reliable=False).hint
    assert 'about 80 %' in hint and 'config/fastdds_large_images.xml' in hint
    assert (Path(__file__).resolve().parents[2] / 'config' / 'fastdds_large_images.xml').is_file()
    assert _camera(share=2, reliable=False).hint == '', 'all of them came'
    assert _camera(share=10, reliable=True).hint == '', 'the driver sends no more than these'
    assert _camera(share=10, reliable=False, pixels=10_000).hint == '', 'small images do not get lost that way'


@dataclass
class _Source:
    """Holds the newest of what comes, as a camera does."""

    name: str
    newest: int | None = None
    done: list[int] = field(default_factory=list)
    inside: int = 0

    def take(self) -> int | None:
        item, self.newest = self.newest, None
        return item


def test_no_camera_is_in_two_threads_and_a_failure_stops_nobody() -> None:
    sources, ended, failures = [_Source('a'), _Source('b')], threading.Event(), []

    def work(source: _Source, item: int) -> None:
        source.inside += 1
        assert source.inside == 1, 'one tracker in two threads'
        source.done.append(item)
        source.newest = item + 1 if item < 200 else None
        source.inside -= 1
        if all(s.done[-1:] == [200] for s in sources):
            ended.set()
        if item == 13:
            raise ValueError(f'unlucky {source.name}')

    workers = Workers(sources, work, lambda s, e: failures.append(str(e)), lambda: 4)
    for s in sources:
        s.newest = 0
    workers.wake()
    assert ended.wait(20)
    workers.close()
    assert sorted(failures) == ['unlucky a', 'unlucky b'] and all(s.done == list(range(201)) for s in sources)


def test_cameras_that_are_too_many_are_served_in_step() -> None:
    sources, ended = [_Source(n) for n in 'abcd'], threading.Event()
    frame = 0

    def work(source: _Source, item: int) -> None:
        nonlocal frame
        source.done.append(item)
        frame += 1
        for s in sources:                                  # meanwhile every camera sends a new one
            s.newest = frame
        if len(sources[-1].done) == 10:
            ended.set()

    for s in sources:
        s.newest = 0
    workers = Workers(sources, work, lambda s, e: None, lambda: 1)
    workers.wake()
    assert ended.wait(20)
    workers.close()
    rounds = list(zip(*(s.done[:10] for s in sources), strict=True))
    assert all(len(set(r)) == 1 for r in rounds), f'images of one instant belong together: {rounds}'
    assert [r[0] for r in rounds] == list(range(0, 40, 4)), 'the newest, and none twice'


@pytest.mark.parametrize(('rates', 'capacity'), [((60., 15., 15., 15.), 35.), ((60., 10., 10., 10.), 35.),
                                                 ((120., 5., 30., 30.), 40.), ((60., 60., 15., 15.), 70.)])
def test_a_quick_camera_takes_no_share_of_the_others(rates: tuple[float, ...], capacity: float) -> None:
    """In virtual time, one image at a time: each camera gets what it sends, or an equal share of what is left."""
    sources, ended, now = [_Source(str(r)) for r in rates], threading.Event(), 0.

    def work(source: _Source, item: int) -> None:
        nonlocal now
        if now > 30.:                                      # until the test has seen that it is over
            return
        source.done.append(item)
        before, now = now, now + 1 / capacity
        for s, rate in zip(sources, rates, strict=True):
            if int(now * rate + .37) > int(before * rate + .37):
                s.newest = int(now * rate)
        if now > 30.:
            ended.set()

    sources[0].newest = 0
    workers = Workers(sources, work, lambda s, e: None, lambda: 1)
    workers.wake()
    assert ended.wait(20)
    workers.close()
    left, share = capacity, {}
    for n, rate in sorted(enumerate(rates), key=lambda pair: pair[1]):
        share[n] = min(rate, left / (len(rates) - len(share)))
        left -= share[n]
    got = [len(s.done) / 30 for s in sources]
    # an image that comes while the same camera's last one still waits replaces it: some of the slow ones' are lost so
    assert all(got[n] >= .85 * share[n] for n in share), (got, share)
    assert got[0] <= 1.25 * share[0] + 1, (got, share)


@pytest.mark.parametrize(('rates', 'capacity', 'least'), [
    ((60., 15., 15., 15.), 60., .96), ((60., 15., 15., 15.), 66., .98), ((60., 60., 15., 15.), 75., .98)])
def test_slow_cameras_lose_next_to_nothing_to_a_quick_one(rates: tuple[float, ...], capacity: float,
                                                          least: float) -> None:
    """In virtual time, as images really come: every camera by a clock of its own, no two steps alike."""
    random, now, end = np.random.default_rng(4), 1., 41.
    sources, ended = [_Source(str(r)) for r in rates], threading.Event()
    due, sent = [1. + random.uniform(0, 1 / r) for r in rates], [0] * len(rates)

    def advance(to: float) -> None:
        nonlocal now
        now = to
        for n, rate in enumerate(rates):
            while due[n] <= now:
                sources[n].newest, sent[n] = sent[n] + 1, sent[n] + 1
                due[n] += random.uniform(.8, 1.2) / rate

    def work(source: _Source, item: int) -> None:
        if now > end:
            return
        source.done.append(item)
        advance(now + random.uniform(.8, 1.2) / capacity)
        if all(s.newest is None for s in sources):
            advance(min(due))
        if now > end:
            ended.set()

    advance(min(due))
    workers = Workers(sources, work, lambda s, e: None, lambda: 1)
    workers.wake()
    assert ended.wait(20)
    workers.close()
    shares = [len(s.done) / n for s, n in zip(sources, sent, strict=True)]
    slow = [share for share, rate in zip(shares, rates, strict=True) if rate == 15.]
    assert min(slow) >= least, shares
    total = sum(len(s.done) for s in sources) / (end - 1.)
    assert total >= .98 * min(capacity, sum(rates)), 'and no turn is left unused'


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_what_delays_the_work_costs_the_quick_camera_its_turns(seed: int) -> None:
    """In virtual time: triggered cameras, a network that takes three times as long for every tenth image."""
    random, rates, now, end = np.random.default_rng(seed), (60., 15., 15., 15.), .01, 40.
    sources, ended = [_Source(str(r)) for r in rates], threading.Event()
    due, sent = [.01] * len(rates), [0] * len(rates)

    def advance(to: float) -> None:
        nonlocal now
        now = to
        for n, rate in enumerate(rates):
            while due[n] <= now:
                sources[n].newest, sent[n], due[n] = sent[n] + 1, sent[n] + 1, due[n] + 1 / rate

    def work(source: _Source, item: int) -> None:
        if now > end:
            return
        source.done.append(item)
        advance(now + 1 / 80 + (.03 if random.random() < .1 else 0.))
        if all(s.newest is None for s in sources):
            advance(min(due))
        if now > end:
            ended.set()

    advance(now)
    workers = Workers(sources, work, lambda s, e: None, lambda: 1)
    workers.wake()
    assert ended.wait(20)
    workers.close()
    shares = [len(s.done) / n for s, n in zip(sources, sent, strict=True)]
    assert min(shares[1:]) >= .98 and shares[0] > .25, shares


def test_a_slow_camera_delays_nobody_else() -> None:
    """Its next item waits for it; the others go on with theirs."""
    slow, quick = _Source('slow', 0), _Source('quick', 0)
    go, ended, begun = threading.Event(), threading.Event(), threading.Event()

    def work(source: _Source, item: int) -> None:
        if source is slow and item == 0:
            slow.newest = 1                                # comes while the first is in work
            begun.set()
            assert go.wait(20)
        source.done.append(item)
        if source is quick:
            assert begun.wait(20)
            quick.newest = item + 1 if item < 50 else None
            if item == 50:
                ended.set()

    workers = Workers([slow, quick], work, lambda s, e: None, lambda: 2)
    workers.wake()
    workers.wake()
    assert ended.wait(20) and not slow.done
    go.set()
    workers.close()
    assert quick.done == list(range(51)) and slow.done[:1] == [0]


def test_the_limit_is_asked_again_and_again() -> None:
    """A network that begins to prefer batches wants all cameras at once from then on."""
    sources, at_once, limit = [_Source(str(i), 0) for i in range(4)], [], 1
    together, inside, lock = threading.Barrier(4), 0, threading.Lock()

    def work(source: _Source, item: int) -> None:
        nonlocal inside, limit
        with lock:
            inside += 1
            at_once.append(inside)
        if item == 0:
            source.newest = 1
            limit = 4 if source is sources[-1] else 1
        else:
            together.wait(20)                              # passes only when all four are inside
        source.done.append(item)
        with lock:
            inside -= 1

    failures: list[str] = []
    workers = Workers(sources, work, lambda s, e: failures.append(repr(e)), lambda: limit)
    workers.wake()
    end = time.monotonic() + 20
    while not all(s.done == [0, 1] for s in sources) and not failures and time.monotonic() < end:
        workers.wake()
        time.sleep(.001)
    workers.close()
    assert not failures and all(s.done == [0, 1] for s in sources) and at_once[:4] == [1, 1, 1, 1]


def test_close_waits_for_the_item_in_work() -> None:
    started, go, done = threading.Event(), threading.Event(), []

    def work(source: _Source, item: int) -> None:
        started.set()
        go.wait(20)
        done.append(item)

    workers = Workers([_Source('a', 1)], work, lambda s, e: None, lambda: 1)
    workers.wake()
    assert started.wait(20)
    threading.Timer(0.05, go.set).start()
    workers.close()
    assert done == [1]


def test_figures_of_the_last_seconds_only() -> None:
    now = [100.]
    meter = Meter(5., clock=lambda: now[0])
    assert meter.rate_hz() == 0 and math.isnan(meter.percentile(50))
    for i in range(100):
        now[0] += 0.1
        meter.add(float(i))
    assert meter.rate_hz() == pytest.approx(10, abs=0.3) and meter.total == 100
    assert meter.percentile(50) == pytest.approx(74.5, abs=1)
    now[0] += 60
    assert meter.rate_hz() == 0 and meter.values() == [] and meter.total == 100


def test_lost_images_are_told_from_the_steps_between_stamps() -> None:
    every = [i / 30 for i in range(150)]
    assert received_share(every) == pytest.approx(1, abs=1e-6)
    assert received_share([t for i, t in enumerate(every) if i % 10 in (0, 1)]) == pytest.approx(0.2, abs=0.02)
    assert math.isnan(received_share(every[:5])) and math.isnan(received_share([]))
    assert math.isnan(received_share([1.] * 50)), 'all stamps alike'


class _Logger:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __getattr__(self, level: str) -> object:
        return lambda text: self.lines.append((level, text))


def test_one_log_line_per_change_and_no_flood_from_a_loose_cable() -> None:
    now, logger = [0.], _Logger()
    log = StateLog(logger, clock=lambda: now[0])
    good, gone = Entry('camera a', OK, 'ok', '30 images/s'), Entry('camera a', ERROR, 'gone', 'no image for 3 s')
    for entry in (good, good, gone, gone, good, gone, good, gone):
        log.note([entry, Entry('camera b', WARN, 'waiting', 'nobody publishes')])
        now[0] += 1
    assert logger.lines == [('info', 'camera a: 30 images/s'), ('warning', 'camera b: nobody publishes'),
                            ('error', 'camera a: no image for 3 s')]
    now[0] += 60
    log.note([good])
    assert logger.lines[-1] == ('info', 'camera a: 30 images/s') and len(logger.lines) == 4
