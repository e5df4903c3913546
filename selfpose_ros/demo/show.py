# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The demo from beginning to end: render, publish, run the real nodes, watch, judge, leave files."""
from __future__ import annotations

import json
import os
import select
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import cv2

from .bag import write_bag
from .cameras import NOBODY
from .children import Child
from .crowd_picture import CrowdSheet
from .errors import DemoError
from .film import Film, make_film
from .observer import Observer
from .picture import Sheet, write_video
from .record import Record, Verdict, verdict
from .table import LiveTable
from .who import crowd_verdict

__all__ = ['Options', 'environment', 'show']

Progress = Callable[[str, int, int], None]

#: 4 cameras at 18 Hz leave two cores time to spare with the network that is shipped for rendered people (6 ms of one
#: core an image); BlazePose takes three times as long, and gets fewer images
_IMAGES_PER_S, _IMAGES_PER_S_BLAZEPOSE = 72., 48.
_RATES_HZ = (5., 20.)
#: the network for rendered people, with a detector of its own
_OURS = 'rendered_pose'
#: after the last image: what is under way may still arrive
_LINGER_S = 1.5


@dataclass(frozen=True)
class Options:
    """What the command line holds. video: write one.  rate_hz: images per second and camera, 0 = what fits.

    backend: of both nodes.  people: that are in the scene.
    """

    output: Path
    cameras: int = 4
    seconds: float = 25.
    seed: int = 0
    model: str = _OURS
    video: bool = True
    rate_hz: float = 0.
    backend: str = 'onnxruntime'
    people: int = 1

    @property
    def camera_rate_hz(self) -> float:
        """Images per second and camera."""
        if self.rate_hz:
            return self.rate_hz
        slow = self.model == 'mediapipe' or Path(self.model).name.startswith('blazepose')
        images = _IMAGES_PER_S_BLAZEPOSE if slow else _IMAGES_PER_S
        # a top-down network looks at each person by itself
        return min(max(images / max(self.cameras * self.people, 1), _RATES_HZ[0]), _RATES_HZ[1])


def environment() -> dict[str, str]:
    """Environment of all processes of one demo: on this host only, in a domain of its own unless one is set."""
    env = dict(os.environ)
    env.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    # above 101 the ports of a domain overlap with those that Linux hands out
    env.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    # small matrices on few cores: OpenBLAS's threads wait for each other and cost up to ten times the work
    env.setdefault('OPENBLAS_NUM_THREADS', '1')
    return env


def show(options: Options, out: TextIO,
         progress: Callable[[], AbstractContextManager[Progress | None]] = nullcontext) -> Verdict:
    """Run the demo and leave picture.png, video.mp4, bag/, report.json and nodes.log in the output folder.

    Args:
        options: see `Options`.
        out: for the table and the sentences.
        progress: makes a display for one piece of long work; it is called with (what, done, total).

    Raises:
        DemoError: it cannot run here.
    """
    if options.people > 1 and options.model == 'mediapipe':
        raise DemoError(f'demo: mediapipe finds one person in an image, not {options.people}',
                        f'use --people 1, or --model {_OURS}')
    folder = options.output
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f'demo: cannot make the folder {folder} ({error})', 'choose another -o DIR') from error
    with progress() as display:
        film = make_film(options.cameras, options.seconds, options.seed, options.camera_rate_hz, progress=display,
                         people=options.people)
    record = Record()
    messages = _perform(film, record, options, out)
    judged = (verdict(record, film.truth, film.rig, film.duration_s) if options.people == 1 else
              crowd_verdict(record, film))
    (folder / 'report.json').write_text(json.dumps(judged.to_dict(), indent=2) + '\n')
    write_bag(folder / 'bag', messages)
    sheet = Sheet(film, record) if options.people == 1 else CrowdSheet(film, record)
    cv2.imwrite(str(folder / 'picture.png'), sheet.at(sheet.best_moment(), whole_chart=True))
    if options.video:
        with progress() as display:
            write_video(folder / 'video.mp4', sheet, film.duration_s, progress=display)
    return judged


def _perform(film: Film, record: Record, options: Options, out: TextIO) -> list[tuple[str, str, int, bytes]]:
    """Publish the film, with the real nodes and an observer at work; returns the messages for the bag."""
    env = environment()
    os.environ.update(env)                                 # the observer lives in this process
    with tempfile.TemporaryDirectory(prefix='selfpose_demo_') as temporary:
        images, parameters = Path(temporary) / 'images.npz', Path(temporary) / 'parameters.yaml'
        film.save_images(images)
        parameters.write_text(_parameters(film, options))
        out.write(f'publishing on ROS_DOMAIN_ID={env["ROS_DOMAIN_ID"]}; look with your own tools while it runs\n')
        out.flush()
        nodes = Child('the nodes', ['-m', 'selfpose_ros', 'run', '--params', str(parameters)],
                      options.output / 'nodes.log', env)
        cameras = Child('the cameras', ['-m', 'selfpose_ros.demo.cameras', str(images)],
                        Path(temporary) / 'cameras.log', env, lines=True)
        with Observer(film.rig.cameras, record) as observer, nodes, cameras:
            record.start_s = _started(cameras, nodes)
            with LiveTable(film, record, out) as table:
                while (now := time.time() - record.start_s) < film.duration_s + _LINGER_S:
                    nodes.check()
                    if cameras.status not in (None, 0):
                        cameras.check()
                    table.update(now)
                    time.sleep(.25)
        if observer.refused:
            raise DemoError(f'demo: a message cannot be read: {observer.refused}')
        return observer.messages


def _started(cameras: Child, nodes: Child) -> float:
    """Stamp of time 0, s: the cameras tell it as soon as somebody listens.

    Raises:
        DemoError: nobody did, or one of the processes failed.
    """
    while not select.select([cameras.stdout], [], [], .25)[0]:
        nodes.check()
    line = cameras.stdout.readline().split()
    if len(line) == 2 and line[0] == 'start':
        return float(line[1])
    time.sleep(.2)                                         # the process is about to end: its status tells why
    if cameras.status == NOBODY:
        raise DemoError(f'demo: the nodes did not subscribe to the cameras ({nodes.last_words()})', f'see {nodes.log}')
    cameras.check()
    raise DemoError('demo: the cameras did not start', 'try again')


def _parameters(film: Film, options: Options) -> str:
    """Parameter file of the nodes: the names of the cameras and the network, nothing about where they are."""
    names = ', '.join(film.rig.cameras)
    # few images a second: a detector that leaves any out finds those who come out from behind others too late
    often = ('    model_options: [detect_every=1]\n' if options.people > 1 and options.model == _OURS else '')
    return (f'/**/pose2d_node:\n  ros__parameters:\n    cameras: [{names}]\n    model: {options.model}\n'
            f'    image_transport: compressed\n    backend: {options.backend}\n{often}'
            f'/**/fusion_node:\n  ros__parameters:\n    cameras: [{names}]\n    backend: {options.backend}\n')
