# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""People that move: a kinematic gait model with feet that stay where they are put.

The pelvis follows a path over the floor. Steps are planned ahead of it: a foot stands still until its turn comes,
then swings to where the pelvis will be in the middle of the next stance. Legs follow by two-bone inverse
kinematics, arms and trunk by joint angles, so every bone keeps its length. World: z up, floor z = 0; body axes
x forward, y left, z up.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import ObservationError
from . import motion_plan

__all__ = ['STYLES', 'body_offsets', 'walker']

Array = NDArray[np.float64]

STYLES = ('walk', 'exercise', 'mixed', 'stand')

#: bone lengths as shares of the stature: limbs as in Winter, Biomechanics and Motor Control of Human Movement
#: (after Drillis and Contini 1966); hips and trunk where the 17 joints lie. Floor to head top adds up to 1.
_SHARE = {'ankle': .039, 'shank': .246, 'thigh': .245, 'hip': .055, 'spine': .140, 'thorax': .148, 'neck': .070,
          'head': .112, 'shoulder': .112, 'upper_arm': .186, 'forearm': .146}
_STEP_S, _SWING = .55, .76              # a step of relaxed walking, s, and the share of it that a foot flies
_LIFT_M = .11                           # height of the ankle's arc above its height in stance


@dataclass(frozen=True)
class _Body:
    """Lengths, m."""

    ankle: float
    shank: float
    thigh: float
    hip: float
    spine: float
    thorax: float
    neck: float
    head: float
    shoulder: float
    upper_arm: float
    forearm: float


def body_offsets(height_m: float, seed: int = 0) -> dict[str, float]:
    """Bone lengths in m of the person that `walker` makes with this height and seed.

    Proportions differ between people by 3 % (one standard deviation); the standing height is exactly `height_m`.
    """
    rng = np.random.default_rng([int(seed), 11])
    share = {k: v * float(np.exp(.03 * rng.normal())) for k, v in _SHARE.items()}
    tall = sum(share[k] for k in ('ankle', 'shank', 'thigh', 'spine', 'thorax', 'neck', 'head'))
    return {k: height_m * v / tall for k, v in share.items()}


def walker(
    duration_s: float, fps: float = 30., seed: int = 0, style: str = 'mixed', height_m: float = 1.75,
    start: tuple[float, float] = (0., 0.), *, path_m: ArrayLike | None = None, speed_m_s: float = 1.,
) -> Array:
    """A person's joints over time.

    Args:
        duration_s: length, s.  fps: samples per second.  seed: everything random comes from it.
        style: 'walk' (circle or figure eight, within 1.5 m of `start`), 'exercise' (on the spot: arm raises,
            squats, knee lifts, bends, turns), 'mixed' (both in turn), 'stand' (still, with a sway of millimetres).
        height_m: standing height, m.
        start: middle of the path, or where the person stands, m.
        path_m: (N, 2) way over the floor relative to `start` instead, m, walked once; the rest of the time the
            person stands at its end. Only with style 'walk' or 'mixed'.
        speed_m_s: walking speed, m/s; above 1.4 feet slide.

    Returns:
        (T, 17, 3) m in the order of `core.skeleton.JOINTS`, T = round(duration_s * fps), at times i / fps.

    Raises:
        ObservationError: an unknown style, or a duration, fps or height that is not positive.
    """
    if style not in STYLES:
        raise ObservationError(f'walker: style {style!r} is unknown', f'choose one of {", ".join(STYLES)}')
    if not (duration_s > 0 and fps > 0 and height_m > 0):
        raise ObservationError(f'walker: duration {duration_s} s, {fps} fps and height {height_m} m must be '
                               'positive')
    body = _Body(**body_offsets(height_m, seed))
    count = max(1, round(duration_s * fps))
    every = max(1, int(np.ceil(120. / fps)))               # a fine grid: the motion is that of any fps
    dt = 1. / (fps * every)
    grid = np.arange(-int(1. / dt), count * every + int(3. / dt)) * dt
    rng = np.random.default_rng([int(seed), 12])
    plan = motion_plan.plan(rng, grid, style, np.asarray(start, float), path_m, speed_m_s)
    ankles, foot_yaw = _feet(plan, grid, body, _STEP_S * rng.uniform(.88, 1.1), rng.uniform(0, 1))
    pelvis, rotation = _pelvis(plan, ankles, body, dt)
    first = int(1. / dt)
    keep = slice(first, first + count * every, every)
    return _pose(plan, ankles, foot_yaw, pelvis, rotation, body, keep)


