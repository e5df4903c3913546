# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Views fused: 2D joints repaired across views; poses and rotations estimated over the frames of a rig."""
