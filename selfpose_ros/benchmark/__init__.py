# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How accurate, quick and honest the estimator is: a fixed protocol on motion capture, scored against the truth."""
