# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a report: error over time, against views and against its prediction, and what a tick is made of."""
from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .cases import Outcome
from .errors import BenchmarkError
from .growth import PEOPLE, VIEWS, Growth
from .lenses import Placed
from .load import Loaded
from .longer import Watched
from .pixels import CAMERAS, PARTS, Pixels
from .speed import Ticks

if TYPE_CHECKING:
    from .run import Report

__all__ = ['check_plots', 'write_plots']

Array = NDArray[np.float64]

_OURS, _TRUE, _OTHER, _GREY = '#1f5fa8', '#c2571a', '#3a8f5c', '#8a8a8a'
_DLT, _SAME = 'DLT with the true cameras, frame by frame', 'the true cameras, same estimator'
_BIN_S, _DPI, _FEWEST = .4, 140, 5


def check_plots(folder: Path) -> None:
    """Raises: BenchmarkError: plots cannot be drawn, or not be written there."""
    if importlib.util.find_spec('matplotlib') is None:
        raise BenchmarkError('-o: plots need matplotlib, which is not installed',
                             'pip install matplotlib, or leave out -o')
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(f'cannot be made ({error.strerror})', 'choose another folder', place=folder) from error
    if not os.access(folder, os.W_OK):
        raise BenchmarkError('cannot be written', 'choose another folder', place=folder)


def write_plots(report: Report, folder: Path) -> list[Path]:
    """Draw what the report has figures for; returns the files."""
    o = report.outcomes
    drawn = []
    if o.get('causal4'):
        drawn.append(('error_over_time', _over_time(o['causal4'])))
    views = {v: o[f'offline{v}'] for v in (2, 3, 4) if o.get(f'offline{v}') and o.get(f'true_offline{v}')}
    if views:
        drawn.append(('error_against_views', _against_views(views, {v: o[f'true_offline{v}'] for v in views})))
    outcomes = {name: o[case] for case, name in (('causal4', 'causal'), ('offline4', 'off line')) if o.get(case)}
    if any(x.sigma for found in outcomes.values() for x in found):
        drawn.append(('sigma_against_error', _sigma(outcomes)))
    parts = {name: t for name, t in report.ticks.items() if t.parts and len(t.alone_s)}
    if parts:
        drawn.append(('tick_parts', _ticks(parts)))
    if any(len(w.stamp) for w in report.watched):
        drawn.append(('longer', _longer(report.watched)))
    if any(report.placed.values()):
        drawn.append(('quality', _quality(report.placed)))
    if report.growth is not None:
        drawn.append(('growth', _growth(report.growth)))
    if report.load is not None:
        drawn.append(('load', _load(report.load)))
    if report.pixels is not None:
        drawn.append(('tick', _time_line(report.pixels)))
    files = []
    for name, figure in drawn:
        files.append(folder / f'{name}.png')
        figure.savefig(files[-1], dpi=_DPI)
    return files


def _axes(size: tuple[float, float], rows: int = 1, **kinds: Any) -> tuple[Any, Any]:
    from matplotlib.figure import Figure
    figure = Figure(figsize=size, layout='constrained')
    axes = figure.subplots(rows, 1, **kinds)
    for a in np.ravel(axes):
        a.spines[['top', 'right']].set_visible(False)
        a.grid(alpha=.25)
    return figure, axes


