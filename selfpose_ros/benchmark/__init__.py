# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rows, cases, table and plots of `selfpose benchmark`: the protocol of `synthetic.clips`, scored by `evaluation`."""
