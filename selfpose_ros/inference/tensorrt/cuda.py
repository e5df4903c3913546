# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is needed of CUDA: a device, memory, a stream, graphs. By NVIDIA's cuda-bindings, which need only the driver."""
from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendUnavailable, ExecutionError
from ..session import plain

__all__ = ['Cuda', 'CudaBindings', 'Device']

Bytes = NDArray[np.uint8]
_INSTALL = "pip install 'cuda-bindings>=12.8,<14'"


@dataclass(frozen=True)
class Device:
    """A GPU, as far as an engine depends on it.

    Attributes:
        name: as the driver has it.  capability: compute capability, e.g. '8.7'.  multiprocessors: their number.
        integrated: it shares the memory of the CPU.
    """

    name: str
    capability: str
    multiprocessors: int
    integrated: bool


class Cuda(Protocol):
    """CUDA's runtime. Addresses, streams and graphs are numbers or objects of its own.

    Raises:
        ExecutionError: of every method but `devices`: CUDA refused; what was made before is not to be trusted.
    """

    def devices(self) -> int:
        """How many there are.

        Raises:
            BackendUnavailable: none, or no driver.
        """
        ...

    def device(self, index: int) -> Device: ...
    def use(self, index: int) -> None:
        """Make it the device of the calling thread."""
        ...

    def memory(self, size: int) -> int: ...
    def free_memory(self, address: int) -> None: ...
    def pinned(self, size: int) -> tuple[int, Bytes]:
        """Address and view of memory of the host that the device reads and writes by itself."""
        ...

    def free_pinned(self, address: int) -> None: ...
    def stream(self) -> int:
        """Not the default one, and not waiting for it."""
        ...

    def free_stream(self, stream: int) -> None: ...
    def to_device(self, target: int, source: int, size: int, stream: int) -> None: ...
    def to_host(self, target: int, source: int, size: int, stream: int) -> None: ...
    def wait(self, stream: int) -> None: ...
    def capture(self, stream: int, work: Callable[[], None]) -> Any:
        """A graph of what `work` puts into the stream, without running it. Other threads may go on using CUDA."""
        ...

    def launch(self, graph: Any, stream: int) -> None: ...
    def free_graph(self, graph: Any) -> None: ...


class CudaBindings:
    """`Cuda` by the package cuda-bindings, 12.8 to 13.

    Raises:
        BackendUnavailable: it is not installed.
    """

    def __init__(self) -> None:
        try:
            from cuda.bindings import runtime
        except Exception as error:                         # looks for the driver's library in ways of its own
            raise BackendUnavailable(f'cuda-bindings cannot be loaded ({plain(error)})',
                                     f'install them with {_INSTALL}') from error
        self._runtime: Any = runtime

    def _done(self, result: tuple[Any, ...]) -> Any:
        if int(result[0]):
            raise ExecutionError(f'CUDA failed with {_words(result[0])}')
        return result[1] if len(result) > 1 else None

    def devices(self) -> int:
        try:
            status, count = self._runtime.cudaGetDeviceCount()
        except Exception as error:                         # without the driver's library some versions raise
            raise BackendUnavailable(f'no CUDA device can be used ({plain(error)})',
                                     'install the NVIDIA driver') from error
        if int(status) or not count:
            raise BackendUnavailable(f'no CUDA device can be used ({_words(status) if int(status) else "none found"})',
                                     'check the NVIDIA driver with nvidia-smi, in a container its --gpus option')
        return int(count)

    def device(self, index: int) -> Device:
        p = self._done(self._runtime.cudaGetDeviceProperties(index))
        name = p.name.decode(errors='replace') if isinstance(p.name, bytes) else str(p.name)
        return Device(name.rstrip('\0'), f'{p.major}.{p.minor}', int(p.multiProcessorCount), bool(p.integrated))

    def use(self, index: int) -> None:
        self._done(self._runtime.cudaSetDevice(index))

    def memory(self, size: int) -> int:
        return int(self._done(self._runtime.cudaMalloc(max(size, 1))))

    def free_memory(self, address: int) -> None:
        self._done(self._runtime.cudaFree(address))

    def pinned(self, size: int) -> tuple[int, Bytes]:
        address = int(self._done(self._runtime.cudaMallocHost(max(size, 1))))
        return address, np.ctypeslib.as_array((ctypes.c_ubyte * max(size, 1)).from_address(address))

    def free_pinned(self, address: int) -> None:
        self._done(self._runtime.cudaFreeHost(address))

    def stream(self) -> int:
        return int(self._done(self._runtime.cudaStreamCreateWithFlags(self._runtime.cudaStreamNonBlocking)))

    def free_stream(self, stream: int) -> None:
        self._done(self._runtime.cudaStreamDestroy(stream))

    def to_device(self, target: int, source: int, size: int, stream: int) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._done(self._runtime.cudaMemcpyAsync(target, source, size, kind, stream))

    def to_host(self, target: int, source: int, size: int, stream: int) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._done(self._runtime.cudaMemcpyAsync(target, source, size, kind, stream))

    def wait(self, stream: int) -> None:
        self._done(self._runtime.cudaStreamSynchronize(stream))

    def capture(self, stream: int, work: Callable[[], None]) -> Any:
        runtime = self._runtime
        # in the global mode other threads' allocations fail meanwhile, and end the capture
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._done(runtime.cudaStreamBeginCapture(stream, mode))
        try:
            work()
        finally:
            ended = runtime.cudaStreamEndCapture(stream)
        graph = self._done(ended)
        try:
            return self._done(runtime.cudaGraphInstantiate(graph, 0))
        finally:
            self._done(runtime.cudaGraphDestroy(graph))

    def launch(self, graph: Any, stream: int) -> None:
        self._done(self._runtime.cudaGraphLaunch(graph, stream))

    def free_graph(self, graph: Any) -> None:
        self._done(self._runtime.cudaGraphExecDestroy(graph))


def _words(status: Any) -> str:
    return f'{getattr(status, "name", "error")} ({int(status)})'
