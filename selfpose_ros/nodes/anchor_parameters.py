# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Poses and places as parameters have them: numbers in a text."""
from __future__ import annotations

import math
from collections.abc import Sequence

from .errors import ParameterError

__all__ = ['anchor_places', 'anchor_pose']


def anchor_pose(text: str) -> tuple[float, ...]:
    """The six numbers of `anchor_pose`.

    Raises:
        ParameterError: it holds something else.
    """
    numbers = _numbers(text)
    if len(numbers) != 6:
        raise ParameterError(f'{text!r} is no pose', "write six numbers, 'x y z roll pitch yaw', m and rad",
                             place='parameter anchor_pose')
    return numbers


def anchor_places(texts: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Camera -> its place, of `anchor_places`.

    Raises:
        ParameterError: an entry has another form.
    """
    out: dict[str, tuple[float, ...]] = {}
    for text in texts:
        camera, equals, place = text.partition('=')
        numbers = _numbers(place)
        if not (camera.strip() and equals and len(numbers) == 3):
            raise ParameterError(f'{text!r} is no place of a camera', "write each as 'camera=x y z', m",
                                 place='parameter anchor_places')
        out[camera.strip()] = numbers
    return out


def _numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in text.split())
    except ValueError:
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()
