# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Updates in other worlds: what is other in each of them, and what is measured on whom."""
from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from raising import raises

pytest.importorskip('torch', reason='the training needs torch: pip install selfpose_ros[training]')

from selfpose_ros.core.skeleton import PARENTS
from selfpose_ros.synthetic import walker
from selfpose_ros.synthetic.motion_capture import Motion
from selfpose_training.errors import TrainingError
from selfpose_training.evaluation import shifted
from selfpose_training.evaluation.shifted import WORLDS, World, child_sized, main, recordings_of, views_of

FPS = 16.


def motion(seconds: float = 6.) -> Motion:
    clips = [walker(seconds, FPS, 7 + k, 'mixed') for k in range(2)]
    return Motion(np.concatenate(clips), np.cumsum([0, *map(len, clips)]), ('a', 'b'), FPS)


def test_children_are_small_with_large_heads_and_stand_on_the_floor() -> None:
    grown, child = motion().joints, child_sized(motion()).joints
    bone = [np.linalg.norm(x[:, 1:] - x[:, PARENTS[1:]], axis=-1) for x in (grown, child)]
    ratio = bone[1].mean(0) / bone[0].mean(0)
    assert np.ptp(bone[1] / bone[0], axis=0).max() < 1e-6 and .55 < ratio.min() < ratio[9] == ratio.max() < 1
    np.testing.assert_allclose(child[..., 2].min(1), grown[..., 2].min(1), atol=1e-9)
    assert .9 < np.ptp(child[..., 2], axis=1).max() < 1.3


@pytest.mark.parametrize('name, height, focal', [
    ('children', (.5, 2.5), (800, 1400)), ('low cameras', (.1, .4), (800, 1400)),
    ('wide lenses', (.5, 2.5), (380, 520)), ('other joints', (.5, 2.5), (800, 1400))])
def test_each_world_has_its_cameras_and_its_people(name: str, height: tuple[float, float],
                                                   focal: tuple[float, float]) -> None:
    seen, usual = views_of(motion(), WORLDS[name], 1), views_of(motion(), World(), 1)
    assert len(seen) == 2
    for v, u in zip(seen, usual, strict=True):
        R, t, X = v.views.R, v.views.t, v.views.X
        assert R is not None and t is not None and X is not None
        z = -np.einsum('vji,vj->vi', R, t)[:, 2]
        assert height[0] <= z.min() and z.max() <= height[1]
        # the truth is where the 2D joints are, but for their errors, by a camera of such a lens
        cam = np.einsum('vij,tkj->tvki', R, X) + t[:, None]
        f = np.nanmedian((v.views.kp - 500)[..., 1] * cam[..., 2] / cam[..., 1], (0, 2))
        assert (f > .95 * focal[0]).all() and (f < 1.05 * focal[1]).all()
        assert np.allclose(X, u.views.X, atol=1e-6) == (name.endswith('cameras') or name.endswith('lenses'))


def test_the_program_measures_there_and_in_the_usual_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / 'motion.npz', pos=motion().joints.astype(np.float32), seq_start=motion().start,
             seq_name=np.array(['a', 'b']), fps=FPS)
    learned = []

    def learn(parent, recordings, folder, changes, **more):
        learned.append((len(recordings), changes['steps']))
        return SimpleNamespace(network=parent, collapsed=[], step=changes['steps']), 0.

    monkeypatch.setattr(shifted, 'learn', learn)
    monkeypatch.setattr(shifted, 'recordings_of', lambda motion, world, count, seed: [
        SimpleNamespace(held_out=v) for v in views_of(motion, world, seed)])
    arguments = ['--motion', str(tmp_path / 'motion.npz'), '--test', str(tmp_path / 'motion.npz'), '--steps', '5',
                 '--world', 'children', 'low cameras', '-o', str(tmp_path / 'out.json')]
    assert main(arguments) == 0 and learned == [(2, 5)] * 2
    rows = json.loads((tmp_path / 'out.json').read_text())
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith('| children | 2 | no | ') and '(+0.0%)' in lines[2] and len(lines) == 4
    for row in rows.values():                              # a child that is its parent changes nothing
        for test in ('there', 'usual'):
            assert all(before == after for before, after, *_ in row[test].values())
    assert rows['children']['usual'] == rows['low cameras']['usual']
    assert rows['children']['there']['pa_mpjpe'][0] != rows['children']['usual']['pa_mpjpe'][0]


def test_by_the_truth_a_child_learns_that_world_and_its_parent_stays(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Few steps, of the motion that is measured on: the error there falls."""
    parents = []
    read = shifted.read_network
    monkeypatch.setattr(shifted, 'read_network', lambda model: parents.append(read(model)) or parents[-1])
    np.savez(tmp_path / 'motion.npz', pos=motion().joints.astype(np.float32), seq_start=motion().start,
             seq_name=np.array(['a', 'b']), fps=FPS)
    arguments = ['--motion', str(tmp_path / 'motion.npz'), '--test', str(tmp_path / 'motion.npz'), '--truth',
                 '--steps', '40', '--world', 'children', '-o', str(tmp_path / 'out.json')]
    assert main(arguments) == 0
    row = json.loads((tmp_path / 'out.json').read_text())['children']
    for before, after, *_ in row['there'].values():
        assert after < .95 * before
    assert row['steps'] == 40 and capsys.readouterr().out.splitlines()[2].startswith('| children | all, true |  | ')
    fresh = read(shifted.open_model('lifter'))
    assert all(bool((a == b).all()) for a, b in zip(parents[0].parameters(), fresh.parameters(), strict=True))


def test_motion_that_is_too_short_is_refused() -> None:
    with raises(TrainingError, 'nothing to learn from: no sequence is long enough'):
        recordings_of(motion(), World(), 2, 1)
