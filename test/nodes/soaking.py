# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the long runs among faults share: the run, what is watched meanwhile, and the report of it; see soak.py."""
from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_world import Process, World
from std_srvs.srv import Trigger

__all__ = ['PARAMETERS', 'RATE_HZ', 'Report', 'Soak']

RATE_HZ = 15.
#: no diagnostics for so long: the node hangs, s
HUNG_S = 30.
PARAMETERS = {'diagnostics_period_s': '0.5', 'stale_after_s': '1.0', 'startup_s': '0.0'}
TRANSITIONS = {'configure': 1, 'cleanup': 2, 'activate': 3, 'deactivate': 4}


@dataclass
class Report:
    """What was found.

    Attributes:
        unseen: faults that were not in the diagnostics within the patience, with how long was waited.
        seen_s: for each fault that was seen, after how long.
        oldest_s: age of the oldest message of people at its publication.
        late: messages older than 0.5 s; late_at: each of them, with how long this run, which needs next to nothing, was
            itself held up in the second before: the machine had other work.
        growth_mb: of the node's memory, from the end of the warm-up to the end.
        people: messages of people, by how many are in them (fusion_node).
        reloads: how often the model was loaded anew while the node worked.  refused: answers of those that were not.
    """

    faults: int = 0
    unseen: list[str] = field(default_factory=list)
    seen_s: list[float] = field(default_factory=list)
    oldest_s: float = 0.
    late: int = 0
    late_at: list[str] = field(default_factory=list)
    held_up_s: float = 0.
    messages: int = 0
    growth_mb: float = 0.
    memory_mb: list[float] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    ended: bool = False
    hung: bool = False
    people: Counter[int] = field(default_factory=Counter)
    reloads: int = 0
    refused: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f'faults made {self.faults}, not seen in the diagnostics in time: {len(self.unseen)}'
        yield from (f'  {u}' for u in self.unseen)
        if self.seen_s:
            yield f'seen after: median {np.median(self.seen_s):.2f} s, at most {max(self.seen_s):.2f} s'
        yield f'messages heard {self.messages}, oldest {self.oldest_s:.3f} s, older than 0.5 s: {self.late}'
        yield from (f'  {w}' for w in self.late_at[:20])
        if self.people:
            yield 'people in them: ' + ', '.join(f'{n} in {self.people[n]}' for n in sorted(self.people))
        yield f'this run itself was held up for at most {self.held_up_s:.2f} s by other work of the machine'
        yield (f'memory {self.memory_mb[0] if self.memory_mb else 0:.0f} MB after the start, {self.growth_mb:+.1f} MB '
               'from the end of the warm-up to the end')
        yield f'exceptions in the log: {len(self.exceptions)}; node ended by itself: {self.ended}, hung: {self.hung}'
        yield from (f'  {e}' for e in self.exceptions[:5])
        yield f'model loaded anew {self.reloads} times, refused or without an answer: {len(self.refused)}'
        yield from (f'  {r}' for r in self.refused[:5])


class Camera(Protocol):
    """What a soak wants of a camera."""

    name: str

    def send(self, number: int, now: float) -> None:
        """Publish image or keypoints `number`; `now` is monotonic, s."""
        ...


