# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Networks that really see: ONNX graphs with constructed weights that find discs of known colours, one for each joint.

They have the tensors, shapes and normalisation that the families publish. A wrong order of the channels, a wrong
normalisation or a wrong crop moves what they find, or hides it.
"""
from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.models.card import CARD, MODEL, sha256_of

FLOAT = TensorProto.FLOAT
IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
PLAIN = ([0., 0., 0.], [1., 1., 1.])
#: RGB; no two joints share one, and none is its own reversal
COLOURS = np.array([[r, g, b] for r in (20, 130, 240) for g in (20, 130, 240) for b in (70, 180)
                    if r != b][:26] + [[250, 90, 20], [90, 20, 250], [20, 250, 90], [160, 60, 110], [60, 110, 160],
                                       [200, 200, 40], [40, 90, 90], [220, 160, 120]], float)
GREY = 114

BODY = np.array([[0, -122], [6, -128], [-6, -128], [12, -122], [-12, -122], [35, -80], [-35, -80], [60, -50],
                 [-60, -50], [85, -25], [-85, -25], [18, 0], [-18, 0], [22, 50], [-22, 50], [20, 100], [-20, 100]],
                float)
#: nose and eyes further apart than their discs are wide
BODY[1:5] += [[10, -10], [-10, -10], [24, 0], [-24, 0]]
SIZE = (640, 480)


def body(x: float = 330., y: float = 240., size: float = 1.3) -> np.ndarray:
    return BODY * size + [x, y]


def picture(points: np.ndarray, size: tuple[int, int], radius: int = 9) -> np.ndarray:
    """(h, w, 3) uint8 BGR with a disc at each joint (K, 2) px."""
    image = np.full((size[1], size[0], 3), GREY, np.uint8)
    for k, (x, y) in enumerate(points):
        rgb = COLOURS[k].astype(int).tolist()
        cv2.circle(image, (round(x * 16), round(y * 16)), radius * 16, rgb[::-1], cv2.FILLED, cv2.LINE_AA, 4)
    return image


class Graph:
    """Nodes and constants, by name."""

    def __init__(self) -> None:
        self.nodes, self.constants, self._count = [], [], 0

    def const(self, value, dtype=np.float32) -> str:
        name = f'c{len(self.constants)}'
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def __call__(self, op: str, *inputs: str, out: str | None = None, **attributes) -> str:
        self._count += 1
        name = out or f't{self._count}'
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def write(self, path: Path, inputs, outputs) -> Path:
        made = helper.make_graph(self.nodes, 'g', [
            helper.make_tensor_value_info(n, t[0] if t else FLOAT, s) for n, s, *t in inputs], [
            helper.make_tensor_value_info(n, t, s) for n, t, s in outputs], self.constants)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
        onnx.checker.check_model(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, str(path))
        return path


def _heat(g: Graph, image: str, joints: int, colour: str, stats, scale: float) -> str:
    """(N, K, H, W): near 1 where a pixel has a joint's colour."""
    wanted = COLOURS[:joints] if colour == 'rgb' else COLOURS[:joints, ::-1]
    wanted = (wanted * scale - np.array(stats[0])) / np.array(stats[1])
    unit = np.array(stats[1]) / scale                     # grey values of one unit
    x = g('Unsqueeze', image, g.const([1], np.int64))
    d = g('Mul', g('Abs', g('Sub', x, g.const(wanted[None, :, :, None, None]))), g.const(unit[None, None, :, None,
                                                                                              None]))
    far = g('ReduceMax', d, axes=[2], keepdims=0)
    return g('Exp', g('Mul', far, g.const(-.4)))


def _places(g: Graph, heat: str, size: tuple[int, int]) -> tuple[str, str, str]:
    """Centres of mass x, y and the highest value, (N, K) each."""
    w, h = size
    total = g('Add', g('ReduceSum', heat, g.const([2, 3], np.int64), keepdims=0), g.const(1e-6))
    x = g('Div', g('ReduceSum', g('Mul', heat, g.const(np.arange(w)[None, None, None])), g.const([2, 3], np.int64),
                   keepdims=0), total)
    y = g('Div', g('ReduceSum', g('Mul', heat, g.const(np.arange(h)[None, None, :, None])), g.const([2, 3], np.int64),
                   keepdims=0), total)
    return x, y, g('ReduceMax', heat, axes=[2, 3], keepdims=0)


def simcc(path: Path, joints: int = 17, size=(192, 256), colour='rgb', stats=IMAGENET, batch='N', tensor='input',
          names=('simcc_x', 'simcc_y')) -> Path:
    """RTMPose's tensors: rows and columns of the heat, in twice as many bins."""
    w, h = size
    g = Graph()
    heat = _heat(g, tensor, joints, colour, stats, 1.)
    for name, axis, bins in ((names[0], 2, w), (names[1], 3, h)):
        line = g('ReduceSum', heat, g.const([axis], np.int64), keepdims=0)
        spread = np.zeros((bins, 2 * bins), np.float32)
        for i in range(bins):                              # bin 2 i belongs to pixel i, its neighbours half
            spread[i, 2 * i] = 1.
            for j in (2 * i - 1, 2 * i + 1):
                if 0 <= j < 2 * bins:
                    spread[i, j] += .5
        smooth = np.exp(-.5 * ((np.arange(2 * bins)[:, None] - np.arange(2 * bins)) / 8.) ** 2).astype(np.float32)
        _as_high(g, g('MatMul', g('MatMul', line, g.const(spread)), g.const(smooth)), heat, [2], name)
    return g.write(path, [(tensor, [batch, 3, h, w])], [(names[0], FLOAT, [batch, joints, 2 * w]),
                                                        (names[1], FLOAT, [batch, joints, 2 * h])])


