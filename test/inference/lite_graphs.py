# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite graphs that the tests build: no weights of anybody."""
from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def _tensor(name: str, shape: tuple[int, ...], buffer: int, kind: int, open_axes: tuple[int, ...] = ()) -> object:
    t = schema.TensorT()
    t.name, t.shape, t.buffer, t.type = name, list(shape), buffer, kind
    if open_axes:
        t.shapeSignature = [-1 if i in open_axes else s for i, s in enumerate(shape)]
    return t


def scaled(file: Path, shape: tuple[int, ...] = (1, 2, 4, 3), factor: float = 2., open_axes: tuple[int, ...] = (),
           dtype: str = 'float32') -> Path:
    """A graph 'image' -> 'scaled', the input times a factor; axes may be open."""
    kind = {'float32': schema.TensorType.FLOAT32, 'int32': schema.TensorType.INT32}[dtype]
    model, graph = schema.ModelT(), schema.SubGraphT()
    constant = schema.BufferT()
    constant.data = np.frombuffer(np.array([factor], dtype).tobytes(), np.uint8)
    model.buffers = [schema.BufferT(), constant]
    graph.tensors = [_tensor('image', shape, 0, kind, open_axes), _tensor('factor', (1,), 1, kind),
                     _tensor('scaled', shape, 0, kind, open_axes)]
    multiply = schema.OperatorCodeT()
    multiply.builtinCode = multiply.deprecatedBuiltinCode = schema.BuiltinOperator.MUL
    multiply.version = 1
    node = schema.OperatorT()
    node.opcodeIndex, node.inputs, node.outputs = 0, [0, 1], [2]
    node.builtinOptionsType, node.builtinOptions = schema.BuiltinOptions.MulOptions, schema.MulOptionsT()
    graph.inputs, graph.outputs, graph.operators = [0], [2], [node]
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [multiply]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b'TFL3')
    file.write_bytes(bytes(builder.Output()))
    return file
