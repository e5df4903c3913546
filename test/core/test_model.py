# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The rig in the world: a world that goes on, cameras that are placed anew, other resolutions, saved rigs."""
from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import rotation_errors, scene, tracks_of

from selfpose_ros.core import rotation
from selfpose_ros.core.body import BONE_PRIOR_M
from selfpose_ros.core.cameras import Cameras
from selfpose_ros.core.fusion.triangulation import triangulate
from selfpose_ros.core.model import RigModel, _turned_alike, lifted_model, model_from_rig, model_from_solution
from selfpose_ros.core.rig import Rig
from selfpose_ros.core.rig.bundle_problem import residuals
from selfpose_ros.core.rig.solver import Solution, SolverConfig, Tracks, problem_of, solve
from selfpose_ros.core.rig.world import World

Array = NDArray[np.float64]


@functools.cache
def solved() -> tuple[Tracks, Solution, RigModel]:
    """A walk of 5 s, its rig, and that rig in the world, of known height (so that metres are not the solver's)."""
    tracks = tracks_of(scene(4, 5., 10., 1).frames)
    solution = solve(tracks, SolverConfig(frames=40, first_frames=20))
    assert isinstance(solution, Solution)
    return tracks, solution, model_from_solution(solution, 3, height_m=1.45)


def turned(model: RigModel, yaw_deg: float, shift: tuple[float, float, float]) -> tuple[RigModel, Array, Array]:
    """The rig as it was saved in a world with another heading and origin: x' = Q x + shift."""
    Q = rotation.exp(np.deg2rad([0., 0., yaw_deg]))
    rig = model.rig()
    moved = replace(rig, R=rig.R @ Q.T, t=rig.t - rig.R @ Q.T @ np.array(shift))
    return model_from_rig(moved, model.noise, 3), Q, np.array(shift)


def assert_same_place(a: RigModel, R: Array, t: Array, deg: float, m: float) -> None:
    assert rotation.angle_deg(a.R, R).max() < deg
    centres = -np.einsum('vji,vj->vi', R, t)
    assert np.abs(a.rig().centres - centres).max() < m


# -- a world that goes on

def test_cameras_are_in_the_world_where_the_body_is() -> None:
    """The state's own frame and the world show the same pictures."""
    tracks, solution, model = solved()
    s = solution.state
    X = (s.X * model.scale.factor) @ model.world.R.T + model.world.t
    there = replace(s, cameras=replace(s.cameras, R=model.R, t=model.t), X=X)
    assert np.abs(there.cameras.project(there.X) - s.cameras.project(s.X)).max() < 1e-6


@pytest.mark.parametrize('yaw_deg', [0., 40., -130.])
@pytest.mark.parametrize('hold', [False, True])
def test_a_world_goes_on_whatever_its_heading(yaw_deg: float, hold: bool) -> None:
    """The same solution put into a world that was saved with another heading: to 2 degrees of tilt and 5 cm."""
    tracks, solution, model = solved()
    keep, _, _ = turned(model, yaw_deg, (2., -1., 0.))
    again = model_from_solution(solution, 3, height_m=1.45, keep=keep, hold=hold)
    assert_same_place(again, keep.R, keep.t, 2., .05)


def test_up_is_measured_anew_and_heading_and_place_are_not() -> None:
    """A world that was taken for level and is tipped by 8 degrees: up is put right, the heading stays to 2 degrees, the
    body stays on its spot.
    """
    tracks, solution, model = solved()
    keep, Q, shift = turned(model, 75., (1., 2., 0.))
    tip = rotation.exp(np.deg2rad([5., -6., 0.]))
    body = np.median(solution.state.X[:, 0], 0) * model.scale.factor
    spot = Q @ (model.world.R @ body + model.world.t) + shift
    tipped = replace(keep.rig(), R=keep.R @ tip.T, t=keep.t - keep.R @ tip.T @ (spot - tip @ spot))
    again = model_from_solution(solution, 3, height_m=1.45, keep=model_from_rig(tipped, model.noise, 3))
    assert_same_place(again, keep.R, keep.t, 2., .10)
    there = again.world.R @ body + again.world.t
    assert np.abs(there[:2] - spot[:2]).max() < .03
    held = model_from_solution(solution, 3, height_m=1.45, keep=model_from_rig(tipped, model.noise, 3),
                               hold=True)
    assert_same_place(held, tipped.R, tipped.t, 1., .05)


