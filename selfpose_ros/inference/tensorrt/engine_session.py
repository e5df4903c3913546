# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""An engine that runs: one stream, fixed buffers, and for each batch size a context and a CUDA graph of its own."""
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendUnavailable, EngineStale, ExecutionError, GraphRefused, InferenceError, InputError
from ..session import Arrays, BackendReport, TensorSpec, plain
from .cuda import Bytes, Cuda
from .interface import ICudaEngine, IExecutionContext, TensorRT
from .library import messages_of

__all__ = ['EngineSession']

#: plain runs of a batch size before its graph is captured: the first one after a change of shapes allocates
_PLAIN_RUNS = 2
_KINDS = {'float32': 'float', 'float64': 'double', 'bool': 'bool'}


@dataclass
class _Tensor:
    """One input or output: its shape (-1 = batch) and the buffers for the largest batch."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_input: bool
    device: int = 0
    host: int = 0
    view: Bytes | None = None

    @property
    def spec(self) -> TensorSpec:
        kind = _KINDS.get(self.dtype.name, self.dtype.name)
        return TensorSpec(self.name, tuple(None if d < 0 else d for d in self.shape), f'tensor({kind})')

    def array(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """The host's buffer as an array of this shape."""
        assert self.view is not None
        return self.view[:self.size(shape)].view(self.dtype).reshape(shape)

    def size(self, shape: tuple[int, ...]) -> int:
        """Bytes of such an array."""
        return prod(shape) * self.dtype.itemsize


