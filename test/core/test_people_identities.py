# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Several people once the rig is known: who they are stays clear, also after another rig and an absence."""
from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from crowds import FPS, alone, between, crossing, feed, nearest, new_people, nobody, room
from numpy.typing import NDArray
from scenes import views_changed

from selfpose_ros.core.association.tracklets import TrackletsByCamera
from selfpose_ros.core.body import stature_m
from selfpose_ros.core.model import model_from_rig
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.observation import MultiView, View2D
from selfpose_ros.core.person_view import Detections, Row
from selfpose_ros.core.place_spread import PlaceSpread
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.skeleton import BONES
from selfpose_ros.core.tracks.identities import Identities
from selfpose_ros.core.tracks.people import People
from selfpose_ros.core.tracks.person import Person
from selfpose_ros.core.tracks.person_fusion import PersonFusion
from selfpose_ros.core.tracks.recognition import Recognition
from selfpose_ros.synthetic import frames_of, observe, walker

Array = NDArray[np.float64]


# -- the rig's own errors

@pytest.mark.parametrize('told', [True, False])
def test_whom_other_cameras_put_elsewhere_is_one_person(told: bool) -> None:
    """Two cameras of a rig are 0.8 m from where they are thought to be: so is he whom they alone see, until the others
    see him, too. He stays one person where the sigmas of the rig say that it may be so; else there are two.
    """
    _, frames = alone()
    moved = np.array([0., 0., .8, .8])[:, None] * room().R[:, :, 0]
    people = new_people(rig=replace(room(), t=room().t + moved))
    assert people.model is not None
    layout = people.model.geometry.layout
    root = np.zeros((layout.size + 8, 1))
    layout.split(root[:, 0])[:, layout.TRANSLATION] = moved
    spread = PlaceSpread(root, np.zeros((7, 1)), np.ones(4, bool))
    people.model = replace(people.model, place=spread if told else None)
    late = set(room().cameras[:2])
    seen = views_changed(frames, between(-1., 1.5, lambda v: nobody(v) if v.camera in late else v))
    out = feed(people, seen)
    assert {s.person for o in out[10:20] for s in o} == {1}
    assert {s.person for o in out[20:] for s in o} == ({1} if told else {1, 2})


# -- identities outlive rigs

