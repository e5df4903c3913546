# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People who cross, hide, leave, come back, stand in the background, or are no people at all."""
from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from selfpose_ros.core.association import (
    CameraTracker,
    MainPerson,
    assign,
    group_views,
    matching,
    person_size,
    pose_distance,
)
from selfpose_ros.core.association.matching import assign_each
from selfpose_ros.core.association.tracker import update_trackers
from selfpose_ros.core.camera import project
from selfpose_ros.core.errors import ObservationError
from selfpose_ros.core.observation import MultiView, View2D
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.skeleton import MIRROR
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker

Array = np.ndarray


def match_people(predicted: Array, view: View2D) -> Array:
    """Known people (N, 17, 2) px, projected, to detections: index (N,) of each one's, -1 = none."""
    size = person_size(predicted, np.isfinite(predicted).all(-1).astype(float))
    return assign(pose_distance(predicted, size, view.keypoints, view.confidence)[0], .25)


def one_camera(views: list[View2D], camera: str) -> list[View2D]:
    return [v for v in views if v.camera == camera]


def identities(views: list[View2D], tracker: CameraTracker | None = None) -> dict[int, list[int]]:
    """Per true person, the identities it had, in order of time."""
    tracker, out = tracker or CameraTracker(), defaultdict(list)
    for v in views:
        for true, identity in zip(v.person, tracker.update(v), strict=True):
            out[int(true)].append(int(identity))
    return out


def changes(history: list[int]) -> int:
    return int((np.diff(history) != 0).sum())


def crowd(seconds: float, fps: float, seed: int, people: int = 4) -> Array:
    """(T, P, 17, 3): up to four people who walk and exercise within 2 m, and sometimes through each other."""
    starts = ((-.9, 0.), (.9, .2), (0., 1.), (.1, -1.))[:people]
    return np.stack([walker(seconds, fps, seed * 4 + k, 'mixed', start=s) for k, s in enumerate(starts)], 1)


# -- distances

def test_exchanged_sides_and_one_wrong_limb_do_not_make_a_pose_distant() -> None:
    """Exact pose 0; arms and legs exchanged 0; one arm 300 px off below 0.1; a neighbour 0.7 m away above 0.3."""
    rig = ring_rig(1, 3)
    pose = walker(1., 30, 0, 'walk')[0]
    aside = pose + .7 * rig.R[0, 0]
    kp = project(np.stack([pose, pose[list(MIRROR)], pose, aside]), rig.K[0], rig.R[0], rig.t[0])
    kp[2, [12, 13]] += 300.
    far, swapped = pose_distance(kp[:1], person_size(kp[:1], np.ones((1, 17))), kp, np.ones((4, 17)))
    assert far[0, 0] < 1e-12 and far[0, 1] < 1e-12 and far[0, 2] < .1 and far[0, 3] > .3
    assert swapped[0, 1].any() and not swapped[0, [0, 2]].any()


def test_poses_with_fewer_than_four_joints_in_common_are_not_compared() -> None:
    known, seen = np.full((1, 17, 2), np.nan), np.full((1, 17, 2), 5.)
    known[0, :3] = 5.
    far, _ = pose_distance(known, np.array([100.]), seen, np.ones((1, 17)))
    assert far[0, 0] == np.inf
    assert match_people(known, View2D('a', 0., seen, np.ones((1, 17)), (10, 10))).tolist() == [-1]


def test_assignment_does_not_spoil_a_good_pair_for_a_poor_one() -> None:
    cost = np.array([[.01, .28], [.25, 9.]])
    assert assign(cost, .3).tolist() == [0, -1]            # both pairs (.28 and .25) would be two poor ones
    assert assign(np.zeros((2, 0)), .3).tolist() == [-1, -1] and assign(np.zeros((0, 2)), .3).tolist() == []
    assert assign(np.full((2, 2), np.inf), .3).tolist() == [-1, -1]


