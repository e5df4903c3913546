# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Of long recordings the liveliest minutes stay, in order, and nothing else stays in memory."""
from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch', reason='the training needs torch: pip install selfpose_ros[training]')

from selfpose_training.data.recordings import Recorded
from selfpose_training.update.reservoir import Reservoir, liveliness

FPS = 5.


def recording(name: str, speeds: list[float], unseen: bool = False) -> Recorded:
    """A minute for each of these speeds, px a second, of a body of 17 joints on a circle of 100 px."""
    angle = np.linspace(0, 2 * np.pi, 17, endpoint=False)
    body = 500 + 100 * np.stack([np.cos(angle), np.sin(angle)], -1)
    way = np.cumsum(np.repeat(speeds, int(60 * FPS)) / FPS)
    kp = np.repeat((body + way[:, None, None] * [1, 0])[:, None], 2, 1)
    stamp = np.arange(len(way)) / FPS
    return Recorded(name, kp, np.full(kp.shape[:3], 0. if unseen else 1.), stamp, np.full((2, 2), 1000.))


def test_liveliness_is_speed_in_sizes_of_the_body() -> None:
    """Root mean square distance from the middle is 100 px, whatever the size of the image."""
    assert liveliness(recording('a', [50.])) == pytest.approx(.5, rel=1e-3)
    assert liveliness(recording('a', [50.], unseen=True)) == 0.


def test_the_liveliest_minutes_stay_in_order() -> None:
    r = Reservoir(3.)
    r.add(recording('still', [1., 2., 80.]), 'first')
    whole = recording('lively', [90., 3., 70., 4.])
    r.add(whole, 'second')
    assert [(piece.name, source) for piece, source in r.kept()] == [
        ('still 120 to 180 s', 'first'), ('lively 0 to 60 s', 'second'), ('lively 120 to 180 s', 'second')]
    assert r.kept_s == pytest.approx(180, abs=1) and r.offered_s == pytest.approx(420, abs=1)
    assert not any(np.shares_memory(piece.kp, whole.kp) for piece, _ in r.kept()), 'the rest of it would stay, too'


def test_one_piece_stays_in_any_case_and_short_recordings_are_not_cut() -> None:
    r = Reservoir(.1)
    short = recording('short', [5.])
    r.add(short, 1)
    assert [(piece.name, len(piece)) for piece, _ in r.kept()] == [('short', len(short))]
    r.add(recording('livelier', [6.]), 2)
    assert [source for _, source in r.kept()] == [2]
