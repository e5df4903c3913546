# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cross-view self-fusion of 2D joints, and its continuation to 3D (methods.md 6, 7.5, 7.6; 7.13 item 4)."""
from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from bodies import bodies, cameras, noisy, project

from selfpose_training.errors import TrainingError
from selfpose_training.fusion.cross_view import CrossViewFusion
from selfpose_training.fusion.rig import fuse_rigs, nearest_rotation
from selfpose_training.losses.agreement import unit_pose
from selfpose_training.networks.rotation import angle_deg, rodrigues

D = torch.diag(torch.tensor([1., 1, -1]))
LIMBS = torch.tensor([2, 3, 5, 6, 12, 13, 15, 16])


def corrupted(n=60, views=4, degrees=3., metres=.03, seed=0):
    """The synthetic test of methods.md 6.4: three limb joints of each view are .14 off, with confidence .3."""
    g = torch.Generator().manual_seed(seed)
    X, R = bodies(n, seed), cameras(n, views, seed)
    w = project(X, R)
    bad = torch.zeros(n, views, 17, dtype=torch.bool)
    chosen = LIMBS[torch.rand(n, views, 8, generator=g).argsort(-1)[..., :3]]
    bad.scatter_(2, chosen, True)
    angle = 2 * math.pi * torch.rand(n, views, 17, generator=g)
    off = .14 * torch.stack([angle.cos(), angle.sin()], -1)
    return SimpleNamespace(
        true=w, w=torch.where(bad[..., None], w + off, w), c=torch.where(bad, .3, .95), bad=bad,
        X=X[:, None] + metres * torch.randn(n, views, 17, 3, generator=g), R=noisy(R, degrees, seed))


def error(fused, case):
    """Mean error of the joints that were refined."""
    assert fused.refined.any() and not (fused.refined & ~case.bad).any()
    return float((fused.w2d - case.true).norm(dim=-1)[fused.refined].mean())


@pytest.mark.parametrize(('degrees', 'metres', 'solve', 'heat'), [
    (0., 0., .01, .025), (3., .03, .02, .03), (8., .05, .035, .04)])
def test_corrupted_joints_are_repaired(degrees, metres, solve, heat):
    case = corrupted(degrees=degrees, metres=metres)
    closed = CrossViewFusion('solve')(case.w, case.c, case.X, case.R)
    assert error(closed, case) < solve
    assert closed.refined[case.bad].float().mean() > .4
    drawn = CrossViewFusion('heat')(case.w, case.c, case.X, case.R)
    assert error(drawn, case) < heat and drawn.refined[case.bad].float().mean() > .9


def test_confidence_grows_with_agreement_and_stays_below_tau():
    sure, unsure = (CrossViewFusion('solve')(k.w, k.c, k.X, k.R) for k in (
        corrupted(degrees=0., metres=0.), corrupted(degrees=8., metres=.05)))
    for f in (sure, unsure):
        assert (f.conf[f.refined] >= .3).all() and (f.conf[f.refined] <= .85).all()
        assert (f.conf[~f.refined] >= .3).all()
    assert sure.conf[sure.refined].mean() > unsure.conf[unsure.refined].mean() + .1


@pytest.mark.parametrize('mode', ['off', 'solve', 'heat'])
def test_nothing_to_do_gives_the_input(mode):
    case = corrupted(10)
    alone = CrossViewFusion(mode)(case.w[:, :1], case.c[:, :1], case.X[:, :1], case.R[:, :1])
    assert torch.equal(alone.w2d, case.w[:, :1]) and torch.equal(alone.conf, case.c[:, :1])
    sure = torch.full_like(case.c, .85)
    for soft in (0., .06):
        f = CrossViewFusion(mode, soft=soft)(case.w, sure, case.X, case.R)
        assert torch.equal(f.w2d, case.w) and torch.equal(f.conf, sure) and not f.refined.any()


def test_views_that_are_not_sure_themselves_repair_nothing():
    """The gate of methods.md 6.9: under heavy occlusion views agree on wrong places."""
    case = corrupted(20)
    c = case.c.clone()
    c[:, 1:, 3] = .5
    f = CrossViewFusion('solve')(case.w, c, case.X, case.R)
    assert not f.refined[..., 3].any() and torch.equal(f.w2d[..., 3, :], case.w[..., 3, :])
    two = CrossViewFusion('solve')(case.w[:, :2], case.c[:, :2], case.X[:, :2], case.R[:, :2])
    assert torch.equal(two.w2d, case.w[:, :2])             # there are no two others


def test_wrong_rotations_repair_nothing():
    case = corrupted(20)
    g = torch.Generator().manual_seed(1)
    R = rodrigues(2 * torch.randn(20, 4, 3, generator=g))
    good = CrossViewFusion('solve')(case.w, case.c, case.X, case.R).refined.sum()
    assert CrossViewFusion('solve', residual=.03)(case.w, case.c, case.X, R).refined.sum() < .25 * good


