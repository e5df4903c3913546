# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The profile: all parts are there, the products are those of the network, what does not fit is one sentence."""
from __future__ import annotations

import pytest

pytest.importorskip('torch')
import torch
from small_training import Reprojection, people

from selfpose_training.trainer.profile import PARTS, _Products, main, profile, table


def test_products_of_a_network_are_found():
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    with _Products(network) as products:
        network(torch.zeros(5, 3, 4))
    network(torch.zeros(1, 4))                             # no longer watched
    assert [(tuple(w.shape), rows, inner) for w, rows, inner in products.found] == [
        ((8, 4), 15, False), ((2, 8), 15, True)]


def test_a_profile_is_whole():
    p = profile(Reprojection(), people(), {'threads': 1}, steps=3, device='cpu')
    assert set(p.parts) == set(PARTS) and all(t > 0 for t in p.parts.values())
    assert p.rows == 16 * 3 and p.threads == 1 and p.steps_per_s > 0
    assert 0 < p.floor < p.parts['forward'] + p.parts['backward']
    text = table(p)
    assert all(f'| {name}' in text for name in PARTS) and 'floor: bare matrix products' in text


def test_missing_file_is_one_sentence(tmp_path, capsys):
    path = tmp_path / 'none.npz'
    assert main(['canonpose', '--data', str(path)]) == 2
    assert capsys.readouterr().err == f'profile: error: {path}: no such file or folder; check the path\n'
