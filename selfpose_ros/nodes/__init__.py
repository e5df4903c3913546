# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
