# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A trained lifter to a model folder: ONNX in one file and its card, checked against PyTorch before anybody sees it."""
from __future__ import annotations

import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.models.card import CARD, MODEL, lifter_inputs, lifter_outputs, parse_card, sha256_of

from .errors import TrainingError
from .networks.heads import Lifted

__all__ = ['BATCHES', 'OPSET', 'TOLERANCE', 'ModelGraph', 'export_model']

OPSET = 18
#: batch sizes at which ONNX Runtime must agree with PyTorch, and by how much, unit scale and log sigma
BATCHES, TOLERANCE = (1, 3, 8), 1e-4
#: smallest size of a pose that is scaled
_SMALLEST = 1e-12
#: what belongs to the model folder, not to who exports: given cards must not say otherwise
_OURS = ('task', 'inputs', 'outputs', 'joints', 'opset', 'parameters', 'sha256')


class ModelGraph(nn.Module):
    """What is exported: pose in; joints (relative to the pelvis, RMS 1) and log sigma in that unit out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        lifted: Lifted = self.network(pose)
        y = lifted.y_cam - lifted.y_cam[:, :1]
        size = (y.square().sum((-1, -2)) / y.shape[-2] + _SMALLEST).sqrt()         # (N,): 1 but for rounding
        return y / size[:, None, None], lifted.log_sigma - size.log()[:, None]


def export_model(network: nn.Module, folder: Path, card: Mapping[str, Any]) -> None:
    """Write `model.onnx` and `card.yaml` into a new folder, in one step: it is there whole or not at all.

    Args:
        network: (N, 17, 3), or (N, T, 17, 3) for a temporal one, to a `Lifted`; is left as it was (mode, device).
        folder: must not exist, or be a model folder, which is replaced.
        card: at least name and licence. Taken as it is: method, trained_on, metrics, parent, seed, notes, width, ...
            Filled in: kind, task, frames, inputs, outputs, joints, normalisation, opset, parameters, sha256, created.

    Raises:
        TrainingError: the graph cannot be exported, or does not compute what PyTorch does; nothing is left behind.
        ModelError: the card lacks something or does not fit.
    """
    frames = int(card.get('frames', getattr(network, 'frames', 1)))
    device = next((p.device for p in network.parameters()), torch.device('cpu'))
    modes = {module: module.training for module in network.modules()}
    folder = Path(folder)
    if folder.exists() and not (folder / CARD).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise TrainingError(f'{folder}: exists and is no model folder; choose another place for the model')
    part = _beside(folder)
    try:
        graph = ModelGraph(network).to('cpu').eval()
        _write_onnx(graph, frames, part / MODEL)
        _check(graph, frames, part / MODEL)
        full = _card(network, frames, card, sha256_of(part / MODEL))
        parse_card(full, str(folder / CARD))
        (part / CARD).write_text(yaml.safe_dump(full, sort_keys=False, allow_unicode=True, width=110), encoding='utf-8')
        _replace(part, folder)
    except OSError as error:
        raise TrainingError(f'{folder}: the model cannot be written ({error.strerror or error}); choose another place '
                            'or free the space') from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        network.to(device)
        for module, training in modes.items():
            module.training = training


def _beside(folder: Path) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', suffix='.part', dir=folder.parent))
        part.chmod(0o755)                                  # mkdtemp's is for its owner alone
        return part
    except OSError as error:
        raise TrainingError(f'{folder}: cannot be made ({error.strerror or error}); choose another place') from error


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


def _card(network: nn.Module, frames: int, card: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    ours = {
        'task': 'temporal' if frames > 1 else 'frame',
        'inputs': [_tensor(t) for t in lifter_inputs(frames)],
        'outputs': [_tensor(t) for t in lifter_outputs()],
        'joints': list(JOINTS),
        'opset': OPSET,
        'parameters': sum(p.numel() for p in network.parameters()),
        'sha256': sha256,
    }
    for key in _OURS:
        if card.get(key) not in (None, ours[key]):
            raise TrainingError(f'card: {key} is given as {card[key]!r}, but the exported graph has {ours[key]!r}; '
                                'leave it out')
    now = datetime.now(timezone.utc).isoformat(timespec='seconds')
    head = {'name': card.get('name'), 'kind': 'lifter', 'method': card.get('method', 'unknown'), 'task': ours['task'],
            'frames': frames, 'normalisation': 'frob'}
    # what the network is made of, so that it can be trained on from this folder alone, see `parent.read_network`
    config = getattr(network, 'config', None)
    made_of = {'network': config} if isinstance(config, Mapping) else {}
    return _plain({**head, 'created': now, **card, **made_of, **ours})


def _tensor(t: Any) -> dict[str, Any]:
    return {'name': t.name, 'shape': list(t.shape), 'meaning': t.meaning}


def _plain(value: Any) -> Any:
    """Without numpy, tuples and paths, which YAML would not know."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (np.generic, np.ndarray, Tensor)):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def _example(frames: int, n: int, seed: int) -> Tensor:
    """Poses as they come from the normalisation, some joints unseen."""
    g = torch.Generator().manual_seed(seed)
    shape = (n, frames, 17) if frames > 1 else (n, 17)
    confidence = torch.rand(shape, generator=g)
    seen = (torch.rand(shape, generator=g) > .1).float()
    w = torch.randn((*shape, 2), generator=g) * .24 * seen[..., None]
    return torch.cat([w, (confidence * seen)[..., None]], -1)


