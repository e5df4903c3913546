# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From 2D tracks of one person in cameras that stand still to a rig with its uncertainty, or the reason why not.

Several first guesses (weak-perspective factorisation and its mirror, essential matrices, the rig known so far) are each
adjusted coarsely; the best by robust cost among those in which the body faces the right way is adjusted finely, with
left/right exchanges undone and the noise of the 2D network measured on the way.
"""
from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .. import rotation
from ..body import BONE_PRIOR_M
from ..camera import FOCAL_PRIOR, Intrinsics
from ..cameras import NEAREST, Cameras
from ..fusion.lifted import align_views, depth_agreement
from ..fusion.triangulation import triangulate
from ..noise import NoiseModel
from ..skeleton import BONES
from .bundle import BONE_SIGMA_M, BundleProblem, BundleResult, BundleState, adjust
from .flight import Flight
from .initial import factorise, from_lifted, from_pairs
from .lens import FOCAL_RANGE, LensPrior, exists, unknown_lenses
from .refinement import Refined, refine
from .start import Start
from .value import NotSolved
from .world import body_forward_score

__all__ = ['NOWHERE_TWICE', 'FirstGuess', 'Solution', 'SolverConfig', 'Tracks', 'evenly', 'finish', 'first_guess',
           'misfits', 'points', 'problem_of', 'solve', 'usable_rows']

Array = NDArray[np.float64]

#: predicted errors of a rotation and of a field of view at which the quality is one half, degrees
_HALF_ROTATION_DEG, _HALF_VIEW_DEG = 4., 8.
#: first guesses whose cost differs by less than this share explain the images equally well
_TIE = .004
#: agreement with lifted poses, or with their mirror images, that decides
_CLEAR = .4
#: residuals of more than this share of the body are no noise; homographies that are off by less than this many sigmas
#: explain a pair of views
_DISAGREE, _FLAT = .06, 1.6
#: robust cost per observation that calibrated noise does not reach (0.4 to 1.0 on motion capture and real recordings)
_MISFIT = 1.3
#: cameras that see the body from directions that differ by more than this, and twice the error, are apart, degrees
_OTHER_SIDE_DEG = 20.
#: factor on the predicted errors of a rig whose pairs of views a homography explains nearly as well
_FLAT_DOUBT = 2.5
#: bones whose median length sets the scale of a first guess; pelvis to thorax skips the joint that detectors invent
_SCALE_A = np.array([0, 1, 2, 4, 5, 0, 8, 11, 12, 8, 14, 15])
_SCALE_B = np.array([1, 2, 3, 5, 6, 8, 11, 12, 13, 14, 15, 16])
_SCALE_PRIOR_M = np.array([BONE_PRIOR_M[BONES.index((a, b))] if (a, b) in BONES else BONE_PRIOR_M[6] + BONE_PRIOR_M[7]
                           for a, b in zip(_SCALE_A.tolist(), _SCALE_B.tolist(), strict=True)])


@dataclass(frozen=True)
class Tracks:
    """2D joints of one person at common instants, or of several: then a row is one person at one instant.

    Attributes:
        cameras: (V,) names.  stamp: (N,) s, increasing; with several people, increasing for each of them.
        kp: (N, V, 17, 2) px without the distortion that is known, NaN = not seen.  confidence: (N, V, 17).
        image_size: (V, 2) px.  intrinsics: (V,) known ones, None = unknown.
        lifted: (N, V, 17, 3) what a lifter made of each view, lifted_sigma (N, V, 17), see `lifting.lift`; NaN = it was
            not asked; None = there is no lifter.
        person: (N,) whose row it is, from 0; None = all are of one person.
    """

    cameras: tuple[str, ...]
    stamp: Array
    kp: Array
    confidence: Array
    image_size: NDArray[np.int64]
    intrinsics: tuple[Intrinsics | None, ...]
    lifted: Array | None = None
    lifted_sigma: Array | None = None
    person: NDArray[np.int64] | None = None

    @property
    def pieces(self) -> list[NDArray[np.int64]]:
        """Rows of each person, in order of time."""
        if self.person is None:
            return [np.arange(len(self.stamp))]
        return [np.nonzero(self.person == k)[0] for k in np.unique(self.person)]

    def rows(self, index: NDArray[np.int64]) -> Tracks:
        return replace(self, stamp=self.stamp[index], kp=self.kp[index], confidence=self.confidence[index],
                       lifted=None if self.lifted is None else self.lifted[index],
                       lifted_sigma=None if self.lifted_sigma is None else self.lifted_sigma[index],
                       person=None if self.person is None else self.person[index])

    def views(self, index: NDArray[np.int64]) -> Tracks:
        return replace(self, cameras=tuple(self.cameras[i] for i in index), kp=self.kp[:, index],
                       confidence=self.confidence[:, index], image_size=self.image_size[index],
                       intrinsics=tuple(self.intrinsics[i] for i in index),
                       lifted=None if self.lifted is None else self.lifted[:, index],
                       lifted_sigma=None if self.lifted_sigma is None else self.lifted_sigma[:, index])


@dataclass(frozen=True)
class SolverConfig:
    """Attributes:
    frames: instants used in the fine adjustment.  first_frames: in the coarse ones.
    max_rotation_sigma_deg: a solution that is predicted to be worse is none.
    same_lens: names of cameras that have equal lenses.
    """

    frames: int = 100
    first_frames: int = 40
    max_rotation_sigma_deg: float = 12.
    crowd: bool = False
    same_lens: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Solution:
    """A rig in the frame of its first camera, body of adult mean size.

    Attributes:
        state: cameras, bones, and the body at the N instants of `tracks`.
        tracks: the instants that it rests on, as they were solved: nobody looks them up elsewhere, where rows may have
            been thinned or dropped since.
        rotation_sigma_deg, log_focal_sigma, centre_sigma: (V,) predicted errors, see `place.PlaceErrors`; of centres in
            the unit of the rig.
        noise: measured noise of the 2D network.  bone_sigma: (16,) m, measured constancy of the bones.
        clock_offset_s: (V,) of the cameras' stamps against the first camera's; empty = none found.
        cost: robust cost per observation.  reprojection_px: median residual.
        forward: see `world.body_forward_score`.
        distinct: number of clearly different poses it rests on.
        flights: of people, in the frame of the state; found where all instants are at hand.
        late: cameras that are not part of it for their clocks: how much later their movements come, s.
        overturned: the cameras that it was started from explain clearly less of what is seen: they were wrong.
    """

    state: BundleState
    tracks: Tracks
    covariance: Array
    rotation_sigma_deg: Array
    noise: NoiseModel
    cost: float
    reprojection_px: float
    forward: float
    distinct: int
    bone_sigma: Array = field(default_factory=lambda: BONE_SIGMA_M.copy())
    clock_offset_s: Array = field(default_factory=lambda: np.zeros(0))
    flights: tuple[Flight, ...] = ()
    late: Mapping[str, float] = field(default_factory=dict)
    overturned: bool = False
    log_focal_sigma: Array = field(default_factory=lambda: np.zeros(0))
    centre_sigma: Array = field(default_factory=lambda: np.zeros(0))

    @property
    def frames(self) -> int:
        """Number of poses that it rests on: of instants, with one person."""
        return len(self.tracks.stamp)

    @property
    def start(self) -> Start:
        """To start another solve from."""
        return Start(self.tracks.cameras, self.state.cameras, self.bones)

    @property
    def bones(self) -> Array:
        """(16,) m, of the mean person."""
        b = self.state.bones
        return b if b.ndim == 1 else np.asarray(np.exp(np.log(b).mean(0)))

    @property
    def quality(self) -> float:
        """0..1: about the share of accuracy left of a perfectly calibrated rig, whose rotations and fields of view are
        known; the worst camera counts.
        """
        worst = max(float(self.rotation_sigma_deg.max()) / _HALF_ROTATION_DEG,
                    float(self.view_sigma_deg.max(initial=0.)) / _HALF_VIEW_DEG)
        return 1 / (1 + worst ** 2)

    @property
    def view_sigma_deg(self) -> Array:
        """(V,) predicted error of the field of view along the longer side, degrees; empty where none is predicted."""
        half = self.tracks.image_size.max(1) / (2 * self.state.cameras.focal)
        return np.asarray(np.rad2deg(2 * half / (1 + half ** 2)) * self.log_focal_sigma) if len(
            self.log_focal_sigma) else np.zeros(0)


def problem_of(tracks: Tracks, noise: NoiseModel, same_lens: Sequence[Sequence[str]] = ()) -> BundleProblem:
    """Tracks as observations with the sigmas that go with their confidences; prior intrinsics where none are known.

    Args:
        same_lens: names of cameras that have equal lenses; those with known intrinsics are left out.
    """
    V = len(tracks.cameras)
    centre, log_f, spread = tracks.image_size / 2., np.zeros(V), np.full(V, FOCAL_PRIOR[1])
    given = np.full((2, V), np.nan)
    for v, known in enumerate(tracks.intrinsics):
        log_f[v] = np.log(FOCAL_PRIOR[0] * tracks.image_size[v].max())
        if known is not None:
            log_f[v], centre[v] = np.log(known.K[0, 0]), known.K[:2, 2]
            spread[v] = 0. if known.source == 'known' else .05
            given[:, v] = log_f[v], spread[v]
    groups = ([tracks.cameras.index(c) for c in group if c in tracks.cameras] for group in same_lens)
    same = [g for g in ([v for v in group if np.isnan(given[0, v])] for group in groups) if len(g) > 1]
    seen = np.isfinite(tracks.kp).all(-1) & (tracks.confidence > 0)
    sigma = np.where(seen, noise.sigma(np.where(seen, tracks.confidence, 0.)), np.inf)
    return BundleProblem(np.where(seen[..., None], tracks.kp, 0.), sigma, np.asarray(centre, float), log_f, spread,
                         person=tracks.person, lens=LensPrior.of(tracks.image_size, centre, given[0], given[1], same))


def points(p: BundleProblem, cameras: Cameras, bones: Array) -> BundleState:
    """State with robustly triangulated points, scaled to the body's prior size."""
    X = triangulate(cameras.rays(p.kp), cameras.ray_weight(p.sigma), cameras.R, cameras.t, rounds=4, scale=5.)
    mean = np.nanmean(X, axis=1, keepdims=True) if np.isfinite(X).any() else np.zeros_like(X[:, :1])
    X = np.where(np.isfinite(X), X, np.nan_to_num(mean))
    n = np.median(np.linalg.norm(X[:, _SCALE_B] - X[:, _SCALE_A], axis=-1), axis=0)
    k = float(np.median(_SCALE_PRIOR_M / np.maximum(n, 1e-3)))
    return BundleState(cameras.scaled(k), X * k, bones)


