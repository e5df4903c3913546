# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the virtual cameras will see: rendered before anything is published, so that publishing is real time."""
from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.rig import Rig
from ..synthetic import ring_rig, walker
from ..synthetic.figure import drawn_joints
from .crossing import LOOKS, MOST_PEOPLE, crossing_walkers
from .errors import DemoError

__all__ = ['Film', 'Truth', 'make_film']

Array = NDArray[np.float64]

#: samples of the true motion per second
_TRUTH_HZ = 120.
_JPEG_QUALITY = 90
#: images that one worker renders in one go: enough to pay for the room, few enough for a smooth progress bar
_PIECE = 40


@dataclass(frozen=True)
class Truth:
    """The true motion of one person.

    joints: (N, 17, 3) m at times i / rate_hz s, as drawn; world: z up, origin on the floor.
    """

    joints: Array
    rate_hz: float = _TRUTH_HZ

    def at(self, time_s: float) -> Array:
        """Joints (17, 3) m at a time, s; NaN before the beginning and after the end."""
        index = time_s * self.rate_hz
        if not 0 <= index <= len(self.joints) - 1:
            return np.full((17, 3), np.nan)
        i = min(int(index), len(self.joints) - 2)
        u = index - i
        return np.asarray((1 - u) * self.joints[i] + u * self.joints[i + 1])


@dataclass(frozen=True)
class Film:
    """Rendered images of all cameras in the order of their times.

    Attributes:
        rig: the true cameras.
        people: the true motion of each person.
        time_s: (N,) when each image is taken, s from the beginning.
        camera: (N,) index into `rig.cameras`.
        jpeg: N encoded images.
    """

    rig: Rig
    people: tuple[Truth, ...]
    time_s: Array
    camera: NDArray[np.int64]
    jpeg: tuple[bytes, ...]

    @property
    def truth(self) -> Truth:
        """Of the first person, who is the only one in most films."""
        return self.people[0]

    @property
    def duration_s(self) -> float:
        """Time of the last image, s."""
        return float(self.time_s[-1])

    def image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR."""
        return np.asarray(cv2.imdecode(np.frombuffer(self.jpeg[index], np.uint8), cv2.IMREAD_COLOR), np.uint8)

    def save_images(self, path: Path) -> None:
        """What the process that publishes needs; see `cameras`."""
        ends = np.cumsum([len(j) for j in self.jpeg])
        np.savez(path, names=np.array(self.rig.cameras), time_s=self.time_s, camera=self.camera, ends=ends,
                 data=np.frombuffer(b''.join(self.jpeg), np.uint8))


def make_film(cameras: int = 4, seconds: float = 25., seed: int = 0, rate_hz: float = 12.,
              size: tuple[int, int] = (640, 480), progress: Callable[[str, int, int], None] | None = None,
              workers: int | None = None, people: int = 1, far: float = 1.) -> Film:
    """Render a person that walks and exercises, or people whose ways cross, seen by cameras on a ring.

    The cameras run free: each takes its images at moments of its own, `rate_hz` a second.

    Args:
        cameras: 1 to 16.  seconds: at least 1.  seed: of motion, cameras and noise.  size: (w, h) px.
        progress: called with (what, done, total).
        workers: processes that render; None = one per core, 0 = none, in this process.
        people: 1 to `MOST_PEOPLE`.
        far: factor on the cameras' distances, 0.5 to 8.

    Raises:
        DemoError: numbers out of range, or a process that renders died.
    """
    if not 1 <= cameras <= 16 or seconds < 1 or not 1 <= rate_hz <= 60:
        raise DemoError(f'demo: {cameras} cameras, {seconds:g} s at {rate_hz:g} Hz',
                        'use 1 to 16 cameras, 1 s or more, 1 to 60 Hz')
    if not 1 <= people <= MOST_PEOPLE:
        raise DemoError(f'demo: {people} people', f'use 1 to {MOST_PEOPLE}')
    if not .5 <= far <= 8:
        raise DemoError(f'demo: cameras {far:g} times as far away', 'use 0.5 to 8 times')
    near = (3.2, 4.5) if people == 1 else (4., 5.)
    # several people take more room than one
    rig = ring_rig(cameras, seed=seed, image_size=size, focal_px=(.75 * size[0], 1.1 * size[0]),
                   distance_m=(far * near[0], far * near[1]), height_m=(1., 2.4))
    motions = ((walker(seconds + .1, _TRUTH_HZ, seed=seed, style='mixed'),) if people == 1 else
               crossing_walkers(people, seconds + .1, _TRUTH_HZ, seed))
    phase = np.random.default_rng([seed, 41]).uniform(0, 1, cameras)
    times = [(np.arange(int(seconds * rate_hz)) + phase[c]) / rate_hz for c in range(cameras)]
    time_s, camera = np.concatenate(times), np.repeat(np.arange(cameras), [len(t) for t in times])
    order = np.argsort(time_s, kind='stable')
    pieces = [(rig, c, tuple(map(Truth, motions)), times[c][i:i + _PIECE], [seed, c, i])
              for c in range(cameras) for i in range(0, len(times[c]), _PIECE)]
    done: dict[tuple[int, int], list[bytes]] = {}
    count = 0
    for c, first, jpegs in _rendered(pieces, workers):
        done[c, first] = jpegs
        count += len(jpegs)
        if progress is not None:
            progress('rendering', count, len(time_s))
    jpeg = [j for key in sorted(done) for j in done[key]]
    drawn = tuple(Truth(drawn_joints(m)) for m in motions)
    return Film(rig, drawn, time_s[order], camera[order], tuple(jpeg[i] for i in order))


_Piece = tuple[Rig, int, tuple[Truth, ...], Array, list[int]]


def _rendered(pieces: list[_Piece], workers: int | None):  # type: ignore[no-untyped-def]
    """(camera, index of the first image, images) of each piece, as they get ready."""
    if workers == 0:
        yield from map(_render, pieces)
        return
    # spawn: a forked child would inherit threads of OpenCV and of the middleware in mid-flight
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers or os.cpu_count() or 1, mp_context=context) as pool:
        try:
            for job in as_completed([pool.submit(_render, p) for p in pieces]):
                yield job.result()
        except (OSError, RuntimeError) as error:
            raise DemoError(f'demo: a process that renders failed ({error})', 'is there memory left?') from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _render(piece: _Piece) -> tuple[int, int, list[bytes]]:
    from ..synthetic.renderer import VirtualCamera
    rig, c, people, times, seed = piece
    cv2.setNumThreads(1)
    size = int(rig.image_size[c, 0]), int(rig.image_size[c, 1])
    noise_seed = int(np.random.default_rng(seed).integers(1 << 31))
    eye = VirtualCamera(rig.K[c], rig.R[c], rig.t[c], size, noise_seed)
    out = []
    for time_s in times:
        picture = eye.image([p.at(time_s) for p in people], LOOKS)
        ok, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if not ok:
            raise DemoError('demo: OpenCV cannot write JPEG', 'install opencv-python-headless')
        out.append(data.tobytes())
    return c, seed[2], out
