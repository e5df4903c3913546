# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""NVIDIA TensorRT 10.3 to 11.4: engines built from ONNX on this machine, kept, checked, run. Imported when asked."""
