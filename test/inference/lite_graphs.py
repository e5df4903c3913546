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


def rows_whatever_it_sees(file: Path, rows: np.ndarray, size: int = 64) -> Path:
    """A graph 'input' (1, size, size, 3) int32 -> 'rows': the same float32 tensor for every image, as a network that is
    built of CAST, SUM, MUL and ADD.
    """
    F, I = schema.TensorType.FLOAT32, schema.TensorType.INT32                  # noqa: E741
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.buffers = [schema.BufferT()]
    graph.tensors, graph.operators, model.operatorCodes = [], [], []

    def tensor(name: str, shape: tuple[int, ...], kind: int, value: np.ndarray | None = None) -> int:
        buffer = 0
        if value is not None:
            model.buffers.append(schema.BufferT())
            buffer = len(model.buffers) - 1
            model.buffers[buffer].data = np.frombuffer(value.tobytes(), np.uint8)
        graph.tensors.append(_tensor(name, shape, buffer, kind))
        return len(graph.tensors) - 1

    def node(op: str, inputs: list[int], output: int, options: object) -> int:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, op)
        code.version = 1
        model.operatorCodes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(model.operatorCodes) - 1, inputs, [output]
        made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        made.builtinOptions = options
        graph.operators.append(made)
        return output

    image, shape = tensor('input', (1, size, size, 3), I), tuple(rows.shape)
    cast, reducer = schema.CastOptionsT(), schema.ReducerOptionsT()
    cast.inDataType, cast.outDataType, reducer.keepDims = I, F, False
    real = node('CAST', [image], tensor('real', (1, size, size, 3), F), cast)
    total = node('SUM', [real, tensor('axes', (3,), I, np.array([1, 2, 3], np.int32))], tensor('total', (1,), F),
                 reducer)
    nothing = node('MUL', [total, tensor('zero', (1,), F, np.zeros(1, np.float32))], tensor('nothing', (1,), F),
                   schema.MulOptionsT())
    node('ADD', [nothing, tensor('told', shape, F, rows.astype(np.float32))], tensor('rows', shape, F),
         schema.AddOptionsT())
    graph.inputs, graph.outputs = [image], [len(graph.tensors) - 1]
    model.version, model.subgraphs = 3, [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b'TFL3')
    file.write_bytes(bytes(builder.Output()))
    return file
