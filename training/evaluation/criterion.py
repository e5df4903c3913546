# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Whether what `selfpose update` decides by predicts the truth: many small updates on motion capture.

    python -m selfpose_training.evaluation.criterion --motion mocap17_val.npz --parent lifter -o criterion.json

Each long sequence is a recording of the benchmark's virtual cameras. The time to learn from is as it is, or spoilt:
noise, exchanged sides, another person in half of the views, a camera that was moved, a 2D network with other joints,
somebody who stands still. Several settings learn from each. Parent and child are compared on held-out time as `update`
does, without truth, and on the same views against the truth. Results are kept in the file; the same command goes on.
"""
from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from selfpose_ros.core.skeleton import MIRROR
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.io.npz import atomically
from selfpose_ros.models.errors import ModelError
from selfpose_ros.models.store import open_model
from selfpose_ros.synthetic.clips import Clip, Conditions, make_clip
from selfpose_ros.synthetic.motion_capture import Motion, Piece

from ..data.recordings import Recorded
from ..errors import TrainingError
from ..export.reader import read_network
from ..networks import Lifter
from ..update.comparison import Comparison
from ..update.split import LabelledViews, SplitRecording, split_recording
from ..update.update import compared, learn
from .convention import offset

__all__ = ['KINDS', 'METHODS', 'Bag', 'bags_of', 'main', 'spoilt', 'summary', 'tried']

Array = NDArray[np.floating]
Row = dict[str, Any]

#: shortest recording, s; every n-th frame is taken
_SHORTEST_S, _EVERY = 16., 2
HELD_OUT = .3
#: what befalls the time to learn from; the first one is as it is
KINDS = ('as it is', 'noise', 'sides', 'other person', 'moved camera', 'other joints', 'stands still')
#: settings of an update, besides its steps and seed
METHODS: Mapping[str, Mapping[str, Any]] = {
    'usual, few steps': {'steps': 60}, 'usual': {'steps': 240},
    'no rehearsal': {'steps': 160, 'rehearsal': 0., 'lr': 5e-4}, 'real views': {'steps': 120, 'mix': [1, 8, 1]},
    'hot': {'steps': 60, 'lr': 4e-3, 'rehearsal': 0.}}
#: a child is truly worse from this share of its parent's error on
_WORSE = .01


@dataclass(frozen=True)
class Bag:
    """A recording, spoilt or not, and its truth: X (T, 17, 3) m, R (4, 3, 3), t (4, 3) m."""

    name: str
    kind: str
    recorded: Recorded
    X: Array
    R: Array
    t: Array


def bags_of(motion: Motion, seeds: Sequence[int]) -> list[Bag]:
    """Recordings of all sequences that are long enough, by rigs of their own for each seed; every second is spoilt."""
    long = [Piece(n, name, a, b) for n, (name, a, b) in enumerate(zip(
        motion.name, motion.start[:-1].tolist(), motion.start[1:].tolist(), strict=True))
        if (b - a) / motion.fps >= _SHORTEST_S]
    out = []
    for k, (seed, piece) in enumerate((s, p) for s in seeds for p in long):
        kind = KINDS[0] if k % 2 == 0 else KINDS[1 + (k // 2) % (len(KINDS) - 1)]
        out.append(spoilt(motion, piece, long[(long.index(piece) + 1) % len(long)], seed, kind))
    return out


def spoilt(motion: Motion, piece: Piece, other: Piece, seed: int, kind: str) -> Bag:
    """One recording, with this having befallen the time to learn from."""
    clip = make_clip(motion, piece, seed)
    T = len(clip)
    learned = np.arange(T) < (1 - HELD_OUT) * T - 1.5 * motion.fps
    kp, conf = clip.keypoints.copy(), clip.confidence.copy()

    def instead(views: slice, source: Clip) -> None:
        rows = np.flatnonzero(learned)
        at = rows % len(source)
        kp[rows, views], conf[rows, views] = source.keypoints[at, views], source.confidence[at, views]

    if kind == 'noise':
        instead(slice(None), make_clip(motion, piece, seed, Conditions(noise=4.)))
    elif kind == 'sides':
        rows = np.flatnonzero(learned)[int(.3 * learned.sum()):]
        kp[rows], conf[rows] = kp[rows][:, :, list(MIRROR)], conf[rows][:, :, list(MIRROR)]
    elif kind == 'other person':
        instead(slice(2, 4), make_clip(motion, dataclasses.replace(other, number=piece.number), seed))
    elif kind == 'moved camera':
        instead(slice(3, 4), make_clip(motion, piece, seed + 1000))
    elif kind == 'other joints':
        instead(slice(None), make_clip(offset(motion, 1.5), piece, seed))
    elif kind == 'stands still':
        joints = motion.joints.copy()
        joints[piece.first:piece.end] = joints[piece.first]
        instead(slice(None), make_clip(dataclasses.replace(motion, joints=joints), piece, seed))
    elif kind != KINDS[0]:
        raise TrainingError(f'nothing called {kind} befalls a recording', f'choose from {", ".join(KINDS)}')
    e = slice(None, None, _EVERY)
    recorded = Recorded(f'{piece.name}, rig {seed}', kp[e], conf[e], clip.instant[e], clip.image_size.astype(float))
    return Bag(recorded.name, kind, recorded, clip.truth.joints[e], clip.truth.R, clip.truth.t)


def true_views(bag: Bag, split: SplitRecording) -> LabelledViews:
    """The held-out views of a recording with their truth in place of the teacher's poses and cameras.

    Raises:
        TrainingError: not all cameras were found.
    """
    views = split.held_out.views
    if views.views != len(bag.R):
        raise TrainingError(f'{views.views} of {len(bag.R)} cameras were found', place=bag.name)
    rows = np.searchsorted(bag.recorded.stamp, views.stamp - 1e-6)
    return LabelledViews(dataclasses.replace(views, X=bag.X[rows], R=bag.R, t=bag.t),
                         np.full((len(rows), 17), 1e-3, np.float32))


def tried(bag: Bag, split: SplitRecording, parent: Lifter, changes: Mapping[str, Any], seed: int) -> Row:
    """One update: what it was decided by, and the truth."""
    with tempfile.TemporaryDirectory(prefix='selfpose_criterion_') as folder:
        outcome, drift = learn(parent, [split], Path(folder) / 'run', {
            'threads': 1, 'seed': seed, 'evaluate_every': 10_000, **changes}, device='cpu')
    own = compared(parent, outcome.network, [split.held_out], seed)
    true = compared(parent, outcome.network, [true_views(bag, split)], seed)
    return {'promoted': own.better and not outcome.collapsed, 'own': _row(own), 'true': _row(true), 'drift': drift,
            'quality': list(split.quality), 'reason': own.reason}


def _row(c: Comparison) -> Row:
    return {k: [v.before, v.after, v.low, v.high] for k, v in c.changes.items()}


def change(row: Row, which: str) -> float:
    """Mean over the figures of the change of the error, as a share of the parent's; `which`: own or true."""
    return float(np.mean([after / before - 1 for before, after, *_ in row[which].values()]))


