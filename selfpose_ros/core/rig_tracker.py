# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""When a rig is solved, adopted, refused, watched and placed anew: the state machine of `rig_state`.

It reads what was seen and returns what changed; the estimator carries it to people and health.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .config import EstimatorConfig
from .health import HealthMonitor
from .history import History
from .model import contradicts_lifted, lifted_model, model_from_rig, model_from_solution
from .noise import NoiseModel
from .observation import MultiView
from .person_view import Detections, Lenses
from .rig import NotSolved, Rig, SolveFailed
from .rig.largest import TRUSTED_DEG
from .rig.sightings import Sightings, SightingsLog
from .rig.solver import Solution, SolverConfig, Tracks, evenly
from .rig_glide import Glide
from .rig_model import RigModel, common_cameras
from .rig_state import TRANSITIONS, Change, Explanation, Reason, RigState, not_joined
from .rig_watch import RigWatch
from .saved_rig import SavedRig
from .solve_pace import GROWTH, SETTLED_ROWS, SolvePace
from .solving import RigWorker
from .tracks.person import Person

__all__ = ['RigTracker']

#: lenses without a model
_NONE: Lenses = {}
#: levels: instants below which a rig is a guess, and from which it may be published
_GUESS_ROWS, _TRUSTED_ROWS = 12, 20
#: instants that a first idea of the rig from lifted poses rests on at most; it is not renewed after so many
_LIFTED_ROWS, _LIFTED_LAST = 24, 150
#: instants of somebody else, tried because the cameras did not agree on one person, before a solve
_OTHERS_ROWS = 10
#: several people: instants with lifted poses before a solve; instants that one looks at, and for clocks;
#: poses that it adjusts
_FEWEST_POSED, _SIGHTINGS, _MOTION, _SEVERAL_FRAMES = 8, 80, 200, 120
#: many poses of one second are alike, and so are their errors, of which a covariance contains nothing; and two cameras
#: are off by three times what each is predicted to be off against the first, at times. What a rig from a shorter time
#: than this is predicted to be off must be less by as much, s
_LONG_S = 4.
#: predicted error of a rotation that is published at most, degrees: two cameras are off by more against each other
_PUBLISHED_DEG = 3.
#: the same with two cameras, which nothing but bodies checks, as a share: errors that are 2.5 times as large as
#: predicted are then below 5 degrees
_OF_TWO = 2 / 3
#: several people: the less the rig explains, the smaller its predicted error must be: from none at the first support
#: on (see `assigned.Assignment`) to the usual one at the second
_LITTLE, _MUCH = .5, .75
#: a first rig that was found with clocks so far off, s, is not trusted: the next one is found with better ones
_LATE_S = .01
#: several people: a rig that explains less than this share of what the one before explained when it was solved is not
#: taken, unless it is predicted to be better by this: two who pass in a door are one body at times
_EXPLAINS, _SURER = .9, .75


