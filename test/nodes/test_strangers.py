# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Messages and requests of strangers, whatever is in them: refused with a sentence or taken, at no other cost."""
from __future__ import annotations

import itertools
import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
pytest.importorskip('hypothesis', reason='hypothesis is not installed')

from builtin_interfaces.msg import Time
from garbage import CLOUDS, ODD, TEXTS, cloud
from hypothesis import HealthCheck, example, given, settings, strategies as st
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from ros_world import DotsNetwork, World, jpeg, pose, stamp
from scripted import Keypoints, Scripted, fuse
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField, RegionOfInterest
from std_msgs.msg import Header, String

from selfpose_ros.core.camera import Intrinsics
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.ros_messages.keypoints import KEYPOINT_FIELDS
from selfpose_ros.nodes import fusion_node
from selfpose_ros.nodes.errors import ImageError, MessageError, ParameterError
from selfpose_ros.nodes.image_input import intrinsics_from
from selfpose_ros.nodes.messages import KeypointsInfo, info_of, view_of
from selfpose_ros.nodes.parameters import NODES, checked, table
from selfpose_ros.nodes.view_maker import ViewMaker

SOME = settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
INFO = KeypointsInfo('a', JOINTS, (640, 480))
LONGEST_SENTENCE = 2000
#: numbers of all kinds that JSON of Python, and messages, can hold
FLOATS = st.floats(width=64, allow_subnormal=False)
INTS = st.one_of(st.integers(-5, 5), st.integers(), st.just(10**400))
JSON = st.recursive(st.one_of(st.none(), st.booleans(), INTS, FLOATS, st.text(max_size=20)),
                    lambda inner: st.one_of(st.lists(inner, max_size=6),
                                            st.dictionaries(st.text(max_size=8), inner, max_size=4)), max_leaves=12)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Scripted.made, Scripted.trust = [], False


def refused(action: Callable[[], Any], *kinds: type[Exception]) -> Any:
    """The value, or None if it was refused with one sentence; anything else that is raised is a failure."""
    try:
        return action()
    except kinds as error:
        assert str(error).strip() and len(str(error)) < LONGEST_SENTENCE
        return None


# -- keypoints_info

def _read(text: str) -> KeypointsInfo | None:
    info = refused(lambda: info_of(text, 'a', '/a/keypoints_info'), MessageError)
    if info is not None:
        assert 1 <= min(info.image_size) <= max(info.image_size) <= 65536 and len(info.joint_names) <= 512
        assert info.intrinsics is None or np.isfinite(info.intrinsics.K).all()
    return info


@pytest.mark.parametrize('name', TEXTS)
def test_texts_that_once_ended_a_node_are_refused(name: str) -> None:
    assert _read(TEXTS[name]) is None


def test_a_long_text_costs_nothing() -> None:
    """Ten megabytes of names took minutes once; now they are not even parsed."""
    tracemalloc.start()
    begin = time.thread_time()
    assert _read(TEXTS['long']) is None
    assert time.thread_time() - begin < 1. and tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_the_largest_text_that_is_parsed_is_soon_parsed() -> None:
    begin = time.thread_time()
    for names in (['n'] * 512, ['l_hip'] * 512, [f'joint_{i}' for i in range(512)]):
        _read(json.dumps({'joint_names': names, 'image_size': [640, 480]}))
    assert time.thread_time() - begin < 1.


@SOME
@given(st.one_of(st.text(), JSON.map(json.dumps)))
def test_any_text(text: str) -> None:
    _read(text)


@SOME
@given(st.fixed_dictionaries({}, optional={
    'joint_names': st.one_of(st.just(list(JOINTS)), st.lists(st.sampled_from(JOINTS), max_size=30), JSON),
    'image_size': st.one_of(st.just([640, 480]), st.lists(st.one_of(INTS, FLOATS), min_size=2, max_size=2), JSON),
    'K': st.one_of(st.lists(st.lists(st.one_of(INTS, FLOATS), min_size=3, max_size=3), min_size=3, max_size=3), JSON),
    'distortion': st.one_of(st.lists(FLOATS, max_size=20), JSON), 'model': JSON, 'device': JSON}))
def test_any_value_of_any_key(values: dict[str, Any]) -> None:
    _read(json.dumps(values))


# -- keypoints

