# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Offsets between clocks from motion, before there is a rig: value, sign, and when it is not decided."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from selfpose_ros.core.check import Kind, step_findings
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.sync import MotionOffsets, Track2D, clock_rates, in_step, motion_offsets
from selfpose_ros.core.sync.epipolar import epipolar_agreement
from selfpose_ros.core.sync.signals import track_motions
from selfpose_ros.core.tracks.alone import tracks_of_views
from selfpose_ros.synthetic import observe, ring_rig, walker

Array = NDArray[np.float64]

FPS = 25.
#: s that the clocks are ahead of the truth
AHEAD = {'cam1': 0., 'cam2': 3.2, 'cam3': -7.5, 'cam4': .4}


def views(X: Array, ahead: dict[str, float], seed: int = 1, **detector: object) -> list[View2D]:
    found = observe(X, ring_rig(len(ahead), seed), FPS, seed, clock_offset_s=ahead, **detector)  # type: ignore[arg-type]
    return sorted(found, key=lambda v: v.stamp)


def offsets(X: Array, ahead: dict[str, float], **detector: object) -> MotionOffsets:
    return motion_offsets(tracks_of_views(views(X, ahead, **detector)))


def errors(found: MotionOffsets, ahead: dict[str, float], sign: float = 1.) -> Array:
    """(V,) s, of the offsets against the reference camera."""
    true = np.array([ahead[c] - ahead[found.reference] for c in found.cameras])
    return np.asarray(np.abs(sign * found.offset_s - true))


