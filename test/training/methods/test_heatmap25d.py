# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Images to 3D with unlabelled views: geometry, losses, pictures in groups, guards, and the model that comes out."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from bodies import articulated, cameras
from raising import raises
from small_data import human36m
from torch import Tensor, nn

from selfpose_ros import cli
from selfpose_ros.core.body import BONE_PRIOR_M
from selfpose_ros.core.relative_depth import pose_with_depth
from selfpose_ros.core.skeleton import JOINTS, MIRROR
from selfpose_ros.inference.pose2d import make_pose2d
from selfpose_ros.inference.pose2d.network import VisionNetwork
from selfpose_ros.models.errors import NoModel
from selfpose_ros.models.store import open_model
from selfpose_ros.synthetic import walker
from selfpose_training import checkpoint, losses
from selfpose_training.data.arrays import Sampling
from selfpose_training.errors import SettingError, TrainingError
from selfpose_training.evaluation.images import evaluate_images
from selfpose_training.export.reader import read_pose2d
from selfpose_training.images.boxes import Task
from selfpose_training.images.groups import GroupBatch, Groups, make_groups
from selfpose_training.losses.heat_map import heatmap_cross, heatmap_mse
from selfpose_training.methods.collapse import verdict
from selfpose_training.methods.heatmap25d import HeatMap25DMethod, PointsGraph, _posed, _pseudo_labels, _true_errors
from selfpose_training.networks.points25d import CELL, Seen, confidence, pose_of, rays_of, root_depth, target_maps
from selfpose_training.networks.vision import SimccNetwork

SIZE = (48, 64)
TASK = Task('pose2d', SIZE)
TINY = {'start': '', 'stages': [8, 8, 8], 'depth': [0, 0, 0], 'hidden': 8, 'size': list(SIZE), 'views': 3,
        'pictures': 24, 'labelled': 4}
K = torch.tensor([[600., 0, 320], [0, 600, 240], [0, 0, 1]], dtype=torch.float64)


@pytest.fixture(scope='module')
def poses() -> np.ndarray:
    return walker(8., 6., seed=3).astype(np.float32)


@pytest.fixture(scope='module')
def groups(poses, tmp_path_factory) -> Groups:
    return make_groups(poses, TASK, 3, 8, 5, tmp_path_factory.mktemp('pictures') / 'groups.npz')