#: no instant can be used
NOWHERE_TWICE = NotSolved('no instant shows half of a body in two cameras: walk where the cameras overlap',
                          {'frames': 0})


def _guesses(p: BundleProblem, start: Start | None, tracks: Tracks | None = None) -> list[Cameras]:
    V, unposed = p.kp.shape[1], p.unposed
    rays, w = unposed.rays(p.kp), unposed.ray_weight(p.sigma)
    poses = [*factorise(rays, w), *from_pairs(rays, w, unposed.focal)]
    known = [start.cameras] if start is not None and len(start.cameras) == V else []
    if tracks is not None:
        known = [unknown_lenses(c, tracks.intrinsics) for c in known]
    lifted = []
    if tracks is not None and tracks.lifted is not None and tracks.lifted_sigma is not None:
        lifted = from_lifted(rays, w, tracks.lifted, tracks.lifted_sigma)
    return [*(replace(unposed, R=R, t=t) for R, t in poses), *known, *(replace(unposed, R=R, t=t) for R, t in lifted)]


def misfits(s: BundleState, p: BundleProblem) -> Array:
    """Median residual of a joint, by camera that sees any, as a share of the body's size in a view."""
    d = np.linalg.norm(s.cameras.project(s.X) - p.kp, axis=-1)
    seen = np.isfinite(p.sigma)
    kp = np.where(seen[..., None], p.kp, np.nan)
    size = 3.4 * np.sqrt(np.nanmean(np.nanvar(kp[seen.sum(-1) >= 8], axis=-2).sum(-1)))
    return np.array([np.median(d[:, v][seen[:, v]]) for v in range(d.shape[1]) if seen[:, v].any()]) / size


