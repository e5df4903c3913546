# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Transform re-projection: its losses, its two branches, and the rigs that it is given or finds."""
from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest

pytest.importorskip('torch')
import torch
from raising import raises

from selfpose_ros.core.rotation import angle_deg
from selfpose_ros.synthetic import walker
from selfpose_training import run
from selfpose_training.data.arrays import Sampling
from selfpose_training.data.motion import MotionViews, Poses
from selfpose_training.data.recordings import Recorded, RecordedViews
from selfpose_training.errors import SettingError, TrainingError
from selfpose_training.losses import transform as losses
from selfpose_training.methods import get
from selfpose_training.methods.collapse import detect, verdict
from selfpose_training.methods.transform_reprojection import _rig
from selfpose_training.networks.blocks import parameter_count
from selfpose_training.networks.root import RootBranch
from selfpose_training.pseudo_labels.rigs import load_rigs, save_rigs, with_cameras, with_found_rigs
from selfpose_training.trainer.training import sampling_of

NAME = 'transform_reprojection'
SMALL = {'width': 24, 'common': 1, 'branch': 1}


class Sharp:
    """A 2D network without errors."""

    def observe(self, rng, true_px, start, side_px):
        return true_px.astype(np.float32), np.full(true_px.shape[:-1], .9, np.float32)


def views_of(noise=None, views=4, frames=48):
    joints = walker(frames / 25, 25., 3, 'exercise').astype(np.float32)
    return MotionViews(Poses(joints, np.array([0, frames])), views=views, seed=1, noise=noise)


def drawn(noise=None, views=4, size=16, **sampling):
    return next(iter(views_of(noise, views).batches(0, size, sampling=Sampling(cameras=True, **sampling))))


def made(**changes):
    torch.manual_seed(0)
    method = get(NAME)
    return method, method.configure({**SMALL, **changes}).build()


def true_poses(batch):
    """(B, V, 17, 3) m in camera axes."""
    return batch.X[:, None] @ batch.R.mT + batch.t[:, :, None]


def terms_of(batch, Y, how='product', square=False):
    e = losses.transform_residuals(losses.plane_points(batch.kp_px, batch.rig_K), Y, batch.R, batch.t)
    w = losses.pair_weights(batch.weight, how)
    return losses.reproj(losses.sizes(e, square), w), losses.t_reproj(losses.sizes(e, square), w)


# -- losses ---------------------------------------------------------------------------------------------------------

def test_there_and_back():
    b = drawn(Sharp(), truth=True)
    Y = true_poses(b) + torch.randn(16, 4, 17, 3)
    there = losses.transformed(Y, b.R, b.t)                # B, V, U
    Q, s = losses.relative(b.R, b.t)
    for u, v in ((0, 1), (2, 3), (1, 1)):
        torch.testing.assert_close(there[:, v, u], Y[:, u] @ Q[:, v, u].mT + s[:, v, u][:, None], atol=2e-5, rtol=1e-4)
        back = there[:, v, u] @ Q[:, u, v].mT + s[:, u, v][:, None]
        torch.testing.assert_close(back, Y[:, u], atol=2e-5, rtol=1e-4)


