# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lifting networks learn from 2D joints of several views, without any 3D label. PyTorch; not needed on a robot."""
import os

import selfpose_ros  # noqa: F401 - its first lines switch telemetry off, also of what PyTorch's exporter imports

# weights of megabytes in pages of megabytes: PyTorch looks at this when it makes its first large tensor. Worth a few
# per cent of a step on a CPU, nothing where Linux has no transparent huge pages
os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')
