# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A dressed body around 17 joints: cones and ellipsoids with colours, for the renderer.

Sizes are those of a person of 1.75 m; they scale with the distance between hips and thorax. World: z up, metres.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import ObservationError
from ..core.skeleton import JOINTS

__all__ = ['Cone', 'Ellipsoid', 'Look', 'body_parts', 'drawn_joints']

Array = NDArray[np.float64]
Colour = tuple[float, float, float]

#: hip-to-thorax distance of the person that the sizes below belong to, m
_TRUNK_M = 0.50
_J = {name: i for i, name in enumerate(JOINTS)}


class Cone(NamedTuple):
    """Hull of two spheres."""

    a: Array
    b: Array
    radius_a: float
    radius_b: float
    colour: Colour


class Ellipsoid(NamedTuple):
    """Centre (3,) and semi-axes as columns (3, 3), m."""

    centre: Array
    axes: Array
    colour: Colour


@dataclass(frozen=True)
class Look:
    """Clothes and build.

    Attributes:
        skin, hair, shirt, sleeve, trousers, shoes, belt, eye, eye_white, mouth: colours, BGR 0..1.
        girth: factor on all thicknesses but the head's.
        sleeves, legs: how far sleeves and trousers reach: 0 = nowhere, 1 = to elbow and knee, 2 = to wrist and ankle.
        loose: how much further clothes stand off from the body, m.
    """

    skin: Colour = (.52, .64, .84)
    hair: Colour = (.10, .14, .20)
    shirt: Colour = (.62, .34, .16)
    sleeve: Colour = (.70, .42, .22)
    trousers: Colour = (.30, .27, .25)
    shoes: Colour = (.86, .86, .88)
    belt: Colour = (.10, .12, .16)
    eye: Colour = (.08, .07, .07)
    eye_white: Colour = (.93, .94, .95)
    mouth: Colour = (.34, .32, .62)
    girth: float = 1.
    sleeves: float = .62
    legs: float = 2.
    loose: float = 0.


def _unit(v: Array) -> Array:
    return np.asarray(v / max(float(np.linalg.norm(v)), 1e-9))


def _across(v: Array, axis: Array) -> Array:
    """Unit vector of the part of v that is perpendicular to the unit vector `axis`."""
    return _unit(v - (v @ axis) * axis)


class _Frames(NamedTuple):
    """Directions of trunk and head: columns forward, left, up."""

    size: float
    chest: Array
    pelvis: Array
    head: Array


def _frames(j: Array) -> _Frames:
    trunk = j[_J['thorax']] - j[_J['pelvis']]
    up = _unit(trunk)
    left = _across(j[_J['l_shoulder']] - j[_J['r_shoulder']], up)
    chest = np.stack([np.cross(left, up), left, up], -1)
    spine = _unit(j[_J['spine']] - j[_J['pelvis']])
    hips = _across(j[_J['l_hip']] - j[_J['r_hip']], spine)
    pelvis = np.stack([np.cross(hips, spine), hips, spine], -1)
    top = _unit(j[_J['head']] - j[_J['thorax']])
    # where the nose joint stands before the line thorax - head tells where the head looks; else the chest does
    nose = j[_J['neck_nose']] - j[_J['thorax']]
    ahead = nose - (nose @ top) * top
    if np.linalg.norm(ahead) < .012 or ahead @ chest[:, 0] < 0:
        ahead = chest[:, 0]
    ahead = _across(ahead, top)
    return _Frames(float(np.linalg.norm(trunk)) / _TRUNK_M, chest, pelvis,
                   np.stack([ahead, np.cross(top, ahead), top], -1))


def _head_centre(j: Array, f: _Frames) -> Array:
    return np.asarray(j[_J['head']] - f.size * f.head @ np.array([-.004, 0, .128]))


#: from the middle of the head to the tip of the nose: forward, left, up, m
_NOSE = np.array([.113, 0, -.026])


def drawn_joints(joints: ArrayLike) -> Array:
    """The joints (..., 17, 3) m as the picture shows them.

    Joint sets differ in what they call neck and nose: here it is the tip of the nose that is drawn, which 2D
    networks look for. All other joints are those given.
    """
    out = np.array(joints, float)
    flat = out.reshape(-1, 17, 3)
    for j in flat:
        f = _frames(j)
        j[_J['neck_nose']] = _head_centre(j, f) + f.size * f.head @ _NOSE
    return out


def body_parts(joints: ArrayLike, look: Look | None = None) -> tuple[list[Cone], list[Ellipsoid]]:
    """Cones and ellipsoids of one person.

    Args:
        joints: (17, 3) m, finite.
        look: clothes and build.

    Raises:
        ObservationError: other joints.
    """
    j = np.asarray(joints, float)
    if j.shape != (17, 3) or not np.isfinite(j).all():
        raise ObservationError(f'renderer: expected finite joints (17, 3) in metres, got shape {j.shape}',
                               'draw whole people')
    look = look or Look()
    f = _frames(j)
    cones: list[Cone] = []
    balls: list[Ellipsoid] = []
    _trunk(j, f, look, cones, balls)
    for side in 'lr':
        _arm(j, f, look, side, cones, balls)
        _leg(j, f, look, side, cones, balls)
    _head(j, f, look, cones, balls)
    return cones, balls


def _ball(balls: list[Ellipsoid], origin: Array, frame: Array, size: float, offset: tuple[float, float, float],
          semi: tuple[float, float, float], colour: Colour) -> None:
    """Ellipsoid at `offset`, semi-axes along forward, left, up of a frame, in sizes of the standard person."""
    balls.append(Ellipsoid(origin + size * frame @ np.array(offset), size * frame * np.array(semi), colour))