def heatmap(path: Path, joints: int = 17, size=(192, 256), colour='rgb', stats=IMAGENET, tensor='input',
            name='heatmap', udp=False) -> Path:
    """HRNet's and ViTPose's tensors: a quarter of the size, blurred; udp: the corners' centres lie over each other."""
    w, h = size
    g = Graph()
    heat = _heat(g, tensor, joints, colour, stats, 1.)

    def resampled(n: int) -> np.ndarray:
        """Pixel i of the map lies over 4 i, or over its share of the way; Gaussians of two of its pixels."""
        step = (n - 1) / (n // 4 - 1) if udp else 4.
        return np.exp(-.5 * ((step * np.arange(n // 4)[:, None] - np.arange(n)) / 8.) ** 2).astype(np.float32)
    rows = g('MatMul', g.const(resampled(h)), heat)
    _as_high(g, g('MatMul', rows, g.const(resampled(w).T)), heat, [2, 3], name)
    return g.write(path, [(tensor, ['N', 3, h, w])], [(name, FLOAT, ['N', joints, h // 4, w // 4])])


def points25d(folder: Path, depth: np.ndarray, size=(192, 256), sigma=.1) -> Path:
    """A model folder whose network tells joints as they are, and the same depths (17,) of everybody."""
    w, h = size
    g = Graph()
    x, y, top = _places(g, _heat(g, 'input', len(JOINTS), 'rgb', IMAGENET, 1.), size)
    g('Concat', *(g('Unsqueeze', p, g.const([2], np.int64)) for p in (x, y)), axis=2, out='points')
    g('Identity', top, out='score')
    nothing = g('Mul', top, g.const(0.))
    g('Add', nothing, g.const(depth[None]), out='depth')
    g('Add', nothing, g.const(np.full((1, len(JOINTS)), sigma)), out='sigma')
    file = g.write(folder / MODEL, [('input', ['N', 3, h, w])], [
        ('points', FLOAT, ['N', len(JOINTS), 2]),
        *((n, FLOAT, ['N', len(JOINTS)]) for n in ('score', 'depth', 'sigma'))])
    names = ('points', 'score', 'depth', 'sigma')
    card = {'name': folder.name, 'kind': 'pose2d', 'family': 'points25d', 'method': 'by hand', 'licence': 'none',
            'joints': list(JOINTS), 'outputs': dict(zip(names, names, strict=True)), 'sha256': sha256_of(file),
            'image': {'tensor': 'input', 'size': list(size), 'colour': 'rgb', 'scale': 1., 'mean': IMAGENET[0],
                      'std': IMAGENET[1], 'crop': 'classic', 'padding': 1.25, 'border': GREY}}
    (folder / CARD).write_text(yaml.safe_dump(card))
    return folder


def _as_high(g: Graph, curve: str, heat: str, axes: list[int], out: str) -> None:
    """The curve, with peaks as high as those of the heat: a small disc is as sure as a large one."""
    top = g('ReduceMax', heat, axes=[2, 3], keepdims=len(axes) - 1)
    if len(axes) == 1:
        top = g('Unsqueeze', top, g.const([2], np.int64))
    peak = g('Add', g('ReduceMax', curve, axes=axes, keepdims=1), g.const(1e-6))
    g('Mul', g('Div', curve, peak), top, out=out)


def _box(g: Graph, x: str, y: str) -> list[str]:
    low = [g('ReduceMin', p, axes=[1], keepdims=1) for p in (x, y)]
    high = [g('ReduceMax', p, axes=[1], keepdims=1) for p in (x, y)]
    return [*low, *high]


def rtmo(path: Path, joints: int = 17, size=(640, 640)) -> Path:
    """RTMO's tensors: boxes with a score, joints with one; the second person of each image is nobody."""
    w, h = size
    g = Graph()
    x, y, top = _places(g, _heat(g, 'input', joints, 'bgr', PLAIN, 1.), size)
    score = g('ReduceMin', top, axes=[1], keepdims=1)
    row = g('Concat', *_box(g, x, y), score, axis=1)
    both = g('Concat', g('Unsqueeze', row, g.const([1], np.int64)), g('Unsqueeze', g('Mul', row, g.const(
        [1, 1, 1, 1, 0.])), g.const([1], np.int64)), axis=1)
    g('Identity', both, out='dets')
    parts = [g('Unsqueeze', p, g.const([2], np.int64)) for p in (x, y, top)]
    people = g('Unsqueeze', g('Concat', *parts, axis=2), g.const([1], np.int64))
    g('Concat', people, people, axis=1, out='keypoints')
    return g.write(path, [('input', ['N', 3, h, w])], [('dets', FLOAT, ['N', 'P', 5]),
                                                       ('keypoints', FLOAT, ['N', 'P', joints, 3])])


def yolo(path: Path, joints: int = 17, size=(640, 640)) -> Path:
    """YOLO-pose's raw tensor: two anchors on the same person, one on nobody."""
    w, h = size
    g = Graph()
    x, y, top = _places(g, _heat(g, 'images', joints, 'rgb', PLAIN, 1 / 255), size)
    x1, y1, x2, y2 = _box(g, x, y)
    half = g.const(.5)
    centre = [g('Mul', g('Add', a, b), half) for a, b in ((x1, x2), (y1, y2))]
    extent = [g('Sub', b, a) for a, b in ((x1, x2), (y1, y2))]
    score = g('ReduceMin', top, axes=[1], keepdims=1)
    points = [g('Unsqueeze', p, g.const([2], np.int64)) for p in (x, y, top)]
    flat = g('Reshape', g('Concat', *points, axis=2), g.const([-1, 3 * joints], np.int64))
    row = g('Concat', *centre, *extent, score, flat, axis=1)
    anchors = [g('Unsqueeze', g('Mul', row, g.const(np.r_[np.ones(4), s, np.ones(3 * joints)])),
                 g.const([2], np.int64)) for s in (1., .9, 0.)]
    g('Concat', *anchors, axis=2, out='output0')
    return g.write(path, [('images', ['N', 3, h, w])], [('output0', FLOAT, ['N', 5 + 3 * joints, 3])])


def movenet(path: Path, joints: int = 17, size=(256, 256), several: bool = True) -> Path:
    """MoveNet's tensors: whole numbers, channels last; rows of y, x, score, a person and two of nobody; or one."""
    w, h = size
    g = Graph()
    image = g('Transpose', g('Cast', 'input', to=FLOAT), perm=[0, 3, 1, 2])
    x, y, top = _places(g, _heat(g, image, joints, 'rgb', PLAIN, 1.), size)
    share = [g('Div', a, g.const(float(n))) for a, n in ((x, w), (y, h))]
    trio = g('Concat', *(g('Unsqueeze', a, g.const([2], np.int64)) for a in (*share[::-1], top)), axis=2)
    if several:
        x1, y1, x2, y2 = _box(g, *share)
        flat = g('Reshape', trio, g.const([-1, 3 * joints], np.int64))
        row = g('Concat', flat, y1, x1, y2, x2, g('ReduceMin', top, axes=[1], keepdims=1), axis=1)
        rows = [g('Unsqueeze', g('Mul', row, g.const(np.full(3 * joints + 5, s))), g.const([1], np.int64))
                for s in (1., 0., 0.)]
        g('Concat', *rows, axis=1, out='output_0')
        out = ['N', 3, 3 * joints + 5]
    else:
        g('Unsqueeze', trio, g.const([1], np.int64), out='output_0')
        out = ['N', 1, joints, 3]
    return g.write(path, [('input', ['N', h, w, 3], TensorProto.INT32)], [('output_0', FLOAT, out)])


def rtmdet(path: Path, joints: int = 17, size=(320, 320)) -> Path:
    """RTMDet's tensors, NMS inside: the box of the joints as label 0, the same as label 5."""
    w, h = size
    g = Graph()
    stats = ([103.53, 116.28, 123.675], [57.375, 57.12, 58.395])
    x, y, top = _places(g, _heat(g, 'input', joints, 'bgr', stats, 1.), size)
    row = g('Unsqueeze', g('Concat', *_box(g, x, y), g('ReduceMin', top, axes=[1], keepdims=1), axis=1),
            g.const([1], np.int64))
    g('Concat', row, row, axis=1, out='dets')
    zero = g('Cast', g('Mul', g('ReduceSum', row, g.const([1, 2], np.int64), keepdims=0), g.const(0.)),
             to=TensorProto.INT64)
    zero = g('Unsqueeze', zero, g.const([1], np.int64))
    g('Concat', zero, g('Add', zero, g.const([[5]], np.int64)), axis=1, out='labels')
    return g.write(path, [('input', ['N', 3, h, w])], [('dets', FLOAT, ['N', 'P', 5]),
                                                       ('labels', TensorProto.INT64, ['N', 'P'])])


#: preset -> graph, largest error of a joint, px: half a bin or a fraction of a heat map's pixel, times the crop's scale
FAMILIES = {
    'rtmpose': (simcc, 1.2), 'hrnet': (heatmap, 2.5), 'hrnet-dark': (heatmap, .8),
    'vitpose': (partial(heatmap, udp=True), .8), 'rtmo': (rtmo, .45), 'yolo-pose': (yolo, .45),
    'movenet-multipose': (movenet, 1.2), 'movenet': (partial(movenet, several=False), 1.2)}