def _view(message: PointCloud2, most: int = 16) -> View2D | None:
    view = refused(lambda: view_of(message, INFO, '/a/keypoints', most), MessageError)
    if view is not None:
        assert len(view.keypoints) <= most and np.isfinite(view.confidence).all()
        seen = view.confidence > 0
        assert np.isfinite(view.keypoints[seen]).all() and np.abs(view.keypoints[seen]).max(initial=0) < 1e5
        assert (view.person >= -1).all() and 0 <= view.stamp < 2**31
    return view


@pytest.mark.parametrize('name', CLOUDS)
def test_clouds_that_are_no_table_of_people_are_refused(name: str) -> None:
    assert _view(CLOUDS[name]) is None


@pytest.mark.parametrize('name', ODD)
def test_clouds_of_odd_numbers_are_taken(name: str) -> None:
    assert _view(ODD[name]) is not None


def test_the_surest_of_too_many_are_taken_in_their_order() -> None:
    table = np.full((5000, 17, 4), 100.)
    table[..., 2] = .1
    table[..., 3] = np.arange(5000)[:, None]
    for row, sure in ((4711, .9), (7, .8), (4096, 3e38), (1, np.nan)):
        table[row, :, 2] = sure
    view = _view(cloud(table), 3)
    assert view is not None and view.person.tolist() == [7, 4096, 4711]


def test_a_cloud_of_5000_people_leaves_no_memory_behind() -> None:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    views = [_view(ODD['5000 people']) for _ in range(5)]
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now - before < 200_000 and peak - before < 20e6 and views[0] is not None


@SOME
@given(st.lists(st.builds(PointField, name=st.one_of(st.sampled_from((*KEYPOINT_FIELDS, 'depth', 'depth_sigma')),
                                                     st.text(max_size=5)),
                          offset=st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1)),
                          datatype=st.integers(0, 255), count=st.integers(0, 2**32 - 1)), max_size=8),
       st.integers(0, 2**32 - 1) | st.integers(0, 4), st.sampled_from([0, 1, 16, 17, 2**32 - 1]),
       st.integers(0, 2**32 - 1) | st.sampled_from([16, 24]), st.integers(0, 2**32 - 1) | st.sampled_from([272, 408]),
       st.binary(max_size=600), st.booleans())
def test_any_layout(fields: list[PointField], height: int, width: int, step: int, row: int, data: bytes,
                    big: bool) -> None:
    _view(PointCloud2(height=height, width=width, fields=fields, is_bigendian=big, point_step=step, row_step=row,
                      data=data))


@SOME
@given(st.binary(min_size=2 * 17 * 24, max_size=2 * 17 * 24), st.sampled_from([7, 5, 6]),
       st.integers(-2**31, 2**31 - 1), st.integers(0, 2**32 - 1))
@example(b'\xff' * 816, 7, 2**31 - 1, 2**32 - 1)
@example(b'\x00\x00\xc0\x7f' * 204, 7, 0, 0)
def test_any_numbers(data: bytes, kind: int, sec: int, nanosec: int) -> None:
    names = (*KEYPOINT_FIELDS, 'depth', 'depth_sigma')
    message = PointCloud2(height=2, width=17, point_step=24, row_step=408, data=data, fields=[
        PointField(name=n, offset=4 * i, datatype=kind, count=1) for i, n in enumerate(names)])
    message.header.stamp = Time(sec=sec, nanosec=nanosec)
    view = _view(message)
    if view is not None and view.depth is not None:
        known = np.isfinite(view.depth)
        assert np.abs(view.depth[known]).max(initial=0) <= 100 and (view.depth_sigma[known] >= 1e-4).all()


# -- CameraInfo and images

@SOME
@given(st.lists(FLOATS, min_size=9, max_size=9), st.lists(FLOATS, max_size=16),
       st.lists(FLOATS, min_size=12, max_size=12),
       st.text(max_size=10) | st.sampled_from(['', 'plumb_bob', 'rational_polynomial']),
       st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 2000), min_size=8, max_size=8), st.booleans())
