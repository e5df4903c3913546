# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Joint names in every spelling, joints that are missing, and left that must stay left."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.core.errors import SkeletonError
from selfpose_ros.core.skeleton import (
    BONES,
    COCO17,
    JOINT_SETS,
    JOINTS,
    MEDIAPIPE33,
    MIRROR,
    PARENTS,
    SWAP_GROUPS,
    USUAL_SETS,
    joint_map,
    named_joints,
    set_name,
)

LIMB = [JOINTS.index(f'{s}_{n}') for s in 'lr' for n in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')]


def body(names: tuple[str, ...]) -> np.ndarray:
    """(J, 2) px: somebody upright who faces the camera, so that the person's left is at larger u."""
    heights = {
        'ankle': 900, 'heel': 910, 'toe': 930, 'foot': 930, 'knee': 700, 'hip': 500, 'pelvis': 500, 'spine': 375,
        'wrist': 520, 'pinky': 540, 'index': 545, 'thumb': 535, 'elbow': 400, 'shoulder': 250, 'thorax': 250,
        'nose': 170, 'neck': 240, 'mouth': 190, 'eye': 150, 'ear': 155, 'head': 60, 'face': 160, 'hand': 540,
        'chest': 320}
    out = np.zeros((len(names), 2))
    for i, name in enumerate(names):
        left, right = name.startswith(('l_', 'left')), name.startswith(('r_', 'right'))
        if name.startswith('mouth'):
            left, right = name.endswith('left'), name.endswith('right')
        width = 60 if 'hip' in name else 30 if any(k in name for k in ('eye', 'ear', 'mouth')) else 100
        out[i] = 500 + width * (left - right), next(v for k, v in heights.items() if k in name)
    return out


def test_tables_fit_each_other() -> None:
    assert len(JOINTS) == 17 == len(set(JOINTS)) and len(BONES) == 16
    assert all(MIRROR[MIRROR[j]] == j for j in range(17))
    for j, name in enumerate(JOINTS):
        other = {'l_': 'r_', 'r_': 'l_'}.get(name[:2])
        assert JOINTS[MIRROR[j]] == (other + name[2:] if other else name)
        assert PARENTS[j] < j and (PARENTS[j] < 0 or PARENTS[MIRROR[j]] == MIRROR[PARENTS[j]])
    for group in SWAP_GROUPS.values():
        assert sorted(MIRROR[j] for j in group) == sorted(group)


@pytest.mark.parametrize('name', sorted(JOINT_SETS))
def test_known_joint_sets_give_a_body_with_left_on_the_left(name: str) -> None:
    names = JOINT_SETS[name]
    joints, conf = joint_map(names).apply(body(names), np.full(len(names), .8))
    assert joints.shape == (17, 2) and conf.shape == (17,) and np.isfinite(joints).all() and (conf > 0).all()
    at = {n: joints[i] for i, n in enumerate(JOINTS)}
    for limb in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist'):
        assert at[f'l_{limb}'][0] > 500 > at[f'r_{limb}'][0]
    assert np.allclose(conf[LIMB], .8)
    for joint, height, tolerance in (('pelvis', 500, 1), ('thorax', 250, 11), ('spine', 375, 1), ('head', 60, 60),
                                     ('neck_nose', 200, 60)):
        assert at[joint][0] == pytest.approx(500) and at[joint][1] == pytest.approx(height, abs=tolerance), joint
    assert at['head'][1] < at['neck_nose'][1] <= at['thorax'][1] < at['spine'][1] < at['pelvis'][1]


@pytest.mark.parametrize(('name', 'like'), [
    ('wholebody133', 'coco17'), ('halpe136', 'halpe26'), ('body135', 'body25b'), ('wholebody134', 'coco18')])
def test_bodies_of_whole_body_sets_come_first(name: str, like: str) -> None:
    whole, body_only = JOINT_SETS[name], JOINT_SETS[like]
    assert whole[:len(body_only)] == body_only and len(set(whole)) == len(whole) == int(name[-3:])
    px, conf = np.random.default_rng(1).uniform(0, 900, (4, len(whole), 2)), np.full((4, len(whole)), .7)
    a = joint_map(whole).apply(px, conf)
    b = joint_map(body_only).apply(px[:, :len(body_only)], conf[:, :len(body_only)])
    assert np.allclose(a[0], b[0]) and np.allclose(a[1], b[1])


def test_face_and_hand_joints_lie_where_their_sets_have_them() -> None:
    """Ranges as the sets' authors publish them, counted from 0."""
    def span(name: str, part: str) -> tuple[int, int]:
        found = [i for i, n in enumerate(JOINT_SETS[name]) if n.startswith(part)]
        assert found == list(range(found[0], found[-1] + 1))
        return found[0], found[-1]
    assert JOINT_SETS['wholebody133'][17:23] == (
        'left_big_toe', 'left_small_toe', 'left_heel', 'right_big_toe', 'right_small_toe', 'right_heel')
    assert [span('wholebody133', p) for p in ('face', 'left_hand', 'right_hand')] == [(23, 90), (91, 111), (112, 132)]
    assert [span('halpe136', p) for p in ('face', 'left_hand', 'right_hand')] == [(26, 93), (94, 114), (115, 135)]
    assert [span('body135', p) for p in ('left_hand', 'right_hand', 'face')] == [(25, 44), (45, 64), (65, 134)]


def test_a_number_of_joints_means_one_set() -> None:
    assert all(len(JOINT_SETS[name]) == count for count, name in USUAL_SETS.items())


@pytest.mark.parametrize(('text', 'name'), [
    ('coco18', 'coco18'), ('COCO-18', 'coco18'), ('BODY_25B', 'body25b'), ('Halpe 26', 'halpe26'),
    ('coco_wholebody_133', 'wholebody133'), ('COCO-WholeBody133', 'wholebody133'), ('BODY_135', 'body135')])
def test_sets_are_named_in_any_spelling(text: str, name: str) -> None:
    assert set_name(text) == name and named_joints(text) == named_joints([text]) == JOINT_SETS[name]


def test_sets_that_there_are_not() -> None:
    with pytest.raises(SkeletonError, match="'body99' is not known; choose one of: body25, body25b, body135, "):
        named_joints('body99')
    assert named_joints(COCO17) == COCO17


def test_joints_that_are_not_needed_may_share_a_name() -> None:
    names = (*COCO17, *['face'] * 68, '', '')
    assert np.flatnonzero(joint_map(names).needs.any(0)).max() < 17


@pytest.mark.parametrize('name', ['body25', 'halpe26', 'body135', 'coco18'])
def test_names_as_openpose_and_halpe_spell_them(name: str) -> None:
    spelt = [n.replace('left_', 'L ').replace('right_', 'R ').title().replace(' ', '').replace('_', '')
             for n in JOINT_SETS[name]]
    assert 'LShoulder' in spelt
    assert np.array_equal(joint_map(spelt).weights, joint_map(JOINT_SETS[name]).weights)


def test_own_joints_go_through_unchanged() -> None:
    rng = np.random.default_rng(0)
    px, conf = rng.uniform(0, 100, (5, 3, 17, 2)), rng.uniform(.1, 1, (5, 3, 17))
    mapped = joint_map(JOINTS)
    out, c = mapped.apply(px, conf)
    assert np.array_equal(out, px) and np.array_equal(c, conf) and not mapped.approximate.any()


SIDE = {'l': 'left', 'r': 'right'}


@pytest.mark.parametrize('spelling', [
    lambda s, n: f'{s}_{n}', lambda s, n: f'{SIDE[s].title()}{n.title()}', lambda s, n: f'{SIDE[s]} {n}',
    lambda s, n: f'{s.upper()}{n.title()}', lambda s, n: f'{SIDE[s]}_{n}'.upper(), lambda s, n: f'{n}_{SIDE[s]}',
    lambda s, n: f'{s}{n}', lambda s, n: f'{SIDE[s]}{n}', lambda s, n: f'{s.upper()}.{n.title()}',
    lambda s, n: f'{SIDE[s]}-{n}', lambda s, n: f'{n.title()}/{SIDE[s].title()}'])
def test_sides_are_understood_in_any_spelling(spelling: object) -> None:
    order = [(s, n) for n in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist') for s in 'rl']
    names = [spelling(s, n) for s, n in order]             # type: ignore[operator]
    weights = joint_map(names).weights
    for i, (s, n) in enumerate(order):
        assert np.flatnonzero(weights[JOINTS.index(f'{s}_{n}')]).tolist() == [i], names[i]


def test_order_of_the_source_does_not_matter() -> None:
    order = np.random.default_rng(2).permutation(len(COCO17))
    px, conf = body(COCO17), np.linspace(.3, .9, 17)
    a = joint_map(COCO17).apply(px, conf)
    b = joint_map([COCO17[i] for i in order]).apply(px[order], conf[order])
    assert np.allclose(a[0], b[0]) and np.allclose(a[1], b[1])


@pytest.mark.parametrize(('lost', 'gone'), [
    ('left_wrist', {'l_wrist'}), ('left_hip', {'l_hip', 'pelvis', 'spine'}),
    ('right_shoulder', {'r_shoulder', 'thorax', 'spine'}), ('nose', {'neck_nose'})])
@pytest.mark.parametrize('how', ['nan', 'no confidence', 'nan confidence'])
def test_what_rests_on_an_unseen_joint_is_unseen(lost: str, gone: set[str], how: str) -> None:
    px, conf = body(COCO17), np.full(17, .8)
    i = COCO17.index(lost)
    if how == 'nan':
        px[i] = np.nan
    else:
        conf[i] = 0. if how == 'no confidence' else np.nan
    joints, c = joint_map(COCO17).apply(px, conf)
    unseen = {JOINTS[j] for j in np.flatnonzero(c == 0)}
    assert unseen - {'head'} == gone and np.isnan(joints[c == 0]).all() and np.isfinite(joints[c > 0]).all()


def test_a_joint_made_of_several_is_as_sure_as_the_least_sure() -> None:
    conf = np.full(17, .9)
    conf[COCO17.index('left_hip')] = .2
    assert joint_map(COCO17).apply(body(COCO17), conf)[1][0] == pytest.approx(.2)


def test_the_nose_stands_in_for_a_head_with_hidden_ears_unless_it_is_less_sure() -> None:
    mapped, px = joint_map(COCO17), body(COCO17)
    ears, nose = [COCO17.index(n) for n in ('left_ear', 'right_ear')], COCO17.index('nose')
    conf = np.full(17, .8)
    conf[ears[0]] = 0.
    joints, c = mapped.apply(px, conf)
    assert np.allclose(joints[10], px[nose]) and c[10] == pytest.approx(.4)
    conf[ears[0]], conf[nose] = .2, .05
    joints, c = mapped.apply(px, conf)
    assert joints[10, 1] < 110 and c[10] == pytest.approx(.2 * .8)
    px[nose] = np.nan
    conf[ears[0]] = 0.
    joints, c = mapped.apply(px, conf)
    assert np.isnan(joints[10]).all() and c[10] == 0


def test_what_is_built_is_marked_as_approximate() -> None:
    approximate = {JOINTS[j] for j in np.flatnonzero(joint_map(MEDIAPIPE33).approximate)}
    assert approximate == {'spine', 'neck_nose', 'head'}


def test_confidences_are_kept_within_0_and_1() -> None:
    _, conf = joint_map(JOINTS).apply(np.ones((17, 2)), np.linspace(-1, 3, 17))
    assert conf.min() == 0 and conf.max() == 1


@pytest.mark.parametrize(('names', 'message'), [
    (JOINTS[:16], r'r_wrist missing among 16 names \(pelvis, r_hip'),
    ((), 'l_hip, r_hip, l_knee'), (('nose',) + JOINTS + ('Nose',), 'nose given twice'),
    (JOINTS + ('LeftHip',), 'l_hip given twice')])
def test_joint_names_that_make_no_body_are_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(SkeletonError, match=message):
        joint_map(names)


def test_arrays_that_do_not_fit_the_names_are_refused() -> None:
    with pytest.raises(SkeletonError, match=r'expected \(..., 17, 2\) and \(..., 17\) for the 17 names'):
        joint_map(COCO17).apply(np.zeros((3, 18, 2)), np.zeros((3, 18)))
