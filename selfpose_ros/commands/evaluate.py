# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose evaluate`: how good a model is, a lifting one or one that looks at images; or 2D joints against others."""
from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .argument_types import number, whole
from .progress import ProgressDisplay
from .writable import check_writable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..models.card import Card
    from ..models.store import Model

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = """How good a lifting model is. With --motion, motion capture is seen by up to four virtual cameras that
nobody has calibrated, through a 2D network with noise, occlusions and exchanged sides; each view is lifted by itself
and compared with the truth, in mm, over 16 joints. Temporal models see each clip causally. The same seed gives the
same figures on every machine.

With --data it lifts recorded 2D joints, each view by itself through a guessed focal length, and is compared with the 3D
joints that come with them: Human3.6M (S9 and S11), MPI-INF-3DHP (annot_data.mat), SkiPose-PTZ (test/), in the files
that selfpose train --data takes, or keypoint archives with truth_joints, truth_joint_names, truth_R and truth_t. Where
a data set has no recordings for the test, all count, and a note says so. Joints that are not known do not count.

A 2D pose model sees rendered people in these poses instead, one picture of each instant, cut out around the person as
at run time: PCK counts joints within a tenth and a fifth of the torso's diagonal. Where it tells depths, too
(heatmap25d), its 3D is compared with the truth as that of a lifting model, with the camera's own focal length.
Figures on rendered people say little about photographs: for those, give a keypoint archive in place of the model
(selfpose reconstruct --keypoints-out) and another one of the same images with --reference. A result of selfpose
reconstruct is compared with the 3D joints of a --reference that has them (truth_joints and true cameras).

With --people a 2D pose model looks at rendered rooms in which so many people cross each other's ways, with its
detector and from picture to picture, as at run time. Told are the people it finds (recall, of those who show half of
their joints or more; precision), and what error goes with its confidences.

The motion file (.npz) is that of selfpose benchmark."""

EXAMPLES = """examples:
  selfpose evaluate out/model --motion mocap.npz
  selfpose evaluate out/model --motion mocap.npz --seed 2 --views 2 --json > figures.json
  selfpose evaluate out/model --data h36m/ --every 64
  selfpose evaluate runs/heatmap25d/model --motion mocap_test.npz --pictures 1200 -o found.png
  selfpose evaluate rendered_pose --people 3
  selfpose evaluate found.npz --reference clicked.npz
  selfpose evaluate out/man.npz --reference balance.npz

N-MPJPE scales each pose to the truth, PA-MPJPE moves, turns and scales it (no reflection), N-PCK counts joints
within 150 mm, CPS is the correct-pose score (0..300).
exit status: 0 measured; 1 nothing there that a figure could be of; 2 not measured, the sentence says why."""

