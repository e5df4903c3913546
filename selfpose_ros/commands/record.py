# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose record`: what the nodes say into a bag, where rosbag2 is not installed."""
from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..io.errors import IoError
from .argument_types import number
from .needed import ros_needed

if TYPE_CHECKING:
    from ..nodes.recorder import Recorder

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = """Keypoints of all cameras, skeletons, rig, people, TF and diagnostics into a rosbag2 folder, until
Ctrl-C; with --images the cameras' images, too. Needs no rosbag2; record.launch.py is for where that is."""
EXAMPLES = """examples:
  selfpose record -o monday
  selfpose record -o monday --images --storage sqlite3
  selfpose record -o monday --topics '/robot/.*|/tf'

exit status: 0 a bag with messages in it; 1 none came, some were lost, or the disk is full; 2 it could not begin."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    from ..io.bag_writer import STORAGES
    parser.add_argument('-o', '--output', required=True, type=Path, metavar='DIR', help='folder of the new bag')
    parser.add_argument('--images', action='store_true', help='image and camera_info topics, too')
    parser.add_argument('--topics', metavar='REGEX', help='names of the topics, in place of those')
    parser.add_argument('--storage', choices=STORAGES, default='mcap', help='format of the bag (default: mcap)')
    parser.add_argument('--seconds', type=number(0., math.inf), default=0., metavar='S',
                        help='end by itself after so long; 0 = never')


def run(args: argparse.Namespace) -> int:
    """Record until SIGINT or SIGTERM, or for so long.

    Raises:
        IoError: the bag cannot be made there, or the expression is none.
        NodeError: ROS is not here, or does not start.
    """
    import re

    from ..nodes.recorded_topics import expression
    try:
        re.compile(args.topics or '')
    except re.error as error:
        raise IoError(f'--topics {args.topics!r} is no regular expression ({error})') from error
    import time
    with ros_needed():
        import rclpy
        from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

        from ..nodes.recorder import Recorder as Made
        from ..nodes.ros_start import nodes_begin, start_ros
    start_ros(['selfpose'])
    recorder: Recorder | None = None
    try:
        with nodes_begin():
            recorder = Made(args.output, args.topics or expression(args.images), args.storage)
        try:
            # from this sentence on Ctrl-C is the normal end
            sys.stderr.write(f'recording into {args.output}, until Ctrl-C\n')
            executor = SingleThreadedExecutor()
            executor.add_node(recorder)
            end = time.monotonic() + args.seconds if args.seconds else float('inf')
            while rclpy.ok() and time.monotonic() < end and not recorder.failure:
                executor.spin_once(timeout_sec=.2)
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        left = recorder.close()
    finally:
        if recorder is not None:
            recorder.destroy_node()
        rclpy.try_shutdown()
    return _summary(args.output, recorder, left)


def _summary(output: Path, recorder: Recorder, left: str) -> int:
    total = sum(recorder.written.values())
    sys.stdout.write(''.join(f'{n:8d}  {topic}\n' for topic, n in sorted(recorder.written.items()))
                     + f'{total:8d}  messages in {output}\n')
    for topic in sorted(recorder.strange):
        sys.stderr.write(f'selfpose record: {topic}: of a type that is not known here, left out\n')
    problems = [left] if left else []
    if recorder.lost:
        problems.append(f'{recorder.lost} messages were lost, the disk is too slow for them: leave the images out, '
                        'or record to a quicker one')
    if not total:
        problems.append('nothing came: do the nodes run, in this ROS_DOMAIN_ID?')
    for problem in problems:
        sys.stderr.write(f'selfpose record: error: {problem}\n')
    return 1 if problems else 0
