# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The part of NVIDIA's Python interface that is used here; classes and members are called as there.

The bindings carry no types. What is written against these classes is checked by mypy, and a test looks every member up
in the bindings of TensorRT 10.3, 10.16 and 11.4: one code path for all of them.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

__all__ = ['BuilderFlag', 'Builder', 'IBuilderConfig', 'ICudaEngine', 'IExecutionContext', 'ILayer',
           'ILogger', 'INetworkDefinition', 'IOptimizationProfile', 'IProgressMonitor', 'ITensor', 'ITimingCache',
           'LayerType', 'MemoryPoolType', 'NetworkDefinitionCreationFlag', 'OnnxParser', 'ParserError', 'Runtime',
           'Severity', 'TensorIOMode', 'TensorRT']

Shape = Sequence[int]


class ITensor(Protocol):
    name: str
    shape: Shape
    dtype: Any


class ILayer(Protocol):
    name: str
    type: Any


class INetworkDefinition(Protocol):
    num_inputs: int
    num_outputs: int
    num_layers: int

    def get_input(self, index: int) -> ITensor: ...
    def get_output(self, index: int) -> ITensor: ...
    def get_layer(self, index: int) -> ILayer: ...


class ParserError(Protocol):
    def desc(self) -> str: ...
    def node_name(self) -> str: ...
    def node_operator(self) -> str: ...


class OnnxParser(Protocol):
    num_errors: int

    def parse(self, model: bytes) -> bool: ...
    def get_error(self, index: int) -> ParserError: ...


class IOptimizationProfile(Protocol):
    def set_shape(self, input: str, min: Shape, opt: Shape, max: Shape) -> None: ...


class ITimingCache(Protocol):
    def serialize(self) -> Any: ...


class IProgressMonitor(Protocol):
    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None: ...
    def step_complete(self, phase_name: str, step: int) -> bool: ...
    def phase_finish(self, phase_name: str) -> None: ...


class IBuilderConfig(Protocol):
    builder_optimization_level: int
    progress_monitor: Any

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None: ...
    def clear_flag(self, flag: Any) -> None: ...
    def add_optimization_profile(self, profile: Any) -> int: ...
    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None: ...
    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool: ...
    def get_timing_cache(self) -> ITimingCache | None: ...


class Builder(Protocol):
    def create_network(self, flags: int) -> INetworkDefinition: ...
    def create_builder_config(self) -> IBuilderConfig: ...
    def create_optimization_profile(self) -> IOptimizationProfile: ...
    def build_serialized_network(self, network: Any, config: Any) -> Any: ...


class IExecutionContext(Protocol):
    def set_input_shape(self, name: str, shape: Shape) -> bool: ...
    def infer_shapes(self) -> Sequence[str]: ...
    def get_tensor_shape(self, name: str) -> Shape: ...
    def set_tensor_address(self, name: str, memory: int) -> bool: ...
    def execute_async_v3(self, stream_handle: int) -> bool: ...


class ICudaEngine(Protocol):
    num_io_tensors: int

    def get_tensor_name(self, index: int) -> str: ...
    def get_tensor_dtype(self, name: str) -> Any: ...
    def get_tensor_shape(self, name: str) -> Shape: ...
    def get_tensor_mode(self, name: str) -> Any: ...
    def get_tensor_profile_shape(self, name: str, profile_index: int) -> Sequence[Shape]: ...
    def create_execution_context(self) -> IExecutionContext | None: ...


class Runtime(Protocol):
    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None: ...


class Severity(Protocol):
    INTERNAL_ERROR: Any
    ERROR: Any


class ILogger(Protocol):
    Severity: Severity

    def log(self, severity: Any, msg: str) -> None: ...


class BuilderFlag(Protocol):
    TF32: Any


class NetworkDefinitionCreationFlag(Protocol):
    STRONGLY_TYPED: Any


class MemoryPoolType(Protocol):
    WORKSPACE: Any


class TensorIOMode(Protocol):
    INPUT: Any


class LayerType(Protocol):
    NMS: Any
    NON_ZERO: Any


class TensorRT(Protocol):
    """The module."""

    __version__: str
    ILogger: Any
    IProgressMonitor: Any
    BuilderFlag: BuilderFlag
    NetworkDefinitionCreationFlag: NetworkDefinitionCreationFlag
    MemoryPoolType: MemoryPoolType
    TensorIOMode: TensorIOMode
    LayerType: LayerType
    Builder: Callable[[Any], Builder]
    OnnxParser: Callable[[Any, Any], OnnxParser]
    Runtime: Callable[[Any], Runtime]
    nptype: Callable[[Any], Any]
