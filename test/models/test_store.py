# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The store: models by name and path, damage found, versions promoted and rolled back, nothing ever half done."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from model_folder import write_model
from raising import raises

from selfpose_ros.models import store
from selfpose_ros.models.errors import ModelError


def content(folder: Path) -> bytes:
    return store.open_model(folder).file.read_bytes()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob('*')) if p.is_file()
            and p.name != '.lock'}


def test_a_model_is_opened_by_path_as_text_and_as_path(tmp_path: Path):
    folder = write_model(tmp_path / 'm')
    assert store.open_model(folder) == store.open_model(str(folder))
    assert store.open_model(folder).file == folder / 'model.onnx'


def test_a_shipped_model_is_opened_by_its_name(tmp_path: Path, monkeypatch):
    for name in ('b', 'a'):
        write_model(tmp_path / 'shipped' / name, name.encode())
    (tmp_path / 'shipped' / '__pycache__').mkdir()
    write_model(tmp_path / 'here' / 'a', b'of the same name')
    monkeypatch.setattr(store, '_SHIPPED', tmp_path / 'shipped')
    monkeypatch.chdir(tmp_path / 'here')
    assert store.shipped() == ('a', 'b')
    assert store.open_model('a').file.read_bytes() == b'a'
    assert store.open_model('./a').file.read_bytes() == b'of the same name'
    with pytest.raises(ModelError, match=r'^c: neither .* take one that is shipped: a, b$'):
        store.open_model('c')


def test_every_model_that_is_shipped_is_sound():
    for name in store.shipped():
        assert store.open_model(name).card.licence


def test_a_file_other_than_the_one_on_the_card_is_refused(tmp_path: Path):
    folder = write_model(tmp_path / 'm')
    (folder / 'model.onnx').write_bytes(b'a graph!')
    with raises(ModelError, r'its sha256 is .*damaged', place=tmp_path / 'm/model.onnx'):
        store.open_model(folder)
    (folder / 'model.onnx').unlink()
    with raises(ModelError, 'no such file', place=tmp_path / 'm/model.onnx'):
        store.open_model(folder)


def test_versions_are_promoted_and_rolled_back_one_after_the_other(tmp_path: Path):
    entry = tmp_path / 'store' / 'lifter'
    children = [write_model(tmp_path / f'child{i}', str(i).encode()) for i in range(4)]
    for i in range(3):
        assert store.promote(children[i], tmp_path / 'store', 'lifter').folder == entry / f'000{i + 1}'
        assert content(entry) == str(i).encode()
    assert store.rollback(tmp_path / 'store', 'lifter').folder == entry / '0002'
    assert content(entry) == b'1'
    # what was rolled back from is not what a later rollback goes to
    assert store.promote(children[3], tmp_path / 'store', 'lifter').folder == entry / '0004'
    store.rollback(tmp_path / 'store', 'lifter')
    assert content(entry) == b'1'
    store.rollback(tmp_path / 'store', 'lifter')
    assert content(entry) == b'0'
    with raises(ModelError, 'version 0001 is the first', place=tmp_path / 'store/lifter'):
        store.rollback(tmp_path / 'store', 'lifter')
    assert content(entry) == b'0'
    events = store.versions(entry)['events']
    assert [(e['action'].split()[0], e['version']) for e in events] == [
        ('promoted', '0001'), ('promoted', '0002'), ('promoted', '0003'), ('rolled', '0002'), ('promoted', '0004'),
        ('rolled', '0002'), ('rolled', '0001')]
    assert content(entry / '0003') == b'2' and content(children[0]) == b'0'


def test_a_damaged_child_leaves_the_store_as_it_was(tmp_path: Path):
    good, bad = (write_model(tmp_path / n, n.encode()) for n in ('good', 'bad'))
    (bad / 'model.onnx').write_bytes(b'other')
    with raises(ModelError, place=tmp_path / 'bad/model.onnx'):
        store.promote(bad, tmp_path / 'store', 'lifter')
    assert not (tmp_path / 'store').exists()
    store.promote(good, tmp_path / 'store', 'lifter')
    before = snapshot(tmp_path / 'store')
    with raises(ModelError, place=tmp_path / 'bad/model.onnx'):
        store.promote(bad, tmp_path / 'store', 'lifter')
    assert snapshot(tmp_path / 'store') == before


