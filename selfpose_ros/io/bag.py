# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings from rosbag2 (sqlite3 and mcap, compressed or not), without ROS.

Keypoint topics (`<camera>/keypoints` with `<camera>/keypoints_info`) are taken where there are any, else image
topics, raw or compressed; of several images of one camera the rawest. `camera_info` beside them gives intrinsics.
Depth images and videos are left out, with a note.
Stamps are those of the headers; a header without stamp gets the time at which it was recorded.
"""
from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.camera import Intrinsics
from ..core.check import Finding, clock_findings
from ..core.observation import View2D
from .bag_file import BagFile, Trouble
from .detect import ImageStream, NetworkMaker, detect_people
from .errors import BadMessage, IoError, NoPicture
from .recording import Progress, Recording
from .ros_messages.camera_info import intrinsics_of
from .ros_messages.image_topics import COMPRESSED, RAW, info_topic, is_depth, is_rectified, unusable_kind
from .ros_messages.images import MAX_MEGAPIXELS, ImageDecoder
from .ros_messages.keypoints import KeypointsInfo, info_of, is_keypoints, view_of

__all__ = ['check_images', 'images_beside_keypoints', 'read_bag']

Image = NDArray[np.uint8]

_CLOUD, _TEXT, _INFO = 'sensor_msgs/msg/PointCloud2', 'std_msgs/msg/String', 'sensor_msgs/msg/CameraInfo'
#: last parts of image topics, the one to take first
_IMAGE_NAMES = ('image_raw', 'image_raw_color', 'image_color', 'image', 'image_rect_color', 'image_rect',
                'image_rect_raw', 'image_rect_gray', 'image_mono')
_LAST_PART = re.compile(rf'((/raw|/rect|/rectified)?/({"|".join(_IMAGE_NAMES)})|/keypoints)$')
#: a topic none of whose first messages can be used is given up
_TRIES = 30


@dataclass
class _Reading:
    """A bag while it is read, and what was odd so far."""

    bag: BagFile
    notes: list[str]
    max_megapixels: float
    trouble: defaultdict[str, Trouble] = field(default_factory=lambda: defaultdict(Trouble))
    times: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def messages(self, topics: Sequence[str]) -> Iterator[tuple[str, float, Any]]:
        for topic in topics:                               # made here: later several threads write, each its own
            self.trouble[topic] = self.trouble[topic]
            self.times.setdefault(topic, [])
        return self.bag.messages(topics, self.trouble)

    def stamp(self, topic: str, message: Any, recorded_s: float) -> float:
        stamp = message.header.stamp
        if stamp.sec or stamp.nanosec:
            self.times[topic].append((float(stamp.sec + 1e-9 * stamp.nanosec), recorded_s))
            return self.times[topic][-1][0]
        self.trouble[topic].unstamped += 1
        return recorded_s

    def first(self, topic: str) -> Any:
        """The first good message of a topic, or None; leaves no trace in the trouble."""
        return next((m for _, _, m in self.bag.messages([topic], defaultdict(Trouble))), None)

    def recording(self, cameras: Mapping[str, str], views: Sequence[View2D], names: Sequence[str]) -> Recording:
        """Of cameras by topic."""
        notes = [*self.notes, *(n for t in sorted(self.trouble) for n in self.trouble[t].notes(t))]
        if not views:
            raise IoError(f'no message of {", ".join(cameras.values())} can be used{f" ({notes[0]})" if notes else ""}',
                          'check what was recorded', place=self.bag.path)
        times = {camera: np.array(self.times[topic]).reshape(-1, 2).T for topic, camera in cameras.items()}
        clocks = clock_findings({camera: (stamp, recorded) for camera, (stamp, recorded) in times.items()})
        return Recording.of(self.bag.name, list(cameras.values()), views, joint_names=names, notes=notes,
                            findings=[*self.findings, *clocks])


def read_bag(
    path: Path, make: NetworkMaker, *, topics: Sequence[str] = (), progress: Progress | None = None,
    max_megapixels: float = MAX_MEGAPIXELS, only_images: bool = False,
) -> Recording:
    """One recording from a bag.

    Args:
        path: folder, or a single .db3 or .mcap file.
        make: makes a 2D network, for image topics; see `detect.detect_people`.
        topics: those to read; empty = see the module.
        progress: see `recording.Progress`.
        max_megapixels: larger images are left out, million px.
        only_images: keypoints do not count.

    Raises:
        IoError: no bag, nothing of use in it, a topic that is not there, or nothing on it that can be read.
    """
    bag = BagFile(path)
    reading = _Reading(bag, list(bag.notes), max_megapixels)
    strange = [t for t in topics if t not in bag.topics]
    if strange:
        raise IoError(f'no topic {", ".join(strange)} in it, but {_listed(bag.counts)}', 'check --topics', place=path)
    wanted = topics or sorted(bag.topics)
    clouds, images, unusable = _kinds(reading, wanted)
    useless = [t for t in topics if t not in (*clouds, *images)]
    if useless:
        why = unusable.get(useless[0])
        raise IoError(f'{", ".join(useless)} holds {"neither images nor keypoints" if why is None else why.what}',
                      'check --topics' if why is None else why.remedy, place=path)
    if topics and clouds and images:
        raise IoError(f'{clouds[0]} holds keypoints and {images[0]} images', 'choose one kind with --topics',
                      place=path)
    if clouds and not only_images:
        return _from_keypoints(reading, clouds, progress)
    if not images and not unusable:
        raise IoError(f'neither images nor keypoints in it, but {_listed(bag.counts)}',
                      'record <camera>/image_raw, or <camera>/keypoints and <camera>/keypoints_info', place=path)
    return _from_images(reading, images, unusable, bool(topics), make, progress)


def _kinds(reading: _Reading, topics: Sequence[str]) -> tuple[list[str], list[str], dict[str, BadMessage]]:
    """Which of these topics are keypoints, which are images, and which are images that cannot be used."""
    bag = reading.bag
    clouds = [t for t in topics if bag.topics[t] == _CLOUD and is_keypoints(reading.first(t))]
    unusable: dict[str, BadMessage] = {}
    for topic in topics:
        why = unusable_kind(topic, bag.topics[topic])
        if bag.counts[topic] and why is not None:
            unusable[topic] = why
    images = [t for t in topics if bag.topics[t] in (RAW, COMPRESSED) and bag.counts[t] and t not in unusable]
    return clouds, images, unusable


def check_images(path: Path) -> None:
    """Whether a bag holds images.

    Raises:
        IoError: no bag, or none in it.
    """
    bag = BagFile(path)
    if not _kinds(_Reading(bag, [], MAX_MEGAPIXELS), sorted(bag.topics))[1]:
        raise IoError(f'no images in it, but {_listed(bag.counts)}', 'record <camera>/image_raw, too', place=path)


def images_beside_keypoints(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Iterator[tuple[str, float, Image]]:
    """The images of a bag of which `read_bag` takes the keypoints: (camera, stamp s, (H, W, 3) BGR), camera by camera.

    Raises:
        IoError: no bag.
    """
    reading = _Reading(BagFile(path), [], max_megapixels)
    clouds, images, _ = _kinds(reading, sorted(reading.bag.topics))
    for cloud, camera in _cameras(clouds).items() if clouds else ():
        own = [t for t in images if f'{_source(t)}/'.startswith(f'{_source(cloud)}/') and not is_depth(t)]
        for topic in sorted(own, key=lambda t: _rank(reading, t)):
            if not isinstance(_image_size(reading, topic), BadMessage):
                yield from ((camera, stamp, image) for stamp, image in _images(reading, topic))
                break


def _listed(counts: dict[str, int]) -> str:
    names = [f'{topic} ({n})' for topic, n in sorted(counts.items())]
    more = [f'{len(names) - 12} more'] if len(names) > 12 else []
    return ', '.join(names[:12] + more) or 'nothing'


def _cameras(topics: Sequence[str]) -> dict[str, str]:
    """Topic -> camera: what stands before the last part, as short as tells the cameras apart."""
    parts = {t: _source(t).strip('/').split('/') for t in topics}
    names: dict[str, str] = {}
    for depth in range(1, max(map(len, parts.values())) + 1):
        names = {t: '/'.join(p[-depth:]) for t, p in parts.items()}
        if len(set(names.values())) == len(names):
            break
    return names


def _source(topic: str) -> str:
    return _LAST_PART.sub('', topic.removesuffix('/compressed'))


def _from_keypoints(reading: _Reading, topics: Sequence[str], progress: Progress | None) -> Recording:
    bag, cameras = reading.bag, _cameras(topics)
    described = {f'{t}_info': t for t in topics if bag.topics.get(f'{t}_info') == _TEXT}
    infos: dict[str, list[tuple[float, KeypointsInfo]]] = {t: [] for t in topics}
    for topic, recorded, message in reading.messages(list(described)):
        try:
            infos[described[topic]].append((recorded, info_of(message.data, cameras[described[topic]])))
        except BadMessage as error:
            reading.trouble[topic].count(error)
    used = [t for t in topics if infos[t]]
    if not used:
        raise IoError(f'no {topics[0]}_info that can be read',
                      'it tells joints and image size: record it with the keypoints', place=bag.path)
    reading.notes += [f'{t}: left out, no {t}_info tells its joints and image size'
                      for t in topics if t not in used]
    views: list[View2D] = []
    total = sum(bag.counts[t] for t in used)
    for i, (topic, recorded, message) in enumerate(reading.messages(used), 1):
        sent = infos[topic]                                # sent again when it changes: the newest before this one
        info = next((k for s, k in reversed(sent) if s <= recorded), sent[0][1])
        try:
            views.append(view_of(message, info, reading.stamp(topic, message, recorded)))
        except BadMessage as error:
            reading.trouble[topic].count(error)
        if progress is not None and (i % 200 == 0 or i == total):
            progress('reading messages', i, max(i, total))
    return reading.recording({t: cameras[t] for t in used}, views, infos[used[0]][0][1].joint_names)


def _from_images(reading: _Reading, topics: Sequence[str], unusable: Mapping[str, BadMessage], chosen: bool,
                 make: NetworkMaker, progress: Progress | None) -> Recording:
    bag = reading.bag
    best: dict[str, tuple[str, tuple[int, int]]] = {}
    left: dict[str, BadMessage] = dict(unusable)
    for topic in sorted(topics, key=lambda t: _rank(reading, t)):
        taken = best.get(_source(topic))
        if taken and chosen:
            raise IoError(f'{topic} and {taken[0]} are of the same camera', 'choose one with --topics', place=bag.path)
        if taken:
            continue
        found = _image_size(reading, topic)
        if isinstance(found, BadMessage):
            if chosen:
                raise IoError(f'{topic} holds no image that can be used ({found.what})',
                              found.remedy or 'check --topics', place=bag.path)
            left[topic] = found
        elif is_depth(topic) and not chosen:               # of 8 bits: distances as grey values or colours
            left[topic] = BadMessage('a depth image, as its name says', 'name it in --topics if it shows people')
        else:
            best[_source(topic)] = topic, found
    sentences = _left_out({t: why for t, why in left.items() if _source(t) not in best or isinstance(why, NoPicture)})
    if not best:
        raise IoError(f'no image topic can be used: {"; ".join(sentences)}', place=bag.path)
    reading.notes += sentences
    sizes = dict(sorted(best.values()))
    cameras = _cameras(list(sizes))
    streams = {}
    for topic, size in sizes.items():
        streams[cameras[topic]] = ImageStream(
            lambda topic=topic: _images(reading, topic), bag.counts[topic],  # type: ignore[misc]
            _intrinsics(reading, topic, size))
    people = detect_people(streams, make, progress=progress)
    reading.notes += people.notes
    reading.findings += people.findings
    return reading.recording({t: cameras[t] for t in sizes}, people.views, people.joint_names)


def _left_out(topics: Mapping[str, BadMessage]) -> list[str]:
    """A sentence for each reason, with its topics."""
    by_reason: dict[str, list[str]] = {}
    for topic in sorted(topics):
        by_reason.setdefault(str(topics[topic]), []).append(topic)
    return [f'{", ".join(t)}: left out, {why}' for why, t in by_reason.items()]


def _rank(reading: _Reading, topic: str) -> tuple[bool, int, bool, bool, str]:
    """The smaller, the better: as raw as can be, but rectified where the raw image's lens cannot be used."""
    last = topic.removesuffix('/compressed').rsplit('/', 1)[-1]
    place = _IMAGE_NAMES.index(last) if last in _IMAGE_NAMES else len(_IMAGE_NAMES)
    rectified = is_rectified(topic)
    return (not rectified and _lens_is_foreign(reading, topic), place, rectified, topic.endswith('/compressed'), topic)


