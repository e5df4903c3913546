# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose reconstruct`: recordings to 3D skeletons."""
from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..cli import is_expected
from ..io.errors import IoError
from .argument_types import number, whole, words
from .backend_option import add_backend, chosen_backend
from .progress import ProgressDisplay
from .writable import check_writable

if TYPE_CHECKING:
    from .reconstruction import Job, Report

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = """Recordings of uncalibrated cameras to metric 3D skeletons, by the estimator that the nodes run.
By default as a robot sees it, instant by instant; with --offline in two passes over the whole recording.

SOURCE is one of
  videos, one for each camera                             cam1.mp4 cam2.mp4 cam3.mp4
  keypoint archives (.npz), or folders of them            session.npz   archives/
  a rosbag2 folder or file, image or keypoint topics      bag/          bag.mcap
  OpenPose JSON folders, one for each camera              cam1_json/ cam2_json/"""

EXAMPLES = """examples:
  selfpose reconstruct cam1.mp4 cam2.mp4 cam3.mp4 cam4.mp4 -o out/man.npz --offline
  selfpose reconstruct bag/ -o out/ --format npz,csv,trc --person-height 1.82
  selfpose reconstruct phone1.mp4 phone2.mp4 phone3.mp4 -o out/ --offline --sync auto
  selfpose reconstruct archives/ -o out/ --jobs 4 --json
  selfpose reconstruct json1/ json2/ -o out/ --fps 60 --image-size 1920x1080 --joints body25b

exit status: 0 all done; 1 some recordings of several failed (they are listed), or a result holds no skeleton at all;
2 nothing done."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from ..core.config import EstimatorConfig
    from ..core.skeleton import JOINT_SETS
    from ..inference.lifter_choice import LIFTER_HELP
    from ..inference.pose2d import DEFAULT, MODEL_HELP
    from ..io.ros_messages.images import MAX_MEGAPIXELS
    parser.add_argument('sources', metavar='SOURCE', nargs='+', type=Path, help='see above')
    parser.add_argument('-o', '--output', required=True, metavar='FILE|DIR',
                        help='FILE.npz, .csv, .trc, .c3d, .bvh or .mot for one recording; or a folder, for NAME.npz of '
                             'each')
    parser.add_argument('--offline', action='store_true', help='two passes: rig from all of it, then smoothing')
    parser.add_argument('--format', type=_formats, metavar='F,F',
                        help='npz, csv, trc, c3d, bvh, mot, angles.csv; default: npz, or as FILE')
    parser.add_argument('--hold-feet', action='store_true',
                        help='feet that stand do not slide; joints are 1 to 2 %% (4 %% without --offline) further '
                             'from the truth')
    parser.add_argument('--person-height', type=number(.5, 2.6), default=0., metavar='M',
                        help='standing height of the person, m: gives the scale')
    parser.add_argument('--baseline', type=number(.01, 1e3), default=0., metavar='M',
                        help='distance between two cameras, m: gives the scale')
    parser.add_argument('--baseline-cameras', type=words, default=(), metavar='A,B',
                        help='the two cameras of --baseline; default: the first two by name')
    parser.add_argument('--same-lens', type=words, action='append', default=[], metavar='A,B,...',
                        help='cameras with equal lenses (one type, one zoom), which share focal length and distortion; '
                        'may be repeated')
    parser.add_argument('--max-people', type=whole(1), default=EstimatorConfig.max_people, metavar='N',
                        help='no more people than this are followed (default: %(default)s)')
    parser.add_argument('--fps', type=number(.1, 1e4), metavar='HZ',
                        help='frames a second: needed for OpenPose, overrules the stamps of videos')
    parser.add_argument('--image-size', type=_sizes, default=(), metavar='WxH[,WxH]',
                        help='for OpenPose: px, of all cameras or of each')
    parser.add_argument('--joints', type=_joint_set, choices=list(JOINT_SETS), metavar='SET',
                        help='joint set of OpenPose files or of archives '
                        f'without joint_names: {", ".join(JOINT_SETS)}')
    parser.add_argument('--topics', type=words, default=(), metavar='T,T,...',
                        help='of a bag; default: all that fit')
    parser.add_argument('--sync', choices=('stamps', 'auto'), default='stamps',
                        help='auto: clocks up to a minute apart, as of recordings that did not start together, '
                        'are put right by the motion in view; stamps: they are taken as they are, and a note tells of '
                        'cameras that are out of step (default: %(default)s)')
    parser.add_argument('--each-alone', action='store_true',
                        help='every video or OpenPose folder is a recording of its own')
    parser.add_argument('--model', default=DEFAULT, metavar='NAME|FOLDER',
                        help=f'{MODEL_HELP}, for images (default: %(default)s)')
    parser.add_argument('--model-option', action='append', default=[], metavar='NAME=VALUE',
                        help='of the 2D network, for instance detector=FOLDER; may be repeated')
    parser.add_argument('--no-second-look', action='store_true',
                        help='do not look again at the images in which the rig expects somebody whom the 2D network '
                             'did not find')
    parser.add_argument('--lifter', default='auto', metavar='NAME|FOLDER|none', help=f'{LIFTER_HELP} (default: auto)')
    add_backend(parser)
    parser.add_argument('--correction', action='store_true',
                        help='below level 3, poses of the lifter are corrected by the joints in all images; not with '
                        '--offline')
    parser.add_argument('--convention', type=Path, metavar='FILE',
                        help='moves joints to where limbs turn: of selfpose model convention, for this 2D network')
    parser.add_argument('--keypoints-out', type=Path, metavar='FILE',
                        help='also write the 2D of the recording as keypoint archive, to reconstruct from again')
    parser.add_argument('--max-megapixels', type=number(.1, 1e3), default=MAX_MEGAPIXELS,
                        metavar='MPX', help='larger images and videos are refused before memory is taken for them '
                                            f'(default: {MAX_MEGAPIXELS:g})')
    parser.add_argument('--jobs', type=whole(1), default=1, metavar='N', help='recordings worked on at once')
    parser.add_argument('--json', action='store_true', help='the report as JSON')
    parser.add_argument('--quiet', action='store_true', help='no progress')


def _joint_set(text: str) -> str:
    from ..core.errors import SkeletonError
    from ..core.skeleton import set_name
    try:
        return set_name(text)
    except SkeletonError:
        return text                                        # argparse lists the choices


def _formats(text: str) -> tuple[str, ...]:
    from ..io.motion_files import FORMATS
    names = tuple(dict.fromkeys(n.strip().lower() for n in text.split(',') if n.strip()))
    unknown = [n for n in names if n not in FORMATS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f'{text!r}: choose from {", ".join(FORMATS)}')
    return names


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    try:
        sizes = tuple((int(w), int(h)) for w, h in (s.lower().split('x') for s in text.split(',')))
    except ValueError:
        sizes = ()
    if not sizes or min(map(min, sizes)) < 1:
        raise argparse.ArgumentTypeError(f'{text!r}: give width x height in px, for instance 1920x1080')
    return sizes


def run(args: argparse.Namespace) -> int:
    """Run the command; see the module of `selfpose_ros.cli` for the exit status."""
    jobs = _jobs(args)
    reports: list[Report] = []
    failed: list[tuple[str, str]] = []
    if len(jobs) == 1:
        from .reconstruction import run_job
        with ProgressDisplay(quiet=args.quiet) as progress:
            reports.append(run_job(jobs[0], progress))
    else:
        with ProgressDisplay(quiet=args.quiet) as progress:
            for done, (job, report, error) in enumerate(_many(jobs, args.jobs), 1):
                if report is not None:
                    reports.append(report)
                else:
                    failed.append((str(job.source.paths[0]), error))
                progress('recordings', done, len(jobs))
    _print_report(sorted(reports, key=lambda r: r.name), sorted(failed), args.json)
    return 1 if failed or not all(r.cover for r in reports) else 0


def _print_report(reports: Sequence[Report], failed: Sequence[tuple[str, str]], as_json: bool) -> None:
    for note in (n for r in reports for n in r.notes):
        sys.stderr.write(f'selfpose reconstruct: note: {" ".join(note.split())}\n')
    if as_json:
        out = {'recordings': [r.to_dict() for r in reports],
               'failed': [{'source': source, 'error': error} for source, error in failed]}
        sys.stdout.write(json.dumps(out, indent=2) + '\n')
    else:
        sys.stdout.write(''.join(f'{r.text()}\n' for r in reports))
    for _, error in failed:
        sys.stderr.write(f'selfpose reconstruct: error: {error}\n')
    if failed:
        total = len(failed) + len(reports)
        sys.stderr.write(f'selfpose reconstruct: {len(failed)} of {total} recordings failed\n')
    sys.stdout.flush()


def _jobs(args: argparse.Namespace) -> list[Job]:
    from ..core.estimator import EstimatorConfig
    from ..inference.lifter_choice import LifterChoice
    from ..inference.pose2d import check_pose2d, make_pose2d, options_of
    from ..inference.views import view_network
    from ..io.convention_file import read_convention
    from ..io.sources import ReadOptions, find_sources
    from .reconstruction import Job
    sources = find_sources(args.sources, args.each_alone)
    check_pose2d(args.model, needed=any(s.kind == 'videos' for s in sources))
    backend = chosen_backend(args)
    network = partial(make_pose2d, args.model, backend, **options_of(args.model_option))
    look = partial(view_network, network)
    options = ReadOptions(look, args.fps, args.image_size, args.joints, args.topics,
                          args.max_megapixels)
    convention = None if args.convention is None else read_convention(args.convention)
    config = EstimatorConfig(person_height_m=args.person_height, baseline_m=args.baseline,
                             baseline_cameras=args.baseline_cameras, max_people=args.max_people,
                             correction=args.correction, same_lens=tuple(args.same_lens),
                             convention=convention)
    if args.correction and args.offline:
        raise IoError('--correction: what --offline makes knows all instants already', 'leave one of the two out')
    if args.baseline_cameras and len(set(args.baseline_cameras)) != 2:
        raise IoError(f'--baseline-cameras {",".join(args.baseline_cameras)}: name two cameras, as in cam1,cam2')
    for group in args.same_lens:
        if len(set(group)) < 2:
            raise IoError(f'--same-lens {",".join(group)}: name two cameras or more, as in cam1,cam2')
    if args.keypoints_out is not None and len(sources) > 1:
        raise IoError(f'--keypoints-out {args.keypoints_out}: one file for {len(sources)} recordings',
                      'run them one at a time')
    lifter = LifterChoice(args.lifter, backend)
    lifter.open()                                          # before an hour of work, not after it
    stems, formats = _outputs(args.output, [s.name for s in sources], args.format)
    inputs = {p.resolve() for s in sources for p in s.paths}
    files = [s.with_name(f'{s.name}.{f}') for s in stems for f in formats]
    for path in (*files, args.keypoints_out):
        if path is not None and path.resolve() in inputs:
            raise IoError('the result would overwrite a source', 'choose another place with -o', place=path)
    check_writable([p for p in (*files, args.keypoints_out) if p is not None])
    return [Job(source, options, stem, formats, config, args.offline, args.keypoints_out, lifter,
                args.sync == 'auto', args.hold_feet, None if args.no_second_look else look)
            for source, stem in zip(sources, stems, strict=True)]


def _outputs(out: str, names: Sequence[str], asked: tuple[str, ...] | None) -> tuple[list[Path], tuple[str, ...]]:
    """Stem of each recording's result, and the formats."""
    from ..io.motion_files import FORMATS
    path = Path(out)
    suffix = path.suffix[1:].lower()
    if path.is_dir() or out.endswith('/') or not suffix:
        return [path / name for name in names], asked or ('npz',)
    if suffix not in FORMATS:
        raise IoError(f'results are {", ".join(FORMATS)}', 'give such a file, or a folder ending with /', place=out)
    if len(names) > 1:
        raise IoError(f'one file for {len(names)} recordings', 'give a folder ending with /', place=out)
    return [path.with_suffix('')], asked or (suffix,)


def _many(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Report | None, str]]:
    """(job, report, '') or (job, None, why) as they end: what befalls one recording does not lose the others."""
    from ..core.worker_process import in_processes
    from .reconstruction import run_job
    if workers == 1:
        for job in jobs:
            try:
                yield job, run_job(job), ''
            except Exception as error:  # noqa: BLE001 - reported with the others at the end
                yield job, None, _sentence(error)
        return
    for job, future in in_processes(run_job, jobs, workers):
        failure = future.exception()
        yield job, None if failure else future.result(), _sentence(failure) if failure else ''


def _sentence(error: BaseException) -> str:
    if not is_expected(error):
        traceback.print_exception(error)
        return f'{type(error).__name__}: {" ".join(str(error).split())}; a defect, see the trace above'
    return ' '.join(str(error).split())
