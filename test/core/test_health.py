# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is said about the state of things: true, one sentence, and not ok whenever somebody should look."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from selfpose_ros.core.health import EstimatorStatus, HealthMonitor
from selfpose_ros.core.model import RigModel, model_from_rig
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.observation import MultiView, Skeleton3D, View2D
from selfpose_ros.core.person_view import Detections
from selfpose_ros.core.tracks.people import People
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

NAMES = ('cam1', 'cam2', 'cam3')


def view(camera: str, stamp: float, people: int = 1) -> View2D:
    return View2D(camera, stamp, np.full((people, 17, 2), 500.), np.full((people, 17), .8), (1000, 1000))


def instants(seconds: float, fps: float = 20., cameras: tuple[str, ...] = NAMES, people: int = 1, start: float = 0.,
             monitor: HealthMonitor | None = None) -> HealthMonitor:
    monitor = monitor or HealthMonitor()
    for i in range(round(seconds * fps)):
        t = start + i / fps
        monitor.views(MultiView(t, tuple(view(c, t, people) for c in cameras)))
    return monitor


def model(level: int = 3) -> RigModel:
    rig = replace(ring_rig(3, 1), quality=.9, scale_source='known height', scale_sigma=.02)
    return model_from_rig(rig, NoiseModel.prior(rig.image_size), level)


def skeleton(person: int = 1, level: int = 3) -> Skeleton3D:
    return Skeleton3D(person, 0., np.zeros((17, 3)), np.full(17, .01), np.ones(17), np.full(17, 3), level)


def told(monitor: HealthMonitor, people: list[Skeleton3D] | None = None, known: RigModel | None = None,
         reason: str = '', solving: bool = False) -> EstimatorStatus:
    out = monitor.status(people or [], known, reason, solving)
    assert out.sentence and '\n' not in out.sentence and len(out.sentence) < 200
    return out


def test_before_anything_came() -> None:
    s = told(HealthMonitor())
    assert s.sentence == 'waiting for the first views' and s.ok and s.level == 0 and not s.cameras


def test_all_is_well() -> None:
    """Level, number of people and cameras; quality, scale and no reason."""
    s = told(instants(2.), [skeleton(1), skeleton(2)], model())
    assert s.ok and s.level == 3 and '2 people' in s.sentence and 'level 3' in s.sentence and '3 cameras' in s.sentence
    assert s.rig_quality == pytest.approx(.9) and s.rig_reason == '' and s.scale_source == 'known height'
    assert s.scale_sigma == pytest.approx(.02)


@pytest.mark.parametrize('fps', [5., 20., 60.])
def test_rates_are_those_of_the_cameras(fps: float) -> None:
    """To 5 % after 3 s, each camera its own, jitter of a fifth of a period notwithstanding."""
    m, rng = HealthMonitor(), np.random.default_rng(0)
    stamps = {'fast': 0., 'slow': 0.}
    for i in range(round(3 * fps)):
        t = (i + .2 * rng.uniform(-.5, .5)) / fps
        views = [view('fast', t)] + ([view('slow', t)] if i % 2 == 0 else [])
        m.views(MultiView(max(t, max(stamps.values()) + 1e-6), tuple(views)))
    cameras = told(m).cameras
    assert cameras['fast'].rate_hz == pytest.approx(fps, rel=.05)
    assert cameras['slow'].rate_hz == pytest.approx(fps / 2, rel=.05)


def test_a_camera_that_went_silent_is_named_and_its_age_grows() -> None:
    m = instants(2.)
    instants(3., cameras=('cam1', 'cam3'), start=2., monitor=m)
    s = told(m, [skeleton()], model())
    lost = s.cameras['cam2']
    assert not s.ok and 'silent' in s.sentence and 'cam2' in s.sentence
    assert lost.age_s == pytest.approx(3., abs=.1) and lost.rate_hz == 0. and not lost.used and lost.people == 0
    assert 'silent' in lost.note and s.cameras['cam1'].note == ''


