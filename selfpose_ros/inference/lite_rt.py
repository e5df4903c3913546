# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The one door to the package `ai_edge_litert`: late, so that nothing heavy is loaded before a network is made."""
from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any

__all__ = ['LITERT_NOISE', 'lite_rt', 'lite_rt_version']

#: what its C++ side writes to stderr at every start, and means nothing to a user
LITERT_NOISE = ('Created TensorFlow Lite XNNPACK delegate',)


def lite_rt() -> Any:
    """The module with the class `Interpreter`. It reports to nobody: its counters are empty functions in this package,
    and nothing of it opens a connection.

    Raises:
        ImportError: it is not installed, or does not load here.
    """
    return importlib.import_module('ai_edge_litert.interpreter')


def lite_rt_version() -> str:
    """For reports."""
    try:
        return metadata.version('ai-edge-litert')
    except metadata.PackageNotFoundError:
        return 'of an unknown version'
