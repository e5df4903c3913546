# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Learning from recordings: what is better is promoted, what is not is refused, held-out time is never learned from."""
from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from raising import raises
from scipy.spatial.transform import Rotation

pytest.importorskip('torch', reason='the training needs torch: pip install selfpose_ros[training]')
import torch

from selfpose_ros.core.errors import SelfposeError
from selfpose_ros.core.skeleton import BONES, MIRROR
from selfpose_ros.inference.lifter import open_lifter
from selfpose_ros.io.recording import Recording
from selfpose_ros.models.card import sha256_of
from selfpose_ros.models.store import open_model, versions
from selfpose_ros.synthetic import observe, ring_rig, walker
from selfpose_ros.synthetic.network2d import Network2D
from selfpose_training import metrics
from selfpose_training.data.archives import recorded
from selfpose_training.data.arrays import EpochArrays, Sampling
from selfpose_training.data.mixture import Mixture, Part
from selfpose_training.data.motion import MotionViews, Poses
from selfpose_training.data.recordings import Recorded
from selfpose_training.errors import SettingError, TrainingError
from selfpose_training.export.lifter import export_model
from selfpose_training.methods.fine_tune import FineTuning
from selfpose_training.methods.system import System
from selfpose_training.networks import Lifter
from selfpose_training.trainer.display import Display
from selfpose_training.trainer.fit import fit
from selfpose_training.update import update as updating
from selfpose_training.update.comparison import Change, Comparison, _interval, compare
from selfpose_training.update.rehearsal import rehearsal
from selfpose_training.update.split import LabelledDataSet, SplitRecording, split_recording
from selfpose_training.update.update import Given, Report, Request, update
from selfpose_training.update.variety import STILL_M, variety

FPS, SECONDS, SEED = 8., 18., 3
IN_ORDER = Sampling(truth=True, ordered=True)
NETWORK = {'width': 64, 'common': 1, 'branch': 1, 'threads': 1, 'warmup': 20, 'lr': 2e-3, 'evaluate_every': 100}
QUIET = Display(quiet=True)


@lru_cache
def scene() -> tuple[np.ndarray, Recording]:
    """Truth (T, 17, 3) m and what three cameras recorded."""
    X, rig = walker(SECONDS, FPS, SEED, 'mixed'), ring_rig(3, SEED)
    return X, Recording.of('scene', rig.cameras, observe(X, rig, FPS, SEED, noise_px=4.))


@lru_cache
def parted() -> SplitRecording:
    found = split_recording(recorded(scene()[1], 'scene'), .3)
    assert isinstance(found, SplitRecording), found
    return found


@lru_cache
def novice() -> Lifter:
    """A lifter that was trained for a few hundred steps on other people."""
    clips = [walker(6., FPS, 70 + k, 'exercise') for k in range(8)]
    poses = Poses(np.concatenate(clips).astype(np.float32), np.cumsum([0, *map(len, clips)]), FPS)
    return _trained(MotionViews(poses, seed=1), 300)


@lru_cache
def expert() -> Lifter:
    """One that was told the very poses of the time that is held out."""
    return _trained(LabelledDataSet([parted().held_out, parted().training]), 450, ema=0., mirror=0.)


def _trained(data: object, steps: int, **more: float) -> Lifter:
    with tempfile.TemporaryDirectory() as folder:
        return fit(System(), data, Path(folder) / 'run', {**NETWORK, 'steps': steps, 'val_samples': 64, **more},
                   device='cpu').network


@pytest.fixture
def once_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrating the scene twice takes seconds, and comes to the same again."""
    monkeypatch.setattr(updating, 'split_recording', lambda recording, held_out: parted())


@pytest.fixture(scope='module')
def parents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model folders."""
    folder = tmp_path_factory.mktemp('parents')
    for name, network in (('novice', novice()), ('expert', expert())):
        export_model(network, folder / name, {'name': name, 'licence': 'CC0-1.0', 'trained_on': [
            {'name': 'walkers', 'sha256': '1' * 64, 'licence': 'CC0-1.0'}]})
    return {name: folder / name for name in ('novice', 'expert')}


def given(folder: Path, recording: Recording | None = None) -> Given:
    (folder / 'file').write_text('what was recorded')
    return Given('scene', (folder / 'file',), lambda: recording or scene()[1])


