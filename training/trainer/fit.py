# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The trainer, one for all methods: batches in, a network out, and on the way everything that long trainings need.

A step is: a batch that was made ahead, the method's loss terms, their gradients, a fused Adam. Everything else
happens now and then: values are logged, the criterion on held-out data and the detectors of collapse are evaluated,
a checkpoint is written. Nothing that decides here (best weights, early stop, cure of the depth's sign) looks at 3D.
The same settings, seed and threads give the same weights, also when the training was interrupted and resumed.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..methods.base import Method
from ..networks import Lifter
from .display import Display
from .distributed import world
from .outcome import Data, Outcome
from .process import prepare, stoppable
from .training import Training

__all__ = ['Data', 'Outcome', 'fit']


def fit(method: Method, data: Data, folder: Path, changes: Mapping[str, Any] | None = None, *,
        val: Data | None = None, resume: bool = False, parent: Lifter | None = None,
        max_minutes: float = math.inf, device: str = 'auto', data_hash: str = '',
        display: Display | None = None) -> Outcome:
    """Train; all processes of `torchrun` call it alike.

    Args:
        method: what and how.
        data: to train on.
        folder: of the run: checkpoint.pt, best.pt, config.json, history.json and TensorBoard's event files.
        changes: settings that differ from the defaults of the method's `settings_type`.
        val: held-out data for the criterion and the collapse detectors; None: the training data's next epoch, which
            has other rigs and noise but no other motion.
        resume: go on from the folder's checkpoint.
        parent: start with this network instead of building one.
        max_minutes: of this call; the checkpoint is written and can be resumed.
        device: auto, cpu, cuda or cuda:N.
        data_hash: of what `data` was made from; a run is only resumed with the same.
        display: of the progress; None: silent.

    Raises:
        TrainingError: settings, folder, device or checkpoint do not fit, or the loss is no longer finite.
        IoError: the folder cannot be written.
    """
    method.configure(changes)
    with world(device) as w, stoppable() as stop:
        method.settings = replace(method.settings, threads=prepare(method.settings.threads))
        run = Training(method, data, val, folder, w, data_hash, display or Display(quiet=True))
        run.begin(parent, resume)
        with run.files.open(method.name, method.settings, run.step):
            return run.train(stop, max_minutes)
