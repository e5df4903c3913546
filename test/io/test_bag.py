# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 recordings: both storages, keypoints and images, and what goes wrong on a robot."""
from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import bag_files
import cv2
import numpy as np
import pytest
import recorded
from bags import ViewBag, write_bag
from raising import raises

from selfpose_ros.core.camera import Intrinsics
from selfpose_ros.core.noise import Accuracy
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.bag import images_beside_keypoints, read_bag
from selfpose_ros.io.errors import BadMessage, IoError
from selfpose_ros.io.recording import Recording
from selfpose_ros.io.ros_messages.camera_info import intrinsics_of
from selfpose_ros.io.ros_messages.images import ImageDecoder
from selfpose_ros.io.ros_messages.keypoints import KeypointsInfo, view_of

K = np.array([[500., 0, 320], [0, 510, 240], [0, 0, 1]])
Network = recorded.BrightnessNetwork


@pytest.fixture(params=['mcap', 'sqlite3'])
def storage(request):
    return request.param


def keypoints(n=12):
    """Two cameras, one of them calibrated; two people, one, nobody."""
    return [recorded.view(c, 100 + i / 10 + d, people, K=k) for i in range(n)
            for c, d, people, k in (('cam1', 0, 2, K), ('cam2', .03, i % 2, None))]


def grey(level, size=(64, 48)):
    return np.full((size[1], size[0], 3), level, np.uint8)


def images(bag, camera='cam1', n=6, jpeg=0, level=lambda i: 20 * i):
    for i in range(n):
        bag.image(camera, 50 + i / 10, grey(level(i)), jpeg_quality=jpeg)


def test_keypoints_round_trip(tmp_path, storage):
    made = Recording.of('r', ('cam1', 'cam2'), keypoints())
    write_bag(tmp_path / 'b', made, storage)
    read = read_bag(tmp_path / 'b', Network)
    assert (read.name, read.cameras, read.notes) == ('b', ('cam1', 'cam2'), ())
    assert recorded.same_views([*made.views], [*read.views], 1e-4)
    assert [v.intrinsics is not None for v in read.views] == [True, False] * 12
    assert np.allclose(read.views[0].intrinsics.K, K)


