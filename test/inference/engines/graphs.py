# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""ONNX graphs that a builder meets: a network made like RTMPose, and such as it cannot take."""
from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def _model(nodes, inputs, outputs, constants=None, domains=()) -> ModelProto:
    made = helper.make_graph(
        nodes, 'g', [helper.make_tensor_value_info(n, FLOAT, s) for n, s in inputs],
        [helper.make_tensor_value_info(n, t, s) for n, t, s in outputs],
        [numpy_helper.from_array(v, k) for k, v in (constants or {}).items()])
    return helper.make_model(made, opset_imports=[helper.make_opsetid('', 17), *(
        helper.make_opsetid(d, 1) for d in domains)], ir_version=8)


def rtmpose_like(joints: int = 17, width: int = 16, seed: int = 0) -> ModelProto:
    """Convolutions with SiLU, a gated attention unit over the joints, one row of bins for each axis; random weights."""
    rng = np.random.default_rng(seed)
    nodes, constants = [], {}

    def const(name: str, *shape: int) -> str:
        constants[name] = (rng.normal(0, 1, shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        return name

    def add(op: str, *inputs: str, out: str, **attributes) -> str:
        nodes.append(helper.make_node(op, list(inputs), [out], name=f'{op}_{out}', **attributes))
        return out

    x, channels = 'input', 3
    for i in range(5):
        wide = width << min(i, 3)
        y = add('Conv', x, const(f'w{i}', wide, channels, 3, 3), out=f'c{i}', strides=[2, 2], pads=[1, 1, 1, 1])
        x, channels = add('Mul', y, add('Sigmoid', y, out=f's{i}'), out=f'a{i}'), wide
    x = add('Conv', x, const('head', joints, channels, 7, 7), out='maps', pads=[3, 3, 3, 3])
    constants |= {'flat': np.array([0, joints, 48], np.int64), 'eps': np.array(1e-5, np.float32)}
    x = add('Reshape', x, 'flat', out='tokens')
    norm = add('ReduceL2', x, out='norm', axes=[2], keepdims=1)
    x = add('Div', x, add('Max', norm, 'eps', out='norm_'), out='scaled')
    x = add('MatMul', x, const('embed', 48, 128), out='e')
    u, v, q, k = (add('MatMul', x, const(f'W{n}', 128, 128), out=n) for n in 'uvqk')
    a = add('MatMul', q, add('Transpose', k, out='kT', perm=[0, 2, 1]), out='qk')
    a = add('Relu', a, out='relu')
    x = add('Mul', u, add('MatMul', add('Mul', a, a, out='square'), v, out='av'), out='gated')
    add('MatMul', x, const('Wx', 128, 384), out='simcc_x')
    add('MatMul', x, const('Wy', 128, 512), out='simcc_y')
    return _model(nodes, [('input', ['N', 3, 256, 192])], [('simcc_x', FLOAT, ['N', joints, 384]),
                                                           ('simcc_y', FLOAT, ['N', joints, 512])], constants)


def half(model: ModelProto) -> bytes:
    """In half precision inside, with the same inputs and outputs."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    return convert_float_to_float16(model, keep_io_types=True).SerializeToString()


def unknown_operator() -> bytes:
    """Of a domain that nobody knows."""
    node = helper.make_node('Frobnicate', ['x'], ['y'], name='strange_1', domain='my.ops')
    return _model([node], [('x', ['N', 3])], [('y', FLOAT, ['N', 3])], domains=['my.ops']).SerializeToString()


def nms_inside() -> bytes:
    """Boxes are suppressed in the graph."""
    constants = {'most': np.array([10], np.int64), 'iou': np.array([.5], np.float32), 'least': np.array(
        [.1], np.float32)}
    node = helper.make_node('NonMaxSuppression', ['boxes', 'scores', *constants], ['kept'], name='suppress_1')
    return _model([node], [('boxes', [1, 20, 4]), ('scores', [1, 1, 20])],
                  [('kept', TensorProto.INT64, ['K', 3])], constants).SerializeToString()


def selection() -> bytes:
    """Its output is as long as there are numbers other than zero."""
    node = helper.make_node('NonZero', ['x'], ['y'], name='select_1')
    return _model([node], [('x', ['N', 3])], [('y', TensorProto.INT64, [2, 'K'])]).SerializeToString()


def open_size() -> bytes:
    """Takes images of any size."""
    node = helper.make_node('Relu', ['image'], ['y'], name='relu_1')
    return _model([node], [('image', ['N', 3, 'H', 'W'])], [('y', FLOAT, ['N', 3, 'H', 'W'])]).SerializeToString()
