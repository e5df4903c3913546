# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A trained lifter to a model folder: ONNX in one file and its card, checked against PyTorch before anybody sees it."""
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.models.card import MODEL, lifter_inputs, lifter_outputs, sha256_of

from ..errors import TrainingError
from ..networks.blocks import parameter_count
from ..networks.heads import Lifted
from .model_folder import OPSET, check_graph, new_folder, write_card, write_graph

__all__ = ['ModelGraph', 'export_model']

#: smallest size of a pose that is scaled
_SMALLEST = 1e-12
#: what belongs to the model folder, not to who exports: given cards must not differ
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
            Filled in: kind, task, frames, interval_s, inputs, outputs, joints, normalisation, opset, parameters,
            sha256, created.

    Raises:
        TrainingError: the graph cannot be exported, or does not compute what PyTorch does; nothing is left behind.
        ModelError: the card lacks something or does not fit.
    """
    frames = int(card.get('frames', getattr(network, 'frames', 1)))
    with new_folder(folder, network) as part:
        graph = ModelGraph(network).eval()
        outputs = [t.name for t in lifter_outputs()]
        write_graph(graph, _example(frames, 2, 0), 'pose', outputs, part)
        check_graph(graph, lambda n: _example(frames, n, n), 'pose', outputs, part)
        write_card(_card(network, frames, card, sha256_of(part / MODEL)), part, Path(folder))


def _card(network: nn.Module, frames: int, card: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    ours = {
        'task': 'temporal' if frames > 1 else 'frame',
        'inputs': [_tensor(t) for t in lifter_inputs(frames)],
        'outputs': [_tensor(t) for t in lifter_outputs()],
        'joints': list(JOINTS),
        'opset': OPSET,
        'parameters': parameter_count(network),
        'sha256': sha256,
    }
    for key in _OURS:
        if card.get(key) not in (None, ours[key]):
            raise TrainingError(f'card: {key} is given as {card[key]!r}, but the exported graph has {ours[key]!r}',
                                'leave it out')
    now = datetime.now(timezone.utc).isoformat(timespec='seconds')
    head = {'name': card.get('name'), 'kind': 'lifter', 'method': card.get('method', 'unknown'), 'task': ours['task'],
            'frames': frames, **({'interval_s': getattr(network, 'interval_s', 0.)} if frames > 1 else {}),
            'normalisation': 'frob'}
    # what the network is made of, so that it can be trained on from this folder alone, see `parent.read_network`
    config = getattr(network, 'config', None)
    made_of = {'network': config} if isinstance(config, Mapping) else {}
    return {**head, 'created': now, **card, **made_of, **ours}


def _tensor(t: Any) -> dict[str, Any]:
    return {'name': t.name, 'shape': list(t.shape), 'meaning': t.meaning}


def _example(frames: int, n: int, seed: int) -> Tensor:
    """Poses as they come from the normalisation, some joints unseen."""
    g = torch.Generator().manual_seed(seed)
    shape = (n, frames, 17) if frames > 1 else (n, 17)
    confidence = torch.rand(shape, generator=g)
    seen = (torch.rand(shape, generator=g) > .1).float()
    w = torch.randn((*shape, 2), generator=g) * .24 * seen[..., None]
    return torch.cat([w, (confidence * seen)[..., None]], -1)
