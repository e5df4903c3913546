# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What every decoding asks of a network's tensors and of its own options before it reads them."""
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, OutputError

__all__ = ['finite', 'misshapen', 'numbers', 'scores', 'share']

_CARD = "check the family on the model's card"


def numbers(where: str, *outputs: ArrayLike) -> list[NDArray[Any]]:
    """As arrays; OutputError: something else than numbers."""
    arrays = [np.asarray(a) for a in outputs]
    for a in arrays:
        if a.dtype.kind not in 'fiu':
            raise OutputError(f'expected numbers, got {a.dtype}', _CARD, place=where)
    return arrays


def finite(where: str, *arrays: NDArray[Any]) -> None:
    """OutputError: a number is not finite."""
    if all(a.dtype == np.float32 and math.isfinite(np.dot(a.ravel(), a.ravel())) for a in arrays):
        return                                             # the quick way: none that is not finite hides in a sum
    bad = sum(int(np.count_nonzero(~np.isfinite(a))) for a in arrays)
    if bad:
        raise OutputError(f'expected finite numbers, got {bad} that are NaN or infinite',
                          f'{_CARD}, and try full precision', place=where)


def scores(where: str, score: NDArray[Any], least: float = -1.) -> None:
    """Refuse scores that are none; -1 is how some networks fill up their rows."""
    for extreme in (score.min(), score.max()) if score.size else ():
        if not least - 1e-3 <= extreme <= 1.001:           # what half precision may add
            raise OutputError(f'expected scores in 0..1, got {float(extreme):.4g}', _CARD, place=where)


def misshapen(where: str, expected: str, *arrays: NDArray[Any]) -> OutputError:
    """The error for tensors of other shapes than in these words."""
    return OutputError(f'expected {expected}, got {" and ".join(str(a.shape) for a in arrays)}', _CARD,
                       place=where)


def share(where: str, name: str, value: float) -> None:
    """InputError: the option is not in 0..1."""
    if not 0 <= value <= 1:
        raise InputError(f'{name} is {value!r}', 'choose a number in 0..1', place=where)
