# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""New poses made of those that are there: other poses of the same kind of body, as smooth in time."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip('torch')
from raising import raises

from selfpose_ros.core.skeleton import MIRROR, PARENTS
from selfpose_ros.io.archive import write_keypoints
from selfpose_ros.io.recording import Recording
from selfpose_ros.synthetic import observe, ring_rig, walker
from selfpose_training.data.held_out import open_data
from selfpose_training.data.motion import Change, MotionViews, Poses
from selfpose_training.data.wider_motion import Widening, widened
from selfpose_training.errors import TrainingError
from selfpose_training.run import Request, train
from selfpose_training.trainer.display import Display

Float = NDArray[np.float32]
FPS = 25.
START = np.array([0, 100, 180, 181, 300])


def motion() -> Float:
    """Four clips of two walkers and two who exercise; one clip is one frame."""
    kinds = (('walk', 1), ('exercise', 2), ('walk', 3), ('exercise', 4))
    return np.concatenate([walker((b - a + 1) / FPS, FPS, seed, kind, 1.6 + .05 * seed)[:b - a]
                           for (kind, seed), a, b in zip(kinds, START[:-1], START[1:], strict=True)]).astype(np.float32)


def lengths(X: Float) -> Float:
    return np.linalg.norm(X[:, 1:] - X[:, PARENTS[1:]], axis=-1)


def bends(X: Float, hip: int, knee: int, ankle: int) -> Float:
    """(N,) how far a knee bends backwards, rad; negative = forwards."""
    thigh, shank, across = X[:, knee] - X[:, hip], X[:, ankle] - X[:, knee], X[:, 4] - X[:, 1]
    n = np.cross(thigh, shank)
    return np.arctan2(np.sign((n * across).sum(-1)) * np.linalg.norm(n, axis=-1), (thigh * shank).sum(-1))


def wide(how: Widening, seed: int = 0) -> Float:
    return widened(np.random.default_rng(seed), motion(), None, START, FPS, how)[0]


def test_poses_are_others_and_bodies_are_bodies() -> None:
    X, Y = motion(), wide(Widening(share=1., blend=0., stretch=.1))
    assert Y.shape == X.shape and Y.dtype == np.float32
    shape, before = (p - p[:, :1] for p in (Y, X))
    assert np.median(np.linalg.norm(shape - before, axis=-1)[:, 1:]) > .1
    factor = lengths(Y) / lengths(X)
    for a, b in zip(START[:-1], START[1:], strict=True):
        assert np.ptp(factor[a:b], axis=0).max() < 1e-4                      # of a clip, not of a frame
    assert np.allclose(factor, factor[:, np.array(MIRROR)[1:] - 1], atol=1e-4)
    assert .05 < np.log(factor[START[:-1]]).std() < .16


def test_what_is_not_to_change_does_not() -> None:
    X = motion()
    assert np.array_equal(wide(Widening(share=0.)), X)
    none = wide(Widening(share=1., blend=0., turn_rad=0., lean_rad=0., stretch=0.))
    assert np.allclose(none, X, atol=1e-5)


def test_changes_are_smooth_and_nobody_leaves_the_floor() -> None:
    X, Y = motion(), wide(Widening(share=1., blend=0.))
    for a, b in zip(START[:-1], START[1:], strict=True):
        if b - a > 1:
            own, new = (np.linalg.norm(np.diff(p[a:b], axis=0), axis=-1) for p in (X, Y))
            assert np.median(new) < np.median(own) + .02 and new.max() < own.max() + .12
        assert np.median(Y[a:b, :, 2].min(1)) == pytest.approx(np.median(X[a:b, :, 2].min(1)), abs=1e-4)
        assert np.allclose(Y[a:b, 0, :2], X[a:b, 0, :2])


def test_knees_bend_backwards_only() -> None:
    X, Y = motion(), wide(Widening(share=1., blend=0., turn_rad=.6))
    for leg in ((1, 2, 3), (4, 5, 6)):
        # turned at the hip the leg takes its hinge along: seen in the axes of the thigh, by the angle alone
        own, new = bends(X, *leg), np.abs(bends(Y, *leg))
        assert own.min() > -.05
        assert new.max() < 2.5 and np.ptp(new - own) > .3
    still = wide(Widening(share=1., blend=0., turn_rad=0., lean_rad=.4))
    assert bends(still, 1, 2, 3).min() > -.05                               # a lean turns hips and knees alike


