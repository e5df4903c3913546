# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose reconstruct`: every kind of source to files and a report; what is wrong is one sentence."""
from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import recorded
from bags import write_bag
from model_folder import write_lifter

from selfpose_ros import cli
from selfpose_ros.commands import reconstruction
from selfpose_ros.core import causal
from selfpose_ros.core.estimator import EstimatorConfig, EstimatorStatus
from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.core.rig import NotSolved
from selfpose_ros.inference.pose2d import People2D
from selfpose_ros.io.archive import read_keypoints
from selfpose_ros.io.recording import Recording
from selfpose_ros.io.skeletons import read_skeletons

ROOT = Path(__file__).resolve().parents[2]


class FakeEstimator:
    """One person whose joints lie at (time, number of views, 0); a rig after three instants."""

    instances: list[FakeEstimator] = []
    world = 1

    def __init__(self, config, lifter=None):
        self.config, self.lifter, self.seen, self.closed = config, lifter, [], False
        self.instances.append(self)

    def update(self, observation):
        self.seen.append(observation)
        level = 3 if len(self.seen) > 3 else 1
        joints = np.tile([observation.stamp, len(observation.views), 0.], (17, 1))
        return [Skeleton3D(1, observation.stamp, joints, np.ones(17), np.ones(17), np.ones(17), level)]

    @property
    def rig(self):
        return recorded.rig(('cam1', 'cam2')) if len(self.seen) > 3 else None

    @property
    def status(self):
        return EstimatorStatus(1, 'collecting', True, rig_reason='too little motion')

    def close(self):
        self.closed = True


@pytest.fixture
def fake(monkeypatch):
    """The estimator above in the place of the real one."""
    FakeEstimator.instances = []
    monkeypatch.setattr(causal, 'Estimator', FakeEstimator)
    return FakeEstimator


def selfpose(*args):
    return cli.main(['reconstruct', '--quiet', *map(str, args)])


def nobody(path, **changes):
    """An archive in which nobody is seen: the real estimator is done with it at once."""
    return recorded.write_archive(path, keypoints=np.full((6, 3, 17, 2), np.nan), **changes)


def test_the_lifter_reaches_the_estimator(tmp_path, fake, capsys):
    source = recorded.write_archive(tmp_path / 'a.npz')
    folder = write_lifter(tmp_path / 'mine')
    for word, more in ((folder, ['--correction']), ('none', [])):
        assert selfpose(source, '-o', tmp_path / 'out', '--lifter', word, *more) == 0
    with_, without = fake.instances
    assert with_.lifter.model.folder == folder and without.lifter is None
    assert with_.config.correction and not without.config.correction
    assert selfpose(source, '-o', tmp_path / 'out', '--lifter', tmp_path / 'nowhere') == 2
    assert 'nowhere' in capsys.readouterr().err and len(fake.instances) == 2


def test_archive_as_a_robot_sees_it(tmp_path, fake, capsys):
    source = recorded.write_archive(tmp_path / 'a.npz')
    assert selfpose(source, '-o', tmp_path / 'out', '--person-height', '1.8', '--baseline', 2,
                    '--baseline-cameras', 'cam1,cam3') == 0
    result = read_skeletons(tmp_path / 'out' / 'a.npz')
    assert np.allclose(result.joints[:, 0, 0, 0], result.stamp) and (result.joints[:, 0, 0, 1] == 3).all()
    assert np.array_equal(result.stamp, np.load(source)['stamp']) and result.rig.cameras == ('cam1', 'cam2')
    (one,) = fake.instances
    assert one.closed and one.config.person_height_m == 1.8 and one.config.baseline_m == 2
    assert one.config.baseline_cameras == ('cam1', 'cam3') and one.config.rig_solver == 'inline'
    out = capsys.readouterr().out
    assert 'a: 3 cameras, 6 instants over 0.2 s, causal' in out and 'self-calibrated 50%, lifted 50%' in out
    assert 'quality 0.80, scale from known height (+-2%)' in out


def test_offline_is_the_two_pass_reconstruction(tmp_path, monkeypatch, capsys):
    def offline(frames, config, progress, lifter):
        progress('solving', .5)
        return [[] for _ in frames], NotSolved('a still person')
    monkeypatch.setattr(reconstruction, 'reconstruct_offline', offline)
    source = recorded.write_archive(tmp_path / 'a.npz')
    assert selfpose(source, '-o', tmp_path / 'r.npz', '--offline', '--json') == 1     # nothing in it: no success
    told = capsys.readouterr()
    (report,) = json.loads(told.out)['recordings']
    assert report['offline'] and report['rig_reason'] == 'a still person' and report['cover'] == 0
    assert report['scale_sigma'] is None and report['levels']['none'] == 1 and report['files'] == [
        str(tmp_path / 'r.npz')]
    assert 'no skeleton in any of 6 instants, the result holds NaN only: a still person' in told.err
    assert np.isnan(read_skeletons(tmp_path / 'r.npz').joints).all()


