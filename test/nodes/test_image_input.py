# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Images of every common encoding, and those that no driver should send but some do."""
from __future__ import annotations

import sys
import types

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed')

from ros_world import jpeg, raw
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest

from selfpose_ros.io import pictures
from selfpose_ros.nodes.errors import ImageError
from selfpose_ros.nodes.image_input import ImageInput, intrinsics_from


def bgr_from(message: Image | CompressedImage, camera: str) -> np.ndarray:
    return ImageInput(camera).bgr(message)


def _scene() -> np.ndarray:
    """(48, 64, 3) BGR, smooth and coloured, so that exchanged channels and shifted rows show."""
    y, x = np.mgrid[0:48, 0:64].astype(float)
    return np.stack([4 * x, 5 * y, 255 - 2 * (x + y)], -1).clip(0, 255).astype(np.uint8)


def _bayer(bgr: np.ndarray, pattern: str) -> np.ndarray:
    out = np.zeros(bgr.shape[:2], bgr.dtype)
    for k, colour in enumerate(pattern):
        at = np.s_[k // 2::2, k % 2::2]
        out[at] = bgr[at][..., 'bgr'.index(colour)]
    return out


def _yuv(bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Brightness, blue and red difference, (H, W) each: BT.601 with headroom, as cameras send it."""
    yuv = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV).astype(float)
    y = 16 + yuv[..., 0] * 219 / 255
    b, g, r = (bgr[..., i].astype(float) for i in range(3))
    cb = 128 + (-37.797 * r - 74.203 * g + 112 * b) / 255
    cr = 128 + (112 * r - 93.786 * g - 18.214 * b) / 255
    y, cb, cr = (p.round().clip(0, 255).astype(np.uint8) for p in (y, cb, cr))
    return y, cb, cr


def _yuv422(bgr: np.ndarray, luma_first: bool, red_first: bool = False) -> np.ndarray:
    y, cb, cr = _yuv(bgr)
    chroma = np.where((np.arange(bgr.shape[1]) % 2 == 0) ^ red_first, cb, cr)
    return np.stack((y, chroma) if luma_first else (chroma, y), -1)


def _planes(bgr: np.ndarray, encoding: str, gap: int = 0) -> bytes:
    """Brightness, then the colours, as `encoding` has them; every row with `gap` bytes behind it, those of a plane of
    half the width with half as many.
    """
    y, cb, cr = _yuv(bgr)
    first, second = (cr, cb) if encoding in ('nv21', 'nv42', 'yv12') else (cb, cr)
    if encoding not in ('nv24', 'nv42'):
        first, second = first[::2, ::2], second[::2, ::2]
    pair = [np.stack([first, second], -1).reshape(len(first), -1)] if encoding.startswith('nv') else [first, second]
    return b''.join(np.pad(p, ((0, 0), (0, gap * p.shape[1] // y.shape[1])), constant_values=99).tobytes()
                    for p in (y, *pair))


BGR = _scene()
GREY = cv2.cvtColor(BGR, cv2.COLOR_BGR2GRAY)
WIDE = BGR.astype(np.uint16) * 256
CASES = {
    'bgr8': BGR, '8UC3': BGR, 'rgb8': BGR[..., ::-1], 'bgra8': np.dstack([BGR, GREY]),
    '8UC4': np.dstack([BGR, GREY]), 'rgba8': np.dstack([BGR[..., ::-1], GREY]), 'bgr16': WIDE,
    'rgb16': WIDE[..., ::-1], 'mono8': GREY, '8UC1': GREY, 'mono16': GREY.astype(np.uint16) * 256,
    'yuv422': _yuv422(BGR, False), 'uyvy': _yuv422(BGR, False), 'yuv422_yuy2': _yuv422(BGR, True),
    'yuyv': _yuv422(BGR, True), 'yvyu': _yuv422(BGR, True, True),
    **{f'bayer_{p}8': _bayer(BGR, p) for p in ('rggb', 'bggr', 'gbrg', 'grbg')},
    **{f'bayer_{p}16': _bayer(WIDE, p) for p in ('rggb', 'bggr', 'gbrg', 'grbg')},
}


@pytest.mark.parametrize('encoding', CASES)
def test_every_encoding_gives_the_same_picture(encoding: str) -> None:
    image = bgr_from(raw(np.ascontiguousarray(CASES[encoding]), 1., encoding), 'cam1')
    expected = np.dstack([GREY] * 3) if encoding in ('mono8', '8UC1', 'mono16') else BGR
    assert image.dtype == np.uint8 and image.shape == (48, 64, 3) and image.flags['C_CONTIGUOUS']
    inner = np.s_[4:-4, 4:-4]                              # interpolated patterns are off at the border
    error = np.abs(image[inner].astype(int) - expected[inner]).mean()
    shared = encoding.startswith(('bayer', 'yu', 'yv', 'uyvy'))  # channels that neighbours share
    assert error < (4 if shared else 0.01), f'mean error {error:.1f}'


@pytest.mark.parametrize('layout', ['tight', 'rows with gaps', 'no last gap', 'as high as all planes', 'odd step'])
@pytest.mark.parametrize('encoding', ['nv12', 'NV12', 'nv21', 'nv24', 'nv42', 'i420', 'yuv420', 'yv12'])
def test_planes_of_brightness_and_colour(encoding: str, layout: str) -> None:
    """In all the ways in which drivers send them: they agree on the bytes, and not on what `height` and `step` are."""
    h, w = BGR.shape[:2]
    gap = 16 if layout in ('rows with gaps', 'no last gap') else 0
    data = _planes(BGR, encoding.lower(), gap)
    if layout == 'no last gap':
        data = data[:-(gap // 2 if encoding in ('i420', 'yuv420', 'yv12') else gap)]
    message = Image(encoding=encoding, height=h, width=w, step=w + gap, data=data)
    if layout == 'as high as all planes':
        message.height = len(data) // w
    elif layout == 'odd step':                             # all bytes over the height
        message.step = len(data) // h
    image = bgr_from(message, 'c')
    assert image.dtype == np.uint8 and image.shape == (h, w, 3)
    assert np.abs(image.astype(int) - BGR).mean() < 4
    if not gap:
        message.data = data[:-1]
        with pytest.raises(ImageError, match='are too few'):
            bgr_from(message, 'c')


@pytest.mark.parametrize('encoding', ['bgr8', 'rgb8', 'mono8', 'mono16', 'bayer_rggb8'])
def test_rows_padded_to_a_multiple_do_not_skew_the_picture(encoding: str) -> None:
    rows = np.ascontiguousarray(CASES[encoding])
    flat = rows.view(np.uint8).reshape(48, -1)
    message = raw(rows, 1., encoding)
    message.step = flat.shape[1] + 10
    message.data = np.pad(flat, ((0, 0), (0, 10)), constant_values=99).tobytes()
    np.testing.assert_array_equal(bgr_from(message, 'c'), bgr_from(raw(rows, 1., encoding), 'c'))


def test_sixteen_bits_of_the_other_byte_order() -> None:
    message = raw(CASES['mono16'].astype('>u2'), 1., 'mono16')
    message.is_bigendian = 1
    np.testing.assert_array_equal(bgr_from(message, 'c')[..., 0], GREY)


def test_pixels_that_are_as_they_should_be_are_not_copied() -> None:
    message = raw(BGR, 1.)
    assert np.shares_memory(bgr_from(message, 'c'), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize('simple', [True, False])
@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_compressed_images(suffix: str, simple: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With simplejpeg and without."""
    if not simple:
        monkeypatch.setattr(pictures, 'decode_jpeg', None)
    data = cv2.imencode(suffix, BGR)[1].tobytes()
    for padded in (data, data + bytes(500)):               # some drivers send the whole buffer
        image = bgr_from(CompressedImage(format='bgr8; jpeg compressed bgr8', data=padded), 'cam1')
        assert np.abs(image.astype(int) - BGR).mean() < 6


def test_an_encoding_that_only_cv_bridge_knows_goes_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class CvBridge:
        def imgmsg_to_cv2(self, message: Image, encoding: str) -> np.ndarray:
            assert (message.encoding, encoding) == ('nv61', 'bgr8')
            return BGR

    monkeypatch.setitem(sys.modules, 'cv_bridge', types.SimpleNamespace(CvBridge=CvBridge))
    np.testing.assert_array_equal(bgr_from(raw(BGR, 1., 'nv61'), 'c'), BGR)


def _cut(message: Image) -> Image:
    message.data = message.data[:-1]
    return message


def _step(message: Image) -> Image:
    message.step = 10
    return message


JPEG = jpeg(BGR, 1.).data.tobytes()


@pytest.mark.parametrize(('message', 'words'), [
    (raw(BGR, 1., 'pixels'), "encoding 'pixels' cannot be turned into BGR"),
    (raw(BGR, 1., '32FC1'), 'a depth image (32FC1)'),
    (raw(BGR, 1., ''), "encoding '' cannot be turned into BGR"),
    (_cut(raw(BGR, 1.)), 'are too few for 64x48 px bgr8'),
    (_step(raw(BGR, 1.)), 'in rows of 10 are too few'),
    (raw(GREY, 1., 'bgr8'), 'are too few for 64x48 px bgr8'),
    (Image(encoding='bgr8'), '0 bytes in rows of 0 are too few for 0x0 px'),
    (raw(BGR[:1, :1], 1.), '1x1 px, too few to hold a person'),
    (raw(BGR[:, :33], 1., 'yuyv'), 'cannot convert 33x48 px yuyv'),
    (Image(encoding='nv12', height=33, width=64, step=64, data=bytes(3200)),
     '64x33 px nv12 in rows of 64 bytes have no colour for the last row'),
    (raw(GREY[:32], 1., 'nv24'), '2048 bytes in rows of 64 are too few for 64x32 px nv24'),
    (Image(encoding='nv12'), '0 bytes in rows of 0 are too few for 0x0 px nv12'),
    (CompressedImage(format='jpeg'), '0 bytes (jpeg) are no image'),
    (CompressedImage(format='jpeg', data=b'garbage' * 100), '700 bytes (jpeg) are no image'),
    (CompressedImage(format='jpeg', data=b'\xff\xd8' + b'x' * 100 + b'\xff\xd9'), 'are no image'),
    (CompressedImage(format='jpeg', data=JPEG[:len(JPEG) // 2]), 'is cut off'),
    (CompressedImage(format='jpeg', data=jpeg(BGR[:1, :1], 1.).data), '1x1 px, too few'),
    (CompressedImage(format='16UC1; compressedDepth png', data=JPEG), 'a depth image (16UC1; compressedDepth png)'),
])
def test_what_is_no_picture_is_refused_by_name(message: Image | CompressedImage, words: str) -> None:
    with pytest.raises(ImageError) as told:
        bgr_from(message, 'cam7')
    assert words in str(told.value) and str(told.value).startswith('camera cam7: ') and ';' in str(told.value)


def _calibration(**changes: object) -> CameraInfo:
    info = CameraInfo(width=640, height=480, distortion_model='plumb_bob', d=[0.1, 0.01, 0., 0., 0.],
                      k=[500., 0., 319.5, 0., 500., 239.5, 0., 0., 1.])
    for name, value in changes.items():
        setattr(info, name, value)
    return info


def test_calibration_follows_resizing_and_regions() -> None:
    same = intrinsics_from(_calibration(), (640, 480), 'c')
    assert same is not None and same.K[0, 2] == 319.5 and same.distortion[0] == 0.1 and same.source == 'known'
    half = intrinsics_from(_calibration(), (320, 240), 'c')
    assert half is not None
    # the middle of the image stays its middle: pixel centres lie at integers
    np.testing.assert_allclose(half.K, [[250, 0, 159.5], [0, 250, 119.5], [0, 0, 1]])
    region = _calibration(roi=RegionOfInterest(x_offset=100, y_offset=50, width=320, height=240))
    cut = intrinsics_from(region, (320, 240), 'c')
    assert cut is not None
    np.testing.assert_allclose(cut.K, [[500, 0, 219.5], [0, 500, 189.5], [0, 0, 1]])


def test_a_camera_that_says_it_is_not_calibrated() -> None:
    assert intrinsics_from(CameraInfo(width=640, height=480), (640, 480), 'c') is None


@pytest.mark.parametrize(('info', 'words'), [
    (_calibration(width=480, height=480), 'CameraInfo is for 480x480 px, the image has 640x480 px'),
    (_calibration(distortion_model='omnidirectional'), "lens model 'omnidirectional'"),
    (_calibration(d=[float('nan')] * 5), 'CameraInfo cannot be used'),
    (_calibration(k=[-500.] + [0.] * 8), 'CameraInfo cannot be used'),
])
def test_calibration_of_something_else_is_refused(info: CameraInfo, words: str) -> None:
    with pytest.raises(ImageError, match='camera cam7: ') as told:
        intrinsics_from(info, (640, 480), 'cam7')
    assert words in str(told.value)
