# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What an update is asked: recordings, parent, and where the child goes."""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfpose_ros.io.detect import NetworkMaker
from selfpose_ros.io.recording import Recording
from selfpose_ros.models.store import Model, open_model

from ..errors import TrainingError
from ..trainer.process import peak_memory_mb

__all__ = ['RUN', 'Given', 'Request', 'check_memory', 'checked']

#: folder of the training in that of the result, until it is done
RUN = 'run'


@dataclass(frozen=True)
class Given:
    """A recording to learn from: its files, and how it is read (only when everything else is known to be in order).

    Attributes:
        read: gives the 2D joints.
        look: has its images looked at by networks of another kind.
    """

    name: str
    paths: tuple[Path, ...]
    read: Callable[[], Recording]
    look: Callable[[NetworkMaker], Recording] | None = None


@dataclass(frozen=True)
class Request:
    """What is to be learned.

    Attributes:
        recordings: at least one.
        parent: a model folder, a store entry, or the name of a shipped model.
        folder: for report and model, new or empty; None: no report, the model only goes into the store.
        store, name: entry of a model store that the child becomes the newest version of; both or none.
        changes: settings that differ from `FineTuningSettings`.
        held_out: share of each recording's time that is kept for comparing.
        max_minutes: of the training.
        device: auto, cpu, cuda or cuda:N.
        licence: of the recordings, for the card.
        resume: go on with a training that was stopped, from the checkpoint in the folder.
        most_minutes: of recordings that are learned from and compared on: the liveliest, see `Reservoir`.
        max_memory_mb: that the process may have taken when a recording was read or calibrated.
    """

    recordings: Sequence[Given]
    parent: str | Path
    folder: Path | None = None
    store: Path | None = None
    name: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    held_out: float = .3
    max_minutes: float = math.inf
    device: str = 'auto'
    licence: str = 'not told'
    resume: bool = False
    most_minutes: float = math.inf
    max_memory_mb: float = math.inf


def checked(request: Request) -> Model:
    """The parent; what can be found wrong at once is.

    Raises:
        TrainingError, ModelError: it does not fit.
    """
    if not request.recordings:
        raise TrainingError('update: no recording given', 'name a bag or a keypoint archive')
    if (request.store is None) != (request.name is None):
        raise TrainingError('update: --store and --name go together', 'give both or none')
    if request.folder is None and request.store is None:
        raise TrainingError('update: nowhere to put the model', 'give -o DIR, or --store DIR and --name NAME')
    if not .1 <= request.held_out <= .6:
        raise TrainingError(f'update: held-out share {request.held_out:g}', 'give a number from 0.1 to 0.6')
    folder = request.folder
    there = None if folder is None or not folder.exists() else {p.name for p in folder.iterdir()} if folder.is_dir() \
        else {''}
    if request.resume and there != {RUN}:
        raise TrainingError('holds no update that was stopped', 'leave out --resume', place=folder or 'update')
    if there and not request.resume:
        raise TrainingError('exists and is not an empty folder', 'choose another one'
                            + ', or go on with --resume' * (there == {RUN}), place=folder)
    return open_model(request.parent)


def check_memory(request: Request, name: str) -> None:
    """After a recording of this name was read or calibrated: a process that is killed for its memory leaves no word.

    Raises:
        TrainingError: more memory was taken than the request allows.
    """
    taken = peak_memory_mb()
    if taken > request.max_memory_mb:
        raise TrainingError(f'{taken:.0f} MB of memory were taken, of {request.max_memory_mb:.0f} MB allowed',
                            'allow more, or learn from fewer minutes (--most-minutes), or cut the longest recording',
                            place=name)
