# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Several people: who is who and where the cameras are, found together."""
from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import Oracle
from scenes import EXACT, Scene, rotation_errors, scene

from selfpose_ros.core import offline, rotation
from selfpose_ros.core.association.tracklets import TrackletsByCamera
from selfpose_ros.core.body import BONE_PRIOR_M
from selfpose_ros.core.cameras import Cameras
from selfpose_ros.core.estimator import Estimator, EstimatorConfig
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.observation import MultiView, View2D
from selfpose_ros.core.offline import _model, history_of, reconstruct_offline
from selfpose_ros.core.person_view import Detections
from selfpose_ros.core.rig import NotSolved, everybody
from selfpose_ros.core.rig.alike import alike
from selfpose_ros.core.rig.assigned import assign_all
from selfpose_ros.core.rig.bundle import adjust
from selfpose_ros.core.rig.bundle_problem import BundleProblem, BundleState
from selfpose_ros.core.rig.everybody import Everybody, solve_everybody, solve_views
from selfpose_ros.core.rig.hypotheses import hypotheses, poses_of
from selfpose_ros.core.rig.sightings import Sightings, SightingsLog, followed
from selfpose_ros.core.rig.solver import Solution, SolverConfig, solve
from selfpose_ros.core.rig.start import Start
from selfpose_ros.core.rig_model import RigModel
from selfpose_ros.core.rig_state import RigState
from selfpose_ros.core.skeleton import MIRROR
from selfpose_ros.synthetic import frames_of, observe, walker

Array = NDArray[np.float64]

FPS = 15.


@functools.cache
def three(seconds: float = 2.4) -> Scene:
    """Three people near each other: one walks, one exercises, one does both."""
    who = (('walk', (-.9, -.7)), ('exercise', (1., -.2)), ('mixed', (0., 1.)))
    people = [walker(seconds, FPS, 5 + k, style, 1.6 + .1 * k, start) for k, (style, start) in enumerate(who)]
    return scene(4, seconds, FPS, 3, joints=np.stack(people, 1), identities=True)


def lifter(s: Scene) -> Oracle:
    return Oracle(s.joints, s.rig)


@functools.cache
def log() -> SightingsLog:
    return followed(three().frames, lifter(three()), 24)


def sightings() -> Sightings:
    return log().sightings()


def truth(s: Scene) -> Cameras:
    return Cameras(s.rig.R, s.rig.t, s.rig.K[:, 0, 0], s.rig.K[:, :2, 2])


def owners(d: Sightings, s: Scene) -> dict[tuple[int, int], int]:
    """Whose each tracklet is, by the identities that the simulated network gave."""
    out = {}
    for t, f in enumerate(s.frames):
        for view in f.views:
            v = d.cameras.index(view.camera)
            for k, who in enumerate(view.person):
                if d.tracklet[t, v, k] >= 0:
                    out[v, int(d.tracklet[t, v, k])] = int(who)
    return out


def mixed(people: tuple[tuple[tuple[int, int], ...], ...], owner: dict[tuple[int, int], int]) -> list[set[int]]:
    return [who for members in people if len(who := {owner[m] for m in members}) > 1]


def test_pairs_of_tracklets_propose_the_rotation_between_their_cameras() -> None:
    s, found = three(), alike(sightings())
    assert set(found) == {(a, b) for a in range(4) for b in range(a + 1, 4)}
    for (a, b), pair in found.items():
        worth, R = pair.proposals(4)[0]
        assert rotation.angle_deg(R, s.rig.R[b] @ s.rig.R[a].T) < 15., (a, b)
        assert worth > max([w for w, _ in pair.proposals(4)[1:]], default=0.)


def test_the_best_hypothesis_has_the_rotations_and_nobody_is_two_people() -> None:
    s, d = three(), sightings()
    best, *others = hypotheses(alike(d), 4)
    assert best.cameras == (0, 1, 2, 3)
    assert rotation_errors(best.R, s.rig.R).max() < 15.
    assert all(o.worth < best.worth for o in others)
    assert not mixed(best.people, owners(d, s))
    instant, chosen, person = poses_of(d, best.people)
    assert len(np.unique(person)) >= 3 and ((chosen >= 0).sum(1) > 1).all()
    assert all((np.diff(instant[person == q]) > 0).all() for q in np.unique(person))


