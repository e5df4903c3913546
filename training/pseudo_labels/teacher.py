# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Our own self-calibration as a teacher: recordings of uncalibrated cameras to 3D poses with sigmas, without any label.

Each recording goes through the off-line estimator of `selfpose_ros.core.offline`, which finds the cameras and the
trajectories from the 2D joints alone. What comes out are poses to project into new virtual cameras, and the errors of
the 2D network on these recordings (`data.measured`) to put on them: all that `system` learns from.
"""
from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.estimator import EstimatorConfig
from selfpose_ros.core.observation import Skeleton3D
from selfpose_ros.core.offline import reconstruct_offline
from selfpose_ros.core.rig import Rig

from ..errors import TrainingError
from .sources import Source

__all__ = ['PseudoLabels', 'label_recording', 'label_recordings']

Float = NDArray[np.float32]


@dataclass(frozen=True)
class PseudoLabels:
    """Poses, cameras and 2D joints of one recording, by self-calibration.

    Attributes:
        joints: (T, 17, 3) m, z up, NaN = not known.  sigma: (T, 17) m.
        observed: (T, V, 17, 2) px and conf (T, V, 17): what was seen.  expected: (T, V, 17, 2) px of the joints.
        image_size: (V, 2) px.  stamp: (T,) s.  rig: the cameras found.
    """

    source: str
    subject: int
    joints: Float
    sigma: Float
    observed: Float
    conf: Float
    expected: Float
    image_size: NDArray[np.int64]
    stamp: NDArray[np.float64]
    rig: Rig


def label_recording(source: Source, config: EstimatorConfig | None = None) -> PseudoLabels | str:
    """Poses of the person seen longest in one recording, or the reason why there are none."""
    people, rig = reconstruct_offline(source.frames, config or EstimatorConfig())
    if not isinstance(rig, Rig):
        return f'{source.name}: {rig.reason}'
    main = _longest(people)
    if main is None:
        return f'{source.name}: nobody was followed'
    T, V = len(source.frames), len(rig.cameras)
    joints, sigma = np.full((T, 17, 3), np.nan), np.full((T, 17), np.nan)
    observed, conf = np.full((T, V, 17, 2), np.nan), np.zeros((T, V, 17))
    for i, (instant, found) in enumerate(zip(source.frames, people, strict=True)):
        for s in found:
            if s.person == main:
                joints[i], sigma[i] = s.joints, s.own_sigma
        for view in instant.views:
            if view.camera in rig.cameras and len(view.keypoints) == 1:
                v = rig.cameras.index(view.camera)
                observed[i, v], conf[i, v] = view.keypoints[0], view.confidence[0]
    cam = np.einsum('vab,tjb->tvja', rig.R, joints) + rig.t[:, None]
    focal, centre = rig.K[:, None, :1, 0], rig.K[:, None, :2, 2]
    expected = cam[..., :2] / np.maximum(cam[..., 2:], .2) * focal + centre
    f = np.float32
    return PseudoLabels(source.name, source.subject, joints.astype(f), sigma.astype(f), observed.astype(f),
                        conf.astype(f), expected.astype(f), rig.image_size,
                        np.array([i.stamp for i in source.frames]), rig)


def _longest(people: Sequence[Sequence[Skeleton3D]]) -> int | None:
    count: dict[int, int] = {}
    for found in people:
        for s in found:
            count[s.person] = count.get(s.person, 0) + 1
    return max(count, key=lambda k: count[k]) if count else None


def label_recordings(sources: Iterable[Source], jobs: int = 1, config: EstimatorConfig | None = None,
                     progress: Callable[[str, int], None] | None = None) -> tuple[list[PseudoLabels], list[str]]:
    """Labels of the recordings that could be calibrated, in order, and for each of the others the reason.

    Args:
        jobs: processes.
        progress: called with (name or reason, number done) after each recording.

    Raises:
        TrainingError: no recording could be calibrated; the reasons are in the message.
    """
    found: list[PseudoLabels] = []
    refused: list[str] = []
    for n, got in enumerate(_each(partial(label_recording, config=config), sources, jobs)):
        if isinstance(got, str):
            refused.append(got)
        else:
            found.append(got)
        if progress is not None:
            progress(got if isinstance(got, str) else got.source, n + 1)
    if not found:
        raise TrainingError('no recording could be calibrated from the people in it: '
                            + ('; '.join(refused[:3]) or 'there was none'))
    return found, refused


def _each(label: Callable[[Source], PseudoLabels | str], sources: Iterable[Source],
          jobs: int) -> Iterator[PseudoLabels | str]:
    if jobs <= 1:
        yield from map(label, sources)
        return
    for name in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ.setdefault(name, '1')
    with ProcessPoolExecutor(jobs, multiprocessing.get_context('spawn')) as pool:
        yield from pool.map(label, sources)
