# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Rigs around a room, and what detectors in those cameras make of people: noise, occlusion, swaps, drop-outs."""
from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.camera import Intrinsics, project
from ..core.errors import ObservationError
from ..core.observation import MultiView, View2D
from ..core.rig import Rig
from ..core.skeleton import BONES, SWAP_GROUPS

__all__ = ['frames_of', 'observe', 'ring_rig']

Array = NDArray[np.float64]

_LIMBS = ((2, 3), (5, 6), (12, 13), (15, 16), (9, 10), (1, 14), (4, 11), (0, 7, 8))
_OCCLUSION_S, _SWAP_S, _DROPOUT_S = .4, .12, 1.            # mean lengths of the bad stretches, s


def ring_rig(
    n: int = 4, seed: int = 0, distance_m: tuple[float, float] = (3., 6.),
    height_m: tuple[float, float] = (.8, 2.5), focal_px: tuple[float, float] = (800., 1400.),
    image_size: tuple[int, int] = (1000, 1000), *,
    min_separation_deg: float = 25., roll_deg: float = 5., room_radius_m: float = 1.2,
    distortion: ArrayLike = (0., 0., 0., 0., 0.),
) -> Rig:
    """True rig of cameras 'cam1'... on a ring around the origin that look at (0, 0, 0.9 m).

    Args:
        n: cameras.  seed: everything random comes from it.
        distance_m, height_m, focal_px: ranges that each camera's horizontal distance, height and focal length are
            drawn from. A focal length is made shorter where somebody 2 m tall within `room_radius_m` would leave
            the view.
        image_size: (w, h) px.
        min_separation_deg: least angle between neighbours, at most half of what n cameras leave.
        roll_deg: cameras are rolled by up to this.
        distortion: plumb-bob coefficients of every camera.

    Returns:
        A rig with quality 1 and known scale: the truth.

    Raises:
        ObservationError: n below 1, or cameras inside the room.
    """
    if n < 1 or distance_m[0] <= room_radius_m:
        raise ObservationError(f'ring_rig: {n} cameras from {distance_m[0]} m on; at least one camera is needed, '
                               f'outside the room of {room_radius_m} m radius')
    rng = np.random.default_rng([int(seed), 21])
    gap = np.deg2rad(min(min_separation_deg, 360. / n / 2))
    free = 2 * np.pi - n * gap                             # uniform with least gaps: spread what the gaps leave
    angles = np.sort(rng.uniform(0, free, n)) + gap * np.arange(n) + rng.uniform(0, 2 * np.pi)
    K, R, t = [], [], []
    w, h = image_size
    for a in rng.permutation(angles):
        d, z = rng.uniform(*distance_m), rng.uniform(*height_m)
        centre = np.array([d * np.cos(a), d * np.sin(a), z])
        target, roll = np.array([0, 0, .9]) + rng.normal(0, .05, 3), np.deg2rad(rng.uniform(-1, 1) * roll_deg)
        rot = _look_at(centre, target, roll)
        focal = min(rng.uniform(*focal_px), _widest_focal(centre, rot, image_size, room_radius_m))
        K.append([[focal, 0, w / 2], [0, focal, h / 2], [0, 0, 1]])
        R.append(rot)
        t.append(-rot @ centre)
    return Rig(cameras=tuple(f'cam{i + 1}' for i in range(n)), K=np.array(K), R=np.array(R), t=np.array(t),
               distortion=np.tile(np.asarray(distortion, float), (n, 1)), image_size=np.tile([w, h], (n, 1)),
               quality=1., scale_source='known baseline', scale_sigma=0., gravity_sigma_deg=0., reprojection_px=0.)


def _look_at(centre: Array, target: Array, roll: float) -> Array:
    z = (target - centre) / np.linalg.norm(target - centre)
    x = np.cross(z, [0, 0, 1.])
    x /= np.linalg.norm(x)
    c, s = np.cos(roll), np.sin(roll)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.]]) @ np.stack([x, np.cross(z, x), z])


def _widest_focal(centre: Array, R: Array, image_size: tuple[int, int], radius_m: float) -> float:
    """Longest focal length, px, that keeps a 2 m tall cylinder around the origin within 95 % of the image."""
    a = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([radius_m * np.cos(a), radius_m * np.sin(a), 0 * a], -1)
    cam = (np.concatenate([ring, ring + [0, 0, 2.]]) - centre) @ R.T
    side = np.abs(cam[:, :2] / cam[:, 2:]).max(0)
    return float((.475 * np.asarray(image_size, float) / side).min())


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
        alive = ~_chain(rng, len(true), dropout, _DROPOUT_S * rate)
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


