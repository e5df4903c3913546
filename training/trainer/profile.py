# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a training goes, and how far it is from the bare matrix products of its network.

    python -m selfpose_training.trainer.profile canonpose --data mocap_train.npz --width 1024 --batch 32 --threads 1

Times are medians of single steps, one after another on this machine; other work on it makes them larger.
"""
from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from selfpose_ros.io.errors import IoError

from ..data.held_out import open_data
from ..errors import TrainingError
from ..methods import Method, get
from ..networks import Lifter
from ..networks.blocks import parameter_count
from ..settings import current_names, parsed
from .distributed import device_of
from .fit import Data, fit
from .optimiser import adam
from .process import prepare
from .training import sampling_of

__all__ = ['PARTS', 'Profile', 'main', 'profile', 'table']

PARTS = ('data', 'forward', 'backward', 'optimiser')
#: steps before anything is measured
_WARM = 5


@dataclass(frozen=True)
class Profile:
    """What was measured.

    Attributes:
        parts: s of each of `PARTS` in a step; 'data' is the making of a batch, which the trainer does in a thread.
        floor: s of a step's bare matrix products: forward, and twice in the backward pass.
        steps_per_s: of the trainer as a whole.
        parameters: of the network.  rows: of the largest product: samples x views.  threads: of the operators.
    """

    parts: dict[str, float]
    floor: float
    steps_per_s: float
    parameters: int
    rows: int
    threads: int


def profile(method: Method, data: Data, changes: Mapping[str, Any], steps: int = 40, device: str = 'auto') -> Profile:
    """Measure.

    Args:
        method, data, changes: as for `fit`.
        steps: that are measured, each way.
        device: auto, cpu, cuda or cuda:N.
    """
    changes = current_names(changes)
    settings = method.configure(changes).settings
    place = device_of(device)
    threads = prepare(settings.threads)
    torch.manual_seed(settings.seed)
    network = method.build().to(place)
    parts, rows = _split(method, network, data, steps, place)
    floor = _floor(rows, steps, place)
    with tempfile.TemporaryDirectory() as folder:
        outcome = fit(method, data, Path(folder), {
            **changes, 'steps': steps + _WARM, 'evaluate_every': steps + _WARM, 'val_samples': 1, 'log_every': _WARM,
            'warmup': 0, 'checkpoint_minutes': 60}, device=device)
    rates = [h['steps_per_s'] for h in outcome.history if 'steps_per_s' in h][1:]
    return Profile(parts, floor, statistics.median(rates), parameter_count(network),
                   max(n for _, n, _ in rows), threads)


def _split(method: Method, network: Lifter, data: Data, steps: int, place: torch.device,
           ) -> tuple[dict[str, float], list[tuple[Tensor, int, bool]]]:
    """Seconds of each part, and the products of one forward pass."""
    settings = method.settings
    optimiser = adam(network.parameters(), settings.lr, settings.weight_decay)
    times: dict[str, list[float]] = {p: [] for p in PARTS}

    def timed(part: str, action: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        value = action()
        if place.type == 'cuda':
            torch.cuda.synchronize(place)
        times[part].append(time.perf_counter() - begun)
        return value

    sampling, frames = sampling_of(method), max(network.frames, method.frames)

    def epochs() -> Any:
        for n in range(steps + _WARM):
            if frames > 1:
                yield from data.windows(n, settings.batch, frames, place, sampling=sampling)
            else:
                yield from data.batches(n, settings.batch, place, sampling=sampling)

    batches = epochs()
    with _Products(network) as products:
        batch = next(batches)
        _loss(method, network, batch, 0.)
    rows = products.found
    for i in range(steps + _WARM):
        batch = timed('data', lambda: next(batches))
        loss = timed('forward', partial(_loss, method, network, batch, i / (steps + _WARM)))
        timed('backward', loss.backward)
        timed('optimiser', lambda: (optimiser.step(), optimiser.zero_grad(set_to_none=True)))
    return {p: statistics.median(t[_WARM:]) for p, t in times.items()}, rows


def _loss(method: Method, network: Lifter, batch: Any, progress: float) -> Tensor:
    return sum(method.loss(network, batch, progress).values())     # type: ignore[return-value]


class _Products:
    """Records the matrix products of the linear layers that a forward pass goes through."""

    def __init__(self, network: nn.Module) -> None:
        self.found: list[tuple[Tensor, int, bool]] = []
        self._hooks = [m.register_forward_hook(self._seen) for m in network.modules() if isinstance(m, nn.Linear)]

    def __enter__(self) -> _Products:
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _seen(self, layer: Any, given: tuple[Tensor, ...], out: Tensor) -> None:
        x = given[0]
        self.found.append((layer.weight.detach(), x.numel() // x.shape[-1], x.requires_grad))


def _floor(rows: Sequence[tuple[Tensor, int, bool]], steps: int, place: torch.device) -> float:
    """Seconds of y = x W^T, dx = dy W (where it is needed) and dW = dy^T x, for all products, nothing else."""
    shapes = [(w, torch.randn(n, w.shape[1], device=place), torch.randn(n, w.shape[0], device=place), inner)
              for w, n, inner in rows]
    times = []
    with torch.no_grad():
        for _ in range(steps + _WARM):
            begun = time.perf_counter()
            for w, x, dy, inner in shapes:
                torch.mm(x, w.T)
                torch.mm(dy.T, x)
                if inner:
                    torch.mm(dy, w)
            if place.type == 'cuda':
                torch.cuda.synchronize(place)
            times.append(time.perf_counter() - begun)
    return statistics.median(times[_WARM:])


def table(p: Profile) -> str:
    """A table to print."""
    step = 1 / p.steps_per_s
    lines = [f'{p.parameters / 1e6:.2f} M parameters, {p.rows} rows, {p.threads} thread(s)', '',
             '| part | ms | of a step |', '|---|---|---|']
    lines += [f'| {name}{" (in a thread)" if name == "data" else ""} | {1e3 * p.parts[name]:.1f} | '
              f'{p.parts[name] / step:.0%} |' for name in PARTS]
    lines += [f'| step of the trainer | {1e3 * step:.1f} | {p.steps_per_s:.1f} steps/s |',
              f'| floor: bare matrix products | {1e3 * p.floor:.1f} | {p.floor / step:.0%} |']
    return '\n'.join(lines) + '\n'


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog='python -m selfpose_training.trainer.profile', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('method')
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--views', type=int, default=None)
    parser.add_argument('--device', default='auto')
    parser.add_argument('--steps', type=int, default=40, help='that are measured')
    for name in ('width', 'batch', 'threads'):
        parser.add_argument(f'--{name}', type=int)
    parser.add_argument('--set', action='append', default=[], dest='settings', metavar='NAME=VALUE')
    args = parser.parse_args(arguments)
    try:
        changes = parsed(args.settings) | {n: getattr(args, n) for n in ('width', 'batch', 'threads')
                                           if getattr(args, n) is not None}
        data, _ = open_data(args.data, None, args.views)
        sys.stdout.write(table(profile(get(args.method), data, changes, args.steps, args.device)))
    except (TrainingError, IoError) as error:
        sys.stderr.write(f'profile: error: {error}\n')
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