def summary(rows: Sequence[Row]) -> Row:
    """Correlations of the criterion with the truth, and what was promoted, of updates that were not refused before."""
    done = [r for r in rows if 'own' in r]
    own, true = (np.array([change(r, which) for r in done]) for which in ('own', 'true'))
    promoted = np.array([r['promoted'] for r in done], bool)
    known = len(done) > 2 and np.ptp(own) > 0 and np.ptp(true) > 0
    return {
        'updates': len(done), 'refused_before_learning': len(rows) - len(done),
        'correlation': float(stats.pearsonr(own, true)[0]) if known else None,
        'rank_correlation': float(stats.spearmanr(own, true)[0]) if known else None,
        'promoted': int(promoted.sum()), 'promoted_but_worse': int((promoted & (true > _WORSE)).sum()),
        'refused_but_better': int((~promoted & (true < -_WORSE)).sum()),
        'worst_promoted': float(true[promoted].max()) if promoted.any() else None,
        'mean_true_change_promoted': float(true[promoted].mean()) if promoted.any() else None,
        'mean_true_change_refused': float(true[~promoted].mean()) if (~promoted).any() else None}


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog='python -m selfpose_training.evaluation.criterion', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--motion', type=Path, required=True)
    parser.add_argument('--parent', nargs='+', default=['lifter'], metavar='MODEL', help='default: the shipped lifter')
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3], help='of rigs, 2D errors and updates')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='FILE', help='results, as JSON')
    args = parser.parse_args(arguments)
    try:
        rows = json.loads(args.output.read_text())['updates'] if args.output.exists() else []
        parents = {name: read_network(open_model(name)) for name in args.parent}
        for number, bag in enumerate(bags_of(read_motion(args.motion), args.seeds)):
            rows += _of_bag(bag, number, parents, {r['key'] for r in rows})
            with atomically(args.output) as part:
                part.write_text(json.dumps({'summary': summary(rows), 'updates': rows}, indent=1) + '\n')
    except (TrainingError, IoError, ModelError) as error:
        sys.stderr.write(f'criterion: error: {error}\n')
        return 2
    sys.stdout.write(table(rows))
    return 0


def _of_bag(bag: Bag, number: int, parents: Mapping[str, Lifter], known: set[str]) -> list[Row]:
    """All updates from one recording that are not known yet."""
    wanted = {f'{bag.name}, {bag.kind}: {method}, {parent}': (method, parent)
              for method in METHODS for parent in parents}
    left = {key: v for key, v in wanted.items() if key not in known}
    if not left:
        return []
    split = split_recording(bag.recorded, HELD_OUT)
    refused = split if isinstance(split, str) else ''
    if not isinstance(split, str) and split.held_out.views.views != len(bag.R):
        refused = f'{split.held_out.views.views} of {len(bag.R)} cameras were found'
    out = []
    for key, (method, parent) in left.items():
        row: Row = {'key': key, 'kind': bag.kind, 'method': method, 'parent': parent}
        if isinstance(split, str) or refused:
            out.append(row | {'refused': refused})
            continue
        try:
            out.append(row | tried(bag, split, parents[parent], METHODS[method], number + 1))
        except TrainingError as error:
            out.append(row | {'refused': str(error)})
    return out


def table(rows: Sequence[Row]) -> str:
    """A table to print: by what befell the recordings, and the summary."""
    lines = ['| time to learn from | updates | refused before learning | promoted | own change | true change |',
             '|---' * 6 + '|']
    for kind in KINDS:
        of = [r for r in rows if r['kind'] == kind]
        done = [r for r in of if 'own' in r]
        mean = [f'{np.mean([change(r, which) for r in done]):+.1%}' if done else '' for which in ('own', 'true')]
        lines.append(f'| {kind} | {len(of)} | {len(of) - len(done)} | {sum(r["promoted"] for r in done)} | {mean[0]} | '
                     f'{mean[1]} |')
    return '\n'.join([*lines, '', *(f'{k.replace("_", " ")}: {v if not isinstance(v, float) else round(v, 3)}'
                                    for k, v in summary(rows).items())]) + '\n'


if __name__ == '__main__':
    sys.exit(main())
