# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A training from files to a model folder: data opened, a part held out, network trained, exported with its card."""
from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .data.held_out import open_data, split_data, split_in_time
from .data.motion import Change, MotionViews, Poses
from .data.recordings import Recorded, RecordedViews
from .data.second_source import with_second
from .data.sources import content_hash, kind_of
from .data.wider_motion import Widening
from .errors import TrainingError
from .images.rendering import open_pictures
from .methods import Method, get
from .methods.base import DataKind
from .methods.image_base import ImageMethod
from .pseudo_labels.label_set import PseudoLabelSet, cached_labels
from .pseudo_labels.measured_noise import MeasuredNoise
from .pseudo_labels.rigs import with_cameras, with_found_rigs
from .settings import current_names
from .trainer.display import Display
from .trainer.distributed import device_of, is_first
from .trainer.fit import Data, Outcome, fit

__all__ = ['MODEL', 'Request', 'card_of', 'train']

#: inside the run's folder, made once and used again: pseudo labels, rigs found, rendered pictures
_LABELS, _RIGS = ('teacher', 'teacher_val'), ('rigs', 'rigs_val')
_PICTURES, _PICTURES_OF_BEFORE = ('pictures.npz', 'pictures_val.npz'), ('album.npz', 'album_val.npz')
#: the model folder, inside the run's folder
MODEL = 'model'
#: between the seeds of data to train on and held-out data: other rigs than any epoch of the training has
_OTHER_RIGS = 1_000_000


@dataclass(frozen=True)
class Request:
    """What is to be trained.

    Attributes:
        method: name in the registry.
        data: motion file, keypoint archive, folder of archives, or bag.
        folder: of the run; the model goes into its folder `model`.
        val: held-out data of the same kinds; None: a part of `data`.
        changes: settings that differ from the defaults of the method's `settings_type`.
        views: cameras of the virtual rigs; only for motion files.
        travel: people walk through the images; only for motion files.
        resume: go on.
        max_minutes: of this call.
        device: auto, cpu, cuda or cuda:N.
        licence: of data and weights, for the card.
    """

    method: str
    data: Path
    folder: Path
    val: Path | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    views: int | None = None
    travel: bool = False
    resume: bool = False
    max_minutes: float = math.inf
    device: str = 'auto'
    licence: str = 'not told'


def train(request: Request, display: Display) -> Outcome:
    """Train; a model folder is written unless the training was stopped by hand or collapsed.

    Raises:
        TrainingError, IoError: what was asked for does not fit; the message has what to do.
    """
    changes = current_names(request.changes)
    method = get(request.method).configure(changes)
    device_of(request.device)
    there = {p.name for p in request.folder.iterdir()} if request.folder.is_dir() else set()
    if there - {*_LABELS, *_RIGS, *_PICTURES, *_PICTURES_OF_BEFORE} and not request.resume:
        raise TrainingError('is not empty', 'go on with --resume, or choose another folder', place=request.folder)
    if request.folder.exists() and not request.folder.is_dir():
        raise TrainingError('is a file', 'name a folder', place=request.folder)
    data, val = _opened(method, request, display)
    second = method.second_source
    if second:
        data = with_second(data, second, request.views or 4, request.travel)    # type: ignore[arg-type]
    more = [Path(second)] if second and Path(second).exists() else []
    data_hash = content_hash([*(p for p in (request.data, request.val) if p is not None), *more],
                             f'{request.views} {request.travel}')
    outcome = fit(method, data, request.folder, changes, val=val, resume=request.resume,
                  max_minutes=request.max_minutes, device=request.device, data_hash=data_hash, display=display)
    if is_first() and outcome.reason != 'stopped' and not outcome.collapsed:
        method.export(outcome.network, request.folder / MODEL, card_of(request, outcome, data_hash))
    return outcome


