# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose update`: a network learns from recordings of one's own, without labels."""
from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..io.errors import IoError
from .argument_types import number, positive, whole
from .needed import need_training

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = """A lifting network learns from your own recordings. Nobody labels or calibrates anything: cameras and 3D
poses are found from the people in each recording, and the network learns from these. The last part of each recording
is kept aside; the new network replaces the old one only if it is better there by more than chance.

RECORDING is a rosbag2 (folder, .mcap, .db3) with keypoints topics, or with image topics (they go through the 2D
network), a keypoint archive (.npz), or a folder of archives; with one person before two cameras or more.

With --what pose2d a 2D network that was trained here (rendered_pose, or what came of it) learns from images: a bag with
image topics, or the videos of one recording, one of each camera. What the cameras find together by the 2D network
--model, or by the keypoints in the bag, is what it learns."""

EXAMPLES = """examples:
  selfpose update bag/ --parent out/model -o out/better
  selfpose update monday/ tuesday/ --parent ~/models/lifter --store ~/models --name lifter
  selfpose update archives/ --parent out/model -o out/better --epochs 50 --json
  selfpose update cam1.mp4 cam2.mp4 cam3.mp4 --what pose2d --parent rendered_pose -o out/better
  torchrun --nproc-per-node 2 -m selfpose_ros update bag/ --parent out/model -o out/better

In DIR: report.html to look at, report.json, and model/ if the new network is better. The parent stays as it is;
`selfpose model rollback` goes back to it in a store, where `selfpose model history` shows what was when.
exit status: 0 better, the new model is written; 1 not better: refused, the reason is said; 2 nothing learned;
130 stopped with Ctrl-C: DIR holds a checkpoint, --resume goes on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from ..inference.pose2d import DEFAULT, MODEL_HELP
    parser.add_argument('recordings', metavar='RECORDING', nargs='+', type=Path, help='see above')
    parser.add_argument('--what', choices=('lifter', 'pose2d'), default='lifter',
                        help='that learns: the lifting network (default), or a 2D network')
    parser.add_argument('--parent', required=True, metavar='MODEL',
                        help='a model folder, an entry of a store (STORE/NAME), or the name of a shipped model')
    parser.add_argument('-o', '--output', type=Path, metavar='DIR', help='new folder for report and model')
    parser.add_argument('--store', type=Path, metavar='DIR', help='model store that gets the new model, with --name')
    parser.add_argument('--name', metavar='NAME', help='of the entry in the store')
    parser.add_argument('--resume', action='store_true',
                        help='go on with an update that was stopped: the same command with its folder')
    parser.add_argument('--held-out', type=number(.1, .6), default=.3, metavar='SHARE',
                        help='last share of the time of each recording that is kept for comparing (default: 0.3)')
    parser.add_argument('--epochs', type=whole(1), metavar='N', help='passes over the recordings')
    parser.add_argument('--max-minutes', type=positive, default=math.inf, metavar='MIN',
                        help='of training; what is learned until then is compared')
    parser.add_argument('--most-minutes', type=positive, default=math.inf, metavar='MIN',
                        help='of recordings: of more the liveliest minutes are learned from and compared on, which '
                        'bounds time and memory (default: all)')
    parser.add_argument('--max-memory', type=positive, default=math.inf, metavar='MB',
                        help='that reading and calibrating may take; with more the update is given up, and says so')
    parser.add_argument('--seed', type=whole(0), metavar='N', help='of everything random (default: 1)')
    parser.add_argument('--threads', type=whole(1), metavar='N', help='default: one for each core')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE', dest='settings',
                        help='any other setting, for instance lr=0.0001; may be repeated')
    parser.add_argument('--model', default=DEFAULT, metavar='NAME|FOLDER',
                        help=f'{MODEL_HELP}, for images (default: %(default)s)')
    parser.add_argument('--model-option', action='append', default=[], metavar='NAME=VALUE',
                        help='of the 2D network, for instance detector=FOLDER; may be repeated')
    parser.add_argument('--device', default='auto', metavar='NAME', help='auto (default), cpu, cuda, cuda:N')
    parser.add_argument('--licence', default='not told', metavar='TEXT', help="of the recordings, for the model's card")
    parser.add_argument('--json', action='store_true', help='the report as JSON')
    parser.add_argument('--quiet', action='store_true', help='no progress')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    need_training('update')
    from selfpose_training.trainer.display import Display
    from selfpose_training.update.conclusion import LEFT
    from selfpose_training.update.pose2d import update_pose2d
    from selfpose_training.update.request import Request
    from selfpose_training.update.update import update
    given = _given(args)
    request = Request(given, args.parent, args.output, args.store, args.name, _changes(args), args.held_out,
                      args.max_minutes, args.device, args.licence, args.resume, args.most_minutes, args.max_memory)
    with Display(quiet=args.quiet, prefix='update') as display:
        report = (update if args.what == 'lifter' else update_pose2d)(request, display)
    if report.decision == LEFT:
        return 0
    for note in report.notes:
        sys.stderr.write(f'selfpose update: note: {" ".join(note.split())}\n')
    if report.decision == 'stopped':
        sys.stderr.write(f'selfpose update: {report.reason}\n')
        return 130
    sys.stdout.write(json.dumps(report.to_dict(), indent=1) + '\n' if args.json else _text(report))
    sys.stdout.flush()
    if report.decision == 'refused':
        sys.stderr.write(f'selfpose update: refused: {report.reason}\n')
    return 0 if report.decision == 'promoted' else 1


def _given(args: argparse.Namespace) -> list[Any]:
    """What the paths are, as `selfpose_training.update.request.Given`; read when it is their turn."""
    from selfpose_training.update.request import Given

    from ..inference.pose2d import check_pose2d, make_pose2d, options_of
    from ..inference.views import view_network
    from ..io.bag import check_images
    from ..io.sources import ReadOptions, find_sources, read_source
    images = args.what == 'pose2d'
    # archives and bags of keypoints have no images
    check_pose2d(args.model, needed=False)
    options = ReadOptions(partial(view_network, partial(make_pose2d, args.model, **options_of(args.model_option))))
    sources = find_sources(args.recordings) if images else [s for p in args.recordings for s in find_sources([p])]
    for s in sources:
        if images and s.kind not in ('bag', 'videos'):
            raise IoError(f'{s.kind} files hold no images', 'give a bag with image topics, or videos', place=s.paths[0])
        if images and s.kind == 'bag':
            check_images(s.paths[0])
        if not images and s.kind not in ('bag', 'archive'):
            raise IoError(f'{s.kind} are not learned from directly', 'write an archive with selfpose reconstruct '
                          '--keypoints-out FILE.npz, and give that', place=s.paths[0])
    paths = [p.resolve() for s in sources for p in s.paths]
    double = next((p for p in paths if paths.count(p) > 1), None)
    if double is not None:
        raise IoError('given twice', 'name every recording once', place=double)
    return [Given(str(s.paths[0]) if len(s.paths) == 1 else s.name, s.paths, partial(read_source, s, options),
                  (lambda make, s=s: read_source(s, replace(options, make=make, images=True))) if images else None)
            for s in sources]


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    """Settings that were given; what has an option of its own may be given once."""
    from selfpose_training.settings import parsed
    named = {n: getattr(args, n) for n in ('epochs', 'seed', 'threads') if getattr(args, n) is not None}
    others = parsed(args.settings)
    twice = sorted(named.keys() & others.keys())
    if twice:
        raise IoError(f'update: {twice[0]} is given twice, by --{twice[0]} and by --set', 'leave one out')
    return named | others


def _text(report: Any) -> str:
    """The figures of a `selfpose_training.update.update.Report` for people."""
    lines = []
    for r in report.recordings:
        lines.append(f'{r["name"]}: {r["cameras"]} cameras, learned from {r["learn_s"]:.3g} s, compared on '
                     f'{r["compare_s"]:.3g} s')
    c = report.comparison
    if c is not None:
        lines += [f'{report.steps} steps; {c.poses} views of held-out time in {c.blocks} blocks of {c.block_s:g} s', '',
                  f'{"":10}{"parent":>8}{"child":>8}   change, 95 % interval',
                  f'{"":10}{c.unit:>8}{c.unit:>8}   {c.unit}']
        lines += [f'{name.replace("_", "-").upper():10}{v.before:8.1f}{v.after:8.1f}   {v.low:+.1f} to {v.high:+.1f}'
                  for name, v in c.changes.items()]
    if report.decision == 'promoted':
        where = f'{report.model}' + (f', version {report.version} of the store' if report.version else '')
        lines += ['', f'better: {where}']
    else:
        lines += ['', 'refused: the parent stays']
    return '\n'.join([*lines, ''])
