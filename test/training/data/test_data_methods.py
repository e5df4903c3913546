# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Every method on every public data set's format: trained for some steps, made a model, measured with one command."""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnxruntime')
import torch
from raising import raises
from small_data import human36m, mpi_test_set, people, skipose, train_3dhp

from selfpose_ros import cli
from selfpose_ros.inference.lifter import open_lifter
from selfpose_ros.models.card import read_card
from selfpose_training.data.sources import read_data
from selfpose_training.errors import TrainingError
from selfpose_training.evaluation.recorded import evaluate_recorded, measured
from selfpose_training.export.lifter import ModelGraph
from selfpose_training.images import rendering as images
from selfpose_training.methods import METHODS
from selfpose_training.trainer import training

#: of images, and those that our own self-calibration teaches
PICTURES = ('pose2d', 'detector', 'heatmap25d')
TAUGHT = ('system', 'pose_machine')
FORMATS = ('human36m', 'mpi_inf_3dhp', 'skipose')
QUICK = ('--steps', '4', '--batch', '16', '--width', '8', '--threads', '1', '--device', 'cpu', '--quiet')
#: trained to a real model folder, and measured; graphs do not depend on the data, so that one for each method will do.
#: cvsf and supervised have the network of canonpose, lift_reproject_lift has that of system
EXPORTED = {'canonpose': 'skipose', 'cross_view': 'skipose', 'transform_reprojection': 'mpi_inf_3dhp',
            'pose_machine': 'human36m', 'system': 'mpi_inf_3dhp'}


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> dict[str, Path]:
    """A folder in each format, with recordings to train on and for the test."""
    root = tmp_path_factory.mktemp('data')
    at = {name: root / name for name in FORMATS}
    at['human36m'].mkdir()
    human36m(at['human36m'], actions=('Walking',))
    train_3dhp(at['mpi_inf_3dhp'] / 'S1' / 'Seq1', people())
    mpi_test_set(at['mpi_inf_3dhp'] / 'TS1', people(seed=3))
    skipose(at['skipose'] / 'train', people(), seqs=((1, 4),), leave_out={(4, 3, 2)}, turning=.002, focal=1.3)
    skipose(at['skipose'] / 'test', people(12), seqs=((2, 0),), turning=.002, focal=1.3)
    return at


@pytest.fixture(scope='module')
def teachers() -> dict[str, Path]:
    """What self-calibration made of a folder: it is kept for the next method."""
    return {}


@pytest.fixture
def quick(monkeypatch):
    """Some steps teach nothing, and one process will do."""
    monkeypatch.setattr(training, 'verdict', lambda figures: [])
    monkeypatch.setattr('os.cpu_count', lambda: 1)


def train(method: str, path: Path, run: Path, *more: str) -> int:
    return cli.main(['train', method, '--data', str(path), '-o', str(run), *QUICK, *more])


def checked(network, folder: Path, card: dict) -> None:
    """In place of an export: the network and the card that a model folder is made of."""
    with torch.no_grad():
        joints, log_sigma = ModelGraph(network.eval())(torch.rand(2, *[network.frames] * (network.frames > 1), 17, 3))
    assert joints.shape == (2, 17, 3) and log_sigma.shape == (2, 17) and bool(torch.isfinite(joints).all())
    assert card['trained_on'][0]['sha256'] and np.isfinite(card['metrics']['criterion'])
    folder.mkdir()


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('method', [m for m in METHODS if m not in PICTURES])
def test_a_method_on_a_data_set(method: str, kind: str, data, teachers, tmp_path, quick, monkeypatch, capsys):
    run = tmp_path / 'run'
    exported = EXPORTED.get(method) == kind
    if not exported:
        monkeypatch.setattr('selfpose_training.export.lifter.export_model', checked)
    if method in TAUGHT and kind in teachers:
        shutil.copytree(teachers[kind], run / 'teacher')
    status = train(method, data[kind], run)
    told = capsys.readouterr()
    if method in TAUGHT and kind == 'skipose':
        assert status == 2 and told.err.count('\n') == 1
        assert 'its cameras move while they record, and self-calibration is for cameras that stand still; take a ' \
               'method without it, for instance canonpose\n' in told.err
        return
    assert status == 0 and (run / 'model').is_dir(), told.err
    if method in TAUGHT:
        teachers.setdefault(kind, run / 'teacher')
    if exported:
        status = cli.main(['evaluate', str(run / 'model'), '--data', str(data[kind]), '--every', '2', '--json',
                           '--quiet'])
        out = capsys.readouterr()
        assert (status, out.err) == (0, '')
        found = json.loads(out.out)
        assert found['clips'] == 1 and found['data'] == kind and found['model']['method'] == method
        # of the first, third, ... frame: 30 frames, of MPI-INF-3DHP one is not valid, 12 of SkiPose
        assert (found['frames'], found['poses'], found['every']) == {
            'human36m': (15, 60, 2), 'mpi_inf_3dhp': (15, 15, 2), 'skipose': (6, 36, 2)}[kind]
        recordings, _ = measured(read_data(data[kind], split='test'), kind)
        wanted = evaluate_recorded(open_lifter(run / 'model'), recordings, every=2).to_dict()
        assert {k: found[k] for k in wanted} == wanted and (found['fused'] is None) == (kind == 'mpi_inf_3dhp')
        # an alignment that may turn, too, leaves less of what an untrained network says
        assert found['single']['pa_mpjpe'] < found['single']['n_mpjpe']
        assert read_card(run / 'model').everything['trained_on'][0]['name'] == kind


