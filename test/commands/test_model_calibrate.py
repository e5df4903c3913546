# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model calibrate`: what error goes with a network's confidences, on its card."""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

pytest.importorskip('onnxruntime')

from selfpose_ros import cli
from selfpose_ros.core.noise import Accuracy
from selfpose_ros.demo import rooms
from selfpose_ros.demo.film import make_film
from selfpose_ros.inference.pose2d import make_pose2d
from selfpose_ros.inference.views import ViewMap
from selfpose_ros.models import card_text
from selfpose_ros.models.store import open_model

SHORT = ('--people', '2', '--pictures', '24', '--quiet')


@pytest.fixture(scope='module', autouse=True)
def films():
    """Rooms that are rendered once for all tests here."""
    made = {}

    def once(cameras, seconds, seed, rate, size, progress, workers, people, far):
        key = seconds, seed, people
        if key not in made:
            made[key] = make_film(cameras, seconds, seed, rate, size, progress, workers, people, far)
        return made[key]

    with pytest.MonkeyPatch.context() as m:
        m.setattr(rooms, 'make_film', once)
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped network, with nothing on its card of its errors."""
    target = tmp_path / 'models' / 'mine'
    shutil.copytree(open_model('rendered_pose').folder, target)
    card = yaml.safe_load((target / 'card.yaml').read_text())
    del card['accuracy']
    (target / 'card.yaml').write_text('# kept\n' + yaml.safe_dump(card))
    return target


def test_it_is_measured_checked_and_put_on_the_card_and_views_carry_it(folder: Path, capsys) -> None:
    before = yaml.safe_load((folder / 'card.yaml').read_text())
    assert make_pose2d(str(folder)).accuracy is None
    assert cli.main(['model', 'calibrate', str(folder), *SHORT, '--json']) == 0
    told = json.loads(capsys.readouterr().out)['accuracy']
    assert '# kept' in (folder / 'card.yaml').read_text()
    assert yaml.safe_load((folder / 'card.yaml').read_text()) == {**before, 'accuracy': told}
    accuracy = make_pose2d(str(folder)).accuracy
    assert accuracy == Accuracy(tuple(told['confidence']), tuple(told['sigma']))
    # a hundredth of the height or so: a network of pixels at the one end, of bodies at the other, would be far off
    assert .002 < accuracy.sigma[-1] < .02 and accuracy.sigma[0] > 1.5 * accuracy.sigma[-1]
    assert told['held_out']['seed'] == 2 and 45 < told['held_out']['within_1_sigma'] < 85
    view = ViewMap.of(make_pose2d(str(folder))).view(make_pose2d(str(folder)).infer(_grey()), 'a', 0., (64, 64))
    assert view.accuracy == accuracy


def _grey():
    import numpy as np
    return np.full((64, 64, 3), 114, np.uint8)


def test_one_that_finds_too_few_leaves_the_card_as_it_was(folder: Path, capsys) -> None:
    text = (folder / 'card.yaml').read_text()
    status = cli.main(['model', 'calibrate', str(folder), '--people', '1', '--pictures', '4', '--quiet',
                       '--model-option', 'min_score=1.0'])
    assert status == 2 and (folder / 'card.yaml').read_text() == text
    assert 'too few joints to measure errors on; give more --pictures' in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_said_to_be_so(folder: Path, capsys, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(card_text, 'set_on_card', full)
    status = cli.main(['model', 'calibrate', str(folder), *SHORT])
    said = capsys.readouterr().err
    assert status == 2 and said.count('\n') == 1
    assert f'{folder}: cannot be written (No space left on device); copy the model folder to where you may' in said


def test_a_lifter_has_no_confidences_to_measure(capsys) -> None:
    assert cli.main(['model', 'calibrate', 'lifter', *SHORT]) == 2
    assert 'is a lifter, not a 2D pose network' in capsys.readouterr().err