def _disagreement(s: BundleState, p: BundleProblem) -> float:
    """The worst camera's misfit: what a network's noise cannot be."""
    return float(misfits(s, p).max())


def _same_place(p: BundleProblem) -> str:
    """Why a plane-to-plane map explains every pair of cameras, in a sentence; '' when it does not.

    From one place, turned or not, all images are homographies of each other, whatever the depth: a rig would be made
    of noise. (A body does not lie in a plane as seen from two places.)
    """
    N, V = p.kp.shape[:2]
    if N < 10:
        return ''
    for a in range(V):
        for b in range(a + 1, V):
            both = np.isfinite(p.sigma[:, a]) & np.isfinite(p.sigma[:, b])
            if both.sum() < 60:
                continue
            x, y = p.kp[:, a][both], p.kp[:, b][both]
            H, _ = cv2.findHomography(x, y, cv2.LMEDS)
            if H is None:
                continue
            q = np.concatenate([x, np.ones((len(x), 1))], 1) @ H.T
            e = np.linalg.norm(q[:, :2] / q[:, 2:] - y, axis=1)
            usual = np.hypot(p.sigma[:, a][both], p.sigma[:, b][both])
            if np.median(e / usual) > _FLAT:
                return ''
    if _still(p):
        return 'the person has hardly moved: walk or turn about'
    return 'the cameras look from nearly the same place: nothing tells depth; put them further apart'


