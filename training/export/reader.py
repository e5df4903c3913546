# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A model folder back to a PyTorch network, to be trained on: the weights are those in its ONNX file.

The exporter keeps the names of parameters. Weights that it has transposed (layers over time) have lost theirs, but
are multiplied just before a bias that still has its own; batch normalisation is in the convolution before it. What is
read is run beside the ONNX file; it must agree.
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
from selfpose_ros.inference.session import OrtSession
from selfpose_ros.models.store import Model

from ..errors import TrainingError
from ..networks import Lifter, network_of
from ..networks.vision import SimccNetwork
from .lifter import ModelGraph

__all__ = ['TOLERANCE', 'config_of', 'read_network', 'read_pose2d']

#: largest difference to the ONNX file, unit scale and log sigma
TOLERANCE = 1e-4
#: what the exporter puts before the names of parameters: `export.ModelGraph` holds the network as `network`
_PREFIX = 'network.'
#: and behind that of a convolution's weights for the bias that batch normalisation has become
_FOLDED = '.weight_bias'
#: settings that a network of `methods.pose2d` is made from
_POSE2D = ('size', 'stages', 'depth', 'hidden')
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
    if network.frames != model.card.frames:
        raise _another(f'of {model.card.frames} frames', model)
    network.interval_s = model.card.interval_s
    _load(network, model)
    session = Session(model)
    off = []
    for _ in range(2):                                     # the sign of the depth may be flipped, which is no weight
        off.append(_difference(network, session))
        if off[-1] <= TOLERANCE:
            return network
        network.flip()
    raise _differs(min(off), model)


@torch.no_grad()
def read_pose2d(model: Model) -> SimccNetwork:
    """The network of a model folder that `selfpose train pose2d` made, as `read_network` reads a lifter's.

    Raises:
        TrainingError: it is of another kind, made elsewhere, or another one than its card describes.
        ModelError, BackendUnavailable: the folder is damaged, or ONNX Runtime is missing.
    """
    card = model.card.everything
    made_of = card.get('settings')
    if not (model.card.kind == card.get('method') == 'pose2d' and isinstance(made_of, Mapping)
            and made_of.keys() >= set(_POSE2D)):
        raise TrainingError('is no 2D network that selfpose train pose2d made, and no other one can be trained on',
                            'name rendered_pose, or a model folder that came of it', place=model.folder)
    try:
        (w, h), stages, depth, hidden = (made_of[k] for k in _POSE2D)
        network = SimccNetwork((int(w), int(h)), stages, depth, hidden, norm=False)
    except (TypeError, ValueError, IndexError) as error:
        raise TrainingError(f'its card describes a network that cannot be made ({error})',
                            'export it again with this version', place=model.folder) from error
    _load(network, model)
    image = torch.randn((2, 3, h, w), generator=torch.Generator().manual_seed(0))
    have = OrtSession(model.file).run({'input': image.numpy()}, ['simcc_x', 'simcc_y'])
    # the graph gives probabilities, in a unit of its own
    off = max(float(np.abs(y.softmax(-1).numpy() - x / x.sum(-1, keepdims=True)).max())
              for x, y in zip(have, network(image), strict=True))
    if off > TOLERANCE:
        raise _differs(off, model)
    return network


def _load(network: torch.nn.Module, model: Model) -> None:
    found = _weights(model.file)
    wanted = dict(network.named_parameters())
    lost = sorted(n for n, p in wanted.items() if n not in found or found[n].shape != tuple(p.shape))
    if lost:
        raise _another(f'without {lost[0]} {tuple(wanted[lost[0]].shape)}', model)
    network.load_state_dict({n: torch.from_numpy(np.array(found[n], np.float32)) for n in wanted}, strict=False)
    network.eval()


def _another(what: str, model: Model) -> TrainingError:
    return TrainingError(f'a network {what}, not the one that its card describes', 'export it again with this version',
                         place=model.file)


def _differs(off: float, model: Model) -> TrainingError:
    return TrainingError(f'the weights read from it do not compute what it computes (off by {off:.3g}): it was '
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
    out = {n.removeprefix(_PREFIX).replace(_FOLDED, '.bias'): numpy_helper.to_array(i) for n, i in values.items()
           if n.startswith(_PREFIX)}
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