def _write_onnx(graph: ModelGraph, frames: int, path: Path) -> None:
    example = _example(frames, 2, 0)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                graph, (example,), dynamo=True, opset_version=OPSET, input_names=['pose'],
                output_names=[t.name for t in lifter_outputs()], verbose=False,
                dynamic_shapes={'pose': {0: torch.export.Dim('N', min=1, max=4096)}})
        assert program is not None                         # without dynamo it would be
        proto = program.model_proto
    except Exception as error:                             # from any layer of the exporter, of any class
        raise TrainingError(f'the network cannot be written as ONNX ({_first(error)}); its forward must be free of '
                            'branches on values') from error
    _save(proto, path)


def _save(proto: Any, path: Path) -> None:
    """One file, without the source lines and paths that the exporter leaves in it: same weights, same bytes."""
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output,
                 *proto.graph.value_info, *proto.graph.initializer):
        part.ClearField('metadata_props')
        part.ClearField('doc_string')
    path.write_bytes(proto.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells its life on stdout, in warnings and in the log."""
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(logging.NOTSET)


def _check(graph: ModelGraph, frames: int, path: Path) -> None:
    """Compare with PyTorch.

    Raises:
        TrainingError: they differ, or ONNX Runtime cannot run it.
    """
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
        for n in BATCHES:
            pose = _example(frames, n, n)
            with torch.no_grad():
                wanted = [x.numpy() for x in graph(pose)]
            found = session.run([t.name for t in lifter_outputs()], {'pose': pose.numpy()})
            for tensor, a, b in zip(lifter_outputs(), wanted, found, strict=True):
                off = float(np.abs(a - b).max()) if a.shape == b.shape else float('inf')
                if not off <= TOLERANCE:                   # NaN, too
                    raise TrainingError(f'the exported network differs from PyTorch: {tensor.name} by {off:.3g} for a '
                                        f'batch of {n} (allowed {TOLERANCE:g}); it was not kept, check the network for '
                                        'chance and for numbers that are not finite')
    except TrainingError:
        raise
    except Exception as error:                             # ONNX Runtime has a dozen classes without a base
        raise TrainingError(f'ONNX Runtime cannot run the exported network ({_first(error)}); it was not '
                            'kept') from error


def _first(error: BaseException) -> str:
    text = ' '.join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f'{text[:197]}...'
