# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What was recorded: the 2D views of all cameras over time, whatever file they came from."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..core.check import Finding
from ..core.observation import MultiView, View2D
from ..core.skeleton import JOINTS, joint_map
from ..core.view_buffer import ViewBufferConfig, replay
from .errors import IoError

__all__ = ['Progress', 'Recording', 'names_of', 'row']

#: stamps closer than this are the same instant, s: rounding in containers and of exposure marks
_SAME_S = 1e-3

#: called with (what is done, steps done, steps in all; 0 = not known)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Recording:
    """The views of one recording; make it with `Recording.of`.

    Attributes:
        name: of the file, folder or bag; names the result.
        cameras: in the order of the source.
        views: sorted by stamp, then camera; joints already mapped to `core.skeleton.JOINTS`.
        joint_names: the joints of the source.
        rows: the instants, where the source says which views belong together; else None.
        notes: sentences on what was odd and what was done about it.
        findings: what is wrong that the views do not show: pictures, stamps against the time of recording.
        late_s: by camera: what was taken off its stamps so that they agree with the others', s; see `synchronised`.
    """

    name: str
    cameras: tuple[str, ...]
    views: tuple[View2D, ...]
    joint_names: tuple[str, ...] = JOINTS
    rows: tuple[MultiView, ...] | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    late_s: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, name: str, cameras: Sequence[str], views: Iterable[View2D], *, joint_names: Sequence[str] = JOINTS,
        rows: Sequence[MultiView] | None = None, notes: Sequence[str] = (), findings: Sequence[Finding] = (),
    ) -> Recording:
        """A recording of these views in any order; a second view of a camera with the same stamp is left out.

        Raises:
            IoError: there is no view at all, a camera's image changes its size, or a camera is not in `cameras`.
        """
        notes = list(notes)
        order = {camera: i for i, camera in enumerate(cameras)}
        kept: list[View2D] = []
        sizes: dict[str, tuple[int, int]] = {}
        doubles = 0
        views = tuple(views)
        if len(order) != len(cameras):
            raise IoError(f'cameras {", ".join(cameras)}: every camera needs a name of its own', place=name)
        strange = sorted({v.camera for v in views} - set(order))
        if strange:
            raise IoError(f'views of {", ".join(strange)}, but the cameras are {", ".join(cameras)}', 'name them all',
                          place=name)
        for view in sorted(views, key=lambda v: (v.stamp, order[v.camera])):
            if kept and (kept[-1].stamp, kept[-1].camera) == (view.stamp, view.camera):
                doubles += 1
                continue
            size = sizes.setdefault(view.camera, view.image_size)
            if size != view.image_size:
                raise IoError(f'the image of {view.camera} changes from {size[0]}x{size[1]} to '
                              f'{view.image_size[0]}x{view.image_size[1]} px at {view.stamp:.3f} s',
                              'cut the recording there', place=name)
            kept.append(view)
        if not kept:
            raise IoError('holds no view of any camera', 'check the source', place=name)
        if doubles:
            notes.append(f'{name}: {doubles} views had the stamp of another view of their camera and are left out')
        for camera in cameras:
            if camera not in sizes:
                notes.append(f'{name}: camera {camera} gave nothing')
        return cls(name, tuple(cameras), tuple(kept), tuple(joint_names), None if rows is None else tuple(rows),
                   tuple(notes), tuple(findings))

    def without(self, cameras: Collection[str]) -> Recording:
        """The same without the views of some cameras, which keep their names. At least one other has views."""
        if not cameras:
            return self
        rows = self.rows
        if rows is not None:
            kept = ([v for v in r.views if v.camera not in cameras] for r in rows)
            rows = tuple(row(views, self.cameras) for views in kept if views)
        return replace(self, views=tuple(v for v in self.views if v.camera not in cameras), rows=rows)

    @property
    def image_size(self) -> dict[str, tuple[int, int]]:
        """(w, h) px of each camera that gave a view."""
        return {v.camera: v.image_size for v in self.views}

    @property
    def duration_s(self) -> float:
        """Time from the first to the last view, s."""
        return self.views[-1].stamp - self.views[0].stamp

    @property
    def approximate(self) -> tuple[str, ...]:
        """Those of the 17 joints that the source lacks and that were built from others."""
        flags = joint_map(self.joint_names).approximate
        return tuple(n for n, approximate in zip(JOINTS, flags, strict=True) if approximate)

    def frames(self, config: ViewBufferConfig | None = None) -> list[MultiView]:
        """The instants in order of time, the same for every call.

        A source with rows says itself what belongs together: each row is an instant (the mean of its stamps), and
        each view keeps its own stamp. So do stamps that coincide, of triggered cameras or cut videos. All others
        go through the buffer that the running nodes use.
        """
        if self.rows is not None:
            return list(self.rows)
        return _coinciding(self.views, self.cameras) or list(replay(self.views, config))


def _coinciding(views: Sequence[View2D], cameras: Sequence[str]) -> list[MultiView]:
    """Instants of views (sorted by stamp) whose stamps coincide, or nothing: the cameras ran free."""
    stamps = np.array([v.stamp for v in views])
    gaps = np.diff(stamps)
    if ((gaps > _SAME_S) & (gaps < 5 * _SAME_S)).any():
        return []
    cuts = [0, *(np.nonzero(gaps > _SAME_S)[0] + 1), len(views)]
    groups = [views[a:b] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    most = max(sum(v.camera == c for v in views) for c in cameras)
    if len(groups) > 1.1 * most or any(len({v.camera for v in g}) < len(g) for g in groups):
        return []
    return [row(g, cameras) for g in groups]


def names_of(paths: Sequence[Path]) -> tuple[str, ...]:
    """Short names of files or folders: without suffix, with as many folders before as tells them apart."""
    parts = [(*p.resolve().parent.parts[1:], p.stem if p.is_file() else p.resolve().name) for p in paths]
    for depth in range(1, max(map(len, parts), default=1) + 1):
        names = ['_'.join(p[-depth:]) for p in parts]
        if len(set(names)) == len(names):
            break
    return tuple(names)


def row(views: Sequence[View2D], cameras: Sequence[str]) -> MultiView:
    """One instant from views that belong together; `views` is not empty."""
    here = {v.camera for v in views}
    missing = tuple(c for c in cameras if c not in here)
    return MultiView(float(np.mean([v.stamp for v in views])), tuple(views), missing)
