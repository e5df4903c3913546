# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Values to messages and back, and messages of strangers that do not hold what they promise."""
from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from selfpose_ros.core.camera import Intrinsics
from selfpose_ros.core.noise import Accuracy
from selfpose_ros.core.observation import Skeleton3D, View2D
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.skeleton import BONES, COCO17, JOINT_SETS, JOINTS, joint_map
from selfpose_ros.io.ros_messages.keypoints import KEYPOINT_FIELDS
from selfpose_ros.nodes import markers, messages
from selfpose_ros.nodes.errors import MessageError
from selfpose_ros.nodes.messages import KeypointsInfo, info_of

RNG = np.random.default_rng(7)


def _view(people: int = 2) -> View2D:
    kp = RNG.uniform(0, 400, (people, 17, 2))
    kp[:, 3] = np.nan
    return View2D('cam1', 1_790_000_000.123456789, kp, RNG.uniform(0.1, 1, (people, 17)), (640, 480),
                  np.arange(people), Intrinsics(np.array([[500., 0, 320], [0, 510, 240], [0, 0, 1]])))


def _header(view: View2D) -> Header:
    return Header(stamp=messages.time_from(view.stamp), frame_id='lens')


def _info(names: tuple[str, ...] = JOINTS) -> KeypointsInfo:
    return KeypointsInfo('cam1', names, (640, 480))


def _skeleton(person: int = 1, level: int = 3) -> Skeleton3D:
    joints = RNG.normal(0, 1, (17, 3))
    joints[16] = np.nan
    return Skeleton3D(person, 12.5, joints, np.full(17, 0.02), np.linspace(0, 1, 17), np.full(17, 3), level,
                      RNG.normal(0, 1, (17, 3)))


def _rig() -> Rig:
    R = Rotation.from_euler('xyz', [[100, 0, 30], [95, 10, -60]], degrees=True).as_matrix()
    K = np.tile(np.array([[600., 0, 320], [0, 600, 240], [0, 0, 1]]), (2, 1, 1))
    return Rig(('cam1', 'left/eye'), K, np.zeros((2, 5)), np.array([[640, 480], [640, 480]]), R,
               np.array([[0., 0.5, 3], [1, 0.2, 4]]), 0.8)


@pytest.mark.parametrize('people', [0, 1, 3])
def test_a_view_survives_the_message(people: int) -> None:
    view = _view(people)
    cloud = messages.keypoints_from(view, _header(view))
    accuracy = Accuracy((.2, .9), (.04, .01)) if people else None
    sent = KeypointsInfo('cam1', JOINTS, (640, 480), view.intrinsics, accuracy=accuracy).text()
    info = info_of(sent, 'cam1', 'info')
    back = messages.view_of(cloud, info, 'keypoints')
    assert (cloud.height, cloud.width) == (people, 17)
    np.testing.assert_allclose(back.keypoints, view.keypoints, rtol=1e-6)
    np.testing.assert_allclose(back.confidence, view.confidence, rtol=1e-6)
    np.testing.assert_array_equal(back.person, view.person)
    assert abs(back.stamp - view.stamp) < 1e-6 and back.image_size == view.image_size
    assert back.intrinsics is not None and view.intrinsics is not None
    np.testing.assert_array_equal(back.intrinsics.K, view.intrinsics.K)
    assert back.accuracy == accuracy


def test_depths_survive_the_message_and_are_mapped_with_their_joints() -> None:
    view = replace(_view(2), depth=RNG.normal(0, 1, (2, 17)), depth_sigma=RNG.uniform(.1, .2, (2, 17)))
    cloud = messages.keypoints_from(view, _header(view))
    assert [f.name for f in cloud.fields] == ['u', 'v', 'confidence', 'person', 'depth', 'depth_sigma']
    back = messages.view_of(cloud, _info(), 'keypoints')
    seen = view.confidence > 0
    for name in ('depth', 'depth_sigma'):
        np.testing.assert_allclose(getattr(back, name)[seen], getattr(view, name)[seen], rtol=1e-6)
    assert np.isnan(back.depth[~seen]).all(), 'a joint that is not seen has no depth'
    other = messages.view_of(cloud, _info(COCO17), 'keypoints')
    hips = view.depth[:, [COCO17.index('left_hip'), COCO17.index('right_hip')]].mean(1)
    np.testing.assert_allclose(other.depth[:, 0], hips, rtol=1e-5)
    nobody = replace(_view(0), depth=np.zeros((0, 17)), depth_sigma=np.zeros((0, 17)))
    empty = messages.view_of(messages.keypoints_from(nobody, _header(nobody)), _info(), 'keypoints')
    assert empty.depth is not None and empty.depth.shape == (0, 17)


