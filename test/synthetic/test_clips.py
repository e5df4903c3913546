# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The clips are those of the protocol: with other random numbers figures would compare with nothing."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from selfpose_ros.io.archive import read_keypoints
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.synthetic.clips import Conditions, chosen, make_clip
from selfpose_ros.synthetic.errors import SyntheticError
from selfpose_ros.synthetic.motion_capture import Motion, pieces


@pytest.mark.parametrize(('arguments', 'every', 'conditions'), [
    ([], 1, Conditions()),
    (['--views', '2', '--jitter', '0.017'], 1, Conditions(2, jitter_s=.017)),
    (['--travel', '--every', '2'], 2, Conditions(travel=True)),
])
def test_archives_are_those_of_the_reference_protocol_to_the_bit(
        motion_file: Path, motion: Motion, reference: Path, tmp_path: Path, arguments, every, conditions):
    done = subprocess.run([sys.executable, str(reference / 'make_archives.py'), str(motion_file), str(tmp_path),
                           '--seed', '5', *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files, ours = sorted(tmp_path.glob('*.npz')), chosen(motion, every)
    assert [int(f.name[:3]) for f in files] == [p.number for p in ours]
    for file, piece in zip(files, ours, strict=True):
        archive = make_clip(motion, piece, 5, conditions).archive()
        with np.load(file) as theirs:
            assert set(theirs.files) == set(archive)
            for name in theirs.files:
                assert theirs[name].dtype == np.asarray(archive[name]).dtype, name
                np.testing.assert_array_equal(theirs[name], archive[name], name)


def test_a_clip_is_the_same_whatever_other_clips_are_made(motion: Motion):
    alone = make_clip(motion, chosen(motion)[1], 1)
    for piece in chosen(motion):
        make_clip(motion, piece, 1)
    again = make_clip(motion, chosen(motion, 2)[1], 1)
    assert again.number == alone.number == 2
    np.testing.assert_array_equal(alone.keypoints, again.keypoints)
    assert not np.array_equal(alone.keypoints, make_clip(motion, chosen(motion)[1], 2).keypoints)


def test_fewer_views_are_the_first_ones_of_the_same_rig(motion: Motion):
    four, two = (make_clip(motion, chosen(motion)[0], 1, Conditions(v)) for v in (4, 2))
    np.testing.assert_array_equal(four.keypoints[:, :2], two.keypoints)
    np.testing.assert_array_equal(four.truth.R[:2], two.truth.R)


def test_short_sequences_are_left_out_and_long_ones_cut(motion: Motion):
    assert [(p.number, p.name, len(p)) for p in pieces(motion)] == [
        (0, 'a#1', 80), (1, 'b', 40), (2, 'c', 250), (3, 'c', 80)]
    assert [p.number for p in chosen(motion)] == [0, 2, 3]


def test_somebody_who_does_not_travel_stays_over_one_point(motion: Motion):
    piece = chosen(motion)[0]
    there, here = (make_clip(motion, piece, 1, Conditions(travel=t)).truth.joints for t in (True, False))
    assert np.ptp(here[:, 0, :2], axis=0).max() < 1e-5 < .05 < np.ptp(there[:, 0, :2], axis=0).max()
    np.testing.assert_allclose(here[..., 2], there[..., 2])


def test_true_joints_lie_where_the_cameras_see_them(motion: Motion):
    clip = make_clip(motion, chosen(motion)[0], 1)
    t = clip.truth
    p = np.einsum('vab,tjb->tvja', t.K @ t.R, t.joints) + np.einsum('vab,vb->va', t.K, t.t)[:, None]
    off = np.linalg.norm(p[..., :2] / p[..., 2:] - clip.keypoints, axis=-1)
    # 5 px / confidence per axis; measured median 7.9 px
    assert 5 < np.median(off[clip.confidence > .5]) < 11


def test_free_running_cameras_say_when_they_looked(motion: Motion):
    clip = make_clip(motion, chosen(motion)[0], 1, Conditions(jitter_s=.017))
    phase = clip.stamp[0]
    assert np.ptp(phase) > .002 and np.abs(phase).max() <= .017
    regular = np.repeat(np.arange(len(clip))[:, None] / motion.fps, 4, 1)
    np.testing.assert_allclose(clip.stamp - phase, regular, atol=1e-12)


@pytest.mark.parametrize('conditions', [Conditions(3), Conditions(jitter_s=.017)])
def test_the_estimator_gets_what_it_would_read_from_the_archive(motion: Motion, tmp_path: Path, conditions):
    clip = make_clip(motion, chosen(motion)[0], 1, conditions)
    np.savez(tmp_path / 'clip.npz', **clip.archive())
    read, fed = read_keypoints(tmp_path / 'clip.npz').frames(), clip.frames()
    assert len(read) == len(fed) == len(clip)
    for a, b in zip(read, fed, strict=True):
        assert a.stamp == b.stamp and [v.camera for v in a.views] == [v.camera for v in b.views]
        for v, w in zip(a.views, b.views, strict=True):
            np.testing.assert_array_equal(v.keypoints, w.keypoints)
            np.testing.assert_array_equal(v.confidence, w.confidence)
            assert (v.stamp, v.image_size) == (w.stamp, w.image_size)


@pytest.mark.parametrize(('change', 'error', 'said'), [
    ({'fps': np.float32(0)}, IoError, 'fps is 0'),
    ({'joints': np.array(['pelvis'] * 17)}, IoError, 'bring them to the order'),
    ({'seq_start': np.array([0, 80, 120])}, IoError, 'seq_start must rise from 0 to 450 in 3 steps'),
    ({'seq_start': np.array([0, 80, 80, 450])}, IoError, 'seq_start must rise'),
    ({'seq_start': np.zeros(0)}, IoError, 'got 0 numbers (none)'),
    ({'pos': np.full((450, 17, 3), np.nan)}, IoError, 'frame 0 is not finite'),
    ({'pos': np.zeros((450, 16, 3))}, IoError, 'pos must have shape (N, 17, 3)'),
    ({'pos': None}, IoError, 'pos is missing'),
])
def test_a_motion_file_that_is_none_is_refused_in_one_sentence(motion_file: Path, tmp_path: Path, change, error, said):
    with np.load(motion_file) as z:
        arrays = {**{k: z[k] for k in z.files}, **change}
    path = tmp_path / 'wrong.npz'
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(error) as caught:
        read_motion(path)
    assert said in str(caught.value) and str(path) in str(caught.value) and '\n' not in str(caught.value)


def test_a_motion_of_short_sequences_only_is_refused(motion: Motion):
    with pytest.raises(SyntheticError, match='no clip of 75 frames'):
        chosen(Motion(motion.joints[:60], np.array([0, 60]), ('x',), 25.))


def test_views_beyond_the_rig_are_refused():
    with pytest.raises(SyntheticError, match='5 views'):
        Conditions(5)
