# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose train`: a lifting network from 2D joints of several views, without 3D labels."""
from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..io.errors import IoError
from .argument_types import positive, whole
from .needed import need_training

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = """Train a lifting network: 2D joints of one view in, a 3D pose out. It learns from 2D joints that several
cameras saw at the same time; no 3D label is used, except by the method that says so.

--data is one of
  a motion file (.npz): pos (N, 17, 3) m, seq_start, seq_name, fps; seen by new virtual cameras in every epoch,
  a keypoint archive (.npz) or a folder of them, as `selfpose reconstruct` takes them,
  a bag with keypoints topics,
  Human3.6M (folder with data_2d_h36m_*.npz and data_3d_h36m.npz), MPI-INF-3DHP (folder with annot.mat files) or
  SkiPose-PTZ (folder with train/labels.h5): their recordings for the test are left out, see selfpose evaluate --data.

The run's folder holds checkpoint.pt, best.pt (by the criterion on held-out data, which needs no 3D either),
config.json, history.json, event files for TensorBoard, and at the end the model: model/."""

EXAMPLES = """examples:
  selfpose train --list
  selfpose train canonpose --data mocap_train.npz --val mocap_val.npz -o runs/canonpose
  selfpose train canonpose --data mocap_train.npz -o runs/quick --width 256 --batch 64 --lr 1e-3 --max-minutes 3
  selfpose train cross_view --data recordings/ -o runs/ours --set ema=0.999 --set schedule=cosine
  selfpose train canonpose --data mocap_train.npz -o runs/canonpose --resume
  torchrun --nproc-per-node 2 -m selfpose_ros train canonpose --data mocap_train.npz -o runs/two

exit status: 0 trained; 1 the training collapsed: the checkpoint is kept, there is no model; 2 nothing trained;
130 stopped with Ctrl-C: the checkpoint is written, --resume goes on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument('method', metavar='METHOD', nargs='?', help='see --list')
    parser.add_argument('--list', action='store_true', help='the methods, one a line')
    parser.add_argument('--data', type=Path, metavar='PATH', help='to train on, see above')
    parser.add_argument('--val', type=Path, metavar='PATH',
                        help='held-out data (of a data set: its test); default: every 20th sequence, or the end of '
                             'every recording')
    parser.add_argument('-o', '--output', type=Path, metavar='DIR', help='folder of the run')
    parser.add_argument('--resume', action='store_true', help='go on from the checkpoint in that folder')
    parser.add_argument('--max-minutes', type=positive, default=math.inf, metavar='MIN',
                        help='stop after this time; what is learned until then becomes the model, --resume goes on')
    parser.add_argument('--steps', type=whole(1), metavar='N', help='optimiser steps')
    parser.add_argument('--epochs', type=whole(1), metavar='N', help='passes over the data')
    parser.add_argument('--batch', type=whole(1), metavar='N', help='samples of a batch, all views counted as one')
    parser.add_argument('--lr', type=positive, metavar='X', help='learning rate')
    parser.add_argument('--width', type=whole(1), metavar='N', help='of the network')
    parser.add_argument('--seed', type=whole(0), metavar='N', help='of everything random (default: 1)')
    parser.add_argument('--threads', type=whole(1), metavar='N', help='default: one for each core')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE', dest='settings',
                        help='any other setting, see config.json of a run; value as in JSON; may be repeated')
    parser.add_argument('--views', type=whole(1), metavar='N', help='virtual cameras for a motion file (default: 4)')
    parser.add_argument('--travel', action='store_true', help='people of a motion file walk through the images')
    parser.add_argument('--device', default='auto', metavar='NAME', help='auto (default), cpu, cuda, cuda:N')
    parser.add_argument('--licence', default='not told', metavar='TEXT', help="of the data, for the model's card")
    parser.add_argument('--quiet', action='store_true', help='no progress')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    need_training('train')
    if args.list:
        return _list()
    for name, value in (('METHOD', args.method), ('--data', args.data), ('-o DIR', args.output)):
        if value is None:
            raise IoError(f'train: {name} is missing; see selfpose train --help'
                          + (', or --list for the methods' if name == 'METHOD' else ''))
    from selfpose_training.run import MODEL, Request, train
    from selfpose_training.trainer.display import Display
    from selfpose_training.trainer.distributed import is_first
    request = Request(args.method, args.data, args.output, args.val, _changes(args), args.views, args.travel,
                      args.resume, args.max_minutes, args.device, args.licence)
    with Display(quiet=args.quiet or not is_first(), prefix=f'train {args.method}') as display:
        outcome = train(request, display)
    if not is_first():
        return 130 if outcome.reason == 'stopped' else 1 if outcome.collapsed else 0
    if outcome.reason == 'stopped':
        sys.stderr.write(f'selfpose train: stopped after {outcome.step} of {outcome.total} steps; go on with: '
                         f'selfpose train {args.method} --data {args.data} -o {args.output} --resume, and the same '
                         'settings\n')
        return 130
    if outcome.collapsed:
        sys.stderr.write(f'selfpose train: error: the training collapsed: {"; ".join(outcome.collapsed)}; no model is '
                         f'written, the checkpoint lies in {args.output}; try another --seed or a lower --lr\n')
        return 1
    why = {'done': '', 'patience': ', no better for too long', 'time': ', time is up, --resume goes on'}
    sys.stdout.write(f'{args.output / MODEL}: {outcome.step} of {outcome.total} steps{why[outcome.reason]}; '
                     f'criterion on held-out data {outcome.criterion:.4g}'
                     f'{"; the sign of the depth was flipped" * outcome.flipped}\n')
    return 0


def _list() -> int:
    from selfpose_training.methods import METHODS
    width = max(map(len, METHODS), default=0)
    sys.stdout.write(''.join(f'{name:{width}}  {method.summary}\n' for name, method in METHODS.items()))
    return 0


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    """Settings that were given; what has an option of its own may be given once."""
    from selfpose_training.settings import parsed
    named: Sequence[str] = ('steps', 'epochs', 'batch', 'lr', 'width', 'seed', 'threads')
    changes = {n: getattr(args, n) for n in named if getattr(args, n) is not None}
    others = parsed(args.settings)
    twice = sorted(changes.keys() & others.keys())
    if twice:
        raise IoError(f'train: {twice[0]} is given twice, by --{twice[0]} and by --set', 'leave one out')
    return changes | others
