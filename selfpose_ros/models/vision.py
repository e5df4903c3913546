# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a card has of a network that looks at images: how pixels go in, and how its tensors are read.

Facts of the families are from the configurations that their authors publish.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.joint_sets import MEDIAPIPE33

__all__ = ['EDGE', 'FAMILIES', 'Family', 'LAYOUTS', 'PIXELS', 'PRESETS', 'VISION_KINDS', 'Vision', 'parse_vision']

VISION_KINDS: tuple[str, ...] = ('pose2d', 'detector')
LAYOUTS: tuple[str, ...] = ('nchw', 'nhwc')
PIXELS: tuple[str, ...] = ('float32', 'int32', 'uint8')
#: border: the pixels of the image's edge go on
EDGE = None
#: of an output of a graph; None = any
Shape = tuple[int | None, ...]
_ImageNet = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])


@dataclass(frozen=True)
class Option:
    """How a family is decoded: a value, and what is allowed."""

    default: Any
    wanted: str
    fits: Callable[[Any], bool]


def _share(default: float) -> Option:
    return Option(default, 'a number from 0 to 1', lambda v: _number(v) and 0 <= v <= 1)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


@dataclass(frozen=True)
class Family:
    """Networks that are read alike.

    Attributes:
        kind: 'pose2d' or 'detector'.
        top_down: it looks at one person; else at the whole image.
        roles: outputs that it must have, and the rank of each; usual names are the roles' first word.
        crops: how the image may be brought to the network's size.
        options: for decoding.
        joints_at: role -> axis that is as long as there are joints.
        counted: shapes by role -> number of joints, None = they do not say; None = the first of `joints_at` says.
    """

    kind: str
    top_down: bool
    roles: Mapping[str, int]
    crops: tuple[str, ...]
    options: Mapping[str, Option]
    joints_at: Mapping[str, int] = field(default_factory=dict)
    counted: Callable[[Mapping[str, Shape]], int | None] | None = None

    def joint_count(self, shapes: Mapping[str, Shape]) -> int | None:
        """How many joints outputs of these shapes, by role, say that there are; None = they do not say."""
        if self.counted is not None:
            return self.counted(shapes)
        role, axis = next(iter(self.joints_at.items()))
        shape = shapes.get(role, ())
        return shape[axis] if len(shape) > axis else None


def _triplets(length: int | None, others: int) -> int | None:
    """Number of joints where a row holds three numbers of each, and others."""
    return None if length is None or length <= others or (length - others) % 3 else (length - others) // 3


def _yolo_joints(shapes: Mapping[str, Shape]) -> int | None:
    """Of (B, 5 + 3K, A) raw, or (B, N, 6 + 3K) end to end."""
    shape = shapes.get('output', ())
    if len(shape) != 3:
        return None
    wide, long = shape[1:]
    ready = _triplets(long, 6)
    return ready if ready is not None and long is not None and (wide is None or wide > long) else _triplets(wide, 5)


def _movenet_joints(shapes: Mapping[str, Shape]) -> int | None:
    shape = shapes.get('output', ())
    return _triplets(shape[2], 5) if len(shape) == 3 else None


def _movenet_single_joints(shapes: Mapping[str, Shape]) -> int | None:
    shape = shapes.get('output', ())
    return shape[2] if len(shape) == 4 else None


_MIN_SCORE = {'min_score': _share(.3)}
_NMS = {**_MIN_SCORE, 'iou': _share(.65)}
_BOXES = {'min_score': _share(.3), 'iou': _share(.45)}