@pytest.mark.parametrize('size', [(1, 1), (3, 3), (6, 4), (2, 7)])
def test_no_assignment_gains_more(size: tuple[int, int]) -> None:
    cost = np.random.default_rng(1).uniform(0, .5, (50, *size))
    cost[::5, 0] = np.inf
    for c, chosen in zip(cost, assign_each(cost, .3), strict=True):
        used = chosen[chosen >= 0]
        assert len(np.unique(used)) == len(used)
        gain = sum(1 - c[n, p] / .3 for n, p in enumerate(chosen) if p >= 0)
        rows, columns = linear_sum_assignment(np.minimum(c / .3 - 1, 0.))
        assert gain == pytest.approx(-np.minimum(c / .3 - 1, 0.)[rows, columns].sum())
        assert all(c[n, p] < .3 for n, p in enumerate(chosen) if p >= 0)


# -- one camera over time

def test_two_people_cross_in_front_of_a_camera_and_stay_who_they_are() -> None:
    """8 crossings before 4 cameras each: 2 of 32 may lose somebody, nobody is exchanged (measured none)."""
    lost = exchanged = 0
    for seed in range(8):
        a = walker(6., 15., seed, 'walk', path_m=[(-2, .3), (2, .3)])
        b = walker(6., 15., seed + 50, 'walk', 1.65, path_m=[(2, -.4), (-2, -.4)])
        rig = ring_rig(4, seed, distance_m=(4, 6))
        views = observe(np.stack([a, b], 1), rig, 15., seed, identities=True, noise_px=4.)
        for camera in rig.cameras:
            history = identities(one_camera(views, camera))
            lost += changes(history[0]) + changes(history[1]) > 0
            exchanged += bool(set(history[0]) & set(history[1]))
    print(f'{lost} of 32 lost, {exchanged} exchanged')
    assert lost <= 2 and exchanged == 0


def test_four_people_in_a_crowd_are_exchanged_rarely() -> None:
    """4 people, 4 cameras, 3 rooms, 8 s: at most 15 changes of identity in 5 400 detections (measured 6)."""
    count = total = 0
    for seed in range(3):
        rig = ring_rig(4, seed, distance_m=(5, 7))
        views = observe(crowd(8., 15., seed), rig, 15., seed, identities=True, noise_px=4., ghosts=.05)
        for camera in rig.cameras:
            history = identities(one_camera(views, camera))
            count += sum(changes(h) for person, h in history.items() if person >= 0)
            total += sum(len(h) for h in history.values())
    print(f'{count} changes in {total} detections')
    assert total > 5_000 and count <= 15


def test_swapped_sides_and_limb_outliers_do_not_change_the_identity() -> None:
    """One person with sides exchanged 10 % and limbs wrong 20 % of the time, in 4 cameras: one identity each."""
    rig = ring_rig(4, 1)
    views = observe(walker(10., 20., 1), rig, 20., 1, identities=True, noise_px=6., outliers=.2, swap=.1)
    for camera in rig.cameras:
        assert set(identities(one_camera(views, camera))[0]) == {0}


@pytest.mark.parametrize(('hidden_s', 'same'), [(.6, True), (3., False)])
def test_somebody_hidden_for_a_moment_is_the_same_and_after_long_is_new(hidden_s: float, same: bool) -> None:
    rig = ring_rig(1, 5, distance_m=(5, 6))
    views = observe(walker(8., 20., 5, 'walk', speed_m_s=.8), rig, 20., 5, identities=True)
    shown = [v if not 3 < v.stamp < 3 + hidden_s else replace(v, keypoints=np.zeros((0, 17, 2)),
             confidence=np.zeros((0, 17)), person=np.zeros(0, np.int64)) for v in views]
    history = identities(shown)[0]
    assert (len(set(history)) == 1) is same and len(set(history)) <= 2


def test_false_detections_do_not_take_an_identity_that_is_in_use() -> None:
    """False people in 30 % of the images: the true one keeps its identity in all four cameras."""
    rig = ring_rig(4, 2)
    views = observe(walker(10., 20., 2), rig, 20., 2, identities=True, ghosts=.3)
    for camera in rig.cameras:
        history = identities(one_camera(views, camera))
        assert set(history[0]) == {history[0][0]} and history[0][0] not in history[-1]
        assert len(set(history[-1])) > 3