def test_methods_that_are_not_exported_have_the_network_of_one_that_is():
    def config(method: str) -> dict:
        return METHODS[method]().configure({'width': 8}).build().config
    assert config('cvsf') == config('supervised') == config('canonpose')
    assert config('lift_reproject_lift') == config('system')


@pytest.mark.parametrize('setting', ['rig="found"'])
def test_rigs_of_cameras_that_move_are_not_found(setting: str, data, tmp_path, capsys, quick):
    assert train('transform_reprojection', data['skipose'], tmp_path / 'run', '--set', setting) == 2
    err = capsys.readouterr().err
    assert err.count('\n') == 1 and 'its cameras move while they record' in err


def test_recordings_for_the_test_are_not_learned_from(data, tmp_path, monkeypatch):
    """Nor are they held out; with --val of the same folder they are."""
    seen = {}

    def watch(method, learnt, *args, val, **more):
        seen.update(learnt=[r.split for r in learnt.recordings], val=[r.split for r in val.recordings])
        raise KeyboardInterrupt

    monkeypatch.setattr('selfpose_training.run.fit', watch)
    for kind in FORMATS:
        for method in ('canonpose', 'transform_reprojection'):
            assert train(method, data[kind], tmp_path / f'{kind} {method}') == 130
            assert seen == {'learnt': ['train'], 'val': ['train']}
            assert train(method, data[kind], tmp_path / f'{kind} {method} val', '--val', str(data[kind])) == 130
            assert seen == {'learnt': ['train'], 'val': ['test']}
    assert [r.split for r in read_data(data['human36m'])] == ['train', 'test']


def test_a_data_set_without_recordings_to_train_on_is_one_sentence(data, tmp_path, capsys):
    for method in ('canonpose', 'transform_reprojection', 'system'):
        assert train(method, data['mpi_inf_3dhp'] / 'TS1', tmp_path / method) == 2
        err = capsys.readouterr().err
        assert err.count('\n') == 1 and 'none of its 1 recordings belongs to train, but to test' in err


# -- pictures

@pytest.mark.parametrize(('method', 'kind'), [*(('heatmap25d', k) for k in FORMATS), ('pose2d', 'mpi_inf_3dhp'),
                                              ('detector', 'human36m')])
def test_pictures_of_the_people_of_a_data_set(method: str, kind: str, data, tmp_path, quick, monkeypatch):
    monkeypatch.setattr(images, '_FEWEST', 6)
    made = METHODS[method]().configure({'size': [48, 64]})
    learnt, held_out = images.open_pictures(made.make_pictures, data[kind], None, 6, 3,
                                            (tmp_path / 'a.npz', tmp_path / 'b.npz'), lambda text: None)
    views = 2 if method == 'heatmap25d' else 1
    assert len(learnt) == len(held_out) == 6 // views and not held_out.varied and (tmp_path / 'a.npz').is_file()
    batch = next(learnt.batches(0, 2))
    assert bool((batch.weight.flatten(0, -2) > 0).any()) and float(batch.image.std()) > 5


def test_recordings_without_3d_show_nobody(data, tmp_path):
    copy = tmp_path / 'h36m'
    shutil.copytree(data['human36m'], copy)
    (copy / 'data_3d_h36m.npz').unlink()
    for method in PICTURES:
        with raises(TrainingError, 'have the 2D of people, but not 3D joints, so that there is nobody',
                    place=f'{tmp_path / "h36m/data_2d_h36m_gt.npz"}: S1 Walking'):
            images.open_pictures(METHODS[method]().make_pictures, copy, None, 6, 3, (tmp_path / 'a', tmp_path / 'b'),
                                 lambda text: None)
