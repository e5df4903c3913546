# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The demo: rendered cameras, the real nodes, the true error, a picture. Importing it loads nothing heavy."""
