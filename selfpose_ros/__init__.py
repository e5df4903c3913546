# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Uncalibrated cameras in, metric 3D skeletons on ROS 2 topics out."""
import os

# From 1.29 on ONNX Runtime writes an identifier of the machine into ~/.cache and reports to its maker, unless it finds
# this when it is first imported. It is set here because every module, command, node and worker process passes here;
# who wants the reports sets ORT_DISABLE_TELEMETRY=0.
if not os.environ.get('ORT_DISABLE_TELEMETRY'):
    os.environ['ORT_DISABLE_TELEMETRY'] = '1'

__version__ = '0.8.0'