@pytest.mark.parametrize('where', ['copyfile', 'rename', 'replace'])
def test_a_machine_that_stops_half_way_leaves_the_current_version(tmp_path: Path, monkeypatch, where: str):
    first, second = (write_model(tmp_path / n, n.encode()) for n in ('first', 'second'))
    store.promote(first, tmp_path / 'store', 'lifter')

    def full(*args):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as m:
        m.setattr(store.shutil if where == 'copyfile' else os, where, full)
        with raises(ModelError, 'No space left on device', place=tmp_path / 'store/lifter'):
            store.promote(second, tmp_path / 'store', 'lifter')
    entry = tmp_path / 'store' / 'lifter'
    assert content(entry) == b'first'
    assert not list(entry.glob('.*.part'))
    # and the next one goes through, whatever number it gets
    store.promote(second, tmp_path / 'store', 'lifter')
    assert content(entry) == b'second'
    store.rollback(tmp_path / 'store', 'lifter')
    assert content(entry) == b'first'


def test_two_at_once_make_two_versions(tmp_path: Path):
    folder = write_model(tmp_path / 'm')
    code = ('import sys; from pathlib import Path; from selfpose_ros.models.store import promote\n'
            'for _ in range(5): promote(Path(sys.argv[1]), Path(sys.argv[2]), "lifter")')
    running = [subprocess.Popen([sys.executable, '-c', code, str(folder), str(tmp_path / 'store')]) for _ in range(2)]
    assert [p.wait(60) for p in running] == [0, 0]
    state = store.versions(tmp_path / 'store' / 'lifter')
    assert state['current'] == [f'{i:04d}' for i in range(1, 11)] and len(state['events']) == 10


def test_a_damaged_earlier_version_is_not_rolled_back_to(tmp_path: Path):
    for name in ('first', 'second'):
        store.promote(write_model(tmp_path / name, name.encode()), tmp_path / 'store', 'lifter')
    entry = tmp_path / 'store' / 'lifter'
    (entry / '0001' / 'model.onnx').write_bytes(b'other')
    with raises(ModelError, place=tmp_path / 'store/lifter/0001/model.onnx'):
        store.rollback(tmp_path / 'store', 'lifter')
    assert content(entry) == b'second'


@pytest.mark.parametrize('name', ['', '..', 'a/b', '.hidden', 'x' * 65])
def test_a_name_that_is_no_name_is_refused(tmp_path: Path, name: str):
    with pytest.raises(ModelError, match='not a name for a model'):
        store.promote(write_model(tmp_path / 'm'), tmp_path / 'store', name)


@pytest.mark.parametrize('text', [
    '{', 'current: []\nevents: []', 'current: [../../m]\nevents: []', 'current: [1]\nevents: []', '[]'])
def test_a_damaged_entry_is_named(tmp_path: Path, text: str):
    store.promote(write_model(tmp_path / 'm'), tmp_path / 'store', 'lifter')
    entry = tmp_path / 'store' / 'lifter'
    (entry / store.VERSIONS).write_text(text)
    for ask in (lambda: store.open_model(entry), lambda: store.rollback(tmp_path / 'store', 'lifter')):
        with raises(ModelError, r'.*give a version folder', place=tmp_path / 'store/lifter/versions.yaml'):
            ask()
    assert content(entry / '0001')


def test_rolling_back_what_is_no_entry_makes_no_folder(tmp_path: Path):
    with raises(ModelError, 'not an entry of a model store', place=tmp_path / 'store/lifter'):
        store.rollback(tmp_path / 'store', 'lifter')
    assert not (tmp_path / 'store').exists()


def test_the_history_is_plain_yaml(tmp_path: Path):
    store.promote(write_model(tmp_path / 'm'), tmp_path / 'store', 'lifter')
    raw = yaml.safe_load((tmp_path / 'store' / 'lifter' / 'versions.yaml').read_text())
    assert raw['current'] == ['0001'] and set(raw['events'][0]) == {'time', 'action', 'version', 'sha256'}
