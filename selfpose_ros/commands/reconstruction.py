# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One recording through the estimator, and the report on it."""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..core.causal import estimate_causally
from ..core.check import Finding, Kind, Verdict
from ..core.contacts import everybody_held
from ..core.estimator import EstimatorConfig
from ..core.lifting import Lifter
from ..core.observation import LEVEL_NAMES
from ..core.offline import reconstruct_offline
from ..core.result import Skeletons
from ..core.rig import NotSolved, Rig
from ..inference.lifter_choice import NONE, LifterChoice
from ..inference.second_look import SecondLook, missed_in
from ..inference.views import ViewNetwork
from ..io.checked import checked
from ..io.detect import Network
from ..io.errors import IoError
from ..io.motion_files import write_result
from ..io.recording import Progress, Recording
from ..io.sources import ReadOptions, Source, read_source
from ..io.synchronised import synchronised

__all__ = ['Job', 'Report', 'reconstruct', 'run_job']

#: a world that may be tilted by more is worth a note, degrees
_UNSURE_DEG = 10.
#: predicted errors of each camera of a rig
_ERRORS = ('rotation_sigma_deg', 'focal_sigma', 'centre_sigma_m')


@dataclass(frozen=True)
class Job:
    """One recording from source to files; can be sent to another process.

    Attributes:
        source: what to read, with `options`.
        stem: path of the result without its suffix.
        formats: see `io.motion_files.FORMATS`.
        config: of the estimator.
        offline: two passes over the whole recording instead of what a robot sees.
        keypoints_out: also write the 2D as keypoint archive there.
        lifter: which lifting network completes what fusion cannot see.
        sync: clocks are put right by motion before anything is solved.
        hold_feet: see `core.contacts`.
        look_again: makes the network that looks again where the rig expects somebody whom it did not find; None = none.
    """

    source: Source
    options: ReadOptions
    stem: Path
    formats: tuple[str, ...]
    config: EstimatorConfig
    offline: bool
    keypoints_out: Path | None = None
    lifter: LifterChoice = LifterChoice(NONE)
    sync: bool = False
    hold_feet: bool = False
    look_again: Callable[[], ViewNetwork] | None = None


