# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What goes on inside, for `--log-level <node>:=debug`: solves, rigs, who is followed from which cameras, streams."""
from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rclpy.logging import LoggingSeverity

from ..core.observation import Skeleton3D
from .diagnostics import number
from .fusion_worker import FusionWorker
from .pose2d_report import CameraLine

__all__ = ['DebugLog', 'camera_lines', 'fusion_lines']

#: the same subject is logged no more often than this, s
_AGAIN_S = 1.


class DebugLog:
    """Logs a subject when there is something else to say about it; costs nothing while the level is higher.

    Args:
        logger: of the node.
        clock: monotonic seconds.
    """

    def __init__(self, logger: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger, self._clock = logger, clock
        self._logged: dict[str, tuple[str, float]] = {}

    def note(self, lines: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """Log what changed since the last call.

        Args:
            lines: gives (subject, what there is to say about it); called at level debug alone.
        """
        if not self._logger.is_enabled_for(LoggingSeverity.DEBUG):
            return
        now = self._clock()
        for subject, text in lines():
            before, at = self._logged.get(subject, ('', -math.inf))
            if text != before and now - at >= _AGAIN_S:
                self._logged[subject] = text, now
                self._logger.debug(f'{subject}: {text}')


def fusion_lines(worker: FusionWorker, people: Sequence[Skeleton3D]) -> Iterator[tuple[str, str]]:
    """Of the fusion.

    Args:
        people: of the newest result.
    """
    status, rig = worker.status, worker.rig
    yield 'solve', 'runs' if status.solving else f'none runs; {status.rig_reason or "the rig is trusted"}'
    yield 'rig', 'none' if rig is None else (
        f'of {", ".join(rig.cameras)} adopted, quality {number(rig.quality, 2)}, metres from {status.scale_source}')
    used = [name for name, c in status.cameras.items() if c.used]
    left = [name for name in status.cameras if name not in used]
    who = ', '.join(f'person {p.person} (level {p.level}, {int(p.views.max(initial=0))} views)' for p in people)
    yield 'association', (
        f'{who or "nobody"}; cameras used: {", ".join(used) or "none"}, not used: {", ".join(left) or "none"}')
    for name, stream in worker.streams.items():
        yield f'stream {name}', (f'{"gone" if stream.gone else "alive"}, {stream.late} late, {stream.dropped} dropped'
                                 + (f'; {stream.note}' if stream.note else ''))
    yield 'instants', f'{worker.skipped} skipped, time began anew {worker.epochs} times'


def camera_lines(lines: Iterable[CameraLine]) -> Iterator[tuple[str, str]]:
    """Of the cameras of pose2d_node."""
    for line in lines:
        source, info = line.input, line.info
        taken = 'not subscribed' if source.choice is None else source.choice.words
        size = '' if info is None else f', {info.image_size[0]}x{info.image_size[1]} px, ' + (
            'calibrated' if info.intrinsics is not None else 'not calibrated')
        yield f'stream {source.name}', (f'{taken}{size}; {source.skipped} images skipped, {line.errors.total} not '
                                        f'usable, {line.maker.jumps.total} clock jumps')
        yield f'people {source.name}', f'{line.people} in view'
