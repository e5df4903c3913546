# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The option --backend of all commands that run networks, and what it means on this machine."""
from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..inference.backend import Backend

__all__ = ['add_backend', 'chosen_backend']


def add_backend(parser: argparse.ArgumentParser, default: str | None = 'onnxruntime') -> None:
    """Declare it.

    Args:
        default: None = what the parameters of the nodes say.
    """
    from ..inference.backend import BACKEND_HELP, BACKENDS
    default_text = '' if default is None else f' (default: {default})'
    parser.add_argument('--backend', choices=BACKENDS, default=default, help=f'{BACKEND_HELP}{default_text}')


def chosen_backend(args: argparse.Namespace, batch: int = 4) -> Backend:
    """The choice, for work that begins when the engines are there. What is not what was asked for is said on stderr.

    Raises:
        BackendUnavailable: tensorrt, which cannot be had here.
    """
    from ..inference.backend import Backend
    from ..inference.errors import BackendUnavailable
    backend = Backend(args.backend, batch=batch, wait=True)
    if backend.name != 'onnxruntime':
        from ..inference.tensorrt.engine_factory import EngineFactory
        try:
            words = (f'{EngineFactory.here(backend).words}; engines that are not kept from before are built first: '
                     'minutes')
        except BackendUnavailable as error:
            if backend.name == 'tensorrt':
                raise BackendUnavailable(f'backend tensorrt: {error}') from error
            words = f'onnxruntime, because: {error}'
        sys.stderr.write(f'backend {backend.name}: {words}\n')
        sys.stderr.flush()
    return backend
