# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The sessions of this process: one for each model, shared by all who ask."""
from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import Any

from ..models.store import Model
from .backend_choice import BACKEND_HELP, BACKENDS, ON_CPU, Backend
from .errors import BackendUnavailable
from .litert_session import LiteRtSession
from .session import InferenceSession, OrtSession
from .tensorrt.background import BackgroundSession

__all__ = ['BACKENDS', 'BACKEND_HELP', 'Backend', 'ON_CPU', 'open_session']

@dataclass
class _Shared:
    session: InferenceSession
    users: int = 0


_lock = threading.RLock()                                  # a garbage collection within may release another session
_open: dict[tuple[Any, ...], _Shared] = {}


def open_session(model: Model, owner: object, threads: int = 1, backend: Backend = ON_CPU) -> InferenceSession:
    """The session of a model, the same for all who ask in this process: cameras share weights, memory and engines.

    Args:
        owner: who uses it. It is closed when the last of its owners is gone.
        threads: of ONNX Runtime, for one run.

    Raises:
        ModelError: see `OrtSession`.
        BackendUnavailable: ONNX Runtime is not installed; or backend tensorrt, which cannot be had here.
        InferenceError: backend tensorrt with `wait`: no engine came about.
    """
    key = (model.file, model.card.sha256, threads, backend)
    with _lock:
        shared = _open.get(key)
        if shared is None or shared.session.report.state == 'failed':         # another configure, another try
            shared = _open[key] = _Shared(_new(model, threads, backend))
        shared.users += 1
        weakref.finalize(owner, _release, key, shared)
    if backend.wait and isinstance(shared.session, BackgroundSession):
        shared.session.settle()
    return shared.session


def _release(key: tuple[Any, ...], shared: _Shared) -> None:
    with _lock:
        shared.users -= 1
        if shared.users:
            return
        if _open.get(key) is shared:
            del _open[key]
    shared.session.close()


def _new(model: Model, threads: int, backend: Backend) -> InferenceSession:
    if model.lite:
        if backend.name == 'tensorrt':
            raise BackendUnavailable(f'backend tensorrt: {model.file}: is a TensorFlow Lite graph, which runs on '
                                     'LiteRT on the CPU alone',
                                     'choose backend onnxruntime or auto, or another network')
        return LiteRtSession(model.file, threads, model.card.name, backend.name)
    if backend.name == 'onnxruntime':
        return OrtSession(model.file, threads, model.card.name)
    from .tensorrt.engine_factory import EngineFactory
    try:
        factory = EngineFactory.here(backend)
    except BackendUnavailable as error:
        if backend.name == 'tensorrt':
            raise BackendUnavailable(f'backend tensorrt: {error}') from error
        return OrtSession(model.file, threads, model.card.name, backend.name, str(error))
    return factory.session(model, OrtSession(model.file, threads, model.card.name), backend)
