# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Bags of images, intrinsics and keypoints, for tests to read."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.camera import Intrinsics
from selfpose_ros.core.observation import View2D
from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.bag_writer import BagWriter
from selfpose_ros.io.recording import Recording
from selfpose_ros.io.ros_messages.keypoints import KeypointsInfo, keypoints_table

__all__ = ['ViewBag', 'write_bag']

Image = NDArray[np.uint8]


class ViewBag(BagWriter):
    """Topics: `/<camera>/image_raw` or `/<camera>/image_raw/compressed`, `/<camera>/camera_info`,
    `/<camera>/keypoints` and `/<camera>/keypoints_info`.
    """

    def __init__(self, path: Path, storage: str = 'mcap') -> None:
        super().__init__(path, storage)
        self._infos: dict[str, str] = {}

    def image(self, camera: str, stamp_s: float, image: Image, *, jpeg_quality: int = 0) -> None:
        """A (H, W, 3) BGR image; raw, or as JPEG of this quality (1..100)."""
        t = self._types.types
        header = self._header(stamp_s, camera)
        if jpeg_quality:
            data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])[1].ravel()
            message = t['sensor_msgs/msg/CompressedImage'](header, 'bgr8; jpeg compressed bgr8', data)
            self._write(f'/{camera}/image_raw/compressed', message, stamp_s)
        else:
            h, w = image.shape[:2]
            message = t['sensor_msgs/msg/Image'](
                header, h, w, 'bgr8', 0, 3 * w, np.ascontiguousarray(image, np.uint8).ravel())
            self._write(f'/{camera}/image_raw', message, stamp_s)

    def camera_info(self, camera: str, stamp_s: float, image_size: tuple[int, int],
                    intrinsics: Intrinsics | None = None) -> None:
        """Intrinsics of a camera; None = not calibrated (K[0] = 0)."""
        t = self._types.types
        K = np.zeros((3, 3)) if intrinsics is None else intrinsics.K
        d = np.zeros(0) if intrinsics is None else intrinsics.distortion
        R = np.zeros((3, 3)) if intrinsics is None else np.eye(3)
        model = '' if intrinsics is None else 'plumb_bob' if d.size == 5 else 'rational_polynomial'
        whole = t['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
        P = np.hstack([K, np.zeros((3, 1))])
        message = t['sensor_msgs/msg/CameraInfo'](
            self._header(stamp_s, camera), image_size[1], image_size[0], model, d, K.ravel(), R.ravel(), P.ravel(),
            0, 0, whole)
        self._write(f'/{camera}/camera_info', message, stamp_s)

    def view(self, view: View2D) -> None:
        """The people in one image as keypoints, and what describes them when it changes."""
        t = self._types.types
        info = KeypointsInfo(view.camera, JOINTS, view.image_size, view.intrinsics, accuracy=view.accuracy).text()
        if self._infos.get(view.camera) != info:
            self._infos[view.camera] = info
            self._write(f'/{view.camera}/keypoints_info', t['std_msgs/msg/String'](info), view.stamp, latched=True)
        names, table = keypoints_table(view)
        data = np.frombuffer(table.astype('<f4').tobytes(), np.uint8)
        step = 4 * len(names)
        fields = [t['sensor_msgs/msg/PointField'](name, 4 * i, 7, 1) for i, name in enumerate(names)]  # 7 = float32
        message = t['sensor_msgs/msg/PointCloud2'](
            self._header(view.stamp, view.camera), len(table), len(JOINTS), fields, False, step, step * len(JOINTS),
            data, bool(np.isfinite(table).all()))
        self._write(f'/{view.camera}/keypoints', message, view.stamp)

    def _header(self, stamp_s: float, camera: str) -> Any:
        ns = round(stamp_s * 1e9)
        time = self._types.types['builtin_interfaces/msg/Time'](ns // 10**9, ns % 10**9)
        return self._types.types['std_msgs/msg/Header'](time, f'{camera.replace("/", "_")}_optical')

    def _write(self, topic: str, message: Any, stamp_s: float, *, latched: bool = False) -> None:
        kind = message.__msgtype__
        self.cdr(topic, kind, bytes(self._types.serialize_cdr(message, kind)), round(stamp_s * 1e9), latched=latched)


def write_bag(path: Path, views: Recording | Sequence[View2D], storage: str = 'mcap') -> None:
    """A bag of keypoint topics: a recording, or views in order of time."""
    with ViewBag(path, storage) as bag:
        for view in views.views if isinstance(views, Recording) else views:
            bag.view(view)
