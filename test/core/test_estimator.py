# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The causal estimator on whole scenes: what it must deliver, and everything that must not stop or fool it.

Most failures begin once a rig is known: their tests share one run of three seconds and go on from a copy of it.
"""
from __future__ import annotations

import copy
import functools
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import Run, Scene, altered, fit, rig_error_deg, run, scene, views_changed

from selfpose_ros.core import estimator as estimator_module
from selfpose_ros.core.camera import project
from selfpose_ros.core.estimator import Estimator, EstimatorConfig
from selfpose_ros.core.history import History
from selfpose_ros.core.observation import MultiView, View2D
from selfpose_ros.core.rig import NotSolved, Rig
from selfpose_ros.core.rig.sightings import SightingsLog
from selfpose_ros.core.solving import RigWorker
from selfpose_ros.core.view_buffer import replay
from selfpose_ros.synthetic import observe, ring_rig, walker

Array = NDArray[np.float64]

FPS, HEIGHT = 15., 1.75
WARM = 45                                        # frames of three seconds, after which the rig has settled


@functools.cache
def four() -> Scene:
    """Four views of five seconds, focal lengths unknown."""
    return scene(4, 5., FPS, 1, height_m=HEIGHT)


@functools.cache
def warm() -> tuple[Estimator, Run]:
    """The first three seconds, height known."""
    e = Estimator(EstimatorConfig(person_height_m=HEIGHT))
    return e, run(four().frames[:WARM], estimator=e)


@functools.cache
def whole() -> Run:
    """All five seconds."""
    first = warm()[1]
    rest = run(four().frames[WARM:], estimator=copy.deepcopy(warm()[0]))
    return Run(first.people + rest.people, first.rigs + rest.rigs, first.status + rest.status)


def goes_on(frames: list[MultiView]) -> Run:
    """These frames after the warm-up."""
    return run(frames, estimator=copy.deepcopy(warm()[0]))


def rest(change: Any = None) -> list[MultiView]:
    """The last two seconds, each view changed by `change(view)`; None leaves it out."""
    frames = four().frames[WARM:]
    return frames if change is None else views_changed(frames, change)


def at(stamp: float) -> int:
    """Index among the last two seconds of this time."""
    return round(stamp * FPS) - WARM


def nobody(v: View2D) -> View2D:
    return replace(v, keypoints=np.zeros((0, 17, 2)), confidence=np.zeros((0, 17)), person=np.zeros(0, np.int64))


def later(frames: list[MultiView], by_s: float) -> list[MultiView]:
    return [replace(f, stamp=f.stamp + by_s, views=tuple(replace(v, stamp=v.stamp + by_s) for v in f.views))
            for f in frames]


def accuracy(r: Run, frames: list[MultiView], s: Scene, last: int) -> float:
    """Median error of the last instants, aligned, m."""
    index = [round(f.stamp * s.fps) for f in frames[-last:]]
    return fit(r.joints()[-last:], s.first[index]).median_m


# -- what it must deliver

def test_a_rig_is_found_within_three_seconds_and_is_right() -> None:
    """Level 3 after 3 s at the latest (measured 1.4), then never again lower; rotations 1 degree in the end
    (measured 0.5).
    """
    level = whole().level()
    first = int(np.argmax(level == 3))
    assert 0 < first <= 3 * FPS and (level[first:] == 3).all()
    assert (level[:first] < 3).all() and whole().rigs[first - 1] is None
    rig = whole().rig
    assert rig is not None and rig_error_deg(rig, four().rig) < 1. and rig.quality > .9


def test_skeletons_are_accurate() -> None:
    """Median joint error over the last second, aligned: 2.5 cm (measured 1.7)."""
    assert accuracy(whole(), four().frames, four(), 20) < .025


def test_known_height_makes_it_metric() -> None:
    """3 % over the last second (measured 1.3); it says how and how surely."""
    f = fit(whole().joints()[-20:], four().joints[-20:])
    assert f.scale == pytest.approx(1., abs=.03)
    rig = whole().rig
    assert rig is not None and rig.scale_source == 'known height' and rig.scale_sigma < .05
    assert whole().status[-1].scale_source == 'known height'


def test_z_is_up_and_the_floor_is_at_zero() -> None:
    """Up to 2 degrees (measured 0.2), heights above the floor to 5 cm (0.5), origin within 3 m of the person."""
    r, truth = whole(), four().joints
    f = fit(r.joints()[-20:], truth[-20:])
    assert f.tilt_deg < 2.
    assert abs(np.nanmedian(r.joints()[-30:, :, 2] - truth[-30:, :, 2])) < .05
    assert np.nanmax(np.abs(r.joints()[-20:, 0, :2])) < 3.


def test_published_rig_projects_the_skeleton_onto_what_was_seen() -> None:
    """K, R, t and the joints belong together: median of 8 px in every camera (noise is 3; measured 2.1 to 3.8)."""
    rig, frame = whole().rig, four().frames[-1]
    assert rig is not None
    for view in frame.views:
        v = rig.cameras.index(view.camera)
        px = project(whole().joints()[-1], rig.K[v], rig.R[v], rig.t[v])
        assert np.nanmedian(np.linalg.norm(px - view.keypoints[0], axis=-1)) < 8.


def surprise(s: Scene, r: Run) -> float:
    """Root mean square error per axis over the mean sigma, last second."""
    f = fit(r.joints()[-20:], s.first[-20:])
    return float(np.sqrt(np.nanmean(f.errors ** 2) / 3) / np.nanmean(r.sigma()[-20:]))


def test_sigma_is_in_a_sane_relation_to_the_error() -> None:
    """Four and three views: error over sigma between 0.5 and 2 (measured 1.5 and 1.3)."""
    assert .5 < surprise(four(), whole()) < 2.
    assert .5 < surprise(*walking()) < 2.


def test_sigma_is_in_a_sane_relation_to_the_error_with_two_views() -> None:
    """Error over sigma between 0.5 and 2."""
    assert .5 < surprise(*known()) < 2.


def test_velocities_are_those_of_the_body() -> None:
    """Last second: median error 0.35 m/s (measured 0.22; joints move at 1.0), turned as positions are."""
    f = fit(whole().joints()[-20:], four().joints[-20:])
    v = np.stack([o[0].velocity for o in whole().people[-20:]])
    true = np.gradient(four().joints, 1 / FPS, axis=0)[-20:]
    assert np.nanmedian(np.linalg.norm(f.scale * v @ f.R.T - true, axis=-1)) < .35


def test_skeletons_say_what_they_rest_on() -> None:
    """Stamps as asked, one identity for one person, up to four views a joint, mostly all; confidences in 0..1."""
    people = whole().people
    assert all(p.stamp == f.stamp for o, f in zip(people, four().frames, strict=True) for p in o)
    assert {p.person for o in people for p in o} == {1}
    views = np.stack([o[0].views for o in people[-20:]])
    assert views.min() >= 0 and views.max() == 4 and views.mean() > 3
    conf = np.stack([o[0].confidence for o in people[-20:]])
    assert conf.min() >= 0 and conf.max() <= 1 and conf.mean() > .5


def test_status_tells_the_way_up() -> None:
    """Before: why there is no rig; after: level, quality, scale, every camera used at its rate."""
    before, after = warm()[1].status[5], whole().status[-1]
    assert before.level < 3 and before.rig_reason and before.rig_quality == 0.
    assert after.level == 3 and after.ok and after.rig_reason == '' and after.rig_quality > .9
    assert set(after.cameras) == {'cam1', 'cam2', 'cam3', 'cam4'}
    for c in after.cameras.values():
        assert c.used and c.people == 1 and c.rate_hz == pytest.approx(FPS, rel=.05) and c.reprojection_px < 10


def test_a_published_world_stays_where_it_is() -> None:
    """Whenever the rig is solved again the same place of the room keeps its coordinates: to 10 cm."""
    s = scene(4, 2.6, 20., 1)
    r, truth = run(s.frames), s.joints
    place = np.array([0., 0., .9])
    changes = [i for i in range(1, len(r.rigs)) if r.rigs[i - 1] is not None
               and not np.array_equal(r.rigs[i].R, r.rigs[i - 1].R)]              # type: ignore[union-attr]
    first = next(i for i, x in enumerate(r.rigs) if x is not None)
    where = []
    for a, b in zip([first, *changes], [*changes, len(r.rigs)], strict=True):
        f = fit(r.joints()[a:b], truth[a:b])
        where.append(f.R.T @ (place - f.t) / f.scale)
    assert len(where) > 1
    assert np.linalg.norm(np.diff(where, axis=0), axis=-1).max() < .1


def test_replay_is_deterministic() -> None:
    """The same input gives the same output at every instant, to rounding errors: a solve that is repeated in one
    process differs in the last bits at times.
    """
    again = run(four().frames[:30], EstimatorConfig(person_height_m=HEIGHT))
    for a, b in zip(again.people, warm()[1].people[:30], strict=True):
        assert [p.person for p in a] == [p.person for p in b]
        for p, q in zip(a, b, strict=True):
            for name in ('joints', 'sigma', 'confidence', 'velocity', 'views'):
                assert np.allclose(getattr(p, name), getattr(q, name), rtol=1e-6, atol=1e-5, equal_nan=True), name
    for now, then in zip(again.status, warm()[1].status[:30], strict=True):
        assert (now.level, now.sentence, now.rig_cause) == (then.level, then.sentence, then.rig_cause)


@functools.cache
def walking() -> tuple[Scene, Run]:
    """Three views of somebody 1.85 m tall who walks, nothing known but the distance of two cameras."""
    s = scene(3, 4., FPS, 2, 'walk', height_m=1.85)
    base = float(np.linalg.norm(s.rig.centres[0] - s.rig.centres[2]))
    return s, run(s.frames, EstimatorConfig(baseline_m=base, baseline_cameras=('cam1', 'cam3')))


def test_gravity_of_a_walking_person_within_five_degrees() -> None:
    """Three views, the last second (measured 0.2); it says how surely, not more than three times too surely."""
    s, r = walking()
    tilt = fit(r.joints()[-20:], s.joints[-20:]).tilt_deg
    assert tilt < 5. and r.rig is not None and tilt < 3 * r.rig.gravity_sigma_deg


def test_known_baseline_makes_it_metric() -> None:
    """The two cameras named are as far apart as told (1e-6), bodies to 4 % (measured 2.7)."""
    s, r = walking()
    assert r.rig is not None and r.rig.scale_source == 'known baseline'
    base = np.linalg.norm(s.rig.centres[0] - s.rig.centres[2])
    assert np.linalg.norm(r.rig.centres[0] - r.rig.centres[2]) == pytest.approx(base, rel=1e-6)
    assert fit(r.joints()[-20:], s.joints[-20:]).scale == pytest.approx(1., abs=.04)


@functools.cache
def known() -> tuple[Scene, Run]:
    """Two views with known intrinsics, off-centre and with a lens, of somebody of average size; no size told."""
    rig = ring_rig(2, 3, distortion=(-.1, .02, 0., 0., 0.))
    K = rig.K.copy()
    K[:, 0, 2] += 40.
    s = scene(rig=replace(rig, K=K), seconds=6., seed=3, height_m=1.70, known_intrinsics=True)
    return s, run(s.frames)


def test_known_intrinsics_are_used_and_held() -> None:
    """The published K and distortion are those that were told, to 1e-9; two views then give 1 degree (measured
    0.4).
    """
    s, r = known()
    assert r.rig is not None
    assert np.allclose(r.rig.K, s.rig.K, rtol=1e-9) and np.array_equal(r.rig.distortion, s.rig.distortion)
    assert rig_error_deg(r.rig, s.rig) < 1.


def test_adult_prior_is_metric_to_eight_percent_and_says_that_it_is_a_guess() -> None:
    s, r = known()
    assert r.rig is not None and r.rig.scale_source == 'adult prior' and .04 < r.rig.scale_sigma < .1
    assert fit(r.joints()[-20:], s.joints[-20:]).scale == pytest.approx(1., abs=.08)


# -- hopeless input

def never_trusted(r: Run) -> None:
    assert (r.level() < 3).all() and all(x is None for x in r.rigs)
    assert r.status[-1].rig_reason and not r.status[-1].rig_quality


def test_one_camera_only() -> None:
    """No rig, no people in 3D, and a sentence that says what is missing."""
    s = scene(1, 2., FPS)
    r = run(s.frames)
    never_trusted(r)
    assert not any(r.people) and 'two' in r.status[-1].sentence and not r.status[-1].ok


def test_two_frames_only() -> None:
    never_trusted(run(four().frames[:2]))


def test_a_person_that_stands_still() -> None:
    """3 s: never level 3, and the reason says what to do."""
    r = run(scene(4, 3., FPS, 2, 'stand').frames)
    never_trusted(r)
    assert 'mov' in r.status[-1].rig_reason


def test_cameras_side_by_side() -> None:
    """5 cm apart: no rig is ever published."""
    rig = ring_rig(1, 1)
    centres = rig.centres[0] + np.array([[0.], [.05]]) * rig.R[0, 0]
    R = np.repeat(rig.R, 2, 0)
    pair = Rig(('cam1', 'cam2'), np.repeat(rig.K, 2, 0), np.zeros((2, 5)), np.full((2, 2), 1000), R,
               -np.einsum('vij,vj->vi', R, centres), 1.)
    never_trusted(run(scene(rig=pair, seconds=2.5, fps=20., seed=1).frames))


def test_an_empty_scene_from_the_start() -> None:
    r = run(views_changed(four().frames[:30], nobody))
    never_trusted(r)
    assert not any(r.people) and 'nobody' in r.status[-1].sentence


# -- cameras

def test_a_camera_drops_out_and_returns() -> None:
    """Silent for 1.25 s: the others go on at level 3 (3 cm, measured 1.5) and it is called silent; when it is back
    it is used again.
    """
    frames = rest(lambda v: None if v.camera == 'cam2' and 3.2 < v.stamp < 4.45 else v)
    r = goes_on(frames)
    assert (r.level() == 3).all() and accuracy(r, frames, four(), 28) < .03
    silent, back = r.status[at(4.3)], r.status[-1]
    assert 'silent' in silent.cameras['cam2'].note and 'cam2' in silent.sentence and not silent.ok
    assert not silent.cameras['cam2'].used and silent.cameras['cam1'].used
    assert back.cameras['cam2'].used and not back.cameras['cam2'].note and back.ok


def test_all_cameras_but_one_die_and_return() -> None:
    """Nobody is made up from one ray each for longer than 0.5 s; 0.5 s after they are back everybody is, at level
    3.
    """
    frames = rest(lambda v: None if v.camera != 'cam1' and 3.2 < v.stamp < 4.35 else v)
    r = goes_on(frames)
    assert not r.status[at(4.25)].ok
    assert (r.level()[-3:] == 3).all() and accuracy(r, frames, four(), 3) < .05


def test_all_joints_of_one_camera_are_nan() -> None:
    """After the rig is known: level 3 from the other three (4 cm, measured 2.8), no NaN gets further."""
    r = goes_on(rest(lambda v: altered(v, np.full_like(v.keypoints, np.nan)) if v.camera == 'cam3' else v))
    assert (r.level() == 3).all() and np.isfinite(r.joints()).all()
    assert accuracy(r, rest(), four(), 20) < .04
    assert not r.status[-1].cameras['cam3'].used


def test_all_joints_of_one_camera_are_nan_from_the_start() -> None:
    """Three good cameras are enough: level 3 within 3 s."""
    r = run(views_changed(four().frames[:WARM], lambda v: altered(v, np.full_like(v.keypoints, np.nan))
                          if v.camera == 'cam3' else v))
    assert r.level()[-1] == 3


def test_nan_and_zero_confidences() -> None:
    """A third of all joints is NaN, or has no confidence, on pixels anywhere: 3 cm (measured 1.7)."""
    rng = np.random.default_rng(0)

    def spoil(v: View2D) -> View2D:
        kp, conf = v.keypoints.copy(), v.confidence.copy()
        bad = rng.random(conf.shape) < 1 / 3
        kp[bad] = rng.choice([np.nan, np.inf, 1e9, -5.], bad.sum())[:, None]
        conf[bad] = rng.choice([0., np.nan, -1., -np.inf], bad.sum())
        return altered(v, kp, conf)
    r = goes_on(rest(spoil))
    assert (r.level() == 3).all() and accuracy(r, rest(), four(), 20) < .03


def half(v: View2D) -> View2D:
    """The same view at half of the resolution."""
    return replace(v, keypoints=v.keypoints / 2, image_size=(500, 500)) if v.camera == 'cam2' else v


def test_a_camera_that_shows_a_changed_image_size_is_not_misread() -> None:
    """cam2 delivers half the resolution from 3 s on: its old pixels are not mixed with the new, errors of the
    skeletons stay below 4 cm (measured 1.5), its rays are not used before the rig has the new size.
    """
    r = goes_on(rest(half))
    assert accuracy(r, rest(), four(), 28) < .04
    for s, rig in zip(r.status, r.rigs, strict=True):
        assert rig is not None and (not s.cameras['cam2'].used or rig.image_size[1].tolist() == [500, 500])


def test_a_camera_goes_on_at_another_resolution() -> None:
    """The rig is of the new size at once, at level 3, with half of the focal length, and the camera is used."""
    before = warm()[0].rig
    r = goes_on(rest(half))
    assert before is not None and (r.level() == 3).all() and all(s.cameras['cam2'].used for s in r.status)
    for rig in r.rigs:
        assert rig is not None and rig.image_size[1].tolist() == [500, 500]
    np.testing.assert_allclose(r.rigs[0].K[1], before.K[1] / [[2.], [2.], [1.]], rtol=1e-9)
    np.testing.assert_array_equal(r.rigs[0].K[0], before.K[0])


def test_a_camera_that_shows_another_part_of_the_picture_is_solved_anew() -> None:
    """4:3 cut out of the square picture: no guess at where from; the reason says so."""
    def cut(v: View2D) -> View2D:
        return replace(v, keypoints=v.keypoints - [0, 125], image_size=(1000, 750)) if v.camera == 'cam2' else v
    r = goes_on(rest(cut))
    assert 'cam2 shows another part' in r.status[0].rig_reason and r.rigs[0] is None
    assert r.rig is None or r.rig.image_size[1].tolist() == [1000, 750]


def test_free_running_cameras_with_jittered_stamps() -> None:
    """Cameras out of phase by up to 25 ms, every stamp 4 ms off the beat, grouped by the view buffer: level 3,
    rotations 1.5 degrees (measured 0.7), joints 4 cm (1.3).
    """
    s = four()
    X = s.joints[:60]
    frames = list(replay(observe(X, s.rig, FPS, 1, jitter_s=.025, stamp_noise_s=.004)))
    r = run(frames)
    assert r.rig is not None and rig_error_deg(r.rig, s.rig) < 1.5
    late = [k for k, f in enumerate(frames) if f.stamp > 2.8 and f.stamp < 3.9]
    at = np.array([frames[k].stamp for k in late]) * FPS
    i, u = at.astype(int), (at % 1)[:, None, None]
    truth = X[i] * (1 - u) + X[np.minimum(i + 1, len(X) - 1)] * u
    assert fit(r.joints()[late], truth).median_m < .04


# -- time

def test_an_instant_that_comes_twice_or_late_is_left_out() -> None:
    """The same stamp again, or 0.2 s before: nothing is returned, and what follows is as if it had not come."""
    e = copy.deepcopy(warm()[0])
    frames = rest()
    first = e.update(frames[0])
    assert e.update(frames[0]) == [] and e.update(four().frames[WARM - 4]) == []
    after = e.update(frames[1])
    want = goes_on(frames[:2])
    assert first and np.array_equal(after[0].joints, want.people[1][0].joints)


def test_a_clock_that_jumps_back() -> None:
    """By 1000 s: the cameras have not moved, so the rig stays; people are there again within 0.3 s, 5 cm (measured
    J19).
    """
    frames = later(rest(), -1000.)
    r = goes_on(frames)
    assert all(x is not None for x in r.rigs)
    assert (r.level()[at(3.3):] == 3).all()
    truth = four().joints[WARM:]
    assert fit(r.joints()[at(3.3):], truth[at(3.3):]).median_m < .05
    assert all(p.stamp == f.stamp for o, f in zip(r.people, frames, strict=True) for p in o)


def test_a_pause_of_a_minute() -> None:
    """All cameras silent for 60 s (a laptop that slept): no trace of the old motion 0.3 s after it
    (4 cm; measured 1.8).
    """
    frames = later(rest(), 60.)
    r = goes_on(frames)
    i = at(3.3)
    assert (r.level()[i:] == 3).all() and fit(r.joints()[i:], four().joints[WARM + i:]).median_m < .04
    assert np.nanmax(np.abs(r.joints())) < 5.


# -- people

def test_an_empty_room_after_level_three() -> None:
    """Everybody leaves for 1.25 s: shown on for 0.5 s at most, then nobody, the rig stays, nothing is wrong;
    whoever comes back is at level 3 within 0.3 s.
    """
    frames = rest(lambda v: nobody(v) if 3.2 < v.stamp < 4.45 else v)
    r = goes_on(frames)
    assert not any(r.people[at(3.75):at(4.4)]) and all(x is not None for x in r.rigs)
    assert 'nobody' in r.status[at(4.3)].sentence and r.status[at(4.3)].ok
    assert (r.level()[at(4.8):] == 3).all()


def second_person(seed: int) -> Scene:
    a = walker(2.6, 15., seed, 'mixed')
    b = walker(2.6, 15., seed + 50, 'exercise', start=(1.6, 1.4))
    return scene(4, 2.6, 15., seed, joints=np.stack([a, b], 1))


@pytest.mark.parametrize('seed', [1, 2])
def test_a_second_person_in_the_background_before_the_rig_is_known(seed: int) -> None:
    """Somebody exercises 2 m behind: whatever is published as a rig is right (3 degrees), or nothing is."""
    s = second_person(seed)
    r = run(s.frames)
    for i, rig in enumerate(r.rigs):
        assert rig is None or rig_error_deg(rig, s.rig) < 3., f'at {s.frames[i].stamp:.1f} s'


# -- saved rigs

def saved(rig: Rig) -> Rig:
    return replace(rig, rotation_sigma_deg=np.full(4, .3), scale_source='known height', scale_sigma=.02)


def test_a_saved_rig_is_trusted_again_once_the_views_agree() -> None:
    """Not at once, but within 2.5 s, in its own world: joints where they truly are, to 4 cm (measured 1.9)."""
    r = run(four().frames[:WARM], rig=saved(four().rig))
    assert r.level()[0] < 3 and r.rigs[0] is None
    assert (r.level()[38:] == 3).all() and r.rig is not None
    assert np.nanmedian(np.linalg.norm(r.joints()[38:] - four().joints[38:WARM], axis=-1)) < .04


def test_a_saved_rig_that_does_not_fit_any_more_is_solved_anew() -> None:
    """Two cameras are exchanged: never published as it was; what is published is right (2 degrees)."""
    rig = four().rig
    order = [1, 0, 2, 3]
    r = run(four().frames, rig=saved(replace(rig, R=rig.R[order], t=rig.t[order])))
    for x in r.rigs:
        assert x is None or rig_error_deg(x, rig) < 2.


def test_a_saved_rig_waits_for_its_cameras() -> None:
    """One of its cameras never comes: a rig of the three that are there is found."""
    r = run(views_changed(four().frames[:34], lambda v: None if v.camera == 'cam4' else v), rig=saved(four().rig))
    assert r.level()[-1] == 3 and r.rig is not None and r.rig.cameras == ('cam1', 'cam2', 'cam3')


def test_reset_forgets_everything() -> None:
    e = copy.deepcopy(warm()[0])
    e.reset()
    assert e.rig is None and e.status.level == 0 and e.update(four().frames[0]) == []


# -- for ever

def test_memory_stays_bounded_over_thousands_of_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rig is ever found (solves are not run), logs of 100 rows: after 4000 instants it holds no more than after
    2500, to 2 %, which is 3 bytes an instant.
    """
    monkeypatch.setattr(estimator_module, 'History', functools.partial(History, 100))
    monkeypatch.setattr(estimator_module, 'SightingsLog', functools.partial(SightingsLog, most_rows=100))
    monkeypatch.setattr(RigWorker, 'submit', lambda *given: None)
    e = Estimator()
    poses = [f.views for f in four().frames[:50]]
    size = {}
    for i in range(4000):
        views = tuple(replace(v, stamp=.05 * i) for v in poses[i % 50][:2])
        e.update(MultiView(.05 * i, views))
        if i >= 2000 and i % 1500 >= 500 and i % 10 == 0:    # rows come and go: the most of 500 instants
            size[i] = len(pickle.dumps(vars(e)))
    first, second = (max(n for i, n in size.items() if a <= i < a + 500) for a in (2000, 3500))
    assert second < 1.02 * first


def test_not_solved_is_no_rig() -> None:
    """The refusal of a solve never ends up where a rig is read."""
    e = Estimator()
    e.update(four().frames[0])
    assert e.rig is None and not isinstance(e.rig, NotSolved)
