# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lets the tests of this folder import `small_training`, and start it as a program."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


@pytest.fixture(scope='module')
def start():
    """Starts the small training as a program: (folder, settings, *more) -> process. Those that still run are ended."""
    running = []

    def begin(folder: Path, settings: dict, *more: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
        folder.mkdir(exist_ok=True)
        # the program finds the packages where the tests found them
        where = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join(p for p in sys.path if p)}
        process = subprocess.Popen([sys.executable, *launcher, str(HERE / 'small_training.py'), str(folder),
                                    json.dumps(settings), *more], env=where, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
