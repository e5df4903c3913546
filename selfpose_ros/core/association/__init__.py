# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People across views and over time."""
from ..tracks.distance import person_size, pose_distance
from ..tracks.matching import assign, group_views
from .main_person import Candidate, MainPerson
from .tracker import CameraTracker, Track

__all__ = ['Candidate', 'CameraTracker', 'MainPerson', 'Track', 'assign', 'group_views',
           'person_size', 'pose_distance']
