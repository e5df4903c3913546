# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rigs over time: errors, expected ones, and steps of a world are what they are called."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpose_ros.benchmark import longer
from selfpose_ros.benchmark.plots import write_plots
from selfpose_ros.benchmark.run import ROWS, Options, Report, wanted
from selfpose_ros.core.observation import MultiView
from selfpose_ros.core.rig import Rig
from selfpose_ros.synthetic.crowd import CrowdScene, crowd_scene
from selfpose_ros.synthetic.motion_capture import Motion


def test_errors_and_steps(motion: Motion, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """From 2 s on a rig with one camera turned by 2 degrees, from 4.5 s on the true one, 10 cm beside; then another
    world.
    """
    true: list[Rig] = []

    def room(*given: object) -> CrowdScene:
        scene = crowd_scene(motion, 1, 4, 1, 0, 7.)
        true.append(scene.rig)
        return scene

    class Standing:
        def __init__(self, config: object, lifter: object = None) -> None:
            self.rig: Rig | None = None
            self.world = 0
            self._first: float | None = None

        def update(self, frame: MultiView) -> None:
            self._first = frame.stamp if self._first is None else self._first
            now, sure = frame.stamp - self._first, replace(
                true[-1], rotation_sigma_deg=np.r_[0., 1., 1., 1.], centre_sigma_m=np.full(4, .05))
            if now > 2.:
                R = sure.R.copy()
                R[2] = Rotation.from_rotvec([0., np.deg2rad(2.), 0.]).as_matrix() @ R[2]
                t = -np.einsum('vij,vj->vi', R, sure.centres)
                self.rig, self.world = replace(sure, R=R, t=t), 1
            if now > 4.5:
                self.rig = replace(sure, t=sure.t - sure.R @ [.1, 0., 0.])
            if now > 6.:
                self.rig, self.world = replace(sure, t=sure.t - sure.R @ [9., 0., 0.]), 2

        def close(self) -> None:
            pass
    monkeypatch.setattr(longer, 'crowd_scene', room)
    monkeypatch.setattr(longer, 'Estimator', Standing)
    rows, watched = longer.longer_rows(motion, 1, None, lambda *a: None, scenes=1, seconds=7.)
    assert [r.name for r in rows] == ['longer'] * 2
    after, step = rows
    assert after.value == pytest.approx(1.) and 'expected 1.00' in after.note and 'after 4 s' in after.what
    assert len(watched[0].stamp) == 3 and watched[0].error[1] == pytest.approx(0., abs=1e-5)
    assert step.value == pytest.approx(2.) and step.note == '1 steps, 1 above 1'
    report = Report(Options(None), watched=watched)
    assert [f.name for f in write_plots(report, tmp_path)] == ['longer.png']


def test_it_is_measured_by_name_only(tmp_path) -> None:
    assert set(longer.LONGER) <= set(ROWS) and not set(longer.LONGER) & set(wanted(Options(tmp_path / 'm.npz')))
