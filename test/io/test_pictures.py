# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Compressed images by both decoders: the same picture, the same size, the same refusals."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from selfpose_ros.io import pictures

Y, X = np.mgrid[0:121, 0:97]
#: odd sides, coloured, nothing symmetric
BGR = np.stack([2 * X, 255 - 2 * Y, (X + Y) % 200], -1).clip(0, 255).astype(np.uint8)
FULL, HALF = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420


def jpeg(image: np.ndarray, *more: int) -> bytes:
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 92, *more])[1].tobytes()


def by_opencv(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize('more', [(), (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, FULL),
                                  (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, HALF), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)])
@pytest.mark.parametrize('colours', [3, 1])
def test_the_picture_is_that_of_opencv(more: tuple[int, ...], colours: int) -> None:
    data = jpeg(BGR if colours == 3 else np.ascontiguousarray(BGR[..., 0]), *more)
    image, wanted = pictures.decoded(data), by_opencv(data)
    assert image is not None and image.shape == wanted.shape == (121, 97, 3) and image.dtype == np.uint8
    error = np.abs(image.astype(int) - wanted)
    assert error.mean() < 2. and np.abs(image.astype(int).mean((0, 1)) - wanted.mean((0, 1))).max() < .7


def test_no_pixel_is_moved() -> None:
    """The quick way to double the colours may blur them, not shift them."""
    for at in ((40., 60.), (61., 33.)):
        spot = 255 * np.exp(-((X - at[0]) ** 2 + (Y - at[1]) ** 2) / 50.)
        image = pictures.decoded(jpeg(np.stack([spot, 0 * spot, spot], -1).astype(np.uint8)))
        assert image is not None
        for c in (0, 2):
            weight = np.where(image[..., c] > 60, image[..., c].astype(float), 0.)
            centre = np.array([(weight * X).sum(), (weight * Y).sum()]) / weight.sum()
            assert np.abs(centre - at).max() < .3


def test_an_image_that_lies_on_its_side_is_turned() -> None:
    plain = jpeg(BGR)
    exif = (b'Exif\0\0MM\0*\0\0\0\x08\0\x01' + (0x0112).to_bytes(2, 'big') + (3).to_bytes(2, 'big')
            + (1).to_bytes(4, 'big') + (6).to_bytes(2, 'big') + b'\0\0' + bytes(4))
    data = plain[:2] + b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif + plain[2:]
    image = pictures.decoded(data)
    assert image is not None and image.shape == (97, 121, 3)
    np.testing.assert_array_equal(image, by_opencv(data))


def test_what_the_quick_decoder_does_not_like_is_looked_at_by_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError('Corrupt JPEG data')

    monkeypatch.setattr(pictures, 'decode_jpeg', refuse)
    data = jpeg(BGR)
    np.testing.assert_array_equal(pictures.decoded(data), by_opencv(data))


def test_memory_is_used_again_and_grows() -> None:
    memory = pictures.Memory()
    small, large = jpeg(np.ascontiguousarray(BGR[:60, :50])), jpeg(BGR)
    first = pictures.decoded(small, memory)
    for data in (large, small, large, jpeg(BGR[::-1].copy())):
        image = pictures.decoded(data, memory)
        assert image is not None and image.flags.c_contiguous
        np.testing.assert_array_equal(image, pictures.decoded(data))
    if pictures.decode_jpeg is not None:
        assert memory.room is not None and np.shares_memory(image, memory.room)
        assert first is not None and not np.shares_memory(first, memory.room)
    assert pictures.decoded(b'garbage' * 30, memory) is None and pictures.decoded(large[:40], memory) is None


@pytest.mark.parametrize('data', [b'', b'\xff\xd8', b'\xff\xd8\xff\xd9', b'garbage' * 30, jpeg(BGR)[:40]])
def test_what_is_none(data: bytes) -> None:
    assert pictures.decoded(data) is None
