# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lift, turn, project, lift again: its geometry, its critics, its adapter, and its place in the trainer."""
from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

pytest.importorskip('torch')
import torch
from bodies import bodies
from raising import raises
from small_training import people
from torch import nn

from selfpose_ros.core.skeleton import JOINTS
from selfpose_training import checkpoint
from selfpose_training.data.arrays import Sampling
from selfpose_training.data.second_source import SHIFTED, ShiftedNoise, convention, with_second
from selfpose_training.errors import SettingError, TrainingError
from selfpose_training.losses.adversarial import critic_loss, generator_loss, gradient_penalty
from selfpose_training.losses.agreement import unit_pose
from selfpose_training.losses.cycle import camera_distance, framed, seen_from, turns_between
from selfpose_training.methods import get
from selfpose_training.methods.base import seen_views
from selfpose_training.methods.collapse import verdict
from selfpose_training.methods.lift_reproject_lift import _observed
from selfpose_training.networks.adapter import Adapter
from selfpose_training.networks.critic import Critic, Tilt, frozen
from selfpose_training.networks.heads import Lifted
from selfpose_training.trainer.auxiliary import of_method
from selfpose_training.trainer.distributed import ProcessGroup
from selfpose_training.trainer.fit import fit
from selfpose_training.trainer.schedule import Schedule

NAME = 'lift_reproject_lift'
SMALL = {'width': 24, 'common': 1, 'branch': 1, 'critic_width': 16, 'batch': 8, 'threads': 1, 'val_samples': 32}
HERE = ProcessGroup(0, 1, torch.device('cpu'))
#: camera axes of somebody who stands upright before a level camera, from axes with z up
LEVEL = torch.tensor([[1., 0, 0], [0, 0, -1], [0, 1, 0]])


def upright(n, seed=0):
    """(n, 17, 3) unit poses before level cameras, relative to the pelvis; float64, as they are to come out exactly."""
    return unit_pose((bodies(n, seed) @ LEVEL.T).double())


def made(**changes):
    torch.manual_seed(0)
    method = get(NAME)
    return method, method.configure(SMALL | changes).build()


def pairs(size=8, data=None, **sampling):
    source = data or people()
    return next(iter(source.windows(0, size, 2, 'cpu', sampling=Sampling(frame_gap=3, **sampling))))


# -- geometry -------------------------------------------------------------------------------------------------------

def test_a_turn_keeps_the_plumb_line():
    """A camera that looks down by e sees it along (0, cos e, sin e), whatever the azimuth."""
    was, becomes = torch.tensor([.3, -.1, 0.]).double(), torch.tensor([.2, .5, -.4]).double()
    R = turns_between(torch.tensor([1., -2., .5]).double(), was, becomes)
    line = torch.stack([torch.zeros(3), was.cos(), was.sin()], -1).double()
    torch.testing.assert_close((R @ line[..., None])[..., 0], torch.stack([0 * was, becomes.cos(), becomes.sin()], -1))
    torch.testing.assert_close(R @ R.mT, torch.eye(3).double().expand(3, 3, 3))
    torch.testing.assert_close(torch.det(R), torch.ones(3).double())
    level = turns_between(*(torch.linspace(-x, x, 50).double() for x in (3., 0., .2)))
    assert float(level[:, 1, 1].min()) >= math.cos(.2) - 1e-9


def test_turning_and_projecting_is_what_a_camera_sees_from_there():
    """Exactly: a camera that went round the person by a, and up, and has the pelvis in the middle of its image."""
    Y, c, a, e = upright(12), 7.5, .9, .3
    R = turns_between(torch.full((12,), a).double(), torch.zeros(12).double(), torch.full((12,), e).double())
    w = seen_from(Y @ R.mT, torch.full((12,), c).double())
    # the camera's centre in the first one's axes, and its own axes there: built from nothing but look-at
    down = torch.tensor([0., math.cos(e), math.sin(e)]).double()
    ahead = R[0].T @ torch.tensor([0., 0, 1]).double()
    right = torch.linalg.cross(R[0].T @ down, ahead)
    right = right / right.norm()
    axes = torch.stack([right, torch.linalg.cross(ahead, right), ahead])
    seen = (Y + c * ahead) @ axes.T
    plane = seen[..., :2] / seen[..., 2:]
    torch.testing.assert_close(w, plane / plane.square().sum((-1, -2), keepdim=True).sqrt(), atol=1e-7, rtol=1e-7)
    assert float((w[:, 10, 1] - w[:, 3, 1]).max()) < 0, 'heads are above ankles'


