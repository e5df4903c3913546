# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Several people once the rig is known: nobody is made up, nobody is shown who is gone."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from crowds import FPS, alone, between, crossing, feed, nearest, new_people, nobody, other_world, room
from numpy.typing import NDArray
from scenes import views_changed

from selfpose_ros.core import rotation
from selfpose_ros.core.estimator import Estimator, EstimatorConfig
from selfpose_ros.core.model import model_from_rig
from selfpose_ros.core.noise import NoiseModel
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.person_view import Detections
from selfpose_ros.core.tracks.people import People
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

Array = NDArray[np.float64]


def test_two_people_keep_their_identities_when_crossing() -> None:
    """Passing at 0.35 m, each hiding the other in some view: from the first instant on two identities, each on the
    same person all the time, to 10 cm (measured 1.2 at the median, 2.3 at the most).
    """
    X, frames = crossing()
    out = feed(new_people(), frames)
    start = next(i for i, o in enumerate(out) if len(o) == 2)
    assert start < .6 * FPS and all(len(o) == 2 for o in out[start:])
    who: dict[int, set[int]] = {}
    errors = []
    for x, o in zip(X[start:], out[start:], strict=True):
        for s in o:
            k, e = nearest(s, x)
            who.setdefault(s.person, set()).add(k)
            errors.append(e)
    assert sorted(map(sorted, who.values())) == [[0], [1]]
    assert np.median(errors) < .02 and max(errors) < .1


def test_somebody_new_is_believed_after_a_few_instants_only() -> None:
    """Not in the first two, but within half a second."""
    X, frames = alone()
    out = feed(new_people(), frames)
    first = next(i for i, o in enumerate(out) if o)
    assert 2 <= first <= .5 * FPS
    assert nearest(out[first][0], X[first][None])[1] < .1


