# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The normalisation of 2D poses."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from bodies import bodies, cameras

from selfpose_ros.core import lifting
from selfpose_training.data.normalise import denormalise, norm2d, root_rotation
from selfpose_training.networks.rotation import angle_deg


@pytest.fixture
def poses():
    g = torch.Generator().manual_seed(3)
    kp = 1000 * torch.rand(6, 4, 17, 2, generator=g)
    conf = torch.rand(6, 4, 17, generator=g)
    conf[conf < .3] = 0
    conf[0, 0] = 0                                         # nobody
    conf[0, 1, [0, 1, 4]] = 0                              # neither pelvis nor hips
    K = torch.eye(3).repeat(6, 4, 1, 1)
    K[..., 0, 0] = K[..., 1, 1] = 600 + 800 * torch.rand(6, 4, generator=g)
    K[..., :2, 2] = 500
    return kp, conf, K


def test_frobenius_norm_is_that_of_the_joints_seen(poses):
    kp, conf, _ = poses
    out = norm2d(kp, conf)
    present = (conf > 0).sum(-1).float()
    norm = out.w2d.square().sum((-1, -2)).sqrt()
    torch.testing.assert_close(norm, (present / 17).sqrt())
    assert (out.w2d[conf == 0] == 0).all()
    assert torch.isfinite(out.w2d).all() and (out.w2d[0, 0] == 0).all()


def test_root_is_pelvis_then_hips_then_all():
    kp = torch.arange(34.).reshape(17, 2)
    conf = torch.ones(17)
    assert norm2d(kp, conf).root_px.tolist() == kp[0].tolist()
    conf[0] = 0
    assert norm2d(kp, conf).root_px.tolist() == ((kp[1] + kp[4]) / 2).tolist()
    conf[4] = 0
    assert norm2d(kp, conf).root_px.tolist() == kp[1].tolist()
    conf[1] = 0
    assert norm2d(kp, conf).root_px.tolist() == pytest.approx(kp[conf > 0].mean(0).tolist())


@pytest.mark.parametrize('known', [False, True])
def test_same_numbers_as_at_run_time(poses, known):
    kp, conf, K = poses
    conf[0, 0, :9] = .8                                    # at run time somebody is always seen
    mine = norm2d(kp, conf, K if known else None)
    theirs = lifting.norm2d(kp.numpy().astype(float), conf.numpy().astype(float),
                            K.numpy().astype(float) if known else None)
    np.testing.assert_allclose(mine.w2d.numpy(), theirs.w2d, atol=2e-5)
    np.testing.assert_allclose(mine.root_px.numpy(), theirs.root_px, atol=1e-3)
    np.testing.assert_allclose(mine.ray_rot.numpy(), theirs.ray_rot, atol=1e-5)
    np.testing.assert_allclose(mine.scale_px.numpy(), theirs.scale_px, rtol=1e-4)


@pytest.mark.parametrize('known', [False, True])
def test_undone(poses, known):
    kp, conf, K = poses
    given = K if known else None
    n = norm2d(kp, conf, given)
    back = denormalise(n.w2d, n.root_px, n.scale_px, n.ray_rot, given)
    torch.testing.assert_close(back[conf > 0], kp[conf > 0], atol=.02, rtol=1e-4)


def test_unknown_intrinsics_of_a_single_camera(poses):
    kp, conf, K = poses
    K[:, 2] = 0
    K[:, 3] = float('nan')
    n = norm2d(kp, conf, K)
    plain = norm2d(kp, conf)
    torch.testing.assert_close(n.w2d[:, 2:], plain.w2d[:, 2:])
    torch.testing.assert_close(n.ray_rot[:, 2:], torch.eye(3).expand(6, 2, 3, 3))
    assert not torch.allclose(n.w2d[1:, 0], plain.w2d[1:, 0])


def test_virtual_camera_sees_a_body_as_if_it_stood_before_it():
    """The same body beside the optical axis, turned with the ray, gives the same normalised 2D."""
    X = bodies(8) @ cameras(8, 1)[:, 0].mT
    K = torch.tensor([[900., 0, 500], [0, 900, 500], [0, 0, 1]])
    before = X + torch.tensor([0, 0, 5.])
    turn = root_rotation(torch.tensor([.4, .1, 1.]))
    aside = before @ turn.mT
    ones = torch.ones(8, 17)

    def seen(P):
        px = P @ K.mT
        return norm2d(px[..., :2] / px[..., 2:], ones, K.expand(8, 3, 3))
    a, b = seen(before), seen(aside)
    torch.testing.assert_close(a.w2d, b.w2d, atol=1e-4, rtol=1e-4)
    assert angle_deg(b.ray_rot @ turn.mT).max() < .05
