# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: all that a training needs to go on as if it had never been interrupted, written whole or not at all."""
from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selfpose_ros.io.npz import atomically

from .errors import TrainingError

__all__ = ['BEST', 'CHECKPOINT', 'FORMAT', 'load', 'random_states', 'restore_random_states', 'save']

#: file names inside a run's folder
CHECKPOINT, BEST = 'checkpoint.pt', 'best.pt'
#: raised when the content changes
FORMAT = 1
#: keys of the release before -> keys now
_RENAMED = {'companions': 'auxiliary', 'cured': 'sign_flipped'}


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint: tensors, numbers, text, lists and dicts. A crash leaves the one before.

    Raises:
        IoError: it cannot be written.
    """
    with atomically(path) as part, part.open('wb') as file:
        torch.save({'format': FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU. Nothing in it is executed.

    Raises:
        TrainingError: there is none, it is damaged, or it is of another version.
    """
    if not path.is_file():
        raise TrainingError('no checkpoint here', 'leave out --resume, or name the folder of a run', place=path)
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:                             # torch raises a dozen classes for bad files
        raise TrainingError(f'not a readable checkpoint ({" ".join(str(error).split())[:120]})',
                            'start the training again', place=path) from error
    if not isinstance(state, dict) or state.get('format') != FORMAT:
        raise TrainingError('written by another version of the trainer', 'start the training again', place=path)
    return {_RENAMED.get(str(k), str(k)): v for k, v in state.items()}


def random_states() -> dict[str, Any]:
    """State of the generators that a training may draw from: Python's, NumPy's, PyTorch's."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, words, gauss_next = random.getstate()
    states: dict[str, Any] = {
        'python': [version, list(words), gauss_next],
        'numpy': [str(kind), torch.from_numpy(np.asarray(keys, np.int64)), int(position), int(has_gauss), float(gauss)],
        'torch': torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states['cuda'] = torch.cuda.get_rng_state()
    return states


def restore_random_states(states: dict[str, Any]) -> None:
    """Set the generators to what `random_states` returned."""
    version, words, gauss_next = states['python']
    random.setstate((version, tuple(words), gauss_next))
    kind, keys, position, has_gauss, gauss = states['numpy']
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(states['torch'])
    if 'cuda' in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states['cuda'])