def _apart(tracks: Tracks, p: BundleProblem) -> bool:
    """Whether lifted poses say that all cameras see the body from other sides, whatever a homography explains."""
    if tracks.lifted is None or tracks.lifted_sigma is None:
        return False
    found = align_views(tracks.lifted, tracks.lifted_sigma)
    if found is None:
        return False
    R, sigma_deg, _ = found
    seen = np.isfinite(p.sigma)
    root = np.where(seen[..., None], p.kp, 0.).sum(2) / np.maximum(seen.sum(2), 1)[..., None]
    ray = np.concatenate([(root - p.centre) / np.exp(p.log_focal)[:, None], np.ones((*root.shape[:2], 1))], -1)
    # lines of sight in the body's axes: a camera that turns in its place still sees the same side
    sight = np.einsum('vba,nvb->nva', R, ray / np.linalg.norm(ray, axis=-1, keepdims=True))
    V = len(R)
    for a in range(V):
        for b in range(a + 1, V):
            both = seen[:, a].any(-1) & seen[:, b].any(-1)
            if not both.any():
                return False
            angle = np.rad2deg(np.arccos(np.clip((sight[both, a] * sight[both, b]).sum(-1), -1, 1)))
            if float(np.median(angle)) - 2 * float(max(sigma_deg[a], sigma_deg[b])) < _OTHER_SIDE_DEG:
                return False
    return True


def _still(p: BundleProblem) -> bool:
    """Joints stay where they are in the images, up to noise."""
    seen = np.isfinite(p.sigma)
    kp = np.where(seen[..., None], p.kp, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)             # joints that are never seen
        spread = 1.4826 * np.nanmedian(np.abs(kp - np.nanmedian(kp, axis=0)), axis=0).max(-1)
        usual = np.nanmedian(np.where(seen, p.sigma, np.nan), axis=0)
        return bool(np.nanquantile(spread / usual, .8) < 2.5)


def usable_rows(tracks: Tracks) -> NDArray[np.int64]:
    """Instants at which two views or more show at least half of the body."""
    seen = np.isfinite(tracks.kp).all(-1) & (tracks.confidence > 0)
    return np.nonzero((seen.sum(-1) >= 8).sum(1) >= 2)[0]


