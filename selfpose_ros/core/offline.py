# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Two passes over a whole recording: the rig from all of it, then every person's trajectory with zero phase."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .association import MainPerson
from .association.tracklets import TrackletsByCamera
from .causal import estimate_causally
from .cuts import Followed, Instant, Piece, continuous
from .estimator import EstimatorConfig
from .filtering import spread_of
from .history import History, tracks_from_rows
from .lifting import LiftedViews, Lifter, pinhole
from .model import RigModel, model_from_solution
from .observation import MultiView, Skeleton3D
from .person_view import Detections, PersonView, Row
from .rig import NotSolved, Rig
from .rig.bundle_problem import BundleProblem, BundleState
from .rig.everybody import solve_everybody
from .rig.largest import solve_largest
from .rig.sightings import followed
from .rig.solver import Solution, SolverConfig, Tracks, evenly, usable_rows
from .rig_state import not_joined
from .tracks.people import People
from .tracks.person import Person
from .trajectory import MotionModel, estimate_trajectory
from .uncertainty import by_cameras, uncertainty

__all__ = ['FRAMES', 'follow', 'history_of', 'reconstruct_offline', 'solved', 'trajectories']

Array = NDArray[np.float64]
Progress = Callable[[str, float], None]

#: fewer instants give a rig by chance
_FEWEST_ROWS = 12
#: instants of the off-line solve; the cost grows linearly, the gain as the square root
FRAMES = 300
#: several people: instants with lifted poses, from which it is found who is who; instants that are assigned
_POSES, _INSTANTS = 80, 400
#: instants that follow the motion, for clocks and flights
_MOTION = 1000
#: times that a rig is found anew, at most, as clocks are put right
_CLOCK_ROUNDS = 3
#: a person that was not seen for this long has a gap in the trajectory, s
_GAP_S = 1.
#: fewer have no acceleration to be smooth in: they are shown as the filter has them
_FEWEST_INSTANTS = 3


def reconstruct_offline(
    frames: Sequence[MultiView], config: EstimatorConfig | None = None, progress: Progress | None = None, *,
    lifter: Lifter | None = None,
) -> tuple[list[list[Skeleton3D]], Rig | NotSolved]:
    """Two passes over a whole recording: rig from all of it, then zero-phase smoothing.

    Args:
        frames: in order of time.
        progress: called with (what is done, share 0..1).
        lifter: see `Estimator`; one more first guess of the rig, and poses where there is none.

    Returns:
        The people at every instant (as `Estimator.update` gives them), and the rig of as many cameras as have one, or
        the reason why there is none. Where the whole recording has no rig, people and rig are what the causal estimator
        makes of it (`causal`).
    """
    config = config or EstimatorConfig()
    report = progress or (lambda what, share: None)
    if config.convention is not None:
        frames, config = list(map(config.convention.views, frames)), replace(config, convention=None)
    report('rig', 0.)
    model = solved(frames, config, lifter)
    report('rig', 1.)
    if isinstance(model, NotSolved):
        people, rig = estimate_causally(frames, replace(config, rig_solver='inline'),
                                        lambda n: report('causal estimate', n / len(frames)), lifter=lifter)
        return people, rig or model
    return trajectories(follow(frames, model, config, lifter, report)[0], frames, model, report), model.rig()


def solved(frames: Sequence[MultiView], config: EstimatorConfig, lifter: Lifter | None = None) -> RigModel | NotSolved:
    """The rig from a whole recording, or the reason why there is none."""
    several = any(len(v.keypoints) > 1 for f in frames for v in f.views)
    return _solve_everybody(frames, config, lifter) if several else _solve(history_of(frames), config, lifter)


def trajectories(followed: dict[int, Followed], frames: Sequence[MultiView], model: RigModel,
                 report: Progress) -> list[list[Skeleton3D]]:
    """The people at every frame, each person's trajectory smoothed both ways."""
    out: list[list[Skeleton3D]] = [[] for _ in frames]
    for k, (identity, person) in enumerate(sorted(followed.items())):
        for n, skeleton in _trajectory(identity, person, model):
            out[n].append(skeleton)
        report('trajectories', (k + 1) / len(followed))
    return out


