# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the stamps of several cameras tell: rates, lags, who is gone, whose clock is wrong, when time restarts."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median_low

from .observation import View2D

__all__ = ['Admission', 'CameraClock', 'StreamClock']

_LEAST_PERIOD_S = 2e-3                  # stamps in bursts are no frame rate
_PATIENCE = 2.5                         # of its own periods: a slower camera is not gone between two views
_FORGET = 2e-3                          # of what a camera's clock was ahead at best: per view


@dataclass
class CameraClock:
    """One camera's stamps.

    Attributes:
        newest: stamp of its newest accepted view, s.
        period: median time between its views, s.
        lag: how far its views come behind the newest of all cameras: running maximum, s.
        ahead: its stamps against the host's time of arrival: running maximum, s; views that are late for a while do
            not make its clock a slow one.
        arrived: host time of its newest view, s.
        seen: stamp of its newest view, used or not, since time began anew for it, s.
        recent: of its newest views, whether they came in time for their instant.
        views, late, dropped, note: see `view_buffer.CameraStream`.
    """

    newest: float | None = None
    period: float | None = None
    lag: float | None = None
    ahead: float | None = None
    arrived: float | None = None
    seen: float | None = None
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=30))
    steps: deque[float] = field(default_factory=lambda: deque(maxlen=15))
    views: int = 0
    late: int = 0
    dropped: int = 0
    note: str = ''

    def forget(self) -> None:
        """Time began anew for this camera."""
        self.newest = self.period = self.lag = self.seen = None
        self.steps.clear()


@dataclass(frozen=True)
class Admission:
    """Which views may be grouped now. restart: they are of another time; backwards: of an earlier one."""

    views: tuple[View2D, ...] = ()
    restart: bool = False
    backwards: bool = False


