# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of one's own to a better lifter, without labels: calibrate, learn, compare on held-out time, or refuse.

Every recording is split in time. The first part alone is calibrated for teaching; the child learns from its poses,
seen by virtual cameras and by the real ones. The last part, behind a gap, is for comparing only: its poses come from
a calibration of their own (of the whole recording, the best there is), and nothing of it reaches the training.
"""
from __future__ import annotations

import dataclasses
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from selfpose_ros.io.npz import atomically
from selfpose_ros.io.recording import Recording
from selfpose_ros.models.store import Model, open_model, promote

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
from ..run import MODEL
from ..settings import current_names
from ..trainer.display import Display
from ..trainer.distributed import is_first
from ..trainer.fit import Outcome, fit
from .comparison import Comparison, compare
from .page import page
from .rehearsal import rehearsal
from .reservoir import Reservoir
from .split import LabelledDataSet, LabelledViews, SplitRecording, split_recording

__all__ = ['Given', 'LEFT', 'PAGE', 'REPORT', 'RUN', 'Report', 'Request', 'compared', 'learn', 'update']

#: decision of a process that is not the first of those that `torchrun` started
LEFT = 'left to the first process'
#: report, in the folder of the result: for programs, and to look at
REPORT, PAGE = 'report.json', 'report.html'
#: folder of the training in it, until that is done
RUN = 'run'
#: steps where neither steps nor epochs are given: as many as this many epochs have, within these limits
_EPOCHS, _STEPS = 30, (400, 4000)


@dataclass(frozen=True)
class Given:
    """A recording to learn from: its files, and how it is read (only when everything else is known to be in order)."""

    name: str
    paths: tuple[Path, ...]
    read: Callable[[], Recording]


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


@dataclass(frozen=True)
class Report:
    """What came of it.

    Attributes:
        decision: 'promoted', 'refused', 'stopped' (by hand; a checkpoint is kept where there is a folder) or 'left to
            the first process' (of those that `torchrun` started: it compares and writes).
        reason: one sentence with the figures.
        comparison: None where it did not come to that.
        model: where the child lies; None unless promoted.  version: in the store, or ''.
        parent: name and sha256.  recordings: what was learned from.
        steps, minutes, settings: of the training.  drift: mean distance to the parent's output where no pseudo label is
            known, in the pose's unit size.
        notes: sentences on what was odd.
    """

    decision: str
    reason: str
    comparison: Comparison | None
    model: Path | None
    version: str
    parent: Mapping[str, Any]
    recordings: Sequence[Mapping[str, Any]]
    steps: int
    settings: Mapping[str, Any]
    drift: float
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        out = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        drift = None if math.isnan(self.drift) else self.drift
        return {**out, 'comparison': self.comparison and self.comparison.to_dict(), 'drift': drift,
                'model': None if self.model is None else str(self.model)}


def update(request: Request, display: Display) -> Report:
    """Learn from recordings; the child is written only if it is better, the parent is never touched.

    Raises:
        TrainingError, IoError, ModelError, StoreError: what was given does not fit; no report and no model is written.
    """
    parent = _checked(request)
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
        if outcome.reason == 'stopped':
            later = '; the checkpoint is kept, --resume goes on' if request.folder is not None else ''
            return Report('stopped', f'stopped after {outcome.step} of {outcome.total} steps{later}', None, None, '',
                          **about)
        if not is_first():
            return Report(LEFT, 'the first process compares and writes', None, None, '', **about)
        comparison = compared(network, outcome.network, [p.held_out for p in recordings], outcome.settings.seed)
        if outcome.collapsed or not comparison.better:
            reason = f'the training collapsed: {"; ".join(outcome.collapsed)}' if outcome.collapsed else ''
            report = Report('refused', reason or comparison.reason, comparison, None, '', **about)
        else:
            model = Path(folder) / MODEL if request.folder is None else request.folder / MODEL
            export_model(outcome.network, model, _card(request, parent, outcome, comparison, learned_from))
            version = ''
            if request.store is not None and request.name is not None:
                kept = promote(model, request.store, request.name)
                version, model = kept.folder.name, kept.folder if request.folder is None else model
            report = Report('promoted', comparison.reason, comparison, model, version, **about)
    if request.folder is not None:
        shutil.rmtree(run)
        with atomically(request.folder / REPORT) as part:
            part.write_text(json.dumps(report.to_dict(), indent=1) + '\n')
        with atomically(request.folder / PAGE) as part:
            part.write_text(page(f'Update of {parent.card.name}', report.to_dict(), comparison, outcome.history),
                            encoding='utf-8')
    return report


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
    return outcome, _drift(method, outcome.network, data.parts, settings)


def _checked(request: Request) -> Model:
    """The parent; what can be found wrong at once is."""
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
    model = open_model(request.parent)
    config_of(model)
    return model


def _split(request: Request, display: Display) -> tuple[list[SplitRecording], list[dict[str, Any]], list[str]]:
    """Recordings that could be calibrated, a summary of each, and notes on what was odd."""
    recordings: list[SplitRecording] = []
    learned_from: list[dict[str, Any]] = []
    notes: list[str] = []
    refused: list[str] = []
    for r, given in _pieces(request, display, notes):
        found = split_recording(r, request.held_out)
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
    batch = next(arrays.batches(512, sampling=Sampling(truth=True), frames=network.frames if network.frames > 1 else 0))
    return float(method.drift(network, batch).detach())


def compared(parent: Lifter, child: Lifter, held_out: Sequence[LabelledViews], seed: int) -> Comparison:
    """Parent and child on real views with poses, see `compare`."""
    views = LabelledDataSet(held_out, seed)
    return compare(parent, child, views.epoch(0), views.stamp, seed)


def _card(request: Request, parent: Model, outcome: Outcome, comparison: Comparison,
          learned_from: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the child."""
    card = parent.card.everything
    before = [dict(d) for d in card.get('trained_on', []) if isinstance(d, Mapping)]
    new = [{'name': t['name'], 'sha256': t['sha256'], 'licence': request.licence} for t in learned_from]
    c = comparison
    figures = {what: {k: getattr(v, what) for k, v in c.changes.items()} for what in ('before', 'after', 'low', 'high')}
    out: dict[str, Any] = {
        'name': request.name or parent.card.name, 'method': 'system', 'licence': parent.card.licence,
        'trained_on': before + new, 'parent': {'name': parent.card.name, 'sha256': parent.card.sha256},
        'metrics': {'held_out_mm': figures, 'poses': c.poses, 'blocks': c.blocks, **outcome.figures},
        'seed': outcome.settings.seed, 'settings': {**asdict(outcome.settings), **config_of(parent)},
        'notes': f'learned from recordings without labels: {outcome.step} of {outcome.total} steps, {outcome.reason}'}
    return out | ({'width': card['width']} if 'width' in card else {})
