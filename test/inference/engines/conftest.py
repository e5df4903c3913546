# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lets the tests of this folder import what stands beside them and `model_folder` of ../../models, however they run."""
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
for _folder in (_HERE, _HERE.parent, _HERE.parents[1] / 'models'):
    sys.path.insert(0, str(_folder))
