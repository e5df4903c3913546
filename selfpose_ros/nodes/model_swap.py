# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Another model while the node works: loaded beside the one that runs, taken up between two frames, given back."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..core.errors import CoreError
from ..inference.errors import InferenceError
from ..models.errors import ModelError
from .diagnostics import OK, WARN, Entry
from .errors import NodeError

__all__ = ['ModelSwap', 'Version']

T = TypeVar('T')

#: a model that was refused, or failed, is a warning for this long, s
_SHOWN_S = 60.
#: what says by itself what is wrong
_EXPECTED = (NodeError, CoreError, InferenceError, ModelError, OSError)


@dataclass(frozen=True)
class Version(Generic[T]):
    """A model that is open.

    Attributes:
        parameters: values of the node's parameters that mean it, that of its name first.
        label: what it is, for people.
        model: what runs.
    """

    parameters: Mapping[str, Any]
    label: str
    model: T

    @property
    def name(self) -> str:
        """As the parameter has it."""
        return str(next(iter(self.parameters.values())))


class ModelSwap(Generic[T]):
    """The model that runs, the one before it, and the one that is being loaded. One thread calls all of it but `fail`.

    Args:
        load: opens, warms and checks a model, in a thread of its own: given the parameters, returns label and
            model. May raise what says what is wrong.
        adopt: has this model used from the next frame on; beside it the one that has run so far (None at the start, and
            when it is the one that is given up).
        close: gives a model back; nobody uses it any more.

    Attributes:
        running: None before `start`.  before: what `rollback` returns to, None = nothing.
        loading: parameters of the one that is being loaded, None = none.
    """

    def __init__(self, load: Callable[[Mapping[str, Any]], tuple[str, T]],
                 adopt: Callable[[T, T | None], None], close: Callable[[T], None]) -> None:
        self._load, self._adopt, self._close = load, adopt, close
        self.running: Version[T] | None = None
        self.before: Version[T] | None = None
        self.loading: Mapping[str, Any] | None = None
        self._next: Mapping[str, Any] | None = None
        self._thread: threading.Thread | None = None
        self._loaded: Version[T] | None = None
        self._failure: Exception | None = None
        self._broke: tuple[T, Exception] | None = None
        self._state, self._sentence, self._since = 'ok', '', -_SHOWN_S
        self._swaps = self._refusals = 0

    def start(self, version: Version[T]) -> None:
        """The first one."""
        self.running = version

    @property
    def wanted(self) -> Mapping[str, Any]:
        """The parameters of the newest that was asked for, or of what runs."""
        if self.running is None:
            return {}
        return self._next or self.loading or self.running.parameters

    def request(self, parameters: Mapping[str, Any]) -> str:
        """Load a model and run it as soon as it is there; a sentence on it. Of several requests the newest counts."""
        if self._thread is not None:
            self._next = dict(parameters)
        else:
            self._begin(dict(parameters))
        running = self.running.label if self.running is not None else 'nothing'
        return (f'{next(iter(parameters.values()))} is loaded and checked beside {running}, which runs until then; '
                '/diagnostics tells what came of it')

    def rollback(self) -> str:
        """Run the one before again, from the next frame on; a sentence on it.

        Raises:
            NodeError: there is none.
        """
        if self.loading is not None:
            raise NodeError(f'{next(iter(self.loading.values()))} is being loaded; wait until /diagnostics tells what '
                            'came of it')
        return self._return()

    def _return(self) -> str:
        if self.before is None or self.running is None:
            raise NodeError('there is no model to return to: none was changed since the node was configured')
        self.running, self.before = self.before, self.running
        self._swaps += 1
        self._adopt(self.running.model, None)
        self._note('ok', '')
        return f'{self.running.label} runs again; {self.before.label} is kept'

    def fail(self, model: T, error: Exception) -> None:
        """The new model cannot do its work, as it turned out in it; from any thread."""
        self._broke = model, error

    def tend(self) -> bool:
        """Carry out what became due; whether another model runs now, or one was refused."""
        changed = False
        broke, self._broke = self._broke, None
        if broke is not None and self.running is not None and self.before is not None \
                and broke[0] is self.running.model:
            failed = self.running
            self._return()
            self.before = None                             # what failed is nothing to return to
            self._close(failed.model)
            self._refuse('rolled back', f'{failed.name} failed at its work, {self.running.label} has taken over again: '
                                        f'{broke[1]}')
            changed = True
        if self._thread is None or self._thread.is_alive():
            return changed
        wanted, self._thread, self.loading = self.loading, None, None
        loaded, self._loaded = self._loaded, None
        failure, self._failure = self._failure, None
        if loaded is None:
            assert wanted is not None and self.running is not None
            if self._next is None:
                self._refuse('refused', f'{next(iter(wanted.values()))} was refused, {self.running.label} goes on: '
                                        f'{failure}')
        else:
            last, self.before, self.running = self.before, self.running, loaded
            self._swaps += 1
            self._adopt(loaded.model, self.before.model if self.before is not None else None)
            if last is not None:
                self._close(last.model)
            self._note('ok', '')
        following, self._next = self._next, None
        if following is not None:
            self._begin(following)
        return True

    def close(self, patience_s: float) -> str:
        """Give everything back, once the thread that loads has ended; '' or a sentence: it does not end."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(patience_s)
        left = f'thread {thread.name} still loads a model, it is left behind' if thread and thread.is_alive() else ''
        for version in (self.running, self.before, self._loaded):
            if version is not None:
                self._close(version.model)
        self.running = self.before = self._loaded = self.loading = self._next = None
        return left

    def entry(self) -> Entry:
        """For /diagnostics."""
        running = self.running.label if self.running is not None else 'none'
        before = self.before.label if self.before is not None else 'none'
        level, state, message = OK, 'ok', f'{running} runs' + (
            f'; ~/rollback_model returns to {before}' if self.before is not None else '')
        if self._sentence and time.monotonic() - self._since < _SHOWN_S:
            level, state, message = WARN, self._state, self._sentence
        loading = 'none' if self.loading is None else next(iter(self.loading.values()))
        if self.loading is not None:
            level, state, message = OK, 'loading', f'{running} runs while {loading} is loaded and checked'
        return Entry('model', level, state, message, {
            'running': running, 'before': before, 'loading': loading, 'changes': self._swaps,
            'refused': self._refusals, 'last_refusal': self._sentence or 'none'})

    def _begin(self, parameters: Mapping[str, Any]) -> None:
        self.loading = parameters
        self._thread = threading.Thread(target=self._run, args=(parameters,), name='model', daemon=True)
        self._thread.start()

    def _run(self, parameters: Mapping[str, Any]) -> None:
        try:
            label, model = self._load(parameters)
            self._loaded = Version(parameters, label, model)
        except _EXPECTED as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the model that runs goes on
            self._failure = NodeError(f'defect of this program: {type(error).__name__}: {error}')

    def _refuse(self, state: str, sentence: str) -> None:
        self._refusals += 1
        self._note(state, sentence)

    def _note(self, state: str, sentence: str) -> None:
        self._state, self._since = state, time.monotonic()
        self._sentence = sentence