def learn(request: Request, **more: object) -> Report:
    changes = {'steps': 250, 'threads': 1, 'lr': 1e-3, 'warmup': 20, **more}
    return update(dataclasses.replace(request, changes=changes, device='cpu'), QUIET)


# -- the whole of it --------------------------------------------------------------------------------------------------

def test_a_better_child_is_promoted_and_is_nearer_to_the_truth(parents: dict[str, Path], tmp_path: Path,
                                                               once_split: None) -> None:
    before = {p.name: p.read_bytes() for p in parents['novice'].iterdir()}
    report = learn(Request([given(tmp_path)], parents['novice'], tmp_path / 'out', tmp_path / 'store', 'mine',
                           licence='CC-BY-4.0'))
    assert report.decision == 'promoted' and report.comparison is not None, report.reason
    assert all(c.better and c.after < c.before for c in report.comparison.changes.values())
    assert {p.name: p.read_bytes() for p in parents['novice'].iterdir()} == before, 'the parent is as it was'

    card = open_model(tmp_path / 'out' / 'model').card.everything
    parent = open_model(parents['novice']).card
    assert card['parent'] == {'name': 'novice', 'sha256': parent.sha256} and card['name'] == 'mine'
    figures = card['metrics']['held_out_mm']
    for k, c in report.comparison.changes.items():
        assert (figures['before'][k], figures['after'][k]) == (pytest.approx(c.before), pytest.approx(c.after))
    assert [d['licence'] for d in card['trained_on']] == ['CC0-1.0', 'CC-BY-4.0']
    assert card['trained_on'][1]['sha256'] == report.recordings[0]['sha256'] != '1' * 64
    told = json.loads((tmp_path / 'out' / 'report.json').read_text())
    assert told['decision'] == 'promoted' and told['peak_memory_mb'] == report.peak_memory_mb
    _page_shows(report, (tmp_path / 'out' / 'report.html').read_text(encoding='utf-8'))
    kept = versions(tmp_path / 'store' / 'mine')
    assert kept['current'] == ['0001'] and kept['events'][0]['sha256'] == sha256_of(tmp_path / 'out/model/model.onnx')

    # the truth, which nobody was shown
    old, new = (open_lifter(str(m)) for m in (parents['novice'], tmp_path / 'out' / 'model'))
    assert _true_error(new) < _true_error(old) - .5, 'mm'


def _page_shows(report: Report, page: str) -> None:
    """Every figure and joint stands on it, with five poses, and nothing is fetched from elsewhere."""
    c = report.comparison
    assert c is not None and len(c.joints) == 16
    before, after = np.array(list(c.joints.values())).T
    assert before.mean() == pytest.approx(c.changes['n_mpjpe'].before)
    assert after.mean() == pytest.approx(c.changes['n_mpjpe'].after)
    assert c.by_block.shape == (c.blocks, 2) and (c.by_block[:, 1] < c.by_block[:, 0]).mean() > .7
    gains = [np.linalg.norm(e.after - e.teacher, axis=-1).mean() - np.linalg.norm(e.before - e.teacher, axis=-1).mean()
             for e in c.examples]
    assert gains == sorted(gains) and gains[0] < gains[-1] and len(gains) == 5
    root = ElementTree.fromstring(page.replace('<!DOCTYPE html>', '').replace('<meta charset="utf-8">', ''))
    text = ' '.join(root.itertext())
    assert report.reason in text and all(name in text for name in c.joints)
    assert f'{c.changes["pa_mpjpe"].after:.1f}' in text and f'{report.peak_memory_mb:.0f} MB' in text
    lines = list(root.iter('{http://www.w3.org/2000/svg}line'))
    assert len(lines) == 5 * 2 * 3 * 15                               # examples, sides, poses, bones
    assert 'src=' not in page and 'href=' not in page and '<script' not in page


def _true_error(lifter: object) -> float:
    """Mean PA-MPJPE, mm, of the views of held-out time."""
    from selfpose_ros.core.lifting import lift, pinhole
    X, recording = scene()
    late = [v for v in recording.views if v.stamp >= .7 * SECONDS + 1 and len(v.keypoints)]
    kp, conf = np.stack([v.keypoints[0] for v in late]), np.stack([v.confidence[0] for v in late])
    said = lift(lifter, kp, conf, np.stack([pinhole(None, v.image_size) for v in late]))[0]
    true = 1e3 * np.stack([X[round(v.stamp * FPS)] for v in late])
    return float(metrics.pa_errors(said, true).mean())


