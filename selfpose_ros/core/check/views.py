# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rules on what cameras saw: the same for a recording and for cameras that run."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ..observation import MultiView
from .clocks import clock_finding, time_range
from .counts import CORNER, CameraCounts, PairCounts, ViewCounts, unit_like
from .finding import Finding, Kind, Verdict

__all__ = ['ViewCheck', 'check_views', 'in_pixels']

#: fewer views of a camera, or people in them, show nothing
_FEWEST = 12
#: coordinates from 0 to 1 may be pixels of an image as small as this
_SMALL_PX = 16
#: share of people whose middle lies outside of the image. Networks draw legs beyond the border, but find people inside
_ASTRAY, _WRONG_SIZE = .05, .2
#: a hint on width and height exchanged, when so many of the joints lie inside then
_FITS = .98
#: so few people are those of stray joints
_FEW = .02
#: cameras share too few instants to be solved together below this number and share of the smaller one's
_COMMON, _COMMON_SHARE = 4, .05
#: share of what the camera that sees most sees; the rig is solved without cameras below (see `history.often_seen`)
_HARDLY = .15
#: share of the instants in which two cameras show the same, or one is off by the same time, that is no chance
_ALWAYS = .9
#: frames a second of what records people
_RATES_HZ = 1., 1000.
#: a step from here on is no frame rate but another unit; below the other, no camera is that fast, s
_SLOW_S, _FAST_S = 2., 1 / 2000
_UNITS = {'milliseconds': 1e-3, 'microseconds': 1e-6, 'nanoseconds': 1e-9}


class ViewCheck:
    """Takes views as they come; the cost of an instant does not grow with time. Not thread safe.

    Args:
        window: after so many instants all counts are halved, so that what was mended is forgotten; 0 = never.
    """

    def __init__(self, window: int = 0) -> None:
        self._counts = ViewCounts(window)

    def add(self, instant: MultiView) -> None:
        """Take the views of one instant."""
        self._counts.add(instant)

    def findings(self) -> list[Finding]:
        """What is wrong so far, cameras in the order of their names."""
        order = sorted(self._counts.cameras)
        enough = [n for n in order if self._counts.cameras[n].views >= _FEWEST]
        found = [*self._units(), *self._sizes(), *self._steps(enough), *self._clocks(enough), *self._twice(order)]
        explained = {c for f in found if f.verdict is Verdict.LEAVE_OUT for c in f.cameras}
        return found + self._hardly([n for n in order if n not in explained])

    def _peopled(self) -> list[tuple[str, CameraCounts]]:
        return [(n, c) for n, c in sorted(self._counts.cameras.items()) if c.people >= _FEWEST]

    def _units(self) -> list[Finding]:
        wrong = [(n, c) for n, c in self._peopled() if not _pixels(c)]
        if not wrong:
            return []
        return [Finding(Kind.NOT_PIXELS, tuple(n for n, _ in wrong), {
            'low': min(c.low for _, c in wrong), 'high': max(c.high for _, c in wrong)})]

    def _sizes(self) -> list[Finding]:
        good = [(n, c) for n, c in self._peopled() if _pixels(c)]
        found = []
        for size in dict.fromkeys(c.size for _, c in good):
            wrong = [(n, c) for n, c in good if c.size == size and c.astray >= _ASTRAY * c.people]
            if wrong:
                found.append(_outside(wrong))
        # of two cameras, both may have somebody in this part: 2 of 54 clips of motion capture; of three, none of 162
        if len(good) > 2 and all(c.wide <= _FEW * c.people for _, c in good):
            found.append(Finding(Kind.CORNER, tuple(n for n, _ in good), {
                'part': CORNER}))
        return found

    def _steps(self, names: Sequence[str]) -> list[Finding]:
        groups: dict[tuple[Kind, str], list[tuple[str, float]]] = {}
        for n in names:
            c = self._counts.cameras[n]
            step = c.usual_step()
            if c.whole > _ALWAYS * c.steps > 0:
                groups.setdefault((Kind.FRAME_NUMBERS, ''), []).append((n, 1.))
            elif step < _FAST_S:
                groups.setdefault((Kind.TOO_FAST, ''), []).append((n, step))
            elif step >= _SLOW_S:
                unit = next((u for u, s in _UNITS.items() if _RATES_HZ[0] <= 1 / (step * s) <= _RATES_HZ[1]), '')
                if unit:
                    groups.setdefault((Kind.TIME_UNIT, unit), []).append((n, step))
        out = []
        for (kind, unit), group in groups.items():
            # bins are coarse: the mean is what people recognise, where nothing is missing
            step = float(np.median([s for _, s in group]))
            mean = float(np.median([(self._counts.cameras[n].last - self._counts.cameras[n].first)
                                    / max(self._counts.cameras[n].steps, 1) for n, _ in group]))
            step = mean if abs(mean / step - 1) < .05 else step
            figures: dict[str, Any] = {'step': step}
            if kind is Kind.TOO_FAST:
                figures['rate'] = 1 / step
            elif kind is Kind.TIME_UNIT:
                figures |= {'unit': unit, 'rate': 1 / (step * _UNITS[unit])}
            out.append(Finding(kind, tuple(n for n, _ in group), figures))
        return out

    def _clocks(self, names: Sequence[str]) -> list[Finding]:
        """Cameras off by the same time in all instants, and those that have no instants with the others."""
        found = []
        others = [n for n in names if not self._off(n)]
        for n in names:
            c = self._counts.cameras[n]
            if self._off(n) and others:
                found.append(clock_finding(n, c.off if c.ahead > c.behind else -c.off, (c.first, c.last),
                                           tuple(others), self._ends(others), 'the rows that they are given in'))
        main = max(self._groups(others), default=[],
                   key=lambda g: (len(g), sum(self._counts.cameras[n].seeing for n in g)))
        for n in others:
            c = self._counts.cameras[n]
            if n not in main:
                shared = round(max(self._pair(n, m).views for m in main))
                found.append(Finding(Kind.NOTHING_IN_COMMON, (n,), {
                    'range': time_range(c.first, c.last), 'others': tuple(main),
                    'other_range': time_range(*self._ends(main)),
                    'common': f'{shared} of {round(c.views)} instants in common' if shared
                    else 'no instant in common'}))
        return found

    def _off(self, name: str) -> bool:
        c = self._counts.cameras[name]
        return c.beside >= _FEWEST and max(c.ahead, c.behind) > _ALWAYS * c.beside

    def _ends(self, names: Sequence[str]) -> tuple[float, float]:
        return min(self._counts.cameras[n].first for n in names), max(self._counts.cameras[n].last for n in names)

    def _pair(self, a: str, b: str) -> PairCounts:
        return self._counts.pairs.get((min(a, b), max(a, b)), PairCounts())

    def _groups(self, names: Sequence[str]) -> list[list[str]]:
        """Cameras that share instants, with one another or over a third."""
        groups: list[list[str]] = []
        for n in names:
            near = [g for g in groups if any(self._share(n, m) for m in g)]
            groups = [g for g in groups if g not in near] + [sorted([n, *(m for g in near for m in g)])]
        return groups

    def _share(self, a: str, b: str) -> bool:
        fewest = min(self._counts.cameras[a].views, self._counts.cameras[b].views)
        return self._pair(a, b).views >= max(_COMMON, _COMMON_SHARE * fewest)

    def _twice(self, names: Sequence[str]) -> list[Finding]:
        found: list[Finding] = []
        doubles: set[str] = set()
        for a, b in combinations(names, 2):
            pair = self._pair(a, b)
            if not {a, b} & doubles and pair.seeing >= _FEWEST and pair.same >= _ALWAYS * pair.seeing:
                doubles.add(b)
                found.append(Finding(Kind.GIVEN_TWICE, (b,), {
                    'others': (a,), 'same': round(pair.same), 'both': round(pair.seeing)}))
        return found

    def _hardly(self, names: Sequence[str]) -> list[Finding]:
        seeing = {n: self._counts.cameras[n].seeing for n in names}
        most = max(seeing.values(), default=0.)
        if most < _FEWEST:
            return []
        return [Finding(Kind.HARDLY_SEES, (n,), {'seen': round(seeing[n]), 'instants': round(self._counts.seen)})
                for n in names if seeing[n] < _HARDLY * most]


