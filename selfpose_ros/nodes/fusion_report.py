# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How the fusion is: entries for /diagnostics, the overall one first."""
from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.check import Finding, Verdict
from ..core.estimator import CameraStatus
from ..core.observation import LEVEL_NAMES
from ..core.view_buffer import CameraStream
from .diagnostics import ERROR, OK, WARN, Entry, number
from .freshness import A_FEW
from .fusion_worker import FusionWorker
from .keypoints_input import KeypointsInput
from .meters import Meter
from .parameters import FusionSettings

__all__ = ['camera_entry', 'fusion_entry']


def fusion_entry(worker: FusionWorker | None, inputs: Sequence[KeypointsInput], latency: Meter, failures: Meter,
                 failure: str, settings: FusionSettings, starting: bool = False) -> Entry:
    """The state of the estimator.

    Args:
        worker: None = the node is not active.
        latency: one event per published instant, value = seconds from its stamp to its publication.
        failures: one event per defect met.  failure: a sentence on the last one.
        starting: that nothing comes yet is no fault.
    """
    if worker is None:
        return Entry('fusion', OK, 'inactive', 'not active')
    s, rig, late = worker.status, worker.rig, len(worker.late.values())
    level, state, message = (OK if s.ok else WARN), f'level {s.level}', s.sentence
    if failures.values():
        level, state, message = ERROR, 'defect', failure
    elif starting and not any(k.views.total for k in inputs):
        level, state, message = OK, 'starting', 'waits for the first keypoints; pose2d_node may still be loading'
    elif not inputs:
        level, state = WARN, 'no cameras'
        message = 'no camera publishes keypoints; start pose2d_node, or name the cameras in `cameras`'
    elif all(k.rhythm.silent(settings.stale_after_s) for k in inputs) or not any(k.views.total for k in inputs):
        level, state, message = WARN, 'no views', 'no keypoints come from any camera; see the cameras below'
    elif late >= A_FEW:
        level, state, message = WARN, 'late', (
            f'{late} results of the last seconds came later than max_age_s and were left out; use fewer cameras or '
            f'people, a faster machine, or a higher max_age_s ({s.sentence})')
    elif rig is None and (wrong := [f.text for f in worker.findings if f.verdict is not Verdict.NOTE]):
        level, state, message = WARN, 'check', f'{"; ".join(wrong)} ({s.sentence})'
    elif not s.ok:
        state = f'level {s.level}, look'
    return Entry('fusion', level, state, message, {
        'level': s.level, 'level_name': LEVEL_NAMES.get(s.level, '?'),
        'instants_per_s': worker.instants.rate_hz(), 'instants': worker.instants.total,
        'skipped': worker.skipped, 'late_results': worker.late.total, 'clock_jumps': worker.epochs,
        'rig': 'trusted' if rig is not None else 'solving' if s.solving else 'none', 'rig_reason': s.rig_reason,
        'rig_quality': number(s.rig_quality, 2), 'rig_cameras': ', '.join(rig.cameras) if rig is not None else '',
        'scale_source': s.scale_source or 'none', 'scale_sigma': number(s.scale_sigma, 3),
        'latency_p50_ms': 1e3 * latency.percentile(50), 'latency_p95_ms': 1e3 * latency.percentile(95),
    })


def camera_entry(source: KeypointsInput, stream: CameraStream | None, status: CameraStatus | None,
                 settings: FusionSettings, starting: bool = False, findings: Sequence[Finding] = (),
                 clock: str = '') -> Entry:
    """The state of one camera's keypoints.

    Args:
        stream: what the view buffer has.  status: what the estimator has; None = nothing yet.
        starting: that nothing comes yet is no fault.
        findings: of the check of all views.
        clock: what was done with the camera's clock; '' = nothing.
    """
    found = [f for f in findings if source.name in f.cameras]
    level, state, message = _camera_state(source, stream, status, settings, starting, found)
    if clock:
        level, state, message = max(level, WARN), f'{state}, clock put right', f'{message}; {clock}'
    views = source.views.values()
    return Entry(f'camera {source.name}', level, state, message, {
        'topic': source.topic or 'this process', 'views_per_s': source.views.rate_hz(), 'age_s': source.age_s,
        'people': int(views[-1]) if views else 0, 'views': source.views.total, 'refused': source.refused.total,
        'late': stream.late if stream else 0, 'dropped': stream.dropped if stream else 0,
        'used': bool(status and status.used), 'check': '; '.join(f.text for f in found) or 'nothing found',
        'reprojection_px': number(status.reprojection_px if status else math.nan, 2),
    }, source.name)


def _camera_state(source: KeypointsInput, stream: CameraStream | None, status: CameraStatus | None,
                  settings: FusionSettings, starting: bool, found: Sequence[Finding]) -> tuple[bytes, str, str]:
    if not source.subscribed:
        if starting:
            return OK, 'starting', f'waits for {source.topic}; pose2d_node may still be loading'
        return WARN, 'waiting', f'nobody publishes {source.topic}; start pose2d_node for this camera'
    if source.error:
        return ERROR, 'refused', source.error
    if math.isinf(source.age_s):
        if starting or source.subscribed_s < settings.startup_s:
            return OK, 'starting', 'waits for the first keypoints'
        return WARN, 'silent', 'no keypoints came yet; check pose2d_node'
    if source.rhythm.silent(settings.stale_after_s):
        return ERROR, 'gone', f'no keypoints for {source.age_s:.0f} s; check pose2d_node and the camera'
    if source.rivals:
        return WARN, 'rivals', source.rivals
    if source.nameless:
        return WARN, 'nameless', (f'keypoints come, but {source.topic}_info does not say what their columns are; '
                                  'publish joint_names and image_size there (transient local)')
    wrong = next((f for f in found if f.verdict is not Verdict.NOTE), None)
    # none of them hides another
    remarks = [('flawed', source.flaws), ('clock', stream.note if stream is not None else ''),
               ('crowded', source.crowd), *([] if wrong is None else [(wrong.kind.value, wrong.text)])]
    if any(sentence for _, sentence in remarks):
        return (WARN, ', '.join(state for state, sentence in remarks if sentence),
                '; '.join(sentence for _, sentence in remarks if sentence))
    if status is not None and status.note:
        # that nobody is in view is no fault
        empty = not status.people and status.rate_hz > 0
        return (OK, 'empty', status.note) if empty else (WARN, 'note', status.note)
    return OK, 'ok', f'{source.views.rate_hz():.0f} views/s'

