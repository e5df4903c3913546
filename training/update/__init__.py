# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of one's own to a better lifter: split in time, learn, compare, promote or refuse."""
