# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`pose_machine`: what its LSTMs may see, what each step teaches, and that what comes out is a lifter."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch', reason='the training needs torch: pip install selfpose_ros[training]')

import torch
from raising import raises

from selfpose_ros.models.store import open_model
from selfpose_ros.synthetic import walker
from selfpose_training.data.arrays import Sampling
from selfpose_training.data.batch import Batch
from selfpose_training.data.motion import MotionViews, Poses
from selfpose_training.errors import SettingError
from selfpose_training.export.lifter import export_model
from selfpose_training.export.reader import read_network
from selfpose_training.losses.squared import p3d_mse, proj2d_mse
from selfpose_training.methods import get
from selfpose_training.methods.pose_machine import PoseMachine
from selfpose_training.networks.blocks import parameter_count
from selfpose_training.networks.causal_lstm import Projector, RegressedHead

TRUTH = Sampling(truth=True)
#: a moment of each step: ii, iii with the teacher's poses, iii with its own, iv
II, III_TAUGHT, III_OWN, IV = .2, .52, .68, .9


def views() -> MotionViews:
    X = np.concatenate([walker(4., 20., seed, 'mixed') for seed in range(3)]).astype(np.float32)
    return MotionViews(Poses(X, np.arange(4) * (len(X) // 3), 20., np.full(X.shape[:2], .01, np.float32)), seed=1)


def batch_of(frames: int = 5, size: int = 24, n: int = 0) -> Batch:
    data = views()
    return next(iter(data.windows(n, size, frames, sampling=TRUTH) if frames > 1 else
                     data.batches(n, size, sampling=TRUTH)))


def machine(**changes):
    torch.manual_seed(0)
    method = get('pose_machine')
    assert isinstance(method, PoseMachine)
    return method.configure({'width': 32, 'hidden': 48, 'projector': 64, **changes}).build(), method


def stirred(network):
    """With weights that differ from where they began."""
    with torch.no_grad():
        for p in network.parameters():
            p.add_(.05 * torch.randn_like(p))
    return network


def moved(network, method, progress: float, batch: Batch | None = None) -> dict[str, bool]:
    """Which parts get a gradient at this moment."""
    parts = {'lstm': network.body, 'p3d': network.head.to_pose, 'q3d': network.head.change,
             'projector': method.auxiliary}
    for p in (*network.parameters(), *method.auxiliary.parameters()):
        p.grad = None
    sum(method.loss(network, batch or batch_of(), progress).values()).backward()
    return {name: any(p.grad is not None and bool((p.grad != 0).any()) for p in part.parameters())
            for name, part in parts.items()}


# -- causal

def test_the_newest_pose_depends_on_the_past_and_windows_on_nothing_before() -> None:
    """Every frame of the window counts, the newest most; a window says the same wherever it was cut from."""
    network, _ = machine()
    network = stirred(network).eval()
    pose = batch_of().past_pose.flatten(0, 1).requires_grad_()
    network(pose).y_cam.square().sum().backward()
    share = pose.grad.abs().sum((0, 2, 3))
    assert (share > 0).all() and int(share.argmax()) == 4
    long = torch.rand((2, 9, 17, 3), generator=torch.Generator().manual_seed(1)) - .3
    with torch.no_grad():
        first, second = network.body.first, network.body.second
        states = first(list(long.flatten(-2)[..., :32].unbind(1)))
        changed = long.clone()
        changed[:, 6:] += 1.
        again = first(list(changed.flatten(-2)[..., :32].unbind(1)))
        for a, b in zip(second(states)[:6], second(again)[:6], strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)               # no frame sees a later one
        assert not torch.allclose(states[6], again[6])


def test_one_frame_is_a_frame_lifter() -> None:
    network, method = machine(frames=1)
    assert network.frames == 1
    assert network.lift(batch_of(1)).y_cam.shape == (24, 4, 17, 3)
    assert np.isfinite(method.criterion(network, batch_of(1)))


# -- steps

def test_each_step_teaches_its_parts() -> None:
    network, method = machine()
    stirred(network)
    assert moved(network, method, II) == {'lstm': True, 'p3d': True, 'q3d': False, 'projector': False}
    for progress in (III_TAUGHT, III_OWN):
        assert moved(network, method, progress) == {'lstm': False, 'p3d': False, 'q3d': True, 'projector': True}
    assert moved(network, method, IV) == {'lstm': True, 'p3d': True, 'q3d': True, 'projector': True}
    assert [method.step_at(x) for x in (0., .49, .5, .69, .7, 1.)] == [2, 2, 3, 3, 4, 4]


def test_the_projector_first_sees_the_teachers_poses() -> None:
    """Then the network's: only then what the network says changes the term."""
    network, method = machine()
    stirred(network)
    batch = batch_of()

    def terms() -> list[float]:
        return [float(method.loss(network, batch, x)['proj2d_mse'].detach()) for x in (III_TAUGHT, III_OWN)]
    before = terms()
    with torch.no_grad():
        network.head.to_pose.bias.add_(.2 * torch.randn(51))
    after = terms()
    assert after[0] == pytest.approx(before[0], rel=1e-5) and after[1] != pytest.approx(before[1], rel=1e-3)


def test_without_a_projector_everything_is_step_two() -> None:
    network, method = machine(projector=0)
    assert method.auxiliary is None and method.step_at(.95) == 2
    assert set(method.loss(network, batch_of(), .95)) == {'p3d_mse', 'bone_vec', 'sigma'}


def test_what_is_seen_in_2d_alone_teaches_by_the_projector() -> None:
    """Samples whose 3D is not known: no 3D term, and a gradient all the same."""
    network, method = machine()
    stirred(network)
    batch = batch_of()
    unknown = replace(batch, X_sigma=torch.full_like(batch.X_sigma, np.inf))
    terms = method.loss(network, unknown, IV)
    assert float(terms['p3d_mse'].detach()) == float(terms['bone_vec'].detach()) == 0.
    assert moved(network, method, IV, unknown) == {'lstm': True, 'p3d': True, 'q3d': True, 'projector': True}


def test_p3d_and_q3d_are_the_same_at_first() -> None:
    network, _ = machine()
    head = network.head
    assert isinstance(head, RegressedHead)
    h = network.body(batch_of().past_pose.flatten(0, 1))
    p, lifted = head.both(h, True)
    torch.testing.assert_close(p, lifted.y_cam, rtol=0, atol=0)
    torch.testing.assert_close(head(h).y_cam, lifted.y_cam, rtol=0, atol=0)


@pytest.mark.parametrize('changes, setting', [
    ({'head': 'pose3d'}, 'head'), ({'step_iii': .8, 'step_iv': .5}, 'step_iii'), ({'step_iv': 1.5}, 'step_iii')])
def test_settings_that_do_not_fit_are_refused(changes: dict, setting: str) -> None:
    with raises(SettingError, setting=setting):
        machine(**changes)


# -- learning

def test_the_projector_learns_to_project() -> None:
    """From poses alone, no camera: a tenth of the 2D's own spread after some hundred steps."""
    torch.manual_seed(0)
    projector = Projector(64)
    optimiser = torch.optim.Adam(projector.parameters(), 2e-3)
    method = get('pose_machine')
    method.configure({'width': 8}).build()
    method.auxiliary = projector
    for epoch in range(6):
        for batch in views().batches(epoch, 48, sampling=TRUTH):
            optimiser.zero_grad()
            y = batch.truth()
            y = y / y.square().sum(-1).mean(-1)[..., None, None].sqrt()
            loss = proj2d_mse(projector(y), batch.w2d, batch.weight)
            loss.backward()
            optimiser.step()
    assert float(loss.detach()) < .1 * float(batch.w2d.square().sum(-1).mean())


def test_it_learns_what_the_teacher_says() -> None:
    """All steps, on three walks: the held-out distance falls below 45 % of that of an untrained network."""
    network, method = machine(width=64)
    held_out = batch_of(n=99, size=200)
    before = method.criterion(network, held_out)
    optimiser = torch.optim.Adam([*network.parameters(), *method.auxiliary.parameters()], 2e-3)
    epochs = 6
    for epoch in range(epochs):
        for batch in views().windows(epoch, 48, 5, sampling=TRUTH):
            optimiser.zero_grad(set_to_none=True)
            sum(method.loss(network, batch, epoch / epochs).values()).backward()
            optimiser.step()
    assert method.criterion(network, held_out) < .45 * before


def test_losses_count_by_weight() -> None:
    a, b = torch.zeros(2, 17, 3), torch.ones(2, 17, 3)
    w = torch.zeros(2, 17)
    assert float(p3d_mse(a, b, w)) == 0.
    w[0, 3] = 2.
    assert float(p3d_mse(a, b, w)) == pytest.approx(3.)
    b[1] = torch.nan                                       # no weight, no influence
    assert float(p3d_mse(a, b, w)) == pytest.approx(3.)
    assert float(proj2d_mse(a[..., :2], b[..., :2], w)) == pytest.approx(2.)


# -- model folders

@pytest.mark.parametrize('frames', [1, 5])
def test_exported_as_a_lifter_and_read_back(frames: int, tmp_path: Path) -> None:
    """The projector stays behind; `update` can go on from the folder."""
    pytest.importorskip('onnxruntime')
    network, _ = machine(frames=frames, interval_s=.04)
    stirred(network).eval()
    export_model(network, tmp_path / 'm', {'name': 'x', 'licence': 'CC0-1.0', 'method': 'pose_machine'})
    model = open_model(tmp_path / 'm')
    assert model.card.frames == frames
    again = read_network(model)
    pose = (batch_of(frames).past_pose if frames > 1 else batch_of(1).pose).flatten(0, 1)
    with torch.no_grad():
        torch.testing.assert_close(network(pose).y_cam, again(pose).y_cam, atol=1e-5, rtol=0)
    assert parameter_count(again) == parameter_count(network)
