# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""MediaPipe's pose solution as a 2D network: the most prominent person, 33 joints, on any CPU."""
from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...core.noise import Accuracy
from ...core.skeleton import MEDIAPIPE33
from ..checked_image import checked_image
from ..errors import BackendUnavailable, InferenceError, InputError
from ..native_log import without_native_noise
from .contract import People2D, no_people
from .outside import faded_outside

__all__ = ['MediaPipePose']

#: the release that still has the `solutions` interface
VERSION = '0.10.21'
#: lines on stderr that its C++ side writes at every start and that mean nothing to a user
NOISE = ('Created TensorFlow Lite XNNPACK delegate', 'before absl::InitializeLog()',
         'inference_feedback_manager.cc', 'landmark_projection_calculator.cc', 'gl_context.cc')
#: of complexity 1, by `selfpose model calibrate mediapipe`; in 600 other pictures 62.9 % of the errors along an axis
#: are within 1 sigma, 84.5 % within 2
_FULL = Accuracy((.242, .684, .806, .899, .958, .982, .998), (.031, .0184, .0184, .0144, .0144, .013, .0104))
_FILES = {0: 'pose_landmark_lite.tflite', 1: 'pose_landmark_full.tflite', 2: 'pose_landmark_heavy.tflite'}


def _mediapipe() -> tuple[Any, Any, Any]:
    """The package, its base class and its pose class: imported late and quietly."""
    for name in ('GLOG_minloglevel', 'TF_CPP_MIN_LOG_LEVEL'):
        os.environ.setdefault(name, '2')
    try:
        import mediapipe
        from mediapipe.python.solution_base import SolutionBase
        from mediapipe.python.solutions.pose import Pose
    except ImportError as error:
        raise BackendUnavailable(f'the MediaPipe 2D network cannot be loaded ({error})',
                                 f"install it with: pip install 'mediapipe=={VERSION}' 'numpy<2'") from error
    return mediapipe, SolutionBase, Pose


class MediaPipePose:
    """One tracker for one camera: about 20 ms of one core for an image, whatever its size.

    A person is detected, then followed from its own joints; a lost one is detected again. MediaPipe's smoothing is
    off by default: it delays by a good frame and assumes 30 images a second (measured on a real clip at 10 Hz:
    18 px of median error with it, 16 px without).

    What it does not report: it may exchange left and right of the whole body with full confidence, for seconds.

    Args:
        model_complexity: 0, 1 or 2. The wheel holds 1 alone; nothing is downloaded.
        min_detection_confidence: 0..1, for a new person.
        min_tracking_confidence: 0..1, below it the person counts as lost.
        smooth: MediaPipe's own filter over time.

    Raises:
        BackendUnavailable: MediaPipe, or the model of this complexity, is not installed.
        InputError: an option is out of its range.
    """

    name = 'mediapipe'
    joint_names: tuple[str, ...] = MEDIAPIPE33
    accuracy: Accuracy | None

    def __init__(self, model_complexity: int = 1, min_detection_confidence: float = 0.5,
                 min_tracking_confidence: float = 0.5, smooth: bool = False) -> None:
        if model_complexity not in _FILES:
            raise InputError(f'MediaPipe: model_complexity is {model_complexity!r}', 'choose 0, 1 or 2')
        for key, value in (('min_detection_confidence', min_detection_confidence),
                           ('min_tracking_confidence', min_tracking_confidence)):
            if not 0 <= value <= 1:
                raise InputError(f'MediaPipe: {key} is {value!r}', 'choose a number in 0..1')
        with without_native_noise(NOISE):
            mediapipe, self._base, pose = _mediapipe()
            folder = Path(mediapipe.__file__).parent / 'modules' / 'pose_landmark'
            if not (folder / _FILES[model_complexity]).is_file():
                raise BackendUnavailable(f'MediaPipe: the model of complexity {model_complexity} is not installed',
                                         f'put {_FILES[model_complexity]} into {folder}, or use model_complexity 1')
            self._solution: Any = pose(
                static_image_mode=False, model_complexity=model_complexity, smooth_landmarks=smooth,
                min_detection_confidence=min_detection_confidence, min_tracking_confidence=min_tracking_confidence)
            self._settle()
        self.accuracy = _FULL if model_complexity == 1 else None
        self.device = f'CPU (MediaPipe {mediapipe.__version__})'
        self._track, self._following, self._ever = 0, False, False

    def infer(self, image_bgr: NDArray[np.uint8]) -> People2D:
        """At most one person in a (H, W, 3) uint8 BGR image; see `Pose2D.infer`."""
        image = checked_image(image_bgr)
        if self._solution is None:
            raise InferenceError('MediaPipe: this network was closed', 'make a new one with make_pose2d')
        rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
        try:
            landmarks = self._landmarks(rgb)
            if landmarks is None and self._following:
                # lost where it was looked for: with no track left, the whole of the same image is searched
                self._following = False
                landmarks = self._landmarks(rgb)
        except (RuntimeError, ValueError) as error:
            raise InferenceError(f'MediaPipe failed on a {image.shape[1]}x{image.shape[0]} px image ({error})',
                                 'reset the network and go on') from error
        if landmarks is None:
            self._following = False
            return no_people(len(self.joint_names))
        if not self._following:
            self._track += 1
        self._following = self._ever = True
        keypoints, confidence = _pixels(landmarks, image.shape[1], image.shape[0])
        return People2D(keypoints[None], confidence[None], np.array([self._track - 1]))

    def _settle(self) -> None:
        # the interpreters start, and report, in threads of their own until the first image is through
        self._base.process(self._solution, {'image': np.zeros((64, 64, 3), np.uint8)})

    def _landmarks(self, rgb: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        # the first landmarks make a line of noise; Pose.process would throw the presence away
        with nullcontext() if self._ever else without_native_noise(NOISE):
            found = self._base.process(self._solution, {'image': rgb}).pose_landmarks
        if not found:
            return None
        return np.array([(p.x, p.y, p.visibility, p.presence) for p in found.landmark])

    def reset(self) -> None:
        """Forget the person that is followed."""
        if self._solution is not None:
            with without_native_noise(NOISE):
                self._solution.reset()
                self._settle()
        self._following = False

    def close(self) -> None:
        """Give back the graph and its threads."""
        solution, self._solution = self._solution, None
        if solution is not None:
            solution.close()


def _pixels(landmarks: NDArray[np.float64], width: int, height: int) -> tuple[NDArray[np.float64],
                                                                              NDArray[np.float64]]:
    """(33, 4) normalised x, y, visibility, presence -> (33, 2) px and (33,) confidence."""
    size = np.array([width, height], float)
    px = landmarks[:, :2] * size - 0.5                     # MediaPipe counts from the image's edge
    return faded_outside(px, np.minimum(landmarks[:, 2], landmarks[:, 3]), (width, height))