@example([500., 0, 320, 0, 500., 240, 0, 0, 1], [0.] * 5, [0.] * 12, 'plumb_bob', [640, 480, 0, 0, 0, 0, 0, 0], False)
@example([float('inf'), 0, 320, 0, 500., 240, 0, 0, 1], [], [0.] * 12, '', [640, 480, 0, 0, 0, 0, 0, 0], False)
@example([1e308, 0, 320, 0, 1e308, 240, 0, 0, 1], [1e300] * 5, [0.] * 12, '', [1, 1, 0, 0, 0, 0, 0, 0], False)
def test_any_camera_info(k: list[float], d: list[float], p: list[float], model: str, sizes: list[int],
                         rectified: bool) -> None:
    w, h, rw, rh, x, y, bx, by = sizes
    info = CameraInfo(k=k, d=d, p=p, distortion_model=model, width=w, height=h, binning_x=bx, binning_y=by,
                      roi=RegionOfInterest(width=rw, height=rh, x_offset=x, y_offset=y))
    found = refused(lambda: intrinsics_from(info, (640, 480), 'a', rectified), ImageError)
    assert found is None or (isinstance(found, Intrinsics) and np.isfinite(found.K).all() and found.K.max() < 1e6)


def test_a_camera_info_of_a_million_coefficients() -> None:
    info = CameraInfo(k=[500., 0, 320, 0, 500., 240, 0, 0, 1], d=[0.] * 1_000_000, width=640, height=480)
    assert refused(lambda: intrinsics_from(info, (640, 480), 'a'), ImageError) is None


@SOME
@given(st.sampled_from(['bgr8', 'mono16', 'bayer_rggb8', 'yuv422', 'nv12', 'nv24', 'i420', 'nonsense', ''])
       | st.text(max_size=8),
       st.integers(0, 2**32 - 1) | st.integers(0, 40), st.integers(0, 2**32 - 1) | st.integers(0, 40),
       st.integers(0, 2**32 - 1) | st.integers(0, 120), st.binary(max_size=3000), st.integers(-2**31, 2**31 - 1),
       st.integers(0, 2**32 - 1))
def test_any_raw_image(encoding: str, height: int, width: int, step: int, data: bytes, sec: int, nanosec: int) -> None:
    message = Image(height=height, width=width, encoding=encoding, step=step, data=data)
    message.header.stamp = Time(sec=sec, nanosec=nanosec)
    refused(lambda: ViewMaker('a', DotsNetwork()).view(message, None, 100.), ImageError)


_JPEG = bytes(jpeg(np.zeros((32, 32, 3), np.uint8), 1.).data)


@SOME
@given(st.binary(max_size=200) | st.builds(lambda at, by: _JPEG[:at] + by + _JPEG[at + len(by):],
                                           st.integers(0, len(_JPEG)), st.binary(max_size=20)), st.text(max_size=10))
def test_any_compressed_image(data: bytes, form: str) -> None:
    message = CompressedImage(data=data, format=form, header=Header(stamp=stamp(1.)))
    refused(lambda: ViewMaker('a', DotsNetwork()).view(message, None, 100.), ImageError)


# -- parameters

@SOME
@given(st.sampled_from([p for kind in NODES.values() for p in table(kind)]),
       st.one_of(st.none(), st.booleans(), INTS, FLOATS, st.text(max_size=20), st.binary(max_size=5),
                 st.lists(st.one_of(st.text(max_size=5), INTS, FLOATS), max_size=4)))
@example(next(p for p in table(NODES['fusion_node']) if p.name == 'max_people'), float('inf'))
@example(next(p for p in table(NODES['fusion_node']) if p.name == 'lag_s'), 10**400)
def test_any_value_of_a_parameter(parameter: Any, value: Any) -> None:
    refused(lambda: checked(parameter, value), ParameterError)


# -- the node, over DDS

@pytest.mark.parametrize('name', ['infinite size', 'deep', 'size of 400 digits', 'long'])
def test_a_latched_text_costs_only_its_own_camera(world: World, name: str) -> None:
    fuse(world)
    a, b = Keypoints(world, 'a', info=False), Keypoints(world, 'b')
    a.info.publish(String(data=TEXTS[name]))
    entry = world.says('fusion_node: camera a', '/a/keypoints_info: ', lambda: (a(), b()))
    assert entry.level == b'\x02' and len(entry.message) < LONGEST_SENTENCE
    world.until(lambda: Scripted.made[0].taken, 'views of the other', lambda: (a(), b()))
    assert world.says('fusion_node: program', 'no defect').level == b'\x00'
    a.tell()
    world.until(lambda: {v.camera for v in Scripted.made[0].taken[-1].views} == {'a', 'b'}, 'both', lambda: (a(), b()))


