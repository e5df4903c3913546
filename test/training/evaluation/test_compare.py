# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The table of finished trainings."""
from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from selfpose_ros.synthetic import walker
from selfpose_training.errors import TrainingError
from selfpose_training.evaluation import compare
from selfpose_training.evaluation.compare import latencies, main, read_run, table
from selfpose_training.evaluation.figures import Figures
from selfpose_training.export import lifter as export
from selfpose_training.methods import get
from selfpose_training.networks import make_network


def finished(folder: Path, method: str, seed: int, minutes: float, **changes) -> Path:
    """What a training leaves; its network has not learnt anything."""
    settings = asdict(get(method).configure({'seed': seed, 'steps': 100, 'width': 16, **changes}).settings)
    torch.manual_seed(0)
    network = make_network({'head': 'pose3d', 'width': settings['width'], 'common': 1, 'branch': 1}).eval()
    export.export_model(network, folder / 'model', {'name': folder.name, 'licence': 'none', 'method': method})
    (folder / 'config.json').write_text(json.dumps({'method': method, **settings}))
    (folder / 'history.json').write_text(json.dumps([{'step': 50, 'minutes': 9.}, {'step': 100, 'minutes': minutes}]))
    return folder


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> list[Path]:
    root = tmp_path_factory.mktemp('runs')
    first = finished(root / 'a', 'canonpose', 1, 1.)
    with pytest.MonkeyPatch.context() as patch:            # the exporter takes seconds, and writes the same again
        patch.setattr(export, 'write_graph',
                      lambda *given: shutil.copy(first / 'model' / 'model.onnx', given[-1] / 'model.onnx'))
        return [first, finished(root / 'b', 'system', 1, 3.), finished(root / 'c', 'canonpose', 2, 2., threads=2),
                finished(root / 'd', 'canonpose', 1, 4., gain=2.)]


def test_runs_that_differ_in_their_seed_are_a_row(runs: list[Path]) -> None:
    read = [read_run(f) for f in runs]
    assert [r.seed for r in read] == [1, 1, 2, 1] and [r.minutes for r in read] == [1, 3, 2, 4]
    figures = [Figures(100. + i, 0, 70. - i, 0, 80., 0, 120.) for i in range(4)]
    lines = table(read, figures, [1., 2., 3., 4.]).splitlines()[2:]
    cells = [[c.strip() for c in line.strip('|').split('|')] for line in lines]
    size = f'{read[0].parameters / 1e6:.2f} M'
    assert cells == [
        ['`canonpose --steps 100 --set width=16`', '2', '100.0 to 102.0', '68.0 to 70.0', '80.0', '120.0', size,
         '1.0 to 2.0', '2.00'],
        ['`system --steps 100 --set width=16`', '1', '101.0', '69.0', '80.0', '120.0', size, '3.0', '2.00'],
        ['`canonpose --steps 100 --set width=16 --set gain=2.0`', '1', '103.0', '67.0', '80.0', '120.0', size, '4.0',
         '4.00']]


def test_the_program(runs: list[Path], tmp_path: Path, capsys) -> None:
    joints = walker(2., 25., 3, 'exercise')
    np.savez(tmp_path / 'motion.npz', pos=joints, seq_start=[0, len(joints)], seq_name=['a'], fps=25.)
    motion = ['--motion', str(tmp_path / 'motion.npz')]
    assert main([str(runs[0]), str(runs[2]), *motion]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == 1 and '| 2 |' in rows[0]
    assert main([str(tmp_path / 'nowhere'), *motion]) == 2
    assert 'not the folder of a run' in capsys.readouterr().err
    assert main([str(runs[0]), '--motion', str(tmp_path / 'no.npz')]) == 2
    assert 'no.npz' in capsys.readouterr().err


def test_what_is_no_finished_training(runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / 'config.json').write_text((runs[0] / 'config.json').read_text())
    (tmp_path / 'history.json').write_text((runs[0] / 'history.json').read_text())
    with pytest.raises(TrainingError, match='has no model'):
        read_run(tmp_path)
    (tmp_path / 'history.json').write_text('[]')
    with pytest.raises(TrainingError, match='no training lies there'):
        read_run(tmp_path)


def test_latencies_are_of_calls_in_turn(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing about how long they take: each model is called, one after the other."""
    order: list[str] = []
    monkeypatch.setattr(compare, '_call', lambda model: lambda: order.append(model.card.name))
    assert len(latencies([read_run(f).model for f in runs[:2]], 4)) == 2
    assert order == ['a', 'b'] * 7
