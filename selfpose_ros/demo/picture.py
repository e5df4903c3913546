# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One sheet for one moment: the views with what was found in them, the 3D skeleton, the error over time."""
from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.observation import LEVEL_NAMES
from ..core.rig import Rig
from ..evaluation.alignment import pa_mm
from ..io.overlay import Colour, Image, draw_keypoints, draw_skeleton, draw_text
from .errors import DemoError
from .film import Film
from .record import Instant, Record, alignment_of
from .scene import Viewpoint

__all__ = ['LEVEL_COLOURS', 'Sheet', 'standing', 'write_video']

Array = NDArray[np.float64]

_SIZE = (1600, 900)
_GROUND: Colour = (34, 28, 24)
_INK: Colour = (235, 235, 235)
_FAINT: Colour = (150, 144, 138)
_TOP, _STRIP, _GAP = 58, 104, 10
_SCENE_W = 600
#: BGR by level: nobody, lifted, aligned, self-calibrated
LEVEL_COLOURS: dict[int, Colour] = {0: (110, 110, 110), 1: (70, 120, 235), 2: (70, 200, 240), 3: (120, 210, 110)}
_CAMERA_COLOURS: tuple[Colour, ...] = ((120, 210, 250), (210, 170, 120), (160, 220, 140), (200, 140, 220))
_CHART_MM = 120.
#: a skeleton or view older than this is not shown, s
_FRESH_S = .35


