# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A TensorFlow Lite graph that runs on the CPU by LiteRT, behind the contract of `session.InferenceSession`."""
from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.errors import ModelError
from .errors import BackendUnavailable, InferenceError, InputError
from .lite_rt import LITERT_NOISE, lite_rt, lite_rt_version
from .native_log import without_native_noise
from .session import Arrays, BackendReport, TensorSpec, plain

__all__ = ['LiteRtSession']

_INSTALL = "pip install 'ai-edge-litert>=2.0'"
#: numpy's names of types -> those of ONNX Runtime, which all sessions use
_TYPES = {'float32': 'float', 'float64': 'double'}


class LiteRtSession:
    """LiteRT on the CPU, with its XNNPACK kernels.

    An interpreter holds the inputs and outputs of one run, so there are as many as runs at the same time; the weights
    are mapped from the file once. Axes that the graph leaves open are set to what is given, for as long as that stays
    the same. A graph for one image at a time is run so by `batching.SharedRun`: a batch would gain nothing on a CPU.

    Args:
        file: the graph.
        threads: for one run; several runs at once have as many each.
        name: of the model, for reports; '' = that of the file.
        wanted, reason: for reports: another backend that was asked for, and why it is not that.

    Raises:
        BackendUnavailable: LiteRT is not installed.
        ModelError: the file is no graph that it can run.
    """

    def __init__(self, file: Path, threads: int = 1, name: str = '', wanted: str = 'onnxruntime',
                 reason: str = '') -> None:
        self.file, self._threads = file, threads
        self._lock = threading.Lock()
        self._closed = False
        first = _Interpreter(file, threads)
        self._idle = [first]
        self.inputs, self.outputs = first.inputs, first.outputs
        self.device = f'CPU (LiteRT {lite_rt_version()})'
        self.report = BackendReport(name or file.name, wanted, self.device, 'fallen back' if reason else 'ready', 1.,
                                    reason)

    def run(self, feeds: Arrays, names: Sequence[str]) -> list[NDArray[Any]]:
        """See `InferenceSession.run`."""
        with self._lock:
            if self._closed:
                raise InferenceError('this session was closed', 'open the model again', place=self.file)
            mine = self._idle.pop() if self._idle else None
        if mine is None:
            mine = _Interpreter(self.file, self._threads)
        out = mine.run(feeds, names)                       # one that has failed is not used again
        with self._lock:
            if not self._closed:
                self._idle.append(mine)
        return out

    def close(self) -> None:
        """See `InferenceSession.close`."""
        with self._lock:
            self._closed = True
            self._idle.clear()


class _Interpreter:
    """One interpreter, of one run at a time."""

    def __init__(self, file: Path, threads: int) -> None:
        try:
            package = lite_rt()
        except ImportError as error:
            raise BackendUnavailable(f'LiteRT cannot be loaded ({plain(error)})', f'install it with {_INSTALL}',
                                     place=file) from error
        self._file = file
        try:
            with without_native_noise(LITERT_NOISE):
                self._inner = package.Interpreter(model_path=str(file), num_threads=threads)
                self._inner.allocate_tensors()
            given, made = self._inner.get_input_details(), self._inner.get_output_details()
        except Exception as error:
            raise ModelError(f'LiteRT cannot load it ({plain(error)})', 'it is damaged, or uses operators that this '
                             'version does not know: fetch, copy or export the model again', place=file) from error
        self.inputs, self.outputs = tuple(map(_spec, given)), tuple(map(_spec, made))
        self._shapes = {d['name']: tuple(map(int, d['shape'])) for d in given}
        self._given = {d['name']: d['index'] for d in given}
        self._made = {d['name']: d['index'] for d in made}

    def run(self, feeds: Arrays, names: Sequence[str]) -> list[NDArray[Any]]:
        """See `InferenceSession.run`."""
        unknown = [n for n in names if n not in self._made]
        if unknown:
            raise InferenceError(f'has no output {", ".join(unknown)}', f'it has {", ".join(self._made)}',
                                 place=self._file)
        arrays = {t.name: self._checked(t, feeds) for t in self.inputs}
        try:
            resized = [n for n, a in arrays.items() if a.shape != self._shapes[n]]
            for name in resized:
                self._inner.resize_tensor_input(self._given[name], arrays[name].shape)
            if resized:
                with without_native_noise(LITERT_NOISE):
                    self._inner.allocate_tensors()
                self._shapes.update({n: arrays[n].shape for n in resized})
            for name, a in arrays.items():
                self._inner.set_tensor(self._given[name], a)
            self._inner.invoke()
            return [self._inner.get_tensor(self._made[n]) for n in names]
        except Exception as error:
            raise InferenceError(f'LiteRT failed ({plain(error)})', place=self._file) from error

    def _checked(self, spec: TensorSpec, feeds: Arrays) -> NDArray[Any]:
        """What is given for an input, if the graph takes it."""
        if spec.name not in feeds:
            raise InputError(f'nothing was given for the input {spec.name}', place=self._file)
        a = np.ascontiguousarray(feeds[spec.name])
        if _type(a.dtype) != spec.dtype or a.ndim != len(spec.shape) or any(
                s is not None and s != d for s, d in zip(spec.shape, a.shape, strict=True)):
            raise InputError(f'the input {spec.text} was given {a.shape} {a.dtype}', place=self._file)
        return a


def _spec(detail: Any) -> TensorSpec:
    open_or_not = detail.get('shape_signature')
    shape = detail['shape'] if open_or_not is None or not len(open_or_not) else open_or_not
    return TensorSpec(detail['name'], tuple(int(s) if s > 0 else None for s in shape), _type(detail['dtype']))


def _type(dtype: Any) -> str:
    name = np.dtype(dtype).name
    return f'tensor({_TYPES.get(name, name)})'