def test_with_the_true_cameras_everybody_is_who_he_is_and_nearly_all_is_explained() -> None:
    s, d = three(), sightings()
    found = assign_all(d, truth(s), NoiseModel.prior(d.image_size))
    owner = owners(d, s)
    for q in np.unique(found.person):
        rows, v = np.nonzero((found.person == q)[:, None] & (found.chosen >= 0))
        who = [owner[k, int(d.tracklet[found.instant[n], k, found.chosen[n, k]])] for n, k in zip(rows, v, strict=True)]
        assert len(set(who)) == 1
    assert found.share > .85 and found.found > .85 and found.seen > 300


@pytest.mark.parametrize('cameras', [(0,), (0, 1), (1, 3)])
@pytest.mark.parametrize('part', [.8, .85, .9])
def test_a_tracklet_that_goes_over_to_somebody_else_is_cut_there(cameras: tuple[int, ...], part: float) -> None:
    """In views that look from the same side, both do so at one time, and agree with each other."""
    s, d = three(), sightings()
    owner, tracklet, late = owners(d, s), d.tracklet.copy(), round(part * len(d.stamp))
    who = np.full(tracklet.shape, -1)
    for at in zip(*np.nonzero(d.present), strict=True):
        who[at] = owner[int(at[1]), int(tracklet[at])]
    for v in cameras:
        tracklet[:late, v][who[:late, v] == 1] = -1
        tracklet[late:, v][who[late:, v] == 0] = -1
        tracklet[late:, v][who[late:, v] == 1] = tracklet[:late, v][who[:late, v] == 0][0]
    found = assign_all(replace(d, tracklet=tracklet), truth(s), NoiseModel.prior(d.image_size))
    poses = [{int(who[n, v, k]) for v, k in enumerate(row) if k >= 0}
             for n, row in zip(found.instant, found.chosen, strict=True)]
    assert max(map(len, poses)) == 1
    assert found.share > .85


@pytest.mark.parametrize('turn', [(0., .35, 0.), (0., -.35, 0.), (.2, 0., 0.)])
def test_wrong_cameras_explain_little(turn: tuple[float, float, float]) -> None:
    s, d = three(), sightings()
    R = s.rig.R.copy()
    R[1] = rotation.exp(np.array(turn)) @ R[1]
    R[2] = rotation.exp(-np.array(turn)) @ R[2]
    right, wrong = (assign_all(d, c, NoiseModel.prior(d.image_size)) for c in (truth(s), replace(truth(s), R=R)))
    assert wrong.support < .6 * right.support


def test_a_camera_that_never_sees_whom_the_others_see_is_not_joined_to_them() -> None:
    """One camera shows one of three people alone, where all three should be: most is explained, and yet it is apart."""
    s, d = three(), sightings()
    owner, tracklet = owners(d, s), d.tracklet.copy()
    for t, k in zip(*np.nonzero(tracklet[:, 0] >= 0), strict=True):
        if owner[0, int(tracklet[t, 0, k])] != 0:
            tracklet[t, 0, k] = -1
    noise = NoiseModel.prior(d.image_size)
    whole, parted = (assign_all(x, truth(s), noise) for x in (d, replace(d, tracklet=tracklet)))
    assert whole.joined > .75
    assert parted.support > .6 and parted.joined < .5


@pytest.mark.parametrize(('support', 'joined', 'seconds', 'published'), [
    (.8, .5, 4., False), (.8, .7, 4., True), (.51, .7, 4., False), (.7, .5, 9., True), (.8, .3, 9., False)])
def test_a_rig_in_two_halves_is_not_published(monkeypatch: pytest.MonkeyPatch, support: float, joined: float,
                                             seconds: float, published: bool) -> None:
    """Nor one that explains little. Where long was seen, something may stand in the way of a camera."""
    s = three(4.)

    def parted(*args: Any, **kwargs: Any) -> Any:
        found = solve_views(*args, **kwargs)
        if isinstance(found, NotSolved):
            return found
        stamp = found.tracks.stamp
        stretched = stamp[0] + (stamp - stamp[0]) * seconds / max(float(np.ptp(stamp)), 1e-3)
        return replace(found, support=support, joined=joined, tracks=replace(found.tracks, stamp=stretched))
    monkeypatch.setattr('selfpose_ros.core.solving.solve_views', parted)
    e = Estimator(EstimatorConfig(), lifter=lifter(s))
    for f in s.frames:
        e.update(f)
    assert (e.rig is not None) is published
    if not published and joined < .6:
        assert f'both see {100 * joined:.0f} %' in e.status.rig_reason
    e.close()


