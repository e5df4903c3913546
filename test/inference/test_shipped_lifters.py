# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The lifters that are shipped: small, and of use to who walks before cameras of any rate."""
from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

pytest.importorskip('onnxruntime')

from selfpose_ros.core.lifting import LiftedViews, pinhole
from selfpose_ros.core.person_view import Detections
from selfpose_ros.evaluation.alignment import pa_mm
from selfpose_ros.inference.lifter import Lifter, open_lifter
from selfpose_ros.models.store import open_model
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

#: frames, time between them, s, and the most bytes of the graph
NAMES = {'lifter': (1, 0., 2_000_000), 'temporal_lifter': (9, .12, 3_200_000)}


@lru_cache
def opened(name: str) -> Lifter:
    return open_lifter(name)


@pytest.mark.parametrize('name', NAMES)
def test_they_are_small_and_their_cards_have_the_figures(name: str) -> None:
    model, lifter = open_model(name), opened(name)
    frames, interval_s, most = NAMES[name]
    assert (lifter.frames, lifter.interval_s) == (frames, interval_s) and model.file.stat().st_size <= most
    assert model.card.licence == 'Apache-2.0' and model.card.everything['parent'] is None
    assert 50 < model.card.everything['metrics']['val_pa_mpjpe_mm'] < 65


def error_mm(name: str, fps: float, first_s: float = 1.) -> float:
    """Mean PA-MPJPE of the views of somebody who walks and exercises, each as it comes, after `first_s`."""
    rig, T = ring_rig(3, 5), walker(6., fps, 4, 'mixed')
    pinholes = {c: pinhole(None, (int(w), int(h))) for c, (w, h) in zip(rig.cameras, rig.image_size, strict=True)}
    views, off = LiftedViews(opened(name)), []
    for frame, true in zip(frames_of(observe(T, rig, fps, 4, noise_px=4.)), T, strict=True):
        row = Detections.of(frame).first()
        views.add(1, row)
        if frame.stamp >= first_s and round(frame.stamp * fps) % round(fps / 10) == 0:
            off += [pa_mm(joints, true) for joints, _ in views.of(row, pinholes, 1).values()]
    assert len(off) > 100
    return float(np.mean(off))


@pytest.mark.parametrize('fps', [10., 30., 60.])
def test_the_temporal_one_is_of_as_much_use_at_every_rate(fps: float) -> None:
    at_its_own = error_mm('temporal_lifter', 25.)
    assert error_mm('temporal_lifter', fps) < 1.1 * at_its_own < 1.1 * 80
