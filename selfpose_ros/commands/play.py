# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose play`: video files as camera topics in real time."""
from __future__ import annotations

import argparse
import importlib.util
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..io.errors import IoError
from ..io.recording import names_of
from .argument_types import number

if TYPE_CHECKING:
    from ..nodes.video_publisher import VideoPublisher

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = """Video files as camera topics in real time, all on one clock: <camera>/image_raw, or
<camera>/image_raw/compressed with --compressed. Stamps are the time at which an image is due, now. Images that
this machine cannot decode or publish in time are dropped and counted. Ends with the videos, or with Ctrl-C."""

EXAMPLES = """examples:
  selfpose play cam1.mp4 cam2.mp4 cam3.mp4 cam4.mp4 --loop
  selfpose play *.mp4 --compressed --fps 15 --max-side 960
  selfpose play a.mp4 b.mp4 --cameras left,right --namespace robot --rate 0.5

exit status: 0 played to the end or stopped by Ctrl-C; 1 a video broke off; 2 nothing played."""

#: a sentence about dropped images no more often than this, s
_REPORT_EVERY_S = 10.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument('videos', metavar='VIDEO', nargs='+', type=Path, help='one for each camera')
    parser.add_argument('--cameras', metavar='A,B,...', help='their names; default: those of the files')
    parser.add_argument('--namespace', default='', metavar='NS', help='namespace of the topics')
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument('--rate', type=number(.01, 100), default=1., metavar='X',
                        help='speed (default: 1)')
    parser.add_argument('--compressed', action='store_true', help='JPEG instead of raw images')
    parser.add_argument('--quality', type=lambda s: int(number(1, 100)(s)), default=90, metavar='Q',
                        help='of the JPEGs, 1 to 100 (default: 90)')
    parser.add_argument('--fps', type=number(.1, 1000), default=0., metavar='HZ',
                        help='no more images a second of each camera')
    parser.add_argument('--max-side', type=lambda s: int(number(32, 16384)(s)), default=0, metavar='PX',
                        help='shrink larger images to this longer side')
    parser.add_argument('--best-effort', action='store_true', help='offer best effort instead of reliable')
    parser.add_argument('--wait', type=number(0, 3600), default=2., metavar='S',
                        help='for a subscriber of every camera, at most (default: 2)')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    cameras = _cameras(args.videos, args.cameras and args.cameras.split(','))
    for path in args.videos:
        if not path.is_file():
            raise IoError('no such file', 'check the path', place=path)
    if importlib.util.find_spec('rclpy') is None:
        raise IoError("play: ROS 2's Python package rclpy is not installed",
                      "source your ROS, or pip install 'selfpose-ros[ros]'")
    from ..nodes.fastdds_profile import use_profile
    from ..nodes.parameters import camera_names
    from ..nodes.video_publisher import PlayOptions, VideoPublisher
    camera_names(cameras)
    if not args.compressed:
        use_profile()
    options = PlayOptions(args.rate, args.loop, args.quality if args.compressed else 0, args.fps, args.max_side,
                          args.best_effort, args.wait)
    stop = threading.Event()
    with _signals(stop), _node(args.namespace) as node:
        publisher = VideoPublisher(node, dict(zip(cameras, args.videos, strict=True)), options)
        topics = ', '.join(p.topic for p in publisher.played.values())
        sys.stderr.write(f'selfpose play: {topics}; Ctrl-C ends\n')
        done = threading.Event()
        teller = threading.Thread(target=_print_drops, args=(publisher, done), daemon=True)
        teller.start()
        try:
            publisher.run(stop)
        finally:
            done.set()
            teller.join()
    return _report(publisher)


def _cameras(videos: Sequence[Path], names: Sequence[str] | None) -> tuple[str, ...]:
    if names is not None:
        if len(names) != len(videos):
            raise IoError(f'{len(names)} names for {len(videos)} videos', 'give one name for each')
        return tuple(names)
    # a file may be called anything, a topic not
    plain = [re.sub(r'\W+', '_', n, flags=re.ASCII).strip('_') for n in names_of(videos)]
    found = tuple(n if n[:1].isalpha() else f'cam{n and "_"}{n}' for n in plain)
    if len(set(found)) != len(found):
        raise IoError(f'cameras would be called {", ".join(found)}', 'name them with --cameras')
    return found


@contextmanager
def _node(namespace: str) -> Iterator[Any]:
    from rclpy.context import Context
    from rclpy.exceptions import InvalidNamespaceException
    from rclpy.node import Node
    from rclpy.signals import SignalHandlerOptions
    from rclpy.validate_namespace import validate_namespace

    from ..nodes.ros_start import nodes_begin, start_ros
    namespace = f'/{namespace.strip("/")}'
    try:
        validate_namespace(namespace)
    except InvalidNamespaceException as error:
        raise IoError(f'--namespace {namespace}: {" ".join(str(error).split())}') from error
    context = Context()
    # signals are ours: they end the playing, and only then is ROS shut down
    start_ros(context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        with nodes_begin():
            node = Node('selfpose_play', namespace=namespace, context=context, start_parameter_services=False)
        try:
            yield node
        finally:
            node.destroy_node()
    finally:
        context.try_shutdown()


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM end the playing; a second one does not cut the cleanup short."""
    before = [(s, signal.signal(s, lambda *_: stop.set())) for s in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _print_drops(publisher: VideoPublisher, done: threading.Event) -> None:
    reported = 0
    while not done.wait(_REPORT_EVERY_S):
        dropped = sum(p.dropped for p in publisher.played.values())
        published = sum(p.published for p in publisher.played.values())
        if dropped > reported:
            sys.stderr.write(f'selfpose play: note: {dropped} of {dropped + published} images dropped, this '
                             'machine is too slow; try --fps, --max-side or --rate\n')
            reported = dropped


def _report(publisher: VideoPublisher) -> int:
    played = publisher.played.values()
    width = max(len(p.topic) for p in played)
    for p in played:
        sys.stdout.write(f'{p.topic:{width}}  {p.published} images published, {p.dropped} dropped\n')
    if publisher.pace.slipped_s > 0:
        sys.stdout.write(f'played {publisher.pace.slipped_s:.1f} s longer than the videos last: this machine '
                         'is too slow for them; try --fps, --max-side or --rate\n')
    failed = [p for p in played if p.error]
    for p in failed:
        sys.stderr.write(f'selfpose play: error: {p.error}\n')
    return 1 if failed else 0
