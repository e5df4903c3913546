# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A model folder is read back as the network that it was exported from, whatever the network."""
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch', reason='the training needs torch: pip install selfpose_ros[training]')
import torch
import yaml

from selfpose_ros.models.store import open_model
from selfpose_training.errors import TrainingError
from selfpose_training.export.lifter import export_model
from selfpose_training.export.reader import read_network
from selfpose_training.networks import Lifter, make_network
from selfpose_training.networks.blocks import parameter_count

CARD = {'name': 'x', 'licence': 'CC0-1.0'}
CONFIGS = [
    {'body': 'frame_mlp', 'head': 'pose3d', 'width': 24, 'gain': 4., 'common': 1, 'branch': 1},
    {'body': 'frame_mlp', 'head': 'canon_rot', 'width': 25, 'rotation': '6d', 'common': 1, 'branch': 1},
    {'body': 'res_mlp', 'head': 'pose3d', 'width': 25, 'norm': True, 'drop': .1, 'blocks': 1, 'branch': 1},
    {'body': 'temporal_conv', 'head': 'canon_rot', 'width': 24, 'frames': 27, 'common': 1},
    {'body': 'temporal_conv', 'head': 'pose3d', 'width': 24, 'frames': 9, 'gain': 4.},
    {'body': 'frame_mlp', 'head': 'pose3d', 'width': 25, 'gain': 4., 'branch': 1, 'symmetric': True},
    {'body': 'temporal_conv', 'head': 'pose3d', 'width': 24, 'frames': 3, 'symmetric': True},
]


def network(config: dict, seed: int = 0) -> Lifter:
    """One whose every parameter and running mean differs from where it began."""
    torch.manual_seed(seed)
    made = make_network(config).eval()
    made.interval_s = .04 if made.frames > 1 else 0.
    with torch.no_grad():
        for p in made.parameters():
            p.add_(.05 * torch.randn_like(p))
        for name, b in made.named_buffers():
            if name.endswith(('running_mean', 'running_var')):
                b.add_(.3 * torch.rand_like(b))
    return made


def poses(frames: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(9)
    return torch.rand((16, frames, 17, 3) if frames > 1 else (16, 17, 3), generator=g) - .3


@pytest.fixture(scope='module')
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `network(CONFIGS[0])`: the exporter takes seconds."""
    folder = tmp_path_factory.mktemp('exported') / 'm'
    export_model(network(CONFIGS[0]), folder, CARD | {'settings': {**CONFIGS[0], 'lr': .1, 'batch': 3}})
    return folder


@pytest.mark.parametrize('config', CONFIGS, ids=lambda c: f'{c["body"]} {c["head"]}')
def test_exported_and_read_again_it_says_the_same(config: dict, first: Path, tmp_path: Path) -> None:
    made = network(config)
    if config['width'] % 2:                                # in some of them the depth is turned round
        made.flip()
    if config is not CONFIGS[0]:                           # that is `first`
        export_model(made, tmp_path / 'm', CARD)
    again = read_network(open_model(first if config is CONFIGS[0] else tmp_path / 'm'))
    with torch.no_grad():
        for a, b in zip(made(poses(made.frames)), again(poses(made.frames)), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)
    assert again.config.get('norm', False) is False, 'it is part of the layers before'
    assert (again.flipped, again.interval_s) == (made.flipped, made.interval_s)


def test_a_card_of_an_earlier_version_tells_by_its_settings(first: Path, tmp_path: Path) -> None:
    shutil.copytree(first, tmp_path / 'm')
    card = yaml.safe_load((tmp_path / 'm' / 'card.yaml').read_text())
    del card['network']
    (tmp_path / 'm' / 'card.yaml').write_text(yaml.safe_dump(card))
    assert parameter_count(read_network(open_model(tmp_path / 'm'))) == parameter_count(network(CONFIGS[0]))


@pytest.mark.parametrize('change, message', [
    ({'network': None, 'settings': None}, 'does not hold what the network is made of'),
    ({'network': CONFIGS[0] | {'width': 32}}, 'without body.'),
    ({'network': CONFIGS[0] | {'gain': 3.}}, 'do not compute what it computes'),
    ({'network': CONFIGS[0] | {'body': 'cube'}}, 'setting body must be one of'),
])
def test_another_network_than_the_card_tells_of_is_refused(change: dict, message: str, first: Path,
                                                              tmp_path: Path) -> None:
    shutil.copytree(first, tmp_path / 'm')
    path = tmp_path / 'm' / 'card.yaml'
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(TrainingError, match=message) as told:
        read_network(open_model(tmp_path / 'm'))
    assert '\n' not in str(told.value)
