# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which lifter a word means."""
from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from model_folder import write_lifter

from selfpose_ros.inference import lifter_choice
from selfpose_ros.inference.backend import Backend
from selfpose_ros.inference.errors import BackendUnavailable
from selfpose_ros.inference.lifter_choice import LifterChoice
from selfpose_ros.models import store
from selfpose_ros.models.errors import ModelError


@pytest.fixture(autouse=True)
def fresh() -> None:
    lifter_choice._open.cache_clear()


def test_none_is_none() -> None:
    assert LifterChoice('none').open() is None and 'none is wanted' in LifterChoice('none').sentence


def test_a_folder_is_opened_once(tmp_path: Path) -> None:
    choice = LifterChoice(str(write_lifter(tmp_path / 'mine')))
    lifter = choice.open()
    assert lifter is not None and lifter.frames == 1 and choice.open() is lifter
    assert pickle.loads(pickle.dumps(choice)).open() is lifter
    assert 'tiny' in choice.sentence and 'by hand' in choice.sentence


@pytest.mark.parametrize('word', ['', 'no such model', '/nowhere'])
def test_a_wrong_word_is_an_error(word: str) -> None:
    with pytest.raises(ModelError):
        LifterChoice(word).open()


def test_auto_takes_what_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, '_SHIPPED', tmp_path)
    assert LifterChoice().open() is None and 'none is shipped' in LifterChoice().sentence
    lifter_choice._open.cache_clear()
    write_lifter(tmp_path / 'lifter')
    lifter = LifterChoice().open()
    assert lifter is not None and lifter.model.folder == tmp_path / 'lifter'


def test_auto_without_onnx_runtime_is_none_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, '_SHIPPED', tmp_path)
    write_lifter(tmp_path / 'lifter')

    def missing(*_: object) -> None:
        raise BackendUnavailable('ONNX Runtime cannot be loaded')
    monkeypatch.setattr(lifter_choice, 'open_lifter', missing)
    assert LifterChoice().open() is None and 'ONNX Runtime' in LifterChoice().sentence
    with pytest.raises(BackendUnavailable):
        LifterChoice('lifter').open()
    with pytest.raises(BackendUnavailable):                # never silently something else
        LifterChoice('auto', Backend('tensorrt')).open()


def test_a_fresh_one_is_nobody_elses(tmp_path: Path) -> None:
    choice = LifterChoice(str(write_lifter(tmp_path / 'mine')))
    (one, sentence), two = choice.fresh(), choice.open()
    assert one is not None and two is not None and one is not two and one.session is two.session
    assert sentence == choice.sentence