def _lens_is_foreign(reading: _Reading, topic: str) -> bool:
    message = _info(reading, topic)
    try:
        if message is not None:
            intrinsics_of(message, (message.width, message.height) if message.width and message.height else (1, 1))
    except BadMessage:
        return True
    return False


def _image_size(reading: _Reading, topic: str) -> tuple[int, int] | BadMessage:
    """(w, h) px of the first image that can be used, or why there is none."""
    why = BadMessage('no message')
    trouble: defaultdict[str, Trouble] = defaultdict(Trouble)
    decoder = ImageDecoder(topic, reading.max_megapixels)
    for tries, (_, _, message) in enumerate(reading.bag.messages([topic], trouble)):
        try:
            h, w = decoder.bgr(message).shape[:2]
            return w, h
        except BadMessage as error:
            why = error
        if tries >= _TRIES or isinstance(why, NoPicture):
            return why
    odd = trouble[topic].first or trouble[topic].broken_off
    return BadMessage(odd) if odd else why


def _images(reading: _Reading, topic: str) -> Iterator[tuple[float, Image]]:
    decoder = ImageDecoder(topic, reading.max_megapixels)
    for _, recorded, message in reading.messages([topic]):
        try:
            image = decoder.bgr(message)
        except BadMessage as error:
            reading.trouble[topic].count(error)
        else:
            yield reading.stamp(topic, message, recorded), image
    reading.trouble[topic].odd = decoder.note


def _info(reading: _Reading, topic: str) -> Any:
    """The first CameraInfo beside an image topic, or None."""
    info = info_topic(topic)
    return reading.first(info) if reading.bag.topics.get(info) == _INFO else None


def _intrinsics(reading: _Reading, topic: str, size: tuple[int, int]) -> Intrinsics | None:
    message = _info(reading, topic)
    if message is None:
        return None
    try:
        return intrinsics_of(message, size, is_rectified(topic))
    except BadMessage as error:
        reading.notes.append(f'{info_topic(topic)}: not used ({error.what}); the camera is calibrated from people')
        return None
