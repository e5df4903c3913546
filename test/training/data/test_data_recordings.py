# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings to learn from: archives, bags, how they become batches, and noise that was measured on them."""
from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip('torch')
import torch
from bags import ViewBag, write_bag
from raising import raises

from selfpose_ros.core.camera import Intrinsics
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.skeleton import COCO17, JOINTS, MIRROR
from selfpose_ros.io.recording import Recording
from selfpose_training.data.archives import read_archives
from selfpose_training.data.arrays import Sampling
from selfpose_training.data.bags import read_training_bag
from selfpose_training.data.motion import MotionViews, Poses
from selfpose_training.data.recordings import Recorded, RecordedViews
from selfpose_training.data.sources import open_data
from selfpose_training.errors import TrainingError
from selfpose_training.pseudo_labels.measured_noise import ErrorTracks, MeasuredNoise, body_size, measure

RNG = np.random.default_rng


def archive(path, T=12, V=3, J=17, **changes):
    """A keypoint archive; `changes` replaces arrays, None leaves one out."""
    rng = RNG(1)
    arrays = {'keypoints': rng.uniform(100, 900, (T, V, J, 2)), 'confidence': rng.uniform(.3, 1, (T, V, J)),
              'stamp': 5 + np.arange(T) / 25, 'image_size': np.tile([1000, 800], (V, 1)),
              'joint_names': np.array(JOINTS)} | changes
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def recording(T=40, V=4, seed=0, **changes):
    """A made-up recording with all that there can be."""
    rng = RNG(seed)
    K = np.tile(np.diag([900., 900, 1]), (V, 1, 1))
    K[:, :2, 2] = 510, 400
    turn = np.linalg.qr(rng.normal(size=(V, 3, 3)))[0]
    R = turn * np.sign(np.linalg.det(turn))[:, None, None]
    X, t = rng.normal(0, .5, (T, 17, 3)), np.tile([0, 0, 5.], (V, 1))
    h = (np.einsum('vij,tkj->tvki', R, X) + t[:, None]) @ K[0].T
    values = {'name': f'r{seed}', 'kp': h[..., :2] / h[..., 2:], 'conf': rng.uniform(.2, 1, (T, V, 17)),
              'stamp': np.arange(T) / 25, 'image_size': np.tile([1000., 800], (V, 1)), 'K': K, 'R': R, 't': t, 'X': X}
    return Recorded(**values | changes)


def test_archive(tmp_path):
    rng = RNG(1)
    keypoints = rng.uniform(100, 900, (12, 3, 17, 2))
    keypoints[3, 1, 5] = np.nan
    keypoints[7] = np.nan
    path = archive(tmp_path / 'a.npz', keypoints=keypoints, subject=np.array('anna'), truth_X=np.ones((12, 17, 3)),
                   truth_K=np.ones((3, 3, 3)))
    r, = read_archives(path)
    assert len(r) == 11 and r.subject == 'anna' and r.X is None and r.K is None and r.R is None
    assert np.isnan(r.kp[3, 1, 5]).all() and r.conf[3, 1, 5] == 0
    assert np.allclose(r.kp[7], keypoints[8], atol=1e-3) and r.image_size.tolist() == [[1000, 800]] * 3
    b = next(RecordedViews([r]).batches(0, 5, truth=True))
    assert b.X is None and b.kp_px.shape == (5, 3, 17, 2) and torch.isfinite(b.kp_px).all()


def test_folder_of_archives_with_other_joints_and_cameras(tmp_path):
    archive(tmp_path / 'a.npz', V=2, subject=np.array('x'))
    archive(tmp_path / 'b.npz', V=4, joint_names=np.array(COCO17), subject=np.array('x'))
    archive(tmp_path / 'c.npz', V=3)
    data = open_data(tmp_path, split='')
    assert data.views == 4 and len(data) == 36
    e = data.epoch(0)
    assert e.present.tolist() == [[True, True, False, False], [True] * 4, [True, True, True, False]]
    assert e.subj[[0, 12, 24]].tolist() == [0, 0, 1] and len(set(e.rig[[0, 12, 24]])) == 3
    b = next(e.batches(36))
    assert (b.conf[~b.view_mask] == 0).all() and (b.view_mask.sum(1).bincount()[2:] == 12).all()


