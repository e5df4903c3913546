# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose evaluate` end to end; what is wrong is one sentence."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('onnx')
from evaluation import PARAMETERS, evaluate
from model_folder import write_lifter

from selfpose_ros.inference.lifter import open_lifter
from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.synthetic import walker
from selfpose_training.evaluation.lifter import evaluate as measure


@pytest.fixture(scope='module')
def motion_file(tmp_path_factory) -> Path:
    parts = [walker(n / 25, 25., n, 'mixed').astype(np.float32) for n in (60, 30)]
    path = tmp_path_factory.mktemp('motion') / 'tiny.npz'
    np.savez(path, pos=np.concatenate(parts), seq_start=np.cumsum([0, *map(len, parts)]),
             seq_name=np.array(['a', 'b']), fps=np.float32(25))
    return path


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> Path:
    return write_lifter(tmp_path_factory.mktemp('models') / 'm', parameters=PARAMETERS)


@pytest.mark.parametrize('arguments', [(), ('--seed', 3, '--views', 2, '--travel')])
def test_the_figures_as_json_are_those_of_the_measurement(motion_file: Path, model: Path, capsys, arguments: tuple):
    status, out, err = evaluate(capsys, model, '--motion', motion_file, *arguments, '--json')
    assert (status, err) == (0, '')
    told = json.loads(out)
    seed, views = (3, 2) if arguments else (1, 4)
    wanted = measure(open_lifter(model), read_motion(motion_file), seed, views=views, travel=bool(arguments)).to_dict()
    assert {k: told[k] for k in wanted} == wanted
    assert told['model']['name'] == 'tiny' and told['motion'] == 'tiny.npz'
    assert told['frames'] == 90 and told['views'] == views


def test_the_figures_for_people(motion_file: Path, model: Path, capsys):
    status, out, _ = evaluate(capsys, model, '--motion', motion_file)
    told = json.loads(evaluate(capsys, model, '--motion', motion_file, '--json')[1])
    assert status == 0
    assert out.startswith('tiny: frame lifter, method by hand, 4386 parameters\n90 frames of 2 clips from tiny.npz')
    for line, name in (('single view', 'single'), ('views fused', 'fused')):
        figures = next(row for row in out.splitlines() if row.startswith(line)).split()[2:]
        assert figures == [f'{told[name][k]:.1f}' for k in ('n_mpjpe', 'pa_mpjpe', 'n_pck', 'auc', 'cps')]


def test_a_temporal_model_is_evaluated(motion_file: Path, tmp_path: Path, capsys):
    status, out, _ = evaluate(capsys, write_lifter(tmp_path / 'm', frames=9), '--motion', motion_file, '--json')
    assert status == 0 and json.loads(out)['model']['task'] == 'temporal'


def one_sentence(result: tuple[int, str, str], words: str) -> None:
    status, out, err = result
    assert (status, out) == (2, '') and err.startswith('selfpose evaluate: error: ') and err.count('\n') == 1
    assert words in err


def test_what_is_wrong_with_the_model_or_the_motion_is_one_sentence(motion_file: Path, model: Path, tmp_path: Path,
                                                                    capsys):
    one_sentence(evaluate(capsys, tmp_path / 'no', '--motion', motion_file), 'neither a model folder nor a shipped')
    one_sentence(evaluate(capsys, model, '--motion', tmp_path / 'no.npz'), 'no such file')
    one_sentence(evaluate(capsys, model), '--motion')
    one_sentence(evaluate(capsys, model, '--motion', motion_file, '--views', 5), '--views')
    one_sentence(evaluate(capsys, model, '--motion', motion_file, '--seed', -1), '--seed')
    bad = write_lifter(tmp_path / 'bad')
    (bad / 'model.onnx').write_bytes(b'')
    one_sentence(evaluate(capsys, bad, '--motion', motion_file), 'sha256')
    wrong = write_lifter(tmp_path / 'wrong', graph={'joints': 'pose3d'})
    one_sentence(evaluate(capsys, wrong, '--motion', motion_file), 'no output joints')
    np.savez(tmp_path / 'bad.npz', pos=np.zeros((5, 16, 3)))
    one_sentence(evaluate(capsys, model, '--motion', tmp_path / 'bad.npz'), 'pos must have shape')


def test_an_installation_without_training_says_so(motion_file: Path, model: Path, capsys, monkeypatch):
    for name in [m for m in sys.modules if m.split('.')[0] == 'selfpose_training']:
        monkeypatch.delitem(sys.modules, name)

    class Refusing:
        def find_spec(self, name, path=None, target=None):
            if name.split('.')[0] == 'selfpose_training':
                raise ModuleNotFoundError(f'No module named {name!r}', name=name)

    monkeypatch.setattr(sys, 'meta_path', [Refusing(), *sys.meta_path])
    one_sentence(evaluate(capsys, model, '--motion', motion_file), 'not part of this installation')
