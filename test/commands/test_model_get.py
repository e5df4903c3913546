# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model get` with a network that the test builds, in the place of somebody's."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
import colour_networks as nets

from selfpose_ros import cli
from selfpose_ros.inference.pose2d import make_pose2d
from selfpose_ros.models import catalogue
from selfpose_ros.models.card import sha256_of
from selfpose_ros.models.catalogue import Entry
from selfpose_ros.models.errors import ModelNotHere


@pytest.fixture
def stick(tmp_path: Path, monkeypatch) -> Path:
    """A folder with a pose network and its detector, which are all that the catalogue holds."""
    folder = tmp_path / 'stick'
    folder.mkdir()
    files = {'people': nets.rtmdet(folder / 'people.onnx'), 'joints': nets.simcc(folder / 'joints.onnx')}
    entries = {name: Entry(name, preset, 'Apache-2.0', 'a test', sha256_of(files[name]), f'{name}.onnx',
                           f'{name}-1.zip', f'/{name}.onnx', f'http://127.0.0.1:1/{name}-1.zip', 1., detector)
               for name, preset, detector in (('people', 'rtmdet', ''), ('joints', 'rtmpose', 'people'))}
    monkeypatch.setattr(catalogue, 'CATALOGUE', entries)
    from selfpose_ros.models import store
    monkeypatch.setattr(store, 'CATALOGUE', entries)
    monkeypatch.setenv('SELFPOSE_MODELS', str(tmp_path / 'models'))
    return folder


def get(capsys, *arguments: object) -> tuple[int, str, str]:
    status = cli.main(['model', 'get', *map(str, arguments)])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_what_is_fetched_is_known_by_its_name_with_what_it_needs(stick: Path, tmp_path: Path, capsys):
    status, out, err = get(capsys, 'joints', '--from', stick)
    assert (status, err) == (0, '')
    assert [row.split(':')[0] for row in out.splitlines()] == ['people', 'joints']
    net = make_pose2d('joints')
    assert len(net.sessions) == 2 and net.name == 'joints'
    card = (tmp_path / 'models' / 'joints' / 'card.yaml').read_text()
    assert 'detector: people' in card and 'source: joints.onnx' in card and 'licence: Apache-2.0' in card
    assert sorted(p.name for p in (tmp_path / 'models').iterdir()) == ['.lock', 'joints', 'people']
    # again, and without the stick: nothing is fetched
    assert 'is here already, sound' in get(capsys, 'joints')[1]


@pytest.mark.parametrize('words', [(), ('--from', '{empty}')])
def test_whoever_has_to_copy_files_is_told_of_all_of_them_at_once(stick: Path, tmp_path: Path, capsys, words):
    (tmp_path / 'empty').mkdir()
    status, _, err = get(capsys, 'joints', *(w.format(empty=tmp_path / 'empty') for w in words))
    assert status == 2 and err.count('\n') == 1
    assert 'people-1.zip' in err and 'joints-1.zip ("curl -LO http://127.0.0.1:1/joints-1.zip"), too' in err
    get(capsys, 'people', '--from', stick)
    assert ', too' not in get(capsys, 'joints')[2], 'the other one is here'


def test_another_folder_keeps_both_together(stick: Path, tmp_path: Path, capsys):
    assert get(capsys, 'joints', '--from', stick, '--folder', tmp_path / 'elsewhere')[0] == 0
    assert len(make_pose2d(str(tmp_path / 'elsewhere' / 'joints')).sessions) == 2
    assert not (tmp_path / 'models').exists()


def test_without_a_name_it_says_what_there_is(stick: Path, tmp_path: Path, capsys):
    status, out, _ = get(capsys)
    assert status == 0 and out.splitlines()[0].startswith('people  Apache-2.0, 1 MB, a test')
    assert out.endswith(f'they are kept in {tmp_path / "models"}\n') and 'is here' not in out
    get(capsys, 'people', '--from', stick)
    told = json.loads(get(capsys, '--json')[1])
    assert [(t['name'], t['here']) for t in told] == [('people', True), ('joints', False)]


def test_a_name_that_is_none_stops_it_before_anything_is_fetched(stick: Path, tmp_path: Path, capsys):
    status, _, err = get(capsys, 'people', 'jonts', '--from', stick)
    assert status == 2 and "'jonts' is not in the catalogue; choose one of: people, joints" in err
    assert not (tmp_path / 'models').exists()


def test_a_damaged_one_is_said_to_be_so_and_how_it_comes_again(stick: Path, tmp_path: Path, capsys):
    get(capsys, 'people', '--from', stick)
    folder = tmp_path / 'models' / 'people'
    (folder / 'model.onnx').write_bytes(b'x')
    status, _, err = get(capsys, 'people', '--from', stick)
    assert status == 2 and f'remove {folder}: selfpose model get people brings it again' in err


def test_a_graph_of_another_family_leaves_nothing_behind(stick: Path, tmp_path: Path, capsys, monkeypatch):
    from dataclasses import replace
    entries = catalogue.CATALOGUE
    monkeypatch.setitem(entries, 'people', replace(entries['people'], preset='yolox'))
    status, _, err = get(capsys, 'joints', '--from', stick)
    assert status == 2 and err.count('\n') == 1
    assert not (tmp_path / 'models' / 'people').exists() and not (tmp_path / 'models' / 'joints').exists()


def test_a_folder_that_cannot_be_written(stick: Path, tmp_path: Path, capsys):
    (tmp_path / 'file').write_text('in the way')
    status, _, err = get(capsys, 'people', '--from', stick, '--folder', tmp_path / 'file')
    assert status == 2 and 'cannot be written' in err and 'SELFPOSE_MODELS' in err


def test_reconstruct_says_how_the_default_network_comes(tmp_path: Path, capsys, monkeypatch):
    import cv2
    monkeypatch.setenv('SELFPOSE_MODELS', str(tmp_path / 'none'))
    writer = cv2.VideoWriter(str(tmp_path / 'v.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10, (64, 64))
    for _ in range(3):
        writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    said = (f'2D network {catalogue.DEFAULT} is not here yet: fetch it once with "selfpose model get '
            f'{catalogue.DEFAULT}" (36 MB, into {tmp_path / "none"}), which also says how without a network\n')
    assert cli.main(['reconstruct', str(tmp_path / 'v.mp4'), '-o', str(tmp_path / 'out')]) == 2
    assert capsys.readouterr().err == f'selfpose reconstruct: error: {said}'


def test_an_archive_needs_no_network(tmp_path: Path, capsys, monkeypatch):
    from selfpose_ros.inference.pose2d import check_pose2d
    monkeypatch.setenv('SELFPOSE_MODELS', str(tmp_path / 'none'))
    check_pose2d(catalogue.DEFAULT, needed=False)
    with pytest.raises(ModelNotHere):
        check_pose2d(catalogue.DEFAULT)
