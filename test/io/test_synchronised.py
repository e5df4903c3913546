# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings whose cameras started apart: stamps put right, who is left out, and what is told."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from selfpose_ros import cli
from selfpose_ros.core import offline
from selfpose_ros.core.check import Kind
from selfpose_ros.io.archive import read_keypoints, write_keypoints
from selfpose_ros.io.checked import checked
from selfpose_ros.io.recording import Recording
from selfpose_ros.io.skeletons import read_skeletons
from selfpose_ros.io.synchronised import synchronised
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

FPS = 25.
AHEAD = {'cam1': 0., 'cam2': 1.24, 'cam3': -2.04}


def recording(ahead: dict[str, float], seconds: float = 8., style: str = 'mixed', seed: int = 1) -> Recording:
    rig = ring_rig(len(ahead), seed)
    views = observe(walker(seconds, FPS, seed, style), rig, FPS, seed, clock_offset_s=ahead, outliers=.02)
    return Recording.of('phones', rig.cameras, views)


def test_the_stamps_of_one_instant_agree_afterwards() -> None:
    """Frame n of every camera shows one instant: within 40 ms (15 ms measured); with the sign turned, seconds."""
    before = recording(AHEAD)
    after = synchronised(before)
    first = {c: min(v.stamp for v in after.views if v.camera == c) for c in AHEAD}
    assert max(abs(first[c] - first['cam1']) for c in AHEAD) < .04
    assert after.late_s['cam1'] == 0. and after.late_s['cam2'] == pytest.approx(1.24, abs=.04)
    assert after.late_s['cam3'] == pytest.approx(-2.04, abs=.04)
    assert after.rows is None and [v.stamp for v in after.views] == sorted(v.stamp for v in after.views)
    assert 'cam2 +1.2' in after.notes[-1] and 'cam3 -2.0' in after.notes[-1]
    assert sum(len(f.views) == 3 for f in after.frames()) > .6 * len(after.frames())


def test_clocks_that_agree_stay_as_they_are() -> None:
    before = recording(dict.fromkeys(AHEAD, 0.), 6.)
    after = synchronised(before)
    assert after.views == before.views and not after.late_s and 'agree' in after.notes[-1]


def test_nobody_moves() -> None:
    """Stamps are used as they are, and why is told."""
    before = recording(AHEAD, 5., 'stand')
    after = synchronised(before)
    assert after.views == before.views
    assert any('no movement in common' in n for n in after.notes) and 'as they are' in after.notes[-1]


def test_one_camera_alone() -> None:
    before = recording({'cam1': 0.}, 2.)
    assert synchronised(before) is before


def test_a_camera_that_has_nothing_in_common_is_left_out() -> None:
    """It shows somebody who stands: the others are put right without it."""
    right, other = recording(AHEAD), recording(dict.fromkeys(AHEAD, 0.), 8., 'stand')
    views = [v for v in right.views if v.camera != 'cam3'] + [v for v in other.views if v.camera == 'cam3']
    after = synchronised(Recording.of('mixed up', right.cameras, views))
    assert set(after.image_size) == {'cam1', 'cam2'} and after.late_s['cam2'] == pytest.approx(1.24, abs=.04)
    assert any('cam3 left out' in n for n in after.notes)


def test_from_files_to_a_rig_with_its_clocks(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --sync auto a note names the camera and the option; with it the rig and the result hold the offsets,
    below a frame.
    """
    monkeypatch.setattr(offline, 'FRAMES', 40)               # the clocks are as good with few, and quicker
    source, out = tmp_path / 'phones.npz', tmp_path / 'out' / 'phones.npz'
    write_keypoints(source, recording({'cam1': 0., 'cam2': 1.24, 'cam3': 0.}, 7.))
    late, = checked(read_keypoints(source)).findings
    assert late.kind is Kind.OUT_OF_STEP and late.cameras == ('cam2',) and '--sync auto' in late.text
    command = ['reconstruct', str(source), '-o', str(out), '--quiet', '--json', '--lifter', 'none']
    assert cli.main([*command, '--sync', 'auto', '--offline']) == 0
    told = json.loads(capsys.readouterr().out)['recordings'][0]
    assert told['clock_offset_s']['cam2'] == pytest.approx(1.24, abs=.02)
    rig = read_skeletons(out).rig
    assert np.allclose(rig.clock_offset_s, list(told['clock_offset_s'].values()))  # type: ignore[union-attr]


def test_rows_that_are_seconds_off_are_put_right_too() -> None:
    """An archive whose rows say that they belong together, with one camera's stamps 6 s off: without --sync auto it is
    left out and the option is named, with it the offset is found.
    """
    rig = ring_rig(3, 1)
    frames = frames_of(observe(walker(8., FPS, 1, 'mixed'), rig, FPS, 1, outliers=.02))
    rows = [replace(f, views=tuple(replace(v, stamp=v.stamp + 6. * (v.camera == 'cam3')) for v in f.views))
            for f in frames]
    given = Recording.of('rows', rig.cameras, [v for r in rows for v in r.views], rows=rows)
    note = checked(given).notes[-1]
    assert 'cam3 is left out' in note and '--sync auto' in note
    assert synchronised(given).late_s['cam3'] == pytest.approx(6., abs=.04)