def test_known_camera_with_distortion(tmp_path):
    K = np.tile(np.diag([800., 800, 1]), (3, 1, 1))
    K[:, :2, 2] = 500, 400
    K[2] = np.nan
    r, = read_archives(archive(tmp_path / 'a.npz', K=K, distortion=np.tile([-.1, .01, 0, 0, 0], (3, 1))))
    plain, = read_archives(archive(tmp_path / 'b.npz'))
    assert np.allclose(r.K[:2], K[:2]) and np.isnan(r.K[2]).all()
    assert np.allclose(r.kp[:, 2], plain.kp[:, 2])
    # without its distortion the border of the image lies further out
    centre = np.array([500, 400])
    further = np.linalg.norm(r.kp[:, 0] - centre, axis=-1) - np.linalg.norm(plain.kp[:, 0] - centre, axis=-1)
    assert np.nanmin(further) > -1e-3 and np.nanmean(further) > 3
    b = next(RecordedViews([r]).epoch(0).batches(5, sampling=Sampling(intrinsics=True)))
    assert b.K.shape == (5, 3, 3, 3) and torch.isnan(b.K[:, 2]).all()


def test_views_with_several_people_are_left_out(tmp_path):
    person = np.zeros((12, 3), int)
    stamp = 5 + np.repeat(np.arange(6), 2) / 25
    kp = RNG(0).uniform(100, 900, (12, 3, 17, 2))
    kp[1::2, :2] = np.nan                                  # the second person is seen by the last camera only
    person[1::2] = 1
    r, = read_archives(archive(tmp_path / 'a.npz', keypoints=kp, stamp=stamp, person=person))
    assert len(r) == 6 and (r.conf[:, :2] > 0).all() and (r.conf[:, 2] == 0).all()
    assert '6 of 18 views hold several people' in r.notes[-1]
    kp[1::2] = kp[::2] + 50
    with raises(TrainingError, 'nobody to learn from in 6 instants', place=tmp_path / 'a.npz'):
        read_archives(archive(tmp_path / 'a.npz', keypoints=kp, stamp=stamp, person=person))


@pytest.mark.parametrize(('changes', 'sentence'), [
    ({'keypoints': None}, 'keypoints is missing'), ({'stamp': np.zeros(12)}, 'same stamp'),
    ({'keypoints': np.zeros((12, 3, 17, 3))}, 'must have shape'),
])
def test_bad_archive(tmp_path, changes, sentence):
    with raises(TrainingError, sentence, place=tmp_path / 'a.npz'):
        read_archives(archive(tmp_path / 'a.npz', **changes))


def test_what_the_check_of_recordings_finds(tmp_path):
    """As `selfpose reconstruct`: refused, or without the camera that is on another clock, with a note."""
    kp = RNG(1).uniform(100, 700, (20, 3, 17, 2))
    good, = read_archives(archive(tmp_path / 'a.npz', T=20, keypoints=kp))
    assert good.views == 3 and good.notes == ()
    with raises(TrainingError, 'joints lie outside of 300x200 px', place=tmp_path / 'a.npz'):
        read_archives(archive(tmp_path / 'a.npz', T=20, keypoints=kp, image_size=np.tile([300, 200], (3, 1))))
    stamp = 5 + np.arange(20)[:, None] / 25 + np.array([0, 0, 1e6])
    r, = read_archives(archive(tmp_path / 'a.npz', T=20, keypoints=kp, stamp=stamp))
    assert r.views == 2 and len(r) == 20 and np.allclose(r.kp, kp[:, :2], atol=1e-3)
    assert r.notes[0].endswith('cam3 is left out') and np.allclose(r.stamp, stamp[:, 0])


