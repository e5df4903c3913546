# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The whole benchmark: clips through the estimator, rows from what came out."""
from __future__ import annotations

import os
import platform
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.scoring import summary
from ..inference.lifter_choice import NONE, LifterChoice
from ..io.motion_capture import read_motion
from ..synthetic.clips import chosen
from .cases import Outcome, Task
from .errors import BenchmarkError
from .growth import Growth, growth_row
from .lenses import LENSES, Placed, lens_rows
from .load import Fusion, Loaded, load_rows
from .longer import LONGER, Watched, longer_rows
from .motion import MOTION, motion_rows
from .people import people_rows
from .pixels import BY_ITSELF, Pixels, Way, pixels_row
from .place import PLACE, place_rows
from .pool import run_tasks
from .real import read_real, real_rows
from .rows import ACCURACY, Row
from .speed import SPEED, Ticks, speed_row

__all__ = ['ROWS', 'Options', 'Report', 'run_benchmark']

#: called with (what is done, steps done, steps in all)
Progress = Callable[[str, int, int], None]

#: names of all row groups, in the order of the table
ROWS = (*ACCURACY, 'people', *LENSES, *PLACE, *LONGER, *MOTION, 'real', *SPEED, 'growth', 'load', 'pixels')


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        motion: file of `motion.read_motion`; None = only rows that need none.
        seed: of cameras and 2D errors.  every: use every so many clips.
        rows: names of `ROWS`; empty = all that the files given allow.
        real: keypoint archive with its truth; None = none.
        jobs: clips at once.
        lifter: which lifting network the estimator has.
        way: what is measured around the 2D network.
        fusion: what is measured in real time, see `load`.
    """

    motion: Path | None
    seed: int = 1
    every: int = 1
    rows: tuple[str, ...] = ()
    real: Path | None = None
    jobs: int = 1
    lifter: LifterChoice = LifterChoice(NONE)
    way: Way = BY_ITSELF
    fusion: Fusion | None = None


@dataclass
class Report:
    """What was measured.

    Attributes:
        rows: of the table.  outcomes: by case.  ticks: by row group.  watched: by scene.
        placed: rigs by kind of scene.  pixels, growth, load: None = not measured.
        failed: (clip or row, trace) of each on which the estimator broke.
    """

    options: Options
    rows: list[Row] = field(default_factory=list)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    ticks: dict[str, Ticks] = field(default_factory=dict)
    watched: list[Watched] = field(default_factory=list)
    placed: dict[str, list[Placed]] = field(default_factory=dict)
    pixels: Pixels | None = None
    growth: Growth | None = None
    load: dict[tuple[int, int], Loaded] | None = None
    failed: list[tuple[str, str]] = field(default_factory=list)
    wall_s: float = 0.

    @property
    def title(self) -> str:
        """What the figures stand on."""
        o = self.options
        first = next(iter(self.outcomes.values()), [])
        cpu = (f'{o.lifter.sentence}; {platform.machine()}, {os.cpu_count()} cores, Python '
               f'{platform.python_version()}, numpy {np.__version__}')
        if o.motion is None or not first:
            return cpu
        return f'{o.motion.stem}: {len(first)} clips, {sum(len(x.pa) for x in first)} frames, seed {o.seed}; {cpu}'

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what is unknown is None."""
        o = self.options
        return _plain({
            'motion': o.motion and str(o.motion), 'seed': o.seed, 'every': o.every, 'wall_s': self.wall_s,
            'machine': self.title, 'rows': [r.to_dict() for r in self.rows],
            'summary': {case: summary([x.score for x in found]) for case, found in self.outcomes.items()},
            'clips': {case: [_clip(x) for x in found] for case, found in self.outcomes.items()},
            'tick_parts': {name: t.parts for name, t in self.ticks.items() if t.parts},
            'growth_s': self.growth and {'people': self.growth.people, 'views': self.growth.views},
            'load': self.load and [{'cameras': v, 'people': p, **asdict(x)} for (v, p), x in self.load.items()],
            'longer': [asdict(w) for w in self.watched],
            'placed': {kind: [asdict(p) for p in found] for kind, found in self.placed.items()},
            'pixel_parts_s': self.pixels and self.pixels.parts,
            'failed': [{'what': what, 'trace': trace} for what, trace in self.failed]})


def _clip(x: Outcome) -> dict[str, Any]:
    return {'number': x.number, 'name': x.name, **asdict(x.score), 'quality': x.quality, 'reason': x.reason,
            'level3_s': x.level3_s, 'world': None if x.world is None else asdict(x.world), 'wall_s': x.wall_s}


def _plain(x: Any) -> Any:
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple, np.ndarray)):
        return [_plain(v) for v in x]
    if isinstance(x, (float, np.floating)):
        return float(x) if np.isfinite(x) else None
    return x.item() if isinstance(x, np.generic) else x


