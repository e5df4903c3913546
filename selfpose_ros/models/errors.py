# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The error class of this room: where, what is the matter and what to do next, in one sentence."""
from __future__ import annotations

from ..core.errors import SelfposeError

__all__ = ['ModelError', 'ModelNotHere', 'NoModel']


class ModelError(SelfposeError, ValueError):
    """A model folder or a store of them is missing, damaged, or not what its card describes."""


class NoModel(ModelError):
    """What was named is neither a model folder nor a shipped model."""


class ModelNotHere(ModelError):
    """A model of the catalogue that has not been fetched to this machine; the message has how that is done."""
