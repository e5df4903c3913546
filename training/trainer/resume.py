# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a training may go on from a checkpoint."""
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import checkpoint
from ..errors import TrainingError
from ..settings import Settings, current_names

__all__ = ['checked_state']

#: settings that may change when a training is resumed: they do not change its weights (threads: only in the last bits)
_FREE = {'threads', 'checkpoint_minutes', 'log_every'}


def checked_state(path: Path, method: str, settings: Settings, processes: int, data_hash: str,
                  samples: int) -> dict[str, Any]:
    """A checkpoint's state, of the same training.

    Raises:
        TrainingError: there is none, or it is of another method, other settings, processes or data.
    """
    state = checkpoint.load(path)
    if state['method'] != method:
        raise TrainingError(f'a training of {state["method"]}, not of {method}', 'name that method', place=path)
    then, now = current_names(state['settings']), asdict(settings)
    # a setting that the release before did not have had no effect
    other = sorted(k for k in then.keys() & now.keys() - _FREE if then[k] != now[k])
    if other:
        raise TrainingError(f'was started with {", ".join(f"{k}={then[k]!r}" for k in other)}',
                            'leave these settings as they were, or start a new run', place=path)
    if state['processes'] != processes:
        raise TrainingError(f'was started with {state["processes"]} processes, now there are {processes}',
                            'start as many', place=path)
    if state['data'] != data_hash or state['samples'] != samples:
        raise TrainingError('was trained on other data', 'give the same --data, or start a new run', place=path)
    return state