def evenly(rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """At most n of the rows, spread over all of them."""
    return rows if len(rows) <= n else rows[np.unique(np.linspace(0, len(rows) - 1, n).astype(int))]


@dataclass(frozen=True)
class FirstGuess:
    """Cameras that fit, roughly: where the fine adjustment begins.

    Attributes:
        cameras, bones: see `BundleState`.  noise: of the 2D network, as it was taken to be.
        rival_deg: how far the rotations of another guess that fits as well are from it, degrees.
        doubt: factor on the predicted errors.
    """

    cameras: Cameras
    bones: Array
    noise: NoiseModel
    rival_deg: float = 0.
    doubt: float = 1.


def solve(tracks: Tracks, config: SolverConfig | None = None, *, start: Start | None = None,
          noise: NoiseModel | None = None) -> Solution | NotSolved:
    """Find the rig. Deterministic.

    Args:
        start: the same cameras as they are thought to be, tried beside the fresh guesses.
        noise: of the 2D network, from an earlier solution; None = prior.
    """
    guess = first_guess(tracks, config, start=start, noise=noise)
    return guess if isinstance(guess, NotSolved) else finish(tracks, guess, config)


def first_guess(tracks: Tracks, config: SolverConfig | None = None, *, start: Start | None = None,
                noise: NoiseModel | None = None) -> FirstGuess | NotSolved:
    """The best of several first guesses, each adjusted coarsely; arguments as those of `solve`."""
    config = config or SolverConfig()
    V = len(tracks.cameras)
    if V < 2:
        return NotSolved('one camera has no rig: a second one must see the person, too', {'cameras': V})
    rows = usable_rows(tracks)
    if len(rows) < 1:
        return NOWHERE_TWICE
    noise = noise or NoiseModel.prior(tracks.image_size)
    first = tracks.rows(evenly(rows, config.first_frames))
    n = len(first.stamp)
    p = problem_of(first, noise)
    seen_views = np.isfinite(p.sigma).any(-1).sum(0)
    if seen_views.min() < max(1, min(4, n)):
        v = int(seen_views.argmin())
        return NotSolved(f'camera {tracks.cameras[v]} has seen the person in {seen_views[v]} of {n} instants: '
                         'walk where all cameras overlap', {'frames': float(seen_views[v])}, one_camera=True)
    flat = _same_place(p)
    if flat and (_still(p) or not _apart(first, p)):
        return NotSolved(flat, {'frames': float(n)})
    found = _coarse(p, start, first)
    if found is None:
        return NotSolved('no first guess fits the images: more movement, and more of the body, in all cameras',
                         {'frames': n}, one_camera=True)
    return FirstGuess(found[0].state.cameras, found[0].state.bones, noise, found[1], _FLAT_DOUBT if flat else 1.)


def finish(tracks: Tracks, guess: FirstGuess, config: SolverConfig | None = None) -> Solution | NotSolved:
    """The fine adjustment of a guess, to as many poses as the configuration says, and whether it is a rig."""
    config = config or SolverConfig()
    rows = usable_rows(tracks)
    if not len(rows):
        return NOWHERE_TWICE
    tracks = tracks.rows(evenly(rows, config.frames))
    p = problem_of(tracks, guess.noise, config.same_lens)
    s = points(p, guess.cameras, _bones_for(p, guess.bones))
    found = refine(s, p, tracks.image_size, tracks.stamp, tracks.confidence, tracks.pieces)
    return _judge(found, tracks, config, guess.rival_deg, guess.doubt)


def _coarse(p: BundleProblem, start: Start | None,
            tracks: Tracks | None = None) -> tuple[BundleResult, float] | None:
    """The best first guess, adjusted, and how far the rotations of an equally good one are from it, degrees."""
    results = []
    for cameras in _guesses(p, start, tracks):
        try:
            bones = _bones_for(p, None if start is None else start.bones)
            r = adjust(points(p, cameras, bones), p, scale=5., kind='cauchy', steps=25, tolerance=1e-3,
                       covariance=False)
        except np.linalg.LinAlgError:
            continue
        if np.isfinite(r.cost):
            results.append((r.cost, _handedness(r.state, tracks), r))
    if not results:
        return None
    # the mirrored world fits almost as well when the motion is narrow: a body that bends its knees backwards is none
    upright = sorted((r for r in results if r[1] > 0), key=lambda r: r[0])
    if not upright:
        return None
    best = upright[0]
    # another rig that explains the images as well: which of the two it is must not be left to chance
    rivals = [_rotation_apart(best[2].state.cameras.R, r[2].state.cameras.R) for r in upright[1:]
              if r[0] < best[0] * (1 + _TIE)]
    return best[2], max(rivals, default=0.)


def _bones_for(p: BundleProblem, known: Array | None) -> Array:
    """Bones to start from, in the shape that the problem wants: those known, as far as they are of the same people."""
    if known is None:
        known = p.bone_mean
    if p.person is None:
        return np.asarray(known if known.ndim == 1 else np.exp(np.log(known).mean(0)))
    if known.ndim == 1:
        return np.tile(known, (p.people, 1))
    more = np.tile(np.exp(np.log(known).mean(0)), (max(p.people - len(known), 0), 1))
    return np.concatenate([known[:p.people], more])


def _handedness(s: BundleState, tracks: Tracks | None) -> float:
    """Negative for a mirrored world."""
    if tracks is not None and tracks.lifted is not None and tracks.lifted_sigma is not None:
        # a lifter knows how bodies lie in depth: that tells mirrored worlds even where knees are straight
        agreement = depth_agreement(s.X, s.cameras.R, tracks.lifted, tracks.lifted_sigma)
        if abs(agreement) > _CLEAR:
            return agreement
    return body_forward_score(s.X)


def _rotation_apart(A: Array, B: Array) -> float:
    """Largest difference of the rotations relative to the first camera, degrees."""
    return float(rotation.angle_deg(A @ A[0].T, B @ B[0].T).max())


def _judge(found: Refined, tracks: Tracks, config: SolverConfig, rival_deg: float,
           doubt: float) -> Solution | NotSolved:
    r, p, distinct, N = found.result, found.problem, found.distinct, len(tracks.stamp)
    cov, errors = r.covariance * p.temper * doubt ** 2, found.errors.times(doubt)
    sigma = errors.rotation_deg.copy()
    sigma[1:] = np.maximum(sigma[1:], rival_deg / 2)
    forward = body_forward_score(r.state.X)
    numbers = {'frames': float(N), 'distinct_poses': float(distinct), 'rotation_sigma_deg': float(sigma.max()),
               'reprojection_px': r.robust_px, 'cost': r.cost}
    off = _disagreement(r.state, p)
    if off > (_DISAGREE / 2 if config.crowd else _DISAGREE):
        return NotSolved(f'the cameras do not agree on one person (joints are off by {100 * off:.0f} % of the body): '
                         'different people, or a camera that moves?', {**numbers, 'disagreement': off}, one_camera=True)
    if config.crowd and r.cost > _MISFIT and N >= 5:
        # small residuals, but larger than the noise of the network: some of the views show somebody else
        return NotSolved(f'several people are in sight, and who is who in the views is uncertain (joints are off by '
                         f'{100 * off:.0f} % of the body, but {r.cost / _MISFIT:.1f} times as much as noise explains): '
                         'let one of them walk, or be alone, for some seconds', {**numbers, 'disagreement': off},
                         one_camera=True)
    if forward < 0:
        return NotSolved('the body found would bend its knees backwards (a mirrored world): keep moving',
                         {**numbers, 'forward_m': forward}, one_camera=True)
    if (r.state.cameras.depth(r.state.X) < NEAREST).mean() > .1:
        return NotSolved('the cameras found would have the person behind them: more movement is needed', numbers,
                         one_camera=True)
    strange = ~exists(r.state.cameras, tracks.image_size) & (p.log_focal_sigma > 0)
    if strange.any():
        v = int(strange.argmax())
        share = r.state.cameras.focal[v] / tracks.image_size[v].max()
        return NotSolved(f'camera {tracks.cameras[v]} would have a focal length of {share:.2f} times the longer side '
                         f'of its image, which no camera has ({FOCAL_RANGE[0]:g} to {FOCAL_RANGE[1]:g}): walk through '
                         'the whole room, towards the cameras and away from them',
                         {**numbers, 'focal_share': float(share)}, one_camera=True)
    if distinct < 2 and N >= 50:
        return NotSolved('the person has hardly moved: walk or turn about', numbers)
    if sigma.max() > config.max_rotation_sigma_deg:
        return NotSolved(f'the rotation of camera {tracks.cameras[int(sigma.argmax())]} is uncertain by '
                         f'{sigma.max():.0f} degrees: more movement, or a larger angle between the cameras', numbers,
                         one_camera=True)
    return Solution(r.state, tracks, cov, sigma, found.noise, r.cost, r.robust_px, forward, distinct, p.bone_sigma,
                    log_focal_sigma=errors.log_focal, centre_sigma=errors.centre)
