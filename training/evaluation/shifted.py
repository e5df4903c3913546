# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Whether an update helps where a lifter's world is another one: children, low cameras, wide lenses, other joints.

    python -m selfpose_training.evaluation.shifted --motion mocap17_train.npz --test mocap17_val.npz --world children

Some long sequences of the motion are recordings by virtual cameras of that world, with simulated 2D errors; the parent
learns from them as in `selfpose update`. Parent and child then lift other subjects, those of the test, against the
motion capture: in that world, and in the usual one, where the child must not have forgotten.

With --truth nothing is recorded: the child learns from the true poses of all of the motion, in that world and in the
usual one. It shows how far this parent can come at all.
"""
from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfpose_ros.core.skeleton import PARENTS
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.io.npz import atomically
from selfpose_ros.models.errors import ModelError
from selfpose_ros.models.store import open_model
from selfpose_ros.synthetic.clips import Clip, Conditions, make_clip
from selfpose_ros.synthetic.motion_capture import Motion, Piece, pieces
from selfpose_ros.synthetic.rigs import RigRange

from ..data.mixture import Mixture, Part
from ..data.motion import Change, MotionViews
from ..data.recordings import Recorded
from ..data.wider_motion import Widening
from ..errors import TrainingError
from ..export.reader import read_network
from ..methods.supervised import Supervised
from ..networks import Lifter
from ..settings import parsed
from ..trainer.fit import Outcome, fit
from ..update.comparison import Comparison
from ..update.split import LabelledViews, SplitRecording, split_recording
from ..update.update import compared, learn
from .convention import offset

__all__ = ['WORLDS', 'World', 'child_sized', 'main', 'recordings_of', 'taught_by_truth', 'tried', 'views_of']

#: recordings are at least so long, s, and cut after so much; every n-th frame is taken
_SHORTEST_S, _LONGEST_S, _EVERY = 16., 20., 2
_HELD_OUT = .3
#: of trainings by the truth: shares of that world and of the usual one, steps, and settings
_SHARES, _TRUTH_STEPS = (.6, .4), 8000
_TRUTH: Mapping[str, Any] = {'batch': 64, 'lr': 5e-4, 'floor': .003, 'warmup': 200, 'clip': 1., 'weight_decay': 0.}
#: lengths of a child's bones, shares of a grown-up's, by the joint at their end: hips, thighs, shanks; trunk, neck,
#: head; shoulders, upper arms, forearms
_CHILD = np.array([1., .7, .6, .6, .7, .6, .6, .68, .68, .75, .95, .65, .62, .62, .65, .62, .62])


def child_sized(motion: Motion) -> Motion:
    """The same movements by people of a child's proportions, some 1.1 m tall, with their lowest joints as high."""
    X = motion.joints
    out = X.copy()
    out[:, 0, 2] *= .62
    for j in range(1, 17):
        out[:, j] = out[:, PARENTS[j]] + _CHILD[j] * (X[:, j] - X[:, PARENTS[j]])
    out[..., 2] += (X[..., 2].min(1) - out[..., 2].min(1))[:, None]
    return dataclasses.replace(motion, joints=out)


@dataclass(frozen=True)
class World:
    """What is other: the people (or where the 2D network sees their joints, which is the truth then), the cameras."""

    people: Callable[[Motion], Motion] = lambda motion: motion
    rigs: RigRange = RigRange()


WORLDS: Mapping[str, World] = {
    'children': World(child_sized),
    'low cameras': World(rigs=RigRange(height_m=(.1, .4))),
    'wide lenses': World(rigs=RigRange(distance_m=(1.6, 2.6), focal_px=(380., 520.))),
    'other joints': World(lambda motion: offset(motion, 1.))}
_USUAL = World()


def recordings_of(motion: Motion, world: World, count: int, seed: int) -> list[SplitRecording]:
    """So many recordings of that world, split as `selfpose update` does; sequences are taken evenly from all.

    Raises:
        TrainingError: none could be learned from; the reasons are in the message.
    """
    long = [p for p in pieces(motion, round(_LONGEST_S * motion.fps)) if len(p) >= _SHORTEST_S * motion.fps]
    people, found, refused = world.people(motion), [], []
    for k in np.unique(np.round(np.linspace(0, len(long) - 1, count)).astype(int)) if long else ():
        clip = make_clip(people, long[k], seed, Conditions(rigs=world.rigs))
        e = slice(None, None, _EVERY)
        part = split_recording(Recorded(long[k].name, clip.keypoints[e], clip.confidence[e], clip.instant[e],
                                        clip.image_size.astype(float)), _HELD_OUT)
        if isinstance(part, str):
            refused.append(part)
        else:
            found.append(part)
    if not found:
        raise TrainingError('nothing to learn from: ' + ('; '.join(refused[:3]) or 'no sequence is long enough'))
    return found


def views_of(motion: Motion, world: World, seed: int) -> list[LabelledViews]:
    """All clips of a motion of 3 s and more in that world, with their truth in place of a teacher's poses."""
    people = world.people(motion)
    cut = [p for p in pieces(motion) if len(p) >= 3 * motion.fps]
    return [_labelled(p, make_clip(people, p, seed, Conditions(rigs=world.rigs))) for p in cut]