class RigTracker:
    """The rig and its state.

    Attributes:
        state: see `RigState`.  model: None in the state EMPTY.  why: the reason why none is published.
        world: number of the world frame that was published last: another number, another frame, and another rig.
        fault: a sentence on a solve that broke; '' once one worked again.
        late: cameras that the newest solve left out for their clocks: how much later their movements come, s.
    """

    def __init__(self, config: EstimatorConfig, saved: Rig | None = None) -> None:
        self.config, self.world = config, 0
        self._worker = RigWorker(config.rig_solver)
        self._file = saved
        self._begin()

    def _begin(self, why: Explanation | None = None) -> None:
        self._worker.cancel()
        self.state = RigState.EMPTY
        self.model: RigModel | None = None
        self.why = why or Explanation(Reason.WAITING)
        self.fault = ''
        self.late: dict[str, float] = {}
        self._saved = SavedRig(self._file)
        self._watch, self._glide = RigWatch(), Glide()
        self._pace = SolvePace()
        self._next_lifted = 1
        self._lifted_from: tuple[str, ...] = ()
        self._doubted = False
        self._several = False                               # the newest solve was of everybody

    def _go(self, state: RigState, model: RigModel | None) -> None:
        assert state is self.state or state in TRANSITIONS[self.state], f'{self.state} does not lead to {state}'
        self.state, self.model = state, model

    @property
    def rig(self) -> Rig | None:
        """The rig, once it is trusted."""
        return self.model.rig() if self.model is not None and self.state.trusted else None

    @property
    def lenses(self) -> Lenses:
        """Of the cameras of the model, as far as it has found any."""
        return self.model.lenses if self.model is not None else _NONE

    @property
    def solving(self) -> bool:
        """A solve runs now."""
        return self._worker.busy

    @property
    def left_out(self) -> frozenset[str]:
        """Cameras that were moved and are not placed yet."""
        return self._watch.left_out

    def reset(self) -> None:
        """Forget everything, a saved rig as well."""
        self._file = None
        self._begin()

    def close(self) -> None:
        """Stop a running solve; nothing is solved afterwards."""
        self._worker.close()

    def clock_jumped(self) -> None:
        """Stamps go on from another time. Cameras have not moved: a trusted rig stays."""
        model = self.model if self.state.trusted else None
        self._begin()
        if model is not None:
            self._go(RigState.TRUSTED, model)

    def forget(self, why: Explanation) -> Change:
        """The rig is no good any more, and what was seen is no evidence for the next one."""
        self._file = None
        self._begin(why)
        return Change.FORGOTTEN

    # -- before the views are used

    def take_saved(self, observation: MultiView, step_s: float) -> Change:
        """A saved rig that is ready is taken up at level 2: views of today must agree first. Cameras may come one after
        the other: what was found of the first of them gives way.
        """
        if self.state not in (RigState.EMPTY, RigState.LIFTED, RigState.PROVISIONAL):
            return Change.NOTHING
        found = self._saved.ready(observation, step_s)
        if isinstance(found, Rig):
            self._worker.cancel()                               # what it solves is of before this rig
            change = Change.NEW_WORLD if self.model is not None else Change.MODEL
            self._go(RigState.CHECKING_SAVED, model_from_rig(found, NoiseModel.prior(found.image_size), 2))
            self.why = Explanation(Reason.SAVED_CHECKED)
            return change
        self.why = found or self.why
        return Change.NOTHING

    def resize(self, observation: MultiView) -> Change:
        """A camera that delivers another resolution has not moved: its pixels are coarser or finer."""
        change = Change.NOTHING
        for view in observation.views:
            model = self.model
            if model is None or view.camera not in model.cameras:
                continue
            v = model.cameras.index(view.camera)
            old = tuple(model.image_size[v].tolist())
            if old == view.image_size:
                continue
            now = model.with_size(v, view.image_size)
            if now is None:
                before, after = (f'{w} x {h}' for w, h in (old, view.image_size))
                return self.forget(Explanation(Reason.OTHER_PICTURE, {'camera': view.camera, 'before': before,
                                                                      'now': after}))
            self._worker.cancel()                               # what it looks at are the old pixels
            self._glide.clear()
            self.model, change = now, Change.CAMERAS
        return change

    # -- solving

    def lift(self, history: History, several: bool = False) -> Change:
        """A first idea of where cameras and body are, from lifted poses alone, until a rig is solved.

        several: other cameras see people, too, of whom it is not settled who is who.
        """
        h, old = history, self.model
        if self.state not in (RigState.EMPTY, RigState.LIFTED) or not h.seen:
            return Change.NOTHING
        cameras = h.often_seen()
        done = h.seen < self._next_lifted or h.seen > _LIFTED_LAST or len(cameras) < 2
        if old is not None and self._lifted_from == cameras and done:
            return Change.NOTHING
        tracks = h.tracks(cameras)
        if tracks.lifted is None or tracks.lifted_sigma is None:
            return Change.NOTHING
        some = evenly(np.nonzero(np.isfinite(tracks.lifted[..., 0, 0]).any(1))[0], _LIFTED_ROWS)
        self._next_lifted, self._lifted_from = int(np.ceil(h.seen * GROWTH)) + 1, cameras
        model = lifted_model(tracks.rows(some), self.config.person_height_m, old)
        if model is None:
            return Change.NOTHING
        self._go(RigState.LIFTED, model)
        if self.why.reason is Reason.WAITING or len(cameras) < 2:
            self.why = Explanation(Reason.ONE_CAMERA if len(cameras) < 2 and not several else Reason.LIFTED_POSES)
        return Change.NEW_WORLD if old is None or old.cameras != model.cameras else Change.SOLVED

    def schedule(self, now: float, history: History, everybody: SightingsLog | None, crowd: bool = False) -> None:
        """Begin a solve when it is time for one, from everybody who was seen or, without, from one person's views.

        crowd: several people may be in sight.
        """
        h, state = history, self.state
        if state in (RigState.PLACING, RigState.CHECKING_SAVED):
            return                                                  # first it must be clear where the cameras are
        if everybody is not None:
            self._schedule_everybody(now, everybody)
            return
        if self._worker.busy or len(h.cameras) < 2 or not self._pace.due(now, h.seen) \
                or h.span_s < self.config.solve_first_s:
            return
        cameras, model = h.often_seen(), self.model if state is not RigState.LIFTED else None
        if model is not None and state is RigState.TRUSTED:         # those that have a place stay in the rig
            cameras = tuple(c for c in h.cameras if c in cameras or (
                c in model.cameras and h.views_of(c) >= _TRUSTED_ROWS))
        if len(cameras) < 2:
            return
        same = model is not None and model.cameras == cameras
        self._pace.began(now, h.seen)
        self._several = False
        self._submit(now, h.tracks(cameras), SolverConfig(crowd=crowd, same_lens=self.config.same_lens), model,
                     noise=same)

    def _schedule_everybody(self, now: float, log: SightingsLog) -> None:
        if self._worker.busy or len(log.image_size) < 2 or log.posed < _FEWEST_POSED \
                or not self._pace.due(now, log.seen) or log.span_s < self.config.solve_first_s:
            return
        model = self.model if self.state is not RigState.LIFTED else None
        known = model if model is not None and set(model.cameras) <= set(log.image_size) else None
        self._pace.began(now, log.seen)
        self._several = True
        late = {} if known is None else dict(zip(known.cameras, known.clock_offset_s, strict=True))
        self._submit(now, log.sightings(_SIGHTINGS, _MOTION, late),
                     SolverConfig(frames=_SEVERAL_FRAMES, same_lens=self.config.same_lens), known)

    def _submit(self, now: float, views: Tracks | Sightings, config: SolverConfig, known: RigModel | None,
                noise: bool = True) -> None:
        """noise: that of the known model is taken, too."""
        self._worker.submit(now, views, config, known.start if known else None,
                            known.noise if known and noise and known.noise.measured else None)

    def collect(self, now: float, history: History) -> Change:
        """Take the result of a solve, once it is there, or the next step on the way to it."""
        result, change = self._worker.poll(now), Change.NOTHING
        if result is None:
            step = self._glide.step(now)
            if step is None:
                return change
            self.model = step
            return Change.CAMERAS
        if isinstance(result, Solution):
            try:
                change = self._adopt(result, history, now)
            except (np.linalg.LinAlgError, ValueError) as error:
                self.not_placed(now, history, error)
                return change
        if isinstance(result, SolveFailed):                          # the views are not to blame: what there is stays
            self._failed(now, history, result)
            return change
        self.fault = ''
        self.late = dict(result.late) if isinstance(result, Solution) else {}
        self._pace.worked()
        if isinstance(result, NotSolved) and self.state in (RigState.EMPTY, RigState.LIFTED):
            self.why = Explanation(Reason.NOT_SOLVED, {'reason': result.reason})
            if 'disagreement' in result.numbers and not self._several:
                return Change.OTHER_PEOPLE
        return change

    def not_placed(self, now: float, history: History, error: Exception) -> None:
        """A solution has no place in the world: as good as a solve that broke."""
        self._failed(now, history, SolveFailed(f'a solved rig could not be placed, it is solved again: {error}'))

    def _failed(self, now: float, history: History, result: SolveFailed) -> None:
        self.fault = result.reason
        self._pace.broke(now, history.seen)

    def others_tried(self) -> Change:
        """The history begins again with somebody else: so does an idea of the rig that rests on lifted poses."""
        self._pace.from_rows(_OTHERS_ROWS)
        self._next_lifted = 1
        if self.state is not RigState.LIFTED:
            return Change.NOTHING
        self._go(RigState.EMPTY, None)
        return Change.LOST

    def _adopt(self, solution: Solution, history: History, now: float) -> Change:
        old, cameras = self.model if self.state is not RigState.LIFTED else None, solution.tracks.cameras
        sigma, rows = float(solution.rotation_sigma_deg.max()), solution.frames
        level = 1 if rows < _GUESS_ROWS else 2
        trusted = min(TRUSTED_DEG * float(np.ptp(solution.tracks.stamp)) / _LONG_S, _PUBLISHED_DEG)
        if len(cameras) == 2:
            trusted *= _OF_TWO
        if self._several:
            trusted *= min(1., max(solution.support - _LITTLE, 0.) / (_MUCH - _LITTLE))
        joined = solution.is_joined
        if sigma < trusted and rows >= _TRUSTED_ROWS and solution.quality >= self.config.min_quality and joined:
            level = 3 if self.state.trusted or solution.clocks_moved_s < _LATE_S else level
        if solution.clocks_moved_s:                                 # it bent to clocks that are put right the next time
            self._pace.soon()
        if level < 3 and self.state is RigState.LIFTED:             # a few instants fit many rigs
            if not joined:
                self.why = not_joined(solution)
            if not joined or contradicts_lifted(solution):
                return Change.NOTHING
        if old is not None and not (solution.overturned and level >= old.level) \
                and self._keeps(old, solution, level, history):
            return Change.NOTHING
        # a frame that was published goes on; up and floor get better for a while, then they stay
        same = old is not None and self.state.trusted and not solution.overturned \
            and len(common_cameras(cameras, old.cameras)[0]) > 1
        model = model_from_solution(
            solution, level, height_m=self.config.person_height_m, baseline_m=self.config.baseline_m,
            baseline_pair=self.config.baseline_pair(cameras), keep=old if same else None,
            hold=history.seen > SETTLED_ROWS)
        self._glide.clear()
        if same and old is not None and not self._doubted:
            model = model.with_cameras_of(old)
            if level >= 3:
                model = self._glide.begin(old, model, now)
        self._go(RigState.TRUSTED if level >= 3 else RigState.PROVISIONAL, model)
        if level >= 3:
            self.why = Explanation(Reason.NONE)
        elif rows < _TRUSTED_ROWS:
            self.why = Explanation(Reason.FEW_INSTANTS, {'rows': rows, 'needed': _TRUSTED_ROWS})
        elif not joined:
            self.why = not_joined(solution)
        elif solution.clocks_moved_s >= _LATE_S and sigma < trusted:
            self.why = Explanation(Reason.CLOCKS, {'ms': 1e3 * solution.clocks_moved_s})
        else:
            self.why = Explanation(Reason.UNCERTAIN, {'degrees': sigma})
        self._watch.solved()
        self._doubted = False
        if level >= 3 and not same:
            self.world += 1
        return Change.SOLVED if same else Change.NEW_WORLD

    def _keeps(self, old: RigModel, solution: Solution, level: int, history: History) -> bool:
        """What there is is better than what a solution makes: nothing is taken back."""
        if old.level < 3 and old.cameras != solution.tracks.cameras:
            return False
        alive = {c for _, views in history.newest(30) for c in views}
        if sum(c in alive for c in old.cameras) < 2:
            return False                                            # it is of cameras that are gone
        if level < old.level:
            return True
        here, there = common_cameras(solution.tracks.cameras, old.cameras)
        if len(here) < 2 or self._doubted:
            return False
        now, before = (float(sigma.max()) for sigma in (solution.rotation_sigma_deg[here],
                                                        old.rotation_sigma_deg[there]))
        if self._several and old.level >= 3 and old.solution is not None and old.solution.tracks.person is not None \
                and solution.support < _EXPLAINS * old.solution.support and now > _SURER * before:
            return True
        return now > 1.3 * before

    # -- after people were followed

    def check_saved(self, now: float, step_s: float, showing: Sequence[str], health: HealthMonitor) -> Change:
        """A saved rig is trusted after as long as it takes to be sure, or given up; see `SavedRig.fits`."""
        model = self.model
        if self.state is not RigState.CHECKING_SAVED or model is None:
            return Change.NOTHING
        found = self._saved.fits(now, step_s, model.cameras, showing, health.agreement(model.cameras))
        if found is None:
            return Change.NOTHING
        if isinstance(found, Explanation):
            self._go(RigState.EMPTY, None)
            self.why = found
            return Change.LOST
        self._go(RigState.TRUSTED, replace(model, level=3))
        self.why, self.world = Explanation(Reason.NONE), self.world + 1
        return Change.MODEL

    def watch(self, detections: Detections, people: Sequence[Person], history: History) -> Change:
        """Cameras that were moved are left out, and placed anew against the skeleton of the others."""
        if self.model is None or not self.state.trusted:
            return Change.NOTHING
        found = self._watch.update(detections, self.model, people, history)
        if found is None:
            return Change.NOTHING
        if found.alone or found.doubted or found.moved or found.placed:
            self._glide.clear()
        if found.alone:
            return self.forget(Explanation(Reason.MOVED, {'cameras': ', '.join(found.moved)}))
        if found.doubted:
            self._doubted = True
            self._pace.at_once(history.seen)
        for c in found.moved:
            history.drop(c, before=detections.stamp)
            self._worker.cancel()
        self._go(RigState.PLACING if self.left_out else RigState.TRUSTED, found.model)
        return Change.CAMERAS if found.placed else Change.LEFT_OUT if found.moved else Change.NOTHING