def _feet(plan: motion_plan.Plan, grid: Array, body: _Body, step_s: float, phase: float) -> tuple[Array, Array]:
    """Ankle targets (2, N, 3) m and foot directions (2, N) rad of right and left leg; phase: 0..1 of two steps."""
    n, dt = len(grid), grid[1] - grid[0]
    width = np.array([-.9, .9]) * body.hip

    def neutral(leg: int, i: int) -> tuple[Array, float]:
        i = min(max(i, 0), n - 1)
        yaw = float(plan.yaw[i])
        return plan.floor[i] + width[leg] * np.array([-np.sin(yaw), np.cos(yaw)]), yaw

    ankle, yaws = np.zeros((2, n, 3)), np.zeros((2, n))
    at = [neutral(leg, 0) for leg in (0, 1)]
    for leg in (0, 1):
        ankle[leg, :, :2], yaws[leg] = at[leg]
    ankle[..., 2] = body.ankle
    step, swing = round(step_s / dt), round(_SWING * step_s / dt)
    roll = round(.13 / dt)                                 # the heel leaves the floor before the toes do
    for k, i in enumerate(range(roll + round(2 * phase * step), n - swing, step)):
        leg = k % 2
        goal, yaw = neutral(leg, i + swing + (2 * step - swing) // 2)
        old, old_yaw = at[leg]
        far, turn = float(np.linalg.norm(goal - old)), abs(yaw - old_yaw)
        if far < .03 and turn < .12:
            continue
        u = np.arange(swing + 1) / swing
        s = motion_plan.ease(u)
        ankle[leg, i:i + swing + 1, :2] = old + s[:, None] * (goal - old)
        ankle[leg, i + swing:, :2] = goal
        yaws[leg, i:i + swing + 1] = old_yaw + s * (yaw - old_yaw)
        yaws[leg, i + swing:] = yaw
        arc = np.sin(np.pi * motion_plan.ease(np.linspace(0, 1, roll + swing + 1))) ** 2
        ankle[leg, i - roll:i + swing + 1, 2] += _LIFT_M * min(1., .4 + far + .3 * turn) * arc
        at[leg] = goal, yaw
    for leg in (0, 1):                                     # knee lifts of the exercises
        ankle[leg, :, 2] += plan.knee_lift[leg] * (body.thigh + .3 * body.shank)
    return ankle, yaws


def _pelvis(plan: motion_plan.Plan, ankles: Array, body: _Body, dt: float) -> tuple[Array, Array]:
    """Pelvis position (N, 3) m, as high as the feet let it, and rotation (N, 3, 3)."""
    forward = np.stack([np.cos(plan.yaw), np.sin(plan.yaw)], -1)
    left = np.stack([-forward[:, 1], forward[:, 0]], -1)
    stride = ((ankles[0, :, :2] - ankles[1, :, :2]) * forward).sum(-1)           # right foot ahead
    lifted = ankles[0, :, 2] - ankles[1, :, 2]                                   # right foot in the air
    side = motion_plan.smooth(.2 * lifted, .1 / dt)                                   # weight goes over the other foot
    floor = plan.floor + plan.sway + side[:, None] * left - (.35 * plan.squat * body.thigh)[:, None] * forward
    yaw = plan.yaw + motion_plan.smooth(.25 * stride, .05 / dt)
    roll = motion_plan.smooth(-.3 * lifted, .08 / dt)
    rotation = motion_plan.rot_z(yaw) @ motion_plan.rot_x(roll) @ motion_plan.rot_y(.25 * plan.lean)
    reach = .985 * (body.thigh + body.shank)
    hips = floor + np.array([[-1.], [1.]])[..., None] * body.hip * left
    d2 = ((ankles[..., :2] - hips) ** 2).sum(-1)
    lift = np.maximum(ankles[..., 2] - body.ankle, 0.)                           # a lifted foot may hang bent
    z = (body.ankle + lift + np.sqrt(np.maximum(reach ** 2 - d2, (.6 * reach) ** 2))).min(0)
    z = motion_plan.smooth(z, .06 / dt) - plan.squat * (.9 * body.thigh)
    return np.concatenate([floor, z[:, None]], -1), rotation


def _leg(hip: Array, ankle: Array, forward: Array, thigh: float, shank: float) -> tuple[Array, Array]:
    """Knee and ankle (T, 3): two-bone inverse kinematics with the knee in front; far targets are not reached."""
    axis = ankle - hip
    d = np.linalg.norm(axis, axis=-1, keepdims=True)
    axis = axis / d
    longest, soft = .997 * (thigh + shank), .03 * (thigh + shank)
    over = (d - (longest - soft)) / soft                   # nearly straight legs saturate smoothly
    d = np.where(over > 0, longest - soft + soft * np.tanh(np.maximum(over, 0)), d)
    pole = forward - (forward * axis).sum(-1, keepdims=True) * axis
    pole = pole / np.linalg.norm(pole, axis=-1, keepdims=True)
    along = (d * d + thigh ** 2 - shank ** 2) / (2 * d)
    knee = hip + along * axis + np.sqrt(np.maximum(thigh ** 2 - along ** 2, 0)) * pole
    return knee, hip + d * axis


def _pose(plan: motion_plan.Plan, ankles: Array, foot_yaw: Array, pelvis: Array, rotation: Array, body: _Body,
          keep: slice) -> Array:
    """Joints (T, 17, 3) at the kept instants."""
    p, rot = pelvis[keep], rotation[keep]
    out = np.empty((len(p), 17, 3))
    out[:, 0] = p
    for leg, (hip, side) in enumerate(((1, -1.), (4, 1.))):
        out[:, hip] = p + rot @ np.array([0, side * body.hip, 0])
        yaw = .5 * (foot_yaw[leg, keep] + plan.yaw[keep]) - side * -.08          # toes a little outwards
        front = np.stack([np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)], -1)
        out[:, hip + 1], out[:, hip + 2] = _leg(out[:, hip], ankles[leg, keep], front, body.thigh, body.shank)
    ahead = ankles[..., :2] - pelvis[:, :2]
    swing = (ahead * np.stack([np.cos(plan.yaw), np.sin(plan.yaw)], -1)).sum(-1)[:, keep]    # right, left foot
    upright = motion_plan.rot_z(plan.yaw[keep])
    twist = plan.twist[keep] - .15 * (swing[0] - swing[1])
    bend, lean = plan.bend[keep], plan.lean[keep]
    low = upright @ motion_plan.rot_z(.4 * twist) @ motion_plan.rot_x(.5 * bend) @ motion_plan.rot_y(.5 * lean)
    trunk = upright @ motion_plan.rot_z(twist) @ motion_plan.rot_x(bend) @ motion_plan.rot_y(lean)
    up = np.array([0, 0, 1.])
    out[:, 7] = p + low @ (body.spine * up)
    out[:, 8] = out[:, 7] + trunk @ (body.thorax * up)
    head = upright @ motion_plan.rot_z(plan.look[keep, 0]) @ motion_plan.rot_y(.35 * lean + plan.look[keep, 1])
    tilt = np.array([.35, 0, np.sqrt(1 - .35 ** 2)])       # neck_nose lies before the line from thorax to head
    out[:, 9] = out[:, 8] + head @ (body.neck * tilt)
    back = np.array([-.2, 0, np.sqrt(1 - .04)])
    out[:, 10] = out[:, 9] + head @ (body.head * back)
    for arm, (joint, side) in enumerate(((14, -1.), (11, 1.))):
        out[:, joint] = out[:, 8] + trunk @ np.array([0, side * body.shoulder, 0])
        flexion = plan.arm_flexion[arm, keep] + .9 * swing[1 - arm]              # against the leg of the same side
        upper = (trunk @ motion_plan.rot_x(side * plan.arm_abduction[arm, keep]) @ motion_plan.rot_y(-flexion)
                 @ motion_plan.rot_z(-side * plan.arm_turn[arm, keep]))
        elbow = np.maximum(plan.elbow[arm, keep] + .35 * np.maximum(swing[1 - arm], -.3), .05)
        out[:, joint + 1] = out[:, joint] + upper @ (-body.upper_arm * up)
        out[:, joint + 2] = out[:, joint + 1] + upper @ motion_plan.rot_y(-elbow) @ (-body.forearm * up)
    return out
