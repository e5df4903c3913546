# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Networks: sizes, what they promise about their outputs, the depth that is turned round."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from raising import raises

from selfpose_ros.core import rotation
from selfpose_ros.core.skeleton import MIRROR
from selfpose_training.errors import SettingError
from selfpose_training.networks import make_network
from selfpose_training.networks.blocks import parameter_count
from selfpose_training.networks.rotation import angle_deg, rodrigues, six_numbers

CONFIGS = [{'width': 32}, {'width': 32, 'rotation': '6d', 'gain': 4.}, {'width': 32, 'head': 'pose3d'},
           {'width': 32, 'head': 'canon_direct', 'rotation': '6d'},
           {'body': 'res_mlp', 'width': 32, 'blocks': 1, 'norm': True, 'drop': .1},
           {'body': 'temporal_conv', 'width': 16, 'frames': 9, 'head': 'pose3d', 'branch': 1}]


def pose_for(network, n=5, seed=0):
    shape = (n, network.frames, 17, 3) if network.frames > 1 else (n, 17, 3)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=CONFIGS, ids=lambda c: '-'.join(map(str, c.values())))
def network(request):
    torch.manual_seed(0)
    return make_network(request.param).eval()


def test_size_of_the_papers_network():
    """10,604,598 for 17 joints (methods.md 5.3), and our 17 log sigmas."""
    network = make_network({'width': 1024})
    assert parameter_count(network) - sum(p.numel() for p in network.head.sigma.parameters()) == 10_604_598


@torch.no_grad()
def test_outputs(network):
    out = network(pose_for(network))
    torch.testing.assert_close(out.y_cam.square().sum(-1).mean(-1), torch.ones(5), atol=1e-4, rtol=0)
    assert (out.y_cam[:, 0] == 0).all() and out.log_sigma.shape == (5, 17)
    if out.R is not None:
        torch.testing.assert_close(out.R @ out.R.mT, torch.eye(3).expand(5, 3, 3), atol=1e-5, rtol=0)
        torch.testing.assert_close(torch.det(out.R), torch.ones(5), atol=1e-5, rtol=0)
    if network.config.get('head', 'canon_rot') == 'canon_rot' and out.R is not None:
        y = out.x_can @ out.R.mT
        y = y - y[:, :1]
        torch.testing.assert_close(y / y.square().sum((-1, -2), keepdim=True).sqrt(),
                                   out.y_cam / out.y_cam.square().sum((-1, -2), keepdim=True).sqrt())


@torch.no_grad()
@pytest.mark.parametrize('body', [{'body': 'frame_mlp'}, {'body': 'res_mlp'}, {'body': 'temporal_conv', 'frames': 3},
                                  {'body': 'causal_lstm', 'frames': 2}], ids=lambda b: b['body'])
def test_a_network_that_is_not_told_confidences(body):
    told, blind = ({**body, 'width': 16, 'head': 'pose3d', 'gain_conf': gain} for gain in (1., 0.))
    for config, matters in ((told, True), (blind, False)):
        torch.manual_seed(0)
        network = make_network(config).eval()
        pose = pose_for(network)
        other = pose.clone()
        other[..., 2] *= .5
        assert torch.equal(network(pose).y_cam, network(other).y_cam) != matters
        other[..., :2] *= 1.5
        assert not torch.equal(network(pose).y_cam, network(other).y_cam)


@torch.no_grad()
def test_depth_turned_round_exactly(network):
    pose, D = pose_for(network), torch.diag(torch.tensor([1., 1, -1]))
    before = network(pose)
    assert not network.flipped
    network.flip()
    after = network(pose)
    assert network.flipped
    assert (after.y_cam == before.y_cam @ D).all() and (after.log_sigma == before.log_sigma).all()
    if before.R is not None:
        assert (after.x_can == before.x_can @ D).all()
        torch.testing.assert_close(after.R, D @ before.R @ D, atol=1e-6, rtol=0)


