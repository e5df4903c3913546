# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What runs the networks, and how far a TensorRT engine is: entries for /diagnostics, lines for the log."""
from __future__ import annotations

from collections.abc import Iterable

from ..inference.backend import Backend
from ..inference.session import BackendReport, InferenceSession
from .diagnostics import ERROR, OK, WARN, Entry
from .parameters import FusionSettings, Pose2DSettings

__all__ = ['BUILD_LOG_S', 'backend_entries', 'backend_of', 'build_lines']

#: time between log lines of how far a build is, s
BUILD_LOG_S = 5.
_LEVELS = {'fallen back': WARN, 'failed': ERROR}


def backend_of(settings: Pose2DSettings | FusionSettings, batch: int = 4) -> Backend:
    """The choice that the parameters make.

    Args:
        batch: images or poses that usually come at once.
    """
    return Backend(settings.backend, settings.engine_cache, min(max(batch, 1), 8))


def _reports(sessions: Iterable[InferenceSession]) -> list[BackendReport]:
    """Of each session once; where ONNX Runtime was asked for there is nothing to tell."""
    return [r for r in (s.report for s in dict.fromkeys(sessions)) if r.wanted != 'onnxruntime']


def backend_entries(sessions: Iterable[InferenceSession]) -> list[Entry]:
    """One for each network."""
    return [Entry(f'backend of {r.model}', WARN if r.note and r.state == 'ready' else _LEVELS.get(r.state, OK), r.state,
                  r.sentence, {'model': r.model, 'backend': r.wanted, 'device': r.device, 'state': r.state,
                               'engine_built': f'{r.share:.0%}', 'reason': r.reason, 'note': r.note})
            for r in _reports(sessions)]


def build_lines(sessions: Iterable[InferenceSession]) -> list[str]:
    """A sentence for each engine that is being built."""
    return [r.sentence for r in _reports(sessions) if r.state == 'building']