#: pictures on the page that --output draws, and what it may be
_SHOWN, _IMAGES = 12, ('.png', '.jpg')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument('model', metavar='MODEL',
                        help='a model folder, the name of a shipped model, or a keypoint archive (.npz)')
    parser.add_argument('--motion', type=Path, metavar='FILE', help='motion capture, see above')
    parser.add_argument('--data', type=Path, metavar='PATH', help='recordings that come with 3D joints, see above')
    parser.add_argument('--people', type=whole(1), metavar='N', help='1 to 4 people in rendered rooms, see above')
    parser.add_argument('--far', type=number(0, 100), metavar='X',
                        help='factor on the distances of the cameras of --people: people are small (default: 1)')
    parser.add_argument('--fusion', action='store_true',
                        help='with --people: the network looks again where the fusion of the cameras expects somebody, '
                             'as live')
    parser.add_argument('--model-option', action='append', default=[], metavar='NAME=VALUE',
                        help='option of a 2D network with --people, for instance detect_every=2; again for more')
    parser.add_argument('--every', type=whole(1), metavar='N',
                        help='every N-th frame of each recording counts (default: 1; papers: 64 on Human3.6M); --data')
    parser.add_argument('--reference', type=Path, metavar='FILE',
                        help='keypoint archive of the same images, one person each, that an archive is compared with; '
                             'with its 3D joints, where that is a result')
    parser.add_argument('--seed', type=whole(0), default=1, metavar='N',
                        help='of cameras and 2D errors, and of pictures (default: 1)')
    parser.add_argument('--views', type=int, choices=(1, 2, 3, 4), help='cameras of --motion (default: 4)')
    parser.add_argument('--pictures', type=whole(1), metavar='N',
                        help='that a 2D pose model sees (default: 600); they are rendered first')
    parser.add_argument('-o', '--output', type=Path, metavar='FILE',
                        help='draw what a 2D pose model finds in a dozen of the pictures into this image (.png, .jpg)')
    parser.add_argument('--travel', action='store_true',
                        help='people of --motion keep their path over the floor; else they stay in the middle')
    parser.add_argument('--noise', type=number(0, 100), metavar='X',
                        help='factor on the 2D noise of --motion (default: 1)')
    parser.add_argument('--correction', action='store_true',
                        help='also correct every pose of --motion by its 2D joints, as fusion_node can')
    parser.add_argument('--json', action='store_true', help='everything as JSON')
    parser.add_argument('--quiet', action='store_true', help='no progress')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..core.correction import CorrectionConfig
    from ..inference.errors import BackendUnavailable, InputError
    from ..inference.lifter import Lifter
    from ..io.motion_capture import read_motion
    from ..models.store import open_model
    if args.reference is not None:
        return _of_keypoints(Path(args.model), args)
    if args.people is not None:
        return _in_rooms(args)
    if args.far is not None or args.fusion:
        raise InputError('evaluate: --far and --fusion go with --people N', 'give both')
    _check(args)
    try:
        from selfpose_training.evaluation.lifter import evaluate
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] != 'selfpose_training':
            raise
        raise BackendUnavailable('the package selfpose_training, which measures, is not part of this installation',
                                 'install selfpose_ros with pip from its source') from error
    model = open_model(args.model)
    if args.data is not None:
        return _on_data(model, args)
    motion = read_motion(args.motion)
    if model.card.kind == 'pose2d':
        return _of_images(model, motion.joints, args)
    _without_pictures(model, args)
    lifter = Lifter(model)
    with ProgressDisplay(quiet=args.quiet, prefix='evaluate: ') as progress:
        found = evaluate(lifter, motion, args.seed, views=args.views or 4, travel=args.travel,
                         noise=1. if args.noise is None else args.noise,
                         correction=CorrectionConfig() if args.correction else None, progress=progress)
    return _print_found(args, model.card, {'motion': args.motion.name, **found.to_dict()}, _text)


def _check(args: argparse.Namespace) -> None:
    """Raises InputError: neither motion nor recordings, both, or options of the other one."""
    from ..inference.errors import InputError
    if args.output is not None and args.output.suffix.lower() not in _IMAGES:
        raise InputError('is to become an image', f'give it a name that ends in {" or ".join(_IMAGES)}',
                         place=args.output)
    if args.output is not None:
        check_writable([args.output])
    if args.motion is None and args.data is None:
        raise InputError('evaluate: --motion FILE or --data PATH is missing',
                         'or let a 2D network look for --people N, or compare keypoint archives with --reference FILE')
    if args.motion is not None and args.data is not None:
        raise InputError('evaluate: --motion and --data are two things to measure on', 'give one of them')
    if args.data is not None:
        given = [f'--{name}' for name, there in (('views', args.views is not None), ('travel', args.travel), (
            'noise', args.noise is not None), ('correction', args.correction)) if there]
        if given:
            raise InputError('recordings have cameras and 2D errors of their own, and are measured as they are',
                             f'leave out {", ".join(given)}', place=args.data)
    elif args.every is not None:
        raise InputError('all frames of a motion count', 'leave out --every, which is for --data', place=args.motion)


def _without_pictures(model: Model, args: argparse.Namespace) -> None:
    from ..inference.errors import InputError
    given = [name for name, value in (('--pictures', args.pictures), ('--output', args.output)) if value is not None]
    if given:
        raise InputError(f'{args.model}: is a {model.card.kind}, which looks at no pictures; leave out '
                         + ' and '.join(given))


