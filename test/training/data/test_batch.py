# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The shared tensors."""
from __future__ import annotations

import dataclasses

import pytest
import torch
from bodies import as_batch, bodies, cameras

from selfpose_training.errors import TrainingError


@pytest.fixture
def batch():
    return as_batch(bodies(6), cameras(6, 3))


def test_absent_views_count_nowhere(batch):
    batch.view_mask[2, 1] = False
    assert (batch.weight[2, 1] == 0).all() and (batch.w2d[2, 1] == 0).all() and (batch.pose[2, 1] == 0).all()
    assert batch.seen[2, 0].all() and not batch.seen[2, 1].any()


def test_take_and_to(batch):
    some = batch.take(torch.tensor([4, 1]))
    assert some.samples == 2 and some.views == 3
    torch.testing.assert_close(some.w2d, batch.w2d[[4, 1]])
    torch.testing.assert_close(some.truth(), batch.truth()[[4, 1]])
    assert some.K is None
    assert batch.to('meta').kp_px.device.type == 'meta'


def test_truth_is_what_the_cameras_see(batch):
    y = batch.truth()
    seen = y[..., :2] / y[..., :2].square().sum((-1, -2), keepdim=True).sqrt()
    torch.testing.assert_close(seen, batch.w2d, atol=1e-5, rtol=1e-4)


def test_truth_in_the_axes_of_the_virtual_camera(batch):
    K = torch.tensor([[900., 0, 200], [0, 900, 400], [0, 0, 1]]).expand(6, 3, 3, 3)
    known = dataclasses.replace(batch, K=K)
    torch.testing.assert_close((known.ray_rot @ known.truth().mT).mT, batch.truth())
    assert not torch.allclose(known.truth(), batch.truth())


def test_missing_3d_is_told(batch):
    with pytest.raises(TrainingError):
        dataclasses.replace(batch, X=None).truth()


def test_past(batch):
    past = torch.stack([batch.kp_px + 3, (batch.kp_px - 500) * 2 + 500, batch.kp_px], 1)
    conf = torch.stack([batch.conf * 0, batch.conf, batch.conf], 1)
    pose = dataclasses.replace(batch, past_px=past, past_conf=conf).past_pose
    assert pose.shape == (6, 3, 3, 17, 3)
    torch.testing.assert_close(pose[:, :, -1], batch.pose)
    torch.testing.assert_close(pose[:, :, 1], batch.pose, atol=1e-5, rtol=1e-4)      # size does not matter
    assert (pose[:, :, 0] == 0).all()
    with pytest.raises(TrainingError, match='frames before'):
        _ = batch.past_pose
