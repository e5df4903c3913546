# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Several processes, on one host or many, started by `torchrun`: who we are, who writes, whose batch is which.

Alone, everything here does nothing. The processes hold the same network and see different batches; PyTorch's
DistributedDataParallel averages the gradients. Decisions that end or change a training are made together, otherwise
one process would wait for ever for the others.
"""
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from ..errors import TrainingError

__all__ = ['ProcessGroup', 'share_of', 'device_of', 'is_first', 'world']

Item = TypeVar('Item')


@dataclass(frozen=True)
class ProcessGroup:
    """This process among all: its number `rank` of `size`, and the device that it computes on."""

    rank: int
    size: int
    device: torch.device

    @property
    def writes(self) -> bool:
        """Whether this process writes files and speaks; only the first does."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process. All must call it at the same point."""
        if self.size == 1:
            return flag
        value = torch.tensor([float(flag)], device=self.device)
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value.item())

    def mean(self, value: float) -> float:
        """The mean over the processes. All must call it at the same point."""
        if self.size == 1:
            return value
        x = torch.tensor([value], dtype=torch.float32, device=self.device)
        dist.all_reduce(x)
        return float(x.item()) / self.size

    def from_first(self, value: Any) -> Any:
        """What the first process holds. All must call it at the same point."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gathered(self, value: Any) -> list[Any]:
        """What each process holds, by rank. All must call it at the same point."""
        if self.size == 1:
            return [value]
        out: list[Any] = [None] * self.size
        dist.all_gather_object(out, value)
        return out

    def averaging(self, module: nn.Module) -> nn.Module:
        """The module, whose gradients are averaged over the processes in the backward pass, and equal at the start.

        `module` maps a batch to its loss terms: whatever happens inside, even several passes through the network,
        is one forward pass here. Parameters that a loss does not reach are allowed (stages of a method).
        """
        if self.size == 1:
            return module
        devices = [self.device.index] if self.device.type == 'cuda' else None
        return nn.parallel.DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True,
                                                   gradient_as_bucket_view=True)


def is_first() -> bool:
    """Whether this is the only process, or the first of those that `torchrun` started."""
    return os.environ.get('RANK', '0') == '0'


def device_of(name: str, local_rank: int = 0) -> torch.device:
    """The device of a name: auto (a GPU if there is one), cpu, cuda or cuda:N.

    Raises:
        TrainingError: there is no such device here.
    """
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    if name == 'cpu':
        return torch.device('cpu')
    kind, _, number = name.partition(':')
    if kind != 'cuda' or (number and not number.isdigit()):
        raise TrainingError(f'device {name!r} is not known', 'choose auto, cpu, cuda or cuda:N')
    index = int(number) if number else local_rank
    if not torch.cuda.is_available():
        raise TrainingError(f'device {name}: this PyTorch sees no GPU', 'install a CUDA build, or use --device cpu')
    if index >= torch.cuda.device_count():
        raise TrainingError(f'device cuda:{index}: this host has {torch.cuda.device_count()} GPU(s)',
                            'start fewer processes, or name one that exists')
    return torch.device('cuda', index)


@contextmanager
def world(device: str = 'auto') -> Iterator[ProcessGroup]:
    """Join the other processes, if `torchrun` started this one; leave them at the end.

    Args:
        device: as `device_of` reads it; with 'cuda' or 'auto' each process of a host takes its own GPU.

    Raises:
        TrainingError: no such device.
    """
    size, rank = int(os.environ.get('WORLD_SIZE', 1)), int(os.environ.get('RANK', 0))
    chosen = device_of(device, int(os.environ.get('LOCAL_RANK', 0)))
    if chosen.type == 'cuda':
        torch.cuda.set_device(chosen)
    if size == 1:
        yield ProcessGroup(0, 1, chosen)
        return
    joined_before = dist.is_initialized()
    if not joined_before:
        dist.init_process_group('nccl' if chosen.type == 'cuda' else 'gloo')
    try:
        yield ProcessGroup(rank, size, chosen)
    finally:
        if not joined_before:
            dist.destroy_process_group()


def share_of(batches: Iterable[Item], rank: int, size: int) -> Iterator[Item]:
    """Every `size`-th batch, from `rank` on: the shares are disjoint and equally long (a remainder is left out)."""
    turn: list[Item] = []
    for batch in batches:
        turn.append(batch)
        if len(turn) == size:
            yield turn[rank]
            turn = []