def test_a_very_good_parent_stays(parents: dict[str, Path], tmp_path: Path, once_split: None) -> None:
    report = learn(Request([given(tmp_path)], parents['expert'], tmp_path / 'out', tmp_path / 'store', 'mine'))
    assert report.decision == 'refused' and report.model is None
    assert report.reason.startswith(('worse on held-out time', 'not better on held-out time'))
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['report.html', 'report.json']
    assert not (tmp_path / 'store').exists()
    told = json.loads((tmp_path / 'out' / 'report.json').read_text())
    assert told['decision'] == 'refused' and told['comparison']['changes']['pa_mpjpe']['before'] < 60


def test_a_recording_that_contradicts_itself_is_refused(parents: dict[str, Path], tmp_path: Path) -> None:
    """In the time to learn from left and right are exchanged in all views: what it teaches is wrong later."""
    _, good = scene()
    first = .7 * SECONDS - 1.2
    views = [dataclasses.replace(v, keypoints=v.keypoints[:, list(MIRROR)], confidence=v.confidence[:, list(MIRROR)])
             if .4 * first < v.stamp < first else v for v in good.views]
    bad = Recording.of('bad', good.cameras, views)
    report = learn(Request([given(tmp_path, bad)], parents['novice'], tmp_path / 'out'), rehearsal=0.)
    assert report.decision == 'refused', report.reason
    assert not (tmp_path / 'out' / 'model').exists()


