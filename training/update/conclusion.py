# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How an update ends: the child promoted or refused, its card, and the report."""
from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfpose_ros.io.npz import atomically
from selfpose_ros.models.store import HELD_OUT, Model, promote

from ..run import MODEL
from ..trainer.distributed import is_first
from ..trainer.fit import Outcome
from ..trainer.process import peak_memory_mb
from .comparison import Comparison
from .page import page
from .request import RUN, Request

__all__ = ['LEFT', 'PAGE', 'REPORT', 'Report', 'concluded', 'unfinished']

#: decision of a process that is not the first of those that `torchrun` started
LEFT = 'left to the first process'
#: report, in the folder of the result: for programs, and to look at
REPORT, PAGE = 'report.json', 'report.html'


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
        steps, settings: of the training.  drift: mean distance to the parent's output where no pseudo label is
            known, in the pose's unit size.
        notes: sentences on what was odd.
        peak_memory_mb: most memory that the process has held until the report was made, MB.
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
    peak_memory_mb: float = field(default_factory=peak_memory_mb)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        out = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        drift = None if math.isnan(self.drift) else self.drift
        return {**out, 'comparison': self.comparison and self.comparison.to_dict(), 'drift': drift,
                'model': None if self.model is None else str(self.model)}


def concluded(request: Request, parent: Model, outcome: Outcome, comparison: Comparison, working: Path,
              export: Callable[[Path, dict[str, Any]], None], about: Mapping[str, Any]) -> Report:
    """Promote or refuse, and write the report; the training's folder goes.

    Args:
        working: a folder for what is only needed until then.
        export: writes the child's folder with this card.
        about: the fields of `Report` that are known already.

    Raises:
        TrainingError, StoreError: a folder cannot be written.
    """
    if outcome.collapsed or not comparison.better:
        reason = f'the training collapsed: {"; ".join(outcome.collapsed)}' if outcome.collapsed else ''
        report = Report('refused', reason or comparison.reason, comparison, None, '', **about)
    else:
        model = working / MODEL if request.folder is None else request.folder / MODEL
        export(model, _card(request, parent, outcome, comparison, about['recordings']))
        version = ''
        if request.store is not None and request.name is not None:
            kept = promote(model, request.store, request.name)
            version, model = kept.folder.name, kept.folder if request.folder is None else model
        report = Report('promoted', comparison.reason, comparison, model, version, **about)
    if request.folder is not None:
        shutil.rmtree(request.folder / RUN)
        with atomically(request.folder / REPORT) as part:
            part.write_text(json.dumps(report.to_dict(), indent=1) + '\n')
        with atomically(request.folder / PAGE) as part:
            part.write_text(page(f'Update of {parent.card.name}', report.to_dict(), comparison, outcome.history),
                            encoding='utf-8')
    return report


def unfinished(request: Request, outcome: Outcome, about: Mapping[str, Any]) -> Report | None:
    """The report where nothing is to be compared: the training was stopped, or another process does it; else None."""
    if outcome.reason == 'stopped':
        later = '; the checkpoint is kept, --resume goes on' if request.folder is not None else ''
        reason = f'stopped after {outcome.step} of {outcome.total} steps{later}'
        return Report('stopped', reason, None, None, '', **about)
    if not is_first():
        return Report(LEFT, 'the first process compares and writes', None, None, '', **about)
    return None


def _card(request: Request, parent: Model, outcome: Outcome, comparison: Comparison,
          learned_from: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the child, as far as every child has it."""
    before = [dict(d) for d in parent.card.everything.get('trained_on', []) if isinstance(d, Mapping)]
    new = [{'name': t['name'], 'sha256': t['sha256'], 'licence': request.licence} for t in learned_from]
    c = comparison
    figures = {what: {k: getattr(v, what) for k, v in c.changes.items()} for what in ('before', 'after', 'low', 'high')}
    return {
        'name': request.name or parent.card.name, 'licence': parent.card.licence,
        'trained_on': before + new, 'parent': {'name': parent.card.name, 'sha256': parent.card.sha256},
        'metrics': {HELD_OUT[c.unit]: figures, 'poses': c.poses, 'blocks': c.blocks, **outcome.figures},
        'seed': outcome.settings.seed, 'settings': asdict(outcome.settings),
        'notes': f'learned from recordings without labels: {outcome.step} of {outcome.total} steps, {outcome.reason}'}
