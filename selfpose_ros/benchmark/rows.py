# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: what is asked of the estimator, and what was measured."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..evaluation.scoring import summary
from .cases import Outcome

__all__ = ['ACCURACY', 'Row', 'median_time', 'rank_correlation']

Array = NDArray[np.float64]
Outcomes = Mapping[str, Sequence[Outcome]]

#: share of errors within one standard deviation of a Gaussian
_WITHIN = .683


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: of the group, as given to --rows.  what: is measured.
        value: NaN = could not be measured.  unit: 'x', '%' (the value is a share), 'deg', 'mm', 's', 'ms' or ''.
        note: what else is worth knowing.
    """

    name: str
    what: str
    value: float
    unit: str = ''
    note: str = ''

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what could not be measured is None."""
        return {'row': self.name, 'what': self.what, 'value': self.value if np.isfinite(self.value) else None,
                'unit': self.unit, 'note': self.note}


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's, of the pairs that are known; NaN with fewer than five, or when one side is constant."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 5 or np.ptp(a[known]) == 0 or np.ptp(b[known]) == 0:
        return float('nan')
    return float(np.corrcoef(_ranks(a[known]), _ranks(b[known]))[0, 1])


def _ranks(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place of each number among all; equal ones share the mean of theirs."""
    _, where, count = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[where.ravel()])


def median_time(reached_s: ArrayLike, watched_s: ArrayLike) -> float:
    """Median time until something happens, s; those that ended before (NaN) count as long as they were watched.

    Kaplan and Meier's estimate; inf when less than half would ever get there.
    """
    reached, watched = np.asarray(reached_s, float), np.asarray(watched_s, float)
    time = np.where(np.isfinite(reached), reached, watched)
    waiting = 1.
    for t in np.unique(time[np.isfinite(reached)]):
        waiting *= 1 - (reached == t).sum() / (time >= t).sum()
        if waiting <= .5:
            return float(t)
    return float('inf')


def _against_true(name: str, what: str, own: Sequence[Outcome], true: Sequence[Outcome], late: bool = False) -> Row:
    """Error with the cameras found / with the true ones, the same estimator and 2D; clips that both were run on."""
    both = {x.number for x in own} & {x.number for x in true}
    mine, theirs = (summary([x.late if late else x.score for x in side if x.number in both]) for side in (own, true))
    note = (f'{mine["pa"]:.1f} mm, true cameras {theirs["pa"]:.1f}, their DLT frame by frame {mine["dlt_pa"]:.1f} '
            f'(ratio {mine["ratio"]:.2f}, median {mine["median_ratio"]:.2f}); one alignment a clip {mine["ga"]:.0f}, '
            f'{theirs["ga"]:.0f}, {mine["dlt_ga"]:.0f} mm; '
            f'skeleton in {mine["cover"]:.0%}, level 3 in {mine["l3"]:.0%}')
    return Row(name, what, mine['pa'] / theirs['pa'], 'x', note)


def _offline(views: int) -> Callable[[Outcomes], list[Row]]:
    def rows(o: Outcomes) -> list[Row]:
        return [_against_true(f'views{views}', f'{views} views, off line: error / with the true cameras',
                              o[f'offline{views}'], o[f'true_offline{views}'])]
    return rows


def _causal(o: Outcomes) -> list[Row]:
    return [_against_true('causal', '4 views, causal, all frames: error / with the true cameras', o['causal4'],
                          o['true_causal4'])]


def _late(o: Outcomes) -> list[Row]:
    return [_against_true('late', '4 views, causal, second half: error / with the true cameras', o['causal4'],
                          o['true_causal4'], late=True)]


def _travel(o: Outcomes) -> list[Row]:
    return [_against_true('travel', '4 views, people leave the images, off line', o['travel4'], o['true_travel4'])]


def _rotation(o: Outcomes) -> list[Row]:
    rot = np.array([x.score.rot for x in o['offline4']])
    refused = sum(bool(x.reason) for x in o['offline4'])
    good = np.isfinite(rot)
    note = f'{refused} of {len(rot)} refused'
    if good.any():
        note = f'median {np.median(rot[good]):.2f}, 90 % below {np.quantile(rot[good], .9):.1f} deg; {note}'
    return [Row('rotation', 'clips with worst camera rotation < 3 deg, 4 views',
                summary([x.score for x in o['offline4']])['clips_rot_below_3deg'], '%', note)]


def _jitter(o: Outcomes) -> list[Row]:
    free, same = summary([x.score for x in o['jitter4']]), summary([x.score for x in o['offline4']])
    return [Row('jitter', 'cameras free running +-17 ms / the same triggered', free['pa'] / same['pa'], 'x',
                f'{free["pa"]:.1f} mm against {same["pa"]:.1f}')]


def _level3(o: Outcomes) -> list[Row]:
    reached, span = np.array([(x.level3_s, x.span_s) for x in o['causal4']]).T
    never = int(np.isnan(reached).sum())
    return [Row('level3', 'first frame to level 3, median', median_time(reached, span), 's',
                f'{never} of {len(reached)} clips end before it ({span.min():.0f} to {span.max():.0f} s long)')]


def _quality(o: Outcomes) -> list[Row]:
    every = [x for case in ('offline4', 'offline3', 'offline2') for x in o[case]]

    def correlation(outcomes: Sequence[Outcome], against: str) -> float:
        solved = [x for x in outcomes if not x.reason]
        return rank_correlation([-x.quality for x in solved], [getattr(x.score, against) for x in solved])

    return [Row('quality', f'rank correlation of quality with {what}', correlation(every, key), '',
                ', '.join(f'{v} views {correlation(o[f"offline{v}"], key):.2f}' for v in (4, 3, 2)))
            for what, key in (('the rotation error', 'rot'), ('error / DLT with the true cameras', 'ratio'))]


def _sigma(o: Outcomes) -> list[Row]:
    names = {'rigid': 'one rigid alignment a clip', 'clip': 'the same with size', 'frame': 'an alignment a frame'}
    rows = []
    for case, mode in (('causal4', 'causal'), ('offline4', 'off line')):
        for key, how in names.items():
            parts = [x.sigma[key] for x in o[case] if key in x.sigma]
            within = [np.abs(left) < sigma[:, None] for sigma, left in parts]
            value = float(np.concatenate(within).mean()) if within else float('nan')
            # a few clips can hide behind many: what a single clip may be like
            spread = np.quantile([w.mean() for w in within], [.1, .9]) if within else [np.nan, np.nan]
            # the frame of a result is its own and its size has an error bar of its own: what sigma means is what is
            # left then. An alignment a frame takes away more than that, a rigid one less
            rows.append(Row('sigma', f'errors within 1 sigma, {mode}, {how}', value, '%',
                            f'single clips {spread[0]:.0%} to {spread[1]:.0%}'))
    return rows


def _size(case: str, name: str, what: str) -> Callable[[Outcomes], list[Row]]:
    def rows(o: Outcomes) -> list[Row]:
        worlds = [x.world for x in o[case] if x.world is not None]
        size = np.array([w.size for w in worlds])
        if not len(size):
            return [Row(name, what, float('nan'), '%', 'no clip with a rig')]
        within = (np.abs(size) < np.array([w.size_sigma for w in worlds])).mean()
        return [Row(name, what, float(np.abs(size).mean()), '%', (
            f'{size.mean():+.1%} in the mean, worst {size[np.abs(size).argmax()]:+.0%}; within its error bar in '
            f'{within:.0%}'))]
    return rows


def _world(o: Outcomes) -> list[Row]:
    rows = []
    for case, where in (('travel4', 'walking about'), ('offline4', 'kept on the spot')):
        worlds = [x.world for x in o[case] if x.world is not None]
        up, floor = np.array([(w.up_deg, w.floor_m) for w in worlds]).T if worlds else np.full((2, 1), np.nan)
        predicted = np.array([w.up_sigma_deg for w in worlds]) if worlds else np.full(1, np.nan)
        rows.append(Row('world', f'error of up, {where}', float(up.mean()), 'deg', note=(
            f'median {np.median(up):.1f}, below 5 in {(up < 5).mean():.0%}; predicted {np.median(predicted):.1f}')))
        rows.append(Row('world', f'error of the floor, {where}', float(1e3 * np.abs(floor).mean()), 'mm', note=(
            f'median {1e3 * np.median(floor):+.0f} mm')))
    return rows


#: name of the row group -> (cases it needs, rows from their outcomes)
ACCURACY: dict[str, tuple[tuple[str, ...], Callable[[Outcomes], list[Row]]]] = {
    'views4': (('offline4', 'true_offline4'), _offline(4)),
    'causal': (('causal4', 'true_causal4'), _causal),
    'late': (('causal4', 'true_causal4'), _late),
    'rotation': (('offline4',), _rotation),
    'views3': (('offline3', 'true_offline3'), _offline(3)),
    'views2': (('offline2', 'true_offline2'), _offline(2)),
    'jitter': (('jitter4', 'offline4'), _jitter),
    'travel': (('travel4', 'true_travel4'), _travel),
    'level3': (('causal4',), _level3),
    'quality': (('offline4', 'offline3', 'offline2'), _quality),
    'sigma': (('causal4', 'offline4'), _sigma),
    'height': (('height4',), _size('height4', 'height', 'error of size, height known')),
    'prior': (('offline4',), _size('offline4', 'prior', 'error of size, adult prior')),
    'world': (('travel4', 'offline4'), _world),
}
