# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT module of this machine, and its one logger."""
from __future__ import annotations

import importlib
import re
import threading
from collections import deque
from functools import lru_cache
from typing import Any

from ..errors import BackendUnavailable
from ..session import plain
from .interface import TensorRT

__all__ = ['NEWEST', 'OLDEST', 'Messages', 'find_tensorrt', 'messages_of']

#: versions whose interface was looked at: from here on, and below the next major one
OLDEST, NEWEST = (10, 3), (11,)
_INSTALL = 'see docs/backends.md for how it is installed'
#: errors of TensorRT that are kept for the sentence of an exception
_KEPT = 20
#: says after every error that there is no driver; never the reason
_ECHO = 'catchCudaError'


def find_tensorrt(name: str = 'tensorrt') -> TensorRT:
    """The module; nothing of CUDA is touched.

    Raises:
        BackendUnavailable: it is not installed, cannot be loaded, or is of a version that was not looked at.
    """
    try:
        module: Any = importlib.import_module(name)
    except ImportError as error:
        raise BackendUnavailable(f'TensorRT cannot be loaded ({plain(error)})', _INSTALL) from error
    except Exception as error:                             # its own libraries are searched for in many ways
        raise BackendUnavailable(f'TensorRT cannot be loaded ({plain(error)})',
                                 'its Python package and its libraries must be of one version') from error
    version = str(getattr(module, '__version__', ''))
    numbers = tuple(map(int, re.findall(r'\d+', version)[:2]))
    if not numbers or numbers < OLDEST or numbers[0] > NEWEST[0]:
        raise BackendUnavailable(f'TensorRT is {version or "of an unknown version"}, {OLDEST[0]}.{OLDEST[1]} to '
                                 f'{NEWEST[0]}.x is needed', _INSTALL)
    return module  # type: ignore[no-any-return]


class Messages:
    """The last messages of TensorRT, for the sentences of exceptions. Written from its threads.

    Attributes:
        logger: to be handed to it; must live as long as anything that was made with it.
    """

    def __init__(self, trt: TensorRT) -> None:
        self._errors: deque[str] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        grave = {trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR}
        note = self._note

        class Logger(trt.ILogger):                         # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                if severity in grave:
                    note(msg)

        self.logger = Logger()

    def _note(self, message: str) -> None:
        with self._lock:
            self._errors.append(' '.join(str(message).split()))

    def clear(self) -> None:
        """Forget what belongs to earlier work."""
        with self._lock:
            self._errors.clear()

    def take(self) -> str:
        """The errors since the last call, in one line."""
        with self._lock:
            messages = list(dict.fromkeys(self._errors))
            self._errors.clear()
        reasons = [m for m in messages if _ECHO not in m] or messages
        text = ' | '.join(reasons) or 'TensorRT gave no reason'
        return text if len(text) <= 600 else f'{text[:597]}...'


def messages_of(trt: Any) -> Messages:
    """One for the process: TensorRT keeps the first logger that it meets."""
    return _messages(trt)


@lru_cache(maxsize=4)
def _messages(trt: Any) -> Messages:
    return Messages(trt)
