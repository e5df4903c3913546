# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""State of the nodes: entries of /diagnostics, and one log line when a state changes."""
from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

__all__ = ['ERROR', 'Entry', 'OK', 'StateLog', 'WARN', 'array_from', 'number']

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
#: the same state of the same thing is logged no more often than this, s
_AGAIN_S = 30.


@dataclass(frozen=True)
class Entry:
    """One thing and how it is.

    Attributes:
        name: what, e.g. 'camera cam1'; the node's full name is put before it.
        level: OK, WARN or ERROR.
        state: a word for the kind of state; the log line comes when it changes.
        message: one sentence.
        values: figures by name, unit in the name.
        camera: the camera that it is about, relative to the node's namespace; '' = the node itself.
    """

    name: str
    level: bytes
    state: str
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)
    camera: str = ''


def number(value: float, digits: int = 1) -> str:
    """A figure for people; 'not known' where there is none."""
    return f'{value:.{digits}f}' if math.isfinite(value) else 'not known'


def array_from(entries: Sequence[Entry], node: str, stamp: Time) -> DiagnosticArray:
    """The message of these entries.

    Two hosts with a node and a camera of one name each differ by namespace alone, so both names are full ones. They are
    written without the first slash: in the root namespace they are the node's and the camera's names.

    Args:
        node: fully qualified name.
    """
    space, _, name = node.strip('/').rpartition('/')

    def full(relative: str) -> str:
        return f'{space}/{relative}' if space else relative

    def text(value: Any) -> str:
        return number(value) if isinstance(value, float) else str(value)

    return DiagnosticArray(header=Header(stamp=stamp), status=[
        DiagnosticStatus(level=e.level, name=f'{full(name)}: {e.name}', message=e.message,
                         hardware_id=full(e.camera or name),
                         values=[KeyValue(key=k, value=text(v)) for k, v in e.values.items()])
        for e in entries])


class StateLog:
    """Turns entries into log lines: one when a state changes, not again within half a minute.

    Args:
        logger: of the node.
        clock: monotonic seconds.
    """

    def __init__(self, logger: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger, self._clock = logger, clock
        self._state: dict[str, str] = {}
        self._logged: dict[tuple[str, str], float] = {}

    def note(self, entries: Sequence[Entry]) -> None:
        """Log what changed since the last call."""
        for e in entries:
            before = self._state.get(e.name)
            self._state[e.name] = e.state
            now = self._clock()
            if before == e.state or now - self._logged.get((e.name, e.state), -math.inf) < _AGAIN_S:
                continue
            self._logged[e.name, e.state] = now
            text = f'{e.name}: {e.message}'
            # a line for each level: rclpy wants every call of its logger at one place with one severity
            if e.level == OK:
                self._logger.info(text)
            elif e.level == ERROR:
                self._logger.error(text)
            else:
                self._logger.warning(text)
