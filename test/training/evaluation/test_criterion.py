# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Updates with known truth: what befalls a recording, what is compared with what, and the summary."""
from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch', reason='the training needs torch: pip install selfpose_ros[training]')
import torch

from selfpose_ros.synthetic import walker
from selfpose_ros.synthetic.motion_capture import Motion, Piece
from selfpose_training.errors import TrainingError
from selfpose_training.evaluation import criterion
from selfpose_training.evaluation.criterion import HELD_OUT, KINDS, Bag, bags_of, main, spoilt, summary, table, tried
from selfpose_training.networks import make_network
from selfpose_training.update.split import SplitRecording, split_recording

FPS = 16.


@lru_cache
def motion() -> Motion:
    clips = [walker(17., FPS, 7 + k, 'mixed') for k in range(2)]
    return Motion(np.concatenate(clips), np.cumsum([0, *map(len, clips)]), ('a', 'b'), FPS)


def bag(kind: str) -> Bag:
    n = int(17 * FPS)
    return spoilt(motion(), Piece(0, 'a', 0, n), Piece(1, 'b', n, 2 * n), 1, kind)


@pytest.mark.parametrize('kind', KINDS[1:])
def test_what_befalls_a_recording_spares_the_held_out_time(kind: str) -> None:
    bare, bad = bag(KINDS[0]), bag(kind)
    stamp = bare.recorded.stamp
    late = stamp >= stamp[-1] - HELD_OUT * (stamp[-1] - stamp[0])
    for name in ('kp', 'conf'):
        np.testing.assert_array_equal(getattr(bare.recorded, name)[late], getattr(bad.recorded, name)[late])
    off = np.linalg.norm(bare.recorded.kp - bad.recorded.kp, axis=-1)[~late]
    assert np.nanquantile(off, .9) > 5, 'px'
    np.testing.assert_array_equal(bare.X, bad.X)
    np.testing.assert_array_equal(bare.R, bad.R)


def test_nothing_else_befalls_recordings() -> None:
    with pytest.raises(TrainingError, match=r'^nothing called rain befalls a recording; choose from as it is, noise'):
        bag('rain')


def test_every_second_recording_is_spoilt_each_in_its_way() -> None:
    kinds = [b.kind for b in bags_of(motion(), range(1, 7))]
    assert kinds[::2] == [KINDS[0]] * 6 and sorted(kinds[1::2]) == sorted(KINDS[1:])


def test_an_update_is_measured_without_and_with_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that was never trained gains, by either measure; what is known is not tried again."""
    torch.manual_seed(0)
    parent = make_network({'head': 'pose3d', 'width': 24, 'branch': 1, 'gain': 4.})
    good = bag(KINDS[0])
    split = split_recording(good.recorded, HELD_OUT)
    assert isinstance(split, SplitRecording)
    row = tried(good, split, parent, {'steps': 150, 'rehearsal': 0., 'lr': 3e-3}, 1)
    assert row['promoted'] and all(after < before for which in ('own', 'true') for before, after, *_ in
                                   row[which].values())
    assert row['own']['pa_mpjpe'][0] != row['true']['pa_mpjpe'][0]

    monkeypatch.setattr(criterion, 'bags_of', lambda motion, seeds: [good])
    monkeypatch.setattr(criterion, 'read_motion', lambda path: None)
    monkeypatch.setattr(criterion, 'open_model', lambda name: None)
    monkeypatch.setattr(criterion, 'read_network', lambda model: parent)
    tries: list[int] = []
    monkeypatch.setattr(criterion, 'split_recording', lambda recorded, share: split)
    monkeypatch.setattr(criterion, 'tried', lambda *given: tries.append(1) or row)
    out = tmp_path / 'found.json'
    for _ in range(2):
        assert main(['--motion', 'x.npz', '-o', str(out)]) == 0
    assert len(tries) == len(criterion.METHODS) == len(json.loads(out.read_text())['updates'])


def rows(changes: list[tuple[float, float, bool]]) -> list[dict]:
    return [{'kind': KINDS[0], 'promoted': p, 'own': {'a': [100., 100 * (1 + own), 0, 0]},
             'true': {'a': [50., 50 * (1 + true), 0, 0]}} for own, true, p in changes]


def test_the_summary_counts_what_should_not_happen() -> None:
    found = summary([*rows([(-.2, -.1, True), (-.1, .03, True), (.1, -.05, False), (.2, .2, False), (0, .005, True)]),
                     {'kind': KINDS[1], 'refused': 'no rig'}])
    assert (found['updates'], found['refused_before_learning'], found['promoted']) == (5, 1, 3)
    assert (found['promoted_but_worse'], found['refused_but_better']) == (1, 1)
    assert found['worst_promoted'] == pytest.approx(.03)
    own, true = [-.2, -.1, .1, .2, 0], [-.1, .03, -.05, .2, .005]
    assert found['correlation'] == pytest.approx(np.corrcoef(own, true)[0, 1])


def test_the_table_tells_of_nothing_yet() -> None:
    text = table([{'kind': KINDS[1], 'refused': 'no rig'}])
    assert f'| {KINDS[1]} | 1 | 1 | 0 |  |  |' in text and 'correlation: None' in text
