# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The page of `selfpose view --web` in a browser: it loads, its console has no errors, and people are to be seen."""
from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Page, browser

from selfpose_ros.commands.rerun_scene import LEVEL_COLOURS
from selfpose_ros.core.result import Skeletons
from selfpose_ros.io.archive import write_keypoints
from selfpose_ros.io.recording import Recording
from selfpose_ros.io.skeletons import write_skeletons
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

FPS, T = 15., 30
GREEN = np.array(LEVEL_COLOURS[3][::-1])
#: a page that is drawn without a graphics card, on a machine that has other work
WAIT_S = 120.


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a man who walks before three cameras is served."""
    pytest.importorskip('rerun', reason="rerun is not installed: pip install 'selfpose_ros[view]'")
    if browser() is None:
        pytest.skip('no Chromium is installed: apt-get install chromium')
    rig, X = ring_rig(3, 1), walker(T / FPS, FPS, 2)
    frames = frames_of(observe(X, rig, FPS, 1))
    views = [v for f in frames for v in f.views]
    write_keypoints(tmp_path / 'session.npz', Recording.of('session', rig.cameras, views))
    ones = np.ones((T, 1, 17))
    write_skeletons(tmp_path / 'result.npz', Skeletons(
        np.array([f.stamp for f in frames]), X[:, None], .02 * ones, .9 * ones, 3 * ones.astype(np.int64),
        np.full((T, 1), 3), np.ones((T, 1), np.int64), rig.cameras, rig))
    with socket.socket() as free, socket.socket() as next_one:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
        next_one.bind(('127.0.0.1', port + 1))
    served = subprocess.Popen(
        [sys.executable, '-m', 'selfpose_ros.cli', 'view', str(tmp_path / 'result.npz'), '--recording',
         str(tmp_path / 'session.npz'), '--web', '--port', str(port), '--quiet'], stdout=subprocess.PIPE, text=True)
    try:
        assert served.stdout is not None
        yield served.stdout.readline().strip()
    finally:
        served.terminate()
        served.wait(20)


def people_of(picture: np.ndarray) -> int:
    """Pixels that are as green as people of level 3 are."""
    return int((np.abs(picture.astype(int) - GREEN).max(-1) < 30).sum())


def test_the_page_shows_people_and_its_console_no_errors(address: str, tmp_path: Path) -> None:
    program = browser()
    assert program is not None
    page = Page(program, address, tmp_path / 'profile')
    try:
        end, picture = time.monotonic() + WAIT_S, page.picture()
        while people_of(picture) < 50 and time.monotonic() < end:
            page.wait(2.)
            picture = page.picture()
        assert not page.errors
        assert people_of(picture) >= 50, 'nobody is to be seen'
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100, 'the page is blank'
    finally:
        page.close()
