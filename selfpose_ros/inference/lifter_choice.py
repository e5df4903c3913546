# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which lifter a user means: 'auto', 'none', a shipped name, or a folder. Sent to other processes as a word."""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..models.errors import ModelError
from ..models.store import open_model, shipped
from .errors import BackendUnavailable
from .lifter import Lifter, open_lifter

__all__ = ['AUTO', 'LIFTER_HELP', 'LifterChoice', 'NONE']

AUTO, NONE = 'auto', 'none'
#: what a user may say
LIFTER_HELP = ('lifting network: a shipped name, a model folder, none, or auto: the shipped one, if ONNX Runtime is '
               'installed')


@dataclass(frozen=True)
class LifterChoice:
    """A user's word for a lifter; the network is opened when it is asked for, once in each process."""

    name: str = AUTO

    def open(self) -> Lifter | None:
        """The lifter, or None: none is wanted, or 'auto' finds none that runs here.

        Raises:
            ModelError, BackendUnavailable: a lifter that was named cannot be used.
        """
        return _open(self.name)[0]

    @property
    def sentence(self) -> str:
        """What became of the choice, after `open`'s rules; for logs and reports."""
        return _open(self.name)[1]


@lru_cache(maxsize=4)
def _open(name: str) -> tuple[Lifter | None, str]:
    if name == NONE:
        return None, 'no lifter: none is wanted'
    if name == AUTO:
        found = [n for n in shipped() if open_model(n).card.kind == 'lifter']
        if not found:
            return None, 'no lifter: none is shipped'
        try:
            lifter = open_lifter(found[0])
        except BackendUnavailable as error:
            return None, f'no lifter: {error}'
    elif not name:
        raise ModelError("lifter: the name is empty; give a shipped name, a model folder, 'auto' or 'none'")
    else:
        lifter = open_lifter(name)
    card = lifter.model.card
    return lifter, f'lifter {card.name} ({card.method}, {card.frames} frame{"" if card.frames == 1 else "s"})'
