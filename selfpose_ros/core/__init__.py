# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The algorithm: numpy and cv2 only; no ROS, no torch, no inference engine, no files, no network."""
