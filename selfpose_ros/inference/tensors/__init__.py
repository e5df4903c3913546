# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From images to the tensors that a network takes, and from those that come out to people: whatever runs it."""
