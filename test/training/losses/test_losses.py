# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Losses: against cases worked out by hand, and what the geometry promises (methods.md 7.13, items 1 to 3)."""
from __future__ import annotations

import math

import pytest
import torch
from bodies import bodies, cameras, noisy, project
from torch import Tensor

from selfpose_training import losses
from selfpose_training.losses import reprojection
from selfpose_training.losses.agreement import procrustes_rotation, unit_pose
from selfpose_training.losses.anatomy import bone_lengths
from selfpose_training.losses.reprojection import cam_shuffle, mix_of, pair_errors, partners, rep_l1, rep_of
from selfpose_training.networks.rotation import rodrigues

D = torch.diag(torch.tensor([1., 1, -1]))


class Case:
    """A batch with its truth: w, X, R, c, views, subj, rig."""

    def __init__(self, n=6, views=4, seed=0, per_rig=2) -> None:
        g = torch.Generator().manual_seed(seed)
        X = bodies(n, seed)
        self.X = X[:, None].expand(n, views, 17, 3) * (1 + torch.rand(n, views, 1, 1, generator=g))     # any size
        self.R = cameras(n, views, seed, per_rig)
        self.w = project(X, self.R)
        self.c = .3 + .7 * torch.rand(n, views, 17, generator=g)
        self.views = torch.ones(n, views, dtype=torch.bool)
        self.subj, self.rig = torch.zeros(n, dtype=torch.long), torch.arange(n) // per_rig

    def wrong(self, seed=5) -> Case:
        """Poses and rotations that do not fit."""
        g = torch.Generator().manual_seed(seed)
        self.X = self.X + .1 * torch.randn(self.X.shape, generator=g)
        self.R = noisy(self.R, 20., seed)
        return self

    def terms(self) -> dict[str, Tensor]:
        """All that compares projections with 2D."""
        torch.manual_seed(0)                               # of cam_shuffle's partners
        return {'rep': losses.csm_terms(self.w, self.X, self.R, self.c, self.views)[0],
                'mix': mix_of(pair_errors(self.w, self.X, self.R, self.c), self.views),
                'shuffle': cam_shuffle(self.w, self.X, self.R, self.c, self.views, self.subj, self.rig),
                'csm_mix': losses.csm_terms(self.w, self.X, self.R, self.c, self.views)[1]}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=2e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize('views', range(2, 9))
def test_truth_has_no_error_under_any_masks(views):
    case = Case(views=views)
    g = torch.Generator().manual_seed(views)
    case.views = torch.rand(6, views, generator=g) < .7
    case.c = case.c * (torch.rand(6, views, 17, generator=g) < .8) * case.views[..., None]
    case.w = torch.where(case.c[..., None] > 0, case.w, 0.)
    for name, value in case.terms().items():
        assert value < 1e-5, name


def test_invariances():
    """A common rotation, a scale for each pose, and, as is known, the reversal of depth (methods.md 5.9)."""
    case = Case().wrong()
    before = case.terms()
    assert all(v > .02 for v in before.values())
    G = rodrigues(torch.tensor([.3, -1., .5]))
    other = Case().wrong()
    other.X, other.R = other.X @ G.mT, other.R @ G.mT
    same(before, other.terms())
    other.X = other.X * 3.7
    same(before, other.terms())
    other = Case().wrong()
    other.X, other.R = other.X @ D, D @ other.R @ D
    same(before, other.terms())


def test_order_of_views_does_not_matter():
    case = Case().wrong()
    before = case.terms()
    p = torch.tensor([2, 0, 3, 1])
    for name in ('w', 'X', 'R', 'c', 'views'):
        setattr(case, name, getattr(case, name)[:, p])
    same(before, case.terms())


def test_padding_changes_nothing():
    case = Case().wrong()
    before = case.terms()
    for name, value in (('w', 0.), ('X', 7.), ('c', 0.)):
        old = getattr(case, name)
        setattr(case, name, torch.cat([old, torch.full_like(old[:, :2], value)], 1))
    case.R = torch.cat([case.R, torch.eye(3).expand(6, 2, 3, 3)], 1)
    case.views = torch.cat([case.views, torch.zeros(6, 2, dtype=torch.bool)], 1)
    same(before, case.terms())


