# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Errors have fields and a text of them; both go to other processes, and to other rooms."""
from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

from selfpose_ros.core.errors import CoreError, ObservationError, SelfposeError
from selfpose_ros.inference.errors import InputError
from selfpose_ros.io.errors import IoError
from selfpose_ros.models.errors import ModelError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(('fields', 'text'), [
    (('wrong', 'mend it', 'a.npz'), 'a.npz: wrong; mend it'), (('wrong', '', 'a.npz'), 'a.npz: wrong'),
    (('wrong', 'mend it', ''), 'wrong; mend it'), (('wrong', '', ''), 'wrong')])
def test_the_text_is_made_of_the_fields(fields, text):
    what, remedy, place = fields
    error = IoError(what, remedy, place=Path(place) if place else '')
    assert (str(error), error.what, error.remedy, error.place) == (text, *fields)


def test_an_error_that_comes_from_another_process_has_its_fields():
    error = pickle.loads(pickle.dumps(IoError('wrong', 'mend it', place='a.npz')))
    assert type(error) is IoError and str(error) == 'a.npz: wrong; mend it'
    assert (error.what, error.remedy, error.place) == ('wrong', 'mend it', 'a.npz')


def test_an_error_of_a_copy_is_made_one_of_the_original():
    error = InputError('wrong', 'mend it', place='copy').at(Path('original'))
    assert type(error) is InputError and str(error) == 'original: wrong; mend it'
    assert (error.what, error.remedy, error.place) == ('wrong', 'mend it', 'original')


def test_an_error_of_a_part_is_made_one_of_the_whole():
    assert str(IoError('wrong', place='joint names').within('a.npz')) == 'a.npz: joint names: wrong'
    assert IoError('wrong').within(Path('a.npz')).place == 'a.npz'


def test_an_error_goes_to_another_room_with_its_fields():
    error = ModelError.of(IoError('wrong', 'mend it', place='a.npz'))
    assert type(error) is ModelError
    assert (str(error), error.what, error.remedy, error.place) == ('a.npz: wrong; mend it', 'wrong', 'mend it', 'a.npz')
    assert ModelError.of(KeyError('x')).what == "'x'"


def test_what_is_caught_as_a_value_error_stays_one():
    assert all(issubclass(c, ValueError) and issubclass(c, SelfposeError)
               for c in (CoreError, ObservationError, IoError, ModelError, InputError))


def test_every_room_has_its_errors_from_the_same_base():
    for file in [*(ROOT / 'selfpose_ros').glob('*/errors.py'), ROOT / 'training' / 'errors.py']:
        classes = {c.name: {b.id for b in c.bases} for c in ast.parse(file.read_text()).body
                   if isinstance(c, ast.ClassDef)}
        assert classes, file
        for name, bases in classes.items():
            assert bases & {'SelfposeError', *classes} or name == 'SelfposeError', f'{file}: {name}'
