# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What 2D networks behind a rig's cameras report of people: their errors, occlusion, drop-outs, clocks."""
from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.camera import Intrinsics, project
from ..core.errors import ObservationError
from ..core.observation import MultiView, View2D
from ..core.rig import Rig
from ..core.skeleton import BONES
from .network2d import PARTS, Network2D, OneClip, chain

__all__ = ['frames_of', 'hidden_joints', 'observe']

Array = NDArray[np.float64]

#: mean lengths of the bad stretches, s
_OCCLUSION_S, _SWAP_S, _DROPOUT_S = .4, .12, 1.
#: time constants of the noise and of the confidence, s; confidence of a joint whose noise is as large as asked for
_NOISE_S, _CONFIDENCE_S, _MIDDLING = .1, .4, .775


def observe(
    joints: ArrayLike, rig: Rig, fps: float = 30., seed: int = 0, noise_px: float = 3., outliers: float = .05,
    swap: float = .01, dropout: float = 0., jitter_s: float = 0., start_s: float = 0., *,
    rates_hz: Mapping[str, float] | None = None, clock_offset_s: Mapping[str, float] | None = None,
    stamp_noise_s: float = 0., ghosts: float = 0., identities: bool = False, known_intrinsics: bool = False,
) -> list[View2D]:
    """What 2D networks behind the rig's cameras report.

    Args:
        joints: (T, 17, 3) or (T, P, 17, 3) m at times i / fps; NaN = the person is not there.
        rig: the true cameras.  fps: of `joints`, and of every camera that `rates_hz` does not name.
        noise_px: standard deviation of a joint of middling confidence, px, less of a sure one; AR(1), time
            constant 0.1 s.
        outliers: share of time that a limb is taken for something else: 20-100 px off in a fixed direction, with
            a confidence of 0.05-0.5.
        swap: share of time that arms, legs or both are exchanged left for right.
        dropout: share of time that a camera delivers nothing, in stretches of about 1 s.
        jitter_s: cameras run free: each has a constant phase within +- this, s.
        start_s: stamp of the first instant, s.
        rates_hz: by camera, frames per second where they differ.
        clock_offset_s: by camera: what its clock is ahead of the truth, s.
        stamp_noise_s: standard deviation of each single frame's sampling time around its period, s; stamps say it.
        ghosts: share of images with one false person in them.
        identities: True: `person` is the index among `joints` (-1 for ghosts); False: -1 for everybody.
        known_intrinsics: views carry the rig's intrinsics.

    Returns:
        Views in order of their stamps. People in view come in random order; who stands behind somebody else loses
        joints, or is not seen at all; joints outside the image are lost.

    Raises:
        ObservationError: joints of another shape.
    """
    X = np.asarray(joints, float)
    X = X[:, None] if X.ndim == 3 else X
    if X.ndim != 4 or X.shape[2:] != (17, 3) or not len(X):
        raise ObservationError(f'observe: expected joints (T, 17, 3) or (T, P, 17, 3), got {X.shape}')
    views: list[View2D] = []
    for v, name in enumerate(rig.cameras):
        rng = np.random.default_rng([int(seed), 22, v])
        rate = (rates_hz or {}).get(name, fps)
        true = _sampling_times(rng, len(X), fps, rate, jitter_s, stamp_noise_s)
        alive = ~chain(rng, len(true), dropout, _DROPOUT_S * rate)
        stamps = true + start_s + (clock_offset_s or {}).get(name, 0.)
        at = _resample(X, true * fps)
        px, conf = _detect(rng, at, rig, v, rate, noise_px, outliers, swap)
        size = (int(rig.image_size[v, 0]), int(rig.image_size[v, 1]))
        known = Intrinsics(rig.K[v], rig.distortion[v]) if known_intrinsics else None
        for i in np.flatnonzero(alive):
            order = rng.permutation(np.flatnonzero((conf[i] > 0).sum(-1) >= 5))     # fewer joints are no detection
            kp, c, who = px[i, order], conf[i, order], order
            if rng.random() < ghosts:
                g, gc = _ghost(rng, size)
                kp, c, who = np.concatenate([kp, g]), np.concatenate([c, gc]), np.r_[who, -1]
            views.append(View2D(name, float(stamps[i]), kp, c, size,
                                who if identities else np.full(len(who), -1), known))
    return sorted(views, key=lambda view: (view.stamp, view.camera))


def frames_of(views: Iterable[View2D], tolerance_s: float = 1e-6) -> list[MultiView]:
    """Synchronous views -> instants in order of time; views whose stamps agree belong together.

    Cameras of the whole sequence that lack at an instant are listed in its `missing`.

    Raises:
        ObservationError: a camera occurs twice within the tolerance.
    """
    ordered = sorted(views, key=lambda view: (view.stamp, view.camera))
    cameras = sorted({v.camera for v in ordered})
    groups: list[list[View2D]] = []
    for view in ordered:
        if groups and view.stamp - groups[-1][0].stamp <= tolerance_s:
            groups[-1].append(view)
        else:
            groups.append([view])
    return [MultiView(g[0].stamp, tuple(g), tuple(c for c in cameras if c not in {v.camera for v in g}))
            for g in groups]


