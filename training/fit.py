# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The trainer, one for all methods: batches in, a network out, and on the way everything that long trainings need.

A step is: a batch that was made ahead, the method's loss terms, their gradients, a fused Adam. Everything else
happens now and then: values are logged, the criterion on held-out data and the detectors of collapse are evaluated,
a checkpoint is written. Nothing that decides here (best weights, early stop, cure of the depth's sign) looks at 3D.
The same settings, seed and threads give the same weights, also when the training was interrupted and resumed.
"""
from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from selfpose_ros.io.npz import atomically

from . import checkpoint
from .average import Average
from .batch import Batch
from .collapse import detect, verdict
from .companions import Companions
from .data.arrays import Drawing
from .display import Display
from .distributed import World, dealt, world
from .errors import TrainingError
from .feed import Feed
from .methods.contract import Method
from .networks import Lifter
from .process import Stop, prepare, stoppable
from .schedule import Patience, Schedule, pairs
from .settings import complete

__all__ = ['Data', 'Outcome', 'drawing_of', 'fit', 'judge', 'optimiser_of']

#: write a checkpoint no more often than makes this share of the time
_SHARE_OF_SAVING = .02
#: below minus this a chirality says that depths are reversed; nearer to 0 their sign is not learnt yet
_CLEAR = .03


class Data(Protocol):
    """A data set; the same seed and epoch give the same batches, and no global random generator is used."""

    def __len__(self) -> int: ...

    def batches(self, n: int, size: int, device: torch.device, *, drawing: Drawing) -> Iterable[Any]: ...

    def windows(self, n: int, size: int, T: int, device: torch.device, *, drawing: Drawing) -> Iterable[Any]: ...


@dataclass
class Outcome:
    """What a training came to.

    Attributes:
        network: with the weights that were kept, on the CPU, in evaluation mode.
        settings: all of them.
        reason: 'done', 'patience' (early stop), 'time' (--max-minutes) or 'stopped' (Ctrl-C, SIGTERM).
        step: steps done, of `total`.
        criterion: of the kept weights on held-out data; NaN without held-out data.
        figures: of the collapse detectors for the kept weights.
        collapsed: sentences; empty = it did not.
        flipped: whether the depth was turned round.
        history: what was logged.
    """

    network: Lifter
    settings: dict[str, Any]
    reason: str
    step: int
    total: int
    criterion: float
    figures: dict[str, float]
    collapsed: list[str]
    flipped: bool
    history: list[dict[str, Any]] = field(repr=False)


def fit(method: Method, data: Data, folder: Path, changes: Mapping[str, Any] | None = None, *,
        val: Data | None = None, resume: bool = False, parent: Lifter | None = None,
        max_minutes: float = math.inf, device: str = 'auto', data_hash: str = '',
        display: Display | None = None) -> Outcome:
    """Train; all processes of `torchrun` call it alike.

    Args:
        method: what and how.
        data: to train on.
        folder: of the run: checkpoint.pt, best.pt, config.json, history.json and TensorBoard's event files.
        changes: settings that differ from the method's and the trainer's, see `settings.SETTINGS`.
        val: held-out data for the criterion and the collapse detectors; None: the training data's next epoch, which
            has other rigs and noise but no other motion.
        resume: go on from the folder's checkpoint.
        parent: start with this network instead of building one.
        max_minutes: of this call; the checkpoint is written and can be resumed.
        device: auto, cpu, cuda or cuda:N.
        data_hash: of what `data` was made from; a run is only resumed with the same.
        display: of the progress; None: silent.

    Raises:
        TrainingError: settings, folder, device or checkpoint do not fit, or the loss is no longer finite.
        IoError: the folder cannot be written.
    """
    settings = complete(method.defaults(), changes or {}, method.name)
    with world(device) as w, stoppable() as stop:
        settings['threads'] = prepare(settings['threads'])
        run = _Training(method, data, val, folder, settings, w, data_hash, display or Display(quiet=True))
        run.begin(parent, resume)
        with run.writing():
            return run.train(stop, max_minutes)


class _Losses(nn.Module):
    """A batch to its loss terms: one forward pass, whatever the method does with the network."""

    def __init__(self, method: Method, network: Lifter) -> None:
        super().__init__()
        self.network = network
        self._method = method

    def forward(self, batch: Any, progress: float) -> dict[str, Tensor]:
        return self._method.loss(self.network, batch, progress)


class _Training:
    """The state of a training and what is done to it."""

    def __init__(self, method: Method, data: Data, val: Data | None, folder: Path, settings: dict[str, Any], w: World,
                 data_hash: str, display: Display) -> None:
        self.method, self.data, self.val, self.folder, self.settings = method, data, val, folder, settings
        self.w, self.data_hash, self.display = w, data_hash, display
        if not len(data):
            raise TrainingError('the training data is empty; check what --data names')
        self.epoch_steps = max(1, max(1, len(data) // settings['batch']) // w.size)
        self.total = settings['steps'] or settings['epochs'] * self.epoch_steps
        self.schedule = Schedule(settings['schedule'], settings['lr'], self.total, settings['warmup'],
                                 pairs(settings['decays']), settings['floor'])
        self.patience = Patience(settings['patience'])
        self.step = 0
        self.cured = False
        self.history: list[dict[str, Any]] = []
        self.minutes = 0.
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._events: Any = None

    # -- begin ------------------------------------------------------------------------------------------------------

    def begin(self, parent: Lifter | None, resume: bool) -> None:
        """Make network, optimiser and average, new or from the checkpoint."""
        seed = self.settings['seed']
        _seed(seed)
        built = self.method.build(self.settings)           # always: it also tells the method its settings
        self.network = (built if parent is None else parent).to(self.w.device)
        # after the weights, which all processes share, each draws from generators of its own
        _seed(seed * 1_000_003 + self.w.rank)
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.optimiser = optimiser_of(self.network, self.settings)
        self.companions = Companions(self.method, self.settings, self.w)
        self.average = Average(self.network, self.settings['ema']) if self.settings['ema'] else None
        if resume:
            self._restore(checkpoint.load(self.folder / checkpoint.CHECKPOINT))
        elif self.w.any((self.folder / checkpoint.CHECKPOINT).exists()):
            raise TrainingError(f'{self.folder}: holds a training already; go on with --resume, or choose another '
                                'folder')
        elif self.w.writes:
            (self.folder / checkpoint.BEST).unlink(missing_ok=True)    # of a run that never reached a checkpoint
        self.losses = self.w.averaging(_Losses(self.method, self.network))
        self._held_out = list(self._val_batches())

    def _val_batches(self) -> Iterator[Any]:
        """The same held-out batches in every evaluation: with fixed rigs and noise."""
        wanted, size = self.settings['val_samples'], min(self.settings['val_samples'], 512)
        source, n = (self.val, 0) if self.val is not None else (self.data, self.total // self.epoch_steps + 1)
        drawing = Drawing(truth=getattr(self.method, 'taught', False), give_k=self.settings['give_k'],
                          rigs=self.settings['rigs'], partial=True)
        for batch in self._batches_of(source, n, size, drawing):
            if wanted <= 0:
                return
            yield batch
            wanted -= size

    def _batches_of(self, data: Data, n: int, size: int, drawing: Drawing) -> Iterable[Any]:
        frames = max(self.network.frames, getattr(self.method, 'frames', 1))
        if frames > 1:
            return data.windows(n, size, frames, self.w.device, drawing=drawing)
        return data.batches(n, size, self.w.device, drawing=drawing)

    def _make(self, epoch: int) -> Iterator[Any]:
        """This process' batches of an epoch, those already seen left out."""
        s = self.settings
        batches = self._batches_of(self.data, epoch, s['batch'], drawing_of(s))
        mine = dealt(batches, self.w.rank, self.w.size)
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
                    if self.step % self.settings['log_every'] == 0:
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
                    raise TrainingError(f'the training data gave no batch of {self.settings["batch"]} samples in an '
                                        'epoch; give more data or a smaller --batch')
        return self._end(reason)

    def _one_step(self, batch: Any) -> None:
        for group in self.optimiser.param_groups:
            group['lr'] = self.schedule(self.step)
        terms = self.losses(batch, self.step / self.total)
        total: Tensor = sum(terms.values())                # type: ignore[assignment]
        total.backward()
        if self.settings['clip']:
            nn.utils.clip_grad_norm_(self.parameters, self.settings['clip'])
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        theirs = self.companions.step(batch, self.schedule(self.step), self.step)
        self.step += 1
        if self.average is not None:
            self.average.take(self.step)
        # nothing is read from the device here: sums stay where they are until they are logged
        for name, value in [*terms.items(), ('loss', total), *theirs.items()]:
            value = value.detach()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += 1

    def _must_stop(self, stop: Stop, deadline: float) -> bool:
        wish = bool(stop) or time.monotonic() >= deadline
        if self.w.size == 1:
            return wish
        # asking all processes costs a round trip, so it is done when values are logged
        return self.step % self.settings['log_every'] == 0 and self.w.any(wish)

    def _is_due(self) -> bool:
        every = self.settings['evaluate_every'] or self.epoch_steps
        return self.step % every == 0 or self.step >= self.total

    @property
    def _may_turn(self) -> bool:
        """A depth that was learned from 3D poses, or before known cameras, has the right sign once it is learned."""
        return not self.cured and not self._sign_known

    @property
    def _sign_known(self) -> bool:
        return bool(self.settings['truth'] or self.settings['rigs'])

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
                             'lr': self.schedule(max(self.step - 1, 0)), 'steps_per_s': rate, 'terms': values})
        if self.w.writes:
            self.display(self.step, self.total, rate, values)
            self._event({'loss/' + k: v for k, v in values.items()}
                        | {'lr': self.history[-1]['lr'], 'steps_per_s': rate})

    def _check(self, values: Mapping[str, float]) -> None:
        bad = [k for k, v in values.items() if not math.isfinite(v)]
        if self.w.any(bool(bad)):
            raise TrainingError(f'the loss is no longer finite at step {self.step} ({", ".join(bad) or "elsewhere"}); '
                                f'the checkpoint before lies in {self.folder}; lower --lr, or set clip=1')

    # -- evaluate ---------------------------------------------------------------------------------------------------

    def _evaluate(self) -> None:
        """Criterion and detectors on held-out data; the best weights are kept, a reversed depth is turned round."""
        self._log()
        begun = time.monotonic()
        network = self.average.network if self.average is not None else self.network
        criterion, figures = self._judged(network)
        if self._may_turn and self.step >= self.settings['cure_after'] * self.total and _reversed(figures, _CLEAR):
            self._turn_round()
            self.display.say(f'step {self.step}: the depth was reversed, and was turned round')
            criterion, figures = self._judged(network)
        better = self.patience.better(criterion)
        if self.w.writes:
            self._event({'criterion': criterion} | {'collapse/' + k: v for k, v in figures.items()})
            if better:
                checkpoint.save(self.folder / checkpoint.BEST, {
                    'network': network.state_dict(), 'step': self.step, 'criterion': criterion})
        self.history.append({'step': self.step, 'epoch': self.step / self.epoch_steps, 'minutes': self.minutes,
                             'criterion': criterion, 'collapse': figures, 'best': better})
        self._logged += time.monotonic() - begun           # steps a second are those of training

    def _judged(self, network: Lifter) -> tuple[float, dict[str, float]]:
        """Criterion and detectors, the same in all processes: the first one's."""
        criterion = math.nan
        figures: dict[str, float] = {}
        if self.w.writes:
            criterion, figures = judge(self.method, network, self._held_out)
            if not math.isfinite(criterion):
                criterion = math.inf
        return self.w.from_first((criterion, figures))

    def _turn_round(self) -> None:
        for network in (self.network, self.average.network if self.average is not None else None):
            if network is not None:
                network.flip()
        self.cured = True

    # -- end --------------------------------------------------------------------------------------------------------

    def _end(self, reason: str) -> Outcome:
        self._log()
        self._save()
        network = self.average.network if self.average is not None else self.network
        criterion, figures = self._judged(network)
        best = self.folder / checkpoint.BEST
        kept = checkpoint.load(best) if self.w.writes and self.settings['keep'] == 'best' and best.exists() else None
        kept = self.w.from_first(kept)
        if kept is not None and not criterion <= kept['criterion']:
            network.load_state_dict(kept['network'])
            criterion, figures = self._judged(network)
        # the best weights may be older than the cure
        flipped = not self._sign_known and _reversed(figures)
        if flipped:
            network.flip()
            criterion, figures = self._judged(network)
        return Outcome(network.cpu().eval(), self.settings, reason, self.step, self.total, criterion, figures,
                       verdict(figures), self.cured or flipped, self.history)

    # -- files ------------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Event files are open inside; config.json is written at the start."""
        if self.w.writes:
            from torch.utils.tensorboard import SummaryWriter
            with atomically(self.folder / 'config.json') as part:
                part.write_text(json.dumps({'method': self.method.name, **self.settings}, indent=1) + '\n')
            self._events = SummaryWriter(str(self.folder), purge_step=self.step or None)
        try:
            yield
        finally:
            if self._events is not None:
                self._events.close()

    def _event(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._events.add_scalar(name, value, self.step)

    def _save_now_and_then(self) -> None:
        if self.step % self.settings['log_every'] and not self._is_due():
            return
        wait = 60 * self.settings['checkpoint_minutes']
        if wait:
            wait = max(wait, self._cost_of_saving / _SHARE_OF_SAVING)
        if self.w.any(time.monotonic() - self._saved >= wait):
            self._save()

    def _save(self) -> None:
        begun = time.monotonic()
        self._check({k: float(v) for k, v in self._sums.items()})
        random = self.w.gathered(checkpoint.random_states())
        if self.w.writes:
            checkpoint.save(self.folder / checkpoint.CHECKPOINT, {
                'method': self.method.name, 'settings': self.settings, 'step': self.step, 'total': self.total,
                'minutes': self.minutes, 'network': self.network.state_dict(),
                'average': self.average.network.state_dict() if self.average is not None else None,
                'optimiser': self.optimiser.state_dict(), 'companions': self.companions.state(),
                'patience': self.patience.state(), 'cured': self.cured,
                'random': random, 'processes': self.w.size, 'data': self.data_hash, 'samples': len(self.data),
                'sums': self._sums, 'count': self._count, 'history': self.history})
            with atomically(self.folder / 'history.json') as part:
                part.write_text(json.dumps(_finite(self.history), indent=1) + '\n')
        self._saved = time.monotonic()
        self._cost_of_saving = self._saved - begun

    def _restore(self, state: dict[str, Any]) -> None:
        where = self.folder / checkpoint.CHECKPOINT
        mine = {k: v for k, v in self.settings.items() if k not in _FREE}
        then = {k: v for k, v in state['settings'].items() if k not in _FREE}
        other = sorted(k for k in mine.keys() | then.keys() if mine.get(k) != then.get(k))
        if state['method'] != self.method.name:
            raise TrainingError(f'{where}: a training of {state["method"]}, not of {self.method.name}; name that '
                                'method')
        if other:
            raise TrainingError(f'{where}: was started with ' + ', '.join(f'{k}={then.get(k)!r}' for k in other)
                                + '; leave these settings as they were, or start a new run')
        if state['processes'] != self.w.size:
            raise TrainingError(f'{where}: was started with {state["processes"]} processes, now there are '
                                f'{self.w.size}; start as many')
        if state['data'] != self.data_hash or state['samples'] != len(self.data):
            raise TrainingError(f'{where}: was trained on other data; give the same --data, or start a new run')
        try:
            self.network.load_state_dict(state['network'])
            self.optimiser.load_state_dict(state['optimiser'])
            self.companions.restore(state.get('companions'))
            if self.average is not None:
                self.average.network.load_state_dict(state['average'])
        except (RuntimeError, ValueError, KeyError) as error:
            raise TrainingError(f'{where}: holds another network than these settings make; start a new run') from error
        self.patience.restore(state['patience'])
        self.step, self.cured, self.minutes = state['step'], state['cured'], state['minutes']
        self.history, self._count = state['history'], state['count']
        self._sums = {k: v.to(self.w.device) for k, v in state['sums'].items()}
        checkpoint.restore_random_states(state['random'][self.w.rank])


#: settings that may change when a training is resumed: they do not change its weights (threads: only in the last bits)
_FREE = {'threads', 'checkpoint_minutes', 'log_every'}


def drawing_of(settings: Mapping[str, Any]) -> Drawing:
    """How batches of the training are drawn."""
    named = ('truth', 'give_k', 'rigs', 'per_rig', 'drop_views', 'drop_joints', 'mirror')
    return Drawing(**{k: settings[k] for k in named},
                   apart=settings.get('apart', 1))


def optimiser_of(network: Lifter, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Adam, all of a parameter's update in one pass over memory (a quarter of the time of the default on a CPU)."""
    wanted = [p for p in network.parameters() if p.requires_grad]
    fused = all(p.device.type in ('cpu', 'cuda') for p in wanted)
    return torch.optim.Adam(wanted, lr=settings['lr'], weight_decay=settings['weight_decay'], fused=fused)


@torch.no_grad()
def judge(method: Method, network: Lifter, batches: Sequence[Any]) -> tuple[float, dict[str, float]]:
    """The method's criterion and the figures of the collapse detectors: means over batches, by their samples."""
    training, own = network.training, getattr(method, 'figures', None)
    general = getattr(method, 'detect', detect)            # networks of images have no lifted poses to look at
    network.eval()
    try:
        weights = [float(b.samples) for b in batches]
        criteria = [float(method.criterion(network, b)) for b in batches]
        figures = [(general(network, b) if general else {}) | (own(network, b) if own else {}) for b in batches]
    finally:
        network.train(training)
    share = [x / sum(weights) for x in weights]
    out: dict[str, float] = {}
    for name in dict.fromkeys(k for f in figures for k in f):
        told = [(s, f[name]) for s, f in zip(share, figures, strict=True) if name in f]
        out[name] = sum(s * value for s, value in told) / sum(s for s, _ in told)
    return sum(s * c for s, c in zip(share, criteria, strict=True)) if batches else math.nan, out


def _reversed(figures: Mapping[str, float], clear: float = 0.) -> bool:
    return figures.get('chirality', 1.) < -clear


def _finite(value: Any) -> Any:
    """The same for JSON, which knows no NaN and no infinity: None instead."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    return list(map(_finite, value)) if isinstance(value, list) else value


def _seed(seed: int) -> None:
    import random
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