def test_all_formats_under_one_name(tmp_path, fake):
    source = recorded.write_archive(tmp_path / 'a.npz')
    assert selfpose(source, '-o', tmp_path / 'r.csv', '--format', 'npz,trc') == 0
    assert selfpose(source, '-o', tmp_path / 'r.csv') == 0
    assert sorted(p.name for p in tmp_path.glob('r.*')) == ['r.csv', 'r.npz', 'r.trc']


def test_videos_and_the_keypoints_that_they_leave(tmp_path, fake, monkeypatch):
    monkeypatch.setattr('selfpose_ros.inference.pose2d.make_pose2d', lambda *_: recorded.BrightnessNetwork())
    videos = [recorded.video(tmp_path / f'cam{i}.mp4', 8) for i in (1, 2)]
    ours = '--model', 'rendered_pose'
    assert selfpose(*videos, '-o', tmp_path / 'v.npz', '--keypoints-out', tmp_path / 'k.npz', *ours) == 0
    cached = read_keypoints(tmp_path / 'k.npz')
    assert cached.cameras == ('cam1', 'cam2') and len(cached.views) == 16
    assert selfpose(tmp_path / 'k.npz', '-o', tmp_path / 'again.npz') == 0
    first, again = (read_skeletons(tmp_path / f) for f in ('v.npz', 'again.npz'))
    assert np.array_equal(first.joints, again.joints, equal_nan=True) and np.array_equal(first.stamp, again.stamp)
    assert (first.joints[:, 0, 0, 1] == 2).all()
    assert selfpose(*videos, '-o', tmp_path / 'alone', '--each-alone', *ours) == 0
    assert sorted(p.name for p in (tmp_path / 'alone').iterdir()) == ['cam1.npz', 'cam2.npz']


class Searching(recorded.BrightnessNetwork):
    """One that sees by its second look whoever is expected."""

    name, device = 'searching', 'none'

    def search(self):
        pass

    def look_again(self, image, expected, known, known_confidence):
        return People2D(expected, np.full(expected.shape[:2], .5))

    def reset(self):
        pass


@pytest.fixture
def searching(tmp_path, fake, monkeypatch):
    """Somebody whom the network above misses in one image, and what `selfpose reconstruct` is called with for that."""
    body = recorded.BrightnessNetwork().infer(np.zeros((48, 64, 3), np.uint8)).keypoints[0] + [30., 7.]

    def missed(views, result, late_s, causal):
        assert causal and {len(v.keypoints) for v in views} == {1}
        return {('cam2', views[5].stamp): body[None]}

    monkeypatch.setattr('selfpose_ros.inference.pose2d.make_pose2d', lambda *_: Searching())
    monkeypatch.setattr(reconstruction, 'missed_in', missed)
    videos = [recorded.video(tmp_path / f'cam{i}.mp4', 8) for i in (1, 2)]
    return body, (*videos, '-o', tmp_path / 'v.npz', '--keypoints-out', tmp_path / 'k.npz', '--model', 'rendered_pose')


def test_where_the_rig_expects_somebody_the_images_are_looked_at_again(tmp_path, fake, searching, capsys):
    body, args = searching
    assert selfpose(*args) == 0
    assert 'again:  1 person found by a second look at 1 image, where the rig expects' in capsys.readouterr().out
    views = read_keypoints(tmp_path / 'k.npz').views
    assert [len(v.keypoints) for v in views] == [1 + (v.camera == 'cam2' and v.stamp == views[5].stamp) for v in views]
    assert np.allclose(views[5].keypoints[1], body) and len(fake.instances) == 2
    assert selfpose(*args, '--no-second-look') == 0
    assert 'again' not in capsys.readouterr().out and len(fake.instances) == 3
    assert {len(v.keypoints) for v in read_keypoints(tmp_path / 'k.npz').views} == {1}


