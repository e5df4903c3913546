# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Offsets between the clocks of cameras from the motion that they see, before any rig is known."""
from .offsets import MotionOffsets, in_step, motion_offsets, out_of_step
from .rates import ClockRates, clock_rates
from .signals import Track2D

__all__ = ['ClockRates', 'MotionOffsets', 'Track2D', 'clock_rates', 'in_step', 'motion_offsets', 'out_of_step']
