# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""ONNX to engine. Strongly typed: a network computes in half precision where its ONNX file says so, nowhere else."""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import BackendUnavailable, BuildCancelled, EngineBuildError, GraphRefused
from ..session import plain
from .interface import IBuilderConfig, INetworkDefinition, OnnxParser, ParserError, TensorRT
from .library import messages_of
from .progress import Progress, progress_monitor

__all__ = ['Built', 'BuildOptions', 'build_engine']

#: layers whose output has a size that depends on the image; such graphs need another way of being run
_UNSIZED = {'NMS': 'a non-maximum suppression', 'NON_ZERO': 'a search for what is not zero'}


@dataclass(frozen=True)
class BuildOptions:
    """How an engine is built.

    Attributes:
        batch: of images or poses that it is tuned for; it takes 1 to `most`.
        workspace_mib: memory of the device that a layer may use for itself.
        level: of the search for fast kernels, 0 to 5.
    """

    batch: int = 4
    most: int = 8
    workspace_mib: int = 512
    level: int = 3


USUAL = BuildOptions()


@dataclass(frozen=True)
class Built:
    """An engine as bytes, the timing cache after it, and how long it took."""

    engine: bytes
    timing: bytes
    seconds: float


def build_engine(trt: TensorRT, graph: bytes, options: BuildOptions = USUAL, *, name: str = 'model.onnx',
                 timing: bytes = b'', progress: Progress | None = None,
                 last_word: Callable[[Any], None] | None = None) -> Built:
    """Build an engine for the device of the calling thread. Leaves Python's lock while it works.

    Args:
        graph: the ONNX file, in one piece.
        name: for messages.
        timing: timing cache of earlier builds; damaged or foreign ones are passed over.
        progress: called with the share 0..1; False cancels.
        last_word: may change NVIDIA's build configuration.

    Raises:
        GraphRefused: TensorRT does not take this graph.
        BuildCancelled: `progress` returned False.
        BackendUnavailable, EngineBuildError: it does not start, or could not build it.
    """
    messages = messages_of(trt)
    messages.clear()
    try:
        builder = trt.Builder(messages.logger)
    except TypeError as error:                             # what the bindings make of a null pointer
        raise BackendUnavailable(f'TensorRT does not start here ({messages.take()}; {plain(error)})',
                                 'its libraries must be of the version of its Python package') from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, messages.logger)
    if not parser.parse(graph):
        raise GraphRefused(f'TensorRT {trt.__version__} does not take it: {_complaints(parser, trt)}', place=name)
    _check_shapes(trt, network, name)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    config.builder_optimization_level = options.level
    config.clear_flag(trt.BuilderFlag.TF32)                # float32 means float32
    profile = builder.create_optimization_profile()
    if _give_shapes(profile, network, options) and config.add_optimization_profile(profile) < 0:
        raise GraphRefused(f'TensorRT does not take batches of 1 to {options.most}, tuned for {options.batch} '
                           f'({messages.take()})', 'the batch must lie between the two, and the graph allow it',
                           place=name)
    _give_timing(config, timing)
    stopped = progress_monitor(trt, config, progress) if progress is not None else None
    if last_word is not None:
        last_word(config)
    start = time.monotonic()
    plan = builder.build_serialized_network(network, config)
    if stopped is not None and stopped():
        raise BuildCancelled('the build of its engine was cancelled', place=name)
    if plan is None:
        raise EngineBuildError(f'TensorRT {trt.__version__} could not build an engine: {messages.take()}', place=name)
    return Built(bytes(memoryview(plan)), _timing_of(config), time.monotonic() - start)


def _complaints(parser: OnnxParser, trt: TensorRT) -> str:
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    return '; '.join(dict.fromkeys(_complaint(e, trt) for e in errors)) or 'it gave no reason; is it an ONNX file?'


def _complaint(error: ParserError, trt: TensorRT) -> str:
    operator, node, text = error.node_operator(), error.node_name(), ' '.join(error.desc().split())
    where = f'operator {operator}' if operator else 'the file'
    where += f' of node {node}' if node else ''
    # an operator that it does not know is taken for a plugin's
    if 'plugin' in text.lower() or 'is not supported' in text:
        return (f'{where}: this TensorRT has no such operator; export the network without it, or use onnxruntime '
                f'({text})')
    return f'{where}: {text}'


def _check_shapes(trt: TensorRT, network: INetworkDefinition, name: str) -> None:
    """There is a network, and nothing but its batch is open."""
    if not network.num_inputs or not network.num_outputs:
        raise GraphRefused('holds no network', 'is it an ONNX file?', place=name)
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        if any(d < 0 for d in tuple(tensor.shape)[1:]):
            raise GraphRefused(f'the input {tensor.name} {tuple(tensor.shape)} is open in more than the batch',
                               'export it with fixed sizes, or use onnxruntime', place=name)
    kinds = {getattr(trt.LayerType, kind): words for kind, words in _UNSIZED.items()}
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        if layer.type in kinds:
            raise GraphRefused(f'holds {kinds[layer.type]} (layer {layer.name}), whose result has no fixed size',
                               'export the network without it, or use onnxruntime', place=name)
    for i in range(network.num_outputs):
        tensor = network.get_output(i)
        if any(d < 0 for d in tuple(tensor.shape)[1:]):
            raise GraphRefused(f'the output {tensor.name} {tuple(tensor.shape)} has a size that depends on the image '
                               '(a selection inside?)', 'export the network without it, or use onnxruntime', place=name)


def _give_shapes(profile: Any, network: INetworkDefinition, options: BuildOptions) -> bool:
    """Smallest, usual and largest shape of each input; whether there is anything to choose."""
    dynamic = False
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        shape = tuple(tensor.shape)
        if shape and shape[0] < 0:
            dynamic = True
            profile.set_shape(tensor.name, (1, *shape[1:]), (options.batch, *shape[1:]), (options.most, *shape[1:]))
    return dynamic


def _give_timing(config: IBuilderConfig, timing: bytes) -> None:
    cache = config.create_timing_cache(timing)
    if cache is not None:
        config.set_timing_cache(cache, False)


def _timing_of(config: IBuilderConfig) -> bytes:
    cache = config.get_timing_cache()
    saved = cache.serialize() if cache is not None else None
    return b'' if saved is None else bytes(memoryview(saved))
