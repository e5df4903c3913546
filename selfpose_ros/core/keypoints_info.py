# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The JSON that says what the columns of a camera's keypoints are, read with bounds: it comes from strangers."""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .camera import Intrinsics
from .errors import ObservationError
from .noise import Accuracy
from .skeleton import JointMap, joint_map, named_joints

__all__ = ['KeypointsInfo']

#: more characters than this are not even parsed; 512 names take a quarter of it
_MOST_CHARACTERS = 65536
_MOST_JOINTS, _LONGEST_NAME = 512, 64
_MOST_PX = 65536
_ASK = 'send JSON with joint_names and image_size'


@dataclass(frozen=True)
class KeypointsInfo:
    """What one camera's keypoints topic means.

    Attributes:
        joint_names: (J,) the columns of the cloud, in any spelling that `joint_map` has.
        image_size: (w, h) px.  intrinsics: None = not calibrated.
        model, device: what made the keypoints, '' = unknown.
        accuracy: of the confidences, as in `View2D`; None = unknown.
        joints: how the columns become the 17.
    """

    camera: str
    joint_names: tuple[str, ...]
    image_size: tuple[int, int]
    intrinsics: Intrinsics | None = None
    model: str = ''
    device: str = ''
    accuracy: Accuracy | None = None
    joints: JointMap = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'joints', joint_map(self.joint_names))

    def text(self) -> str:
        """The JSON of `<camera>/keypoints_info`."""
        k, a = self.intrinsics, self.accuracy
        return json.dumps({
            'camera': self.camera, 'joint_names': list(self.joint_names), 'image_size': list(self.image_size),
            'K': None if k is None else k.K.tolist(), 'distortion': None if k is None else k.distortion.tolist(),
            'model': self.model, 'device': self.device,
            'accuracy': None if a is None else {'confidence': a.confidence, 'sigma': a.sigma}})

    @classmethod
    def parse(cls, text: str, camera: str) -> KeypointsInfo:
        """Read and check the JSON of a topic that was published for `camera`.

        Takes milliseconds at the most, whatever the text is.

        Raises:
            CoreError: too long, no JSON, a field is missing, holds what it cannot hold, or the joints are no body.
        """
        if len(text) > _MOST_CHARACTERS:
            raise ObservationError(f'{len(text)} characters are more than the {_MOST_CHARACTERS} that may be sent',
                                   _ASK)
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            # that of an integer with too many digits speaks of a function of Python
            why = 'lists within lists without end' if isinstance(error, RecursionError) else (
                str(error) if isinstance(error, json.JSONDecodeError) else 'a number with too many digits')
            raise ObservationError(f'cannot read {text[:60]!r} ({why})', _ASK) from error
        missing = [n for n in ('joint_names', 'image_size') if not isinstance(data, Mapping) or n not in data]
        if missing:
            raise ObservationError(f'no {" and no ".join(missing)} in {text[:60]!r}', _ASK)
        size = _size(data['image_size'])
        model, device = (v[:_LONGEST_NAME] if isinstance(v, str) else '' for v in map(data.get, ('model', 'device')))
        return cls(camera, _names(data['joint_names']), size, _intrinsics(data, size), model, device,
                   _accuracy(data.get('accuracy')))


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) and len(value) <= _LONGEST_NAME:               # the name of a set
        return named_joints(value)
    if not isinstance(value, list) or not all(isinstance(n, str) for n in value):
        raise ObservationError(f'joint_names is {_shown(value)}, must be a list of names, or the name of a set',
                               _ASK)
    if len(value) > _MOST_JOINTS or any(len(n) > _LONGEST_NAME for n in value):
        raise ObservationError(f'{len(value)} joint names of up to {max(map(len, value))} characters',
                               f'at most {_MOST_JOINTS} of {_LONGEST_NAME} can be used')
    return named_joints(value)


def _size(value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2 or not all(_is_number(x) for x in value):
        raise ObservationError(f'image_size is {_shown(value)}, must be [width, height] of the image in px', _ASK)
    w, h = value
    if not (1 <= w <= _MOST_PX and 1 <= h <= _MOST_PX):                       # NaN is not, either
        raise ObservationError(f'image_size is {_digits(w)}x{_digits(h)}',
                               f'send the size of the image in px, 1 to {_MOST_PX} a side')
    return int(w), int(h)


def _intrinsics(data: Mapping[str, Any], size: tuple[int, int]) -> Intrinsics | None:
    K, distortion = data.get('K'), data.get('distortion')
    if K is None:
        return None
    if not (isinstance(K, list) and len(K) == 3 and all(isinstance(r, list) and len(r) == 3 for r in K)
            and all(_is_number(x) for row in K for x in row)):
        raise ObservationError(f'K is {_shown(K)}, must be 3 x 3 numbers, or null for an uncalibrated camera')
    if distortion is not None and not (isinstance(distortion, list) and all(_is_number(x) for x in distortion)):
        raise ObservationError(f'distortion is {_shown(distortion)}, must be a list of coefficients, or null')
    try:
        return Intrinsics(np.array(K, float), np.array(distortion or np.zeros(5), float)).checked(size)
    except OverflowError as error:
        raise ObservationError('K or distortion holds a number with hundreds of digits',
                               'send what the camera was calibrated to, or null') from error


def _accuracy(value: Any) -> Accuracy | None:
    if value is None:
        return None
    lists = [value.get(key) for key in ('confidence', 'sigma')] if isinstance(value, Mapping) else []
    if not lists or not all(isinstance(x, list) and len(x) <= _MOST_JOINTS and all(map(_is_number, x)) for x in lists):
        raise ObservationError(f'accuracy is {_shown(value)}, must hold the lists confidence and sigma, or be null')
    try:
        return Accuracy(tuple(lists[0] or ()), tuple(lists[1] or ()))
    except OverflowError as error:
        raise ObservationError('accuracy holds a number with hundreds of digits',
                               'send what the network was measured to have, or null') from error


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _digits(value: float) -> str:
    text = str(value)
    return text if len(text) < 20 else f'{text[:8]}... ({len(text)} digits)'


def _shown(value: Any) -> str:
    """The beginning of a value of any size."""
    if isinstance(value, (list, dict)):
        return f'a {type(value).__name__} of {len(value)}'
    return repr(value)[:60]
