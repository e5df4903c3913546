# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Exceptions that nobody expected: kept from the executor, logged, counted, shown in /diagnostics."""
from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

from .diagnostics import ERROR, OK, WARN, Entry
from .meters import Meter

__all__ = ['Defects']

#: a defect is shown for this long, s
_SHOWN_S = 30.
#: an exception's own text is cut here
_WORDS = 300


class Defects:
    """What went wrong in the callbacks of one node, without an end of the node.

    An exception in a callback would leave the executor, and with it end every node of the process. One camera's or
    one stranger's message must cost nobody else anything.

    Args:
        logger: gives the node's logger; asked late, for the first callbacks are made before the node has one.
        alive: False = the process is being ended: everything fails now, and nobody wants to read of it.

    Attributes:
        met: one event per exception.  refused: one per request of a service that could not be served.
        sentence: on the last exception, '' = none yet.
    """

    def __init__(self, logger: Callable[[], Any], alive: Callable[[], bool]) -> None:
        self.met, self.refused, self.sentence = Meter(_SHOWN_S), Meter(_SHOWN_S), ''
        self._refusal = ''
        self._logger, self._alive = logger, alive

    def caught(self, where: str, error: BaseException) -> None:
        """An exception was met in `where`; from any thread."""
        if not self._alive():
            return
        self.met.add()
        self.sentence = (f'defect of this program in {where}, everything else goes on: {type(error).__name__}: '
                         f'{_short(error)}')
        self._logger().error(f'defect of this program in {where}, everything else goes on:\n'
                             + ''.join(traceback.format_exception(error))[-4000:], throttle_duration_sec=10.)

    def guard(self, where: str, callback: Callable[..., Any]) -> Callable[..., Any]:
        """The same callback, whose exceptions end here."""
        @functools.wraps(callback)                          # rclpy looks at the signature
        def guarded(*args: Any) -> Any:
            try:
                return callback(*args)
            except Exception as error:  # noqa: BLE001 - it would end the executor, and with it every camera
                self.caught(where, error)
                return None

        return guarded

    def guard_service(self, name: str, callback: Callable[..., Any]) -> Callable[..., Any]:
        """The same for a service's callback: the caller gets the response as far as it was filled in.

        Services of rclpy itself raise at requests that cannot be served: a parameter of a type that there is none of,
        a transition that is not possible now.
        """
        @functools.wraps(callback)
        def guarded(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except Exception as error:  # noqa: BLE001 - it would end the executor, and with it every camera
                if self._alive():
                    self.refused.add()
                    self._refusal = f'a request to {name} cannot be served: {type(error).__name__}: {_short(error)}'
                    self._logger().warning(self._refusal, throttle_duration_sec=10.)
                return response

        return guarded

    def entry(self) -> Entry:
        """For /diagnostics."""
        figures = {'defects': self.met.total, 'refused_requests': self.refused.total}
        if self.met.values():
            return Entry('program', ERROR, 'defect', self.sentence, figures)
        if self.refused.values():
            return Entry('program', WARN, 'refused', self._refusal, figures)
        return Entry('program', OK, 'ok', 'no defect' if not self.met.total else
                     f'no defect for {_SHOWN_S:.0f} s; the last one: {self.sentence}', figures)


def _short(error: BaseException) -> str:
    return ' '.join(str(error)[:_WORDS].split())
