# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A GPU and TensorRT's runtime that are none: device memory is memory of the host, the engine is ONNX Runtime, which
reads and writes at the addresses that it was given. What is tried with it is our own bookkeeping, nothing of NVIDIA.

It insists on what the real ones insist on: no copy beyond a buffer, no default stream, no waiting inside a capture, no
capture before a plain run, no new shapes for a context that a graph was captured from, nothing freed twice.
"""
from __future__ import annotations

import ctypes
import enum
import json
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from selfpose_ros.inference.errors import BackendUnavailable, ExecutionError
from selfpose_ros.inference.tensorrt.cuda import Device

DEVICE = Device('Fake', '8.7', 8, True)
PLAN = b'ftrt'


def runtime(onnx: bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime, which says nothing on stderr."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    return onnxruntime.InferenceSession(onnx, options, providers=['CPUExecutionProvider'])


class FakeCuda:
    """`cuda.Cuda`. log: what was done, in order. fail: the next `wait` raises it."""

    def __init__(self, devices: int = 1) -> None:
        self.count, self.blocks, self.streams, self.graphs = devices, {}, set(), set()
        self.log: list[str] = []
        self.fail: Exception | None = None
        self.room = 1 << 30
        self.capturing: list[Callable[[], None]] | None = None
        self.threads: set[int] = set()

    def devices(self) -> int:
        if not self.count:
            raise BackendUnavailable('no CUDA device can be used (none found)')
        return self.count

    def device(self, index: int) -> Device:
        return DEVICE

    def use(self, index: int) -> None:
        assert 0 <= index < self.count
        self.threads.add(threading.get_ident())

    def _block(self, size: int) -> tuple[int, Any]:
        if sum(n for _, n in self.blocks.values()) + size > self.room:
            raise ExecutionError('CUDA failed with cudaErrorMemoryAllocation (2)')
        block = (ctypes.c_ubyte * max(size, 1))()
        self.blocks[ctypes.addressof(block)] = block, size
        return ctypes.addressof(block), block

    def memory(self, size: int) -> int:
        return self._block(size)[0]

    def pinned(self, size: int) -> tuple[int, np.ndarray]:
        address, block = self._block(size)
        return address, np.frombuffer(block, np.uint8)

    def free_memory(self, address: int) -> None:
        del self.blocks[address]

    free_pinned = free_memory

    def stream(self) -> int:
        self.streams.add(77 + len(self.streams))
        return max(self.streams)

    def free_stream(self, stream: int) -> None:
        self.streams.remove(stream)
        self.log.append('free stream')

    def do(self, work: Callable[[], None], word: str) -> None:
        assert threading.get_ident() in self.threads, 'this thread has not chosen its device'
        self.log.append(word)
        if self.capturing is None:
            work()
        else:
            self.capturing.append(work)

    def _copy(self, target: int, source: int, size: int, stream: int, word: str) -> None:
        assert stream in self.streams
        assert size <= self.blocks[target][1] and size <= self.blocks[source][1], 'beyond a buffer'
        self.do(lambda: ctypes.memmove(target, source, size), word)

    def to_device(self, target: int, source: int, size: int, stream: int) -> None:
        self._copy(target, source, size, stream, 'to device')

    def to_host(self, target: int, source: int, size: int, stream: int) -> None:
        self._copy(target, source, size, stream, 'to host')

    def wait(self, stream: int) -> None:
        assert self.capturing is None, 'waited inside a capture'
        self.log.append('wait')
        if self.fail is not None:
            raise self.fail

    def capture(self, stream: int, work: Callable[[], None]) -> Any:
        self.capturing = []
        self.log.append('capture')
        try:
            work()
            graph = tuple(self.capturing)
        finally:
            self.capturing = None
        self.graphs.add(graph)
        return graph

    def launch(self, graph: Any, stream: int) -> None:
        assert graph in self.graphs and stream in self.streams
        self.log.append('launch')
        for work in graph:
            work()

    def free_graph(self, graph: Any) -> None:
        self.graphs.remove(graph)
        self.log.append('free graph')

    @property
    def clean(self) -> bool:
        """Nothing is left on it."""
        return not (self.blocks or self.streams or self.graphs)


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class Mode(enum.Enum):
    INPUT, OUTPUT = range(2)


class LayerType(enum.Enum):
    NMS, NON_ZERO = range(2)


class Flag(enum.IntEnum):
    TF32 = STRONGLY_TYPED = WORKSPACE = 0


class _Logger:
    Severity = Severity

    def __init__(self) -> None:
        pass


class _Monitor:
    def __init__(self) -> None:
        pass


def fake_tensorrt(cuda: FakeCuda, graph: bytes, *, version: str = '10.3.0', most: int = 8, starts: bool = True,
                  off: Callable[[str, np.ndarray], np.ndarray] = lambda name, a: a,
                  steps: Callable[[int], None] = lambda step: None) -> Any:
    """The module. An engine is the version that built it, and the graph's bytes.

    Args:
        graph: ONNX, of the builder's network (what the parser gets is run all the same).
        off: what the 'GPU' makes of the right numbers of an output.
        steps: called with 0 to 3 while an engine is built.
    """
    module = SimpleNamespace(
        __version__=version, ILogger=_Logger, IProgressMonitor=_Monitor, TensorIOMode=Mode, LayerType=LayerType,
        BuilderFlag=Flag, NetworkDefinitionCreationFlag=Flag, MemoryPoolType=Flag, nptype=lambda kind: kind)
    built: list[bytes] = []
    module.built = built

    class Context:
        def __init__(self, engine: Engine) -> None:
            self.engine, self.shapes, self.addresses = engine, {}, {}
            self.fresh = self.captured = False

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            assert not self.captured, 'new shapes for a context that a graph was captured from'
            if not 1 <= shape[0] <= most:
                self.engine.logger.log(Severity.ERROR, 'setInputShape: outside the profile')
                return False
            self.shapes[name], self.fresh = tuple(shape), True
            return True

        def infer_shapes(self) -> list[str]:
            return [n for n in self.engine.inputs if -1 in self.engine.shapes[n] and n not in self.shapes]

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            batch = next(iter(self.shapes.values()))[0] if self.shapes else 0
            return tuple(batch if d < 0 and i == 0 else d for i, d in enumerate(self.engine.shapes[name]))

        def set_tensor_address(self, name: str, address: int) -> bool:
            assert address in cuda.blocks
            self.addresses[name] = address
            return True

        def _array(self, name: str) -> np.ndarray:
            shape, kind = self.get_tensor_shape(name), self.engine.kinds[name]
            block = (ctypes.c_ubyte * (int(np.prod(shape)) * np.dtype(kind).itemsize))
            return np.frombuffer(block.from_address(self.addresses[name]), kind).reshape(shape)

        def execute_async_v3(self, stream: int) -> bool:
            assert stream in cuda.streams, 'the default stream, or none'
            if cuda.capturing is not None:
                assert not self.fresh, 'captured before a plain run'
                self.captured = True
            self.fresh = False

            def work() -> None:
                feeds = {n: self._array(n) for n in self.engine.inputs}
                for name, a in zip(self.engine.outputs, self.engine.session.run(self.engine.outputs, feeds),
                                   strict=True):
                    np.copyto(self._array(name), off(name, a))
            cuda.do(work, 'execute')
            return True

    class Engine:
        def __init__(self, logger: Any, onnx: bytes) -> None:
            self.logger = logger
            self.session = runtime(onnx)
            tensors = [*self.session.get_inputs(), *self.session.get_outputs()]
            self.inputs = [t.name for t in self.session.get_inputs()]
            self.outputs = [t.name for t in self.session.get_outputs()]
            self.shapes = {t.name: tuple(d if isinstance(d, int) else -1 for d in t.shape) for t in tensors}
            self.kinds = {t.name: {'tensor(float)': np.float32, 'tensor(int64)': np.int64}[t.type] for t in tensors}
            self.num_io_tensors = len(tensors)

        def create_execution_context(self) -> Context:
            return Context(self)

        def get_tensor_name(self, index: int) -> str:
            return [*self.inputs, *self.outputs][index]

        def get_tensor_dtype(self, name: str) -> Any:
            return self.kinds[name]

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return self.shapes[name]

        def get_tensor_mode(self, name: str) -> Mode:
            return Mode.INPUT if name in self.inputs else Mode.OUTPUT

        def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
            return [(n, *self.shapes[name][1:]) for n in (1, min(4, most), most)]

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger
            if not starts:
                raise TypeError('pybind11::init(): factory function returned nullptr')

        def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
            head = PLAN + version.encode() + b'\n'
            if not plan.startswith(head):
                self.logger.log(Severity.ERROR, 'Serialization assertion stdVersionRead == kSERIALIZATION_VERSION')
                return None
            return Engine(self.logger, plan[len(head):])

    class Network:
        num_layers = 0

        def __init__(self) -> None:
            self.onnx = graph

        def _tensor(self, node: Any) -> Any:
            return SimpleNamespace(name=node.name, dtype=None, shape=tuple(
                d if isinstance(d, int) else -1 for d in node.shape))

        def _session(self) -> Any:
            return runtime(self.onnx)

        @property
        def num_inputs(self) -> int:
            return len(self._session().get_inputs())

        @property
        def num_outputs(self) -> int:
            return len(self._session().get_outputs())

        def get_input(self, index: int) -> Any:
            return self._tensor(self._session().get_inputs()[index])

        def get_output(self, index: int) -> Any:
            return self._tensor(self._session().get_outputs()[index])

    class Parser:
        num_errors = 0

        def __init__(self, network: Network, logger: Any) -> None:
            self.network = network

        def parse(self, model: bytes) -> bool:
            self.network.onnx = model
            return True

    class Timing:
        def __init__(self, text: bytes) -> None:
            self.text = text

        def serialize(self) -> bytes:
            return json.dumps({'builds': self.builds + 1}).encode()

        @property
        def builds(self) -> int:
            try:
                return int(json.loads(self.text)['builds'])
            except ValueError:
                return 0

    class Config:
        progress_monitor: Any = None
        builder_optimization_level = 3
        timing: Any = None

        def set_memory_pool_limit(self, pool: Any, size: int) -> None:
            assert size > 1 << 20

        def clear_flag(self, flag: Any) -> None:
            pass

        def add_optimization_profile(self, profile: Any) -> int:
            return 0 if profile.good else -1

        def create_timing_cache(self, text: bytes) -> Timing:
            return Timing(text)

        def set_timing_cache(self, cache: Timing, ignore_mismatch: bool) -> bool:
            assert ignore_mismatch is False
            self.timing = cache
            return True

        def get_timing_cache(self) -> Timing:
            return self.timing

    class Profile:
        good = True

        def set_shape(self, name: str, low: Any, usual: Any, high: Any) -> None:
            self.good = self.good and low[0] <= usual[0] <= high[0]

    class Builder:
        def __init__(self, logger: Any) -> None:
            cuda.devices()                                 # the real one ends the process without
            self.logger = logger

        def create_network(self, flags: int) -> Network:
            return Network()

        def create_builder_config(self) -> Config:
            return Config()

        def create_optimization_profile(self) -> Profile:
            return Profile()

        def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
            monitor = config.progress_monitor
            if monitor is not None:
                monitor.phase_start('Building engine', None, 4)
            for step in range(4):
                steps(step)
                if monitor is not None and not monitor.step_complete('Building engine', step):
                    return None
            if monitor is not None:
                monitor.phase_finish('Building engine')
            built.append(network.onnx)
            return PLAN + version.encode() + b'\n' + network.onnx

    module.Runtime, module.Builder, module.OnnxParser = Runtime, Builder, Parser
    return _Module(module)


class _Module:
    """Hashable, as a module is."""

    def __init__(self, names: SimpleNamespace) -> None:
        self.__dict__.update(names.__dict__)