def test_limbs_that_were_wrong_do_not_turn_the_room() -> None:
    """Both legs of every third body of the solution are half a metre off: to 1 degree and 3 cm all the same."""
    tracks, solution, model = solved()
    keep = turned(model, 40., (2., -1., 0.))[0]
    X = solution.state.X.copy()
    X[::3, 1:7] += [.3, -.3, .3]
    wrong = replace(solution, state=replace(solution.state, X=X))
    again = model_from_solution(wrong, 3, height_m=1.45, keep=keep, hold=True)
    assert_same_place(again, keep.R, keep.t, 1., .03)


# -- a camera that is placed anew

@pytest.mark.parametrize('saved', [False, True])
def test_a_camera_placed_where_it_was_changes_nothing(saved: bool) -> None:
    """What the next solve starts from is in the solution's frame and scale, or in that of a saved rig's first camera:
    to rounding what it was.
    """
    _, solution, model = solved()
    if saved:
        model = turned(model, 100., (3., 1., .5))[0]
    turn = model.R @ model.R[0].T
    was = Cameras(turn, model.t - turn @ model.t[0], model.focal, model.centre) if saved else solution.state.cameras
    for v in range(len(model.cameras)):
        start = model.with_camera(v, model.R[v], model.t[v]).start
        assert start.names == model.cameras
        assert np.allclose(start.cameras.R, was.R, atol=1e-12) and np.allclose(start.cameras.t, was.t, atol=1e-12)
        assert np.allclose(start.bones, BONE_PRIOR_M if saved else solution.state.bones, atol=1e-12)


@pytest.mark.parametrize('v', [0, 2])
def test_a_camera_placed_anew_is_there_in_world_and_start(v: int) -> None:
    """Its pictures of the body are the same from the world's pose and from what the next solve starts from; the others'
    are what they were. The solution itself is what it was.
    """
    _, solution, model = solved()
    Q = rotation.exp(np.deg2rad([3., -12., 7.]))
    new = model.with_camera(v, Q @ model.R[v], Q @ model.t[v] + [.2, -.1, .3])
    s = solution.state
    X = (s.X * model.scale.factor) @ model.world.R.T + model.world.t
    there = new.geometry.project(X)
    assert np.abs(new.start.cameras.project(s.X) - there).max() < 1e-6 and new.solution is solution
    rest = [k for k in range(4) if k != v]
    old = solution.state.cameras.project(solution.state.X)
    assert np.abs(there - old)[:, rest].max() < 1e-6 and np.abs(there - old)[:, v].max() > 10.


def test_a_solve_goes_on_from_a_camera_that_was_placed_anew() -> None:
    """The last camera stands elsewhere from the fifth second on; what it was placed at starts the next solve: before
    any step, it fits the new pictures to three times what remains in the end.
    """
    from selfpose_ros.synthetic import frames_of, observe
    _, solution, model = solved()
    world = scene(4, 5., 10., 1)
    truth, Q = world.rig, rotation.exp(np.deg2rad([0., 14., 0.]))
    R, t = truth.R.copy(), truth.t.copy()
    R[3], t[3] = Q @ R[3], Q @ t[3] + [.1, 0., .1]
    bumped = replace(truth, R=R, t=t)
    tracks = tracks_of(frames_of(observe(world.joints, bumped, 10., 7)))
    # the bump of the truth, carried over to the model's world: x_cam changes alike in both
    size = float(np.linalg.norm(model.rig().centres[1] - model.rig().centres[0])
                 / np.linalg.norm(truth.centres[1] - truth.centres[0]))
    placed = model.with_camera(3, Q @ model.R[3], Q @ model.t[3] + size * np.array([.1, 0., .1]))
    rows = np.searchsorted(tracks.stamp, solution.tracks.stamp - 1e-6)                     # the same instants
    p = problem_of(tracks.rows(rows), placed.noise)
    off = np.sqrt(np.median(residuals(replace(solution.state, cameras=placed.start.cameras), p)[:, 3]))
    again = solve(tracks, SolverConfig(frames=40, first_frames=20), start=placed.start, noise=placed.noise)
    assert isinstance(again, Solution)
    assert off < 5. and rotation_errors(again.state.cameras.R, R).max() < 3.