class EngineSession:
    """An `InferenceSession` on a GPU. Batches beyond the engine's are cut; one run at a time, others wait.

    No memory is allocated in `run`, once each batch size has been seen. After an error of the device nothing is tried
    again: CUDA keeps such an error until the process ends.

    Args:
        trt, cuda: the libraries.
        plan: the engine.
        index: of the device.
        name: of the model, for messages.
        graphs: use CUDA graphs.

    Attributes:
        inputs, outputs, device: see `InferenceSession`.
        most: largest batch of one run.

    Raises:
        BackendUnavailable: no device, or not enough of its memory.
        EngineStale: the engine does not load with this TensorRT on this device.
        GraphRefused: an output has no fixed size.
    """

    def __init__(self, trt: TensorRT, cuda: Cuda, plan: bytes, *, index: int = 0, name: str = 'model',
                 graphs: bool = True) -> None:
        # before anything of TensorRT: without a driver its runtime ends the process
        if cuda.devices() <= index:
            raise BackendUnavailable(f'there is no CUDA device {index}', 'the first is 0')
        cuda.use(index)
        self._cuda, self._index, self._name, self._use_graphs = cuda, index, name, graphs
        self._lock = threading.Lock()
        self._dead = ''
        self._tensors: dict[str, _Tensor] = {}
        self._contexts: dict[int, IExecutionContext] = {}
        self._graphs: dict[int, Any] = {}
        self._runs: dict[int, int] = {}
        self._stream = 0
        self._messages = messages_of(trt)
        self._messages.clear()
        try:
            self._runtime: Any = trt.Runtime(self._messages.logger)
        except TypeError as error:                         # what the bindings make of a null pointer
            raise BackendUnavailable(f'TensorRT does not start here ({self._messages.take()}; {plain(error)})',
                                     'its libraries must be of the version of its Python package') from error
        engine: ICudaEngine | None = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise EngineStale(f'the engine does not load with TensorRT {trt.__version__} here '
                              f'({self._messages.take()})', 'it must be built again', place=name)
        self._engine: Any = engine
        try:
            self._prepare(trt, engine)
        except InferenceError as error:
            self.close()
            if isinstance(error, ExecutionError):          # of the allocations: the session has never run
                raise BackendUnavailable(f'no room on the device ({error})', 'close other programs that use it',
                                         place=name) from error
            raise
        self.inputs = tuple(t.spec for t in self._tensors.values() if t.is_input)
        self.outputs = tuple(t.spec for t in self._tensors.values() if not t.is_input)
        self.device = f'GPU {cuda.device(index).name} (TensorRT {trt.__version__})'

    # -- once

    def _prepare(self, trt: TensorRT, engine: ICudaEngine) -> None:
        for i in range(engine.num_io_tensors):
            name = engine.get_tensor_name(i)
            self._tensors[name] = _Tensor(
                name, np.dtype(trt.nptype(engine.get_tensor_dtype(name))), tuple(engine.get_tensor_shape(name)),
                engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT)
        inputs = [t for t in self._tensors.values() if t.is_input]
        open_ones = [t for t in inputs if t.shape[0] < 0]
        self._fixed = not open_ones
        self.most = min([t.shape[0] for t in inputs if t.shape[0] > 0]
                        + [int(engine.get_tensor_profile_shape(t.name, 0)[2][0]) for t in open_ones])
        largest = self._context(self.most, bind=False)
        self._stream = self._cuda.stream()
        for t in self._tensors.values():
            shape = tuple(largest.get_tensor_shape(t.name))
            if any(d < 0 for d in shape):
                raise GraphRefused(f'the output {t.name} {shape} has a size that depends on the image (a selection '
                                   'inside?)', 'export the network without it, or use onnxruntime', place=self._name)
            t.device = self._cuda.memory(t.size(shape))
            t.host, t.view = self._cuda.pinned(t.size(shape))
        self._bind(largest)

    def _context(self, batch: int, bind: bool = True) -> IExecutionContext:
        """The context of a batch size. What a graph was captured from must not be given other shapes."""
        if batch not in self._contexts:
            context = self._engine.create_execution_context()
            if context is None:
                raise BackendUnavailable(f'no room on the device for a batch of {batch} ({self._messages.take()})',
                                         'close other programs that use it', place=self._name)
            for t in self._tensors.values():
                if t.is_input and t.shape[0] < 0 and not context.set_input_shape(t.name, (batch, *t.shape[1:])):
                    raise ExecutionError(f'the engine does not take a batch of {batch} in {t.name} '
                                         f'({self._messages.take()})', place=self._name)
            unknown = list(context.infer_shapes())
            if unknown:
                raise ExecutionError(f'the shape of {", ".join(unknown)} stays open', place=self._name)
            if bind:
                self._bind(context)
            self._contexts[batch] = context
        return self._contexts[batch]

    def _bind(self, context: IExecutionContext) -> None:
        for t in self._tensors.values():
            if not context.set_tensor_address(t.name, t.device):
                raise ExecutionError(f'TensorRT refuses the address of {t.name} ({self._messages.take()})',
                                     place=self._name)

    # -- runs

    @property
    def report(self) -> BackendReport:
        """See `InferenceSession.report`."""
        return BackendReport(self._name, 'tensorrt', self.device, 'failed' if self._dead else 'ready', 1., self._dead)

    def run(self, feeds: Arrays, names: Sequence[str]) -> list[NDArray[Any]]:
        """See `InferenceSession.run`.

        Raises:
            ExecutionError: the device failed, now or in an earlier run.
        """
        total = self._checked(feeds, names)
        wanted = [self._tensors[n] for n in names]
        if total == 0:
            return [np.zeros((0, *t.shape[1:]), t.dtype) for t in wanted]
        parts = []
        for a in range(0, total, self.most):
            part = {t.name: np.asarray(feeds[t.name])[a:a + self.most]
                    for t in self._tensors.values() if t.is_input}
            parts.append(self._run(min(self.most, total - a), part, wanted))
        return parts[0] if len(parts) == 1 else [np.concatenate(p) for p in zip(*parts, strict=True)]

    def _checked(self, feeds: Arrays, names: Sequence[str]) -> int:
        """The size of the batch, if everything fits."""
        sizes = set()
        for t in self._tensors.values():
            if not t.is_input:
                continue
            given = feeds.get(t.name)
            if given is None:
                raise InputError(f'nothing was given for the input {t.name}', place=self._name)
            if (given.dtype != t.dtype or given.ndim != len(t.shape)
                    or any(d >= 0 and d != g for d, g in zip(t.shape, given.shape, strict=True))):
                raise InputError(f'the input {t.spec.text} got {given.shape} {given.dtype}', place=self._name)
            sizes.add(given.shape[0])
        unknown = [n for n in names if n not in self._tensors]
        if unknown:
            raise InputError(f'the graph has no output {", ".join(unknown)}', place=self._name)
        if len(sizes) != 1:
            raise InputError(f'the inputs have different batch sizes, {sorted(sizes)}', place=self._name)
        return int(sizes.pop())

    def _run(self, batch: int, feeds: Arrays, wanted: Sequence[_Tensor]) -> list[NDArray[Any]]:
        with self._lock:
            if self._dead:
                raise ExecutionError(self._dead)
            try:
                shapes = self._on_device(batch, feeds)
            except InferenceError as error:
                self._dead = (f'{self._name}: the GPU failed ({error}); nothing more runs on it in this process, start '
                              'it again')
                raise ExecutionError(self._dead) from error
            return [t.array(shapes[t.name]).copy() for t in wanted]

    def _on_device(self, batch: int, feeds: Arrays) -> dict[str, tuple[int, ...]]:
        """Run; the outputs are in the host's buffers then. Returns the shapes of all tensors."""
        cuda, stream = self._cuda, self._stream
        cuda.use(self._index)                              # CUDA remembers the device thread by thread
        context = self._context(batch)
        shapes = {t.name: tuple(context.get_tensor_shape(t.name)) for t in self._tensors.values()}
        for name, array in feeds.items():
            np.copyto(self._tensors[name].array(shapes[name]), array)

        def work() -> None:
            for t in self._tensors.values():
                if t.is_input:
                    cuda.to_device(t.device, t.host, t.size(shapes[t.name]), stream)
            if not context.execute_async_v3(stream):
                raise ExecutionError(f'TensorRT: {self._messages.take()}')
            for t in self._tensors.values():
                if not t.is_input:
                    cuda.to_host(t.host, t.device, t.size(shapes[t.name]), stream)

        graph = self._graphs.get(batch)
        if graph is not None:
            cuda.launch(graph, stream)
            cuda.wait(stream)
            return shapes
        work()
        cuda.wait(stream)
        self._runs[batch] = self._runs.get(batch, 0) + 1
        if self._use_graphs and self._runs[batch] == _PLAIN_RUNS:
            self._capture(batch, work)
        return shapes

    def _capture(self, batch: int, work: Callable[[], None]) -> None:
        """The result of the plain run is already there, so that nothing is lost if the graph cannot be had."""
        try:
            self._graphs[batch] = self._cuda.capture(self._stream, work)
        except ExecutionError:                             # if the device itself failed, the next run will tell
            self._use_graphs = False

    def warm_up(self, batches: Sequence[int]) -> None:
        """Run zeros until each batch size has its context and its graph.

        Raises:
            ExecutionError: see `run`.
        """
        names = [t.name for t in self.outputs]
        for batch in sorted({min(b, self.most) for b in batches} if not self._fixed else {self.most}):
            zeros = {t.name: np.zeros((batch, *t.shape[1:]), t.dtype) for t in self._tensors.values() if t.is_input}
            for _ in range(_PLAIN_RUNS + 1):
                self.run(zeros, names)

    def close(self) -> None:
        """See `InferenceSession.close`. What was made last goes first; after an error of the device what can go."""
        with self._lock:
            self._dead = self._dead or f'{self._name}: this session was closed; open the model again'
            cuda = self._cuda
            with suppress(InferenceError):
                cuda.use(self._index)
            for graph in self._graphs.values():
                with suppress(InferenceError):
                    cuda.free_graph(graph)
            self._graphs.clear()
            self._contexts.clear()
            for t in self._tensors.values():
                t.view = None
                if t.host:
                    with suppress(InferenceError):
                        cuda.free_pinned(t.host)
                if t.device:
                    with suppress(InferenceError):
                        cuda.free_memory(t.device)
                t.host = t.device = 0
            if self._stream:
                with suppress(InferenceError):
                    cuda.free_stream(self._stream)
            self._stream = 0
            self._engine = None
            self._runtime = None
