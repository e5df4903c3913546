# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A recording after the check that precedes every solver: what cannot be used is refused or left out, and noted."""
from __future__ import annotations

from dataclasses import replace

from ..core.check import Verdict, check_views, step_findings
from .errors import IoError
from .recording import Recording

__all__ = ['checked']


def checked(recording: Recording, *, keep_cameras: bool = False, in_step: bool = True) -> Recording:
    """The recording with all findings, without the cameras that cannot be used together with the others.

    Where fewer than two cameras would be left, all stay. A sentence on each finding becomes a note.

    Args:
        recording: as it was read.
        keep_cameras: leave none out, for truth that names all of them.
        in_step: look for cameras that show movements at other times than the others, too.

    Raises:
        IoError: no result of it would mean anything.
    """
    findings = list(recording.findings)
    off = {c for f in findings if f.verdict is Verdict.LEAVE_OUT for c in f.cameras}
    # what one clock explains needs no second sentence
    findings += [f for f in check_views(recording.frames()) if not (f.verdict is Verdict.LEAVE_OUT
                                                                    and set(f.cameras) <= off)]
    off |= {c for f in findings if f.verdict is Verdict.LEAVE_OUT for c in f.cameras}
    if in_step and not any(f.verdict is Verdict.REFUSE for f in findings):
        findings += step_findings(v for v in recording.views if v.camera not in off)
    refused = [f.text for f in findings if f.verdict is Verdict.REFUSE]
    if refused:
        raise IoError(f'{"; ".join(refused)}', place=recording.name)
    out = {c for f in findings if f.verdict is Verdict.LEAVE_OUT for c in f.cameras}
    if keep_cameras or len(set(recording.image_size) - out) < 2:
        out = set()
    notes = [f'{recording.name}: {f.text}' + (f'; {", ".join(f.cameras)} is left out' if out & set(f.cameras) and
                                             f.verdict is Verdict.LEAVE_OUT else '') for f in findings]
    return replace(recording.without(out), notes=(*recording.notes, *notes), findings=tuple(findings))