# -- what else a model can do

def test_another_resolution_is_the_same_camera() -> None:
    _, _, model = solved()
    half = model.with_size(1, (500, 500))
    assert half is not None
    assert half.focal[1] == pytest.approx(model.focal[1] / 2) and half.focal[0] == model.focal[0]
    assert half.centre[1] == pytest.approx(model.centre[1] / 2) and half.image_size[1].tolist() == [500, 500]
    assert half.start.cameras.focal[1] == pytest.approx(model.focal[1] / 2)
    assert model.with_size(1, (640, 480)) is None and model.with_size(0, (1000, 1015)) is not None
    assert model.image_size[1].tolist() == [1000, 1000]


def test_a_saved_rig_comes_back_as_it_was() -> None:
    """Rig to model to rig: poses, intrinsics with their own fy, clocks, and the world."""
    rig = solved()[2].rig()
    K = rig.K.copy()
    K[:, 1, 1] *= 1.1
    rig = replace(rig, K=K, clock_offset_s=np.array([0., .01, -.02, .03]))
    model = model_from_rig(rig, solved()[2].noise, 2)
    back: Rig = model.rig()
    assert model.level == 2
    for name in ('R', 't', 'K', 'clock_offset_s', 'image_size'):
        assert np.allclose(getattr(back, name), getattr(rig, name), atol=1e-12)
    # nothing was solved; a solve starts in the frame of the first camera, in the world's metres
    assert model.solution is None and model.frames == back.frames == 0
    s = model.start.cameras
    assert np.allclose(s.R[0], np.eye(3)) and np.allclose(s.t[0], 0., atol=1e-12)
    assert np.allclose(s.R @ model.world.R.T, rig.R) and np.allclose(s.t - rig.R @ model.world.t, rig.t)
    pin = model.pinholes[rig.cameras[1]]
    assert pin[0, 0] == pin[1, 1] == model.focal[1] and pin[:2, 2].tolist() == model.centre[1].tolist()


# -- from lifted poses alone

@functools.cache
def from_poses() -> tuple[Tracks, RigModel]:
    """Faultless poses of half a second, in cameras whose intrinsics are known."""
    from oracle import Oracle

    from selfpose_ros.core.camera import Intrinsics
    from selfpose_ros.core.lifting import lift
    s = scene(3, .5, 15., 2, 'mixed', noise_px=0., outliers=0., swap=0.)
    tracks = tracks_of(s.frames)
    N, V = tracks.kp.shape[:2]
    joints, sigma = lift(Oracle(s.joints, s.rig, error=0., turned=0.), tracks.kp.reshape(-1, 17, 2),
                         tracks.confidence.reshape(-1, 17), np.tile(s.rig.K, (N, 1, 1)))
    tracks = replace(tracks, lifted=joints.reshape(N, V, 17, 3), lifted_sigma=sigma.reshape(N, V, 17),
                     intrinsics=tuple(Intrinsics(K) for K in s.rig.K))
    model = lifted_model(tracks, 1.75)
    assert model is not None
    return tracks, model


