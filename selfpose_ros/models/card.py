# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The card of a model: what it takes, gives, was trained on, and the hash of the file that it speaks of."""
from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any

import yaml

from ..core.errors import CoreError, SkeletonError
from ..core.noise import Accuracy
from ..core.skeleton import JOINTS, joint_map
from .errors import ModelError
from .vision import VISION_KINDS, Vision, parse_vision

__all__ = ['CARD', 'Card', 'DTYPE', 'GOLDEN', 'HALF', 'KINDS', 'LITE', 'MODEL', 'NORMALISATIONS', 'Tensor',
           'lifter_inputs', 'lifter_outputs', 'parse_card', 'read_card', 'same_shape', 'sha256_of']

#: names of the two files of a model folder
CARD, MODEL = 'card.yaml', 'model.onnx'
#: the other graph that may be there instead: TensorFlow Lite's, for LiteRT
LITE = 'model.tflite'
#: of those that it may hold as well: the graph in half precision, and inputs to compare backends on
HALF, GOLDEN = 'model.fp16.onnx', 'golden.npz'
KINDS: tuple[str, ...] = ('lifter', *VISION_KINDS)
TASKS: tuple[str, ...] = ('frame', 'temporal')
NORMALISATIONS: tuple[str, ...] = ('frob',)
#: of every tensor of a lifter, as ONNX Runtime names it
DTYPE = 'tensor(float)'

_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')
_SHA256 = re.compile(r'[0-9a-f]{64}')
#: between frames of a temporal lifter at most, s
_LONGEST_S = 1.
#: as much of a file as is hashed at once, bytes
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Tensor:
    """An input or output of the graph.

    Attributes:
        name: in the graph.  shape: sizes; a word is an axis of any size.  meaning: one sentence.
    """

    name: str
    shape: tuple[int | str, ...]
    meaning: str = ''


@dataclass(frozen=True)
class Card:
    """The content of `card.yaml`; made by `read_card` and `parse_card`, which check it.

    Attributes:
        name: of the model; letters, digits, '.', '_' and '-'.
        kind: one of `KINDS`.  task: of a lifter 'frame', or 'temporal': it sees the past, too; else the family.
        frames: that it sees; 1 unless it is temporal.  interval_s: between them, s; 0 unless it is temporal.
        method: that trained it, or how it came here.
        inputs, outputs: tensors of a lifter's graph; those of the others are in `vision`.
        joints: names in the order of the tensors; empty for a detector.
        normalisation: of a lifter's 2D poses, see `core.lifting`; else ''.
        sha256: of the graph, lower case hexadecimal.
        licence: of the weights.
        half_sha256: of `model.fp16.onnx`, '' = there is none.
        vision: of a network that looks at images; None for a lifter.
        file: of the graph, `MODEL` or `LITE`.
        accuracy: what error goes with the confidences of a 2D network; None: nobody has measured it.
        everything: the card as it was read, with what is not named here: training data, metrics, parent, notes.
    """

    name: str
    kind: str
    task: str
    frames: int
    method: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    joints: tuple[str, ...]
    normalisation: str
    sha256: str
    licence: str
    vision: Vision | None = None
    half_sha256: str = ''
    file: str = MODEL
    accuracy: Accuracy | None = None
    interval_s: float = 0.
    everything: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


def lifter_inputs(frames: int) -> tuple[Tensor, ...]:
    """What the graph of a lifter takes."""
    past = (frames,) if frames > 1 else ()
    return (Tensor('pose', ('N', *past, len(JOINTS), 3), '[w_x, w_y, confidence] of each joint, normalised' + (
        '; oldest frame first, newest last' if past else '')),)


def lifter_outputs() -> tuple[Tensor, ...]:
    """What the graph of a lifter gives; it may give more."""
    pose = 'relative to the pelvis, camera axes (x right, y down, z forward), root mean square distance 1'
    sigma = "log of each joint's standard deviation in the same unit, root mean square over the axes"
    return (Tensor('joints', ('N', len(JOINTS), 3), pose), Tensor('log_sigma', ('N', len(JOINTS)), sigma))


