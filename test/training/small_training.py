# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A training of a second: own method, own people. As a program it is what the tests kill, resume and start twice.

    python small_training.py FOLDER SETTINGS.json [--resume]

writes FOLDER/weights.R.pt, the weights of the process of rank R; with "probe" in the settings also what `probed` says,
and FOLDER/first.pt, the checkpoint after the first step.
"""
from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from selfpose_ros.synthetic import walker
from selfpose_training import checkpoint
from selfpose_training.data.motion import MotionViews, Poses
from selfpose_training.methods.base import Method
from selfpose_training.networks import make_network
from selfpose_training.settings import Settings
from selfpose_training.trainer.fit import fit


@dataclass(frozen=True, kw_only=True)
class ReprojectionSettings(Settings):
    """Of `Reprojection`."""

    width: int = 8
    batch: int = 16
    lr: float = 1e-2
    epochs: int = 3
    noise: float = .01
    threads: int = 1


class Reprojection(Method):
    """The 2D of each view by its own lifted pose; a term of noise makes the training draw random numbers."""

    name, summary = 'reprojection', 'a method of the tests'
    settings_type = ReprojectionSettings

    def __init__(self, slow_s: float = 0., dies_at: float = 2.) -> None:
        super().__init__()
        self.slow_s, self.dies_at = slow_s, dies_at

    def build(self):
        return make_network({'body': 'frame_mlp', 'head': 'canon_rot', 'width': self.settings.width, 'common': 1,
                             'branch': 1})

    def loss(self, network, batch, progress):
        assert 0 <= progress < 1
        time.sleep(self.slow_s)
        if progress == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        w = batch.w2d + self.settings.noise * torch.randn_like(batch.w2d)
        lifted = network.lift(batch)
        both = [(_unit(lifted.y_cam[:, [u], :, :2]) - _unit(w)).abs().mean() for u in range(batch.views)]
        return {'rep': (_unit(lifted.y_cam[..., :2]) - _unit(w)).abs().mean(), 'mix': .1 * sum(both)}

    def criterion(self, network, batch):
        return float((_unit(network.lift(batch).y_cam[..., :2]) - _unit(batch.w2d)).abs().mean())


def _unit(x):
    return x / (x.square().mean((-1, -2), keepdim=True) + 1e-6).sqrt()


def people(frames: int = 96, seed: int = 0) -> MotionViews:
    """Somebody who does exercises."""
    joints = walker(frames / 25, 25., seed, 'exercise').astype(np.float32)
    return MotionViews(Poses(joints, np.array([0, frames])), views=3, seed=seed)


def main(folder: Path, settings: dict, resume: bool) -> None:
    """Train as the settings say."""
    method = Reprojection(settings.pop('slow_s', 0.), settings.pop('dies_at', 2.))
    probe, rank = settings.pop('probe', False), int(os.environ.get('RANK', 0))
    if probe:
        method.loss = probed(method.loss, folder, rank)
    outcome = fit(method, people(), folder, settings, val=people(48, 5), resume=resume, device='cpu')
    torch.save(outcome.network.state_dict(), folder / f'weights.{rank}.pt')


def probed(loss, folder, rank):
    """The loss, that also writes the gradients which this process alone has in the first step, and what it saw."""
    def wrapped(network, batch, progress):
        if progress == 0:
            random = torch.get_rng_state()
            named = dict(network.named_parameters())
            terms = loss(network, batch, progress)
            own = torch.autograd.grad(sum(terms.values()), list(named.values()), allow_unused=True)
            torch.save({'own': dict(zip(named, own, strict=True)), 'kp_px': batch.kp_px}, folder / f'own.{rank}.pt')
            torch.set_rng_state(random)
        elif rank == 0 and not (folder / 'first.pt').exists():
            shutil.copy(folder / checkpoint.CHECKPOINT, folder / 'first.pt')
        return loss(network, batch, progress)
    return wrapped


if __name__ == '__main__':
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), '--resume' in sys.argv)
