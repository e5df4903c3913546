# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Clocks of other hosts put right while cameras run: how far apart they are is seen by how people move.

When views arrive says about how far a clock is off, but not how much of that is a slow way. So it only says where to
look: the offset that is used is the one at which the movements of this camera and of the others are alike
(`core.sync`). Without movement in common nothing is changed.
"""
from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median

from .observation import View2D
from .sync.offsets import motion_offsets
from .sync.signals import Track2D
from .tracks.alone import tracks_of_views

__all__ = ['ClockCorrection']

#: views of the last so many seconds are compared; so much of it must be there first, s
_KEPT_S, _ENOUGH_S = 12., 6.
#: clocks nearer than this are left to the rig's own clock offsets; what a way may take at most, s
_AGREE_S, _WAY_S = .15, .5
#: clocks are looked at again after this, after this where that tells nothing, s; so many views show that one was set
_EVERY_S, _SELDOM_S, _SET_ANEW = 2., 60., 15
#: cameras that agree with the reference and are asked, too: the cost grows with the pairs
_WITNESSES = 2
#: cameras that were silent for longer are gone, s
_SILENT_S = 1.

Measure = Callable[[Mapping[str, Sequence[Track2D]], str, Mapping[str, float], float], Mapping[str, float]]


def _by_motion(tracks: Mapping[str, Sequence[Track2D]], reference: str, about: Mapping[str, float],
               within_s: float) -> Mapping[str, float]:
    """Offsets against the reference, s, of cameras that have one, without a rival, so near to what they are about."""
    found = motion_offsets({c: [Track2D(t.stamp - about[c], t.kp, t.confidence) for t in tracks.get(c, ())]
                            for c in about}, within_s)
    left = dict(zip(found.cameras, found.offset_s.tolist(), strict=True))
    late = {c: left[c] - left[reference] + about[c] for c in about if c != reference}
    return {c: d for c, d in late.items() if math.isfinite(d)}


class ClockCorrection:
    """Stamps of all cameras in one time, that of most cameras.

    Attributes:
        offset_s: by camera that is put right: its stamps minus those of the others for the same instant, s.
    """

    def __init__(self, measure: Measure = _by_motion) -> None:
        self.offset_s: dict[str, float] = {}
        self._measure = measure
        self._views: dict[str, deque[tuple[View2D, float]]] = {}
        self._begun: dict[str, float] = {}                 # of those put right: stamps against arrival then, s
        self._changed: set[str] = set()
        self._next, self._pause = 0., _EVERY_S

    def correct(self, view: View2D, now_s: float) -> tuple[View2D, bool]:
        """The view that arrived at host time `now_s`, s, in the common time; and whether this camera's clock has been
        put right, or is no longer, with this very view.
        """
        views = self._views.setdefault(view.camera, deque())
        views.append((view, now_s))
        while now_s - views[0][1] > _KEPT_S or now_s < views[0][1]:
            views.popleft()
        self._set_anew(view.camera)
        if now_s >= self._next or now_s < self._next - self._pause:
            self._next = now_s + self._pause
            self._look(now_s)
        offset, changed = self.offset_s.get(view.camera), view.camera in self._changed
        self._changed.discard(view.camera)
        return (view if offset is None else replace(view, stamp=view.stamp - offset)), changed

    def sentence(self, camera: str) -> str:
        """What was done with its clock; '' = nothing."""
        offset = self.offset_s.get(camera)
        if offset is None:
            return ''
        return (f"its clock is {abs(offset):.2f} s {'ahead of' if offset > 0 else 'behind'} the other cameras': put "
                'right by how people move; synchronise the hosts (chrony, PTP) to be rid of that')

    def _set_anew(self, camera: str) -> None:
        """Where the clock of a camera that was put right was set since, it is to be measured anew."""
        newest = list(self._views[camera])[-_SET_ANEW:]
        if camera not in self.offset_s or len(newest) < _SET_ANEW:
            return
        if abs(median(v.stamp - came for v, came in newest) - self._begun[camera]) > _AGREE_S:
            del self.offset_s[camera], self._begun[camera]
            self._views[camera].clear()
            self._changed.add(camera)
            self._pause = _EVERY_S

    def _look(self, now_s: float) -> None:
        living = {c: views for c, views in self._views.items() if views and now_s - views[-1][1] < _SILENT_S}
        if len(living) < 2 or any(views[-1][1] - views[0][1] < _ENOUGH_S for views in living.values()):
            return                                          # who is right is asked of all of them
        ahead = {c: median(v.stamp - came for v, came in views) for c, views in living.items()}
        near = {c: [d for d in ahead.values() if abs(d - ahead[c]) <= _AGREE_S] for c in ahead}
        # most cameras are right; of two halves, the one whose stamps are of this host's clock
        reference = max(sorted(ahead), key=lambda c: (len(near[c]), c not in self.offset_s, -abs(ahead[c])))
        base = ahead[reference]
        unknown = [c for c in ahead if abs(ahead[c] - base) > _AGREE_S and c not in self.offset_s]
        if not unknown:
            self._pause = _EVERY_S
            return
        # a slow way stays one: it is asked less and less often
        self._pause = min(1.5 * self._pause, _SELDOM_S)
        agree = [c for c in ahead if abs(ahead[c] - base) <= _AGREE_S and c != reference]
        about = {**dict.fromkeys((reference, *agree[:_WITNESSES]), 0.), **{c: ahead[c] - base for c in unknown}}
        tracks = tracks_of_views(v for c in about for v, _ in self._views[c])
        found = self._measure(tracks, reference, about, _WAY_S)
        for c in unknown:
            offset = found.get(c)
            if offset is not None and abs(offset) > _AGREE_S:
                self.offset_s[c], self._begun[c] = offset, ahead[c]
                self._changed.add(c)
                self._pause = _EVERY_S
