# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Albums for a training: people in the poses of motion capture, or of recordings with their 3D joints, rendered once
into the folder of the run.
"""
from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.motion import Poses
from ..data.people import poses_of, upright
from ..data.recordings import Recorded
from ..data.sources import read_data
from ..display import Display
from ..errors import TrainingError
from ..settings import complete
from .album import Album, make_album

if TYPE_CHECKING:
    from ..run import Request

__all__ = ['open_albums']

#: one held-out picture for so many others
_FEWER = 16
#: held-out pictures at least
_FEWEST = 64


def open_albums(method: Any, request: Request, seed: int, names: tuple[str, str],
                display: Display) -> tuple[Album, Album]:
    """Pictures to train on, and held-out ones of other sequences, later time, or --val, which are always seen the same.

    Args:
        method: with `task` and the setting `pictures`.
        names: of the two files in the folder of the run.

    Raises:
        TrainingError: the data tells no 3D joints, or an album in the folder is of something else.
    """
    settings = complete(method.defaults(), request.changes, method.name)
    task, count = method.task(settings), int(settings['pictures'])
    if request.views is not None or request.travel:
        raise TrainingError(f'{method.name}: pictures have cameras of their own; leave out --views and --travel')
    given = _people(request.data, 'train')
    if request.val is not None:
        held_out = _joints(_people(request.val, 'held out'))
        learnt = _joints(given)
    else:
        from ..run import parted
        learnt, held_out = (_joints(part) for part in parted(given))
    if not len(learnt) or not len(held_out):
        raise TrainingError(f'{request.data}: too few poses with all joints; give more motion')
    # a method with pictures of a kind of its own makes them itself
    own = getattr(method, 'album', None)
    albums: list[Album] = []
    for joints, n, s, name in ((learnt, count, seed, names[0]),
                               (held_out, max(count // _FEWER, _FEWEST), seed + 1_000_000, names[1])):
        if not (request.folder / name).exists():
            display.say(f'rendering {n} pictures of people, once')
        albums.append(make_album(joints, task, n, s, request.folder / name, os.cpu_count() or 1) if own is None else
                      own(settings, joints, n, s, request.folder / name, os.cpu_count() or 1, bool(albums)))
    albums[1].varied = False
    return albums[0], albums[1]


def _people(path: Any, split: str) -> Poses | list[Recorded]:
    found = read_data(path, split=split)
    return found if isinstance(found, Poses) else upright(found)


def _joints(people: Poses | list[Recorded]) -> Any:
    """(N, 17, 3) m, z up: all whole poses."""
    return people.joints[np.isfinite(people.joints).all((1, 2))] if isinstance(people, Poses) else poses_of(people)
