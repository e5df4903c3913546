# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The error classes of this room: where, what is the matter and what to do next, in one sentence."""
from __future__ import annotations

from ..core.errors import SelfposeError

__all__ = ['BackendUnavailable', 'BuildCancelled', 'EngineBuildError', 'EngineStale', 'ExecutionError', 'GraphRefused',
           'InferenceError', 'InputError', 'OutputError']


class InferenceError(SelfposeError, RuntimeError):
    """Base of everything that this room raises."""


class BackendUnavailable(InferenceError):
    """A network, or the package, driver or device that runs it, is not there; the message names what would bring it."""


class InputError(InferenceError, ValueError):
    """What came in is no image (or option) that a network can work with."""


class OutputError(InferenceError, ValueError):
    """What a network gave back has the wrong shape or impossible values."""


class GraphRefused(InferenceError):
    """TensorRT cannot run this graph, whatever the machine; the message names operator, node or tensor."""


class EngineBuildError(InferenceError):
    """TensorRT could not build an engine, or the engine cache may not be used."""


class BuildCancelled(EngineBuildError):
    """Somebody closed the session while its engine was being built."""


class EngineStale(InferenceError):
    """A stored engine does not load here: another TensorRT, another device, or damage. It is to be built again."""


class ExecutionError(InferenceError):
    """The device failed at run time. The session is dead: every further run raises this at once."""
