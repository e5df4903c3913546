# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose demo --people N`: ways that cross, who is who, the figures, the picture. No topics here."""
from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from scipy.spatial.transform import Rotation

from selfpose_ros import cli
from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.demo.crossing import LOOKS, MOST_PEOPLE, crossing_walkers
from selfpose_ros.demo.crowd_picture import CrowdSheet, identity_colour
from selfpose_ros.demo.errors import DemoError
from selfpose_ros.demo.film import make_film
from selfpose_ros.demo.record import Instant, Record
from selfpose_ros.demo.show import Options, show
from selfpose_ros.demo.table import final_table, plain_line
from selfpose_ros.demo.who import crowd_numbers, crowd_verdict, who_is_who

TURN, SHIFT = Rotation.from_rotvec([0, 0, 2.]).as_matrix(), np.array([.7, -.4, 0.])


@pytest.fixture(scope='module')
def film():
    return make_film(cameras=3, seconds=6., seed=1, rate_hz=2., size=(96, 72), workers=0, people=2)


def _record(film, identity=lambda person, t: 5 - person, there=lambda person, t: True, error_m=.01) -> Record:
    """What an estimator with a world of its own publishes; the second person comes first and is three times as bad."""
    rng = np.random.default_rng(0)
    record = Record(start_s=0.)
    for t in np.arange(.5, film.duration_s, .2):
        joints = {p: film.people[p].at(t) @ TURN.T + SHIFT + rng.normal(0., error_m * (1 + 2 * p), (17, 3))
                  for p in (1, 0)}
        people = [Skeleton3D(identity(p, t), t, x, np.full(17, .02), np.ones(17), np.full(17, 3), 3)
                  for p, x in joints.items() if there(p, t)]
        record.instants.append(Instant(t, .1, tuple(people)))
    rig = film.rig
    record.rigs.append((.4, replace(rig, R=rig.R @ TURN.T, t=rig.t - rig.R @ TURN.T @ SHIFT)))
    return record


@pytest.mark.parametrize('people', [2, 3, 4])
def test_ways_cross_and_nobody_walks_through_another(people):
    at = np.stack(crossing_walkers(people, 20., 15., people), 1)[:, :, 0, :2]
    assert len(at) == 300 and len(LOOKS) == MOST_PEOPLE
    apart = np.linalg.norm(at[:, :, None] - at[:, None], axis=-1)
    for a in range(people):
        for b in range(a):
            assert apart[:, a, b].min() > .6
            # where one has been the other comes, too: the ways cross, at other times
            ways = np.linalg.norm(at[:, None, a] - at[None, :, b], axis=-1)
            assert ways.min() < .1


def test_all_of_them_are_in_the_pictures(film):
    assert len(film.people) == 2
    # one's shirt is blue, the other's red: neither is a colour of the room
    seen = []
    for i in range(len(film.jpeg)):
        image = film.image(i).astype(int)
        seen.append([(image[..., c] - np.delete(image, c, -1).max(-1) > 40).any() for c in (0, 2)])
    assert np.mean(np.all(seen, 1)) > .7 and np.mean(np.any(seen, 1)) > .95


@pytest.mark.parametrize('people', [0, 5])
def test_more_people_than_there_are_clothes_are_refused(people, capsys, tmp_path):
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    with pytest.raises(DemoError, match='use 1 to 4'):
        make_film(2, 1., 0, 5., workers=0, people=people)
    assert cli.main(['demo', '-o', str(tmp_path), '--people', str(people)]) == 2
    assert 'a whole number from 1 to 4' in capsys.readouterr().err


def test_more_people_leave_time_for_fewer_images(tmp_path):
    rates = [Options(tmp_path, people=n).camera_rate_hz for n in (1, 2, 3, 4)]
    assert rates == sorted(rates, reverse=True) and rates[0] == 18. and rates[1] == 9.


def test_people_are_told_apart_by_where_they_are(film):
    who = who_is_who(_record(film), film, 0., film.duration_s)
    assert {(m.person, m.skeleton.person) for m in who.matches} == {(0, 5), (1, 4)}
    assert len(who.matches) == 2 * len(who.instants)
    for m in who.matches:
        np.testing.assert_allclose(m.true, film.people[m.person].at(m.instant.time_s), atol=1e-9)


def test_figures_of_a_good_run(film):
    judged = crowd_verdict(_record(film), film)
    crowd = judged.crowd
    assert judged.ok and judged.numbers.people == 2 and judged.numbers.level == 3
    assert crowd.recall == crowd.precision == 100 and crowd.switches == 0 and crowd.identities == 2
    assert len(crowd.pa_mm) == 2 and 8 < crowd.pa_mm[0] < 20 < crowd.pa_mm[1] < 60
    assert 15 < judged.numbers.world_mm < 50 and judged.numbers.rotation_deg < .01


def test_an_exchange_of_identities_is_counted_and_no_reason_to_fail(film):
    judged = crowd_verdict(_record(film, lambda p, t: 1 + (p + (t > 4.)) % 2), film)
    assert judged.ok and judged.crowd.switches == 2 and judged.crowd.identities == 2