def test_the_rig_from_everybody() -> None:
    s = three()
    found = solve_everybody(sightings(), SolverConfig(frames=40, first_frames=24))
    assert not isinstance(found, NotSolved)
    assert rotation_errors(found.solution.state.cameras.R, s.rig.R).max() < 2.
    assert found.assignment.support > .7 and not found.overturned
    assert found.solution.state.bones.shape == (len(np.unique(found.solution.tracks.person)), 16)


def test_a_wrong_rig_is_overturned_and_a_right_one_is_not() -> None:
    s, d = three(), sightings()
    R = np.stack([rotation.exp(np.array([0., .3 * v, 0.])) @ s.rig.R[v] for v in range(4)])
    wrong = Start(d.cameras, replace(truth(s), R=R), np.full(16, .3))
    found = solve_everybody(d, SolverConfig(frames=40, first_frames=24), start=wrong)
    assert not isinstance(found, NotSolved) and found.overturned
    assert rotation_errors(found.solution.state.cameras.R, s.rig.R).max() < 2.
    right = Start(d.cameras, truth(s), np.full(16, .3))
    kept = solve_everybody(d, SolverConfig(frames=40, first_frames=24), start=right)
    assert not isinstance(kept, NotSolved) and not kept.overturned


def test_people_who_are_not_the_same_in_the_views_have_no_rig() -> None:
    """Every camera saw another film: nothing explains it."""
    s, d = three(), sightings()
    T = len(d.stamp)
    moved = {n: np.stack([np.roll(getattr(d, n)[:, v], 9 * v, axis=0) for v in range(4)], 1)
             for n in ('kp', 'confidence', 'tracklet', 'size', 'lifted', 'lifted_sigma')}
    assert T > 30 and s.joints.shape[1] == 3
    found = solve_everybody(replace(d, **moved), SolverConfig(frames=40, first_frames=24))
    assert isinstance(found, NotSolved) or found.solution.quality < .5


def test_bones_of_several_people_are_their_own() -> None:
    """Two of different size, exact views, true cameras held: each has the lengths that are his."""
    s = three()
    X = s.joints[:24, :2]
    px = truth(s).project(X.transpose(1, 0, 2, 3).reshape(-1, 17, 3))
    person = np.repeat([0, 1], len(X))
    problem = BundleProblem(px, np.full(px.shape[:-1], 1.), truth(s).centre, np.log(truth(s).focal), np.zeros(4),
                            hold_cameras=True, person=person)
    rng = np.random.default_rng(1)
    state = BundleState(truth(s), X.transpose(1, 0, 2, 3).reshape(-1, 17, 3) + .02 * rng.normal(size=(48, 17, 3)),
                        np.tile(problem.bone_mean, (2, 1)))
    found = adjust(state, problem, steps=15, covariance=False)
    thigh = np.linalg.norm(X[:, :, 2] - X[:, :, 1], axis=-1).mean(0)
    assert found.state.bones.shape == (2, 16)
    assert found.state.bones[1, 1] / found.state.bones[0, 1] == pytest.approx(thigh[1] / thigh[0], rel=.02)


