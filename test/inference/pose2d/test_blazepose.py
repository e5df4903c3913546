# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""BlazePose: the decoding on constructed tensors, the following of people on networks that see coloured discs."""
from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from placing import to_network

from selfpose_ros.inference.errors import InferenceError, InputError, OutputError
from selfpose_ros.inference.pose2d import of_network
from selfpose_ros.inference.pose2d.blazepose import BlazePose
from selfpose_ros.inference.pose2d.network import VisionNetwork
from selfpose_ros.inference.session import BackendReport, TensorSpec
from selfpose_ros.inference.tensors.decode import blazepose as blazepose_decode
from selfpose_ros.inference.tensors.geometry import warp
from selfpose_ros.models.store import open_model
from selfpose_ros.models.vision import EDGE, PRESETS

ANCHORS = 2254


# -- decoding

def raw_people(people: list[tuple[float, np.ndarray]], size: int = 224) -> tuple[np.ndarray, np.ndarray]:
    """Tensors of the detector: (score before its sigmoid, points (4, 2) px) each at an anchor of its own."""
    boxes, scores = np.zeros((1, ANCHORS, 12), np.float32), np.full((1, ANCHORS, 1), -50., np.float32)
    anchors = blazepose_decode._anchors(size, size)
    for k, (score, points) in enumerate(people):
        near = np.argsort(np.linalg.norm(anchors - points[0], axis=1), kind='stable')[k]
        boxes[0, near, :4] = [*(points[0] - anchors[near]), 30, 30]
        boxes[0, near, 4:] = (points - anchors[near]).ravel()
        scores[0, near] = score
    return boxes, scores


def test_there_are_as_many_anchors_as_the_network_has_boxes():
    anchors = blazepose_decode._anchors(224, 224)
    assert anchors.shape == (ANCHORS, 2)
    assert anchors[0].tolist() == anchors[1].tolist() == [4, 4] and anchors[2].tolist() == [12, 4]
    assert (anchors[28 * 28 * 2] == 8).all() and (anchors[-1] == 208).all()


def test_detections_come_out_where_they_are_best_first():
    a = np.array([[60., 100.], [60., 40.], [60., 80.], [60., 60.]])
    b = a + [100, 20]
    boxes, score, points = blazepose_decode.detections(*raw_people([(1., a), (3., b)]), (224, 224), .5, .3)
    np.testing.assert_allclose(points, [b, a], atol=1e-4)
    np.testing.assert_allclose(boxes[0], [100, 60, 220, 180], atol=1e-4)
    np.testing.assert_allclose(score, 1 / (1 + np.exp([-3., -1.])), atol=1e-6)


def test_what_belongs_to_one_person_is_averaged_by_its_scores():
    a = np.array([[60., 100.], [60., 40.], [60., 80.], [60., 60.]])
    _, score, points = blazepose_decode.detections(*raw_people([(2., a), (0.5, a + [2, 0])]), (224, 224), .5, .3)
    weights = 1 / (1 + np.exp([-2., -.5]))
    np.testing.assert_allclose(points, [a + [2 * weights[1] / weights.sum(), 0]], atol=1e-4)
    assert score.tolist() == [pytest.approx(weights[0])]


def test_nobody_is_nobody():
    boxes, score, points = blazepose_decode.detections(*raw_people([]), (224, 224), .5, .3)
    assert boxes.shape == (0, 4) and score.shape == (0,) and points.shape == (0, 4, 2)


