# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where samples come from: motion seen by virtual rigs, recordings of our own, and the formats of public data sets."""
