# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Numbers and lists of words as arguments of commands: what is refused, and in which words, is the same everywhere."""
from __future__ import annotations

import argparse
import math
from collections.abc import Callable

__all__ = ['number', 'positive', 'whole', 'words']


def whole(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Whole numbers, both ends included; None = however large."""
    def read(text: str) -> int:
        if not text.isdecimal() or not lowest <= int(text) <= (highest or math.inf):
            where = f'from {lowest} on' if highest is None else f'from {lowest} to {highest}'
            raise argparse.ArgumentTypeError(f'{text!r} must be a whole number {where}')
        return int(text)
    return read


def number(lowest: float, highest: float) -> Callable[[str], float]:
    """Numbers, both ends included."""
    def read(text: str) -> float:
        value = _float(text)
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f'{text!r} must be a number from {lowest:g} to {highest:g}')
        return value
    return read


def positive(text: str) -> float:
    """A finite number above 0."""
    value = _float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f'{text!r} must be a number above 0')
    return value


def words(text: str) -> tuple[str, ...]:
    """Words with commas between them; what is empty is left out."""
    return tuple(w.strip() for w in text.split(',') if w.strip())


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