def landmark_tensors(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(39, 2) px -> landmarks, presence and a heat map without a peak."""
    raw = np.zeros((1, 39, 5), np.float32)
    raw[0, :, :2], raw[0, :, 3], raw[0, :, 4] = points, 2., 4.
    return raw.reshape(1, -1), np.full((1, 1), .9, np.float32), np.full((1, 64, 64, 39), -9., np.float32)


def test_landmarks_and_their_scores():
    at = np.random.default_rng(1).uniform(20, 230, (39, 2))
    points, score, presence, circle = blazepose_decode.landmarks(*landmark_tensors(at), (256, 256))
    np.testing.assert_allclose(points[0], at[:33], atol=1e-4)
    np.testing.assert_allclose(circle[0], at[33:35], atol=1e-4)
    np.testing.assert_allclose(score, 1 / (1 + np.exp(-2.)), atol=1e-6)              # the smaller one of the two
    assert presence.tolist() == [pytest.approx(.9)]


def test_a_peak_of_the_map_near_a_landmark_takes_it_to_its_middle_and_a_faint_one_does_not():
    at = np.full((39, 2), 100.)                            # cell 25 of 64
    raw, presence, maps = landmark_tensors(at)
    maps[:] = -99
    maps[0, 26, 27, 0] = maps[0, 26, 28, 0] = 9            # two equal cells: their middle
    maps[0, 25, 25, 1] = -.1                               # less than one half
    maps[0, 40, 40, 2] = 9                                 # out of reach
    points, *_ = blazepose_decode.landmarks(raw, presence, maps, (256, 256))
    np.testing.assert_allclose(points[0, :3], [[27.5 * 4, 26 * 4], [100, 100], [100, 100]], atol=1e-3)


def test_landmarks_beyond_the_map_stay_where_they_are():
    at = np.full((39, 2), 100.)
    at[0], at[1], at[2] = [-30, 90], [90, 400], [255.9, .1]
    raw, presence, maps = landmark_tensors(at)
    maps[:] = 5
    points, *_ = blazepose_decode.landmarks(raw, presence, maps, (256, 256))
    np.testing.assert_allclose(points[0, :2], at[:2], atol=1e-4)
    np.testing.assert_allclose(points[0, 2], [246, 6], atol=1e-3)                    # what of the cells is on the map


@pytest.mark.parametrize('bad', [0, 1, 2])
def test_tensors_of_another_shape_or_not_finite_are_refused(bad: int):
    tensors = list(landmark_tensors(np.full((39, 2), 100.)))
    tensors[bad] = tensors[bad][..., :-1]
    with pytest.raises(OutputError, match='blazepose: expected landmarks'):
        blazepose_decode.landmarks(*tensors, (256, 256))
    raw, presence, maps = landmark_tensors(np.full((39, 2), np.nan))
    with pytest.raises(OutputError, match='finite'):
        blazepose_decode.landmarks(raw, presence, maps, (256, 256))
    boxes, scores = raw_people([])
    with pytest.raises(OutputError, match=r'expected boxes \(1, 2254, 12\)'):
        blazepose_decode.detections(boxes[:, 1:], scores, (224, 224), .5, .3)


@pytest.mark.parametrize('angle', [0., 40., 90., 180., -135.])
def test_the_square_turns_a_person_upright_and_brings_him_home(angle: float):
    turn = np.array([[np.cos(np.radians(angle)), -np.sin(np.radians(angle))],
                     [np.sin(np.radians(angle)), np.cos(np.radians(angle))]])
    centre, top = np.array([300., 200.]), np.array([300., 200.]) + turn @ [0, -100]
    place = blazepose_decode.region(centre, top, (256, 256), 1.25)
    np.testing.assert_allclose(to_network(place, [centre, top]), [[128, 128], [128, 128 - 256 / 2.5]], atol=1e-9)
    points = np.random.default_rng(0).uniform(0, 400, (9, 2))
    np.testing.assert_allclose(place.to_image(to_network(place, points)), points, atol=1e-9)
    # not mirrored: what is to the right of an upright person stays there
    right = centre + turn @ [50, 0]
    assert to_network(place, right)[0] > 128


def test_no_circle_no_square():
    for top in ([300., 200.], [301., 200.], [np.nan, 1.], [1e9, 0.]):
        assert blazepose_decode.region([300., 200.], top, (256, 256), 1.25) is None


def test_beside_the_image_its_edge_goes_on():
    image = np.full((64, 64, 3), 200, np.uint8)
    place = blazepose_decode.region([0., 32.], [0., 0.], (256, 256), 1.25)
    assert warp(image, place, (256, 256), EDGE).min() == 200 and warp(image, place, (256, 256), 0).min() == 0


# -- following

class Seeing:
    """A session that finds red (hips) and green discs (top of the circle) in what it is given."""

    device, report = 'a test', BackendReport('seeing', 'onnxruntime', 'a test')

    def __init__(self, size: int, outputs: dict[str, tuple[int, ...]]) -> None:
        self.inputs = (TensorSpec('input_1', (1, size, size, 3), 'tensor(float)'),)
        self.outputs = tuple(TensorSpec(n, s, 'tensor(float)') for n, s in outputs.items())
        self.looks, self.blind = 0, False

    def discs(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 2) px of red discs, and of the green ones that belong to them: the nearest above."""
        spread = float(np.ptp(rgb)) or 1.
        rgb = (rgb - rgb.min()) / spread
        found = []
        for c in (0, 1):
            mask = (rgb[..., c] - rgb[..., 1 - c] > .4).astype(np.uint8)
            found.append(cv2.connectedComponentsWithStats(mask)[3][1:] if mask.any() else np.zeros((0, 2)))
        red, green = found
        if not (len(red) and len(green)):
            return np.zeros((0, 2)), np.zeros((0, 2))
        return red, np.array([green[np.argmin(np.linalg.norm(green - r, axis=1))] for r in red])

    def close(self) -> None:
        pass


class Detector(Seeing):
    def __init__(self) -> None:
        super().__init__(224, {'Identity': (1, ANCHORS, 12), 'Identity_1': (1, ANCHORS, 1)})

    def run(self, feeds, names):
        self.looks += 1
        red, green = self.discs(feeds['input_1'][0])
        out = raw_people([] if self.blind else [(2., np.array([r, g, r, g])) for r, g in zip(red, green, strict=True)])
        return [dict(zip(('Identity', 'Identity_1'), out, strict=True))[n] for n in names]


class Pose(Seeing):
    def __init__(self) -> None:
        super().__init__(256, {'Identity': (1, 195), 'Identity_1': (1, 1), 'Identity_3': (1, 64, 64, 39)})

    def run(self, feeds, names):
        self.looks += 1
        red, green = self.discs(feeds['input_1'][0])
        off = np.linalg.norm(red - 128, axis=1)
        there = len(red) > 0 and off.min() < 60 and not self.blind
        at = np.full((39, 2), 128.)
        if there:
            k = int(off.argmin())
            at[:33] = red[k] + np.linspace(-1, 1, 33)[:, None] * (green[k] - red[k])
            at[33], at[34] = red[k], green[k]
        raw, presence, maps = landmark_tensors(at)
        out = {'Identity': raw, 'Identity_1': presence * there, 'Identity_3': maps}
        return [out[n] for n in names]


def network(root: Path, preset: str, session: Seeing) -> VisionNetwork:
    folder = root / preset
    if not folder.exists():
        folder.mkdir()
        (folder / 'model.tflite').write_bytes(b'not looked at')
        pose = preset == 'blazepose'
        (folder / 'card.yaml').write_text(yaml.safe_dump({
            'name': preset, 'kind': 'pose2d' if pose else 'detector', **PRESETS[preset], 'file': 'model.tflite',
            'method': 'built', 'licence': 'Apache-2.0', 'sha256': hashlib.sha256(b'not looked at').hexdigest(),
            **({'joints': list(blazepose_decode.JOINTS)} if pose else {})}))
    return VisionNetwork(open_model(folder), session=session)


def picture(*people: tuple[float, float, float], size: tuple[int, int] = (640, 480)) -> np.ndarray:
    """A grey room with people: x, y of the hips and radius of the circle, px."""
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    for x, y, radius in people:
        cv2.circle(image, (round(x), round(y)), 9, (0, 0, 255), -1)
        cv2.circle(image, (round(x), round(y - radius)), 9, (0, 255, 0), -1)
    return image


@pytest.fixture
def seeing(tmp_path: Path):
    """How to make one with its two sessions."""
    def make(**options) -> tuple[BlazePose, Pose, Detector]:
        pose, detector = Pose(), Detector()
        made = of_network(network(tmp_path, 'blazepose', pose),
                          network(tmp_path, 'blazepose-detector', detector), **options)
        assert isinstance(made, BlazePose)
        return made, pose, detector
    return make


def test_several_people_are_found_the_nearest_first_and_keep_their_names(seeing):
    net, _, detector = seeing()
    people = net.infer(picture((120, 300, 60), (330, 300, 110), (530, 300, 80)))
    assert people.keypoints.shape == (3, 33, 2)
    hips = people.keypoints[:, 16]
    np.testing.assert_allclose(hips, [[330, 300], [530, 300], [120, 300]], atol=2.5)
    names = dict(zip(np.round(hips[:, 0], -1).tolist(), people.person.tolist(), strict=True))
    for k in range(1, 9):                                  # all walk to the right
        people = net.infer(picture((120 + 4 * k, 300, 60), (330 + 4 * k, 300, 110), (530 + 4 * k, 300, 80)))
        assert len(people) == 3
        for x, name in zip(people.keypoints[:, 16, 0], people.person, strict=True):
            assert names[round(float(x - 4 * k), -1)] == name
    assert detector.looks == 4, 'they are followed from their own landmarks but in the images 0, 1, 3 and 7'


def test_one_who_comes_later_is_found_when_the_detector_looks_again(seeing):
    net, _, detector = seeing(detect_every=3)
    one, two = picture((200, 300, 100)), picture((200, 300, 100), (460, 300, 120))
    assert [len(net.infer(i)) for i in (*[one] * 4, two, two)] == [1] * 6 and detector.looks == 3
    people = net.infer(two)
    assert people.person.tolist() == [1, 0] and detector.looks == 4
    net.infer(two)
    assert detector.looks == 5, 'where one was found others may be who were not'
    one_alone, _, detector = seeing(detect_every=9)
    for _ in range(3):
        one_alone.infer(one)
    one_alone.search()
    assert detector.looks == 2 and len(one_alone.infer(two)) == 2, 'asked to look for more in this image'


def test_as_many_as_are_asked_for_the_nearest_ones(seeing):
    net, pose, _ = seeing(max_people=2)
    people = net.infer(picture((100, 300, 60), (260, 300, 110), (400, 300, 70), (560, 300, 90)))
    np.testing.assert_allclose(people.keypoints[:, 16, 0], [260, 560], atol=2.5)
    assert pose.looks == 2, 'nobody else was looked at'


def test_with_one_person_the_detector_is_left_alone(seeing):
    net, _, detector = seeing(max_people=1, detect_every=1)
    for _ in range(4):
        assert len(net.infer(picture((300, 300, 100)))) == 1
    assert detector.looks == 1


def test_one_who_is_lost_is_searched_in_the_same_image_and_is_another_then(seeing):
    net, _, detector = seeing()
    assert net.infer(picture((150, 300, 100))).person.tolist() == [0]
    assert net.infer(picture((500, 300, 100))).person.tolist() == [1]                # jumped through the room
    assert len(net.infer(picture())) == 0 and detector.looks == 3
    assert net.infer(picture((500, 300, 100))).person.tolist() == [2]


def test_two_who_become_one_are_one(seeing):
    net, _, _ = seeing()
    assert len(net.infer(picture((250, 300, 100), (400, 300, 104)))) == 2
    for x in (340, 330, 325):
        people = net.infer(picture((250 + (325 - 250) * (x != 340), 300, 100), (x, 300, 104)))
    assert len(people) == 1


def test_reset_forgets_everybody_and_close_ends_it(seeing):
    net, _, _ = seeing()
    image = picture((300, 300, 100))
    assert net.infer(image).person.tolist() == [0]
    net.reset()
    assert net.infer(image).person.tolist() == [1]
    net.close()
    with pytest.raises(InferenceError, match='was closed; make a new one'):
        net.infer(image)


def test_joints_far_outside_the_image_are_none_and_near_ones_unsure(seeing):
    net, _, _ = seeing()
    people = net.infer(picture((320, 420, 110)))           # his feet are 50 px below the edge
    below = people.keypoints[0, :, 1] > 480
    assert below.any() and people.confidence[0, below].max() < .5 < people.confidence[0, ~below & (
        people.confidence[0] > 0)].min()


def test_without_a_detector_one_who_fills_the_image_is_found(tmp_path: Path):
    net = of_network(network(tmp_path, 'blazepose', Pose()))
    assert len(net.infer(picture((320, 240, 200)))) == 1
    assert len(net.infer(picture((322, 240, 200)))) == 1


@pytest.mark.parametrize(('options', 'words'), [
    ({'max_people': 0}, 'give 1 or more'), ({'detect_every': 0}, 'give 1 or more'),
    ({'smooth': True}, 'has no option smooth; it has: detector, detect_every, max_people, min_score')])
def test_options_out_of_their_range_are_refused(seeing, options, words):
    with pytest.raises(InputError, match=words):
        seeing(**options)
