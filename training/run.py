# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A training from files to a model folder: data opened, a part held out, network trained, exported with its card."""
from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .data.measured import MeasuredNoise
from .data.motion import MotionViews, Poses
from .data.recordings import Recorded, RecordedViews
from .data.second_source import with_second
from .data.sources import kind_of, read_data
from .display import Display
from .distributed import device_of, is_first
from .errors import TrainingError
from .fit import Data, Outcome, fit
from .methods import Method, get

__all__ = ['MODEL', 'Request', 'card_of', 'data_hash', 'open_data', 'parted', 'train']

#: share of sequences, or of each recording's time, that is held out where --val names nothing
_HELD_OUT = .05
#: what a teacher or self-calibration has made, inside the run's folder: it is used again
_TEACHERS, _RIGS = ('teacher', 'teacher_val'), ('rigs', 'rigs_val')
#: rendered pictures, likewise
_ALBUMS = ('album.npz', 'album_val.npz')
#: the model folder, inside the run's folder
MODEL = 'model'


@dataclass(frozen=True)
class Request:
    """What is to be trained.

    Attributes:
        method: name in the registry.
        data: motion file, keypoint archive, folder of archives, or bag.
        folder: of the run; the model goes into its folder `model`.
        val: held-out data of the same kinds; None: a part of `data`.
        changes: settings, see `settings.SETTINGS` and the method's own.
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
        TrainingError, IoError: what was asked for does not fit; the message says what to do.
    """
    method = get(request.method)
    device_of(request.device)
    there = {p.name for p in request.folder.iterdir()} if request.folder.is_dir() else set()
    if there - {*_TEACHERS, *_RIGS, *_ALBUMS} and not request.resume:
        raise TrainingError(f'{request.folder}: is not empty; go on with --resume, or choose another folder')
    if request.folder.exists() and not request.folder.is_dir():
        raise TrainingError(f'{request.folder}: is a file; name a folder')
    seed = int(request.changes.get('seed', method.defaults().get('seed', 1)))
    data: Data
    val: Data
    if hasattr(method, 'task'):
        from .images.run import open_albums
        data, val = open_albums(method, request, seed, _ALBUMS, display)
    elif getattr(method, 'taught', False):
        data, val = _taught(method, request, seed, display)
    elif getattr(method, 'rigged', False):
        data, val = _rigged(method, request, seed, display)
    else:
        data, val = open_data(request.data, request.val, request.views, request.travel, seed)
    second = str(request.changes.get('source2', ''))
    if second and 'source2' in method.defaults():
        data = with_second(data, second, request.views or 4, request.travel)    # type: ignore[arg-type]
    more = [Path(second)] if second and Path(second).exists() else []
    known = data_hash([*(p for p in (request.data, request.val) if p is not None), *more],
                      f'{request.views} {request.travel}')
    outcome = fit(method, data, request.folder, request.changes, val=val, resume=request.resume,
                  max_minutes=request.max_minutes, device=request.device, data_hash=known, display=display)
    if is_first() and outcome.reason != 'stopped' and not outcome.collapsed:
        if hasattr(method, 'export'):                      # a network of images, with a card of another kind
            method.export(outcome.network, request.folder / MODEL, card_of(request, outcome, known))
        else:
            from .export import export_model
            export_model(outcome.network.exported(), request.folder / MODEL, card_of(request, outcome, known))
    return outcome


def _taught(method: Method, request: Request, seed: int, display: Display) -> tuple[Data, Data]:
    """Poses of our own self-calibration, seen by virtual cameras with the errors that it measured."""
    from .teacher import Teaching, teaching_of

    def taught(path: Path, name: str, split: str) -> Teaching:
        return teaching_of(path, request.folder / name, split=split, seed=seed, jobs=os.cpu_count() or 1,
                           views=request.views or 4, travel=request.travel,
                           progress=lambda what, n: display.say(f'teacher: {n} recordings, {what}'))

    lessons = taught(request.data, _TEACHERS[0], 'train')
    if request.val is None:
        given, held_out = parted(lessons.poses)
        assert isinstance(given, Poses) and isinstance(held_out, Poses)
    else:
        given, held_out = lessons.poses, taught(request.val, _TEACHERS[1], 'held out').poses
    noise = MeasuredNoise(lessons.errors)
    return (MotionViews(given, request.views or 4, request.travel, seed=seed, noise=noise),
            MotionViews(held_out, request.views or 4, request.travel, seed=seed + 1_000_000, noise=noise))


