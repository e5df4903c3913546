# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rendered pictures and the networks that learn from them: joints where they are drawn, boxes around whom they hold."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from raising import raises

from selfpose_ros.core.camera import project
from selfpose_ros.core.skeleton import MIRROR
from selfpose_ros.inference.pose2d.network import VisionNetwork
from selfpose_ros.inference.tensors.decode import yolox
from selfpose_ros.models.store import open_model
from selfpose_ros.synthetic import walker
from selfpose_ros.synthetic.figure import Cone
from selfpose_training.errors import SettingError, TrainingError
from selfpose_training.export import images as exported
from selfpose_training.export.images import export_vision
from selfpose_training.images import rendering, scenes
from selfpose_training.images.boxes import Task, body_box, torso_px
from selfpose_training.images.pictures import ImageBatch, PictureSet
from selfpose_training.images.rendering import make_pictures
from selfpose_training.methods.detector import BoxGraph, Detector
from selfpose_training.methods.pose2d import Pose2D, SimccGraph
from selfpose_training.networks.vision import MEAN, STD

POSE, BOXES = Task('pose2d', (48, 64)), Task('detector', (96, 64))
TINY = {'stages': [8, 8, 8], 'depth': [0, 0, 0], 'hidden': 16}


@pytest.fixture(scope='module')
def poses():
    return walker(8., 6., seed=3).astype(np.float32)


@pytest.fixture(scope='module')
def pictures(poses):
    return make_pictures(poses, POSE, 24, 5)


@pytest.fixture(scope='module')
def crowd(poses):
    return make_pictures(poses, BOXES, 16, 6)


def test_joints_lie_in_the_figure_that_is_drawn(poses):
    # before black, in glaring light, everything bright is somebody
    rng = np.random.default_rng(0)
    hits = total = 0
    for k in range(6):
        stage = scenes.draw_stage(rng, [poses[8 * k]])
        stage = scenes.Stage(stage.joints, stage.looks, ([], []), stage.light)
        eye = scenes.draw_eye(rng, stage.joints[0].mean(0), 3., 4.)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scenes, '_backdrop', lambda rng, K, eye, size: (
                np.full((*size[::-1], 3), (255, 0, 255), np.uint8), np.zeros(size[::-1], np.float32)))
            picture = scenes.take(rng, stage, eye, np.eye(2, 3) / 2, (320, 240))
        mine = np.abs(picture.image.astype(int) - [255, 0, 255]).sum(-1) > 90
        assert np.allclose(picture.points[0], project(stage.joints[0], eye.K, eye.R, eye.t) / 2)
        for joint in range(17):
            x, y = np.round(picture.points[0, joint]).astype(int)
            if picture.inside[0, joint] and joint != 10 and 2 <= x < 318 and 2 <= y < 238:
                total += 1
                hits += bool(mine[y - 1:y + 2, x - 1:x + 2].any())
    assert total > 60 and hits / total > .97


def test_a_post_before_somebody_hides_his_joints_and_nothing_else(poses):
    rng = np.random.default_rng(1)
    stage = scenes.draw_stage(rng, [poses[0]])
    eye = scenes.draw_eye(rng, stage.joints[0].mean(0), 4., 4.)
    centre, chest = -eye.R.T @ eye.t, stage.joints[0, 8]
    post = chest + .6 * (centre - chest) / np.linalg.norm(centre - chest)
    hidden = []
    for things in (([], []), ([Cone(post - [0, 0, .25], post + [0, 0, .25], .12, .12, (0., 0., 1.))], [])):
        hidden.append(scenes.take(rng, scenes.Stage(stage.joints, stage.looks, things, stage.light), eye,
                                  np.eye(2, 3) / 2, (320, 240)).hidden[0])
    assert not hidden[0].any() and hidden[1][8] and not hidden[1][[3, 6]].any()


def test_what_is_outside_the_camera_is_black(poses):
    rng = np.random.default_rng(2)
    stage = scenes.draw_stage(rng, [poses[0]])
    eye = scenes.draw_eye(rng, stage.joints[0].mean(0))
    window = np.array([[.25, 0, 40.], [0, .25, 20.]])       # the image ends at 200 and 140
    image = scenes.take(rng, stage, eye, window, (240, 160)).image
    assert not image[:19].any() and not image[:, :39].any() and not image[:, 201:].any() and not image[141:].any()
    assert image[25:135, 45:195].any(-1).mean() > .9


def test_a_set_of_pictures_is_the_same_again_and_its_epochs_are_not(pictures, poses):
    again = make_pictures(poses, POSE, 24, 5)
    assert again.jpegs == pictures.jpegs
    one, same, other = (next(iter(a.batches(n, 24))) for a, n in ((pictures, 0), (again, 0), (pictures, 1)))
    assert torch.equal(one.image, same.image) and torch.equal(one.points, same.points)
    assert not torch.equal(one.image, other.image)
    fixed = pictures.part(range(8), varied=False)
    assert torch.equal(next(iter(fixed.batches(0, 8))).image, next(iter(fixed.batches(3, 8))).image)


