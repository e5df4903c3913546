# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model calibrate`: what error goes with a 2D network's confidences, measured and put on its card."""
from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from .argument_types import whole
from .progress import ProgressDisplay

__all__ = ['add_calibrate', 'calibrate']

#: knots that a card gets, at most
_KNOTS = 12


def add_calibrate(parser: argparse.ArgumentParser) -> None:
    """Arguments of the action."""
    parser.add_argument('model', metavar='MODEL', help='a model folder, or its name; or mediapipe, which has no card')
    parser.add_argument('--people', type=whole(1), metavar='N', default=3, help='in the rooms, 1 to 4 (default: 3)')
    parser.add_argument('--pictures', type=whole(1), metavar='N', default=600,
                        help='to measure on, and as many others to check (default: 600)')
    parser.add_argument('--seed', type=whole(1), metavar='N', default=1,
                        help='of the rooms to measure on; the others have the next one (default: 1)')
    parser.add_argument('--model-option', action='append', default=[], metavar='NAME=VALUE',
                        help='option of the network, for instance detect_every=1; again for more')
    parser.add_argument('--quiet', action='store_true', help='no progress')


def calibrate(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Measure on rendered rooms, check on others, put it on the card: what to tell, and as text.

    Raises:
        InferenceError, ModelError, DemoError: the network cannot be had or look, too few joints are found, or the card
            cannot be written; it is as before then.
    """
    from ..demo.rooms import score_in_rooms
    from ..inference.pose2d import POSE2D_NAMES, make_pose2d, options_of
    from ..models.card_text import set_on_card
    from ..models.errors import ModelError
    from ..models.store import open_model
    options = options_of(args.model_option)
    make = partial(make_pose2d, args.model, **options)
    make().close()                                         # what is wrong with it is told before anything is rendered
    with ProgressDisplay(quiet=args.quiet, prefix='measure: ') as progress:
        found = score_in_rooms(make, args.people, args.pictures, args.seed, progress, bins=_KNOTS)
    accuracy = found.accuracy
    if accuracy is None:
        raise ModelError(f'found {found.recall:.0f} % of the people in {found.pictures} rendered ones: too few joints '
                         'to measure errors on', 'give more --pictures, or leave the card without: the noise is then '
                         'measured in each recording alone', place=args.model)
    with ProgressDisplay(quiet=args.quiet, prefix='check: ') as progress:
        other = score_in_rooms(make, args.people, args.pictures, args.seed + 1, progress, accuracy=accuracy)
    check = other.check
    if check is None:
        raise ModelError(f'found too few joints in {other.pictures} other rendered pictures to check what was measured',
                         'give more --pictures', place=args.model)
    entry = {
        'confidence': list(accuracy.confidence), 'sigma': list(accuracy.sigma),
        'measured': f'rendered rooms, {args.people} people, {found.pictures} pictures, seed {args.seed}'
                    + ''.join(f', {o}' for o in args.model_option),
        'held_out': {'seed': args.seed + 1, 'within_1_sigma': round(check.within_1, 1),
                     'within_2_sigma': round(check.within_2, 1), 'error_to_predicted': round(check.ratio, 3)}}
    where = ''
    if args.model not in POSE2D_NAMES:
        folder = open_model(args.model).folder
        where = f'; on {folder / "card.yaml"}'
        try:
            set_on_card(folder, 'accuracy', entry)
        except OSError as error:
            raise ModelError(f'cannot be written ({error.strerror or error})', 'copy the model folder to where you may '
                             'write, and calibrate it there', place=folder) from error
        open_model(folder.absolute())
    rows = ''.join(f'{c:10.2f}{100 * s:26.2f}\n' for c, s in zip(accuracy.confidence, accuracy.sigma, strict=True))
    return ({'model': args.model, 'accuracy': entry, 'recall': found.recall, 'size_px': found.size_px},
            f'{args.model}: {found.pictures} pictures of rooms with {args.people} people, {found.recall:.0f} % of them '
            f'found, {found.size_px:.0f} px tall at the median{where}\n\nconfidence   sigma, % of the height\n{rows}\n'
            f'in {other.pictures} others {check.within_1:.1f} % of the errors along an axis are within 1 sigma '
            f'and {check.within_2:.1f} % within 2 (Gaussian: 68.3 and 95.4); median error {check.ratio:.2f} of the '
            f'predicted, by confidence {min(check.ratios):.2f} to {max(check.ratios):.2f}\n')
