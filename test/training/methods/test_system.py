# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`system`: what it takes from a teacher, and what it learns."""
from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

pytest.importorskip('torch', reason='the training needs torch: pip install selfpose_ros[training]')

import torch

from selfpose_ros.synthetic import walker
from selfpose_training.data.arrays import Sampling
from selfpose_training.data.batch import Batch
from selfpose_training.data.motion import MotionViews, Poses
from selfpose_training.errors import TrainingError
from selfpose_training.losses.likelihood import laplace_nll
from selfpose_training.methods import get

TRUTH = Sampling(truth=True, mirror=.5)


def views(sigma: float | None = .01) -> MotionViews:
    X = np.concatenate([walker(8., 20., seed, 'mixed') for seed in range(4)]).astype(np.float32)
    return MotionViews(Poses(X, np.arange(5) * (len(X) // 4), 20.,
                             None if sigma is None else np.full(X.shape[:2], sigma, np.float32)), seed=1)


def network_and_method(**changes):
    method = get('system')
    return method.configure({'width': 64, **changes}).build(), method


@pytest.mark.parametrize('changes', [{}, {'body': 'temporal_conv', 'frames': 9}])
def test_it_learns_what_the_teacher_says(changes: dict) -> None:
    """In seconds, on four walks: the held-out distance falls below a third of that of an untrained network."""
    torch.manual_seed(0)
    network, method = network_and_method(**changes)
    data, frames = views(), network.frames
    held_out = next(iter(data.batches(99, 256, sampling=TRUTH) if frames == 1 else
                         data.windows(99, 256, frames, sampling=TRUTH)))
    before = method.criterion(network, held_out)
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for epoch in range(8):
        for batch in data.batches(epoch, 64, sampling=TRUTH) if frames == 1 else \
                data.windows(epoch, 64, frames, sampling=TRUTH):
            optimiser.zero_grad()
            sum(method.loss(network, batch, .5).values()).backward()
            optimiser.step()
    after = method.criterion(network, held_out)
    assert after < before / 3, 'measured: a fifth'
    with torch.no_grad():
        said = network.lift(held_out)
    assert float((said.y_cam[..., 2] * held_out.truth()[..., 2]).sum()) > 0, 'depth has the right sign'


def test_joints_that_the_teacher_does_not_know_teach_nothing() -> None:
    network, method = network_and_method()
    batch = next(iter(views().batches(0, 8, sampling=Sampling(truth=True))))
    assert batch.X is not None and batch.X_sigma is not None

    def gradient(b: Batch) -> torch.Tensor:
        network.zero_grad()
        method.loss(network, b, .5)['pose'].backward()
        return network.head.to_pose.weight.grad.clone()

    unknown = batch.X_sigma.clone()
    unknown[:, 13] = np.inf
    moved = batch.X.clone()
    moved[:, 13] += 5.
    torch.testing.assert_close(gradient(replace(batch, X_sigma=unknown, X=moved)),
                               gradient(replace(batch, X_sigma=unknown)))
    assert not torch.allclose(gradient(replace(batch, X=moved)), gradient(batch), rtol=.01)


def test_doubtful_joints_count_less() -> None:
    network, method = network_and_method()
    batch = next(iter(views().batches(0, 8, sampling=Sampling(truth=True))))
    wrong, doubt = batch.X.clone(), batch.X_sigma.clone()
    wrong[:, 16] += 1.
    doubt[:, 16] = .2
    sure = float(method.loss(network, replace(batch, X=wrong), .5)['pose'])
    unsure = float(method.loss(network, replace(batch, X=wrong, X_sigma=doubt), .5)['pose'])
    assert unsure < sure


def test_sigma_is_the_standard_deviation_of_laplacian_errors() -> None:
    g = torch.Generator().manual_seed(0)
    direction = torch.nn.functional.normalize(torch.randn(5000, 17, 3, generator=g), dim=-1)
    far = torch.distributions.Gamma(3., 2 / .3).sample((5000, 17))
    error = direction * far[..., None]
    assert float(error.std()) == pytest.approx(.3, rel=.02)
    candidates = torch.linspace(np.log(.2), np.log(.45), 41)
    ones = torch.ones(5000, 17)
    nll = [float(laplace_nll(error, torch.zeros_like(error), ones * s, ones)) for s in candidates]
    assert float(candidates[int(np.argmin(nll))].exp()) == pytest.approx(.3, rel=.03)


# -- distillation

def wide_model(folder, **changes):
    """A model folder of a network with random weights."""
    from selfpose_training.export.lifter import export_model
    torch.manual_seed(3)
    network, method = network_and_method(**changes)
    export_model(network.eval(), folder, {'name': 'wide', 'licence': 'CC0-1.0', 'method': 'test',
                                          'width': method.settings.width, 'settings': asdict(method.settings)})
    return network


def test_a_narrow_network_learns_what_a_wide_one_says(tmp_path) -> None:
    """The term is 0 for the wide network itself; without the teacher's poses the narrow one comes near it."""
    pytest.importorskip('onnxruntime')
    wide = wide_model(tmp_path / 'wide', width=96)
    narrow, method = network_and_method(width=24, distil=str(tmp_path / 'wide'))
    batch = next(iter(views().batches(0, 64, sampling=TRUTH)))
    assert float(method.loss(wide, batch, .5)['distil']) < 1e-4
    assert 'distil' not in network_and_method(width=24)[1].loss(narrow, batch, .5)
    optimiser = torch.optim.Adam(narrow.parameters(), 3e-3)
    before = float(method.loss(narrow, batch, .5)['distil'].detach())
    for epoch in range(6):
        for batch in views().batches(epoch, 64, sampling=TRUTH):
            optimiser.zero_grad()
            method.loss(narrow, batch, .5)['distil'].backward()
            optimiser.step()
    assert float(method.loss(narrow, batch, .5)['distil'].detach()) < .5 * before


def test_a_wide_network_that_sees_more_is_refused(tmp_path) -> None:
    pytest.importorskip('onnxruntime')
    wide_model(tmp_path / 'wide', body='temporal_conv', frames=9, interval_s=.04)
    with pytest.raises(TrainingError, match='sees 9 frames, the network that is to learn 1'):
        network_and_method(distil=str(tmp_path / 'wide'))
