# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model convention` writes what was learned, and `selfpose reconstruct --convention` uses it."""
from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from selfpose_ros import cli
from selfpose_ros.commands import reconstruct
from selfpose_ros.core import convention_estimate
from selfpose_ros.core.convention import Convention, ConventionError
from selfpose_ros.core.convention_estimate import Halves
from selfpose_ros.core.observation import MultiView
from selfpose_ros.io.archive import write_keypoints
from selfpose_ros.io.convention_file import read_convention, write_convention
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.recording import Recording
from selfpose_ros.synthetic import observe, ring_rig, walker

KNEES = Convention({('knee', 'knee', 'hip'): .1})


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    folder = tmp_path / 'archives'
    folder.mkdir()
    X, rig = walker(2., 8., 1, 'mixed'), ring_rig(4, 1)
    for name in ('first', 'second'):
        write_keypoints(folder / f'{name}.npz', Recording.of(name, rig.cameras, observe(X, rig, 8., 1)))
    return folder


def with_halves(monkeypatch: pytest.MonkeyPatch, shift: Convention) -> list[int]:
    """Calibration takes seconds for each recording: the second one has none, the first shows eight people."""
    seen: list[int] = []

    def halves_of(frames: Sequence[MultiView]) -> list[Halves]:
        seen.append(len(frames))
        if len(seen) == 2:
            raise ConventionError('a rig of 3 cameras', 'two halves need four')
        rng = np.random.default_rng(2)
        out = []
        for k in range(8):
            X = shift.moved(walker(20., 10., 40 + k, 'exercise', 1.6 + .04 * k))
            out.append(Halves(*(X + rng.normal(0, .02, X.shape) for _ in range(2)), np.arange(len(X)) / 10))
        return out

    monkeypatch.setattr(convention_estimate, 'halves_of', halves_of)
    return seen


def test_it_is_written_and_told(archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                capsys: pytest.CaptureFixture[str]) -> None:
    seen = with_halves(monkeypatch, KNEES)
    out = tmp_path / 'c.json'
    assert cli.main(['model', 'convention', str(archives), '-o', str(out), '--quiet']) == 0
    assert seen == [16, 16]
    text = capsys.readouterr().out
    assert 'from 1 of 2 recordings' in text and 'left out: second: a rig of 3 cameras' in text
    found = read_convention(out)
    assert found.shares['knee', 'knee', 'hip'] == pytest.approx(-.1, abs=.03)
    assert {m[0] for m in found.shares} == {'knee'} and json.loads(out.read_text())['learned_from'] == ['first']
    assert f'{100 * found.shares["knee", "knee", "hip"]:+.1f}' in text

    parser = argparse.ArgumentParser()
    reconstruct.add_arguments(parser)
    asked = parser.parse_args([str(archives / 'first.npz'), '-o', str(tmp_path / 'x.npz'), '--lifter', 'none',
                               '--convention', str(out)])
    assert reconstruct._jobs(asked)[0].config.convention == found


def test_where_nothing_is_off_nothing_is_moved(archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    with_halves(monkeypatch, Convention({}))
    assert cli.main(['model', 'convention', str(archives), '-o', str(tmp_path / 'c.json'), '--json', '--quiet']) == 0
    assert json.loads(capsys.readouterr().out)['moves'] == [] and read_convention(tmp_path / 'c.json').shares == {}


@pytest.mark.parametrize(('content', 'words'), [
    ('', 'not a file of joint conventions'), ('[]', 'not a file'), ('{}', 'no .moves.'), ('{"moves": [1]}', 'not a'),
    ('{"moves": [{"joint": "knee", "from": "knee", "to": "hip", "share": 5}]}', 'must be within 0.6'),
    ('{"moves": [{"joint": "ear", "from": "knee", "to": "hip", "share": 0.1}]}', 'no joint is moved as in ear'),
    (' ' * 70_000, 'longer than 65536 bytes')])
def test_other_files_are_refused_in_one_sentence(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / 'c.json').write_text(content)
    with pytest.raises(IoError, match=words) as told:
        read_convention(tmp_path / 'c.json')
    assert '\n' not in str(told.value) and str(told.value).endswith('make one with selfpose model convention')


def test_no_file_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(IoError, match='No such file'):
        read_convention(tmp_path / 'none.json')
    (tmp_path / 'file').write_text('')
    with pytest.raises(IoError, match='cannot be written'):
        write_convention(tmp_path / 'file' / 'c.json', KNEES, [])