def sha256_of(path: Path) -> str:
    """Hash of a file, lower case hexadecimal.

    Raises:
        ModelError: the file is missing or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open('rb') as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except FileNotFoundError:
        raise ModelError('no such file', f'a model folder holds {MODEL} and {CARD}, copy it again',
                         place=path) from None
    except OSError as error:
        raise ModelError(f'cannot be read ({error.strerror or error})', 'check it and its permissions',
                         place=path) from error
    return digest.hexdigest()


def read_card(folder: Path) -> Card:
    """The checked card of a model folder. The model file itself is not looked at, see `store.verify`.

    Raises:
        ModelError: no folder, no card, or one that does not describe a model which this version can use.
    """
    path = folder / CARD
    if not folder.is_dir():
        raise ModelError('no such model folder', 'check the path, or see selfpose model list', place=folder)
    try:
        text = path.read_text(encoding='utf-8')
    except FileNotFoundError:
        raise ModelError('no such file', f'a model folder holds {MODEL} and {CARD}, copy it again',
                         place=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f'cannot be read ({error})', 'copy the folder again', place=path) from error
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:       # a date that is none, lists without end
        raise ModelError(f'not YAML ({" ".join(str(error).split())})', 'copy the folder again', place=path) from error
    return parse_card(raw, str(path))


class _Fields:
    """Values of a mapping, each checked; `where` stands at the start of every message."""

    def __init__(self, raw: Mapping[str, Any], where: str) -> None:
        self.raw, self.where = raw, where

    def get(self, key: str, kind: type | UnionType, wanted: str,
            fits: Callable[[Any], bool] = lambda value: True) -> Any:
        """The value of a key, if it is of that type and fits; `wanted` says what would."""
        if key not in self.raw:
            raise ModelError(f'{key} is missing, expected {wanted}', 'export the model again', place=self.where)
        value = self.raw[key]
        if not isinstance(value, kind) or isinstance(value, bool) or not fits(value):
            raise ModelError(f'{key} must be {wanted}, got {_short(value)}', place=self.where)
        return value

    def part(self, key: str, wanted: str) -> _Fields:
        """The mapping under a key."""
        return _Fields(self.get(key, dict, f'a mapping: {wanted}'), f'{self.where}: {key}')

    def no_more(self, key: str, has: set[str], known: set[str]) -> None:
        """Nothing stands under a key that nobody would read."""
        more = sorted(has - known)
        if more:
            raise ModelError(f'{key}: {", ".join(map(str, more))} not known here', f'it has {", ".join(sorted(known))}',
                             place=self.where)

    def one_of(self, key: str, known: tuple[str, ...]) -> str:
        wanted = ' or '.join(known)
        return str(self.get(key, str, f'{wanted} (this version knows no other)', lambda v: v in known))


def parse_card(raw: Any, where: str) -> Card:
    """The card that a mapping describes.

    Args:
        raw: as in the YAML file.
        where: the file, for messages.

    Raises:
        ModelError: something is missing or wrong; the message names it.
    """
    if not isinstance(raw, Mapping):
        raise ModelError(f'expected a mapping with name, kind, task, ..., got {_short(raw)}', place=where)
    f = _Fields(raw, where)
    name = f.get('name', str, 'letters, digits, ".", "_" and "-"', lambda v: bool(_NAME.fullmatch(v)))
    kind = f.one_of('kind', KINDS)
    sha256 = f.get('sha256', str, 'the 64 hexadecimal digits of the hash of model.onnx',
                   lambda v: bool(_SHA256.fullmatch(v)))
    half = f.get('fp16_sha256', str, 'the 64 hexadecimal digits of the hash of model.fp16.onnx',
                 lambda v: bool(_SHA256.fullmatch(v))) if 'fp16_sha256' in raw else ''
    method = f.get('method', str, 'the name of the training method, or how the model came here', bool)
    licence = f.get('licence', str, 'the licence of the weights', bool)
    if kind != 'lifter':
        vision = parse_vision(kind, f)
        file = f.one_of('file', (MODEL, LITE)) if 'file' in raw else MODEL
        return Card(name, kind, vision.family, 1, method, (), (), _named(f) if kind == 'pose2d' else (), '', sha256,
                    licence, vision, half, file, _accuracy(f) if kind == 'pose2d' else None, everything=dict(raw))
    task = f.one_of('task', TASKS)
    wanted = '1 for a frame lifter' if task == 'frame' else 'a whole number from 2 on for a temporal lifter'
    frames = f.get('frames', int, wanted, lambda v: v == 1 if task == 'frame' else v >= 2)
    interval_s = 0. if frames == 1 else float(f.get(
        'interval_s', int | float, 'the time between its frames, s, as it was trained', lambda v: 0 < v <= _LONGEST_S))
    joints = tuple(f.get('joints', list, f'the {len(JOINTS)} joint names'))
    if joints != JOINTS:
        raise ModelError(f'joints are {_difference(joints)}', f'the order of this version is {", ".join(JOINTS)}: '
                         'export the model again in that order', place=where)
    normalisation = f.one_of('normalisation', NORMALISATIONS)
    inputs, outputs = _tensors(f, 'inputs'), _tensors(f, 'outputs')
    _contract(where, 'inputs', inputs, lifter_inputs(frames), exact=True)
    _contract(where, 'outputs', outputs, lifter_outputs(), exact=False)
    return Card(name, kind, task, frames, method, inputs, outputs, joints, normalisation, sha256, licence,
                None, half, MODEL, None, interval_s, dict(raw))


def _named(f: _Fields) -> tuple[str, ...]:
    """Joint names from which the 17 of this project can be made."""
    joints = tuple(f.get('joints', list, 'the names of the joints', lambda v: bool(v) and all(
        isinstance(j, str) for j in v)))
    try:
        joint_map(joints)
    except SkeletonError as error:
        raise ModelError(f'{error}', place=f.where) from error
    return joints


def _accuracy(f: _Fields) -> Accuracy | None:
    """What `selfpose model calibrate` has measured; beside the two lists stands how."""
    if 'accuracy' not in f.raw:
        return None
    part = f.part('accuracy', 'confidence and sigma')
    lists = [part.get(key, list, 'a list of numbers', lambda v: all(
        isinstance(x, int | float) and not isinstance(x, bool) for x in v)) for key in ('confidence', 'sigma')]
    try:
        return Accuracy(tuple(lists[0]), tuple(lists[1]))
    except CoreError as error:
        raise ModelError(f'{error}', 'measure it again: selfpose model calibrate', place=f.where) from error


def _tensors(f: _Fields, key: str) -> tuple[Tensor, ...]:
    out = []
    for i, raw in enumerate(f.get(key, list, 'a list of tensors (name, shape, meaning)')):
        where = f'{f.where}: {key}[{i}]'
        if not isinstance(raw, Mapping):
            raise ModelError(f'{where} must be a tensor (name, shape, meaning), got {_short(raw)}')
        t = _Fields(raw, where)
        shape = t.get('shape', list, 'a list of sizes and words', lambda v: all(
            isinstance(s, str) or (isinstance(s, int) and s > 0) for s in v))
        out.append(Tensor(t.get('name', str, 'the name in the graph', bool), tuple(shape), str(raw.get('meaning', ''))))
    return tuple(out)


def _contract(where: str, key: str, has: tuple[Tensor, ...], needs: tuple[Tensor, ...], exact: bool) -> None:
    by_name = {t.name: t for t in has}
    for t in needs:
        if t.name not in by_name:
            raise ModelError(f'{key} lack the tensor {t.name} {_shape(t.shape)}',
                             f'a lifter of this version has {", ".join(n.name for n in needs)}, this model '
                             f'{", ".join(by_name) or "none"}', place=where)
        if not same_shape(by_name[t.name].shape, t.shape):
            raise ModelError(f'{key}: {t.name} must have shape {_shape(t.shape)}, got {_shape(by_name[t.name].shape)}',
                             'export the model again', place=where)
    more = sorted(set(by_name) - {t.name for t in needs})
    if exact and more:
        raise ModelError(f'{key}: nothing is known to give to {", ".join(more)}',
                         f'a lifter takes {", ".join(t.name for t in needs)} alone', place=where)


def same_shape(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether sizes agree; words, and axes without a name (None), agree with each other, not with numbers."""
    return len(a) == len(b) and all(x == y if isinstance(x, int) else not isinstance(y, int)
                                    for x, y in zip(a, b, strict=True))


def _shape(shape: tuple[Any, ...]) -> str:
    return f'({", ".join(map(str, shape))})'


def _difference(joints: tuple[Any, ...]) -> str:
    for i, (a, b) in enumerate(zip(joints, JOINTS, strict=False)):
        if a != b:
            return f'in another order (number {i} is {_short(a)}, expected {b})'
    return f'{len(joints)}, expected {len(JOINTS)}'


def _short(value: Any) -> str:
    text = ' '.join(repr(value).split())
    return text if len(text) <= 60 else f'{text[:57]}...'
