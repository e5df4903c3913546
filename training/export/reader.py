# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A model folder back to a PyTorch network, to be trained on: the weights are those in its ONNX file.

The exporter keeps the names of parameters. Weights that it has transposed (layers over time) have lost theirs, but
are multiplied just before a bias that still has its own. What is read is run beside the ONNX file; it must agree.
"""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.inference.lifter import Lifter as Session
from selfpose_ros.models.store import Model

from ..errors import TrainingError
from ..networks import Lifter, network_of
from .lifter import ModelGraph

__all__ = ['TOLERANCE', 'config_of', 'read_network']

#: largest difference to the ONNX file, unit scale and log sigma
TOLERANCE = 1e-4
#: what the exporter puts before the names of parameters: `export.ModelGraph` holds the network as `network`
_PREFIX = 'network.'
_POSES = 8


def config_of(model: Model) -> dict[str, Any]:
    """What `make_network` makes the network of a model from, by its card.

    Raises:
        TrainingError: the card does not hold it.
    """
    card = model.card.everything
    config = card.get('network', card.get('settings'))
    if not isinstance(config, Mapping) or 'body' not in config or 'head' not in config:
        raise TrainingError('its card does not hold what the network is made of (network, settings), so it cannot be '
                            'trained on', 'export it again with this version', place=model.folder)
    # batch normalisation is part of the layers before it once a network is exported
    return {**config, **({'norm': False} if 'norm' in config else {})}


def read_network(model: Model) -> Lifter:
    """The network of a model folder, with its weights, on the CPU, in evaluation mode.

    Raises:
        TrainingError: the card does not hold what it is made of, or the file holds another network.
        ModelError, BackendUnavailable: the folder is damaged, or ONNX Runtime is missing.
    """
    config = config_of(model)
    try:
        network = network_of(config)
    except (TypeError, ValueError) as error:
        raise TrainingError(f'its card describes a network that cannot be made ({error})',
                            'export it again with this version', place=model.folder) from error
    found = _weights(model.file)
    wanted = dict(network.named_parameters())
    lost = sorted(n for n, p in wanted.items() if n not in found or found[n].shape != tuple(p.shape))
    if lost or network.frames != model.card.frames:
        what = f'without {lost[0]} {tuple(wanted[lost[0]].shape)}' if lost else f'of {model.card.frames} frames'
        raise TrainingError(f'a network {what}, not the one that its card describes',
                            'export it again with this version', place=model.file)
    state = {n: torch.from_numpy(np.array(found[n], np.float32)) for n in wanted}
    network.load_state_dict(state, strict=False)
    network.eval()
    session = Session(model)
    off = []
    for _ in range(2):                                     # the sign of the depth may be flipped, which is no weight
        off.append(_difference(network, session))
        if off[-1] <= TOLERANCE:
            return network
        network.flip()
    raise TrainingError(f'the weights read from it do not compute what it computes (off by {min(off):.3g}): it was '
                        'exported from another network than its card describes', 'export it again', place=model.file)


def _weights(file: Path) -> dict[str, NDArray[Any]]:
    """Parameters by their names in the network."""
    import onnx
    from onnx import numpy_helper
    try:
        graph = onnx.load(str(file)).graph
    except Exception as error:                             # protobuf's own classes
        raise TrainingError(f'cannot be read ({" ".join(str(error).split())})', 'copy the model folder again',
                            place=file) from error
    values = {i.name: i for i in graph.initializer}
    out = {n.removeprefix(_PREFIX): numpy_helper.to_array(i) for n, i in values.items() if n.startswith(_PREFIX)}
    products = {n.output[0]: n.input[1] for n in graph.node if n.op_type == 'MatMul' and n.input[1] in values}
    for node in graph.node:
        biases = [x for x in node.input if x.startswith(_PREFIX) and x.endswith('.bias')]
        sums = [x for x in node.input if x in products]
        if node.op_type == 'Add' and len(biases) == len(sums) == 1:
            name = biases[0].removeprefix(_PREFIX).removesuffix('bias') + 'weight'
            out.setdefault(name, numpy_helper.to_array(values[products[sums[0]]]).T)
    return out


@torch.no_grad()
def _difference(network: Lifter, session: Session) -> float:
    """Largest difference of joints and log sigma between network and file, on poses of which some joints are unseen."""
    g = torch.Generator().manual_seed(0)
    shape = (_POSES, network.frames, len(JOINTS)) if network.frames > 1 else (_POSES, len(JOINTS))
    seen = (torch.rand(shape, generator=g) > .1).float()
    w = .24 * torch.randn((*shape, 2), generator=g) * seen[..., None]
    pose = torch.cat([w, (torch.rand(shape, generator=g) * seen)[..., None]], -1)
    joints, log_sigma = (x.numpy() for x in ModelGraph(network)(pose))
    have, sigma = session.lift(pose.numpy())
    return float(max(np.abs(joints - have).max(), np.abs(log_sigma - np.log(sigma)).max()))
