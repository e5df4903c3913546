# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How the cameras and the 2D network are: entries for /diagnostics."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .camera_input import CameraInput
from .diagnostics import ERROR, OK, WARN, Entry, number
from .freshness import A_FEW, Freshness
from .messages import KeypointsInfo
from .meters import Meter
from .view_maker import ViewMaker

__all__ = ['CameraLine', 'camera_entry', 'network_entry']

#: images in a row whose stamp did not move: not disorder on the way, but a driver that sets them wrongly
_STUCK = 10


@dataclass
class CameraLine:
    """One camera from image topic to keypoints topic.

    Attributes:
        fresh: how old its images are; those that are too old are left out.
        views: one event per published view, value = seconds from its stamp to its publication.
        errors: one event per image that could not be used.  error: the last one's sentence.
        people: in the newest view.
    """

    maker: ViewMaker
    input: CameraInput
    keypoints: Any
    info_publisher: Any
    fresh: Freshness
    info: KeypointsInfo | None = None
    views: Meter = field(default_factory=Meter)
    errors: Meter = field(default_factory=Meter)
    error: str = ''
    people: int = 0

    def take(self) -> Any:
        """The image that waits for a worker; None = there is none."""
        return self.input.take()


def camera_entry(line: CameraLine, stale_after_s: float, visible: Callable[[], Sequence[str]],
                 starting: bool = False) -> Entry:
    """The state of one camera.

    Args:
        visible: the image topics that somebody publishes; asked only when this camera's is not subscribed to.
        starting: that nothing comes yet is no fault.
    """
    source, maker = line.input, line.maker
    level, state, message = _state(line, stale_after_s, visible, starting)
    choice, info = source.choice, line.info
    size = 'not known' if info is None else f'{info.image_size[0]}x{info.image_size[1]}'
    return Entry(f'camera {source.name}', level, state, message, {
        'topic': choice.topic if choice else source.topic,
        'transport': 'none' if choice is None else 'compressed' if choice.compressed else 'raw',
        'reliability': 'none' if choice is None else 'reliable' if choice.reliable else 'best_effort',
        'images_per_s': source.arrivals.rate_hz(), 'views_per_s': line.views.rate_hz(), 'age_s': source.age_s,
        'people': line.people, 'images': source.arrivals.total, 'views': line.views.total,
        'skipped_images': source.skipped, 'unusable_images': line.errors.total,
        'late_images': line.fresh.late.total, 'old_stamps': maker.doubles,
        'clock_jumps': maker.jumps.total, 'image_size': size,
        'bits_used': f'{maker.bits} of 16' if maker.bits else '8 of 8' if line.views.total else 'not known',
        'calibrated': 'by CameraInfo' if info is not None and info.intrinsics is not None else 'no, from people',
        'latency_p50_ms': 1e3 * line.views.percentile(50), 'latency_p95_ms': 1e3 * line.views.percentile(95),
        **_cost([line]),
    }, source.name)


def _cost(lines: Sequence[CameraLine]) -> dict[str, float]:
    """What the 2D network takes for an image, and for each person in it; NaN = it has looked at none, found none."""
    looks = [v for line in lines for v in line.maker.looks.values()]
    people = sum(v for line in lines for v in line.maker.followed.values())
    return {'network_p50_ms': 1e3 * float(np.median(looks)) if looks else math.nan,
            'network_per_person_ms': 1e3 * sum(looks) / people if people else math.nan}


def _state(line: CameraLine, stale_after_s: float, visible: Callable[[], Sequence[str]],
           starting: bool) -> tuple[bytes, str, str]:
    source, maker = line.input, line.maker
    if source.choice is None:
        if source.obstacle:
            return ERROR, 'wrong', source.obstacle
        topics = visible()
        if {source.topic, f'{source.topic}/compressed'} & set(topics):
            return _unsubscribed(source)
        if starting:
            return OK, 'starting', f'waits for images on {source.topic}; the camera driver may still be starting'
        seen = ', '.join(topics) or 'none'
        return WARN, 'waiting', (f'nobody publishes images on {source.topic}; start the camera driver, or name '
                                 f'its topic in image_topics (image topics now: {seen})')
    if math.isinf(source.age_s):
        if starting:
            return OK, 'starting', f'waits for the first image, {source.choice.words}'
        return WARN, 'silent', f'no image came yet, {source.choice.words}; check the camera driver'
    if source.rhythm.silent(stale_after_s):
        return ERROR, 'gone', (f'no image for {source.age_s:.0f} s, {source.choice.words}; the camera driver or '
                               'the network has stopped')
    if source.rivals:
        return WARN, 'rivals', source.rivals
    bad, good = len(line.errors.values()), len(line.views.values())
    if bad and not good:
        return ERROR, 'broken', f'no image can be used: {line.error}'
    if bad:
        return WARN, 'flawed', f'{bad} of {bad + good} images cannot be used: {line.error}'
    late = len(line.fresh.late.values())
    if late >= A_FEW:
        ages = 1e3 * line.fresh.late.percentile(50)
        return WARN, 'late', (
            f'{late} of {late + good} images were too old when their joints were found ({ages:.0f} ms, max_age_s is '
            f'{line.fresh.limit_s:g}) and were left out; use a quicker network, fewer cameras or images, or a higher '
            'max_age_s')
    if source.hint:
        return WARN, 'losing', source.hint
    if maker.jumps.values():
        return WARN, 'jumped', 'the clock of the images jumped back; the tracks began anew'
    if maker.stuck >= _STUCK:
        return WARN, 'still', 'images come, but none is newer than the last; check the stamps of the camera driver'
    if not good:
        return OK, 'first', 'the first images are being looked at'
    for found in maker.pictures.findings():
        return WARN, found.kind.value, found.text
    if maker.note:
        return WARN, 'odd', maker.note
    people = {0: 'nobody in sight', 1: '1 person'}.get(line.people, f'{line.people} people')
    return OK, 'ok', (f'{source.arrivals.rate_hz():.0f} images/s, {line.views.rate_hz():.0f} of them looked at, '
                      f'{people}')


def _unsubscribed(source: CameraInput) -> tuple[bytes, str, str]:
    """Images are published, and not subscribed to."""
    transport = source.transport
    if transport == 'auto':
        return OK, 'finding', f'{source.topic} has just been found'
    return WARN, 'transport', (f'nobody publishes {transport} images on {source.topic}, others are published; set '
                               'image_transport to auto')


def network_entry(lines: Sequence[CameraLine]) -> Entry:
    """The 2D network over all cameras: what computes, how fast."""
    network = lines[0].maker.network
    latencies = [v for line in lines for v in line.views.values() if not math.isnan(v)]
    p50, p95 = (1e3 * float(np.percentile(latencies, q)) if latencies else math.nan for q in (50, 95))
    rate = sum(line.views.rate_hz() for line in lines)
    speed = f': {rate:.0f} images/s, latency p50 {number(p50, 0)} ms, p95 {number(p95, 0)} ms' if latencies else ''
    cost = _cost(lines)
    if not math.isnan(cost['network_per_person_ms']):
        speed += f', {number(cost["network_per_person_ms"], 0)} ms of it a person and image'
    return Entry('network', OK, 'ok', f'{network.name} on {network.device}{speed}', {
                     'model': network.name, 'device': network.device, 'views_per_s': rate, 'latency_p50_ms': p50,
                     'latency_p95_ms': p95, **cost})
