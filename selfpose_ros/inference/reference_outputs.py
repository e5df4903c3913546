# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a network gave when it was imported, kept beside it: whether it gives the same here and now."""
from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.card import GOLDEN
from ..models.errors import ModelError
from ..models.store import Model
from .session import InferenceSession
from .trial import rendered

__all__ = ['ROWS', 'check_reference', 'write_reference']

#: inputs that are kept
ROWS = 2
#: how far a number may be off, as a share of the range of its tensor: kernels add up in another order
_SHARE = 2e-3


def write_reference(model: Model, session: InferenceSession, folder: Path) -> None:
    """Write `golden.npz`: inputs (rendered people) and outputs by the names of the tensors, a row for each image.

    Raises:
        InferenceError: the network does not run.
        OSError: the file cannot be written.
    """
    feeds = rendered(model, ROWS)
    rows = [_run(model, session, {k: a[i:i + 1] for k, a in feeds.items()}) for i in range(ROWS)]
    # rows may differ in what a network found: as many rows of outputs as of inputs, each under a name of its own
    outputs = {f'{name}.{i}': a for i, row in enumerate(rows) for name, a in row.items()}
    np.savez_compressed(folder / GOLDEN, **feeds, **outputs)


def check_reference(model: Model, session: InferenceSession) -> bool:
    """Compare what a model gives with what is kept beside it.

    Returns:
        False: there is nothing to compare with.

    Raises:
        ModelError: the file is damaged, or the outputs are others.
        InferenceError: the network does not run.
    """
    file = model.folder / GOLDEN
    if not file.is_file():
        return False
    try:
        with np.load(file) as z:
            kept = {name: z[name] for name in z.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f'cannot be read ({" ".join(str(error).split())})',
                         'import the model again, or remove this file', place=file) from error
    inputs = [t.name for t in session.inputs]
    lacking = [n for n in inputs if n not in kept]
    if lacking:
        raise ModelError(f'holds no {", ".join(lacking)}', 'import the model again, or remove this file', place=file)
    count = max((1 + int(n.rpartition('.')[2]) for n in kept if n.rpartition('.')[2].isdigit()), default=0)
    for i in range(min(count, *(len(kept[n]) for n in inputs))):
        now = _run(model, session, {n: kept[n][i:i + 1] for n in inputs})
        for name in _names(model):
            if (wanted := kept.get(f'{name}.{i}')) is not None:
                _same(f'{file}: {name} of image {i + 1}', wanted, now[name])
    return count > 0


def _names(model: Model) -> list[str]:
    vision = model.card.vision
    return [t.name for t in model.card.outputs] if vision is None else list(vision.outputs.values())


def _run(model: Model, session: InferenceSession, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Outputs for one row; a graph for more gets it as often as it takes."""
    fixed = session.inputs[0].shape[0] if session.inputs[0].shape else None
    many = {k: np.repeat(a, fixed or 1, 0) for k, a in feeds.items()}
    names: Sequence[str] = _names(model)
    return {n: a[:1] for n, a in zip(names, session.run(many, names), strict=True)}


def _same(what: str, wanted: NDArray[Any], found: NDArray[Any]) -> None:
    where = 'the network runs otherwise here than where it was imported; update ONNX Runtime, or import it again'
    if wanted.shape != found.shape:
        raise ModelError(f'{what} was {wanted.shape}, is {found.shape}: {where}')
    if not np.isfinite(found).all():
        raise ModelError(f'{what} is not finite: {where}')
    if wanted.size:
        a, b = wanted.astype(float), found.astype(float)
        off = float(np.abs(a - b).max() / max(np.ptp(a), 1e-6))
        if off > _SHARE:
            raise ModelError(f'{what} is off by {off:.2g} of its range (at most {_SHARE:g}): {where}')
