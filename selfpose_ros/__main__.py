# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`python -m selfpose_ros` is `selfpose`."""
import sys

from .cli import entry

if __name__ == '__main__':
    sys.exit(entry())
