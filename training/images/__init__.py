# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rendered pictures of people for networks that look at images: scenes, sets of pictures, and batches."""