@pytest.fixture(scope='module')
def motion_file(poses, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('motion') / 'tiny.npz'
    np.savez(path, pos=np.concatenate([poses, poses]), seq_start=np.array([0, len(poses), 2 * len(poses)]),
             seq_name=np.array(['a', 'b']), fps=np.float32(6))
    return path


def seen_bodies(n: int = 40, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Bodies of any pose before a camera: 2D px, depths, and the truth about the pelvis in camera axes; unit: torso."""
    X = articulated(n, seed).double()
    X = X - X[:, :1]
    X = X / X[:, 8].norm(dim=-1)[:, None, None]
    place = torch.stack([torch.linspace(-3, 3, n), torch.linspace(1, -1, n), torch.linspace(5, 12, n)], -1).double()
    px = (X + place[:, None]) @ K.T
    px = px[..., :2] / px[..., 2:]
    _, turn = rays_of(px, torch.linalg.inv(K).expand(n, 3, 3))
    return px, (X @ turn)[..., 2], X


# -- geometry

def test_reconstruction_is_exact_on_perspective_poses():
    px, depth, X = seen_bodies()
    rays, turn = rays_of(px, torch.linalg.inv(K).expand(len(px), 3, 3))
    Y, stretched = pose_of(rays, depth)
    across = (X @ turn)[:, 8, :2].norm(dim=-1)
    off = (Y @ turn.mT - X).norm(dim=-1).amax(-1)
    assert (across > .35).sum() > 10 and off[across > .35].max() < 1e-9 and not stretched.any()


def test_reconstruction_in_training_is_that_at_run_time():
    px, depth, _ = seen_bodies()
    rays, turn = rays_of(px, torch.linalg.inv(K).expand(len(px), 3, 3))
    Y = (pose_of(rays, depth)[0] @ turn.mT).numpy()
    for i in range(len(Y)):
        found = pose_with_depth(px[i].numpy(), np.ones(17, bool), depth[i].numpy(), np.full(17, .1), K.numpy())
        if found is None:                                  # run time says so where training has to say something
            continue
        np.testing.assert_allclose(found[0], Y[i] / np.sqrt((Y[i] ** 2).sum(-1).mean()), atol=1e-6)


def test_gradients_are_finite_wherever_the_depths_are():
    px, depth, _ = seen_bodies()
    for factor in (0., 1., 3., 50.):
        points, z = px.clone().requires_grad_(), (factor * depth).requires_grad_()
        Y, stretched = pose_of(rays_of(points, torch.linalg.inv(K).expand(len(px), 3, 3))[0], z)
        Y.square().sum().backward()
        assert torch.isfinite(points.grad).all() and torch.isfinite(z.grad).all()
        assert bool(stretched.any()) == (factor >= 3)
    q, _ = root_depth(torch.zeros(2, 17, 2), torch.zeros(2, 17))
    assert torch.isfinite(q).all()


# -- losses

def test_procrustes_is_zero_for_one_body_seen_by_two_cameras_and_never_a_reflection():
    X, R = articulated(6, 2), cameras(6, 2, 3)
    Y = X[:, None] @ R.mT
    c = torch.ones(6, 2, 17)
    assert losses.mv_procrustes(Y, c, sized=True) < 2e-4
    assert losses.mv_procrustes(torch.stack([Y[:, 0], 1.3 * Y[:, 1]], 1), c, sized=True) > .02      # sizes count
    assert losses.mv_procrustes(torch.stack([Y[:, 0], 1.3 * Y[:, 1]], 1), c) < 2e-3
    mirrored = torch.stack([Y[:, 0], Y[:, 1] * torch.tensor([1., 1, -1])], 1)
    assert losses.mv_procrustes(mirrored, c, sized=True) > .02
    flat = Y * torch.tensor([1., 1, 0])
    assert losses.mv_procrustes(flat, c, sized=True) > .02


def test_limb_lengths_weigh_by_their_joints():
    X = articulated(5, 1)
    lengths = losses.anatomy.bone_lengths(X)
    assert losses.limb_len(X, lengths) < 1e-6
    bent = X.clone()
    bent[:, JOINTS.index('l_wrist')] += .3
    weight = torch.ones(5, 17)
    assert losses.limb_len(bent, lengths, weight) == pytest.approx(float(losses.limb_len(bent, lengths)))
    weight[:, JOINTS.index('l_wrist')] = 0.
    assert losses.limb_len(bent, lengths, weight) < losses.limb_len(bent, lengths)
    assert losses.z_bound(torch.full((2, 17, 3), 2.), 1.5) == pytest.approx(.5)


def test_heat_maps_against_their_targets():
    points = torch.tensor([[[21., 33.], [500., 10.]]])
    target = target_maps(points, torch.zeros(1, 2, 16, 12))
    torch.testing.assert_close(target.sum((-2, -1)), torch.ones(1, 2))
    cell = ((target[0, 0] == target[0, 0].max()).nonzero()[0].flip(0) * CELL + 1.5)
    assert (cell - points[0, 0]).abs().max() <= CELL / 2
    assert target[0, 1].std() < 1e-6                       # far outside: nowhere
    one = torch.tensor([[1., 0.]])
    assert heatmap_mse(target, target, one) == 0 and heatmap_cross(target, target, one) == 0
    flat = torch.full_like(target, 1 / 192)
    elsewhere = target_maps(torch.tensor([[[6., 6.], [6., 6.]]]), target)
    assert .9 < heatmap_mse(flat, target, one) < 1 < heatmap_mse(elsewhere, target, one)
    assert heatmap_cross(elsewhere, target, one) > heatmap_cross(flat, target, one) > 1
    assert confidence(target)[0, 0] > .9 and confidence(flat)[0, 0] < .15


# -- pictures

def pixels(batch: GroupBatch) -> Tensor:
    """Where the truth of a batch is seen in its pictures, as labels name it."""
    assert batch.joints is not None
    px = batch.joints.double() @ torch.linalg.inv(batch.to_ray.double()).mT
    px = px[..., :2] / px[..., 2:]
    return torch.where(batch.mirrored[..., None, None], px[:, :, list(MIRROR)], px)


def oracle(batch: GroupBatch) -> Seen:
    """What a perfect network would say of a batch."""
    assert batch.joints is not None
    X = batch.joints.double()
    X, u = X - X[..., :1, :], (X[..., 8, :] - X[..., 0, :]).norm(dim=-1)
    points = pixels(batch)
    upright = torch.where(batch.mirrored[..., None, None], points[:, :, list(MIRROR)], points)
    _, turn = rays_of(upright, batch.to_ray.double())
    depth = (X @ turn)[..., 2] / u[..., None]
    depth = torch.where(batch.mirrored[..., None], depth[..., list(MIRROR)], depth)
    heat = target_maps(points.flatten(0, 1), torch.zeros(1, 1, SIZE[1] // CELL, SIZE[0] // CELL))
    return Seen(points.flatten(0, 1), depth.flatten(0, 1), torch.full_like(depth, -2.).flatten(0, 1), heat)


@pytest.mark.parametrize('varied', [False, True])
def test_labels_rays_and_truth_belong_together_in_every_view(groups: Groups, varied: bool):
    groups.varied = varied
    batch = next(iter(groups.batches(1, 8)))
    groups.varied = True
    assert batch.image.shape == (8, 3, 3, 64, 48) and bool(batch.labelled.all())
    assert (batch.joints is None) == varied                # the truth is for figures alone
    assert bool(batch.mirrored.any()) == varied
    if varied:                                             # pictures of the same order, for the check
        truth = torch.from_numpy(groups.joints).unflatten(0, (8, 3)).float()
        order = np.random.default_rng([groups.seed, 1, 3]).permutation(8)
        batch = replace(batch, joints=truth[order])
    seen = batch.weight > 0
    assert seen.float().mean() > .6
    assert (pixels(batch) - batch.points)[seen].abs().max() < .02
    pose = _posed(oracle(batch), replace(batch, to_ray=batch.to_ray.double()))
    told = _true_errors(pose, batch.joints)
    across = pose.joints[..., 8, :2].norm(dim=-1)
    assert (across > .35).float().mean() > .8
    assert told['n_mpjpe'] < 25 and told['pa_mpjpe'] < 25  # of lying people only; 0 of all others
    assert losses.mv_procrustes(pose.joints, pose.weight.double(), sized=True) < .1


def test_groups_without_labels_tell_nothing_but_pictures(groups: Groups):
    part = groups.of(2)
    assert len(part) == 8 and len(groups.of(2, unlabelled=False)) == 2
    batches = list(part.batches(0, 4))
    assert len(batches) == 2
    for batch in batches:
        assert batch.labelled.tolist() == [True, True, False, False]
        assert float(batch.weight[2:].abs().max()) == float(batch.points[2:].abs().max()) == 0. < batch.weight[:2].max()
    for n, labelled in ((0, True), (1, False)):            # alone at first
        assert all(bool(b.labelled.all()) == labelled for b in groups.of(2, alone=1).batches(n, 4))
    with raises(SettingError, 'cannot be half labelled', setting='batch'):
        next(iter(part.batches(0, 1)))
    assert len(list(groups.batches(0, 3))) == 2
    assert len(list(groups.batches(0, 3, sampling=Sampling(partial=True)))) == 3


def test_a_file_of_groups_is_read_back_and_another_is_refused(poses, groups: Groups, tmp_path: Path):
    file = tmp_path / 'pictures.npz'
    made = make_groups(poses, TASK, 2, 3, 1, file)
    again = make_groups(poses, TASK, 2, 3, 1, file)
    assert again.jpegs == made.jpegs
    np.testing.assert_allclose(again.to_ray, made.to_ray)
    np.testing.assert_allclose(np.concatenate(again.points), np.concatenate(made.points), atol=1e-4)
    with pytest.raises(TrainingError, match='another folder'):
        make_groups(poses, TASK, 3, 3, 1, file)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(TrainingError):
        make_groups(poses, TASK, 2, 3, 1, file)


# -- training and its guards

class Says(nn.Module):
    """A network that says what it is told to."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen

    def forward(self, image: Tensor) -> Seen:
        return self.seen


@pytest.fixture
def batch(groups: Groups) -> GroupBatch:
    groups.varied = False
    found = next(iter(groups.batches(0, 8)))
    groups.varied = True
    return replace(found, to_ray=found.to_ray.double(), image=found.image.double())


def test_a_perfect_network_has_hardly_a_loss_and_no_verdict(batch: GroupBatch):
    method, seen = HeatMap25DMethod(), oracle(batch)
    method.configure(TINY).build()
    terms = method.loss(Says(seen), batch, 1.)
    assert set(terms) == {'heatmap', 'cross', 'multi_view', 'limb_length', 'z_bound', 'depth_elongation', 'chirality',
                          'sigma'}
    assert terms['heatmap'] < 1e-6 and terms['multi_view'] < .1 and terms['z_bound'] < .1
    assert set(method.loss(Says(seen), batch, 0.)) == {'heatmap', 'cross'}
    figures = method.figures(Says(seen), batch)
    assert figures['pck_10'] == 100 and figures['n_mpjpe'] < 25
    assert verdict(figures) == []
    assert method.criterion(Says(seen), batch) < .1


def test_the_sign_of_depth_is_told_at_the_beginning_alone(batch: GroupBatch):
    method, seen = HeatMap25DMethod(), oracle(batch)
    method.configure({**TINY, 'stage': .2}).build()
    turned = seen._replace(depth=-seen.depth)
    at = [float(method.loss(Says(turned), batch, p)['chirality']) for p in (.3, .4, .5, 1.)]
    assert at[0] > .05 and at[1] == pytest.approx(at[0] / 2) and at[2:] == [0, 0]
    assert float(method.loss(Says(seen), batch, .3)['chirality']) < .1 * at[0]


@pytest.mark.parametrize(('change', 'word'), [
    (lambda s: s._replace(depth=0 * s.depth), 'flat'), (lambda s: s._replace(depth=-s.depth), 'reversed'),
    (lambda s: s._replace(depth=6 * s.depth), 'too large for the bones'),
    (lambda s: s._replace(points=s.points.mean(1, keepdim=True) + 0 * s.points), 'one place'),
    (lambda s: s._replace(points=s.points[:1].expand_as(s.points), depth=s.depth[:1].expand_as(s.depth)), 'the same')])
def test_constructed_collapse_is_noticed(batch: GroupBatch, change, word: str):
    method, good = HeatMap25DMethod(), oracle(batch)
    method.configure(TINY).build()
    if word == 'the same':                                 # one and the same camera, too
        batch = replace(batch, to_ray=batch.to_ray[:1, :1].expand_as(batch.to_ray))
    assert any(word in sentence for sentence in verdict(method.figures(Says(change(good)), batch)))
    if word in ('flat', 'too large for the bones'):
        changed, sound = (method.loss(Says(s), batch, 1.)['multi_view'] for s in (change(good), good))
        assert changed > 3 * sound


def test_pictures_and_their_mirror_images_are_told_the_same():
    network = HeatMap25DMethod().configure(TINY).build()
    image = torch.randn(3, 3, SIZE[1], SIZE[0])
    network.eval()
    heat, mirrored = (network(x).heat.detach() for x in (image, image.flip(-1)))
    network.train()
    told, sure = _pseudo_labels(network, image, heat)
    again, sure_again = _pseudo_labels(network, image.flip(-1), mirrored)
    assert network.training
    torch.testing.assert_close(again.flip(-1)[:, list(MIRROR)], told, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(sure_again[:, list(MIRROR)], sure)


def test_the_tower_of_a_pose2d_run_is_a_start(tmp_path: Path):
    torch.manual_seed(1)
    taught = SimccNetwork(SIZE, TINY['stages'], TINY['depth'], TINY['hidden'])
    checkpoint.save(tmp_path / checkpoint.BEST, {'network': taught.state_dict()})
    network = HeatMap25DMethod().configure({**TINY, 'start': str(tmp_path)}).build()
    for name, value in taught.tower.state_dict().items():
        torch.testing.assert_close(network.tower.state_dict()[name], value)
    with pytest.raises(TrainingError, match='another tower'):
        HeatMap25DMethod().configure({**TINY, 'stages': [8, 8, 16], 'start': str(tmp_path)}).build()
    with pytest.raises(NoModel, match='neither a model folder nor a shipped model'):
        HeatMap25DMethod().configure({**TINY, 'start': str(tmp_path / 'none')}).build()


def test_as_it_is_it_begins_with_the_tower_of_the_shipped_2d_network():
    method = HeatMap25DMethod()
    network = method.build().eval()
    shipped = read_pose2d(open_model('rendered_pose'))
    image = torch.randn(2, 3, *method.task.size[::-1])
    with torch.no_grad():
        for mine, wanted in zip(network.tower(image), shipped.tower(image), strict=True):
            torch.testing.assert_close(mine, wanted)
    assert float(network.tower.stem[0][0].weight.detach().std()) > 0
    with pytest.raises(TrainingError, match='another tower'):
        HeatMap25DMethod().configure({'stages': [8, 8, 16]}).build()


def test_flip_turns_the_depth_round_and_nothing_else():
    network = HeatMap25DMethod().configure(TINY).build().eval()
    image = torch.randn(2, 3, SIZE[1], SIZE[0])
    with torch.no_grad():
        before = network(image)
        network.flip()
        after = network(image)
    torch.testing.assert_close(after.depth, -before.depth)
    torch.testing.assert_close(after.points, before.points)
    torch.testing.assert_close(before.heat.sum((-2, -1)), torch.ones(2, 17))
    assert float(before.depth[:, 0].abs().max()) == 0


def test_training_to_a_model_that_is_measured(motion_file: Path, tmp_path: Path, capsys, monkeypatch):
    """Both halves in a batch, the guards at work; the model folder is read by the run time and by the command."""
    monkeypatch.setattr('os.cpu_count', lambda: 1)         # processes take longer to start than the work takes
    monkeypatch.setattr('selfpose_training.images.rendering._FEWEST', 24)
    settings = [w for k, v in {**TINY, 'ema': .5, 'stage': .2, 'evaluate_every': 4}.items()
                for w in ('--set', f'{k}={json.dumps(v)}')]
    status = cli.main(['train', 'heatmap25d', '--data', str(motion_file), '-o', str(tmp_path / 'run'), '--steps', '8',
                       '--batch', '4', '--threads', '1', '--quiet', *settings])
    out = capsys.readouterr()
    history = json.loads((tmp_path / 'run' / 'history.json').read_text())
    told = [h['collapse'] for h in history if 'criterion' in h]
    assert len(told) >= 2 and {'pck_20', 'n_mpjpe', 'extent', 'stretched', 'chirality', 'depth'} <= told[0].keys()
    # so few steps make no body: the guards say so, and no model is written
    assert status == 1 and 'collapsed' in out.err and not (tmp_path / 'run' / 'model').exists()


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """A model folder of a network that has not learnt anything."""
    method = HeatMap25DMethod()
    torch.manual_seed(3)
    network = method.configure(TINY).build().eval()
    out = tmp_path_factory.mktemp('models') / 'tiny'
    method.export(network, out, {'name': 'tiny', 'licence': 'none', 'method': 'heatmap25d'})
    return out


def test_the_model_says_what_the_network_says(folder: Path):
    torch.manual_seed(3)
    method = HeatMap25DMethod()
    graph = PointsGraph(method.configure(TINY).build().eval())
    card = open_model(folder).card
    assert (card.kind, card.task, card.joints) == ('pose2d', 'points25d', JOINTS)
    network = VisionNetwork(open_model(folder))
    image = np.random.default_rng(1).integers(0, 256, (200, 150, 3), np.uint8)
    boxes = np.array([[20., 10, 90, 160], [0, 0, 149, 199]])
    points, score, depth = network.poses_in_depth(image, boxes)
    assert depth is not None and points.shape == depth.shape == (2, 17, 2) and score.shape == (2, 17)
    places = [network.crop(b, (150, 200)) for b in boxes]
    with torch.no_grad():
        wanted = graph(torch.from_numpy(network.blob(image, places).copy()))
    for i, place in enumerate(places):
        np.testing.assert_allclose(points[i], place.to_image(wanted[0][i].numpy()), atol=.02)
    np.testing.assert_allclose(score, wanted[1], atol=1e-4)
    np.testing.assert_allclose(depth[..., 0], wanted[2], atol=1e-4)
    np.testing.assert_allclose(depth[..., 1], wanted[3], atol=1e-4)
    assert network.poses(image, boxes)[0].shape == (2, 17, 2)
    assert network.poses_in_depth(image, np.zeros((0, 4)))[2].shape == (0, 17, 2)


def test_who_is_followed_keeps_his_depths(folder: Path):
    network = make_pose2d(str(folder), min_score=0.)
    image = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (240, 320, 3), np.uint8), (0, 0), 3)
    for _ in range(2):
        people = network.infer(image)
        assert len(people) == 1 and people.depth is not None and people.depth.shape == (1, 17, 2)
        assert (people.depth[..., 1] > 0).all()


def test_evaluation_of_image_models(folder: Path, poses, motion_file: Path, capsys):
    found = evaluate_images(VisionNetwork(open_model(folder)), poses, 1, 12)
    assert found.pictures == 12 and 0 <= found.pck_10 <= found.pck_20 < 60
    command = ['evaluate', str(folder), '--motion', str(motion_file), '--quiet']
    assert cli.main([*command, '--pictures', '6', '--json']) == 0
    told = json.loads(capsys.readouterr().out)
    assert told['pictures'] == 6 and told['model']['task'] == 'points25d'
    assert cli.main([*command, '--views', '2']) == 2
    assert 'one by one' in capsys.readouterr().err


def test_evaluation_on_people_of_a_data_set(folder: Path, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr('os.cpu_count', lambda: 1)
    human36m(tmp_path, actions=('Walking',))
    found = []
    for more in ((), ('--json',)):
        assert cli.main(['evaluate', str(folder), '--data', str(tmp_path), '--every', '4', '--pictures', '4', '--quiet',
                         *more]) == 0
        found.append(capsys.readouterr())
    assert f'4 rendered pictures of people from {tmp_path.name}, seed 1' in found[0].out and not found[0].err
    told = json.loads(found[1].out)
    assert told['data'] == tmp_path.name and told['pictures'] == 4 and 0 <= told['pck_20'] <= 100


def test_lengths_of_the_table_are_those_of_the_body():
    """The reference bone's length is that of the bones between its ends."""
    from selfpose_ros.core.relative_depth import OTHER_BONES, REFERENCE, REFERENCE_M
    assert [JOINTS[j] for j in REFERENCE] == ['pelvis', 'thorax'] and REFERENCE_M == pytest.approx(.266 * 1.7)
    assert len(OTHER_BONES) == 8 and all(.2 < BONE_PRIOR_M[k] < .45 for _, _, k in OTHER_BONES)
