# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime at once, TensorRT when its engine is there and agrees; and back, if the GPU fails."""
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from numpy.typing import NDArray

from ...models.errors import ModelError
from ..errors import ExecutionError, InferenceError
from ..session import Arrays, BackendReport, InferenceSession, TensorSpec, plain

__all__ = ['BackgroundSession', 'Engine', 'Step']

#: called with 'building' or 'checking' and the share 0..1; False = give up
Step = Callable[[str, float], bool]
#: a build that was cancelled ends at the next of TensorRT's steps; after this long it is left to itself, s
_PATIENCE_S = 20.


class Engine(InferenceSession, Protocol):
    """An `InferenceSession` with a largest batch."""

    @property
    def most(self) -> int: ...


class BackgroundSession:
    """An `InferenceSession` that is always ready.

    Args:
        standin: runs the graph meanwhile, and for good where there will be no engine.
        make: makes the engine's session, in a thread of its own; it has been compared with `standin` when it comes.
            Given a `Step`, and a function for sentences on what is odd but no reason to stop.
        name: of the model.
        wanted: 'auto': the stand-in goes on where TensorRT fails; 'tensorrt': every run fails then, with the reason.

    Attributes:
        report: see `InferenceSession`.
    """

    def __init__(self, standin: InferenceSession, make: Callable[[Step, Callable[[str], None]], Engine], name: str,
                 wanted: str = 'auto') -> None:
        self._standin, self._make, self._wanted = standin, make, wanted
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.report = BackendReport(name, wanted, standin.device, 'building', 0.)
        self._thread = threading.Thread(target=self._make_engine, name=f'engine {name}', daemon=True)
        self._thread.start()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """See `InferenceSession`."""
        return self._standin.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """See `InferenceSession`."""
        return self._standin.outputs

    @property
    def device(self) -> str:
        """See `InferenceSession`."""
        return self.report.device

    @property
    def prefers_batches(self) -> bool:
        """Whether several images in one run take less time than one by one: on a GPU they do."""
        return self._engine is not None

    @property
    def max_batch(self) -> int | None:
        """Images that one run should hold at most; None = any number."""
        engine = self._engine
        return None if engine is None else engine.most

    def run(self, feeds: Arrays, names: Sequence[str]) -> list[NDArray[Any]]:
        """See `InferenceSession.run`."""
        engine = self._engine
        if engine is None:
            if self.report.state == 'failed':
                raise InferenceError(self.report.reason)
            return self._standin.run(feeds, names)
        try:
            return engine.run(feeds, names)
        except ExecutionError as error:
            self._lost(engine, error)
            if self._wanted == 'tensorrt':
                raise
            return self._standin.run(feeds, names)

    def settle(self) -> None:
        """Wait until it is decided what runs the graph.

        Raises:
            InferenceError: 'tensorrt' is wanted and cannot be had.
        """
        self._thread.join()
        if self.report.state == 'failed':
            raise InferenceError(self.report.reason)

    def close(self) -> None:
        """Cancel the build and give back everything."""
        self._closing.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(_PATIENCE_S)
        with self._lock:
            engine, self._engine = self._engine, None
            self.report = replace(self.report, state='failed', reason=f'{self.report.model}: this session was closed; '
                                  'open the model again')
        if engine is not None:
            engine.close()
        self._standin.close()

    # -- in its thread

    def _make_engine(self) -> None:
        try:
            engine = self._make(self._step, self._note)
        except Exception as error:  # noqa: BLE001 - a thread that dies silently would never tell why there is no engine
            self._stay(error)
        else:
            with self._lock:
                if not self._closing.is_set():
                    self._engine = engine
                    self.report = replace(self.report, device=engine.device, state='ready', share=1.)
                    return
            engine.close()

    def _step(self, state: str, share: float) -> bool:
        if not self._closing.is_set():
            self.report = replace(self.report, state=state, share=share)
        return not self._closing.is_set()

    def _note(self, text: str) -> None:
        self.report = replace(self.report, note=f'{self.report.note}; {text}' if self.report.note else text)

    def _stay(self, error: Exception) -> None:
        """There will be no engine."""
        expected = isinstance(error, InferenceError | ModelError)
        text = str(error) if expected else f'defect: {type(error).__name__}: {plain(error)}'
        with self._lock:
            if not self._closing.is_set():
                self._fail(text)

    def _lost(self, engine: Engine, error: ExecutionError) -> None:
        """The GPU failed while it ran the graph."""
        with self._lock:
            if self._engine is not engine:                 # another thread has met the same
                return
            self._engine = None
            self._fail(str(error))
        with suppress(InferenceError):
            engine.close()

    def _fail(self, reason: str) -> None:
        state = 'failed' if self._wanted == 'tensorrt' else 'fallen back'
        reason = f'backend tensorrt: {reason}' if self._wanted == 'tensorrt' else reason
        self.report = replace(self.report, device=self._standin.device, state=state, reason=reason)
