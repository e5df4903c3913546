# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The teacher: poses and 2D errors from recordings of uncalibrated cameras, and what it refuses."""
from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch', reason='the training needs torch: pip install selfpose_ros[training]')

from selfpose_ros.core.observation import MultiView
from selfpose_ros.synthetic import frames_of, observe, ring_rig, walker
from selfpose_ros.synthetic.motion_capture import Motion
from selfpose_training.data.recordings import Recorded
from selfpose_training.errors import TrainingError
from selfpose_training.metrics import pa_errors
from selfpose_training.pseudo_labels import label_set
from selfpose_training.pseudo_labels.label_set import PseudoLabelSet, cached_labels, joined_labels
from selfpose_training.pseudo_labels.sources import Source, protocol_sources, recorded_sources
from selfpose_training.pseudo_labels.teacher import label_recordings

FPS = 15.


@lru_cache
def walk(seed: int = 1, noise_px: float = 4.) -> tuple[np.ndarray, tuple[MultiView, ...]]:
    """Truth (T, 17, 3) m and what four cameras saw."""
    X, rig = walker(4., FPS, seed, 'mixed'), ring_rig(4, seed)
    return X, tuple(frames_of(observe(X, rig, FPS, seed, noise_px=noise_px)))


def recorded(frames: tuple[MultiView, ...], name: str = 'walk') -> Recorded:
    names = sorted({v.camera for f in frames for v in f.views})
    kp, conf = np.full((len(frames), len(names), 17, 2), np.nan), np.zeros((len(frames), len(names), 17))
    for i, f in enumerate(frames):
        for v in f.views:
            if len(v.keypoints):
                kp[i, names.index(v.camera)], conf[i, names.index(v.camera)] = v.keypoints[0], v.confidence[0]
    size = {v.camera: v.image_size for f in frames for v in f.views}
    return Recorded(name, kp, conf, np.array([f.stamp for f in frames]), np.array([size[n] for n in names]))


def label_all(sources: list[Source]) -> PseudoLabelSet:
    return joined_labels(*label_recordings(sources))


@lru_cache
def taught() -> PseudoLabelSet:
    return label_all([Source('walk', -1, walk()[1]), Source('one camera', -1, tuple(
        replace(f, views=f.views[:1]) for f in walk()[1]))])


def test_the_teachers_poses_are_those_that_were_seen() -> None:
    poses, X = taught().poses, walk()[0]
    assert len(poses) == len(X) and poses.fps == pytest.approx(FPS, rel=.01)
    known = np.isfinite(poses.joints).all((1, 2))
    assert known.mean() > .9
    error = pa_errors(poses.joints[known].astype(float), X[known])
    assert np.mean(error) < 35, 'mm; 17 when written'
    assert poses.sigma is not None and .005 < np.nanmedian(poses.sigma) < .06
    # z up, feet near the floor
    assert np.nanmedian(poses.joints[:, 10, 2]) > 1.2 and abs(np.nanquantile(poses.joints[..., 2], .02)) < .15


def test_what_cannot_be_calibrated_is_left_out_with_its_reason() -> None:
    assert len(taught().refused) == 1
    assert taught().refused[0].startswith('one camera: ') and 'a rig needs two' in taught().refused[0]
    with pytest.raises(TrainingError, match='no recording could be calibrated.*one camera'):
        label_all([Source('one camera', -1, tuple(replace(f, views=f.views[:1]) for f in walk()[1]))])


def test_the_errors_are_as_large_as_those_that_were_made() -> None:
    """Twice the noise gives about twice the errors."""
    loud = label_all([Source('loud', -1, walk(noise_px=8.)[1])])

    def usual(t: PseudoLabelSet) -> float:
        seen = t.errors.conf > 0
        px = t.errors.error * 100. ** t.errors.power             # of a body of 100 px
        return float(np.median(np.linalg.norm(px, axis=-1)[seen]))

    assert 1.4 < usual(loud) / usual(taught()) < 2.8, '1.9 when written'


def test_it_is_kept_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taught().save(tmp_path / 'kept')
    monkeypatch.setattr(label_set, 'label_recordings', None)                 # not taught again
    for again in (PseudoLabelSet.load(tmp_path / 'kept'), cached_labels(tmp_path / 'kept', tmp_path / 'no'),
                  cached_labels(tmp_path / 'gone', tmp_path / 'kept')):
        np.testing.assert_array_equal(again.poses.joints, taught().poses.joints)
        np.testing.assert_array_equal(again.errors.error, taught().errors.error)
        assert again.refused == taught().refused
    (tmp_path / 'kept' / 'errors.npz').write_bytes(b'x')
    with pytest.raises(TrainingError, match='errors.npz'):
        PseudoLabelSet.load(tmp_path / 'kept')


def test_every_second_instant_of_a_recording_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def labelled(sources: object, jobs: int, progress: object) -> tuple[list[object], list[str]]:
        seen.extend(len(s.frames) for s in sources)                          # type: ignore[attr-defined]
        raise TrainingError('enough')

    monkeypatch.setattr(label_set, 'label_recordings', labelled)
    X = walk()[0]
    np.savez(tmp_path / 'm.npz', pos=X.astype(np.float32), seq_start=np.array([0, len(X)]), seq_name=np.array(['a']),
             fps=np.array(FPS))
    for every in (1, 2):
        with pytest.raises(TrainingError, match='enough'):
            cached_labels(tmp_path / 'm.npz', tmp_path / 'no', every=every)
    whole = min(len(X), 250)
    assert seen[0] == whole and seen[len(seen) // 2] == (whole + 1) // 2


def test_recordings_are_taken_as_the_cameras_gave_them() -> None:
    source = next(recorded_sources([recorded(walk()[1])]))
    assert (source.name, source.subject, len(source.frames)) == ('walk', -1, len(walk()[1]))
    a, b = source.frames[3].views[2], walk()[1][3].views[2]
    np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-3)
    assert a.image_size == b.image_size and a.intrinsics is None


def test_motion_is_only_seen_through_cameras() -> None:
    """Nothing of the motion file but 2D reaches the teacher, and the same seed gives the same."""
    X = np.concatenate([walk()[0], walk(2)[0]])
    motion = Motion(X, np.array([0, len(walk()[0]), len(X)]), ('a', 'b'), FPS)
    sources = list(protocol_sources(motion, 3, subjects=[7, 4]))
    assert [(s.name, s.subject) for s in sources] == [('a 0', 7), ('b 1', 4)]
    assert {type(f) for s in sources for f in s.frames} == {MultiView}
    again = next(protocol_sources(motion, 3))
    np.testing.assert_array_equal(again.frames[5].views[1].keypoints, sources[0].frames[5].views[1].keypoints)
    assert [s.name for s in protocol_sources(motion, 3, shortest=1000)] == []
