# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Inputs that show whether two ways of running a model agree: stored beside it, or rendered people, or their poses."""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.lifting import norm2d
from ..core.rig import Rig
from ..models.card import GOLDEN
from ..models.errors import ModelError
from ..models.store import Model
from ..synthetic import ring_rig, walker
from ..synthetic.figure import drawn_joints
from ..synthetic.renderer import VirtualCamera
from .session import InferenceSession
from .tensors.image_tensors import ImageTensors

__all__ = ['rendered', 'trial_inputs']

Array = NDArray[np.float64]

#: images or poses, and the sizes of the batches that they are tried in
COUNT, _BATCHES = 12, (1, 3, 8)
_SEED, _SIZE = 7, (640, 480)


def trial_inputs(model: Model, session: InferenceSession) -> list[dict[str, NDArray[Any]]]:
    """Batches of 1, 3 and 8, or of the size that the graph has; the same in every run.

    Args:
        session: has the inputs; nothing is run.

    Raises:
        ModelError: the stored inputs are not those of the graph.
    """
    feeds = _stored(model, session)
    if feeds is None:
        feeds = rendered(model)
    count = min(map(len, feeds.values()))
    fixed = session.inputs[0].shape[0] if session.inputs and session.inputs[0].shape else None
    if fixed is not None and fixed > count:                # the last one as often as it takes
        feeds = {name: np.concatenate([a, np.repeat(a[-1:], fixed - count, 0)]) for name, a in feeds.items()}
        count = fixed
    sizes = (fixed,) * (count // fixed) if fixed is not None else _BATCHES
    out, first = [], 0
    for size in sizes:
        first = first if first + size <= count else 0
        out.append({name: np.ascontiguousarray(a[first:first + size]) for name, a in feeds.items()})
        first += size
    return out


def rendered(model: Model, count: int = COUNT) -> dict[str, NDArray[np.float32]]:
    """Images of rendered people, or their poses, as the model takes them: (count, ...), the same in every run."""
    if model.card.vision is None:
        return {model.card.inputs[0].name: _poses(model.card.frames)[:count]}
    return _images(model, count)


def _stored(model: Model, session: InferenceSession) -> dict[str, NDArray[Any]] | None:
    """Of the model folder: (N, ...) by the names of the tensors, N from 8 on."""
    file = model.folder / GOLDEN
    if not file.is_file():
        return None
    try:
        with np.load(file) as z:
            if any(f'{t.name}.0' in z for t in session.outputs):
                return None                                # of an import: enough to verify, too few for batches
            feeds = {t.name: z[t.name] for t in session.inputs}
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f'cannot be read ({error})', 'it must hold an array for each input '
                         f'({", ".join(t.text for t in session.inputs)})', place=file) from error
    for t in session.inputs:
        a = feeds[t.name]
        if a.dtype != np.float32 or a.ndim != len(t.shape) or len(a) < max(_BATCHES) or any(
                s is not None and s != d for s, d in zip(t.shape[1:], a.shape[1:], strict=True)):
            raise ModelError(f'{t.name} is {a.shape} {a.dtype}, the graph takes {t.text}',
                             f'{max(_BATCHES)} rows or more are needed', place=file)
    return feeds


@lru_cache(maxsize=1)
def _scene() -> tuple[Rig, Array]:
    """Cameras around somebody who walks and moves about, and his joints (T, 17, 3) m, 30 a second."""
    rig = ring_rig(3, seed=_SEED, image_size=_SIZE, focal_px=(480., 560.), distance_m=(3., 4.))
    return rig, drawn_joints(walker(8., 30., seed=_SEED, style='mixed'))


def _seen_by(rig: Rig, c: int, joints: Array) -> Array:
    """(..., 17, 2) px."""
    X = joints @ rig.R[c].T + rig.t[c]
    return np.asarray(X[..., :2] / X[..., 2:] * rig.K[c, [0, 1], [0, 1]] + rig.K[c, :2, 2])


def _images(model: Model, count: int) -> dict[str, NDArray[np.float32]]:
    network = ImageTensors(model)
    rig, motion = _scene()
    blobs = []
    for i, joints in enumerate(motion[::len(motion) // COUNT][:count]):
        c = i % len(rig.cameras)
        image = VirtualCamera(rig.K[c], rig.R[c], rig.t[c], _SIZE, seed=i).image([joints])
        if network.vision.about.top_down:
            px = _seen_by(rig, c, joints)
            low, high = px.min(0), px.max(0)
            place = network.crop(np.r_[low - .1 * (high - low), high + .1 * (high - low)], _SIZE)
        else:
            place = network.whole(image)
        blobs.append(network.blob(image, [place]))
    return {network.vision.tensor: np.concatenate(blobs)}


def _poses(frames: int) -> NDArray[np.float32]:
    """(COUNT, 17, 3), or (COUNT, frames, 17, 3), as a lifter takes them; some joints are not seen."""
    rig, motion = _scene()
    rng = np.random.default_rng(_SEED)
    starts = np.linspace(0, len(motion) - frames, COUNT).astype(int)
    pose = np.stack([_seen_by(rig, i % len(rig.cameras), motion[a:a + frames]) for i, a in enumerate(starts)])
    confidence = rng.uniform(.3, 1., pose.shape[:-1]) * (rng.random(pose.shape[:-1]) > .1)
    K = np.stack([rig.K[i % len(rig.cameras)] for i in range(COUNT)])[:, None]
    out = np.concatenate([norm2d(pose, confidence, K).w2d, confidence[..., None]], -1).astype(np.float32)
    return out[:, 0] if frames == 1 else out