def _chain(rng: np.random.Generator, count: int, share: float, length: float) -> NDArray[np.bool_]:
    """Two-state Markov chain that is True for this share of time, in stretches of this mean length (samples)."""
    out = np.zeros(count, bool)
    if share <= 0:
        return out
    leave = 1. / max(length, 1.)
    enter = leave * share / max(1. - share, 1e-9)
    state, u = bool(rng.random() < share), rng.random(count)
    for i in range(count):
        out[i] = state
        state = bool(u[i] >= leave) if state else bool(u[i] < enter)
    return out


def _ar1(rng: np.random.Generator, shape: tuple[int, ...], rho: float) -> Array:
    """Unit Gaussian noise along the first axis with this correlation from sample to sample."""
    out = rng.normal(size=shape)
    gain = np.sqrt(1 - rho * rho)
    for i in range(1, len(out)):
        out[i] = rho * out[i - 1] + gain * out[i]
    return out


def _detect(rng: np.random.Generator, X: Array, rig: Rig, v: int, rate: float, noise_px: float, outliers: float,
            swap: float) -> tuple[Array, Array]:
    """(T, P, 17, 3) m -> noisy pixels (T, P, 17, 2) and confidences (T, P, 17) of camera v."""
    T, P = X.shape[:2]
    px = project(X, rig.K[v], rig.R[v], rig.t[v], rig.distortion[v])
    conf = .55 + .45 / (1 + np.exp(-1.6 * _ar1(rng, (T, P, 17), float(np.exp(-1. / (.4 * rate))))))
    noise = _ar1(rng, (T, P, 17, 2), float(np.exp(-1. / (.1 * rate))))
    out = px + noise * (noise_px * .775 / conf)[..., None]                     # 0.78 to 1.4 times the middle
    for p in range(P):
        _mistake_limbs(rng, out[:, p], conf[:, p], outliers, rate)
        _swap_sides(rng, out[:, p], conf[:, p], swap, rate)
    if P > 1:
        hidden = _hidden(X, px, rig, v)
        out += np.where(hidden[..., None], rng.normal(0, 4 * noise_px, out.shape), 0.)
        conf *= np.where(hidden, rng.uniform(.1, .5, conf.shape), 1.)
        conf[hidden.mean(-1) > .6] = 0.
    size = rig.image_size[v]
    inside = np.isfinite(out).all(-1) & (out >= 0).all(-1) & (out <= size - 1).all(-1)
    return out, np.where(inside, conf, 0.)


def _stretches(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(T,) number of the stretch of True that an instant belongs to or comes after, from 0."""
    return np.maximum(np.cumsum(np.diff(np.r_[False, mask].astype(int)) == 1) - 1, 0)


def _mistake_limbs(rng: np.random.Generator, px: Array, conf: Array, share: float, rate: float) -> None:
    """Put limbs of one person, (T, 17, 2) and (T, 17), elsewhere for a while; in place."""
    for limb in _LIMBS:
        mask = _chain(rng, len(px), share, _OCCLUSION_S * rate)
        if not mask.any():
            continue
        run = _stretches(mask)
        for j in limb:
            angle, far = rng.uniform(0, 2 * np.pi, run[-1] + 1), rng.uniform(20., 100., run[-1] + 1)
            low = rng.uniform(.05, .5, run[-1] + 1)
            px[mask, j] += (far[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1))[run[mask]]
            conf[mask, j] = low[run[mask]]


def _swap_sides(rng: np.random.Generator, px: Array, conf: Array, share: float, rate: float) -> None:
    """Exchange arms, legs or both of one person, (T, 17, 2) and (T, 17), for a while; in place."""
    mask = _chain(rng, len(px), share, _SWAP_S * rate)
    if not mask.any():
        return
    run = _stretches(mask)
    kind = rng.integers(0, 3, run[-1] + 1)[run]
    doubt = rng.uniform(.6, 1., run[-1] + 1)[run]
    for part, skip in (('arms', 1), ('legs', 0)):
        rows = np.flatnonzero(mask & (kind != skip))
        a = np.array(SWAP_GROUPS[part])
        b = np.roll(a, 3)
        px[np.ix_(rows, a)] = px[np.ix_(rows, b)]
        conf[np.ix_(rows, a)] = conf[np.ix_(rows, b)] * doubt[rows, None]


def _hidden(X: Array, px: Array, rig: Rig, v: int) -> NDArray[np.bool_]:
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

