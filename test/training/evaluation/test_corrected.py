# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Corrected poses in the evaluation: better where the 2D is right, left alone where it is wrong."""
from __future__ import annotations

import numpy as np
import pytest

from selfpose_ros.core.correction import CorrectionConfig
from selfpose_ros.synthetic import walker
from selfpose_ros.synthetic.clips import Conditions, make_clip
from selfpose_ros.synthetic.motion_capture import Motion, pieces
from selfpose_training.evaluation.corrected import corrected
from selfpose_training.evaluation.correction import WRONG, main, shown
from selfpose_training.evaluation.lifter import evaluate
from selfpose_training.evaluation.lifting import lift_clip


@pytest.fixture(scope='module')
def motion() -> Motion:
    parts = [walker(n / 25., 25., seed, style)[:n] for n, seed, style in ((80, 1, 'mixed'), (60, 3, 'exercise'))]
    return Motion(np.concatenate(parts), np.array([0, 80, 140]), ('a', 'b'), 25.)


class Told:
    """A lifter that is told the truth of each pose, and gets limbs wrong."""

    frames = 1

    def __init__(self, motion: Motion, noise: float = 1., size: float = .12) -> None:
        self.clips = [make_clip(motion, p, 1, Conditions(noise=noise)) for p in pieces(motion)]
        self.rng, self.size = np.random.default_rng(0), size

    def lift(self, pose):
        clip = self.clips.pop(0)
        K = np.array([[950., 0, 500], [0, 950, 500], [0, 0, 1]])
        from selfpose_ros.core.lifting import norm2d
        n = norm2d(clip.keypoints.astype(float), clip.confidence.astype(float), K)
        X = clip.truth.joints - clip.truth.joints[:, :1]
        y = (np.einsum('vij,tkj->tvki', clip.truth.R, X) @ n.ray_rot).reshape(-1, 17, 3)
        y = y / np.sqrt((y ** 2).sum((1, 2)) / 17)[:, None, None]
        error = self.size * self.rng.normal(size=y.shape)
        error[:, [0, 1, 4, 7, 8, 11, 14]] *= .1
        y = y + error
        return y / np.sqrt((y ** 2).sum((1, 2)) / 17)[:, None, None], np.full(y.shape[:2], self.size)


def test_the_evaluation_corrects_when_asked(motion: Motion) -> None:
    """A lifter whose limbs are off by a tenth of the body: better in one view, much better in four; else the same."""
    plain, on = evaluate(Told(motion), motion, 1), evaluate(Told(motion), motion, 1, correction=CorrectionConfig())
    assert plain.corrected is plain.corrected_fused is plain.accepted is None
    assert on.single == plain.single and on.fused == plain.fused
    assert on.corrected.pa_mpjpe < .95 * on.single.pa_mpjpe
    assert on.corrected_fused.pa_mpjpe < .8 * on.fused.pa_mpjpe
    assert on.accepted > .8 and on.accepted_fused > .8
    one = evaluate(Told(motion), motion, 1, correction=CorrectionConfig(guarded=False))
    assert one.accepted == 1.


def test_noise_is_a_factor_on_the_protocols(motion: Motion) -> None:
    piece = pieces(motion)[0]
    a, b, none = (make_clip(motion, piece, 1, Conditions(noise=f)) for f in (1., .5, 0.))
    np.testing.assert_array_equal(a.keypoints, make_clip(motion, piece, 1).keypoints)
    np.testing.assert_array_equal(a.confidence, b.confidence)
    inside = (np.abs(a.keypoints - 500) < 480).all(-1)
    np.testing.assert_allclose((b.keypoints - none.keypoints)[inside], .5 * (a.keypoints - none.keypoints)[inside],
                               atol=1e-3)


def test_wrong_2d_is_told_by_the_guards(motion: Motion) -> None:
    clip = make_clip(motion, pieces(motion)[1], 1)
    lifter = Told(motion)
    lifter.clips = lifter.clips[1:]
    lifted = lift_clip(lifter, clip)
    right = corrected(lifted.joints, lifted.sigma, lifted.rays, lifted.k, CorrectionConfig())
    exchange = WRONG['sides exchanged']
    wrong = corrected(lifted.joints, lifted.sigma, exchange(lifted.rays), exchange(lifted.k), CorrectionConfig())
    assert right.accepted.mean() > .8 and wrong.accepted.mean() < .4 < .8 < right.accepted_fused.mean()
    assert wrong.accepted_fused.mean() < right.accepted_fused.mean()


def test_one_view_is_its_own_together(motion: Motion) -> None:
    clip = make_clip(motion, pieces(motion)[0], 1, Conditions(views=1))
    lifter = Told(motion)
    lifter.clips = [clip]
    lifted = lift_clip(lifter, clip)
    one = corrected(lifted.joints, lifted.sigma, lifted.rays, lifted.k, CorrectionConfig())
    np.testing.assert_array_equal(one.single[:, 0], one.fused)


def test_what_the_estimator_shows(motion: Motion) -> None:
    """One camera: both are the same instants, and the correction changes them."""
    class Rule:
        frames, interval_s = 1, 0.

        def lift(self, pose):
            y = np.concatenate([pose[..., :2], .1 * (pose[..., 2:] - .5)], -1).astype(float)
            y -= y[:, :1]
            return y / np.sqrt((y ** 2).sum((1, 2)) / 17)[:, None, None], np.full(y.shape[:2], .3)
    off, on = shown(Rule(), [make_clip(motion, pieces(motion)[0], 1)], 1, 6)
    assert len(off) == len(on) >= 5 and np.isfinite([off, on]).all() and (off != on).any()


def test_a_missing_model_is_one_sentence(tmp_path, capsys) -> None:
    assert main([str(tmp_path / 'none'), '--motion', str(tmp_path / 'none.npz')]) == 2
    err = capsys.readouterr().err
    assert err.startswith('corrected: error: ') and err.count('\n') == 1