def _labelled(piece: Piece, clip: Clip) -> LabelledViews:
    e = slice(None, None, _EVERY)
    views = Recorded(piece.name, clip.keypoints[e], clip.confidence[e], clip.instant[e], clip.image_size.astype(float),
                     R=clip.truth.R, t=clip.truth.t, X=clip.truth.joints[e])
    return LabelledViews(views, np.full((len(views), 17), 1e-3, np.float32))


def taught_by_truth(parent: Lifter, motion: Motion, world: World, changes: Mapping[str, Any], seed: int) -> Outcome:
    """A child of the parent, which stays as it is, by the true poses of a motion in that world and in the usual one."""
    change = Change(turn=True, mirror=True, widening=Widening())
    data = Mixture([Part(MotionViews(world.people(motion), seed=seed, rigs=world.rigs, change=change), _SHARES[0]),
                    Part(MotionViews(motion, seed=seed + 1, change=change), _SHARES[1])])
    with tempfile.TemporaryDirectory(prefix='selfpose_shifted_') as folder:
        return fit(Supervised(), data, Path(folder) / 'run', {
            'threads': 1, 'seed': seed, 'evaluate_every': 100_000, 'steps': _TRUTH_STEPS, **_TRUTH, **changes},
            parent=copy.deepcopy(parent), device='cpu')


def tried(parent: Lifter, recordings: Sequence[SplitRecording], tests: Mapping[str, Sequence[LabelledViews]],
          changes: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """One update: whether it is promoted, and its true figures by name of the test."""
    with tempfile.TemporaryDirectory(prefix='selfpose_shifted_') as folder:
        outcome, _ = learn(parent, recordings, Path(folder) / 'run', {
            'threads': 1, 'seed': seed, 'evaluate_every': 10_000, **changes}, device='cpu')
    own = compared(parent, outcome.network, [p.held_out for p in recordings], seed)
    out = {'promoted': own.better and not outcome.collapsed, 'recordings': len(recordings), 'steps': outcome.step,
           'own': _row(own)}
    return out | _rows(parent, outcome.network, tests, seed)


def _rows(parent: Lifter, child: Lifter, tests: Mapping[str, Sequence[LabelledViews]], seed: int) -> dict[str, Any]:
    return {name: _row(compared(parent, child, views, seed)) for name, views in tests.items()}


def _row(c: Comparison) -> dict[str, list[float]]:
    return {k: [v.before, v.after, v.low, v.high] for k, v in c.changes.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog='python -m selfpose_training.evaluation.shifted', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--motion', type=Path, required=True, help='of whom the child learns')
    parser.add_argument('--test', type=Path, required=True, help='motion of other subjects')
    parser.add_argument('--parent', default='lifter', metavar='MODEL', help='default: the shipped lifter')
    parser.add_argument('--world', nargs='+', choices=tuple(WORLDS), default=list(WORLDS))
    parser.add_argument('--recordings', type=int, default=4, help='that are learned from (default: 4)')
    parser.add_argument('--steps', type=int, default=0,
                        help=f"of the update (default: update's own; with --truth {_TRUTH_STEPS})")
    parser.add_argument('--truth', action='store_true', help='learn from the true poses of all of the motion instead')
    parser.add_argument('--seed', type=int, default=1, help='of rigs, 2D errors and updates')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE', dest='settings',
                        help='any other setting of the update; may be repeated')
    parser.add_argument('-o', '--output', type=Path, metavar='FILE', help='figures, as JSON')
    args = parser.parse_args(arguments)
    rows: dict[str, Any] = {}
    sys.stdout.write('| world | recordings | promoted | true N-MPJPE, mm | true PA-MPJPE, mm | usual world, N-MPJPE | '
                     f'PA-MPJPE |\n{"|---" * 7}|\n')
    try:
        motion, test = read_motion(args.motion), read_motion(args.test)
        parent, usual = read_network(open_model(args.parent)), views_of(test, _USUAL, args.seed + 1000)
        changes = ({'steps': args.steps} if args.steps else {}) | parsed(args.settings)
        for name in args.world:
            world = WORLDS[name]
            tests = {'there': views_of(test, world, args.seed + 1000), 'usual': usual}
            if args.truth:
                child = taught_by_truth(parent, motion, world, changes, args.seed)
                rows[name] = {'steps': child.step, **_rows(parent, child.network, tests, args.seed)}
            else:
                rows[name] = tried(parent, recordings_of(motion, world, args.recordings, args.seed), tests, changes,
                                   args.seed)
            sys.stdout.write(_line(name, rows[name]))
            sys.stdout.flush()
            if args.output is not None:
                with atomically(args.output) as part:
                    part.write_text(json.dumps(rows, indent=1) + '\n')
    except (TrainingError, IoError, ModelError) as error:
        sys.stderr.write(f'shifted: error: {error}\n')
        return 2
    return 0


def _line(name: str, row: Mapping[str, Any]) -> str:
    cells = [f'{before:.1f} -> {after:.1f} ({after / before - 1:+.1%})'
             for test in ('there', 'usual') for before, after, *_ in row[test].values()]
    learned = [row['recordings'], 'yes' if row['promoted'] else 'no'] if 'recordings' in row else ['all, true', '']
    return f'| {" | ".join(map(str, [name, *learned, *cells]))} |\n'


if __name__ == '__main__':
    sys.exit(main())
