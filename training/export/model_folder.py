# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What all exports share: a graph to one ONNX file, compared with PyTorch, in a folder that is there whole or not."""
from __future__ import annotations

import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from selfpose_ros.inference.errors import InferenceError
from selfpose_ros.inference.session import OrtSession
from selfpose_ros.models.card import CARD, MODEL, parse_card
from selfpose_ros.models.errors import ModelError

from ..errors import TrainingError

__all__ = ['BATCHES', 'OPSET', 'TOLERANCE', 'check_graph', 'new_folder', 'plain', 'write_card', 'write_graph']

OPSET = 18
#: batch sizes at which ONNX Runtime must agree with PyTorch, and by how much
BATCHES, TOLERANCE = (1, 3, 8), 1e-4


@contextmanager
def new_folder(folder: Path, network: nn.Module) -> Iterator[Path]:
    """A folder to write a model into, which takes the place of `folder` when the block ends well.

    Args:
        folder: must not exist, or be a model folder, which is replaced.
        network: is brought to the CPU and evaluation mode, and left as it was.

    Raises:
        TrainingError: something else lies there, or nothing can be written.
    """
    device = next((p.device for p in network.parameters()), torch.device('cpu'))
    modes = {module: module.training for module in network.modules()}
    folder = Path(folder)
    if folder.exists() and not (folder / CARD).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise TrainingError('exists and is no model folder', 'choose another place for the model', place=folder)
    part = _beside(folder)
    try:
        network.to('cpu').eval()
        yield part
        _replace(part, folder)
    except OSError as error:
        raise TrainingError(f'the model cannot be written ({error.strerror or error})',
                            'choose another place or free the space', place=folder) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        network.to(device)
        for module, training in modes.items():
            module.training = training


def write_card(card: Mapping[str, Any], part: Path, folder: Path) -> None:
    """`card.yaml`, checked as the run time will check it.

    Raises:
        ModelError: it lacks something or does not fit.
    """
    full = plain(card)
    parse_card(full, str(folder / CARD))
    (part / CARD).write_text(yaml.safe_dump(full, sort_keys=False, allow_unicode=True, width=110), encoding='utf-8')


def plain(value: Any) -> Any:
    """Without numpy, tuples and paths, which YAML would not know."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (np.generic, np.ndarray, Tensor)):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def write_graph(graph: nn.Module, example: Tensor, inputs: str, outputs: Sequence[str], part: Path) -> None:
    """`model.onnx`, any batch, one file.

    Args:
        graph: one tensor in; outputs in their order out.
        example: with a batch of two.

    Raises:
        TrainingError: the exporter cannot do it.
    """
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                graph, (example,), dynamo=True, opset_version=OPSET, input_names=[inputs], output_names=list(outputs),
                verbose=False, dynamic_shapes=({0: torch.export.Dim('N', min=1, max=4096)},))
        assert program is not None                         # without dynamo it would be
        proto = program.model_proto
    except Exception as error:                             # from any layer of the exporter, of any class
        raise TrainingError(f'the network cannot be written as ONNX ({_first(error)})',
                            'its forward must be free of branches on values') from error
    _save(proto, part / MODEL)


def check_graph(graph: nn.Module, example: Callable[[int], Tensor], inputs: str, outputs: Sequence[str],
                part: Path) -> None:
    """Compare ONNX Runtime with PyTorch.

    Args:
        example: inputs of a batch size.

    Raises:
        TrainingError: they differ, or ONNX Runtime cannot run it.
    """
    try:
        session = OrtSession(part / MODEL)
        for n in BATCHES:
            given = example(n)
            with torch.no_grad():
                out = graph(given)
            wanted = [x.numpy() for x in (out if isinstance(out, tuple) else (out,))]
            found = session.run({inputs: given.numpy()}, outputs)
            for name, a, b in zip(outputs, wanted, found, strict=True):
                off = float(np.abs(a - b).max()) if a.shape == b.shape else float('inf')
                if not off <= TOLERANCE * max(1., float(np.abs(a).max())):     # NaN, too
                    raise TrainingError(f'the exported network differs from PyTorch: {name} by {off:.3g} for a batch '
                                        f'of {n} (allowed {TOLERANCE:g})', 'it was not kept, check the network for '
                                        'chance and for numbers that are not finite')
    except (ModelError, InferenceError) as error:
        raise TrainingError(f'ONNX Runtime cannot run the exported network ({_first(error)})',
                            'it was not kept') from error


def _beside(folder: Path) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', suffix='.part', dir=folder.parent))
        part.chmod(0o755)                                  # mkdtemp's is for its owner alone
        return part
    except OSError as error:
        raise TrainingError(f'cannot be made ({error.strerror or error})', 'choose another place',
                            place=folder) from error


def _replace(part: Path, folder: Path) -> None:
    """The new folder at the place of the old one, if there is one; no moment shows half of either."""
    if not folder.exists():
        os.rename(part, folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', suffix='.old', dir=folder.parent))
    try:
        os.rename(folder, old / 'model')
        os.rename(part, folder)
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _save(proto: Any, path: Path) -> None:
    """One file, without the source lines and paths that the exporter leaves in it: same weights, same bytes."""
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output,
                 *proto.graph.value_info, *proto.graph.initializer):
        part.ClearField('metadata_props')
        part.ClearField('doc_string')
    path.write_bytes(proto.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter writes to stdout, and into warnings and the log."""
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(logging.NOTSET)


def _first(error: BaseException) -> str:
    text = ' '.join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f'{text[:197]}...'
