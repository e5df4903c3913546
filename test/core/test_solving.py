# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where rigs are solved: a process that is killed, and an end in the middle of a solve."""
from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.mark.parametrize('wait_s', [0., 3.])
def test_closing_ends_a_solve_under_way_and_says_nothing(tmp_path: Path, wait_s: float) -> None:
    assert _program(tmp_path, f"""
        from selfpose_ros.core.solving import RigWorker
        if __name__ == '__main__':
            worker = RigWorker('process')
            worker._future = worker._start().submit(time.sleep, 60)
            time.sleep({wait_s})
            began = time.monotonic()
            worker.close()
            assert time.monotonic() - began < 20, 'it waited for the solve'
            assert not worker.busy
            print('closed')
        """) == (0, 'closed\n', '')


def test_a_process_killed_between_solves_is_started_anew(tmp_path: Path) -> None:
    assert _program(tmp_path, """
        from scenes import scene, tracks_of
        from selfpose_ros.core.rig.solver import SolverConfig
        from selfpose_ros.core.solving import RigWorker
        if __name__ == '__main__':
            worker = RigWorker('process')
            process = worker._start()._process
            process.kill()
            process.wait()
            worker.submit(0., tracks_of(scene().frames), SolverConfig(), None)
            result = None
            while result is None:
                result = worker.poll(0.)
                time.sleep(.05)
            worker.close()
            print(type(result).__name__)
        """) == (0, 'Solution\n', '')
