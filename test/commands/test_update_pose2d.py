# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose update --what pose2d`: what cameras agree on is learned by a 2D network, and checked on held-out time."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from model_folder import write_lifter

pytest.importorskip('torch', reason='the training needs torch: pip install selfpose_ros[training]')
import onnx
from bags import ViewBag

from selfpose_ros import cli
from selfpose_ros.core.camera import project
from selfpose_ros.core.observation import Skeleton3D, View2D
from selfpose_ros.core.result import Skeletons
from selfpose_ros.core.rig import Rig
from selfpose_ros.inference.pose2d import make_pose2d
from selfpose_ros.io.recording import Recording
from selfpose_ros.models.card import sha256_of
from selfpose_ros.models.store import open_model
from selfpose_ros.synthetic import observe, ring_rig, walker
from selfpose_ros.synthetic.renderer import VirtualCamera
from selfpose_training.export.reader import read_pose2d
from selfpose_training.update.image_labels import key_of, labels_of, split_images

FPS, SECONDS, SEED, SIZE = 6., 8., 3, (160, 160)


def people() -> tuple[np.ndarray, Rig]:
    """Somebody who moves about (T, 17, 3) m, and three cameras."""
    rig = ring_rig(3, SEED, distance_m=(2.6, 3.2), focal_px=(120., 150.), image_size=SIZE)
    return walker(SECONDS, FPS, SEED, 'mixed'), rig


def write(path: Path, images: bool = True) -> Path:
    X, rig = people()
    views = observe(X, rig, FPS, SEED, noise_px=.5)
    rooms = {c: VirtualCamera(rig.K[v], rig.R[v], rig.t[v], SIZE, v) for v, c in enumerate(rig.cameras)}
    with ViewBag(path) as bag:
        for view in views:
            bag.view(view)
            if images:
                bag.image(view.camera, view.stamp, rooms[view.camera].image([X[round(view.stamp * FPS) % len(X)]]),
                          jpeg_quality=90)
    return path


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp('recorded') / 'bag')


