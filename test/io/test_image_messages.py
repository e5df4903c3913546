# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of cameras to values, as bags and nodes do it: bits, depth, videos, sizes, rectified images; anything."""
from __future__ import annotations

import struct
import tracemalloc
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import recorded
from bags import ViewBag
from hypothesis import given, settings, strategies as st
from raising import raises

from selfpose_ros.core.camera import project, undistort_px
from selfpose_ros.io.bag import read_bag
from selfpose_ros.io.errors import BadMessage, IoError, NoPicture
from selfpose_ros.io.pictures import JPEG, PNG, Header, header
from selfpose_ros.io.ros_messages.camera_info import intrinsics_of
from selfpose_ros.io.ros_messages.image_topics import info_topic, is_depth, is_rectified, unusable_kind
from selfpose_ros.io.ros_messages.images import ENCODINGS, ImageDecoder
from selfpose_ros.io.video import VideoReader, read_videos

Network = recorded.BrightnessNetwork
GREY = np.tile(np.arange(64, dtype=np.uint16) * 4, (48, 1))


def raw(pixels, encoding, big=False):
    pixels = np.ascontiguousarray(pixels)
    rows = pixels.view(np.uint8).reshape(len(pixels), -1)
    return SimpleNamespace(encoding=encoding, height=pixels.shape[0], width=pixels.shape[1], step=rows.shape[1],
                           is_bigendian=int(big), data=rows.ravel())


def packed(data, form):
    return SimpleNamespace(format=form, data=np.frombuffer(bytes(data), np.uint8))


def png(pixels):
    return cv2.imencode('.png', pixels)[1].tobytes()


def giant_png(width, height, bits=8):
    """The head of a PNG file of any size, and nothing of its content."""
    def part(name, content):
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))
    return (PNG + part(b'IHDR', struct.pack('>IIBBBBB', width, height, bits, 2, 0, 0, 0))
            + part(b'IDAT', zlib.compress(bytes(1000))) + part(b'IEND', b''))