@pytest.mark.parametrize(('second', 'counts'), [(.9, .9), (.3, .8), (None, .8)])
def test_of_the_rigs_before_and_after_a_second_look_the_surer_one_counts(tmp_path, fake, searching, monkeypatch,
                                                                         second, counts):
    """With its people: those of the second run are a metre higher here."""
    rigs, update = [.8, second], fake.update

    def rig(self):
        quality = rigs[fake.instances.index(self)]
        return None if quality is None else replace(recorded.rig(('cam1', 'cam2')), quality=quality)

    def higher(self, observation):
        return [replace(p, joints=p.joints + [0., 0., fake.instances.index(self)]) for p in update(self, observation)]

    monkeypatch.setattr(fake, 'rig', property(rig))
    monkeypatch.setattr(fake, 'update', higher)
    assert selfpose(*searching[1]) == 0
    result = read_skeletons(tmp_path / 'v.npz')
    assert len(fake.instances) == 2 and result.rig.quality == counts
    assert (result.joints[:, 0, 0, 2] == (counts == second)).all()


def test_the_check_before_the_solver_is_told_and_refuses(tmp_path, fake, capsys):
    """A camera whose rows are of another clock; an image size that cannot be."""
    arrays = recorded.archive(20)
    stamp = arrays['stamp'][:, None] + np.array([0, 0, 1e6])
    source = tmp_path / 'a.npz'
    np.savez(source, **{**arrays, 'stamp': stamp})
    assert selfpose(source, '-o', tmp_path / 'r.npz', '--json') == 0
    told = capsys.readouterr()
    (report,) = json.loads(told.out)['recordings']
    (found,) = report['findings']
    assert (found['kind'], found['cameras'], found['verdict']) == ('other clock', ['cam3'], 'leave out')
    assert "note: a: cam3's stamps" in told.err and 'cam3 is left out' in told.err
    assert report['instants'] == 20 and {len(i.views) for i in fake.instances[-1].seen} == {2}
    np.savez(source, **{**arrays, 'image_size': np.tile([300, 200], (3, 1))})
    assert selfpose(source, '-o', tmp_path / 'r2.npz', '--keypoints-out', tmp_path / 'k.npz') == 2
    err = capsys.readouterr().err
    assert 'joints lie outside of 300x200 px' in err and err.count('\n') == 1
    assert not (tmp_path / 'r2.npz').exists() and (tmp_path / 'k.npz').exists()


def test_why_there_is_no_rig_is_what_the_check_found(tmp_path, monkeypatch, capsys):
    """Of two cameras of which one has other stamps: nobody has to walk about for that."""
    monkeypatch.setattr(reconstruction, 'reconstruct_offline', lambda frames, *_, **__: (
        [[] for _ in frames], NotSolved('walk where the cameras overlap', {})))
    arrays = recorded.archive(20, V=2)
    rows = {k: np.concatenate([v, v]) for k, v in arrays.items() if k in ('keypoints', 'confidence')}
    rows['keypoints'][20:, 0] = rows['keypoints'][:20, 1] = np.nan
    stamp = np.full((40, 2), np.nan)
    stamp[:20, 0], stamp[20:, 1] = arrays['stamp'], arrays['stamp'] + 1000
    np.savez(tmp_path / 'a.npz', **{**arrays, **rows, 'stamp': stamp})
    assert selfpose(tmp_path / 'a.npz', '-o', tmp_path / 'r.npz', '--offline', '--json') == 1
    (report,) = json.loads(capsys.readouterr().out)['recordings']
    assert report['rig_reason'].startswith("cam2's stamps (1005.0 to 1005.8 s) have no instant in common")
    assert 'walk' not in report['rig_reason']


def test_cameras_that_are_not_part_of_the_rig_are_named(tmp_path, fake, capsys):
    """The rig of the estimator above is of cam1 and cam2."""
    arrays = recorded.archive(20)
    arrays['keypoints'][2:, 2] = np.nan
    np.savez(tmp_path / 'a.npz', **arrays)
    assert selfpose(tmp_path / 'a.npz', '-o', tmp_path / 'r.npz') == 0
    assert 'note: a: cam3: sees somebody in 2 of 20 instants, not part of the rig\n' in capsys.readouterr().err
    recorded.write_archive(tmp_path / 'b.npz')
    assert selfpose(tmp_path / 'b.npz', '-o', tmp_path / 'r.npz') == 0
    assert 'note: b: cam3 is not part of the rig\n' in capsys.readouterr().err