def _on_data(model: Model, args: argparse.Namespace) -> int:
    """On recordings that come with 3D joints."""
    from ..inference.errors import BackendUnavailable
    from ..inference.lifter import Lifter
    for name in ('torch', 'h5py'):
        if importlib.util.find_spec(name) is None:
            raise BackendUnavailable(f'the Python package {name}, which reading data sets takes, is not installed',
                                     "pip install 'selfpose_ros[training]'", place=args.data)
    from selfpose_training.data.people import poses_of, upright
    from selfpose_training.evaluation.recorded import evaluate_recorded, measured
    every = args.every or 1
    if model.card.kind != 'pose2d':
        _without_pictures(model, args)
    recordings, notes = measured(_recordings(args), str(args.data))
    for note in notes:
        sys.stderr.write(f'selfpose evaluate: {args.data}: {note}\n')
    if model.card.kind == 'pose2d':
        return _of_images(model, poses_of([r.at(slice(None, None, every)) for r in upright(recordings)]), args)
    lifter = Lifter(model)
    with ProgressDisplay(quiet=args.quiet, prefix='evaluate: ') as progress:
        found = evaluate_recorded(lifter, recordings, every=every, progress=progress)
    return _print_found(args, model.card, {'data': args.data.name, **found.to_dict(), 'notes': notes}, _text)


def _recordings(args: argparse.Namespace) -> list[Any]:
    from selfpose_training.data.sources import kind_of, read_data

    from ..inference.errors import InputError
    if kind_of(args.data) == 'motion':
        raise InputError('is motion capture, which no camera saw', 'give it with --motion', place=args.data)
    found = read_data(args.data, split='held out', truth=True)
    assert isinstance(found, list)
    return found


def _of_keypoints(archive: Path, args: argparse.Namespace) -> int:
    from ..benchmark.keypoints import compare_keypoints
    from ..inference.errors import InputError
    from ..io.archive import read_keypoints
    from ..io.npz import NpzReader
    given = ' and '.join(f'--{n}' for n in ('motion', 'data', 'output') if getattr(args, n) is not None)
    if given or archive.suffix != '.npz':
        raise InputError(f'{args.model}: --reference compares two keypoint archives (.npz); '
                         + (f'leave out {given}' if given else 'name one in place of the model'))
    with NpzReader(archive) as z:
        is_result = 'joints' in z and 'keypoints' not in z
    if is_result:
        return _of_result(archive, args)
    found = compare_keypoints(read_keypoints(archive), read_keypoints(args.reference))
    report = {'keypoints': archive.name, 'reference': args.reference.name, **found.to_dict()}
    sys.stdout.write(json.dumps(report, indent=1) + '\n' if args.json else (
        f'{archive.name}: somebody in {found.found:.0%} of {found.images} images of {args.reference.name}\n'
        f'PCK@0.1 {found.pck_10:.1f} %, PCK@0.2 {found.pck_20:.1f} % of the torso, median distance '
        f'{found.median_px:.1f} px\n' + (f'{found.check.sentence}\n' if found.check is not None else '')))
    sys.stdout.flush()
    return 0 if found.found else 1                         # nothing to compare: no success


def _of_result(archive: Path, args: argparse.Namespace) -> int:
    """3D joints against those of the reference."""
    from ..benchmark.real import compare_result, read_real
    from ..io.skeletons import read_skeletons
    found = compare_result(read_real(args.reference), read_skeletons(archive))
    report = {'result': archive.name, 'reference': args.reference.name, **found.to_dict()}
    s, late = found.score, found.late_s
    way = 'late' if late > 0 else 'early'
    step = (f'nearest where it counts as {abs(late) * 1e3:.0f} ms {way}: PA {found.in_step.pa:.1f} mm, ga '
            f'{found.in_step.ga:.1f} mm\n') if late else ''
    sys.stdout.write(json.dumps(report, indent=1) + '\n' if args.json else (
        f'{archive.name}: somebody in {s.cover:.0%} of {s.frames} instants of {args.reference.name}, {s.l3:.0%} at '
        f'level 3\n'
        f'PA {s.pa:.1f} mm (a similarity for each instant), ga {s.ga:.1f} mm (one for all of them)\n{step}'
        + (f'cameras: rotations {s.ae:.1f} degrees off (mean of the pairs), fields of view {s.fov:.1f}\n'
           if math.isfinite(s.ae) else '')))
    sys.stdout.flush()
    return 0


