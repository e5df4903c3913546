# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Training of lifting networks from 2D joints of several views, without any 3D label. PyTorch; not needed on a robot."""
