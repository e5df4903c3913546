# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Keypoint archives (npz): 2D joints of V cameras over T rows of time.

`keypoints (T, V, J, 2)` px, NaN = not seen; `confidence (T, V, J)` 0..1; `stamp (T,)` or `(T, V)` s, rows in order
of time, NaN = this camera gave no image; `image_size (V, 2)` w, h px; `joint_names (J,)`, or the name of a set.
Several people: `keypoints (T, V, D, J, 2)` and `confidence (T, V, D, J)` hold up to D detections of each camera, in
any order, NaN = no such detection; detections of one number in several cameras need not be the same person.
Optional: `camera_names (V,)`; `K (V, 3, 3)` px (NaN or K[0, 0] = 0: unknown) and `distortion (V, N)`;
`accuracy (V, K, 2)`: confidences that rise, and the errors that go with them, see `core.noise.Accuracy`; NaN behind;
`person (T, V)` or `(T, V, D)` identities, -1 = none: with `(T, V)`, several rows with the same stamps are several
people of one instant;
`grouping` = 'stamps' says that the cameras ran free and that rows do not tell what belongs together.
Everything else in the file, truth included, is left alone.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.camera import Intrinsics
from ..core.check import in_pixels
from ..core.errors import CoreError
from ..core.image_units import extent
from ..core.noise import Accuracy
from ..core.observation import MultiView, View2D
from ..core.skeleton import JOINTS, joint_map, named_joints
from .errors import IoError
from .npz import NpzReader, write_npz
from .recording import Recording, row
from .stamp_units import unit_of

__all__ = ['joint_set', 'read_keypoints', 'write_keypoints']

Array = NDArray[np.float64]

#: whole numbers up to here are exact in float64, as which they are read
_LARGEST_IDENTITY = 2. ** 53


def joint_set(name: str) -> tuple[str, ...]:
    """The joints of a named set.

    Raises:
        IoError: no such set.
    """
    try:
        return named_joints(name)
    except CoreError as error:
        raise IoError.of(error) from error


@dataclass(frozen=True)
class _Arrays:
    """The checked arrays of one file; keypoints (T, V, D, J, 2), stamps (T, V), person (T, V, D)."""

    keypoints: Array
    confidence: Array
    stamps: Array
    size: Array
    person: NDArray[np.int64]
    cameras: tuple[str, ...]
    intrinsics: tuple[Intrinsics | None, ...]
    names: tuple[str, ...]
    starts: tuple[int, ...]
    free: bool
    notes: tuple[str, ...] = ()
    accuracy: tuple[Accuracy | None, ...] = ()


def read_keypoints(path: Path, joints: str | None = None) -> Recording:
    """Read a keypoint archive.

    Args:
        path: the npz.
        joints: name of the joint set, where the file has no `joint_names` or wrong ones.

    Raises:
        IoError: missing or damaged file, or an array that is not as the format says.
    """
    a = _load(path, joints)
    try:
        points, certainty = joint_map(a.names).apply(a.keypoints, a.confidence)
    except CoreError as error:
        raise IoError(f'{error}', place=path) from error
    instants: list[MultiView] = []
    for first, end in zip(a.starts, [*a.starts[1:], len(points)], strict=True):
        here = []
        for v in np.nonzero(np.isfinite(a.stamps[first]))[0]:
            there = np.isfinite(points[first:end, v]).any((2, 3))
            here.append(View2D(
                a.cameras[v], a.stamps[first, v], points[first:end, v][there], certainty[first:end, v][there],
                (int(a.size[v, 0]), int(a.size[v, 1])), a.person[first:end, v][there], a.intrinsics[v],
                accuracy=a.accuracy[v] if a.accuracy else None))
        instants.append(row(here, a.cameras))
    return Recording.of(path.stem, a.cameras, (v for i in instants for v in i.views), joint_names=a.names,
                        rows=None if a.free else instants, notes=a.notes)