class Sheet:
    """Draws moments of one run.

    Args:
        film: the images and the truth.  record: what came on the topics; not changed any more.
        title: upper left corner.
    """

    _key = 'thin grey: the truth'

    def __init__(self, film: Film, record: Record, title: str = 'selfpose_ros') -> None:
        self._film, self._record, self._title = film, record, title
        self._names = film.rig.cameras
        self._images = {c: np.flatnonzero(film.camera == c) for c in range(len(self._names))}
        self._instants = sorted((i for i in record.instants if np.isfinite(i.time_s)), key=lambda i: i.time_s)
        self._times = [i.time_s for i in self._instants]
        self._errors = [float('nan') if i.person is None else pa_mm(i.person.joints, film.truth.at(i.time_s))
                        for i in self._instants]
        self._view_times = {c: [v.stamp for v in record.views.get(c, [])] for c in self._names}
        full = [(i.person, film.truth.at(i.time_s)) for i in self._instants
                if i.person is not None and i.person.level == 3]
        # the first solutions of a rig are its worst
        self._world = alignment_of(full[len(full) // 2:])

    def best_moment(self) -> float:
        """Time for the picture, s: late, well seen, arms or legs in motion rather than hanging."""
        def reach(i: Instant) -> float:
            j = self._film.truth.at(i.time_s)
            return float(np.linalg.norm(j[[13, 16]] - j[[11, 14]] + [0, 0, .5], axis=-1).sum()
                         + np.linalg.norm(j[3] - j[6]))
        return self._late(reach)

    def _late(self, worth: Callable[[Instant], Any]) -> float:
        """Time of the instant of the film's second half that is worth most, of those at the best level, s."""
        late = [i for i in self._instants if i.time_s > .5 * self._film.duration_s and i.person is not None]
        full = [i for i in late if i.person is not None and i.person.level == 3] or late
        return max(full, key=worth).time_s if full else .75 * self._film.duration_s

    def at(self, time_s: float, whole_chart: bool = False) -> Image:
        """(900, 1600, 3) BGR sheet of a moment, s from the beginning; the chart goes on to the end if wanted."""
        w, h = _SIZE
        sheet = np.empty((h, w, 3), np.uint8)
        sheet[:] = _GROUND
        instant = self._instant(time_s)
        self._head(sheet, time_s, instant)
        height = h - _TOP - _STRIP - _GAP
        self._views(sheet, time_s, instant, (_GAP, _TOP), (w - _SCENE_W - 3 * _GAP, height))
        scene = self._scene(time_s, instant, (_SCENE_W, height))
        sheet[_TOP:_TOP + height, w - _SCENE_W - _GAP:w - _GAP] = scene
        self._chart(sheet[h - _STRIP:], time_s, self._film.duration_s if whole_chart else time_s)
        return sheet

    def _instant(self, time_s: float) -> Instant | None:
        k = bisect.bisect_right(self._times, time_s) - 1
        return self._instants[k] if k >= 0 and time_s - self._times[k] <= _FRESH_S else None

    def _head(self, sheet: Image, time_s: float, instant: Instant | None) -> None:
        person = instant.person if instant is not None else None
        level = person.level if person is not None else 0
        x = 16 + draw_text(sheet, self._title, (16, 38), 26, _INK, bold=True) + 24
        cv2.circle(sheet, (x + 8, 30), 8, LEVEL_COLOURS[level], cv2.FILLED, cv2.LINE_AA)
        words = f'level {level}: {LEVEL_NAMES[level]}' if level else 'nobody yet'
        x += 26 + draw_text(sheet, words, (x + 26, 37), 20, LEVEL_COLOURS[level]) + 28
        draw_text(sheet, f'{len(self._names)} uncalibrated cameras, real ROS 2 topics', (x, 37), 17, _FAINT)
        w = sheet.shape[1]
        draw_text(sheet, f'{time_s:5.1f} s', (w - 16, 37), 22, _INK, anchor='right')
        if instant is not None and person is not None:
            draw_text(sheet, f'{self._caption(instant)}    latency {1e3 * instant.latency_s:3.0f} ms',
                      (w - 130, 37), 20, _INK, anchor='right')

    def _caption(self, instant: Instant) -> str:
        return f'error {self._errors[self._instants.index(instant)]:3.0f} mm'

    def _views(self, sheet: Image, time_s: float, instant: Instant | None, corner: tuple[int, int],
               size: tuple[int, int]) -> None:
        n = len(self._names)
        columns = math.ceil(math.sqrt(n))
        rows = math.ceil(n / columns)
        cell = (size[0] - _GAP * (columns - 1)) // columns, (size[1] - _GAP * (rows - 1)) // rows
        for c in range(n):
            view = self._view(c, time_s, instant)
            if view is None:
                continue
            scale = min(cell[0] / view.shape[1], cell[1] / view.shape[0])
            small = cv2.resize(view, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            x = corner[0] + (c % columns) * (cell[0] + _GAP) + (cell[0] - small.shape[1]) // 2
            y = corner[1] + (c // columns) * (cell[1] + _GAP) + (cell[1] - small.shape[0]) // 2
            sheet[y:y + small.shape[0], x:x + small.shape[1]] = small
            colour = _CAMERA_COLOURS[c % len(_CAMERA_COLOURS)]
            cv2.rectangle(sheet, (x, y), (x + small.shape[1] - 1, y + small.shape[0] - 1), colour, 1)
            cv2.rectangle(sheet, (x, y), (x + 14 + 11 * len(self._names[c]), y + 24), _GROUND, cv2.FILLED)
            draw_text(sheet, self._names[c], (x + 8, y + 18), 17, colour)

    def _view(self, c: int, time_s: float, instant: Instant | None) -> Image | None:
        """The newest image of a camera, with its own 2D joints and the 3D skeleton of about that time."""
        own = self._images[c]
        k = int(np.searchsorted(self._film.time_s[own], time_s, side='right')) - 1
        if k < 0:
            return None
        image = self._film.image(int(own[k]))
        taken = float(self._film.time_s[own[k]])
        name = self._names[c]
        rig = self._record.rig_at(time_s)
        near = self._nearest_instant(taken) or instant
        if rig is not None and name in rig.cameras and near is not None:
            self._skeletons_in_view(image, near, rig, rig.cameras.index(name))
        times = self._view_times[name]
        m = bisect.bisect_right(times, taken + 1e-3) - 1
        if m >= 0 and taken - times[m] <= _FRESH_S:
            view = self._record.views[name][m]
            for keypoints, confidence in zip(view.keypoints, view.confidence, strict=True):
                draw_keypoints(image, keypoints, confidence)
        self._names_in_view(image, c, taken, near)
        return image

    def _skeletons_in_view(self, image: Image, instant: Instant, rig: Rig, v: int) -> None:
        """What was found in 3D, as camera v of the estimated rig sees it."""
        person = instant.person
        if person is not None and person.level == 3:
            draw_skeleton(image, person.joints, rig.K[v], rig.R[v], rig.t[v], rig.distortion[v], thickness=3)

    def _names_in_view(self, image: Image, c: int, time_s: float, instant: Instant | None) -> None:
        """Who is who in an image of true camera c; one person needs no name."""

    def _nearest_instant(self, time_s: float) -> Instant | None:
        k = bisect.bisect_left(self._times, time_s)
        near = [self._instants[i] for i in (k - 1, k) if 0 <= i < len(self._instants)]
        best = min(near, key=lambda i: abs(i.time_s - time_s), default=None)
        return best if best is not None and abs(best.time_s - time_s) <= _FRESH_S else None

    def _scene(self, time_s: float, instant: Instant | None, size: tuple[int, int]) -> Image:
        rig, person = self._record.rig_at(time_s), instant.person if instant is not None else None
        known = rig is not None and person is not None and person.level == 3
        # the eye goes slowly round and leans towards the person
        aim = .6 * person.joints[0, :2] if person is not None and known else np.zeros(2)
        aim = np.where(np.isfinite(aim), aim, 0.)
        eye = Viewpoint((*aim, .95), 6.2 if known else 3.6, -60 + 4 * time_s, 27, size, 46 if known else 40)
        image = eye.canvas()
        if rig is not None and known:
            eye.cameras(image, rig, [_CAMERA_COLOURS[i % len(_CAMERA_COLOURS)] for i in range(len(rig.cameras))])
        if person is not None and instant is not None:
            self._people_in_scene(image, eye, instant, known)
        legend = ('3D skeleton and cameras, as published' if known else
                  'pose only: the cameras are not found yet' if person is not None else 'waiting for people')
        draw_text(image, legend, (14, size[1] - 16), 16, _FAINT)
        if known:
            draw_text(image, self._key, (size[0] - 14, size[1] - 16), 16, _FAINT, anchor='right')
        cv2.rectangle(image, (0, 0), (size[0] - 1, size[1] - 1), (72, 62, 54), 1)
        return image

    def _people_in_scene(self, image: Image, eye: Viewpoint, instant: Instant, known: bool) -> None:
        """Skeleton and truth; known: where they are in the room."""
        person = instant.person
        if person is None:
            return
        joints = person.joints if known else standing(person.joints)
        eye.shadow(image, joints)
        if known and self._world is not None:
            eye.ghost(image, self._world.undo(self._film.truth.at(instant.time_s)))
        eye.person(image, joints, person.sigma)

    def _dots(self, k: int) -> list[tuple[float, Colour]]:
        """Errors, mm, and colours of the k-th instant."""
        person = self._instants[k].person
        return [] if person is None else [(self._errors[k], LEVEL_COLOURS[person.level])]

    def _chart(self, strip: Image, time_s: float, until_s: float) -> None:
        """Error over time, in the colours of `_dots`."""
        h, w = strip.shape[:2]
        left, right, top, bottom = 120, w - 20, 8, h - 26
        duration = max(self._film.duration_s, 1e-6)

        def at(t: float, mm: float) -> tuple[int, int]:
            return (round(left + (right - left) * min(max(t / duration, 0.), 1.)),
                    round(bottom - (bottom - top) * min(mm, _CHART_MM) / _CHART_MM))

        draw_text(strip, 'error', (16, 34), 16, _FAINT)
        draw_text(strip, 'PA, mm', (16, 56), 16, _FAINT)
        for mm in (0, 60, 120):
            cv2.line(strip, at(0, mm), at(duration, mm), (60, 52, 46), 1)
            draw_text(strip, str(mm), (left - 8, at(0, mm)[1] + 5), 13, _FAINT, anchor='right')
        for t in range(0, int(duration) + 1, 5):
            draw_text(strip, f'{t} s', (at(t, 0)[0], h - 8), 13, _FAINT, anchor='middle')
        for k, instant in enumerate(self._instants):
            if instant.time_s > until_s:
                break
            for error_mm, colour in self._dots(k):
                if np.isfinite(error_mm):
                    cv2.circle(strip, at(instant.time_s, error_mm), 3, colour, cv2.FILLED, cv2.LINE_AA)
        cv2.line(strip, at(time_s, 0), at(time_s, _CHART_MM), _FAINT, 1)


def standing(joints: Array) -> Array:
    """A pose that is nowhere in the room, put onto the middle of the floor."""
    known = joints[np.isfinite(joints).all(1)]
    if not len(known):
        return joints
    return np.asarray(joints - [*known[:, :2].mean(0), known[:, 2].min()])


def write_video(path: Path, sheet: Sheet, duration_s: float, rate_hz: float = 10., width: int = 1280,
                progress: Callable[[str, int, int], None] | None = None) -> None:
    """An mp4 of the whole run at its real speed.

    Raises:
        DemoError: OpenCV cannot write such a file here.
    """
    count = max(1, int(duration_s * rate_hz))
    first = sheet.at(0.)
    size = width, 2 * round(width * first.shape[0] / first.shape[1] / 2)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), rate_hz, size)
    if not writer.isOpened():
        raise DemoError(f'demo: OpenCV cannot write {path}', 'use --no-video, or an OpenCV with video support')
    try:
        for k in range(count):
            writer.write(cv2.resize(sheet.at(k / rate_hz), size, interpolation=cv2.INTER_AREA))
            if progress is not None:
                progress('writing the video', k + 1, count)
    finally:
        writer.release()
