# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A solved rig on disk, so that a robot has its cameras from the first image on."""
from __future__ import annotations

import math
import os
from pathlib import Path

import yaml

from ..core.errors import RigError
from ..core.rig import Rig
from .errors import NodeError, ParameterError

__all__ = ['load_rig', 'save_rig']


def load_rig(path: str) -> Rig | None:
    """The rig of a YAML file; None for no name, or a file that `~/save_rig` has still to write.

    Raises:
        ParameterError: the file is no rig.
    """
    if not path:
        return None
    file = Path(path).expanduser()
    try:
        values = yaml.safe_load(file.read_text(encoding='utf-8'))
        if not isinstance(values, dict):
            raise RigError('it holds no rig')
        return Rig.from_dict({k: math.nan if v is None else v for k, v in values.items()})
    except FileNotFoundError:
        return None
    except (RigError, yaml.YAMLError, OSError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise ParameterError(f'{file} cannot be read ({" ".join(str(error).split())})',
                             'remove it, or save the rig again with ~/save_rig', place='parameter rig_file') from error


def save_rig(path: str, rig: Rig) -> Path:
    """Write a rig as YAML and return where; an old file is replaced in one step.

    Raises:
        NodeError: no name is given.
        OSError: it cannot be written.
    """
    if not path:
        raise NodeError('it is empty', 'set it to the file to write', place='parameter rig_file')
    file = Path(path).expanduser().absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f'{file.name}.{os.getpid()}.new')
    new.write_text(yaml.safe_dump(rig.to_dict(), sort_keys=False), encoding='utf-8')
    new.replace(file)
    return file
