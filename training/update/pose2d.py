# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A 2D network of ours learns from recordings with images: what several cameras agree on is the label of each.

Another 2D network (or the recorded keypoints) gives what the cameras and people are found from. The people, projected
back into the images, are better than what any single image gave; the child learns from them, with rendered people
beside so that these are not forgotten. Parent and child are compared as they run, on held-out time.
"""
from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.models.card import CARD
from selfpose_ros.models.store import Model, open_model

from ..data.sources import content_hash
from ..errors import TrainingError
from ..export.images import export_vision
from ..export.model_folder import write_card
from ..export.reader import read_pose2d
from ..images.boxes import Task
from ..images.pictures import PictureSet
from ..images.rendering import make_pictures
from ..methods.fine_tune_pose2d import Pose2DFineTuning
from ..methods.pose2d import SimccGraph
from ..settings import current_names
from ..trainer.display import Display
from ..trainer.fit import fit
from .comparison import Comparison, changed, numbered
from .conclusion import Report, concluded, unfinished
from .image_labels import SplitImages, split_images
from .recorded_pictures import Cut, Look, cut_out, errors_of, flat
from .rehearsal import rehearsed_poses
from .request import RUN, Given, Request, check_memory, checked

__all__ = ['FIGURES', 'update_pose2d']

Array = NDArray[np.float64]

#: what is compared, %: joints further off than a fifth of the torso (100 - PCK@0.2), and the mean distance in torso
#: lengths, 1 at most for a joint
FIGURES = ('missed_20', 'distance')
_NEAR = .2
#: blocks of time of a camera: as long as lets there be this many in all, within these limits, s
_BLOCKS, _BLOCK_S = 24, (.25, 2.)
#: a detector that finds fewer of the people than this is of no use here
_USEFUL = .5
#: steps where neither steps nor epochs are given: as many as this many epochs have, within these limits
_EPOCHS, _STEPS = 40, (300, 3000)

#: errors of parent or child: by recording, and in it as `errors_of` has them
_Errors = Sequence[Mapping[tuple[str, int, int], Array]]


def update_pose2d(request: Request, display: Display) -> Report:
    """Learn from recordings with images; the child is written only if it is better, the parent is never touched.

    Raises:
        TrainingError, IoError, ModelError, StoreError: what was given does not fit; no report and no model is written.
    """
    parent = checked(request)
    network = read_pose2d(parent)
    if math.isfinite(request.most_minutes):
        raise TrainingError('--most-minutes is for lifters', 'bound the pictures with --set pictures=N')
    made_of = {k: parent.card.everything['settings'][k] for k in ('size', 'stages', 'depth', 'hidden')}
    changes = {**current_names(request.changes), **made_of}
    method = Pose2DFineTuning(network).configure(changes)
    recordings, learned_from, notes = _split(request, display)
    seed, most = method.settings.seed, method.settings.pictures
    people = sum(len(x) for _, s in recordings for x in s.learn.values())
    detector = _detector_of(parent)
    cuts = [cut_out(look, s.learn, method.task, min(1., most / people), seed, detector) for look, s in recordings]
    data = _pictures(cuts, method.task, method.settings.rehearsal, seed)
    display.note(f'{len(data)} pictures to learn from')
    if not changes.keys() & {'epochs', 'steps'}:
        changes['steps'] = int(np.clip(_EPOCHS * (len(data) // method.settings.batch), *_STEPS))
    child_detector = _kept(parent, detector, cuts, notes)
    data_hash = content_hash([p for g in request.recordings for p in g.paths], parent.card.sha256)
    with tempfile.TemporaryDirectory(prefix='selfpose_update_') as folder:
        run = (request.folder or Path(folder)) / RUN
        outcome = fit(method, data, run, changes, resume=request.resume, max_minutes=request.max_minutes,
                      device=request.device, data_hash=data_hash, display=display)
        about: dict[str, Any] = {
            'parent': {'name': parent.card.name, 'sha256': parent.card.sha256}, 'recordings': learned_from,
            'steps': outcome.step, 'settings': asdict(outcome.settings), 'notes': tuple(notes), 'drift': math.nan}
        early = unfinished(request, outcome, about)
        if early is not None:
            return early

        child = Path(folder) / 'child'
        export_vision(SimccGraph(outcome.network), 'pose2d', method.task.size, child,
                      {'name': 'child', 'licence': parent.card.licence}
                      | ({'detector': child_detector} if child_detector else {}))

        def export(to: Path, card: dict[str, Any]) -> None:
            shutil.copytree(child, to)
            write_card({**open_model(to).card.everything, **card}, to, to)

        before, after = ([errors_of(look, model, s.compare, s.since) for look, s in recordings]
                         for model in (parent.folder, child))
        return concluded(request, parent, outcome, _compared(before, after, seed), Path(folder), export, about)


def _split(request: Request,
           display: Display) -> tuple[list[tuple[Look, SplitImages]], list[dict[str, Any]], list[str]]:
    """Recordings that could be calibrated, with their labels, a summary of each, and notes on what was odd."""
    looks = [_look_of(g) for g in request.recordings]
    kept: list[tuple[Look, SplitImages]] = []
    learned_from: list[dict[str, Any]] = []
    notes: list[str] = []
    refused: list[str] = []
    for g, look in zip(request.recordings, looks, strict=True):
        recording = g.read()
        notes += recording.notes
        found = split_images(recording, request.held_out)
        check_memory(request, recording.name)
        if isinstance(found, str):
            refused.append(found)
            continue
        kept.append((look, found))
        learned_from.append({'name': recording.name, 'sha256': content_hash(list(g.paths)), **found.summary()})
        display.note(f'{recording.name}: calibrated, {learned_from[-1]["people_in_images"][0]} people in images')
    if not kept:
        raise TrainingError(f'nothing to learn from: {"; ".join(refused[:3])}')
    return kept, learned_from, notes + [f'left out: {r}' for r in refused]


def _look_of(given: Given) -> Look:
    if given.look is None:
        raise TrainingError('holds no images', 'record them, too', place=given.name)
    return given.look


def _detector_of(parent: Model) -> Model | None:
    """What its card names, beside it or by name."""
    name = parent.card.everything.get('detector')
    if name is None:
        return None
    beside = parent.folder.parent / str(name)
    return open_model(beside if (beside / CARD).is_file() else str(name))


def _pictures(cuts: Sequence[Cut], task: Task, rehearsal: float, seed: int) -> PictureSet:
    """Of the recordings, and rendered ones."""
    own = flat(cuts)
    if not own:
        raise TrainingError('nobody in the images is large enough to learn from', 'bring the cameras nearer')
    count = round(rehearsal * len(own))
    made = PictureSet([], [], [], task)
    if count:
        made = make_pictures(rehearsed_poses(10., seed).joints.astype(float), task, count, seed)
    jpegs, points, weights = zip(*own, strict=True)
    return PictureSet([*jpegs, *made.jpegs], [*points, *made.points], [*weights, *made.there], task, seed)


def _kept(parent: Model, detector: Model | None, cuts: Sequence[Cut], notes: list[str]) -> str:
    """The detector that goes on the child's card; '' = none, where it would be in the way."""
    if detector is None:
        return ''
    recall = sum(sum(c.found) for c in cuts) / max(sum(sum(c.wanted) for c in cuts), 1)
    name = str(parent.card.everything['detector'])
    if recall >= _USEFUL:
        return name
    if max(c.most_people for c in cuts) > 1:
        notes.append(f'{name} finds {recall:.0%} of the people here; the child keeps it, for there are several: give a '
                     'better one (--model-option detector=MODEL, where the child is used)')
        return name
    notes.append(f'{name} finds {recall:.0%} of the people here: the child goes without, finds one person, and only '
                 'where he fills a good part of the image')
    return ''