@pytest.fixture(scope='module')
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`rendered_pose` with noise on its weights, and without a detector."""
    folder, rng = tmp_path_factory.mktemp('parents') / 'spoiled', np.random.default_rng(1)
    folder.mkdir()
    graph = onnx.load(str(open_model('rendered_pose').file))
    for i in graph.graph.initializer:
        w = onnx.numpy_helper.to_array(i)
        if w.ndim > 1:
            noise = (.4 * w.std() * rng.normal(size=w.shape)).astype(w.dtype)
            i.CopyFrom(onnx.numpy_helper.from_array(w + noise, i.name))
    onnx.save(graph, str(folder / 'model.onnx'))
    card = open_model('rendered_pose').card.everything
    card = {k: v for k, v in card.items() if k not in ('detector', 'accuracy')}
    (folder / 'card.yaml').write_text(yaml.safe_dump(
        card | {'name': 'spoiled', 'sha256': sha256_of(folder / 'model.onnx')}))
    return folder


def update(*arguments: object) -> int:
    return cli.main(['update', *map(str, arguments), '--what', 'pose2d', '--threads', '1', '--device', 'cpu',
                     '--quiet'])


def test_a_network_learns_from_a_bag_with_images_and_is_better_on_time_that_it_never_saw(
        bag: Path, spoiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p.name: p.read_bytes() for p in spoiled.iterdir()}
    assert update(bag, '--parent', spoiled, '-o', tmp_path / 'out', '--store', tmp_path / 'store', '--name', 'mine',
                  '--held-out', '.35', '--set', 'steps=30', '--set', 'batch=8', '--set', 'rehearsal=0.1',
                  '--set', 'warmup=5', '--set', 'ema=0', '--set', 'val_samples=8', '--json') == 0
    report = json.loads(capsys.readouterr().out)
    assert report['decision'] == 'promoted' and report['comparison']['unit'] == '%'
    for figure in report['comparison']['changes'].values():
        assert figure['after'] < .8 * figure['before'] and figure['high'] < 0
    assert {p.name: p.read_bytes() for p in spoiled.iterdir()} == before, 'the parent is as it was'
    card = yaml.safe_load((tmp_path / 'out' / 'model' / 'card.yaml').read_text())
    assert card['parent']['name'] == 'spoiled' and card['trained_on'][-1]['sha256'] == report['recordings'][0]['sha256']
    assert card['metrics']['held_out_percent']['after']['missed_20'] < 60
    assert 'missed' in (tmp_path / 'out' / 'report.html').read_text().lower()
    # the truth, which nobody was shown, by the child in the store; and it can be learned from again
    off = [true_error(bag, m) for m in (spoiled, tmp_path / 'store' / 'mine')]
    assert off[1] < .8 * off[0], off
    assert read_pose2d(open_model(tmp_path / 'store' / 'mine')).size == (144, 192)
    assert cli.main(['model', 'history', str(tmp_path / 'store'), 'mine']) == 0
    assert 'MISSED-20' in capsys.readouterr().out


def true_error(bag: Path, model: Path) -> float:
    """Mean distance in px from the truth in the last images, 40 at most and for who is not found."""
    X, rig = people()
    off = []
    for v in range(3):
        room, network = VirtualCamera(rig.K[v], rig.R[v], rig.t[v], SIZE, v), make_pose2d(str(model))
        for x in X[-12:]:
            found = network.infer(room.image([x])).keypoints
            d = np.linalg.norm(found[:1] - project(x, rig.K[v], rig.R[v], rig.t[v]), axis=-1) if len(found) else 40.
            off.append(float(np.minimum(np.nan_to_num(d, nan=40.), 40.).mean()))
    return float(np.mean(off))


@pytest.mark.parametrize('make, message', [
    (lambda d, bag: ([write(d / 'b', images=False)], 'rendered_pose'), 'no images in it'),
    (lambda d, bag: ([archive(d / 'a.npz')], 'rendered_pose'), 'archive files hold no images'),
    (lambda d, bag: ([bag], write_lifter(d / 'm')), 'is no 2D network that selfpose train pose2d made'),
    (lambda d, bag: ([bag], 'rendered_detector'), 'is no 2D network that selfpose train pose2d made'),
    (lambda d, bag: ([bag, '--most-minutes', 1], 'rendered_pose'), '--most-minutes is for lifters'),
    (lambda d, bag: ([bag, '--set', 'rehearsal=-1'], 'rendered_pose'), 'setting rehearsal must be 0 or more'),
])
def test_what_does_not_fit_is_refused(make, message: str, bag: Path, tmp_path: Path,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    arguments, parent = make(tmp_path, bag)
    assert update(*arguments, '--parent', parent, '-o', tmp_path / 'out') == 2
    assert message in ' '.join(capsys.readouterr().err.split())
    assert not (tmp_path / 'out').exists()


def archive(path: Path) -> Path:
    np.savez(path, keypoints=np.zeros((3, 2, 17, 2)))
    return path


@pytest.mark.parametrize('seconds, message', [
    (SECONDS, 'one: 1 camera(s) saw a person: a rig needs two'), (4., 'are too few to learn from one part')])
def test_a_recording_without_level_3_or_of_a_moment_teaches_nothing(seconds: float, message: str) -> None:
    X, rig = people()
    views = [v for v in observe(X, rig, FPS, SEED) if v.camera == 'cam1' and v.stamp < seconds]
    found = split_images(Recording.of('one', ['cam1'], views), .35)
    assert isinstance(found, str) and message in found


def test_labels_leave_out_what_is_unsure_hidden_or_seen_elsewhere() -> None:
    X, rig = people()
    x, sigma = X[10], np.full(17, .01)
    sigma[4] = .3                                          # unsure
    px = project(x, rig.K[0], rig.R[0], rig.t[0])
    confidence, seen = np.full(17, .9), px.copy()
    confidence[6], seen[13] = .1, seen[13] + 60.           # hidden; seen elsewhere
    view = View2D('cam1', 1.04, seen[None], confidence[None], SIZE)
    person = [[Skeleton3D(1, t, x, sigma, np.ones(17), np.full(17, 3), 3)] for t in (1., 1.1)]
    result = Skeletons.of([1., 1.1], person, rig.cameras, rig)
    label, = labels_of(result, [view])[key_of('cam1', 1.04)]
    inside = ((px >= 0) & (px < SIZE)).all(-1)
    assert np.allclose(label.points, px, atol=1e-6) and inside.sum() > 12
    assert np.flatnonzero(inside & (label.weight == 0)).tolist() == [j for j in (4, 6, 13) if inside[j]]
    # somebody whom nothing in the image shows, and an instant between two that are too far apart, give nothing
    assert not labels_of(result, [View2D('cam1', 1.04, seen[None] + 90., confidence[None], SIZE)])
    apart = Skeletons.of([1., 2.], person, rig.cameras, rig)
    assert not labels_of(apart, [View2D('cam1', 1.5, seen[None], confidence[None], SIZE)])