@pytest.mark.parametrize(('cameras', 'people', 'every'), [(32, 4, 4), (32, 6, 6), (4, 3, 5)])
def test_people_are_found_where_most_instants_are_left_out(cameras: int, people: int, every: int) -> None:
    """Many cameras on a busy machine: instants with somebody new take so long that only one in 0.27 to 0.4 s is fused.
    All are shown from the fifth on, as who they are: else every instant has new people, and that goes on.
    """
    side = int(np.ceil(np.sqrt(people)))
    starts = [(1.2 * (p % side) - .6 * (side - 1), 1.2 * (p // side) - 1.) for p in range(people)]
    X = np.stack([walker(4., FPS, 3 + p, start=start, style='exercise') for p, start in enumerate(starts)], 1)
    rig = ring_rig(cameras, 3, distance_m=(5., 7.), room_radius_m=2.5)
    every_frame = frames_of(observe(X, rig, FPS, 3))
    estimator = Estimator(EstimatorConfig(max_people=people, solve_first_s=np.inf), rig=rig)
    ids = [{s.person for s in estimator.update(f)} for f in every_frame[::every]]
    assert all(i == ids[-1] for i in ids[4:]) and len(ids[-1]) == people
    assert len(estimator.update(every_frame[-1])) == people


def test_on_whom_many_cameras_agree_is_shown_at_once() -> None:
    """12 cameras: from the first instant on, where he is (10 cm); false people in a third of the images make nobody."""
    X, rig = alone()[0], ring_rig(12, 3)
    frames = frames_of(observe(X, rig, FPS, 5, ghosts=.33))[:20]
    people = People(4)
    people.model = model_from_rig(rig, NoiseModel.prior(rig.image_size), 3)
    for x, shown in zip(X, feed(people, frames), strict=False):
        assert len(shown) == 1 and nearest(shown[0], x[None])[1] < .1


def test_whoever_leaves_is_shown_on_briefly_and_then_forgotten() -> None:
    """Unseen from 1.5 s on: shown for 0.4 s, less and less surely; back after 0.6 s it is the same identity."""
    X, frames = alone()
    out = feed(new_people(), views_changed(frames, between(1.5, 2.1, nobody)))
    shown = [i / FPS for i, o in enumerate(out) if o and 1.5 < i / FPS < 2.1]
    assert shown and max(shown) < 1.95
    coasting = [np.nanmean(out[round(t * FPS)][0].sigma) for t in shown]
    assert (np.diff(coasting) > 0).all()
    assert all((out[round(t * FPS)][0].views == 0).all() for t in shown)
    assert {s.person for o in out for s in o} == {out[20][0].person}
    assert out[-1] and nearest(out[-1][0], X[-1][None])[1] < .05


def test_whoever_comes_back_after_long_is_somebody_new() -> None:
    """1.5 s unseen where 1 s is remembered: a new identity, and only one; remembered for longer: the old one."""
    _, frames = alone()
    for reentry_s, same in ((1., False), (15., True)):
        out = feed(new_people(reentry_s=reentry_s), views_changed(frames, between(1.5, 3.0, nobody)))
        assert (out[20][0].person == out[-1][0].person) == same and all(len(o) <= 1 for o in out)


def test_nobody_is_predicted_over_a_long_pause() -> None:
    """All cameras silent for a minute, the person elsewhere meanwhile: whoever is shown after it is where he is
    (15 cm), once, and nobody is shown twice.
    """
    X, frames = alone()
    late = [replace(f, stamp=f.stamp + 60., views=tuple(replace(v, stamp=v.stamp + 60.) for v in f.views))
            for f in frames[30:]]
    people = new_people()
    feed(people, frames[:20])
    out = feed(people, late)
    assert all(len(o) <= 1 for o in out) and out[-1]
    for x, o in zip(X[30:], out, strict=True):
        assert not o or nearest(o[0], x[None])[1] < .15


def test_no_more_people_than_allowed() -> None:
    _, frames = crossing()
    out = feed(new_people(most=1), frames[:30])
    assert max(len(o) for o in out) == 1


def test_false_people_in_single_cameras_are_nobody() -> None:
    """Every third image has a false person on the furniture: nobody is shown where nobody is (20 cm), but for 2 %
    of the instants at most (measured none).
    """
    X = alone()[0]
    out = feed(new_people(), frames_of(observe(X, room(), FPS, 5, ghosts=.33)))
    made_up = [i for i, o in enumerate(out) if any(nearest(s, X[i][None])[1] > .2 for s in o)]
    assert len(made_up) <= .02 * len(out)
    assert sum(bool(o) for o in out) > .85 * len(out)


def test_what_a_single_camera_sees_is_not_made_into_a_person() -> None:
    """One ray per joint has no depth: nobody appears however long it is seen."""
    _, frames = alone()
    out = feed(new_people(), views_changed(frames, lambda v: v if v.camera == 'cam1' else None))
    assert not any(out)


def test_a_camera_that_was_left_out_says_nothing() -> None:
    """cam2 was turned by 10 degrees and is left out: people are where they are, from the other three, to 3 cm."""
    X, frames = alone()
    turned = room().R.copy()
    turned[1] = rotation.exp(np.array([0., .17, 0.])) @ turned[1]
    people = new_people(rig=replace(room(), R=turned))
    people.left_out = frozenset({'cam2'})
    out = feed(people, frames)
    assert out[-1] and np.median([nearest(o[0], X[i][None])[1] for i, o in enumerate(out) if o]) < .03
    assert max(int(o[0].views.max()) for o in out if o) == 3


def test_bones_of_somebody_new_are_learned() -> None:
    """A tall person (2.0 m): thigh length to 5 % after 3 s, from the average body's that is 15 % shorter."""
    X = walker(4., FPS, 3, 'mixed', 2.)
    people = new_people()
    feed(people, frames_of(observe(X, room(), FPS, 3)))
    f = people.everybody[0].filter
    thigh = np.linalg.norm(X[0, 2] - X[0, 1])
    assert f.lengths[1] == pytest.approx(thigh, rel=.05)


def test_people_survive_a_new_rig() -> None:
    """The rig is solved again with another world: the main person goes on there at once with the same identity; in
    the same world everybody does.
    """
    X, frames = crossing()
    people = new_people()
    out = feed(people, frames[:30])
    before = {s.person for s in out[-1]}
    assert people.model is not None and len(before) == 2
    people.adopt(people.model, [], moved=False)
    again = people.update(Detections.of(frames[30]), {})
    assert {s.person for s in again} == before
    assert max(nearest(s, X[30])[1] for s in again) < .1
    main = people.everybody[0]
    row = Detections.of(frames[30]).row(main.views)
    R, t = rotation.exp(np.array([0., 0., 1.])), np.array([1., 2., 0.])
    people.adopt(other_world(people.model, R, t), [(frames[30].stamp, row)], moved=True)
    out = feed(people, frames[31:40])
    assert main.identity in {s.person for s in out[0]}
    assert all(nearest(s, X[31 + i] @ R.T + t)[1] < .1 for i, o in enumerate(out) for s in o)


def test_joints_that_nobody_has_seen_are_unknown_not_somewhere() -> None:
    """Legs hidden in all cameras from the start (a table): NaN with confidence 0 and no views, or told as
    uncertain by more than 8 cm; the arms are as good as ever.
    """
    X, frames = alone()
    legs = [1, 2, 3, 4, 5, 6]

    def table(v: View2D) -> View2D:
        kp, conf = v.keypoints.copy(), v.confidence.copy()
        kp[:, legs[1:3] + legs[4:]] = np.nan
        conf[:, legs[1:3] + legs[4:]] = 0.
        return replace(v, keypoints=kp, confidence=conf)
    out = feed(new_people(), views_changed(frames, table))
    last = out[-1][0]
    for j in (2, 3, 5, 6):
        assert last.views[j] == 0
        assert (np.isnan(last.joints[j]).all() and last.confidence[j] == 0) or last.sigma[j] > .08
    arms = [11, 12, 13, 14, 15, 16]
    assert np.nanmedian(np.linalg.norm(last.joints[arms] - X[-1][arms], axis=-1)) < .03


def test_the_order_of_detections_does_not_matter() -> None:
    """Reversed in every view: the same people at the same places, to a millimetre."""
    X, frames = crossing()
    turned = views_changed(frames, lambda v: replace(v, keypoints=v.keypoints[::-1], confidence=v.confidence[::-1],
                                                     person=v.person[::-1]))
    a, b = feed(new_people(), frames[:20]), feed(new_people(), turned[:20])
    for x, y in zip(a, b, strict=True):
        assert len(x) == len(y)
        for s in x:
            assert min(np.nanmax(np.abs(s.joints - o.joints)) for o in y) < 1e-3