def history_of(frames: Sequence[MultiView]) -> History:
    """What was seen of one person in a whole recording: who is alone, else one who is chosen in each camera."""
    history, main = History(most_rows=4000), MainPerson()
    single = all(len(v.keypoints) <= 1 for f in frames for v in f.views)
    for f in frames:
        chosen = [0 if len(v.keypoints) else -1 for v in f.views] if single else main.update(f)
        history.add(f.stamp, Detections.of(f).row(
            {v.camera: i for v, i in zip(f.views, chosen, strict=True) if i >= 0}))
    return history


def _lifted(tracks: Tracks, rows: NDArray[np.int64], lifter: Lifter) -> Tracks:
    """Tracks with lifted poses at some rows, which the first guess rests on."""
    joints, sigma = np.full((*tracks.kp.shape[:3], 3), np.nan), np.full(tracks.kp.shape[:3], np.nan)
    size = {c: (int(w), int(h)) for c, (w, h) in zip(tracks.cameras, tracks.image_size, strict=True)}
    pinholes = {c: pinhole(k, size[c]) for c, k in zip(tracks.cameras, tracks.intrinsics, strict=True)}
    views = LiftedViews(lifter)
    for n in rows:
        first = int(np.searchsorted(tracks.stamp, tracks.stamp[n] - views.reach_s))
        for k in range(max(0, min(first, n) - 1), n + 1):
            row = {c: PersonView(c, float(tracks.stamp[k]), 0, tracks.kp[k, v], tracks.confidence[k, v], size[c])
                   for v, c in enumerate(tracks.cameras) if np.isfinite(tracks.kp[k, v]).any()}
            views.add(n, row)
        for c, found in views.of(row, pinholes, n).items():
            joints[n, tracks.cameras.index(c)], sigma[n, tracks.cameras.index(c)] = found
    return replace(tracks, lifted=joints, lifted_sigma=sigma)


def _solve_everybody(frames: Sequence[MultiView], config: EstimatorConfig,
                     lifter: Lifter | None) -> RigModel | NotSolved:
    log = followed(frames, lifter, _POSES)
    if not log.posed:                                         # nothing tells who is who: one person is chosen
        return _solve(history_of(frames), config, lifter, crowd=True)
    solver = SolverConfig(frames=FRAMES, same_lens=config.same_lens)
    found = solve_everybody(log.sightings(_INSTANTS, _MOTION), solver)
    # a rig that was found with wrong times has taken part of the offsets into its poses: several rounds
    for _ in range(_CLOCK_ROUNDS):
        if isinstance(found, NotSolved) or not found.solution.clocks_moved_s:
            break
        start = found.solution.start
        late = dict(zip(start.names, start.clock_offset_s, strict=True))
        better = solve_everybody(log.sightings(_INSTANTS, _MOTION, late), solver, start=start)
        if isinstance(better, NotSolved):
            break
        found = better
    return found if isinstance(found, NotSolved) else _model(found.solution, config)


def _solve(history: History, config: EstimatorConfig, lifter: Lifter | None, *,
           crowd: bool = False) -> RigModel | NotSolved:
    if len(history.cameras) < 2:
        return NotSolved(f'{len(history.cameras)} camera(s) saw a person: a rig needs two', {})
    tracks = history.tracks()
    usable = usable_rows(tracks)
    rows = len(usable)
    if rows < _FEWEST_ROWS:
        return NotSolved(f'only {rows} instants show half of a body in two cameras, {_FEWEST_ROWS} are needed: '
                         'record longer', {'frames': float(rows)})
    solver = SolverConfig(frames=FRAMES, crowd=crowd, same_lens=config.same_lens)
    if lifter is not None:
        tracks = _lifted(tracks, evenly(usable, solver.first_frames), lifter)
    solution = solve_largest(tracks, solver, min_quality=config.min_quality)
    return solution if isinstance(solution, NotSolved) else _model(solution, config)


def _model(solution: Solution, config: EstimatorConfig) -> RigModel | NotSolved:
    if solution.quality < config.min_quality:
        return NotSolved(f'predicted quality {solution.quality:.2f} is below min_quality {config.min_quality:.2f}: '
                         'more movement, or more cameras', {'quality': solution.quality})
    if not solution.is_joined:
        return NotSolved(not_joined(solution).text, {'joined': solution.joined})
    names, cameras = config.baseline_cameras, solution.tracks.cameras
    pair = (cameras.index(names[0]), cameras.index(names[1])) \
        if len(names) == 2 and set(names) <= set(cameras) else (0, 1)
    return model_from_solution(solution, 3, height_m=config.person_height_m, baseline_m=config.baseline_m,
                               baseline_pair=pair)


