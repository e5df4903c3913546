# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Networks: bodies and heads of lifters."""
from .heads import Lifted
from .lifters import Lifter, make_network, network_of

__all__ = ['Lifted', 'Lifter', 'make_network', 'network_of']
