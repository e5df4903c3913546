# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`~/overlay/<camera>`: images with the joints of the 2D network and the skeletons of the fusion drawn in.

Only for whom somebody subscribes to: nothing else is copied, drawn, sent or even listened to.
"""
from __future__ import annotations

import array
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ..core.observation import LEVEL_NAMES, Skeleton3D, View2D
from ..core.rig import Rig
from ..io.overlay import draw_keypoints, draw_skeleton, draw_text
from .fusion_input import FusionInput
from .messages import optical_frame, time_from
from .thread_end import stuck

__all__ = ['Overlays', 'drawn']

Pixels = NDArray[np.uint8]

_PICTURE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
#: an image waits for the skeletons of its instant, while skeletons come at all, no longer than this, s
_PATIENCE_S, _COMING_S = 1.5, 1.
#: skeletons further away in time than this are not those of an image, s
_SAME_S = .1
#: messages with skeletons, and images of all cameras, that are kept
_KEPT, _WAITING = 90, 64
_POLL_S = .02
_QUALITY = 80


@dataclass(frozen=True)
class _Frame:
    view: View2D
    image: Pixels
    came: float


class Overlays:
    """Made, looked after and closed in the executor's thread; `take` is called by those of the cameras.

    Args:
        fusion: name of the fusion node, relative to this node's namespace or absolute.
        picture_hz: no more pictures a second of a camera than this; may be changed at any time.
    """

    def __init__(self, node: LifecycleNode, cameras: Iterable[str], fusion: str, picture_hz: float) -> None:
        self.picture_hz = picture_hz
        self._node, self._fusion = node, fusion.rstrip('/')
        self._raw = {c: node.create_lifecycle_publisher(Image, f'~/overlay/{c}', _PICTURE) for c in cameras}
        self._jpeg = {c: node.create_lifecycle_publisher(CompressedImage, f'~/overlay/{c}/compressed', _PICTURE)
                      for c in self._raw}
        self._wanted: frozenset[str] = frozenset()
        self._last: dict[str, float] = {}
        self._input: FusionInput | None = None
        self._rig: Rig | None = None
        self._reason, self._received_at = 'no fusion_node is heard', -math.inf
        self._people: deque[tuple[float, list[Skeleton3D]]] = deque(maxlen=_KEPT)
        self._frames: deque[_Frame] = deque(maxlen=_WAITING)
        self._changed = threading.Condition()
        self._ending = False
        self._thread: threading.Thread | None = None

    def look(self, working: bool = True) -> None:
        """See who subscribes; nobody counts while the node does not work."""
        self._wanted = frozenset(c for c in self._raw if working and (self._raw[c].get_subscription_count()
                                                       or self._jpeg[c].get_subscription_count()))
        if self._wanted and self._input is None:
            self._input = FusionInput(self._node, self._fusion, self._on_people, self._on_rig)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name='overlay', daemon=True)
                self._thread.start()
        elif not self._wanted and self._input is not None:
            self._forget()

    def take(self, view: View2D, image: Pixels | None) -> None:
        """An image and the people in it; returns at once, the image may be written over then."""
        if view.camera not in self._wanted or image is None:
            return
        now = time.monotonic()
        if now - self._last.get(view.camera, -math.inf) < 1 / self.picture_hz:
            return
        self._last[view.camera] = now
        with self._changed:
            self._frames.append(_Frame(view, image.copy(), now))
            self._changed.notify()

    def close(self) -> str:
        """End it; '' or a sentence on a thread that does not."""
        self._wanted = frozenset()
        with self._changed:
            self._ending = True
            self._changed.notify()
        left = stuck([self._thread]) if self._thread is not None else ''
        self._forget()
        for publisher in (*self._raw.values(), *self._jpeg.values()):
            self._node.destroy_lifecycle_publisher(publisher)
        self._raw, self._jpeg = {}, {}
        return left

    def _forget(self) -> None:
        if self._input is not None:
            self._input.close()
        self._input = self._rig = None
        self._reason, self._received_at = 'no fusion_node is heard', -math.inf
        with self._changed:
            self._people.clear()
            self._frames.clear()

    def _on_people(self, stamp: float, people: list[Skeleton3D]) -> None:
        self._received_at = time.monotonic()
        with self._changed:
            self._people.append((stamp, people))
            self._changed.notify()

    def _on_rig(self, rig: Rig | None, reason: str) -> None:
        self._rig, self._reason = rig, reason

    # -- in the thread

    def _run(self) -> None:
        while True:
            with self._changed:
                ready = self._ready()
                while ready is None and not self._ending:
                    self._changed.wait(_POLL_S if self._frames else None)
                    ready = self._ready()
                if self._ending:
                    return
            if ready is None:
                continue
            try:
                self._send(*ready)
            except Exception:
                if self._node.context.ok():                # else the process is being ended: everything fails now
                    raise
                return

    def _ready(self) -> tuple[_Frame, list[Skeleton3D]] | None:
        """The first image that need not wait any more, and its skeletons."""
        now = time.monotonic()
        newest = max((s for s, _ in self._people), default=-math.inf)
        coming = now - self._received_at < _COMING_S
        for frame in self._frames:
            if newest >= frame.view.stamp or not coming or now - frame.came > _PATIENCE_S:
                self._frames.remove(frame)
                return frame, self._at(frame.view.stamp)
        return None

    def _at(self, stamp: float) -> list[Skeleton3D]:
        """Skeletons of levels 1 and 2 come in a message of their own."""
        nearest = min((abs(s - stamp) for s, _ in self._people), default=math.inf)
        if nearest > _SAME_S:
            return []
        return [p for s, people in self._people if abs(s - stamp) <= nearest + 1e-6 for p in people]

    def _send(self, frame: _Frame, people: list[Skeleton3D]) -> None:
        camera = frame.view.camera
        raw, jpeg = self._raw.get(camera), self._jpeg.get(camera)
        if raw is None or jpeg is None:
            return
        picture = drawn(frame.image, frame.view, people, self._rig, self._reason)
        header = Header(stamp=time_from(frame.view.stamp), frame_id=optical_frame(camera))
        if jpeg.get_subscription_count():
            done, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            if done:
                jpeg.publish(CompressedImage(header=header, format='bgr8; jpeg compressed bgr8',
                                             data=array.array('B', data.tobytes())))
        if raw.get_subscription_count():
            h, w = picture.shape[:2]
            raw.publish(Image(header=header, height=h, width=w, encoding='bgr8', step=3 * w,
                              data=array.array('B', picture.tobytes())))


def drawn(image: Pixels, view: View2D, people: Sequence[Skeleton3D], rig: Rig | None, reason: str = '') -> Pixels:
    """Draw into an image (H, W, 3) BGR and return it: 2D joints as discs, skeletons of level 3 as lines, the level.

    Args:
        people: of the same instant.
        rig: places them in the image; None = there is none, for `reason`.
    """
    h = image.shape[0]
    size = max(h / 30., 11.)
    level = max((p.level for p in people), default=0)
    lines = [f'{view.camera}   {len(view.keypoints)} in 2D   {len(people)} in 3D   '
             + (f'level {level} ({LEVEL_NAMES[level]})' if level else 'nobody in 3D')]
    if rig is None:
        lines.append(reason)
    elif view.camera not in rig.cameras:
        lines.append('this camera is not in the rig')
    cv2.rectangle(image, (0, 0), (image.shape[1], round(size * (1.5 * len(lines) + .5))), (30, 30, 30), cv2.FILLED)
    for n, line in enumerate(lines):
        draw_text(image, line, (round(size / 2), round(size * 1.5 * (n + 1))), size)
    if rig is not None and view.camera in rig.cameras:
        i = rig.cameras.index(view.camera)
        for p in people:
            if p.level == 3:
                draw_skeleton(image, p.joints, rig.K[i], rig.R[i], rig.t[i], rig.distortion[i], max(round(h / 240), 1))
    for keypoints, confidence in zip(view.keypoints, view.confidence, strict=True):
        draw_keypoints(image, keypoints, confidence, max(h / 160., 2.))
    return image
