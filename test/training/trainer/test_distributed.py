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


@pytest.fixture(scope='module')
def trained(tmp_path_factory, start):
    """The folder of a training in two processes, which takes them seconds to begin."""
    if not torch.distributed.is_available():
        pytest.skip('this PyTorch has no torch.distributed')
    folder = tmp_path_factory.mktemp('two') / 'run'
    process = start(folder, {'epochs': 4, 'log_every': 1, 'checkpoint_minutes': 0, 'ema': .9, 'weight_decay': 0.,
                             'probe': True}, launcher=TORCHRUN)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    return folder


def test_two_processes_average_their_gradients(trained):
    own = [load(trained / f'own.{r}.pt') for r in (0, 1)]
    assert not torch.equal(own[0]['kp_px'], own[1]['kp_px'])
    # after one step Adam's first moment is a tenth of the gradient it was given
    state = checkpoint.load(trained / 'first.pt')
    assert state['step'] == 1
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


def test_two_processes_end_together_with_the_same_weights_and_one_writes(trained):
    state = checkpoint.load(trained / checkpoint.CHECKPOINT)
    assert state['step'] == 4 * (96 // 16 // 2) and state['processes'] == len(state['random']) == 2
    assert not torch.equal(state['random'][0]['torch'], state['random'][1]['torch'])
    # one event file: only the first process writes
    assert len(list(trained.glob('events*'))) == 1
    weights = [load(trained / f'weights.{r}.pt') for r in (0, 1)]
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
