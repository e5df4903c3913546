# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Image streams of several cameras to 2D views: a 2D network for each camera, a few cameras at a time."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.camera import Intrinsics
from ..core.check import Finding, PictureCheck
from ..core.observation import View2D
from .errors import IoError
from .recording import Progress

__all__ = ['Detected', 'ImageStream', 'Network', 'NetworkMaker', 'detect_people']

Image = NDArray[np.uint8]


class Network(Protocol):
    """What is needed of a 2D network (`inference.views.ViewNetwork` is one)."""

    joint_names: tuple[str, ...]

    def view(self, camera: str, stamp: float, image_bgr: Image, intrinsics: Intrinsics | None = None) -> View2D:
        """The people in an image; RuntimeError: no result."""

    def close(self) -> None:
        """Give back memory and threads."""


NetworkMaker = Callable[[], Network]


@dataclass(frozen=True)
class ImageStream:
    """The images of one camera.

    Attributes:
        frames: opens the source (in the thread that calls it) and yields (stamp s, BGR image) in order of time.
        count: number of images, 0 = not known; for the progress only.
        intrinsics: where they are known.
    """

    frames: Callable[[], Iterator[tuple[float, Image]]]
    count: int = 0
    intrinsics: Intrinsics | None = None


@dataclass(frozen=True)
class Detected:
    """What came out: the views, the joints that the network knows, what was odd, and what is wrong with the images."""

    views: tuple[View2D, ...]
    joint_names: tuple[str, ...]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


class _Counter:
    """Progress over all cameras, told from any thread."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress, self._done, self._lock = total, progress, 0, threading.Lock()

    def one_more(self) -> None:
        if self._progress is not None:
            with self._lock:
                self._done += 1
                self._progress('finding people', self._done, max(self._total, self._done))


def detect_people(
    streams: Mapping[str, ImageStream], make: NetworkMaker, *, workers: int = 2, progress: Progress | None = None,
) -> Detected:
    """Run a network of its own over each camera's images.

    Args:
        streams: by name of the camera.
        make: makes one network; it is used and closed in the thread that made it.
        workers: cameras worked on at once; networks and decoders leave Python's lock while they compute.
        progress: see `recording.Progress`; called from several threads, one at a time.

    Raises:
        IoError: a source cannot be read, or the network refused every image of a camera.
        RuntimeError: the network cannot be made.
    """
    counts = [s.count for s in streams.values()]
    counter = _Counter(sum(counts) if all(counts) else 0, progress)
    stop = threading.Event()
    pool = ThreadPoolExecutor(max_workers=max(1, min(workers, len(streams))), thread_name_prefix='detect')
    try:
        jobs = [pool.submit(_one_camera, camera, s, make, counter, stop) for camera, s in streams.items()]
        waiting = True
        while waiting:                                     # Ctrl-C just before a wait without end would not end it
            ended = wait(jobs, timeout=.5, return_when=FIRST_EXCEPTION)
            waiting = bool(ended.not_done) and not any(j.exception() for j in ended.done)
        failed = next((j for j in jobs if j.done() and j.exception() is not None), None)
        results = [failed.result()] if failed is not None else [j.result() for j in jobs]
    finally:
        stop.set()                                         # after Ctrl-C or a failure the others need not go on
        pool.shutdown(wait=True, cancel_futures=True)
    return Detected(tuple(v for r in results for v in r.views), results[0].joint_names,
                    tuple(n for r in results for n in r.notes), tuple(f for r in results for f in r.findings))


def _one_camera(camera: str, stream: ImageStream, make: NetworkMaker, counter: _Counter,
                stop: threading.Event) -> Detected:
    network = make()
    views: list[View2D] = []
    refused, images, reason = 0, 0, ''
    check = PictureCheck(camera)
    try:
        names = tuple(network.joint_names)
        for stamp, image in stream.frames():
            if stop.is_set():
                break
            images += 1
            counter.one_more()
            check.add(image)
            try:
                views.append(network.view(camera, stamp, image, stream.intrinsics))
            except RuntimeError as error:                  # this image gives nothing; the next one may
                refused += 1
                reason = reason or ' '.join(str(error).split())
    finally:
        network.close()
    if images and not views:
        raise IoError(f'camera {camera}: the 2D network refused all {images} images, the first because: {reason}')
    notes = (f'camera {camera}: the 2D network refused {refused} of {images} images, the first because: {reason}',)
    return Detected(tuple(views), names, notes if refused else (), tuple(check.findings()))
