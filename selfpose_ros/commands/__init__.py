# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The commands of `selfpose`, one module each: `add_arguments(parser)` and `run(args) -> int`."""
