# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a check found: its kind, the cameras it concerns, the figures; and the one table of sentences and verdicts."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

__all__ = ['Finding', 'Kind', 'Verdict']


class Verdict(Enum):
    """What follows from a finding for a recording.

    REFUSE: no result of it would mean anything. LEAVE_OUT: the cameras concerned cannot be used with the others, which
    can. EXPLAIN: everything is used; where no rig is found, this is why. NOTE: worth a sentence.
    """

    REFUSE = 'refuse'
    LEAVE_OUT = 'leave out'
    EXPLAIN = 'explain'
    NOTE = 'note'


class Kind(Enum):
    """What can be wrong with what cameras and 2D networks deliver."""

    NOT_PIXELS = 'not pixels'
    WRONG_SIZE = 'wrong image size'
    OUTSIDE = 'outside the image'
    CORNER = 'in one corner of the image'
    OTHER_CLOCK = 'other clock'
    NOTHING_IN_COMMON = 'no common instants'
    OUT_OF_STEP = 'movements at other times'
    TIME_UNIT = 'unit of stamps'
    FRAME_NUMBERS = 'frame numbers for stamps'
    TOO_FAST = 'stamps too close'
    GIVEN_TWICE = 'given twice'
    HARDLY_SEES = 'hardly sees anybody'
    BLACK = 'black pictures'
    UNIFORM = 'pictures without contrast'
    FROZEN = 'one picture again and again'


_TABLE: dict[Kind, tuple[Verdict, str]] = {
    Kind.NOT_PIXELS: (Verdict.REFUSE, 'keypoints of {cameras} lie between {low:.2f} and {high:.2f}, not in pixels; '
                      'multiply them by the image size'),
    Kind.WRONG_SIZE: (Verdict.REFUSE, '{joints} joints lie outside of {size} px{hint}; give the size of the images '
                      'that the 2D network saw'),
    Kind.OUTSIDE: (Verdict.EXPLAIN, '{joints} joints lie outside of {size} px, with {people:.0%} of the people{hint}; '
                   'is that the size of the images that the 2D network saw?'),
    Kind.CORNER: (Verdict.EXPLAIN, 'all joints of {cameras} lie in the upper left {part:.0%} of width and height '
                  'of the images; is the image size that of the images that the 2D network saw?'),
    Kind.OTHER_CLOCK: (Verdict.LEAVE_OUT, '{whose} stamps ({range}) are {off:.1f} s {side} those of {others} '
                       '({other_range}) by {witness}: another clock, to be synchronised (chrony, PTP), '
                       'or a driver that does not stamp by the time of day; of a recording, --sync auto finds '
                       'what it is off by'),
    Kind.NOTHING_IN_COMMON: (Verdict.LEAVE_OUT, '{whose} stamps ({range}) have {common} with those of {others} '
                             '({other_range}): another clock, other frame numbers, or another recording; --sync auto '
                             'finds clocks that are off'),
    Kind.OUT_OF_STEP: (Verdict.EXPLAIN, '{whose} movements come {off:.2f} s {side} than those of {others}: '
                       'recordings that did not start together, or a clock that is off; --sync auto puts that right'),
    Kind.TIME_UNIT: (Verdict.EXPLAIN, '{whose} stamps lie {step:.6g} s apart: stamps are in seconds; in {unit} these '
                     'would be {rate:.3g} images a second'),
    Kind.FRAME_NUMBERS: (Verdict.EXPLAIN, '{whose} stamps are exactly 1 s apart: stamps are in seconds; are these '
                         'frame numbers? divide them by the frames a second'),
    Kind.TOO_FAST: (Verdict.EXPLAIN, '{whose} stamps lie {step:.2g} s apart, {rate:.0f} images a second: stamps are in '
                    'seconds; check their unit'),
    Kind.GIVEN_TWICE: (Verdict.LEAVE_OUT, '{cameras} has the same joints as {others} in {same} of {both} instants: one '
                       'camera given twice; give each once'),
    Kind.HARDLY_SEES: (Verdict.NOTE, '{cameras}: sees somebody in {seen} of {instants} instants'),
    Kind.BLACK: (Verdict.EXPLAIN, '{cameras}: {share:.0%} of {images} pictures are black; look at lens cap, exposure '
                 'and light'),
    Kind.UNIFORM: (Verdict.EXPLAIN, '{cameras}: {share:.0%} of {images} pictures show one even colour; look at camera '
                   'and driver'),
    Kind.FROZEN: (Verdict.EXPLAIN, '{cameras}: {share:.0%} of {images} pictures are the same as the one before; '
                  'where somebody moves, the camera or its driver hangs'),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: what.
        cameras: those concerned, at least one.
        figures: what was measured, by name, as the sentence of its kind shows them: stamps and times in s, places in
            px, shares from 0 to 1.
    """

    kind: Kind
    cameras: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """What follows from it."""
        return _TABLE[self.kind][0]

    @property
    def text(self) -> str:
        """One sentence, without full stop: what, where, what to do."""
        names = ', '.join(self.cameras)
        shown = {k: ', '.join(v) if isinstance(v, tuple) else v for k, v in self.figures.items()}
        return _TABLE[self.kind][1].format(cameras=names, whose=f"{names}'s", **shown)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {'kind': self.kind.value, 'cameras': list(self.cameras), 'verdict': self.verdict.value,
                'figures': dict(self.figures), 'text': self.text}
