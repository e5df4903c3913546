# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Is all well: rates, agreement and staleness of every camera, and one sentence for the whole."""
from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, isnan
from statistics import median_low

import numpy as np

from .observation import LEVEL_NAMES, MultiView, Skeleton3D
from .quick import median
from .rig_model import RigModel
from .rig_state import Reason, RigState
from .tracks.people import People

__all__ = ['CameraStatus', 'EstimatorStatus', 'HealthMonitor']


@dataclass(frozen=True)
class CameraStatus:
    """The state of one camera.

    Attributes:
        people: in its newest view.  rate_hz: views per second.  age_s: of its newest view against the newest stamp.
        used: its rays took part in the newest result.
        reprojection_px: running median of its residuals, px; NaN before level 3.
        note: '' or a sentence: bumped, late, sees nobody.
    """

    people: int
    rate_hz: float
    age_s: float
    used: bool
    reprojection_px: float
    note: str = ''


@dataclass(frozen=True)
class EstimatorStatus:
    """Health in one value.

    Attributes:
        level: best level among the people of the newest result, 0 = nobody.
        sentence: what is going on and what to do about it.
        ok: False when somebody should look.
        cameras: by name.
        rig_quality: 0 without a rig.  rig_reason: why there is no rig, '' with one.
        rig_state, rig_cause: the same as values.
        scale_source: '' without a rig.  scale_sigma: relative.
        solving: a rig solve runs now.
    """

    level: int
    sentence: str
    ok: bool
    cameras: Mapping[str, CameraStatus] = field(default_factory=dict)
    rig_quality: float = 0.
    rig_reason: str = ''
    scale_source: str = ''
    scale_sigma: float = 0.
    solving: bool = False
    rig_state: RigState = RigState.EMPTY
    rig_cause: Reason = Reason.NONE


#: a camera that has been silent for this long, and for this many of its own periods, is called gone; s
_GONE_S, _PATIENCE = 1., 2.5
#: time constant of rates and residuals, s
_TAU_S = 1.


@dataclass
class _Camera:
    newest: float = -np.inf
    period: float = np.nan
    steps: deque[float] = field(default_factory=lambda: deque(maxlen=5))
    people: int = 0
    used: bool = False
    residual_px: float = np.nan
    residual: float = np.nan                                   # median residual in sigmas, smoothed


