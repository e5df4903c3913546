# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From what a 2D network found to a view of the 17 joints: once, for nodes, recordings and benchmark."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.camera import Intrinsics
from ..core.noise import Accuracy
from ..core.observation import View2D
from ..core.skeleton import joint_map
from .pose2d.contract import People2D, Pose2D, SearchingPose2D, accuracy_of

__all__ = ['ViewMap', 'ViewNetwork', 'view_network']

Image = NDArray[np.uint8]


class ViewMap:
    """The people of one 2D network as views.

    Attributes:
        joints: what each of the 17 joints is made of.

    Args:
        joint_names: of the network.
        accuracy: what error goes with its confidences; None: not known.

    Raises:
        SkeletonError: the network's joint names do not describe a body.
    """

    def __init__(self, joint_names: Sequence[str], accuracy: Accuracy | None = None) -> None:
        self.joints, self._accuracy = joint_map(joint_names), accuracy

    @classmethod
    def of(cls, network: Pose2D) -> ViewMap:
        """That of a network."""
        return cls(network.joint_names, accuracy_of(network))

    def view(self, people: People2D, camera: str, stamp: float, image_size: tuple[int, int],
             intrinsics: Intrinsics | None = None, *, most: int | None = None, min_confidence: float = 0.) -> View2D:
        """Those of whom a joint is seen.

        Args:
            image_size: (w, h) px.
            most: no more people than this, the nearest first: the largest of those of whom the network is sure; None =
                all, in the network's order.
            min_confidence: a joint with less counts as not seen.
        """
        keypoints, confidence = self.joints.apply(people.keypoints, people.confidence)
        if min_confidence > 0:
            confidence = np.where(confidence >= min_confidence, confidence, 0.)
        best: Any
        if len(confidence) == 1:                           # as nearly always, and sooner done
            best = slice(0, int(confidence.any()))
        else:
            best = np.arange(len(confidence)) if most is None else np.argsort(
                -_nearness(keypoints, confidence), kind='stable')[:most]
            best = best[confidence[best].any(1)]
        depth = depth_sigma = None
        if people.depth is not None:
            in_depth, _ = self.joints.apply(people.depth, people.confidence)
            depth, depth_sigma = in_depth[best, :, 0], in_depth[best, :, 1]
        return View2D(camera, stamp, keypoints[best], confidence[best], image_size, people.person[best], intrinsics,
                      depth, depth_sigma, self._accuracy)


def _nearness(keypoints: NDArray[np.float64], confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P,) diagonal of the box around the joints that are seen, px, times the mean confidence of all."""
    seen = (confidence > 0)[..., None]
    low = np.where(seen, keypoints, np.inf).min(1)
    high = np.where(seen, keypoints, -np.inf).max(1)
    size = np.linalg.norm(np.where(np.isfinite(low), high - low, 0.), axis=1)
    # a person of one joint has no size, and still comes before nobody
    return np.asarray((size + 1.) * confidence.mean(1), np.float64)


class ViewNetwork:
    """A 2D network of one camera whose results are views: what `io` asks for of images.

    Attributes:
        joint_names: of the network.
    """

    def __init__(self, network: Pose2D) -> None:
        self._network, self.joint_names = network, tuple(network.joint_names)
        self._views = ViewMap.of(network)

    def view(self, camera: str, stamp: float, image_bgr: Image, intrinsics: Intrinsics | None = None) -> View2D:
        """The people in an image.

        Raises:
            InferenceError: see `Pose2D.infer`.
        """
        people = self._network.infer(image_bgr)
        h, w = image_bgr.shape[:2]
        return self._views.view(people, camera, stamp, (w, h), intrinsics)

    def look_again(self, view: View2D, image_bgr: Image, expected: NDArray[np.float64]) -> View2D:
        """The view of an image with those of the expected people (N, 17, 2) px whom a second look finds there.

        Raises:
            InferenceError: see `Pose2D.infer`.
        """
        if not isinstance(self._network, SearchingPose2D):
            return view
        self._network.reset()
        found = self._network.look_again(image_bgr, expected, view.keypoints, view.confidence)
        more = self._views.view(found, view.camera, view.stamp, view.image_size, view.intrinsics)
        return view.joined(replace(more, person=np.full(len(more.keypoints), -1)))

    def close(self) -> None:
        """Close the network."""
        self._network.close()


def view_network(make: Callable[[], Pose2D]) -> ViewNetwork:
    """A new network, whose results are views."""
    return ViewNetwork(make())