def test_one_camera_is_allowed_and_told(tmp_path, fake, monkeypatch, capsys):
    monkeypatch.setattr('selfpose_ros.inference.pose2d.make_pose2d', lambda *_: recorded.BrightnessNetwork())
    one = recorded.video(tmp_path / 'one.mp4')
    assert selfpose(one, '-o', tmp_path / 'out/', '--model', 'rendered_pose') == 0
    assert (tmp_path / 'out' / 'one.npz').exists()
    assert 'one camera alone gives level 1 (lifted) at most' in capsys.readouterr().err


def test_bag_and_openpose(tmp_path, fake):
    write_bag(tmp_path / 'bag', [recorded.view(c, i / 10) for i in range(5) for c in ('cam1', 'cam2')])
    assert selfpose(tmp_path / 'bag', '-o', tmp_path / 'out', '--topics', '/cam1/keypoints,/cam2/keypoints') == 0
    assert len(read_skeletons(tmp_path / 'out' / 'bag.npz').stamp) == 5
    people = {i: [np.random.default_rng(i).uniform(50, 400, (25, 3))] for i in range(4)}
    folders = [recorded.openpose_folder(tmp_path / 'session' / c, people) for c in ('left', 'right')]
    assert selfpose(*folders, '-o', tmp_path / 'out', '--fps', 10, '--image-size', '640x480,320x240') == 0
    assert read_skeletons(tmp_path / 'out' / 'session.npz').stamp.tolist() == [0, .1, .2, .3]


@pytest.mark.parametrize('jobs', [1, 2])
def test_one_bad_archive_does_not_lose_the_others(tmp_path, jobs, capsys):
    (tmp_path / 'in').mkdir()
    for name in 'ac':
        nobody(tmp_path / 'in' / f'{name}.npz')
    (tmp_path / 'in' / 'b.npz').write_bytes(b'rubbish')
    assert selfpose(tmp_path / 'in', '-o', tmp_path / 'out', '--jobs', jobs, '--json') == 1
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['a.npz', 'c.npz']
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert [r['name'] for r in report['recordings']] == ['a', 'c']
    assert [f['source'] for f in report['failed']] == [str(tmp_path / 'in' / 'b.npz')]
    assert 'b.npz: not a readable npz' in told.err and '1 of 3 recordings failed' in told.err


def test_defect_in_one_recording_does_not_lose_the_others(tmp_path, fake, monkeypatch, capsys):
    for name in 'ab':
        recorded.write_archive(tmp_path / f'{name}.npz')
    real = reconstruction.read_source

    def broken(source, options, progress):
        if source.name == 'a':
            raise KeyError('a defect')
        return real(source, options, progress)
    monkeypatch.setattr(reconstruction, 'read_source', broken)
    assert selfpose(tmp_path / 'a.npz', tmp_path / 'b.npz', '-o', tmp_path / 'out') == 1
    err = capsys.readouterr().err
    assert 'Traceback' in err and "KeyError: 'a defect'; a defect, see the trace above" in err
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['b.npz']


