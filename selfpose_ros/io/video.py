# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Video files: stamped images, and recordings made from them, one file for each camera.

The first image of every file is time 0: files of one recording must start together. Later stamps are those of the
file (variable frame rates included); images are turned as the file's rotation mark says.
"""
from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .detect import ImageStream, NetworkMaker, detect_people
from .errors import IoError
from .pictures import JPEG, PNG
from .recording import Progress, Recording, names_of
from .ros_messages.images import MAX_MEGAPIXELS

if TYPE_CHECKING:
    from typing import Self

__all__ = ['VIDEO_SUFFIXES', 'VideoReader', 'read_videos']

Image = NDArray[np.uint8]

#: file names that are taken for videos
VIDEO_SUFFIXES = frozenset(('.mp4', '.avi', '.mkv', '.mov', '.m4v', '.webm', '.mpg', '.mpeg', '.wmv', '.mts'))


class VideoReader:
    """One video file: grab the next image, look at its stamp, decode it or leave it.

    Not thread safe. Attributes:
        path: of the file.  fps: nominal frames a second, NaN = unknown.  count: images by its header, 0 = unknown.
        read: images grabbed so far.
    """

    def __init__(self, path: Path, fps: float | None = None, max_megapixels: float = MAX_MEGAPIXELS) -> None:
        """Open it.

        Args:
            path: of the file.
            fps: frames a second; overrules the stamps of the file.
            max_megapixels: videos of larger images are refused, million px.

        Raises:
            IoError: no such file, no video, too large images, or a frame rate that is none.
        """
        if not path.is_file():
            raise IoError('no such file', 'check the path', place=path)
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise IoError(f'frame rate {fps} is none', 'give the frames a second of the camera', place=path)
        os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')   # else FFmpeg writes to stderr about broken files
        self.path = path
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise IoError('not a video that can be opened', 'convert it to mp4 or copy it again', place=path)
        width, height = (int(self._capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > 1e6 * max_megapixels:
            self.close()
            raise IoError(f'its images of {width}x{height} px are more than the {max_megapixels:g} million that are '
                          'allowed', 'shrink them, or raise --max-megapixels', place=path)
        if _is_picture(path):
            self.close()
            raise IoError('is a picture, whatever its name', 'give a video', place=path)
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        given = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps or (given if math.isfinite(given) and 0 < given <= 1000 else math.nan)
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.read = 0
        self._fixed = fps is not None
        self._first = self._last = math.nan

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        """(stamp s, BGR image) to the end of the file; damaged images are left out."""
        while (stamp := self.grab()) is not None:
            image = self.image()
            if image is not None:
                yield stamp, image

    def grab(self) -> float | None:
        """Go to the next image and return its stamp (s since the first image), or None at the end of the file."""
        if not self._capture.grab():
            return None
        given = self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e-3
        if not self.read:
            self._first, stamp = given, 0.
        elif self._fixed:
            stamp = self.read / self.fps
        else:
            stamp = given - self._first
            if not stamp > self._last:                     # some containers hold no stamps, or wrong ones
                stamp = self._last + 1 / self.fps
        if not math.isfinite(stamp):
            raise IoError('tells neither stamps nor a frame rate', 'give it with --fps', place=self.path)
        self.read += 1
        self._last = stamp
        return stamp

    def image(self) -> Image | None:
        """The (H, W, 3) BGR image grabbed last, or None where it is damaged."""
        good, image = self._capture.retrieve()
        return np.asarray(image, np.uint8) if good and image is not None else None

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._capture.release()


def _is_picture(path: Path) -> bool:
    """A single JPEG or PNG, which OpenCV opens as a video of one image; a stream of JPEGs is none."""
    with path.open('rb') as file:
        begin = file.read(len(PNG))
    if not begin.startswith((JPEG, PNG)):
        return False
    capture = cv2.VideoCapture(str(path))
    try:
        return not (capture.grab() and capture.grab())
    finally:
        capture.release()


def read_videos(
    paths: Sequence[Path], make: NetworkMaker, *, fps: float | None = None, name: str | None = None,
    progress: Progress | None = None, max_megapixels: float = MAX_MEGAPIXELS,
) -> Recording:
    """One recording from one video for each camera; lengths and frame rates may differ.

    Args:
        paths: the files; the camera's name is the file's.
        make: makes a 2D network, see `detect.detect_people`.
        fps: overrules the files' stamps.
        name: of the recording; default: of the folder around the files, or of the only file.
        progress: see `recording.Progress`.
        max_megapixels: videos of larger images are refused, million px.

    Raises:
        IoError: a file cannot be read, or nothing comes out of it.
    """
    cameras = names_of(paths)
    notes: dict[str, str] = {}

    def frames(path: Path) -> Iterator[tuple[float, Image]]:
        with VideoReader(path, fps, max_megapixels) as video:
            yield from video
            if not video.read:
                raise IoError('holds no image that can be decoded', 'copy or convert it again', place=path)
            if video.count - video.read > max(2, .02 * video.count):
                notes[str(path)] = f'{path.name}: ends after {video.read} of {video.count} images: damaged?'

    streams = {}
    for camera, path in zip(cameras, paths, strict=True):
        with VideoReader(path, fps, max_megapixels) as video:   # know a bad file before working through others
            streams[camera] = ImageStream(lambda path=path: frames(path), video.count)   # type: ignore[misc]
    found = detect_people(streams, make, progress=progress)
    if name is None:
        name = paths[0].stem if len(paths) == 1 else paths[0].resolve().parent.name or 'videos'
    return Recording.of(name, cameras, found.views, joint_names=found.joint_names,
                        notes=[*found.notes, *(notes[k] for k in sorted(notes))], findings=found.findings)
