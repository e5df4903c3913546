# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Video files as camera topics in real time: one thread for each camera, one clock for all of them."""
from __future__ import annotations

import array
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ..io.errors import IoError
from ..io.video import VideoReader
from .messages import optical_frame
from .video_pace import Pace

__all__ = ['PlayOptions', 'Played', 'VideoPublisher']

#: an image is late when it could be published only this long after its time, s; at low rates two images later
_LATE_S = .05
#: a camera that published nothing for this long is not left to drop on: everything waits for it
_STARVED_S = .5
#: how often `run` looks up, s. It waits on no lock of `stop`, which a signal handler may set in this very thread,
#: and not without end, which a signal just before would not cut short.
_LOOK_S = .05
#: with `loop`, messages of short videos are kept: decoding them again and again would cost the nodes their cores
_KEPT_BYTES = 256 * 2**20


@dataclass(frozen=True)
class PlayOptions:
    """How to play.

    Attributes:
        rate: speed; 2 = twice as fast.
        loop: start again at the end, all cameras together.
        jpeg_quality: 0 = raw images, else JPEG of this quality (1..100).
        max_fps: no more images a second of each camera; 0 = all.
        max_side: larger images are shrunk to this longer side, px; 0 = none.
        best_effort: offer best effort instead of reliable.
        wait_s: wait this long at most until every camera has a subscriber.
    """

    rate: float = 1.
    loop: bool = False
    jpeg_quality: int = 0
    max_fps: float = 0.
    max_side: int = 0
    best_effort: bool = False
    wait_s: float = 0.


@dataclass
class Played:
    """What was done with one camera's video.

    Attributes:
        published: images.  dropped: images that came too late.  passes: times the end was reached.
        error: '' or why it stopped early.
    """

    camera: str
    topic: str
    published: int = 0
    dropped: int = 0
    passes: int = 0
    error: str = ''


class _Film:
    """One camera's video as messages, pass after pass; messages are kept for the next pass while there is room."""

    def __init__(self, path: Path, make: Callable[[NDArray[np.uint8]], Any], options: PlayOptions,
                 room: int) -> None:
        self.end_s = self.step_s = 0.
        self._path, self._make, self._options, self._room = path, make, options, room
        self._kept: dict[float, Any] = {}
        self._times: list[float] = []

    def __iter__(self) -> Iterator[tuple[float, Callable[[], Any]]]:
        """(time s, what makes the message; None = damaged) of the images to publish."""
        if self._times and all(t in self._kept for t in self._times):
            for known in self._times:
                yield known, lambda at=known: self._kept[at]   # type: ignore[misc]
            return
        least = self._options.rate / self._options.max_fps if self._options.max_fps else 0.
        times, wanted, last = [], 0., 0.
        with VideoReader(self._path) as video:
            self.step_s = 1 / video.fps if math.isfinite(video.fps) else 0.
            while (at := video.grab()) is not None:
                self.step_s, last = (at - last if at > last else self.step_s), at
                self.end_s = at + self.step_s
                if at < wanted - 1e-6:
                    continue
                wanted = max(wanted + least, at)
                times.append(at)
                yield at, lambda at=at: self._message(at, video)     # type: ignore[misc]
        self._times = times
        if not times:
            raise IoError('holds no image that can be decoded', 'copy or convert it again', place=self._path)

    def _message(self, at: float, video: VideoReader) -> Any:
        if at in self._kept:
            return self._kept[at]
        image = video.image()
        message = None if image is None else self._make(image)
        if self._options.loop and self._room > 0:
            self._room -= 0 if message is None else len(message.data)
            self._kept[at] = message
            if self._room <= 0:
                self._kept.clear()                         # part of a video is of no use
        return message


