# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which topics a bag should hold: of record.launch.py and of `selfpose record` alike."""
from __future__ import annotations

__all__ = ['IMAGES', 'PRODUCT', 'expression']

#: by name's end, because namespaces and names of cameras differ from robot to robot
PRODUCT = (r'.*/keypoints(_info)?|.*/(skeletons|skeleton_model|rig|world_transform)|/humans/bodies/.*|/tf|/tf_static'
           r'|/diagnostics')
IMAGES = r'.*/image(_raw|_color|_rect|_rect_color)?(/compressed)?|.*/camera_info'


def expression(images: bool) -> str:
    """A regular expression; rosbag2 looks for it anywhere in a name: without its ends, /rig takes all of /right."""
    return f'^({PRODUCT}|{IMAGES})$' if images else f'^({PRODUCT})$'