def test_bag_of_keypoints(tmp_path):
    K = np.array([[500., 0, 320], [0, 500, 240], [0, 0, 1]])
    rng = RNG(0)
    kp = rng.uniform(50, 400, (20, 2, 1, 17, 2))
    views = [View2D(c, 100 + i / 10, kp[i, v], np.full((1, 17), .5), (640, 480), intrinsics=k)
             for i in range(20) for v, (c, k) in enumerate((('left', Intrinsics(K)), ('right', None)))]
    write_bag(tmp_path / 'b', Recording.of('r', ('left', 'right'), views))
    r = read_training_bag(tmp_path / 'b', subject='me')
    assert len(r) == 20 and r.subject == 'me' and np.allclose(r.kp, kp[:, :, 0], atol=1e-3)
    assert np.allclose(r.K[0], K) and np.isnan(r.K[1]).all() and r.image_size.tolist() == [[640, 480]] * 2
    assert np.allclose(np.diff(r.stamp), .1, atol=1e-6)
    assert len(open_data(tmp_path / 'b')) == 20


def test_bag_of_images_needs_a_network(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        for i in range(3):
            bag.image('cam1', i / 10, np.full((48, 64, 3), 99, np.uint8))
    with raises(TrainingError, 'holds images, no keypoints', place=tmp_path / 'b'):
        read_training_bag(tmp_path / 'b')


def test_not_a_bag(tmp_path):
    (tmp_path / 'metadata.yaml').write_text('rosbag2_bagfile_information: {}')
    with raises(TrainingError, place=tmp_path):
        read_training_bag(tmp_path)


def test_pause_cuts_windows():
    stamp = np.arange(40) / 25
    stamp[25:] += 3
    e = RecordedViews([recording(stamp=stamp), recording(seed=1)]).epoch(0)
    assert e.start.tolist() == [0, 25, 40, 80]


@pytest.mark.parametrize('rate', [10, 25, 50])
def test_windows_hold_the_moments_of_the_interval_at_every_rate(rate: int):
    data = RecordedViews([recording(60, stamp=np.arange(60) / rate),
                          recording(30, seed=1, stamp=9 + np.arange(30) / 25)])
    assert data.interval_s == pytest.approx(1 / rate)
    e = data.epoch(0)
    where = {e.kp[i].tobytes(): i for i in range(len(e))}
    b = next(e.batches(90, sampling=Sampling(ordered=True, interval_s=.1), frames=4))
    for now in (0, 3, 20, 59, 60, 70, 89):
        moments = e.stamp[[where[px.numpy().tobytes()] for px in b.past_px[now]]]
        wanted = np.maximum(e.stamp[now] - [.3, .2, .1, 0], e.stamp[e.start[e.clip[now]]])
        assert np.abs(moments - wanted).max() <= .5 / min(rate, 25) + 1e-9 and moments[-1] == e.stamp[now]


def test_rigs_and_subjects():
    a, b = (recording(seed=i, subject='s', rig='room') for i in (0, 1))
    c = recording(seed=2, subject='s', moving=True)
    e = RecordedViews([a, c, b]).epoch(0)
    assert set(e.subj) == {0} and set(e.rig[:40]) == set(e.rig[80:]) and len(set(e.rig[:40])) == 1
    assert len(set(e.rig[40:80])) == 40 and not set(e.rig[40:80]) & set(e.rig[:40])


def test_cameras_that_move():
    r = recording()
    R, t, K = (np.repeat(x[None], 40, 0).copy() for x in (r.R, r.t, r.K))
    K[:, :, 0, 0] += np.arange(40)[:, None]
    conf = r.conf.copy()
    conf[5, 2] = 0
    R[5, 2] = np.nan                                       # this camera was not there then
    m = dataclasses.replace(r, R=R, t=t, K=K, conf=conf, moving=True)
    b = next(RecordedViews([m]).epoch(0).batches(40, sampling=Sampling(ordered=True, truth=True, intrinsics=True)))
    assert np.allclose(b.K[:, 0, 0, 0], 900 + np.arange(40)) and not b.view_mask[5, 2] and b.view_mask.sum() == 159
    assert torch.isfinite(b.X_sigma).all() and torch.isfinite(b.R).all()
    cut = m.part(.5, 1)
    assert len(cut) == 20 and np.array_equal(cut.K, K[20:]) and np.array_equal(cut.X, m.X[20:])


def test_truth_where_it_is_known():
    X = recording().X.copy()
    X[3, 4] = np.nan
    R = recording().R.copy()
    R[1] = np.nan
    data = RecordedViews([recording(X=X), recording(seed=1, X=None, K=None), recording(seed=2, R=R)])
    b = next(data.epoch(0).batches(120, sampling=Sampling(ordered=True, truth=True, intrinsics=True)))
    known = torch.isfinite(b.X_sigma)
    assert not known[3, 4] and known[:40].sum() == 40 * 17 - 1
    assert not known[40:80].any() and torch.isnan(b.K[40:80]).all()
    assert not known[80:].any()                            # its camera's rotation is not known
    assert torch.isfinite(b.X).all() and torch.isfinite(b.R).all() and torch.isfinite(b.t).all()


def test_mirror_shows_one_mirrored_person():
    data = RecordedViews([recording()])
    drawn = (Sampling(ordered=True, truth=True, intrinsics=True, mirror=m) for m in (0., 1.))
    plain, flipped = (next(data.epoch(0).batches(40, sampling=s, frames=3)) for s in drawn)
    assert torch.allclose(flipped.kp_px[..., 0], 999 - plain.kp_px[:, :, list(MIRROR), 0])
    assert torch.allclose(flipped.conf, plain.conf[:, :, list(MIRROR)])
    assert torch.equal(flipped.past_px[:, -1], flipped.kp_px) and torch.equal(flipped.past_conf[:, -1], flipped.conf)
    for b in (plain, flipped):
        x = torch.einsum('bvij,bkj->bvki', b.R, b.X) + b.t[:, :, None]
        h = torch.einsum('bvij,bvkj->bvki', b.K, x)
        assert torch.allclose(h[..., :2] / h[..., 2:], b.kp_px, atol=.05)
        assert torch.allclose(torch.linalg.det(b.R), torch.ones(40, 4), atol=1e-4)
    half = next(data.epoch(0).batches(40, sampling=Sampling(ordered=True, mirror=.5)))
    same = (half.kp_px == plain.kp_px).all(-1).all(-1).all(-1)
    assert 8 < same.sum() < 32


def test_frames_of_a_rig_are_mirrored_together():
    data = RecordedViews([recording(seed=k) for k in range(8)])
    plain = next(data.epoch(0).batches(320, sampling=Sampling(ordered=True)))
    half = next(data.epoch(0).batches(320, sampling=Sampling(ordered=True, mirror=.5, per_rig=4)))
    same = (half.kp_px == plain.kp_px).all(-1).all(-1).all(-1)
    turned = {int(r): same[half.rig == r].float().mean().item() for r in half.rig.unique()}
    assert len(turned) == 8 and set(turned.values()) == {0., 1.}


def test_unsure_joints_are_dropped_first():
    r = recording(T=400)
    b = next(RecordedViews([r]).epoch(0).batches(400, sampling=Sampling(ordered=True, drop_joints=.1), frames=4))
    gone = (b.conf == 0) & torch.from_numpy(r.conf > 0)
    assert .08 < gone.float().mean() < .12
    low, high = torch.from_numpy(r.conf < .4), torch.from_numpy(r.conf > .8)
    assert gone[low].float().mean() > 3 * gone[high].float().mean()
    assert (b.past_conf.transpose(1, 2)[gone[:, :, None].expand(-1, -1, 4, -1)] == 0).all()


@pytest.mark.parametrize(('changes', 'sentence'), [
    ({'conf': np.ones((40, 4, 16))}, 'conf must have shape'), ({'stamp': np.zeros(40)}, 'stamps must rise'),
    ({'t': None}, 'R without t'), ({'K': np.eye(3)}, 'K must have shape'),
])
def test_bad_recording(changes, sentence):
    with pytest.raises(TrainingError, match=f'r0: {sentence}'):
        recording(**changes)


def test_nothing_to_learn_from():
    with pytest.raises(TrainingError, match='no recording'):
        RecordedViews([])
    with pytest.raises(TrainingError, match='nothing between'):
        recording().part(.5, .5)


# ---------------------------------------------------------------- measured noise

def people(T=300, V=4, seed=0, growth=0.):
    """True pixels of people of different sizes, what was seen of them, and the confidences; side 1000 px."""
    rng = RNG(seed)
    body = rng.normal(0, 1, (17, 2))
    size = np.exp(rng.uniform(-.6, .6, (T, V))) * 60
    true = 500 + body * size[..., None, None]
    conf = rng.uniform(.3, 1, (T, V, 17))
    error = rng.normal(size=(T, V, 17, 2)) * np.array([4, 9])         # wider than high
    error[:, :, 5] *= 3
    return true, true + error * (size ** growth / 60 ** growth)[..., None, None], conf


@pytest.mark.parametrize('growth', [0., 1.])
def test_measured_noise_is_replayed(growth):
    true, seen, conf = people(growth=growth)
    conf[:, :, 9] = np.where(RNG(3).random((300, 4)) < .2, 0, conf[:, :, 9])
    tracks = measure(seen, true, conf, np.full((4, 2), 1000))
    assert abs(tracks.power - growth) < .1 and np.isnan(tracks.border) and len(tracks.start) == 5
    other, _, _ = people(seed=7)
    px, c = MeasuredNoise(tracks, mirror=False).observe(RNG(0), other, np.array([0, 100, 300]), 1000.)
    size = body_size(other) / body_size(true).mean()
    error = (px - other) / (size ** growth)[..., None, None]
    real = (seen - true) / ((body_size(true) / body_size(true).mean()) ** growth)[..., None, None]
    for j in (0, 5, 9):
        use = c[:, :, j] > 0
        assert np.allclose(error[use][:, j].std(0), real[:, :, j].reshape(-1, 2).std(0), rtol=.15)
    assert abs((c[:, :, 9] == 0).mean() - .2) < .05 and (px[c == 0] == 0).all()
    assert np.allclose(np.percentile(c[:, :, 3], [10, 50, 90]), np.percentile(conf[:, :, 3], [10, 50, 90]), atol=.05)


def test_errors_keep_their_order_in_time():
    true = np.full((200, 1, 17, 2), 500.) + RNG(0).normal(0, 80, (17, 2))
    seen = true + np.arange(200)[:, None, None, None] / 10
    tracks = measure(seen, true, np.ones((200, 1, 17)), np.full((1, 2), 1000), power=1.)
    px, _ = MeasuredNoise(tracks, mirror=False).observe(RNG(1), np.repeat(true[:50].astype(np.float32), 3, 1),
                                                        np.array([0, 30, 50]), 1000.)
    frame = np.rint((px - true[:50])[:, :, 0, 0] * 10).astype(int)
    step = np.diff(frame, axis=0)
    inside = np.delete(step, 29, axis=0)
    assert ((inside == 1) | (frame[1:][np.arange(49) != 29] < 200 * (np.delete(frame[:-1], 29, 0) == 199))).all()
    assert (step[29] != 1).all() and len(set(frame[0])) == 3           # another place for every view and clip


def test_mirrored_tracks():
    error = np.zeros((50, 17, 2), np.float32)
    error[:, 1] = .5, .1                                   # the right hip is seen too far to the right, and too low
    tracks = ErrorTracks(error, np.ones((50, 17), np.float32), np.array([0, 50]))
    true = np.repeat(500 + RNG(0).normal(0, 80, (1, 1, 17, 2)), 400, 0).astype(np.float32)
    px, _ = MeasuredNoise(tracks).observe(RNG(0), true, np.arange(401), 1000.)
    off = (px - true)[:, 0] / body_size(true)[0, 0]
    right, left = np.abs(off[:, 1]).max(-1) > .1, np.abs(off[:, 4]).max(-1) > .1
    assert (right ^ left).all() and 150 < right.sum() < 250
    assert np.allclose(off[left][:, 4], [-.5, .1], atol=1e-3) and np.allclose(off[right][:, 1], [.5, .1], atol=1e-3)


def test_clipping_network():
    """Joints beyond the border are reported on it, unsure: found out, not taken for errors, done the same way."""
    true, seen, conf = people()
    true, seen = true + [430, 0], seen + [430, 0]
    out = (seen > 999).any(-1)
    seen[out, 1] += 200
    conf = np.where(out, .25 * conf, conf)
    tracks = measure(np.clip(seen, 0, 999), true, conf, np.full((4, 2), 1000), power=0.)
    assert abs(tracks.border - .25) < .02
    assert np.abs(tracks.error).max() < 130                # none of those on the border is taken for an error
    px, c = MeasuredNoise(tracks).observe(RNG(0), true.astype(np.float32), np.array([0, 300]), 1000.)
    there = (px == 999).any(-1)
    assert abs(there.mean() - out.mean()) < .03 and c[there].mean() < .3 * c[~there].mean()
    # a network that reports nothing there
    px, c = MeasuredNoise(dataclasses.replace(tracks, border=float('nan'))).observe(
        RNG(0), true.astype(np.float32), np.array([0, 300]), 1000.)
    assert (c == 0).mean() > .9 * out.mean() and px.max() <= 999


def test_seen_but_not_expected():
    """A joint without expected place keeps its confidence, and gets an error from those of like confidence."""
    true, seen, conf = people()
    seen = true + (1.2 - conf)[..., None] * 20
    expected = true.copy()
    expected[:150, :, 12] = np.nan
    tracks = measure(seen, expected, conf, np.full((4, 2), 1000), power=0.)
    error, c = tracks.error.reshape(4, 300, 17, 2)[:, :150, 12, 0], tracks.conf.reshape(4, 300, 17)[:, :150, 12]
    assert np.allclose(c, conf[:150, :, 12].T) and np.abs(error - (1.2 - c) * 20).max() < 1.


def test_tracks_on_disk_and_together(tmp_path):
    true, seen, conf = people(T=50)
    a = measure(seen, true, conf, np.full((4, 2), 1000), power=1.)
    a.save(tmp_path / 'noise.npz')
    b = ErrorTracks.load(tmp_path / 'noise.npz')
    assert np.array_equal(a.error, b.error) and np.array_equal(a.start, b.start) and b.power == 1
    both = ErrorTracks.joined([a, b])
    assert both.start.tolist() == [0, 50, 100, 150, 200, 250, 300, 350, 400] and len(both.error) == 400
    with pytest.raises(TrainingError, match='powers from 0.5 to 1'):
        ErrorTracks.joined([a, dataclasses.replace(b, power=.5)])
    (tmp_path / 'noise.npz').write_bytes(b'')
    with raises(TrainingError, place=tmp_path / 'noise.npz'):
        ErrorTracks.load(tmp_path / 'noise.npz')


def test_too_little_to_measure():
    true, seen, conf = people(T=50)
    true[:, :, 6] = np.nan
    with pytest.raises(TrainingError, match='joint 6 was both seen and expected in fewer than 10'):
        measure(seen, true, conf, np.full((4, 2), 1000))
    with pytest.raises(TrainingError, match=r'expected \(T, V, 17, 2\)'):
        measure(seen[:, :2], true, conf, np.full((4, 2), 1000))


def test_measured_noise_in_motion_views():
    true, seen, conf = people()
    tracks = measure(seen, true, conf, np.full((4, 2), 1000))
    poses = Poses(np.tile(RNG(0).normal(0, .3, (1, 17, 3)) + [0, 0, 1], (80, 1, 1)), [0, 80])
    m = MotionViews(poses, noise=MeasuredNoise(tracks))
    e, f = m.epoch(0), m.epoch(1)
    assert np.isfinite(e.kp).all() and 5 < np.diff(e.kp, axis=0).std() < 60 and not np.allclose(e.kp, f.kp)
