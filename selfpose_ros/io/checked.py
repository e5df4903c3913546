# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A recording after the check that precedes every solver: what cannot be used is refused or left out, and noted."""
from __future__ import annotations

from dataclasses import replace

from ..core.check import Verdict, check_views
from .errors import IoError
from .recording import Recording

__all__ = ['checked']


def checked(recording: Recording, *, keep_cameras: bool = False) -> Recording:
    """The recording with all findings, without the cameras that cannot be used together with the others.

    Where fewer than two cameras would be left, all stay. A sentence on each finding becomes a note.

    Args:
        recording: as it was read.
        keep_cameras: leave none out, for truth that names all of them.

    Raises:
        IoError: no result of it would mean anything.
    """
    findings = list(recording.findings)
    off = {c for f in findings if f.verdict is Verdict.LEAVE_OUT for c in f.cameras}
    # what one clock explains needs no second sentence
    findings += [f for f in check_views(recording.frames()) if not (f.verdict is Verdict.LEAVE_OUT
                                                                    and set(f.cameras) <= off)]
    refused = [f.text for f in findings if f.verdict is Verdict.REFUSE]
    if refused:
        raise IoError(f'{recording.name}: {"; ".join(refused)}')
    out = {c for f in findings if f.verdict is Verdict.LEAVE_OUT for c in f.cameras}
    if keep_cameras or len(set(recording.image_size) - out) < 2:
        out = set()
    notes = [f'{recording.name}: {f.text}' + (f'; {", ".join(f.cameras)} is left out' if out & set(f.cameras) and
                                             f.verdict is Verdict.LEAVE_OUT else '') for f in findings]
    return replace(recording.without(out), notes=(*recording.notes, *notes), findings=tuple(findings))