def test_distance_comes_out_of_size_and_perspective():
    Y, c = upright(20), torch.linspace(5, 30, 20).double()
    plane = Y[..., :2] / (c[:, None, None] + Y[..., 2:])
    torch.testing.assert_close(camera_distance(Y, plane, torch.ones(20, 17).double()), c)
    hidden = torch.ones(20, 17).double()
    hidden[:, 5:9] = 0
    plane[:, 5:9] = 3.
    torch.testing.assert_close(camera_distance(Y, plane, hidden), c)


def test_framing_is_that_of_the_input():
    from selfpose_training.data.normalise import norm2d
    plane, conf = 300 * torch.randn(6, 17, 2), torch.ones(6, 17)
    plane[:, 0] = 0
    conf[1, 4:9] = 0
    torch.testing.assert_close(framed(plane, conf), norm2d(plane, conf).w2d, atol=1e-5, rtol=1e-4)


class Oracle(nn.Module):
    """Knows the pose of each 2D pose it is shown, and of every other view of it: the nearest of all poses turned."""

    frames = 1

    def __init__(self, batch, spoil=lambda y, again: y) -> None:
        super().__init__()
        self.truth = unit_pose(batch.truth()).flatten(0, 1)
        self.spoil, self.turned = spoil, None

    def forward(self, pose):
        if len(pose) == 2 * len(self.truth):
            y = self.truth.repeat_interleave(2, 0)
            self.calls = 1
        else:
            y = self.turned
        return Lifted(self.spoil(y, len(pose) == len(self.truth)), None, None, torch.zeros(len(y), 17))

    def lift(self, batch):
        self.turned = None
        y = self.spoil(self.truth, False)
        return Lifted(y.view(*batch.weight.shape, 3), None, None, torch.zeros_like(batch.weight))

    def lift_views(self, pose):
        y = self.spoil(self.turned, True)
        return Lifted(y[:, None], None, None, torch.zeros(len(y), 1, 17))


def clean(n=8):
    """A batch without 2D errors, seen by level cameras with the focal length that is guessed; with truth."""
    batch = pairs(n, truth=True)
    K = batch.pinhole
    X = torch.einsum('bvik,bjk->bvji', batch.R, batch.X) + batch.t[:, :, None]
    px = X @ K.mT
    px = px[..., :2] / px[..., 2:]
    return dataclasses.replace(batch, kp_px=px, conf=torch.ones_like(batch.conf), past_px=px[:, None].expand(
        -1, 2, -1, -1, -1), past_conf=torch.ones_like(batch.conf)[:, None].expand(-1, 2, -1, -1))


def follow(method, oracle):
    """The oracle is told how poses are turned: it then knows the turned ones, too."""
    from selfpose_training.methods import lift_reproject_lift as module
    original = module.turns_between

    def turns(azimuth, was, becomes):
        R = original(azimuth, was, becomes)
        oracle.turned = oracle.truth @ R.mT
        return R
    return turns


@pytest.mark.parametrize('term', ['rep', 'cycle_2d', 'cycle_3d'])
def test_a_perfect_lifter_pays_nothing(term, monkeypatch):
    """And one that is wrong in just the way that the term is about does."""
    batch = clean()
    method, _ = made()
    spoils = {'rep': lambda y, again: y if again else y * torch.tensor([.5, 1, 1]),
              'cycle_2d': lambda y, again: y * torch.tensor([.5, 1, 1]) if again else y,
              'cycle_3d': lambda y, again: y * torch.tensor([1., 1, -1]) if again else y}
    found = []
    for spoil in (lambda y, again: y, spoils[term]):
        oracle = Oracle(batch, spoil)
        monkeypatch.setattr('selfpose_training.methods.lift_reproject_lift.turns_between', follow(method, oracle))
        torch.manual_seed(0)
        found.append(float(method.loss(oracle, batch, .5)[term].detach()))
        monkeypatch.undo()
    assert found[0] < 2e-3 and found[1] > .05, found


