# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The check before any solver: each rule on what it is for and on what is right, and nothing on clean recordings."""
from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scenes import scene, views_changed

from selfpose_ros.core.check import Finding, Kind, PictureCheck, Verdict, ViewCheck, check_views, clock_findings
from selfpose_ros.core.observation import MultiView

SCENE = scene(4, 5., 12.)
FRAMES = SCENE.frames


def kinds(frames):
    return [f.kind for f in check_views(frames)]


def only(frames) -> Finding:
    (found,) = check_views(frames)
    return found


def changed(change, cameras=('cam1', 'cam2', 'cam3', 'cam4')):
    """The clean scene with the views of some cameras changed; None = the view is left out."""
    return views_changed(FRAMES, lambda v: change(v) if v.camera in cameras else v)


def moved(seconds, cameras, scale=1.):
    """Stamps of some cameras changed; who is near in time is an instant again."""
    views = sorted((replace(v, stamp=scale * v.stamp + seconds) if v.camera in cameras else v
                    for f in FRAMES for v in f.views), key=lambda v: v.stamp)
    rows: list[list] = []
    for v in views:
        if rows and v.stamp - rows[-1][0].stamp < .03:
            rows[-1].append(v)
        else:
            rows.append([v])
    return [MultiView(float(np.median([v.stamp for v in r])), r) for r in rows]


@pytest.mark.parametrize('cameras', [1, 2, 4, 8])
@pytest.mark.parametrize('seed', [1, 2, 3])
def test_clean_scenes_give_no_finding(cameras, seed):
    frames = scene(cameras, 4., 12., seed).frames
    assert check_views(frames) == []
    check = ViewCheck(window=20)                            # and forgetting makes none
    for f in frames:
        check.add(f)
        assert check.findings() == []


@pytest.mark.parametrize('scale, offset', [((1., 1.), 0.), ((2., 2.), -1.)])
def test_normalised_keypoints_are_no_pixels(scale, offset):
    found = only(changed(lambda v: replace(v, keypoints=v.keypoints / v.image_size * scale + offset)))
    assert found.kind is Kind.NOT_PIXELS and found.verdict is Verdict.REFUSE
    assert found.cameras == ('cam1', 'cam2', 'cam3', 'cam4') and 'not in pixels' in found.text
    assert only(changed(lambda v: replace(v, keypoints=v.keypoints / v.image_size), ['cam2'])).cameras == ('cam2',)


