# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The states of a rig: the documented ones, with the documented transitions, and what happens in between."""
from __future__ import annotations

import re
import string
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oracle import Oracle
from scenes import run, scene, views_changed

from selfpose_ros.core.estimator import Estimator, EstimatorConfig
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.rig.everybody import solve_views
from selfpose_ros.core.rig.solver import Solution, SolverConfig
from selfpose_ros.core.rig_state import TRANSITIONS, Explanation, Reason, RigState
from selfpose_ros.core.rig_tracker import RigTracker
from selfpose_ros.core.solving import RigWorker

PAGE = (Path(__file__).parents[2] / 'docs' / 'architecture.md').read_text()

#: what the braces of the reasons stand for, by way of example
FIGURES = {'reason': 'r', 'rows': 7, 'needed': 20, 'joined': 50., 'degrees': 4.73, 'ms': 28.8,
           'cameras': 'cam1, cam2', 'sigmas': 2.22, 'camera': 'cam1', 'before': '640 x 480', 'now': '640 x 360'}


def test_the_page_draws_the_states_and_transitions_that_there_are() -> None:
    drawn = set(re.findall(r'^ +([A-Z_]+) --> ([A-Z_]+)', PAGE, re.MULTILINE))
    assert drawn == {(a.name, b.name) for a, to in TRANSITIONS.items() for b in to}
    assert set(TRANSITIONS) == set(RigState)


def test_the_page_lists_the_reasons_that_there_are() -> None:
    listed = dict(re.findall(r'^\| `([A-Z_]+)` \| (.*?) \|', PAGE, re.MULTILINE))
    assert listed == {r.name: re.sub(r'\{(\w+)[^}]*\}', r'<\1>', r.value) for r in Reason if r is not Reason.NONE}


@pytest.mark.parametrize('reason', Reason)
def test_every_reason_is_one_sentence_whose_figures_are_known(reason: Reason) -> None:
    names = {n for _, n, _, _ in string.Formatter().parse(reason.value) if n}
    text = Explanation(reason, {n: FIGURES[n] for n in names}).text
    assert '{' not in text and '\n' not in text and not text.endswith('.')
    assert Explanation(Reason.UNCERTAIN, {'degrees': 4.73}).text.startswith('the rotation of a camera is still '
                                                                           'uncertain by 4.7 degrees')


def test_a_transition_that_is_not_drawn_is_a_defect() -> None:
    tracker = RigTracker(Estimator().config)
    with pytest.raises(AssertionError, match='EMPTY does not lead to .*PLACING'):
        tracker._go(RigState.PLACING, None)


def test_a_rig_goes_from_nothing_over_a_guess_to_one_that_is_published() -> None:
    s = scene(3, 4., 15., 1)
    states = [status.rig_state for status in run(s.frames).status]
    order = [a for a, b in zip(states, [None, *states], strict=False) if a is not b]
    assert order == [RigState.EMPTY, RigState.PROVISIONAL, RigState.TRUSTED]


