# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lifting networks learn from 2D joints of several views, without any 3D label. PyTorch; not needed on a robot."""
