# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How good a network of images is on rendered people whom it has never seen: 2D, and 3D where it gives depths."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.relative_depth import pose_with_depth
from selfpose_ros.core.skeleton import joint_map
from selfpose_ros.inference.pose2d.network import VisionNetwork
from selfpose_ros.inference.tensors import decode
from selfpose_ros.inference.tensors.geometry import Placement

from .. import metrics
from ..data.arrays import Sampling
from ..errors import TrainingError
from ..images.boxes import Task
from ..images.groups import make_groups
from ..metrics import EVAL16
from .figures import Figures, figures

__all__ = ['ImageEvaluation', 'evaluate_images']

Array = NDArray[np.float64]

_BATCH = 16


@dataclass(frozen=True)
class ImageEvaluation:
    """What `evaluate_images` found.

    Attributes:
        pictures, seed: what was looked at.
        pck_10, pck_20: joints nearer than a tenth and a fifth of the torso's diagonal, per cent of those that can be
            seen; 16 joints, without the spine.
        single: 3D of single pictures with the camera's own focal length; None: the network gives no depths.
        lifted: share of the pictures that gave a pose.
        depth_reversed: share of poses that are nearer to the truth with the sign of their depth flipped.
        sigma_ratio: root mean square of the errors along an axis over that of the sigmas; 1 where sigma is calibrated.
    """

    pictures: int
    seed: int
    pck_10: float
    pck_20: float
    single: Figures | None = None
    lifted: float = 0.
    depth_reversed: float = float('nan')
    sigma_ratio: float = float('nan')

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def evaluate_images(network: VisionNetwork, joints: Array, seed: int, pictures: int = 600, jobs: int = 1,
                    progress: Callable[[str, int, int], None] | None = None,
                    show: Callable[[NDArray[np.uint8], Array, Array | None, Array], None] | None = None
                    ) -> ImageEvaluation:
    """Figures of a top-down 2D pose network.

    Args:
        network: gets pictures of one person each, cut out as at run time.
        joints: (N, 17, 3) m, z up, poses of those who are rendered.
        seed: of people, clothes, rooms and cameras; the same seed gives the same pictures on every machine.
        pictures: how many, one of each instant.  jobs: processes that render.
        show: gets each picture (H, W, 3) BGR, the joints found (17, 2) px, the pose (17, 3) or None, and the true one
            (17, 3) m, both in camera axes about the pelvis.

    Raises:
        TrainingError: the network looks at whole images, or there are no whole poses.
    """
    if not network.vision.about.top_down:
        raise TrainingError('looks at whole images', 'only networks that look at one person are measured here',
                            place=network.model.folder)
    joints = joints[np.isfinite(joints).all((1, 2))]
    if not len(joints):
        raise TrainingError('the motion has no pose with all joints', 'give another one')
    task = Task('pose2d', network.vision.size, network.vision.padding)
    groups = make_groups(joints, task, 1, pictures, seed, None, jobs,
                         None if progress is None else lambda done, of: progress('pictures rendered', done, of))
    groups.varied = False
    mapping, off, there, found, true, sigmas = joint_map(network.model.card.joints), [], [], [], [], []
    still, lifted = Placement(np.eye(2, 3)), 0
    for batch in groups.batches(0, _BATCH, sampling=Sampling(partial=True)):
        images = np.asarray(batch.image.numpy()[:, 0].transpose(0, 2, 3, 1)[..., ::-1], np.uint8)
        tensors = network.run(np.concatenate([network.blob(np.ascontiguousarray(i), [still]) for i in images]))
        points, score = network.decode_people(tensors)
        kp, conf = mapping.apply(points, score)
        off.append(np.linalg.norm(kp - batch.points.numpy()[:, 0], axis=-1) / batch.torso.numpy())
        there.append(batch.weight.numpy()[:, 0] > 0)
        assert batch.joints is not None                    # of pictures that are always seen the same
        truth = batch.joints.numpy()[:, 0].astype(float)
        depth = (mapping.apply(decode.depths(tensors['depth'], tensors['sigma']), score)[0] if network.has_depth
                else None)
        for i, K in enumerate(np.linalg.inv(batch.to_ray.numpy()[:, 0].astype(float))):
            pose = (None if depth is None else
                    pose_with_depth(kp[i], conf[i] > 0, depth[i, :, 0], depth[i, :, 1], K))
            if show is not None:
                show(images[i], kp[i], None if pose is None else pose[0] - pose[0][:1], truth[i] - truth[i, :1])
            if pose is not None:
                lifted += 1
                found.append(pose[0])
                sigmas.append(pose[1])
                true.append(1e3 * truth[i])
    use = list(EVAL16)
    d, w = np.concatenate(off)[:, use], np.concatenate(there)[:, use]
    d = np.where(np.isfinite(d), d, np.inf)
    pck_10, pck_20 = (float(100 * ((d < at) & w).sum() / max(w.sum(), 1)) for at in (.1, .2))
    if not found:
        return ImageEvaluation(len(groups), seed, pck_10, pck_20)
    p, g, s = np.stack(found)[:, use], np.stack(true)[:, use], np.stack(sigmas)[:, use]
    scaled, centred = metrics.scaled(p, g), metrics.centred(g)
    size = np.linalg.norm(scaled, axis=(1, 2)) / np.maximum(np.linalg.norm(p, axis=(1, 2)), 1e-12)
    ratio = np.sqrt(((scaled - centred)[:, 1:] ** 2).mean() / ((s * size[:, None])[:, 1:] ** 2).mean())
    return ImageEvaluation(len(groups), seed, pck_10, pck_20, figures(p, g), lifted / len(groups),
                           float(metrics.reversed_in_depth(p, g).mean()), float(ratio))
