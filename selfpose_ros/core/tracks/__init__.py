# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People over time: in the images of one camera, across cameras, and in 3D."""
