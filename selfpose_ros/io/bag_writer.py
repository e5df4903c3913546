# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 recordings written without ROS; `ros2 bag play` plays them with the qualities of service they name."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.camera import Intrinsics
from ..core.observation import View2D
from ..core.skeleton import JOINTS
from .bag_file import typestore
from .errors import IoError, UnknownType
from .recording import Recording
from .ros_messages.keypoints import KeypointsInfo, keypoints_table

if TYPE_CHECKING:
    from typing import Self

__all__ = ['BagWriter', 'STORAGES', 'write_bag']

Image = NDArray[np.uint8]

#: storage formats
STORAGES: tuple[str, ...] = ('mcap', 'sqlite3')


class BagWriter:
    """Writes one new bag: topics are made when their first message comes. Used by one thread, closed by `with`.

    Topics: `/<camera>/image_raw` or `/<camera>/image_raw/compressed`, `/<camera>/camera_info`,
    `/<camera>/keypoints` and `/<camera>/keypoints_info`; and whatever `cdr` is given.
    """

    def __init__(self, path: Path, storage: str = 'mcap') -> None:
        """Make the bag's folder.

        Raises:
            IoError: it exists already or cannot be made, or the storage is not known.
        """
        from rosbags.rosbag2 import StoragePlugin, Writer
        if storage not in STORAGES:
            raise IoError(f'storage {storage!r} is not known', f'choose one of: {", ".join(STORAGES)}', place=path)
        if path.exists():
            raise IoError('exists already', 'remove it or choose another place', place=path)
        self.path = path
        self._types: Any = typestore()
        self._connections: dict[str, Any] = {}
        self._infos: dict[str, str] = {}
        self._writer: Any = Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()])
        with self._checked():
            self._writer.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Write the index and the metadata; may be called twice.

        Raises:
            IoError: the disk does not take it.
        """
        writer, self._writer = self._writer, None
        if writer is not None:
            with self._checked():
                writer.close()

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise IoError(f'cannot be written ({error})', 'choose another place or free the space',
                          place=self.path) from error

    def cdr(self, topic: str, kind: str, data: bytes, stamp_s: float, *, latched: bool = False) -> None:
        """A message as it comes from a raw subscription: its type, such as 'std_msgs/msg/String', and its bytes.

        Args:
            stamp_s: time of recording, s.
            latched: the topic is transient local (`/tf_static`, descriptions).

        Raises:
            IoError: a type that is not known, or the disk does not take it.
        """
        if topic not in self._connections:
            if kind not in self._types.types:
                raise UnknownType(f'message type {kind!r} of {topic} is not known', 'leave the topic out',
                                  place=self.path)
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._types, offered_qos_profiles=[_quality(latched)])
        with self._checked():
            self._writer.write(self._connections[topic], round(stamp_s * 1e9), data)

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
        self.cdr(topic, kind, bytes(self._types.serialize_cdr(message, kind)), stamp_s, latched=latched)


def _quality(latched: bool) -> Any:
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
    endless = QosTime(9223372036, 854775807)
    return Qos(QosHistory.KEEP_LAST, 1 if latched else 5, QosReliability.RELIABLE,
               QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE, endless, endless,
               QosLiveliness.AUTOMATIC, endless, False)


def write_bag(path: Path, views: Recording | Sequence[View2D], storage: str = 'mcap') -> None:
    """A bag of keypoint topics: a recording, or views in order of time.

    Raises:
        IoError: see `BagWriter`.
    """
    with BagWriter(path, storage) as bag:
        for view in views.views if isinstance(views, Recording) else views:
            bag.view(view)