def on_the_spot(seconds: float, period: int = 26) -> Array:
    """One stride again and again, and nothing else: (T, 17, 3) m."""
    stride = walker(6., FPS, 3, 'walk')[40:40 + period + 1].copy()
    stride -= stride[:, :1] * np.array([1., 1., 0.])
    end = np.linspace(0., 1., period + 1)[:, None, None]
    stride = (stride - end * (stride[-1] - stride[0]))[:-1]
    return np.asarray(np.tile(stride, (int(seconds * FPS) // period + 1, 1, 1))[:int(seconds * FPS)])


def test_clocks_seconds_apart_are_found_with_their_sign() -> None:
    """Within a frame (measured: 9 ms); the wrong way round they are seconds off."""
    found = offsets(walker(12., FPS, 1, 'mixed'), AHEAD)
    assert found.decided.all() and errors(found, AHEAD).max() < .04
    assert errors(found, AHEAD, -1.).max() > 5.
    assert (found.sigma_s[found.decided] > 0).all() and all(not found.why_not(c) for c in found.cameras)


def test_recordings_that_overlap_in_part() -> None:
    """Each camera has 12 s of 20 s, its clock begins with it: what is not in common does not count."""
    X, begins = walker(20., FPS, 4, 'mixed'), {'cam1': 3., 'cam2': 0., 'cam3': 7.2}
    seen = [v for v in views(X, dict.fromkeys(begins, 0.)) if begins[v.camera] <= v.stamp < begins[v.camera] + 12.]
    tracks = {c: [Track2D(t.stamp - begins[c], t.kp, t.confidence) for t in some]
              for c, some in tracks_of_views(seen).items()}
    found = motion_offsets(tracks)
    assert errors(found, {c: -b for c, b in begins.items()}).max() < .04


def test_clocks_that_have_nothing_in_common() -> None:
    """Of one camera by the time of day, of the others from zero: the first stamps are taken for about equal."""
    ahead = {'cam1': 1.7e9, 'cam2': .6, 'cam3': 0.}
    found = offsets(walker(8., FPS, 2, 'mixed'), ahead)
    assert errors(found, ahead).max() < .04


def test_several_people() -> None:
    """Who is who across the cameras is not known, nor needed."""
    X = np.stack([walker(9., FPS, 5, 'mixed'), walker(9., FPS, 6, 'mixed') + np.array([1.4, .8, 0.])], 1)
    ahead = {'cam1': 0., 'cam2': -2.4, 'cam3': 5.1}
    found = offsets(X, ahead)
    assert found.decided.all() and errors(found, ahead).max() < .04


def test_two_people_out_of_phase() -> None:
    """The strides of one are those of the other half a stride later, but not his way: right, or not decided."""
    first = walker(9., FPS, 3, 'walk')
    other = np.roll(first, 13, axis=0) * np.array([-1., 1., 1.]) + np.array([1.5, 0., 0.])
    ahead = {'cam1': 0., 'cam2': 1.3, 'cam3': -.8}
    found = offsets(np.stack([first, other], 1), ahead)
    assert (errors(found, ahead)[found.decided] < .04).all()


def test_somebody_who_stands_still_tells_nothing() -> None:
    found = offsets(walker(8., FPS, 1, 'stand'), AHEAD)
    assert not found.decided.any() and np.isnan(found.sigma_s).all()
    assert all('no movement in common' in found.why_not(c) for c in found.cameras)


def test_one_stride_again_and_again_is_undecided() -> None:
    """A clock that is off by a stride fits as well, and that is what is told."""
    ahead = {'cam1': 0., 'cam2': 2., 'cam3': -1.}
    found = offsets(on_the_spot(12.), ahead, outliers=0., swap=0.)
    others = [c for c in found.cameras if c != found.reference]
    assert not any(found.decided[found.cameras.index(c)] for c in others)
    why = found.why_not(others[0])
    assert others[0] in why and 'fit as well' in why
    # what it offers is a number of strides away
    k = found.cameras.index(others[0])
    apart = (found.rival_s[k] - (ahead[others[0]] - ahead[found.reference])) / (26 / FPS)
    assert abs(apart - round(apart)) < .1


def test_a_camera_that_saw_nobody_costs_the_others_nothing() -> None:
    seen = tracks_of_views(views(walker(8., FPS, 2, 'mixed'), {'cam1': 0., 'cam2': 1., 'cam3': 2.}))
    found = motion_offsets({**seen, 'cam4': []})
    assert found.decided.tolist() == [True, True, True, False]
    assert 'cam4' in found.why_not('cam4')


@pytest.mark.parametrize('tracks', [{}, {'cam1': []}, {'cam1': [], 'cam2': []}])
def test_nothing_at_all(tracks: dict[str, list[Track2D]]) -> None:
    assert in_step(tracks)
    if tracks:
        assert not motion_offsets(tracks).decided.any()


def test_geometry_tells_one_step_from_the_next() -> None:
    """The same movements a stride later have no epipolar geometry: the way through the room is another."""
    seen = tracks_of_views(views(walker(9., FPS, 3, 'walk'), {'cam1': 0., 'cam2': 0.}))
    motions = track_motions(seen)
    right, later = (epipolar_agreement(motions['cam1'], motions['cam2'], k) for k in (0, 26))
    assert right > 100 and right > later + 100
    turned = epipolar_agreement(motions['cam2'], motions['cam1'], -26)
    assert turned == pytest.approx(later, abs=60.)


# -- the check before the solver

@pytest.mark.parametrize('late', [1., -.6])
def test_a_camera_out_of_step_is_told_of(late: float) -> None:
    X = walker(8., FPS, 7, 'mixed')
    found = step_findings(views(X, {'cam1': 0., 'cam2': 0., 'cam3': late, 'cam4': 0.}))
    assert [(f.kind, f.cameras) for f in found] == [(Kind.OUT_OF_STEP, ('cam3',))]
    assert found[0].figures['off'] == pytest.approx(abs(late), abs=.04)
    assert ('later' if late > 0 else 'earlier') in found[0].text and '--sync auto' in found[0].text


def test_cameras_in_step_are_not() -> None:
    seen = views(walker(8., FPS, 7, 'mixed'), {'cam1': 0., 'cam2': .05, 'cam3': -.05})
    assert not step_findings(seen) and in_step(tracks_of_views(seen))


# -- rates

@pytest.mark.parametrize('ppm', [3000., -3000.])
def test_a_clock_that_runs_fast_or_slow(ppm: float) -> None:
    """A minute, by an oscillator that is far off: to 1100 ppm (measured 350 and 730), with its sign."""
    tracks = tracks_of_views(views(walker(62., FPS, 3, 'mixed'), {'cam1': 0., 'cam2': 1.3}))
    fast = {**tracks, 'cam2': [replace(t, stamp=t.stamp * (1 + 1e-6 * ppm)) for t in tracks['cam2']]}
    found = motion_offsets(fast)
    rates = clock_rates(fast, found)
    assert rates.rate[1] - rates.rate[0] == pytest.approx(1e-6 * ppm, abs=1100e-6)
    assert rates.significant.any() and not rates.significant[found.cameras.index(found.reference)]


def test_a_short_recording_tells_no_rate() -> None:
    tracks = tracks_of_views(views(walker(8., FPS, 2, 'mixed'), {'cam1': 0., 'cam2': 1.}))
    rates = clock_rates(tracks, motion_offsets(tracks))
    assert not rates.significant.any() and np.isinf(rates.sigma).all()