def turned_room() -> Rig:
    """The room in another world frame: turned by 90 degrees about the vertical, and shifted."""
    turn, shift = np.array([[0., -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([1., 2., 0.])
    return replace(room(), R=room().R @ turn.T, t=room().t - (room().R @ turn.T) @ shift)


def test_everybody_keeps_his_identity_when_the_world_changes() -> None:
    """Two people, and a rig in another frame: the same two identities, each on the same person as before, at once."""
    X, frames = crossing()
    people = new_people()
    before = {s.person: nearest(s, X[19])[0] for s in feed(people, frames[:20])[-1]}
    people.adopt(model_from_rig(turned_room(), NoiseModel.prior(room().image_size), 2), [], True)
    turn, shift = np.array([[0., -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([1., 2., 0.])
    for i, out in enumerate(feed(people, frames[20:26]), 20):
        after = {s.person: nearest(s, X[i] @ turn.T + shift) for s in out}
        assert {k: who for k, (who, _) in after.items()} == before and len(before) == 2
        assert max(far for _, far in after.values()) < .15


def test_a_provisional_rig_keeps_the_main_person_whatever_becomes_of_his_filter() -> None:
    """Rows that show too little to begin a filter with: carried along, not found anew under another number."""
    _, frames = alone()
    people = new_people()
    first = feed(people, frames[:10])[-1][0].person
    empty: Row = {}
    other = model_from_rig(turned_room(), NoiseModel.prior(room().image_size), 2)
    people.adopt(other, [(frames[9].stamp, empty)], True)
    assert [s.person for o in feed(people, frames[10:20]) for s in o] == [first] * 10


def test_without_a_rig_for_a_while_the_main_person_stays_who_he_is() -> None:
    """The rig was given up for 2 s, where 1 s is remembered: seen all the time, the same identity; else another."""
    _, frames = alone()
    for seen, same in ((True, True), (False, False)):
        people, trackers = new_people(reentry_s=1.), TrackletsByCamera()
        model = people.model

        def see(f: MultiView, trackers: TrackletsByCamera = trackers, people: People = people) -> Detections:
            detections = Detections.of(f, trackers.update(f))
            people.see(detections)
            return detections
        for f in frames[:10]:
            detections = see(f)
            first = people.update(detections, detections.first())[0].person
        people.without_rig()
        for f in frames[10:40]:
            if seen:
                see(f)
        people.model = model
        detections = see(frames[40])
        out = people.update(detections, detections.first())
        assert len(out) == 1 and (out[0].person == first) == same


def test_whose_filter_went_astray_is_found_again_under_his_number() -> None:
    """Thrown 0.8 m off, so that no camera shows him where he is expected: himself again, nobody new."""
    X, frames = alone()
    people = new_people()
    first = feed(people, frames[:15])[-1][0].person
    people.everybody[0].filter.x = people.everybody[0].filter.x + np.array([.8, 0., 0.])
    out = feed(people, frames[15:30])
    assert {s.person for o in out for s in o} == {first}
    assert nearest(out[-1][0], X[29][None])[1] < .08


# -- who comes back, and whom one camera sees

def through_the_door(out_s: tuple[float, float], seed: int = 1) -> tuple[Array, list[MultiView]]:
    """Two people; no camera sees the second between these times, and the first all the time."""
    X = np.stack([walker(5., FPS, seed, 'mixed', start=(-.8, 0.)), walker(5., FPS, 7, 'mixed', start=(.8, .4))], 1)
    seen = X.copy()
    t = np.arange(len(X)) / FPS
    seen[(t > out_s[0]) & (t < out_s[1]), 1] = np.nan
    return X, frames_of(observe(seen, room(), FPS, seed))


def test_whoever_comes_back_through_the_door_is_who_he_was() -> None:
    """Out of sight for 2 s while another stays: two identities in all, each on one person (measured: at once)."""
    X, frames = through_the_door((1.5, 3.5))
    out = feed(new_people(), frames)
    who: dict[int, set[int]] = {}
    for x, o in zip(X, out, strict=True):
        for s in o:
            k, e = nearest(s, x)
            if e < .3:
                who.setdefault(s.person, set()).add(k)
    assert sorted(map(sorted, who.values())) == [[0], [1]]
    assert len(out[-1]) == 2 and max(len(o) for o in out[round(2.5 * FPS):round(3.4 * FPS)]) == 1


def test_somebody_of_another_size_who_comes_in_is_somebody_new() -> None:
    """A man of 1.85 m leaves and a child of 1.30 m comes in where he left: another identity."""
    man, child = walker(4., FPS, 3, 'mixed', 1.85), walker(4., FPS, 3, 'mixed', 1.30)
    t = np.arange(len(man)) / FPS
    X = np.where((t < 1.6)[:, None, None], man, child)
    X[(t > 1.6) & (t < 2.6)] = np.nan
    out = feed(new_people(), frames_of(observe(X, room(), FPS, 3)))
    before, after = {s.person for o in out[:20] for s in o}, {s.person for s in out[-1]}
    assert len(before) == len(after) == 1 and before != after


def test_whom_one_camera_sees_is_not_shown_for_long_and_keeps_his_identity() -> None:
    """From 1.5 s to 3.5 s only cam1 sees him: not shown 0.5 s later; then the same person at once, to 10 cm."""
    X, frames = alone()
    X5, frames = X, views_changed(frames, between(1.5, 3.5, lambda v: v if v.camera == 'cam1' else nobody(v)))
    out = feed(new_people(), frames)
    assert not any(out[round(2.1 * FPS):round(3.4 * FPS)])
    back = out[round(3.7 * FPS)]
    assert len({s.person for o in out for s in o}) == 1 and nearest(back[0], X5[round(3.7 * FPS)][None])[1] < .1


def test_a_poster_is_not_a_person_and_costs_nobody_his_identity() -> None:
    """cam1 shows a still pose all the time beside two people: two people are shown, each with one identity."""
    X, frames = crossing()
    still = next(v for v in frames[0].views if v.camera == 'cam1')
    shape = still.keypoints[:1] * .6 + [250., 80.]

    def with_poster(v: View2D) -> View2D:
        if v.camera != 'cam1':
            return v
        return replace(v, keypoints=np.concatenate([v.keypoints, shape]), person=np.append(v.person, -1),
                       confidence=np.concatenate([v.confidence, np.where(np.isfinite(shape).all(-1), .8, 0.)]))
    out = feed(new_people(), views_changed(frames, with_poster))
    assert max(len(o) for o in out) == 2 and {s.person for o in out for s in o} == {s.person for s in out[-1]}


def test_of_too_many_people_the_nearest_to_the_middle_are_followed() -> None:
    """One of two may be followed, the one far out is there first: the one in the middle takes his place."""
    far, near = walker(3., FPS, 4, 'stand', start=(1.6, 1.2)), walker(3., FPS, 5, 'stand', start=(0., 0.))
    near[:10] = np.nan
    X = np.stack([far, near], 1)
    out = feed(new_people(most=1), frames_of(observe(X, room(), FPS, 4)))
    assert nearest(out[8][0], X[8, :1])[1] < .1 and nearest(out[-1][0], X[-1])[0] == 1
    assert max(len(o) for o in out) == 1


def test_whoever_has_no_room_takes_no_identity_and_nobody_s_place() -> None:
    """One of two may be followed; the one far out is seen from 0.7 s on: the next identity is still the second."""
    far, near = walker(3., FPS, 4, 'stand', start=(1.6, 1.2)), walker(3., FPS, 5, 'stand', start=(0., 0.))
    far[:10] = np.nan
    people = new_people(most=1)
    out = feed(people, frames_of(observe(np.stack([near, far], 1), room(), FPS, 4)))
    first = out[8][0].person
    assert {p.person for o in out for p in o} == {first} and nearest(out[-1][0], np.stack([near, far], 1)[-1])[0] == 0
    assert people._ids.new() == first + 1


def test_two_who_appear_in_one_instant_are_not_both_the_one_who_left() -> None:
    """Somebody is followed, leaves, the rig is given up and found anew; then two come into sight in one instant."""
    ways = [np.linspace((2. * p - 1., -1.), (2. * p - 1., 1.), 50) for p in (0, 1)]
    X = np.stack([walker(1.5, FPS, 5 + p, 'walk', path_m=way) for p, way in enumerate(ways)], 1)
    people, tracklets = new_people(), TrackletsByCamera()

    def follow(frames: list[MultiView]) -> list[list[int]]:
        out = []
        for f in frames:
            detections = Detections.of(f, tracklets.update(f))
            people.see(detections)
            out.append([s.person for s in people.update(detections, {})])
        return out
    assert follow(alone()[1][:20])[-1] == [1]
    model = people.model
    people.without_rig()
    people.model = model
    later = [replace(f, stamp=f.stamp + 3., views=tuple(replace(v, stamp=v.stamp + 3.) for v in f.views))
             for f in frames_of(observe(X, room(), FPS, 1))]
    both = [ids for ids in follow(later) if len(ids) == 2]
    assert both and all(len(set(ids)) == 2 for ids in both)


def built(X: Array, arms: float, trunk: float) -> Array:
    """The same movements of a body of 1.7 m with other arms and another trunk, joints (T, 17, 3) m."""
    Y = X.copy()
    for k, (a, b) in enumerate(BONES):
        Y[:, b] = Y[:, a] + (X[:, b] - X[:, a]) * (arms if k > 9 else trunk if k > 5 else 1.)
    size = 1.7 / stature_m(np.array([np.linalg.norm(Y[:, b] - Y[:, a], axis=-1).mean() for a, b in BONES]))
    return np.asarray(Y[:, :1] * [1., 1., size] + (Y - Y[:, :1]) * size)


@pytest.mark.parametrize('exchanged', [True, False])
def test_two_who_left_are_told_apart_by_their_bones(exchanged: bool) -> None:
    """Of one size and different build, out of sight for 2 s, and back at once, each where he left or the other did."""
    ways = [np.linspace((x, -1.), (x, 1.), 90) for x in (-.9, .9)]
    bodies = [built(walker(6., FPS, 3 + n, 'walk', path_m=way, speed_m_s=.4), *build)
              for n, (way, build) in enumerate(zip(ways, ((1.12, .94), (.88, 1.06)), strict=True))]
    X = np.stack(bodies, 1)
    t = np.arange(len(X)) / FPS
    if exchanged:
        X[t > 3.5, :, :, 0] *= -1                           # mirrored: where the other one walks
        X[t > 3.5] = X[t > 3.5][:, :, [0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13]]
    X[(t > 2.) & (t < 4.)] = np.nan
    out = feed(new_people(), frames_of(observe(X, room(), FPS, 3)))
    before = {s.person: nearest(s, X[29])[0] for s in out[29]}
    assert sorted(before.values()) == [0, 1] and not any(out[round(3.5 * FPS):round(4. * FPS)])
    after = {s.person: nearest(s, X[-1])[0] for s in out[-1]}
    assert after == before


def _seen(identity: int, *tracklets: tuple[str, int]) -> Person:
    """Whom the cameras show by these tracklets."""
    return SimpleNamespace(identity=identity, row={c: SimpleNamespace(tracklet=n) for c, n in tracklets})  # type: ignore


def test_after_another_rig_everybody_together_is_who_fits_best() -> None:
    """The rig of before had two mixed up: one after the other, the first would take the identity of the second."""
    ids = Recognition(15., Identities())
    before = ((1, 5, ('a', 1)), (2, 4, ('b', 1)), (1, 12, ('a', 2)), (1, 9, ('b', 2)), (3, 1, ('c', 5)))
    for identity, ticks, tracklet in before:
        for k in range(ticks):
            ids.seen(_seen(identity, tracklet), (tracklet[0],), k / FPS)
    first, second, third = _seen(-1, ('a', 1), ('b', 1)), _seen(-2, ('a', 2), ('b', 2)), _seen(-3, ('c', 5), ('a', 7))
    assert ids.of_unsettled([first, second, third], ()) == [0, 0, 0], 'the rig is the same: votes decide'
    ids.unsettle()
    assert ids.of_unsettled([first, second, third], ()) == [2, 1, 0], 'one tick is no evidence'
    assert ids.of_unsettled([first], ()) == [1]
    assert ids.of_unsettled([first, second], {1}) == [2, 0], 'nobody is somebody who is followed'
    ids.seen(_seen(4, ('b', 1)), ('b',), 2.)
    assert ids.of_unsettled([first], ()) == [0], 'by now there is evidence of the present rig'


@pytest.mark.parametrize('known', [1, 2])
def test_after_another_rig_nobody_takes_what_is_another_s(known: int) -> None:
    """Two come back in one instant, one by most of his tracklets; the other fits him in size, and is not he."""
    people, tracklets = new_people(), TrackletsByCamera()
    for n, f in enumerate(crossing()[1][:24]):
        detections = Detections.of(f, tracklets.update(f))
        if n == 15:
            assert people.model is not None
            people.begin_anew(people.model)
            people._ids._of = {k: e for k, e in people._ids._of.items() if e.identity == known}
            people._ids._gone[3 - known].stature *= 1.5
            for (camera, _), e in people._ids._of.items():    # votes are even, evidence is not
                e.weight = {9: 5.} if camera in ('cam1', 'cam2') else {known: 6.}
        people.see(detections)
        shown = people.update(detections, {})
    assert len(shown) == 2 and len({p.person for p in shown}) == 2


def test_one_ray_crosses_none() -> None:
    """A ray with itself: its cosine is below 1 by rounding at times, and bones were learned from one view then."""
    people = new_people()
    model = people.model
    assert model is not None
    rng = np.random.default_rng(1)
    many = [SimpleNamespace(filter=SimpleNamespace(x=x)) for x in rng.normal(0., 1., (200, 17, 3))]
    agree = np.zeros((200, 4), bool)
    agree[np.arange(200), rng.integers(0, 4, 200)] = True
    fusion = PersonFusion(model, None, frozenset(), False)
    assert (fusion._crossing(many, agree) == 1.).all()  # type: ignore[arg-type]
    assert (fusion._crossing(many, np.ones((200, 4), bool)) < 1.).all()  # type: ignore[arg-type]


def test_whoever_strays_onto_somebody_else_does_not_take_his_identity() -> None:
    """Of two filters on one body that with fewer views goes. The other one's tracklets are his own, for a second."""
    people = new_people()
    feed(people, crossing()[1][:20])
    first, second = sorted(people.everybody, key=lambda p: p.identity)
    assert (first.identity, second.identity) == (1, 2)
    first.filter.x[:] = second.filter.x
    first.row = dict(list(first.row.items())[:1])
    people._drop_doubles()
    assert [p.identity for p in people.everybody] == [2]


def test_who_of_two_comes_back_is_looked_at_for_longer_where_they_are_alike() -> None:
    people = new_people()
    feed(people, crossing()[1][:20])
    a, b = people.everybody
    ids, now = Recognition(15., Identities()), a.stamp
    for p in (a, b):
        p.pairs, p.place = 60, np.zeros(3)
        p.filter.lengths[:] = a.filter.lengths
        ids.left(p)
    new = replace(a, identity=-1, pairs=3, limbs=a.filter.lengths[:16].copy())
    assert ids.of_returned(new, now + 1., ()) == (a.identity, False)
    assert ids.of_returned(replace(new, pairs=12), now + 1., ()) == (a.identity, True)
    b.filter.lengths[:16] = a.filter.lengths[:16] * np.where(np.arange(16) % 2, 1.15, .85)
    ids.left(b)
    assert ids.of_returned(new, now + 1., ()) == (a.identity, True)
    new.limbs = b.filter.lengths[:16].copy()
    assert ids.of_returned(new, now + 1., ()) == (b.identity, True)
