# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Uncalibrated cameras in, metric 3D skeletons on ROS 2 topics out."""
__version__ = '0.5.0'
