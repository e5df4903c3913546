# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A graph that runs: arrays in, arrays out, by the names of its tensors. Today by ONNX Runtime on the CPU."""
from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from ..models.errors import ModelError
from ..models.store import Model
from .errors import BackendUnavailable, InferenceError, InputError

__all__ = ['InferenceSession', 'OrtSession', 'TensorSpec', 'load_graph', 'open_session', 'plain']

Arrays = Mapping[str, NDArray[Any]]
_INSTALL = "pip install 'onnxruntime>=1.17'"


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of a graph.

    Attributes:
        name: in the graph.  shape: a number, or None for an axis of any size.  dtype: as ONNX Runtime names it.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def text(self) -> str:
        """For messages."""
        return f'{self.name} ({", ".join("N" if s is None else str(s) for s in self.shape)}) {self.dtype}'


class InferenceSession(Protocol):
    """What runs a graph. Safe for several threads; the caller owns what it is given.

    Attributes:
        inputs, outputs: of the graph.
        device: what really computes, e.g. 'CPU (ONNX Runtime 1.20.1)'.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    device: str

    def run(self, feeds: Arrays, names: Sequence[str]) -> list[NDArray[Any]]:
        """Outputs of these names.

        Raises:
            InputError: a tensor is missing, or of another type or shape than the graph takes.
            InferenceError: the backend failed.
        """
        ...

    def close(self) -> None:
        """Give back memory; `run` afterwards raises InferenceError."""
        ...


def load_graph(file: Path, threads: int = 1) -> tuple[Any, str]:
    """ONNX Runtime's own session of a graph on the CPU, and the words for what computes.

    Args:
        threads: for one run; several runs at once have as many each.

    Raises:
        BackendUnavailable: ONNX Runtime is not installed.
        ModelError: the file is no graph that it can run.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable(f'{file}: ONNX Runtime cannot be loaded ({plain(error)}); install it with '
                                 f'{_INSTALL}') from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # threads that wait for the next image must leave the cores to those that decode it
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 4                         # what fails is raised; a second copy on stderr helps nobody
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=['CPUExecutionProvider'])
    except Exception as error:                             # ONNX Runtime has a dozen classes without a base
        raise ModelError(f'{file}: ONNX Runtime cannot load it ({plain(error)}); it is damaged, or uses operators that '
                         'this version does not know: copy or export the model again') from error
    return session, f'CPU (ONNX Runtime {onnxruntime.__version__})'


class OrtSession:
    """ONNX Runtime on the CPU.

    Args:
        file: the graph.
        threads: for one run; several runs at once have as many each.

    Raises:
        BackendUnavailable: ONNX Runtime is not installed.
        ModelError: the file is no graph that it can run.
    """

    def __init__(self, file: Path, threads: int = 1) -> None:
        self.file = file
        self._session, self.device = load_graph(file, threads)
        self.inputs = tuple(map(_spec, self._session.get_inputs()))
        self.outputs = tuple(map(_spec, self._session.get_outputs()))

    def run(self, feeds: Arrays, names: Sequence[str]) -> list[NDArray[Any]]:
        """See `InferenceSession.run`."""
        session = self._session
        if session is None:
            raise InferenceError(f'{self.file.name}: this session was closed; open the model again')
        lacking = [t.name for t in self.inputs if t.name not in feeds]
        if lacking:
            raise InputError(f'{self.file.name}: nothing was given for the input {", ".join(lacking)}')
        try:
            return list(session.run(list(names), dict(feeds)))
        except Exception as error:
            kind = InputError if type(error).__name__ == 'InvalidArgument' else InferenceError
            raise kind(f'{self.file.name}: ONNX Runtime failed ({plain(error)})') from error

    def close(self) -> None:
        """See `InferenceSession.close`."""
        self._session = None


_lock = threading.Lock()


def open_session(model: Model, threads: int = 1) -> OrtSession:
    """The session of a model, the same for all who ask in this process: cameras share weights.

    Raises:
        BackendUnavailable, ModelError: see `OrtSession`.
    """
    with _lock:
        return _opened(model.file, model.card.sha256, threads)


@lru_cache(maxsize=8)
def _opened(file: Path, sha256: str, threads: int) -> OrtSession:
    return OrtSession(file, threads)


def _spec(node: Any) -> TensorSpec:
    return TensorSpec(node.name, tuple(s if isinstance(s, int) and s > 0 else None for s in node.shape), node.type)


def plain(error: BaseException) -> str:
    """What an error says, on one line and short."""
    text = ' '.join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f'{text[:197]}...'