def test_lifted_poses_give_a_rig_in_a_world_in_which_the_body_stands() -> None:
    """Rotations to 1 degree, distances between cameras to 5 %; one camera is level, its view along x, and the body that
    was seen last is at the origin.
    """
    tracks, model = from_poses()
    truth = scene(3, .5, 15., 2, 'mixed', noise_px=0., outliers=0., swap=0.).rig
    assert rotation_errors(model.R, truth.R).max() < 1.
    far, want = (np.linalg.norm(r.centres[:, None] - r.centres, axis=-1) for r in (model.rig(), truth))
    assert np.abs(far / np.where(want > 0, want, 1.) - 1)[want > 0].max() < .05
    level = [v for v in range(3) if np.allclose(model.R[v] @ [0, 0, 1.], [0, -1, 0])]
    assert level and np.allclose(model.R[level[0]][2], [1, 0, 0])
    X = triangulate((tracks.kp[-1:] - model.centre[:, None]) / model.focal[:, None, None], np.ones((1, 3, 17)),
                    model.R, model.t)[0]
    assert np.abs(X[0, :2]).max() < .05 and X[[3, 6], 2].min() == pytest.approx(.08, abs=.05)
    assert model.solution is None
    s = model.start.cameras
    assert np.allclose(s.R @ model.world.R.T, model.R) and np.allclose(s.t - model.R @ model.world.t, model.t)
    assert model.distortion.shape == (3, 5) and not model.distortion.any()
    assert model.lifted and model.level == 1 and model.quality == 0. and not model.depth_sigma


def test_the_world_of_an_earlier_idea_goes_on() -> None:
    """The first camera in common keeps its pose in a world with another heading; the others follow."""
    tracks, model = from_poses()
    old = replace(turned(model, 60., (1., 2., .3))[0], lifted=True, origin=np.array([4., 5., 6.]))
    again = lifted_model(tracks, 1.75, old)
    assert again is not None
    assert_same_place(again, old.R, old.t, .01, .001)
    assert again.origin.tolist() == [4., 5., 6.]


@pytest.mark.parametrize('v', [0, 1, 2])
def test_one_camera_in_common_carries_the_world_on(v: int) -> None:
    """Whichever it is: its pose is kept, the others follow, and the world's frame goes with it."""
    tracks, model = from_poses()
    kept = turned(model, 60., (1., 2., .3))[0]
    rig = kept.rig()
    old = model_from_rig(rig.only((rig.cameras[v],)), model.noise, 1)
    again = lifted_model(tracks, 1.75, old)
    assert again is not None
    assert_same_place(again, kept.R, kept.t, .01, .001)
    s = again.start.cameras
    assert np.allclose(s.R @ again.world.R.T, again.R) and np.allclose(s.t - again.R @ again.world.t, again.t)
    assert min(np.abs(R - np.eye(3)).max() + np.abs(t).max() for R, t in zip(s.R, s.t, strict=True)) < 1e-9


def test_one_camera_guesses_how_far_away_the_body_is() -> None:
    """Without intrinsics a quarter; the level is 1."""
    tracks, _ = from_poses()
    one = replace(tracks.views(np.array([1])), intrinsics=(None,))
    model = lifted_model(one, 0.)
    assert model is not None and model.cameras == ('cam2',) and model.level == 1
    assert model.depth_sigma == pytest.approx(.25) and model.scale.source == 'adult prior'


def test_a_measured_floor_takes_the_heading_and_the_place_of_the_world_before() -> None:
    """Whatever both frames are: up and floor are the measured ones, the body stands on the spot where it stood, and the
    turn between the two worlds has no part about the vertical.
    """
    rng = np.random.default_rng(0)
    for _ in range(5):
        measured, like = (World(rotation.exp(rng.normal(size=3)), rng.normal(size=3), 3.) for _ in range(2))
        body = rng.normal(size=3)
        out = _turned_alike(measured, like, body)
        assert np.allclose(out.R[2], measured.R[2]) and out.t[2] == pytest.approx(measured.t[2])
        assert np.allclose((out.R @ body + out.t)[:2], (like.R @ body + like.t)[:2])
        left = like.R @ out.R.T
        assert left[1, 0] - left[0, 1] == pytest.approx(0., abs=1e-12)
        assert np.linalg.det(out.R) == pytest.approx(1.) and out.sigma_deg == 3.