def test_a_cyclic_flip_is_told(monkeypatch):
    """Lifted from the other side, the depth turns over: the 2D still comes out in weak perspective."""
    batch = clean()
    method, _ = made()
    figures = {}
    for name, spoil in (('sound', lambda y, again: y),
                        ('flips', lambda y, again: y * torch.tensor([1., 1, -1]) if again else y)):
        oracle = Oracle(batch, spoil)
        monkeypatch.setattr('selfpose_training.methods.lift_reproject_lift.turns_between', follow(method, oracle))
        figures[name] = method.figures(oracle, batch)
        monkeypatch.undo()
    assert figures == {'sound': {'cyclic_flip': 0.}, 'flips': {'cyclic_flip': 1.}}
    assert verdict(figures['sound']) == [] and any('turns over' in s for s in verdict(figures['flips']))


def test_errors_of_other_samples_are_handed_on():
    here, there = (seen_from(upright(5, s), torch.full((5,), 9.).double()).float()[:, None].expand(-1, 2, -1, -1)
                   for s in (0, 1))
    conf = torch.linspace(.2, 1, 5)[:, None, None, None].expand(-1, 2, 17, 1)
    exact = _observed(there, torch.cat([here, conf], -1), here)
    torch.testing.assert_close(exact[..., :2], there, atol=1e-5, rtol=1e-4)
    assert sorted(exact[:, 0, 0, 2].tolist()) == pytest.approx(conf[:, 0, 0, 0].tolist())
    off = here.clone()
    off[2, :, 16] += .2
    noisy = _observed(there, torch.cat([off, conf], -1), here)
    moved = (noisy[..., 16, :2] - there[..., 16, :]).norm(dim=-1)[:, 0] > .1
    assert moved.sum() == 1 and noisy[moved][0, 0, 0, 2] == pytest.approx(float(conf[2, 0, 0, 0]))


# -- critics --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('poses', [1, 2])
def test_a_critic_learns_what_is_real_and_teaches_it(poses):
    """After some steps real scores higher; a step along the gradient of `generator_loss` lifts the others' score."""
    torch.manual_seed(0)
    critic = Critic(poses, 32)
    shape = (64, 17, 2) if poses == 1 else (64, 2, 17, 2)
    real, fake = .25 * torch.randn(shape) + torch.tensor([.15, 0.]), .25 * torch.randn(shape)
    optimiser = torch.optim.Adam(critic.parameters(), 3e-3)
    before = float(critic_loss(critic, real, fake).detach())
    for _ in range(60):
        optimiser.zero_grad()
        (critic_loss(critic, real, fake) + 1e-4 * gradient_penalty(critic, real)).backward()
        optimiser.step()
    assert float(critic_loss(critic, real, fake).detach()) < .5 * before
    assert float((critic(real).mean() - critic(fake).mean()).detach()) > 1
    at = fake.clone().requires_grad_(True)
    optimiser.zero_grad()
    with frozen(critic):
        generator_loss(critic, at).backward()
    assert all(p.grad is None and p.requires_grad for p in critic.parameters()), 'it is only asked'
    better = (fake - 3. * at.grad).detach()
    with torch.no_grad():
        assert float(critic(better).mean() - critic(fake).mean()) > 0
    assert float((better - fake)[..., 0].mean()) > 0, 'to the right, where the real ones are'


def test_a_critic_that_cannot_tell_pays_log_4():
    poses = torch.randn(9, 17, 2)
    assert float(critic_loss(lambda p: p.flatten(1).sum(1) * 0, poses, poses)) == pytest.approx(math.log(4))


def test_the_slope_is_that_of_the_critic():
    """Of a critic that is linear, a number that can be written down."""
    weight = torch.randn(34)
    assert float(gradient_penalty(lambda p: p.flatten(1) @ weight, torch.randn(9, 17, 2))) == pytest.approx(
        .5 * float(weight.square().sum()), rel=1e-5)


