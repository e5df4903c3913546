# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a user of the topics received during the demo, and the figures made from it. No ROS here."""
from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..core.observation import Skeleton3D, View2D
from ..core.rig import Rig
from ..evaluation.alignment import SCORED, Alignment, align_known, pa_mm
from ..evaluation.rig_errors import worst_errors
from .film import Truth

__all__ = ['BOUND_MM', 'CrowdNumbers', 'Instant', 'Numbers', 'Record', 'Verdict', 'judged_from', 'verdict',
           'verdict_on']

Array = NDArray[np.float64]

#: the demo has worked when the mean error of the last seconds is below this; measured: 20 to 25 mm (see `verdict`)
BOUND_MM = 60.
#: part of the run that is judged, s before its end; and the least share of instants with a skeleton in it
_JUDGED_S, _LEAST_SHARE = 8., .7


@dataclass(frozen=True)
class Instant:
    """One skeletons message. time_s: its stamp, s from the beginning.  latency_s: from stamp to arrival."""

    time_s: float
    latency_s: float
    people: tuple[Skeleton3D, ...]

    @property
    def person(self) -> Skeleton3D | None:
        """The person that is known best; chosen without a look at the truth."""
        return max(self.people, key=lambda p: float(p.confidence.sum()), default=None)


@dataclass
class Record:
    """Grows while the demo runs. Writers and readers are different threads: hold `lock`.

    Attributes:
        start_s: stamp of time 0, s since the epoch; NaN until the cameras start.
        instants: skeletons messages in the order of arrival.
        views: by camera, keypoints in the order of arrival; their stamps are s from the beginning.
        view_latency_s: by camera, from stamp to arrival.
        rigs: (s from the beginning, rig or None): what was published of the rig.
        reason: why there is no rig.
        sentence: the state of the fusion node.
    """

    start_s: float = float('nan')
    instants: list[Instant] = field(default_factory=list)
    views: dict[str, list[View2D]] = field(default_factory=dict)
    view_latency_s: dict[str, list[float]] = field(default_factory=dict)
    rigs: list[tuple[float, Rig | None]] = field(default_factory=list)
    reason: str = ''
    sentence: str = ''
    lock: threading.Lock = field(default_factory=threading.Lock)

    def between(self, begin_s: float, end_s: float) -> list[Instant]:
        """Messages of a stretch, s from the beginning, in the order of arrival."""
        with self.lock:
            return [i for i in self.instants if begin_s <= i.time_s <= end_s]

    @property
    def rig(self) -> Rig | None:
        """The newest rig."""
        return self.rigs[-1][1] if self.rigs else None

    def rig_at(self, time_s: float) -> Rig | None:
        """What was known of the rig at a time, s."""
        known = [rig for t, rig in self.rigs if t <= time_s]
        return known[-1] if known else None


@dataclass(frozen=True)
class Numbers:
    """Figures over a stretch of the run; NaN where there is nothing to measure.

    Attributes:
        level: the best of the stretch, 0 = nobody.  people: in the newest message.
        views: cameras per joint, mean.  rate_hz: skeletons per second.
        latency_ms, latency_p95_ms: from the images' stamp to the arrival of the skeleton.
        pa_mm: mean PA-MPJPE.  world_mm: mean error after one rigid alignment of the world (level 3), which
            contains the error of the scale.  scale: size of the body, estimate / truth.
        share: of instants with a skeleton.
        rotation_deg, focal: worst errors of the rig, see `evaluation.rig_errors.worst_errors`.
    """

    level: int
    people: int
    views: float
    rate_hz: float
    latency_ms: float
    latency_p95_ms: float
    pa_mm: float
    world_mm: float
    scale: float
    share: float
    rotation_deg: float
    focal: float

    @classmethod
    def of(cls, record: Record, truth: Truth, true_rig: Rig, begin_s: float, end_s: float) -> Numbers:
        """Figures of the instants whose time lies in the stretch."""
        instants = record.between(begin_s, end_s)
        pairs = [(i.person, truth.at(i.time_s)) for i in instants]
        known = [(p, t) for p, t in pairs if p is not None]
        return cls.over(instants, known, len(known) / len(instants) if instants else 0., record.rig, true_rig,
                        end_s - begin_s)

    @classmethod
    def over(cls, instants: list[Instant], known: list[tuple[Skeleton3D, Array]], share: float, rig: Rig | None,
             true_rig: Rig, seconds: float) -> Numbers:
        """Figures of a stretch of so many seconds, from the skeletons and whose joints (17, 3) m each stands for."""
        pa = [pa_mm(p.joints, t) for p, t in known]
        world, scale = _in_the_room([(p, t) for p, t in known if p.level == 3])
        rotation, focal = worst_errors(rig, true_rig) if rig is not None else (np.nan, np.nan)
        latency = 1e3 * np.array([i.latency_s for i in instants] or [np.nan])
        views = [p.views[list(SCORED)].mean() for p, _ in known]
        return cls(
            max((p.level for p, _ in known), default=0), len(instants[-1].people) if instants else 0, _mean(views),
            len(instants) / max(seconds, 1e-9), float(np.median(latency)),
            float(np.percentile(latency, 95)), _mean(pa), world, scale,
            share, rotation, focal)