class HealthMonitor:
    """Collects; `status` words it."""

    def __init__(self) -> None:
        self._cameras: dict[str, _Camera] = {}
        self._now = -np.inf
        self.left_out: frozenset[str] = frozenset()
        #: by camera that is out of step: how much later its movements come, s
        self.late: Mapping[str, float] = {}
        #: one camera is enough: there is a lifter
        self.lifts = False

    def agreement(self, cameras: Sequence[str]) -> dict[str, float]:
        """By camera its smoothed residual, sigmas per axis; those that have none yet are left out."""
        return {c: self._cameras[c].residual for c in cameras
                if c in self._cameras and np.isfinite(self._cameras[c].residual)}

    def views(self, observation: MultiView) -> None:
        """Rates and people of the cameras."""
        self._now = observation.stamp
        for v in observation.views:
            c = self._cameras.setdefault(v.camera, _Camera())
            step = v.stamp - c.newest
            if 0 < step < np.inf:
                c.steps.append(step)
            if 0 < step < 2 * _GONE_S:
                c.period = step if isnan(c.period) else c.period + (1 - exp(-step / _TAU_S)) * (step - c.period)
            c.newest, c.people, c.used = v.stamp, len(v.keypoints), False

    def residuals(self, people: People, model: RigModel, now: float) -> None:
        """How well each camera agrees with the skeletons of this tick."""
        usual = float(model.noise.sigma(np.array(.8)))
        seen = [p for p in people.everybody if p.seen == now and p.confirmed and p.row]
        if not seen:
            return
        off = np.sqrt(median(np.array([p.filter.e2 for p in seen]).transpose(2, 0, 1)) / 2)         # people, cameras
        used = (np.array([p.filter.used for p in seen]) > .25).any(-1)
        for p, of_views, used_views in zip(seen, off.tolist(), used.tolist(), strict=True):
            for name, e, counts in zip(model.cameras, of_views, used_views, strict=True):
                if name not in p.row:
                    continue
                c, px = self._cameras[name], e * usual
                c.residual = e if isnan(c.residual) else c.residual + .05 * (e - c.residual)
                c.residual_px = px if isnan(c.residual_px) else c.residual_px + .05 * (px - c.residual_px)
                c.used |= counts

    def status(self, people: Sequence[Skeleton3D], model: RigModel | None, reason: str,
               solving: bool, fault: str = '', state: RigState = RigState.EMPTY,
               cause: Reason = Reason.NONE) -> EstimatorStatus:
        """What is going on, in one value.

        Args:
            people: of the newest result.  reason: why no rig is published, a sentence.  cause: the same as a value.
            fault: a sentence on a defect that somebody should look at.
        """
        cameras = {}
        for name, c in sorted(self._cameras.items()):
            age = self._now - c.newest
            own = median_low(c.steps) if c.steps else 0.        # a pause among them is no period
            gone = age > max(_GONE_S, _PATIENCE * own)
            note = f'silent for {age:.1f} s: is it running?' if gone else '' if c.people else 'sees nobody'
            if name in self.left_out and not gone:
                note = 'was moved: left out until it is placed anew against the others'
            elif name in self.late and not gone:
                d = self.late[name]
                note = (f'shows movements {abs(d):.2f} s {"later" if d > 0 else "earlier"} than the others by its '
                        'stamps: left out; synchronise its clock, or see what delays its driver')
            rate = 0. if gone else 1 / c.period if np.isfinite(c.period) else 1 / own if own else 0.
            cameras[name] = CameraStatus(0 if gone else c.people, rate, age, c.used and not gone, c.residual_px, note)
        level = max((s.level for s in people), default=0)
        alive = [n for n, c in cameras.items() if not c.note.startswith('silent')]
        sentence, ok = self._sentence(level, people, cameras, alive, model, reason)
        if fault:
            sentence, ok = f'{sentence}; {fault}', False
        if model is None:
            return EstimatorStatus(level, sentence, ok, cameras, 0., reason, '', 0., solving, state, cause)
        return EstimatorStatus(level, sentence, ok, cameras, model.quality if model.level >= 3 else 0.,
                               '' if model.level >= 3 else reason, model.scale.source, model.scale.sigma, solving,
                               state, cause)

    def _sentence(self, level: int, people: Sequence[Skeleton3D], cameras: Mapping[str, CameraStatus], alive: list[str],
                  model: RigModel | None, reason: str) -> tuple[str, bool]:
        if not cameras:
            return 'waiting for the first views', True
        silent = sorted(set(cameras) - set(alive))
        lost = f'; silent: {", ".join(silent)}' if silent else ''
        if self.left_out:
            lost += f'; moved: {", ".join(sorted(self.left_out))}'
            silent = silent or sorted(self.left_out)
        if self.late:
            lost += f'; out of step: {", ".join(sorted(self.late))}'
            silent = silent or sorted(self.late)
        if len(alive) < 2 and not (self.lifts and alive):
            return f'only {len(alive)} of {len(cameras)} cameras alive: fusion needs two{lost}', False
        seeing = [n for n in alive if cameras[n].people]
        if not seeing:
            return f'nobody in sight of {len(alive)} cameras{lost}', not silent
        if model is None and not people:
            return f'no rig yet: {reason}{lost}', not silent
        if not people:
            return f'{len(seeing)} of {len(alive)} cameras see somebody, but not the same person{lost}', False
        who = '1 person' if len(people) == 1 else f'{len(people)} people'
        text = f'{who} at level {level} ({LEVEL_NAMES[level]}) from {len(seeing)} cameras'
        return text + (f': {reason}' if reason and level < 3 else '') + lost, not silent