def test_companions_take_their_own_steps():
    """Critics learn from their own loss, tilt from the lifter's; nothing of the lifter moves."""
    method, network = made()
    auxiliary = of_method(method, Schedule('constant', 10), HERE)
    batch = pairs()
    sum(method.loss(network, batch, .5).values()).backward()
    assert all(p.grad is None for n in ('pose', 'motion') for p in method.auxiliary[n].parameters())
    lifter = [p.clone() for p in network.parameters()]
    before = {n: [p.clone() for p in m.parameters()] for n, m in method.auxiliary.items()}
    terms = auxiliary.step(batch, 0)
    assert set(terms) == {'critic_pose', 'critic_motion', 'gradient_penalty_pose', 'gradient_penalty_motion'}
    assert set(auxiliary.step(batch, 1)) == {'critic_pose', 'critic_motion'}
    for name, old in before.items():
        assert any(not torch.equal(a, b) for a, b in zip(old, method.auxiliary[name].parameters(), strict=True)), name
    assert all(torch.equal(a, b) for a, b in zip(lifter, network.parameters(), strict=True))


def test_critics_are_heard_little_by_little():
    method, network = made(adversarial_warmup=.4)
    shares = []
    for progress in (0., .1, .4, .9):
        torch.manual_seed(1)
        terms = method.loss(network, pairs(), progress)
        shares.append([float(terms[name].detach()) for name in ('adv_pose', 'adv_motion')])
    assert shares[0] == [0, 0] and min(shares[2]) > 0 and shares[2] == shares[3]
    assert shares[1] == pytest.approx([x / 4 for x in shares[2]], rel=1e-4)
    method, network = made(adversarial_warmup=0.)
    assert float(method.loss(network, pairs(), 0.)['adv_pose'].detach()) > 0


def test_the_critic_of_motion_sees_both_poses_whole():
    """Real pairs are the observed ones; what it is shown of the lifter's is as large."""
    method, network = made()
    batch = pairs()
    method.loss(network, batch, .5)
    real, shown = method._pairs['motion']
    poses = batch.past_pose[:, :, -2:][seen_views(batch)][..., :2]
    torch.testing.assert_close(real, poses)
    assert shown.shape == real.shape and torch.equal(method._pairs['pose'][0], real[:, 1])


def test_without_weights_there_are_no_critics():
    method, network = made(adv_2d=0., adv_temporal=0.)
    terms = method.loss(network, pairs(), .5)
    assert set(method.auxiliary) == {'tilt'} and not {'adv_pose', 'adv_motion'} & set(terms)
    assert method.auxiliary_loss(pairs(), 0) == {}


def test_tilt_starts_one_sided():
    """Cameras look down more often than up: what the depth reversal would contradict."""
    assert float(Tilt(start=.12)(torch.randn(5, 17, 3)).detach().std()) == 0
    assert Tilt(start=.12)(torch.randn(5, 17, 3)).tolist() == pytest.approx([.12] * 5)


# -- second source --------------------------------------------------------------------------------------------------

def test_an_adapter_begins_as_the_identity():
    pose = torch.randn(7, 17, 3)
    pose[3, 5, 2] = 0
    adapter = Adapter(16)
    assert torch.equal(adapter(pose), pose)
    nn.init.normal_(adapter.out.weight)
    moved = adapter(pose) - pose
    assert moved[..., :2].abs().max() > .01 and (moved[3, 5] == 0).all() and (moved[..., 2] == 0).all()


def test_the_other_convention_moves_joints_along_the_body():
    X, C = bodies(40).numpy(), convention()
    assert C.sum(1) == pytest.approx(np.ones(17), abs=1e-6), 'wherever the person stands'
    off = np.linalg.norm(C @ X - X, axis=-1)
    assert .06 < off[:, [i for i, n in enumerate(JOINTS) if n != 'spine']].mean() < .15
    wide, narrow = (np.linalg.norm(Y[:, 4] - Y[:, 1], axis=-1) for Y in (C @ X, X))
    assert wide / narrow == pytest.approx(1.75, abs=.01)


