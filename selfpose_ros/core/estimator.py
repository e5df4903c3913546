# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The one object that ties the core together: views in, skeletons out; causal; no ROS."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .observation import MultiView, Skeleton3D
from .rig import NotSolved, Rig

__all__ = ['CameraStatus', 'Estimator', 'EstimatorConfig', 'EstimatorStatus', 'reconstruct_offline']


@dataclass(frozen=True)
class EstimatorConfig:
    """What a user may set. Metric scale: the first of height, baseline that is given, else the adult prior.

    Attributes:
        person_height_m: standing height of the person that is seen, m; 0 = unknown.
        baseline_m: distance between the centres of the cameras named in `baseline_cameras`, m; 0 = unknown.
        baseline_cameras: the two cameras of `baseline_m`; empty = the first two by name.
        max_people: no more people than this are followed.
        rig_solver: 'inline' (deterministic: replay, offline), 'thread', or 'process' (a live node).
        solve_first_s: first attempt at the rig after this much footage, s.
        lag_s: fixed lag of the smoother, s; 0 = filter only.
        min_quality: a rig with a lower predicted quality is refused.
    """

    person_height_m: float = 0.
    baseline_m: float = 0.
    baseline_cameras: tuple[str, ...] = ()
    max_people: int = 4
    rig_solver: str = 'inline'
    solve_first_s: float = 1.
    lag_s: float = 0.
    min_quality: float = 0.3


@dataclass(frozen=True)
class CameraStatus:
    """What the estimator knows of one camera.

    Attributes:
        people: in its newest view.  rate_hz: views per second.  age_s: of its newest view against the newest stamp.
        used: its rays took part in the newest result.
        reprojection_px: running median of its residuals, px; NaN before level 3.
        note: '' or a sentence: bumped, late, sees nobody.
    """

    people: int
    rate_hz: float
    age_s: float
    used: bool
    reprojection_px: float
    note: str = ''


@dataclass(frozen=True)
class EstimatorStatus:
    """Health in one value.

    Attributes:
        level: best level among the people of the newest result, 0 = nobody.
        sentence: what is going on and what to do about it.
        ok: False when somebody should look.
        cameras: by name.
        rig_quality: 0 without a rig.  rig_reason: why there is no rig, '' with one.
        scale_source: '' without a rig.  scale_sigma: relative.
        solving: a rig solve runs now.
    """

    level: int
    sentence: str
    ok: bool
    cameras: Mapping[str, CameraStatus] = field(default_factory=dict)
    rig_quality: float = 0.
    rig_reason: str = ''
    scale_source: str = ''
    scale_sigma: float = 0.
    solving: bool = False


class Estimator:
    """Causal estimator. Not thread safe: one caller at a time."""

    def __init__(self, config: EstimatorConfig | None = None, *, rig: Rig | None = None) -> None:
        self.config = config or EstimatorConfig()
        self._rig = rig

    @property
    def rig(self) -> Rig | None:
        """The rig, once it is trusted."""
        return self._rig

    @property
    def status(self) -> EstimatorStatus:
        """Health after the newest update."""
        return EstimatorStatus(0, 'waiting for the first views', True)

    def update(self, observation: MultiView) -> list[Skeleton3D]:
        """Take the views of one instant, in order of time, and return the people at `observation.stamp`."""
        return []

    def reset(self) -> None:
        """Forget people, history and rig."""
        self._rig = None

    def close(self) -> None:
        """Stop a running solve. The estimator is not used afterwards."""


def reconstruct_offline(
    frames: Sequence[MultiView], config: EstimatorConfig | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> tuple[list[list[Skeleton3D]], Rig | NotSolved]:
    """Two passes over a whole recording: rig from all of it, then zero-phase smoothing.

    Args:
        frames: in order of time.
        progress: called with (what is done, share 0..1).

    Returns:
        The people at every instant (as `Estimator.update` gives them), and the rig or the reason why there is none.
    """
    estimator = Estimator(config)
    out = [estimator.update(f) for f in frames]
    return out, estimator.rig or NotSolved('not enough motion')
