# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is remembered of the calibrating person: bounded, of one resolution, at common instants."""
from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from selfpose_ros.core.camera import Intrinsics, project
from selfpose_ros.core.history import History, tracks_from_rows
from selfpose_ros.core.observation import MultiView, View2D
from selfpose_ros.core.person_view import Detections, PersonView, Row
from selfpose_ros.synthetic import ring_rig, walker

Array = NDArray[np.float64]


def view(camera: str, stamp: float, keypoints: Array | None = None, size: tuple[int, int] = (1000, 800),
         known: Intrinsics | None = None) -> View2D:
    kp = np.full((1, 17, 2), stamp) if keypoints is None else keypoints.reshape(1, 17, 2)
    return View2D(camera, stamp, kp, np.full((1, 17), .8), size, intrinsics=known)


def row(*views: View2D) -> Row:
    return Detections.of(MultiView(views[0].stamp, views)).first()


def filled(n: int, most: int = 100, cameras: tuple[str, ...] = ('a', 'b')) -> History:
    h = History(most)
    for i in range(n):
        h.add(.05 * i, row(*(view(c, .05 * i) for c in cameras)))
    return h


def test_it_stays_small_over_ten_thousand_updates() -> None:
    """Never more rows than allowed; all were counted; the newest are all there, the oldest still is."""
    h = History(100)
    for i in range(10_000):
        h.add(.05 * i, row(view('a', .05 * i), view('b', .05 * i)))
        assert len(h) <= 100
    assert h.seen == 10_000
    stamps = h.tracks().stamp
    assert (np.diff(stamps) > 0).all() and stamps[-1] == pytest.approx(499.95)
    assert np.allclose(np.diff(stamps[-40:]), .05)                      # the newer half is complete
    assert stamps[0] == 0. and h.span_s == pytest.approx(499.95)


def test_two_rooms_of_memory_differ_by_nothing_but_what_was_added() -> None:
    a, b = filled(1000), filled(1000)
    assert np.array_equal(a.tracks().kp, b.tracks().kp) and np.array_equal(a.tracks().stamp, b.tracks().stamp)


def test_cameras_that_saw_nothing_have_no_numbers() -> None:
    """NaN and confidence 0, in the order of the names; a row that nobody saw is none."""
    h = History()
    h.add(0., row(view('b', 0.)))
    h.add(.1, row(view('a', .1), view('b', .1)))
    h.add(.2, {})
    t = h.tracks()
    assert t.cameras == ('a', 'b') and len(t.stamp) == 2
    assert np.isnan(t.kp[0, 0]).all() and not t.confidence[0, 0].any() and np.isfinite(t.kp[1]).all()
    assert h.tracks(('b',)).kp.shape == (2, 1, 17, 2)
    assert h.tracks(since=.05).stamp.tolist() == [.1]
    assert [s for s, _ in h.newest(1)] == [.1]


def test_the_chosen_person_is_remembered_not_the_first() -> None:
    h = History()
    two = View2D('a', 0., np.stack([np.zeros((17, 2)), np.ones((17, 2))]), np.ones((2, 17)), (10, 10))
    h.add(0., Detections.of(MultiView(0., (two,))).row({'a': 1}))
    assert (h.tracks().kp == 1.).all()


def test_known_lenses_are_undistorted_at_once() -> None:
    """Pixels as an ideal camera with the same K would have made them: to 0.01 px."""
    rig = ring_rig(1, 1, distortion=(-.4, .1, 2e-3, -2e-3, 0.))
    X = walker(1., 5, 1)[0]
    bent = project(X, rig.K[0], rig.R[0], rig.t[0], rig.distortion[0])
    straight = project(X, rig.K[0], rig.R[0], rig.t[0])
    assert np.abs(bent - straight).max() > 1.
    h = History()
    h.add(0., row(view('a', 0., bent, (1000, 1000), Intrinsics(rig.K[0], rig.distortion[0]))))
    assert np.abs(h.tracks().kp[0, 0] - straight).max() < .01


