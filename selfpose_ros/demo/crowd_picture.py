# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The sheet of several people: each in the colour of the identity that was given, who it is in truth beside it."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.camera import project
from ..core.observation import Skeleton3D
from ..core.rig import Rig
from ..core.skeleton import JOINTS
from ..evaluation.alignment import pa_mm
from ..io.overlay import Colour, Image, _drawable, draw_skeleton, draw_text
from .film import Film
from .picture import Sheet, standing
from .record import Instant, Record, alignment_of
from .scene import Viewpoint
from .table import letter
from .who import Match, who_is_who

__all__ = ['CrowdSheet', 'identity_colour']

Array = NDArray[np.float64]

_HEAD = JOINTS.index('head')
#: BGR by identity, in turn; none is that of a level or of the truth
_COLOURS: tuple[Colour, ...] = ((80, 200, 250), (250, 160, 90), (190, 110, 240), (130, 230, 130), (90, 110, 250),
                                (230, 220, 90))
_TRUE: Colour = (245, 245, 245)
_EDGE: Colour = (20, 20, 20)
#: people nearer than this hide each other in the drawing, m
_APART_M = .8


@dataclass(frozen=True)
class _Found:
    match: Match
    error_mm: float


def identity_colour(identity: int) -> Colour:
    """BGR of an identity, from 1."""
    return _COLOURS[(identity - 1) % len(_COLOURS)]


class CrowdSheet(Sheet):
    """As `Sheet`, of a film with several people.

    Numbers are identities as published, letters the true people; a person who keeps the identity keeps the colour.
    """

    _key = 'grey, letters: the truth'

    def __init__(self, film: Film, record: Record, title: str = 'selfpose_ros') -> None:
        super().__init__(film, record, title)
        who = who_is_who(record, film, 0., film.duration_s)
        self._found: dict[float, list[_Found]] = {}
        for m in who.matches:
            self._found.setdefault(m.instant.time_s, []).append(_Found(m, pa_mm(m.skeleton.joints, m.true)))
        full = [(m.skeleton, m.true) for m in who.matches if m.skeleton.level == 3]
        self._world = alignment_of(full[len(full) // 2:])

    def best_moment(self) -> float:
        """Time for the picture, s: late, with most people found, where two are as near each other as can be drawn."""
        def worth(i: Instant) -> tuple[int, float]:
            at = np.array([p.at(i.time_s)[0] for p in self._film.people])
            apart = np.linalg.norm(at[:, None] - at, axis=-1)[np.triu_indices(len(at), 1)].min()
            return len(self._found.get(i.time_s, ())), -abs(float(apart) - _APART_M)
        return self._late(worth)

    def _caption(self, instant: Instant) -> str:
        found = self._found.get(instant.time_s, [])
        error = f', error {np.mean([f.error_mm for f in found]):.0f} mm' if found else ''
        return f'found {len(found)} of {len(self._film.people)}{error}'

    def _skeletons_in_view(self, image: Image, instant: Instant, rig: Rig, v: int) -> None:
        for s in instant.people:
            if s.level == 3:
                draw_skeleton(image, s.joints, rig.K[v], rig.R[v], rig.t[v], rig.distortion[v], 3,
                              identity_colour(s.person))

    def _names_in_view(self, image: Image, c: int, time_s: float, instant: Instant | None) -> None:
        found = {} if instant is None else {f.match.person: f.match.skeleton.person
                                            for f in self._found.get(instant.time_s, [])}
        rig = self._film.rig
        heads = [project(truth.at(time_s)[_HEAD], rig.K[c], rig.R[c], rig.t[c]) for truth in self._film.people]
        _names(image, {p: at - [0, 14] for p, at in enumerate(heads) if _drawable(at)}, found)

    def _people_in_scene(self, image: Image, eye: Viewpoint, instant: Instant, known: bool) -> None:
        if not known:                                      # poses that are nowhere: the one that is known best
            person = instant.person
            if person is not None:
                joints = standing(person.joints)
                eye.shadow(image, joints)
                eye.person(image, joints, person.sigma, identity_colour(person.person))
            return
        people = [s for s in instant.people if s.level == 3]
        for s in people:
            eye.shadow(image, s.joints)
        true = {p: self._world.undo(t.at(instant.time_s)) for p, t in enumerate(self._film.people)} \
            if self._world is not None else {}
        for joints in true.values():
            eye.ghost(image, joints)
        for s in sorted(people, key=lambda s: -self._depth(eye, s)):
            eye.person(image, s.joints, s.sigma, identity_colour(s.person))
        found = {f.match.person: f.match.skeleton.person for f in self._found.get(instant.time_s, [])}
        heads = {p: eye.pixels(joints[_HEAD]) for p, joints in true.items()}
        _names(image, {p: at - [0, 20] for p, at in heads.items() if _drawable(at)}, found)

    @staticmethod
    def _depth(eye: Viewpoint, person: Skeleton3D) -> float:
        depth = person.joints @ eye.R[2] + eye.t[2]
        known = depth[np.isfinite(depth)]
        return float(known.mean()) if len(known) else 0.

    def _dots(self, k: int) -> list[tuple[float, Colour]]:
        found = self._found.get(self._instants[k].time_s, [])
        return [(f.error_mm, identity_colour(f.match.skeleton.person)) for f in found]


def _names(image: Image, places: dict[int, Array], found: dict[int, int]) -> None:
    """Names of true people at places, px; of two heads in one place the upper one's goes above the other's."""
    drawn: list[Array] = []
    for p, at in sorted(places.items(), key=lambda item: -item[1][1]):
        while any((np.abs(at - other) < [40, 20]).all() for other in drawn):
            at = at - [0, 20]
        drawn.append(at)
        _name(image, at, p, found.get(p))


def _name(image: Image, at: Array, person: int, identity: int | None) -> None:
    """The letter of a true person, and beside it the number that it was given, in its colour; '?': not found."""
    x, y = round(float(at[0])), max(round(float(at[1])), 16)
    number = '?' if identity is None else str(identity)
    colour = _TRUE if identity is None else identity_colour(identity)
    for dark, dx, dy in ((True, -1, 1), (True, 1, -1), (True, 1, 1), (True, -1, -1), (False, 0, 0)):
        width = draw_text(image, f'{letter(person)} ', (x - 12 + dx, y + dy), 19, _EDGE if dark else _TRUE, True)
        draw_text(image, number, (x - 12 + dx + width, y + dy), 19, _EDGE if dark else colour, True)
