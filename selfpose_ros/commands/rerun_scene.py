# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What rerun shows of a result: entities `world/...`, `2d/<camera>` and `plots/...` over the time line `time`."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.camera import project
from ..core.observation import MultiView, View2D
from ..core.result import Skeletons
from ..core.rig import Rig
from ..core.skeleton import BONES
from ..io.recording import Recording

__all__ = ['LEVEL_COLOURS', 'live_blueprint', 'log_cameras', 'log_images', 'log_person', 'log_plots', 'log_scene',
           'sigma_colours']

Array = NDArray[np.float64]

#: RGB of skeletons of level 1, 2 and 3
LEVEL_COLOURS = {1: (240, 150, 60), 2: (235, 220, 80), 3: (90, 210, 120)}
#: sigma at which a joint is red, m; radius of a joint of no uncertainty, m
_RED_M, _RADIUS_M = .10, .012
_CAMERA_M = .4


def log_scene(rerun: Any, result: Skeletons, recording: Recording | None, name: str) -> None:
    """Log all of it.

    Args:
        rerun: the module, initialised.
        recording: what the result was made from, for the 2D; None = not here.
    """
    rig = result.rig if isinstance(result.rig, Rig) else None
    rerun.send_blueprint(_blueprint(rerun, result.cameras, rig))
    rerun.log('about', rerun.TextDocument(_about(result, name)), static=True)
    rerun.log('world', rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    if rig is not None:
        log_cameras(rerun, rig)
    log_plots(rerun)
    start = float(result.stamp[0]) if len(result.stamp) else 0.
    shown: set[int] = set()
    frames = [] if recording is None else recording.frames()
    errors = _reprojection(result, frames, rig)
    if recording is not None:
        _edges(rerun, recording, rig)
    for i, stamp in enumerate(result.stamp):
        rerun.set_time('time', duration=float(stamp) - start)
        there = {int(p): n for n, p in enumerate(result.person[i]) if p}
        for person, n in there.items():
            log_person(rerun, person, result.joints[i, n], result.sigma[i, n], int(result.level[i, n]))
        for person in shown - set(there):
            rerun.log(f'world/people/{person}', rerun.Clear(recursive=True))
        shown = set(there)
        rerun.log('plots/level', rerun.Scalars([float(result.level[i].max(initial=0))]))
        rerun.log('plots/people', rerun.Scalars([float(len(there))]))
        sigma = result.sigma[i][np.isfinite(result.sigma[i])]
        if sigma.size:
            rerun.log('plots/sigma', rerun.Scalars([float(1e3 * np.median(sigma))]))
        for camera, error in errors.get(i, {}).items():
            rerun.log(f'plots/reprojection/{camera}', rerun.Scalars([error]))
        for view in frames[i].views if len(frames) == len(result.stamp) else ():
            _joints2d(rerun, view, rig)
    for frame in frames if len(frames) != len(result.stamp) else ():
        rerun.set_time('time', duration=frame.stamp - start)
        for view in frame.views:
            _joints2d(rerun, view, rig)


def log_images(rerun: Any, result: Skeletons, images: Mapping[str, Sequence[tuple[float, bytes]]]) -> None:
    """Images of each camera, (stamp s, JPEG), behind the 2D that was seen in them."""
    rig = result.rig if isinstance(result.rig, Rig) else None
    start = float(result.stamp[0]) if len(result.stamp) else 0.
    for camera, kept in images.items():
        for stamp, packed in kept:
            rerun.set_time('time', duration=stamp - start)
            rerun.log(_image(camera, rig), rerun.EncodedImage(contents=packed, media_type='image/jpeg'))


def sigma_colours(sigma: Array) -> NDArray[np.uint8]:
    """RGB (J, 3): green where a joint is certain, red where it is 10 cm or not known."""
    s = np.clip(np.nan_to_num(sigma, nan=_RED_M) / _RED_M, 0, 1)[:, None]
    return np.asarray(np.round((1 - s) * np.array([60, 220, 90]) + s * np.array([230, 60, 50])), np.uint8)


def log_person(rerun: Any, person: int, joints: Array, sigma: Array, level: int) -> None:
    """One person: joints (17, 3) m, NaN = not known, sigma (17,) m."""
    known = np.isfinite(joints).all(-1)
    bones = [joints[[a, b]] for a, b in BONES if known[a] and known[b]]
    colour = LEVEL_COLOURS.get(level, (200, 200, 200))
    rerun.log(f'world/people/{person}/bones', rerun.LineStrips3D(bones, colors=[colour] * len(bones), radii=.008))
    radius = np.clip(np.nan_to_num(sigma, nan=_RED_M), 0, _RED_M)
    rerun.log(f'world/people/{person}/joints', rerun.Points3D(
        joints[known], colors=sigma_colours(sigma)[known], radii=(_RADIUS_M + radius)[known]))
    if known[10]:
        rerun.log(f'world/people/{person}/name', rerun.Points3D(
            joints[10] + [0, 0, .15], labels=[f'{person}, level {level}'], radii=.001, colors=[colour]))


def log_cameras(rerun: Any, rig: Rig, static: bool = True) -> None:
    """Where they are, and their image planes. static: for all times."""
    for i, camera in enumerate(rig.cameras):
        w, h = (int(x) for x in rig.image_size[i])
        rerun.log(f'world/cameras/{camera}', rerun.Transform3D(translation=rig.centres[i], mat3x3=rig.R[i].T),
                  static=static)
        rerun.log(f'world/cameras/{camera}/image', rerun.Pinhole(
            image_from_camera=rig.K[i], resolution=[w, h], image_plane_distance=_CAMERA_M), static=static)


def log_plots(rerun: Any, *more: tuple[str, str]) -> None:
    """Names of the time lines. more: further ones and what they are called."""
    for name, words in (('level', 'level'), ('people', 'people'), ('sigma', 'median sigma, mm'), *more):
        rerun.log(f'plots/{name}', rerun.SeriesLines(names=[words]), static=True)


def _edges(rerun: Any, recording: Recording, rig: Rig | None) -> None:
    """Of images whose camera is not in the rig, and has no image plane."""
    for camera, (w, h) in recording.image_size.items():
        if rig is None or camera not in rig.cameras:
            rerun.log(_image(camera, rig), rerun.Boxes2D(mins=[[0, 0]], sizes=[[w, h]], colors=[(70, 70, 70)]),
                      static=True)


def _joints2d(rerun: Any, view: View2D, rig: Rig | None) -> None:
    """On the image plane of a camera of the rig; of another one in a view of its own."""
    seen = np.isfinite(view.keypoints).all(-1) & (view.confidence > 0)
    lines = [kp[[a, b]] for kp, ok in zip(view.keypoints, seen, strict=True) for a, b in BONES if ok[a] and ok[b]]
    image = _image(view.camera, rig)
    rerun.log(f'{image}/bones', rerun.LineStrips2D(lines, colors=[(120, 170, 230)] * len(lines)))
    rerun.log(f'{image}/joints', rerun.Points2D(
        view.keypoints[seen], colors=sigma_colours(_RED_M * (1 - view.confidence[seen])), radii=4.))


def _image(camera: str, rig: Rig | None) -> str:
    return f'world/cameras/{camera}/image' if rig is not None and camera in rig.cameras else f'2d/{camera}'


def _reprojection(result: Skeletons, frames: Sequence[MultiView], rig: Rig | None) -> dict[int, dict[str, float]]:
    """Median distance, px, of skeletons of level 3 from the nearest person of each camera, by instant."""
    out: dict[int, dict[str, float]] = {}
    if rig is None or len(frames) != len(result.stamp):
        return out
    for i, frame in enumerate(frames):
        people = result.joints[i][result.level[i] == 3]
        for view in frame.views:
            if view.camera not in rig.cameras or not len(people) or not len(view.keypoints):
                continue
            c = rig.cameras.index(view.camera)
            px = project(people, rig.K[c], rig.R[c], rig.t[c], rig.distortion[c])
            off = np.linalg.norm(view.keypoints[:, None] - px[None], axis=-1)
            known = np.isfinite(off).any(-1)
            if known.any():
                out.setdefault(i, {})[view.camera] = float(np.nanmedian(off[known], axis=-1).min())
    return out


def _about(result: Skeletons, name: str) -> str:
    rig = result.rig
    rig_text = (f'rig of {", ".join(rig.cameras)}, quality {rig.quality:.2f}, metres from {rig.scale_source}'
            if isinstance(rig, Rig) else f'no rig: {rig.reason}')
    people = len(set(result.person[result.person > 0].tolist()))
    return (f'{name}: {len(result.stamp)} instants, {people} people; {rig_text}\n\nBones: orange level 1, '
            'yellow level 2, green level 3. Joints: green to red and larger as sigma grows to 10 cm.')


def _blueprint(rerun: Any, cameras: tuple[str, ...], rig: Rig | None) -> Any:
    b = rerun.blueprint
    plots = [b.TimeSeriesView(origin=f'plots/{n}', name=n) for n in ('level', 'sigma', 'people', 'reprojection')]
    flat = [b.Spatial2DView(origin=_image(c, rig), name=c) for c in cameras]
    return b.Blueprint(b.Horizontal(
        b.Spatial3DView(origin='world', name='people'),
        b.Vertical(b.Grid(*flat) if flat else b.TextDocumentView(origin='about'), *plots,
                   row_shares=[4, *[1] * len(plots)]), column_shares=[3, 2]), collapse_panels=True)


def live_blueprint(rerun: Any, cameras: Sequence[str]) -> Any:
    """People, the pictures of these cameras, time lines, and what the diagnostics say."""
    b = rerun.blueprint
    plots = [b.TimeSeriesView(origin=f'plots/{n}', name=n) for n in ('level', 'sigma', 'people', 'latency')]
    flat = [b.Spatial2DView(origin=f'2d/{c}', name=c) for c in cameras]
    return b.Blueprint(b.Horizontal(
        b.Vertical(b.Spatial3DView(origin='world', name='people'), b.TextLogView(origin='log', name='diagnostics'),
                   row_shares=[4, 1]),
        b.Vertical(*([b.Grid(*flat)] if flat else []), *plots, row_shares=[*([4] if flat else []), *[1] * len(plots)]),
        column_shares=[3, 2]), collapse_panels=True)
