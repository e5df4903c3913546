# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Export: ONNX Runtime computes what PyTorch does, the folder is whole or absent, and says nothing untrue."""
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')
import torch
from torch import nn

from selfpose_ros.inference.lifter import open_lifter
from selfpose_ros.models.card import read_card
from selfpose_ros.models.errors import ModelError
from selfpose_ros.models.store import open_model
from selfpose_training.errors import TrainingError
from selfpose_training.export import lifter as export
from selfpose_training.export.lifter import export_model
from selfpose_training.networks import Lifted, make_network

CARD = {'name': 'tiny', 'licence': 'CC0-1.0', 'method': 'test'}


class Small(nn.Module):
    """A linear lifter whose pose is neither on its root nor of unit size."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(51, 51)

    def forward(self, pose):
        y = 5 * self.linear(pose.flatten(-2)).unflatten(-1, (17, 3))
        return Lifted(y, None, None, pose[..., 0])


class Broken(Small):
    """`how`: what the graph cannot do as PyTorch does."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, pose):
        lifted = super().forward(pose)
        y = lifted.y_cam
        if self.how == 'chance':
            y = y + torch.randn_like(y)
        if self.how == 'nan':
            y = y * float('nan')
        if self.how == 'branch' and y.sum() > 0:
            y = 2 * y
        return Lifted(y, None, None, lifted.log_sigma)


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture(scope='module')
def small(tmp_path_factory) -> Path:
    """The folder of a `Small`: the exporter takes seconds."""
    folder = tmp_path_factory.mktemp('exported') / 'm'
    export_model(Small(), folder, CARD)
    return folder


@pytest.fixture
def written(small: Path, monkeypatch) -> None:
    """Whatever is exported, the file is that of `small`."""
    monkeypatch.setattr(export, 'write_graph',
                        lambda *given: shutil.copy(small / 'model.onnx', given[-1] / 'model.onnx'))


@pytest.mark.parametrize('config', [
    {'body': 'frame_mlp', 'width': 32, 'common': 1, 'branch': 1},
    {'body': 'res_mlp', 'width': 32, 'blocks': 1, 'branch': 1, 'norm': True, 'drop': .25, 'rotation': '6d'},
    {'body': 'temporal_conv', 'width': 32, 'frames': 9, 'head': 'pose3d'},
], ids=lambda c: c['body'])
def test_the_lifter_computes_what_the_network_does(tmp_path: Path, config: dict):
    torch.manual_seed(1)
    network = make_network(config)
    network.interval_s = .04 if network.frames > 1 else 0.
    for p in network.parameters():                         # heads start near zero: nothing could be told apart
        nn.init.normal_(p, 0, .2)
    network.train()
    network.flip()
    export_model(network, tmp_path / 'm', {**CARD, 'width': config['width']})
    assert network.training and left(tmp_path) == ['m'] and left(tmp_path / 'm') == ['card.yaml', 'model.onnx']
    lifter = open_lifter(tmp_path / 'm')
    network.eval()
    assert (lifter.frames, lifter.interval_s) == (network.frames, network.interval_s)
    rng = np.random.default_rng(0)
    for n in (1, 2, 4, 33):
        pose = rng.normal(0, .3, (n, *([9] if lifter.frames > 1 else []), 17, 3)).astype(np.float32)
        with torch.no_grad():
            wanted = network(torch.from_numpy(pose))
        joints, sigma = lifter.lift(pose)
        assert joints == pytest.approx(wanted.y_cam.numpy(), abs=1e-4)
        assert sigma == pytest.approx(wanted.log_sigma.exp().numpy(), rel=1e-3)
    assert joints.std(0).max() > .1                        # different poses, different answers
    card = read_card(tmp_path / 'm')
    assert card.everything['parameters'] == sum(p.numel() for p in network.parameters())
    assert (card.name, card.method, card.everything['width'], card.everything['opset']) == ('tiny', 'test', 32, 18)


def test_joints_are_put_on_the_pelvis_and_scaled_and_sigma_with_them(small: Path):
    pose = torch.randn(6, 17, 3, generator=torch.Generator().manual_seed(1))
    joints, sigma = open_lifter(small).lift(pose.numpy())
    y = Small()(pose).y_cam.detach().numpy()
    y -= y[:, :1]
    size = np.sqrt((y**2).sum(-1).mean(-1))
    assert size.min() > 2
    assert joints == pytest.approx(y / size[:, None, None], abs=1e-4)
    assert sigma == pytest.approx(np.exp(pose[..., 0].numpy()) / size[:, None], rel=1e-3)


