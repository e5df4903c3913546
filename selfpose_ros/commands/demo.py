# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose demo`: rendered cameras publish real images, the real nodes answer, the true error is shown."""
from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

from .argument_types import number, whole

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = """Everything at work on one machine, in about a minute: virtual cameras around a rendered person
publish JPEG images as ROS 2 topics; the nodes of `selfpose run`, which are told nothing but the cameras' names,
find the person, the cameras and the 3D skeleton; a table shows what comes out and how far it is from the truth.
With --people 3 three people walk on ways that cross: the 2D network's detector finds them in the images, nothing else
says where they are or who is who; the table and the picture compare the identities that come out with the true people.

Left in DIR: picture.png, video.mp4, bag/ (keypoints and skeletons, rosbag2), report.json, nodes.log.
Exit status: 0 it worked, 1 it did not (the reason is said), 2 it cannot run here."""

EXAMPLES = """examples:
  selfpose demo
  selfpose demo -o /tmp/demo --cameras 3 --seed 7
  selfpose demo --people 3
  selfpose demo --seconds 60 --no-video"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from ..inference.pose2d import MODEL_HELP
    from .backend_option import add_backend
    parser.add_argument('-o', '--output', type=Path, default=Path('out/demo'), metavar='DIR',
                        help='folder for what is left (default: %(default)s)')
    parser.add_argument('--cameras', type=whole(1, 16), default=4, metavar='N', help='virtual cameras (default: 4)')
    parser.add_argument('--people', type=whole(1, 4), default=1, metavar='N',
                        help='rendered people, 1 to 4; the ways of several cross (default: 1). The detector of the 2D '
                             'network has to find them: that of rendered_pose is rendered_detector, which is shipped, '
                             'too')
    parser.add_argument('--seconds', type=number(5., 600.), default=25., metavar='S',
                        help='length of the scene (default: 25)')
    parser.add_argument('--seed', type=whole(0), default=0, help='another person, motion and rig for each number')
    parser.add_argument('--model', default='rendered_pose', metavar='NAME|FOLDER',
                        help=f'{MODEL_HELP} (default: %(default)s)')
    add_backend(parser)
    parser.add_argument('--rate', type=number(1., 60.), default=0., metavar='HZ',
                        help='images per second and camera (default: what two cores can serve)')
    parser.add_argument('--no-video', action='store_true', help='leave out video.mp4')


def run(args: argparse.Namespace) -> int:
    """Run the demo; returns the exit status."""
    from ..demo.errors import DemoError
    if importlib.util.find_spec('rclpy') is None:
        raise DemoError("demo: ROS 2's Python package rclpy is not installed",
                        "source your ROS, or pip install 'selfpose_ros[ros,cpu]'")
    from ..demo.show import Options, show
    from ..demo.table import final_table
    from ..inference.backend import Backend
    from ..inference.pose2d import check_pose2d
    from .backend_option import chosen_backend
    from .progress import ProgressDisplay
    check_pose2d(args.model, Backend(args.backend))
    backend = chosen_backend(args, args.cameras).name
    options = Options(args.output, args.cameras, args.seconds, args.seed, args.model, not args.no_video, args.rate,
                      backend, args.people)
    judged = show(options, sys.stdout, ProgressDisplay)
    from rich.console import Console
    console = Console(file=sys.stdout)
    console.print(final_table(judged.numbers, judged.judged_s, judged.crowd))
    names = ['picture.png', *([] if args.no_video else ['video.mp4']), 'bag', 'report.json']
    sys.stdout.write(f'in {args.output}: {", ".join(names)}\n')
    if judged.ok:
        sys.stdout.write(f'It works: level 3 after {judged.level3_after_s:.1f} s, mean error '
                         f'{judged.numbers.pa_mm:.0f} mm.\n')
        return 0
    sys.stdout.write(f'It did not work: {judged.reason}.\n')
    return 1