def test_two_with_one_identity_are_found_both_and_counted_as_one_identity(film):
    crowd = crowd_verdict(_record(film, lambda p, t: 1), film).crowd
    assert crowd.recall == crowd.precision == 100 and crowd.identities == 1
    assert crowd.pa_mm[0] < 20 < crowd.pa_mm[1] < 60


def test_somebody_who_is_not_found_is_missed(film):
    judged = crowd_verdict(_record(film, there=lambda p, t: p == 0 or t < 2.), film)
    assert not judged.ok and 'people were found' in judged.reason
    assert 40 < judged.crowd.recall < 70 and judged.crowd.precision == 100
    assert np.isfinite(judged.crowd.pa_mm[0]) and np.isnan(judged.crowd.pa_mm[1])
    assert json.loads(json.dumps(judged.to_dict(), allow_nan=False))['pa_mm_of_each'][1] is None


def test_messages_that_stop_are_people_that_are_missed(film):
    record = _record(film)
    record.instants = [i for i in record.instants if i.time_s < 4.]
    assert crowd_verdict(record, film).crowd.recall < 80


@pytest.mark.parametrize('instants', [0, 1])
def test_a_run_with_next_to_nothing_in_it_has_figures_and_a_picture(film, instants):
    record = _record(film)
    record.instants = record.instants[:instants]
    judged = crowd_verdict(record, film)
    assert not judged.ok and judged.crowd.recall == 0
    json.dumps(judged.to_dict(), allow_nan=False)
    sheet = CrowdSheet(film, record)
    assert sheet.at(sheet.best_moment()).shape == (900, 1600, 3)


def test_a_few_instants_are_enough_for_the_live_table(film):
    """4 s at 1.7 Hz, which is what a machine does that has no time."""
    record = _record(film)
    record.instants = record.instants[::3]
    numbers, crowd = crowd_numbers(record, film, 1.6, 5.6)
    assert len(record.between(1.6, 5.6)) < 8 and crowd.recall > 95 and numbers.pa_mm < 50
    # skeletons that are nobody have a level all the same
    record.instants = [replace(i, people=tuple(replace(s, joints=s.joints * np.nan) for s in i.people))
                       for i in record.instants]
    numbers, crowd = crowd_numbers(record, film, 1.6, 5.6)
    assert numbers.level == 3 and numbers.people == 2 and crowd.recall == 0


def test_the_table_names_each_true_person(film):
    judged = crowd_verdict(_record(film), film)
    out = io.StringIO()
    Console(file=out, width=120).print(final_table(judged.numbers, judged.judged_s, judged.crowd))
    table = out.getvalue()
    assert '100 % of them' in table and '2 for 2 people, 0 switches' in table
    assert f'A {judged.crowd.pa_mm[0]:.0f} mm, B {judged.crowd.pa_mm[1]:.0f} mm' in table
    assert 'found 100 %  identities 2  switches 0' in plain_line(3., judged.numbers, judged.crowd)
    assert 'found' not in plain_line(3., judged.numbers)


def test_the_sheet_has_a_colour_for_each_identity_and_keeps_it(film):
    """An exchange in the middle: in the chart both go on, of somebody who is never there nothing is drawn."""
    chart = slice(796, 900), slice(122, 1580)

    def columns(record: Record, identity: int) -> set[int]:
        """Where in time dots of an identity are, in tenths of the run."""
        image = CrowdSheet(film, record).at(0., whole_chart=True)[chart].astype(int)
        x = np.flatnonzero((np.abs(image - identity_colour(identity)).max(-1) < 3).any(0))
        return set((10 * x // image.shape[1]).tolist())
    record = _record(film, lambda p, t: 1 + p if t < 2.6 else 2 + p)
    assert max(columns(record, 1)) <= 4 and min(columns(record, 3)) >= 4 and columns(record, 4) == set()
    assert columns(record, 2) >= {2, 3, 4, 5, 6, 7, 8}
    sheet = CrowdSheet(film, record)
    scene = sheet.at(sheet.best_moment())[58:786, 990:1590].astype(int)
    drawn = [(np.abs(scene - .72 * np.array(identity_colour(i))).max(-1) < 3).sum() for i in (1, 2, 3)]
    assert drawn[0] < 20 and min(drawn[1:]) > 100, drawn


def test_names_of_two_heads_in_one_place_are_both_to_be_read():
    from selfpose_ros.demo.crowd_picture import _names
    apart, near = np.zeros((2, 120, 200, 3), np.uint8)
    _names(apart, {0: np.array([50., 60.]), 1: np.array([150., 60.])}, {0: 1, 1: 2})
    _names(near, {0: np.array([50., 60.]), 1: np.array([52., 58.])}, {0: 1, 1: 2})
    for identity in (1, 2):
        inks = [(np.abs(image.astype(int) - identity_colour(identity)).max(-1) < 60).sum() for image in (apart, near)]
        assert min(inks) > .8 * max(inks) > 5, inks


def test_a_network_that_finds_one_person_is_refused(tmp_path):
    with pytest.raises(DemoError, match='mediapipe finds one person'):
        show(Options(tmp_path, model='mediapipe', people=2), io.StringIO())
