# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A network that somebody else has exported, made a model folder: card written, checked against the graph, kept."""
from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ...core.skeleton import JOINT_SETS, USUAL_SETS, named_joints
from ...models.card import CARD, LITE, MODEL, parse_card, sha256_of
from ...models.errors import ModelError
from ...models.onnx_weights import write_whole
from ...models.store import open_model
from ...models.vision import FAMILIES, PRESETS
from ..errors import InferenceError
from ..litert_session import LiteRtSession
from ..reference_outputs import write_reference
from ..session import OrtSession, TensorSpec
from .network import VisionNetwork, check_layout

__all__ = ['Request', 'import_model']

_LITE_MARK = b'TFL3'


@dataclass(frozen=True)
class Request:
    """What is to be imported.

    Attributes:
        file: the ONNX file, or TensorFlow Lite's.  folder: of the model; must not exist.
        preset: word of `PRESETS`.
        joints: name of a set of `core.skeleton.JOINT_SETS`, or the names themselves; empty = the usual set.
        size: (w, h) px; None = as in the graph, else the preset's.
        tensors: role (or 'image') -> name in the graph, where it differs from the usual one.
        decode: options that differ from the preset's.
        name: of the model; '' = the folder's.
        licence: of the weights.
        detector: name of the model that finds the people for it; '' = none.
        source: where it is from, for the card; '' = the file's name.
        accuracy: of the card; None = not measured.
    """

    file: Path
    folder: Path
    preset: str
    joints: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    tensors: Mapping[str, str] = field(default_factory=dict)
    decode: Mapping[str, Any] = field(default_factory=dict)
    name: str = ''
    licence: str = 'not told'
    detector: str = ''
    source: str = ''
    accuracy: Mapping[str, Any] | None = None


def import_model(request: Request, trial: Callable[[VisionNetwork, Path], None] | None = None) -> VisionNetwork:
    """Make the model folder; it is there whole or not at all. The file itself stays where it is.

    Weights that lie in other files than the graph are taken into `model.onnx`. What is tried is what was written.

    Args:
        request: what is to be imported.
        trial: called with the network, which has seen a grey image by then, and the folder, before it gets its name;
            may put files there. What it raises ends the import.

    Raises:
        ModelError: the graph is not of this family, or the folder exists or cannot be written.
        InferenceError: the network does not run, or what it gives cannot be read as this family's.
        BackendUnavailable: ONNX Runtime is missing.
    """
    if request.preset not in PRESETS:
        raise ModelError(f'{request.preset!r} is no family that can be imported',
                         f'choose one of: {", ".join(PRESETS)}')
    if request.folder.exists():
        raise ModelError('exists', 'choose another folder, or remove it', place=request.folder)
    if request.file.is_dir():
        raise ModelError('is a folder', 'name the ONNX file of the network, or its TensorFlow Lite file',
                         place=request.file)
    if not request.file.exists():
        raise ModelError('no such file', 'name the ONNX file of the network, or its TensorFlow Lite file',
                         place=request.file)
    part = request.folder.with_name(f'.{request.folder.name}.{os.getpid()}.part')
    made = [p for p in part.parents if not p.exists()]
    try:
        part.mkdir(parents=True)
        session = _written(request, part)
        network = VisionNetwork(open_model(part), session=session)
        write_reference(network.model, session, part)
        _look(network)
        if trial is not None:
            trial(network, part)
        os.rename(part, request.folder)
        made = []
    except (ModelError, InferenceError) as error:          # nobody has seen the copies
        raise (error.at(request.file) if error.place in map(str, ('', part / MODEL, part / LITE, request.file)) else
               type(error)(str(error), place=request.file)) from error
    except OSError as error:
        raise ModelError(f'cannot be written ({error.strerror or error})', 'choose another folder or free the space',
                         place=request.folder) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        for folder in made:                                # parents of a folder that did not come about
            with suppress(OSError):
                folder.rmdir()
    return VisionNetwork(open_model(request.folder), session=session)


def _written(request: Request, part: Path) -> OrtSession | LiteRtSession:
    """Graph and card in a folder; the session is of the graph that was written."""
    session: OrtSession | LiteRtSession
    if _is_lite(request.file):
        name = LITE
        shutil.copyfile(request.file, part / name)
        session = LiteRtSession(part / name)
    else:
        name = MODEL
        write_whole(request.file, part / name)
        session = OrtSession(part / name)
    card = _card(request, session.inputs, session.outputs, sha256_of(part / name)) | {'file': name}
    parse_card(card, str(request.file))
    (part / CARD).write_text(yaml.safe_dump(card, sort_keys=False, allow_unicode=True), encoding='utf-8')
    return session


def _is_lite(file: Path) -> bool:
    """A TensorFlow Lite file, whatever it is called: its format's identifier stands at the start."""
    with file.open('rb') as stream:
        return stream.read(8)[4:] == _LITE_MARK


def _look(network: VisionNetwork) -> None:
    """One grey image, so that what comes out is read as it will be read."""
    w, h = network.vision.size
    network.look(np.full((h, w, 3), 114, np.uint8))


def _card(request: Request, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec],
          sha256: str) -> dict[str, Any]:
    preset = deepcopy(PRESETS[request.preset])
    family = FAMILIES[preset['family']]
    unknown = sorted(set(request.tensors) - {'image', *family.roles})
    if unknown:
        raise ModelError(f'tensors {", ".join(unknown)}: not known',
                         f'a {request.preset} network has image, {", ".join(family.roles)}')
    image, names = preset['image'], preset['outputs']
    if len(inputs) == 1:
        image['tensor'] = inputs[0].name
    if len(names) == 1 and len(outputs) == 1:
        names.update(dict.fromkeys(names, outputs[0].name))
    image['tensor'] = request.tensors.get('image', image['tensor'])
    names.update({k: v for k, v in request.tensors.items() if k != 'image'})
    given = next((t for t in inputs if t.name == image['tensor']), None)
    if given is not None:
        # a size that is read from another layout is none
        check_layout(request.file, given, image.get('layout', 'nchw'), image.get('dtype', 'float32'))
    shape = () if given is None else given.shape
    if request.size is not None:
        image['size'] = list(request.size)
    elif len(shape) == 4:
        high, wide = shape[1:3] if image.get('layout') == 'nhwc' else shape[2:]
        if high is not None and wide is not None:
            image['size'] = [wide, high]
    preset['decode'].update(request.decode)
    card = {'name': request.name or request.folder.name, 'kind': family.kind, **preset, 'method': 'imported',
            'source': request.source or request.file.name, 'licence': request.licence, 'sha256': sha256}
    if request.detector:
        card['detector'] = request.detector
    if request.accuracy is not None:
        card['accuracy'] = deepcopy(dict(request.accuracy))
    if family.kind == 'pose2d':
        shapes = {role: t.shape for role, name in names.items() for t in outputs if t.name == name}
        card['joints'] = list(_joints(request, family.joint_count(shapes)))
    return card


def _joints(request: Request, count: int | None) -> tuple[str, ...]:
    given = request.joints
    if given:
        return named_joints(given)
    usual = USUAL_SETS.get(count or 17)
    if usual is None:
        raise ModelError(f'has {count} joints, and nobody says which',
                         f'name them (--joints), as a set ({", ".join(JOINT_SETS)}) or one by one', place=request.file)
    return tuple(JOINT_SETS[usual])