def test_rep_l1_by_hand():
    """Two joints: targets (1, 0), (0, 1) and (0, 0), (0, 2) without their sizes."""
    a = torch.zeros(17, 2)
    p = torch.zeros(17, 2)
    c = torch.zeros(17)
    a[0, 0], a[1, 1], p[1, 1] = 1., 1., 2.
    c[0], c[1] = .5, 1.
    # RMS of 4 numbers: sqrt(2)/2 and 1: a = (r, 0, 0, r), r = sqrt 2; p = (0, 0, 0, 2)
    wanted = (.5 * math.sqrt(2) + (2 - math.sqrt(2))) / 4
    assert rep_l1(a, p, c) == pytest.approx(wanted, abs=1e-6)
    assert rep_l1(a * 9, p * .2, c) == pytest.approx(wanted, abs=1e-5)


def test_pair_errors_are_rep_l1_of_each_pair():
    case = Case().wrong()
    errors = pair_errors(case.w, case.X, case.R, case.c)
    for v in range(4):
        for u in range(4):
            p = (case.X[:, u] @ case.R[:, v].mT)[..., :2]
            torch.testing.assert_close(errors[:, v, u], rep_l1(case.w[:, v], p, case.c[:, v]), atol=1e-6, rtol=1e-4)


def test_means_over_pairs():
    """`mix` is a sum over sources of means over targets; samples of one view have no pair."""
    errors = torch.arange(32.).view(2, 4, 4)
    views = torch.tensor([[True] * 4, [False, True, False, False]])
    own = errors.diagonal(dim1=1, dim2=2)
    assert rep_of(errors, views) == pytest.approx(float((own[0].sum() + own[1, 1]) / 5))
    first = sum(float(errors[0, [v for v in range(4) if v != u], u].mean()) for u in range(4))
    assert mix_of(errors, views) == pytest.approx(first)
    assert mix_of(errors, torch.ones(2, 4, dtype=torch.bool)) == pytest.approx(
        (first + sum(float(errors[1, [v for v in range(4) if v != u], u].mean()) for u in range(4))) / 2)


def test_partners_are_of_the_same_subject_and_rig():
    subj = torch.tensor([0, 1, 0, 1, 0, 0, 2, 0])
    rig = torch.tensor([3, 3, 3, 3, 5, 3, 3, 5])
    seen = set()
    for seed in range(30):
        torch.manual_seed(seed)
        index, found = partners(subj, rig)
        assert (subj[index] == subj).all() and (rig[index] == rig).all()
        assert found.tolist() == [True] * 6 + [False, True]
        seen.add(int(index[0]))
    assert seen == {2, 5}


def test_cam_shuffle_takes_the_rotations_of_the_partner(monkeypatch):
    """With another instant's rotations Q: the error is that of Q_vu R_u X_u."""
    case = Case(n=2, per_rig=2).wrong()
    monkeypatch.setattr(reprojection, 'partners', lambda *_: (torch.tensor([1, 0]), torch.tensor([True, True])))
    value = cam_shuffle(case.w, case.X, case.R, case.c, case.views, case.subj, case.rig)
    wanted = 0.
    for b in range(2):
        for u in range(4):
            for v in set(range(4)) - {u}:
                Q = case.R[1 - b, v] @ case.R[1 - b, u].mT
                p = (case.X[b, u] @ (Q @ case.R[b, u]).mT)[..., :2]
                wanted += float(rep_l1(case.w[b, v], p, case.c[b, v])) / 3 / 2
    assert value == pytest.approx(wanted, rel=1e-4)


def test_cam_shuffle_through_virtual_cameras():
    """Virtual cameras turn with the person; what stands still are the cameras."""
    case = Case(n=4, per_rig=2)
    ray = rodrigues(.3 * torch.randn(4, 4, 3, generator=torch.Generator().manual_seed(0)))
    X = bodies(4)
    R = ray.mT @ case.R
    w = project(X, R)
    torch.manual_seed(0)
    args = (w, case.X, R, case.c, case.views, case.subj, case.rig)
    assert cam_shuffle(*args, ray) < 1e-5 < .01 < cam_shuffle(*args)


def test_csm_keep():
    case = Case()
    assert losses.csm_keep(case.w, 2 * case.w, case.c, case.views) < 1e-6
    moved = (case.w + .05 * torch.randn(case.w.shape)).requires_grad_()
    losses.csm_keep(case.w, moved, case.c, case.views).backward()
    assert moved.grad.abs().sum() > 0


def test_csm_targets_are_taken_as_given():
    case = Case().wrong()
    w = case.w.clone().requires_grad_()
    X = case.X.clone().requires_grad_()
    sum(losses.csm_terms(w, X, case.R, case.c, case.views)).backward()
    assert w.grad is None and X.grad.abs().sum() > 0


