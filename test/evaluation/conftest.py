# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A clip; and lets the tests of this folder import `results`, whatever way pytest imports them."""
import sys
from pathlib import Path

import pytest

from selfpose_ros.synthetic.clips import Clip, Conditions, chosen, make_clip
from selfpose_ros.synthetic.motion_capture import Motion

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture(scope='module')
def clip(motion: Motion) -> Clip:
    return make_clip(motion, chosen(motion)[0], 1, Conditions(jitter_s=.017))
