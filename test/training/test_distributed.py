# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Two processes on this host, started by torchrun: one network, other batches, gradients averaged, one writer."""
from __future__ import annotations

import pytest

pytest.importorskip('torch')
import torch

from selfpose_training import checkpoint
from selfpose_training.errors import TrainingError
from selfpose_training.trainer.distributed import device_of, share_of, world

#: one host, a free port of its own
TORCHRUN = ('-m', 'torch.distributed.run', '--nproc-per-node=2', '--rdzv-backend=c10d',
            '--rdzv-endpoint=127.0.0.1:0', '--local-addr=127.0.0.1')


def load(path):
    return torch.load(path, weights_only=True)


def finished(process):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    return out


@pytest.mark.skipif(not torch.distributed.is_available(), reason='this PyTorch has no torch.distributed')
def test_two_processes_average_their_gradients_and_end_with_the_same_weights(tmp_path, start):
    finished(start(tmp_path / 'one', {'steps': 1, 'weight_decay': 0., 'probe': True}, launcher=TORCHRUN))
    own = [load(tmp_path / 'one' / f'own.{r}.pt') for r in (0, 1)]
    assert not torch.equal(own[0]['kp_px'], own[1]['kp_px'])
    weights = [load(tmp_path / 'one' / f'weights.{r}.pt') for r in (0, 1)]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    # after one step Adam's first moment is a tenth of the gradient it was given
    state = checkpoint.load(tmp_path / 'one' / checkpoint.CHECKPOINT)
    moments = state['optimiser']['state']
    compared = 0
    for i, name in enumerate(own[0]['own']):
        a, b = (o['own'][name] for o in own)
        if a is None:
            continue                                       # the loss does not reach it (log sigma)
        compared += 1
        given = moments[i]['exp_avg'] * 10
        assert torch.allclose(given, (a + b) / 2, rtol=1e-3, atol=1e-6), name
        assert not torch.allclose(a, b, rtol=1e-2, atol=1e-6) or not a.any(), name
    assert compared > 10


@pytest.mark.skipif(not torch.distributed.is_available(), reason='this PyTorch has no torch.distributed')
def test_two_processes_stop_and_go_on_together(tmp_path, start):
    settings = {'epochs': 4, 'log_every': 1, 'ema': .9}
    finished(start(tmp_path / 'whole', settings, launcher=TORCHRUN))
    state = checkpoint.load(tmp_path / 'whole' / checkpoint.CHECKPOINT)
    assert state['step'] == 4 * (96 // 16 // 2) and state['processes'] == len(state['random']) == 2
    assert not torch.equal(state['random'][0]['torch'], state['random'][1]['torch'])
    # one event file: only the first process writes
    assert len(list((tmp_path / 'whole').glob('events*'))) == 1
    weights = [load(tmp_path / 'whole' / f'weights.{r}.pt') for r in (0, 1)]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_batches_are_dealt_out_fairly():
    assert [list(share_of(range(8), r, 3)) for r in range(3)] == [[0, 3], [1, 4], [2, 5]]
    assert list(share_of(range(3), 0, 1)) == [0, 1, 2]


def test_alone_everything_is_one_process(monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    with world('cpu') as w:
        assert w.writes and w.any(True) and not w.any(False) and w.mean(2.) == 2. and w.gathered(3) == [3]
        module = torch.nn.Linear(1, 1)
        assert w.averaging(module) is module and w.from_first('x') == 'x'


def test_devices():
    assert device_of('cpu').type == 'cpu'
    assert device_of('auto').type == ('cuda' if torch.cuda.is_available() else 'cpu')
    with pytest.raises(TrainingError, match='choose auto, cpu'):
        device_of('tpu')
    with pytest.raises(TrainingError, match='use --device cpu|has . GPU'):
        device_of('cuda:99')