class VideoPublisher:
    """Publishes `<camera>/image_raw` or `<camera>/image_raw/compressed` of one video for each camera."""

    def __init__(self, node: Node, videos: Mapping[str, Path], options: PlayOptions) -> None:
        """Make the publishers.

        Raises:
            IoError: a file is no video.
        """
        self.options = options
        for path in videos.values():
            VideoReader(path).close()
        kind, ending = (CompressedImage, '/compressed') if options.jpeg_quality else (Image, '')
        reliability = ReliabilityPolicy.BEST_EFFORT if options.best_effort else ReliabilityPolicy.RELIABLE
        quality = QoSProfile(depth=5, reliability=reliability)
        self._publishers = {c: node.create_publisher(kind, f'{c}/image_raw{ending}', quality) for c in videos}
        self._films = {c: _Film(path, lambda image, c=c: self._message(c, image), options,   # type: ignore[misc]
                                _KEPT_BYTES // len(videos)) for c, path in videos.items()}
        self.played = {c: Played(c, p.topic_name) for c, p in self._publishers.items()}
        self.pace = Pace(options.rate, len(videos))

    def run(self, stop: threading.Event) -> None:
        """Play until the end, or until `stop` is set; see `played` for what was done."""
        deadline = time.monotonic() + self.options.wait_s
        while not stop.is_set() and time.monotonic() < deadline and not all(
                p.get_subscription_count() for p in self._publishers.values()):
            time.sleep(_LOOK_S)
        threads = [threading.Thread(target=self._play, args=(c, stop), name=f'play {c}') for c in self._films]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                time.sleep(_LOOK_S)
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _play(self, camera: str, stop: threading.Event) -> None:
        played = self.played[camera]
        try:
            while not stop.is_set():
                self._pass(camera, stop)
                if not stop.is_set():
                    played.passes += 1
                if not self.options.loop:
                    break
        except IoError as error:
            played.error = str(error)
        finally:
            self.pace.leave()

    def _pass(self, camera: str, stop: threading.Event) -> None:
        """Once through the film."""
        played, pace, film = self.played[camera], self.pace, self._films[camera]
        end_s, fed, started = film.end_s, 0., False
        for at, message_of in film:
            late = time.monotonic() - pace.due_s(at) if started else 0.
            if late > max(_LATE_S, 2 * film.step_s / self.options.rate):
                if time.monotonic() - fed < _STARVED_S:
                    played.dropped += 1
                    continue
                pace.slip(late)
            message = message_of()
            if message is None:
                continue
            if not started:                                # with the first image at hand, wait for the others
                pace.start(end_s, stop)
                started = True
            ns = pace.wait(at, stop)
            if stop.is_set():
                return
            message.header.stamp = Time(sec=ns // 10**9, nanosec=ns % 10**9)
            self._publishers[camera].publish(message)
            played.published += 1
            fed = time.monotonic()
        if not started:
            raise IoError('all images of its video are damaged', 'copy or convert it again', place=played.topic)

    def _message(self, camera: str, image: NDArray[np.uint8]) -> Any:
        h, w = image.shape[:2]
        shrink = self.options.max_side / max(h, w) if self.options.max_side else 1.
        if shrink < 1:
            image = np.asarray(cv2.resize(image, (round(w * shrink), round(h * shrink)),
                                          interpolation=cv2.INTER_AREA), np.uint8)
            h, w = image.shape[:2]
        header = Header(frame_id=optical_frame(camera))
        if self.options.jpeg_quality:
            _, jpeg = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, self.options.jpeg_quality])
            return CompressedImage(header=header, format='bgr8; jpeg compressed bgr8', data=_bytes(jpeg))
        return Image(header=header, height=h, width=w, encoding='bgr8', is_bigendian=0, step=3 * w,
                     data=_bytes(image))


def _bytes(pixels: Any) -> array.array[int]:
    # an array of bytes: assigning an ndarray is a thousand times slower
    out = array.array('B')
    out.frombytes(np.ascontiguousarray(pixels).data.cast('B'))
    return out