def _rigged(method: Method, request: Request, seed: int, display: Display) -> tuple[Data, Data]:
    """Data that knows its cameras, by the setting `rig`."""
    from .known_rigs import RIGS, with_cameras, with_found_rigs
    s = {**method.defaults(), **request.changes}
    views = request.views or 4
    if s['rig'] not in RIGS:
        raise TrainingError(f"setting rig must be one of {', '.join(RIGS)}, got {s['rig']!r}")
    if s['rig'] == 'true' and kind_of(request.data) == 'motion':
        return open_data(request.data, request.val, request.views, request.travel, seed)

    def rigged(path: Path, name: str, split: str) -> list[Recorded]:
        if s['rig'] != 'found':
            return with_cameras(path, split=split, seed=seed, views=views, travel=request.travel)
        return with_found_rigs(path, request.folder / name, split=split, seed=seed, jobs=os.cpu_count() or 1,
                               views=views, travel=request.travel, baseline_m=s['baseline_m'],
                               progress=lambda what, n: display.say(f'rigs: {n} recordings, {what}'))

    whole = rigged(request.data, _RIGS[0], 'train')
    given, held_out = _in_time(whole) if request.val is None else (whole, rigged(request.val, _RIGS[1], 'held out'))
    return RecordedViews(given, seed), RecordedViews(held_out, seed + 1_000_000)


def card_of(request: Request, outcome: Outcome, known: str) -> dict[str, Any]:
    """What the model's card says about its training."""
    s = outcome.settings
    how = f'{outcome.step} of {outcome.total} steps, {outcome.reason}' + ('; depth turned round' * outcome.flipped)
    name = ''.join(c if c.isascii() and (c.isalnum() or c in '._-') else '_' for c in request.folder.resolve().name)
    card: dict[str, Any] = {
        'name': (name.lstrip('._-') or request.method)[:64], 'method': request.method, 'licence': request.licence,
        'trained_on': [{'name': request.data.name, 'sha256': known, 'licence': request.licence}], 'parent': None,
        'metrics': {'criterion': outcome.criterion, **outcome.figures}, 'seed': s['seed'], 'settings': s,
        'notes': how}
    return card | ({'width': s['width']} if 'width' in s else {})


def open_data(path: Path, val: Path | None, views: int | None = None, travel: bool = False,
              seed: int = 1) -> tuple[Data, Data]:
    """Training data and held-out data.

    Args:
        path: see `data.sources.KINDS`; recordings that their data set means for the test are left out.
        val: the same for held-out data, of which those for the test are taken; None: every 20th sequence of a motion,
            the end of every recording.
        views, travel: of the virtual rigs.
        seed: of everything that is drawn.

    Raises:
        TrainingError: missing, damaged or of no known kind, or virtual cameras asked for where there are real ones.
    """
    given = read_data(path, split='train')
    held_out = None if val is None else read_data(val, split='held out')
    if (views is not None or travel) and not isinstance(given, Poses):
        raise TrainingError(f'{path}: recordings have cameras of their own; leave out --views and --travel')
    if held_out is None:
        given, held_out = parted(given)

    def opened(source: Poses | list[Recorded], seed: int) -> Data:
        if isinstance(source, Poses):
            return MotionViews(source, views or 4, travel, seed=seed)
        return RecordedViews(source, seed)
    # other rigs than any epoch of the training has
    return opened(given, seed), opened(held_out, seed + 1_000_000)


def data_hash(paths: Sequence[Path], more: str = '') -> str:
    """SHA-256 over the content of files, and of all files in folders, in the order of their names."""
    whole = hashlib.sha256(more.encode())
    for path in paths:
        for file in sorted(p for p in path.rglob('*') if p.is_file()) if path.is_dir() else [path]:
            with file.open('rb') as f:
                whole.update(hashlib.file_digest(f, 'sha256').digest() if hasattr(hashlib, 'file_digest')
                             else hashlib.sha256(f.read()).digest())
    return whole.hexdigest()


def parted(given: Poses | list[Recorded]) -> tuple[Poses, Poses] | tuple[list[Recorded], list[Recorded]]:
    """Training part and held-out part: other sequences, or, of recordings and single sequences, later time."""
    if not isinstance(given, Poses):
        return _in_time(given)
    sequences = len(given.start) - 1
    if sequences == 1:
        cut = max(1, round(len(given) * (1 - _HELD_OUT)))
        return _frames(given, [(0, cut)], [0]), _frames(given, [(cut, len(given))], [0])
    every = min(sequences, round(1 / _HELD_OUT))
    spans = list(zip(given.start[:-1].tolist(), given.start[1:].tolist(), strict=True))
    out = [i for i in range(sequences) if i % every == every - 1]
    kept = [i for i in range(sequences) if i not in set(out)]
    return _frames(given, [spans[i] for i in kept], kept), _frames(given, [spans[i] for i in out], out)


def _in_time(given: list[Recorded]) -> tuple[list[Recorded], list[Recorded]]:
    return [r.part(0, 1 - _HELD_OUT) for r in given], [r.part(1 - _HELD_OUT, 1) for r in given]


def _frames(poses: Poses, spans: list[tuple[int, int]], sequences: list[int]) -> Poses:
    index = np.concatenate([np.arange(a, b) for a, b in spans])
    return replace(poses, joints=poses.joints[index], start=np.cumsum([0, *(b - a for a, b in spans)]),
                   sigma=None if poses.sigma is None else poses.sigma[index], subject=poses.subject[sequences])
