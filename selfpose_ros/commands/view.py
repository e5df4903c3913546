# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose view`: a recording, a result, or what the nodes publish, in rerun: people in 3D, cameras, time lines."""
from __future__ import annotations

import argparse
import math
import os
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..io.errors import IoError
from .argument_types import number, whole
from .backend_option import add_backend, chosen_backend
from .needed import ros_needed
from .writable import check_writable

if TYPE_CHECKING:
    from ..core.result import Skeletons
    from ..io.detect import NetworkMaker
    from ..io.recording import Recording
    from .kept_images import KeptImages

__all__ = ['DESCRIPTION', 'EXAMPLES', 'add_arguments', 'run']

DESCRIPTION = """A recording (reconstructed first) or a result in rerun: skeletons in 3D, coloured by level, joints as
large as they are uncertain; cameras with the 2D that they saw, and their images (five a second) where the source has
images; time lines of level, sigma, people, reprojection error.
With --live what the nodes publish now: people, cameras and their pictures (overlays), latency, diagnostics.
Needs: pip install 'selfpose_ros[view]'."""
EXAMPLES = """examples:
  selfpose view bag/                          a window of rerun
  selfpose view bag/ -o monday.rrd            a file, for `rerun monday.rrd` anywhere
  selfpose view out/bag.npz --recording bag/  a result that is there already, and what the cameras saw
  selfpose view session.npz --web             a page for a browser, until Ctrl-C
  selfpose view --live                        the running nodes, until Ctrl-C"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    from ..inference.lifter_choice import LIFTER_HELP
    from ..inference.pose2d import DEFAULT, MODEL_HELP
    parser.add_argument('source', metavar='SOURCE', nargs='*', type=Path,
                        help='result (.npz), keypoint archive, bag, or videos, one for each camera')
    parser.add_argument('--recording', metavar='SOURCE', nargs='+', type=Path,
                        help='for a result: what it was made from, to see the 2D with it')
    parser.add_argument('--live', action='store_true', help='what the nodes publish now, in place of a SOURCE')
    parser.add_argument('--fusion', default='fusion_node', metavar='NODE', help='of --live: name of the fusion node')
    parser.add_argument('--no-images', action='store_true',
                        help='no images of the cameras (with --live the nodes then need not draw them)')
    parser.add_argument('--seconds', type=number(0., math.inf), default=0., metavar='S',
                        help='of --live: end after so long; 0 = never')
    parser.add_argument('-o', '--output', type=Path, metavar='FILE.rrd', help='write a file instead of a window')
    parser.add_argument('--web', action='store_true', help='serve a page for a browser instead of a window')
    parser.add_argument('--port', type=whole(1, 65534), default=9090,
                        help='of the page; the data come from the next one (9090)')
    parser.add_argument('--offline', action='store_true', help='two passes: rig from all of it, then smoothing')
    parser.add_argument('--model', default=DEFAULT, metavar='NAME|FOLDER', help=f'{MODEL_HELP}, for images')
    parser.add_argument('--lifter', default='auto', metavar='NAME|FOLDER|none', help=f'{LIFTER_HELP} (default: auto)')
    parser.add_argument('--quiet', action='store_true', help='no progress')
    add_backend(parser)


def run(args: argparse.Namespace) -> int:
    """Show it; 0.

    Raises:
        IoError: rerun is not installed or does not start, or a source or the output cannot be used.
    """
    if args.web and args.output is not None:
        raise IoError('--web and --output: a page or a file; give one of the two')
    if args.live and (args.source or args.recording):
        raise IoError('--live: it shows the running nodes; leave out the source')
    if not args.live and not args.source:
        raise IoError('nothing to show: name a result or a recording, or give --live')
    _check_place(args)
    rerun = _rerun()
    if args.live:
        _open(rerun, args)
        return _live(rerun, args)
    from .kept_images import KeptImages
    from .rerun_scene import log_images, log_scene
    images = KeptImages()
    result, recording = _scene(args, images)
    name = args.source[0].stem or 'selfpose'
    _open(rerun, args)
    log_scene(rerun, result, recording, name)
    log_images(rerun, result, images.of)
    if args.output is not None:
        rerun.disconnect()
        sys.stdout.write(f'{args.output}: {len(result.stamp)} instants; look at it with: rerun {args.output}\n')
    while args.web:                                        # until Ctrl-C
        time.sleep(1)
    return 0


def _check_place(args: argparse.Namespace) -> None:
    """Whether it can be shown there: before the work, not after it."""
    if args.output is not None:
        if args.output.suffix != '.rrd':
            raise IoError('a file of rerun ends with .rrd', f'write -o {args.output.with_suffix(".rrd")}',
                          place=args.output)
        check_writable([args.output])
    elif args.web:
        for port in (args.port, args.port + 1):
            _check_port(port)
    elif sys.platform == 'linux' and not (os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')):
        raise IoError('there is no screen for a window (neither DISPLAY nor WAYLAND_DISPLAY is set)',
                      'give -o FILE.rrd or --web')


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('', port))
        except OSError as error:
            raise IoError(f'port {port} cannot be had ({error.strerror or error})',
                          'give another one with --port, it and the next one are used', place='--web') from error


def _open(rerun: Any, args: argparse.Namespace) -> None:
    """A window, a file or a page."""
    rerun.init('selfpose', recording_id=None)
    if args.output is not None:
        rerun.save(str(args.output))
    elif args.web:
        url = rerun.serve_grpc(grpc_port=args.port + 1)
        rerun.serve_web_viewer(web_port=args.port, open_browser=False, connect_to=url)
        sys.stdout.write(f'http://localhost:{args.port}/?url={url}\n')
        sys.stdout.flush()
    else:
        # rerun looks for its own program on PATH, where the folder of an environment that is not activated is not
        os.environ['PATH'] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', '')])
        try:
            rerun.spawn()
        except RuntimeError as error:
            raise IoError(f'the window of rerun cannot be opened ({str(error).splitlines()[0]})',
                          'give -o FILE.rrd or --web') from error


def _live(rerun: Any, args: argparse.Namespace) -> int:
    """Until Ctrl-C; 1 where nothing came."""
    with ros_needed():
        import rclpy
        from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

        from ..nodes.live_view import LiveView
        from ..nodes.ros_start import nodes_begin, start_ros
    from . import rerun_scene
    start_ros(['selfpose'])
    view = None
    try:
        with nodes_begin():
            view = LiveView(rerun, rerun_scene, args.fusion, not args.no_images)
        sys.stderr.write('shows what the nodes publish, until Ctrl-C\n')
        executor, end = SingleThreadedExecutor(), time.monotonic() + (args.seconds or float('inf'))
        executor.add_node(view)
        try:
            while rclpy.ok() and time.monotonic() < end:
                executor.spin_once(timeout_sec=.2)
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
    finally:
        if view is not None:
            view.destroy_node()
        rclpy.try_shutdown()
    if args.output is not None:
        rerun.disconnect()
    sys.stdout.write(f'{view.instants} instants\n')
    if not view.instants:
        sys.stderr.write(f'selfpose view: error: nothing came from {args.fusion}: does it run, in this '
                         'ROS_DOMAIN_ID?\n')
    return 0 if view.instants else 1


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise IoError(f"rerun cannot be loaded ({error}); pip install 'selfpose_ros[view]'") from error
    return rerun


def _scene(args: argparse.Namespace, images: KeptImages) -> tuple[Skeletons, Recording | None]:
    """What is to be seen; images of it are added."""
    from ..io.skeletons import read_skeletons
    if len(args.source) == 1 and _is_result(args.source[0]):
        return read_skeletons(args.source[0]), _read(args, args.recording, images) if args.recording else None
    if args.recording:
        raise IoError(f'--recording: {args.source[0]} is a recording itself, not a result; leave it out')
    from ..core.estimator import EstimatorConfig
    from ..inference.lifter_choice import LifterChoice
    from .progress import ProgressDisplay
    from .reconstruction import reconstruct
    recording = _read(args, args.source, images)
    with ProgressDisplay(quiet=args.quiet) as progress:
        return reconstruct(recording, EstimatorConfig(rig_solver='inline'), offline=args.offline, progress=progress,
                           lifter=LifterChoice(args.lifter, chosen_backend(args)).open()), recording


def _is_result(path: Path) -> bool:
    import zipfile
    try:
        with zipfile.ZipFile(path) as file:
            names = set(file.namelist())
        return {'joints.npy', 'level.npy'} <= names and 'keypoints.npy' not in names
    except (OSError, zipfile.BadZipFile):
        return False


def _read(args: argparse.Namespace, paths: list[Path], images: KeptImages) -> Recording:
    from ..inference.pose2d import make_pose2d
    from ..inference.views import view_network
    from ..io.checked import checked
    from ..io.sources import ReadOptions, find_sources, read_source
    from .progress import ProgressDisplay
    sources = find_sources(paths)
    if len(sources) > 1:
        raise IoError(f'{paths[0]}: holds {len(sources)} recordings; name one of them')
    network: NetworkMaker = partial(view_network, partial(make_pose2d, args.model, chosen_backend(args)))
    if not args.no_images:
        network = images.making(network)
    with ProgressDisplay(quiet=args.quiet) as progress:
        recording = checked(read_source(sources[0], ReadOptions(network), progress))
    if sources[0].kind == 'bag' and not args.no_images and not images.of:
        from ..io.bag import images_beside_keypoints
        for camera, stamp, image in images_beside_keypoints(paths[0]):
            images.add(camera, stamp, image)
    return recording