def test_half_of_every_batch_comes_from_the_second_source():
    first = people()
    mixed = with_second(first, SHIFTED)
    batch = pairs(8, mixed)
    assert batch.source is not None and batch.source.tolist() == [0] * 4 + [1] * 4
    assert isinstance(mixed.parts[1].source.noise, ShiftedNoise) and not isinstance(first.noise, ShiftedNoise)
    with pytest.raises(TrainingError, match='needs a motion file'):
        with_second(object(), SHIFTED)      # type: ignore[arg-type]


def test_only_the_second_source_is_adapted_and_only_by_its_own_terms():
    method, network = made(second_source=SHIFTED)
    batch = pairs(8, with_second(people(), SHIFTED))
    terms = method.loss(network, batch, .5)
    assert {'adv_domain', 'adapter_keep'} <= set(terms) and float(terms['adapter_keep'].detach()) == 0
    adapter = method.auxiliary['adapter']
    sum(v for k, v in terms.items() if k not in ('adv_domain', 'adapter_keep')).backward(retain_graph=True)
    assert all(p.grad is None for p in adapter.parameters()), 'the lifter must not bend the 2D to its liking'
    terms['adv_domain'].backward()
    assert adapter.out.weight.grad is not None and adapter.out.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in method.auxiliary['domain'].parameters())
    assert 'critic_domain' in method.auxiliary_loss(batch, 1)
    method.loss(network, pairs(), .5)
    assert 'critic_domain' not in method.auxiliary_loss(pairs(), 1), 'one source alone has nothing to adapt'
    assert 'adapter' not in made(second_source=SHIFTED, adapter=False)[0].auxiliary


# -- in the trainer -------------------------------------------------------------------------------------------------

def run(folder, resume=False, minutes=math.inf, method=None, **settings):
    return fit(method or get(NAME), people(), folder, SMALL | {'steps': 8, 'log_every': 2, 'checkpoint_minutes': 0,
               'warmup': 0, 'ema': .9} | settings, val=people(48, 5), resume=resume, max_minutes=minutes, device='cpu')


def test_resumed_ends_as_if_never_interrupted(tmp_path):
    """Critics and their optimiser included."""
    class Dies(type(get(NAME))):                           # type: ignore[misc]
        def loss(self, network, batch, progress):
            if progress == 5 / 8:
                raise KeyboardInterrupt
            return super().loss(network, batch, progress)

    whole = run(tmp_path / 'whole')
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / 'dies', method=Dies())
    assert checkpoint.load(tmp_path / 'dies' / checkpoint.CHECKPOINT)['step'] == 4
    again = run(tmp_path / 'dies', resume=True)
    a, b = (checkpoint.load(tmp_path / n / checkpoint.CHECKPOINT) for n in ('whole', 'dies'))
    for key in ('network', 'average'):
        assert all(torch.equal(a[key][k], b[key][k]) for k in a[key])
    mine, theirs = a['auxiliary']['networks'], b['auxiliary']['networks']
    assert mine.keys() == theirs.keys() and any('motion' in k for k in mine)
    assert all(torch.equal(mine[k], theirs[k]) for k in mine)
    assert [h['terms'] for h in whole.history if 'terms' in h] == [h['terms'] for h in again.history if 'terms' in h]
    assert {'critic_pose', 'adv_motion'} <= set(whole.history[0]['terms'])


def test_a_checkpoint_without_the_critics_is_refused(tmp_path):
    run(tmp_path)
    path = tmp_path / checkpoint.CHECKPOINT
    state = {k: v for k, v in checkpoint.load(path).items() if k not in ('auxiliary', 'format')}
    checkpoint.save(path, state)
    with pytest.raises(TrainingError, match='holds another network'):
        run(tmp_path, resume=True)


def test_temporal_lifters_are_refused():
    with raises(SettingError, 'lifts single frames', setting='body'):
        made(body='temporal_conv', frames=3)


def test_settings_are_written(tmp_path):
    outcome = run(tmp_path, frame_gap=2)
    assert json.loads((tmp_path / 'config.json').read_text())['frame_gap'] == 2
    assert 'cyclic_flip' in outcome.figures and math.isfinite(outcome.criterion)
