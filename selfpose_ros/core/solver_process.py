# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A process that calls functions for its owner, and that can be ended at any moment without waiting for it.

`concurrent.futures.ProcessPoolExecutor` cannot: a worker that is ended while its result is on the way leaves its
executor reading the rest of it for ever, and whoever joins the executor with it.
"""
from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import queue
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any

__all__ = ['ProcessEnded', 'SolverProcess', 'serve']

#: linear algebra in one thread: blocks of 51 gain nothing from more, they only spin
_ENVIRONMENT = dict.fromkeys(('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'), '1')
#: a solve must not take the stream's time
_NICE = 5
#: a process that was killed is gone by then, and its owner's thread has noticed, s
_GONE_S = 5.
#: the owner's import path comes first of all: its modules are the ones that are meant, and not what happens to lie in
#: the working directory
_PROGRAM = f"""
import sys
sys.path[:] = [p for p in sys.path if p]
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[1]))
try:
    sys.path[:], module = connection.recv()
except (EOFError, OSError):
    raise SystemExit
from {__name__} import serve
serve(connection, module)
"""

_Calls = queue.SimpleQueue['tuple[Future[Any], Any] | None']


class ProcessEnded(Exception):
    """The process ended before it had an answer: killed, or out of memory."""


class SolverProcess:
    """A Python process of low priority; calls are done one after the other.

    It is in a session of its own, so Ctrl-C is its owner's business alone, and it ends with its owner.

    Args:
        module: imported at once, so that the first call does not wait for it.
    """

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, '-c', _PROGRAM, str(theirs.fileno())], pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, env={**os.environ, **_ENVIRONMENT}, start_new_session=True)
        connection, self._calls = Connection(os.dup(ours.fileno())), _Calls()
        thread = threading.Thread(target=_ask, args=(connection, self._calls), name='rig-solver', daemon=True)
        self._end = weakref.finalize(self, _end, self._process, ours, self._calls, thread)
        with contextlib.suppress(OSError):                  # it has ended already: the first call meets that
            connection.send((sys.path, module))
        thread.start()

    @property
    def alive(self) -> bool:
        """Whether it can take calls."""
        return self._end.alive and self._process.poll() is None

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function there; a call that has not begun may be cancelled.

        The future raises what the function raises, and `ProcessEnded`.
        """
        future: Future[Any] = Future()
        self._calls.put((future, (function, args, kwargs)))
        return future

    def close(self) -> None:
        """End it, in the middle of a call, too; a second call does nothing."""
        self._end()


def _end(process: subprocess.Popen[bytes], ours: socket.socket, calls: _Calls, thread: threading.Thread) -> None:
    calls.put(None)
    process.kill()
    with contextlib.suppress(OSError):                      # wakes the thread, whatever it waits for
        ours.shutdown(socket.SHUT_RDWR)
    ours.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GONE_S)
    if thread.is_alive() and thread is not threading.current_thread():
        thread.join(_GONE_S)


def _ask(connection: Connection, calls: _Calls) -> None:
    """The owner's thread: sends each call and waits for its answer."""
    with connection:
        while (item := calls.get()) is not None:
            future, call = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                connection.send(call)
                done, answer = connection.recv()
            except (EOFError, OSError) as error:
                ended = ProcessEnded('the process ended before it had an answer')
                ended.__cause__ = error
                future.set_exception(ended)
            except Exception as error:  # noqa: BLE001 - arguments or an answer that cannot be sent are the caller's
                future.set_exception(error)
            else:
                if done:
                    future.set_result(answer)
                else:
                    future.set_exception(answer)


def serve(connection: Connection, module: str) -> None:
    """The process: answers calls until its owner is gone."""
    os.nice(_NICE)
    with contextlib.suppress(Exception):                    # if it cannot be imported, the first call says so
        importlib.import_module(module)
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send_bytes(_answer(connection.recv_bytes()))


def _answer(request: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(request)
        return pickle.dumps((True, function(*args, **kwargs)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller is to get it
        with contextlib.suppress(Exception):
            answer = pickle.dumps((False, error))
            pickle.loads(answer)                            # some exceptions can be sent, and not be read
            return answer
        return pickle.dumps((False, RuntimeError(f'{type(error).__name__}: {error}')))