def _mean(values: list[float]) -> float:
    finite = [v for v in values if np.isfinite(v)]
    return float(np.mean(finite)) if finite else float('nan')


def alignment_of(pairs: list[tuple[Skeleton3D, Array]]) -> Alignment | None:
    """One rigid alignment of the estimated world with the true one, from all joints of a stretch."""
    if not pairs:
        return None
    joints = list(SCORED)
    return align_known(np.concatenate([p.joints[joints] for p, _ in pairs]),
                       np.concatenate([t[joints] for _, t in pairs]), with_scale=False)


def _in_the_room(pairs: list[tuple[Skeleton3D, Array]]) -> tuple[float, float]:
    """Mean error, mm, in the one aligned world; and the median size of the body, estimate / truth."""
    rigid = alignment_of(pairs)
    if rigid is None:
        return float('nan'), float('nan')
    joints = list(SCORED)
    errors = [np.linalg.norm(rigid.apply(p.joints[joints]) - t[joints], axis=-1) for p, t in pairs]
    each = [align_known(p.joints[joints], t[joints]) for p, t in pairs]
    sizes = [1. / a.scale for a in each if a is not None and a.scale > 0]
    return (float(1e3 * np.nanmean(np.concatenate(errors))),
            float(np.median(sizes)) if sizes else float('nan'))


@dataclass(frozen=True)
class CrowdNumbers:
    """Figures of several people.

    Attributes:
        recall, precision: share of true people found, of skeletons that are somebody, %; people count where two
            cameras or more see enough of them.
        pa_mm: mean PA-MPJPE of each true person, NaN = not found.
        switches, identities: changes of a true person's identity, and identities given, in the whole run.
    """

    recall: float
    precision: float
    pa_mm: tuple[float, ...]
    switches: int
    identities: int

    def to_dict(self) -> Mapping[str, object]:
        """Plain values, NaN as None, for JSON."""
        def plain(value: float) -> float | None:
            return value if np.isfinite(value) else None
        return {'recall': plain(self.recall), 'precision': plain(self.precision), 'switches': self.switches,
                'identities': self.identities, 'pa_mm_of_each': [plain(e) for e in self.pa_mm]}


@dataclass(frozen=True)
class Verdict:
    """Whether the demo has worked, why not, and the figures of the last `judged_s` seconds.

    crowd: where there are several people.
    """

    ok: bool
    reason: str
    numbers: Numbers
    level3_after_s: float
    judged_s: float
    crowd: CrowdNumbers | None = None

    def to_dict(self) -> Mapping[str, object]:
        """Plain values, NaN as None, for JSON."""
        plain = {k: None if isinstance(v, float) and not np.isfinite(v) else v
                 for k, v in vars(self.numbers).items()}
        after = self.level3_after_s if np.isfinite(self.level3_after_s) else None
        return {'ok': self.ok, 'reason': self.reason, 'bound_mm': BOUND_MM, 'level3_after_s': after,
                'judged_s': self.judged_s, **plain, **({} if self.crowd is None else self.crowd.to_dict())}


def judged_from(duration_s: float) -> float:
    """Where the part of the run begins that is judged, s."""
    return max(duration_s - _JUDGED_S, duration_s / 2)


def verdict(record: Record, truth: Truth, true_rig: Rig, duration_s: float) -> Verdict:
    """Judge the last seconds: skeletons came, level 3 was reached, the mean PA error is below `BOUND_MM`."""
    return verdict_on(record, Numbers.of(record, truth, true_rig, judged_from(duration_s), duration_s), duration_s)


def verdict_on(record: Record, n: Numbers, duration_s: float, crowd: CrowdNumbers | None = None) -> Verdict:
    """As `verdict`, of figures that are made already; of several people most have to be found, too."""
    first = [i.time_s for i in record.instants if any(p.level == 3 for p in (i.people if crowd else (i.person,)) if p)]
    note = record.sentence or 'see nodes.log'
    if not record.instants:
        reason = 'no skeletons message came; see nodes.log'
    elif n.share < _LEAST_SHARE:
        reason = f'only {100 * n.share:.0f} % of the last messages hold a person: {note}'
    elif n.level < 3:
        reason = f'level 3 was not reached: {record.reason or note}'
    elif crowd is not None and crowd.recall < 100 * _LEAST_SHARE:
        reason = f'only {crowd.recall:.0f} % of the people were found in the last seconds: {note}'
    elif not n.pa_mm <= BOUND_MM:
        reason = f'the mean error of the last seconds is {n.pa_mm:.0f} mm, more than {BOUND_MM:.0f} mm'
    else:
        reason = ''
    return Verdict(not reason, reason, n, min(first) if first else float('nan'), duration_s - judged_from(duration_s),
                   crowd)