def in_pixels(low: float, high: float, size: Sequence[float]) -> bool:
    """Whether coordinates from `low` to `high` can be pixels of an image of this size, (w, h) px."""
    return not unit_like(low, high) or min(size) <= _SMALL_PX


def _pixels(c: CameraCounts) -> bool:
    return c.large > _FEW * c.people or min(c.size) <= _SMALL_PX


def check_views(frames: Iterable[MultiView]) -> list[Finding]:
    """What is wrong with a whole recording.

    Args:
        frames: its instants, in order of time.
    """
    check = ViewCheck()
    for instant in frames:
        check.add(instant)
    return check.findings()


def _outside(wrong: Sequence[tuple[str, CameraCounts]]) -> Finding:
    """Of cameras of one size."""
    people = max(c.astray / c.people for _, c in wrong)
    w, h = wrong[0][1].size
    joints = sum(c.joints for _, c in wrong)
    turned = 1 - sum(c.outside_turned for _, c in wrong) / joints
    right, bottom = (max(getattr(c, k) for _, c in wrong) for k in ('right', 'bottom'))
    low = min(c.low for _, c in wrong)
    hint = f': they reach {right * w:.0f}, {bottom * h:.0f} px' + (f' and {low:.0f} px' if low < -_ASTRAY * w else '')
    if w != h and turned >= _FITS:
        hint = f', {turned:.0%} inside of {h}x{w}: width and height exchanged'
    return Finding(Kind.OUTSIDE if people < _WRONG_SIZE else Kind.WRONG_SIZE, tuple(n for n, _ in wrong), {
        'joints': ', '.join(f"{c.outside / c.joints:.0%} of {n}'s" for n, c in wrong), 'size': f'{w}x{h}',
        'people': people, 'hint': hint})