def _in_rooms(args: argparse.Namespace) -> int:
    """People in rendered rooms, found by a 2D network with all that it has at run time."""
    from ..demo.rooms import score_in_rooms
    from ..inference.errors import InputError
    from ..inference.pose2d import accuracy_of, make_pose2d, options_of
    given = [f'--{n}' for n in ('motion', 'data', 'every', 'views', 'noise', 'output') if getattr(args, n) is not None]
    given += [f'--{n}' for n in ('travel', 'correction') if getattr(args, n)]
    if given:
        raise InputError('--people has rooms and people of its own', f'leave out {", ".join(given)}', place=args.model)
    make = partial(make_pose2d, args.model, **options_of(args.model_option))
    network = make()                                       # what is wrong with it is told before anything is rendered
    accuracy, far = accuracy_of(network), 1. if args.far is None else args.far
    network.close()
    with ProgressDisplay(quiet=args.quiet, prefix='evaluate: ') as progress:
        found = score_in_rooms(make, args.people, args.pictures or 600, args.seed, progress, far=far, accuracy=accuracy,
                               fused=args.fusion)
    report = {'model': args.model, 'seed': args.seed, 'people_in_room': args.people, 'far': far, 'fusion': args.fusion,
              **found.to_dict()}
    card = 'its card has no accuracy; selfpose model calibrate measures one'
    if found.check is not None:
        card = found.check.sentence
    sys.stdout.write(json.dumps(report, indent=1) + '\n' if args.json else '\n'.join([
        f'{args.model}: {found.pictures} pictures of rooms with {args.people} people, seed {args.seed}; {found.people} '
        f'times somebody is to be seen, {found.size_px:.0f} px tall at the median', '',
        f'found: {found.recall:.1f} % of them; {found.precision:.1f} % of what was found is somebody', '',
        'confidence   sigma, % of the height   px of it   further off than 3 sigma', *(
            f'{b.confidence:10.2f}{100 * b.sigma:25.2f}{b.sigma * found.size_px:11.1f}{b.astray:27.1%}'
            for b in found.bins), '', card, '']))
    sys.stdout.flush()
    return 0 if found.recall > 0 else 1


def _of_images(model: Model, joints: Any, args: argparse.Namespace) -> int:
    from selfpose_training.evaluation.images import evaluate_images

    from ..demo.lifted_pictures import LiftedPicture, page
    from ..inference.errors import InputError
    from ..inference.pose2d.network import VisionNetwork
    if args.views is not None or args.travel or args.correction or args.noise is not None:
        raise InputError('is a 2D pose network, which sees pictures one by one',
                         'leave out --views, --travel, --noise and --correction', place=args.model)
    shown: list[LiftedPicture] = []

    def show(image: Any, points: Any, pose: Any, true: Any) -> None:
        if len(shown) < _SHOWN:
            shown.append(LiftedPicture(image, points, pose, true))

    with ProgressDisplay(quiet=args.quiet, prefix='evaluate: ') as progress:
        found = evaluate_images(VisionNetwork(model), joints, args.seed, args.pictures or 600, os.cpu_count() or 1,
                                progress, None if args.output is None else show)
    if args.output is not None:
        _draw(args.output, page(shown))
    return _print_found(args, model.card, {'data' if args.motion is None else 'motion': (args.motion or args.data).name,
                                    **found.to_dict()}, _text_of_images)


