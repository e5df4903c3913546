# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The one door to the package `onnxruntime`: late, so that nothing heavy is loaded before a network is made."""
from __future__ import annotations

import importlib
from typing import Any

__all__ = ['onnx_runtime']


def onnx_runtime(part: str = '') -> Any:
    """The package, or a module of it (`transformers.float16`). Its telemetry is off, see `selfpose_ros`.

    Raises:
        ImportError: it is not installed, or does not load here.
    """
    return importlib.import_module(f'onnxruntime.{part}' if part else 'onnxruntime')