def test_another_network_s_joints_are_mapped_to_the_17() -> None:
    rows = RNG.uniform(0, 400, (1, 17, 2))
    # doubles, other order of fields, padding, big endian: all that PointCloud2 allows
    kind = np.dtype([('person', '>i4'), ('v', '>f8'), ('pad', 'V4'), ('u', '>f8'), ('confidence', '>f4')])
    table = np.zeros((1, 17), kind)
    table['u'], table['v'], table['confidence'], table['person'] = rows[..., 0], rows[..., 1], 0.5, 4
    types = {'u': PointField.FLOAT64, 'v': PointField.FLOAT64, 'confidence': PointField.FLOAT32,
             'person': PointField.INT32}
    cloud = PointCloud2(height=1, width=17, is_bigendian=True, point_step=kind.itemsize,
                        row_step=17 * kind.itemsize, data=table.tobytes(),
                        fields=[PointField(name=n, offset=kind.fields[n][1], datatype=t, count=1)
                                for n, t in types.items()])
    view = messages.view_of(cloud, _info(COCO17), 'keypoints')
    np.testing.assert_allclose(view.keypoints[0, JOINTS.index('r_knee')], rows[0, COCO17.index('right_knee')])
    np.testing.assert_allclose(view.keypoints[0, 0], rows[0, [11, 12]].mean(0))
    assert view.person.tolist() == [4]


@pytest.mark.parametrize('name', sorted(JOINT_SETS))
def test_every_joint_set_can_be_published(name: str) -> None:
    names = JOINT_SETS[name]
    for given in (list(names), name.upper()):
        info = info_of(json.dumps({'joint_names': given, 'image_size': [640, 480]}), 'cam1', 'info')
        assert info.joint_names == names
    table = np.random.default_rng(0).uniform(.1, .9, (2, len(names), 4)).astype(np.float32)
    cloud = messages.table_cloud(Header(), KEYPOINT_FIELDS, table, len(names))
    view = messages.view_of(cloud, info, 'keypoints')
    expected, confidence = joint_map(names).apply(table[..., :2], table[..., 2])
    assert np.allclose(view.keypoints, expected, atol=1e-5) and np.allclose(view.confidence, confidence, atol=1e-5)


def test_nan_zero_infinite_and_absurd_joints_count_as_not_seen() -> None:
    view = _view(1)
    cloud = messages.keypoints_from(view, _header(view))
    data = np.frombuffer(bytes(cloud.data), '<f4').reshape(17, 4).copy()
    data[0, 0], data[1, 1], data[2, 2], data[4, 2], data[5, 0], data[6, 2], data[:, 3] = (
        np.nan, np.inf, np.nan, 0., 3e38, -1., np.nan)
    cloud.data = data.tobytes()
    back = messages.view_of(cloud, _info(), 'keypoints')
    gone = [0, 1, 2, 3, 4, 5, 6]
    assert np.isnan(back.keypoints[0, gone]).all() and (back.confidence[0, gone] == 0).all()
    assert np.isfinite(np.delete(back.keypoints[0], gone, 0)).all() and back.person.tolist() == [-1]


def _spoilt(change: str) -> PointCloud2:
    cloud = messages.keypoints_from(_view(2), Header())
    if change == 'cut':
        cloud.data = cloud.data[:-1]
    elif change == 'field':
        cloud.fields = cloud.fields[1:]
    elif change == 'type':
        cloud.fields = [PointField(name=f.name, offset=f.offset, datatype=42, count=1) for f in cloud.fields]
    elif change == 'offset':
        cloud.fields = [PointField(name=f.name, offset=100, datatype=7, count=1) for f in cloud.fields]
    elif change == 'row':
        cloud.row_step = 3
    elif change == 'width':
        cloud.width = 4
    return cloud


