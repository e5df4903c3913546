# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Batches made ahead by a thread: while one epoch is trained on, the next is already being made."""
from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from typing import Self

__all__ = ['Feed', 'size_of']

#: batches that wait at most: enough to bridge the making of an epoch, and little enough for temporal ones
_AHEAD, _AHEAD_BYTES = 256, 256 << 20
_END = object()


def size_of(batch: Any) -> int:
    """Bytes of all tensors of a batch: a tensor, a dataclass, or a dict of them."""
    if isinstance(batch, torch.Tensor):
        return batch.numel() * batch.element_size()
    if dataclasses.is_dataclass(batch):
        return sum(size_of(getattr(batch, f.name)) for f in dataclasses.fields(batch))
    if isinstance(batch, dict):
        return sum(map(size_of, batch.values()))
    return 0


class Feed:
    """Epochs of batches, made in a thread that runs ahead by a bounded amount of memory.

    The order and content are those of `make`, whatever the timing. `make` must not draw from global random
    generators: it runs while the training draws from them.
    """

    def __init__(self, make: Callable[[int], Iterable[Any]], first: int, end: int) -> None:
        """Start to make batches.

        Args:
            make: batches of an epoch.
            first: first epoch; `end`: the one after the last.
        """
        self._make, self._first, self._end = make, first, end
        self._ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._room = threading.Condition()
        self._bytes = self._waiting = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name='feed', daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        with self._room:
            self._closed = True
            self._room.notify()
        # a batch in the making ends first: native code of a daemon thread must not outlive the interpreter
        with suppress(RuntimeError):
            self._thread.join()

    def epoch(self) -> Iterator[Any]:
        """Batches of the next epoch; errors of `make` are raised here."""
        while True:
            item = self._ready.get()
            if item is _END:
                return
            if isinstance(item, BaseException):
                raise item
            batch, size = item
            with self._room:
                self._bytes -= size
                self._waiting -= 1
                self._room.notify()
            yield batch

    def _work(self) -> None:
        try:
            for epoch in range(self._first, self._end):
                for batch in self._make(epoch):
                    if not self._put(batch):
                        return
                self._ready.put(_END)
        except BaseException as error:                     # noqa: BLE001  it is raised again where the batch is wanted
            self._ready.put(error)

    def _put(self, batch: Any) -> bool:
        size = size_of(batch)
        with self._room:
            self._room.wait_for(lambda: self._closed or self._waiting == 0
                                or (self._waiting < _AHEAD and self._bytes + size <= _AHEAD_BYTES))
            if self._closed:
                return False
            self._bytes += size
            self._waiting += 1
        self._ready.put((batch, size))
        return True
