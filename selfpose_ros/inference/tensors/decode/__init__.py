# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What 2D networks give, made people: one function for each form of output, arrays in, arrays out; and by family.

All coordinates are px of the network's input; `Placement.to_image` brings them home.
"""
from . import blazepose
from .boxes import BOXES, Boxes, boxes_of, nms, rtmdet, yolox
from .people import PEOPLE as _ONE_STAGE, People, PeopleDecoder, movenet, rtmo, yolo_pose
from .poses import POSES as _PLAIN, PoseDecoder, depths, heatmap, points, simcc

__all__ = ['BOXES', 'Boxes', 'PEOPLE', 'POSES', 'People', 'blazepose', 'boxes_of', 'depths', 'heatmap', 'movenet',
           'nms', 'points', 'rtmdet', 'rtmo', 'simcc', 'yolo_pose', 'yolox']

POSES: dict[str, PoseDecoder] = {**_PLAIN, **blazepose.POSES}
PEOPLE: dict[str, PeopleDecoder] = {**_ONE_STAGE, **blazepose.PEOPLE}
