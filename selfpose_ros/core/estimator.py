# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The one object that ties the core together: views in, skeletons out; causal; no ROS."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .association import MainPerson
from .fusion.lifted import depth_agreement
from .health import CameraStatus, EstimatorStatus, HealthMonitor
from .history import History, tracks_from_rows
from .lifting import Lifter, pinhole
from .model import RigModel, common_cameras, lifted_model, model_from_rig, model_from_solution, with_level
from .noise import NoiseModel
from .observation import MultiView, Skeleton3D
from .person_view import Detections, PersonView, Row
from .quick import median
from .rig import NotSolved, Rig, SolveFailed
from .rig.drift import DriftMonitor, Resection, odd_one_out, resect
from .rig.largest import TRUSTED_DEG
from .rig.solver import Solution, SolverConfig
from .solving import RigWorker
from .tracks.identities import Identities
from .tracks.people import People

__all__ = ['CameraStatus', 'Estimator', 'EstimatorConfig', 'EstimatorStatus']

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EstimatorConfig:
    """What a user may set. Metric scale: the baseline if it is given, else the height, else the adult prior.

    Attributes:
        person_height_m: standing height of the person that is seen, m; 0 = unknown.
        baseline_m: distance between the centres of the cameras named in `baseline_cameras`, m; 0 = unknown.
        baseline_cameras: the two cameras of `baseline_m`; empty = the first two by name.
        max_people: no more people than this are followed.
        rig_solver: 'inline' (deterministic: replay, offline), 'thread', or 'process' (a live node).
        solve_first_s: first attempt at the rig after this much footage, s; 0 = with the first instant.
        lag_s: results are this much older, in the light of what came since (fixed-lag smoother), s; 0 = newest.
        min_quality: a rig with a lower predicted quality is refused.
        correction: below level 3, lifted poses are corrected by the 2D joints of all views, instant by instant
            (`fusion.corrected`), and count in what is shown. Needs a lifter; without effect with `lag_s`.
    """

    person_height_m: float = 0.
    baseline_m: float = 0.
    baseline_cameras: tuple[str, ...] = ()
    max_people: int = 4
    rig_solver: str = 'inline'
    solve_first_s: float = 0.
    lag_s: float = 0.
    min_quality: float = 0.3
    correction: bool = False


#: a rig is solved again when there are this many times as many instants as at the last solve
_GROWTH = 1.4
#: and, once it has settled, every so many seconds
_MAINTENANCE_S = 30.
#: after a solve that broke the next one waits for this long, doubled each time, s
_RETRY_S = 2.
#: levels: instants below which a rig is a guess, and from which it may be published
_GUESS_ROWS, _TRUSTED_ROWS = 12, 20
#: rows after which the world frame stays where it is
_SETTLED_ROWS = 300
#: instants that a first idea of the rig from lifted poses rests on at most; it is not renewed after so many
_LIFTED_ROWS, _LIFTED_LAST = 24, 150
#: agreement with lifted poses below which a rig that is not trusted is none: of two cameras, which fit much; of more
_AGREE_TWO, _AGREE = .5, .1
#: a saved rig is watched for this long; residuals (median per axis, sigmas) of a rig that fits are below; s
_CHECK_S, _FITS = 1.5, 1.3
#: it is waited for this long for all of its cameras, and, while two of them show somebody, for all to agree, s
_WAIT_S, _CHECK_MOST_S = 3., 4.5
#: a rig from fewer instants is still getting better: what does not fit is its own error, not a camera that moved
_WATCHED_ROWS = 100
#: a moved camera that does not come to rest for this long is placed where it was last, s
_GIVE_UP_S = 12.
#: a moved camera is placed anew after it has seen the skeleton for this long, s
_RESECT_S = 4.


