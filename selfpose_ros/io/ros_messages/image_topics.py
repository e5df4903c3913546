# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the name and the message type of a topic say about its images."""
from __future__ import annotations

import re

from ..errors import NoPicture

__all__ = ['COMPRESSED', 'RAW', 'depth_image', 'info_topic', 'is_depth', 'is_rectified', 'unusable_kind', 'video']

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
#: last parts of topics of image_transport, which stand behind the image topic's name
_TRANSPORTS = ('compressed', 'compressedDepth', 'theora', 'ffmpeg', 'zstd')
_RECTIFIED = frozenset(('rect', 'rectified'))
_DEPTH = frozenset(('depth', 'disparity'))
#: types of video packets: foxglove_msgs/msg/CompressedVideo, ffmpeg_image_transport_msgs/msg/FFMPEGPacket,
#: theora_image_transport/msg/Packet and their like
_VIDEO = re.compile(r'video|ffmpeg|theora|h26[45]|hevc', re.IGNORECASE)
_DISPARITY = 'stereo_msgs/msg/DisparityImage'


def _parts(topic: str) -> list[str]:
    parts = topic.strip('/').split('/')
    return parts[:-1] if len(parts) > 1 and parts[-1] in _TRANSPORTS else parts


def info_topic(image_topic: str) -> str:
    """The topic `camera_info` beside an image topic."""
    folder = _parts(image_topic)[:-1]
    return '/' * image_topic.startswith('/') + '/'.join([*folder, 'camera_info'])


def is_rectified(topic: str) -> bool:
    """Whether images of this name are free of distortion: `image_rect*`, `rect/image`, `left_rectified/image` ..."""
    *folders, last = _parts(topic.lower())
    return not _RECTIFIED.isdisjoint(last.split('_')) or any(f.split('_')[-1] in _RECTIFIED for f in folders)


def is_depth(topic: str) -> bool:
    """Whether images of this name show distances: `depth/image_raw`, `aligned_depth_to_color/image_raw` ..."""
    *folders, last = _parts(topic.lower())
    return (not _DEPTH.isdisjoint(last.split('_'))
            or any(f in _DEPTH or f.startswith(('depth_registered', 'aligned_depth')) for f in folders[-2:]))


def unusable_kind(topic: str, kind: str) -> NoPicture | None:
    """Why a topic cannot be used although it comes from a camera; None: it can, or it has nothing to do with images.

    Args:
        kind: message type, such as 'sensor_msgs/msg/Image'.
    """
    if kind == _DISPARITY:
        return depth_image('DisparityImage')
    if kind == COMPRESSED and topic.endswith('/compressedDepth'):
        return depth_image('compressedDepth')
    if kind in (RAW, COMPRESSED) or not _VIDEO.search(kind):
        return None
    return video(kind)


def depth_image(what: str) -> NoPicture:
    """What is said of depth images."""
    return NoPicture(f'a depth image ({what})', 'name a topic of colour or grey images (image_topics of the node, '
                     '--topics of a bag)')


def video(what: str) -> NoPicture:
    """What is said of packets of a video."""
    return NoPicture(f'packets of a video ({what}), which are not decoded here',
                     'republish them as raw or JPEG images (ros2 run image_transport republish), or turn them into a '
                     'video file')
