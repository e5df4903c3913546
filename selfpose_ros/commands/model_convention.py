# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model convention`: where a 2D network places joints, learned from recordings alone."""
from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from .progress import ProgressDisplay
from .writable import check_writable

__all__ = ['add_convention', 'convention']


def add_convention(parser: argparse.ArgumentParser) -> None:
    """Arguments of the action."""
    from ..core.skeleton import JOINT_SETS
    from ..inference.pose2d import DEFAULT, MODEL_HELP
    parser.add_argument('recordings', metavar='RECORDING', nargs='+', type=Path,
                        help='bags, keypoint archives or folders of them: four cameras or more, one 2D network')
    parser.add_argument('-o', '--output', metavar='FILE', type=Path, required=True,
                        help='for selfpose reconstruct --convention, and the parameter convention of fusion_node')
    parser.add_argument('--joints', choices=list(JOINT_SETS), metavar='SET',
                        help='joint set of archives without joint_names')
    parser.add_argument('--model', default=DEFAULT, metavar='NAME|FOLDER',
                        help=f'{MODEL_HELP}, for images (default: %(default)s)')
    parser.add_argument('--quiet', action='store_true', help='no progress')


def convention(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Learn, and write the file: what to tell, and as text.

    Raises:
        IoError: a recording cannot be read, or none can be learned from, or the file cannot be written.
        ConventionError: too little is seen in all of them together.
    """
    from ..core.convention import ConventionError
    from ..core.convention_estimate import estimate_convention, halves_of
    from ..inference.pose2d import check_pose2d, make_pose2d
    from ..inference.views import view_network
    from ..io.convention_file import convention_entry, write_convention
    from ..io.errors import IoError
    from ..io.sources import ReadOptions, find_sources, read_source
    check_writable([args.output])
    check_pose2d(args.model, needed=False)
    options = ReadOptions(partial(view_network, partial(make_pose2d, args.model)), joints=args.joints)
    sources = [s for path in args.recordings for s in find_sources([path])]
    people, names, refused = [], [], []
    with ProgressDisplay(quiet=args.quiet, prefix='convention: ') as progress:
        for n, source in enumerate(sources, 1):
            try:
                people += halves_of(read_source(source, options).frames())
                names.append(source.name)
            except ConventionError as error:
                refused.append(str(error.at(source.name)))
            progress('recordings', n, len(sources))
    if not people:
        raise IoError(f'nothing to learn from: {"; ".join(refused[:3])}')
    found = estimate_convention(people)
    write_convention(args.output, found, names)
    rows = ''.join(f'{joint:10}{a} to {b:12}{100 * share:+8.1f}{100 * found.sigma[joint, a, b]:8.1f}\n'
                   for (joint, a, b), share in found.shares.items())
    notes = ''.join(f'left out: {r}\n' for r in refused)
    return ({**convention_entry(found, names), 'left_out': refused},
            f'{args.output}: from {len(names)} of {len(sources)} recordings\n{notes}\n'
            + (f'joint     moved along          % of it   sigma\n{rows}' if rows else
               'no joint lies beside where its limb turns by more than chance\n'))
