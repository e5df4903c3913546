# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The state of a training, and its steps."""
from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import checkpoint
from ..data.arrays import Sampling
from ..data.batch import Batch
from ..errors import TrainingError
from ..methods.base import DataKind, Method
from ..methods.collapse import verdict
from ..networks import Lifter
from ..settings import Settings
from . import auxiliary
from .display import Display
from .distributed import ProcessGroup, share_of
from .feed import Feed
from .optimiser import AVERAGE_EVERY, adam, averaged, scheduled, set_averages_taken
from .outcome import Data, Outcome
from .process import Stop
from .resume import checked_state
from .run_folder import RunFolder
from .schedule import Patience, Schedule, pairs
from .validation import is_reversed, validate

__all__ = ['Training', 'sampling_of']

#: write a checkpoint no more often than makes this share of the time
_SHARE_OF_SAVING = .02
#: below minus this a chirality means reversed depths; nearer to 0 their sign is not learned yet
_CLEAR = .03


class _Losses(nn.Module):
    """A batch to its loss terms: one forward pass, whatever the method does with the network."""

    def __init__(self, method: Method, network: Lifter) -> None:
        super().__init__()
        self.network = network
        self._method = method

    def forward(self, batch: Any, progress: float) -> dict[str, Tensor]:
        return self._method.loss(self.network, batch, progress)


