# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What surrounds the 2D network, measured against it: four cameras' JPEG images in, joints out, one thread."""
from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.lifting import Lifter
from ..core.observation import View2D
from ..inference.errors import BackendUnavailable
from ..inference.pose2d import Pose2D
from ..inference.pose2d.importing import Request, import_model
from ..inference.pose2d.network import Found, VisionNetwork
from ..inference.pose2d.top_down import TopDown
from ..inference.views import ViewMap
from ..io.pictures import DECODER, decoded
from ..models.store import open_model
from ..synthetic import ring_rig, walker
from ..synthetic.renderer import VirtualCamera
from .errors import BenchmarkError
from .rows import Row
from .speed import scene as frames_of_walk, ticks
from .stand_in import write_stand_in

__all__ = ['BY_ITSELF', 'PARTS', 'Pixels', 'Span', 'Way', 'pixels', 'pixels_row']

Array = NDArray[np.float64]

@dataclass(frozen=True)
class Way:
    """From a JPEG image to what leaves the node.

    Attributes:
        make: for a camera's name and network: what makes of (JPEG, stamp in s) what comes to the node, which is others'
            work, and what makes of that a result.
        decoder: module that it decodes by; its `decoded` is timed apart.
        messages: they are included.
    """

    make: Callable[[str, Pose2D], tuple[Callable[[bytes, float], Any], Callable[[Any], Any]]]
    decoder: Any
    messages: bool


#: JPEG quality: what compressed_image_transport takes by default
CAMERAS, SIZE, QUALITY = 4, (640, 480), 80
ROUNDS = 60
#: in the order of an image's way; 'rest': what lies between them, messages included
PARTS = ('JPEG', 'crop', 'network', 'joints', 'rest')
#: of which people the images are: at this time of a walk, s
_AT_S, _SEED = 2., 5
#: footage by which a tick of the fusion is timed, s
_FUSED_S = 12.


#: a `Span` by the clock; what is noted while it is measured must cost nothing
Noted = tuple[int, str, float, float]


@dataclass(frozen=True)
class Span:
    """What was done for a camera, from when to when, s since the first image of its round was taken up."""

    camera: int
    part: str
    begin: float
    end: float


@dataclass(frozen=True)
class Pixels:
    """What was measured.

    Attributes:
        network_s, around_s: (rounds, cameras).
        spans: of the quickest round.
        parts: part -> s, mean of the cameras' best; without 'network'.
        weights: of the network.  jpeg_bytes: mean size of an image.  views: what the last round gave.
        tick_s: what a tick of the fusion takes on top of that; None = not measured.
    """

    network_s: Array
    around_s: Array
    spans: tuple[Span, ...]
    parts: dict[str, float]
    weights: int
    jpeg_bytes: float
    views: tuple[Any, ...]
    tick_s: float | None = None

    @property
    def share(self) -> float:
        """Everything around the network, as a share of the network's own time; both at each camera's best."""
        return float(self.around_s.min(0).sum() / self.network_s.min(0).sum())


def _by_itself(camera: str, network: Pose2D) -> tuple[Callable[[bytes, float], Any], Callable[[Any], View2D]]:
    views = ViewMap.of(network)

    def view(given: tuple[bytes, float]) -> View2D:
        jpeg, stamp = given
        image = decoded(jpeg)
        if image is None:
            raise BenchmarkError('a JPEG image of our own cannot be decoded', 'install OpenCV again')
        return views.view(network.infer(image), camera, stamp, (image.shape[1], image.shape[0]))

    return lambda jpeg, stamp: (jpeg, stamp), view


#: without ROS
BY_ITSELF = Way(_by_itself, sys.modules[__name__], False)