def follow(frames: Sequence[MultiView], model: RigModel, config: EstimatorConfig, lifter: Lifter | None,
           report: Progress) -> tuple[dict[int, Followed], list[list[Skeleton3D]]]:
    """Who is seen where with a rig, by identity, and the people as the causal filter has them at every frame."""
    people, tracklets = People(config.max_people, lifter=lifter, reentry_s=config.reentry_s), TrackletsByCamera()
    alone = all(len(v.keypoints) <= 1 for f in frames for v in f.views)
    people.model = model
    out: dict[int, list[Instant]] = {}
    last: dict[int, Person] = {}
    causal = []
    for n, f in enumerate(frames):
        detections = Detections.of(f, tracklets.update(f), model.lenses)
        people.see(detections)
        first = {c: v for c, v in detections.first().items() if alone and c in model.cameras}
        causal.append(people.update(detections, first))
        for p in people.everybody:
            if p.row and p.confirmed:
                out.setdefault(p.identity, []).append(Instant(n, f.stamp, p.row, p.filter.state))
                last[p.identity] = p
        if n % 25 == 0:
            report('following people', (n + 1) / len(frames))
    return {i: Followed(at, last[i].filter.lengths, last[i].filter.config.bone_sigma_m)
            for i, at in out.items() if len(at) >= 5}, causal


def _trajectory(identity: int, person: Followed, model: RigModel) -> list[tuple[int, Skeleton3D]]:
    at = person.instants
    gaps = [0, *[i for i in range(1, len(at)) if at[i].stamp - at[i - 1].stamp > _GAP_S], len(at)]
    pieces = [p for a, b in zip(gaps[:-1], gaps[1:], strict=True)
              for p in continuous(replace(person, instants=at[a:b]), model)]
    return [found for piece in pieces for found in _smoothed(identity, piece, model)]


def _smoothed(identity: int, piece: Piece, model: RigModel) -> list[tuple[int, Skeleton3D]]:
    late = dict(zip(model.cameras, model.clock_offset_s, strict=True))
    timed: list[tuple[float, Row]] = [
        (i.stamp, {c: replace(v, stamp=v.stamp - late[c]) for c, v in i.row.items()}) for i in piece.instants]
    tracks = tracks_from_rows(timed, model.cameras, model.image_size, (None,) * len(model.cameras))
    problem = _problem(tracks, model)
    if len(piece.instants) < _FEWEST_INSTANTS:
        X, velocity = (np.stack([state[k] for state in piece.states]) for k in (0, 1))
        spread, seen = spread_of(np.stack([state[2] for state in piece.states])), np.isfinite(problem.sigma).sum(1)
    else:
        state = BundleState(model.geometry, np.stack([x for x, *_ in piece.states]), model.bones)
        rho = model.noise.correlation_at(float(np.median(np.diff(tracks.stamp))))
        result = estimate_trajectory(problem, state, tracks.stamp, MotionModel(correlation=min(rho, _MOST_CORRELATION)),
                                     correct_sides=True)
        X, spread, seen = result.state.X, result.sigma, np.isfinite(result.problem.sigma).sum(1)
        velocity = np.gradient(X, tracks.stamp, axis=0)
    u = uncertainty(spread, model)
    place = by_cameras(X, np.isfinite(problem.sigma).any(2), model)
    known = u.known[..., None]
    X, velocity = np.where(known, X, np.nan), np.where(known, velocity, np.nan)
    sigma = np.where(u.known, np.hypot(u.sigma, place[:, None]), np.nan)
    seen = np.where(u.known, seen, 0).astype(np.int64)
    return [(a.frame, Skeleton3D(identity, a.stamp, X[i], sigma[i], u.confidence[i], seen[i], 3, velocity[i],
                                 place[i]))
            for i, a in enumerate(piece.instants)]


#: errors that last longer than a few frames cannot be told from slow movements: they are not smoothed away
_MOST_CORRELATION = .5


def _problem(tracks: Tracks, model: RigModel) -> BundleProblem:
    seen = np.isfinite(tracks.kp).all(-1) & (tracks.confidence > 0)
    sigma = np.where(seen, model.noise.sigma(np.where(seen, tracks.confidence, 0.)), np.inf)
    return BundleProblem(np.where(seen[..., None], tracks.kp, 0.), sigma, model.geometry.centre,
                         np.log(model.geometry.focal), np.zeros(len(model.cameras)), bone_sigma=1.5 * model.bone_sigma)
