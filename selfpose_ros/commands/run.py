# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose run`: both nodes in one process, configured and activated; ends with Ctrl-C."""
from __future__ import annotations

import argparse
from pathlib import Path

from ..nodes.errors import ParameterError
from ..nodes.parameters import camera_names
from .backend_option import add_backend
from .needed import ros_needed

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = 'Camera topics in, 3D skeletons out: pose2d_node and fusion_node in one process.'
EXAMPLES = """examples:
  selfpose run --cameras cam1,cam2,cam3,cam4
  selfpose run --params my_robot.yaml
  selfpose run --cameras left,right --ros-args -p person_height_m:=1.80 -r left/image_raw:=/zed/left/image

Images are taken from <camera>/image_raw or <camera>/image_raw/compressed; config/default.yaml lists all
parameters.
Results are on /fusion_node/skeletons, /fusion_node/markers, /fusion_node/rig and /diagnostics."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument('--params', metavar='FILE.yaml', type=Path, help='ROS parameter file of both nodes')
    parser.add_argument('--cameras', metavar='A,B,...', help='names of the cameras, in place of those in the file')
    add_backend(parser, None)
    parser.add_argument('--ros-args', dest='ros_args', nargs=argparse.REMAINDER, default=[],
                        help='everything after it is for ROS: -p name:=value, -r from:=to, --log-level ...')


def run(args: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; 0, or 2 if a node could not be brought up.

    Raises:
        NodeError: rclpy is not installed, the parameter file does not exist, or ROS refuses the arguments.
    """
    cameras = _cameras(args.cameras)
    ros: list[str] = ['selfpose', '--ros-args']
    if args.params is not None:
        if not args.params.is_file():
            raise ParameterError(f'there is no file {args.params}',
                                 'give a ROS parameter file such as config/default.yaml', place='--params')
        ros += ['--params-file', str(args.params)]
    with ros_needed():
        from ..nodes.composed import both_nodes
        from ..nodes.process import serve
    return serve(lambda: both_nodes(cameras, args.backend), [*ros, *args.ros_args], bring_up=True)


def _cameras(given: str | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = tuple(n.strip() for n in given.split(',') if n.strip())
    if not names:
        raise ParameterError(f'{given!r} names none', 'name the cameras, e.g. --cameras cam1,cam2', place='--cameras')
    return camera_names(names)
