# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Detection rates of 2D joints before and after cross-view self-fusion: counted rightly, and told when they fall."""
from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

pytest.importorskip('torch')
import torch
from bodies import walk

from selfpose_ros.synthetic.motion_capture import Motion
from selfpose_training import checkpoint
from selfpose_training.data.motion import Poses
from selfpose_training.errors import TrainingError
from selfpose_training.evaluation import refinement as refined
from selfpose_training.methods import get
from selfpose_training.networks import Lifted

SMALL = {'width': 32, 'csm': 'solve'}


class Knowing:
    """Lifts as well as can be: canonical poses are the truth, up to a turn of the views' rotations."""

    def __init__(self, turn_deg: float = 0.) -> None:
        self.turn_deg = turn_deg

    def lift(self, batch):
        rng = torch.Generator().manual_seed(1)
        R = batch.ray_rot.mT @ batch.R
        axis = torch.nn.functional.normalize(torch.randn(*R.shape[:2], 3, generator=rng), dim=-1)
        S = torch.zeros_like(R)
        S[..., 0, 1], S[..., 0, 2], S[..., 1, 2] = -axis[..., 2], axis[..., 1], -axis[..., 0]
        R = torch.linalg.matrix_exp((S - S.mT) * np.deg2rad(self.turn_deg)) @ R
        X = (batch.X - batch.X[:, :1])[:, None].expand(-1, batch.views, -1, -1)
        X = X / X.square().sum(-1).mean(-1)[..., None, None].sqrt()
        return Lifted(X @ R.mT, X, R, torch.zeros(X.shape[:-1]))


def method(**changes):
    m = get('cross_view')
    m.configure({**SMALL, **changes}).build()
    return m


def test_good_lifting_finds_more_of_every_limb_joint_most_of_all_under_occlusion():
    some, many = (refined.refined(method(), Knowing(4.), walk((200, 200), speed=0.), 1, occlusion=f) for f in (1., 3.))
    assert some.poses == 1600 and some.worse == many.worse == []
    assert all(many.before[k] < some.before[k] for k in ('knee', 'ankle', 'elbow', 'wrist'))
    # 86 -> 97 % of the knees and wrists when written
    assert many.after['wrist'] > many.before['wrist'] + 4 and many.after['knee'] > many.before['knee'] + 4
    assert some.moved < many.moved < .3


def test_rotations_that_mean_nothing_are_not_followed():
    lost = refined.refined(method(), Knowing(120.), walk((200,), speed=0.), 1, occlusion=3.)
    assert all(lost.after[k] > lost.before[k] - 2 for k in lost.before)


def test_fusion_switched_off_changes_nothing():
    same = refined.refined(method(csm='off'), Knowing(), walk((60,)), 1)
    assert same.after == same.before and same.moved == 0


def test_table_names_what_was_done():
    text = refined.table([refined.Refined({'hip': 97., 'knee': 94.}, {'hip': 99., 'knee': 93.}, .04, 100, 3.)])
    assert '| refined, limbs mistaken 3 times as often | 99.0 | 93.0 |' in text and '4% of the joints' in text
    assert refined.Refined({'hip': 97., 'knee': 94.}, {'hip': 99., 'knee': 93.}, .04, 100, 3.).worse == ['knee']


def test_a_run_is_read_and_what_is_none_is_refused(tmp_path, capsys):
    m = get('cross_view')
    network = m.configure(SMALL).build()
    settings = asdict(m.settings)
    (tmp_path / 'config.json').write_text(json.dumps({'method': 'cross_view', **settings}))
    with pytest.raises(TrainingError):
        refined.open_run(tmp_path)
    checkpoint.save(tmp_path / checkpoint.CHECKPOINT, {'network': network.state_dict(), 'average': None})
    _, again = refined.open_run(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), network.state_dict().values(),
                                                 strict=True))
    (tmp_path / 'config.json').write_text(json.dumps({'method': 'cross_view', **settings, 'width': 48}))
    with pytest.raises(TrainingError, match='another network'):
        refined.open_run(tmp_path)
    (tmp_path / 'config.json').write_text(json.dumps({'method': 'canonpose'}))
    with pytest.raises(TrainingError, match='does not refine'):
        refined.open_run(tmp_path)
    motion = tmp_path / 'motion.npz'
    assert refined.main([str(tmp_path / 'none'), '--motion', str(motion)]) == 2
    assert 'not the folder of a run' in capsys.readouterr().err


def test_the_program_prints_the_table(tmp_path, capsys):
    m = get('cross_view')
    network = m.configure({**SMALL, 'csm': 'off'}).build()
    settings = asdict(m.settings)
    (tmp_path / 'config.json').write_text(json.dumps({'method': 'cross_view', **settings}))
    checkpoint.save(tmp_path / checkpoint.CHECKPOINT, {'network': network.state_dict(), 'average': None})
    poses: Poses = walk((60,))
    motion = Motion(poses.joints.astype(float), poses.start, 25., ('walk',))
    np.savez(tmp_path / 'motion.npz', pos=motion.joints, seq_start=motion.start, seq_name=np.array(['walk']), fps=25.)
    assert refined.main([str(tmp_path), '--motion', str(tmp_path / 'motion.npz'), '--occlusion', '1']) == 0
    assert 'Joint detection rate, per cent, 240 poses' in capsys.readouterr().out