def _load(path: Path, joints: str | None) -> _Arrays:
    with NpzReader(path) as z:
        several = z.dimensions('keypoints') == 5
        keypoints = z.array('keypoints', 'T V D J 2' if several else 'T V J 2')
        confidence = z.array('confidence', 'T V D J' if several else 'T V J')
        stamp = z.array('stamp', 'T', 'T V')
        size = z.array('image_size', 'V 2')
        names = joint_set(joints) if joints else _names(path, z)
        named = tuple(z.array('camera_names', 'V', text=True)) if 'camera_names' in z else ()
        K = z.array('K', 'V 3 3') if 'K' in z else None
        distortion = z.array('distortion', 'V N') if 'distortion' in z else None
        accuracy = z.array('accuracy', 'V K 2') if 'accuracy' in z else None
        person = z.array('person', 'T V D' if several else 'T V') if 'person' in z else None
        free = 'grouping' in z and str(z.array('grouping', '', text=True)) == 'stamps'
    if not several:
        keypoints, confidence = keypoints[:, :, None], confidence[:, :, None]
    rows, views, _, count = keypoints.shape[:4]
    if not rows or not views:
        empty = 'cameras' if rows else 'rows'
        raise IoError(f'keypoints has no {empty}: its shape is {keypoints.shape}', 'nothing to do', place=path)
    if len(names) != count:
        raise IoError(f'keypoints has {count} joints, but the joint set {joints or "that is named"} has {len(names)}',
                      'name the right one', place=path)
    _check_values(path, keypoints, confidence, size)
    stamps = np.repeat(stamp[:, None], views, 1) if stamp.ndim == 1 else stamp
    unit = unit_of(stamps)
    if unit is not None:
        stamps = stamps / unit.per_s
    cameras = named or tuple(f'cam{v + 1}' for v in range(views))
    known = tuple(_intrinsics(path, cameras[v], None if K is None else K[v],
                              None if distortion is None else distortion[v]) for v in range(views))
    who = np.full(keypoints.shape[:3], -1, np.int64)
    if person is not None:
        with np.errstate(invalid='ignore'):
            real = np.abs(person) <= _LARGEST_IDENTITY
        who = np.where(real, person, -1).astype(np.int64).reshape(who.shape)
    return _Arrays(keypoints, confidence, stamps, size, who, cameras, known, names,
                   _instants(path, stamps, person is not None and not several), free,
                   () if unit is None else (f'{path.name}: {unit.note}',),
                   () if accuracy is None else tuple(
                       _accuracy(path, c, a) for c, a in zip(cameras, accuracy, strict=True)))


def _names(path: Path, z: NpzReader) -> tuple[str, ...]:
    names = z.array('joint_names', '' if z.dimensions('joint_names') == 0 else 'J', text=True)
    try:
        return named_joints(str(names)) if names.ndim == 0 else tuple(map(str, names))
    except CoreError as error:
        raise IoError(f'{error}', place=path) from error


def _check_values(path: Path, keypoints: Array, confidence: Array, size: Array) -> None:
    if not np.isfinite(size).all() or size.min() < 1:
        raise IoError(f'image_size must be at least 1x1 px, got {size.tolist()}', 'give width, height in px',
                      place=path)
    for v in range(len(size)):
        low, high = extent(keypoints[:, v], confidence[:, v])
        if not in_pixels(low, high, size[v]):
            raise IoError(f'keypoints lie between {low:.2f} and {high:.2f} in camera {v + 1}, not in pixels',
                          'multiply them by the image size', place=path)
    c = confidence[np.isfinite(confidence)]
    if c.size and (c.max() > 2 or c.min() < -1):           # some networks overshoot 1 a little; 87 is another unit
        raise IoError(f'confidence must lie in 0..1, got {c.min():.3g} to {c.max():.3g}', 'scale it', place=path)


def _instants(path: Path, stamps: Array, people: bool) -> tuple[int, ...]:
    """First row of each instant; rows of one instant have the same stamps."""
    wrong = np.isinf(stamps).any(1) | ~np.isfinite(stamps).any(1)
    if wrong.any():
        bad = int(np.argmax(wrong))
        raise IoError(f'stamp of row {bad} is {stamps[bad].tolist()}', 'give finite seconds for one camera at least',
                      place=path)
    same = ((stamps[1:] == stamps[:-1]) | (np.isnan(stamps[1:]) & np.isnan(stamps[:-1]))).all(1)
    mean = np.nanmean(stamps, 1)
    back = (np.diff(mean) <= 0) & ~same
    if back.any():
        bad = int(np.argmax(back)) + 1
        raise IoError(f'stamp goes back from {mean[bad - 1]:.6f} s in row {bad - 1} to {mean[bad]:.6f} s in row {bad}',
                      'sort the rows by time or cut the file there', place=path)
    if same.any() and not people:
        bad = int(np.argmax(same))
        raise IoError(f'rows {bad} and {bad + 1} have the same stamp {mean[bad]:.6f} s',
                      'leave one out, or give person (T, V) if they are two people', place=path)
    return (0, *(np.nonzero(~same)[0] + 1).tolist())