def test_same_weights_same_bytes_and_no_word_of_the_machine(small: Path, tmp_path: Path):
    export_model(Small(), tmp_path / 'again', CARD)
    a, b = ((folder / 'model.onnx').read_bytes() for folder in (small, tmp_path / 'again'))
    assert a == b
    for word in (b'.py', str(Path(export.__file__).parent).encode(), b'stack_trace'):
        assert word not in a


@pytest.mark.parametrize(('how', 'words'), [
    ('chance', r'differs from PyTorch: joints by \d'),
    ('nan', 'differs from PyTorch: joints by nan'),
])
def test_a_network_that_the_graph_does_not_follow_is_refused_and_nothing_stays(tmp_path: Path, written: None, how: str,
                                                                               words: str):
    refused(Broken(how), tmp_path, words)


def test_a_network_that_cannot_be_written_is_refused_and_nothing_stays(tmp_path: Path):
    refused(Broken('branch'), tmp_path, 'cannot be written as ONNX .* branches on values')


def refused(network: nn.Module, folder: Path, words: str) -> None:
    network.train()
    with pytest.raises(TrainingError, match=words):
        export_model(network, folder / 'm', CARD)
    assert left(folder) == [] and network.training


def test_the_sentence_says_by_how_much_and_for_which_batch(tmp_path: Path, written: None):
    network = Small()
    with torch.no_grad():
        network.linear.bias[7] += .3
    with pytest.raises(TrainingError, match=r'joints by 0\.\d+ for a batch of 1 \(allowed 0\.0001\); it was not kept'):
        export_model(network, tmp_path / 'm', CARD)
    assert left(tmp_path) == []


def test_an_older_model_is_replaced_and_survives_a_refused_export(tmp_path: Path, written: None):
    export_model(Small(), tmp_path / 'm', CARD)
    export_model(Small(), tmp_path / 'm', {**CARD, 'name': 'newer'})
    assert open_model(tmp_path / 'm').card.name == 'newer' and left(tmp_path) == ['m']
    with pytest.raises(TrainingError):
        export_model(Broken('nan'), tmp_path / 'm', CARD)
    assert open_model(tmp_path / 'm').card.name == 'newer' and left(tmp_path) == ['m']


def test_a_folder_of_somebody_else_is_not_touched(tmp_path: Path):
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / 'cat.png').write_bytes(b'miaow')
    with pytest.raises(TrainingError, match='is no model folder; choose another place'):
        export_model(Small(), tmp_path / 'photos', CARD)
    assert left(tmp_path / 'photos') == ['cat.png']
    with pytest.raises(TrainingError, match='cannot be made'):
        export_model(Small(), tmp_path / 'photos' / 'cat.png' / 'm', CARD)


@pytest.mark.parametrize(('card', 'error', 'words'), [
    ({'name': 'a'}, ModelError, 'licence is missing'),
    ({'name': 'a/b', 'licence': 'x'}, ModelError, 'name must be letters'),
    ({**CARD, 'joints': ['pelvis']}, TrainingError, r"card: joints is given as \['pelvis'\]"),
    ({**CARD, 'sha256': 'f' * 64}, TrainingError, 'card: sha256 is given'),
    ({**CARD, 'normalisation': 'minmax'}, ModelError, 'normalisation must be frob'),
])
def test_a_card_that_is_not_true_or_not_whole_is_refused(tmp_path: Path, card: dict, error: type, words: str,
                                                         monkeypatch):
    # the graph is not what is tried here, and takes seconds
    monkeypatch.setattr(export, 'write_graph', lambda *others: (others[-1] / 'model.onnx').write_bytes(b'graph'))
    monkeypatch.setattr(export, 'check_graph', lambda *_: None)
    with pytest.raises(error, match=words):
        export_model(Small(), tmp_path / 'm', card)
    assert left(tmp_path) == []


def test_a_card_takes_numbers_of_numpy_and_keeps_what_it_is_told(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(export, 'write_graph', lambda *others: (others[-1] / 'model.onnx').write_bytes(b'graph'))
    monkeypatch.setattr(export, 'check_graph', lambda *_: None)
    told = {'metrics': {'n_mpjpe': np.float32(87.5), 'by_view': np.array([1, 2])}, 'seed': np.int64(3),
            'trained_on': ({'name': 'mocap', 'file': Path('a.npz')},), 'parent': None}
    export_model(Small(), tmp_path / 'm', {**CARD, **told})
    kept = read_card(tmp_path / 'm').everything
    assert kept['metrics'] == {'n_mpjpe': 87.5, 'by_view': [1, 2]} and kept['seed'] == 3 and kept['parent'] is None
    assert kept['trained_on'] == [{'name': 'mocap', 'file': 'a.npz'}]