def _sampling_times(rng: np.random.Generator, count: int, fps: float, rate: float, jitter_s: float,
                    stamp_noise_s: float) -> Array:
    """True times of one camera's frames, s, within the recording, strictly increasing."""
    end = (count - 1) / fps
    phase = rng.uniform(-jitter_s, jitter_s) if jitter_s else 0.
    k = np.arange(int(np.ceil(end * rate)) + 2)
    times = k / rate + phase
    if stamp_noise_s:
        times = times + np.clip(rng.normal(0, stamp_noise_s, len(k)), -.45 / rate, .45 / rate)
    return np.asarray(times[(times >= 0) & (times <= end + 1e-9)])


def _resample(X: Array, index: Array) -> Array:
    """(T, P, 17, 3) at fractional indices: cubic through the neighbours; exact at whole ones."""
    i = np.clip(np.floor(index + 1e-9).astype(int), 0, max(len(X) - 2, 0))
    u = (index - i)[:, None, None, None]
    if np.abs(u).max(initial=0.) < 1e-9:
        return X[i]
    at = [X[np.clip(i + k, 0, len(X) - 1)] for k in (-1, 0, 1, 2)]
    m0, m1 = .5 * (at[2] - at[0]), .5 * (at[3] - at[1])
    u2, u3 = u * u, u * u * u
    out = (2 * u3 - 3 * u2 + 1) * at[1] + (u3 - 2 * u2 + u) * m0 + (3 * u2 - 2 * u3) * at[2] + (u3 - u2) * m1
    whole = np.abs(u - np.round(u)) < 1e-9
    return np.asarray(np.where(whole, X[np.clip(np.round(index).astype(int), 0, len(X) - 1)], out))


def _detect(rng: np.random.Generator, X: Array, rig: Rig, v: int, rate: float, noise_px: float, outliers: float,
            swap: float) -> tuple[Array, Array]:
    """(T, P, 17, 3) m -> noisy pixels (T, P, 17, 2) and confidences (T, P, 17) of camera v."""
    T, P = X.shape[:2]
    px = project(X, rig.K[v], rig.R[v], rig.t[v], rig.distortion[v])
    network = Network2D(
        noise_px=noise_px * _MIDDLING, noise_memory=float(np.exp(-1. / (_NOISE_S * rate))),
        confidence_memory=float(np.exp(-1. / (_CONFIDENCE_S * rate))), swap=swap,
        swap_frames=_SWAP_S * rate, mistaken=tuple((part, outliers) for part in PARTS),
        mistaken_frames=_OCCLUSION_S * rate)
    out, conf = network.detect(rng, OneClip(T), px)
    if P > 1:
        hidden = hidden_joints(X, px, rig, v)
        out += np.where(hidden[..., None], rng.normal(0, 4 * noise_px, out.shape), 0.)
        conf *= np.where(hidden, rng.uniform(.1, .5, conf.shape), 1.)
        conf[hidden.mean(-1) > .6] = 0.
    size = rig.image_size[v]
    inside = np.isfinite(out).all(-1) & (out >= 0).all(-1) & (out <= size - 1).all(-1)
    return out, np.where(inside, conf, 0.)


def hidden_joints(X: Array, px: Array, rig: Rig, v: int) -> NDArray[np.bool_]:
    """(T, P, 17) joints that lie behind another person's body (bones 9 cm thick, at least 20 cm nearer)."""
    T, P = X.shape[:2]
    depth = X @ rig.R[v, 2] + rig.t[v, 2]
    known = np.isfinite(depth)
    near = np.where(known, depth, 0.).sum(-1) / np.where(known.any(-1), known.sum(-1), np.nan)
    a, b = px[:, :, [i for i, _ in BONES]], px[:, :, [j for _, j in BONES]]
    hidden = np.zeros((T, P, 17), bool)
    for p in range(P):
        for q in range(P):
            if p == q:
                continue
            ab = (b[:, q] - a[:, q])[:, None]                                    # (T, 1, 16, 2)
            ap = px[:, p][:, :, None] - a[:, q][:, None]                         # (T, 17, 16, 2)
            u = np.clip((ap * ab).sum(-1) / np.maximum((ab * ab).sum(-1), 1e-9), 0, 1)
            d = np.linalg.norm(ap - u[..., None] * ab, axis=-1).min(-1)
            thick = .09 * rig.K[v, 0, 0] / np.maximum(near[:, q], .1)
            with np.errstate(invalid='ignore'):
                hidden[:, p] |= (d < thick[:, None]) & (depth[:, p] > near[:, q, None] + .2)
    return hidden


def _ghost(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Array, Array]:
    """A false person (1, 17, 2) px, (1, 17): joints scattered over furniture, with middling confidence."""
    box = rng.uniform(.05, .3) * size[1]
    middle = rng.uniform([box, box], np.maximum(np.asarray(size) - box, box + 1))
    return middle + rng.uniform(-box, box, (1, 17, 2)) * [.5, 1.], rng.uniform(.1, .5, (1, 17))