def test_agreements():
    X = bodies(3)[:, None].repeat(1, 3, 1, 1)
    views = torch.ones(3, 3, dtype=torch.bool)
    assert losses.canonical_consistency(X * torch.tensor([1., 2, 3])[:, None, None], views) < 1e-6
    X[:, 2] += torch.randn(3, 17, 3)
    assert losses.canonical_consistency(X, views) > .01
    views[:, 2] = False
    assert losses.canonical_consistency(X, views) < 1e-6
    two = unit_pose(X[:, :1])
    c = torch.full((3, 1, 17), .5)
    turned = two @ torch.diag(torch.tensor([-1., -1, 1])).mT
    wanted = (.5 * (two - turned).norm(dim=-1)).sum() / (3 * 17) / 3
    torch.testing.assert_close(losses.step_consistency(two, turned, c), wanted, atol=1e-4, rtol=1e-3)


def test_procrustes_and_mv_procrustes():
    X = bodies(4)[:, None].repeat(1, 3, 1, 1)
    R = cameras(4, 3)
    Y = X @ R.mT
    found = procrustes_rotation(X, Y, torch.ones(4, 3, 17))
    torch.testing.assert_close(found, R, atol=1e-4, rtol=0)
    c = torch.ones(4, 3, 17)
    assert losses.mv_procrustes(Y, c) < 2e-3
    assert losses.mv_procrustes(torch.cat([Y[:, :2], Y[:, 2:] @ D], 1), c) > .05     # a mirror image is no rotation


def test_symmetry_and_lengths():
    X = bodies(3)
    one_sided = X.clone()
    one_sided[:, 13] = one_sided[:, 12] + 2 * (one_sided[:, 13] - one_sided[:, 12])
    n = bone_lengths(one_sided)
    more = float(losses.symmetry(one_sided) - losses.symmetry(X))
    assert more > 0 and losses.symmetry(X) < .2
    assert losses.limb_len(X, bone_lengths(X) * 4) < 1e-5
    off = losses.limb_len(one_sided, bone_lengths(X))
    assert off == pytest.approx(float((n / n.mean(-1, keepdim=True) * bone_lengths(X).mean(-1, keepdim=True)
                                       / bone_lengths(X) - 1).abs().mean()), rel=1e-4)


def test_bone_vec():
    X = bodies(2)
    moved = X.clone()
    moved[:, 13, 0] += .3                                  # a leaf: one bone of 16, one coordinate of 3
    assert losses.bone_vec(moved, X, torch.ones(2, 17)) == pytest.approx(.3 / 3 / 16, rel=1e-4)
    weight = torch.ones(2, 17)
    weight[:, 13] = 0
    assert losses.bone_vec(moved, X, weight) == 0


def test_chirality_of_people():
    X = unit_pose(bodies(300))
    score = losses.chirality_score(X)
    assert (score > 0).float().mean() > .98 and score.mean() > .1
    torch.testing.assert_close(losses.chirality_score(X @ D), -score)
    turned = losses.chirality_score(X @ rodrigues(torch.tensor([1., 2, -.5])).mT)
    torch.testing.assert_close(turned, score, atol=1e-5, rtol=1e-4)
    assert losses.chirality(X) < .01 < losses.chirality(X @ D)


def test_z_bound():
    Y = torch.zeros(1, 17, 3)
    Y[0, 3, 2], Y[0, 4, 2] = 1.5, -2.
    assert losses.z_bound(Y, 1.) == pytest.approx(1.5 / 17)


def test_likelihoods_are_least_at_the_true_sigma():
    g = torch.Generator().manual_seed(0)
    target = torch.zeros(4000, 17, 3)
    weight = torch.ones(4000, 17)
    Y = .3 * torch.randn(4000, 17, 3, generator=g)
    sigmas = torch.tensor([.2, .27, .3, .33, .45])
    nll = [float(losses.gaussian_nll(Y, target, s.log().expand(4000, 17), weight)) for s in sigmas]
    assert min(range(5), key=nll.__getitem__) == 2
    half = [float(losses.gaussian_nll(Y, target, s.log().expand(4000, 17), weight, torch.full((4000, 17), .24)))
            for s in torch.tensor([.12, .18, .3])]
    assert min(range(3), key=half.__getitem__) == 1        # .18^2 + .24^2 = .3^2
    weight[:2000] = 0
    Y[:2000] = float('nan')
    assert math.isfinite(losses.gaussian_nll(Y, target, torch.zeros(4000, 17), weight))


def test_pose_distance_by_hand():
    Y, weight = torch.zeros(1, 17, 3), torch.zeros(1, 17)
    Y[0, 2], weight[0, 2], weight[0, 3] = torch.tensor([3., 4, 0]), 1., 3.
    assert losses.pose_distance(Y, torch.zeros(1, 17, 3), weight) == pytest.approx(5 / 4, abs=1e-4)