@pytest.mark.parametrize(('change', 'words'), [
    ('cut', 'too few'), ('field', 'no field u'), ('type', 'datatype 42'), ('offset', 'at offset 100'),
    ('row', 'too few'), ('width', '4 columns for 17 joint names')])
def test_a_cloud_that_does_not_hold_what_it_promises_is_refused(change: str, words: str) -> None:
    with pytest.raises(MessageError, match=words) as told:
        messages.view_of(_spoilt(change), _info(), 'cam1/keypoints')
    assert str(told.value).startswith('cam1/keypoints: ')


@pytest.mark.parametrize(('text', 'words'), [
    ('', 'send JSON'), ('[1]', 'send JSON'), ('{"joint_names": ["a"]}', 'send JSON'),
    ('{"joint_names": ["nose"], "image_size": [640, 480]}', 'info: joint names: .* missing among 1 names'),
    (json.dumps({'joint_names': JOINTS + ('head',), 'image_size': [640, 480]}), 'given twice'),
    (json.dumps({'joint_names': JOINTS, 'image_size': [0, 480]}), 'image_size is 0x480'),
    (json.dumps({'joint_names': JOINTS, 'image_size': [640, 480], 'K': [[0] * 3] * 3}), 'positive focal lengths'),
])
def test_keypoints_info_that_says_nothing_usable_is_refused(text: str, words: str) -> None:
    with pytest.raises(MessageError, match=words) as told:
        info_of(text, 'cam1', 'cam1/keypoints_info')
    assert str(told.value).startswith('cam1/keypoints_info: ')


@pytest.mark.parametrize('people', [0, 1, 2])
def test_skeletons_survive_the_message(people: int) -> None:
    given = [_skeleton(i + 1, 3 - i) for i in range(people)]
    cloud = messages.skeletons_from(given, 12.5, 'selfpose_world')
    back = messages.skeletons_of(cloud)
    assert [f.name for f in cloud.fields] == list(messages.SKELETON_FIELDS)
    assert (cloud.height, cloud.width, cloud.header.frame_id) == (people, 17, 'selfpose_world')
    for a, b in zip(given, back, strict=True):
        np.testing.assert_allclose(a.joints, b.joints, rtol=1e-6)
        np.testing.assert_allclose(a.sigma, b.sigma, rtol=1e-6)
        assert (a.person, a.level, a.views.tolist(), a.stamp) == (b.person, b.level, b.views.tolist(), b.stamp)
    assert cloud.is_dense is (people == 0), 'a joint is NaN'


def test_one_line_of_numpy_reads_the_table() -> None:
    given = [_skeleton(1), _skeleton(2)]
    cloud = messages.skeletons_from(given, 12.5, 'w')
    table = np.frombuffer(cloud.data, np.float32).reshape(cloud.height, cloud.width, -1)
    np.testing.assert_allclose(table[1, :, :3], given[1].joints, rtol=1e-6)


def test_the_model_names_columns_and_fields() -> None:
    model = json.loads(messages.skeleton_model_text())
    assert model['joints'] == list(JOINTS) and len(model['bones']) == 16
    assert model['fields'] == list(messages.SKELETON_FIELDS)


def test_joint_state_names_only_joints_that_are_known() -> None:
    p = _skeleton()
    state = messages.joint_state_from(p, 'selfpose_world')
    assert list(state.joint_names) == list(JOINTS[:16])
    assert len(state.transforms) == len(state.twist) == 16
    t, v = state.transforms[8].translation, state.twist[8].linear
    np.testing.assert_allclose([t.x, t.y, t.z, v.x, v.y, v.z], [*p.joints[8], *p.velocity[8]])


