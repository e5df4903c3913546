# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras and people in real time: everybody is found, and what is too slow is seen as lost. No time decides a test."""
from __future__ import annotations

import time
from typing import Any

import pytest

from selfpose_ros.benchmark import load
from selfpose_ros.core.estimator import Estimator
from selfpose_ros.nodes.fusion_worker import FusionWorker


def test_a_row_for_each_number_of_people(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (('MANY_PEOPLE', (1, 2)), ('MANY_VIEWS', (3,)), ('_WARM_S', 1.), ('_AGE_S', 9.)):
        monkeypatch.setattr(load, name, value)
    monkeypatch.setattr(load.loaded, '__defaults__', (2.,))
    rows, found = load.load_rows(FusionWorker, None, lambda done, total: None)
    assert [r.name for r in rows] == ['load', 'load'] and set(found) == {(3, 1), (3, 2)}
    for (_, people), x in found.items():
        assert x.found == pytest.approx(people, abs=.2) and x.lost < .2 and x.cpu_s > 0
        assert 0 < x.latency_s[0] <= x.latency_s[1]


def test_an_estimator_that_is_too_slow_loses_instants(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Estimator):
        def update(self, frame: Any) -> Any:
            time.sleep(.3)
            return super().update(frame)

    monkeypatch.setattr(load, 'Estimator', Slow)
    monkeypatch.setattr(load, '_WARM_S', .5)
    assert load.loaded(FusionWorker, 2, 1, None, 2.).lost > .5
