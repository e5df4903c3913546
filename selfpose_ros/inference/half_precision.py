# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A model's graph in half precision, for GPUs: converted on a developer's machine, kept only if it sees the same."""
from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..models.card import HALF, sha256_of
from ..models.card_text import set_on_card
from ..models.errors import ModelError
from ..models.store import Model, open_model, verify
from .errors import BackendUnavailable
from .onnx_runtime import onnx_runtime
from .parity import Agreement, compare
from .session import OrtSession, plain

__all__ = ['write_half']

_KEY = 'fp16_sha256'


def write_half(model: Model) -> Agreement:
    """Put `model.fp16.onnx` beside `model.onnx`, and its hash on the card.

    Inputs and outputs stay float32. By the converter of ONNX Runtime, compared with the original on ONNX Runtime.

    Raises:
        BackendUnavailable: onnx or ONNX Runtime is not installed.
        ModelError: it cannot be converted, sees something else, or the folder cannot be written; it is as before then.
    """
    if model.lite:
        raise ModelError('is a TensorFlow Lite graph, which runs on LiteRT on the CPU alone', 'half precision is for '
                         'engines of networks that were imported from ONNX files', place=model.file)
    target = model.folder / HALF
    part = target.with_name(f'.{HALF}.{os.getpid()}.part')
    try:
        part.write_bytes(_converted(model.file))
        agreement = _compared(model, part)
        digest = sha256_of(part)
        os.replace(part, target)
        set_on_card(model.folder, _KEY, digest)
        verify(open_model(model.folder.absolute()))
    except OSError as error:
        raise ModelError(f'cannot be written ({error.strerror or error})', 'copy the model folder to where you may '
                         'write, and convert it there', place=model.folder) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return agreement


def _compared(model: Model, file: Path) -> Agreement:
    try:
        whole, half = OrtSession(model.file), OrtSession(file)
    except ModelError as error:
        raise error.at(f'{model.file} in half precision' if error.place == str(file) else error.place) from error
    agreement = compare(model, whole, half)
    if not agreement.good:
        raise ModelError(f'in half precision it does not see the same, {agreement.sentence}', 'it stays as it is',
                         place=model.file)
    return agreement


def _converted(file: Path) -> bytes:
    try:
        import onnx
        convert_float_to_float16 = onnx_runtime('transformers.float16').convert_float_to_float16
    except ImportError as error:
        raise BackendUnavailable(f'the converter cannot be loaded ({plain(error)})',
                                 'pip install onnx onnxruntime, on the machine that converts') from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')                # of weights that are rounded, which is what is wanted
            model = convert_float_to_float16(onnx.load(str(file)), keep_io_types=True)
            _sort(model.graph)
            onnx.checker.check_model(model)
    except Exception as error:                             # of any layer, of any class
        raise ModelError(f'cannot be converted to half precision ({plain(error)})', 'leave it as it is',
                         place=file) from error
    return bytes(model.SerializeToString(deterministic=True))


def _sort(graph: Any) -> None:
    """Every node after those whose results it takes: the converter puts its casts of the inputs at the end."""
    known = {'', *(t.name for t in (*graph.input, *graph.initializer))}
    waiting, sorted_ones = list(graph.node), []
    while waiting:
        ready = [n for n in waiting if known.issuperset(n.input)]
        if not ready:
            raise ValueError('its nodes go round in circles')
        sorted_ones += ready
        known.update(name for n in ready for name in n.output)
        waiting = [n for n in waiting if not known.issuperset(n.output)]
    del graph.node[:]
    graph.node.extend(sorted_ones)
