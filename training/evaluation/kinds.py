# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Kinds of motion that were left out of the training: `system` beside its supervised twin.

    python -m selfpose_training.evaluation.kinds --motion mocap17_train.npz --leave dance playground -o runs/kinds

For each word, the sequences whose `action` has it are left out. The same network is trained on the others twice, by
the poses of our own self-calibration of virtual recordings and by the truth, and measured on those left out: single
views of virtual cameras with simulated 2D errors. The teacher's poses and finished models stay in the folder; the same
command goes on.
"""
from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.inference.lifter import open_lifter
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.io.npz import NpzReader
from selfpose_ros.models.errors import ModelError
from selfpose_ros.synthetic.motion_capture import Motion

from ..data.motion import Change, MotionViews, Poses
from ..data.wider_motion import Widening
from ..errors import TrainingError
from ..methods import get
from ..pseudo_labels.label_set import PseudoLabelSet, joined_labels
from ..pseudo_labels.measured_noise import MeasuredNoise
from ..pseudo_labels.sources import protocol_sources
from ..pseudo_labels.teacher import label_recordings
from ..settings import parsed
from ..trainer.display import Display
from ..trainer.fit import fit
from .lifter import Evaluation, evaluate

__all__ = ['kept', 'left_out', 'main', 'teacher_of', 'trained']

Mask = NDArray[np.bool_]

#: the settings of `system`, for both
SAME: Mapping[str, Any] = {'head': 'pose3d', 'gain': 4., 'mirror': .5, 'warmup': 200, 'clip': 1., 'floor': .003,
                           'weight_decay': 0., 'keep': 'last', 'evaluate_every': 100_000}
METHODS = ('system', 'supervised')


def left_out(path: Path, word: str) -> Mask:
    """(S,) sequences of a motion file whose `action (S,)` has this word.

    Raises:
        TrainingError: none or all of them.
        IoError: the file holds no actions.
    """
    with NpzReader(path) as z:
        actions = z.array('action', 'S', text=True)
    out = np.array([word.lower() in str(a).lower() for a in actions])
    if out.all() or not out.any():
        raise TrainingError(f'{out.sum()} of {len(out)} sequences have an action with {word!r}',
                            'give a word that some of them have and others have not', place=path)
    return out


def kept(motion: Motion, mask: Mask) -> Motion:
    """The sequences (S,) of a motion that are wanted."""
    spans = [(a, b) for a, b, m in zip(motion.start[:-1], motion.start[1:], mask, strict=True) if m]
    return Motion(np.concatenate([motion.joints[a:b] for a, b in spans]),
                  np.cumsum([0, *(b - a for a, b in spans)]), tuple(np.array(motion.name)[mask]), motion.fps)


def teacher_of(motion: Motion, folder: Path, seed: int, every: int, display: Display) -> PseudoLabelSet:
    """Poses of our own self-calibration of all sequences, each seen by a virtual rig; subjects are their numbers.

    They are kept in the folder for next time. Every n-th instant is taken.
    """
    if (folder / 'poses.npz').is_file() and (folder / 'errors.npz').is_file():
        return PseudoLabelSet.load(folder)
    sources = protocol_sources(motion, seed, subjects=range(len(motion.name)))
    labels, refused = label_recordings(
        (dataclasses.replace(s, frames=s.frames[::every]) for s in sources), len(os.sched_getaffinity(0)),
        progress=lambda what, n: display.note(f'teacher: {n} recordings, {what}'))
    out = joined_labels(labels, refused, seed)
    out.save(folder)
    return out


def trained(method: str, motion: Motion, labels: PseudoLabelSet, mask: Mask, folder: Path,
            changes: Mapping[str, Any], display: Display) -> Path:
    """The model of a method that learned from the sequences (S,) wanted; made once.

    Raises:
        TrainingError: settings that do not fit, or a training that collapsed.
    """
    model = folder / 'model'
    if model.is_dir():
        return model
    made = get(method).configure({**SAME, **changes})
    s = made.settings
    change = Change(widening=Widening.times(s.widen))
    if method == 'system':
        data = MotionViews(_of(labels.poses, mask), seed=s.seed, noise=MeasuredNoise(labels.errors), change=change)
    else:
        data = MotionViews(kept(motion, mask), seed=s.seed, change=change)
    outcome = fit(made, data, folder / 'run', {**SAME, **changes}, resume=(folder / 'run').is_dir(), display=display)
    if outcome.collapsed:
        raise TrainingError(f'the training collapsed: {"; ".join(outcome.collapsed)}', 'try another seed',
                            place=folder)
    made.export(outcome.network, model, {'name': method, 'licence': 'not told', 'method': method,
                                         'settings': dataclasses.asdict(outcome.settings)})
    return model


def _of(poses: Poses, mask: Mask) -> Poses:
    """The sequences of the teacher whose number (their subject) is wanted."""
    assert poses.sigma is not None
    use = mask[poses.subject]
    frames = np.repeat(use, np.diff(poses.start))
    return dataclasses.replace(poses, joints=poses.joints[frames], sigma=poses.sigma[frames],
                               start=np.cumsum([0, *np.diff(poses.start)[use]]), subject=poses.subject[use])


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog='python -m selfpose_training.evaluation.kinds', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--motion', type=Path, required=True, help='motion file with `action (S,)`')
    parser.add_argument('--leave', nargs='+', required=True, metavar='WORD', help='of actions, one kind each')
    parser.add_argument('--seed', type=int, default=1, help='of everything random')
    parser.add_argument('--label-every', type=int, default=2, metavar='N',
                        help='the teacher takes every n-th instant (default: 2)')
    parser.add_argument('--steps', type=int, default=5000, help='of each training (default: 5000)')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE', dest='settings',
                        help='of both methods; may be repeated')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='DIR', help='teacher and models')
    args = parser.parse_args(arguments)
    sys.stdout.write('| left out | frames | method | N-MPJPE mm | PA-MPJPE mm | four views fused, PA |\n'
                     f'{"|---" * 6}|\n')
    try:
        motion = read_motion(args.motion)
        masks = {word: left_out(args.motion, word) for word in args.leave}
        changes = {'steps': args.steps, 'seed': args.seed, **parsed(args.settings)}
        with Display(quiet=False, prefix='kinds') as display:
            labels = teacher_of(motion, args.output / 'teacher', args.seed, args.label_every, display)
            for word, out in masks.items():
                test = kept(motion, out)
                for method in METHODS:
                    model = trained(method, motion, labels, ~out, args.output / word / method, changes, display)
                    found = evaluate(open_lifter(str(model)), test, args.seed + 1000)
                    sys.stdout.write(_line(word, method, found))
                    sys.stdout.flush()
    except (TrainingError, IoError, ModelError) as error:
        sys.stderr.write(f'kinds: error: {error}\n')
        return 2
    return 0


def _line(word: str, method: str, e: Evaluation) -> str:
    assert e.fused is not None                              # four views
    return (f'| {word} | {e.frames} | {method} | {e.single.n_mpjpe:.1f} | {e.single.pa_mpjpe:.1f} | '
            f'{e.fused.pa_mpjpe:.1f} |\n')


if __name__ == '__main__':
    sys.exit(main())