@pytest.mark.parametrize('args, sentence', [
    (['none.npz', '-o', 'out'], 'none.npz: no such file or folder; check the path'),
    (['a.npz'], 'the following arguments are required: -o/--output'),
    (['a.npz', '-o', 'out.fbx'], 'out.fbx: results are npz, csv, trc, c3d, bvh, mot, angles.csv; give such a file'),
    (['a.npz', 'b.npz', '-o', 'one.npz'], 'one.npz: one file for 2 recordings; give a folder ending with /'),
    (['a.npz', '-o', '.'], 'a.npz: the result would overwrite a source; choose another place with -o'),
    (['a.npz', '-o', 'out', '--keypoints-out', 'a.npz'], 'a.npz: the result would overwrite a source'),
    (['a.npz', 'b.npz', '-o', 'out', '--keypoints-out', 'k.npz'], 'k.npz: one file for 2 recordings'),
    (['a.npz', '-o', 'out', '--person-height', '180'], "argument --person-height: '180' must be a number"),
    (['a.npz', '-o', 'out', '--format', 'npz,fbx'], "argument --format: 'npz,fbx': choose from npz, csv, trc"),
    (['a.npz', '-o', 'out', '--image-size', 'big'], "argument --image-size: 'big': give width x height in px"),
    (['a.npz', '-o', 'out', '--jobs', '0'], "argument --jobs: '0' must be a whole number from 1 on"),
    (['a.npz', '-o', 'out', '--joints', 'coco99'], "argument --joints: invalid choice: 'coco99'"),
    (['a.npz', '-o', 'out', '--joints', 'body25'], '17 joints, but the joint set body25 has 25'),
    (['a.npz', '-o', 'out', '--baseline-cameras', 'cam1'], '--baseline-cameras cam1: name two cameras'),
    (['a.npz', '-o', 'out', '--same-lens', 'cam1'], '--same-lens cam1: name two cameras or more'),
    (['a.npz', '-o', 'out', '--same-lens', 'cam1,cam9'], "--same-lens names 'cam9', its cameras are"),
    (['a.npz', '-o', 'out', '--offline', '--correction'], '--correction: what --offline makes knows all instants'),
    (['a.npz', 'v.mp4', '-o', 'out'], 'sources of different kinds'),
    (['v.mp4', '-o', 'out', '--model', 'rendered_pose'], 'v.mp4: not a video that can be opened'),
    (['json', '-o', 'out'], 'json: OpenPose files tell neither frame rate nor image size; give --fps'),
    (['empty', '-o', 'out'], 'empty: a folder without bag, archives'),
    (['a.npz', '-o', 'v.mp4/out.npz'], 'cannot be written'),
    (['a.npz', '-o', 'out', '--keypoints-out', 'v.mp4/k.npz'], 'v.mp4/k.npz: cannot be written'),
    (['a.npz', '-o', 'out', '--keypoints-out', 'empty'], 'empty: is a folder, where a file is to be written'),
    (['picture.jpg', '-o', 'out'], 'picture.jpg: is a picture; give a video of each camera'),
    (['v.mp4', '-o', 'out', '--model', 'v.mp4'], 'v.mp4: is a file, not a model folder; make one of it: selfpose'),
    (['v.mp4', '-o', 'out', '--model', 'blazpose'], 'choose one of: blazepose-full, blazepose-lite'),
])
def test_bad_command_lines_and_files_are_one_sentence_and_status_2(tmp_path, monkeypatch, capsys, fake, args,
                                                                   sentence):
    monkeypatch.chdir(tmp_path)
    for name in 'ab':
        recorded.write_archive(Path(f'{name}.npz'))
    Path('v.mp4').write_bytes(b'no video')
    Path('empty').mkdir()
    Path('picture.jpg').touch()
    recorded.openpose_folder(Path('json'), {0: []})
    before = sorted(Path().iterdir())
    assert selfpose(*args) == 2
    err = capsys.readouterr().err
    assert err.startswith('selfpose reconstruct: error: ') and err.count('\n') == 1 and sentence in err
    assert sorted(p for p in Path().iterdir() if p.name != 'out') == before


@pytest.mark.parametrize('options', [['-o', 'a.txt/out.npz'], ['-o', 'out', '--keypoints-out', 'a.txt/k.npz']])
def test_where_nothing_can_be_written_nothing_is_worked_through(tmp_path, monkeypatch, fake, options):
    """An hour of work was lost at its end."""
    monkeypatch.chdir(tmp_path)
    recorded.write_archive(Path('a.npz'))
    Path('a.txt').touch()
    monkeypatch.setattr(reconstruction, 'run_job', lambda *_: pytest.fail('it was worked through'))
    assert selfpose('a.npz', *options) == 2


def test_nothing_but_the_sentence_reaches_the_terminal(tmp_path):
    (tmp_path / 'v.mp4').write_bytes(b'\x00' * 3000)
    run = subprocess.run([sys.executable, '-m', 'selfpose_ros', 'reconstruct', str(tmp_path / 'v.mp4'), '-o',
                          str(tmp_path / 'out'), '--model', 'rendered_pose'], cwd=ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, '')
    assert run.stderr == (f'selfpose reconstruct: error: {tmp_path}/v.mp4: not a video that can be opened; '
                          'convert it to mp4 or copy it again\n')


def test_recording_that_the_real_estimator_finds_empty(tmp_path, capsys):
    assert selfpose(nobody(tmp_path / 'a.npz'), '-o', tmp_path / 'out', '--format', 'npz,csv,trc') == 1
    assert 'no skeleton in any of 6 instants' in capsys.readouterr().err
    assert len(list((tmp_path / 'out').iterdir())) == 3


def test_skeletons_are_given_at_the_instants_of_the_recording(fake):
    views = [recorded.view(c, i / 25) for i in range(4) for c in ('cam1', 'cam2')]
    result = reconstruction.reconstruct(Recording.of('r', ('cam1', 'cam2'), views), EstimatorConfig())
    assert result.stamp.tolist() == [0, .04, .08, .12] and result.best_level.tolist() == [1, 1, 1, 3]
