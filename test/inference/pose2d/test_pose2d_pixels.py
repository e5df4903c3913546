# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Known pixels in, known numbers in the network; people at every border, odd images, and what a wrong card costs."""
from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
import colour_networks as nets
from colour_networks import FAMILIES, body
from placing import to_network

from selfpose_ros.inference.pose2d import make_pose2d
from selfpose_ros.inference.pose2d.importing import Request, import_model
from selfpose_ros.inference.pose2d.network import VisionNetwork
from selfpose_ros.inference.session import TensorSpec
from selfpose_ros.inference.tensors.geometry import letterbox
from selfpose_ros.models.card import parse_card
from selfpose_ros.models.store import Model, open_model
from selfpose_ros.models.vision import EDGE, FAMILIES as VISION_FAMILIES, PRESETS

#: blue, green, red of an image, all different
COLOUR = (30, 120, 210)
SMALL = {'size': (320, 320)}


class FakeSession:
    """Has the tensors that a card names, and gives what it is told to."""

    prefers_batches, max_batch, device = False, None, 'fake'

    def __init__(self, card: Any, **outputs: np.ndarray) -> None:
        (w, h), roles = card.vision.size, card.vision.outputs
        shape = (None, 3, h, w) if card.vision.layout == 'nchw' else (None, h, w, 3)
        kind = {'float32': 'float'}.get(card.vision.dtype, card.vision.dtype)
        self.inputs = (TensorSpec(card.vision.tensor, shape, f'tensor({kind})'),)
        self.outputs = tuple(TensorSpec(n, (None,) * card.vision.about.roles[r], 'tensor(float)')
                             for r, n in roles.items())
        self.given, self.seen = {roles[r]: a for r, a in outputs.items()}, None

    def run(self, feeds: Any, names: Any) -> list[np.ndarray]:
        (self.seen,) = (a.copy() for a in feeds.values())
        return [self.given[n] for n in names]

    def close(self) -> None:
        pass


def network(preset: str, **outputs: np.ndarray) -> VisionNetwork:
    """A network of a preset without a graph."""
    from copy import deepcopy
    raw = {**deepcopy(PRESETS[preset]), 'name': 'fake', 'method': 'imported', 'licence': 'none', 'sha256': '0' * 64}
    family = raw['family']
    raw['kind'] = VISION_FAMILIES[family].kind
    if raw['kind'] == 'pose2d':
        raw['joints'] = list(nets_joints())
    card = parse_card(raw, 'fake')
    return VisionNetwork(Model(Path('fake'), card), session=FakeSession(card, **outputs))


def nets_joints() -> tuple[str, ...]:
    from selfpose_ros.core.skeleton import COCO17
    return COCO17


