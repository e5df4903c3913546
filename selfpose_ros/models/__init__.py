# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Models as folders: the card, the store, and the models that are shipped (the folders beside this file)."""
