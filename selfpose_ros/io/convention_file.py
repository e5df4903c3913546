# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Files of `core.convention.Convention`: JSON; moves with their shares, and what they were learned from."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.convention import Convention
from .errors import IoError
from .npz import atomically

__all__ = ['convention_entry', 'read_convention', 'write_convention']

_MOST_BYTES = 1 << 16


def convention_entry(convention: Convention, learned_from: Sequence[str]) -> dict[str, Any]:
    """What a file holds.

    Args:
        learned_from: names of the recordings.
    """
    moves = [{'joint': m[0], 'from': m[1], 'to': m[2], 'share': share, 'sigma': convention.sigma.get(m, 0.)}
             for m, share in convention.shares.items()]
    return {'moves': moves, 'learned_from': list(learned_from)}


def write_convention(path: Path, convention: Convention, learned_from: Sequence[str]) -> None:
    """Write a file.

    Raises:
        IoError: it cannot be written.
    """
    try:
        with atomically(path) as part:
            part.write_text(json.dumps(convention_entry(convention, learned_from), indent=1) + '\n', encoding='utf-8')
    except OSError as error:
        raise IoError(f'cannot be written ({error.strerror or error})', 'choose another place', place=path) from error


def read_convention(path: Path) -> Convention:
    """Read what `write_convention` wrote.

    Raises:
        IoError: missing, damaged, too long, or not such a file.
    """
    try:
        with path.open('rb') as f:
            text = f.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ValueError(f'longer than {_MOST_BYTES} bytes')
        moves = json.loads(text)['moves']
        named = [((str(m['joint']), str(m['from']), str(m['to'])), float(m['share']), float(m.get('sigma', 0.)))
                 for m in moves]
        return Convention({m: share for m, share, _ in named}, {m: sigma for m, _, sigma in named})
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        what = f'no {error}' if isinstance(error, KeyError) else getattr(error, 'strerror', None) or error
        raise IoError(f'not a file of joint conventions ({what})', 'make one with selfpose model convention',
                      place=path) from error