def test_a_saved_rig_is_checked_and_a_solve_of_before_does_not_end_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solve of two cameras runs when the third one, and so the saved rig, comes: it took the saved rig's place and
    nothing was ever solved again.
    """
    monkeypatch.setattr(RigWorker, 'delay_s', staticmethod(lambda *given: 1.))
    s = scene(3, 4., 15., 1)
    e = Estimator(EstimatorConfig(solve_first_s=1.), rig=s.rig)
    r = run(views_changed(s.frames, lambda v: v if v.camera != 'cam3' or v.stamp > 1.2 else None), estimator=e)
    states = [status.rig_state for status in r.status]
    assert states.count(RigState.CHECKING_SAVED) > 15 and states[-1] is RigState.TRUSTED
    assert r.rig is not None and r.rig.cameras == s.rig.cameras and e.model is not None and e.model.solution is None


def test_another_part_of_the_picture_begins_again_where_poses_are_lifted_too() -> None:
    """The first idea after it comes with the same instant (KeyError before)."""
    s = scene(3, 5., 15., 1)

    def cut(v: View2D) -> View2D:
        return replace(v, image_size=(1000, 500)) if v.camera == 'cam3' and v.stamp > 4. else v
    r = run(views_changed(s.frames, cut), estimator=Estimator(lifter=Oracle(s.joints, s.rig)))
    at = next(i for i, status in enumerate(r.status) if s.frames[i].stamp > 4.)
    assert r.status[at - 1].rig_state is RigState.TRUSTED and r.status[at].rig_state is RigState.LIFTED
    assert r.status[at].rig_cause is Reason.OTHER_PICTURE and 'cam3' in r.status[at].rig_reason
    assert r.people[at] and r.level()[at] < 3


@pytest.mark.parametrize('before', [('cam1',), ('cam1', 'cam2')])
def test_a_saved_rig_whose_cameras_come_one_after_the_other_is_taken_up(before: tuple[str, ...]) -> None:
    """Somebody is shown by the first of them already, of poses that were lifted or by a rig of theirs that is still
    uncertain: it is the same person in the saved world (before: IndexError, and the saved rig was never used).
    """
    s = scene(4, 3., 15., 1)
    e = Estimator(rig=s.rig, lifter=Oracle(s.joints, s.rig))
    r = run(views_changed(s.frames, lambda v: v if v.camera in before or v.stamp > .6 else None), estimator=e)
    at = next(i for i, f in enumerate(s.frames) if f.stamp > .6)
    assert r.people[at - 1] and r.status[at].rig_state is RigState.CHECKING_SAVED
    assert r.status[-1].rig_state is RigState.TRUSTED and r.rig is not None and r.rig.cameras == s.rig.cameras
    assert {p.person for people in r.people for p in people} == {1} and all(r.people[at:])
    off = np.linalg.norm(r.joints()[at:] - s.first[at:], axis=-1)
    assert np.nanmedian(off, axis=1).max() < .1


def test_one_second_of_one_person_is_not_published_however_small_its_predicted_error() -> None:
    """Many poses of one second are alike, and so are their errors: less is asked for the longer it was watched."""
    s = scene(3, 5., 15., 1)
    r = run(s.frames)
    first = next(n for n, rig in enumerate(r.rigs) if rig is not None)
    span = s.frames[first].stamp - s.frames[0].stamp
    assert span > 1.2
    rig = r.rigs[first]
    assert rig is not None and rig.rotation_sigma_deg.max() < 3.5 * min(span, 4.) / 4.


def test_a_rig_that_explains_less_and_is_no_surer_does_not_take_the_place_of_one_that_is_trusted() -> None:
    """Two who pass in a door are one body at times: the solve of then is off, and predicted to be as good."""
    s = scene(3, 5., 15., 1)
    e = Estimator()
    for f in s.frames:
        e.update(f)
    tracker, history, model = e._rig, e._history, e.model
    assert tracker.state is RigState.TRUSTED and model is not None
    found = solve_views(history.tracks(), SolverConfig())
    assert isinstance(found, Solution)
    tracker._several = True
    everybody = replace(found.tracks, person=np.zeros(found.frames, np.int64))
    model = replace(model, solution=replace(found, tracks=everybody, support=.8))
    same = replace(found, rotation_sigma_deg=model.rotation_sigma_deg.copy())
    assert tracker._keeps(model, replace(same, support=.64), 3, history)
    assert not tracker._keeps(model, replace(same, support=.75), 3, history)
    surer = replace(same, support=.64, rotation_sigma_deg=.5 * model.rotation_sigma_deg)
    assert not tracker._keeps(model, surer, 3, history)
    e.close()


def test_a_first_rig_that_was_found_with_late_clocks_is_not_trusted_and_the_next_one_comes_soon() -> None:
    """It bent to them; where there is a rig already, better clocks are no reason to give it up."""
    s = scene(3, 4., 15., 1)
    e = Estimator()
    for f in s.frames:
        e.update(f)
    tracker, history, now = e._rig, e._history, s.frames[-1].stamp
    found = solve_views(history.tracks(), SolverConfig())
    assert isinstance(found, Solution)
    for late, state in ((.004, RigState.TRUSTED), (.02, RigState.PROVISIONAL)):
        fresh = RigTracker(e.config)
        fresh._pace.began(now, history.seen)
        fresh._adopt(replace(found, clocks_moved_s=late), history, now)
        assert fresh.state is state
        assert fresh.why.text == {RigState.TRUSTED: '', RigState.PROVISIONAL: (
            'the clocks of the cameras were put right by up to 20 ms: the rig is found again with them')}[state]
        more = history.seen + history.seen // 10
        assert not fresh._pace.due(now, history.seen + 1) and fresh._pace.due(now, more + 1)
    tracker._adopt(replace(found, clocks_moved_s=.02, rotation_sigma_deg=.9 * found.rotation_sigma_deg), history, now)
    assert tracker.state is RigState.TRUSTED
    e.close()