def test_variations_move_joints_with_the_picture():
    """A white dot at a joint is still there, whatever was done to picture and joints; mirrored ones are exchanged."""
    rng = np.random.default_rng(4)
    task = Task('pose2d', (96, 128))
    w, h = task.canvas
    points = rng.uniform(.3, .7, (1, 17, 2)) * [w, h]
    image = np.zeros((h, w, 3), np.uint8)
    cv2.circle(image, np.round(points[0, 3]).astype(int).tolist(), 5, (255, 255, 255), -1)
    points[0, 3] = np.round(points[0, 3])
    jpeg = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    pictures = PictureSet([jpeg], [points], [np.ones((1, 17))], task)
    sides = set()
    for n in range(12):
        with pytest.MonkeyPatch.context() as patch:        # light and patches would hide the dot
            patch.setattr(PictureSet, '_spoilt', lambda self, image, points, there, rng: (image, there))
            batch = next(iter(pictures.batches(n, 1)))
        grey = batch.image[0].mean(0).numpy()
        spot = np.array(np.nonzero(grey > 128)).mean(1)[::-1]
        near = int(np.linalg.norm(batch.points[0, 0].numpy() - spot, axis=-1).argmin())
        assert near in (3, MIRROR[3]) and np.linalg.norm(batch.points[0, 0, near].numpy() - spot) < 1.
        sides.add(near)
    assert sides == {3, MIRROR[3]}


def test_a_file_of_pictures_is_read_back_and_only_for_what_it_is(tmp_path: Path, poses):
    made = make_pictures(poses, BOXES, 8, 9, tmp_path / 'a.npz')
    read = make_pictures(poses, BOXES, 8, 9, tmp_path / 'a.npz')
    assert read.jpegs == made.jpegs and all(np.allclose(a, b, atol=1e-3) for a, b in
                                            zip(read.points, made.points, strict=True))
    with raises(TrainingError, 'pictures of detector 96 64 .*delete it, or choose another folder',
                place=tmp_path / 'a.npz'):
        make_pictures(poses, BOXES, 9, 9, tmp_path / 'a.npz')
    (tmp_path / 'a.npz').write_bytes(b'no pictures')
    with raises(TrainingError, 'no readable pictures .*delete it, it is rendered again', place=tmp_path / 'a.npz'):
        make_pictures(poses, BOXES, 8, 9, tmp_path / 'a.npz')
    with raises(SettingError, 'pictures have no time', setting='frames'):
        made.windows(0, 8, 3)


def test_a_box_is_around_the_joints_that_are_seen():
    points = np.stack([np.linspace(10, 30, 17), np.linspace(20, 120, 17)], -1)
    assert np.allclose(body_box(points, np.ones(17, bool), np.array([200., 200])), [0, 10, 40, 130])
    assert body_box(points, np.arange(17) < 5, np.array([200., 200])) is None
    assert np.allclose(body_box(points, np.ones(17, bool), np.array([35., 200]))[[0, 2]], [0, 34.5])
    points[[11, 1, 14, 4]] = [[0, 0], [30, 40], [0, 0], [3, 4]]
    assert torso_px(points) == 50.


class _Told(torch.nn.Module):
    """Says what it was given."""

    def __init__(self, *out: torch.Tensor) -> None:
        super().__init__()
        self.out = out

    def forward(self, image: torch.Tensor):
        return self.out if len(self.out) > 1 else self.out[0]


def test_the_loss_of_joints_is_least_at_the_truth(pictures):
    batch = next(iter(pictures.batches(0, 8)))
    method = Pose2D()
    method.configure({**TINY, 'size': [48, 64]}).build()

    def logits(off_px: float) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(-.5 * ((torch.arange(n) - (batch.points[:, 0, :, a, None] + off_px) * 2) / 4.) ** 2
                     for a, n in ((0, 96), (1, 128)))
    losses = [sum(v.item() for v in method.loss(_Told(*logits(d)), batch, 0.).values()) for d in (0., 1., 4., 12.)]
    assert losses == sorted(losses) and losses[0] < losses[2] - .1
    right = _Told(*logits(0.))
    assert method.criterion(right, batch) < .05 and method.figures(right, batch)['pck_20'] > 99
    assert method.figures(_Told(*logits(30.)), batch)['pck_20'] < 20


