# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Detectors of degenerate solutions: each bites on a network that is made to have just that."""
from __future__ import annotations

import dataclasses

import pytest
import torch
from bodies import as_batch, bodies, cameras
from torch import nn

from selfpose_training.losses.agreement import unit_pose
from selfpose_training.methods import get
from selfpose_training.methods.collapse import detect, verdict
from selfpose_training.networks.heads import Lifted
from selfpose_training.networks.rotation import rodrigues


class Oracle(nn.Module):
    """A lifter that has looked the truth up, and may be spoilt."""

    frames = 1

    def __init__(self, spoil=None) -> None:
        super().__init__()
        self.head = nn.Module()
        self.spoil = spoil or (lambda y, X, R: (y, X, R))

    def lift(self, batch):
        y = unit_pose(batch.truth())
        X = unit_pose(batch.X)[:, None].expand_as(y)
        y, X, R = self.spoil(y, X, batch.R)
        return Lifted(y, X, R, torch.zeros_like(y[..., 0]))


@pytest.fixture
def batch():
    return as_batch(bodies(120), cameras(120, 4))


def test_truth_is_sound(batch):
    figures = detect(Oracle(), batch)
    assert verdict(figures) == []
    assert figures['chirality'] > .1 and figures['reversed'] < .1 and 60 < figures['view_angle'] < 130
    assert .5 < figures['depth'] < 1.5


D = torch.tensor([1., 1, -1])


@pytest.mark.parametrize(('spoil', 'text'), [
    (lambda y, X, R: (y * D, X * D, torch.diag(D) @ R @ torch.diag(D)), 'depth is reversed'),
    (lambda y, X, R: (torch.cat([y[:62], y[62:] * D]), X, R), 'no clear sign'),
    (lambda y, X, R: (y * torch.tensor([1., 1, .1]), X, R), 'flat'),
    (lambda y, X, R: (y[:1, :1].expand_as(y), X, R), 'same whatever is seen'),
    (lambda y, X, R: (y, X, R[:, :1].expand_as(R)), 'same camera'),
    (lambda y, X, R: (y, X[:1].expand_as(X), R), 'canonical pose is constant'),
], ids=['reversed', 'mixed', 'flat', 'constant', 'one camera', 'constant canonical'])
def test_each_collapse_is_told(batch, spoil, text):
    sentences = verdict(detect(Oracle(spoil), batch))
    assert any(text in s for s in sentences), sentences


def test_rotation_vectors_that_wind_up_are_told(batch):
    network = get('canonpose').configure({'width': 24, 'rotation': 'rotvec'}).build()
    with torch.no_grad():
        network.head.to_rotation.bias[0] = 7.
        network.head.to_rotation.weight.zero_()
    figures = detect(network, batch)
    assert figures['turn'] == pytest.approx(7., abs=.1) and any('wind up' in s for s in verdict(figures))


def test_views_that_echo_each_other_are_told(batch):
    """Sure joints stay where they are with sound rotations; with random ones the views pull them anywhere."""
    method = get('cross_view')
    method.configure({'width': 24}).build()
    batch.conf[:, 1, ::2] = .8
    sound = method.figures(Oracle(), batch)
    assert sound['echo'] < .01 and verdict(sound) == []
    turned = rodrigues(2 * torch.randn(120, 4, 3, generator=torch.Generator().manual_seed(1)))
    lost = method.figures(Oracle(lambda y, X, R: (y, X, turned)), batch)
    assert any('wrong places' in s for s in verdict(lost)), lost
    sure = dataclasses.replace(batch, conf=torch.ones_like(batch.conf))
    assert method.figures(Oracle(), sure) == {}


def test_absent_views_are_not_looked_at(batch):
    sound = detect(Oracle(), batch)
    batch.view_mask[:, 3] = False
    wild = detect(Oracle(lambda y, X, R: (torch.where(batch.view_mask[..., None, None], y, 100.), X, R)), batch)
    assert wild['depth'] == pytest.approx(sound['depth'], abs=.2)
    batch.view_mask[:] = False
    assert detect(Oracle(), batch) == {} and verdict({}) == []


def test_networks_without_rotation(batch):
    figures = detect(Oracle(lambda y, X, R: (y, None, None)), batch)
    assert 'view_angle' not in figures and verdict(figures) == []