def _over_time(outcomes: Sequence[Outcome]) -> Any:
    """Causal error since the first frame: median and quartiles over the clips, and how many are at which level."""
    end = max(x.span_s for x in outcomes)
    edges = np.arange(0, end + _BIN_S, _BIN_S)
    middle, ours, true, shares = [], [], [], []
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        inside = [(x.instant >= a) & (x.instant < b) for x in outcomes]
        if sum(i.any() for i in inside) < min(_FEWEST, len(outcomes)):
            break                                          # so few clips are so long: a median of them says nothing
        here = [(np.nanmean(x.pa[i]), np.nanmean(x.dlt_pa[i]), (x.level[i] > 0).mean(), (x.level[i] >= 3).mean())
                for x, i in zip(outcomes, inside, strict=True) if i.any() and np.isfinite(x.pa[i]).any()]
        e, d, some, three = np.array(here).T
        middle.append(.5 * (a + b))
        ours.append(np.quantile(e, [.25, .5, .75]))
        true.append(np.quantile(d, [.25, .5, .75]))
        shares.append((some.mean(), three.mean()))
    q, d, s = np.array(ours), np.array(true), np.array(shares)
    figure, (upper, lower) = _axes((7.5, 5.2), 2, sharex=True, height_ratios=(3, 1))
    for value, colour, label in ((d, _TRUE, _DLT), (q, _OURS, 'self-calibrated, causal')):
        upper.fill_between(middle, value[:, 0], value[:, 2], color=colour, alpha=.18, lw=0)
        upper.plot(middle, value[:, 1], color=colour, lw=2, label=label)
    upper.set_yscale('log')
    ticks = [t for t in (15, 20, 30, 50, 100, 200, 300) if .8 * min(q.min(), d.min()) <= t <= 1.2 * q.max()]
    upper.set_yticks(ticks, [str(t) for t in ticks])
    upper.minorticks_off()
    upper.set_ylabel('error after alignment of a frame, mm')
    upper.set_title(f'Error since the first frame, {len(outcomes)} clips: median and quartiles', loc='left')
    upper.legend(frameon=False)
    lower.plot(middle, 100 * s[:, 0], color=_GREY, lw=2, label='any skeleton')
    lower.plot(middle, 100 * s[:, 1], color=_OTHER, lw=2, label='level 3')
    lower.set_ylim(0, 104)
    lower.set_ylabel('frames, %')
    lower.set_xlabel('s since the first frame')
    lower.legend(frameon=False, loc='lower right')
    return figure


def _against_views(views: Mapping[int, Sequence[Outcome]], same: Mapping[int, Sequence[Outcome]]) -> Any:
    """Errors of clips by number of views; `same`: with the true cameras through the same estimator."""
    figure, axis = _axes((6.5, 4.4))
    for shift, colour, label, key, of in ((-.26, _TRUE, _DLT, 'dlt_pa', views), (0., _OTHER, _SAME, 'pa', same),
                                          (.26, _OURS, 'self-calibrated, off line', 'pa', views)):
        values = [np.array([getattr(x.score, key) for x in found]) for found in of.values()]
        place = [v + shift for v in views]
        box = axis.boxplot(values, positions=place, widths=.2, whis=(10, 90), showfliers=False, patch_artist=True,
                           manage_ticks=False, medianprops={'color': colour, 'lw': 2})
        for part in (*box['boxes'], *box['whiskers'], *box['caps']):
            part.set_color(colour)
        for patch in box['boxes']:
            patch.set_facecolor('white')
        for x, value in zip(place, values, strict=True):
            axis.plot(x + np.linspace(-.09, .09, len(value)), value, '.', color=colour, ms=3, alpha=.45)
        frames = [np.array([x.score.frames for x in found]) for found in of.values()]
        mean = [np.average(value, weights=f) for value, f in zip(values, frames, strict=True)]
        axis.plot(place, mean, 'D', color=colour, ms=6, label=f'{label}: {", ".join(f"{m:.0f}" for m in mean)} mm')
    axis.set_yscale('log')
    low, high = axis.get_ylim()
    ticks = [t for t in (10, 20, 30, 50, 100, 200, 300) if low <= t <= high]
    axis.set_yticks(ticks, [str(t) for t in ticks])
    axis.minorticks_off()
    axis.set_xticks(list(views), [f'{v} views' for v in views])
    axis.set_ylabel('error after alignment of a frame, mm')
    axis.set_title('Error against views: clips, quartiles and 10-90 %, mean', loc='left')
    axis.legend(frameon=False)
    return figure


