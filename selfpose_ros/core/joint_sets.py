# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The joints of the sets that 2D networks and programs write, in their order. Left and right are the person's own.

Sources: COCO (Lin et al., 2014), MPII (Andriluka et al., 2014), OpenPose's COCO, MPI, BODY_25, BODY_25B and BODY_135
(Cao et al., 2019; Hidalgo et al., 2019), Halpe (Fang et al., 2022), COCO-WholeBody (Jin et al., 2020), MediaPipe Pose
(Bazarevsky et al., 2020), CrowdPose (Li et al., 2019). Of faces and hands only the numbers matter here.
"""
from __future__ import annotations

__all__ = ['BODY25', 'BODY25B', 'COCO17', 'COCO18', 'HALPE26', 'MEDIAPIPE33', 'SOURCE_SETS']

Names = tuple[str, ...]

COCO17: Names = (
    'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder', 'left_elbow',
    'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle',
    'right_ankle',
)
HALPE26: Names = COCO17 + (
    'head_top', 'neck', 'mid_hip', 'left_big_toe', 'right_big_toe', 'left_small_toe', 'right_small_toe',
    'left_heel', 'right_heel',
)
BODY25: Names = (
    'nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder', 'left_elbow', 'left_wrist',
    'mid_hip', 'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle', 'right_eye',
    'left_eye', 'right_ear', 'left_ear', 'left_big_toe', 'left_small_toe', 'left_heel', 'right_big_toe',
    'right_small_toe', 'right_heel',
)
BODY25B: Names = COCO17 + (
    'neck', 'head_top', 'left_big_toe', 'left_small_toe', 'left_heel', 'right_big_toe', 'right_small_toe',
    'right_heel',
)
MEDIAPIPE33: Names = (
    'nose', 'left_eye_inner', 'left_eye', 'left_eye_outer', 'right_eye_inner', 'right_eye', 'right_eye_outer',
    'left_ear', 'right_ear', 'mouth_left', 'mouth_right', 'left_shoulder', 'right_shoulder', 'left_elbow',
    'right_elbow', 'left_wrist', 'right_wrist', 'left_pinky', 'right_pinky', 'left_index', 'right_index',
    'left_thumb', 'right_thumb', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
    'left_heel', 'right_heel', 'left_foot_index', 'right_foot_index',
)
#: OpenPose's COCO model, whose joints are not COCO's
COCO18: Names = (
    'nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder', 'left_elbow', 'left_wrist',
    'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle', 'right_eye', 'left_eye',
    'right_ear', 'left_ear',
)
#: OpenPose's MPI model
_MPI15: Names = (
    'head_top', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder', 'left_elbow', 'left_wrist',
    'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle', 'chest',
)
_MPII16: Names = (
    'right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle', 'pelvis', 'thorax', 'upper_neck',
    'head_top', 'right_wrist', 'right_elbow', 'right_shoulder', 'left_shoulder', 'left_elbow', 'left_wrist',
)
_CROWDPOSE14: Names = (
    'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip',
    'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle', 'head_top', 'neck',
)
_FEET: Names = tuple(f'{side}_{part}' for side in ('left', 'right') for part in ('big_toe', 'small_toe', 'heel'))


def _numbered(part: str, count: int) -> Names:
    return tuple(f'{part}_{i}' for i in range(count))


def _hands(count: int) -> Names:
    return _numbered('left_hand', count) + _numbered('right_hand', count)


#: name -> joints; the hands of BODY_135 lack the wrist, which is one of its body
SOURCE_SETS: dict[str, Names] = {
    'coco17': COCO17, 'coco18': COCO18, 'mpi15': _MPI15, 'mpii16': _MPII16, 'crowdpose14': _CROWDPOSE14,
    'halpe26': HALPE26, 'body25': BODY25, 'body25b': BODY25B, 'mediapipe33': MEDIAPIPE33,
    'wholebody133': COCO17 + _FEET + _numbered('face', 68) + _hands(21),
    'wholebody134': COCO18 + _FEET + _numbered('face', 68) + _hands(21),
    'body135': BODY25B + _hands(20) + _numbered('face', 70),
    'halpe136': HALPE26 + _numbered('face', 68) + _hands(21),
}
