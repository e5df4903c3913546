# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""2D detections with each other: of one camera over time, of several cameras at once."""
from .distance import person_size, pose_distance
from .main_person import Candidate, MainPerson
from .matching import assign, group_views
from .tracker import CameraTracker, Track

__all__ = ['Candidate', 'CameraTracker', 'MainPerson', 'Track', 'assign', 'group_views',
           'person_size', 'pose_distance']