def _sigma(outcomes: Mapping[str, Sequence[Outcome]]) -> Any:
    """Root mean square error, per axis, of joints that were predicted alike."""
    figure, axis = _axes((6., 5.))
    lowest, highest = np.inf, 0.
    for (name, found), colour in zip(outcomes.items(), (_OURS, _OTHER), strict=False):
        for key, line, label in (('clip', '-', 'an alignment a clip'), ('frame', '--', 'an alignment a frame')):
            parts = [x.sigma[key] for x in found if key in x.sigma]
            if not parts:
                continue
            sigma, left = 1e3 * np.concatenate([p[0] for p in parts]), 1e3 * np.concatenate([p[1] for p in parts])
            within = (np.abs(left) < sigma[:, None]).mean()
            edges = np.unique(np.quantile(sigma, np.linspace(0, 1, 21)))
            bins = [(sigma >= a) & (sigma <= b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
            x = np.array([np.sqrt((sigma[b] ** 2).mean()) for b in bins])
            # what 68 % lie within: one lost clip would rule a root mean square
            y = np.array([np.quantile(np.abs(left[b]), .683) for b in bins])
            axis.plot(x, y, line, marker='o', ms=3.5, color=colour, label=f'{name}, {label}: {within:.0%} within')
            lowest, highest = min(lowest, x.min(), y.min()), max(highest, x.max(), y.max())
    ends = [.8 * lowest, 1.25 * highest]
    axis.plot(ends, ends, color=_GREY, lw=1, zorder=0)
    axis.annotate('calibrated', (ends[1] * .62, ends[1] * .66), color=_GREY, rotation=45, rotation_mode='anchor',
                  fontsize=9)
    axis.set_xscale('log')
    axis.set_yscale('log')
    ticks = [t for t in (1, 2, 5, 10, 20, 30, 50, 100, 200) if ends[0] <= t <= ends[1]]
    axis.set_xticks(ticks, [str(t) for t in ticks])
    axis.set_yticks(ticks, [str(t) for t in ticks])
    axis.minorticks_off()
    axis.set_xlim(*ends)
    axis.set_ylim(*ends)
    axis.set_aspect('equal')
    axis.set_xlabel('predicted sigma, mm')
    axis.set_ylabel('68 % of the errors (one axis) are below, mm')
    axis.set_title('Predicted sigma against true error, 4 views', loc='left')
    axis.legend(frameon=False, fontsize=8.5)
    return figure


def _ticks(parts: Mapping[str, Ticks]) -> Any:
    names = {'tick': '4 views, 1 person', 'crowd': '8 views, 4 people'}
    figure, axes = _axes((7.5, 1.2 + 3.1 * len(parts)), len(parts))
    for axis, (name, t) in zip(np.ravel(axes), parts.items(), strict=True):
        total = 1e3 * float(t.alone_s.mean())              # shares are of all the time, so they belong to the mean
        main = {k: share for k, share in t.parts.items() if share >= .015}
        main['all else'] = 1 - sum(main.values())
        ms = total * np.array(list(main.values()))
        y = np.arange(len(main))[::-1]
        axis.barh(y, ms, color=[_OURS if k.startswith('update') else _GREY if k == 'all else' else _OTHER
                                for k in main])
        axis.set_yticks(y, list(main))
        for at, value, share in zip(y, ms, main.values(), strict=True):
            axis.annotate(f' {value:.2f} ms, {share:.0%}', (value, at), va='center', fontsize=9)
        axis.set_xlim(0, 1.22 * ms.max())
        axis.grid(axis='y', alpha=0)
        axis.set_xlabel('ms')
        axis.set_title(f'A tick at level 3, {names.get(name, name)}: mean {total:.1f} ms', loc='left')
    return figure


def _longer(found: Sequence[Watched]) -> Any:
    """Errors of rotations and what they are expected to be, against time."""
    figure, axis = _axes((7.5, 4.))
    for n, w in enumerate(found):
        if not len(w.stamp):
            continue
        for values, colour, what in ((w.error, _OURS, 'error'), (w.expected, _TRUE, 'expected')):
            axis.step(w.stamp, values, where='post', color=colour, alpha=.7, label=what if n == 0 else None)
    axis.set_xscale('log')
    axis.set_yscale('log')
    axis.set_xlabel('s')
    axis.set_ylabel('degrees')
    axis.set_title(f'Rotations between cameras, one person in a room, causal, {len(found)} scenes', loc='left')
    axis.legend(frameon=False)
    return figure


def _quality(placed: Mapping[str, Sequence[Placed]]) -> Any:
    """Quality against errors, and errors against what they were expected to be, of each rig."""
    figure, (upper, lower) = _axes((7.5, 7.5), 2)
    for kind, found in placed.items():
        error = np.array([p.worst_deg for p in found])
        upper.plot(error, [p.errors.quality for p in found], 'o', ms=5, alpha=.8, label=f'{kind} ({len(found)})')
        rotation = np.array([p.errors.ae for p in found])
        lower.plot(rotation / [float(p.ratios[0].mean()) for p in found], rotation, 'o', ms=5, alpha=.8)
    ends = np.array(lower.axis()).reshape(2, 2)
    line = np.array([max(ends.min(), 1e-2), ends.max()])
    lower.plot(line, line, color=_GREY, lw=1, label='as expected')
    for axis in (upper, lower):
        axis.set_xscale('log')
        axis.legend(frameon=False)
    lower.set_yscale('log')
    upper.set_ylabel('quality')
    upper.set_xlabel('error of rotations, or a third of that of fields of view, degrees')
    lower.set_ylabel('error of rotations, degrees')
    lower.set_xlabel('expected, degrees')
    upper.set_title('Self-calibrated rigs in rooms, 30 s, off line', loc='left')
    return figure


def _growth(g: Growth) -> Any:
    """Ticks against people and against views."""
    figure, axes = _axes((7.5, 5.2), 2)
    for axis, values, colour, what, fixed in zip(
            np.ravel(axes), (g.people, g.views), (_OURS, _OTHER), ('people', 'views'),
            (f'{VIEWS} views', f'{PEOPLE} people'), strict=True):
        ms = 1e3 * np.array(list(values.values()))
        axis.plot(list(values), ms, '-o', color=colour)
        for n, value in zip(values, ms, strict=True):
            axis.annotate(f'{value:.1f}', (n, value), xytext=(0, 6), textcoords='offset points', ha='center',
                          fontsize=8.5)
        axis.set_ylim(0, 1.2 * float(np.nanmax(ms)))
        axis.set_xticks(list(values))
        axis.set_xlabel(what)
        axis.set_ylabel('ms')
        axis.set_title(f'A tick at level 3 against {what}, {fixed}: median', loc='left')
    return figure


def _load(found: Mapping[tuple[int, int], Loaded]) -> Any:
    """CPU time, delay and losses against cameras, by people."""
    figure, axes = _axes((7.5, 8.), 3)
    people = sorted({p for _, p in found})
    for axis, value, what in zip(np.ravel(axes), (
            lambda x: 1e3 * x.cpu_s, lambda x: 1e3 * x.latency_s[1], lambda x: 100 * x.lost),
            ('CPU time of an instant, ms', 'arrival to result, 95 %, ms', 'instants without a result, %'), strict=True):
        for p, colour in zip(people, (_OURS, _OTHER, _TRUE), strict=False):
            views = sorted(v for v, q in found if q == p)
            axis.plot(views, [value(found[v, p]) for v in views], '-o', color=colour,
                      label=f'{p} {"person" if p == 1 else "people"}')
        axis.set_xscale('log', base=2)
        axis.set_xticks(views, [str(v) for v in views])
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.set_xlabel('cameras at 15 Hz')
        axis.set_title(what, loc='left')
    np.ravel(axes)[0].legend(frameon=False, fontsize=8.5)
    return figure


def _time_line(p: Pixels) -> Any:
    """A round over all cameras as it was, and the fusion's tick after it."""
    colours = dict(zip(PARTS, ('#d9a13b', _OTHER, _OURS, '#8d5aa5', _GREY), strict=True))
    words = {'JPEG': 'JPEG to pixels', 'crop': 'crop and normalise', 'network': '2D network', 'joints': 'joints out',
             'rest': 'tracking, messages'}
    figure, axis = _axes((8., 2.7))
    for s in p.spans:
        if s.part == 'all':                                # under the others: what is seen of it is the rest
            axis.barh(s.camera, 1e3 * (s.end - s.begin), left=1e3 * s.begin, height=.62, color=colours['rest'])
    for s in p.spans:
        if s.part != 'all':
            axis.barh(s.camera, 1e3 * (s.end - s.begin), left=1e3 * s.begin, height=.62, color=colours[s.part])
            if s.part == 'network':
                axis.text(5e2 * (s.begin + s.end), s.camera, f'{1e3 * (s.end - s.begin):.1f} ms', color='white',
                          ha='center', va='center', fontsize=8.5)
    end = max(s.end for s in p.spans)
    rows = [f'camera {c + 1}' for c in range(CAMERAS)]
    if p.tick_s is not None:
        axis.barh(CAMERAS, 1e3 * p.tick_s, left=1e3 * end, height=.62, color=_TRUE)
        axis.text(1e3 * end - .3, CAMERAS, f'fusion {1e3 * p.tick_s:.1f} ms', ha='right', va='center', fontsize=8.5,
                  color=_TRUE)
        rows.append('skeleton')
    axis.set_yticks(range(len(rows)), rows)
    axis.invert_yaxis()
    axis.set_xlim(0, 1e3 * (end + (p.tick_s or 0.)) * 1.02)
    axis.set_xlabel('ms')
    axis.set_axisbelow(True)
    axis.grid(axis='y', alpha=0)
    axis.set_title(f'From four images to a skeleton, one thread: around the network {p.share:.0%} of its time',
                   loc='left', fontsize=10.5)
    handles = [axis.barh(0, 0, color=colours[part], label=words[part]) for part in PARTS]
    figure.legend(handles=handles, loc='outside lower center', ncols=len(PARTS), frameon=False, fontsize=8.5)
    return figure