FAMILIES: dict[str, Family] = {
    'simcc': Family('pose2d', True, {'x': 3, 'y': 3}, ('classic', 'udp'), {
        'split': Option(2., 'a number above 0', lambda v: _number(v) and v > 0),
        'score': Option('min', 'min or mean', lambda v: v in ('min', 'mean')), **_MIN_SCORE}, {'x': 1, 'y': 1}),
    'heatmap': Family('pose2d', True, {'heatmap': 4}, ('classic', 'udp'), {
        'method': Option('quarter', 'quarter, dark or udp', lambda v: v in ('quarter', 'dark', 'udp')),
        'kernel': Option(11, 'an odd whole number', lambda v: isinstance(v, int) and v > 0 and v % 2 == 1),
        **_MIN_SCORE}, {'heatmap': 1}),
    'rtmo': Family('pose2d', False, {'dets': 3, 'keypoints': 4}, ('corner', 'centre'), _MIN_SCORE, {'keypoints': 2}),
    'yolo_pose': Family('pose2d', False, {'output': 3}, ('centre', 'corner'), _NMS, counted=_yolo_joints),
    'points25d': Family('pose2d', True, {'points': 3, 'score': 2, 'depth': 2, 'sigma': 2}, ('classic', 'udp'),
                        _MIN_SCORE, {'points': 1, 'score': 1, 'depth': 1, 'sigma': 1}),
    # landmarks are 39 times x, y, z, visibility, presence; the image is turned until the person stands upright
    'blazepose': Family('pose2d', True, {'landmarks': 2, 'presence': 2, 'heatmap': 4}, ('aligned',),
                        {'min_score': _share(.5)}, counted=lambda shapes: len(MEDIAPIPE33)),
    'blazepose_detector': Family('detector', False, {'boxes': 3, 'scores': 3}, ('centre',),
                                 {'min_score': _share(.5), 'iou': _share(.3)}),
    # rows of y, x, score of each joint, then of one for all people the box and the score
    'movenet': Family('pose2d', False, {'output': 3}, ('corner', 'centre'), _MIN_SCORE, counted=_movenet_joints),
    'movenet_single': Family('pose2d', False, {'output': 4}, ('corner', 'centre'), _MIN_SCORE,
                             counted=_movenet_single_joints),
    'rtmdet': Family('detector', False, {'dets': 3, 'labels': 2}, ('corner', 'centre'), _MIN_SCORE),
    'yolox': Family('detector', False, {'output': 3}, ('corner', 'centre'), _BOXES),
    'boxes': Family('detector', False, {'dets': 3}, ('corner', 'centre'), _MIN_SCORE),
}


@dataclass(frozen=True)
class Vision:
    """See the module.

    Attributes:
        family: one of `FAMILIES`.
        tensor: name of the input.  size: (w, h) px.
        layout: one of `LAYOUTS`: 'nchw' (N, 3, H, W), or 'nhwc' (N, H, W, 3).  dtype: of it, one of `PIXELS`.
        colour: 'rgb' or 'bgr', order of the channels.
        scale, mean, std: the network gets (pixel * scale - mean) / std, channel by channel in its own order.
        crop: 'classic', 'udp' or 'aligned' around a person, 'corner' or 'centre' for a letterbox.
        padding: factor on the box of a person.  border: grey value outside the image, `EDGE` = that of its edge.
        outputs: role -> name of the tensor.
        decode: option -> value, complete.
    """

    family: str
    tensor: str
    size: tuple[int, int]
    colour: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: str
    padding: float
    border: int | None
    outputs: Mapping[str, str]
    decode: Mapping[str, Any]
    layout: str = 'nchw'
    dtype: str = 'float32'

    @property
    def about(self) -> Family:
        return FAMILIES[self.family]


def _preset(family: str, size: tuple[int, int], colour: str, stats: tuple[list[float], list[float]], crop: str,
            outputs: Mapping[str, str], *, scale: float = 1., padding: float = 1.25, border: int | str = 0,
            tensor: str = 'input', layout: str = '', dtype: str = '', **decode: Any) -> dict[str, Any]:
    image = {'tensor': tensor, 'size': list(size), 'colour': colour, 'scale': scale, 'mean': stats[0], 'std': stats[1],
             'crop': crop, 'padding': padding, 'border': border}
    image |= {k: v for k, v in (('layout', layout), ('dtype', dtype)) if v}
    return {'family': family, 'image': image, 'outputs': dict(outputs), 'decode': decode}


