# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The one object that ties the core together: views in, skeletons out; causal; no ROS."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .association import MainPerson
from .association.tracklets import TrackletsByCamera
from .config import EstimatorConfig
from .health import CameraStatus, EstimatorStatus, HealthMonitor
from .history import History
from .lifting import Lifter, pinhole
from .observation import MultiView, Skeleton3D
from .person_view import Detections, Row, through
from .rig import Rig
from .rig.sightings import SightingsLog
from .rig_model import RigModel
from .rig_state import Change, RigState
from .rig_tracker import RigTracker
from .tracks.identities import Identities
from .tracks.people import People

__all__ = ['CameraStatus', 'Estimator', 'EstimatorConfig', 'EstimatorStatus']

Array = NDArray[np.float64]

#: a step back of the clock by more than this is a jump, s; time that counts between two instants at most, s
_JUMP_S, _LONGEST_STEP_S = 1., .2
#: newest instants that the main person's filter is run over again with a new rig
_AGAIN_ROWS = 10
#: several people: stride of lifted poses without a rig that is trusted, and with one, s
_LIFT_S, _LIFT_TRUSTED_S = .08, .5
#: several people and no rig: nobody is shown for this time, in which there mostly is one, s
_FIRST_RIG_S = 1.5
#: several people and no rig: another camera is used for lifted poses after this time without the main person, s
_OTHER_CAMERA_S = .5
#: choices of one person per camera that are tried where the cameras look at different people
_CHOICES = 8