def _compared(before: _Errors, after: _Errors, seed: int) -> Comparison:
    """Parent and child on the same people."""
    keys = [(r, c, t, p) for r, part in enumerate(before) for c, t, p in sorted(part)]
    old, new = (np.array([errors[r][c, t, p] for r, c, t, p in keys]) for errors in (before, after))
    stamp = np.array([1e-4 * t for _, _, t, _ in keys])
    group = np.unique([f'{r} {c}' for r, c, _, _ in keys], return_inverse=True)[1].reshape(-1)
    first = np.array([stamp[group == g].min() for g in range(int(group.max()) + 1)])
    span = sum(float(np.ptp(stamp[group == g])) for g in range(len(first)))
    block_s = float(np.clip(span / _BLOCKS, *_BLOCK_S))
    block = numbered(group, stamp - first[group], block_s)
    figures = [100 * np.stack([np.nanmean(np.where(np.isnan(e), np.nan, e >= _NEAR), 1), np.nanmean(e, 1)], -1)
               for e in (old, new)]
    count = np.bincount(block)
    joints = {JOINTS[j]: (100 * float(np.nanmean(old[:, j])), 100 * float(np.nanmean(new[:, j])))
              for j in range(17) if np.isfinite(old[:, j]).any()}
    changes = changed(FIGURES, figures[0], figures[1], block, block_s, seed)
    return Comparison(changes, len(keys), len(count), block_s, joints,
                      np.stack([np.bincount(block, f[:, 1]) / count for f in figures], -1), unit='%')
