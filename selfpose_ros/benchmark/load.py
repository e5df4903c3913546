# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What cameras and people cost while it happens: CPU time, delays and losses of the fusion's thread, in real time.

Keypoints of many cameras come at their pace into what `fusion_node` runs (view buffer, estimator, age limits), without
ROS around it. The rig is known, so nothing is solved; one camera has none, and a lifter where there is one.
"""
from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.estimator import Estimator, EstimatorConfig
from ..core.lifting import Lifter
from ..core.rig import Rig
from ..core.view_buffer import ViewBufferConfig
from .growth import crowd_of
from .rows import Row

__all__ = ['Fusion', 'MANY_PEOPLE', 'MANY_VIEWS', 'Loaded', 'load_rows', 'loaded']

#: makes what `fusion_node` runs, with the arguments of `nodes.fusion_worker.FusionWorker`
Fusion = Callable[..., Any]
#: numbers of cameras and of people; images a second; how long each goes on, and what of it comes first, s
MANY_VIEWS, MANY_PEOPLE, RATE_HZ, SECONDS, _WARM_S = (1, 2, 4, 8, 16, 32), (1, 4, 10), 15., 6., 2.
#: as the node's defaults: max_wait_s, max_age_s
_WAIT_S, _AGE_S = .15, .5


@dataclass(frozen=True)
class Loaded:
    """What came of one number of cameras and people, once everybody had time to be found.

    Attributes:
        cpu_s: CPU time of an instant, mean over all, s.
        latency_s: from the arrival of an instant's last view to its result, median and 95 %, s; NaN = there was none.
        lost: share of the instants without a result.  found: people in a result, mean.
    """

    cpu_s: float
    latency_s: tuple[float, float]
    lost: float
    found: float


def load_rows(fusion: Fusion, lifter: Lifter | None,
              progress: Callable[[int, int], None]) -> tuple[list[Row], dict[tuple[int, int], Loaded]]:
    """A row for each number of people, and all by (cameras, people).

    Args:
        fusion: what `fusion_node` runs: the class `nodes.fusion_worker.FusionWorker`.
        progress: called with scenes done, and in all.
    """
    todo = [(v, p) for p in MANY_PEOPLE for v in MANY_VIEWS]
    found: dict[tuple[int, int], Loaded] = {}
    for done, (views, people) in enumerate(todo):
        progress(done, len(todo))
        found[views, people] = loaded(fusion, views, people, lifter)
    rows = []
    for p in MANY_PEOPLE:
        of = {v: found[v, p] for v in MANY_VIEWS}
        rows.append(Row('load', f'CPU time of an instant, {MANY_VIEWS[-1]} cameras at {RATE_HZ:g} Hz, {p} '
                        f'{"person" if p == 1 else "people"}', 1e3 * of[MANY_VIEWS[-1]].cpu_s, 'ms', '; '.join(
                            f'{v} cameras {1e3 * x.cpu_s:.1f} ms, latency {1e3 * x.latency_s[0]:.0f} '
                            f'({1e3 * x.latency_s[1]:.0f}) ms, lost {x.lost:.0%}, found {x.found:.1f}'
                            for v, x in of.items())))
    return rows, found


def loaded(fusion: Fusion, views: int, people: int, lifter: Lifter | None, seconds: float = SECONDS) -> Loaded:
    """One scene in real time."""
    frames, rig = crowd_of(people, views, seconds, RATE_HZ)
    clock, lock = time.monotonic, threading.Lock()
    came: dict[float, float] = {}
    gone: list[tuple[float, float, int]] = []
    began = clock() - frames[0].stamp + .1

    def make(known: Rig | None) -> Estimator:
        return Estimator(EstimatorConfig(max_people=people, solve_first_s=np.inf), rig=known, lifter=lifter)

    def deliver(result: Any) -> None:
        with lock:
            gone.append((result.stamp, clock(), len(result.people)))

    failed: list[Exception] = []
    worker = fusion(ViewBufferConfig(max_wait_s=_WAIT_S), make, rig if views > 1 else None, deliver, failed.append,
                    lambda: clock() - began, _AGE_S)
    begin_cpu = time.process_time()
    try:
        for frame in frames:
            time.sleep(max(began + frame.stamp - clock(), 0.))
            for view in frame.views:
                worker.submit(view)
            came[frame.stamp] = clock()
        time.sleep(_WAIT_S + .05)
        cpu = time.process_time() - begin_cpu
    finally:
        worker.close()
    if failed:
        raise failed[0]
    stamps = np.array(sorted(came))
    settled = stamps - frames[0].stamp >= _WARM_S
    late, there, number = [], set(), []
    for stamp, at, n in gone:
        nearest = float(stamps[np.abs(stamps - stamp).argmin()])
        if nearest - frames[0].stamp >= _WARM_S:
            there.add(nearest)
            late.append(at - came[nearest])
            number.append(n)
    spread = (float(np.median(late)), float(np.quantile(late, .95))) if late else (float('nan'), float('nan'))
    return Loaded(cpu / len(frames), spread, 1 - len(there) / max(int(settled.sum()), 1),
                  float(np.mean(number)) if number else 0.)