def test_irregular_views_and_a_stop_of_the_camera_do_not_change_the_identity() -> None:
    """Every second or third view lost, and 0.8 s missing at once."""
    rig = ring_rig(4, 7)
    views = observe(walker(10., 30., 7, 'walk'), rig, 30., 7, identities=True)
    rng = np.random.default_rng(0)
    kept = [v for v in views if rng.random() > .4 and not 5 < v.stamp < 5.8]
    for camera in rig.cameras:
        assert len(set(identities(one_camera(kept, camera))[0])) == 1


def test_views_that_are_far_apart_do_not_make_everybody_new() -> None:
    """One view in 0.3 s from the first one on: the same identity, from the second view as from the hundredth."""
    rig = ring_rig(1, 7)
    views = observe(walker(6., 20., 7, 'exercise'), rig, 20., 7, identities=True)[::6]
    assert set(identities(views)[0]) == {0}


def test_time_that_begins_anew_begins_with_new_people() -> None:
    rig = ring_rig(1, 0)
    views = observe(walker(3., 20., 0), rig, 20., 0, identities=True)
    tracker = CameraTracker()
    first, second = identities(views, tracker)[0], identities(views, tracker)[0]
    assert set(first) == {0} and set(second) == {1}


def test_a_view_without_people_and_a_person_of_three_joints() -> None:
    tracker = CameraTracker()
    empty = View2D('a', 0., np.zeros((0, 17, 2)), np.zeros((0, 17)), (100, 100))
    assert tracker.update(empty).tolist() == [] and tracker.tracks == ()
    kp = np.full((1, 17, 2), np.nan)
    kp[0, :3] = 50.
    assert tracker.update(View2D('a', .1, kp, np.ones((1, 17)), (100, 100))).tolist() == [-1]


# -- known people to detections

def projected(joints: Array, rig: Rig, camera: str) -> Array:
    v = rig.cameras.index(camera)
    return project(joints, rig.K[v], rig.R[v], rig.t[v])


def test_known_people_find_their_detections_in_eight_views() -> None:
    """4 people, 8 views, noise, false people: > 99 % of the seen ones, none wrongly (measured all of 1778)."""
    joints = crowd(6., 10., 1)
    rig = ring_rig(8, 1, distance_m=(5, 7))
    right = wrong = seen = 0
    for frame in frames_of(observe(joints, rig, 10., 3, identities=True, ghosts=.1, noise_px=4.)):
        for v in frame.views:
            match = match_people(projected(joints[round(frame.stamp * 10)], rig, v.camera), v)
            true = [int(v.person[d]) if d >= 0 else -1 for d in match]
            right += sum(t == p for p, t in enumerate(true))
            wrong += sum(t not in (p, -1) for p, t in enumerate(true)) + sum(
                d >= 0 and v.person[d] < 0 for d in match)
            seen += int((v.person >= 0).sum())
    print(f'{right} right, {wrong} wrong of {seen}')
    assert wrong == 0 and right > .99 * seen


def test_a_person_who_left_matches_nobody() -> None:
    joints = crowd(2., 10., 2, people=2)
    rig = ring_rig(4, 2, distance_m=(4, 6))
    joints[:, 1] += [3., 0, 0]                             # known, but not there
    for frame in frames_of(observe(joints[:, :1], rig, 10., 2, identities=True)):
        for v in frame.views:
            match = match_people(projected(joints[round(frame.stamp * 10)], rig, v.camera), v)
            assert match.tolist() == [0, -1]


def test_people_behind_the_camera_or_unknown_match_nobody() -> None:
    v = View2D('a', 0., np.full((1, 17, 2), 5.), np.ones((1, 17)), (10, 10))
    assert match_people(np.full((2, 17, 2), np.nan), v).tolist() == [-1, -1]
    assert match_people(np.zeros((0, 17, 2)), v).tolist() == []


# -- new people from several views

def grouped(frame: MultiView, rig: Rig) -> tuple[list[dict[int, int]], bool, int, int]:
    """Groups, whether they are exactly the people seen twice or more, and pairs that are right / due."""
    P = rig.geometry.projection[[rig.cameras.index(v.camera) for v in frame.views]]
    groups = group_views(frame.views, P, [range(len(v.person)) for v in frame.views])
    label = {(v, d): k for k, g in enumerate(groups) for v, d in g.items()}
    true = {(v, d): int(p) for v, view in enumerate(frame.views) for d, p in enumerate(view.person)}
    exact, right, due = True, 0, 0
    for a in true:
        for b in true:
            if a[0] < b[0]:
                same, got = true[a] == true[b] >= 0, label.get(a, -1) == label.get(b, -2)
                exact &= same == got
                right += same and got
                due += same or got
    return groups, exact, right, due


