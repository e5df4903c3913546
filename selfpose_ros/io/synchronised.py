# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A recording whose cameras started apart, or have clocks of their own, on the clock of one of them."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..core.check import Kind
from ..core.observation import View2D
from ..core.sync import clock_rates, motion_offsets
from ..core.tracks.alone import tracks_of_views
from .recording import Recording

__all__ = ['synchronised']

#: what is nearer, the rig's clock offsets mend: rows of a recording stay as they are, s
_AGREE_S = .06


def synchronised(recording: Recording) -> Recording:
    """The recording with the stamps of its cameras put right by the motion that they see, see `core.sync`.

    The first camera's clock is kept, where its offset is found. Cameras whose offset is not found are left out where
    two others are left, and a note says why; else all stamps stay.
    """
    seen = tuple(recording.image_size)
    if len(seen) < 2:
        return recording
    tracks = tracks_of_views(recording.views)
    found = motion_offsets(tracks)
    rates = clock_rates(tracks, found)
    run = {c: float(r) for c, r, sure in zip(found.cameras, rates.rate, rates.significant, strict=True) if sure}
    offset = dict(zip(found.cameras, rates.offset_s if run else found.offset_s, strict=True))
    known = [c for c in recording.cameras if np.isfinite(offset.get(c, np.nan))]
    unknown = [c for c in recording.cameras if c in seen and c not in known]
    notes = [*recording.notes, *(f'{recording.name}: --sync auto: {found.why_not(c)}' for c in unknown if c in offset)]
    if len(known) < 2:
        notes.append(f'{recording.name}: --sync auto: no offset is found; the stamps are used as they are')
        return replace(recording, notes=tuple(notes))
    late = {c: float(offset[c] - offset[known[0]]) for c in known}
    if unknown:
        notes.append(f'{recording.name}: --sync auto: {", ".join(unknown)} left out')
    if max(map(abs, late.values())) <= _AGREE_S and not run:
        notes.append(f'{recording.name}: --sync auto: the clocks agree')
        return replace(recording.without(unknown), notes=tuple(notes))
    values = ', '.join(f'{c} {late[c]:+.2f} s' for c in known[1:])
    notes.append(f'{recording.name}: --sync auto: clocks by motion, against {known[0]}: {values}')
    if run:
        values = ', '.join(f'{c} {1e6 * r:+.0f} ppm' for c, r in sorted(run.items()))
        notes.append(f'{recording.name}: --sync auto: clocks that run fast or slow, against '
                     f'{found.reference}: {values}')
    own = {c: late[c] - late.get(found.reference, 0.) for c in late}

    def put_right(v: View2D) -> View2D:
        since = v.stamp - own[v.camera] - rates.middle_s           # on the clock of the reference, about
        return replace(v, stamp=v.stamp - late[v.camera] - run.get(v.camera, 0.) * since)
    views = sorted((put_right(v) for v in recording.views if v.camera in late),
                   key=lambda v: (v.stamp, recording.cameras.index(v.camera)))
    # what a second clock told of these cameras is mended
    findings = tuple(f for f in recording.findings if not (f.kind is Kind.OTHER_CLOCK and set(f.cameras) <= set(late)))
    return replace(recording, views=tuple(views), rows=None, notes=tuple(notes), findings=findings, late_s=late)