@dataclass(frozen=True)
class Report:
    """What came out of one recording.

    Attributes:
        name: of the recording.  files: written.  cameras: names.  offline: as asked.
        instants: number of them, over `span_s` seconds.  wall_s: time the reconstruction took, without reading.
        people: number of identities.  cover: share of the instants with a skeleton.
        levels: share of the instants by name of their best level.
        rig_quality: 0 without a rig.  rig_reason: why there is none.
        scale_source: where the metre comes from.  scale_sigma: relative.
        gravity_sigma_deg: what up is uncertain by, degrees.
        notes: sentences on what was odd.
        findings: of the check before the solver, see `core.check.Finding.to_dict`; their sentences are notes, too.
        clock_offset_s: by camera of the rig: its stamps minus those of the first camera for the same instant, s.
        second_look: people whom only a second look at the images found, where the rig expects somebody; views in which
            somebody was missed.
        lenses: by camera of the rig: focal length in px with its relative predicted error, distortion, and the
            predicted errors of rotation (degrees) and place (m), see `core.rig.Rig`.
    """

    name: str
    files: tuple[str, ...]
    cameras: tuple[str, ...]
    offline: bool
    instants: int
    span_s: float
    wall_s: float
    people: int
    cover: float
    levels: dict[str, float]
    rig_quality: float
    rig_reason: str
    scale_source: str
    scale_sigma: float
    notes: tuple[str, ...]
    findings: tuple[dict[str, Any], ...] = ()
    clock_offset_s: dict[str, float] = field(default_factory=dict)
    gravity_sigma_deg: float = float('nan')
    lenses: dict[str, dict[str, Any]] = field(default_factory=dict)
    second_look: tuple[int, int] = (0, 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what is unknown is None."""
        out = asdict(self)
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in out.items()}

    def text(self) -> str:
        """A few lines for people; without the notes."""
        rate = f', {self.instants / self.wall_s:.0f} instants a second' if self.wall_s > 0 else ''
        shares = ', '.join(f'{name} {share:.0%}' for name, share in self.levels.items() if share)
        rig = f'none: {self.rig_reason}'
        if self.rig_quality > 0:
            rig = (f'quality {self.rig_quality:.2f}, scale from {self.scale_source} (+-{self.scale_sigma:.0%}), '
                   f'up +-{self.gravity_sigma_deg:.1f} degrees')
            worst = {k: max(x[k] for x in self.lenses.values()) for k in _ERRORS} if self.lenses else {}
            if worst:
                rig += (f'; expected errors up to {worst["rotation_sigma_deg"]:.1f} degrees, '
                        f'{worst["focal_sigma"]:.1%} of a focal length, {100 * worst["centre_sigma_m"]:.0f} cm of '
                        'a place')
        found, missed = self.second_look
        again = [f'  again:  {_number(found, "person", "people")} found by a second look at '
                 f'{_number(missed, "image")}, where the rig expects somebody'] if missed else []
        return '\n'.join([
            f'{self.name}: {_number(len(self.cameras), "camera")}, {_number(self.instants, "instant")} over '
            f'{self.span_s:.1f} s, {"offline" if self.offline else "causal"}, {self.wall_s:.1f} s of work{rate}',
            f'  people: {self.people}, somebody in {self.cover:.0%} of the instants',
            f'  level:  {shares}',
            f'  rig:    {rig}',
            *again,
            f'  files:  {", ".join(self.files)}'])


def _number(n: int, noun: str, nouns: str = '') -> str:
    return f'{n} {noun if n == 1 else nouns or noun + "s"}'


def reconstruct(recording: Recording, config: EstimatorConfig, *, offline: bool = False,
                progress: Progress | None = None, lifter: Lifter | None = None, hold_feet: bool = False) -> Skeletons:
    """The people of a recording over time.

    Args:
        recording: what was seen.
        config: of the estimator.
        offline: rig from the whole recording and smoothing both ways; else instant by instant, as a robot sees it.
        progress: see `io.recording.Progress`.
        lifter: see `core.lifting`; None = fusion alone.
        hold_feet: feet that stand do not slide, see `core.contacts`.
    """
    frames = recording.frames()
    if offline:
        def report(what: str, share: float) -> None:
            if progress is not None:
                progress(what, round(100 * share), 100)
        people, rig = reconstruct_offline(frames, config, report, lifter=lifter)
    else:
        def instant(n: int) -> None:
            if progress is not None:
                progress('reconstructing', n, len(frames))
        people, rig = estimate_causally(frames, config, instant, lifter=lifter)
    if isinstance(rig, Rig) and recording.late_s:
        late = np.array([recording.late_s.get(c, 0.) for c in rig.cameras])
        rig = replace(rig, clock_offset_s=rig.clock_offset_s + late - late[0])
    if hold_feet:
        people = everybody_held(people, offline)
    return Skeletons.of([f.stamp for f in frames], people, recording.cameras, rig)


def run_job(job: Job, progress: Progress | None = None) -> Report:
    """Read, reconstruct, write.

    Raises:
        IoError: the source cannot be read, the check before the solver refuses it, or the result cannot be written.
        CoreError: the source holds what the estimator cannot use.
    """
    looks = False

    def make() -> Network:
        nonlocal looks
        looks = True
        return job.options.make()

    read = read_source(job.source, replace(job.options, make=make), progress)
    for name in (c for group in job.config.same_lens for c in group):
        if name not in read.cameras:
            raise IoError(f'--same-lens names {name!r}, its cameras are {", ".join(read.cameras)}', place=read.name)
    recording, result, wall = _once(job, read, progress)
    second_look = 0, 0
    if looks and job.look_again is not None:
        missed = missed_in(read.views, result, recording.late_s, not job.offline)
        if missed:
            seen = sum(len(v.keypoints) for v in read.views)
            again = partial(SecondLook, job.look_again, read.views, missed)
            read = read_source(job.source, replace(job.options, make=again), progress)
            second_look = sum(len(v.keypoints) for v in read.views) - seen, len(missed)
            if second_look[0]:
                recording, again_found, more_s = _once(job, read, progress)
                wall += more_s
                # more 2D mostly makes a rig surer; where it did not, what was there counts
                if _quality(again_found.rig) >= _quality(result.rig):
                    result = again_found
    if not isinstance(result.rig, Rig):
        reason = _reason(result.rig.reason, recording.findings, set(recording.image_size))
        result = replace(result, rig=NotSolved(reason, result.rig.numbers))
    files = write_result(job.stem, result, job.formats)
    return replace(_report(job, recording, result, wall, files), second_look=second_look)


def _quality(rig: Rig | NotSolved) -> float:
    return rig.quality if isinstance(rig, Rig) else 0.


def _once(job: Job, recording: Recording, progress: Progress | None) -> tuple[Recording, Skeletons, float]:
    """What was read as it is used, its people, and the time that they took, s."""
    if job.keypoints_out is not None:
        from ..io.archive import write_keypoints
        write_keypoints(job.keypoints_out, recording)
    if job.sync:
        recording = synchronised(recording)
    recording = checked(recording, in_step=not job.sync)
    start = time.perf_counter()
    result = reconstruct(recording, job.config, offline=job.offline, progress=progress, lifter=job.lifter.open(),
                         hold_feet=job.hold_feet)
    return recording, result, time.perf_counter() - start


def _report(job: Job, recording: Recording, result: Skeletons, wall_s: float, files: Sequence[Path]) -> Report:
    rig = result.rig
    best = result.best_level
    notes = list(recording.notes)
    if len(recording.cameras) == 1:
        notes.append(f'{recording.name}: one camera alone gives level 1 (lifted) at most; add cameras for metres '
                     'that are measured')
    reason = '' if isinstance(rig, Rig) else rig.reason
    if isinstance(rig, Rig):
        notes = _beside_the_rig(notes, recording, rig)
        if rig.gravity_sigma_deg > _UNSURE_DEG:
            notes.append(f'{recording.name}: where up is remains uncertain by {rig.gravity_sigma_deg:.0f} degrees: '
                         'somebody who stands, walks or jumps would tell, and cameras whose pictures are level')
    if not result.cover:
        notes.append(f'{recording.name}: no skeleton in any of {len(best)} instants, the result holds NaN only'
                     f'{f": {reason}" if reason else ""}')
    solved = rig if isinstance(rig, Rig) else None
    return Report(
        recording.name, tuple(map(str, files)), recording.cameras, job.offline, len(best), recording.duration_s,
        wall_s, int(np.unique(result.person[result.person > 0]).size), result.cover,
        {name: float((best == level).mean()) for level, name in sorted(LEVEL_NAMES.items(), reverse=True)},
        solved.quality if solved else 0., reason, solved.scale_source if solved else '',
        solved.scale_sigma if solved else float('nan'), tuple(notes), tuple(f.to_dict() for f in recording.findings),
        dict(zip(solved.cameras, map(float, solved.clock_offset_s), strict=True)) if solved else {},
        solved.gravity_sigma_deg if solved else float('nan'),
        _lenses(solved) if solved else {})


def _lenses(rig: Rig) -> dict[str, dict[str, Any]]:
    return {c: {'focal_px': float(rig.K[v, 0, 0]), 'distortion': rig.distortion[v].tolist(),
                **{k: float(getattr(rig, k)[v]) for k in _ERRORS}} for v, c in enumerate(rig.cameras)}


def _reason(solver: str, findings: Sequence[Finding], used: set[str]) -> str:
    """Why there is no rig: what the check found, where it explains that, before what the solver met with."""
    instead = [f.text for f in findings if f.verdict is Verdict.LEAVE_OUT and used & set(f.cameras)]
    besides = [f.text for f in findings if f.verdict in (Verdict.EXPLAIN, Verdict.NOTE)]
    return '; '.join([*instead, *besides] if instead else [*besides, solver])


def _beside_the_rig(notes: Sequence[str], recording: Recording, rig: Rig) -> list[str]:
    """The notes, and which cameras that deliver are not in the rig."""
    out = list(notes)
    seldom = {f.cameras[0]: f'{recording.name}: {f.text}' for f in recording.findings if f.kind is Kind.HARDLY_SEES}
    for camera in recording.image_size:
        if camera in rig.cameras:
            continue
        remark = seldom.get(camera)
        if remark in out:
            out[out.index(remark)] += ', not part of the rig'
        else:
            out.append(f'{recording.name}: {camera} is not part of the rig')
    return out
