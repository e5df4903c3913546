# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose train`: from a file to a model folder; what does not fit is one sentence."""
from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from selfpose_ros import cli
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.synthetic import walker

pytest.importorskip('torch')
import torch

from selfpose_training.methods import base, collapse
from selfpose_training.trainer import training

QUICK = ('--steps', '8', '--batch', '16', '--width', '8', '--threads', '1', '--device', 'cpu',
         '--set', 'log_every=4')


@pytest.fixture(scope='module')
def motion_file(tmp_path_factory):
    """Two people of two seconds each."""
    parts = [walker(2., 25., seed, 'exercise').astype(np.float32) for seed in (1, 2)]
    path = tmp_path_factory.mktemp('motion') / 'tiny.npz'
    np.savez(path, pos=np.concatenate(parts), seq_start=np.cumsum([0, *map(len, parts)]), seq_name=np.array(['a', 'b']),
             fps=np.float32(25), joints=np.array(JOINTS))
    return path


@pytest.fixture
def sound(monkeypatch):
    """Eight steps teach nothing; these tests are not about that."""
    monkeypatch.setattr(training, 'verdict', lambda figures: [])


def train(*arguments):
    return cli.main(['train', *map(str, arguments)])


def test_list_names_the_methods_and_what_they_are(capsys):
    from selfpose_training.methods import METHODS
    assert train('--list') == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(METHODS) and 'canonpose' in METHODS
    assert all(METHODS[line.split()[0]].summary in line for line in lines)


def test_a_motion_file_becomes_a_model_folder(motion_file, tmp_path, capsys, sound):
    from selfpose_ros.models.store import open_model, verify
    run = tmp_path / 'first try'
    assert train('canonpose', '--data', motion_file, '-o', run, *QUICK, '--seed', '3', '--licence', 'CC0-1.0') == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f'{run / "model"}: 8 of 8 steps; criterion on held-out data ')
    assert 'step 8 of 8' in captured.err and 'steps/s' in captured.err and 'rep ' in captured.err
    model = open_model(run / 'model')
    verify(model)
    card = model.card
    assert card.name == 'first_try' and card.method == 'canonpose' and card.frames == 1
    assert card.everything['trained_on'][0]['name'] == 'tiny.npz'
    assert card.everything['seed'] == 3 and card.everything['width'] == 8
    assert {'checkpoint.pt', 'best.pt', 'config.json', 'history.json'} <= {p.name for p in run.iterdir()}


def test_views_and_travel_reach_the_data(motion_file, tmp_path, monkeypatch, sound):
    seen = {}

    def watch(method, data, *args, **more):
        seen.update(views=data.views, recentre=data.recentre, seed=data.seed, samples=len(data))
        raise KeyboardInterrupt
    monkeypatch.setattr('selfpose_training.run.fit', watch)
    assert train('canonpose', '--data', motion_file, '-o', tmp_path / 'r', '--views', 2, '--travel', '--seed', 7) == 130
    assert seen == {'views': 2, 'recentre': False, 'seed': 7, 'samples': 50}         # one of two sequences is held out


def test_stopped_by_time_and_resumed_is_the_same_model(motion_file, tmp_path, capsys, monkeypatch, sound):
    monkeypatch.setattr('selfpose_training.export.lifter.export_model', lambda network, folder, card: None)
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    assert train('canonpose', '--data', motion_file, '-o', whole, *QUICK) == 0
    assert train('canonpose', '--data', motion_file, '-o', parts, *QUICK, '--max-minutes', 1e-9) == 0
    assert 'time is up, --resume goes on' in capsys.readouterr().out
    assert train('canonpose', '--data', motion_file, '-o', parts, *QUICK, '--resume') == 0
    a, b = (torch.load(p / 'checkpoint.pt', weights_only=True)['network'] for p in (whole, parts))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_collapse_is_status_1_and_keeps_the_checkpoint(motion_file, tmp_path, capsys, monkeypatch):
    figures = {'chirality': .1, 'view_angle': 2.}
    monkeypatch.setattr(base, 'detect', lambda network, batch: dict(figures))
    assert collapse.verdict(figures)
    assert train('canonpose', '--data', motion_file, '-o', tmp_path / 'r', *QUICK) == 1
    err = capsys.readouterr().err
    assert 'the training collapsed: all views got the same camera' in err and 'Traceback' not in err
    assert (tmp_path / 'r' / 'checkpoint.pt').exists() and not (tmp_path / 'r' / 'model').exists()
    assert json.loads((tmp_path / 'r' / 'history.json').read_text())[-1]['collapse'] == figures


