# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How a tick grows: everybody is found in every scene that is timed. No time decides a test."""
from __future__ import annotations

import pytest

from selfpose_ros.benchmark import growth


def test_every_scene_is_timed_with_all_its_people(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (('MANY_PEOPLE', (1, 3)), ('MANY_VIEWS', (2, 3)), ('PEOPLE', 3), ('VIEWS', 3)):
        monkeypatch.setattr(growth, name, value)
    scenes: list[int] = []
    row, found = growth.growth_row(None, lambda done, total: scenes.append(total))
    assert scenes == [3, 3, 3] and row.unit == 'ms' and row.value == 1e3 * found.people[3] == 1e3 * found.views[3]
    assert set(found.people) == {1, 3} and set(found.views) == {2, 3}
    assert all(people == pytest.approx(n, abs=.2) for (n, _), people in found.found.items())