def test_a_camera_that_is_back_is_not_held_against() -> None:
    """Its note goes with its first view, its rate is right again after 3 s."""
    m = instants(2.)
    instants(3., cameras=('cam1', 'cam3'), start=2., monitor=m)
    instants(.05, start=5., monitor=m)
    assert told(m, [skeleton()], model()).ok and not told(m).cameras['cam2'].note
    instants(3., start=5.05, monitor=m)
    assert told(m).cameras['cam2'].rate_hz == pytest.approx(20., rel=.05)


def test_a_short_hiccup_is_no_alarm() -> None:
    m = instants(2.)
    instants(.8, cameras=('cam1', 'cam3'), start=2., monitor=m)
    assert told(m, [skeleton()], model()).ok


def test_one_camera_alone_cannot_fuse() -> None:
    s = told(instants(1., cameras=('cam1',)))
    assert not s.ok and 'two' in s.sentence and '1 of 1' in s.sentence


def test_an_empty_room_is_no_fault() -> None:
    s = told(instants(1., people=0), [], model())
    assert s.ok and 'nobody' in s.sentence and s.level == 0
    assert all(c.note == 'sees nobody' and c.people == 0 for c in s.cameras.values())


def test_no_rig_yet_gives_the_reason_of_the_solver() -> None:
    s = told(instants(1.), [], None, 'the person has hardly moved: walk or turn about', solving=True)
    assert 'hardly moved' in s.sentence and s.rig_reason == 'the person has hardly moved: walk or turn about'
    assert s.rig_quality == 0. and s.scale_source == '' and s.solving


def test_a_rig_that_is_not_trusted_has_no_quality_yet() -> None:
    """Level 2: the sentence says what is missing, the quality stays 0."""
    s = told(instants(1.), [skeleton(level=2)], model(2), 'keep moving')
    assert s.level == 2 and s.rig_quality == 0. and s.rig_reason == 'keep moving' and 'keep moving' in s.sentence


def test_cameras_that_see_different_people_are_told() -> None:
    s = told(instants(1.), [], model())
    assert not s.ok and 'same person' in s.sentence


def test_a_moved_camera_is_named() -> None:
    m = instants(1.)
    m.left_out = frozenset({'cam3'})
    s = told(m, [skeleton()], model())
    assert not s.ok and 'cam3' in s.sentence and 'moved' in s.cameras['cam3'].note and not s.cameras['cam1'].note


def test_stamps_that_jump_do_not_spoil_the_rates() -> None:
    """A pause of a minute between two views is no period, a step back neither."""
    m = instants(2.)
    instants(2., start=60., monitor=m)
    assert told(m).cameras['cam1'].rate_hz == pytest.approx(20., rel=.05)
    instants(2., start=0., monitor=m)
    assert told(m).cameras['cam1'].rate_hz == pytest.approx(20., rel=.05)


def test_residuals_are_measured_in_pixels_and_rays_in_use_counted() -> None:
    """A known rig and a walker, 3 px noise: each camera's running residual between 1 and 5 px, agreement in sigmas
    below 1.5; a camera that saw nothing has none and is not in use.
    """
    rig = ring_rig(3, 1)
    X = walker(2., 15., 1)
    frames = frames_of(observe(X, rig, 15., 1))
    known = model_from_rig(rig, NoiseModel.prior(rig.image_size), 3)
    people, m = People(4), HealthMonitor()
    people.model = known
    for f in frames:
        seen = replace(f, views=tuple(v for v in f.views if v.camera != 'cam3'))
        m.views(f)
        people.update(Detections.of(seen), {})
        m.residuals(people, known, f.stamp)
    cameras = told(m, [skeleton()], known).cameras
    for name in ('cam1', 'cam2'):
        assert cameras[name].used and 1. < cameras[name].reprojection_px < 5.
    assert not cameras['cam3'].used and np.isnan(cameras['cam3'].reprojection_px)
    e = m.agreement(rig.cameras)
    assert set(e) == {'cam1', 'cam2'} and max(e.values()) < 1.5
