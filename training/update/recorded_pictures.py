# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The images of a recording looked at again: its people cut out to learn from, networks compared on them."""
from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.camera import Intrinsics
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.pose2d import make_pose2d
from selfpose_ros.inference.pose2d.network import VisionNetwork
from selfpose_ros.inference.views import ViewNetwork, view_network
from selfpose_ros.io.detect import NetworkMaker
from selfpose_ros.io.recording import Recording
from selfpose_ros.models.store import Model

from ..images.boxes import Task, body_box, person_window
from ..images.rendering import jpeg
from .image_labels import ImageLabel, Labels, key_of

__all__ = ['Cut', 'Look', 'cut_out', 'errors_of', 'flat']

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
#: has the images of a recording looked at by a network of this kind
Look = Callable[[NetworkMaker], Recording]

#: share of the pictures whose box is wider than somebody's own, as boxes are before somebody is followed, and by how
#: many times at most
_WIDE, _WIDEST = .25, 2.2
#: of each camera every so manieth image with labels is looked at by the detector
_DETECTOR_EVERY = 4
#: a detector's box is somebody's if it has this much in common with his
_SAME_BOX = .3


class Cut:
    """What was cut out, by any number of networks (one for each camera, in threads of their own).

    Attributes:
        pictures: by image and number of the person: JPEG, points (1, 17, 2) px of the canvas, weights (1, 17).
        found, wanted: people in boxes of the detector, and all of those whom it should have found.
    """

    def __init__(self, labels: Labels, task: Task, share: float, seed: int, detector: Model | None) -> None:
        self.labels, self.task, self.share, self.seed, self.detector = labels, task, share, seed, detector
        self.pictures: dict[tuple[str, int, int], tuple[bytes, Array, Array]] = {}
        self.found, self.wanted = [0], [0]

    @property
    def most_people(self) -> int:
        """That are labelled in one image."""
        return max(map(len, self.labels.values()), default=0)

    @property
    def recall(self) -> float:
        """Of the detector; NaN = not looked at."""
        return sum(self.found) / sum(self.wanted) if sum(self.wanted) else float('nan')


def cut_out(look: Look, labels: Labels, task: Task, share: float, seed: int, detector: Model | None) -> Cut:
    """Pictures of the labelled people of a recording, as `pictures.PictureSet` has them.

    Args:
        look: see `request.Given`.
        share: of all people in images.
        seed: of what is drawn.
        detector: what finds people, to see whether it finds these; None = none.
    """
    cut = Cut(labels, task, share, seed, detector)
    look(partial(_Cutter, cut))
    return cut


class _Empty:
    """In place of a 2D network: finds nobody."""

    joint_names = JOINTS

    def view(self, camera: str, stamp: float, image_bgr: Image, intrinsics: Intrinsics | None = None) -> View2D:
        h, w = image_bgr.shape[:2]
        return View2D(camera, stamp, np.zeros((0, 17, 2)), np.zeros((0, 17)), (w, h), intrinsics=intrinsics)

    def close(self) -> None:
        """Nothing to close."""


class _Cutter(_Empty):
    """Cuts people out."""

    def __init__(self, cut: Cut) -> None:
        self._cut, self._seen = cut, 0
        self._detector = None if cut.detector is None else VisionNetwork(cut.detector)

    def view(self, camera: str, stamp: float, image_bgr: Image, intrinsics: Intrinsics | None = None) -> View2D:
        """Nobody; what was cut out is kept."""
        cut, key = self._cut, key_of(camera, stamp)
        labels = cut.labels.get(key, ())
        rng = np.random.default_rng([cut.seed, zlib.crc32(camera.encode()), abs(key[1]), 11])
        h, w = image_bgr.shape[:2]
        for k, label in enumerate(labels):
            if rng.random() >= cut.share:
                continue
            wider = float(rng.uniform(1, _WIDEST)) if rng.random() < _WIDE else 1.
            window = person_window(rng, label.points, label.weight > 0, cut.task, (w, h), wider)
            if window is None:
                continue
            canvas = cv2.warpAffine(image_bgr, window, cut.task.canvas, flags=cv2.INTER_LINEAR)
            points = label.points @ window[:, :2].T + window[:, 2]
            cut.pictures[(*key, k)] = jpeg(rng, np.asarray(canvas, np.uint8)), points[None], label.weight[None]
        if self._detector is not None and labels:
            if self._seen % _DETECTOR_EVERY == 0:
                boxes = self._detector.find(image_bgr).boxes
                cut.wanted.append(len(labels))
                cut.found.append(sum(_is_found(x, boxes, (w, h)) for x in labels))
            self._seen += 1
        return super().view(camera, stamp, image_bgr, intrinsics)


def _is_found(label: ImageLabel, boxes: Array, image_size: tuple[int, int]) -> bool:
    box = body_box(label.points, label.weight > 0, np.array(image_size, float))
    if box is None or not len(boxes):
        return False
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    inner = np.maximum(high - low, 0).prod(1)
    both = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - inner
    return bool((inner / np.maximum(both, 1e-9) > _SAME_BOX).any())


def errors_of(look: Look, model: Path, labels: Labels, since: float) -> dict[tuple[str, int, int], Array]:
    """How far off a network is at run time on the labelled people of a recording's images from a stamp on.

    Args:
        look: see `request.Given`.
        model: its folder; it finds people as its card says.

    Returns:
        By image and number of the person, (17,) distances in torso lengths, 1 at most and where the person or joint was
        not found; NaN where the label leaves the joint out.
    """
    seen = {key_of(v.camera, v.stamp): v.keypoints for v in look(partial(_Later, model, since)).views}
    out: dict[tuple[str, int, int], Array] = {}
    for key, people in labels.items():
        for k, label in enumerate(people):
            found = seen.get(key, np.zeros((0, 17, 2)))
            off = np.linalg.norm(found - label.points, axis=-1) / label.torso
            off = np.minimum(np.where(np.isfinite(off), off, 1.), 1.)[:, label.weight > 0]
            each = np.full(17, np.nan)
            each[label.weight > 0] = off[off.mean(1).argmin()] if len(off) else 1.
            out[(*key, k)] = each
    return out


class _Later(_Empty):
    """A network that looks at images from a stamp on."""

    def __init__(self, model: Path, since: float) -> None:
        self._network: ViewNetwork = view_network(partial(make_pose2d, str(model)))
        self._since = since

    def view(self, camera: str, stamp: float, image_bgr: Image, intrinsics: Intrinsics | None = None) -> View2D:
        """The people in an image; nobody in earlier ones."""
        where: Any = super() if stamp < self._since else self._network
        return where.view(camera, stamp, image_bgr, intrinsics)     # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the network."""
        self._network.close()


def flat(cuts: Iterable[Cut]) -> list[tuple[bytes, Array, Array]]:
    """All pictures, in an order that no thread decides."""
    return [c.pictures[k] for c in cuts for k in sorted(c.pictures)]
