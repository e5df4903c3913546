# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""npz files of dicts of arrays, as public data sets have them, read without running anything in a file.

numpy stores a dict as a pickle, and unpickling a file from elsewhere can run any code. Here only arrays, numbers,
texts, lists and dicts come back; anything else in the file is refused.
"""
from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import TrainingError

__all__ = ['read_dicts', 'table']

_NUMPY = {(f'numpy.{core}.{module}', name) for core in ('core', '_core') for module, name in (
    ('multiarray', '_reconstruct'), ('multiarray', 'scalar'), ('numeric', '_frombuffer'))}
_ALLOWED = _NUMPY | {('numpy', 'ndarray'), ('numpy', 'dtype'), ('_codecs', 'encode'), ('collections', 'OrderedDict')}


class _Unpickler(pickle.Unpickler):
    """Makes arrays and plain values only."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f'it asks for {module}.{name}, which is no array')
        # what newer numpy calls numpy._core older numpy calls numpy.core, and the other way round
        try:
            return super().find_class(module, name)
        except ImportError:
            other = 'numpy._core' if module.startswith('numpy.core') else 'numpy.core'
            return super().find_class(f'{other}.{module.split(".", 2)[2]}', name)


def _member(file: IO[bytes]) -> Any:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        value = _Unpickler(file).load()
        return value.item() if isinstance(value, np.ndarray) and not value.shape else value
    count = int(np.prod(shape))
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count).reshape(shape)


def read_dicts(path: Path, *names: str) -> dict[str, Any]:
    """These members of an npz, dicts as dicts; a name with a ? behind it may be missing.

    Raises:
        TrainingError: no such file, no npz, a member that is missing, or one that holds other things than arrays,
            numbers, texts, lists and dicts.
    """
    if not path.is_file():
        raise TrainingError('no such file', 'check the path', place=path)
    out: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as z:
            there = [n.removesuffix('.npy') for n in z.namelist()]
            for name in names:
                key = name.removesuffix('?')
                if key in there:
                    with z.open(f'{key}.npy') as file:
                        out[key] = _member(file)
                elif key == name:
                    raise TrainingError(f'{key} is missing, it holds {", ".join(there) or "nothing"}',
                                        'check that it is the right file', place=path)
    except (zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, OSError, EOFError, ValueError, KeyError, TypeError,
            AttributeError, IndexError, ImportError, MemoryError, NotImplementedError) as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise TrainingError(f'cannot be read ({reason})', 'download or copy it again', place=path) from error
    return out


def table(path: Path, key: str, value: Any) -> dict[str, dict[str, Any]]:
    """A dict of dicts, subject -> action -> what.

    Raises:
        TrainingError: it is something else.
    """
    if not isinstance(value, Mapping) or not value or not all(isinstance(v, Mapping) for v in value.values()):
        raise TrainingError(f'{key} must be a dict subject -> action -> arrays, got {type(value).__name__}',
                            'check that it is the right file', place=path)
    return {str(s): {str(a): x for a, x in actions.items()} for s, actions in value.items()}
