# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The thread that owns view buffer and estimator: views in, results out, the executor never waits."""
from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.check import Finding, ViewCheck
from ..core.clock_correction import ClockCorrection
from ..core.estimator import EstimatorStatus
from ..core.observation import MultiView, Skeleton3D, View2D
from ..core.rig import Rig
from ..core.view_buffer import CameraStream, ViewBuffer, ViewBufferConfig
from .freshness import Freshness
from .meters import Meter
from .thread_end import stuck

__all__ = ['FusionWorker', 'Result']

#: how often the buffer is asked what has waited long enough, s
_POLL_S = 0.02
#: views that may wait: two seconds of 16 cameras at 30 Hz; beyond, the oldest go
_MOST_VIEWS = 960
#: instants that may wait for the estimator: one that is slower than the cameras must not fall behind without end
_MOST_INSTANTS = 60
#: instants after which what the check of the views counted weighs half, and between two looks at what follows from it
_CHECK_WINDOW, _CHECK_EVERY = 900, 15
#: share of the longest age that is left for building and sending the messages
_KEPT = .2
#: younger instants than what is left of it are always tried
_MOST_KEPT = .7
#: of the time that fusing takes: weight of the newest instant
_SMOOTH = .2
#: an estimator that cannot be made is tried again after this, s
_TRY_AGAIN_S = 1.


@dataclass(frozen=True)
class Result:
    """What the estimator returned for one instant.

    Attributes:
        stamp: acquisition time of the instant, s.
        rig: as of then, None = none that is trusted.
    """

    stamp: float
    people: tuple[Skeleton3D, ...]
    status: EstimatorStatus
    rig: Rig | None


