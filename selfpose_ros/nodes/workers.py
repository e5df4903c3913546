# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Threads that work on the newest item of each of several sources, no source in two threads at once."""
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

__all__ = ['Source', 'Workers']


class Source(Protocol):
    """Something that has an item now and then."""

    @property
    def waiting(self) -> bool: ...


S = TypeVar('S', bound=Source)


class Workers(Generic[S]):
    """A pool over fixed sources. The source that was served longest ago comes first.

    Args:
        work: called with a source that is `waiting`, in a worker thread; it takes the item.
        failed: called with what `work` raised; the thread goes on.
    """

    def __init__(self, sources: Sequence[S], work: Callable[[S], None], failed: Callable[[S, Exception], None],
                 count: int) -> None:
        self._sources = list(sources)
        self._work, self._failed = work, failed
        self._changed = threading.Condition()
        self._busy: set[int] = set()
        self._ending = False
        self._threads = [threading.Thread(target=self._run, name=f'worker-{i}', daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Some source has a new item."""
        with self._changed:
            self._changed.notify()

    def close(self) -> None:
        """Finish the items in work and end the threads."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _next(self) -> S | None:
        """The next source to serve, marked as busy; None at the end."""
        with self._changed:
            while not self._ending:
                for i, source in enumerate(self._sources):
                    if source.waiting and id(source) not in self._busy:
                        self._sources.append(self._sources.pop(i))
                        self._busy.add(id(source))
                        return source
                self._changed.wait()
        return None

    def _run(self) -> None:
        while (source := self._next()) is not None:
            try:
                self._work(source)
            except Exception as error:  # noqa: BLE001 - a thread that dies silently would stop the cameras
                self._failed(source, error)
            with self._changed:
                self._busy.discard(id(source))
                # an item that came meanwhile woke nobody who could have taken it
                self._changed.notify()
