# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The states of a rig while it is estimated, what leads from one to another, and every reason that there is none yet.

docs/architecture.md has the picture of it.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType

from .rig.solution import Solution

__all__ = ['TRANSITIONS', 'Change', 'Explanation', 'Reason', 'RigState', 'not_joined']


class RigState(Enum):
    """What there is of a rig."""

    EMPTY = auto()                  #: nothing
    LIFTED = auto()                 #: cameras from lifted poses alone, or a single camera
    PROVISIONAL = auto()            #: solved, not good enough to be published
    CHECKING_SAVED = auto()         #: a saved rig that the views of today have to agree with
    TRUSTED = auto()                #: good enough to be published
    PLACING = auto()                #: as before, without cameras that were moved: they are placed anew

    @property
    def solved(self) -> bool:
        """There is a rig that was solved from views."""
        return self in (RigState.PROVISIONAL, RigState.TRUSTED, RigState.PLACING)

    @property
    def trusted(self) -> bool:
        """The rig is published."""
        return self in (RigState.TRUSTED, RigState.PLACING)


_S = RigState

#: where each state can lead; a clock that jumps back, or a camera that shows another part of the picture, to the start
TRANSITIONS: Mapping[RigState, frozenset[RigState]] = MappingProxyType({
    _S.EMPTY: frozenset({_S.LIFTED, _S.PROVISIONAL, _S.TRUSTED, _S.CHECKING_SAVED}),
    _S.LIFTED: frozenset({_S.EMPTY, _S.PROVISIONAL, _S.TRUSTED, _S.CHECKING_SAVED}),
    _S.PROVISIONAL: frozenset({_S.EMPTY, _S.TRUSTED, _S.CHECKING_SAVED}),
    _S.CHECKING_SAVED: frozenset({_S.EMPTY, _S.TRUSTED}),
    _S.TRUSTED: frozenset({_S.EMPTY, _S.PROVISIONAL, _S.PLACING}),
    _S.PLACING: frozenset({_S.EMPTY, _S.TRUSTED}),
})


class Reason(Enum):
    """Why there is no rig to be published; the value is the sentence, with what `Explanation` has in its braces."""

    NONE = ''
    WAITING = 'waiting for the first views'
    ONE_CAMERA = 'one camera, whose poses a network completes: a second one would measure them'
    LIFTED_POSES = 'poses by a network so far: keep moving'
    NOT_SOLVED = '{reason}'
    FEW_INSTANTS = 'only {rows} instants so far show half of a body in two cameras, {needed} are needed'
    CLOCKS = 'the clocks of the cameras were put right by up to {ms:.0f} ms: the rig is found again with them'
    UNCERTAIN = 'the rotation of a camera is still uncertain by {degrees:.1f} degrees: keep moving'
    NOT_JOINED = ('who is who is still doubtful: of the bodies that cameras on two sides should see, both see '
                  '{joined:.0f} %: let one of the people walk, or be alone, for some seconds')
    SAVED_CHECKED = 'the saved rig is being checked against the views'
    SAVED_SIZE = 'the saved rig has another image size for {cameras}: it is solved anew'
    SAVED_APART = ('the saved rig does not fit the views any more (its cameras do not see one person in one place): '
                   'it is solved anew')
    SAVED_OFF = 'the saved rig does not fit the views any more (residuals of {sigmas:.1f} sigmas): it is solved anew'
    MOVED = 'the cameras do not agree any more ({cameras} moved?): the rig is solved anew'
    OTHER_PICTURE = ('camera {camera} shows another part of the picture since its image size went from {before} to '
                     '{now} px: the rig is solved anew')


@dataclass(frozen=True)
class Explanation:
    """A reason with its figures."""

    reason: Reason
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """One sentence, without a stop; '' for none."""
        return self.reason.value.format(**self.values)


def not_joined(solution: Solution) -> Explanation:
    """That it is doubtful who is who, see `Solution.is_joined`."""
    return Explanation(Reason.NOT_JOINED, {'joined': 100 * solution.joined})


class Change(Enum):
    """What a step of the rig means for those who use it."""

    NOTHING = auto()
    MODEL = auto()                  #: another model or another level, nobody moves
    CAMERAS = auto()                #: the same world, other cameras in it: people go on
    LEFT_OUT = auto()               #: some cameras measure nothing for the time being
    SOLVED = auto()                 #: a new solution in the same world
    NEW_WORLD = auto()              #: a new solution in another world
    LOST = auto()                   #: there is no model any more; what was seen stays
    OTHER_PEOPLE = auto()           #: the cameras look at different people: somebody else is to be tried
    FORGOTTEN = auto()              #: all begins again, people keep their identities
