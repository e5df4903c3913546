# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The error classes of the core. Messages say what, where and what to do next in one sentence."""
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

__all__ = ['SelfposeError', 'CoreError', 'SkeletonError', 'ObservationError', 'CameraError', 'RigError']


class SelfposeError(Exception):
    """Base of the errors of all rooms. Mostly, something that was given cannot be used.

    The text is `place: what; remedy`, without what is empty.

    Attributes:
        place: the file, folder, recording, model or message; '' where `what` has it, or who catches it.
        what: the matter with it.
        remedy: what to do next; '' where it goes without saying.
    """

    def __init__(self, what: str, remedy: str = '', *, place: object = '') -> None:
        self.place, self.what, self.remedy = str(place), what, remedy
        super().__init__(f'{self.place}: ' * bool(self.place) + what + f'; {remedy}' * bool(remedy))

    def at(self, place: object) -> Self:
        """The same of another place: of a file of which that one is a copy, say."""
        other = type(self)(self.what, self.remedy, place=place)
        vars(other).update(vars(self) | {'place': str(place)})
        return other

    def within(self, place: object) -> Self:
        """The same of something larger that its place is a part of."""
        return self.at(f'{place}: {self.place}' if self.place else place)

    @classmethod
    def of(cls, error: Exception) -> Self:
        """The same as an error of another room."""
        return cls(error.what, error.remedy, place=error.place) if isinstance(error, SelfposeError) else cls(str(error))


class CoreError(SelfposeError, ValueError):
    """Base of everything that the core raises on bad input."""


class SkeletonError(CoreError):
    """A list of joint names does not describe a body that can be mapped to the 17 joints."""


class ObservationError(CoreError):
    """Arrays of an observation have the wrong shape or impossible values."""


class CameraError(CoreError):
    """Intrinsics or distortion that no camera can have."""


class RigError(CoreError):
    """A rig value that is not a rig: rotation without det +1, unequal numbers of cameras."""
