# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cards of models: what is read, and the sentence for each thing that can be wrong."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model_folder import card, write_model
from raising import raises

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.models.card import parse_card, read_card, same_shape, sha256_of
from selfpose_ros.models.errors import ModelError


@pytest.mark.parametrize('frames', [1, 9])
def test_a_sound_card_is_read_with_all_that_it_says(tmp_path: Path, frames: int):
    found = read_card(write_model(tmp_path / 'm', frames=frames, notes='by a test'))
    assert (found.name, found.kind, found.frames) == ('tiny', 'lifter', frames)
    assert found.interval_s == (.04 if frames > 1 else 0) and found.task == ('temporal' if frames > 1 else 'frame')
    assert found.joints == JOINTS and found.everything['notes'] == 'by a test'
    assert found.inputs[0].shape == (('N', 9, 17, 3) if frames > 1 else ('N', 17, 3))
    assert found.sha256 == sha256_of(tmp_path / 'm' / 'model.onnx')


SWAPPED = [JOINTS[0], JOINTS[4], *JOINTS[2:4], JOINTS[1], *JOINTS[5:]]


@pytest.mark.parametrize(('wrong', 'words'), [
    ({'kind': 'segmenter'}, "kind must be lifter .*got 'segmenter'"),
    ({'task': 'video'}, 'task must be frame or temporal'),
    ({'frames': 9}, 'frames must be 1 for a frame lifter, got 9'),
    ({'task': 'temporal'}, 'frames must be a whole number from 2 on'),
    ({'task': 'temporal', 'frames': 9}, 'interval_s is missing, expected the time between its frames, s'),
    *[({'task': 'temporal', 'frames': 9, 'interval_s': x}, 'interval_s must be')
      for x in (0, -.04, 3., 'a', float('nan'))],
    ({'frames': True}, 'frames must be 1'),
    ({'joints': SWAPPED}, r'joints are in another order \(number 1 is .l_hip., expected r_hip\)'),
    ({'joints': list(JOINTS[:16])}, 'joints are 16, expected 17'),
    ({'joints': 'all'}, 'joints must be the 17 joint names'),
    ({'normalisation': 'minmax'}, 'normalisation must be frob'),
    ({'sha256': 'abc'}, 'sha256 must be the 64 hexadecimal digits'),
    ({'name': '../up'}, 'name must be letters'),
    ({'licence': ''}, 'licence must be'),
    ({'inputs': []}, 'inputs lack the tensor pose'),
    ({'inputs': ['pose']}, r'inputs\[0\] must be a tensor'),
    ({'inputs': [{'name': 'pose', 'shape': ['N', 16, 3]}]}, r'pose must have shape \(N, 17, 3\), got \(N, 16, 3\)'),
    ({'inputs': [*card()['inputs'], {'name': 'image', 'shape': ['N']}]}, 'nothing is known to give to image'),
    ({'outputs': card()['outputs'][:1]}, 'outputs lack the tensor log_sigma'),
    ({'outputs': [{'name': 'joints', 'shape': [1, 17, 3]}]}, r'joints must have shape \(N, 17, 3\), got \(1, 17, 3\)'),
    ({'outputs': [{'name': 'joints', 'shape': [-1, 17, 3]}]}, r'outputs\[0\]: shape must be'),
    *[({key: None}, f'{key} is missing') for key in ('name', 'kind', 'task', 'frames', 'method', 'inputs', 'outputs',
                                                     'joints', 'normalisation', 'sha256', 'licence')],
])
def test_what_is_wrong_is_named(wrong: dict, words: str):
    with pytest.raises(ModelError, match=rf'^here: {words}' if ' is missing' in words else words) as error:
        parse_card(card(**wrong), 'here')
    assert str(error.value).startswith('here: ')


def test_more_outputs_are_welcome():
    more = {'name': 'rotation', 'shape': ['N', 3, 3]}
    assert len(parse_card(card(outputs=[*card()['outputs'], more]), 'here').outputs) == 3


@pytest.mark.parametrize(('text', 'words'), [
    ('{', 'not YAML'), ('', 'expected a mapping'), ('- 1', 'expected a mapping'), ('a: \xff', 'cannot be read'),
])
def test_a_file_that_is_no_card_is_named(tmp_path: Path, text: str, words: str):
    folder = write_model(tmp_path / 'm')
    (folder / 'card.yaml').write_bytes(text.encode('latin-1'))
    with raises(ModelError, words, place=tmp_path / 'm/card.yaml') as error:
        read_card(folder)
    assert str(folder / 'card.yaml') in str(error.value)


def test_a_card_cannot_run_code(tmp_path: Path):
    folder = write_model(tmp_path / 'm')
    (folder / 'card.yaml').write_text(f'!!python/object/apply:os.mkdir [{tmp_path}/made]')
    with raises(ModelError, 'not YAML', place=tmp_path / 'm/card.yaml'):
        read_card(folder)
    assert not (tmp_path / 'made').exists()


def test_missing_folder_and_missing_files_are_named(tmp_path: Path):
    with raises(ModelError, 'no such model folder', place=tmp_path / 'no'):
        read_card(tmp_path / 'no')
    with raises(ModelError, r'no such file', place=tmp_path / 'card.yaml'):
        read_card(tmp_path)
    with raises(ModelError, r'no such file', place=tmp_path / 'model.onnx'):
        sha256_of(tmp_path / 'model.onnx')


def test_words_of_a_shape_agree_with_words_only():
    assert same_shape(('N', 17, 3), ('batch', 17, 3)) and same_shape((None, 17), ('N', 17))
    assert not same_shape(('N', 17), (1, 17)) and not same_shape((1, 17), ('N', 17))
    assert not same_shape(('N', 17), ('N', 16)) and not same_shape(('N', 17), ('N', 17, 3))


def test_the_room_loads_no_engine():
    code = ('import sys; import selfpose_ros.models.store; '
            'print(sorted({"torch", "onnxruntime", "onnx", "rclpy"} & set(sys.modules)))')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'


@pytest.mark.parametrize('text', ['created: 2026-13-45', '[' * 4000, 'a: !!python/name:os.system', '? [1]\n: 2', '\0',
                                  '&a [*a]',
                                  'sha256: 0x' + 'f' * 9000, '- 1', 'name: {a: b', '1: 2', 'kind: .nan'])
def test_a_card_that_yaml_chokes_on_is_one_sentence(tmp_path: Path, text: str):
    (tmp_path / 'card.yaml').write_text(text)
    with pytest.raises(ModelError) as error:
        read_card(tmp_path)
    assert '\n' not in str(error.value) and str(tmp_path / 'card.yaml') in str(error.value)


def test_any_damage_to_a_card_ends_in_an_error_of_ours(tmp_path: Path):
    """Characters changed, left out, put in; seeded, so that a failure can be repeated."""
    sound = write_model(tmp_path / 'm') / 'card.yaml'
    text, rng = sound.read_bytes(), np.random.default_rng(3)
    for _ in range(150):
        broken = bytearray(text)
        for _ in range(rng.integers(1, 6)):
            at = rng.integers(len(broken))
            broken[at:at + rng.integers(0, 9)] = rng.choice(list(b':-[]{}&*!|>%@`?,#\'" \n\t0a\xff\x00'), 2).astype(
                np.uint8).tobytes()
        sound.write_bytes(broken)
        try:
            read_card(tmp_path / 'm')
        except ModelError as error:
            assert '\n' not in str(error)
