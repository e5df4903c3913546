# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Networks of every family, from ONNX files with their published tensors: joints of a picture come out where they are.

The graphs have constructed weights (`colour_networks`) and really look at the pixels, so that the order of the
channels, the normalisation and every mapping between image and network count.
"""
from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
import colour_networks as nets
from colour_networks import FAMILIES, SIZE, body
from raising import raises

from selfpose_ros.core.skeleton import JOINT_SETS, joint_map
from selfpose_ros.inference.errors import InferenceError, InputError
from selfpose_ros.inference.pose2d import make_pose2d
from selfpose_ros.inference.pose2d.importing import Request, import_model
from selfpose_ros.models.card import sha256_of
from selfpose_ros.models.errors import ModelError
from selfpose_ros.models.store import open_model


@pytest.fixture(scope='module')
def models(tmp_path_factory) -> Path:
    """A model folder of each preset, and the detector 'rtmdet'."""
    root = tmp_path_factory.mktemp('models')
    for preset, (make, _) in FAMILIES.items():
        import_model(Request(make(root / f'{preset}.onnx'), root / preset, preset))
    import_model(Request(nets.rtmdet(root / 'rtmdet.onnx'), root / 'rtmdet', 'rtmdet'))
    return root


@pytest.mark.parametrize('size', [(640, 480), (641, 479), (320, 700)])
@pytest.mark.parametrize('preset', FAMILIES)
def test_joints_come_out_where_they_are(models: Path, preset: str, size: tuple[int, int]):
    points = body(size[0] / 2 + 4, size[1] / 2 + 9, 1.1)
    net = make_pose2d(str(models / preset))
    image = nets.picture(points, size)
    before = image.copy()
    for _ in range(2):                                     # found, then followed
        people = net.infer(image)
        assert len(people) == 1 and people.confidence.min() > .6
        assert np.abs(people.keypoints[0] - points).max() < FAMILIES[preset][1]
    np.testing.assert_array_equal(image, before)
    assert net.joint_names == JOINT_SETS['coco17'] and 'ONNX Runtime' in net.device and net.name == preset


@pytest.mark.parametrize('preset', FAMILIES)
def test_a_second_look_finds_who_is_expected_and_nobody_in_an_empty_room(models: Path, preset: str):
    points = body(324, 249, 1.1)
    net, nobody = make_pose2d(str(models / preset)), (np.zeros((0, 17, 2)), np.zeros((0, 17)))
    expected, sure = joint_map(net.joint_names).apply(points[None], np.ones((1, 17)))
    image = nets.picture(points, (640, 480))
    people = net.look_again(image, expected + 6., *nobody)
    assert len(people) == 1 and np.abs(people.keypoints[0] - points).max() < FAMILIES[preset][1]
    assert len(net.look_again(image, expected, expected, sure)) == 0, 'he is known'
    empty = np.full((480, 640, 3), nets.GREY, np.uint8)
    assert len(net.look_again(empty, expected, *nobody)) == 0
    net.close()
    with pytest.raises(InferenceError, match='was closed'):
        net.look_again(image, expected, *nobody)


@pytest.mark.parametrize('preset', FAMILIES)
def test_an_empty_room_gives_no_person(models: Path, preset: str):
    net = make_pose2d(str(models / preset))
    assert len(net.infer(np.full((480, 640, 3), nets.GREY, np.uint8))) == 0
    assert len(net.infer(nets.picture(body(), SIZE))) == 1         # and the next image is looked at as ever
    assert len(net.infer(np.full((480, 640, 3), nets.GREY, np.uint8))) == 0


@pytest.mark.parametrize('wrong', [{'colour': 'bgr'}, {'mean': [0., 0., 0.]}, {'std': [1., 1., 1.]}])
def test_a_wrong_order_of_channels_or_normalisation_is_no_small_thing(models: Path, wrong: dict, tmp_path: Path):
    """The traps of this trade: the network sees nothing, or puts joints elsewhere."""
    card = yaml.safe_load((models / 'rtmpose' / 'card.yaml').read_text())
    card['image'].update(wrong)
    folder = tmp_path / 'wrong'
    folder.mkdir()
    (folder / 'model.onnx').write_bytes((models / 'rtmpose' / 'model.onnx').read_bytes())
    (folder / 'card.yaml').write_text(yaml.safe_dump(card))
    people = make_pose2d(str(folder)).infer(nets.picture(body(), SIZE))
    assert len(people) == 0 or np.nanmax(np.abs(people.keypoints[0] - body())) > 50


@pytest.mark.parametrize('preset', ['rtmpose', 'vitpose'])
def test_a_person_is_followed_to_the_border_and_out(models: Path, preset: str):
    """By its own joints, without a detector: joints inside stay within 3 px, those outside are not invented."""
    net = make_pose2d(str(models / preset))
    identities, x = set(), 330.
    for _ in range(12):
        points = body(x, 240.)
        people = net.infer(nets.picture(points, SIZE))
        inside = (points[:, 0] > 12) & (points[:, 0] < SIZE[0] - 12)
        if inside.sum() < 8:
            break
        assert len(people) == 1
        seen = np.isfinite(people.keypoints[0]).all(-1) & (people.confidence[0] > .5)
        assert np.abs(people.keypoints[0] - points)[seen & inside].max() < 3.
        assert (seen & inside).sum() == inside.sum() and not seen[points[:, 0] > SIZE[0] + 12].any()
        identities |= set(people.person.tolist())
        x += 28.
    assert len(identities) == 1 and x > 500


def test_a_detector_finds_who_is_small_and_looks_only_now_and_then(models: Path, monkeypatch):
    """Somebody small, in a corner; the detector rests while he is followed."""
    points = body(520, 380, .62)
    image = nets.picture(points, SIZE, 5)
    net = make_pose2d(str(models / 'rtmpose'), detector=str(models / 'rtmdet'), detect_every=5)
    looked = []
    find = net._detector.find
    monkeypatch.setattr(net._detector, 'find', lambda image: looked.append(1) or find(image))
    searched = []
    for n in range(19):
        people = net.infer(image)
        assert len(people) == 1 and np.abs(people.keypoints[0] - points).max() < 1.
        searched += [n] * len(looked)
        looked.clear()
    assert searched == [0, 1, 3, 7, 12, 17]                # soon again at first: others may be there
    for _ in range(3):
        assert len(net.infer(np.full((480, 640, 3), nets.GREY, np.uint8))) == 0
    assert len(looked) >= 2                                # nobody there: it looks in every image


def test_the_detector_does_not_make_two_of_one(models: Path):
    net = make_pose2d(str(models / 'rtmpose'), detector=str(models / 'rtmdet'), detect_every=1, max_people=3)
    identities = {tuple(net.infer(nets.picture(body(300. + 4 * i), SIZE)).person.tolist()) for i in range(6)}
    assert identities == {(0,)}


def test_reset_gives_new_identities_and_close_ends_it(models: Path):
    net = make_pose2d(str(models / 'rtmpose'))
    image = nets.picture(body(), SIZE)
    first = net.infer(image).person.tolist()
    net.reset()
    assert net.infer(image).person.tolist() != first
    net.close()
    net.close()
    with pytest.raises(InferenceError, match='closed'):
        net.infer(image)
    other = make_pose2d(str(models / 'rtmpose'))           # weights are shared, the end of one is not that of all
    assert len(other.infer(image)) == 1


def test_cameras_share_one_session(models: Path):
    a, b = (make_pose2d(str(models / 'rtmpose')) for _ in range(2))
    assert a._pose.session is b._pose.session


def test_a_batch_is_what_single_images_are(models: Path, tmp_path: Path):
    """Any batch, and a graph that takes one image at a time."""
    one = import_model(Request(nets.simcc(tmp_path / 'one.onnx', batch=1), tmp_path / 'one', 'rtmpose'))
    many = make_pose2d(str(models / 'rtmpose'))._pose
    image = nets.picture(body(), SIZE)
    boxes = np.array([[200., 40, 460, 420], [180., 60, 500, 400], [220., 30, 440, 430]])
    together = many.poses(image, boxes)
    for net in (one, many):
        single = [net.poses(image, b[None]) for b in boxes]
        np.testing.assert_allclose(np.concatenate([p for p, _ in single]), together[0], atol=1e-4)
        np.testing.assert_allclose(np.concatenate([c for _, c in single]), together[1], atol=1e-5)
    np.testing.assert_allclose(one.poses(image, boxes)[0], together[0], atol=1e-4)
    assert many.poses(image, np.zeros((0, 4)))[0].shape == (0, 17, 2)


def test_halpe26_and_other_sizes(tmp_path: Path):
    net = import_model(Request(nets.simcc(tmp_path / 'h.onnx', joints=26, size=(288, 384)), tmp_path / 'h', 'rtmpose'))
    assert net.model.card.joints == JOINT_SETS['halpe26'] and net.vision.size == (288, 384)
    rng = np.random.default_rng(0)
    points = np.stack(np.meshgrid(np.arange(5) * 50. + 200, np.arange(6) * 60. + 90), -1).reshape(-1, 2)[:26]
    points = points[rng.permutation(26)]
    found, score = net.poses(nets.picture(points, SIZE), np.array([[180., 60, 420, 420]]))
    assert np.abs(found[0] - points).max() < 1. and score.min() > .6


# -- what is refused

@pytest.mark.parametrize(('make', 'preset', 'more', 'words'), [
    (partial(nets.simcc, names=('a', 'b')), 'rtmpose', {}, r'no output simcc_x; it has a \(N, 17, 384\)'),
    (nets.simcc, 'rtmpose', {'joints': ('halpe26',)}, 'is for 17 joints, the card names 26'),
    (partial(nets.simcc, joints=21), 'rtmpose', {}, 'has 21 joints, and nobody says which'),
    (nets.simcc, 'rtmpose', {'size': (256, 192)}, r'the card says 256 x 192 px .*put \[192, 256\] on the card'),
    (nets.simcc, 'rtmpose', {'decode': {'split': 3.}}, 'bins for 192 px, which is not the split of 3'),
    (nets.simcc, 'rtmpose', {'decode': {'splits': 3.}}, 'splits not known here'),
    (nets.simcc, 'rtmpose', {'tensors': {'z': 'simcc_x'}}, 'tensors z: not known; a rtmpose network has image, x, y'),
    (nets.simcc, 'rtmpose', {'joints': ('nose', 'l_eye')}, 'missing among 2 names'),
    (nets.simcc, 'hrnet', {}, 'no output heatmap'),
    (nets.heatmap, 'yolox', {}, 'has 4 axes, a yolox network has 3 there'),
    (nets.rtmo, 'yolox', {}, 'no output output; .*has its NMS inside'),
])
def test_what_does_not_fit_is_a_sentence(tmp_path: Path, make, preset: str, more: dict, words: str):
    file = make(tmp_path / 'net.onnx')
    with raises(ModelError, words, place=tmp_path / 'net.onnx') as error:
        import_model(Request(file, tmp_path / 'out', preset, **more))
    assert '.part' not in str(error.value)
    assert not (tmp_path / 'out').exists() and not list(tmp_path.glob('.out*'))


def test_a_family_that_there_is_not_is_no_matter_of_the_file(tmp_path: Path):
    with raises(ModelError, "'nonsense' is no family that can be imported; choose one of: rtmpose", place=''):
        import_model(Request(nets.simcc(tmp_path / 'net.onnx'), tmp_path / 'out', 'nonsense'))
    assert not (tmp_path / 'out').exists()


def test_channels_last_is_named(tmp_path: Path):
    g = nets.Graph()
    g('ReduceSum', g('Transpose', 'input', perm=[0, 3, 1, 2]), g.const([2], np.int64), keepdims=0, out='simcc_x')
    g('Identity', 'simcc_x', out='simcc_y')
    file = g.write(tmp_path / 'n.onnx', [('input', ['N', 256, 192, 3])],
                   [('simcc_x', nets.FLOAT, ['N', 3, 192]), ('simcc_y', nets.FLOAT, ['N', 3, 192])])
    with raises(ModelError, r'channels last \(N, H, W, 3\)', place=tmp_path / 'n.onnx'):
        import_model(Request(file, tmp_path / 'out', 'rtmpose', ('coco17',), (192, 256)))


def test_a_truncated_file_and_one_that_is_none(tmp_path: Path):
    whole = nets.simcc(tmp_path / 'net.onnx').read_bytes()
    (tmp_path / 'half.onnx').write_bytes(whole[:len(whole) // 2])
    for name, words in (('half.onnx', 'no ONNX file, or a damaged one'), ('none.onnx', 'no such file')):
        with pytest.raises(ModelError, match=words):
            import_model(Request(tmp_path / name, tmp_path / 'out', 'rtmpose'))
    (tmp_path / 'out').mkdir()
    with raises(ModelError, 'exists; choose another folder', place=tmp_path / 'out'):
        import_model(Request(tmp_path / 'net.onnx', tmp_path / 'out', 'rtmpose'))


def test_options_that_do_not_fit(models: Path):
    with pytest.raises(InputError, match='has no option detektor; it has: detector, detect_every'):
        make_pose2d(str(models / 'rtmpose'), detektor='x')
    with pytest.raises(InputError, match='finds people by itself'):
        make_pose2d(str(models / 'rtmo'), detector=str(models / 'rtmdet'))
    with pytest.raises(InputError, match='is no detector but a pose2d'):
        make_pose2d(str(models / 'rtmpose'), detector=str(models / 'rtmo'))
    with pytest.raises(InputError, match='is a detector, not a 2D pose network'):
        make_pose2d(str(models / 'rtmdet'))
    with pytest.raises(InputError, match='is a lifter, not'):
        make_pose2d('lifter')
    with pytest.raises(InputError, match='detect_every is 0'):
        make_pose2d(str(models / 'rtmpose'), detect_every=0)
    with pytest.raises(InputError, match='mediapipe, or name a model folder'):
        make_pose2d('rtmpose-x')


def test_a_card_that_was_changed_by_hand_is_checked(models: Path, tmp_path: Path):
    folder = tmp_path / 'm'
    folder.mkdir()
    file = nets.simcc(folder / 'model.onnx')
    card = yaml.safe_load((models / 'rtmpose' / 'card.yaml').read_text()) | {'sha256': sha256_of(file)}
    (folder / 'card.yaml').write_text(yaml.safe_dump(card))
    assert open_model(folder).card.vision is not None
    for change, words in (({'image': {**card['image'], 'size': [192]}}, r'size must be \[width, height\]'),
                          ({'image': {**card['image'], 'std': [1., 0., 1.]}}, 'std must be three numbers above 0'),
                          ({'image': {**card['image'], 'crop': 'centre'}}, 'crop must be classic or udp'),
                          ({'outputs': {'x': 'simcc_x'}}, 'outputs: y is missing'),
                          ({'outputs': {**card['outputs'], 'z': 'q'}}, 'outputs: z not known here'),
                          ({'decode': {'score': 'max'}}, 'score must be min or mean'),
                          ({'family': 'yolox'}, 'family must be simcc or heatmap or rtmo or yolo_pose'),
                          ({'image': 'big'}, 'image must be a mapping')):
        (folder / 'card.yaml').write_text(yaml.safe_dump({**card, **change}))
        with pytest.raises(ModelError, match=words):
            open_model(folder)
