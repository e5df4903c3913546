# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Camera topics -> keypoints topics: the node that sees."""
from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Header, String

from ..core.observation import View2D
from ..core.skeleton import JOINTS
from ..inference.pose2d import POSE2D_NAMES, Pose2D, check_pose2d, make_pose2d, options_of
from ..inference.second_look import ExpectedPeople
from ..inference.session import InferenceSession
from ..inference.views import ViewMap
from ..io.ros_messages.image_topics import info_topic
from .backend_report import BUILD_LOG_S, backend_entries, backend_of, build_lines
from .camera_input import CameraInput
from .debug_log import camera_lines
from .diagnostics import OK, Entry
from .errors import ImageError, ParameterError
from .freshness import Freshness
from .fusion_input import FusionInput
from .graph import beside, published
from .messages import KeypointsInfo, keypoints_from, optical_frame, seconds, time_from
from .model_swap import ModelSwap, Version
from .overlays import Overlays
from .parameters import Pose2DSettings
from .pose2d_report import CameraLine, camera_entry, network_entry
from .process import run_alone
from .swapping_node import SwappingNode
from .view_maker import ViewMaker
from .workers import Workers

__all__ = ['Pose2DNode', 'main']

#: how often publishers are looked for, s
_LOOK_S = 0.25
_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Pose2DNode(SwappingNode[Pose2DSettings]):
    """2D joints of all local cameras.

    Args:
        make_network: makes the network of a camera, given its name and the settings; default: by the parameters.
        on_view: called with every view, in a worker thread, before it is published: for a fusion in this process.
        kwargs: to the node.
    """

    MODEL_PARAMETERS = ('model', 'model_options')

    def __init__(self, *, name: str = 'pose2d_node', on_view: Callable[[View2D], None] | None = None,
                 make_network: Callable[[str, Pose2DSettings], Pose2D] | None = None, **kwargs: Any) -> None:
        self._make_network = make_network
        self._on_view = on_view
        self._cameras: dict[str, CameraLine] = {}
        self._workers: Workers[CameraLine] | None = None
        self._overlays: Overlays | None = None
        self._expected = ExpectedPeople()
        self._fusion: FusionInput | None = None
        self._in_use = False                               # by a thread that was left behind
        super().__init__(name, Pose2DSettings, **kwargs)

    def _configure(self) -> None:
        s = self.settings
        if not s.cameras:
            raise ParameterError('it is empty', "name the cameras, e.g. cameras: ['cam1', 'cam2']",
                                 place='parameter cameras')
        for i, name in enumerate(s.cameras):
            topic = s.image_topics[i] if s.image_topics else f'{name}/image_raw'
            info = s.camera_info_topics[i] if s.camera_info_topics else info_topic(topic)
            network = (self._make_network or _network)(name, s)
            self.get_logger().info(f'camera {name}: {network.name} on {network.device} is ready '
                                   f'({i + 1} of {len(s.cameras)})')
            source = CameraInput(self, name, topic, info, s.image_transport, s.image_reliability, self._wake)
            self._cameras[name] = CameraLine(
                ViewMaker(name, network, s.max_people, s.min_confidence, s.max_megapixels, source.topic,
                          self._expected), source,
                self.create_lifecycle_publisher(PointCloud2, f'{name}/keypoints', 30),
                self.create_lifecycle_publisher(String, beside(self, f'{name}/keypoints', '_info'), _LATCHED),
                Freshness(s.max_age_s))
        self._overlays = Overlays(self, s.cameras, s.fusion, s.overlay_hz)
        networks = {name: camera.maker.network for name, camera in self._cameras.items()}
        swap: ModelSwap[dict[str, Pose2D]] = ModelSwap(self._load, self._adopt, self._close_networks)
        swap.start(Version(self._model_values(s), _label(s.model, networks), networks))
        self._swap_models(swap)
        self.every(_LOOK_S, self._look)
        self.every(BUILD_LOG_S, self._log_builds)

    def _activate(self) -> None:
        cv2.setNumThreads(1)                                # the workers are the threads; more only compete
        self._workers = Workers(list(self._cameras.values()), self._work, self._failed, self._at_once)
        self._look()

    def _deactivate(self) -> None:
        workers, self._workers = self._workers, None
        if workers is not None:
            left = workers.close()
            self._left_behind(left)
            self._in_use = self._in_use or bool(left)
        for camera in self._cameras.values():
            camera.input.close()
        self._listen(False)

    def _cleanup(self) -> None:
        if self._swap is None:                              # it was not configured to the end
            self._close_networks({name: camera.maker.network for name, camera in self._cameras.items()})
        self._close_models()
        overlays, self._overlays = self._overlays, None
        if overlays is not None:
            self._left_behind(overlays.close())
        for camera in self._cameras.values():
            self.destroy_lifecycle_publisher(camera.keypoints)
            self.destroy_lifecycle_publisher(camera.info_publisher)
        self._cameras.clear()
        self._in_use = False

    def _enable(self, enabled: bool) -> None:
        if not enabled:
            for camera in self._cameras.values():
                camera.input.close()
                camera.maker.forget()
        if self._overlays is not None:
            self._overlays.look(enabled)
        self._listen(enabled and self.settings.look_again)
        self._look()

    def _changed(self) -> None:
        super()._changed()
        if self._overlays is not None:
            self._overlays.picture_hz = self.settings.overlay_hz
        for camera in self._cameras.values():
            camera.fresh.limit_s = self.settings.max_age_s
            camera.maker.max_people = self.settings.max_people
            camera.maker.look_again = self.settings.look_again
            camera.maker.min_confidence = self.settings.min_confidence
            camera.maker.max_megapixels = self.settings.max_megapixels

    # -- another network

    def _check_model(self, settings: Pose2DSettings) -> None:
        if self._make_network is None:
            check_pose2d(settings.model, backend_of(settings, len(settings.cameras)))
            options_of(settings.model_options)

    def _load(self, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Pose2D]]:
        """A network for each camera, tried on its newest image; in a thread of its own."""
        settings = replace(self.settings, **parameters)
        networks: dict[str, Pose2D] = {}
        try:
            for name, camera in list(self._cameras.items()):
                networks[name] = (self._make_network or _ready_network)(name, settings)
                _try(networks[name], camera.maker.image)
        except Exception:
            self._close_networks(networks)
            raise
        return _label(settings.model, networks), networks

    def _adopt(self, networks: dict[str, Pose2D], spare: dict[str, Pose2D] | None) -> None:
        swap = self._swap
        for name, camera in self._cameras.items():
            camera.maker.replace(networks[name], None if spare is None else spare[name],
                                 None if swap is None else partial(swap.fail, networks))

    def _close_networks(self, networks: dict[str, Pose2D]) -> None:
        for name, network in networks.items():
            camera = self._cameras.get(name)
            # a network is not taken away from the thread that is in it
            if not self._in_use and (camera is None or not camera.maker.uses(network)):
                network.close()

    def _look(self) -> None:
        if self._workers is None or not self.working:
            return
        for name, camera in self._cameras.items():
            choice = camera.input.look()
            if choice is not None:
                self.get_logger().info(f'camera {name}: takes {choice.words}')
        if self._overlays is not None:
            self._overlays.look()
        self._listen(self.settings.look_again)
        self._debug.note(lambda: camera_lines(self._cameras.values()))

    def _listen(self, wanted: bool) -> None:
        """Take from the fusion, or not, whom to look for."""
        if wanted and self._fusion is None:
            self._fusion = FusionInput(self, self.settings.fusion.rstrip('/'),
                                       lambda stamp, people: self._expected.put(people), self._expected.put_rig)
        elif not wanted and self._fusion is not None:
            self._fusion.close()
            self._fusion = None
            self._expected.forget()

    def _wake(self) -> None:
        if self._workers is not None:
            self._workers.wake()

    def _at_once(self) -> int:
        """Cameras in work at once: a thread that waits for its place in a batch keeps no core busy."""
        together = any(camera.maker.prefers_batches for camera in self._cameras.values())
        return max(self.settings.workers, len(self._cameras) if together else 0)

    # -- in a worker's thread

    def _work(self, camera: CameraLine, message: Image | CompressedImage) -> None:
        received, now = camera.input.received, self.now_s()
        # a driver that sets no stamps: the time of arrival stands in for it
        stamp = seconds(message.header.stamp) or now - (time.monotonic() - received)
        camera.fresh.observe(stamp, received, now or None)
        if camera.fresh.is_late(stamp, received, now or None):
            return
        view = camera.maker.view(message, camera.input.info, now)
        if view is None or not self.working or camera.fresh.is_late(stamp, received, self.now_s() or None):
            return
        camera.people = len(view.keypoints)
        self._publish_info(camera, view)
        if self._on_view is not None:
            self._on_view(view)
        # the image's own stamp, bit by bit: whoever has the image finds its joints by it
        stamped = message.header.stamp.sec or message.header.stamp.nanosec
        header = Header(stamp=message.header.stamp if stamped else time_from(view.stamp),
                        frame_id=message.header.frame_id or optical_frame(view.camera))
        camera.keypoints.publish(keypoints_from(view, header))
        camera.views.add(self.since_s(view.stamp))
        if self._overlays is not None:
            self._overlays.take(view, camera.maker.image)

    def _publish_info(self, camera: CameraLine, view: View2D) -> None:
        old, network = camera.info, camera.maker.network
        if (old is not None and old.image_size == view.image_size and _same(old.intrinsics, view.intrinsics)
                and old.accuracy == view.accuracy and old.model == network.name and old.device == network.device):
            return
        camera.info = KeypointsInfo(view.camera, JOINTS, view.image_size, view.intrinsics, network.name,
                                    network.device, view.accuracy)
        camera.info_publisher.publish(String(data=camera.info.text()))

    def _failed(self, camera: CameraLine, error: Exception) -> None:
        if not self.context.ok():
            return
        camera.errors.add()
        camera.error = str(error)
        if not isinstance(error, ImageError):
            camera.error = f'defect: {type(error).__name__}: {error}'
            self.get_logger().error(f'camera {camera.maker.camera}, which is a defect of this program:\n'
                                    + ''.join(traceback.format_exception(error)), throttle_duration_sec=10.)

    # -- diagnostics

    def _entries(self) -> Sequence[Entry]:
        backends = backend_entries(self._sessions())
        if self._workers is None:
            return [Entry('network', OK, 'inactive', 'not active'), *self._model_entries(), *backends]
        if not self.working:
            return [self._disabled('network'), *self._model_entries(), *backends]
        lines = list(self._cameras.values())
        return [network_entry(lines), *self._model_entries(), *backends,
                *(camera_entry(line, self.settings.stale_after_s, self._visible, self.starting) for line in lines)]

    def _sessions(self) -> list[InferenceSession]:
        return [s for camera in self._cameras.values() for s in getattr(camera.maker.network, 'sessions', ())]

    def _log_builds(self) -> None:
        for line in build_lines(self._sessions()):
            self.get_logger().info(line)

    def _visible(self) -> list[str]:
        there = published(self, ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'))
        return [topic for topic in there if '/overlay/' not in topic]      # pictures of ours are no camera's


def _label(model: str, networks: Mapping[str, Pose2D]) -> str:
    network = next(iter(networks.values()))
    return f'{network.name} on {network.device}' + (f' ({model})' if model not in ('', network.name) else '')


def _try(network: Pose2D, image: NDArray[np.uint8] | None) -> None:
    """What it costs the first time it costs now, and what it cannot do it shows now."""
    ViewMap.of(network)
    for _ in range(2):
        network.infer(np.full((480, 640, 3), 127, np.uint8) if image is None else image.copy())
    network.reset()


def _ready_network(camera: str, settings: Pose2DSettings) -> Pose2D:
    return _network(camera, settings, wait=True)


def _network(camera: str, settings: Pose2DSettings, wait: bool = False) -> Pose2D:
    """wait: for the engine of TensorRT; else ONNX Runtime runs the network meanwhile."""
    backend = replace(backend_of(settings, len(settings.cameras)), wait=wait)
    options = options_of(settings.model_options)
    if settings.model not in POSE2D_NAMES:                 # mediapipe finds one person, whatever is asked for
        options.setdefault('max_people', settings.max_people)
    return make_pose2d(settings.model, backend, **options)


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a.K, b.K) and np.array_equal(a.distortion, b.distortion)


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own; see `start`."""
    return run_alone(Pose2DNode, args)

