# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Kinds of motion left out: nothing of them reaches a training, and both methods are measured on them."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from raising import raises

pytest.importorskip('torch', reason='the training needs torch: pip install selfpose_ros[training]')

from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.models.store import open_model
from selfpose_ros.synthetic import walker
from selfpose_training.errors import TrainingError
from selfpose_training.evaluation import kinds
from selfpose_training.evaluation.kinds import kept, left_out, main, teacher_of
from selfpose_training.trainer.display import Display

FPS = 10.
SECONDS, STYLES = (8., 7., 6.), ('mixed', 'walk', 'exercise')


@pytest.fixture(scope='module')
def motion_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clips = [walker(s, FPS, k, style) for k, (s, style) in enumerate(zip(SECONDS, STYLES, strict=True))]
    path = tmp_path_factory.mktemp('motion') / 'motion.npz'
    np.savez(path, pos=np.concatenate(clips).astype(np.float32), seq_start=np.cumsum([0, *map(len, clips)]),
             seq_name=np.array(['a', 'b', 'c']), fps=FPS, action=np.array(['Both', 'walk', 'exercise, bend']))
    return path


def test_words_choose_sequences(motion_file: Path) -> None:
    assert left_out(motion_file, 'WALK').tolist() == [False, True, False]
    assert left_out(motion_file, 'b').tolist() == [True, False, True]
    motion = read_motion(motion_file)
    some = kept(motion, np.array([True, False, True]))
    assert some.name == ('a', 'c') and some.start.tolist() == [0, 80, 140]
    np.testing.assert_array_equal(some.joints[80:], motion.joints[150:])
    for word in ('swim', ''):
        with raises(TrainingError, '[03] of 3 sequences have an action', place=str(motion_file)):
            left_out(motion_file, word)


def test_both_learn_from_the_others_alone_and_are_measured_on_the_kind(
        motion_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    learned, measured = {}, []
    fit, evaluate = kinds.fit, kinds.evaluate

    def watched(method, data, *more, **named):
        learned[method.name] = data
        outcome = fit(method, data, *more, **named)
        outcome.collapsed.clear()                          # so few steps make no body
        return outcome

    def seen(lifter, motion, seed):
        measured.append(motion.name)
        return evaluate(lifter, motion, seed)

    monkeypatch.setattr('os.sched_getaffinity', lambda pid: {0})   # processes take longer to start than the work takes
    monkeypatch.setattr(kinds, 'fit', watched)
    monkeypatch.setattr(kinds, 'evaluate', seen)
    arguments = ['--motion', str(motion_file), '--leave', 'walk', '--steps', '6', '--label-every', '1', '--set',
                 'width=8', '--set', 'batch=8', '--set', 'threads=1', '-o', str(tmp_path)]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(' | ')[:3] for line in lines[2:]] == [['| walk', '70', 'system'], ['| walk', '70', 'supervised']]
    assert measured == [('b',)] * 2
    # the truth without its second sequence; the teacher's poses, of the first and the last sequence alone
    assert len(learned['supervised']) == 140 and 0 < len(learned['system']) <= 140
    labels = teacher_of(read_motion(motion_file), tmp_path / 'teacher', 1, 1, Display(quiet=True))
    assert set(labels.poses.subject) == {0, 1, 2} and set(learned['system'].subj) == {0, 2}
    a, b = (open_model(tmp_path / 'walk' / m / 'model').card.everything['settings'] for m in kinds.METHODS)
    assert all(a[k] == b[k] for k in b if k in a)

    learned.clear()                                        # what is there is not trained again
    assert main(arguments) == 0 and not learned and capsys.readouterr().out.splitlines() == lines
    assert main([*arguments[:-1], str(tmp_path), '--leave', 'swim']) == 2
    assert 'kinds: error: ' in capsys.readouterr().err