def test_the_turn_is_kept_in_the_state(network):
    network.flip()
    other = make_network(network.config).eval()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(other(pose_for(network)).y_cam, network(pose_for(network)).y_cam)


def test_log_sigma_does_not_shape_the_pose(network):
    network(pose_for(network)).log_sigma.sum().backward()
    moved = {n for n, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert moved and all(n.startswith('head.sigma') for n in moved)


def test_temporal_network_hears_every_frame():
    torch.manual_seed(0)
    network = make_network(CONFIGS[-1]).eval()
    pose = pose_for(network).requires_grad_()
    network(pose).y_cam[..., 2].abs().sum().backward()
    assert (pose.grad.abs().sum((0, 2, 3)) > 0).all()


def test_rodrigues():
    r = torch.randn(50, 3, generator=torch.Generator().manual_seed(1)) * 3
    np.testing.assert_allclose(rodrigues(r).numpy(), rotation.exp(r.numpy().astype(float)), atol=1e-5)
    zero = torch.zeros(2, 3, requires_grad=True)
    rodrigues(zero)[..., 0, 1].sum().backward()
    assert torch.isfinite(zero.grad).all() and (zero.grad[:, 2] == -1).all()


def test_six_numbers():
    R = rodrigues(torch.randn(20, 3, generator=torch.Generator().manual_seed(1)))
    six = torch.cat([2 * R[..., 0], .3 * R[..., 0] + .5 * R[..., 1]], -1)
    assert angle_deg(six_numbers(six) @ R.mT).max() < .1


@pytest.mark.parametrize(('config', 'setting', 'text'), [
    ({'body': 'transformer'}, 'body', 'must be one of frame_mlp'), ({'head': 'depth'}, 'head', 'must be one of canon'),
    ({'rotation': 'euler'}, 'rotation', "rotvec, 6d, got 'euler'"), ({'frames': 27}, 'frames', 'is unknown for body'),
    ({'body': 'temporal_conv', 'frames': 20}, 'frames', 'must be 3, 9 or 27'), ({'width': 0}, 'width', '1 or more'),
    ({'body': 'temporal_conv', 'frames': 9, 'interval_s': 2.}, 'interval_s', 'from 0 to 1 s'),
    ({'body': 'frame_mlp', 'interval_s': .1}, 'interval_s', 'is unknown for body frame_mlp')])
def test_what_no_network_is(config, setting, text):
    with raises(SettingError, text, setting=setting):
        make_network(config)


def test_a_symmetric_lifter_sees_a_mirror_image_as_a_mirror_image() -> None:
    """In training it is the plain network; in use the mean of both, of unit size about the pelvis."""
    torch.manual_seed(0)
    made = make_network({'head': 'pose3d', 'width': 16, 'branch': 1, 'symmetric': True})
    plain = make_network({'head': 'pose3d', 'width': 16, 'branch': 1})
    plain.load_state_dict(made.state_dict())
    pose = torch.randn(5, 17, 3)
    with torch.no_grad():
        torch.testing.assert_close(made.train()(pose).y_cam, plain(pose).y_cam)
        other = made.mirrored(pose)
        a, b = made.eval()(pose), made(other)
        torch.testing.assert_close(a.y_cam, made.mirrored(b.y_cam))
        torch.testing.assert_close(a.log_sigma, b.log_sigma[:, list(MIRROR)])
        one, two = plain(pose), plain(other)
    torch.testing.assert_close(a.log_sigma, (one.log_sigma + two.log_sigma[:, list(MIRROR)]) / 2)
    mean = (one.y_cam + made.mirrored(two.y_cam)) / 2
    size = (mean.square().sum((-1, -2), keepdim=True) / 17).sqrt()
    torch.testing.assert_close(a.y_cam, mean / size, atol=1e-4, rtol=0)
    assert not torch.allclose(a.y_cam, one.y_cam, atol=.01)
    with pytest.raises(SettingError, match='symmetric is for heads that give a pose alone: canon_rot'):
        make_network({'head': 'canon_rot', 'symmetric': True})
