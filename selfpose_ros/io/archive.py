# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Keypoint archives (npz): 2D joints of V cameras over T rows of time.

`keypoints (T, V, J, 2)` px, NaN = not seen; `confidence (T, V, J)` 0..1; `stamp (T,)` or `(T, V)` s, rows in order
of time, NaN = this camera gave no image; `image_size (V, 2)` w, h px; `joint_names (J,)`.
Optional: `camera_names (V,)`; `K (V, 3, 3)` px (NaN or K[0, 0] = 0: unknown) and `distortion (V, N)`;
`person (T, V)` identities: with it, several rows with the same stamps are several people of one instant;
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
from ..core.observation import MultiView, View2D
from ..core.skeleton import JOINT_SETS, JOINTS, joint_map
from .errors import IoError
from .npz import NpzReader, write_npz
from .recording import Recording, row

__all__ = ['joint_set', 'read_keypoints', 'write_keypoints']

Array = NDArray[np.float64]


def joint_set(name: str) -> tuple[str, ...]:
    """The joints of a named set.

    Raises:
        IoError: no such set.
    """
    if name not in JOINT_SETS:
        raise IoError(f'joint set {name!r} is not known; choose one of: {", ".join(sorted(JOINT_SETS))}')
    return JOINT_SETS[name]


@dataclass(frozen=True)
class _Arrays:
    """The checked arrays of one file; stamps (T, V)."""

    keypoints: Array
    confidence: Array
    stamps: Array
    size: Array
    person: Array
    cameras: tuple[str, ...]
    intrinsics: tuple[Intrinsics | None, ...]
    names: tuple[str, ...]
    starts: tuple[int, ...]
    free: bool


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
        raise IoError(f'{path}: {error}') from error
    instants: list[MultiView] = []
    for first, end in zip(a.starts, [*a.starts[1:], len(points)], strict=True):
        here = []
        for v in np.nonzero(np.isfinite(a.stamps[first]))[0]:
            there = np.isfinite(points[first:end, v]).any((1, 2))
            here.append(View2D(
                a.cameras[v], a.stamps[first, v], points[first:end, v][there], certainty[first:end, v][there],
                (int(a.size[v, 0]), int(a.size[v, 1])), a.person[first:end, v][there].astype(int),
                a.intrinsics[v]))
        instants.append(row(here, a.cameras))
    return Recording.of(path.stem, a.cameras, (v for i in instants for v in i.views), joint_names=a.names,
                        rows=None if a.free else instants)


def _load(path: Path, joints: str | None) -> _Arrays:
    with NpzReader(path) as z:
        keypoints = z.array('keypoints', 'T V J 2')
        confidence = z.array('confidence', 'T V J')
        stamp = z.array('stamp', 'T', 'T V')
        size = z.array('image_size', 'V 2')
        names = joint_set(joints) if joints else tuple(z.array('joint_names', 'J', text=True))
        named = tuple(z.array('camera_names', 'V', text=True)) if 'camera_names' in z else ()
        K = z.array('K', 'V 3 3') if 'K' in z else None
        distortion = z.array('distortion', 'V N') if 'distortion' in z else None
        person = z.array('person', 'T V') if 'person' in z else None
        free = 'grouping' in z and str(z.array('grouping', '', text=True)) == 'stamps'
    rows, views, count = keypoints.shape[:3]
    if not rows or not views:
        empty = 'cameras' if rows else 'rows'
        raise IoError(f'{path}: keypoints has no {empty}: its shape is {keypoints.shape}; nothing to do')
    if len(names) != count:
        raise IoError(f'{path}: keypoints has {count} joints, but the joint set {joints} has {len(names)}; '
                      'name the right one')
    _check_values(path, keypoints, confidence, size)
    stamps = np.repeat(stamp[:, None], views, 1) if stamp.ndim == 1 else stamp
    cameras = named or tuple(f'cam{v + 1}' for v in range(views))
    known = tuple(_intrinsics(path, cameras[v], None if K is None else K[v],
                              None if distortion is None else distortion[v]) for v in range(views))
    who = np.full((rows, views), -1.) if person is None else np.nan_to_num(person, nan=-1.)
    return _Arrays(keypoints, confidence, stamps, size, who, cameras, known, names,
                   _instants(path, stamps, person is not None), free)


