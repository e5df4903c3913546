# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Processes that call functions for their owner, and that can be ended at any moment without waiting for them.

Those of `concurrent.futures.ProcessPoolExecutor` cannot: a worker that is ended while its result is on the way leaves
its executor reading the rest of it for ever, and whoever joins the executor with it; and Ctrl-C goes to the workers,
too, which print where they stand.
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
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from multiprocessing.connection import Connection
from typing import Any, TypeVar

__all__ = ['ONE_THREAD', 'ProcessEnded', 'WorkerProcess', 'in_processes', 'serve']

T = TypeVar('T')

#: environment of a process whose linear algebra has one thread; it is read when numpy is loaded
ONE_THREAD = dict.fromkeys(('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'), '1')
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
    sys.path[:], module, nice = connection.recv()
except (EOFError, OSError):
    raise SystemExit
from {__name__} import serve
serve(connection, module, nice)
"""

_Calls = queue.SimpleQueue['tuple[Future[Any], Any] | None']


class ProcessEnded(RuntimeError):
    """The process ended before it had an answer: killed, or out of memory."""


class _Trace(Exception):
    """Where in the process an exception was raised; its cause, as far as tracebacks are concerned."""


class WorkerProcess:
    """A Python process; calls are done one after the other.

    It is in a session of its own, so Ctrl-C is its owner's business alone, and it ends with its owner.

    Args:
        module: imported at once, so that the first call does not wait for it.
        environment: variables that differ from the owner's.
        nice: how much lower its priority is, 0 to 19.
    """

    def __init__(self, module: str, environment: Mapping[str, str] = ONE_THREAD, nice: int = 0) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, '-c', _PROGRAM, str(theirs.fileno())], pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, env={**os.environ, **environment}, start_new_session=True)
        connection, self._calls = Connection(os.dup(ours.fileno())), _Calls()
        thread = threading.Thread(target=_ask, args=(connection, self._calls), name='worker process', daemon=True)
        self._end = weakref.finalize(self, _end, self._process, ours, self._calls, thread)
        with contextlib.suppress(OSError):                  # it has ended already: the first call meets that
            connection.send((sys.path, module, nice))
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
                ended = ProcessEnded('the process ended before it had an answer; is there memory left?')
                ended.__cause__ = error
                future.set_exception(ended)
            except Exception as error:  # noqa: BLE001 - arguments or an answer that cannot be sent are the caller's
                future.set_exception(error)
            else:
                if done:
                    future.set_result(answer)
                else:
                    raised, trace = answer
                    raised.__cause__ = _Trace(f'\n{trace}')
                    future.set_exception(raised)


def in_processes(function: Callable[[T], Any], items: Sequence[T], count: int) -> Iterator[tuple[T, Future[Any]]]:
    """(item, future) of a function of each item, as they end, from so many processes of one thread each.

    What ends a process costs the item that it had in work. When the iterator is closed, or Ctrl-C ends it, all of them
    are ended at once.

    Args:
        function: of a module; environment variables that say how many threads there are count, where they are set.
    """
    environment = {n: os.environ.get(n, value) for n, value in ONE_THREAD.items()}
    left, idle, busy = list(items)[::-1], list[WorkerProcess](), dict[Future[Any], tuple[T, WorkerProcess]]()
    try:
        while left or busy:
            while left and len(busy) < count:
                process = idle.pop() if idle else WorkerProcess(function.__module__, environment)
                item = left.pop()
                busy[process.submit(function, item)] = item, process
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                item, process = busy.pop(future)
                # one that is dying may seem to be alive for a moment
                (WorkerProcess.close if isinstance(future.exception(), ProcessEnded) else idle.append)(process)
                yield item, future
    finally:
        for process in (*idle, *(p for _, p in busy.values())):
            process.close()


def serve(connection: Connection, module: str, nice: int) -> None:
    """The process: answers calls until its owner is gone."""
    os.nice(nice)
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
        trace = traceback.format_exc()
        with contextlib.suppress(Exception):
            answer = pickle.dumps((False, (error, trace)))
            pickle.loads(answer)                            # some exceptions can be sent, and not be read
            return answer
        return pickle.dumps((False, (RuntimeError(f'{type(error).__name__}: {error}'), trace)))