def test_one_person_twice_is_the_same_adjustment() -> None:
    """Rows labelled as two people who are one: the cameras are those of one, for only the bones are known less well."""
    s = scene(4, 2., FPS, 1)
    d = followed(s.frames, None, 0).sightings()
    rows = np.arange(len(d.stamp))
    one = replace(d.tracks(rows, np.zeros((len(rows), 4), np.int64), np.zeros(len(rows), np.int64)), person=None)
    two = replace(one, person=(rows >= len(rows) // 2).astype(np.int64))
    found = [solve(t, SolverConfig(frames=40)) for t in (one, two)]
    assert all(isinstance(f, Solution) for f in found)
    assert all(rotation_errors(f.state.cameras.R, s.rig.R).max() < 2. for f in found)
    assert found[1].state.bones.shape == (2, 16) and found[0].state.bones.shape == (16,)


@functools.cache
def live() -> tuple[Estimator, list[int]]:
    s = three(4.)
    e = Estimator(EstimatorConfig(), lifter=lifter(s))
    levels = [max((p.level for p in e.update(f)), default=0) for f in s.frames]
    e.close()
    return e, levels


def test_until_there_is_a_rig_of_several_people_nobody_is_made_of_two_of_them() -> None:
    """Who is who in two cameras is not settled: one camera's poses are used, and nobody is shown for a while."""
    s = three(4.)
    e = Estimator(EstimatorConfig(), lifter=lifter(s))
    shown, lifted, cameras = [], [], set()
    for f in s.frames[:30]:
        shown.append(len(e.update(f)))
        lifted.append(e._rig.state is RigState.LIFTED)
        if lifted[-1] and e.model is not None:
            cameras.add(e.model.cameras)
    e.close()
    first = lifted.index(False, 1)
    before = [n for n, f in zip(shown[:first], s.frames, strict=False) if f.stamp - s.frames[0].stamp < 1.4]
    assert first > 6 and len(before) > 6 and not any(before)
    assert len(cameras) == 1 and len(next(iter(cameras))) == 1
    assert max(shown[first:]) == 3


def test_where_no_rig_comes_everybody_whom_one_camera_sees_is_shown() -> None:
    s = three(4.)
    e = Estimator(EstimatorConfig(solve_first_s=60.), lifter=lifter(s))
    people = [e.update(f) for f in s.frames]
    status = e.status
    e.close()
    now = np.array([f.stamp - s.frames[0].stamp for f in s.frames])
    assert not any(p for p, t in zip(people, now, strict=True) if t < 1.2)
    late = [p for p, t in zip(people, now, strict=True) if t > 1.7]
    assert late and all(len(p) == 3 for p in late)
    assert len({q.person for p in late for q in p}) == 3
    assert all(q.level == 1 and q.views.max() <= 1 for p in late for q in p)
    assert 'one camera' not in status.sentence and 'keep moving' in status.sentence


def test_off_line_a_rig_in_two_halves_is_none() -> None:
    found = solve_everybody(sightings(), SolverConfig(frames=40, first_frames=24))
    assert not isinstance(found, NotSolved)
    assert isinstance(_model(found.solution, EstimatorConfig()), RigModel)
    refused = _model(replace(found.solution, joined=.3), EstimatorConfig())
    assert isinstance(refused, NotSolved) and 'both see 30 %' in refused.reason


def test_live_everybody_calibrates_the_rig() -> None:
    s, (e, levels) = three(4.), live()
    assert e.rig is not None and levels[-1] == 3
    assert rotation_errors(e.rig.R, s.rig.R).max() < 3.
    assert len(e.update(replace(s.frames[-1], stamp=s.frames[-1].stamp + .07))) == 3


def test_a_rig_of_one_second_is_not_published() -> None:
    """However many people there are: the poses of a second are alike."""
    _, levels = live()
    assert levels.index(3) / FPS >= 1.4


def test_off_line_everybody_is_where_he_is() -> None:
    s = three()
    people, rig = reconstruct_offline(s.frames, lifter=lifter(s))
    assert not isinstance(rig, NotSolved)
    assert rotation_errors(rig.R, s.rig.R).max() < 2.
    assert np.median([len(p) for p in people]) == 3


def test_off_line_without_a_lifter_one_person_is_chosen_in_each_camera() -> None:
    """Detections come in random order: which of them is whose follows from continuity, not from their order."""
    s = three()
    rows = dict(history_of(s.frames).newest(len(s.frames)))
    for c in s.rig.cameras:
        who = [int(v.person[rows[f.stamp][c].index]) for f in s.frames if c in rows.get(f.stamp, {})
               for v in f.views if v.camera == c]
        assert len(who) > 15 and np.bincount(np.array(who) + 1).max() > .75 * len(who)


def test_a_view_of_somebody_else_costs_nothing() -> None:
    """A poster in one view all the time."""
    s = three()
    poster = s.frames[5].views[0].keypoints[:1] * .5 + [30., 40.]

    def hung(f: MultiView) -> MultiView:
        v = f.views[0]
        return replace(f, views=(View2D(v.camera, v.stamp, np.concatenate([poster, v.keypoints]), np.concatenate(
            [np.full((1, 17), .8), v.confidence]), v.image_size), *f.views[1:]))
    d = followed([hung(f) for f in s.frames], lifter(s), 24).sightings()
    found = solve_everybody(d, SolverConfig(frames=40, first_frames=24))
    assert not isinstance(found, NotSolved)
    assert rotation_errors(found.solution.state.cameras.R, s.rig.R).max() < 2.


def with_poster(s: Scene, view: int) -> list[MultiView]:
    """One view shows somebody else, smaller, in one place all the time; found with 1.5 px of noise."""
    rng, shown = np.random.default_rng(1), s.frames[5].views[view]
    poster = .4 * (shown.keypoints[:1] - np.nanmean(shown.keypoints[:1], 1, keepdims=True)) + [500., 150.]

    def hung(f: MultiView) -> MultiView:
        v = f.views[view]
        more = View2D(v.camera, v.stamp, np.concatenate([poster + rng.normal(0, 1.5, poster.shape), v.keypoints]),
                      np.concatenate([np.full((1, 17), .8), v.confidence]), v.image_size)
        return replace(f, views=(*f.views[:view], more, *f.views[view + 1:]))
    return list(map(hung, s.frames))


def test_a_poster_does_not_count_against_a_rig() -> None:
    """Of one person whom two cameras see half of the time it would be a third of all that is seen."""
    s = three(8.)
    plain, hung = (followed(f, None, 1).sightings() for f in (s.frames, with_poster(s, 0)))
    assert not plain.pictures.any()
    assert hung.pictures.sum() > .9 * len(s.frames) and not hung.pictures[:, 1:].any()
    a, b = (assign_all(d, truth(s), NoiseModel.prior(d.image_size)) for d in (plain, hung))
    assert a.share > .9 and abs(a.share - b.share) < .02
    assert not hung.instants(np.arange(60)).pictures.any()                # 4 s: nobody can tell yet


def test_somebody_who_stands_still_counts_where_two_views_see_him() -> None:
    s = three(8.)
    frozen = replace(s, joints=np.repeat(s.joints[:1], len(s.joints), 0))
    frames = scene(4, 8., FPS, 3, joints=frozen.joints, rig=s.rig, outliers=0., swap=0.).frames
    d = followed(frames, None, 1).sightings()
    assert d.pictures.mean() > .5 * d.present.mean()
    found = assign_all(d, truth(s), NoiseModel.prior(d.image_size))
    assert found.share > .9 and found.seen > .85 * d.present.sum()


def test_clocks_of_several_people_are_measured_at_the_rate_of_motion() -> None:
    """A selection of instants has no velocities. One camera is 30 ms ahead; to 5 ms after some rounds, in which the rig
    has less and less of the wrong times in its poses.
    """
    s = three(8.)
    frames = frames_of(observe(s.joints, s.rig, FPS, 3, clock_offset_s={'cam2': .03}), .031)
    log = followed(frames, lifter(s), 24)
    chosen = log.sightings(40)
    assert np.median(np.diff(chosen.stamp)) > .15
    config = SolverConfig(frames=40, first_frames=24)
    alone = solve_everybody(chosen, config)
    assert not isinstance(alone, NotSolved) and not alone.solution.clock_offset_s.any()
    late: dict[str, float] = {}
    moved = []
    for _ in range(3):
        found = solve_everybody(log.sightings(40, 200, late), config)
        assert not isinstance(found, NotSolved)
        late = dict(zip(found.solution.tracks.cameras, found.solution.clock_offset_s, strict=True))
        moved.append(found.solution.clocks_moved_s)
    assert late['cam2'] - late['cam1'] == pytest.approx(.03, abs=.005)
    assert moved[0] > .015 and moved[-1] == 0.
    before, after = (rotation_errors(x.solution.state.cameras.R, s.rig.R).max() for x in (alone, found))
    assert after < before


def test_instants_far_apart_are_put_in_time_along_all_that_was_seen() -> None:
    """One camera is 30 ms ahead: its joints are moved to where they were, though the next instant is 0.3 s off."""
    s = three(8.)

    def seen(late: float) -> SightingsLog:
        views = observe(s.joints[:, :1], s.rig, FPS, 3, 0., 0., 0., clock_offset_s={'cam2': late})
        return followed(frames_of(views, .031), None, 1)
    a, b = seen(0.), seen(.03)
    right, wrong, moved = a.sightings(20), b.sightings(20), b.sightings(20, late={'cam2': .03})
    assert moved.clock_offset_s.tolist() == [0., .03, 0., 0.] and not right.clock_offset_s.any()
    assert np.median(np.diff(moved.stamp)) > .3
    np.testing.assert_allclose(moved.stamp, right.stamp, atol=1e-9)

    def off(d: Sightings) -> float:
        return float(np.nanmedian(np.linalg.norm(d.kp[:, 1] - right.kp[:, 1], axis=-1)))
    assert off(moved) < .2 * off(wrong)


def test_motion_is_kept_in_stretches_that_end_with_the_newest() -> None:
    log = followed(three(8.).frames, None, 1)
    every, some = (log.sightings(40, n).motion for n in (1000, 110))
    assert every is not None and some is not None
    assert len(every.stamp) == len(three(8.).frames) and len(some.stamp) == 110
    steps = np.diff(some.stamp)
    assert (steps > 1.5 / FPS).sum() == 1 and some.stamp[-1] == every.stamp[-1]


def mirrored(X: Array, shift: tuple[float, float]) -> Array:
    """The same person as in a mirror: left for right, and so far beside, m."""
    return np.asarray((X * [1., -1., 1.])[:, list(MIRROR)] + [*shift, 0.])


def still(seed: int, start: tuple[float, float]) -> Array:
    return walker(2.4, FPS, seed, 'stand', start=start)


def crossing(side: float, seed: int = 7) -> Array:
    return walker(2.4, FPS, seed, 'walk', path_m=[(-1.3 * side, .25 * side), (1.3 * side, .25 * side)], speed_m_s=1.1)


@pytest.mark.parametrize('people', [
    pytest.param(lambda: (crossing(1.), crossing(-1., 8)), id='cross'),
    pytest.param(lambda: (three().joints[:, 1], mirrored(three().joints[:, 1], (-2.4, 0.))), id='mirror'),
    pytest.param(lambda: (still(1, (-.6, 0.)), still(2, (.6, 0.))), id='still'),
    pytest.param(lambda: (three().joints[:, 0], three().joints[:, 1] + [40., 0., 0.]), id='somebody outside'),
])
def test_a_rig_is_right_or_there_is_none(people: Callable[[], tuple[Array, Array]]) -> None:
    """The cases in which one body is easily taken for the other: refused or right, never wrong."""
    s = scene(4, 2.4, FPS, 3, joints=np.stack(people(), 1), identities=True)
    found = solve_everybody(followed(s.frames, lifter(s), 24).sightings(), SolverConfig(frames=40, first_frames=24))
    if not isinstance(found, NotSolved) and found.solution.quality > .5:
        assert rotation_errors(found.solution.state.cameras.R, s.rig.R).max() < 5.


def test_two_who_do_the_same_turned_by_half_a_turn_are_undecided() -> None:
    """Everything fits as well with the one taken for the other and the cameras turned: nothing can tell."""
    s = scene(4, 2.4, FPS, 3, joints=np.stack([crossing(1.), crossing(-1.)], 1))
    found = solve_everybody(followed(s.frames, lifter(s), 24).sightings(), SolverConfig(frames=40, first_frames=24))
    assert isinstance(found, NotSolved) and 'undecided' in found.reason


def test_the_log_is_bounded_and_lifts_at_its_stride() -> None:
    s = three()
    small, tracklets = SightingsLog(lifter(s), .2, most_rows=20), TrackletsByCamera()
    for f in s.frames:
        small.add(Detections.of(f, tracklets.update(f)))
    assert len(small) <= 20 and small.seen == len(s.frames) and small.crowded
    assert small.posed == pytest.approx(len(s.frames) / FPS / .2, abs=2)
    small.drop('cam1')
    assert 'cam1' not in small.image_size and 'cam1' not in small.sightings().cameras


def test_sightings_are_moved_to_their_instants() -> None:
    """Cameras that run free: joints are where they were at the instant, between the neighbours."""
    s = scene(2, 2., FPS, 3, 'walk', **EXACT)
    late = [replace(f, views=tuple(replace(v, stamp=v.stamp + (.02 if v.camera == 'cam2' else 0.)) for v in f.views))
            for f in s.frames]
    here, there = (followed(x, None, 0).sightings() for x in (s.frames, late))
    moved = there.kp[5:-5, 1] - here.kp[5:-5, 1]
    step = np.gradient(here.kp[:, 1], axis=0)[5:-5]
    some = (np.abs(step) > 1.) & (np.abs(step) < 6.)             # neither still nor faster than is interpolated
    # stamps are late by .02 s: what is shown at an instant was stamped later, so it lags
    assert np.median(moved[some] / step[some]) == pytest.approx(-.02 * FPS, abs=.06)


@pytest.mark.parametrize('missing', [0, 3])
def test_a_rig_that_lacks_a_camera_gets_it(missing: int) -> None:
    s, d = three(), sightings()
    there = [v for v in range(4) if v != missing]
    start = Start(tuple(s.rig.cameras[v] for v in there), truth(s).take(there), BONE_PRIOR_M)
    found = solve_everybody(d, SolverConfig(frames=60), start=start)
    assert not isinstance(found, NotSolved) and not found.overturned
    names = found.solution.tracks.cameras
    assert names == (*start.names, s.rig.cameras[missing])
    R, true = found.solution.state.cameras.R, s.rig.R[[s.rig.cameras.index(n) for n in names]]
    assert rotation.angle_deg(R @ R[0].T, true @ true[0].T).max() < 3.


def test_a_camera_that_is_wrong_is_placed_anew() -> None:
    """The other cameras are right, and what they see of each other explains most: that does not defend the one."""
    s, d = three(), sightings()
    off = truth(s)
    turn = rotation.exp(np.array([.0, .35, .0]))
    wrong = replace(off, R=np.concatenate([off.R[:3], (turn @ off.R[3])[None]]),
                    t=np.concatenate([off.t[:3], (turn @ off.t[3])[None]]))
    noise = NoiseModel.prior(d.image_size)
    before = everybody._candidate(d, d.cameras, everybody.FirstGuess(wrong, BONE_PRIOR_M, noise))
    after = everybody._mended(d, before)
    assert after.names == d.cameras and everybody._worth(after) > 1.2 * everybody._worth(before)
    R = after.guess.cameras.R
    assert rotation.angle_deg(R @ R[0].T, s.rig.R @ s.rig.R[0].T).max() < 5.


def test_the_likeliest_candidate_need_not_be_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    likely, finished = everybody._likely, everybody._finished
    poor: list[object] = []
    shares: list[float] = []

    def two(*args: Any) -> Any:
        found, refused = likely(*args)
        poor.append(replace(found[0]))
        return [poor[0], found[0]], refused

    def less(d: Any, c: Any, *args: Any) -> Any:
        found = finished(d, c, *args)
        if c is poor[0]:
            found = replace(found, assignment=replace(found.assignment, share=.9 * found.assignment.share))
        shares.append(found.assignment.share)
        return found
    monkeypatch.setattr(everybody, '_likely', two)
    monkeypatch.setattr(everybody, '_finished', less)
    found = solve_everybody(sightings(), SolverConfig(frames=30))
    assert not isinstance(found, NotSolved)
    assert len(shares) == 2 and shares[0] < shares[1] == found.assignment.share


def test_off_line_a_rig_is_found_again_until_clocks_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """One camera is 30 ms ahead. A later round that comes to nothing costs nothing that was found."""
    s = three(8.)
    frames = frames_of(observe(s.joints, s.rig, FPS, 3, clock_offset_s={'cam2': .03}), .031)
    rounds: list[tuple[dict[str, float], Everybody]] = []
    real = offline.solve_everybody

    def solved(d: Sightings, *given: Any, **more: Any) -> Everybody | NotSolved:
        if len(rounds) == last:
            return NotSolved('nothing', {})
        found = real(d, *given, **more)
        assert isinstance(found, Everybody)
        rounds.append((dict(zip(d.cameras, d.clock_offset_s, strict=True)), found))
        return found
    monkeypatch.setattr(offline, 'solve_everybody', solved)
    last = 9
    model = offline.solved(frames, EstimatorConfig(), lifter(s))
    assert not isinstance(model, NotSolved) and 2 <= len(rounds) <= 4
    assert not any(rounds[0][0].values()) and rounds[-1][1].solution.clocks_moved_s == 0.
    for (_, before), (late, _) in zip(rounds[:-1], rounds[1:], strict=True):
        assert list(late.values()) == before.solution.clock_offset_s.tolist()
    late = dict(zip(model.cameras, model.clock_offset_s, strict=True))
    assert late['cam2'] - late['cam1'] == pytest.approx(.03, abs=.005)

    first, last = rounds[0][1], 1
    rounds.clear()
    model = offline.solved(frames, EstimatorConfig(), lifter(s))
    assert not isinstance(model, NotSolved) and model.solution is not None
    assert model.solution.state.cameras.R == pytest.approx(first.solution.state.cameras.R)