def _intrinsics(path: Path, camera: str, K: Array | None, distortion: Array | None) -> Intrinsics | None:
    if K is None or np.isnan(K).all() or K[0, 0] == 0:
        return None
    try:
        return Intrinsics(K, np.zeros(5) if distortion is None else np.nan_to_num(distortion))
    except CoreError as error:
        raise IoError(f'camera {camera}: {error}', place=path) from error


def _accuracy(path: Path, camera: str, rows: Array) -> Accuracy | None:
    rows = rows[np.isfinite(rows).all(1)]
    if not len(rows):
        return None
    try:
        return Accuracy(tuple(rows[:, 0]), tuple(rows[:, 1]))
    except CoreError as error:
        raise IoError(f'camera {camera}: {error}', place=path) from error


def write_keypoints(path: Path, recording: Recording) -> None:
    """Write the views of a recording, in the 17 joints; `read_keypoints` gives the same recording back.

    Raises:
        IoError: the file cannot be written.
    """
    instants = recording.rows if recording.rows is not None else _gathered(recording)
    cameras = recording.cameras
    T, V, D = len(instants), len(cameras), max((len(v.keypoints) for i in instants for v in i.views), default=1) or 1
    keypoints, confidence = np.full((T, V, D, 17, 2), np.nan, np.float32), np.zeros((T, V, D, 17), np.float32)
    stamp, person = np.full((T, V), np.nan), np.full((T, V, D), -1)
    size = np.ones((V, 2), np.int64)
    known: dict[int, Intrinsics] = {}
    accuracy: dict[int, Accuracy] = {}
    for i, instant in enumerate(instants):
        for view in instant.views:
            v, there = cameras.index(view.camera), slice(len(view.keypoints))
            stamp[i, v], size[v] = view.stamp, view.image_size
            keypoints[i, v, there], confidence[i, v, there] = view.keypoints, view.confidence
            person[i, v, there] = view.person
            if view.intrinsics is not None:
                known.setdefault(v, view.intrinsics)
            if view.accuracy is not None:
                accuracy.setdefault(v, view.accuracy)
    arrays = {'keypoints': keypoints, 'confidence': confidence, 'stamp': stamp, 'image_size': size,
              'joint_names': np.array(JOINTS), 'camera_names': np.array(cameras), 'person': person}
    if D == 1:                                             # what other programs read, too
        arrays |= {k: arrays[k][:, :, 0] for k in ('keypoints', 'confidence', 'person')}
    if known:
        arrays['K'] = np.full((V, 3, 3), np.nan)
        arrays['distortion'] = np.zeros((V, max(len(k.distortion) for k in known.values())))
        for v, k in known.items():
            arrays['K'][v], arrays['distortion'][v, :len(k.distortion)] = k.K, k.distortion
    if accuracy:
        arrays['accuracy'] = np.full((V, max(len(a.sigma) for a in accuracy.values()), 2), np.nan)
        for v, a in accuracy.items():
            arrays['accuracy'][v, :len(a.sigma)] = np.stack([a.confidence, a.sigma], -1)
    if recording.rows is None:
        arrays['grouping'] = np.array('stamps')
    write_npz(path, **arrays)


def _gathered(recording: Recording) -> Sequence[MultiView]:
    """Rows for cameras that ran free: neighbours in time, each camera once. Only a way to store them."""
    stamps = [np.array([v.stamp for v in recording.views if v.camera == c]) for c in recording.cameras]
    reach = .5 * float(min((np.median(np.diff(s)) for s in stamps if len(s) > 1), default=0.))
    rows: list[list[View2D]] = []
    for view in recording.views:
        last = rows[-1] if rows else []
        if last and view.stamp - last[0].stamp <= reach and view.camera not in {v.camera for v in last}:
            last.append(view)
        else:
            rows.append([view])
    return [row(r, recording.cameras) for r in rows]
