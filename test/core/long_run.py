# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""An estimator over a long time: exceptions, identities, levels, and jumps of the world. A tool of `test_long_run`.

By hand, an hour of one person who walks through a room, from a keypoint archive that is played to and fro:
    python test/core/long_run.py ARCHIVE.npz --seconds 3600 [--every 3]
"""
from __future__ import annotations

import argparse
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from selfpose_ros.core import rotation
from selfpose_ros.core.estimator import Estimator
from selfpose_ros.core.model import RigModel
from selfpose_ros.core.observation import MultiView, Skeleton3D

#: nobody in any view for longer than this is an exit, s
_EXIT_S = 1.


@dataclass
class Figures:
    """Attributes:
    exceptions: by their text.  identities: number -> stamp of its first skeleton, s.  exits: see `_EXIT_S`.
    levels: number of instants by best level.  lost: stamps at which level 3 was given up.
    jumps: (stamp s, m, degrees) of every exchange of a trusted rig: how far the place of the person went, as seen by
        the median camera, and how far the axes turned.
    faults: sentences on solves that broke.
    """

    exceptions: Counter[str] = field(default_factory=Counter)
    identities: dict[int, float] = field(default_factory=dict)
    exits: int = 0
    levels: Counter[int] = field(default_factory=Counter)
    lost: list[float] = field(default_factory=list)
    jumps: list[tuple[float, float, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def worst_jump_m(self) -> float:
        return max((m for _, m, _ in self.jumps), default=0.)

    def text(self) -> str:
        n = max(sum(self.levels.values()), 1)
        shares = ', '.join(f'level {k} {100 * v / n:.2f} %' for k, v in sorted(self.levels.items()))
        late = [j for j in self.jumps if j[0] > 60.]
        return (f'{sum(self.exceptions.values())} exceptions, {len(self.identities)} identities, {self.exits} exits, '
                f'{shares}; level 3 lost {len(self.lost)} times; {len(self.jumps)} new rigs, worst jump '
                f'{self.worst_jump_m:.3f} m, after a minute {max((m for _, m, _ in late), default=0.):.3f} m and '
                f'{max((a for *_, a in late), default=0.):.2f} degrees')


def jump(old: RigModel, new: RigModel, people: list[Skeleton3D]) -> tuple[float, float]:
    """How far the person's place went (m) and the axes turned (degrees) from one rig to the next."""
    both = [c for c in old.cameras if c in new.cameras]
    a, b = [old.cameras.index(c) for c in both], [new.cameras.index(c) for c in both]
    p = np.nanmean(people[0].joints, 0) if people else np.zeros(3)
    seen = old.R[a] @ p + old.t[a]
    there = np.einsum('vji,vj->vi', new.R[b], seen - new.t[b])
    turned = rotation.angle_deg(new.R[b].swapaxes(1, 2) @ old.R[a], np.broadcast_to(np.eye(3), (len(a), 3, 3)))
    return float(np.median(np.linalg.norm(there - p, axis=1))), float(np.median(turned))


def play(frames: Iterable[MultiView], estimator: Estimator, told: float = 0.) -> Figures:
    """Feed it, whatever it raises; `told`: print how it goes every so many seconds of the stream."""
    out, old = Figures(), None
    seen, away, say = -np.inf, True, told or np.inf
    for f in frames:
        if any(len(v.keypoints) for v in f.views):
            seen, away = f.stamp, False
        elif f.stamp - seen > _EXIT_S and not away:
            away, out.exits = True, out.exits + 1
        try:
            people = estimator.update(f)
        except Exception as error:  # noqa: BLE001 - it is counted
            traceback.print_exc()
            out.exceptions[repr(error)] += 1
            people = []
        for p in people:
            out.identities.setdefault(p.person, f.stamp)
        out.levels[max((p.level for p in people), default=0)] += 1
        model = estimator.model
        if model is None or model.level < 3:
            if old is not None:
                out.lost.append(f.stamp)
            old = None
        else:
            if old is not None and old is not model:
                out.jumps.append((f.stamp, *jump(old, model, people)))
            old = model
        if estimator._rig.fault and (not out.faults or out.faults[-1] != estimator._rig.fault):
            out.faults.append(estimator._rig.fault)
        if f.stamp >= say:
            print(f'{f.stamp:.0f} s: {out.text()}', flush=True)
            say += told
    return out


def to_and_fro(frames: list[MultiView], seconds: float) -> Iterator[MultiView]:
    """A recording of evenly spaced instants, forwards, backwards, forwards, ... for so long."""
    step = (frames[-1].stamp - frames[0].stamp) / (len(frames) - 1)
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    for n in range(round(seconds / step)):
        f, stamp = frames[order[n % len(order)]], n * step
        yield replace(f, stamp=stamp, views=tuple(replace(v, stamp=stamp) for v in f.views))


def main() -> None:
    from selfpose_ros.io.archive import read_keypoints
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('archive', type=Path)
    parser.add_argument('--seconds', type=float, default=3600.)
    parser.add_argument('--every', type=int, default=1, help='use every so many instants: time-lapse')
    args = parser.parse_args()
    frames = read_keypoints(args.archive).frames()[::args.every]
    print(play(to_and_fro(frames, args.seconds), Estimator(), 60.).text())


if __name__ == '__main__':
    main()
