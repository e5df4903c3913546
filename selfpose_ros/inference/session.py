# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A graph that runs: arrays in, arrays out, by the names of its tensors. Here by ONNX Runtime on the CPU."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from ..models.errors import ModelError
from .errors import BackendUnavailable, InferenceError, InputError
from .onnx_runtime import onnx_runtime

__all__ = ['Arrays', 'BackendReport', 'InferenceSession', 'OrtSession', 'TensorSpec', 'plain']

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


@dataclass(frozen=True)
class BackendReport:
    """What runs a graph at this moment, and why not what was asked for.

    Attributes:
        model: its name.  wanted: 'onnxruntime', 'tensorrt' or 'auto'.  device: what computes now.
        state: 'ready'; 'building', 'checking' = ONNX Runtime runs it meanwhile; 'fallen back' = it goes on doing so;
            'failed' = nothing runs.
        share: of the build that is done, 0..1.
        reason: '' or why it is not what was wanted.  note: '' or what is odd, but harms nobody now.
    """

    model: str
    wanted: str
    device: str
    state: str = 'ready'
    share: float = 1.
    reason: str = ''
    note: str = ''

    @property
    def sentence(self) -> str:
        """All of it."""
        if self.state == 'building':
            return f'{self.model} on {self.device}, while its TensorRT engine is built ({self.share:.0%})'
        if self.state == 'checking':
            return f'{self.model} on {self.device}, while its TensorRT engine is compared with it'
        if self.state == 'failed':
            return f'{self.model} does not run: {self.reason}'
        return f'{self.model} on {self.device}' + (f', because: {self.reason}' if self.reason else '') + (
            f'; {self.note}' if self.note else '')


class InferenceSession(Protocol):
    """What runs a graph. Safe for several threads; the caller owns what it is given.

    Attributes:
        inputs, outputs: of the graph.
        device: what really computes, e.g. 'CPU (ONNX Runtime 1.20.1)'; may change from run to run.
        report: on it.
    """

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def device(self) -> str: ...

    @property
    def report(self) -> BackendReport: ...

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


class OrtSession:
    """ONNX Runtime on the CPU.

    Args:
        file: the graph.
        threads: for one run; several runs at once have as many each.
        name: of the model, for reports; '' = that of the file.
        wanted, reason: for reports: another backend that was asked for, and why it is not that.

    Raises:
        BackendUnavailable: ONNX Runtime is not installed.
        ModelError: the file is no graph that it can run.
    """

    def __init__(self, file: Path, threads: int = 1, name: str = '', wanted: str = 'onnxruntime',
                 reason: str = '') -> None:
        self.file = file
        self._session, self.device = _load(file, threads)
        self.inputs = tuple(map(_spec, self._session.get_inputs()))
        self.outputs = tuple(map(_spec, self._session.get_outputs()))
        self.report = BackendReport(name or file.name, wanted, self.device, 'fallen back' if reason else 'ready', 1.,
                                    reason)

    def run(self, feeds: Arrays, names: Sequence[str]) -> list[NDArray[Any]]:
        """See `InferenceSession.run`."""
        session = self._session
        if session is None:
            raise InferenceError('this session was closed', 'open the model again', place=self.file)
        lacking = [t.name for t in self.inputs if t.name not in feeds]
        if lacking:
            raise InputError(f'nothing was given for the input {", ".join(lacking)}', place=self.file)
        try:
            return list(session.run(list(names), dict(feeds)))
        except Exception as error:
            kind = InputError if type(error).__name__ == 'InvalidArgument' else InferenceError
            raise kind(f'{self.file}: ONNX Runtime failed ({plain(error)})') from error

    def close(self) -> None:
        """See `InferenceSession.close`."""
        self._session = None


def _load(file: Path, threads: int) -> tuple[Any, str]:
    """ONNX Runtime's own session, and the words for what computes."""
    try:
        onnxruntime = onnx_runtime()
    except ImportError as error:
        raise BackendUnavailable(f'ONNX Runtime cannot be loaded ({plain(error)})', f'install it with {_INSTALL}',
                                 place=file) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # threads that wait for the next image must leave the cores to those that decode it
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 4                         # what fails is raised; a second copy on stderr helps nobody
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=['CPUExecutionProvider'])
    except Exception as error:                             # ONNX Runtime has a dozen classes without a base
        raise ModelError(f'ONNX Runtime cannot load it ({plain(error)})', 'it is damaged, or uses operators that this '
                         'version does not know: copy or export the model again', place=file) from error
    return session, f'CPU (ONNX Runtime {onnxruntime.__version__})'


def _spec(node: Any) -> TensorSpec:
    return TensorSpec(node.name, tuple(s if isinstance(s, int) and s > 0 else None for s in node.shape), node.type)


def plain(error: BaseException) -> str:
    """An error's text, on one line and short."""
    text = ' '.join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f'{text[:197]}...'