def giant_jpeg(width, height):
    data = bytearray(cv2.imencode('.jpg', np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    at = data.index(b'\xff\xc0') + 5
    data[at:at + 4] = struct.pack('>HH', height, width)
    return bytes(data)


# -- bits that are used

@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
@pytest.mark.parametrize('encoding', ['mono16', 'rgb16', 'bgr16', 'rgba16', 'bayer_rggb16', 'png', 'colour png'])
def test_fewer_bits_than_sixteen_give_the_same_picture(encoding, bits, big):
    values = (GREY << (bits - 8)).astype('>u2' if big else '<u2')
    channels = {'mono16': 1, 'bayer_rggb16': 1, 'png': 1, 'rgba16': 4}.get(encoding, 3)
    pixels = values if channels == 1 else np.repeat(values[..., None], channels, -1)
    decoder = ImageDecoder()
    if encoding.endswith('png'):
        image = decoder.bgr(packed(png(pixels.astype(np.uint16)), 'mono16; png compressed '))
    else:
        image = decoder.bgr(raw(pixels, encoding, big))
    assert decoder.bits == bits and bool(decoder.note) == (bits < 16)
    assert np.abs(image[4:-4, 4:-4].astype(int) - GREY[4:-4, 4:-4, None]).max() <= (4 if 'bayer' in encoding else 0)


def test_brightness_does_not_follow_each_frame():
    """A dark image between bright ones is dark; a brighter one than all before shows that there are more bits."""
    decoder = ImageDecoder()
    bright, dark = (GREY << 4).astype('<u2'), (GREY >> 2).astype('<u2')
    first = decoder.bgr(raw(bright, 'mono16')).copy()
    assert decoder.bgr(raw(dark, 'mono16')).max() == 252 // 4 >> 4
    assert np.array_equal(decoder.bgr(raw(bright, 'mono16')), first) and decoder.bits == 12
    decoder.bgr(raw(bright << 4, 'mono16'))
    assert decoder.bits == 16 and decoder.note == ''
    assert decoder.bgr(raw(bright, 'mono16')).max() == 252 >> 4


def test_bag_of_twelve_bits(tmp_path):
    with ViewBag(tmp_path / 'b') as bag:
        for i in range(3):
            image_message(bag, '/cam1/image_raw', i + 1, raw(np.full((48, 64), 160 * (i + 13), '<u2'), 'mono16'))
    r = read_bag(tmp_path / 'b', Network)
    assert [v.keypoints[0, 0, 0] for v in r.views] == [130, 140, 150]
    assert r.notes == ('/cam1/image_raw: images of 16 bits hold values up to 4095 only: taken for 12 bits and '
                       'brightened',)


def image_message(bag, topic, stamp, m):
    t = bag._types.types
    if hasattr(m, 'encoding'):
        made = t['sensor_msgs/msg/Image'](bag._header(stamp, 'x'), m.height, m.width, m.encoding, m.is_bigendian,
                                          m.step, m.data)
    else:
        made = t['sensor_msgs/msg/CompressedImage'](bag._header(stamp, 'x'), m.format, m.data)
    bag._write(topic, made, stamp)


# -- depth images, videos, what nobody turns into a picture

DEPTH = (3000 + 3 * GREY).astype('<u2')
H264 = b'\0\0\0\1\x67' + bytes(900)


@pytest.mark.parametrize('topic, message', [
    ('', raw(DEPTH, '16UC1')), ('', raw(DEPTH.astype('<f4'), '32FC1')), ('', raw(DEPTH, '16SC1')),
    ('/cam1/depth/image_raw', raw(DEPTH, 'mono16')),
    ('', packed(png(DEPTH), '16UC1; png compressed ')), ('', packed(png(DEPTH), '32FC1; png compressed ')),
    ('', packed(bytes(12) + png(DEPTH), '16UC1; compressedDepth png')), ('', packed(bytes(12) + png(DEPTH), '')),
    ('', packed(b'\1\2\3', '16UC1; compressedDepth rvl')),
    ('/cam1/depth/image_rect_raw/compressed', packed(png(DEPTH), 'png')),
    ('/cam1/disparity/image', packed(png(DEPTH), 'mono16; png compressed ')),
])
def test_depth_images_are_no_pictures(topic, message):
    with pytest.raises(NoPicture, match='a depth image .*; name a topic of colour or grey images'):
        ImageDecoder(topic).bgr(message)


@pytest.mark.parametrize('message', [packed(H264, 'h264'), packed(H264, ''), packed(b'\0\0\1\x40' + bytes(99), 'jpeg'),
                                     packed(bytes(99), 'hevc'), packed(b'x', 'bgr8; AV1')])
def test_packets_of_a_video_are_no_pictures(message):
    with pytest.raises(NoPicture, match='packets of a video .*; republish them as raw or JPEG'):
        ImageDecoder().bgr(message)


@pytest.mark.parametrize('encoding', ['nv16', 'nv61', 'yuv411', 'yuv444', '', 'bayer_rggb12p'])
def test_unknown_encodings_are_told_with_what_to_do(encoding):
    with pytest.raises(BadMessage, match=f"encoding '{encoding}' cannot be turned .*; let the camera driver send bgr8"):
        ImageDecoder().bgr(raw(GREY.astype(np.uint8), encoding))


@pytest.mark.parametrize('topic, kind, words', [
    ('/cam1/video', 'foxglove_msgs/msg/CompressedVideo', 'packets of a video'),
    ('/cam1/image_raw/ffmpeg', 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket', 'packets of a video'),
    ('/cam1/image_raw/theora', 'theora_image_transport/msg/Packet', 'packets of a video'),
    ('/cam1/disparity', 'stereo_msgs/msg/DisparityImage', 'a depth image'),
    ('/cam1/depth/compressedDepth', 'sensor_msgs/msg/CompressedImage', 'a depth image'),
    ('/cam1/image_raw', 'sensor_msgs/msg/Image', ''),
    ('/cam1/image_raw/compressed', 'sensor_msgs/msg/CompressedImage', ''),
    ('/scan', 'sensor_msgs/msg/LaserScan', '')])
def test_kinds_of_topics(topic, kind, words):
    found = unusable_kind(topic, kind)
    assert found is None if not words else words in str(found)


def test_cameras_beside_depth_and_video(tmp_path):
    from bag_files import channel, chunk, mcap, message, serialised
    colour = np.full((48, 64, 3), 90, np.uint8)
    with ViewBag(tmp_path / 'b') as bag:
        for i in range(3):
            for c in ('cam1', 'cam2'):
                bag.image(c, 1 + i, colour, jpeg_quality=90)
                image_message(bag, f'/{c}/depth/image_rect_raw/compressed', 1 + i, packed(png(DEPTH), '16UC1; png '))
                image_message(bag, f'/{c}/depth/compressedDepth', 1 + i, packed(b'12345', '16UC1; compressedDepth'))
                image_message(bag, f'/{c}/depth/colours', 1 + i, raw(colour, 'bgr8'))
    (tmp_path / 'b' / 'metadata.yaml').unlink()
    mcap(tmp_path / 'b' / 'c.mcap', chunk(channel(1, '/cam1/video', 'foxglove_msgs/msg/CompressedVideo')
                                          + message(1, 5, b'x') + channel(2, '/t', 'std_msgs/msg/String')
                                          + message(2, 6, serialised('std_msgs/msg/String', 'x'))), end=True)
    r = read_bag(tmp_path / 'b', Network)
    assert r.cameras == ('cam1', 'cam2') and len(r.views) == 6
    notes = [n for n in r.notes if 'left out' in n]
    assert len(notes) == 4, notes
    assert any(n.startswith('/cam1/depth/image_rect_raw/compressed, /cam2/depth/image_rect_raw/compressed: left out, '
                            'a depth image (16UC1') for n in notes)
    assert any('/cam1/depth/colours, /cam2/depth/colours: left out, a depth image, as its name' in n for n in notes)
    assert any('/cam1/video: left out, packets of a video' in n for n in notes)
    assert len(read_bag(tmp_path / 'b', Network, topics=['/cam1/depth/colours']).views) == 3
    with raises(IoError, '/cam1/video holds packets of a video .*; republish', place=tmp_path / 'b'):
        read_bag(tmp_path / 'b', Network, topics=['/cam1/video'])


@pytest.mark.parametrize('message', [packed(H264, 'h264'), raw(GREY.astype(np.uint8), 'nv61')])
def test_bag_of_nothing_that_can_be_decoded_is_one_sentence(tmp_path, message):
    with ViewBag(tmp_path / 'b') as bag:
        for c in ('cam1', 'cam2', 'cam3'):
            image_message(bag, f'/{c}/image_raw', 1, message)
    with pytest.raises(IoError, match='no image topic can be used: /cam1/image_raw, /cam2/image_raw, /cam3/image_raw: '
                                      'left out, .*; (republish|let the camera)') as error:
        read_bag(tmp_path / 'b', Network)
    assert str(error.value).count('left out') == 1


# -- sizes

NINE = np.zeros(9, np.uint8)

@pytest.mark.parametrize('data, size', [
    (giant_png(30000, 20000), (30000, 20000)), (giant_jpeg(30000, 20000), (30000, 20000)),
    (cv2.imencode('.jpg', np.zeros((30, 50), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes(), (50, 30)),
    (JPEG + b'\xff\xfe\0\x06\xff\xc0\0\0' + giant_jpeg(7, 9)[2:], (7, 9)),
    (JPEG + b'garbage\xff\xff' + giant_jpeg(7, 9)[3:], (7, 9))])
def test_size_is_read_from_the_head(data, size):
    found = header(data)
    assert found is not None and (found.width, found.height) == size


def test_head_of_sixteen_bits_and_of_what_is_no_image():
    assert header(png(DEPTH)) == Header(64, 48, 16, True)
    for suffix in ('.bmp', '.tiff', '.webp', '.ppm'):
        assert header(cv2.imencode(suffix, np.zeros((9, 9, 3), np.uint8))[1].tobytes()) is None
    assert header(b'') is None and header(JPEG) is None and header(PNG) is None and header(JPEG + b'\xff\xd9') is None
    assert header(JPEG + b'\xff\xd0' * 10**5) is None


@pytest.mark.parametrize('message', [
    packed(giant_png(30000, 30000), 'png'), packed(giant_jpeg(30000, 30000), 'jpeg'),
    packed(giant_png(30000, 30000, 16), 'rgb16; png compressed '),
    SimpleNamespace(encoding='mono8', height=30000, width=30000, step=30000, is_bigendian=0, data=NINE),
    SimpleNamespace(encoding='nv24', height=2**32 - 1, width=2**32 - 1, step=1, is_bigendian=0, data=NINE),
])
def test_too_large_an_image_is_refused_before_memory_is_taken(message):
    tracemalloc.start()
    try:
        with pytest.raises(BadMessage, match=r'px are more than the 100 million .*; .* raise max_megapixels'):
            ImageDecoder(other=lambda m: pytest.fail('cv_bridge would take the memory')).bgr(message)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_the_limit_can_be_set(tmp_path):
    image = np.full((48, 64, 3), 90, np.uint8)
    for message in (raw(image, 'bgr8'), packed(png(image), 'png')):
        with pytest.raises(BadMessage, match='64x48 px are more than the 0.003 million'):
            ImageDecoder(max_megapixels=.003).bgr(message)
        assert ImageDecoder(max_megapixels=.004).bgr(message).shape == (48, 64, 3)
    with ViewBag(tmp_path / 'b') as bag:
        bag.image('cam1', 1., image)
    with raises(IoError, '64x48 px are more than the 0.001 million', place=tmp_path / 'b'):
        read_bag(tmp_path / 'b', Network, max_megapixels=.001)
    film = recorded.video(tmp_path / 'v.mp4')
    with raises(IoError, '64x48 px are more than the 0.001 million .*--max-megapixels', place=tmp_path / 'v.mp4'):
        VideoReader(film, max_megapixels=.001)
    with raises(IoError, place=tmp_path / 'v.mp4'):
        read_videos([film], Network, max_megapixels=.001)


# -- CameraInfo

def calibration(**changes):
    info = SimpleNamespace(
        width=640, height=480, distortion_model='plumb_bob', d=np.array([-.35, .12, 0, 0, 0]), binning_x=0, binning_y=0,
        k=np.array([480., 0, 320, 0, 480, 240, 0, 0, 1]), p=np.array([600., 0, 310, -60, 0, 610, 250, 0, 0, 0, 1, 0]),
        roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0))
    vars(info).update(changes)
    return info


@pytest.mark.parametrize('model', ['plumb_bob', 'rational_polynomial', 'equidistant', 'fisheye', ''])
def test_rectified_images_have_p_and_no_distortion(model):
    found = intrinsics_of(calibration(distortion_model=model), (640, 480), rectified=True)
    assert found.K.tolist() == [[600, 0, 310], [0, 610, 250], [0, 0, 1]] and not found.distortion.any()
    half = intrinsics_of(calibration(distortion_model=model), (320, 240), rectified=True)
    assert half.K[0].tolist() == [300, 0, 154.75]


def test_images_of_the_sensor_have_k_and_d():
    found = intrinsics_of(calibration(), (640, 480))
    assert found.K[0, 0] == 480 and found.distortion[0] == -.35
    with pytest.raises(BadMessage, match="'omnidirectional', which is not supported; publish rectified images"):
        intrinsics_of(calibration(distortion_model='omnidirectional'), (640, 480))


@pytest.mark.parametrize('d', [[0., 0, 0, 0], [-.043, .0086, -.0085, .0014], [.1, -.05, .02, -.01]])
@pytest.mark.parametrize('model', ['equidistant', 'fisheye'])
def test_fisheye_lenses_are_undistorted_as_opencv_does(model, d):
    """To 0.3 px at 58 degrees off the axis."""
    found = intrinsics_of(calibration(distortion_model=model, d=d), (640, 480))
    rays = np.random.default_rng(1).uniform(-1.1, 1.1, (1, 200, 2))
    px = cv2.fisheye.distortPoints(rays, found.K, np.array(d))[0]
    np.testing.assert_allclose(project(np.concatenate([rays[0], np.ones((200, 1))], 1), found.K, np.eye(3),
                                       np.zeros(3), found.distortion), px, atol=.3)
    np.testing.assert_allclose(undistort_px(px, found), rays[0] @ found.K[:2, :2] + found.K[:2, 2], atol=1.5)


def test_a_fisheye_lens_that_folds_back_is_refused():
    with pytest.raises(BadMessage, match='folds back'):
        intrinsics_of(calibration(distortion_model='equidistant', d=[-1., 0, 0, 0]), (640, 480))
    with pytest.raises(BadMessage, match='finite'):
        intrinsics_of(calibration(distortion_model='equidistant', d=[np.nan, 0, 0, 0]), (640, 480))


def test_rectified_images_without_p():
    nothing = np.zeros(12)
    assert intrinsics_of(calibration(p=nothing, k=np.zeros(9)), (640, 480), True) is None
    assert intrinsics_of(calibration(p=nothing, d=np.zeros(5)), (640, 480), True).K[0, 0] == 480
    with pytest.raises(BadMessage, match='P of the CameraInfo is 0; let the driver fill P'):
        intrinsics_of(calibration(p=nothing), (640, 480), True)


@pytest.mark.parametrize('rectified, fx, cx', [(False, 480, 320), (True, 600, 310)])
def test_region_and_binning(rectified, fx, cx):
    region = SimpleNamespace(x_offset=100, y_offset=60, width=400, height=300)
    found = intrinsics_of(calibration(roi=region, binning_x=2, binning_y=2), (200, 150), rectified)
    assert found.K[0, 0] == fx / 2 and found.K[0, 2] == (cx - 100 + .5) / 2 - .5
    # 2 x 1: pixels that are twice as wide
    found = intrinsics_of(calibration(binning_x=2, binning_y=1), (320, 480), rectified)
    assert found.K[0, 0] == fx / 2 and found.K[1, 1] == (610 if rectified else 480)
    # a driver that gives the size after binning
    found = intrinsics_of(calibration(binning_x=2, binning_y=2), (640, 480), rectified)
    assert found.K[0, 0] == fx
    # an offset alone: the rest of the sensor
    rest = SimpleNamespace(x_offset=240, y_offset=180, width=0, height=0)
    assert intrinsics_of(calibration(roi=rest), (400, 300), rectified).K[0, 2] == cx - 240
    with pytest.raises(BadMessage, match='CameraInfo is for 640x480 px, the image has 320x480'):
        intrinsics_of(calibration(), (320, 480), rectified)


@pytest.mark.parametrize('topic, rectified', [
    ('/cam1/image_raw', False), ('/cam1/image_raw/compressed', False), ('/cam1/image_color', False), ('image', False),
    ('/rect_cam/image_raw', False), ('/direct/image_raw', False), ('/cam/unrectified/image', False),
    ('/cam1/image_rect', True), ('/cam1/image_rect/compressed', True), ('image_rect_color', True),
    ('/zed/rgb/color/rect/image/compressed', True), ('/cam/left_rect/image', True), ('/cam/rectified/image', True),
    ('/camera/infra1/image_rect_raw', True), ('/cam/image_rectified', True)])
def test_names_of_rectified_images(topic, rectified):
    assert is_rectified(topic) == rectified


@pytest.mark.parametrize('topic, depth', [
    ('/cam1/depth/image_rect_raw', True), ('/camera/aligned_depth_to_color/image_raw', True), ('/a/image_depth', True),
    ('/cam1/disparity/image', True), ('/cam/depth_registered/image_raw/compressed', True),
    ('/depth_camera/color/image_raw', False), ('/depth_camera/image_raw', False), ('/cam1/image_raw', False)])
def test_names_of_depth_images(topic, depth):
    assert is_depth(topic) == depth


def test_place_of_camera_info():
    assert info_topic('/a/image_raw/compressed') == '/a/camera_info' and info_topic('image_raw') == 'camera_info'
    assert info_topic('/zed/rect/image') == '/zed/rect/camera_info'


def wide_info(bag, topic, model='plumb_bob'):
    t, m = bag._types.types, calibration(distortion_model=model)
    roi = t['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    bag._write(topic, t['sensor_msgs/msg/CameraInfo'](bag._header(1., 'x'), 48, 64, model, m.d, m.k, np.eye(3).ravel(),
                                                      m.p, 0, 0, roi), 1.)


@pytest.mark.parametrize('name, jpeg, fx', [
    ('image_rect', 0, 600), ('rect/image', 0, 600), ('image_rect_color', 90, 600), ('rect/image', 90, 600),
    ('image_raw', 0, 480), ('raw/image', 0, 480)])
def test_bags_of_rectified_images(tmp_path, name, jpeg, fx):
    grey = np.full((48, 64, 3), 90, np.uint8)
    message = packed(cv2.imencode('.jpg', grey)[1], 'jpeg') if jpeg else raw(grey, 'bgr8')
    with ViewBag(tmp_path / 'b') as bag:
        image_message(bag, f'/cam1/{name}' + '/compressed' * bool(jpeg), 1., message)
        wide_info(bag, info_topic(f'/cam1/{name}'))
    r = read_bag(tmp_path / 'b', Network)
    assert r.cameras == ('cam1',) and r.views[0].intrinsics.K[0, 0] == fx
    assert r.views[0].intrinsics.distortion.any() == (fx == 480)


@pytest.mark.parametrize('model, fx', [('plumb_bob', 480), ('omnidirectional', 600)])
@pytest.mark.parametrize('names', [('image_raw', 'image_rect'), ('raw/image', 'rect/image')])
def test_of_a_raw_and_a_rectified_image_the_one_with_a_lens_that_can_be_used_is_taken(tmp_path, names, model, fx):
    with ViewBag(tmp_path / 'b') as bag:
        for name in names:
            image_message(bag, f'/cam1/{name}', 1., raw(np.full((48, 64, 3), 90, np.uint8), 'bgr8'))
        for topic in {info_topic(f'/cam1/{name}') for name in names}:
            wide_info(bag, topic, model)
    r = read_bag(tmp_path / 'b', Network)
    assert len(r.views) == 1 and r.cameras == ('cam1',) and r.views[0].intrinsics.K[0, 0] == fx


# -- anything

QUICK = settings(deadline=None, max_examples=150)
NUMBER = st.integers(0, 70) | st.sampled_from([2**31, 2**32 - 1])


@QUICK
@given(st.sampled_from([*ENCODINGS, 'nv12', '16UC1', '']), NUMBER, NUMBER, NUMBER, st.booleans(),
       st.binary(max_size=6000))
def test_any_raw_image(encoding, height, width, step, big, data):
    message = SimpleNamespace(encoding=encoding, height=height, width=width, step=step, is_bigendian=int(big),
                              data=np.frombuffer(data, np.uint8))
    expect_picture_or_sentence(message, 3 * len(data) + 2**20)


@QUICK
@given(st.sampled_from([*ENCODINGS]), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.booleans())
def test_any_small_image(encoding, height, width, gap, big):
    size, channels, _ = ENCODINGS[encoding]
    step = width * size * channels + gap
    message = SimpleNamespace(encoding=encoding, height=height, width=width, step=step, is_bigendian=int(big),
                              data=np.arange(step * height, dtype=np.uint8))
    expect_picture_or_sentence(message, 2**20)


FILES = [png(DEPTH), png(np.dstack([DEPTH] * 3)), png(GREY.astype(np.uint8)), giant_png(64, 48), giant_jpeg(64, 48),
         cv2.imencode('.jpg', np.dstack([GREY] * 3).astype(np.uint8))[1].tobytes(), H264, b'']


@QUICK
@given(st.sampled_from(FILES),
       st.sampled_from(['jpeg', '16UC1; png', 'h264', '', 'bgr8; jpeg compressed bgr8', '\0;;']),
       st.lists(st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=4)), max_size=4), st.integers(0, 3000))
def test_any_compressed_image(file, form, changes, end):
    data = bytearray(file)
    for at, piece in changes:
        if at < len(data):
            data[at:at + len(piece)] = piece
    expect_picture_or_sentence(packed(data[:end] if end % 2 else data, form), None)


def expect_picture_or_sentence(message, most_bytes):
    tracemalloc.start()
    try:
        image = ImageDecoder(max_megapixels=1.).bgr(message)
        assert image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    except BadMessage as error:
        assert str(error) and '\n' not in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most_bytes is None or peak < most_bytes


FLOAT = st.floats(width=64, allow_subnormal=False) | st.sampled_from([0., 500., 320., 1.])


@QUICK
@given(st.lists(FLOAT, min_size=9, max_size=9), st.lists(FLOAT, min_size=12, max_size=12), st.lists(FLOAT, max_size=20),
       st.sampled_from(['', 'plumb_bob', 'equidistant', 'x']), st.lists(NUMBER, min_size=8, max_size=8), st.booleans())
def test_any_camera_info(k, p, d, model, numbers, rectified):
    w, h, bx, by, x, y, rw, rh = numbers
    info = SimpleNamespace(width=w, height=h, distortion_model=model, k=np.array(k), p=np.array(p), d=np.array(d),
                           binning_x=bx, binning_y=by,
                           roi=SimpleNamespace(x_offset=x, y_offset=y, width=rw, height=rh))
    try:
        found = intrinsics_of(info, (640, 480), rectified)
    except BadMessage as error:
        assert '\n' not in str(error)
    else:
        assert found is None or np.isfinite(found.K).all()
