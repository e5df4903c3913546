# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Threads that work on the newest item of each of several sources, no source in two threads at once."""
from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from .thread_end import stuck

__all__ = ['Source', 'Workers']


class Source(Protocol):
    """Something that has an item now and then; a newer one replaces it until it is taken."""

    def take(self) -> Any:
        """The waiting item, which then waits no more; None = there is none."""
        ...


S = TypeVar('S', bound=Source)

#: turns: a source that has had so many more than another lets it go first, and no more than so many are made up for
_AHEAD, _MOST_BEHIND = 2, 3


class Workers(Generic[S]):
    """A pool over fixed sources that serves them in rounds, one item of each source a round.

    A round begins with what waits when the last one has been handed out: items of about the same time. So when there is
    more than can be worked on, the items of one instant are done together and those of the next are left out together,
    rather than every source's at another time. A source that had nothing then may still join while the round lasts, and
    a source that had its turn waits for the next one as long as any of the others has something: none of them takes
    the others' share by having items more often. Turns that it had while the others had nothing count, too: they go
    before it in the next rounds, or whatever delays the work would cost the slow sources their items.

    Args:
        work: called with a source and its item, in a worker thread.
        failed: called with what `work` raised; the thread goes on.
        limit: how many items may be in work at once; asked whenever one is handed out.
    """

    def __init__(self, sources: Sequence[S], work: Callable[[S, Any], None],
                 failed: Callable[[S, Exception], None], limit: Callable[[], int]) -> None:
        self._sources = list(sources)
        self._work, self._failed, self._limit = work, failed, limit
        self._changed = threading.Condition()
        self._round: list[tuple[S, Any]] = []
        self._served: set[int] = set()                     # had their turn in this round
        self._turns = {id(s): 0 for s in self._sources}
        self._busy: set[int] = set()
        self._ending = False
        # one that has nothing to do costs nothing
        self._threads = [threading.Thread(target=self._run, name=f'worker-{i}', daemon=True)
                         for i in range(len(self._sources))]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Some source has a new item."""
        with self._changed:
            self._changed.notify()

    def close(self) -> str:
        """Finish the items in work, forget the rest and end the threads; '' or a sentence on those that are stuck."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        return stuck(self._threads)

    def _next(self) -> tuple[S, Any] | None:
        """The next item, its source marked as busy; None at the end."""
        with self._changed:
            while not self._ending:
                if len(self._busy) < self._limit():
                    # whoever had nothing when the round began, or had its last item in work, may join
                    self._join()
                    if all(id(s) in self._busy for s, _ in self._round):
                        # all others had their turn, or have nothing: they need not wait for a slow one either
                        self._begin_round()
                    for i, (source, _) in enumerate(self._round):
                        if id(source) not in self._busy:
                            self._busy.add(id(source))
                            self._served.add(id(source))
                            self._count(id(source))
                            return self._round.pop(i)
                self._changed.wait()
        return None

    def _begin_round(self) -> None:
        """Of those that are behind with their turns, or, if they have nothing, of all."""
        waiting, free = len(self._round), [id(s) for s in self._sources if id(s) not in self._busy]
        least = min((self._turns[s] for s in free), default=0)
        self._served = {s for s in free if self._turns[s] >= least + _AHEAD}
        self._join()
        if len(self._round) == waiting:
            self._served = set()
            self._join()

    def _count(self, source: int) -> None:
        self._turns[source] += 1
        least = max(self._turns.values()) - _MOST_BEHIND
        for s, turns in self._turns.items():
            self._turns[s] = max(turns, least)

    def _join(self) -> None:
        """Take what waits of the sources that had no turn in this round."""
        held = {id(s) for s, _ in self._round} | self._served | self._busy
        taken = [(source, source.take()) for source in self._sources if id(source) not in held]
        self._round += [(source, item) for source, item in taken if item is not None]

    def _run(self) -> None:
        while (task := self._next()) is not None:
            source, item = task
            try:
                self._work(source, item)
            except Exception as error:  # noqa: BLE001 - a thread that dies silently would stop the cameras
                with contextlib.suppress(Exception):
                    self._failed(source, error)
            with self._changed:
                self._busy.discard(id(source))
                # an item that came meanwhile woke nobody who could have taken it
                self._changed.notify()