def _trunk(j: Array, f: _Frames, look: Look, cones: list[Cone], balls: list[Ellipsoid]) -> None:
    s, thorax, pelvis, spine = f.size, j[_J['thorax']], j[_J['pelvis']], j[_J['spine']]
    chest = .45 * spine + .55 * thorax
    g, out = look.girth, look.loose
    _ball(balls, chest, f.chest, s, (.0, 0, .0), (.112 * g + out, .160 * g + out, .195), look.shirt)
    _ball(balls, spine, f.chest, s, (.002, 0, -.02), (.106 * g + out, .150 * g + out, .19), look.shirt)
    _ball(balls, pelvis, f.pelvis, s, (-.010, 0, .025), (.112 * g + out, .160 * g + out, .115), look.trousers)
    _ball(balls, pelvis, f.pelvis, s, (-.002, 0, .088), (.110 * g + out, .153 * g + out, .030), look.belt)
    for side in 'lr':
        shoulder = j[_J[f'{side}_shoulder']]
        cones.append(Cone(thorax - .01 * s * f.chest[:, 0], shoulder, .068 * s, .062 * s, look.shirt))
        cones.append(Cone(shoulder - s * f.chest @ np.array([0, 0, .03]), .5 * (spine + chest), .062 * s,
                          .10 * s * g, look.shirt))


def _cloth(cones: list[Cone], limb: tuple[Array, Array, Array], reach: float,
           radii: tuple[tuple[float, float], tuple[float, float]], size: float, loose: float, colour: Colour) -> None:
    """What is worn on the two parts of a limb, as far down as it reaches (0..2)."""
    for i, (top, bottom) in enumerate(radii):
        share = min(max(reach - i, 0.), 1.)
        if share > 0:
            end = limb[i] + share * (limb[i + 1] - limb[i])
            cones.append(Cone(limb[i], end, top * size + loose, (top + share * (bottom - top)) * size + loose, colour))


def _arm(j: Array, f: _Frames, look: Look, side: str, cones: list[Cone], balls: list[Ellipsoid]) -> None:
    s = f.size
    shoulder, elbow, wrist = (j[_J[f'{side}_{n}']] for n in ('shoulder', 'elbow', 'wrist'))
    thick = s * look.girth
    cones.append(Cone(shoulder, elbow, .050 * thick, .041 * thick, look.skin))
    cones.append(Cone(elbow, wrist, .043 * thick, .029 * s, look.skin))
    _cloth(cones, (shoulder, elbow, wrist), look.sleeves, ((.060, .048), (.051, .037)), thick, s * look.loose,
           look.sleeve)
    along = _unit(wrist - elbow)
    flat = _across(f.chest[:, 1] + 1e-3 * f.chest[:, 0], along)
    frame = np.stack([np.cross(flat, along), flat, along], -1)
    _ball(balls, wrist, frame, s, (0, 0, .075), (.043, .022, .088), look.skin)
    _ball(balls, wrist, frame, s, (.042, 0, .055), (.017, .017, .042), look.skin)


def _leg(j: Array, f: _Frames, look: Look, side: str, cones: list[Cone], balls: list[Ellipsoid]) -> None:
    s = f.size
    hip, knee, ankle = (j[_J[f'{side}_{n}']] for n in ('hip', 'knee', 'ankle'))
    thick = s * look.girth
    if look.legs < 2:                                      # skin below the hem, thinner than the cloth above it
        cones.append(Cone(hip, knee, .084 * thick, .055 * thick, look.skin))
        cones.append(Cone(knee, ankle, .057 * thick, .040 * s, look.skin))
    _cloth(cones, (hip, knee, ankle), look.legs, ((.090, .060), (.061, .044)), thick, s * look.loose, look.trousers)
    shank = _unit(knee - ankle)
    toes = _across(f.pelvis[:, 0], shank)
    frame = np.stack([toes, np.cross(shank, toes), shank], -1)
    _ball(balls, ankle, frame, s, (.055, 0, -.044), (.130, .045, .030), look.shoes)
    _ball(balls, ankle, frame, s, (-.020, 0, -.034), (.050, .038, .040), look.shoes)


def _head(j: Array, f: _Frames, look: Look, cones: list[Cone], balls: list[Ellipsoid]) -> None:
    s, centre = f.size, _head_centre(j, f)
    cones.append(Cone(j[_J['thorax']] + s * f.chest @ np.array([-.012, 0, .01]), centre - s * .05 * f.head[:, 2],
                      .058 * s, .054 * s, look.skin))

    def put(offset: tuple[float, float, float], semi: tuple[float, float, float], colour: Colour) -> None:
        _ball(balls, centre, f.head, s, offset, semi, colour)

    put((.0, 0, .012), (.096, .079, .110), look.skin)                # skull
    put((.034, 0, -.055), (.062, .059, .072), look.skin)             # jaw
    put((-.024, 0, .034), (.094, .088, .099), look.hair)             # hair leaves the face free
    put((.012, 0, .086), (.086, .074, .045), look.hair)
    put((.099, 0, -.020), (.020, .014, .027), look.skin)             # nose
    put((.088, 0, -.070), (.012, .026, .008), look.mouth)
    for left in (1., -1.):
        put((.086, left * .032, .010), (.012, .015, .010), look.eye_white)
        put((.094, left * .032, .010), (.008, .008, .008), look.eye)
        put((.088, left * .032, .031), (.012, .020, .005), look.hair)
        put((.002, left * .083, -.012), (.020, .012, .032), look.skin)      # ears