class Estimator:
    """Causal estimator. Not thread safe: one caller at a time."""

    def __init__(self, config: EstimatorConfig | None = None, *, rig: Rig | None = None,
                 lifter: Lifter | None = None, identities: Identities | None = None) -> None:
        """Args:
        rig: one that was saved; trusted again once the views of today agree with it.
        lifter: poses from the first instant on and from one camera, see `lifting`; None = fusion alone.
        identities: shared with estimators before and after this one; None = people are counted from 1.
        """
        self.config, self._lifter = config or EstimatorConfig(), lifter
        self._identities = identities or Identities()
        self._worker = RigWorker(self.config.rig_solver)
        self._saved = rig
        self._world = 0
        self._begin()

    def _begin(self, people: People | None = None) -> None:
        """From nothing; with people, who keep their identities and are found anew."""
        self._worker.cancel()
        self._history = History()
        self._main = MainPerson()
        self._people = people or People(self.config.max_people, self.config.lag_s, self._lifter, self.config.correction,
                                        self._identities)
        self._people.without_rig()
        self._health = HealthMonitor()
        self._health.lifts = self._lifter is not None
        self._next_lifted = 1
        self._lifted_from: tuple[str, ...] = ()
        self._model: RigModel | None = None
        self._reason = 'waiting for the first views'
        self._next_rows, self._next_time = 1, -np.inf
        self._now = -np.inf
        self._last: list[Skeleton3D] = []
        self._pending, self._waited_s = self._saved, 0.
        self._checking: float | None = None
        self._checked_s = 0.
        self._drift = DriftMonitor()
        self._moved: dict[str, Resection] = {}
        self._watched, self._retry = -np.inf, -np.inf
        self._tried, self._crowd = 0, False
        self._doubted = False
        self._fault, self._faults = '', 0

    @property
    def rig(self) -> Rig | None:
        """The rig, once it is trusted."""
        return self._model.rig() if self._model is not None and self._model.level >= 3 else None

    @property
    def world(self) -> int:
        """Number of the frame that skeletons of level 3 are in: another number, another frame, and another rig."""
        return self._world

    @property
    def status(self) -> EstimatorStatus:
        """Health after the newest update."""
        return self._health.status(self._last, self._model, self._reason, self._worker.busy, self._fault)

    def reset(self) -> None:
        """Forget people, history and rig; whoever is seen next has a new identity."""
        self._saved = None
        self._begin()

    def close(self) -> None:
        """Stop a running solve. The estimator is not used afterwards."""
        self._worker.close()

    def update(self, observation: MultiView) -> list[Skeleton3D]:
        """Take the views of one instant, in order of time, and return the people at `observation.stamp`.

        An instant that is not later than the one before is left out; a clock that jumped back by more than a second
        starts people and history anew (the cameras have not moved: a trusted rig stays).
        """
        now = observation.stamp
        if now <= self._now:
            if self._now - now <= 1.:
                return []
            self._restart(now)
        step = min(now - self._now, .2)
        self._now = now
        detections = Detections.of(observation)
        self._people.expect_depths(detections)
        self._health.lifts = self._people.lifted is not None
        self._health.views(observation)
        self._take_saved(observation, step)
        self._resized(observation)
        if self._followed_in_3d(observation):
            # who is where is known better from the skeletons than from one view at a time, and it costs less
            found = self._people.update(detections, {})
            row = self._row_of_main(now)
        else:
            found = None
            row = detections.row(self._by_continuity(observation))
        if row:
            self._people.main_in_sight(now)
            self._history.add(now, self._lifted(row))
        self._collect(now)
        self._schedule(now)
        self._begin_lifted()
        self._last = []
        if self._model is not None:
            self._last = self._people.update(detections, row) if found is None else found
            self._health.residuals(self._people, self._model, now)
            self._check_saved(now, step, row)
            self._watch(detections)
        return self._last

    def _followed_in_3d(self, observation: MultiView) -> bool:
        """Several people, all cameras in a rig that is trusted, and the main person among those who are followed."""
        model, people = self._model, self._people.everybody
        return (model is not None and model.level >= 3 and self._crowd and bool(people) and people[0].confirmed
                and any(len(v.keypoints) > 1 for v in observation.views)
                and all(v.camera in model.cameras for v in observation.views))

    def _row_of_main(self, now: float) -> Row:
        """Views of the main person, from the skeletons of this instant."""
        people = self._people.everybody
        return people[0].row if people and people[0].seen == now else {}

    def _lifted(self, row: Row) -> Row:
        """The main person's views with what the lifter makes of them, as long as there is no rig that is trusted."""
        lifted = self._people.lifted
        if lifted is None or (self._model is not None and self._model.level >= 3):
            return row
        lifted.add('main', row)
        return lifted.carried(row, {c: pinhole(v.intrinsics, v.image_size) for c, v in row.items()}, 'main')

    def _begin_lifted(self) -> None:
        """A first idea of where cameras and body are, from lifted poses alone, until a rig is solved."""
        h, old = self._history, self._model
        if self._people.lifted is None or self._checking is not None or not h.seen:
            return
        if old is not None and not old.lifted:
            return
        cameras = h.often_seen()
        done = h.seen < self._next_lifted or h.seen > _LIFTED_LAST or len(cameras) < 2
        if old is not None and self._lifted_from == cameras and done:
            return
        tracks = h.tracks(cameras)
        if tracks.lifted is None or tracks.lifted_sigma is None:
            return
        some = np.nonzero(np.isfinite(tracks.lifted[..., 0, 0]).any(1))[0]
        if len(some) > _LIFTED_ROWS:
            some = some[np.unique(np.linspace(0, len(some) - 1, _LIFTED_ROWS).astype(int))]
        tracks = tracks.rows(some)
        self._next_lifted, self._lifted_from = int(np.ceil(h.seen * _GROWTH)) + 1, cameras
        model = lifted_model(tracks, self.config.person_height_m, old)
        if model is None:
            return
        self._model = model
        if self._reason.startswith('waiting') or len(cameras) < 2:
            self._reason = ('one camera, whose poses a network completes: a second one would measure them'
                            if len(cameras) < 2 else 'poses by a network so far: keep moving')
        moved = old is None or old.cameras != model.cameras
        self._people.adopt(model, h.newest(10), moved)

    def _resized(self, observation: MultiView) -> None:
        """A camera that delivers another resolution has not moved: its pixels are coarser or finer."""
        for view in observation.views:
            model = self._model
            if model is None or view.camera not in model.cameras:
                continue
            v = model.cameras.index(view.camera)
            old = tuple(model.image_size[v].tolist())
            if old == view.image_size:
                continue
            now = model.with_size(v, view.image_size)
            if now is None:
                self._begin_again(f'camera {view.camera} shows another part of the picture since its image size went '
                                  f'from {old[0]} x {old[1]} to {view.image_size[0]} x {view.image_size[1]} px: the '
                                  'rig is solved anew')
                return
            self._worker.cancel()                               # what it looks at are the old pixels
            self._model = self._people.model = now
            for p in self._people.everybody:
                p.filter.set_rig(now.geometry)

    def _check_saved(self, now: float, step_s: float, row: Row) -> None:
        """A rig that was saved is trusted after as long as it takes to know, or given up.

        A camera that sees nobody, or somebody else, is not waited for: those that show the person decide.
        """
        model = self._model
        if self._checking is None or model is None or model.solution.frames:
            return
        self._checked_s += step_s if sum(c in model.cameras for c in row) > 1 else 0.
        found = self._health.agreement(model.cameras)
        late = self._checked_s > _CHECK_MOST_S
        if len(found) < (min(2, len(model.cameras)) if late else len(model.cameras)):
            if late:
                self._give_up_saved('its cameras do not see one person in one place')
            return
        e = float(np.median(list(found.values())))
        if (late or now - self._checking > _CHECK_S) and e < _FITS:
            self._model = self._people.model = with_level(model, 3)
            self._checking, self._reason = None, ''
            self._world += 1
        elif late or now - self._checking > 2 * _CHECK_S:
            self._give_up_saved(f'residuals of {e:.1f} sigmas')

    def _give_up_saved(self, why: str) -> None:
        self._model, self._checking = None, None
        self._people.clear()
        self._reason = f'the saved rig does not fit the views any more ({why}): it is solved anew'

    def _watch(self, detections: Detections) -> None:
        """Cameras that were moved are left out, and placed anew against the skeleton of the others."""
        model, people = self._model, self._people
        if model is None or model.level < 3 or not people.everybody or 0 < model.solution.frames < _WATCHED_ROWS:
            return
        p, now = people.everybody[0], detections.stamp
        if p.seen != now:
            return
        index = {c: v for v, c in enumerate(model.cameras)}
        shift: dict[str, Array] = {}
        for camera, seen in detections.people.items():
            v = index.get(camera)
            if v is None or not seen:
                continue
            if camera in people.left_out:
                self._collect_moved(seen, v)
            elif camera in p.row:
                r = p.filter.r[v]
                r = r[r.any(-1)]
                if len(r) >= 6:
                    shift[camera] = median(r)
            elif len(people.everybody) == 1 and len(seen) == 1:
                shift[camera] = np.array([10., 0.])            # its only person is nowhere near where he is
        moved = self._drift.update(min(now - self._watched, .2), shift)
        self._watched = now
        here = [c for c in model.cameras if c not in people.left_out]
        if moved and len(here) > 2:
            moved = self._odd_one(here)
        if moved and len(set(here) - set(moved)) < 2:
            self._begin_again(f'the cameras do not agree any more ({", ".join(moved)} moved?): the rig is solved anew')
        elif moved:
            people.left_out |= set(moved)
            for c in moved:
                self._moved[c] = Resection()
                self._history.drop(c, before=now)
                self._worker.cancel()
            self._drift.settle()
        self._health.left_out = people.left_out

    def _odd_one(self, here: list[str]) -> list[str]:
        """Of three cameras or more, the one that does not fit the others, from the newest second."""
        model, h = self._model, self._history
        assert model is not None
        rows = [(s, r) for s, r in h.newest(30) if s > self._now - 1.2]
        here = [c for c in here if any(c in r for _, r in rows)]
        odd = -1
        if len(here) > 2:
            tracks = tracks_from_rows(rows, tuple(here), np.array([h.image_size[c] for c in here]), (None,) * len(here))
            seen = np.isfinite(tracks.kp).all(-1) & (tracks.confidence > 0)
            sigma = np.where(seen, model.noise.sigma(np.where(seen, tracks.confidence, 0.)), np.inf)
            v = [model.cameras.index(c) for c in here]
            odd = odd_one_out(np.nan_to_num(tracks.kp), sigma, model.geometry.take(v))
        if odd < 0:                                      # no single camera explains it: the rig itself is to be mended
            self._drift.settle()
            self._doubted = True
            self._next_rows, self._next_time = self._history.seen + 1, -np.inf
            return []
        return [here[odd]]

    def _collect_moved(self, seen: Sequence[PersonView], v: int) -> None:
        model, p = self._model, self._people.everybody[0]
        assert model is not None
        view = p.row.get(model.cameras[v], seen[0] if len(seen) == 1 else None)
        if view is None:
            return
        sure = p.filter.sigma < .08
        sigma = np.where(sure, model.noise.sigma(view.confidence), np.inf)
        late = view.stamp - model.clock_offset_s[v] - p.stamp
        rows = self._moved[view.camera]
        rows.add(view.stamp, p.filter.x + late * p.filter.v, np.nan_to_num(view.keypoints), sigma)
        if rows.span_s < _RESECT_S or len(rows.rows) < 20 or view.stamp < self._retry:
            return
        R, t, e = resect(list(rows.rows), model.geometry.take([v]))
        if e > _FITS and rows.waited_s < _GIVE_UP_S:
            self._retry = view.stamp + 1.                           # still moving, perhaps
            return
        self._place(v, R, t)

    def _place(self, v: int, R: Array, t: Array) -> None:
        """One camera has a new pose; the world and everybody in it stay."""
        model = self._model
        assert model is not None
        self._model = self._people.model = model.with_camera(v, R, t)
        camera = model.cameras[v]
        self._people.left_out -= {camera}
        for p in self._people.everybody:
            p.filter.set_rig(self._model.geometry)
        self._drift.forget(camera)
        del self._moved[camera]
        self._health.left_out = self._people.left_out

    def _begin_again(self, reason: str) -> None:
        """Without the rig; who is seen stays who he is."""
        now = self._now
        self._saved = None
        self._begin(self._people)
        self._now, self._reason = now, reason

    def _restart(self, now: float) -> None:
        """A clock that jumped back: history and filters cannot go on; cameras and people have not changed."""
        model, people = self._model, self._people
        people.clock_jumped(now - self._now)
        self._begin(people)
        if model is not None and model.level >= 3:
            self._model = model
            self._people.model = model
            self._next_time = -np.inf

    def _take_saved(self, observation: MultiView, step_s: float) -> None:
        """A saved rig is taken up when all of its cameras are there, or two that were waited with long enough, at
        level 2: views of today must agree first.
        """
        if self._pending is None or (self._model is not None and not self._model.lifted):
            return
        size = {v.camera: v.image_size for v in observation.views}
        there = [c for c in self._pending.cameras if c in size]
        self._waited_s += step_s if len(there) > 1 else 0.
        if len(there) < len(self._pending.cameras) and (len(there) < 2 or self._waited_s < _WAIT_S):
            return
        rig, self._pending = self._pending.only(there), None
        wrong = [c for c, s in zip(rig.cameras, rig.image_size.tolist(), strict=True) if tuple(s) != size[c]]
        if wrong:
            self._reason = f'the saved rig has another image size for {", ".join(wrong)}: it is solved anew'
            return
        self._model = model_from_rig(rig, NoiseModel.prior(rig.image_size), 2)
        self._people.model = self._model
        self._checking, self._checked_s = observation.stamp, 0.
        self._reason = 'the saved rig is being checked against the views'

    def _by_continuity(self, observation: MultiView) -> dict[str, int]:
        """Index of the detection of the person that calibrates the rig in each view."""
        if all(len(v.keypoints) <= 1 for v in observation.views):
            return {v.camera: 0 for v in observation.views if len(v.keypoints)}
        self._crowd = True
        chosen = self._main.update(observation)
        return {v.camera: i for v, i in zip(observation.views, chosen, strict=True) if i >= 0}

    def _schedule(self, now: float) -> None:
        h = self._history
        if self._people.left_out or self._checking is not None:
            return                                                  # first it must be clear where the cameras are
        if self._worker.busy or len(h.cameras) < 2 or h.seen < self._next_rows \
                or now < self._next_time or h.span_s < self.config.solve_first_s:
            return
        cameras = h.often_seen()
        if self._model is not None and self._model.level >= 3:      # those that have a place stay in the rig
            cameras = tuple(c for c in h.cameras if c in cameras or (
                c in self._model.cameras and h.views_of(c) >= _TRUSTED_ROWS))
        if len(cameras) < 2:
            return
        known = self._model is not None and not self._model.lifted and self._model.cameras == cameras
        start = self._model.solution if self._model is not None and known else None
        settled = h.seen > 2 * _SETTLED_ROWS
        self._next_rows = max(h.seen + 1, int(np.ceil(h.seen * _GROWTH)))
        if settled:
            self._next_rows, self._next_time = h.seen + 1, now + _MAINTENANCE_S
        self._worker.submit(now, h.tracks(cameras), SolverConfig(crowd=self._crowd), start)

    def _collect(self, now: float) -> None:
        result = self._worker.poll(now)
        if result is None:
            return
        if isinstance(result, Solution):
            try:
                self._adopt(result)
            except (np.linalg.LinAlgError, ValueError) as error:     # it has no place in the world: as good as broken
                result = SolveFailed(f'a solved rig could not be placed, it is solved again: {error}')
        if isinstance(result, SolveFailed):                          # it says nothing of the views: what there is stays
            self._faults += 1
            self._fault = result.reason
            self._next_rows = self._history.seen + 1
            self._next_time = now + min(_RETRY_S * 2. ** (self._faults - 1), _MAINTENANCE_S)
            return
        self._fault, self._faults = '', 0
        if isinstance(result, NotSolved) and (self._model is None or self._model.lifted):
            self._reason = result.reason
            if 'disagreement' in result.numbers:
                self._other_people()

    def _other_people(self) -> None:
        """The cameras look at different people: the next likely choice of one person per camera is tried."""
        choices = self._main.combinations(8)
        if len(choices) < 2:
            return
        self._tried += 1
        self._main.select(choices[self._tried % len(choices)])
        self._history.clear()
        self._history.seen = 0
        self._next_rows, self._next_lifted = 10, 1
        if self._model is not None and self._model.lifted:
            self._model = None
            self._people.clear()

    def _adopt(self, solution: Solution) -> None:
        old, h, cameras = self._model, self._history, solution.tracks.cameras
        if old is not None and old.lifted:
            old = None
        sigma, rows = float(solution.rotation_sigma_deg.max()), solution.frames
        level = 1 if rows < _GUESS_ROWS else 2
        if sigma < TRUSTED_DEG and rows >= _TRUSTED_ROWS and solution.quality >= self.config.min_quality:
            level = 3
        if level < 3 and self._model is not None and self._model.lifted and _contradicts(solution):
            return                                                  # a few instants fit many rigs
        if old is not None and self._keeps(old, solution, level):
            return                                                  # what is there is better: nothing is taken back
        # a frame that was published goes on; up and floor get better for a while, then they stay
        same = old is not None and old.level >= 3 and len(common_cameras(cameras, old.cameras)[0]) > 1
        model = model_from_solution(
            solution, level, height_m=self.config.person_height_m, baseline_m=self.config.baseline_m,
            baseline_pair=self._baseline_pair(cameras), keep=old if same else None, hold=h.seen > _SETTLED_ROWS)
        if same and old is not None and not self._doubted:
            model = model.with_cameras_of(old)
        self._model = model
        self._reason = '' if level >= 3 else (
            f'only {rows} instants so far show half of a body in two cameras, {_TRUSTED_ROWS} are needed'
            if rows < _TRUSTED_ROWS else
            f'the rotation of a camera is still uncertain by {sigma:.1f} degrees: keep moving')
        self._people.adopt(self._model, h.newest(10), not same)
        self._drift.reset()
        self._doubted = False
        if level >= 3 and not same:
            self._world += 1

    def _keeps(self, old: RigModel, solution: Solution, level: int) -> bool:
        """The model that there is is better than what a solution makes."""
        if old.level < 3 and old.cameras != solution.tracks.cameras:
            return False
        alive = {c for _, views in self._history.newest(30) for c in views}
        if sum(c in alive for c in old.cameras) < 2:
            return False                                            # it is of cameras that are gone
        if level < old.level:
            return True
        here, there = common_cameras(solution.tracks.cameras, old.cameras)
        if len(here) < 2 or self._doubted:
            return False
        return float(solution.rotation_sigma_deg[here].max()) > 1.3 * float(old.rotation_sigma_deg[there].max())

    def _baseline_pair(self, cameras: tuple[str, ...]) -> tuple[int, int]:
        names = self.config.baseline_cameras
        if len(names) == 2 and all(n in cameras for n in names):
            return cameras.index(names[0]), cameras.index(names[1])
        return 0, min(1, len(cameras) - 1)



def _contradicts(solution: Solution) -> bool:
    """Bodies of a solution do not lie in depth as the lifter sees them."""
    tracks, s = solution.tracks, solution.state
    if tracks.lifted is None or tracks.lifted_sigma is None or not np.isfinite(tracks.lifted).any():
        return False
    return depth_agreement(s.X, s.cameras.R, tracks.lifted, tracks.lifted_sigma) < (
        _AGREE if len(tracks.cameras) > 2 else _AGREE_TWO)
