# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Processes that are ended in the middle of what they do, or of what is sent, and a Ctrl-C that is not theirs."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: run in the process: sends the beginning of an answer, says so with a file, and never sends the rest
HALF = """
import struct, sys, time
frame = sys._getframe()
while 'connection' not in frame.f_locals:
    frame = frame.f_back
frame.f_locals['connection']._send(struct.pack('!i', 1000) + b'the rest of these thousand bytes never comes')
open('sent', 'w').close()
time.sleep(60)
"""


def _file(tmp_path: Path, code: str) -> list[str]:
    """A program of its own: what an interpreter says when it ends shows in its output alone."""
    file = tmp_path / 'program.py'
    file.write_text('import sys, time\n' f'sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "test" / "core")!r}]\n'
                    + textwrap.dedent(code))
    return [sys.executable, str(file)]


def _program(tmp_path: Path, code: str) -> tuple[int, str, str]:
    """Exit status and output of a program."""
    done = subprocess.run(_file(tmp_path, code), cwd=tmp_path, check=False, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout, done.stderr


def test_closing_while_an_answer_is_on_its_way(tmp_path: Path) -> None:
    """A process that is ended in the middle of its answer leaves nobody waiting for the rest."""
    assert _program(tmp_path, f"""
        from pathlib import Path
        from selfpose_ros.core.worker_process import WorkerProcess
        process = WorkerProcess('time')
        answer = process.submit(exec, {HALF!r})
        while not Path('sent').exists():
            time.sleep(.001)
        process.close()
        try:
            answer.result(timeout=20)
        except Exception as error:
            print(type(error).__name__)
        """) == (0, 'ProcessEnded\n', '')


def test_closing_while_a_call_is_on_its_way(tmp_path: Path) -> None:
    """The process has not begun to read it, and it is more than the system keeps on the way."""
    assert _program(tmp_path, """
        from selfpose_ros.core.worker_process import WorkerProcess
        process = WorkerProcess('time')
        call = process.submit(len, bytes(50_000_000))
        process.close()
        try:
            call.result(timeout=20)
        except BaseException as error:
            print(type(error).__name__ in ('ProcessEnded', 'CancelledError'))
        """) == (0, 'True\n', '')


def test_what_cannot_be_sent_or_is_raised_is_the_callers(tmp_path: Path) -> None:
    """And the process goes on."""
    assert _program(tmp_path, """
        import threading
        from selfpose_ros.core.worker_process import WorkerProcess
        process = WorkerProcess('no.such.module')
        for call in ((int, 'x'), (threading.Lock,), (len, threading.Lock())):
            try:
                process.submit(*call).result(timeout=60)
            except Exception as error:
                print(type(error).__name__)
        print(process.submit(len, 'four').result(timeout=60), process.alive)
        process.close()
        print(process.alive)
        """) == (0, 'ValueError\nTypeError\nTypeError\n4 True\nFalse\n', '')


@pytest.mark.parametrize('close', [True, False])
def test_ctrl_c_while_the_process_loads_is_not_its_business(tmp_path: Path, close: bool) -> None:
    """A terminal's Ctrl-C goes to the whole group of processes; also if nobody closes the process, nothing is said."""
    program = subprocess.Popen(_file(tmp_path, f"""
        from selfpose_ros.core.worker_process import WorkerProcess
        try:
            process = WorkerProcess('scipy.optimize')
            print('loads', flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            if {close}:
                print(process.submit(len, 'four').result(timeout=60), flush=True)
                process.close()
            else:
                print(4)
        """), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert program.stdout is not None and program.stdout.readline() == 'loads\n'
    os.killpg(program.pid, signal.SIGINT)
    said = program.communicate(timeout=100)
    assert (program.returncode, *said) == (0, '4\n', '')


def test_a_process_that_dies_costs_its_item_alone(tmp_path: Path) -> None:
    (tmp_path / 'work.py').write_text(textwrap.dedent("""
        import os, signal, time
        def work(n):
            if n == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            if n == 3:
                raise ValueError('three')
            return n * n
        def last(n):
            if n:
                time.sleep(60)
            return n
        """))
    assert _program(tmp_path, """
        import traceback
        from work import last, work
        from selfpose_ros.core.worker_process import in_processes
        done = sorted((n, type(f.exception()).__name__ if f.exception() else f.result())
                      for n, f in in_processes(work, range(6), 2))
        print(done)
        trace = next(traceback.format_exception(f.exception()) for n, f in in_processes(work, [3], 1))
        print(''.join(trace).count("raise ValueError('three')"))
        for n, f in in_processes(last, [1, 0, 1], 2):
            print(f.result())
            break
        """) == (0, "[(0, 0), (1, 1), (2, 'ProcessEnded'), (3, 'ValueError'), (4, 16), (5, 25)]\n1\n0\n", '')