class Estimator:
    """Causal estimator. Not thread safe: one caller at a time.

    One order for every instant: what was recorded elsewhere or has changed (clock, saved rig, image sizes), views,
    who of them calibrates the rig, rig, people, and whether the rig still fits.
    """

    def __init__(self, config: EstimatorConfig | None = None, *, rig: Rig | None = None,
                 lifter: Lifter | None = None, identities: Identities | None = None) -> None:
        """Args:
        rig: one that was saved; trusted again once the views of today agree with it.
        lifter: poses from the first instant on and from one camera, see `lifting`; None = fusion alone.
        identities: shared with estimators before and after this one; None = people are counted from 1.
        """
        self.config, self._lifter = config or EstimatorConfig(), lifter
        self._identities = identities or Identities()
        self._rig = RigTracker(self.config, rig)
        self._people = self._nobody()
        self._tracklets = TrackletsByCamera()
        self._log = SightingsLog(lifter)
        self._now = -np.inf
        self._begin()

    def _nobody(self) -> People:
        c = self.config
        return People(c.max_people, c.lag_s, self._lifter, c.correction, self._identities, c.reentry_s)

    def _begin(self) -> None:
        """Nothing was seen yet; people keep their identities and are found anew."""
        self._history, self._main = History(), MainPerson()
        self._log.clear()
        self._crowd, self._tried = False, 0
        self._camera, self._camera_seen = '', -np.inf      # which one is used until there is a rig of several people
        self._several_since = np.inf                        # they are in sight, and without a rig
        self._health = HealthMonitor()
        self._health.lifts = self._lifter is not None
        self._people.without_rig()
        self._last: list[Skeleton3D] = []

    @property
    def rig(self) -> Rig | None:
        """The rig, once it is trusted."""
        return self._rig.rig

    @property
    def model(self) -> RigModel | None:
        """The idea of the rig that views are fused with, trusted or not."""
        return self._rig.model

    @property
    def world(self) -> int:
        """Number of the frame that skeletons of level 3 are in: another number, another frame, and another rig."""
        return self._rig.world

    @property
    def status(self) -> EstimatorStatus:
        """Health after the newest update."""
        r = self._rig
        self._health.late = r.late
        return self._health.status(self._last, r.model, r.why.text, r.solving, r.fault, r.state, r.why.reason)

    def reset(self) -> None:
        """Forget people, history and rig; whoever is seen next has a new identity."""
        self._rig.reset()
        self._people = self._nobody()
        self._tracklets = TrackletsByCamera()
        self._log = SightingsLog(self._lifter)
        self._now = -np.inf
        self._begin()

    def lift_with(self, lifter: Lifter | None) -> None:
        """Another lifting network from the next instant on, or none; people, history and rig stay."""
        self._lifter = self._log.lifter = lifter
        self._people.lift_with(lifter)

    def close(self) -> None:
        """Stop a running solve. The estimator is not used afterwards."""
        self._rig.close()

    def update(self, observation: MultiView) -> list[Skeleton3D]:
        """Take the views of one instant, in order of time, and return the people at `observation.stamp`.

        An instant that is not later than the one before is left out; a clock that jumped back by more than a second
        starts people and history anew (the cameras have not moved: a trusted rig stays).
        """
        if self.config.convention is not None:
            observation = self.config.convention.views(observation)
        now = observation.stamp
        if now <= self._now:
            if self._now - now <= _JUMP_S:
                return []
            self._clock_jumped(now)
        step = min(now - self._now, _LONGEST_STEP_S)
        self._now = now
        self._take(self._rig.take_saved(observation, step))
        self._take(self._rig.resize(observation))
        lenses = self._rig.lenses
        detections = Detections.of(observation, self._tracklets.update(observation), lenses)
        self._log.lift_every_s = _LIFT_TRUSTED_S if self._rig.state.trusted else _LIFT_S
        self._log.add(detections)
        self._people.see(detections)
        self._health.lifts = self._people.lifted is not None
        self._health.views(observation)
        row, people = self._tracks(observation, detections)
        if row:
            self._history.add(now, self._lifted(row))
        self._solve(now)
        if self._rig.lenses is not lenses:
            detections, row = detections.through(self._rig.lenses), through(row, self._rig.lenses)
        self._last = []
        if self._rig.model is not None:
            self._last = self._people.update(detections, row) if people is None else people
            if self._waits_for_a_rig():
                self._last = []
            self._health.residuals(self._people, self._rig.model, now)
            self._take(self._rig.check_saved(now, step, tuple(row), self._health))
            self._take(self._rig.watch(detections, self._people.everybody, self._history))
        return self._last

    def _clock_jumped(self, now: float) -> None:
        """History and filters cannot go on; cameras and people have not changed."""
        self._people.clock_jumped(now - self._now)
        self._now = -np.inf
        self._rig.clock_jumped()
        self._begin()
        self._people.model = self._rig.model

    def _solve(self, now: float) -> None:
        """The rig, from what was seen up to now."""
        change = self._rig.collect(now, self._history)
        try:
            self._take(change)
        except (np.linalg.LinAlgError, ValueError) as error:
            self._rig.not_placed(now, self._history, error)
        self._rig.schedule(now, self._history, self._log if self._several else None, self._crowd)
        if self._people.lifted is not None:
            self._take(self._rig.lift(self._history, self._several))

    def _take(self, change: Change) -> None:
        """Carry a change of the rig to those who use it."""
        people, model = self._people, self._rig.model
        if change is Change.NOTHING:
            return
        if change is Change.FORGOTTEN:
            self._begin()
        elif change is Change.OTHER_PEOPLE:
            self._try_others()
        elif change is Change.LOST:
            people.clear()
        elif model is not None and change is Change.NEW_WORLD and self._several and self._rig.state.solved:
            people.begin_anew(model)
        elif model is not None and change in (Change.SOLVED, Change.NEW_WORLD):
            people.adopt(model, self._history.newest(_AGAIN_ROWS, model.lenses), change is Change.NEW_WORLD)
        elif model is not None:
            people.model = model
            if change is Change.CAMERAS:
                for p in people.everybody:
                    p.filter.set_rig(model.geometry)
        if change is Change.LEFT_OUT:
            for c in self._rig.left_out:
                self._log.drop(c, before=self._now)
        people.left_out = self._health.left_out = self._rig.left_out

    def _tracks(self, observation: MultiView, detections: Detections) -> tuple[Row, list[Skeleton3D] | None]:
        """Views of the person that calibrates the rig.

        Where several people are followed in 3D, who is where is surer from their skeletons than from one view at a
        time, and it costs less: then they are followed first, and returned as well.
        """
        if not self._followed_in_3d(observation):
            row: Row = detections.row(self._by_continuity(observation))
            if self._several and self._rig.state in (RigState.EMPTY, RigState.LIFTED):
                row = self._of_one_camera(row, detections)
            return row, None
        shown = self._people.update(detections, {})
        people = self._people.everybody
        return people[0].row if people and people[0].seen == detections.stamp else {}, shown

    @property
    def _several(self) -> bool:
        """Everybody who is seen calibrates the rig: there were several people at once, and poses tell who is who."""
        return self._log.crowded and self._people.lifted is not None

    def _followed_in_3d(self, observation: MultiView) -> bool:
        """Several people, and a rig from everybody; or all cameras in a rig that is trusted, and the main person among
        those who are followed.
        """
        if self._several and self._rig.state.solved:
            return True
        model, people = self._rig.model, self._people.everybody
        return (model is not None and self._rig.state.trusted and self._crowd and bool(people) and people[0].confirmed
                and any(len(v.keypoints) > 1 for v in observation.views)
                and all(v.camera in model.cameras for v in observation.views))

    def _by_continuity(self, observation: MultiView) -> dict[str, int]:
        """Index of the detection of the person that calibrates the rig in each view."""
        if all(len(v.keypoints) <= 1 for v in observation.views):
            return {v.camera: 0 for v in observation.views if len(v.keypoints)}
        self._crowd = True
        chosen = self._main.update(observation)
        return {v.camera: i for v, i in zip(observation.views, chosen, strict=True) if i >= 0}

    def _waits_for_a_rig(self) -> bool:
        """Whether several people are in sight, and their rig is likely to come in a moment: whoever was shown by one
        camera until then would stand somewhere else.
        """
        if not self._several or self._rig.state.solved or len(self._log.image_size) < 2:
            self._several_since = np.inf
            return False
        self._several_since = min(self._several_since, self._now)
        return self._rig.state is RigState.LIFTED and self._now - self._several_since < _FIRST_RIG_S

    def _of_one_camera(self, row: Row, detections: Detections) -> Row:
        """Several people and no rig yet: who is who in different cameras is not settled, and a body made of several
        people is nobody. One camera is enough for lifted poses: the one that shows most people, as long as it does.
        """
        if self._camera in row:
            self._camera_seen = detections.stamp
        elif row and not 0 <= detections.stamp - self._camera_seen <= _OTHER_CAMERA_S:
            self._camera = max(row, key=lambda c: len(detections.people[c]))
            self._camera_seen = detections.stamp
            self._begin_with_others()
        return {c: v for c, v in row.items() if c == self._camera}

    def _lifted(self, row: Row) -> Row:
        """The main person's views with what the lifter makes of them, as long as there is no rig that is trusted."""
        lifted = self._people.lifted
        if lifted is None or self._rig.state.trusted:
            return row
        lifted.add('main', row)
        return lifted.carried(row, {c: pinhole(v.intrinsics, v.image_size) for c, v in row.items()}, 'main')

    def _try_others(self) -> None:
        """The cameras look at different people: the next likely choice of one person per camera is tried."""
        choices = self._main.combinations(_CHOICES)
        if len(choices) < 2:
            return
        self._tried += 1
        self._main.select(choices[self._tried % len(choices)])
        self._begin_with_others()

    def _begin_with_others(self) -> None:
        """What was seen was of somebody else."""
        self._history.clear()
        self._history.seen = 0
        self._take(self._rig.others_tried())