def _opened(method: Method, request: Request, display: Display) -> tuple[Data, Data]:
    """Data to train on and held-out data, of the kind that the method needs."""
    if method.settings.widen and (isinstance(method, ImageMethod) or method.data is DataKind.KNOWN_CAMERAS
                                  and (method.settings.rig != 'true' or kind_of(request.data) != 'motion')):
        raise TrainingError('what it learns from here cannot be widened', 'leave out widen', place=method.name)
    if isinstance(method, ImageMethod):
        if request.views is not None or request.travel:
            raise TrainingError('pictures have cameras of their own', 'leave out --views and --travel',
                                place=method.name)
        return open_pictures(method.make_pictures, request.data, request.val, method.settings.pictures,
                             method.settings.seed, _pictures_of(request.folder), display.note)
    if method.data is DataKind.PSEUDO_LABELS:
        return _pseudo_labelled(method, request, display)
    if method.data is DataKind.KNOWN_CAMERAS:
        return _with_cameras(method, request, display)
    return open_data(request.data, request.val, request.views, request.travel, method.settings.seed,
                     method.settings.widen)


def _pictures_of(folder: Path) -> tuple[Path, Path]:
    """The files of rendered pictures of a run; a run that was begun with version 0.6 goes on with its own."""
    names = _PICTURES_OF_BEFORE if (folder / _PICTURES_OF_BEFORE[0]).exists() else _PICTURES
    return folder / names[0], folder / names[1]


def _pseudo_labelled(method: Method, request: Request, display: Display) -> tuple[Data, Data]:
    """Poses of our own self-calibration, seen by virtual cameras with the errors that it measured."""
    views, seed = request.views or 4, method.settings.seed

    def labels(path: Path, name: str, split: str) -> PseudoLabelSet:
        return cached_labels(path, request.folder / name, split=split, seed=seed, jobs=os.cpu_count() or 1,
                             views=views, travel=request.travel, every=method.settings.label_every,
                             progress=lambda what, n: display.note(f'teacher: {n} recordings, {what}'))

    found = labels(request.data, _LABELS[0], 'train')
    if request.val is None:
        given, held_out = split_data(found.poses)
        assert isinstance(given, Poses) and isinstance(held_out, Poses)
    else:
        given, held_out = found.poses, labels(request.val, _LABELS[1], 'held out').poses
    noise = MeasuredNoise(found.errors)
    change = Change(widening=Widening.times(method.settings.widen))
    return (MotionViews(given, views, request.travel, seed=seed, noise=noise, change=change),
            MotionViews(held_out, views, request.travel, seed=seed + _OTHER_RIGS, noise=noise))


def _with_cameras(method: Method, request: Request, display: Display) -> tuple[Data, Data]:
    """Data with its cameras, by the setting `rig`."""
    s, views = method.settings, request.views or 4
    if s.rig == 'true' and kind_of(request.data) == 'motion':
        return open_data(request.data, request.val, request.views, request.travel, s.seed, s.widen)

    def recordings(path: Path, name: str, split: str) -> list[Recorded]:
        if s.rig != 'found':
            return with_cameras(path, split=split, seed=s.seed, views=views, travel=request.travel)
        return with_found_rigs(path, request.folder / name, split=split, seed=s.seed, jobs=os.cpu_count() or 1,
                               views=views, travel=request.travel, baseline_m=s.baseline_m,
                               progress=lambda what, n: display.note(f'rigs: {n} recordings, {what}'))

    whole = recordings(request.data, _RIGS[0], 'train')
    given, held_out = (split_in_time(whole) if request.val is None else
                       (whole, recordings(request.val, _RIGS[1], 'held out')))
    return RecordedViews(given, s.seed), RecordedViews(held_out, s.seed + _OTHER_RIGS)


def card_of(request: Request, outcome: Outcome, data_hash: str) -> dict[str, Any]:
    """What the model's card holds about its training."""
    settings = asdict(outcome.settings)
    how = f'{outcome.step} of {outcome.total} steps, {outcome.reason}'
    how += '; sign of the depth flipped' * outcome.flipped
    name = ''.join(c if c.isascii() and (c.isalnum() or c in '._-') else '_' for c in request.folder.resolve().name)
    card: dict[str, Any] = {
        'name': (name.lstrip('._-') or request.method)[:64], 'method': request.method, 'licence': request.licence,
        'trained_on': [{'name': request.data.name, 'sha256': data_hash, 'licence': request.licence}], 'parent': None,
        'metrics': {'criterion': outcome.criterion, **outcome.figures}, 'seed': outcome.settings.seed,
        'settings': settings, 'notes': how}
    return card | ({'width': settings['width']} if 'width' in settings else {})