def _print_found(args: argparse.Namespace, card: Card, found: dict[str, Any],
          text: Callable[[Card, dict[str, Any]], str]) -> int:
    report = {'model': {'name': card.name, 'task': card.task, 'method': card.method, 'sha256': card.sha256}, **found}
    sys.stdout.write(json.dumps(report, indent=1) + '\n' if args.json else text(card, report))
    sys.stdout.flush()
    single = found.get('single')
    return 0 if single is None or math.isfinite(single['n_mpjpe']) else 1


def _draw(file: Path, image: Any) -> None:
    import cv2

    from ..io.errors import IoError
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(file), image)
    except (OSError, cv2.error):
        written = False
    if not written:
        raise IoError('cannot be written', 'choose another place with -o', place=file)


def _text_of_images(card: Card, report: dict[str, Any]) -> str:
    lines = [f'{card.name}: 2D pose network ({card.task}), method {card.method}',
             f'{report["pictures"]} rendered pictures of people from {report.get("motion") or report["data"]}, seed '
             f'{report["seed"]}', '',
             f'PCK@0.1 {report["pck_10"]:.1f} %, PCK@0.2 {report["pck_20"]:.1f} % of the torso']
    f = report['single']
    if f is not None:
        lines += [f'3D from {report["lifted"]:.1%} of the pictures: N-MPJPE {f["n_mpjpe"]:.1f} mm, PA-MPJPE '
                  f'{f["pa_mpjpe"]:.1f} mm, N-PCK {f["n_pck"]:.1f} %',
                  f'errors are {report["sigma_ratio"]:.2f} x sigma; {report["depth_reversed"]:.1%} of the poses are '
                  'nearer to the truth with their depth reversed']
    return '\n'.join([*lines, ''])


def _of_what(report: dict[str, Any]) -> str:
    """What was looked at, one line."""
    if 'motion' in report:
        return (f'{report["frames"]} frames of {report["clips"]} clips from {report["motion"]}, '
                f'{report["views"]} views, seed {report["seed"]}' + (', travelling' if report['travel'] else '')
                + (f', 2D noise x {report["noise"]:g}' if report['noise'] != 1 else ''))
    return (f'{report["poses"]} views of {report["frames"]} frames of {report["clips"]} recordings from '
            f'{report["data"]}, {report["views"]} views'
            + (f', every {report["every"]}th frame' if report['every'] > 1 else '')
            + (f'; in {report["unseen"]} more views hardly anything is seen' if report['unseen'] else ''))


def _text(card: Card, report: dict[str, Any]) -> str:
    """The figures for people."""
    parameters = card.everything.get('parameters')
    lines = [f'{card.name}: {card.task} lifter, method {card.method}'
             + (f', {parameters} parameters' if parameters else ''),
             _of_what(report), '',
             f'{"":14}{"N-MPJPE":>9}{"PA-MPJPE":>10}{"N-PCK":>8}{"AUC":>7}{"CPS":>8}',
             f'{"":14}{"mm":>9}{"mm":>10}{"%":>8}{"%":>7}{"0..300":>8}']
    for name, key in (('single view', 'single'), ('corrected', 'corrected'), ('views fused', 'fused'),
                      ('corrected', 'corrected_fused')):
        f = report.get(key)
        if f is not None:
            lines.append(f'{name:14}{f["n_mpjpe"]:9.1f}{f["pa_mpjpe"]:10.1f}{f["n_pck"]:8.1f}{f["auc"]:7.1f}'
                         f'{f["cps"]:8.1f}')
    if report.get('accepted') is not None:
        fused = report['accepted_fused']
        lines += ['', f'{report["accepted"]:.1%} of the corrections were accepted'
                  + (f', {fused:.1%} of those of fused views' if fused is not None else '')]
    return '\n'.join([
        *lines, '', f'{report["within_sigma"]:.1%} of the errors along an axis lie within 1 sigma (68.3% where it is '
        f'calibrated), errors are {report["sigma_ratio"]:.2f} x sigma',
        f'{report["depth_reversed"]:.1%} of the poses are nearer to the truth with their depth reversed', ''])