@pytest.mark.parametrize('mode', ['solve', 'heat'])
def test_masks_and_padding(mode):
    case = corrupted(12)
    pad = CrossViewFusion(mode)(
        torch.cat([case.w, torch.zeros(12, 2, 17, 2)], 1), torch.cat([case.c, torch.zeros(12, 2, 17)], 1),
        torch.cat([case.X, torch.full((12, 2, 17, 3), 5.)], 1),
        torch.cat([case.R, torch.eye(3).expand(12, 2, 3, 3)], 1))
    plain = CrossViewFusion(mode)(case.w, case.c, case.X, case.R)
    torch.testing.assert_close(pad.w2d[:, :4], plain.w2d, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(pad.conf[:, :4], plain.conf, atol=1e-5, rtol=1e-4)
    assert (pad.w2d[:, 4:] == 0).all() and (pad.conf[:, 4:] == 0).all()


def test_a_joint_that_was_not_seen_is_filled_in():
    case = corrupted(20, degrees=0., metres=0.)
    c = torch.where(torch.arange(17) == 13, 0., .95) * torch.ones(20, 4, 17)
    c[:, 1:] = .95
    w = torch.where(c[..., None] > 0, case.true, 0.)
    f = CrossViewFusion('solve', soft=.06)(w, c, case.X, case.R)
    assert f.refined[:, 0, 13].all()
    assert ((f.w2d - case.true)[:, 0, 13].norm(dim=-1) < .02).all()


def test_order_of_views_does_not_matter():
    case = corrupted(10)
    p = torch.tensor([3, 1, 0, 2])
    a = CrossViewFusion('solve')(case.w, case.c, case.X, case.R)
    b = CrossViewFusion('solve')(case.w[:, p], case.c[:, p], case.X[:, p], case.R[:, p])
    torch.testing.assert_close(a.w2d[:, p], b.w2d, atol=1e-5, rtol=1e-4)


def test_gradients_are_finite_and_can_be_cut():
    case = corrupted(10)
    X, R = case.X.clone().requires_grad_(), case.R.clone().requires_grad_()
    f = CrossViewFusion('solve', soft=.06)(case.w, case.c, X, R)
    f.w2d.square().sum().backward()
    for t in (X, R):
        assert torch.isfinite(t.grad).all() and t.grad.abs().sum() > 0
    assert not CrossViewFusion('solve', gradient=False)(case.w, case.c, X, R).w2d.requires_grad
    assert not CrossViewFusion('heat')(case.w, case.c, X, R).w2d.requires_grad
    views = R[:, :1].repeat(1, 4, 1, 1)                    # all cameras along one axis: no lines at all
    assert torch.isfinite(CrossViewFusion('solve')(case.w, case.c, X, views).w2d).all()


def test_unknown_mode():
    with pytest.raises(TrainingError, match="mode 'mean'"):
        CrossViewFusion('mean')


# -- the same in 3D -------------------------------------------------------------------------------------------------

def rigs(degrees, per_rig=6, n=48, seed=0, noise=.004):
    """Frames of standing rigs, rotations and poses as a lifter with this error gives them."""
    g = torch.Generator().manual_seed(seed)
    X, R = bodies(n, seed), cameras(n, 4, seed, per_rig)
    w = project(X, R) + noise * torch.randn(n, 4, 17, 2, generator=g)
    Y = unit_pose(X[:, None] @ R.mT)
    rough = X[:, None] + .05 * torch.randn(n, 4, 17, 3, generator=g)
    return SimpleNamespace(w=w, c=torch.full((n, 4, 17), .9), Y=Y, R=R, X=rough, rough=noisy(R, degrees, seed),
                           group=torch.arange(n) // per_rig)


def off(fused, Y):
    """Mean distance of joints in units of the pose's size."""
    return float((fused.y_cam - Y).norm(dim=-1).mean())


def test_fused_poses_are_better_than_the_lifters():
    case = rigs(15.)
    lifted = unit_pose((case.X - case.X[:, :, :1]) @ case.rough.mT)
    before = float((lifted - case.Y).norm(dim=-1).mean())
    fused = fuse_rigs(case.w, case.c, case.X, case.rough, case.group, 6)
    assert before > .25 and off(fused, case.Y) < .25 * before
    relative = fused.R[:, :, None] @ fused.R[:, None].mT @ (case.R[:, :, None] @ case.R[:, None].mT).mT
    assert angle_deg(relative).mean() < 4.
    assert fused.residual.mean() < .02 and fused.weight.mean() > .9


def test_frames_of_a_rig_help_each_other():
    many, one = rigs(25.), rigs(25.)
    one.group = torch.arange(48)
    a, b = (off(fuse_rigs(k.w, k.c, k.X, k.rough, k.group, 2), k.Y) for k in (many, one))
    assert a < .8 * b


def test_gross_errors_of_one_view_are_left_out():
    case = rigs(5.)
    w = case.w.clone()
    w[:, 1, 13] += .2                                      # a wrist, with full confidence
    fused = fuse_rigs(w, case.c, case.X, case.rough, case.group, 4)
    clean = fuse_rigs(case.w, case.c, case.X, case.rough, case.group, 4)
    assert (fused.y_cam - case.Y)[..., 13, :].norm(dim=-1).mean() < \
        (clean.y_cam - case.Y)[..., 13, :].norm(dim=-1).mean() + .05


def test_depth_keeps_the_sign_that_the_lifter_gave():
    case = rigs(5.)
    fused = fuse_rigs(case.w, case.c, case.X @ D, D @ case.rough @ D, case.group, 4)
    torch.testing.assert_close(fused.y_cam @ D, fuse_rigs(case.w, case.c, case.X, case.rough, case.group, 4).y_cam,
                               atol=2e-3, rtol=0)


def test_virtual_cameras_of_a_standing_rig():
    case = rigs(10., noise=0.)
    ray = rodrigues(.2 * torch.randn(48, 4, 3, generator=torch.Generator().manual_seed(2)))
    R = ray.mT @ case.R
    X = bodies(48)
    Y = unit_pose(X[:, None] @ R.mT)
    args = (project(X, R), case.c, case.X, ray.mT @ case.rough, case.group, 5)
    assert off(fuse_rigs(*args, ray_rot=ray), Y) < .6 * off(fuse_rigs(*args), Y)


def test_absent_views_of_some_frames():
    case = rigs(10.)
    c = case.c.clone()
    c[::5, 3] = 0
    c[3::7, 0, 10:] = 0
    w = torch.where(c[..., None] > 0, case.w, 0.)
    fused = fuse_rigs(w, c, case.X, case.rough, case.group, 5)
    assert torch.isfinite(fused.y_cam).all() and off(fused, case.Y) < .12


def test_bodies_depth_elongation_in_depth_are_told():
    """Rotations that are too small between the cameras, bodies too deep: what lifters find first."""
    case = rigs(0.)
    flat = [nearest_rotation(.25 * case.R[:, v] + .75 * case.R[:, 0]) for v in range(4)]
    wrong = fuse_rigs(case.w, case.c, case.X, torch.stack(flat, 1), case.group, 1)
    right = fuse_rigs(case.w, case.c, case.X, case.R, case.group, 1)
    assert wrong.depth.median() > 1.3 > right.depth.median()


def test_perspective_is_taken_out_where_the_size_in_the_image_is_known():
    """Bodies at about six times their own size: near joints look larger, which weak perspective takes for shape."""
    case = rigs(5., noise=0.)
    X = bodies(48)
    Y = unit_pose(X[:, None] @ case.R.mT)
    Y = Y - Y[:, :, :1]
    a = .16                                                # unit of Y over the distance
    ray = a * Y[..., :2] / (1 + a * Y[..., 2:])
    size = ray.square().sum((-1, -2), keepdim=True).sqrt()
    w, args = ray / size, (case.c, case.X, case.rough, case.group, 8)
    plain, known = (off(fuse_rigs(w, *args, scale_px=s), unit_pose(Y)) for s in (None, size[..., 0]))
    assert known < .5 * plain and known < .03              # .002 against .035 when written
    assert off(fuse_rigs(w, *args, scale_px=torch.zeros_like(size[..., 0])), unit_pose(Y)) == pytest.approx(plain)


def test_what_a_view_is_told_can_be_free_of_its_own_errors():
    case = rigs(2., noise=0.)
    noise = .03 * torch.randn(case.w[:, 0].shape, generator=torch.Generator().manual_seed(3))
    w = case.w.clone()
    w[:, 0] += noise
    follows = {}
    for own in (1., .25, 0.):
        error = (fuse_rigs(w, case.c, case.X, case.rough, case.group, 4, own=own).y_cam - case.Y)[:, 0, 1:, :2]
        follows[own] = float((error * noise[:, 1:]).sum() / noise[:, 1:].square().sum()) / 4.1      # unit of Y
    assert follows[1.] > .15 and abs(follows[0.]) < .03    # .22, .09, .02 when written
    assert follows[0.] < follows[.25] < .5 * follows[1.]
    # two views: nothing to do without the own one
    pair = [x[:, :2] for x in (w, case.c, case.X, case.rough)]
    same = fuse_rigs(*pair, case.group, 4, own=0.).y_cam - fuse_rigs(*pair, case.group, 4).y_cam
    assert same.abs().mean() < 1e-3