def frames(views: int, noise_px: float, seeds: int, ghosts: float = 0.) -> list[tuple[MultiView, Rig]]:
    out = []
    for seed in range(seeds):
        rig = ring_rig(views, seed, distance_m=(4, 7))
        bad = float(noise_px > 0)
        seen = observe(crowd(6., 5., seed), rig, 5., seed, noise_px, .05 * bad, .01 * bad, identities=True,
                       ghosts=ghosts)
        out += [(f, rig) for f in frames_of(seen)[::2]]
    return out


def test_noise_free_crowd_in_eight_views_is_grouped_exactly() -> None:
    """4 people, 8 views, 60 instants: every group exact, also where people hide each other (measured 60 of 60)."""
    assert all(grouped(f, rig)[1] for f, rig in frames(8, 0., 4))


@pytest.mark.parametrize(('views', 'share'), [(8, .99), (4, .97), (3, .95), (2, .95)])
def test_noisy_crowd_is_grouped_well(views: int, share: float) -> None:
    """Share of right pairs among right, wrong and missed ones, with noise, wrong limbs, swaps and false people.

    Measured 1.000, 0.994, 0.981, 0.979 for 8, 4, 3, 2 views.
    """
    results = [grouped(f, rig)[2:] for f, rig in frames(views, 3., 5, ghosts=.1)]
    right, due = np.sum(results, axis=0)
    print(f'{views} views: {right / due:.4f}')
    assert right / due > share


def test_a_crowd_in_many_views_is_grouped_with_few_comparisons() -> None:
    """4 people, 32 views, 130 detections: everybody is found in nearly all views, though few of them are compared with
    each other.
    """
    compared: list[int] = []
    shares = []
    pair_costs = matching._pair_costs
    for seed in range(4):
        rig = ring_rig(32, seed, distance_m=(5, 7), room_radius_m=2.)
        seen = observe(crowd(2., 5., seed), rig, 5., seed, 3., .05, .01, identities=True, ghosts=.1)
        for frame in frames_of(seen)[::2]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(matching, '_pair_costs',
                              lambda kp, *rest: (compared.append(len(kp)), pair_costs(kp, *rest))[1])
                _, _, right, due = grouped(frame, rig)
            shares.append(right / due)
    print(f'{np.mean(shares):.4f} of the pairs, {max(compared)} detections compared')
    assert np.mean(shares) > .97 and max(compared) <= 64 and len(compared) == len(shares)


def test_a_group_has_one_detection_per_view_at_most_and_no_detection_twice() -> None:
    for frame, rig in frames(4, 6., 2, ghosts=.3):
        groups = grouped(frame, rig)[0]
        used = [item for g in groups for item in g.items()]
        assert len(used) == len(set(used)) and all(len(g) >= 2 for g in groups)


def test_false_people_alone_make_no_group() -> None:
    """Scattered joints in every view: 1 of 40 rooms may give a group (measured 0)."""
    rng, found = np.random.default_rng(0), 0
    for seed in range(40):
        rig = ring_rig(3, seed)
        views = [View2D(c, 0., rng.uniform(0, 1000, (1, 1, 2)) + rng.uniform(-150, 150, (1, 17, 2)),
                        np.ones((1, 17)), (1000, 1000)) for c in rig.cameras]
        found += bool(group_views(views, rig.geometry.projection, [[0]] * 3))
    print(f'{found} groups')
    assert found <= 1


def test_detections_that_are_taken_are_left_alone() -> None:
    frame, rig = frames(4, 0., 1)[0]
    P = rig.geometry.projection
    free = [[d for d in range(len(v.person)) if v.person[d] == 2] for v in frame.views]
    assert group_views(frame.views, P, free) == [{v: ds[0] for v, ds in enumerate(free) if ds}]
    assert group_views(frame.views, P, [[]] * 4) == [] and group_views(frame.views[:1], P[:1], [[0]]) == []