class StreamClock:
    """Judges views by their stamps, in the order of arrival.

    Attributes:
        cameras: by name.
        newest: newest stamp of the cameras whose clocks agree, s.
        now: newest host time that was told, s.
    """

    def __init__(self, agree_s: float, gone_after_s: float, jump_s: float) -> None:
        self._agree_s, self._gone_after_s, self._jump_s = agree_s, gone_after_s, jump_s
        self.cameras: dict[str, CameraClock] = {}
        self.newest: float | None = None
        self.now: float | None = None
        self._pending: list[View2D] = []               # views of another time than the rest of the cameras
        self._stayed: set[str] = set()                 # cameras that went on as before since then

    def alive(self, name: str) -> bool:
        """Whether it delivered within `gone_after_s`, or its own period if that is longer, in the common time."""
        c = self.cameras[name]
        if c.newest is None or self.newest is None:
            return False
        silent = self.newest - c.newest
        if self.now is not None and c.arrived is not None:
            silent = max(silent, self.now - c.arrived)
        return silent <= self._patience_s(c)

    def _patience_s(self, c: CameraClock) -> float:
        return max(self._gone_after_s, _PATIENCE * (c.period or 0.))

    def living(self) -> Iterator[tuple[str, CameraClock]]:
        """The cameras that are alive."""
        return ((n, c) for n, c in self.cameras.items() if self.alive(n))

    def admit(self, view: View2D, now_s: float | None) -> Admission:
        """Judge one view that arrived at host time `now_s`, s."""
        c = self.cameras.setdefault(view.camera, CameraClock())
        if now_s is not None:
            self.now = now_s
            if self._is_ahead(view, c, now_s):
                c.dropped += 1
                return Admission()
        goes_on = c.seen is not None and view.stamp > c.seen
        c.seen = view.stamp
        if self.newest is not None and abs(view.stamp - self.newest) > self._jump_s:
            if view.stamp < self.newest and goes_on and all(v.camera != view.camera for v in self._pending):
                return self._too_late(view, c)
            return self._other_time(view)
        if self._pending:
            self._stay(view.camera)
        return Admission((view,)) if self._take(view, c) else Admission()

    def set_anew(self, camera: str) -> None:
        """Forget what the stamps of a camera showed of its clock."""
        c = self.cameras.get(camera)
        if c is not None:
            c.forget()
            c.ahead, c.note = None, ''
            self._pending = [v for v in self._pending if v.camera != camera]

    def settle(self) -> Admission:
        """At the end of a stream: views of another time that nobody contradicted are good."""
        return self._switch(self._pending[-1].stamp) if self._pending and not self._stayed else Admission()

    def _take(self, view: View2D, c: CameraClock) -> bool:
        if c.newest is not None and view.stamp <= c.newest:
            c.dropped += 1
            return False
        lag = 0. if self.newest is None else max(self.newest - view.stamp, 0.)
        c.lag = lag if c.lag is None else max(lag, c.lag + .05 * (lag - c.lag))
        if c.newest is not None:
            c.steps.append(view.stamp - c.newest)               # one pause among them is no period
            c.period = max(median_low(c.steps), _LEAST_PERIOD_S)
        c.newest, c.arrived, c.note = view.stamp, self.now, ''
        self.newest = view.stamp if self.newest is None else max(self.newest, view.stamp)
        return True

    def _is_ahead(self, view: View2D, camera: CameraClock, now_s: float) -> bool:
        """Stamps from the future that the other cameras do not share: they would make all others late."""
        ahead = view.stamp - now_s
        camera.ahead = ahead if camera.ahead is None else max(ahead, camera.ahead + _FORGET * (ahead - camera.ahead))
        camera.arrived = now_s
        others = sorted(c.ahead for c in self.cameras.values()
                        if c is not camera and c.ahead is not None and c.arrived is not None
                        and now_s - c.arrived <= self._patience_s(c))
        if not others or ahead <= 0 or ahead - others[(len(others) - 1) // 2] <= self._agree_s:
            return False
        camera.note = (f'its clock is {ahead:.2f} s ahead of this host and of the other cameras; its views are '
                       'left out until the clocks are synchronised (chrony, PTP), or correct_clocks is set')
        camera.forget()
        return True

    def _too_late(self, view: View2D, c: CameraClock) -> Admission:
        """A camera whose own stamps go on as before, far behind the others': it sends late, its clock is good."""
        assert self.newest is not None
        c.late += 1
        c.arrived = self.now
        c.recent.append(False)
        c.note = (f'its views come {self.newest - view.stamp:.1f} s after those of the other cameras, too late for any '
                  'instant; they are left out until it has caught up: look for what delays it (load, network)')
        return Admission()

    def _other_time(self, view: View2D) -> Admission:
        """A view far from the other cameras' time: wait for who follows; then go there, or leave it out."""
        if not self._pending:
            self._stayed.clear()
        self._pending.append(view)
        jumped = {v.camera for v in self._pending}
        self._stayed -= jumped
        others = any(n not in jumped for n, _ in self.living())
        near = [v for v in self._pending if abs(v.stamp - view.stamp) <= self._jump_s]
        agree = len({v.camera for v in near})
        alone = not self._stayed and view.stamp - near[0].stamp >= .9 * self._gone_after_s
        if not others or alone or agree > max(1, len(self._stayed)):
            return self._switch(view.stamp)
        self._leave_out()
        return Admission()

    def _stay(self, camera: str) -> None:
        """This camera goes on in the common time; if its clock had jumped, it came back."""
        for v in self._pending:
            self.cameras[camera].dropped += v.camera == camera
        self._pending = [v for v in self._pending if v.camera != camera]
        self._stayed.add(camera)
        self._leave_out()

    def _leave_out(self) -> None:
        """Once as many cameras stayed as jumped: those that jumped get a note; only their newest view is kept."""
        newest = {v.camera: v for v in self._pending}
        if len(self._stayed) < max(1, len(newest)) or self.newest is None:
            return
        for name, view in newest.items():
            c, off = self.cameras[name], view.stamp - self.newest
            c.dropped += sum(v.camera == name for v in self._pending) - 1
            jumped = 'jumped and ' if c.newest is not None or 'jumped' in c.note else ''
            side = 'ahead of' if off > 0 else 'behind'
            c.note = (f"its clock {jumped}is {abs(off):.1f} s {side} the other cameras'; its views are "
                      'left out until the clocks agree')
            c.forget()
        self._pending = list(newest.values())

    def _switch(self, stamp: float) -> Admission:
        """Go to the time of the pending views around this stamp."""
        views, self._pending = self._pending, []
        self._stayed.clear()
        backwards = self.newest is not None and stamp < self.newest
        if backwards:
            for c in self.cameras.values():
                c.forget()
        self.newest = None
        taken = []
        for v in views:
            c = self.cameras[v.camera]
            if abs(v.stamp - stamp) > self._jump_s:
                c.dropped += 1
            elif self._take(v, c):
                taken.append(v)
        return Admission(tuple(taken), True, backwards)