def wanted(options: Options) -> tuple[str, ...]:
    """Names of the row groups to measure.

    Raises:
        BenchmarkError: a name is unknown, or its file is not given.
    """
    unknown = [r for r in options.rows if r not in ROWS]
    if unknown:
        raise BenchmarkError(f'--rows {", ".join(unknown)}: not known', f'choose from {", ".join(ROWS)}')
    moved = (*ACCURACY, 'people', *LENSES, *PLACE, *LONGER, *MOTION)
    able = [r for r in ROWS if (r not in moved or options.motion) and (r != 'real' or options.real)]
    if not options.rows:
        if options.motion is None and options.real is None:
            raise BenchmarkError('nothing to measure accuracy on: give --motion FILE.npz (or --real, or --rows '
                                 f'{",".join(SPEED)},pixels for speed alone)')
        return tuple(r for r in able if r not in ('people', *LENSES, *PLACE, *LONGER))  # an hour: by name only
    lacking = [r for r in options.rows if r not in able]
    if lacking:
        needed = '--real FILE.npz' if lacking == ['real'] else '--motion FILE.npz'
        raise BenchmarkError(f'--rows {", ".join(lacking)}: give {needed}, too')
    return tuple(r for r in ROWS if r in options.rows)


def run_benchmark(options: Options, progress: Progress) -> Report:
    """Measure.

    Raises:
        BenchmarkError: the options do not go together, or a file lacks something.
        IoError: a file cannot be read.
    """
    start = time.perf_counter()
    names, report = wanted(options), Report(options)
    real = read_real(options.real) if 'real' in names and options.real is not None else None
    cases = list(dict.fromkeys(c for n in names if n in ACCURACY for c in ACCURACY[n][0]))
    if cases:
        _accuracy(report, cases, progress)
    for name in names:
        if name in ACCURACY and all(report.outcomes[c] for c in ACCURACY[name][0]):
            report.rows += ACCURACY[name][1](report.outcomes)
    if 'people' in names and options.motion is not None:
        with _kept(report, 'people'):
            report.rows += people_rows(read_motion(options.motion), options.seed, options.lifter.open(),
                                       lambda done, total: progress('people', done, total))
    lenses = [n for n in names if n in LENSES]
    if lenses and options.motion is not None:
        with _kept(report, 'lenses'):
            rows, report.placed = lens_rows(read_motion(options.motion), options.seed, options.lifter.open(), lenses,
                                            lambda done, total: progress('lenses', done, total))
            report.rows += rows
    place = [n for n in names if n in PLACE]
    if place and options.motion is not None:
        with _kept(report, 'rooms'):
            report.rows += place_rows(read_motion(options.motion), options.seed, options.lifter.open(), place,
                                      lambda done, total: progress('rooms', done, total))
    if LONGER[0] in names and options.motion is not None:
        with _kept(report, 'longer'):
            rows, report.watched = longer_rows(read_motion(options.motion), options.seed, options.lifter.open(),
                                               lambda done, total: progress('longer', done, total))
            report.rows += rows
    moving = [n for n in names if n in MOTION]
    if moving and options.motion is not None:
        with _kept(report, 'angles and feet'):
            report.rows += motion_rows(read_motion(options.motion), options.seed, options.lifter.open(), moving,
                                       lambda done, total: progress('angles and feet', done, total))
    if real is not None:
        progress('real recording', 0, 1)
        with _kept(report, 'real recording'):
            report.rows += real_rows(real, options.lifter.open())
    # last and one after the other: nothing else of ours runs beside it
    speed = [n for n in names if n in SPEED or n in ('pixels', 'growth', 'load')]
    for done, name in enumerate(speed):
        progress('speed', done, len(speed))
        with _kept(report, name):
            if name == 'pixels':
                row, report.pixels = pixels_row(options.way, options.lifter.open())
                report.rows.append(row)
                continue
            if name == 'growth':
                row, report.growth = growth_row(options.lifter.open(),
                                                lambda done, total: progress('growth', done, total))
                report.rows.append(row)
                continue
            if name == 'load':
                if options.fusion is None:
                    raise BenchmarkError('load: there is nothing that fuses in real time here')
                rows, report.load = load_rows(options.fusion, options.lifter.open(),
                                              lambda done, total: progress('load', done, total))
                report.rows += rows
                continue
            row, found = speed_row(name, options.lifter.open())
            report.rows.append(row)
            if found is not None:
                report.ticks[name] = found
    report.wall_s = time.perf_counter() - start
    return report


@contextmanager
def _kept(report: Report, what: str) -> Iterator[None]:
    """A defect in one row does not lose the others."""
    try:
        yield
    except Exception:  # noqa: BLE001 - reported with the others at the end
        report.failed.append((what, traceback.format_exc()))


def _accuracy(report: Report, cases: Sequence[str], progress: Progress) -> None:
    o = report.options
    assert o.motion is not None
    motion = read_motion(o.motion)
    # long clips first, so that no process is left with one at the end
    some = sorted(chosen(motion, o.every), key=len, reverse=True)
    tasks = [Task(o.motion, piece, o.seed, case, o.lifter) for piece in some for case in cases]
    report.outcomes = {case: [] for case in cases}
    progress('clips', 0, len(tasks))
    for done, (task, outcome, trace) in enumerate(run_tasks(tasks, o.jobs), 1):
        if outcome is None:
            report.failed.append((f'clip {task.piece.number} ({task.piece.name}), {task.case}', trace))
        else:
            report.outcomes[task.case].append(outcome)
        progress('clips', done, len(tasks))
    for found in report.outcomes.values():
        found.sort(key=lambda x: x.number)
