# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Self-calibration as a teacher: 3D poses, cameras and measured 2D errors, from recordings without labels."""