def test_the_papers_convention():
    """tau_12(Y) = R_12 (Y - t_12), R_12 = R_2 R_1^T, t_12 = R_1 (c_2 - c_1), with c the centres of the cameras."""
    b = drawn(Sharp(), truth=True, views=2)
    Y, c = true_poses(b), -(b.R.mT @ b.t[..., None])[..., 0]
    t_12 = (b.R[:, 0] @ (c[:, 1] - c[:, 0])[..., None])[..., 0]
    wanted = (Y[:, 0] - t_12[:, None]) @ (b.R[:, 1] @ b.R[:, 0].mT).mT
    torch.testing.assert_close(losses.transformed(Y, b.R, b.t)[:, 1, 0], wanted, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('mirror', [0., 1.])
@pytest.mark.parametrize('views', [2, 3, 4])
@pytest.mark.parametrize('how', losses.WEIGHTS)
def test_the_truth_costs_nothing(views, how, mirror):
    """Whatever is masked, and in a mirrored world, too."""
    b = drawn(Sharp(), views, truth=True, mirror=mirror)
    b.view_mask[3, 1] = b.view_mask[4] = False
    b.conf[5, 0] = b.conf[6, :, 3] = 0
    b.kp_px[~b.seen] = 1e4
    Y = true_poses(b)
    Y[3, 1] = 77.
    assert all(float(x) < 1e-5 for x in terms_of(b, Y, how))
    assert float(losses.root_pretrain(Y, b.R, b.t, b.view_mask)) < 1e-9
    seen = _rig(b).seen
    w = seen.w2d * seen.scale_px[..., None]
    flat = losses.flat_residuals(w, (Y - Y[..., :1, :]) @ seen.ray_rot, seen.ray_rot.mT @ b.R, b.weight)
    weight = losses.pair_weights(b.weight, how)
    off = losses.sizes(losses.pose_residuals(flat, weight))
    assert 1e-4 < float(losses.t_reproj(off, weight)) < .015   # perspective, which it does without


def test_units_are_those_of_the_normalised_plane():
    """5 px beside cost 5 / f, whatever the focal length and the size of the image."""
    b = drawn(Sharp(), truth=True)
    Y = true_poses(b)
    b.kp_px[..., 0] += 5.
    own, other = terms_of(b, Y)
    expected = float((5 / b.rig_K[..., 0, 0]).mean())
    assert float(own) == pytest.approx(expected, rel=1e-2) and float(other) == pytest.approx(expected, rel=1e-2)
    own, _ = terms_of(b, Y, square=True)
    assert float(own) == pytest.approx(float((5 / b.rig_K[..., 0, 0]).square().mean()), rel=1e-2)


def test_weights():
    c = torch.tensor([[[.5, 0.], [.2, .8], [0., 0.]]])     # B 1, V 3, J 2: the third view sees nobody
    w = {how: losses.pair_weights(c, how)[0] for how in losses.WEIGHTS}
    assert w['product'][1, 0].tolist() == pytest.approx([.1, 0.])          # view 0's pose in view 1
    assert w['target'][1, 0].tolist() == pytest.approx([.2, .8])
    assert w['source'][1, 0].tolist() == pytest.approx([.5, 0.])
    assert w['none'][1, 0].tolist() == pytest.approx([1., 1.])
    for x in w.values():
        assert (x[2] == 0).all() and (x[:, 2] == 0).all()
        assert x[0, 0, 1] == 0
    assert all(w[how][1, 1].tolist() == pytest.approx([.2, .8]) for how in ('product', 'target', 'source'))


def test_confidence_keeps_a_mistaken_joint_out():
    b = drawn(Sharp(), truth=True)
    Y = true_poses(b)
    b.kp_px[:, 2, 5] += 80
    b.conf[:, 2, 5] = .05
    with_it, without = terms_of(b, Y), terms_of(b, Y, 'none')
    assert all(float(a) < .1 * float(n) for a, n in zip(with_it, without, strict=True))


def test_apart_takes_out_what_all_joints_share():
    torch.manual_seed(0)
    e, w = torch.randn(2, 3, 3, 17, 2), torch.rand(2, 3, 3, 17)
    torch.testing.assert_close(losses.pose_residuals(e + 5., w), losses.pose_residuals(e, w), atol=1e-5, rtol=1e-4)
    assert ((losses.pose_residuals(e, w) * w[..., None]).sum(-2).abs() < 1e-5).all()
    assert (losses.pose_residuals(e, torch.zeros_like(w)) == e).all()


def test_nearer_than_the_clamp_nothing_explodes():
    Y = torch.tensor([[.5, .2, 1e-9], [.5, .2, -3.]], requires_grad=True)
    p = losses.on_plane(Y)
    p.square().sum().backward()
    assert float(p.detach().abs().max()) <= .5 / losses.NEAREST_M and torch.isfinite(Y.grad).all()


def test_a_reversed_depth_costs():
    """Other than before weak perspective and unknown cameras: the relative rotations are known."""
    b = drawn(Sharp(), truth=True)
    Y = true_poses(b)
    turned = Y[..., :1, :] + (Y - Y[..., :1, :]) * torch.tensor([1., 1., -1.])
    own, other = terms_of(b, turned)
    assert float(own) < .4 * float(other) and float(other) > .03


# -- the method -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('changes', [{}, {'root': 'none'}, {'separate': False, 'square': True}, {'t_reproj': 0.}])
def test_every_term_is_finite_and_teaches(changes):
    method, network = made(**changes)
    torch.nn.init.normal_(network.root.to_root.weight, std=.01)            # it starts at 0, and passes nothing on
    b = drawn()
    b.view_mask[0, 2:] = b.view_mask[1, 1:] = b.view_mask[2] = False
    b.R[0, 2:] = b.t[0, 2:] = b.rig_K[0, 2:] = math.nan    # what is not known of absent cameras
    terms = method.loss(network, b, .5)
    sum(terms.values()).backward()
    assert all(math.isfinite(float(v.detach())) for v in terms.values())
    idle = [n for n, p in network.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    assert all(n.startswith('root.') for n in idle) if changes.get('root') == 'none' else not idle
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in network.parameters())
    assert method.criterion(network, b) > 0


def test_stages():
    method, network = made(root_pretrain_share=.2)
    b = drawn()
    assert set(method.loss(network, b, .19)) == {'root_pretrain', 'sigma'}
    late = method.loss(network, b, .2)
    assert set(late) == {'reproj', 't_reproj', 'root', 'sigma'}
    for name, factor in (('reproj', 3.), ('t_reproj', .5)):
        other, _ = made(root_pretrain_share=.2, **{name: factor * asdict(method.settings)[name]})
        torch.testing.assert_close(other.loss(network, b, .2)[name], factor * late[name])
    assert 't_reproj' not in made(t_reproj=0.)[0].loss(network, b, .9)
    assert 'root' not in made(separate=False)[0].loss(network, b, .9)
    assert set(made(root='none')[0].loss(network, b, 0.)) == {'reproj', 't_reproj', 'sigma'}


def test_the_root_is_in_front_of_the_camera_and_four_metres_away_before_it_is_taught():
    _, network = made()
    b = drawn(Sharp(), truth=True)
    rig = _rig(b)
    r = network.root(b.pose.flatten(0, 1), rig.seen.scale_px.flatten()).unflatten(0, (16, 4))
    assert (r[..., :2] == 0).all()
    ratio = r[..., 2] / true_poses(b)[..., 0, :].norm(dim=-1)
    assert .7 < float(ratio.min()) and float(ratio.max()) < 1.6
    with torch.no_grad():
        network.root.to_root.bias[2] = -30.                # nobody is that small
    r = network.root(b.pose.flatten(0, 1), rig.seen.scale_px.flatten())
    assert (r[..., 2] == losses.NEAREST_M).all()


def test_roots_are_found_by_the_first_stage():
    """Before the poses are: nothing but the baseline tells how far away somebody is."""
    method, network = made()
    with torch.no_grad():
        network.root.to_root.bias[2] = .5                  # 1.6 times too far
    b = drawn(Sharp(), truth=True, size=48)
    far = float(method.figures(network, b)['root_depth'])
    true = float(true_poses(b)[..., 0, 2].mean())
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    first = None
    for _ in range(60):
        loss = method.loss(network, b, 0.)['root_pretrain']
        first = float(loss.detach()) if first is None else first
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    assert float(loss.detach()) < .1 * first
    assert far > 1.3 * true and method.figures(network, b)['root_depth'] == pytest.approx(true, rel=.1)


def test_a_drifting_root_is_found_out():
    method, network = made()
    b = drawn()
    sound = detect(network, b) | method.figures(network, b)
    assert 2 < sound['root_depth'] < 8 and not any('placed' in s for s in verdict(sound))
    with torch.no_grad():
        network.root.to_root.bias[2] = 2.5
    assert any('placed' in s for s in verdict(detect(network, b) | method.figures(network, b)))
    with torch.no_grad():
        network.root.to_root.bias[2] = -2.5
    assert any('placed' in s for s in verdict(detect(network, b) | method.figures(network, b)))


def test_no_3d_pose_is_read():
    """Poses of NaN change nothing, and the batches of the trainer hold none."""
    with_truth, without = drawn(truth=True), drawn()
    with_truth.X[:] = math.nan
    gradients = []
    for b in (with_truth, without):
        method, network = made()
        for progress in (0., .5):
            sum(method.loss(network, b, progress).values()).backward()
        gradients.append([p.grad for p in network.parameters()])
        method.criterion(network, b)
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert without.X is None and without.K is None and without.rig_K is not None
    trained = next(iter(views_of().batches(0, 8, sampling=sampling_of(get(NAME)))))
    assert trained.X is None and trained.X_sigma is None and trained.R is not None


def test_the_network_does_not_see_the_intrinsics():
    """At run time they are guessed, too."""
    b = drawn()
    pose = b.pose.clone()
    other = drawn()
    other.rig_K[..., 0, 0] *= 2
    torch.testing.assert_close(pose, other.pose)


def test_bad_settings_and_data_say_so():
    with raises(SettingError, 'must be one of branch, none', setting='root'):
        made(root='x')
    with raises(SettingError, 'must be one of product', setting='confidence'):
        made(confidence='x')
    with raises(SettingError, 'needs a lifter of poses in metres', setting='head'):
        made(head='canon_rot')
    method, network = made()
    with pytest.raises(TrainingError, match='set rig=found'):
        method.loss(network, next(iter(views_of().batches(0, 4))), .5)


# -- rigs -----------------------------------------------------------------------------------------------------------

def motion_file(path, seconds=3.):
    joints = np.concatenate([walker(seconds, 25., i, 'exercise') for i in range(2)])
    half = len(joints) // 2
    np.savez(path, pos=joints, seq_start=np.array([0, half, len(joints)]), seq_name=np.array(['a', 'b']), fps=25.)
    return path


def test_given_cameras_explain_what_they_saw(tmp_path):
    recordings = with_cameras(motion_file(tmp_path / 'm.npz'), seed=2)
    assert [r.name for r in recordings] == ['a 0', 'b 1'] and all(r.X is None for r in recordings)
    b = next(iter(RecordedViews(recordings).batches(0, 8, sampling=Sampling(cameras=True, ordered=True))))
    assert b.rig_K is not None and b.K is None
    save_rigs(recordings, tmp_path / 'rigs')
    again = load_rigs(tmp_path / 'rigs')
    for a, c in zip(recordings, again, strict=True):
        assert a.name == c.name and a.subject == c.subject
        for k in ('kp', 'conf', 'stamp', 'K', 'R', 't', 'image_size'):
            np.testing.assert_allclose(getattr(a, k), getattr(c, k), rtol=1e-6)


def test_recordings_without_cameras_are_refused(tmp_path, monkeypatch):
    bare = Recorded('r', np.full((5, 2, 17, 2), 9.), np.ones((5, 2, 17)), np.arange(5.), np.full((2, 2), 100.))
    monkeypatch.setattr('selfpose_training.pseudo_labels.rigs.kind_of', lambda path: 'archive')
    monkeypatch.setattr('selfpose_training.pseudo_labels.rigs.read_data', lambda path, split: [bare])
    with pytest.raises(TrainingError, match='r: does not hold where its cameras are; set rig=found'):
        with_cameras(tmp_path)


def test_found_rigs_are_near_the_true_ones_and_kept(tmp_path, monkeypatch):
    path = motion_file(tmp_path / 'm.npz', 4.)
    found = with_found_rigs(path, tmp_path / 'rigs', seed=2)
    true = {r.name: r for r in with_cameras(path, seed=2)}
    for r in found:
        for v in range(1, r.views):
            Q, P = (x.R[v] @ x.R[0].T for x in (r, true[r.name]))
            assert angle_deg(Q, P) < 8.
        far, true_far = (np.linalg.norm(np.einsum('vji,vj->vi', x.R, x.t), axis=1).mean() for x in (r, true[r.name]))
        assert .8 < far / true_far < 1.25
        np.testing.assert_allclose(r.kp, true[r.name].kp, atol=1e-3)
    monkeypatch.setattr('selfpose_training.pseudo_labels.rigs.label_recordings', None)   # nothing is calibrated twice
    assert [r.name for r in with_found_rigs(path, tmp_path / 'rigs')] == [r.name for r in found]


@pytest.mark.parametrize('rig', ['true', 'standing'])
def test_a_training_from_end_to_end_keeps_one_branch(tmp_path, rig):
    """What is exported is the lifting branch, with the parameters of that alone."""
    from selfpose_ros.models.store import open_model
    from selfpose_training.export.reader import read_network
    from selfpose_training.trainer.display import Display
    changes = {**SMALL, 'steps': 12, 'batch': 16, 'val_samples': 32, 'threads': 1, 'rig': rig, 'pretrain': .3}
    outcome = run.train(run.Request(NAME, motion_file(tmp_path / 'm.npz'), tmp_path / 'run', changes=changes),
                        Display(quiet=True))
    assert isinstance(outcome.network.root, RootBranch) and 'root_depth' in outcome.figures and not outcome.flipped
    from selfpose_training.export.lifter import export_model
    export_model(outcome.network.exported(), tmp_path / 'model', {'name': 'x', 'licence': 'x', 'method': NAME})
    model = open_model(str(tmp_path / 'model'))
    read = read_network(model)
    assert not hasattr(read, 'root')
    assert model.card.everything['parameters'] == parameter_count(read) < .6 * parameter_count(outcome.network)
    pose = drawn().pose.flatten(0, 1)
    torch.testing.assert_close(read(pose).y_cam, outcome.network(pose).y_cam, atol=1e-4, rtol=1e-3)


def test_a_rig_of_another_kind_is_refused(tmp_path):
    from selfpose_training.trainer.display import Display
    with raises(SettingError, 'must be one of true, standing, found', setting='rig'):
        run.train(run.Request(NAME, motion_file(tmp_path / 'm.npz'), tmp_path / 'run', changes={'rig': 'x'}),
                  Display(quiet=True))