def test_cameras_that_share_a_place_cannot_make_a_person() -> None:
    """The same camera twice sees no depth: nothing is grouped, and nothing breaks."""
    frame, rig = frames(4, 0., 1)[0]
    twice = (frame.views[0], replace(frame.views[0], camera='again'))
    n = len(frame.views[0].person)
    assert group_views(twice, rig.geometry.projection[[0, 0]], [range(n)] * 2) == []


def test_unequal_numbers_of_views_and_cameras_are_refused() -> None:
    frame, rig = frames(4, 0., 1)[0]
    with pytest.raises(ObservationError, match='4 views, projections'):
        group_views(frame.views, rig.geometry.projection[:3], [[0]] * 4)


# -- before there is a rig

def room(kind: str, seed: int, seconds: float = 8.) -> Array:
    main = walker(seconds, 15., seed, 'mixed')
    other = {
        'walks behind': lambda: walker(seconds, 15., seed + 100, 'walk', 1.7, start=(3., 2.5)),
        'stands behind': lambda: walker(seconds, 15., seed + 100, 'stand', 1.7, start=(2., 1.8)),
        'exercises behind': lambda: walker(seconds, 15., seed + 100, 'exercise', 1.8, start=(-2.6, 1.)),
        'passes by': lambda: walker(seconds, 15., seed + 100, 'walk', 1.7, path_m=[(-5, 2.), (5, 2.)]),
    }
    return main[:, None] if kind == 'alone' else np.stack([main, other[kind]()], 1)


def who_is_chosen(stream: list[MultiView], main: MainPerson) -> list[list[int | None]]:
    """Per instant and view: the true person that was chosen, None = nobody."""
    return [[int(v.person[i]) if i >= 0 else None for v, i in zip(f.views, main.update(f), strict=True)]
            for f in stream]


@pytest.mark.parametrize(('kind', 'due'), [('alone', 1.), ('walks behind', .95), ('stands behind', .95),
                                           ('exercises behind', .95), ('passes by', .95)])
def test_a_second_person_does_not_get_into_the_rig(kind: str, due: float) -> None:
    """Share of choices after 2 s that are the person in the middle, over 3 rooms of 4 cameras, with false people.

    Measured 1.000, 1.000, 0.976, 1.000, 1.000; and chosen in 90 % of the views that see it (measured 96 and more).
    """
    chosen: Counter[int | None] = Counter()
    seen = 0
    for seed in range(3):
        rig = ring_rig(4, seed, distance_m=(4, 6), room_radius_m=1.5)
        stream = frames_of(observe(room(kind, seed), rig, 15., seed, identities=True, ghosts=.03))
        for frame, who in zip(stream, who_is_chosen(stream, MainPerson()), strict=True):
            if frame.stamp > 2:
                chosen.update(who)
                seen += sum(0 in v.person for v in frame.views)
    right = chosen[0] / (chosen[0] + chosen[1] + chosen[-1])
    print(f'{kind}: {right:.4f} right, {chosen[0] / seen:.4f} of the views that see the person')
    assert right >= due and chosen[0] >= .9 * seen


def test_a_larger_person_who_stands_at_one_camera_is_not_taken_for_the_main_one() -> None:
    """2 m in front of camera 1 somebody stands, twice as large: at most 3 % wrong (measured 0)."""
    chosen: Counter[int | None] = Counter()
    for seed in range(4):
        rig = ring_rig(4, seed, distance_m=(4, 5))
        close = rig.centres[0] * (1 - 2. / np.linalg.norm(rig.centres[0][:2]))
        side = np.array([-close[1], close[0]]) / np.linalg.norm(close[:2])
        other = walker(8., 15., seed + 9, 'stand', start=tuple(close[:2] + .8 * side))
        joints = np.stack([walker(8., 15., seed, 'mixed'), other], 1)
        stream = frames_of(observe(joints, rig, 15., seed, identities=True))
        for frame, who in zip(stream, who_is_chosen(stream, MainPerson()), strict=True):
            if frame.stamp > 2:
                chosen.update(who)
    print(chosen)
    assert chosen[1] <= .03 * chosen[0]


