# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which backend a user means."""
from __future__ import annotations

from dataclasses import dataclass

from .errors import InputError

__all__ = ['BACKENDS', 'BACKEND_HELP', 'Backend', 'ON_CPU']

BACKENDS: tuple[str, ...] = ('onnxruntime', 'auto', 'tensorrt')
#: for users
BACKEND_HELP = ('what runs the networks of model folders: onnxruntime (the CPU; TensorFlow Lite graphs run on LiteRT '
                'there), tensorrt (NVIDIA GPU, or a failure that says why), or auto: tensorrt where it works, else '
                'onnxruntime')


@dataclass(frozen=True)
class Backend:
    """A user's choice; can be sent to other processes.

    Attributes:
        name: one of `BACKENDS`.
        engines: folder of the engine cache, '' = `tensorrt.engine_cache.default_folder`.
        batch: images or poses that usually come at once; engines are tuned for it.
        wait: until the engine is there, before anything runs; else ONNX Runtime runs the network meanwhile.

    Raises:
        InputError: there is no such backend.
    """

    name: str = 'onnxruntime'
    engines: str = ''
    batch: int = 4
    wait: bool = False

    def __post_init__(self) -> None:
        if self.name not in BACKENDS:
            raise InputError(f'backend {self.name!r} is not known', f'choose one of: {", ".join(BACKENDS)}')


#: what everybody has
ON_CPU = Backend()