def test_a_straight_knee_is_bent_backwards() -> None:
    X = np.repeat(motion()[:1], 300, 0)
    X[:, 3] = X[:, 2] + (X[:, 2] - X[:, 1])
    rng = np.random.default_rng(1)
    Y, _ = widened(rng, X, None, np.arange(301), FPS, Widening(1., 0., .3, 0., 0.))
    bent = bends(Y, 1, 2, 3)
    assert (bent > .1).mean() > .3 and (bent < -.1).mean() < .05


def test_blends_have_trunk_and_arms_of_others() -> None:
    X = motion()
    Y = wide(Widening(1., 1., 0., 0., 0.), seed=3)
    assert np.allclose((Y - Y[:, :1])[:, 1:7], (X - X[:, :1])[:, 1:7], atol=1e-5)
    upper = np.linalg.norm((Y - Y[:, :1])[:, 7:] - (X - X[:, :1])[:, 7:], axis=-1)
    assert np.mean(upper) > .05
    for f in (0, 150, 250):                                                  # faces where the legs face
        across = [p[f, 4] - p[f, 1] for p in (X, Y)]
        shoulders = Y[f, 11] - Y[f, 14]
        assert np.allclose(*across, atol=1e-5) and across[0][:2] @ shoulders[:2] > 0


def test_unknown_joints_stay_unknown_and_sigmas_go_along() -> None:
    X, sigma = motion(), np.full((300, 17), .02, np.float32)
    X[:100, 13], sigma[:100, 13] = np.nan, np.inf
    sigma[100:180, 9] = .5
    Y, out = widened(np.random.default_rng(2), X, sigma, START, FPS, Widening(share=1., blend=1.))
    assert out is not None
    assert np.array_equal(np.isnan(Y).any(-1), np.isinf(out))
    assert np.isfinite(Y[:, :7]).all()
    only, same = widened(np.random.default_rng(2), X, sigma, START, FPS, Widening(share=1., blend=0.))
    assert np.array_equal(np.isnan(only), np.isnan(X)) and np.array_equal(same, sigma)


def test_by_seed_and_epoch() -> None:
    poses = Poses(motion(), START, FPS)
    views = MotionViews(poses, change=Change(widening=Widening(share=1.)), seed=4)
    a, b = views.epoch(0), views.epoch(1)
    assert np.array_equal(a.X, MotionViews(poses, change=Change(widening=Widening(share=1.)), seed=4).epoch(0).X)
    size = np.linalg.norm(a.X[:, 3] - a.X[:, 10], axis=-1), np.linalg.norm(b.X[:, 3] - b.X[:, 10], axis=-1)
    assert np.abs(size[0] - size[1]).mean() > .02


def test_a_training_takes_it_and_held_out_data_stay(tmp_path: Path) -> None:
    path = tmp_path / 'm.npz'
    X = np.concatenate([motion()] * 6)
    start = np.concatenate([START[:-1] + 300 * k for k in range(6)] + [[1800]])
    np.savez(path, pos=X, seq_start=start, seq_name=np.array([f's{k}' for k in range(24)]), fps=np.array(25.))
    plain, held = open_data(path, None)
    wide_data, held_wide = open_data(path, None, widen=1.)
    assert np.array_equal(held.epoch(0).X, held_wide.epoch(0).X)
    assert not np.allclose(plain.epoch(0).X, wide_data.epoch(0).X, atol=.01)


def test_what_has_no_poses_to_be_widened_says_so(tmp_path: Path) -> None:
    rig = ring_rig(3, 1)
    views = observe(walker(3., 10., 1), rig, 10., 1)
    write_keypoints(tmp_path / 'a.npz', Recording.of('a', rig.cameras, views))
    with raises(TrainingError, 'widen', place=tmp_path / 'a.npz'):
        open_data(tmp_path / 'a.npz', None, widen=1.)
    for method in ('pose2d', 'transform_reprojection'):
        with pytest.raises(TrainingError, match=f'{method}.*widen'):
            train(Request(method, tmp_path / 'a.npz', tmp_path / 'run', changes={'widen': 1}), Display(quiet=True))


@pytest.mark.parametrize('values', [{'share': 1.2}, {'blend': -.1}, {'turn_rad': -.1}, {'stretch': -1.}])
def test_wrong_amounts(values: dict[str, float]) -> None:
    with pytest.raises(TrainingError):
        Widening(**values)


def test_a_factor() -> None:
    assert Widening.times(0) is None
    twice = Widening.times(2.)
    assert twice is not None and twice.turn_rad == 2 * Widening().turn_rad and twice.share == Widening().share
