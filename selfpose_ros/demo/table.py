# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The live table: what the topics hold now, and how far it is from the truth."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from ..core.observation import LEVEL_NAMES
from .film import Film
from .record import CrowdNumbers, Numbers, Record
from .who import crowd_numbers

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import RenderableType

__all__ = ['LiveTable', 'final_table', 'letter', 'plain_line']

_STYLE = {0: 'dim', 1: 'orange1', 2: 'yellow', 3: 'green'}
#: figures are means over the newest seconds
_WINDOW_S = 2.
#: a plain line that often where there is no terminal, s
_PLAIN_EVERY_S = 2.5
#: the figures of several people are made anew that often, s, and identities followed so far back: it costs some work
_CROWD_EVERY_S, _CROWD_BACK_S = 1., 20.
#: their figures are means over so much: less says nothing about who is who, s
_CROWD_WINDOW_S = 4.


def _number(value: float, unit: str = '', digits: int = 0) -> str:
    return '-' if not math.isfinite(value) else f'{value:.{digits}f}{unit}'


def _level(level: int) -> str:
    return f'{level} {LEVEL_NAMES[level]}'


def letter(person: int) -> str:
    """Name of a true person, by index: A, B, ...; estimated identities are numbers."""
    return chr(ord('A') + person)


def _rows(n: Numbers, crowd: CrowdNumbers | None = None) -> list[tuple[str, str]]:
    percent = 100 * (n.scale - 1)
    metric = _number(n.world_mm, ' mm') + (f', size {percent:+.1f} %' if math.isfinite(percent) else '')
    rig = f'{_number(n.rotation_deg, " deg", 1)}, focal lengths {_number(100 * n.focal, " %", 1)}'
    rows = [
        ('level', f'[{_STYLE[n.level]}]{_level(n.level)}[/]'),
        ('people', str(n.people)),
        ('views per joint', _number(n.views, digits=1)),
        ('skeletons per second', _number(n.rate_hz, digits=1)),
        ('latency, image to skeleton', f'{_number(n.latency_ms, " ms")} (p95 {_number(n.latency_p95_ms, " ms")})'),
        ('error, pose aligned (PA)', f'[bold]{_number(n.pa_mm, " mm")}[/]'),
        ('error in the room', metric),
        ('cameras found, worst error', rig if math.isfinite(n.rotation_deg) else '-'),
    ]
    if crowd is not None:
        each = ', '.join(f'{letter(p)} {_number(e, " mm")}' for p, e in enumerate(crowd.pa_mm))
        rows[2:2] = [
            ('people found', f'{crowd.recall:.0f} % of them, {crowd.precision:.0f} % of skeletons are somebody'),
            ('identities', f'{crowd.identities} for {len(crowd.pa_mm)} people, '
                                      f'{crowd.switches} switch{"" if crowd.switches == 1 else "es"}'),
            ('error of each (PA)', each)]
    return rows


def plain_line(time_s: float, n: Numbers, crowd: CrowdNumbers | None = None) -> str:
    """The figures in one line, for logs."""
    more = '' if crowd is None else (f'  found {crowd.recall:.0f} %  identities {crowd.identities}  '
                                     f'switches {crowd.switches}')
    return (f'{time_s:5.1f} s  level {_level(n.level)}  people {n.people}  views {_number(n.views, digits=1)}  '
            f'{_number(n.rate_hz, digits=1)} Hz  latency {_number(n.latency_ms)} ms  '
            f'error PA {_number(n.pa_mm)} mm, in the room {_number(n.world_mm)} mm{more}')


def final_table(n: Numbers, seconds: float, crowd: CrowdNumbers | None = None) -> RenderableType:
    """The figures of the last seconds; crowd: where there are several people."""
    from rich.table import Table
    table = Table(title=f'the last {seconds:.0f} s', title_justify='left', show_header=False)
    table.add_column()
    table.add_column()
    for name, value in _rows(n, crowd):
        table.add_row(name, value)
    return table


class LiveTable:
    """On a terminal a table that is kept up to date, elsewhere a line now and then; a context manager.

    Args:
        film, record: the truth and what came.
        out: where to write.
    """

    def __init__(self, film: Film, record: Record, out: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live
        self._film, self._record, self._out = film, record, out
        self._console = Console(file=out)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True) if out.isatty() else None
        self._written = self._counted = -math.inf
        self._crowd: tuple[Numbers, CrowdNumbers] | None = None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, time_s: float) -> None:
        """Show the state at a time, s from the beginning."""
        if self._live is None and time_s - self._written < _PLAIN_EVERY_S:
            return
        n, crowd = self._numbers(time_s)
        if self._live is not None:
            self._live.update(self._table(time_s, n, crowd))
        else:
            self._written = time_s
            self._out.write(plain_line(time_s, n, crowd) + '\n')
            self._out.flush()

    def _numbers(self, time_s: float) -> tuple[Numbers, CrowdNumbers | None]:
        film, record = self._film, self._record
        if len(film.people) == 1:
            return Numbers.of(record, film.truth, film.rig, time_s - _WINDOW_S, time_s), None
        if self._crowd is None or time_s - self._counted >= _CROWD_EVERY_S:
            self._crowd = crowd_numbers(record, film, time_s - _CROWD_WINDOW_S, time_s, time_s - _CROWD_BACK_S)
            self._counted = time_s
        return self._crowd

    def _table(self, time_s: float, n: Numbers, crowd: CrowdNumbers | None) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text
        figures = Table(show_header=False, title=f'{max(time_s, 0):.0f} of {self._film.duration_s:.0f} s',
                        title_justify='left')
        figures.add_column(min_width=26)
        figures.add_column(min_width=30)
        for name, value in _rows(n, crowd):
            figures.add_row(name, value)
        cameras = Table('camera', 'images per second', 'people', 'latency of its joints')
        for row in self._camera_rows(time_s):
            cameras.add_row(*row)
        with self._record.lock:
            words = self._record.sentence or self._record.reason
        return Group(figures, cameras, Text(words, style='dim'))

    def _camera_rows(self, time_s: float) -> list[Sequence[str]]:
        rows: list[Sequence[str]] = []
        with self._record.lock:
            for name in self._film.rig.cameras:
                views = self._record.views.get(name, [])
                late = self._record.view_latency_s.get(name, [])
                recent = sum(time_s - _WINDOW_S <= v.stamp <= time_s for v in views[-200:])
                rows.append((name, f'{recent / _WINDOW_S:.1f}', str(len(views[-1].keypoints)) if views else '-',
                             _number(1e3 * sorted(late[-20:])[len(late[-20:]) // 2], ' ms') if late else '-'))
        return rows
