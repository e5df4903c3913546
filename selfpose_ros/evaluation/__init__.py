# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How far a result is from the truth: alignment, errors of poses, rigs and world frames, calibration of sigmas."""
