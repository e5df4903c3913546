# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which lifter a user means: 'auto', 'none', a shipped name, or a folder. Sent to other processes as a word."""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..models.errors import ModelError
from ..models.store import Model, open_model, shipped
from .backend import ON_CPU, Backend
from .errors import BackendUnavailable
from .lifter import Lifter, open_lifter

__all__ = ['AUTO', 'LIFTER_HELP', 'LifterChoice', 'NONE']

AUTO, NONE = 'auto', 'none'
#: for users
LIFTER_HELP = ('lifting network: a shipped name, a model folder, none, or auto: the shipped one, if ONNX Runtime is '
               'installed')


@dataclass(frozen=True)
class LifterChoice:
    """A user's word for a lifter, and for what runs it.

    `open` opens the network when it is asked for, once in each process.
    """

    name: str = AUTO
    backend: Backend = ON_CPU

    def open(self) -> Lifter | None:
        """The lifter, or None: none is wanted, or 'auto' finds none that runs here.

        Raises:
            ModelError, InferenceError: a lifter that was named, or backend tensorrt, cannot be used.
        """
        return _open(self.name, self.backend)[0]

    def check(self) -> None:
        """Whether there is a lifter of this name; nothing is loaded.

        Raises:
            ModelError: there is none.
        """
        if self.name in (NONE, AUTO):
            return
        card = _named(self.name).card
        if card.kind != 'lifter':
            raise ModelError(f'lifter {self.name!r}: is a {card.kind}, not a lifter', 'name a model of kind lifter')

    def fresh(self) -> tuple[Lifter | None, str]:
        """A lifter that nobody else keeps open, and the sentence on it; see `open`."""
        return _new(self.name, self.backend)

    @property
    def sentence(self) -> str:
        """What became of the choice, after `open`'s rules; for logs and reports."""
        return _open(self.name, self.backend)[1]


def _named(name: str) -> Model:
    if not name:
        raise ModelError('lifter: the name is empty', "give a shipped name, a model folder, 'auto' or 'none'")
    return open_model(name)


@lru_cache(maxsize=4)
def _open(name: str, backend: Backend) -> tuple[Lifter | None, str]:
    return _new(name, backend)


def _new(name: str, backend: Backend) -> tuple[Lifter | None, str]:
    if name == NONE:
        return None, 'no lifter: none is wanted'
    if name == AUTO:
        found = [n for n in shipped() if open_model(n).card.kind == 'lifter']
        if not found:
            return None, 'no lifter: none is shipped'
        try:
            lifter = open_lifter(found[0], backend)
        except BackendUnavailable as error:
            if backend.name == 'tensorrt':
                raise
            return None, f'no lifter: {error}'
    else:
        _named(name)
        lifter = open_lifter(name, backend)
    card = lifter.model.card
    return lifter, f'lifter {card.name} ({card.method}, {card.frames} frame{"" if card.frames == 1 else "s"})'
