# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of strangers that once ended a node, blocked it, or filled its memory; and others like them."""
from __future__ import annotations

import json
import struct
import zlib

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.ros_messages.keypoints import KEYPOINT_FIELDS
from selfpose_ros.nodes.clouds import cloud_from


def _info(**changes: object) -> str:
    return json.dumps({'joint_names': JOINTS, 'image_size': [640, 480], **changes})


def giant_png(width: int, height: int) -> bytes:
    """The head of a PNG file of any size, px, and nothing of its content."""
    def part(name: bytes, content: bytes) -> bytes:
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))

    return (b'\x89PNG\r\n\x1a\n' + part(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
            + part(b'IDAT', zlib.compress(bytes(1000))) + part(b'IEND', b''))


DIGITS = '9' * 400
TEXTS: dict[str, str] = {
    'infinite size': _info(image_size=[float('inf'), 480]), 'size NaN': _info(image_size=[float('nan'), 480]),
    'size of 400 digits': _info().replace('640', DIGITS), 'size of 5000 digits': _info().replace('640', '9' * 5000),
    'size true': _info(image_size=[True, 480]), 'size of words': _info(image_size=['640', '480']),
    'three sizes': _info(image_size=[640, 480, 3]), 'size 1e300': _info(image_size=[1e300, 1e300]),
    'deep': '[' * 30_000, 'deep objects': '{"a":' * 10_000, 'deep K': _info()[:-1] + ', "K": ' + '[' * 20_000,
    'long': json.dumps({'joint_names': [f'joint{i}' for i in range(900_000)], 'image_size': [640, 480]}),
    'many names': _info(joint_names=[f'n{i}' for i in range(5_000)]), 'long name': _info(joint_names=['n' * 50_000]),
    'names twice': _info(joint_names=['l_hip'] * 500), 'names as one': _info(joint_names='l_hip, r_hip'),
    'names of numbers': _info(joint_names=list(range(17))),
    'names as an object': _info(joint_names=dict.fromkeys(JOINTS, 1)),
    'K of 400 digits': _info(K=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]).replace('[[1,', f'[[{DIGITS},'),
    'K infinite': _info(K=[[float('inf'), 0, 320], [0, 500, 240], [0, 0, 1]]),
    'K of 1e308': _info(K=[[1e308, 0, 320], [0, 1e308, 240], [0, 0, 1]]),
    'K far away': _info(K=[[500, 0, 1e200], [0, 500, 240], [0, 0, 1]]),
    'accuracy a word': _info(accuracy='good'), 'accuracy without sigma': _info(accuracy={'confidence': [.5]}),
    'accuracy that falls': _info(accuracy={'confidence': [.5, .1], 'sigma': [.1, .1]}),
    'accuracy infinite': _info(accuracy={'confidence': [.5], 'sigma': [float('inf')]}),
    'accuracy of 10000': _info(accuracy={'confidence': [.5] * 10_000, 'sigma': [.1] * 10_000}),
    'accuracy of 400 digits': _info(accuracy={'confidence': [.5], 'sigma': [1]}).replace('[1]', f'[{DIGITS}]'),
    'K a word': _info(K='none'), 'K ragged': _info(K=[[1, 2], [3], 4]), 'K deep': _info(K=[[[[[1]]]]]),
    'many coefficients': _info(K=[[500, 0, 320], [0, 500, 240], [0, 0, 1]], distortion=[0.] * 10_000),
    'coefficient 1e300': _info(K=[[500, 0, 320], [0, 500, 240], [0, 0, 1]], distortion=[1e300] * 5),
    'empty': '', 'nothing': 'null', 'a number': '7', 'bytes': '\x00\xff', 'no JSON': 'joint_names: [a]',
}


def cloud(table: np.ndarray | None = None, **changes: object) -> PointCloud2:
    """A message of people, (P, 17, 4) with the columns of the topic; its parts may be changed."""
    if table is None:
        table = np.full((1, 17, 4), 100.)
    made = cloud_from(Header(), {n: table[..., i] for i, n in enumerate(KEYPOINT_FIELDS)}, 17)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def _fields(names: list[str], offset: int = 0, kind: int = 7) -> list[PointField]:
    return [PointField(name=n, offset=offset + 4 * i, datatype=kind, count=1) for i, n in enumerate(names)]


def _with_confidence(people: int, value: float) -> np.ndarray:
    table = np.full((people, 17, 4), 100.)
    table[..., 2], table[..., 3] = value, 0
    return table


#: refused with a sentence
CLOUDS: dict[str, PointCloud2] = {
    'no fields': cloud(fields=[]), '5000 fields': cloud(fields=_fields([f'f{i}' for i in range(5000)])),
    'long names': cloud(fields=_fields(['x' * 100_000])),
    'strange type': cloud(fields=_fields(list(KEYPOINT_FIELDS), 0, 99)),
    'offset at the end': cloud(fields=_fields(list(KEYPOINT_FIELDS), 2**32 - 100)),
    'height of 2^32': cloud(height=2**32 - 1), 'steps of 2^32': cloud(point_step=2**32 - 1, row_step=2**32 - 1),
    'no step': cloud(point_step=0, row_step=0), 'other width': cloud(width=3), 'cut off': cloud(data=b'123'),
    'too many bytes': cloud(np.zeros((80_000, 17, 4))),
}
#: taken: as much of them as there can be
ODD: dict[str, PointCloud2] = {
    '5000 people': cloud(_with_confidence(5000, .5)), 'NaN alone': cloud(np.full((3, 17, 4), np.nan)),
    'infinite': cloud(np.full((3, 17, 4), np.inf)), '3e38': cloud(np.full((3, 17, 4), 3e38)),
    'no rows, 2^32 columns': cloud(height=0, width=2**32 - 1, data=b''),
    'no columns, 2^32 rows': cloud(height=2**32 - 1, width=0, data=b''),
}
