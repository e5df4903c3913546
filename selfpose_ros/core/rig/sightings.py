# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Everything that was seen: any number of people in every view, before it is settled who is who."""
from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..association.distance import person_size
from ..association.tracklets import TrackletsByCamera
from ..camera import Intrinsics
from ..lifting import Lifter, lift_views
from ..observation import MultiView
from ..person_view import Detections
from ..resample import move_in_time
from .solver import Tracks

__all__ = ['Sightings', 'SightingsLog', 'followed']

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: motion is followed at steps of this, s, at least, in stretches of so many of them
_MOTION_S, _STRETCH = .03, 100
#: what was seen so long before and after an instant, s, tells where joints were at it
_REACH_S = .1
#: what does not move: scatter of its joints, and distance of its places, body sizes; over this long, s; seen so often
_STILL, _SAME_PLACE, _PICTURE_S, _FEW_OF_PICTURE = .02, .012, 6., 6


def _median(x: Array, axis: int | None = None) -> Array:
    """Median of what is known, without axis that of the lengths of vectors; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)
        return np.asarray(np.nanmedian(np.linalg.norm(x, axis=-1) if axis is None else x, axis))


@dataclass(frozen=True)
class Sightings:
    """D detections, at most, of each of V cameras at T common instants.

    Attributes:
        cameras: (V,) names.  stamp: (T,) s, increasing.
        kp: (T, V, D, 17, 2) px as they were given (`PersonView.raw`) at the instants, NaN = not seen.
        confidence: (T, V, D, 17).
        tracklet: (T, V, D) number of the tracklet within its camera, from 0, see `association.tracklets`; -1 = none.
        size: (T, V, D) px, see `person_size`; NaN = no detection.
        image_size: (V, 2) px.  intrinsics: (V,) known ones, None = unknown.
        lifted: (T, V, D, 17, 3), sigma (T, V, D, 17): poses as `lifting.lift` gives them; NaN = not lifted.
        clock_offset_s: (V,) what the stamps of each camera were put right by.
        motion: the same at a rate that follows the motion, for clocks and flights; None = these instants are.
    """

    cameras: tuple[str, ...]
    stamp: Array
    kp: Array
    confidence: Array
    tracklet: Index
    size: Array
    image_size: Index
    intrinsics: tuple[Intrinsics | None, ...]
    lifted: Array
    lifted_sigma: Array
    clock_offset_s: Array
    motion: Sightings | None = None

    @classmethod
    def of(cls, rows: Sequence[Detections], image_size: Mapping[str, tuple[int, int]],
           late: Mapping[str, float] | None = None) -> Sightings:
        """Rows in order of time, of the cameras of `image_size` px. A detection is moved to the instant of its row
        along its tracklet; those without one are left out.

        late: by camera, its stamps minus those of a clock that all share, s; none = they agree.
        """
        names = tuple(sorted(image_size))
        offset = np.array([(late or {}).get(c, 0.) for c in names])
        found = [(t, v, k, view) for t, row in enumerate(rows) for v, c in enumerate(names)
                 for k, view in enumerate(row.people.get(c, ())) if view.tracklet >= 0]
        shape = len(rows), len(names), max([1, *(len(people) for r in rows for people in r.people.values())])
        kp, conf = np.full((*shape, 17, 2), np.nan), np.zeros((*shape, 17))
        tracklet, at = np.full(shape, -1), np.full(shape, np.nan)
        poses, sigma = np.full((*shape, 17, 3), np.nan), np.full((*shape, 17), np.nan)
        known: list[Intrinsics | None] = [None] * len(names)
        if found:
            index = tuple(np.array([f[:3] for f in found]).T)
            views = [f[3] for f in found]
            kp[index], conf[index] = np.stack([p.raw for p in views]), np.stack([p.confidence for p in views])
            tracklet[index], at[index] = [p.tracklet for p in views], [p.stamp for p in views]
        for t, v, k, view in found:
            known[v] = view.intrinsics
            if view.lifted is not None:
                poses[t, v, k], sigma[t, v, k] = view.lifted
        stamp, size = np.array([r.stamp for r in rows]), person_size(kp, conf)
        at -= offset[:, None]
        for v in range(len(names)):
            _, number = np.unique(tracklet[:, v], return_inverse=True)
            number = number.reshape(tracklet[:, v].shape) - (tracklet[:, v] < 0).any()
            tracklet[:, v] = np.where(tracklet[:, v] < 0, -1, number)
            if np.nanmax(np.abs(at[:, v] - stamp[:, None]), initial=0.) > 1e-3:
                for k in range(int(tracklet[:, v].max(initial=-1)) + 1):
                    n, i = np.nonzero(tracklet[:, v] == k)
                    if len(n) > 2:
                        kp[n, v, i], conf[n, v, i] = move_in_time(at[n, v, i], kp[n, v, i], conf[n, v, i], stamp[n])
        return cls(names, stamp, kp, conf, tracklet, size, np.array([image_size[c] for c in names], np.int64),
                   tuple(known), poses, sigma, offset)

    @property
    def present(self) -> NDArray[np.bool_]:
        """(T, V, D) where there is a detection."""
        return self.tracklet >= 0

    @cached_property
    def pictures(self) -> NDArray[np.bool_]:
        """(T, V, D) detections that keep to one place and pose for long: posters, and whoever stands like them."""
        out = np.zeros(self.tracklet.shape, bool)
        if not len(self.stamp) or np.ptp(self.stamp) < _PICTURE_S:
            return out
        for v in range(len(self.cameras)):
            places: list[tuple[Array, list[tuple[Index, Index]]]] = []
            for k in range(int(self.tracklet[:, v].max(initial=-1)) + 1):
                t, i = np.nonzero(self.tracklet[:, v] == k)
                if len(t) < _FEW_OF_PICTURE:
                    continue
                size, x = _median(self.size[t, v, i], 0), self.kp[t, v, i]
                at, early, late = _median(x, 0), _median(x[:len(t) // 2], 0), _median(x[len(t) // 2:], 0)
                if not _median(x - at) < _STILL * size or not _median(late - early) < _SAME_PLACE * size:
                    continue
                for place, members in places:
                    if _median(place - at) < _SAME_PLACE * size:
                        members.append((t, i))
                        break
                else:
                    places.append((at, [(t, i)]))
            for _, members in places:
                t, i = (np.concatenate(x) for x in zip(*members, strict=True))
                if np.ptp(self.stamp[t]) >= _PICTURE_S:
                    out[t, v, i] = True
        return out

    def instants(self, index: Index) -> Sightings:
        """The same at some of the instants."""
        return replace(self, **{n: getattr(self, n)[index] for n in (
            'stamp', 'kp', 'confidence', 'tracklet', 'size', 'lifted', 'lifted_sigma')})

    def views(self, index: Index) -> Sightings:
        """The same of some of the cameras."""
        motion = None if self.motion is None else self.motion.views(index)
        return replace(self, cameras=tuple(self.cameras[v] for v in index), image_size=self.image_size[index],
                       motion=motion, clock_offset_s=self.clock_offset_s[index],
                       intrinsics=tuple(self.intrinsics[v] for v in index), **{n: getattr(self, n)[:, index] for n in (
                           'kp', 'confidence', 'tracklet', 'size', 'lifted', 'lifted_sigma')})

    def tracks(self, instant: Index, chosen: Index, person: Index) -> Tracks:
        """Poses of people as a solver wants them.

        Args:
            instant: (N,) of each pose.  chosen: (N, V) its detection in every view, -1 = none.  person: (N,) whose it
                is. In order of person, then of time.
        """
        n, v = instant[:, None], np.arange(len(self.cameras))[None]
        none = chosen < 0
        kp = np.where(none[..., None, None], np.nan, self.kp[n, v, chosen])
        conf = np.where(none[..., None], 0., self.confidence[n, v, chosen])
        joints = np.where(none[..., None, None], np.nan, self.lifted[n, v, chosen])
        sigma = np.where(none[..., None], np.nan, self.lifted_sigma[n, v, chosen])
        some = bool(np.isfinite(sigma).any())
        return Tracks(self.cameras, self.stamp[instant], kp, conf, self.image_size, self.intrinsics,
                      joints if some else None, sigma if some else None, person)


class SightingsLog:
    """All detections of the newest minutes. When full, every second of the older half goes."""

    def __init__(self, lifter: Lifter | None, lift_every_s: float = .08, most_rows: int = 900) -> None:
        """lifter: None = only detections with depths become poses.  lift_every_s: stride of the poses, s; there are
        none as long as no view ever showed more than one person.
        """
        self.lift_every_s, self.most_rows = lift_every_s, most_rows
        self.lifter = lifter
        self._rows: list[Detections] = []
        self._lifted = -np.inf
        self.image_size: dict[str, tuple[int, int]] = {}
        self.seen = 0                                       # rows ever added
        self.posed = 0                                      # of them, those with lifted poses
        self.crowded = False                                # a view ever showed more than one person

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def span_s(self) -> float:
        return self._rows[-1].stamp - self._rows[0].stamp if self._rows else 0.

    def add(self, detections: Detections) -> None:
        """Keep an instant of detections with tracklets; one that shows nobody is left out."""
        if not any(detections.people.values()):
            return
        now = detections.stamp
        for people in detections.people.values():
            self.crowded |= len(people) > 1
            for p in people[:1]:
                if self.image_size.get(p.camera, p.image_size) != p.image_size:
                    self.drop(p.camera)                     # another resolution: old pixels mean nothing
                self.image_size[p.camera] = p.image_size
        if self.crowded and now - self._lifted >= self.lift_every_s - 1e-6:
            poses = lift_views(self.lifter, list(detections))
            self._lifted = now
            self.posed += bool(poses)
            detections = replace(detections, people={
                c: tuple(replace(p, lifted=poses.get(p)) for p in people) for c, people in detections.people.items()})
        self._rows.append(detections)
        self.seen += 1
        if len(self._rows) > self.most_rows:
            half = len(self._rows) // 2
            self._rows = self._rows[:half:2] + self._rows[half:]

    def drop(self, camera: str, before: float = np.inf) -> None:
        """Forget what a camera saw before a time (it was moved)."""
        self._rows = [r if r.stamp >= before else replace(
            r, people={c: p for c, p in r.people.items() if c != camera}) for r in self._rows]
        self._rows = [r for r in self._rows if any(r.people.values())]
        if before == np.inf:
            self.image_size.pop(camera, None)

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()
        self.image_size.clear()
        self.seen = self.posed = 0
        self._lifted = -np.inf

    def sightings(self, most: int = 0, motion: int = 0, late: Mapping[str, float] | None = None) -> Sightings:
        """What is kept, or `most` instants of it, evenly; those with poses first.

        Args:
            motion: instants that follow the motion, see `Sightings.motion`; 0 = without.
            late: by camera, see `Sightings.of`.
        """
        rows = self._rows
        if not most or len(rows) <= most:
            return Sightings.of(rows, self.image_size, late)
        posed = [k for k, r in enumerate(rows) if any(p.lifted is not None for p in r)]
        pool = np.array(posed if len(posed) >= most else range(len(rows)))
        chosen = pool[np.unique(np.linspace(0, len(pool) - 1, most).astype(int))]
        follow = self._motion(motion) if motion else chosen[:0]
        # with what was seen shortly before and after: between instants far apart nothing can be moved in time
        stamp = np.array([r.stamp for r in rows])
        reach = _REACH_S + max((abs(s) for s in (late or {}).values()), default=0.)
        ends = np.zeros(len(rows) + 1, int)
        wanted = stamp[np.concatenate([chosen, follow])]
        np.add.at(ends, np.searchsorted(stamp, wanted - reach), 1)
        np.add.at(ends, np.searchsorted(stamp, wanted + reach, 'right'), -1)
        near = np.flatnonzero(np.cumsum(ends)[:-1])
        seen = Sightings.of([rows[k] for k in near], self.image_size, late)
        out = seen.instants(np.searchsorted(near, chosen))
        return replace(out, motion=seen.instants(np.searchsorted(near, follow))) if motion else out

    def _motion(self, most: int) -> Index:
        """`most` instants of what is kept, in stretches at a rate that follows the motion, which are spread evenly and
        end with the newest.
        """
        rows: list[int] = []
        for k, r in enumerate(self._rows):
            if not rows or r.stamp - self._rows[rows[-1]].stamp >= _MOTION_S:
                rows.append(k)
        if len(rows) <= most:
            return np.array(rows)
        pieces = -(-most // _STRETCH)
        each = most // pieces
        ends = np.linspace(each if pieces > 1 else len(rows), len(rows), pieces).astype(int)
        return np.array(rows)[np.unique(ends[:, None] - 1 - np.arange(each))]


def followed(frames: Iterable[MultiView], lifter: Lifter | None, poses: int) -> SightingsLog:
    """The log of a whole recording with lifted poses at about so many instants."""
    frames = list(frames)
    span = frames[-1].stamp - frames[0].stamp if frames else 0.
    log = SightingsLog(lifter, span / max(poses, 1), max(len(frames), 1))
    tracklets = TrackletsByCamera()
    for f in frames:
        log.add(Detections.of(f, tracklets.update(f)))
    return log