class FusionWorker:
    """Runs until `close`.

    Args:
        make_estimator: given the rig to start from, or None; makes an `Estimator`, or what has the same methods.
        deliver: called with each result, in the worker's thread.
        failed: called with what the estimator (a defect) or `deliver` raised; the estimator then begins anew
            with the rig it had.
        now_s: the node's clock; 0 = simulated time that has not begun: then the stamps alone count.
        correct_clocks: stamps of cameras whose clocks are off are put right, see `core.clock_correction`.
        max_age_s: results older than this are not delivered, and instants not even fused; 0 = all are.

    Attributes:
        status: newest.  rig: newest, None = none that is trusted.
        known: the last rig that was trusted, or the one to start from; the estimator may be checking it.
        instants: one event per instant fused, value = its number of views.
        skipped: instants and views left out because the estimator was behind.
        late: one event per result that was older than `max_age_s` when it could have been handed on, and was not.
        epochs: how often time began anew (clock jumped back, bag looped).
        clocks: by camera whose clock is put right: a sentence on that.
        findings: what is wrong with what the cameras deliver, as a recording of it would be checked.
    """

    def __init__(self, config: ViewBufferConfig, make_estimator: Callable[[Rig | None], Any], rig: Rig | None,
                 deliver: Callable[[Result], None], failed: Callable[[Exception], None],
                 now_s: Callable[[], float], max_age_s: float = 0., correct_clocks: bool = False) -> None:
        self._make = make_estimator
        self._deliver, self._failed = deliver, failed
        self._now: Callable[[], float | None] = lambda: now_s() or None
        self._estimator: Any = make_estimator(rig)
        self.status: EstimatorStatus = self._estimator.status
        self.rig: Rig | None = self._estimator.rig
        self.known = rig
        self.instants, self.skipped, self.epochs = Meter(), 0, 0
        self.streams: Mapping[str, CameraStream] = {}
        self.findings: tuple[Finding, ...] = ()
        self.clocks: Mapping[str, str] = {}
        self._check = ViewCheck(_CHECK_WINDOW)
        self._buffer = ViewBuffer(config)
        self._clocks = ClockCorrection() if correct_clocks else None
        # an instant may wait for a camera, and must not be late for that alone
        self._fresh = Freshness(max(max_age_s, 2 * config.max_wait_s) if max_age_s else 0.)
        self._views: deque[tuple[View2D, float, float | None]] = deque()
        self._received: dict[tuple[str, float], float] = {}
        self._next_try = self._takes = 0.
        self._changed = threading.Condition()
        self._forget = self._ending = False
        self._action: Callable[[Any], None] | None = None
        self._thread = threading.Thread(target=self._run, name='fusion', daemon=True)
        self._thread.start()

    @property
    def late(self) -> Meter:
        """See the class."""
        return self._fresh.late

    def submit(self, view: View2D, received: float | None = None) -> None:
        """Hand over a view that came at the monotonic time `received`, s (None = now); returns at once."""
        with self._changed:
            self._views.append((view, time.monotonic() if received is None else received, self._now()))
            if len(self._views) > _MOST_VIEWS:
                self._views.popleft()
                self.skipped += 1
            self._changed.notify()

    def between(self, action: Callable[[Any], None]) -> None:
        """Have something done with the estimator before the next view, in the worker's thread; the newest counts."""
        with self._changed:
            self._action = action
            self._changed.notify()

    def reset(self) -> None:
        """Forget people, history and rig, before the next view."""
        with self._changed:
            self._forget = True
            self._changed.notify()

    def close(self) -> str:
        """End the thread and the estimator; '' or a sentence: it is stuck, left behind, and delivers nothing."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        left = stuck([self._thread])
        if not left and self._estimator is not None:
            self._estimator.close()
        return left

    def _run(self) -> None:
        while True:
            with self._changed:
                if not (self._views or self._ending or self._forget):
                    self._changed.wait(_POLL_S)
                if self._ending:
                    return
                views, self._views = self._views, deque()
                forget, self._forget = self._forget, False
                action, self._action = self._action, None
            try:
                if forget:
                    self._begin_check()
                    self.known = None
                if self._estimator is None:
                    self._begin_anew()
                elif forget:
                    self._estimator.reset()
                    self._read()
                if action is not None and self._estimator is not None:
                    action(self._estimator)
                self._step(views)
            except Exception as error:  # noqa: BLE001 - a thread that dies silently would end the skeletons
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Report what was raised and throw the estimator away; the next views get a new one."""
        failed, self._estimator = self._estimator, None
        for action in (lambda: self._failed(error), lambda: failed is not None and failed.close()):
            try:
                action()
            except Exception:  # noqa: BLE001 - it is about the first error
                continue

    def _begin_anew(self) -> None:
        """A new estimator with the rig that is known; one that cannot be made is tried once a second."""
        if time.monotonic() >= self._next_try:
            self._next_try = time.monotonic() + _TRY_AGAIN_S
            self._estimator = self._make(self.known)
            self._next_try = 0.
            self._read()

    def _step(self, views: deque[tuple[View2D, float, float | None]]) -> None:
        due: list[MultiView] = []
        for came, received, arrival_s in views:
            view = self._in_time(came, arrival_s)
            # both clocks as of now: the view may have waited here
            self._fresh.observe(view.stamp, received, self._now())
            self._received[view.camera, view.stamp] = received
            due += self._buffer.add(view, arrival_s)
        now = self._now()
        if now is not None:
            due += self._buffer.poll(now)
        if self._buffer.epoch != self.epochs:
            self._begin_check()
        self.streams, self.epochs = self._buffer.cameras, self._buffer.epoch
        if len(due) > _MOST_INSTANTS:
            self.skipped += len(due) - _MOST_INSTANTS
            due = due[-_MOST_INSTANTS:]
        if self._estimator is None:
            self.skipped += len(due)
            return
        for instant in due:
            received = self._came(instant)
            if not self._fresh.is_late(instant.stamp, received, self._now(), self._kept()):
                begin = time.monotonic()
                self._fuse(instant, received)
                self._takes += _SMOOTH * (time.monotonic() - begin - self._takes)

    def _in_time(self, view: View2D, arrival_s: float | None) -> View2D:
        if self._clocks is None or arrival_s is None:
            return view
        view, changed = self._clocks.correct(view, arrival_s)
        if changed:
            self._buffer.set_anew(view.camera)
            self.clocks = {c: self._clocks.sentence(c) for c in self._clocks.offset_s}
        return view

    def _kept(self) -> float:
        """Share of the longest age that fusing will take: an instant that would be late by then is not begun.

        Else an estimator that is too slow would always work on the oldest that is not late yet, and never be in time.
        """
        return 0. if not self._fresh.limit_s else min(_KEPT + self._takes / self._fresh.limit_s, _MOST_KEPT)

    def _begin_check(self) -> None:
        self._check, self.findings = ViewCheck(_CHECK_WINDOW), ()

    def _fuse(self, instant: MultiView, received: float) -> None:
        self._check.add(instant)
        if self.instants.total % _CHECK_EVERY == 0:
            self.findings = tuple(self._check.findings())
        people = self._estimator.update(instant)
        self._read()
        self.instants.add(len(instant.views))
        if self._ending or self._fresh.is_late(instant.stamp, received, self._now(), _KEPT):
            return
        stamp = people[0].stamp if people else instant.stamp         # older than the instant with a smoother's lag
        self._deliver(Result(stamp, tuple(people), self.status, self.rig))

    def _came(self, instant: MultiView) -> float:
        """When the first of its views came, monotonic, s."""
        came = min((self._received.pop((v.camera, v.stamp), math.inf) for v in instant.views), default=math.inf)
        while len(self._received) > _MOST_VIEWS:            # of views that are in no instant
            del self._received[next(iter(self._received))]
        return min(came, time.monotonic())

    def _read(self) -> None:
        """Take over status and rig; a rig that is the same stays the same object, so that `is` finds a new one."""
        rig = self._estimator.rig
        if rig is None or self.rig is None or not _same(rig, self.rig):
            self.rig = rig
        self.known = self.rig or self.known
        self.status = self._estimator.status


def _same(a: Rig, b: Rig) -> bool:
    return a.cameras == b.cameras and all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True)
                                          for n in ('stamp', 'quality', 'R', 't', 'K', 'distortion'))
