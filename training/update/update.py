# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of one's own to a better lifter, without labels: calibrate, learn, compare on held-out time, or refuse.

Every recording is split in time. The first part alone is calibrated for teaching; the child learns from its poses,
seen by virtual cameras and by the real ones. The last part, behind a gap, is for comparing only: its poses come from
a calibration of their own (of the whole recording, the best there is), and nothing of it reaches the training.
"""
from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..data.archives import recorded
from ..data.arrays import Sampling
from ..data.mixture import Mixture, Part
from ..data.motion import Change, MotionViews
from ..data.recordings import Recorded
from ..data.sources import content_hash
from ..data.wider_motion import Widening
from ..errors import TrainingError
from ..export.lifter import export_model
from ..export.reader import config_of, read_network
from ..methods.fine_tune import FineTuning, FineTuningSettings
from ..networks import Lifter
from ..pseudo_labels.label_set import PseudoLabelSet, joined_labels
from ..pseudo_labels.measured_noise import MeasuredNoise
from ..settings import current_names
from ..trainer.display import Display
from ..trainer.fit import Outcome, fit
from .comparison import Comparison, compare
from .conclusion import Report, concluded, unfinished
from .rehearsal import rehearsal
from .request import RUN, Given, Request, check_memory, checked
from .reservoir import Reservoir
from .split import LabelledDataSet, LabelledViews, SplitRecording, split_recording

__all__ = ['Given', 'Report', 'Request', 'compared', 'learn', 'update']

#: steps where neither steps nor epochs are given: as many as this many epochs have, within these limits
_EPOCHS, _STEPS = 30, (400, 4000)


def update(request: Request, display: Display) -> Report:
    """Learn from recordings; the child is written only if it is better, the parent is never touched.

    Raises:
        TrainingError, IoError, ModelError, StoreError: what was given does not fit; no report and no model is written.
    """
    parent = checked(request)
    network = read_network(parent)
    FineTuning(network).configure(request.changes)         # what is wrong with the settings, before minutes of work
    recordings, learned_from, notes = _split(request, display)
    data_hash = content_hash([p for g in request.recordings for p in g.paths], parent.card.sha256)
    display.note(f'{len(recordings)} recordings or pieces calibrated')
    with tempfile.TemporaryDirectory(prefix='selfpose_update_') as folder:
        run = (request.folder or Path(folder)) / RUN
        outcome, drift = learn(network, recordings, run, request.changes, resume=request.resume,
                               max_minutes=request.max_minutes, device=request.device, data_hash=data_hash,
                               display=display)
        about: dict[str, Any] = {
            'parent': {'name': parent.card.name, 'sha256': parent.card.sha256}, 'recordings': learned_from,
            'steps': outcome.step, 'settings': asdict(outcome.settings), 'notes': tuple(notes),
            'drift': drift}
        early = unfinished(request, outcome, about)
        if early is not None:
            return early

        def export(to: Path, card: dict[str, Any]) -> None:
            width = {'width': parent.card.everything['width']} if 'width' in parent.card.everything else {}
            export_model(outcome.network, to, card | width | {
                'method': 'system', 'settings': {**card['settings'], **config_of(parent)}})

        comparison = compared(network, outcome.network, [p.held_out for p in recordings], outcome.settings.seed)
        return concluded(request, parent, outcome, comparison, Path(folder), export, about)


def learn(parent: Lifter, recordings: Sequence[SplitRecording], folder: Path, changes: Mapping[str, Any], *,
          resume: bool = False, max_minutes: float = math.inf, device: str = 'auto', data_hash: str = '',
          display: Display | None = None) -> tuple[Outcome, float]:
    """A child of the parent, which stays as it is, from the first parts of recordings; and how far it has drifted.

    Args:
        folder: of the training.
        changes: settings that differ from `FineTuningSettings`.
        resume: go on from the folder's checkpoint.

    Returns:
        The outcome, and `Report.drift`.

    Raises:
        TrainingError: settings that do not fit, or too little to learn from.
    """
    method, changes = FineTuning(parent), current_names(changes)
    settings = method.configure(changes).settings
    data = _mixture(joined_labels([p.labels for p in recordings], seed=settings.seed), recordings, settings)
    if not changes.keys() & {'epochs', 'steps'}:
        changes['steps'] = int(np.clip(_EPOCHS * (len(data) // settings.batch), *_STEPS))
    outcome = fit(method, data, folder, changes, resume=resume, max_minutes=max_minutes, device=device,
                  data_hash=data_hash, display=display)
    if not outcome.flipped:                                # weights of reversed depths have no mean with those before
        outcome.network = method.averaged(outcome.network)
    return outcome, _drift(method, outcome.network, data.parts, settings)


def _split(request: Request, display: Display) -> tuple[list[SplitRecording], list[dict[str, Any]], list[str]]:
    """Recordings that could be calibrated, a summary of each, and notes on what was odd."""
    recordings: list[SplitRecording] = []
    learned_from: list[dict[str, Any]] = []
    notes: list[str] = []
    refused: list[str] = []
    for r, given in _pieces(request, display, notes):
        found = split_recording(r, request.held_out)
        check_memory(request, r.name)
        if isinstance(found, str):
            refused.append(found)
            continue
        recordings.append(found)
        learned_from.append({'name': r.name, 'sha256': content_hash(list(given.paths)), **found.summary()})
    if not recordings:
        raise TrainingError(f'nothing to learn from: {"; ".join(refused[:3])}')
    return recordings, learned_from, notes + [f'left out: {r}' for r in refused]


def _pieces(request: Request, display: Display, notes: list[str]) -> Iterator[tuple[Recorded, Given]]:
    """Recordings one by one; with a limit on their length the liveliest pieces of all, once all were read."""
    limited = math.isfinite(request.most_minutes)
    reservoir = Reservoir(request.most_minutes)
    for given in request.recordings:
        r = recorded(given.read(), given.name)
        display.note(f'{r.name}: {len(r)} instants of {r.views} cameras')
        check_memory(request, r.name)
        notes += r.notes
        if limited:
            reservoir.add(r, given)
        else:
            yield r, given
    if limited:
        kept = reservoir.kept()
        notes.append(f'{reservoir.kept_s:.0f} of {reservoir.offered_s:.0f} s are learned from, in {len(kept)} pieces: '
                     'the liveliest')
        yield from kept


def _mixture(labels: PseudoLabelSet, recordings: Sequence[SplitRecording], settings: FineTuningSettings) -> Mixture:
    """Virtual views of the teacher's poses, the real views, and rehearsal."""
    seed, mix = settings.seed, settings.mix
    noise = MeasuredNoise(labels.errors)
    return Mixture([
        Part(MotionViews(labels.poses, seed=seed, noise=noise,
                         change=Change(turn=True, widening=Widening.times(settings.widen))), mix[0]),
        Part(LabelledDataSet([p.training for p in recordings], seed), mix[1], known_k=True),
        Part(rehearsal(noise, labels.poses.fps, seed), mix[2])])


def _drift(method: FineTuning, network: Lifter, parts: Sequence[Part], settings: FineTuningSettings) -> float:
    """How far the child is from the parent on rehearsed people; NaN without rehearsal."""
    if len(parts) < 3 and not settings.mix[2]:
        return math.nan
    arrays = parts[-1].source.epoch(1 << 30)
    batch = next(arrays.batches(512, sampling=Sampling(truth=True, interval_s=network.interval_s),
                                frames=network.frames if network.frames > 1 else 0))
    return float(method.drift(network, batch).detach())


def compared(parent: Lifter, child: Lifter, held_out: Sequence[LabelledViews], seed: int) -> Comparison:
    """Parent and child on real views with poses, see `compare`."""
    return compare(parent, child, LabelledDataSet(held_out, seed).epoch(0), seed)