def test_clouds_of_strangers_cost_only_their_own_camera(world: World) -> None:
    fuse(world)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    world.until(lambda: Scripted.made[0].taken, 'views', lambda: (a(), b()))

    strange_ones = itertools.cycle(m for m in (*ODD.values(), *CLOUDS.values()) if len(m.data) < 100_000)

    def strange() -> None:
        b()
        message = next(strange_ones)
        message.header.stamp = stamp(a.at)
        a.cloud.publish(message)

    world.says('fusion_node: camera a', '/a/keypoints: ', strange)
    assert world.says('fusion_node: program', 'no defect', strange).level == b'\x00'
    people = cloud(np.tile(np.concatenate([pose(), np.full((17, 1), .5), np.zeros((17, 1))], 1), (400, 1, 1)))

    def crowd() -> None:
        b()
        a.at += 1 / 16
        people.header.stamp = stamp(a.at)
        a.cloud.publish(people)

    entry = world.says('fusion_node: camera a', 'up to 400 people in a message: the 24 surest', crowd)
    assert entry.level == b'\x01'


def test_a_defect_in_any_callback_ends_nothing_and_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fuse(world)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    world.until(lambda: Scripted.made[0].taken, 'views', lambda: (a(), b()))
    with monkeypatch.context() as m:
        m.setattr(KeypointsInfo, 'parse', lambda *_: 1 / 0)
        a.tell()
        entry = world.says('fusion_node: program', 'ZeroDivisionError', lambda: (a(), b()))
        assert entry.level == b'\x02' and '/a/keypoints_info' in entry.message
        m.setattr(fusion_node, 'camera_entry', None)
        world.says('fusion_node: program', 'the report of the state', lambda: (a(), b()))
    count = len(Scripted.made[0].taken)
    world.until(lambda: len(Scripted.made[0].taken) > count + 3, 'views go on', lambda: (a(), b()))


def test_an_estimator_that_cannot_be_made_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fuse(world)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    both = lambda: (a(), b())  # noqa: E731
    world.until(lambda: Scripted.made[0].taken, 'views', both)
    with monkeypatch.context() as m:
        m.setattr(Scripted, '__init__', lambda *_: 1 / 0)
        m.setattr(Scripted, 'update', lambda *_: 1 / 0)
        world.says('fusion_node: fusion', 'ZeroDivisionError', both)
    world.until(lambda: len(Scripted.made) > 1 and Scripted.made[-1].taken, 'another estimator', both)
    world.says('fusion_node: fusion', 'level 1', both)


def _ask(world: World, kind: Any, name: str, request: Any) -> Any:
    client = world.node.create_client(kind, f'/fusion_node/{name}')
    world.until(client.service_is_ready, name)
    future = client.call_async(request)
    world.until(future.done, f'answer of {name}')
    return future.result()


@pytest.mark.parametrize('number', [1, 77, 255])
def test_a_transition_that_cannot_be_is_answered(world: World, number: int) -> None:
    fuse(world)
    request = ChangeState.Request()
    request.transition.id = number
    assert _ask(world, ChangeState, 'change_state', request).success is False
    assert world.says('fusion_node: program', 'change_state cannot be served').level == b'\x01'
    request.transition.id, request.transition.label = 0, 'nonsense'
    assert _ask(world, ChangeState, 'change_state', request).success is False


def test_parameters_of_strange_types_are_answered(world: World) -> None:
    fuse(world)
    for kind, name in ((200, 'stale_after_s'), (3, 'max_people'), (0, ''), (9, 'cameras'), (1, 'x' * 5000)):
        value = ParameterValue(type=kind, double_value=float('nan'))
        for service, word in ((SetParameters, ''), (SetParametersAtomically, '_atomically')):
            request = service.Request(parameters=[Parameter(name=name, value=value)])
            _ask(world, service, f'set_parameters{word}', request)
    a, b = Keypoints(world, 'a'), Keypoints(world, 'b')
    world.until(lambda: Scripted.made[0].taken, 'views', lambda: (a(), b()))