class Soak:
    """Runs for so long.

    Args:
        node: name of the node under test.  heard: topics of people whose ages are watched.
        every_s, anew_s, reload_s: from fault to fault, from one configuring anew, and one loading of the model, to the
            next.
        patience_s: a fault has to be in the diagnostics by then.
    """

    cameras: Sequence[Any]

    def __init__(self, world: World, process: Process, node: str, seconds: float, seed: int, every_s: float,
                 patience_s: float, anew_s: float, reload_s: float) -> None:
        self.world, self.process, self.report = world, process, Report()
        self.seconds, self.random, self.every_s, self.patience_s = seconds, random.Random(seed), every_s, patience_s
        self.change = world.node.create_client(ChangeState, f'/{node}/change_state')
        self.set = world.node.create_client(SetParameters, f'/{node}/set_parameters')
        self.watch: list[tuple[str, float, Callable[[], bool]]] = []
        self.later: list[tuple[float, Callable[[], Any]]] = []
        self.anew_s, self.reload_s, self.reported = anew_s, reload_s, time.monotonic()
        self.reload = world.node.create_client(Trigger, f'/{node}/reload_model')
        self.answers: list[Any] = []
        self.begin, self.held_up = time.monotonic(), deque[tuple[float, float]](maxlen=100)
        world.listen('/diagnostics', DiagnosticArray, self._reports)

    @property
    def faults(self) -> Sequence[Callable[[Any], None]]:
        """What can go wrong; each takes the camera that it befalls."""
        return [self.odd_request, self.odd_parameters]

    def _age(self, age_s: float) -> None:
        """A message of people was published so long after what it is of."""
        self.report.messages += 1
        if age_s > .5:
            self.report.late += 1
            now = time.monotonic()
            held = max((s for at, s in self.held_up if at > now - age_s - 1.), default=0.)
            self.report.late_at.append(f'at {now - self.begin:.0f} s: {age_s:.2f} s old; this run was held up for '
                                       f'{held:.2f} s')
        self.report.oldest_s = max(self.report.oldest_s, age_s)

    def _reports(self, message: DiagnosticArray) -> None:
        self.reported = time.monotonic()

    def _says(self, entry: str, *words: str) -> Callable[[], bool]:
        def told() -> bool:
            status = [s for name, s in self.world.status.items() if name.endswith(entry)]
            return any(w in s.message for s in status for w in words)
        return told

    def _expect(self, what: str, told: Callable[[], bool]) -> None:
        self.report.faults += 1
        self.watch.append((what, time.monotonic(), told))

    def _after(self, wait_s: float, action: Callable[[], Any]) -> None:
        self.later.append((time.monotonic() + wait_s, action))

    # -- what goes wrong with every node

    def odd_request(self, camera: Any) -> None:
        request = ChangeState.Request()
        request.transition.id = self.random.choice([77, 1, 255])
        self.change.call_async(request)
        self._expect('a transition that cannot be', self._says('program', 'cannot be served'))

    def odd_parameters(self, camera: Any) -> None:
        for name, kind in (('max_people', ParameterType.PARAMETER_DOUBLE), ('stale_after_s', 200), ('', 4),
                           ('nothing', 2)):
            value = ParameterValue(type=kind, double_value=float('inf'))
            self.set.call_async(SetParameters.Request(parameters=[Parameter(name=name, value=value)]))

    def configure_anew(self) -> None:
        for i, word in enumerate(('deactivate', 'cleanup', 'configure', 'activate')):
            request = ChangeState.Request()
            request.transition.id = TRANSITIONS[word]
            self.later.append((time.monotonic() + .3 * i, lambda r=request: self.change.call_async(r)))

    # -- the run

    def _memory_mb(self) -> float:
        pages = int(Path(f'/proc/{self.process.process.pid}/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE') / 2**20

    def run(self) -> Report:
        """Until the time is over, or the node ended."""
        faults = self.faults
        queue: list[Any] = []
        begin, number, memory = time.monotonic(), 0, []
        self.begin = begin
        next_fault, next_look, next_anew = begin + min(6., 3 * self.every_s), begin + 5., begin + self.anew_s
        next_reload = begin + .5 * self.reload_s            # not while it is configured anew
        while (now := time.monotonic()) < begin + self.seconds or self.watch:
            if self.process.process.poll() is not None:
                self.report.ended = True
                break
            if now - self.reported > HUNG_S:
                self.report.hung = True
                self.process.end(signal.SIGABRT)            # faulthandler writes where it stands
                break
            number = max(number + 1, int((now - begin) * RATE_HZ))
            for camera in self.cameras:
                camera.send(number, now)
            due = [action for at, action in self.later if at <= now]
            self.later = [(at, action) for at, action in self.later if at > now]
            for action in due:
                action()
            for entry in list(self.watch):
                what, since, told = entry
                if told():
                    self.report.seen_s.append(now - since)
                    self.watch.remove(entry)
                elif now - since > self.patience_s:
                    self.report.unseen.append(f'at {since - begin:.0f} s: {what}')
                    self.watch.remove(entry)
            if now > next_anew:
                next_anew = now + self.anew_s
                self.configure_anew()
                next_fault = now + 6.
            if now > next_reload:
                next_reload += self.reload_s
                self.answers.append(self.reload.call_async(Trigger.Request()))
            if next_fault < now < min(begin + self.seconds, next_anew - 3.):
                next_fault = now + self.every_s
                # each kind once before any comes again
                queue = queue or self.random.sample(faults, len(faults))
                queue.pop()(self.random.choice(self.cameras))
            if now > next_look:
                next_look = now + 2.
                memory.append((now - begin, self._memory_mb()))
            due_at = begin + (number + 1) / RATE_HZ
            time.sleep(max(0., due_at - time.monotonic()))
            held = time.monotonic() - due_at
            self.held_up.append((due_at, held))
            self.report.held_up_s = max(self.report.held_up_s, held)
        return self._closed(memory)

    def _closed(self, memory: list[tuple[float, float]]) -> Report:
        r = self.report
        r.reloads = len(self.answers)
        r.refused = ['no answer' if not a.done() else a.result().message for a in self.answers
                     if not a.done() or not a.result().success]
        r.memory_mb = [m for _, m in memory]
        warm = [m for t, m in memory if t > .25 * self.seconds]
        if len(warm) >= 10:
            fifth = len(warm) // 5
            r.growth_mb = float(np.median(warm[-fifth:]) - np.median(warm[:fifth]))
        text = self.process.text
        r.exceptions = [line for line in text.splitlines() if 'Traceback' in line or 'defect of this program' in line]
        return r