_PLAIN = ([0., 0., 0.], [1., 1., 1.])
#: word of `selfpose model import --as` -> what a card has of such a network, as its authors export it
PRESETS: dict[str, dict[str, Any]] = {
    'rtmpose': _preset('simcc', (192, 256), 'rgb', _ImageNet, 'classic', {'x': 'simcc_x', 'y': 'simcc_y'}),
    'hrnet': _preset('heatmap', (192, 256), 'rgb', _ImageNet, 'classic', {'heatmap': 'heatmap'}, method='quarter'),
    'hrnet-dark': _preset('heatmap', (192, 256), 'rgb', _ImageNet, 'classic', {'heatmap': 'heatmap'}, method='dark'),
    'vitpose': _preset('heatmap', (192, 256), 'rgb', _ImageNet, 'udp', {'heatmap': 'heatmap'}, method='udp'),
    'rtmo': _preset('rtmo', (640, 640), 'bgr', _PLAIN, 'corner', {'dets': 'dets', 'keypoints': 'keypoints'},
                    border=114),
    'yolo-pose': _preset('yolo_pose', (640, 640), 'rgb', _PLAIN, 'centre', {'output': 'output0'}, scale=1 / 255,
                         border=114, tensor='images'),
    'rtmdet': _preset('rtmdet', (320, 320), 'bgr', ([103.53, 116.28, 123.675], [57.375, 57.12, 58.395]), 'corner',
                      {'dets': 'dets', 'labels': 'labels'}, border=114),
    'yolox': _preset('yolox', (416, 416), 'bgr', _PLAIN, 'corner', {'output': 'output'}, border=114, tensor='images'),
    'blazepose': _preset('blazepose', (256, 256), 'rgb', _PLAIN, 'aligned', {
        'landmarks': 'Identity', 'presence': 'Identity_1', 'heatmap': 'Identity_3'}, scale=1 / 255, border='edge',
                         tensor='input_1', layout='nhwc'),
    'blazepose-detector': _preset('blazepose_detector', (224, 224), 'rgb', ([127.5] * 3, [127.5] * 3), 'centre', {
        'boxes': 'Identity', 'scores': 'Identity_1'}, tensor='input_1', layout='nhwc'),
    'movenet-multipose': _preset('movenet', (256, 256), 'rgb', _PLAIN, 'corner', {'output': 'output_0'}, layout='nhwc',
                                 dtype='int32'),
    'movenet': _preset('movenet_single', (256, 256), 'rgb', _PLAIN, 'corner', {'output': 'output_0'}, layout='nhwc',
                       dtype='int32'),
    'yolox-nms': _preset('boxes', (416, 416), 'bgr', _PLAIN, 'corner', {'dets': 'dets'}, border=114),
}


def _border(image: Any) -> int | None:
    value = image.get('border', object, 'a grey value from 0 to 255, or edge', lambda v: v == 'edge' or (
        isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= 255))
    return EDGE if value == 'edge' else int(value)


def parse_vision(kind: str, fields: Any) -> Vision:
    """The part of a card that is about images.

    Args:
        kind: 'pose2d' or 'detector'.
        fields: of the card, see `card._Fields`.

    Raises:
        ModelError: something is missing or wrong; the message names it.
    """
    known = tuple(n for n, f in FAMILIES.items() if f.kind == kind)
    family = fields.one_of('family', known)
    about = FAMILIES[family]
    image = fields.part('image', 'how the image goes in (tensor, size, colour, ...)')
    three = 'three numbers'
    size = image.get('size', list, '[width, height] px, from 16 to 4096', lambda v: len(v) == 2 and all(
        isinstance(s, int) and not isinstance(s, bool) and 16 <= s <= 4096 for s in v))
    mean = image.get('mean', list, three, lambda v: len(v) == 3 and all(map(_number, v)))
    std = image.get('std', list, f'{three} above 0', lambda v: len(v) == 3 and all(_number(x) and x > 0 for x in v))
    outputs = fields.part('outputs', f'the names of the tensors {", ".join(about.roles)}')
    values = {name: option.default for name, option in about.options.items()}
    if 'decode' in fields.raw:
        decode = fields.part('decode', 'how the tensors are read')
        fields.no_more('decode', set(decode.raw), set(about.options))
        values |= {name: decode.get(name, object, about.options[name].wanted, about.options[name].fits)
                   for name in decode.raw}
    fields.no_more('outputs', set(outputs.raw), set(about.roles))
    return Vision(
        family, image.get('tensor', str, 'the name of the input in the graph', bool), (size[0], size[1]),
        image.one_of('colour', ('rgb', 'bgr')), float(image.get('scale', object, 'a number above 0',
                                                               lambda v: _number(v) and v > 0)),
        (float(mean[0]), float(mean[1]), float(mean[2])), (float(std[0]), float(std[1]), float(std[2])),
        image.one_of('crop', about.crops),
        float(image.get('padding', object, 'a number from 1 to 3', lambda v: _number(v) and 1 <= v <= 3)),
        _border(image),
        {role: str(outputs.get(role, str, 'the name of a tensor in the graph', bool)) for role in about.roles}, values,
        image.one_of('layout', LAYOUTS) if 'layout' in image.raw else 'nchw',
        image.one_of('dtype', PIXELS) if 'dtype' in image.raw else 'float32')