def _check_values(path: Path, keypoints: Array, confidence: Array, size: Array) -> None:
    if not np.isfinite(size).all() or size.min() < 1:
        raise IoError(f'{path}: image_size must be at least 1x1 px, got {size.tolist()}; give width, height in px')
    finite = keypoints[np.isfinite(keypoints)]
    if finite.size and not in_pixels(float(finite.min()), float(finite.max()), size.min(0)):
        raise IoError(f'{path}: keypoints lie between {finite.min():.2f} and {finite.max():.2f}, not in pixels; '
                      'multiply them by the image size')
    c = confidence[np.isfinite(confidence)]
    if c.size and (c.max() > 2 or c.min() < -1):           # some networks overshoot 1 a little; 87 is another unit
        raise IoError(f'{path}: confidence must lie in 0..1, got {c.min():.3g} to {c.max():.3g}; scale it')


def _instants(path: Path, stamps: Array, people: bool) -> tuple[int, ...]:
    """First row of each instant; rows of one instant have the same stamps."""
    wrong = np.isinf(stamps).any(1) | ~np.isfinite(stamps).any(1)
    if wrong.any():
        bad = int(np.argmax(wrong))
        raise IoError(f'{path}: stamp of row {bad} is {stamps[bad].tolist()}; give finite seconds for one camera '
                      'at least')
    same = ((stamps[1:] == stamps[:-1]) | (np.isnan(stamps[1:]) & np.isnan(stamps[:-1]))).all(1)
    mean = np.nanmean(stamps, 1)
    back = (np.diff(mean) <= 0) & ~same
    if back.any():
        bad = int(np.argmax(back)) + 1
        raise IoError(f'{path}: stamp goes back from {mean[bad - 1]:.6f} s in row {bad - 1} to {mean[bad]:.6f} s '
                      f'in row {bad}; sort the rows by time or cut the file there')
    if same.any() and not people:
        bad = int(np.argmax(same))
        raise IoError(f'{path}: rows {bad} and {bad + 1} have the same stamp {mean[bad]:.6f} s; leave one out, or '
                      'give person (T, V) if they are two people')
    return (0, *(np.nonzero(~same)[0] + 1).tolist())


def _intrinsics(path: Path, camera: str, K: Array | None, distortion: Array | None) -> Intrinsics | None:
    if K is None or np.isnan(K).all() or K[0, 0] == 0:
        return None
    try:
        return Intrinsics(K, np.zeros(5) if distortion is None else np.nan_to_num(distortion))
    except CoreError as error:
        raise IoError(f'{path}: camera {camera}: {error}') from error


def write_keypoints(path: Path, recording: Recording) -> None:
    """Write the views of a recording, in the 17 joints; `read_keypoints` gives the same recording back.

    Raises:
        IoError: the file cannot be written.
    """
    instants = recording.rows if recording.rows is not None else _gathered(recording)
    cameras = recording.cameras
    first = np.cumsum([0, *(max([1, *(len(v.keypoints) for v in i.views)]) for i in instants)])
    T, V = int(first[-1]), len(cameras)
    keypoints, confidence = np.full((T, V, 17, 2), np.nan, np.float32), np.zeros((T, V, 17), np.float32)
    stamp, person = np.full((T, V), np.nan), np.full((T, V), -1)
    size = np.ones((V, 2), np.int64)
    known: dict[int, Intrinsics] = {}
    for i, instant in enumerate(instants):
        for view in instant.views:
            v, rows = cameras.index(view.camera), slice(first[i], first[i] + len(view.keypoints))
            stamp[first[i]:first[i + 1], v] = view.stamp
            keypoints[rows, v], confidence[rows, v], person[rows, v] = view.keypoints, view.confidence, view.person
            size[v] = view.image_size
            if view.intrinsics is not None:
                known.setdefault(v, view.intrinsics)
    arrays = {'keypoints': keypoints, 'confidence': confidence, 'stamp': stamp, 'image_size': size,
              'joint_names': np.array(JOINTS), 'camera_names': np.array(cameras), 'person': person}
    if known:
        arrays['K'] = np.full((V, 3, 3), np.nan)
        arrays['distortion'] = np.zeros((V, max(len(k.distortion) for k in known.values())))
        for v, k in known.items():
            arrays['K'][v], arrays['distortion'][v, :len(k.distortion)] = k.K, k.distortion
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
