# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a training writes into its folder beside checkpoints: settings, history, event files for TensorBoard."""
from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfpose_ros.io.npz import atomically

from ..errors import TrainingError
from ..settings import Settings, current_names

__all__ = ['RunFolder', 'read_settings']

_SETTINGS, _HISTORY = 'config.json', 'history.json'


class RunFolder:
    """Only the first process has one that writes."""

    def __init__(self, path: Path, writes: bool) -> None:
        self.path, self._writes = path, writes
        self._events: Any = None

    @contextmanager
    def open(self, method: str, settings: Settings, step: int) -> Iterator[None]:
        """Event files are open inside; config.json is written at the start."""
        if self._writes:
            from torch.utils.tensorboard import SummaryWriter
            self._write(_SETTINGS, {'method': method, **asdict(settings)})
            self._events = SummaryWriter(str(self.path), purge_step=step or None)
        try:
            yield
        finally:
            if self._events is not None:
                self._events.close()

    def event(self, step: int, values: Mapping[str, float]) -> None:
        """Values for TensorBoard."""
        if self._writes:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)

    def history(self, history: list[dict[str, Any]]) -> None:
        """Write what was logged."""
        if self._writes:
            self._write(_HISTORY, _finite(history))

    def _write(self, name: str, content: Any) -> None:
        with atomically(self.path / name) as part:
            part.write_text(json.dumps(content, indent=1) + '\n')


def read_settings(folder: Path) -> tuple[str, dict[str, Any]]:
    """Method and settings of a run, by their present names.

    Raises:
        TrainingError: it is no run's folder.
    """
    try:
        settings = json.loads((folder / _SETTINGS).read_text())
        return str(settings.pop('method')), current_names(settings)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise TrainingError(f'not the folder of a run ({_SETTINGS} is missing or damaged)',
                            'name the folder that was given to selfpose train -o', place=folder) from error


def _finite(value: Any) -> Any:
    """The same for JSON, which has no NaN and no infinity: None instead."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    return list(map(_finite, value)) if isinstance(value, list) else value
