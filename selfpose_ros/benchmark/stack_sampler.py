# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What running code is busy with: the stack is looked at every millisecond, and each look belongs to a part.

Sampling costs next to nothing and changes nothing, where a profiler that counts calls doubles the cost of small ones.
Main thread only, as signals are.
"""
from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ['StackSampler', 'part_of']

_EVERY_S = 1e-3
_CORE = f'{__name__.partition(".")[0]}.core.'
#: (module of the core, function) -> part. The innermost function of a stack that is named here decides.
_FUNCTIONS = {
    ('claims', 'claim'): 'matching', ('people', '_newcomers'): 'newcomers', ('output', '_skeletons'): 'output',
    ('person', 'measurements_of'): 'noise of the joints', ('filtering', 'predict_together'): 'prediction',
    ('filtering', '_solved'): 'update: solving', ('filtering', '_covariances'): 'update: solving',
    ('filtering', 'update_together'): 'update: linearisation', ('tracklets', '_follow'): 'tracklets',
    ('sides', 'agreed_permutation'): 'update: left or right', ('triangulation', 'triangulate'): 'triangulation',
    ('estimator', '_by_continuity'): 'who calibrates', ('rig_tracker', 'schedule'): 'handing over a solve',
    ('rig_tracker', 'collect'): 'taking over a rig',
}
#: module -> part, for everything that is called from the estimator and not named above
_MODULES = {'history': 'history', 'health': 'health', 'people': 'people, other', 'estimator': 'estimator, other'}


def part_of(frame: FrameType | None) -> str:
    """Part that a stack of the estimator belongs to; '' when it is not the estimator's."""
    outermost = ''
    while frame is not None:
        name = frame.f_globals.get('__name__', '')
        if name.startswith(_CORE):
            module = name.rpartition('.')[2]
            part = _FUNCTIONS.get((module, frame.f_code.co_name))
            if part:
                return part
            if module != 'estimator' or not outermost:
                outermost = module
        frame = frame.f_back
    return _MODULES.get(outermost, outermost)


class StackSampler:
    """Collects parts in `taken` while `running`."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self._random = random.Random(0)

    @contextmanager
    def running(self, on: bool = True) -> Iterator[None]:
        """Sample for as long as the block takes; what was taken before is forgotten."""
        self.taken = []
        if not on:
            yield
            return
        before = signal.signal(signal.SIGALRM, lambda _, frame: self.taken.append(part_of(frame)))
        # the first look comes at any time: what is done first in a block of a millisecond would else never be seen
        signal.setitimer(signal.ITIMER_REAL, self._random.uniform(1e-6, _EVERY_S), _EVERY_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.)
            signal.signal(signal.SIGALRM, before)