def scene() -> tuple[list[bytes], list[Array]]:
    """JPEG images of a person in a room from four sides, and the boxes (4,) px around him."""
    rig = ring_rig(CAMERAS, seed=_SEED, image_size=SIZE, focal_px=(.75 * SIZE[0], 1.1 * SIZE[0]),
                   distance_m=(3.2, 4.5), height_m=(1., 2.4))
    joints = walker(_AT_S + 1, 30., seed=_SEED)[round(30 * _AT_S)]
    images, boxes = [], []
    for K, R, t in zip(rig.K, rig.R, rig.t, strict=True):
        image = VirtualCamera(K, R, t, SIZE).image([joints])
        images.append(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
        x = (joints @ R.T + t) @ K.T
        x = x[:, :2] / x[:, 2:]
        middle, half = (x.min(0) + x.max(0)) / 2, .6 * np.ptp(x, axis=0)
        boxes.append(np.concatenate([middle - half, middle + half]))
    return images, boxes


class _Watch:
    """Notes when the parts of an image's way begin and end, by functions wrapped."""

    def __init__(self) -> None:
        self.spans: list[Noted] = []
        self.camera, self.begin = 0, 0.

    def wrap(self, owner: Any, name: str, part: str) -> Callable[[], None]:
        """Returns what takes the wrapper off again."""
        inner = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            out = inner(*args, **kwargs)
            self.spans.append((self.camera, part, begin, time.perf_counter()))
            return out

        setattr(owner, name, timed)
        return lambda: setattr(owner, name, inner)


@contextmanager
def _watched(networks: Sequence[VisionNetwork], decoder: Any) -> Iterator[_Watch]:
    watch = _Watch()
    undo = [watch.wrap(decoder, 'decoded', 'JPEG')]
    for n in networks:
        undo += [watch.wrap(n, name, part) for name, part in (('crop', 'crop'), ('blob', 'crop'), ('run', 'network'),
                                                              ('decode_people', 'joints'))]
    try:
        yield watch
    finally:
        for off in undo:
            off()


def pixels(way: Way = BY_ITSELF, rounds: int = ROUNDS) -> Pixels:
    """Measure, one camera after the other in this thread, ONNX Runtime with one thread.

    Args:
        way: what is measured around the network.
        rounds: over all cameras.

    Raises:
        BenchmarkError: onnx is not installed.
        BackendUnavailable: ONNX Runtime is not installed.
    """
    images, boxes = scene()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)                                   # as the node does
    with tempfile.TemporaryDirectory() as folder:
        weights = write_stand_in(Path(folder) / 'stand_in.onnx')
        import_model(Request(Path(folder) / 'stand_in.onnx', Path(folder) / 'model', 'rtmpose'))
        model = open_model(Path(folder) / 'model')
        networks = [VisionNetwork(model) for _ in images]
        ways = [way.make(f'cam{i + 1}', TopDown(n, _pointer(b), max_people=1))
                for i, (n, b) in enumerate(zip(networks, boxes, strict=True))]
        stamp, taken = 0., []
        views: list[Any] = []
        with _watched(networks, way.decoder) as watch:
            try:
                for _ in range(rounds + 3):
                    watch.spans, watch.begin, views = [], time.perf_counter(), []
                    for watch.camera, ((arrive, work), jpeg) in enumerate(zip(ways, images, strict=True)):
                        come = arrive(jpeg, stamp)
                        begin = time.perf_counter()
                        views.append(work(come))
                        watch.spans.append((watch.camera, 'all', begin, time.perf_counter()))
                    taken.append([Span(camera, part, a - watch.begin, b - watch.begin)
                                  for camera, part, a, b in watch.spans])
                    stamp += 1 / 30
            finally:
                cv2.setNumThreads(threads)
    return _summed(taken[3:], weights, images, views)


def _summed(taken: Sequence[Sequence[Span]], weights: int, images: Sequence[bytes], views: Sequence[Any]) -> Pixels:
    def times(part: str) -> Array:
        """(rounds, cameras)."""
        return np.array([[sum(s.end - s.begin for s in spans if s.part == part and s.camera == c)
                          for c in range(CAMERAS)] for spans in taken])

    network, whole = times('network'), times('all')
    parts = {part: times(part) for part in PARTS[:-1] if part != 'network'}
    parts['rest'] = whole - network - sum(parts.values())
    best = {part: float(v.min(0).mean()) for part, v in parts.items()}
    quickest = int(whole.sum(1).argmin())
    return Pixels(network, whole - network, tuple(taken[quickest]), best, weights,
                  float(np.mean([len(i) for i in images])), tuple(views))


def _pointer(box: Array) -> VisionNetwork:
    """In the place of a detector: it is asked once, and knows."""
    return cast(VisionNetwork, SimpleNamespace(
        model=SimpleNamespace(card=SimpleNamespace(kind='detector')), shared=SimpleNamespace(expected=nullcontext),
        find=lambda image: Found(box[None], np.ones(1))))


def pixels_row(way: Way, lifter: Lifter | None = None) -> tuple[Row, Pixels | None]:
    """The row of the table, and what is behind it; None where onnx or ONNX Runtime is missing: the row says so."""
    what = 'around the 2D network / the network, 4 cameras 640x480'
    try:
        p = pixels(way)
    except (BenchmarkError, BackendUnavailable) as error:
        return Row('pixels', what, float('nan'), '%', note=str(error)), None
    fused = ticks(frames_of_walk(CAMERAS, 1, _FUSED_S), lifter=lifter).alone_s
    p = replace(p, tick_s=float(np.median(fused)) if len(fused) else None)
    network, around = 1e3 * p.network_s, 1e3 * p.around_s
    parts = ', '.join(f'{part} {1e3 * s:.2f}' for part, s in p.parts.items())
    return Row('pixels', what, p.share, '%', note=(
        f'a camera: network {network.min(0).mean():.1f} ms ({p.weights / 1e6:.2f} M random weights), around it '
        f'{around.min(0).mean():.2f} ms ({parts}); medians {np.median(network):.1f} and {np.median(around):.2f}; '
        f'JPEG of {p.jpeg_bytes / 1e3:.0f} kB by {DECODER}; ' + ('messages included' if way.messages else
                                                         'without messages: ROS is not installed'))), p
