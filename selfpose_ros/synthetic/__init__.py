# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Seeded people, rigs, noise, occlusion and drop-outs: for tests, demo and benchmark."""
from .gait import STYLES, body_offsets, walker
from .rigs import ring_rig
from .views import frames_of, observe

__all__ = ['STYLES', 'body_offsets', 'frames_of', 'observe', 'ring_rig', 'walker']
