# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A 2D network of the shape and cost of RTMPose-t, with random weights: speed needs no others.

Layers as published for RTMPose-t (Jiang et al. 2023, arXiv 2303.07399: CSPNeXt-tiny, one gated attention unit, SimCC),
192x256 px in, 17 joints out. Its last layer adds a body that stands upright in the middle of every crop, two thirds as
high as the crop, which is where a person is who is followed: so all that comes after a network has a person to work on.
"""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.skeleton import COCO17
from .errors import BenchmarkError

__all__ = ['BODY', 'PARAMETERS', 'SIZE', 'write_stand_in']

Array = NDArray[np.float32]

#: (width, height) px of its input
SIZE = (192, 256)
#: weights of RTMPose-t, as published
PARAMETERS = 3.34e6
#: channels of the five stages
_STAGES = (24, 48, 96, 192, 384)
_TOKENS, _HIDDEN, _KEYS = 256, 512, 128

_HALF = {'nose': (0., 0.), 'eye': (4., -6.), 'ear': (9., -3.), 'shoulder': (22., 28.), 'elbow': (32., 62.),
         'wrist': (35., 92.), 'hip': (14., 88.), 'knee': (16., 126.), 'ankle': (17., 164.)}


def _body() -> NDArray[np.float64]:
    points = []
    for name in COCO17:
        side, _, joint = name.rpartition('_')
        x, y = _HALF[joint]
        points.append((x if side == 'left' else -x, y))
    out = np.array(points)
    out -= (out.min(0) + out.max(0)) / 2
    return out * (2 / 3 * SIZE[1] / np.ptp(out[:, 1])) + np.array(SIZE) / 2


#: (17, 2) px of the network's input: the body that it finds
BODY = _body()


class _Graph:
    """Nodes and weights, by name."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper
        self._node, self._array = helper.make_node, numpy_helper.from_array
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.count = 0
        self._rng = np.random.default_rng(0)

    def weight(self, *shape: int, inputs: int = 0) -> str:
        """Random, such that what comes out of a layer with so many inputs is as large as what went in."""
        self.count += math.prod(shape)
        if not inputs:
            return self.const(np.zeros(shape))
        return self.const(self._rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / inputs)))

    def const(self, value: Any, kind: Any = np.float32) -> str:
        name = f'w{len(self.weights)}'
        self.weights.append(self._array(np.asarray(value, kind), name))
        return name

    def __call__(self, op: str, *inputs: str, out: str = '', **attributes: Any) -> str:
        name = out or f't{len(self.nodes)}'
        self.nodes.append(self._node(op, list(inputs), [name], **attributes))
        return name

    def conv(self, x: str, given: int, made: int, size: int = 1, stride: int = 1, groups: int = 1,
             active: bool = True) -> str:
        """A convolution as it is after its normalisation has been folded into it; SiLU."""
        y = self('Conv', x, self.weight(made, given // groups, size, size, inputs=given // groups * size * size),
                 self.weight(made), kernel_shape=[size] * 2, strides=[stride] * 2, pads=[size // 2] * 4, group=groups)
        return self.silu(y) if active else y

    def silu(self, x: str) -> str:
        return self('Mul', x, self('Sigmoid', x))

    def linear(self, x: str, given: int, made: int) -> str:
        return self('MatMul', x, self.weight(given, made, inputs=given))

    def scale_norm(self, x: str, width: int) -> str:
        length = self('ReduceL2', x, axes=[2], keepdims=1)
        length = self('Max', self('Mul', length, self.const(width ** -.5)), self.const(1e-5))
        return self('Mul', self('Div', x, length), self.const(np.ones(1)))


def _stage(g: _Graph, x: str, given: int, made: int, last: bool) -> str:
    """Half the size, twice the channels; two branches that meet; attention over channels."""
    x, half = g.conv(x, given, made, 3, 2), made // 2
    if last:                                               # pooled at several sizes
        x = g.conv(x, made, half)
        pools = [g('MaxPool', x, kernel_shape=[k] * 2, pads=[k // 2] * 4, strides=[1, 1]) for k in (5, 9, 13)]
        x = g.conv(g('Concat', x, *pools, axis=1), 4 * half, made)
    main, short = g.conv(x, made, half), g.conv(x, made, half)
    y = g.conv(main, half, half, 3)
    y = g.conv(g.conv(y, half, half, 5, groups=half), half, half)
    both = g('Concat', y if last else g('Add', main, y), short, axis=1)
    share = g('HardSigmoid', g.conv(g('GlobalAveragePool', both), made, made, active=False), alpha=1 / 6)
    return g.conv(g('Mul', both, share), made, made)


def _attention(g: _Graph, x: str, joints: int) -> str:
    """A gated attention unit over the joints, added to what came in."""
    y = g.silu(g.linear(g.scale_norm(x, _TOKENS), _TOKENS, 2 * _HIDDEN + _KEYS))
    u, v, base = (g('Slice', y, g.const([a], np.int64), g.const([b], np.int64), g.const([2], np.int64)) for a, b in (
        (0, _HIDDEN), (_HIDDEN, 2 * _HIDDEN), (2 * _HIDDEN, 2 * _HIDDEN + _KEYS)))
    q, k = (g('Add', g('Mul', base, g.const(np.full(_KEYS, .1))), g.weight(_KEYS)) for _ in range(2))
    alike = g('Relu', g('Mul', g('MatMul', q, g('Transpose', k, perm=[0, 2, 1])), g.const(_KEYS ** -.5)))
    y = g('Mul', u, g('MatMul', g('Mul', alike, alike), v))
    return g('Add', x, g.linear(y, _HIDDEN, _TOKENS))


def write_stand_in(path: Path) -> int:
    """Write the graph: `input` (N, 3, 256, 192), `simcc_x` (N, 17, 384), `simcc_y` (N, 17, 512).

    Returns:
        The number of its weights.

    Raises:
        BenchmarkError: onnx is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError as error:
        raise BenchmarkError('the stand-in for a 2D network is written with onnx, which is not installed',
                             'pip install onnx') from error
    g, joints, (w, h) = _Graph(), len(COCO17), SIZE
    x = g.conv(g.conv(g.conv('input', 3, 12, 3, 2), 12, 12, 3), 12, 24, 3)
    for i, (given, made) in enumerate(zip(_STAGES[:-1], _STAGES[1:], strict=True)):
        x = _stage(g, x, given, made, i == len(_STAGES) - 2)
    x = g.conv(x, _STAGES[-1], joints, 7, active=False)
    cells = w // 32 * (h // 32)
    x = g('Reshape', x, g.const([0, joints, cells], np.int64))
    x = _attention(g, g.linear(g.scale_norm(x, cells), cells, _TOKENS), joints)
    for name, bins, axis in (('simcc_x', 2 * w, 0), ('simcc_y', 2 * h, 1)):
        peak = np.exp(-.5 * ((np.arange(bins) / 2 - BODY[:, axis, None]) / 4.) ** 2)
        faint = g('Mul', g('Tanh', g.linear(x, _TOKENS, bins)), g.const(.01))
        g('Add', faint, g.const(peak), out=name)
    graph = helper.make_graph(
        g.nodes, 'stand_in', [helper.make_tensor_value_info('input', TensorProto.FLOAT, ['N', 3, h, w])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ['N', joints, b])
         for n, b in (('simcc_x', 2 * w), ('simcc_y', 2 * h))], g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return g.count
