# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A trained network of images to a model folder that the run time opens like an imported one."""
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.models.card import MODEL, sha256_of

from ..networks.blocks import parameter_count
from ..networks.vision import MEAN, STD
from .model_folder import OPSET, check_graph, new_folder, write_card, write_graph

__all__ = ['export_vision']

#: kind -> entries of its card on input and output
_CARDS: dict[str, dict[str, Any]] = {
    'pose2d': {'family': 'simcc', 'crop': 'classic', 'border': 0, 'outputs': {'x': 'simcc_x', 'y': 'simcc_y'},
               'decode': {'split': 2.0, 'score': 'min', 'min_score': .3}},
    'detector': {'family': 'yolox', 'crop': 'corner', 'border': 0, 'outputs': {'output': 'output'},
                 'decode': {'min_score': .4, 'iou': .5}},
    'points25d': {'kind': 'pose2d', 'family': 'points25d', 'crop': 'classic', 'border': 0,
                  'outputs': {'points': 'points', 'score': 'score', 'depth': 'depth', 'sigma': 'sigma'},
                  'decode': {'min_score': .3}},
}


def export_vision(graph: nn.Module, kind: str, size: tuple[int, int], folder: Path, card: Mapping[str, Any]) -> None:
    """Write `model.onnx` and `card.yaml`, checked against PyTorch.

    Args:
        graph: (N, 3, h, w), (pixel - MEAN) / STD in RGB, to the tensors of `graph.names`.
        kind: 'pose2d', 'points25d' (with depth) or 'detector'.  size: (w, h) px.
        folder: see `export.export_model`.  card: at least name and licence.

    Raises:
        TrainingError, ModelError: see `export.export_model`.
    """
    about = _CARDS[kind]
    kind = about.get('kind', kind)
    names: tuple[str, ...] = graph.names                   # type: ignore[assignment]
    w, h = size

    def example(n: int) -> Tensor:
        return torch.randn((n, 3, h, w), generator=torch.Generator().manual_seed(n))

    with new_folder(folder, graph) as part:
        write_graph(graph, example(2), 'input', names, part)
        check_graph(graph, example, 'input', names, part)
        image = {'tensor': 'input', 'size': [w, h], 'colour': 'rgb', 'scale': 1., 'mean': [MEAN] * 3, 'std': [STD] * 3,
                 'crop': about['crop'], 'padding': 1.25, 'border': about['border']}
        write_card({
            'name': card.get('name'), 'kind': kind, 'family': about['family'], 'method': kind,
            'created': datetime.now(timezone.utc).isoformat(timespec='seconds'), **card,
            **({'joints': list(JOINTS)} if kind == 'pose2d' else {}), 'image': image, 'outputs': about['outputs'],
            'decode': about['decode'], 'opset': OPSET, 'parameters': parameter_count(graph),
            'sha256': sha256_of(part / MODEL)}, part, Path(folder))