def test_people_outside_of_the_image_that_is_named():
    half = changed(lambda v: replace(v, image_size=(v.image_size[0] // 2, v.image_size[1] // 2)))
    found = only(half)
    assert found.kind is Kind.WRONG_SIZE and found.verdict is Verdict.REFUSE
    w, h = FRAMES[0].views[0].image_size
    assert '% of cam1' in found.text and f'outside of {w // 2}x{h // 2} px' in found.text
    assert 'give the size of the images' in found.text


def test_width_and_height_exchanged():
    w, h = 1920, 1080
    reach = {c: max(np.nanmax(v.keypoints[..., 0]) for f in FRAMES for v in f.views if v.camera == c and
                    len(v.keypoints)) for c in ('cam1', 'cam2', 'cam3', 'cam4')}
    right = changed(lambda v: replace(v, keypoints=v.keypoints + (.9 * w - reach[v.camera], 0), image_size=(w, h)))
    assert kinds(right) == []
    found = only(views_changed(right, lambda v: replace(v, image_size=(h, w))))
    assert found.kind is Kind.WRONG_SIZE and f'inside of {w}x{h}: width and height exchanged' in found.text


def test_legs_that_a_network_draws_below_the_border_are_no_wrong_size():
    """Unsure joints outside of the image belong to people who are in it."""
    def sit(v):
        kp, conf = v.keypoints.copy(), v.confidence.copy()
        legs = [1, 2, 3, 4, 5, 6]
        kp[:, legs, 1] += v.image_size[1]
        conf[:, legs] = np.minimum(conf[:, legs], .3)
        return replace(v, keypoints=kp, confidence=conf)
    assert kinds(changed(sit)) == []


def test_an_image_size_that_is_too_large():
    found = only(changed(lambda v: replace(v, image_size=(2 * v.image_size[0], 2 * v.image_size[1]))))
    assert found.kind is Kind.CORNER and found.verdict is Verdict.EXPLAIN
    # one camera whose person keeps to a corner is nothing special
    assert kinds(changed(lambda v: replace(v, image_size=(2 * v.image_size[0], 2 * v.image_size[1])), ['cam1'])) == []


@pytest.mark.parametrize('off', [-1.7e9, -3600., 400.])
def test_stamps_that_have_nothing_in_common(off):
    found = only(moved(off, ['cam3']))
    assert found.kind is Kind.NOTHING_IN_COMMON and found.verdict is Verdict.LEAVE_OUT and found.cameras == ('cam3',)
    assert 'have no instant in common with those of cam1, cam2, cam4 (0.0 to 4.9 s)' in found.text
    assert f'({off:.1f} to {off + 59 / 12:.1f} s)' in found.text


def test_two_pairs_of_cameras_and_two_cameras_alone():
    (a, b) = check_views(moved(100., ['cam2', 'cam4']))
    assert {a.kind, b.kind} == {Kind.NOTHING_IN_COMMON} and len({*a.cameras, *b.cameras}) == 2
    two = [MultiView(f.stamp, [v for v in f.views if v.camera in ('cam1', 'cam3')]) for f in moved(100., ['cam3'])
           if any(v.camera in ('cam1', 'cam3') for v in f.views)]
    assert only(two).kind is Kind.NOTHING_IN_COMMON


def test_a_camera_that_joins_late_has_enough_in_common():
    late = FRAMES[len(FRAMES) // 2].stamp
    assert kinds([MultiView(f.stamp, [v for v in f.views if v.camera != 'cam2' or v.stamp > late])
                  for f in FRAMES]) == []


@pytest.mark.parametrize('cameras', [2, 3, 4])
@pytest.mark.parametrize('off', [-3600., 2.])
def test_rows_whose_stamps_are_of_two_clocks(cameras, off):
    names = [f'cam{i + 1}' for i in range(cameras)]
    frames = [MultiView(f.stamp, [replace(v, stamp=v.stamp + off * (v.camera == 'cam2')) for v in f.views
                                  if v.camera in names]) for f in FRAMES]
    found = only(frames)
    assert found.kind is Kind.OTHER_CLOCK
    if cameras > 2:                                         # of two nobody can tell which is wrong
        assert found.cameras == ('cam2',) and f'{abs(off):.1f} s {"ahead of" if off > 0 else "behind"}' in found.text
    half = views_changed(FRAMES, lambda v: replace(v, stamp=v.stamp + .04 * (v.camera == 'cam2')))
    assert kinds(half) == []                                # shutters run free


@pytest.mark.parametrize('unit, name', [(1e3, 'milliseconds'), (1e6, 'microseconds'), (1e9, 'nanoseconds')])
def test_stamps_in_another_unit(unit, name):
    frames = [MultiView(f.stamp * unit, [replace(v, stamp=v.stamp * unit) for v in f.views]) for f in FRAMES]
    found = only(frames)
    assert found.kind is Kind.TIME_UNIT and found.cameras == ('cam1', 'cam2', 'cam3', 'cam4')
    assert f'in {name} these would be 12 images a second' in found.text and 'stamps are in seconds' in found.text


def test_frame_numbers_for_stamps_and_steps_that_no_camera_makes():
    numbers = [MultiView(float(i), [replace(v, stamp=float(i)) for v in f.views]) for i, f in enumerate(FRAMES)]
    assert only(numbers).kind is Kind.FRAME_NUMBERS
    fast = [MultiView(f.stamp / 1e6, [replace(v, stamp=v.stamp / 1e6) for v in f.views]) for f in FRAMES]
    assert only(fast).kind is Kind.TOO_FAST
    slow = [MultiView(f.stamp * 15, [replace(v, stamp=v.stamp * 15) for v in f.views]) for f in FRAMES]
    assert kinds(slow) == []                                # 0.8 Hz is slow, but seconds


@pytest.mark.parametrize('size', [1, 2])
def test_a_camera_given_twice(size):
    """Also when the second is of another size."""
    def double(f):
        one = next(v for v in f.views if v.camera == 'cam1')
        again = replace(one, camera='cam9', keypoints=one.keypoints * size,
                        image_size=(size * one.image_size[0], size * one.image_size[1]))
        return MultiView(f.stamp, [*f.views, again])
    found = only([double(f) for f in FRAMES])
    assert found.kind is Kind.GIVEN_TWICE and found.cameras == ('cam9',) and found.figures['others'] == ('cam1',)
    assert found.verdict is Verdict.LEAVE_OUT and 'one camera given twice' in found.text


def test_two_cameras_side_by_side_are_two():
    """3 cm apart, without any noise."""
    R = SCENE.rig
    close = replace(R, t=np.where(np.arange(4)[:, None] == 1, R.t[0] - R.R[0] @ np.array([.03, 0, 0]), R.t),
                    R=np.where(np.arange(4)[:, None, None] == 1, R.R[0], R.R), K=np.where(
                        np.arange(4)[:, None, None] == 1, R.K[0], R.K))
    assert kinds(scene(rig=close, joints=SCENE.joints, fps=12., noise_px=0., outliers=0., swap=0.).frames) == []


def test_a_camera_that_hardly_sees_anybody():
    def blind(times):
        return views_changed(FRAMES, lambda v: v if v.camera != 'cam4' or v.stamp < times else replace(
            v, keypoints=np.zeros((0, 17, 2)), confidence=np.zeros((0, 17)), person=np.zeros(0, int)))
    found = only(blind(.4))
    assert found.kind is Kind.HARDLY_SEES and found.verdict is Verdict.NOTE
    assert found.text == 'cam4: sees somebody in 5 of 60 instants'
    assert kinds(blind(2.)) == []
    assert only(blind(-1.)).figures == {'seen': 0, 'instants': 60}


def test_nobody_at_all_is_no_camera_s_fault():
    assert kinds(changed(lambda v: replace(v, keypoints=np.zeros((0, 17, 2)), confidence=np.zeros((0, 17)),
                                           person=np.zeros(0, int)))) == []


def test_live_what_was_mended_is_forgotten():
    wrong = changed(lambda v: replace(v, image_size=(v.image_size[0] // 2, v.image_size[1] // 2)), ['cam2'])
    check = ViewCheck(window=15)
    for f in wrong:
        check.add(f)
    assert [(f.kind, f.cameras) for f in check.findings()] == [(Kind.WRONG_SIZE, ('cam2',))]
    for f in FRAMES:
        check.add(replace(f, stamp=f.stamp + 9, views=[replace(v, stamp=v.stamp + 9) for v in f.views]))
    assert check.findings() == []


def test_the_cost_of_an_instant_does_not_grow_with_time():
    check = ViewCheck(window=50)
    sizes = set()
    for n in range(12):
        for f in FRAMES:
            check.add(MultiView(f.stamp + 9 * n, [replace(v, stamp=v.stamp + 9 * n) for v in f.views]))
        counts = check._counts
        sizes.add((len(counts.cameras), len(counts.pairs)))
        assert max(len(c.step) for c in counts.cameras.values()) < 5
    assert sizes == {(4, 6)}


RECORDED = np.arange(40) / 10 + 1000.


@pytest.mark.parametrize('off', [-1.7e9, -2., 3600.])
def test_stamps_against_the_time_of_recording(off):
    late = np.random.default_rng(1).uniform(0, .2, 40)
    times = {'a': (RECORDED - .05, RECORDED), 'b': (RECORDED - late, RECORDED), 'c': (RECORDED + off, RECORDED)}
    (found,) = clock_findings(times)
    assert found.kind is Kind.OTHER_CLOCK and found.cameras == ('c',) and found.figures['others'] == ('a', 'b')
    assert found.figures['off'] == pytest.approx(abs(off), abs=.3)
    assert found.figures['side'] == ('ahead of' if off > 0 else 'behind')
    two = clock_findings({k: times[k] for k in 'bc'})
    assert [f.cameras for f in two] == [('c',)]             # of two, that which is far from the time of recording


@pytest.mark.parametrize(('jitter', 'other'), [(.2, True), (.3, False)])
def test_another_clock_is_off_by_the_same_all_the_time(jitter, other):
    """Half of the delays lie within a quarter of the offset, or they are no clock's: 5 s, spread evenly over twice
    their middle half.
    """
    delay = 5. + 2 * jitter * 5. * np.linspace(-.5, .5, 41)
    came = np.arange(41) / 10 + 1000.
    found = clock_findings({'a': (came, came), 'b': (came - .1, came), 'c': (came - delay, came)})
    assert [f.cameras for f in found] == ([('c',)] if other else [])


def test_the_stamps_of_another_clock_are_shown_without_strays():
    came = np.arange(401) / 10 + 1000.
    other = came + 50.
    other[7] = 17.
    (found,) = clock_findings({'a': (came, came), 'b': (came, came), 'c': (other, came)})
    assert (found.figures['range'], found.figures['other_range']) == ('1050.3 to 1089.6 s', '1000.4 to 1039.6 s')


def test_clocks_that_agree_and_ways_that_differ():
    same = dict.fromkeys('ab', (RECORDED - 1000000.0, RECORDED))    # a bag that was recorded from another one
    assert clock_findings(same) == []
    slow = {'a': (RECORDED, RECORDED), 'b': (RECORDED - .6, RECORDED)}
    assert clock_findings(slow) == []
    jammed = {'a': (RECORDED, RECORDED), 'b': (RECORDED, np.full(40, RECORDED[-1] + 1))}     # came all at once
    assert clock_findings(jammed) == []
    stray = RECORDED.copy()
    stray[0] = 17.
    assert clock_findings({'a': (RECORDED, RECORDED), 'b': (stray, RECORDED)}) == []


def picture(kind, n):
    rng = np.random.default_rng(n)
    noise = rng.normal(0, 1., (96, 128, 3))
    dim = np.full((96, 128, 3), 14.) + 20 * (np.arange(128) > 64)[:, None]
    base = {'black': 3., 'grey': 120., 'dim': dim, 'frozen': dim + 40, 'dark': dim - 12, 'even white': 250.}[kind]
    return np.clip(base + (noise if kind not in ('frozen', 'dark') else 0), 0, 255).astype(np.uint8)


def test_a_picture_that_repeats_is_told_late_and_costs_nothing():
    """A camera that hangs goes on hanging; a still scene may repeat for some seconds, a dark one for ever."""
    for colours, kind in itertools.product((3, 1), ('frozen', 'dark')):
        check, image = PictureCheck('cam1', window=300), picture(kind, 0)
        for n in range(400):
            assert check.findings() == [] or (kind == 'frozen' and n >= 100)
            check.add(image if colours == 3 else image[..., 0])
        assert [f.kind for f in check.findings()] == ([Kind.FROZEN] if kind == 'frozen' else [])
        assert all(f.verdict is not Verdict.LEAVE_OUT and f.verdict is not Verdict.REFUSE for f in check.findings())
        for n in range(60):
            check.add(picture('dim', n))
        assert check.findings() == []


@pytest.mark.parametrize('kind, expected', [('black', Kind.BLACK), ('grey', Kind.UNIFORM), ('even white', Kind.UNIFORM),
                                            ('dim', None)])
@pytest.mark.parametrize('colours', [3, 1])
def test_pictures_that_show_nothing(kind, expected, colours):
    check = PictureCheck('cam1', window=20)
    for n in range(30):
        assert check.findings() == [] or n >= 12
        image = picture(kind, n)
        check.add(image if colours == 3 else image[..., 0])
    assert [f.kind for f in check.findings()] == ([] if expected is None else [expected])
    if expected:
        assert check.findings()[0].cameras == ('cam1',) and '% of 20 pictures' in check.findings()[0].text
        for n in range(60):
            check.add(picture('dim', n))
        assert check.findings() == []


def test_every_kind_has_a_sentence_and_plain_figures():
    import json
    findings = [*check_views(moved(100., ['cam3'])), *clock_findings({
        'a': (RECORDED, RECORDED), 'b': (RECORDED - 9, RECORDED)})]
    for f in findings:
        assert json.loads(json.dumps(f.to_dict()))['text'] == f.text and f.text == ' '.join(f.text.split())
