# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One run of a graph for all who want it at about the same time: the cameras' threads meet here."""
from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from .errors import InferenceError, OutputError
from .session import Arrays, InferenceSession

__all__ = ['PATIENCE_S', 'SharedRun', 'shared_run']

#: how long a run waits for threads that have said that they will bring an image
PATIENCE_S = .002


@dataclass(eq=False)
class _Request:
    """Images of one caller, and what became of them."""

    feeds: Arrays
    names: tuple[str, ...]
    count: int
    outputs: list[NDArray[Any]] | None = None
    error: BaseException | None = field(default=None)

    @property
    def done(self) -> bool:
        return self.outputs is not None or self.error is not None

    @property
    def kind(self) -> tuple[Any, ...]:
        """Requests of the same kind fit into one run."""
        return (self.names, *((name, a.shape[1:], a.dtype.str) for name, a in sorted(self.feeds.items())))


class SharedRun:
    """Runs a graph for callers in several threads; where batches pay, images that are ready go in one run.

    Nobody waits for a clock: whoever comes while nothing runs, runs what is there; whoever comes meanwhile is part of
    the next run. Only for threads that have announced an image (`expected`) a run waits, `patience_s` at most.

    The first axis of every tensor is that of the images. A graph for a fixed number of them gets its last image
    repeated; one whose outputs turn out to have another first axis is run image by image.

    Args:
        session: of the graph. What it says of itself, and may say otherwise when its backend changes:
            `prefers_batches` (n images in one run take less time than n runs; where not, calls go straight to it, at
            the same time) and `max_batch` (images that one run takes at most, whatever the graph has; None = any).
    """

    def __init__(self, session: InferenceSession, patience_s: float = PATIENCE_S) -> None:
        self.session, self._patience = session, patience_s
        shape = session.inputs[0].shape if session.inputs else ()
        self._fixed = shape[0] if shape else None
        self._changed = threading.Condition()
        self._waiting: list[_Request] = []
        self._coming: set[int] = set()
        self._running = self._closed = False
        #: the outputs are not one row for each image
        self._apart = False

    @property
    def prefers_batches(self) -> bool:
        """Whether callers should come together."""
        return getattr(self.session, 'prefers_batches', False) and self._most > 1 and not self._apart

    @property
    def _most(self) -> int:
        """Images in one run."""
        limits = [n for n in (self._fixed, getattr(self.session, 'max_batch', None)) if n]
        return min(limits, default=sys.maxsize)

    @contextmanager
    def expected(self) -> Iterator[None]:
        """Inside, this thread is about to bring an image; it counts until `run` is called or the block is left."""
        me = threading.get_ident()
        with self._changed:
            self._coming.add(me)
        try:
            yield
        finally:
            self._arrived(me)

    def _arrived(self, thread: int) -> None:
        if thread in self._coming:                         # put there by nobody but this thread
            with self._changed:
                self._coming.discard(thread)
                self._changed.notify_all()

    def run(self, feeds: Arrays, names: Sequence[str]) -> list[NDArray[Any]]:
        """Outputs of these names for images of one caller, which come in any number, together with those of others.

        Raises:
            InputError, InferenceError: see `InferenceSession.run`; those of other callers' images do not come here.
        """
        count = min((len(a) for a in feeds.values()), default=0)
        if not count:
            raise OutputError('no image was given to the network')
        most, together = 1 if self._apart else self._most, self.prefers_batches
        if not together:
            self._arrived(threading.get_ident())
            if self._fixed is None and count <= most:
                return self.session.run(feeds, names)
        parts = [_Request({k: a[i:i + most] for k, a in feeds.items()}, tuple(names), min(most, count - i))
                 for i in range(0, count, most)]
        if together:
            self._meet(parts)
        else:
            for part in parts:
                self._serve([part])
        for part in parts:
            if part.error is not None:
                raise part.error
        if len(parts) == 1:
            return list(parts[0].outputs or ())
        return [np.concatenate(rows) for rows in zip(*(p.outputs or () for p in parts), strict=True)]

    def close(self) -> None:
        """Callers that wait get an InferenceError, and so does everybody afterwards; the session itself stays."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _meet(self, mine: list[_Request]) -> None:
        """Wait until others have run my requests, or run some when it is my turn."""
        with self._changed:
            self._coming.discard(threading.get_ident())
            self._waiting += mine
            self._changed.notify_all()
            while not all(r.done for r in mine):
                if self._closed:
                    self._waiting = [r for r in self._waiting if r not in mine]
                    raise InferenceError('the network was closed while an image waited for it', 'open the model again')
                if self._running or not self._waiting:
                    self._changed.wait()
                    continue
                self._running = True
                together: list[_Request] = []
                try:
                    together = self._collected()
                    self._changed.release()
                    try:
                        self._serve(together)
                    finally:
                        self._changed.acquire()
                finally:
                    for r in together:                     # whatever broke off here, nobody waits for ever
                        if not r.done:
                            r.error = InferenceError('the run of the network was broken off', 'try again')
                    self._running = False
                    self._changed.notify_all()

    def _collected(self) -> list[_Request]:
        """Requests for the next run, the oldest first, after a short wait for those that have been announced."""
        until = time.monotonic() + self._patience
        while (self._coming and not self._closed and sum(r.count for r in self._waiting) < self._most
               and (left := until - time.monotonic()) > 0):
            self._changed.wait(left)
        first = self._waiting[0]
        kind, room, together = first.kind, self._most, []
        for r in self._waiting:
            if r is first or (r.kind == kind and r.count <= room):
                together.append(r)
                room -= r.count
        self._waiting = [r for r in self._waiting if r not in together]
        return together

    def _serve(self, requests: list[_Request]) -> None:
        """Run requests together; if that fails, each by itself: one caller's image does not fail the others."""
        try:
            self._run(requests)
        except Exception as error:  # noqa: BLE001 - raised by the caller whose image it is
            if len(requests) == 1:
                requests[0].error = error
                return
            for r in requests:
                self._serve([r])

    def _run(self, requests: list[_Request]) -> None:
        first, total = requests[0], sum(r.count for r in requests)
        feeds = {k: a if len(requests) == 1 else np.concatenate([r.feeds[k] for r in requests])
                 for k, a in first.feeds.items()}
        if self._fixed and total < self._fixed:
            feeds = {k: np.concatenate([a, np.repeat(a[-1:], self._fixed - total, 0)]) for k, a in feeds.items()}
        rows = max(total, self._fixed or 0)
        outputs = self.session.run(feeds, list(first.names))
        if any(a.ndim == 0 or len(a) != rows for a in outputs):
            if rows > 1 and not self._fixed:
                self._apart = True
            if len(requests) > 1 or total > 1:
                raise OutputError(f'the outputs {", ".join(first.names)} do not have one row for each of {rows} images')
            first.outputs = outputs
            return
        at = 0
        for r in requests:
            r.outputs = [a[at:at + r.count] for a in outputs]
            at += r.count


_lock = threading.Lock()
_shared: WeakValueDictionary[int, SharedRun] = WeakValueDictionary()


def shared_run(session: InferenceSession) -> SharedRun:
    """The one of this session, the same for all who ask: networks of several cameras meet in it."""
    with _lock:
        found = _shared.get(id(session))
        if found is None or found.session is not session:  # it keeps its session alive, and so its number taken
            found = _shared[id(session)] = SharedRun(session)
        return found