class Training:
    """The state of a training and what is done to it."""

    def __init__(self, method: Method, data: Data, val: Data | None, folder: Path, w: ProcessGroup, data_hash: str,
                 display: Display) -> None:
        self.method, self.data, self.val, self.folder = method, data, val, folder
        self.w, self.data_hash, self.display = w, data_hash, display
        self.settings: Settings = method.settings
        settings = self.settings
        if not len(data):
            raise TrainingError('the training data is empty', 'check what --data names')
        self.epoch_steps = max(1, max(1, len(data) // settings.batch) // w.size)
        self.total = settings.steps or settings.epochs * self.epoch_steps
        self.schedule = Schedule(settings.schedule, self.total, settings.warmup, pairs(settings.decays), settings.floor)
        self.patience = Patience(settings.patience)
        self.step = 0
        self.sign_flipped = False
        self.history: list[dict[str, Any]] = []
        self.minutes = 0.
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self.files = RunFolder(folder, w.writes)

    # -- begin ------------------------------------------------------------------------------------------------------

    def begin(self, parent: Lifter | None, resume: bool) -> None:
        """Make network, optimiser and average, new or from the checkpoint."""
        seed = self.settings.seed
        _seed(seed)
        built = self.method.build()                        # always: methods also make auxiliary networks in it
        self.network = (built if parent is None else parent).to(self.w.device)
        if self.network.frames > 1 and not self.network.interval_s:
            self.network.interval_s = self.data.interval_s
        # after the weights, which all processes share, each draws from generators of its own
        _seed(seed * 1_000_003 + self.w.rank)
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.optimiser = adam(self.parameters, self.settings.lr, self.settings.weight_decay)
        self.auxiliary = auxiliary.of_method(self.method, self.schedule, self.w)
        self.average = averaged(self.network, self.settings.ema) if self.settings.ema else None
        if resume:
            self._restore()
        elif self.w.any((self.folder / checkpoint.CHECKPOINT).exists()):
            raise TrainingError('holds a training already', 'go on with --resume, or choose another folder',
                                place=self.folder)
        elif self.w.writes:
            (self.folder / checkpoint.BEST).unlink(missing_ok=True)    # of a run that never reached a checkpoint
        self.scheduler = scheduled(self.optimiser, self.schedule, self.settings.lr, self.step)
        self.losses = self.w.averaging(_Losses(self.method, self.network))
        self._held_out = list(self._val_batches())

    def _val_batches(self) -> Iterator[Any]:
        """The same held-out batches in every evaluation: with fixed rigs and noise."""
        wanted, size = self.settings.val_samples, min(self.settings.val_samples, 512)
        source, n = (self.val, 0) if self.val is not None else (self.data, self.total // self.epoch_steps + 1)
        sampling = Sampling(truth=self.method.data is DataKind.PSEUDO_LABELS, partial=True,
                            intrinsics=self.settings.use_intrinsics, cameras=self.settings.with_cameras)
        for batch in self._batches_of(source, n, size, sampling):
            if wanted <= 0:
                return
            yield batch
            wanted -= size

    def _batches_of(self, data: Data, n: int, size: int, sampling: Sampling) -> Iterable[Any]:
        frames = max(self.network.frames, self.method.frames)
        if frames > 1:
            sampling = replace(sampling, interval_s=self.network.interval_s)
            return data.windows(n, size, frames, self.w.device, sampling=sampling)
        return data.batches(n, size, self.w.device, sampling=sampling)

    def _make(self, epoch: int) -> Iterator[Any]:
        """This process' batches of an epoch, those already seen left out."""
        batches = self._batches_of(self.data, epoch, self.settings.batch, sampling_of(self.method))
        mine = share_of(batches, self.w.rank, self.w.size)
        seen = self._start - epoch * self.epoch_steps
        for batch in itertools.islice(mine, max(seen, 0), self.epoch_steps):
            if isinstance(batch, Batch):
                batch.prepare(batch.past_px is not None)   # here, in the thread that makes them
            yield batch

    # -- train ------------------------------------------------------------------------------------------------------

    def train(self, stop: Stop, max_minutes: float) -> Outcome:
        """Step until it is enough."""
        self._start, begun, before = self.step, time.monotonic(), self.minutes
        self._logged = self._saved = begun
        self._cost_of_saving, reason = 0., 'done'
        first = self.step // self.epoch_steps
        with Feed(self._make, first, math.ceil(self.total / self.epoch_steps)) as feed:
            while self.step < self.total and reason == 'done':
                batches = 0
                for batch in feed.epoch():
                    self._one_step(batch)
                    batches += 1
                    self.minutes = before + (time.monotonic() - begun) / 60
                    if self.step % self.settings.log_every == 0:
                        self._log()
                    if self._is_due():
                        self._evaluate()
                        if self.patience.over:
                            reason = 'patience'
                    if reason == 'done' and self._must_stop(stop, begun + 60 * max_minutes):
                        reason = 'stopped' if self.w.any(bool(stop)) else 'time'
                    if reason != 'done' or self.step >= self.total:
                        break
                    self._save_now_and_then()
                if not batches:
                    raise TrainingError(f'the training data gave no batch of {self.settings.batch} samples in an epoch',
                                        'give more data or a smaller --batch')
        return self._end(reason)

    def _one_step(self, batch: Any) -> None:
        terms = self.losses(batch, self.step / self.total)
        total: Tensor = sum(terms.values())                # type: ignore[assignment]
        total.backward()
        if self.settings.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.optimiser.step()
        self.scheduler.step()
        self.optimiser.zero_grad(set_to_none=True)
        auxiliary_terms = self.auxiliary.step(batch, self.step) if self.auxiliary is not None else {}
        self.step += 1
        if self.average is not None and self.step % AVERAGE_EVERY == 0:
            self.average.update_parameters(self.network)
        # nothing is read from the device here: sums stay where they are until they are logged
        for name, value in [*terms.items(), ('loss', total), *auxiliary_terms.items()]:
            value = value.detach()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += 1

    def _must_stop(self, stop: Stop, deadline: float) -> bool:
        end = bool(stop) or time.monotonic() >= deadline
        if self.w.size == 1:
            return end
        # asking all processes costs a round trip, so it is done when values are logged
        return self.step % self.settings.log_every == 0 and self.w.any(end)

    def _is_due(self) -> bool:
        every = self.settings.evaluate_every or self.epoch_steps
        return self.step % every == 0 or self.step >= self.total

    @property
    def _sign_known(self) -> bool:
        """A depth that was learned from 3D poses, or before known cameras, has the right sign once it is learned."""
        return self.settings.truth or self.settings.with_cameras

    @property
    def _kept(self) -> Any:
        """The network that becomes the model."""
        return self.network if self.average is None else self.average.module

    def _log(self) -> None:
        """Mean loss terms since the last time."""
        if not self._count:
            return
        values = {k: float(v) / self._count for k, v in self._sums.items()}
        self._check(values)
        now = time.monotonic()
        rate = self._count / max(now - self._logged, 1e-9)
        self._sums, self._count, self._logged = {}, 0, now
        self.history.append({'step': self.step, 'epoch': self.step / self.epoch_steps, 'minutes': self.minutes,
                             'lr': self.settings.lr * self.schedule.factor(max(self.step - 1, 0)), 'steps_per_s': rate,
                             'terms': values})
        if self.w.writes:
            self.display(self.step, self.total, rate, values)
        self.files.event(self.step, {'loss/' + k: v for k, v in values.items()}
                         | {'lr': self.history[-1]['lr'], 'steps_per_s': rate})

    def _check(self, values: Mapping[str, float]) -> None:
        bad = [k for k, v in values.items() if not math.isfinite(v)]
        if self.w.any(bool(bad)):
            raise TrainingError(f'the loss is no longer finite at step {self.step} ({", ".join(bad) or "elsewhere"}); '
                                f'the checkpoint before lies in {self.folder}', 'lower --lr, or set clip=1')

    # -- evaluate ---------------------------------------------------------------------------------------------------

    def _evaluate(self) -> None:
        """Criterion and figures of held-out data; the best weights are kept, a reversed depth is flipped."""
        self._log()
        begun = time.monotonic()
        criterion, figures = self._validated()
        if not (self.sign_flipped or self._sign_known or self.step < self.settings.sign_check_after * self.total) \
                and is_reversed(figures, _CLEAR):
            self.network.flip()
            if self.average is not None:
                self._kept.flip()
            self.sign_flipped = True
            self.display.note(f'step {self.step}: the depth was reversed, its sign is flipped')
            criterion, figures = self._validated()
        better = self.patience.better(criterion)
        self.files.event(self.step, {'criterion': criterion} | {'collapse/' + k: v for k, v in figures.items()})
        if better and self.w.writes:
            checkpoint.save(self.folder / checkpoint.BEST, {
                'network': self._kept.state_dict(), 'step': self.step, 'criterion': criterion})
        self.history.append({'step': self.step, 'epoch': self.step / self.epoch_steps, 'minutes': self.minutes,
                             'criterion': criterion, 'collapse': figures, 'best': better})
        self._logged += time.monotonic() - begun           # steps a second are those of training

    def _validated(self) -> tuple[float, dict[str, float]]:
        """Criterion and figures, the same in all processes: the first one's."""
        criterion = math.nan
        figures: dict[str, float] = {}
        if self.w.writes:
            criterion, figures = validate(self.method, self._kept, self._held_out)
            if not math.isfinite(criterion):
                criterion = math.inf
        return self.w.from_first((criterion, figures))

    # -- end --------------------------------------------------------------------------------------------------------

    def _end(self, reason: str) -> Outcome:
        self._log()
        self._save()
        network = self._kept
        criterion, figures = self._validated()
        best = self.folder / checkpoint.BEST
        kept = checkpoint.load(best) if self.w.writes and self.settings.keep == 'best' and best.exists() else None
        kept = self.w.from_first(kept)
        if kept is not None and not criterion <= kept['criterion']:
            network.load_state_dict(kept['network'])
            criterion, figures = self._validated()
        # the best weights may be older than the flip
        flipped = not self._sign_known and is_reversed(figures)
        if flipped:
            network.flip()
            criterion, figures = self._validated()
        return Outcome(network.cpu().eval(), self.settings, reason, self.step, self.total, criterion, figures,
                       verdict(figures), self.sign_flipped or flipped, self.history)

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def _save_now_and_then(self) -> None:
        if self.step % self.settings.log_every and not self._is_due():
            return
        wait = 60 * self.settings.checkpoint_minutes
        if wait:
            wait = max(wait, self._cost_of_saving / _SHARE_OF_SAVING)
        if self.w.any(time.monotonic() - self._saved >= wait):
            self._save()

    def _save(self) -> None:
        begun = time.monotonic()
        self._check({k: float(v) for k, v in self._sums.items()})
        generators = self.w.gathered(checkpoint.random_states())
        if self.w.writes:
            checkpoint.save(self.folder / checkpoint.CHECKPOINT, {
                'method': self.method.name, 'settings': asdict(self.settings), 'step': self.step, 'total': self.total,
                'minutes': self.minutes, 'network': self.network.state_dict(),
                'average': None if self.average is None else self.average.module.state_dict(),
                'optimiser': self.optimiser.state_dict(),
                'auxiliary': None if self.auxiliary is None else self.auxiliary.state(),
                'patience': self.patience.state(), 'sign_flipped': self.sign_flipped,
                'random': generators, 'processes': self.w.size, 'data': self.data_hash, 'samples': len(self.data),
                'sums': self._sums, 'count': self._count, 'history': self.history})
        self.files.history(self.history)
        self._saved = time.monotonic()
        self._cost_of_saving = self._saved - begun

    def _restore(self) -> None:
        path = self.folder / checkpoint.CHECKPOINT
        state = checked_state(path, self.method.name, self.settings, self.w.size, self.data_hash, len(self.data))
        self.step = state['step']
        try:
            self.network.load_state_dict(state['network'])
            self.optimiser.load_state_dict(state['optimiser'])
            if self.auxiliary is not None:
                self.auxiliary.restore(state['auxiliary'], self.step)
            if self.average is not None:
                self.average.module.load_state_dict(state['average'])
                set_averages_taken(self.average, self.step)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise TrainingError('holds another network than these settings make', 'start a new run',
                                place=path) from error
        self.patience.restore(state['patience'])
        self.sign_flipped, self.minutes = state['sign_flipped'], state['minutes']
        self.history, self._count = state['history'], state['count']
        self._sums = {k: v.to(self.w.device) for k, v in state['sums'].items()}
        checkpoint.restore_random_states(state['random'][self.w.rank])


def sampling_of(method: Method) -> Sampling:
    """How batches of a training are drawn."""
    s: Settings = method.settings
    return Sampling(truth=s.truth, intrinsics=s.use_intrinsics, cameras=s.with_cameras, per_rig=s.per_rig,
                    drop_views=s.drop_views, drop_joints=s.drop_joints, mirror=s.mirror, frame_gap=method.frame_gap)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
