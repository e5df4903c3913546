# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose update`: from a bag to a better model, or one sentence that says why not."""
from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from bags import ViewBag, write_bag
from model_folder import write_lifter
from recorded import write_archive

from selfpose_ros import cli
from selfpose_ros.core.observation import View2D
from selfpose_ros.io.archive import write_keypoints
from selfpose_ros.io.recording import Recording
from selfpose_ros.synthetic import observe, ring_rig, walker

pytest.importorskip('torch')
from parents import remembered, spoiled_model

from selfpose_training.update import update as updating

FPS, SECONDS = 8., 18.


def views(seconds: float = SECONDS, cameras: int = 3, seed: int = 3, people: int = 1) -> list[View2D]:
    """What is recorded of somebody who walks about."""
    X = np.stack([walker(seconds, FPS, seed + p, 'mixed', start=(.9 * p, .9 * p)) for p in range(people)], 1)
    return observe(X, ring_rig(cameras, seed), FPS, seed, noise_px=4.)


@pytest.fixture(scope='module')
def bag(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('recorded') / 'bag'
    write_bag(path, views())
    return path


@pytest.fixture(scope='module', autouse=True)
def split_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(updating, 'split_recording', remembered(updating.split_recording))
        yield


@pytest.fixture(scope='module')
def spoiled(tmp_path_factory) -> Path:
    return spoiled_model(tmp_path_factory.mktemp('spoiled'))


def update(*arguments) -> int:
    return cli.main(['update', *map(str, arguments)])


def test_a_spoiled_parent_learns_from_a_bag_and_the_child_goes_into_the_store(bag, spoiled, tmp_path, capsys):
    arguments = (bag, '--parent', spoiled, '--store', tmp_path / 'store', '--name', 'lifter', '--threads', 1,
                 '--set', 'steps=250', '--set', 'lr=0.001', '--device', 'cpu', '--seed', 4)
    assert update(*arguments, '-o', tmp_path / 'out', '--json') == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert report['decision'] == 'promoted' and report['version'] == '0001' and report['steps'] == 250
    assert report == json.loads((tmp_path / 'out' / 'report.json').read_text())
    for figure in report['comparison']['changes'].values():
        assert figure['after'] < figure['before'] and figure['high'] < 0
    assert report['recordings'][0]['cameras'] == 3 and 10 < report['recordings'][0]['learn_s'] < 12
    # what was learned can be used and learned from again, from the store
    assert cli.main(['model', 'verify', str(tmp_path / 'store' / 'lifter')]) == 0
    capsys.readouterr()
    assert update(bag, '--parent', tmp_path / 'store' / 'lifter', '-o', tmp_path / 'again', '--threads', 1,
                  '--set', 'steps=1', '--set', 'lr=1e-9', '--device', 'cpu') == 1
    out, err = capsys.readouterr()
    assert 'refused: the parent stays' in out and 'refused: not better on held-out time' in err
    assert sorted(p.name for p in (tmp_path / 'again').iterdir()) == ['report.html', 'report.json']
    assert json.loads((tmp_path / 'again' / 'report.json').read_text())['parent']['name'] == 'lifter'


def test_two_processes_learn_one_child_and_the_first_of_them_writes_it(bag, spoiled, tmp_path):
    import torch
    if not torch.distributed.is_available():
        pytest.skip('this PyTorch has no torch.distributed')
    done = subprocess.run([
        sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node=2', '--rdzv-backend=c10d',
        '--rdzv-endpoint=127.0.0.1:0', '--local-addr=127.0.0.1', '-m', 'selfpose_ros', 'update', str(bag), '--parent',
        str(spoiled), '--store', str(tmp_path / 'store'), '--name', 'lifter', '-o', str(tmp_path / 'out'), '--threads',
        '1', '--set', 'steps=150', '--set', 'lr=0.001', '--device', 'cpu', '--json', '--quiet'],
        capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)                                        # one process says something
    assert report['decision'] == 'promoted' and report['steps'] == 150
    assert [p.name for p in (tmp_path / 'store' / 'lifter').iterdir() if p.name.isdigit()] == ['0001']
    card = yaml.safe_load((tmp_path / 'out' / 'model' / 'card.yaml').read_text())
    assert card['parent']['name'] == report['parent']['name']


def _parent_of_another_order(folder: Path) -> Path:
    card = yaml.safe_load((write_lifter(folder) / 'card.yaml').read_text())
    card['joints'] = card['joints'][::-1]
    (folder / 'card.yaml').write_text(yaml.safe_dump(card))
    return folder


def _parent_of_another_kind(folder: Path) -> Path:
    card = yaml.safe_load((write_lifter(folder) / 'card.yaml').read_text())
    (folder / 'card.yaml').write_text(yaml.safe_dump(card | {'kind': 'segmenter'}))
    return folder


def _bag_without_keypoints(path: Path) -> Path:
    with ViewBag(path) as out:
        out.camera_info('cam1', 1., (640, 480))
    return path


def _nobody(path: Path) -> Path:
    write_bag(path, [View2D(v.camera, v.stamp, v.keypoints[:0], v.confidence[:0], v.image_size, v.person[:0])
                     for v in views(12.)])
    return path


def _written(path: Path, **more) -> Path:
    write_bag(path, views(**more))
    return path


@pytest.mark.parametrize('make, message', [
    (lambda d: (_nobody(d / 'empty'), None), 'nobody to learn from'),
    (lambda d: (_bag_without_keypoints(d / 'infos'), None), 'neither images nor keypoints in it'),
    (lambda d: (_written(d / 'one', cameras=1), None), 'a single camera; self-calibration needs two or more'),
    (lambda d: (_written(d / 'short', seconds=6.), None), 'too short to learn from one part and compare on another'),
    (lambda d: (None, _parent_of_another_order(d / 'm')), 'joints are in another order'),
    (lambda d: (None, _parent_of_another_kind(d / 'm')), 'kind must be lifter'),
    (lambda d: (None, write_lifter(d / 'm')), 'does not hold what the network is made of'),
    (lambda d: (None, d / 'nowhere'), 'neither a model folder nor a shipped model'),
    (lambda d: (d / 'nowhere', None), 'no such file or folder'),
    (lambda d: (write_archive(d / 'noise.npz'), None), 'too short to learn from'),
], ids=lambda v: v.split(';')[0] if isinstance(v, str) else '')
def test_what_does_not_fit_is_one_sentence_and_status_2(make, message, bag, spoiled, tmp_path, capsys):
    source, parent = make(tmp_path)
    assert update(source or bag, '--parent', parent or spoiled, '-o', tmp_path / 'out', '--quiet') == 2
    err = capsys.readouterr().err
    assert message in err and err.count('\n') == 1 and err.startswith('selfpose update: error: ')
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('arguments, message', [
    (('BAG',), 'required: --parent'),
    (('BAG', 'BAG', '--parent', 'P', '-o', 'OUT'), 'given twice'),
    (('BAG', '--parent', 'P'), 'nowhere to put the model; give -o DIR'),
    (('BAG', '--parent', 'P', '--store', 'OUT'), '--store and --name go together'),
    (('BAG', '--parent', 'P', '-o', 'OUT', '--held-out', '.9'), 'must be a number from 0.1 to 0.6'),
    (('BAG', '--parent', 'P', '-o', 'OUT', '--epochs', '0'), 'must be a whole number from 1 on'),
    (('BAG', '--parent', 'P', '-o', 'OUT', '--epochs', '3', '--set', 'epochs=4'), 'given twice'),
    (('BAG', '--parent', 'P', '-o', 'OUT', '--set', 'learning=4'), 'setting learning is not known to update'),
    (('BAG', '--parent', 'P', '-o', 'P'), 'is not an empty folder'),
])
def test_a_bad_command_line_is_one_sentence(arguments, message, bag, spoiled, tmp_path, capsys):
    places = {'BAG': bag, 'P': spoiled, 'OUT': tmp_path / 'out'}
    before = {p.name: p.read_bytes() for p in spoiled.iterdir()}
    assert update(*(places.get(a, a) for a in arguments)) == 2
    err = capsys.readouterr().err
    assert message in err and err.count('\n') == 1
    assert not (tmp_path / 'out').exists() and {p.name: p.read_bytes() for p in spoiled.iterdir()} == before


def test_some_recordings_may_teach_nothing(bag, spoiled, tmp_path, capsys):
    """An archive is taken as a bag is; what is too short is left out, and said."""
    X = views(6.)
    write_keypoints(tmp_path / 'short.npz', Recording.of('short', sorted({v.camera for v in X}), X))
    assert update(tmp_path / 'short.npz', bag, '--parent', spoiled, '-o', tmp_path / 'out', '--threads', 1, '--set',
                  'steps=1', '--device', 'cpu', '--quiet') in (0, 1)
    out, err = capsys.readouterr()
    assert 'note: left out: ' in err and 'short.npz' in err and str(bag) in out
    assert len(json.loads((tmp_path / 'out' / 'report.json').read_text())['recordings']) == 1


@pytest.mark.parametrize('missing', ['torch', 'selfpose_training'])
def test_without_the_training_packages_it_says_what_to_install(capsys, monkeypatch, missing, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name, *more: None if name == missing else find(name, *more))
    assert update(tmp_path, '--parent', tmp_path) == 2
    assert capsys.readouterr().err == (f'selfpose update: error: update: the Python package {missing} is not '
                                       "installed; pip install 'selfpose_ros[training]'\n")
