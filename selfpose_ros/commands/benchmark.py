# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose benchmark`: accuracy, speed and calibration of sigmas on motion capture seen by virtual cameras."""
from __future__ import annotations

import argparse
import json
import os
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .argument_types import whole, words
from .progress import ProgressDisplay

if TYPE_CHECKING:
    from ..benchmark.pixels import Way
    from ..inference.pose2d import Pose2D

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = """How accurate and quick the estimator is, and how well calibrated its sigmas are. Motion capture is seen
by up to four virtual cameras that nobody has calibrated, through a 2D network with noise, occlusions and exchanged
sides; what the estimator makes of that is scored against the truth, and against the same estimator with the true
cameras and the same 2D joints; the note also holds plain triangulation with them, frame by frame (DLT), which
neither rejects nor smooths. The 2D is simulated but for --real. The same seed gives the same clips on every machine.

The motion file (.npz): pos (N, 17, 3) m, z up; seq_start (S + 1,), first frame of each sequence and N;
seq_name (S,); fps. The joints: {joints}.
Sequences are cut into clips of at most 250 frames; those below 75 are left out."""

EXAMPLES = """examples:
  selfpose benchmark --motion mocap.npz
  selfpose benchmark --motion mocap.npz --every 4 --rows views4,causal --jobs 2
  selfpose benchmark --motion mocap.npz --real session.npz -o out/benchmark --json > out/benchmark.json
  selfpose benchmark --rows tick,stall,solve
  selfpose benchmark --rows pixels -o out/benchmark

rows: {rows}
exit status: 0 measured; 1 the estimator broke somewhere, the rest was measured; 2 nothing measured."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from ..benchmark.run import ROWS
    from ..core.skeleton import JOINTS
    from ..inference.lifter_choice import LIFTER_HELP
    parser.description = DESCRIPTION.format(joints=', '.join(JOINTS))
    parser.epilog = EXAMPLES.format(rows=', '.join(ROWS))
    parser.add_argument('--motion', type=Path, metavar='FILE', help='motion capture, see above')
    parser.add_argument('--seed', type=whole(0), default=1, metavar='N', help='of cameras and 2D errors (default: 1)')
    parser.add_argument('--every', type=whole(1), default=1, metavar='N', help='use every N-th clip (default: 1, all)')
    parser.add_argument('--rows', type=words, default=(), metavar='ROW,...', help='some of the table; default: all')
    parser.add_argument('--real', type=Path, metavar='FILE', help='keypoint archive of a real recording with its truth')
    parser.add_argument('--lifter', default='auto', metavar='NAME|FOLDER|none', help=f'{LIFTER_HELP} (default: auto)')
    parser.add_argument('-o', '--output', type=Path, metavar='DIR', help='also draw plots into this folder')
    parser.add_argument('--jobs', type=whole(1), default=os.cpu_count() or 1, metavar='N',
                        help='clips at once (default: one for each core)')
    parser.add_argument('--json', action='store_true', help='everything as JSON')
    parser.add_argument('--quiet', action='store_true', help='no progress')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..benchmark.run import Options, run_benchmark
    from ..inference.lifter_choice import LifterChoice
    from ..nodes.fusion_worker import FusionWorker
    if args.output is not None:
        from ..benchmark.plots import check_plots
        check_plots(args.output)                           # before half an hour of work, not after it
    lifter = LifterChoice(args.lifter)
    lifter.open()                                          # a wrong name is reported at once
    options = Options(args.motion, args.seed, args.every, args.rows, args.real, args.jobs, lifter, _way(), FusionWorker)
    with ProgressDisplay(quiet=args.quiet, prefix='benchmark: ') as progress:
        report = run_benchmark(options, progress)
    files = []
    if args.output is not None:
        from ..benchmark.plots import write_plots
        files = write_plots(report, args.output)
    if args.json:
        sys.stdout.write(json.dumps(report.to_dict(), indent=1) + '\n')
    else:
        from rich.console import Console

        from ..benchmark.table import table_of
        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 180)
        console.print(table_of(report))
        sys.stdout.write(f'{report.wall_s:.0f} s of work\n')
        sys.stdout.write(''.join(f'{f}\n' for f in files))
    for what, trace in report.failed:
        sys.stderr.write(f'{trace}selfpose benchmark: error: {what}: the estimator broke, a defect, see the trace '
                         'above\n')
    sys.stdout.flush()
    return 1 if report.failed else 0


def _way() -> Way:
    """What pose2d_node does with an image; without ROS, as much of it as there is."""
    from ..benchmark.pixels import BY_ITSELF, Way
    try:
        from sensor_msgs.msg import CompressedImage
        from std_msgs.msg import Header

        from ..io.ros_messages import images
        from ..nodes.messages import keypoints_from, time_from
        from ..nodes.view_maker import ViewMaker
    except ImportError:
        return BY_ITSELF

    def make(camera: str, network: Pose2D) -> tuple[Callable[[bytes, float], Any], Callable[[Any], Any]]:
        maker = ViewMaker(camera, network)

        def message(jpeg: bytes, stamp: float) -> CompressedImage:
            return CompressedImage(format='jpeg', data=array('B', jpeg), header=Header(stamp=time_from(1. + stamp)))

        def keypoints(image: CompressedImage) -> Any:
            view = maker.view(image, None, 0.)
            return None if view is None else keypoints_from(view, image.header)

        return message, keypoints

    return Way(make, images, True)