def test_ctrl_c_says_how_to_go_on(motion_file, tmp_path, capsys, monkeypatch):
    from selfpose_training.methods.canonpose import CanonPose
    loss = CanonPose.loss

    def interrupted(self, network, batch, progress):
        if progress == .5:
            os.kill(os.getpid(), signal.SIGINT)
        return loss(self, network, batch, progress)
    monkeypatch.setattr(CanonPose, 'loss', interrupted)
    assert train('canonpose', '--data', motion_file, '-o', tmp_path / 'r', *QUICK) == 130
    assert 'stopped after 5 of 8 steps; go on with: selfpose train canonpose' in capsys.readouterr().err
    assert not (tmp_path / 'r' / 'model').exists()


@pytest.mark.parametrize(('arguments', 'message'), [
    (('canonpos', '--data', 'MOTION', '-o', 'RUN'), "method 'canonpos' is not known; did you mean canonpose?"),
    (('canonpose', '--data', 'RUN/none.npz', '-o', 'RUN'), 'no such file or folder'),
    (('canonpose', '--data', 'MOTION', '-o', 'MOTION'), 'is a file; name a folder'),
    (('canonpose', '--data', 'MOTION', '-o', 'TMP'), 'is not empty; go on with --resume'),
    (('canonpose', '--data', 'MOTION', '-o', 'RUN', '--resume'), 'no checkpoint here'),
    (('canonpose', '--data', 'MOTION', '-o', 'RUN', '--set', 'lrr=1'), 'setting lrr is not known to canonpose'),
    (('canonpose', '--data', 'MOTION', '-o', 'RUN', '--set', 'lr'), 'must look like name=value'),
    (('canonpose', '--data', 'MOTION', '-o', 'RUN', '--set', 'schedule=steps'),
     "setting schedule must be one of step, cosine, constant, got 'steps'"),
    (('canonpose', '--data', 'MOTION', '-o', 'RUN', '--set', 'lr=1', '--lr', '2'), 'lr is given twice'),
    (('canonpose', '--data', 'MOTION', '-o', 'RUN', '--device', 'tpu'), 'choose auto, cpu'),
    (('canonpose', '--data', 'MOTION', '-o', 'RUN', '--steps', '0'), 'must be a whole number from 1 on'),
    (('canonpose', '--data', 'MOTION', '-o', 'RUN', '--lr', '0'), 'must be a number above 0'),
    (('canonpose', '-o', 'RUN'), '--data is missing'),
    (('--data', 'MOTION', '-o', 'RUN'), 'METHOD is missing'),
])
def test_what_does_not_fit_is_one_sentence_and_status_2(motion_file, tmp_path, capsys, arguments, message):
    (tmp_path / 'other').write_text('')
    places = {'MOTION': str(motion_file), 'RUN': str(tmp_path / 'run'), 'TMP': str(tmp_path)}
    typed = []
    for a in arguments:
        for name, place in places.items():
            a = a.replace(name, place) if a.startswith(name) else a
        typed.append(a)
    assert train(*typed) == 2
    err = capsys.readouterr().err
    assert message in err and err.count('\n') == 1 and err.startswith('selfpose train: error: ')
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('missing', ['torch', 'selfpose_training'])
def test_without_the_training_packages_it_says_what_to_install(capsys, monkeypatch, missing):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name, *more: None if name == missing else find(name, *more))
    assert train('--list') == 2
    assert capsys.readouterr().err == (f'selfpose train: error: train: the Python package {missing} is not installed; '
                                       "pip install 'selfpose_ros[training]'\n")


def test_the_command_itself_imports_no_torch():
    code = ('import sys, argparse; from selfpose_ros.commands import train; '
            'train.add_arguments(argparse.ArgumentParser()); print("torch" in sys.modules)')
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert out.stdout == 'False\n'