def test_another_image_size_forgets_that_camera_alone() -> None:
    """Pixels of another resolution mean other rays; those of the other cameras are as good as before."""
    h = filled(10)
    h.add(.5, row(view('a', .5, size=(500, 400)), view('b', .5)))
    t = h.tracks()
    assert np.isfinite(t.kp[:, 0, 0, 0]).tolist() == [False] * 10 + [True]
    assert np.isfinite(t.kp[:, 1, 0, 0]).all()
    assert t.image_size.tolist() == [[500, 400], [1000, 800]]


def test_a_camera_that_was_moved_is_forgotten_up_to_then() -> None:
    h = filled(10)
    h.drop('a', before=.25)
    t = h.tracks()
    assert np.isfinite(t.kp[:, 0, 0, 0]).tolist() == [False] * 5 + [True] * 5
    assert h.cameras == ('a', 'b')
    h.drop('b')
    assert h.cameras == ('a',) and len(h) == 5


def test_clear_forgets_everything() -> None:
    h = filled(10)
    h.clear()
    assert len(h) == 0 and h.cameras == () and h.span_s == 0.


# -- common instants

def rows_of(stamps: Array, late: Array, path: Array) -> list[tuple[float, Row]]:
    """Camera a sees path(t) (T, 17, 2) at stamp + late, b at the stamp."""
    def seen(camera: str, stamp: float, x: Array) -> PersonView:
        return PersonView(camera, stamp, 0, x, np.ones(17), (100, 100))
    return [(float(s), {'a': seen('a', float(s + d), x), 'b': seen('b', float(s), x)})
            for s, d, x in zip(stamps, late, path, strict=True)]


SIZE = np.array([[100, 100], [100, 100]])


def test_views_are_brought_to_the_instant_along_their_own_motion() -> None:
    """Constant speed: exact (1e-9 px) inside, whichever way the camera's time is off."""
    stamps = np.arange(20) * .05
    late = np.where(np.arange(20) % 2, .012, -.018)
    path = (100. + 200. * (stamps + late))[:, None, None] + np.zeros((20, 17, 2))
    t = tracks_from_rows(rows_of(stamps, late, path), ('a', 'b'), SIZE, (None, None))
    assert np.abs(t.kp[1:-1, 0, :, 0] - (100. + 200. * stamps)[1:-1, None]).max() < 1e-9
    assert np.array_equal(t.kp[:, 1], path)


def test_a_jump_is_not_interpolated_into() -> None:
    """A joint that is wrong for one frame (300 px off) makes none of its neighbours wrong."""
    stamps = np.arange(20) * .05
    late = np.full(20, .015)
    path = (100. + 200. * (stamps + late))[:, None, None] + np.zeros((20, 17, 2))
    path[10, 16] += 300.
    t = tracks_from_rows(rows_of(stamps, late, path), ('a', 'b'), SIZE, (None, None))
    good = np.r_[1:10, 11:19]
    assert np.abs(t.kp[good, 0, 16, 0] - (100. + 200. * stamps)[good]).max() < 5.


def test_holes_are_not_bridged() -> None:
    """Over a hole of 2 s a joint stays where it was seen."""
    stamps = np.r_[np.arange(5) * .05, 2. + np.arange(5) * .05]
    late = np.full(10, -.02)
    path = (100. + 200. * (stamps + late))[:, None, None] + np.zeros((10, 17, 2))
    t = tracks_from_rows(rows_of(stamps, late, path), ('a', 'b'), SIZE, (None, None))
    assert t.kp[4, 0, 0, 0] == pytest.approx(path[4, 0, 0])


def test_a_joint_that_is_sometimes_unseen_stays_unseen_there() -> None:
    stamps = np.arange(10) * .05
    path = (100. + 200. * stamps)[:, None, None] + np.zeros((10, 17, 2))
    path[4, 3] = np.nan
    t = tracks_from_rows(rows_of(stamps, np.full(10, .01), path), ('a', 'b'), SIZE, (None, None))
    assert np.isnan(t.kp[4, 0, 3]).all() and np.isfinite(np.delete(t.kp[:, 0, 3], 4, 0)).all()