def test_depths_of_a_network_that_tells_them_are_read():
    names = ('u', 'v', 'confidence', 'person', 'depth', 'depth_sigma')
    table = np.random.default_rng(1).uniform(.1, .9, (2, 17, 6)).astype('<f4')
    table[1, 3, 4] = np.nan
    cloud = SimpleNamespace(
        height=2, width=17, is_bigendian=False, point_step=24, row_step=24 * 17,
        data=np.frombuffer(table.tobytes(), np.uint8),
        fields=[SimpleNamespace(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(names)])
    info = KeypointsInfo.parse(json.dumps({'joint_names': JOINTS, 'image_size': [640, 480]}), 'cam1')
    view = view_of(cloud, info, 5.)
    np.testing.assert_allclose(view.depth[0], table[0, :, 4], rtol=1e-6)
    np.testing.assert_allclose(view.depth_sigma[0], table[0, :, 5], rtol=1e-6)
    assert np.isnan(view.depth[1, 3]) and np.isfinite(view.depth).sum() == 33
    del cloud.fields[5]
    assert view_of(cloud, info, 5.).depth is None


def test_single_file_without_its_folder(tmp_path, storage):
    write_bag(tmp_path / 'b', keypoints(), storage)
    file = next(p for p in (tmp_path / 'b').iterdir() if p.suffix in ('.mcap', '.db3'))
    assert len(read_bag(file, Network).views) == 24


def test_recording_that_was_not_closed(tmp_path, storage):
    write_bag(tmp_path / 'b', keypoints(), storage)
    (tmp_path / 'b' / 'metadata.yaml').unlink()
    r = read_bag(tmp_path / 'b', Network)
    assert len(r.views) == 24 and 'metadata.yaml is missing' in r.notes[0]


def test_bag_names_types_and_qualities_for_other_players(tmp_path):
    write_bag(tmp_path / 'b', keypoints(1))
    text = (tmp_path / 'b' / 'metadata.yaml').read_text()
    assert 'RIHS01_' in text and 'offered_qos_profiles' in text and 'sensor_msgs/msg/PointCloud2' in text
    from rosbags.rosbag2 import Reader
    with Reader(tmp_path / 'b') as reader:
        quality = {c.topic: c.ext.offered_qos_profiles[0].durability.name for c in reader.connections}
    assert quality['/cam1/keypoints_info'] == 'TRANSIENT_LOCAL' and quality['/cam1/keypoints'] == 'VOLATILE'


def test_images_raw_and_compressed(tmp_path, storage):
    with ViewBag(tmp_path / 'b', storage) as bag:
        images(bag, 'cam1')
        images(bag, 'cam2', jpeg=95, level=lambda i: 200 - 20 * i)
        bag.camera_info('cam1', 50., (128, 96), Intrinsics(K))
        bag.camera_info('cam2', 50., (64, 48))
    told = []
    r = read_bag(tmp_path / 'b', Network, progress=lambda *x: told.append(x))
    assert r.cameras == ('cam1', 'cam2') and len(r.views) == 12 and told[-1][1:] == (12, 12)
    one, two = ([v for v in r.views if v.camera == c] for c in r.cameras)
    assert [v.keypoints[0, 0, 0] for v in one] == [20 * i for i in range(6)]
    assert [v.keypoints[0, 0, 0] for v in two] == pytest.approx([200 - 20 * i for i in range(6)], abs=2)
    assert [v.stamp for v in one] == pytest.approx(50 + np.arange(6) / 10)
    assert one[0].intrinsics.K[0, 0] == 250 and two[0].intrinsics is None      # half size; K[0] = 0


def test_keypoints_are_taken_before_images(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        images(bag)
        for view in keypoints():
            bag.view(view)
    assert len(read_bag(tmp_path / 'b', Network).views) == 24
    assert len(read_bag(tmp_path / 'b', Network, topics=['/cam1/image_raw']).views) == 6
    with raises(IoError, 'cam1/keypoints holds keypoints and /cam1/image_raw images; choose one',
                place=tmp_path / 'b'):
        read_bag(tmp_path / 'b', Network, topics=['/cam1/image_raw', '/cam1/keypoints'])


def test_images_beside_keypoints_are_those_of_their_cameras(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        images(bag, 'cam1/color')
        images(bag, 'cam1/color', jpeg=90, n=3)
        images(bag, 'cam10')
        for view in keypoints():
            bag.view(view)
    found = list(images_beside_keypoints(tmp_path / 'b'))
    assert [camera for camera, _, _ in found] == ['cam1'] * 6, 'the raw ones; nobody has keypoints of cam10'
    assert [stamp for _, stamp, _ in found] == pytest.approx(50 + np.arange(6) / 10) and found[0][2].ndim == 3
    with ViewBag(tmp_path / 'c') as bag:
        images(bag)
    assert not list(images_beside_keypoints(tmp_path / 'c')), 'those are read for their own sake'


def test_of_two_images_of_a_camera_the_raw_one_is_taken(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        images(bag, 'robot/cam1')
        images(bag, 'robot/cam1', jpeg=90, n=3)
        images(bag, 'lab/cam1', n=2)
    r = read_bag(tmp_path / 'b', Network)
    assert r.cameras == ('lab/cam1', 'robot/cam1') and len(r.views) == 8
    with raises(IoError, 'are of the same camera', place=tmp_path / 'b'):
        read_bag(tmp_path / 'b', Network, topics=['/robot/cam1/image_raw', '/robot/cam1/image_raw/compressed'])


def message(bag, kind, *values):
    return bag._types.types[kind](*values)


def test_bad_messages_lose_themselves_only(tmp_path, storage):
    good = bytes(cv2.imencode('.jpg', grey(90))[1])
    with ViewBag(tmp_path / 'b', storage) as bag:
        for i, data in enumerate((b'garbage', good, good[:-30], b'', good)):
            m = message(bag, 'sensor_msgs/msg/CompressedImage', bag._header(i, 'cam1'), 'jpeg',
                        np.frombuffer(data, np.uint8))
            bag._write('/cam1/image_raw/compressed', m, i)
        bag.cdr('/cam1/image_raw/compressed', 'sensor_msgs/msg/CompressedImage', b'\x00\x01\x00\x00', 5 * 10**9)
    r = read_bag(tmp_path / 'b', Network)
    assert [v.stamp for v in r.views] == [1, 4]
    assert '/cam1/image_raw/compressed: 4 bad messages are left out, the first because: 7 bytes' in r.notes[0]


def test_bad_keypoints_lose_themselves_only(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        bag.view(recorded.view('cam1', 1.))
        bag.cdr('/cam1/keypoints', 'sensor_msgs/msg/PointCloud2', b'\x00\x01\x00\x00abc', 2 * 10**9)
        m = message(bag, 'sensor_msgs/msg/PointCloud2', bag._header(3, 'cam1'), 1, 17,
                    [message(bag, 'sensor_msgs/msg/PointField', n, 4 * i, 7, 1)
                     for i, n in enumerate(('u', 'v', 'confidence', 'person'))], False, 16, 16 * 17,
                    np.zeros(10, np.uint8), True)
        bag._write('/cam1/keypoints', m, 3)
        m.width, m.row_step, m.data = 5, 80, np.zeros(80, np.uint8)
        bag._write('/cam1/keypoints', m, 4)
        bag.view(recorded.view('cam1', 5.))
    r = read_bag(tmp_path / 'b', Network)
    assert [v.stamp for v in r.views] == [1, 5] and '3 bad messages are left out' in r.notes[0]


def test_keypoints_without_description(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        bag._infos = {}
        for view in keypoints(2):
            bag.view(view)
    source = tmp_path / 'b'
    with ViewBag(tmp_path / 'c') as out:
        copy(source, out, leave_out='/cam2/keypoints_info')
    r = read_bag(tmp_path / 'c', Network)
    assert r.cameras == ('cam1',) and r.notes[0].startswith('/cam2/keypoints: left out, no /cam2/keypoints_info')
    with ViewBag(tmp_path / 'd') as out:
        copy(source, out, leave_out='_info')
    with raises(IoError, 'no /cam1/keypoints_info that can be read', place=tmp_path / 'd'):
        read_bag(tmp_path / 'd', Network)


def copy(source, out, leave_out):
    from rosbags.rosbag2 import Reader
    with Reader(source) as reader:
        for c, ns, data in reader.messages():
            if leave_out not in c.topic:
                out.cdr(c.topic, c.msgtype, data, ns)


def test_description_that_changes(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        for stamp, k in ((1., None), (2., None), (3., K), (4., K)):
            bag.view(recorded.view('cam1', stamp, K=k))
    views = read_bag(tmp_path / 'b', Network).views
    assert [v.intrinsics is not None for v in views] == [False, False, True, True]


def test_description_that_is_garbage(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        bag._write('/cam1/keypoints_info', message(bag, 'std_msgs/msg/String', '{"joint_names": 3'), .5)
        bag.view(recorded.view('cam1', 1.))
    assert '/cam1/keypoints_info: 1 bad messages' in read_bag(tmp_path / 'b', Network).notes[0]


def test_headers_without_stamp(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        for i in range(3):
            m = message(bag, 'sensor_msgs/msg/Image', bag._header(0, 'cam1'), 48, 64, 'bgr8', 0, 192,
                        grey(9).ravel())
            bag._write('/cam1/image_raw', m, 70 + i)
    r = read_bag(tmp_path / 'b', Network)
    assert [v.stamp for v in r.views] == [70, 71, 72]
    assert r.notes == ('/cam1/image_raw: 3 messages have no stamp and got the time of recording',)


def test_duplicates_and_disorder(tmp_path):
    views = [recorded.view('cam1', t) for t in (1., 3., 2., 3., 4.)]
    write_bag(tmp_path / 'b', views)
    r = read_bag(tmp_path / 'b', Network)
    assert [v.stamp for v in r.views] == [1, 2, 3, 4] and '1 views had the stamp' in r.notes[0]


@pytest.mark.parametrize('share', [.3, .7, .98])
@pytest.mark.parametrize('metadata', [True, False])
def test_bag_that_was_cut_off_gives_what_lies_before(tmp_path, storage, share, metadata):
    write_bag(tmp_path / 'b', keypoints(400), storage)
    cut(bag_file(tmp_path / 'b'), share)
    if not metadata:
        (tmp_path / 'b' / 'metadata.yaml').unlink()
    r = read_bag(tmp_path / 'b', Network)
    assert 800 * (share - .1) < len(r.views) <= 800
    assert sum('messages' in n and 'are read' in n for n in r.notes) == 1, r.notes


@pytest.mark.parametrize('compression', ['zstd', ''])
def test_mcap_that_was_cut_off_in_a_later_chunk(tmp_path, compression):
    """As a power cut leaves it: several chunks, the last of them in part, no index."""
    path = bag_files.rechunked(tmp_path / 'b.mcap', keypoints(60), compression, per_chunk=20)
    cut(path, .85)
    r = read_bag(path, Network)
    assert 80 < len(r.views) < 120 and any('its end is missing' in n for n in r.notes)


@pytest.mark.parametrize('share', [0., .002])
def test_bag_of_which_nothing_is_left(tmp_path, storage, share):
    write_bag(tmp_path / 'b', keypoints(400), storage)
    cut(bag_file(tmp_path / 'b'), share)
    with pytest.raises(IoError, match=r'b\.(mcap|db3): the bag cannot be opened .*; (try|copy)') as error:
        read_bag(tmp_path / 'b', Network)
    assert '\n' not in str(error.value)


def bag_file(folder):
    return next(p for p in folder.iterdir() if p.suffix in ('.mcap', '.db3'))


def cut(file, share):
    content = file.read_bytes()
    file.write_bytes(content[:int(share * len(content))])


def test_bag_that_is_damaged_half_way_gives_what_lies_before(tmp_path):
    write_bag(tmp_path / 'b', keypoints(1800), 'mcap')
    file = next((tmp_path / 'b').glob('*.mcap'))
    content = bytearray(file.read_bytes())
    place = 2 * len(content) // 3
    content[place:place + 3000] = b'\xff' * 3000           # more than a message: its length is hit, too
    file.write_bytes(content)
    r = read_bag(tmp_path / 'b', Network)
    assert 100 < len(r.views) < 3500
    assert any(n.startswith('/cam1/keypoints: the bag is damaged, a part of it is left out') for n in r.notes)


def test_storage_file_is_gone(tmp_path):
    write_bag(tmp_path / 'b', keypoints(1))
    next((tmp_path / 'b').glob('*.mcap')).unlink()
    with raises(IoError, 'the bag cannot be opened .*files are missing', place=tmp_path / 'b'):
        read_bag(tmp_path / 'b', Network)


def test_bag_of_something_else(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        bag._write('/chatter', message(bag, 'std_msgs/msg/String', 'hello'), 1.)
        cloud = message(bag, 'sensor_msgs/msg/PointCloud2', bag._header(1, 'lidar'), 0, 0, [], False, 0, 0,
                        np.zeros(0, np.uint8), True)
        bag._write('/lidar', cloud, 1.)
    with raises(IoError, r'neither images nor keypoints in it, but /chatter \(1\), /lidar \(1\)',
                place=tmp_path / 'b'):
        read_bag(tmp_path / 'b', Network)
    with raises(IoError, '/lidar holds neither images nor keypoints', place=tmp_path / 'b'):
        read_bag(tmp_path / 'b', Network, topics=['/lidar'])
    with raises(IoError, 'no topic /cam9/image_raw in it, but /chatter', place=tmp_path / 'b'):
        read_bag(tmp_path / 'b', Network, topics=['/cam9/image_raw'])


def test_depth_images_are_left_out(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        images(bag, 'cam1')
        depth = message(bag, 'sensor_msgs/msg/Image', bag._header(1, 'x'), 48, 64, '32FC1', 0, 256,
                        np.zeros(48 * 256, np.uint8))
        bag._write('/cam1/depth/image_raw', depth, 1.)
    r = read_bag(tmp_path / 'b', Network)
    assert r.cameras == ('cam1',) and '/cam1/depth/image_raw: left out, a depth image' in r.notes[0]
    with raises(IoError, 'cam1/depth/image_raw holds no image that can be used', place=tmp_path / 'b'):
        read_bag(tmp_path / 'b', Network, topics=['/cam1/depth/image_raw'])


def test_writer_does_not_touch_what_is_there(tmp_path):
    write_bag(tmp_path / 'b', keypoints(1))
    with raises(IoError, 'exists already', place=tmp_path / 'b'):
        write_bag(tmp_path / 'b', keypoints(1))
    with raises(IoError, "storage 'bag1' is not known", place=tmp_path / 'c'):
        write_bag(tmp_path / 'c', keypoints(1), 'bag1')
    (tmp_path / 'file').touch()
    with raises(IoError, 'cannot be written', place=tmp_path / 'file/b'):
        write_bag(tmp_path / 'file' / 'b', keypoints(1))
    with ViewBag(tmp_path / 'd') as bag, raises(IoError, "'my_msgs/msg/Mine' of /x is not known",
                                                place=tmp_path / 'd'):
        bag.cdr('/x', 'my_msgs/msg/Mine', b'', 0)
    with raises(IoError, 'no such bag', place=tmp_path / 'none'):
        read_bag(tmp_path / 'none', Network)
    shutil.rmtree(tmp_path / 'd')
    (tmp_path / 'd').mkdir()
    with raises(IoError, 'no bag in it', place=tmp_path / 'd'):
        read_bag(tmp_path / 'd', Network)


def image_of(message):
    return ImageDecoder().bgr(message)


def raw(encoding, data, w, h, step, bigendian=0):
    class Message:
        pass
    m = Message()
    m.encoding, m.width, m.height, m.step, m.is_bigendian = encoding, w, h, step, bigendian
    m.data = np.frombuffer(data, np.uint8)
    return m


@pytest.mark.parametrize('encoding, pixel, bgr', [
    ('bgr8', b'\x01\x02\x03', [1, 2, 3]), ('rgb8', b'\x01\x02\x03', [3, 2, 1]), ('mono8', b'\x07', [7, 7, 7]),
    ('rgba8', b'\x01\x02\x03\x04', [3, 2, 1]), ('bgra8', b'\x01\x02\x03\x04', [1, 2, 3]),
    ('mono16', b'\x99\xc7', [199] * 3), ('rgb16', b'\x99\xc1\x99\x02\x99\x03', [3, 2, 193])])
def test_encodings_with_padded_rows(encoding, pixel, bgr):
    row = pixel * 4 + b'\xff' * 5
    image = image_of(raw(encoding, row * 2, 4, 2, len(row)))
    assert image.shape == (2, 4, 3) and (image == bgr).all()


def test_big_endian_and_bayer_and_yuv():
    assert (image_of(raw('mono16', b'\xc7\x99' * 4, 2, 2, 4, 1)) == 199).all()
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[::2, ::2] = 200                                 # only the red cells of an RGGB mosaic are lit
    b, g, r = image_of(raw('bayer_rggb8', mosaic.tobytes(), 8, 8, 8))[4, 4]
    assert r > 150 and b < 60 and g < 120
    assert (image_of(raw('yuv422_yuy2', b'\x50\x80' * 8, 4, 2, 8)).std((0, 1)) == 0).all()


@pytest.mark.parametrize('bad, sentence', [
    (raw('bgr8', b'\x00' * 20, 4, 2, 12), '20 bytes in rows of 12 are too few for 4x2 px bgr8'),
    (raw('bgr8', b'', 0, 0, 0), 'too few'),
    (raw('16UC1', b'\x00' * 16, 4, 2, 8), r'a depth image \(16UC1\)')])
def test_images_that_are_none(bad, sentence):
    with pytest.raises(BadMessage, match=sentence):
        image_of(bad)


def test_lens_models_and_sizes(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        bag.camera_info('c', 0., (640, 480), Intrinsics(K, np.arange(5) / 100))
    from selfpose_ros.io.bag_file import BagFile
    info = next(m for _, _, m in BagFile(tmp_path / 'b').messages(['/c/camera_info'], {}))
    assert intrinsics_of(info, (640, 480)).distortion.tolist() == [0, .01, .02, .03, .04]
    assert intrinsics_of(info, (320, 240)).K[:2].tolist() == [[250, 0, 159.75], [0, 255, 119.75]]
    with pytest.raises(BadMessage):
        intrinsics_of(info, (480, 480))
    info.distortion_model = 'omnidirectional'
    with pytest.raises(BadMessage):
        intrinsics_of(info, (640, 480))


def test_description_is_what_the_nodes_write(tmp_path):
    messages = pytest.importorskip('selfpose_ros.nodes.messages', reason='needs the ROS message packages')
    text = messages.KeypointsInfo('cam1', ('nose', *recorded.JOINTS[1:]), (640, 480), Intrinsics(K)).text()
    info = KeypointsInfo.parse(text, 'cam1')
    assert info.image_size == (640, 480) and np.array_equal(info.intrinsics.K, K) and info.joint_names[0] == 'nose'
    assert {'joint_names', 'image_size', 'K', 'distortion'} <= set(json.loads(text))


def test_bag_of_what_the_nodes_publish(tmp_path):
    pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
    from rclpy.serialization import serialize_message
    from std_msgs.msg import Header, String

    from selfpose_ros.nodes import messages
    views = [recorded.view('cam1', 100 + i / 10, people, K=K) for i, people in enumerate((2, 0, 1))]
    info = messages.KeypointsInfo('cam1', recorded.JOINTS, (640, 480), Intrinsics(K))
    with ViewBag(tmp_path / 'b') as bag:
        text = serialize_message(String(data=info.text()))
        bag.cdr('/robot/cam1/keypoints_info', 'std_msgs/msg/String', text, 10**9, latched=True)
        for v in views:
            cloud = messages.keypoints_from(v, Header(stamp=messages.time_from(v.stamp), frame_id='x'))
            bag.cdr('/robot/cam1/keypoints', 'sensor_msgs/msg/PointCloud2', serialize_message(cloud),
                    round(v.stamp * 1e9))
    read = read_bag(tmp_path / 'b', Network)
    assert read.cameras == ('cam1',) and read.notes == ()
    assert recorded.same_views(views, [*read.views], 1e-4)


def odd_clouds():
    """Clouds of keypoints as somebody else may send them: (P, 17, fields) and the names of the fields."""
    rng = np.random.default_rng(4)
    table = np.concatenate([rng.uniform(0, 400, (3, 17, 2)), rng.uniform(0, 1, (3, 17, 1)), np.full((3, 17, 1), 2.)],
                           -1)
    table[0, 0, 0], table[0, 1, 1], table[0, 2, 2], table[0, 3, 2], table[0, 4, 2] = np.nan, np.inf, np.nan, 7., -1.
    table[0, 5, 0], table[0, 6, 1] = 3e38, -9000.          # further away than any extrapolation
    table[0, :, 3], table[1, :, 3], table[2, :, 3] = np.nan, -5., 2.**25
    depth = rng.uniform(.1, 2, (3, 17, 2))
    depth[0, 0, 1], depth[0, 1, 0], depth[0, 2, 1], depth[0, 3, 0] = 0., 50., np.nan, np.inf
    names = ('u', 'v', 'confidence', 'person')
    yield names, table
    yield (*names, 'depth', 'depth_sigma'), np.concatenate([table, depth], -1)
    many = np.tile(table[1:2], (300, 1, 1))
    many[:, :, 0] += np.arange(300)[:, None]
    many[:, :, 2] = np.roll(np.linspace(.1, .9, 300), 40)[:, None]
    yield names, many
    yield names, table[:0]


def test_a_bag_and_a_node_read_the_same_of_the_same_messages(tmp_path):
    pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')
    from rclpy.serialization import serialize_message
    from std_msgs.msg import Header, String

    from selfpose_ros.nodes import messages
    from selfpose_ros.nodes.clouds import table_cloud
    info = messages.KeypointsInfo('cam1', recorded.JOINTS, (640, 480), Intrinsics(K),
                                  accuracy=Accuracy((.2, .9), (.04, .01)))
    clouds = [table_cloud(Header(stamp=messages.time_from(100. + i)), names, table.astype(np.float32), 17)
              for i, (names, table) in enumerate(odd_clouds())]
    with ViewBag(tmp_path / 'b') as bag:
        text = serialize_message(String(data=info.text()))
        bag.cdr('/cam1/keypoints_info', 'std_msgs/msg/String', text, 10**9, latched=True)
        for i, cloud in enumerate(clouds):
            bag.cdr('/cam1/keypoints', 'sensor_msgs/msg/PointCloud2', serialize_message(cloud), (100 + i) * 10**9)
    read = read_bag(tmp_path / 'b', Network)
    heard = [messages.view_of(cloud, info, 'cam1/keypoints') for cloud in clouds]
    assert len(read.views) == len(heard) == 4 and [len(v.keypoints) for v in heard] == [3, 3, 200, 0]
    for a, b in zip(read.views, heard, strict=True):
        for name in ('stamp', 'keypoints', 'confidence', 'image_size', 'person', 'depth', 'depth_sigma'):
            np.testing.assert_equal(getattr(a, name), getattr(b, name), err_msg=f'{name} at {a.stamp}')
        assert np.array_equal(a.intrinsics.K, b.intrinsics.K) and a.accuracy == b.accuracy == info.accuracy


def test_a_written_view_keeps_its_depths_and_the_accuracy_of_its_network(tmp_path):
    view = recorded.view('cam1', 3., 2)
    rng = np.random.default_rng(1)
    view = replace(view, depth=rng.normal(size=(2, 17)), depth_sigma=rng.uniform(.1, .2, (2, 17)),
                   accuracy=Accuracy((.2, .9), (.04, .01)))
    write_bag(tmp_path / 'b', [view])
    read, = read_bag(tmp_path / 'b', Network).views
    np.testing.assert_allclose(read.depth, view.depth, rtol=1e-6)
    np.testing.assert_allclose(read.depth_sigma, view.depth_sigma, rtol=1e-6)
    assert read.accuracy == view.accuracy
