# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The trainer, one for all methods: steps, checkpoints, batches made ahead, schedules, several processes, progress."""