def test_cells_find_the_person_whose_middle_they_hold(crowd):
    batch = next(iter(crowd.batches(0, 16)))
    method = Detector()
    method.configure({**TINY, 'size': [96, 64]}).build()
    from selfpose_training.methods.detector import _assigned
    owner, cells = _assigned(batch, BOXES.size)
    there = batch.weight.sum(-1) > 0
    assert bool(there.any())
    # a network that says exactly this is read back as the true boxes by the decoder of the run time
    raw = torch.zeros(*owner.shape, 6)
    raw[..., 4] = -20.
    raw[..., 5] = 20.
    rows, columns = (owner >= 0).nonzero(as_tuple=True)
    box = batch.box[rows, owner[rows, columns]]
    stride = cells[columns, 2:]
    raw[rows, columns, :2] = (box[:, :2] + box[:, 2:]) / 2 / stride - cells[columns, :2]
    raw[rows, columns, 2:4] = ((box[:, 2:] - box[:, :2]) / stride).log()
    raw[rows, columns, 4] = 20.
    missed = 0
    for i, (boxes, _) in enumerate(yolox(BoxGraph(_Told(raw))(batch.image).numpy(), BOXES.size, .4, .9)):
        for p in there[i].nonzero()[:, 0]:
            missed += not np.abs(boxes - batch.box[i, p].numpy()).max(-1, initial=0.).min(initial=9e9) < .01
    assert missed <= .1 * int(there.sum())                 # of two in one place the nearer one has the cells
    assert method.criterion(_Told(raw), batch) < .15
    wrong = raw.clone()
    wrong[..., 4] = -20.
    better, worse = (sum(v.item() for v in method.loss(_Told(x), batch, 0.).values()) for x in (raw, wrong))
    assert better < .05 * worse


@pytest.mark.parametrize(('method', 'task'), [(Pose2D(), POSE), (Detector(), BOXES)])
def test_what_is_exported_is_opened_like_an_imported_network(tmp_path: Path, method, task, poses):
    torch.manual_seed(0)
    network = method.configure({**TINY, 'size': list(task.size)}).build().eval()
    method.export(network, tmp_path / 'm', {'name': 'm', 'licence': 'x'})
    model = open_model(tmp_path / 'm')
    assert model.card.kind == task.kind and model.card.vision.size == task.size
    opened = VisionNetwork(model)
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (task.size[1], task.size[0], 3), dtype=np.uint8)
    # the same pixels, in the training's way and in the run time's: the other order of channels is told on the card
    batch = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float()
    graph = SimccGraph(network) if task.kind == 'pose2d' else BoxGraph(network)
    with torch.no_grad():
        wanted = graph((batch - MEAN) / STD)
    place = opened.whole(image) if task.kind == 'detector' else None
    blob = opened.blob(image, [place]) if place is not None else ((batch - MEAN) / STD).numpy()
    found = opened.run(blob)
    for a, b in zip(wanted if isinstance(wanted, tuple) else (wanted,), found.values(), strict=True):
        assert np.abs(a.numpy() - b).max() < 1e-3


def test_an_export_of_another_graph_is_refused(tmp_path: Path):
    class Chance(torch.nn.Module):
        names = ('output',)

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, image):
            return torch.rand_like(image).flatten(1)[:, :6, None] * self.scale

    with pytest.raises(TrainingError, match='differs from PyTorch'):
        export_vision(Chance(), 'detector', (96, 64), tmp_path / 'm', {'name': 'm', 'licence': 'x'})
    assert not list(tmp_path.iterdir())


def test_the_command_renders_trains_and_writes_a_model(tmp_path: Path, poses):
    from selfpose_training.run import Request, train
    from selfpose_training.trainer.display import Display
    n = len(poses)
    np.savez(tmp_path / 'motion.npz', pos=poses, seq_start=np.array([0, n // 2, n]), seq_name=np.array(['a', 'b']),
             fps=np.float32(6))
    changes = {**TINY, 'size': [48, 64], 'pictures': 32, 'batch': 16, 'steps': 3, 'threads': 1}
    with pytest.MonkeyPatch.context() as patch:            # processes would take longer to start than the work takes
        patch.setattr('os.cpu_count', lambda: 1)
        patch.setattr(rendering, '_FEWEST', 16)
        # what the exporter writes is tried above
        patch.setattr(exported, 'write_graph', lambda *given: (given[-1] / 'model.onnx').write_bytes(b'graph'))
        patch.setattr(exported, 'check_graph', lambda *given: None)
        outcome = train(Request('pose2d', tmp_path / 'motion.npz', tmp_path / 'run', changes=changes),
                        Display(quiet=True))
    assert outcome.step == 3 and open_model(tmp_path / 'run' / 'model').card.method == 'pose2d'
    assert {'pck_10', 'pck_20'} <= outcome.figures.keys()
    with pytest.raises(TrainingError, match='leave out --views and --travel'):
        train(Request('pose2d', tmp_path / 'motion.npz', tmp_path / 'other', travel=True), Display(quiet=True))


def test_a_batch_holds_pictures_of_different_numbers_of_people(crowd):
    batch = next(iter(crowd.batches(0, 16)))
    assert isinstance(batch, ImageBatch) and batch.samples == 16
    assert batch.image.shape == (16, 3, 64, 96) and 0 <= batch.image.min() and batch.image.max() <= 255
    assert batch.weight.sum((1, 2)).min() == 0 or (batch.weight.sum(-1) > 0).sum(1).unique().numel() > 1


def test_a_run_that_was_begun_before_goes_on_with_its_pictures(tmp_path: Path):
    from selfpose_training.run import _pictures_of
    assert [p.name for p in _pictures_of(tmp_path)] == ['pictures.npz', 'pictures_val.npz']
    (tmp_path / 'album.npz').write_bytes(b'')
    assert [p.name for p in _pictures_of(tmp_path)] == ['album.npz', 'album_val.npz']