def test_a_camera_that_cannot_see_the_main_person_does_not_offer_another() -> None:
    """Camera 1 loses the main person for 4 s while another walks there: at most 30 % wrong (measured 20)."""
    wrong = total = 0
    for seed in range(4):
        rig = ring_rig(4, seed, distance_m=(4, 6), room_radius_m=1.5)
        stream = []
        for f in frames_of(observe(room('walks behind', seed, 10.), rig, 15., seed, identities=True)):
            views = [replace(v, keypoints=v.keypoints[v.person != 0], confidence=v.confidence[v.person != 0],
                             person=v.person[v.person != 0])
                     if v.camera == 'cam1' and 4 < v.stamp < 8 else v for v in f.views]
            stream.append(replace(f, views=tuple(views)))
        for frame, who in zip(stream, who_is_chosen(stream, MainPerson()), strict=True):
            if 4 < frame.stamp < 8:
                wrong += sum(w == 1 for v, w in zip(frame.views, who, strict=True) if v.camera == 'cam1')
                total += 1
    print(f'{wrong} of {total}')
    assert wrong <= .3 * total


def test_other_combinations_can_be_tried() -> None:
    """Two equal people: the combinations offered hold one that is all of the first and one all of the second."""
    people = [walker(6., 15., 0, 'mixed', start=(-.9, 0)), walker(6., 15., 7, 'mixed', start=(.9, .5))]
    joints = np.stack(people, 1)
    rig = ring_rig(3, 4, distance_m=(4, 6), room_radius_m=1.5)
    main = MainPerson()
    owner: defaultdict[tuple[str, int], Counter[int]] = defaultdict(Counter)
    for f in frames_of(observe(joints, rig, 15., 4, identities=True)):
        main.update(f)
        for v, ids in zip(f.views, main.identities, strict=True):
            for identity, true in zip(ids, v.person, strict=True):
                owner[v.camera, int(identity)][int(true)] += 1
    offered = [{owner[item].most_common(1)[0][0] for item in c.items()} for c in main.combinations(4)]
    assert {0} in offered and {1} in offered
    choice = main.combinations(8)[-1]
    main.select(choice)
    assert main.chosen == choice
    best = main.candidates()[0]
    assert best.score > 0 and best.seen_s > 2 and 0 < best.confidence <= 1 and best.motion > 0


def test_an_empty_room_has_no_main_person() -> None:
    main = MainPerson()
    views = tuple(View2D(c, 0., np.zeros((0, 17, 2)), np.zeros((0, 17)), (10, 10)) for c in 'ab')
    assert main.update(MultiView(0., views)) == (-1, -1) and main.candidates() == [] and main.combinations() == []
    assert main.update(MultiView(1., ())) == ()


def test_the_choice_is_the_same_every_time() -> None:
    rig = ring_rig(4, 1, distance_m=(4, 6))
    stream = frames_of(observe(room('walks behind', 1, 4.), rig, 15., 1, identities=True))
    assert who_is_chosen(stream, MainPerson()) == who_is_chosen(stream, MainPerson())


def test_cameras_side_by_side_give_what_each_gives_alone() -> None:
    """Views of none to four people, some half seen: identities, joints and speeds to the last bit."""
    rig = ring_rig(3, 2)
    rng = np.random.default_rng(5)
    together, alone = ({c: CameraTracker() for c in rig.cameras} for _ in range(2))
    for frame in frames_of(observe(crowd(3., 15., 2), rig, 15., 3, ghosts=.1)):
        views = []
        for v in frame.views:
            some = np.flatnonzero(rng.random(len(v.keypoints)) < .8)
            views.append(replace(v, keypoints=v.keypoints[some], confidence=v.confidence[some],
                                 person=v.person[some] if v.camera == rig.cameras[0] else np.full(len(some), -1)))
        found = update_trackers([together[v.camera] for v in views], views)
        for v, ids in zip(views, found, strict=True):
            np.testing.assert_array_equal(ids, alone[v.camera].update(v))
            for a, b in zip(together[v.camera].tracks, alone[v.camera].tracks, strict=True):
                np.testing.assert_array_equal(a.keypoints, b.keypoints)
                np.testing.assert_array_equal(a.speed, b.speed)
                assert (a.identity, a.size, a.seen, a.hint) == (b.identity, b.size, b.seen, b.hint)
    assert max(len(t.tracks) for t in together.values()) >= 3
