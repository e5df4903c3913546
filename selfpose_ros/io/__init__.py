# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings in, results out.

In: `sources` tells what a path is and reads it: `archive` (keypoint archives), `openpose` (JSON folders), `video`
and `bag` (rosbag2), each into one `recording.Recording`. Out: `skeletons` (npz) and `motion_files` (CSV, TRC).
"""