def test_transforms_put_the_cameras_where_the_rig_says() -> None:
    rig = _rig()
    point = np.array([0.3, -0.2, 1.1])
    for i, t in enumerate(messages.transforms_from(rig, 3.25, 'selfpose_world')):
        q, v = t.transform.rotation, t.transform.translation
        world_from_camera = Rotation.from_quat([q.x, q.y, q.z, q.w])
        np.testing.assert_allclose(world_from_camera.apply(rig.R[i] @ point + rig.t[i]) + [v.x, v.y, v.z], point,
                                   atol=1e-12)
        assert (t.header.frame_id, t.header.stamp.sec) == ('selfpose_world', 3)
    assert t.child_frame_id == 'left_eye_optical'


def test_the_rig_survives_its_json_and_nan_does_not_break_other_readers() -> None:
    rig = _rig()
    text = messages.rig_text(rig, 'selfpose_world')
    values = json.loads(text, parse_constant=lambda name: pytest.fail(f'{name} is no JSON'))
    assert values['solved'] is True and values['frame_id'] == 'selfpose_world'
    read, reason = messages.rig_of(text)
    assert read is not None and reason == ''
    for name in ('K', 't', 'clock_offset_s', 'centre_sigma_m', 'reprojection_px'):
        np.testing.assert_array_equal(getattr(read, name), getattr(rig, name))
    text = messages.rig_text(None, 'selfpose_world', 'not enough motion')
    assert messages.rig_of(text) == (None, 'not enough motion')
    none = json.loads(text)
    assert none == {'solved': False, 'frame_id': 'selfpose_world', 'reason': 'not enough motion'}


@pytest.mark.parametrize('text', ['', '[1]', '{}', '{"solved": true}', '{"solved": true, "cameras": 3}', '[' * 100000])
def test_a_rig_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(MessageError, match='is no rig'):
        messages.rig_of(text)


def test_camera_info_of_the_rig() -> None:
    info = messages.camera_info_from_rig(_rig(), 'left/eye', 3.)
    assert (info.width, info.height, info.k[0], info.p[0], info.header.frame_id) == (640, 480, 600, 600,
                                                                                    'left_eye_optical')
    assert info.distortion_model == 'plumb_bob' and len(info.d) == 5
    known = replace(_rig(), distortion=np.tile([.1, .2, 0, 0, .3, .4, .5, .6], (len(_rig().cameras), 1)))
    info = messages.camera_info_from_rig(known, 'left/eye', 3.)
    assert info.distortion_model == 'rational_polynomial' and list(info.d) == known.distortion[0].tolist()


def test_markers_leave_out_what_is_not_known_and_say_when_the_place_is_not() -> None:
    lost = Skeleton3D(3, 1., np.full((17, 3), np.nan), np.full(17, np.nan), np.zeros(17), np.zeros(17), 1)
    made = markers.people_markers([_skeleton(1), _skeleton(2, 1), lost], 1., 'w', 0.05).markers
    assert [(m.ns, m.id) for m in made] == [(ns, i) for i in (1, 2) for ns in ('joints', 'bones', 'labels')]
    known = sum(16 not in bone for bone in BONES)
    assert len(made[0].points) == len(made[0].colors) == 16 and len(made[1].points) == 2 * known
    assert 'place is provisional' in made[5].text and 'place' not in made[2].text
    assert all(m.lifetime.nanosec or m.lifetime.sec for m in made)
    assert all(np.isfinite([p.x, p.y, p.z]).all() for m in made for p in m.points)


def test_the_cameras_pyramids_look_where_the_cameras_look() -> None:
    rig = _rig()
    made = markers.rig_markers(rig, 1., 'w', 2.5).markers
    assert [m.ns for m in made] == ['cameras', 'floor', 'camera_names', 'camera_names']
    points = np.array([[p.x, p.y, p.z] for p in made[0].points]).reshape(2, 16, 3)
    for i in range(2):
        depth = (points[i] @ rig.R[i].T + rig.t[i])[:, 2]
        np.testing.assert_allclose(sorted(depth)[:4], 0, atol=1e-12)
        np.testing.assert_allclose(sorted(depth)[4:], 0.25)
    assert made[0].type == Marker.LINE_LIST and made[0].lifetime.sec == 2