def test_stopped_by_hand_it_goes_on_from_the_checkpoint(parents: dict[str, Path], tmp_path: Path, once_split: None,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """And comes to the same child as an update that was never stopped."""
    def stopped(*args: object, **more: object) -> object:
        return dataclasses.replace(fit(*args, **{**more, 'max_minutes': 1e-9}), reason='stopped')  # type: ignore[arg-type]
    request = Request([given(tmp_path)], parents['novice'], tmp_path / 'out')
    whole = learn(dataclasses.replace(request, folder=tmp_path / 'whole'))
    with monkeypatch.context() as patched:
        patched.setattr(updating, 'fit', stopped)
        report = learn(request)
        in_store = learn(dataclasses.replace(request, folder=None, store=tmp_path / 'store', name='mine'))
    assert report.decision == in_store.decision == 'stopped'
    assert report.reason == 'stopped after 1 of 250 steps; the checkpoint is kept, --resume goes on'
    assert in_store.reason == 'stopped after 1 of 250 steps' and not (tmp_path / 'store').exists()
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['run']
    with pytest.raises(TrainingError, match='not an empty folder; choose another one, or go on with --resume'):
        learn(request)
    with pytest.raises(TrainingError, match='expert|other data|differ'):
        learn(dataclasses.replace(request, parent=parents['expert'], resume=True))
    again = learn(dataclasses.replace(request, resume=True))
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['model', 'report.html', 'report.json']
    assert again.comparison is not None and whole.comparison is not None
    for name, c in whole.comparison.changes.items():
        assert again.comparison.changes[name].after == pytest.approx(c.after, abs=1e-3)


def test_of_more_minutes_the_liveliest_are_learned_from(parents: dict[str, Path], tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    split: list[str] = []
    monkeypatch.setattr(updating, 'split_recording', lambda r, share: split.append(r.name) or parted())
    quiet = dataclasses.replace(given(tmp_path), name='quiet', read=lambda: Recording.of('quiet', *_standing()))
    report = learn(Request([quiet, given(tmp_path)], parents['novice'], tmp_path / 'out', most_minutes=.3), steps=5)
    assert split == ['scene'] and [r['name'] for r in report.recordings] == ['scene']
    assert any('s are learned from, in 1 pieces: the liveliest' in n for n in report.notes)


def test_more_memory_than_allowed_ends_it_with_a_word(parents: dict[str, Path], tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    split: list[str] = []
    monkeypatch.setattr(updating, 'split_recording', lambda r, share: split.append(r.name) or parted())
    tight = Request([given(tmp_path)], parents['novice'], tmp_path / 'out', max_memory_mb=5.)
    with raises(TrainingError, r'MB of memory were taken, of 5 MB allowed; .*--most-minutes', place='scene'):
        learn(tight, steps=5)
    assert not split and not (tmp_path / 'out').exists()
    assert learn(dataclasses.replace(tight, max_memory_mb=1e6), steps=5).peak_memory_mb < 1e6 and split == ['scene']


def _standing() -> tuple[Sequence[str], list[object]]:
    """Cameras and views of somebody who does not move."""
    _, recording = scene()
    first = {v.camera: v for v in reversed(recording.views)}
    return recording.cameras, [dataclasses.replace(v, keypoints=first[v.camera].keypoints,
                                                   confidence=first[v.camera].confidence) for v in recording.views]


@pytest.mark.parametrize('there', [None, 'report.json'])
def test_nothing_to_go_on_with(there: str | None, parents: dict[str, Path], tmp_path: Path) -> None:
    if there:
        (tmp_path / 'out').mkdir()
        (tmp_path / 'out' / there).write_text('{}')
    with pytest.raises(TrainingError, match='out: holds no update that was stopped; leave out --resume'):
        learn(Request([given(tmp_path)], parents['novice'], tmp_path / 'out', resume=True))


def test_a_collapse_is_refused_whatever_the_figures(parents: dict[str, Path], tmp_path: Path, once_split: None,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    def collapsed(*args: object, **more: object) -> object:
        return dataclasses.replace(fit(*args, **more), collapsed=['poses are flat'])      # type: ignore[arg-type]
    monkeypatch.setattr(updating, 'fit', collapsed)
    better = Comparison({'n_mpjpe': Change(100, 90, -12, -8), 'pa_mpjpe': Change(80, 70, -12, -8)}, 500, 12, .5)
    assert better.better
    monkeypatch.setattr(updating, 'compared', lambda *given: better)
    report = learn(Request([given(tmp_path)], parents['novice'], tmp_path / 'out'), steps=5)
    assert report.decision == 'refused' and report.reason == 'the training collapsed: poses are flat'


# -- what is learned from ---------------------------------------------------------------------------------------------

def test_nothing_of_the_held_out_time_reaches_the_training() -> None:
    """Whatever happens in it, what is learned from is the same: what was seen to the last bit, and what was solved from
    it to a tenth of a millimetre, since a solve rounds differently now and then.
    """
    r = recorded(scene()[1], 'scene')
    late = r.stamp >= r.stamp[-1] - .3 * (r.stamp[-1] - r.stamp[0]) - 1
    assert .3 < late.mean() < .45
    kp = np.where(late[:, None, None, None], r.kp[::-1] + 17, r.kp)
    other = split_recording(dataclasses.replace(r, kp=kp), .3)
    if isinstance(other, str):                            # the whole of it makes no sense now: not learned from at all
        kp = np.where(late[:, None, None, None], r.kp + np.float32(.5), r.kp)
        other = split_recording(dataclasses.replace(r, kp=kp), .3)
    assert isinstance(other, SplitRecording)
    for name in ('kp', 'conf', 'stamp'):
        np.testing.assert_array_equal(getattr(other.training.views, name), getattr(parted().training.views, name))
    for name in ('X', 'R', 't'):
        np.testing.assert_allclose(getattr(other.training.views, name), getattr(parted().training.views, name),
                                   rtol=0., atol=1e-4)
    assert not np.array_equal(other.held_out.views.kp, parted().held_out.views.kp)
    gap = parted().held_out.views.stamp[0] - parted().training.views.stamp[-1]
    assert gap > 1, 'second'


def test_teachers_poses_lie_where_they_are_seen() -> None:
    batch = next(LabelledDataSet([parted().held_out]).epoch(0).batches(999, sampling=IN_ORDER))
    assert batch.R is not None and batch.X is not None and batch.X_sigma is not None
    true = scene()[0][-batch.samples:]
    known = torch.isfinite(batch.X_sigma).all(1).numpy()
    assert known.mean() > .9
    assert metrics.pa_errors(batch.X.numpy()[known].astype(float), true[known]).mean() < .04, 'm'
    # in camera axes the head is up (y down) and depth differs
    y = batch.truth()
    assert (y[..., 10, 1] < -.3).float().mean() > .95


@pytest.mark.parametrize('change, message', [
    (lambda r: r.at(slice(0, 60)), 'too short to learn from one part and compare on another; record'),
    (lambda r: dataclasses.replace(r, kp=r.kp[:, :1], conf=r.conf[:, :1], image_size=r.image_size[:1]),
     'a single camera; self-calibration needs two or more'),
])
def test_what_teaches_nothing_says_why(change, message: str, parents: dict[str, Path], tmp_path: Path) -> None:
    found = split_recording(change(recorded(scene()[1], 'scene')), .3)
    assert isinstance(found, str) and message in found and '\n' not in found


# -- the parts --------------------------------------------------------------------------------------------------------

def test_the_same_network_is_no_better() -> None:
    views = LabelledDataSet([parted().held_out])
    same = compare(novice(), novice(), views.epoch(0))
    assert not same.better and all(c.before == c.after and c.gain == 0 for c in same.changes.values())
    assert same.poses > 80 and same.blocks >= 6


def test_chance_alone_is_hardly_ever_better() -> None:
    """Networks that differ from the parent by a little noise: no better, but for the few that are by luck."""
    views, promoted = LabelledDataSet([parted().held_out]), 0
    for seed in range(20):
        torch.manual_seed(seed)
        other = FineTuning(novice()).build()
        with torch.no_grad():
            for p in other.parameters():
                p.add_(.01 * p.std() * torch.randn_like(p) if p.numel() > 1 else 0)
        promoted += compare(novice(), other, views.epoch(0)).better
    assert promoted <= 3


def test_little_held_out_time_proves_nothing() -> None:
    held = parted().held_out
    few = dataclasses.replace(held, views=held.views.at(slice(0, 12)), sigma=held.sigma[:12])
    views = LabelledDataSet([few])
    with pytest.raises(TrainingError, match='record longer'):
        compare(novice(), novice(), views.epoch(0))


def test_the_interval_counts_blocks_not_frames() -> None:
    rng = np.random.default_rng(0)
    draws = rng.integers(0, 16, (4000, 16))
    block = np.repeat(np.arange(16), 50)
    constant = _interval(np.full(800, -3.), block, draws)
    assert constant == pytest.approx((-3, -3))
    alone = rng.normal(0, 1, 800)
    together = np.repeat(rng.normal(0, 1, 16), 50)        # as large, but the same within a block
    narrow, wide = (np.ptp(_interval(d, block, draws)) for d in (alone, together))
    assert wide > 4 * narrow
    # it holds the true mean about as often as it says
    hits = 0
    for _ in range(200):
        low, high = _interval(np.repeat(rng.normal(1, 1, 8), 5), np.repeat(np.arange(8), 5),
                              rng.integers(0, 8, (500, 8)))
        hits += low < 1 < high
    assert 180 <= hits <= 199


@pytest.mark.parametrize('n, pa, better', [
    ((100, 90, -12, -8), (80, 70, -12, -8), True),
    ((100, 90, -12, -8), (80, 80.1, -1, 1.2), True),       # no loss
    ((100, 90, -12, -8), (80, 81, .2, 1.8), False),        # a loss, for certain
    ((100, 90, -12, -8), (80, 81, -1, 3), False),          # a loss that may be chance is too large
    ((100, 99, -3, 1), (80, 79, -3, 1), False),            # chance
    ((100, 99.9, -.15, -.05), (80, 79.9, -.15, -.05), False),      # certain, and not worth it
])
def test_what_is_better(n: Sequence[float], pa: Sequence[float], better: bool) -> None:
    c = Comparison({'n_mpjpe': Change(*n), 'pa_mpjpe': Change(*pa)}, 500, 12, .5)
    assert c.better is better
    assert c.reason.startswith('better') is better and f'{n[0]:.1f} -> {n[1]:.1f} mm' in c.reason


def test_somebody_who_stands_in_one_pose_is_refused_however_well_he_calibrates(tmp_path: Path) -> None:
    # he turns and is moved about, so that cameras are found from him, and his pose stays the same
    x, t = walker(1., FPS, SEED)[0], np.arange(80) / 5.
    angle = Rotation.from_rotvec(.5 * t[:, None] * [0, 0, 1]).as_matrix()
    way = np.stack([.3 * np.sin(.3 * t), .3 * np.cos(.4 * t), 0 * t], -1)
    X, rig = (x - x[0] * [1, 1, 0]) @ angle.swapaxes(-1, -2) + way[:, None], ring_rig(3, SEED)
    recording = Recording.of('still', rig.cameras, observe(X, rig, 5., SEED, noise_px=2.))
    with raises(TrainingError, 'somebody stands still in the time to learn from'):
        learn(Request([given(tmp_path, recording)], 'lifter', tmp_path / 'out'))
    assert not (tmp_path / 'out').exists()


def test_variety_is_what_a_body_does_and_not_its_place_its_facing_or_noise() -> None:
    moves, sigma = walker(12., FPS, 5, 'walk'), np.full((96, 17), .02)
    assert variety(moves, 0 * sigma) > 1.5 * STILL_M
    stands = np.repeat(moves[:1], 96, 0)
    turned = stands @ Rotation.from_rotvec(np.linspace(0, 3, 96)[:, None] * [0, 0, 1]).as_matrix() + [2., 1., 0]
    assert variety(turned, 0 * sigma) < 1e-6
    noisy = stands + np.random.default_rng(1).normal(0, .02, stands.shape)
    assert variety(noisy, sigma) < .75 * STILL_M and variety(noisy, 0 * sigma) > .8 * STILL_M
    # a joint that is never known, and rows without hips, do not count
    moves[:, 10], moves[3] = np.nan, np.nan
    assert variety(moves, sigma) > 1.2 * STILL_M
    assert variety(np.full((5, 17, 3), np.nan), np.full((5, 17), np.nan)) == 0


def test_rehearsal_keeps_the_child_near_and_is_nothing_at_the_start() -> None:
    noise = Network2D()
    data = Mixture([Part(LabelledDataSet([parted().training]), 1.), Part(rehearsal(noise, FPS, 1), 1.)])
    batch = next(rehearsal(noise, FPS, 2).batches(0, 256, sampling=Sampling(truth=True)))
    drift = {}
    for weight in (0., 4.):
        method = FineTuning(novice())
        first = method.configure({'rehearsal': weight}).build()
        assert float(method.drift(first, batch).detach()) < 1e-5
        with tempfile.TemporaryDirectory() as folder:
            child = fit(method, data, Path(folder) / 'r', {'steps': 60, 'lr': 2e-3, 'threads': 1, 'warmup': 0,
                                                           'rehearsal': weight}, device='cpu').network
        drift[weight] = float(method.drift(child, batch).detach())
    assert 0 < drift[4.] < .6 * drift[0.]


@pytest.mark.parametrize('share', [0., .25, 1.])
def test_the_child_has_a_share_of_its_parents_weights(share: float, tmp_path: Path) -> None:
    parent, children = novice(), []
    for k, given_share in enumerate((0., share)):
        outcome, _ = updating.learn(parent, [parted()], tmp_path / str(k), {
            'steps': 4, 'lr': 1e-2, 'warmup': 0, 'ema': 0., 'threads': 1, 'parent_share': given_share}, device='cpu')
        children.append(outcome.network)
    for before, learned, kept in zip(parent.parameters(), *(c.parameters() for c in children), strict=True):
        torch.testing.assert_close(kept, share * before + (1 - share) * learned)
    assert any(bool((a != b).any()) for a, b in zip(parent.parameters(), children[0].parameters(), strict=True))
    with raises(SettingError, 'parent_share must be from 0 to 1'):
        FineTuning(parent).configure({'parent_share': 1.5})


def test_rehearsed_people_are_bent_but_whole() -> None:
    arrays = rehearsal(Network2D(), FPS, 1).epoch(0)
    assert arrays.X is not None and arrays.X_sigma is not None and np.isinf(arrays.X_sigma).all()
    bones = np.linalg.norm(np.diff(arrays.X[:, BONES], axis=2)[:, :, 0], axis=-1)
    for a, b in zip(arrays.start[:-1], arrays.start[1:], strict=True):
        assert np.ptp(bones[a:b], axis=0).max() < 2e-3, 'bones keep their lengths, m'
    up = arrays.X[:, 8, 2] - arrays.X[:, 0, 2]
    assert (up < .1).mean() > .02 and (up > .3).mean() > .6, 'some lie, most stand'


@pytest.mark.parametrize('widen', [0., 1.])
def test_an_update_widens_the_motion_that_it_learns_from_when_it_is_asked_to(widen: float) -> None:
    settings = FineTuning(novice()).configure({'widen': widen}).settings
    given = parted()
    source = updating._mixture(updating.joined_labels([given.labels], seed=1), [given], settings).parts[0].source
    size = [np.linalg.norm(e.X[:, 2] - e.X[:, 1], axis=-1) for e in (source.epoch(k) for k in range(4))]
    assert (max(np.abs(s - size[0]).max() for s in size) > 1e-3) == bool(widen)


def test_a_mixture_holds_its_shares_and_repeats_itself() -> None:
    real = LabelledDataSet([parted().training])
    with_k = Recorded('k', real.recordings[0].kp, real.recordings[0].conf, real.recordings[0].stamp,
                      real.recordings[0].image_size, K=np.tile(np.diag([900., 900., 1.]), (3, 1, 1)),
                      R=real.recordings[0].R, t=real.recordings[0].t, X=real.recordings[0].X)
    virtual = rehearsal(Network2D(), FPS, 1)
    known = LabelledDataSet([dataclasses.replace(parted().training, views=with_k)])
    mix = Mixture([Part(known, 3., known_k=True), Part(virtual, 1.)])
    batches = list(mix.batches(4, 32, sampling=Sampling(truth=True, mirror=.5)))
    assert len(batches) == len(mix) // 32 and {b.samples for b in batches} == {32}
    b, again = batches[1], list(mix.batches(4, 32, sampling=Sampling(truth=True, mirror=.5)))[1]
    assert torch.equal(b.kp_px, again.kp_px) and b.X_sigma is not None and b.K is not None
    lost = torch.isinf(b.X_sigma).all(1)
    assert lost.tolist() == [False] * 24 + [True] * 8
    assert b.views == 4 and not b.view_mask[:24, 3].any() and b.view_mask[24:].all()
    assert (b.K[:24, :3, 0, 0] == 900).all() and not b.K[24:].any() and torch.isfinite(b.pinhole).all()
    assert torch.isfinite(b.pose).all() and torch.isfinite(b.truth()).all()
    windows = next(mix.windows(0, 8, 9, sampling=Sampling(truth=True)))
    assert windows.past_pose.shape == (8, 4, 9, 17, 3)
    with pytest.raises(TrainingError, match='give a larger --batch'):
        next(mix.batches(0, 1))
    with pytest.raises(TrainingError, match='share'):
        Mixture([Part(known, 0.), Part(virtual, 1.)])


@pytest.mark.parametrize('change, message', [
    ({'recordings': []}, 'no recording given'),
    ({'store': Path('s')}, '--store and --name go together'),
    ({'folder': None}, 'nowhere to put the model'),
    ({'held_out': .9}, 'held-out share'),
    ({'folder': Path(__file__).parent}, 'exists and is not an empty folder'),
    ({'parent': 'nosuch'}, 'neither a model folder nor a shipped model'),
    ({'changes': {'width': 9}}, 'setting width is not known to update'),
    ({'changes': {'mix': [0, 1, 1]}}, 'setting mix must be three shares'),
])
def test_what_does_not_fit_is_told_before_anything_is_read(change: dict, message: str, parents: dict[str, Path],
                                                           tmp_path: Path) -> None:
    request = Request([given(tmp_path)], parents['novice'], tmp_path / 'out')
    with pytest.raises(SelfposeError, match=message) as told:
        update(dataclasses.replace(request, **change), QUIET)
    assert '\n' not in str(told.value) and not (tmp_path / 'out').exists()


def test_temporal_lifters_learn_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = LabelledDataSet([parted().training])
    temporal = {'body': 'temporal_conv', 'frames': 9, 'width': 32}
    parent = _trained(data, 60, **temporal)               # type: ignore[arg-type]
    assert parent.interval_s == pytest.approx(1 / FPS, rel=.01)
    child = _trained_on(parent, data)
    changes = compare(parent, child, LabelledDataSet([parted().held_out]).epoch(0)).changes
    assert (child.frames, child.interval_s) == (9, parent.interval_s)
    assert changes['n_mpjpe'].after < changes['n_mpjpe'].before


def _trained_on(parent: Lifter, data: object) -> Lifter:
    with tempfile.TemporaryDirectory() as folder:
        return fit(FineTuning(parent), data, Path(folder) / 'r', {'steps': 80, 'threads': 1, 'warmup': 0, 'lr': 1e-3},
                   device='cpu').network


def test_epochs_of_held_out_views_are_in_order_of_time() -> None:
    """The comparison counts on it."""
    views = LabelledDataSet([parted().held_out])
    arrays: EpochArrays = views.epoch(0)
    assert len(arrays) == len(parted().held_out.views) and (np.diff(arrays.stamp) > 0).all()
    np.testing.assert_array_equal(arrays.X_sigma, views.epoch(3).X_sigma)
