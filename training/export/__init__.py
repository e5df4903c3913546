# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Trained networks to model folders (ONNX and card), and back."""