@pytest.mark.parametrize('preset', PRESETS)
def test_a_pixel_becomes_the_number_that_the_card_says(preset: str):
    """(pixel * scale - mean) / std, channel by channel in the network's order; outside of the image the border."""
    net = network(preset)
    v = net.vision
    image = np.full((481, 637, 3), COLOUR, np.uint8)
    if v.about.top_down:
        place, outside = net.crop(np.array([-200., 100., 40., 420.]), (637, 481)), (slice(None), slice(0, 5))
        inside = slice(v.size[1] // 2 - 5, v.size[1] // 2 + 5), slice(v.size[0] - 20, v.size[0] - 1)
    else:
        place, outside = net.whole(image), (slice(v.size[1] - 5, None), slice(None))
        inside = slice(v.size[1] // 2 - 5, v.size[1] // 2 + 5), slice(5, v.size[0] - 5)
    blob = net.blob(image, [place, place])
    assert blob.dtype == np.dtype(v.dtype)
    blob = blob if v.layout == 'nchw' else blob.transpose(0, 3, 1, 2)
    assert blob.shape == (2, 3, v.size[1], v.size[0])
    np.testing.assert_array_equal(blob[0], blob[1])
    for c in range(3):
        pixel = COLOUR[2 - c if v.colour == 'rgb' else c]
        border = pixel if v.border == EDGE else v.border
        wanted, edge = ((p * v.scale - v.mean[c]) / v.std[c] for p in (pixel, border))
        np.testing.assert_allclose(blob[0, c][inside], wanted, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(blob[0, c][outside], edge, rtol=1e-5, atol=1e-5)


def test_the_statistics_are_those_that_the_authors_publish():
    """Red first where it is RGB; in units of ImageNet's deviations, of 255, or as it is."""
    wanted = {'rtmpose': [(210 - 123.675) / 58.395, (120 - 116.28) / 57.12, (30 - 103.53) / 57.375],
              'rtmdet': [(30 - 103.53) / 57.375, (120 - 116.28) / 57.12, (210 - 123.675) / 58.395],
              'yolo-pose': [210 / 255, 120 / 255, 30 / 255], 'rtmo': [30., 120., 210.], 'yolox': [30., 120., 210.]}
    wanted |= dict.fromkeys(('hrnet', 'hrnet-dark', 'vitpose'), wanted['rtmpose']) | {'yolox-nms': wanted['yolox']}
    for preset, numbers in wanted.items():
        net = network(preset)
        image = np.full((480, 640, 3), COLOUR, np.uint8)
        box = np.array([100., 100., 400., 400.])
        place = net.crop(box, (640, 480)) if net.vision.about.top_down else net.whole(image)
        w, h = net.vision.size
        np.testing.assert_allclose(net.blob(image, [place])[0, :, h // 2, w // 2], numbers, rtol=1e-5, err_msg=preset)


@pytest.fixture(scope='module')
def models(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('models')
    makers = {**{p: m for p, (m, _) in FAMILIES.items()}, 'rtmo': partial(nets.rtmo, **SMALL),
              'yolo-pose': partial(nets.yolo, **SMALL)}
    for preset, make in makers.items():
        import_model(Request(make(root / f'{preset}.onnx'), root / preset, preset))
    return root


@pytest.mark.parametrize(('x', 'y'), [(30, 240), (611, 243), (333, 60), (311, 425), (30, 70), (610, 410)])
@pytest.mark.parametrize('preset', FAMILIES)
def test_people_at_every_border_of_an_odd_image(models: Path, preset: str, x: int, y: int):
    """Joints inside are where they are, those outside are not invented."""
    folder = open_model(models / preset)
    net = VisionNetwork(folder)
    size, points = (641, 479), body(x, y, .62 if net.vision.about.top_down else .9)
    inside = ((points > 10) & (points < np.array(size) - 10)).all(-1)
    outside = ((points < -12) | (points > np.array(size) + 12)).any(-1)
    assert 5 <= inside.sum() < 17
    image = nets.picture(points, size, 5 if net.vision.about.top_down else 9)
    if net.vision.about.top_down:
        box = np.r_[points.min(0) - 15, points.max(0) + 15]
        found, score = (a[0] for a in net.poses(image, box[None]))
    else:
        net.vision.decode['min_score'] = 0.                # half a person is nobody to these graphs
        seen = net.find(image)
        assert seen.points is not None and seen.confidence is not None
        found, score = seen.points[0], seen.confidence[0]
    tolerance = {'rtmo': .9, 'yolo-pose': .9}.get(preset, FAMILIES[preset][1])
    sure = score > .5
    assert sure[inside].all(), 'all that are there are seen'
    assert np.abs(found - points)[sure & inside].max() < tolerance
    assert not (sure & outside).any()


@pytest.mark.parametrize('size', [(641, 479), (333, 801), (97, 61)])
@pytest.mark.parametrize('preset', ['rtmdet', 'yolox', 'yolox-nms', 'rtmo', 'yolo-pose'])
def test_boxes_and_joints_of_whole_images_come_back(preset: str, size: tuple[int, int]):
    """Tensors that say where somebody is in the network's image become him in the camera's, clipped at its border."""
    net = network(preset)
    v = net.vision
    true = np.array([.2 * size[0], .1 * size[1], 1.2 * size[0], .8 * size[1]])
    place = letterbox(size, v.size, 'centre' if v.crop == 'centre' else 'corner')
    box = to_network(place, true.reshape(2, 2)).ravel()
    joints = np.random.default_rng(1).uniform(true[:2], np.minimum(true[2:], size), (17, 2))
    trio = np.column_stack([to_network(place, joints), np.full(17, .8)])
    dets = np.append(box, .9)[None, None].astype(np.float32)
    middle, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    if preset == 'yolox':
        cells = [(v.size[0] // s) * (v.size[1] // s) for s in (8, 16, 32)]
        raw = np.zeros((1, sum(cells), 85), np.float32)
        cell = np.minimum(np.floor(middle / 32), v.size[0] // 32 - 1)
        raw[0, cells[0] + cells[1] + int(cell[1] * (v.size[0] // 32) + cell[0]), :6] = (
            *(middle / 32 - cell), *np.log(extent / 32), 1., .9)
        given = {'output': raw}
    elif preset == 'yolo-pose':
        given = {'output': np.concatenate([middle, extent, [.9], trio.ravel()])[None, :, None].repeat(2, 2)
                 .astype(np.float32)}
    else:
        given = {'dets': dets, 'labels': np.zeros((1, 1), np.int64), 'keypoints': trio[None, None].astype(np.float32)}
        given = {role: given[role] for role in v.outputs}
    net = network(preset, **given)
    found = net.find(np.zeros((size[1], size[0], 3), np.uint8))
    assert len(found.boxes) == 1 and abs(found.score[0] - .9) < 1e-6
    np.testing.assert_allclose(found.boxes[0], [true[0], true[1], size[0] - 1, true[3]], atol=2e-3 * max(size))
    if v.about.kind == 'pose2d':
        assert found.points is not None
        np.testing.assert_allclose(found.points[0], joints, atol=1e-3)


@pytest.mark.parametrize(('preset', 'wrong'), [
    ('rtmo', {'colour': 'rgb'}), ('yolo-pose', {'colour': 'bgr'}), ('yolo-pose', {'scale': 1.}),
    ('hrnet', {'colour': 'bgr'}), ('vitpose', {'mean': [0., 0., 0.]}), ('rtmo', {'scale': 1 / 255})])
def test_every_family_needs_its_own_pixels(models: Path, tmp_path: Path, preset: str, wrong: dict):
    """The traps of this trade: it sees nobody, or somebody elsewhere."""
    card = yaml.safe_load((models / preset / 'card.yaml').read_text())
    card['image'].update(wrong)
    (tmp_path / 'w').mkdir()
    (tmp_path / 'w' / 'model.onnx').write_bytes((models / preset / 'model.onnx').read_bytes())
    (tmp_path / 'w' / 'card.yaml').write_text(yaml.safe_dump(card))
    image = nets.picture(body(), (640, 480))
    assert len(make_pose2d(str(models / preset)).infer(image)) == 1
    people = make_pose2d(str(tmp_path / 'w')).infer(image)
    assert len(people) == 0 or np.nanmax(np.abs(people.keypoints[0] - body())) > 50
