# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What learning from recordings begins with: a model that has something to learn, recordings that are split."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from selfpose_ros.synthetic import walker
from selfpose_training.data.motion import MotionViews, Poses
from selfpose_training.data.recordings import Recorded
from selfpose_training.export.lifter import export_model
from selfpose_training.methods.system import System
from selfpose_training.trainer.fit import fit
from selfpose_training.update.split import SplitRecording

FPS = 8.


def spoiled_model(folder: Path) -> Path:
    """A model that was trained for a few hundred steps and then spoiled by noise on its weights."""
    clips = [walker(6., FPS, 70 + k, 'exercise') for k in range(6)]
    poses = Poses(np.concatenate(clips).astype(np.float32), np.cumsum([0, *map(len, clips)]), FPS)
    network = fit(System(), MotionViews(poses, seed=1), folder / 'run', {
        'width': 48, 'common': 1, 'branch': 1, 'steps': 200, 'lr': 2e-3, 'warmup': 20, 'threads': 1,
        'val_samples': 64, 'evaluate_every': 100}, device='cpu').network
    torch.manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(.15 * p.std() * torch.randn_like(p))
    export_model(network, folder / 'model', {'name': 'spoiled', 'licence': 'CC0-1.0'})
    return folder / 'model'


def remembered(split: Callable[[Recorded, float], SplitRecording | str]) -> Callable[[Recorded, float], object]:
    """The same, which calibrates a recording that comes again only once: that takes seconds."""
    kept: dict[tuple, SplitRecording | str] = {}

    def once(recording: Recorded, held_out: float) -> SplitRecording | str:
        key = (recording.name, recording.kp.tobytes(), recording.stamp.tobytes(), held_out)
        if key not in kept:
            kept[key] = split(recording, held_out)
        return kept[key]
    return once
