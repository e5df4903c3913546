# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Free-running cameras of any rate -> instants: which views belong together, who is late, who is gone.

Nothing is interpolated here: every view keeps its own stamp, and an instant is merely a set of views that were
taken close to each other, at most one per camera. A view belongs to exactly one instant or is dropped and counted.
"""
from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from .observation import MultiView, View2D
from .stream_clock import Admission, CameraClock, StreamClock

__all__ = ['CameraStream', 'ViewBuffer', 'ViewBufferConfig', 'replay']

_FIRST_PERIOD_S = 1 / 30.               # until a camera has shown its own
_WHOLE_PERIOD = .95                     # views further apart than this share of a period are of different instants
_NEARER = .15                           # worth another instant: nearer by this share of a period
_FEW, _MANY = 10, .3                    # of so many views, this share that is late is worth a word
_STEP_S = 1e-6                          # instants of interleaved cameras stay in order by at least this


@dataclass(frozen=True)
class ViewBufferConfig:
    """Waiting and patience.

    Attributes:
        max_wait_s: an instant waits no longer than this for a camera, after its first view came.
        gone_after_s: a camera that was silent for this long, and for its own period, is gone and not waited for, until
            it comes back.
        jump_s: a stamp further away from the other cameras' than this is a clock that jumped, or a bag that loops.
    """

    max_wait_s: float = .05
    gone_after_s: float = 1.
    jump_s: float = 1.


@dataclass(frozen=True)
class CameraStream:
    """What the buffer knows of one camera.

    Attributes:
        rate_hz: from the median time between its views; 0 until two came, and when gone.
        views: given out or waiting in an instant.
        late: came after their instant had been given out, and were dropped.
        dropped: out of order, twice the same stamp, or by a clock that does not agree with the others'.
        gone: silent for `gone_after_s`, and for more than its own period.
        note: '' or a sentence: what is wrong with its clock, or that most of its views come too late.
    """

    rate_hz: float
    views: int
    late: int
    dropped: int
    gone: bool
    note: str


@dataclass
class _Group:
    views: dict[str, View2D]
    first: float
    last: float
    opened: float | None                # host time, s

    def add(self, view: View2D) -> None:
        self.views[view.camera] = view
        self.first, self.last = min(self.first, view.stamp), max(self.last, view.stamp)


class ViewBuffer:
    """Groups views into instants as they arrive. Not thread safe: one caller at a time.

    Attributes:
        epoch: grows by one whenever time began anew (all clocks jumped back, a bag loops): then whoever holds
            history, such as the estimator, starts anew as well. What `add` returns along with a new epoch are the
            instants that were still open before, if any, and then those of the new time.
    """

    def __init__(self, config: ViewBufferConfig | None = None) -> None:
        self.config = config or ViewBufferConfig()
        self.epoch = 0
        self._clock = StreamClock(self.config.max_wait_s, self.config.gone_after_s, self.config.jump_s)
        self._open: list[_Group] = []
        self._given: float | None = None               # stamp of the last instant given out
        self._began: float | None = None               # first stamp of this time, s

    def add(self, view: View2D, now_s: float | None = None) -> list[MultiView]:
        """Take one view, in the order of arrival, and return the instants that it completes, oldest first.

        Args:
            view: one image's people.
            now_s: host time of its arrival on the clock of the stamps, s. With it, waiting is measured in real
                time, and a camera whose clock is ahead is told from others that are late. Leave it out to depend
                on the stamps alone.
        """
        admission = self._clock.admit(view, now_s)
        out = self._begin_anew(admission) if admission.restart else []
        for v in admission.views:
            c = self._clock.cameras[v.camera]
            fits = self._place(v)
            c.recent.append(fits)
            if fits:
                c.views += 1
            else:
                c.late += 1
            out += self._ready()
        return out

    def set_anew(self, camera: str) -> None:
        """The next views of this camera are of another clock, or of the same one put right."""
        self._clock.set_anew(camera)

    def poll(self, now_s: float) -> list[MultiView]:
        """Instants that have waited long enough at host time `now_s`, s (the clock given to `add`)."""
        self._clock.now = now_s
        for group in self._open:
            if group.opened is None:
                group.opened = now_s
        return self._ready()

    def flush(self) -> list[MultiView]:
        """All that is still waiting, complete or not."""
        admission = self._clock.settle()
        out = self._begin_anew(admission) if admission.restart else []
        for v in admission.views:
            self._clock.cameras[v.camera].views += self._place(v)
        return out + self._give_all()

    @property
    def cameras(self) -> Mapping[str, CameraStream]:
        """Every camera that ever delivered, by name."""
        out = {}
        for name, c in sorted(self._clock.cameras.items()):
            gone = not self._clock.alive(name) and not c.note
            rate = 0. if gone or c.period is None else 1. / c.period
            out[name] = CameraStream(rate, c.views, c.late, c.dropped, gone, c.note or _delay(c))
        return out

    def _begin_anew(self, admission: Admission) -> list[MultiView]:
        out = self._give_all()
        self._began = None
        if admission.backwards:
            self.epoch += 1
            self._given = None
        return out

    def _period(self) -> float:
        """Of the fastest camera, s."""
        return min((c.period for _, c in self._clock.living() if c.period is not None), default=_FIRST_PERIOD_S)

    def _place(self, view: View2D) -> bool:
        """Put a view into the nearest open instant that may have it, or open one; False = too late."""
        if self._began is None:
            self._began = view.stamp
        period, start = self._period(), 0
        for i, g in enumerate(self._open):
            if view.camera in g.views:
                start = i + 1                           # a camera's views stay in order
        best: tuple[float, _Group] | None = None
        for g in self._open[start:]:
            gap = max(g.first - view.stamp, view.stamp - g.last, 0.)
            if (best is None or gap < best[0]) and self._fits(view.camera, view.stamp, g, period):
                best = gap, g
        if best is not None:
            best[1].add(view)
            return True
        if self._given is not None and view.stamp < self._given - .25 * period:
            return False
        at = start
        while at < len(self._open) and self._open[at].first < view.stamp:
            at += 1
        self._open.insert(at, _Group({view.camera: view}, view.stamp, view.stamp, self._clock.now))
        return True

    def _fits(self, camera: str, stamp: float, g: _Group, period: float) -> bool:
        """Whether a view of this camera at this stamp is better off in `g` than in the instant after it."""
        span = max(g.last, stamp) - min(g.first, stamp)
        if span <= .5 * period:
            return True
        if span > _WHOLE_PERIOD * period:
            return False
        for name in g.views:                            # the next views of its members may be nearer
            c = self._clock.cameras[name]
            if name != camera and c.newest is not None and c.period is not None and c.newest <= stamp:
                if c.newest + c.period - stamp + _NEARER * period < stamp - g.last:
                    return False
        return True

    def _awaited(self, g: _Group) -> bool:
        """Whether a view of this instant may still come."""
        newest, max_wait = self._clock.newest, self.config.max_wait_s
        if newest is None or self._began is None:
            return False
        if newest - self._began < max_wait and newest - g.first <= max_wait:
            return True                                 # cameras that nobody knows yet
        period = self._period()
        for name, c in self._clock.living():
            if name in g.views or c.newest is None or c.newest >= g.last:
                continue
            expected, patience = g.first, max_wait
            if c.period is not None:
                periods = max(1., -((c.newest - g.first + .5 * period) // c.period))
                expected = c.newest + periods * c.period
                patience = (c.lag or 0.) + .5 * period  # it never came later than that
            if newest <= min(expected + patience, g.first + max_wait) and self._fits(name, expected, g, period):
                return True
        return False

    def _ready(self) -> list[MultiView]:
        out: list[MultiView] = []
        now = self._clock.now
        while self._open:
            g = self._open[0]
            waited = now is not None and g.opened is not None and now - g.opened >= self.config.max_wait_s
            if not waited and self._awaited(g):
                break
            out.append(self._give())
        return out

    def _give(self) -> MultiView:
        g = self._open.pop(0)
        stamp = float(median(v.stamp for v in g.views.values()))
        if self._given is not None:
            stamp = max(stamp, self._given + _STEP_S)
        self._given = stamp
        missing = tuple(sorted(n for n, _ in self._clock.living() if n not in g.views))
        return MultiView(stamp, tuple(g.views[n] for n in sorted(g.views)), missing)

    def _give_all(self) -> list[MultiView]:
        return [self._give() for _ in range(len(self._open))]


def _delay(c: CameraClock) -> str:
    missed = len(c.recent) - sum(c.recent)
    if len(c.recent) < _FEW or missed < _MANY * len(c.recent):
        return ''
    return (f'{missed} of its newest {len(c.recent)} views came after their instant had been given out, '
            f'{c.lag or 0.:.2f} s behind the other cameras; raise max_wait_s, or look for what delays it')


def replay(views: Iterable[View2D], config: ViewBufferConfig | None = None) -> Iterator[MultiView]:
    """Instants of a recording, from the stamps alone: the same views give the same, in any order of arrival.

    Views may come up to `config.jump_s` out of order; a larger step back is a recording that begins anew.
    """
    buffer = ViewBuffer(config)
    waiting: list[tuple[float, str, int, View2D]] = []
    newest, horizon = float('-inf'), buffer.config.jump_s
    for i, view in enumerate(views):
        begins_anew = view.stamp < newest - horizon
        newest = view.stamp if begins_anew else max(newest, view.stamp)
        while waiting and (begins_anew or waiting[0][0] < newest - horizon):
            yield from buffer.add(heapq.heappop(waiting)[-1])
        heapq.heappush(waiting, (view.stamp, view.camera, i, view))
    while waiting:
        yield from buffer.add(heapq.heappop(waiting)[-1])
    yield from buffer.flush()
