# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the correction of lifted poses by their 2D joints is good for: a table.

    python -m selfpose_training.evaluation.correction out/model --motion mocap_test.npz --seed 1
    python -m selfpose_training.evaluation.correction out/model --motion mocap_test.npz --seed 1 --every 8 --instants 14

Every view by itself, and all views of an instant together; at the protocol's 2D noise and at other levels; and with 2D
joints that are wrong, those of a second later or with sides exchanged, with the guards and without them. With
--instants, instead, what the running estimator shows below level 3 in the first instants of each clip, without and with
the correction.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.correction import CorrectionConfig
from selfpose_ros.core.estimator import Estimator, EstimatorConfig
from selfpose_ros.core.lifting import Lifter
from selfpose_ros.core.skeleton import MIRROR
from selfpose_ros.synthetic.clips import Clip, Conditions, make_clip

from .. import metrics
from ..metrics import EVAL16
from .corrected import corrected
from .figures import figures
from .lifting import Lifted, lift_clip

__all__ = ['WRONG', 'main', 'shown']

Array = NDArray[np.float64]

#: frames of the protocol's motion in a second
_SECOND = 25


#: 2D joints that are not those of the pose: name -> what is done to (T, V, 17, ...)
WRONG: dict[str, Callable[[Array], Array]] = {
    'of a second later': lambda x: np.roll(x, -min(_SECOND, len(x) // 2), axis=0),
    'sides exchanged': lambda x: x[:, :, list(MIRROR)],
}


def shown(lifter: Lifter, clips: Sequence[Clip], views: int, instants: int) -> tuple[Array, Array]:
    """PA-MPJPE, mm, of the skeletons that the estimator shows below level 3, without correction and with it."""
    out: list[tuple[float, float]] = []
    for clip in clips:
        both = [Estimator(EstimatorConfig(correction=on), lifter=lifter) for on in (False, True)]
        frames = clip.frames()[:instants]
        for n, frame in enumerate(frames):
            found = [e.update(replace(frame, views=frame.views[:views])) for e in both]
            if not all(len(f) == 1 and 0 < f[0].level < 3 for f in found):
                continue
            joints = np.stack([f[0].joints[list(EVAL16)] for f in found])
            known = np.isfinite(joints).all((0, 2))
            if known.sum() >= len(EVAL16) / 2:
                true = np.broadcast_to(1e3 * clip.truth.joints[n, EVAL16][known], (2, int(known.sum()), 3))
                off, on = metrics.pa_errors(joints[:, known], true.astype(float)).mean(1)
                out.append((float(off), float(on)))
        for e in both:
            e.close()
    errors = np.array(out).reshape(-1, 2)
    return errors[:, 0], errors[:, 1]


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    from selfpose_ros.inference.errors import InferenceError
    from selfpose_ros.inference.lifter import open_lifter
    from selfpose_ros.io.errors import IoError
    from selfpose_ros.io.motion_capture import read_motion
    from selfpose_ros.models.errors import ModelError
    from selfpose_ros.synthetic.motion_capture import pieces

    parser = argparse.ArgumentParser(prog='python -m selfpose_training.evaluation.correction', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', help='model folder, or name of a shipped model')
    parser.add_argument('--motion', type=Path, required=True)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--every', type=int, default=1, metavar='N', help='every N-th clip (default: 1, all)')
    parser.add_argument('--instants', type=int, default=0, metavar='N', help='of each clip, by the running estimator')
    parser.add_argument('--noise', type=float, nargs='+', default=[1., .4, 2.], metavar='FACTOR')
    args = parser.parse_args(arguments)

    def pa(poses: Array, true: Array) -> float:
        return figures(poses[..., EVAL16, :].reshape(-1, len(EVAL16), 3),
                       true[..., EVAL16, :].reshape(-1, len(EVAL16), 3)).pa_mpjpe

    def row(what: str, clips: list[Lifted], config: CorrectionConfig, before: bool = True) -> None:
        parts = [corrected(c.joints, c.sigma, c.rays, c.k, config) for c in clips]
        plain = [corrected(c.joints, c.sigma, c.rays, 0 * c.k, config) for c in clips] if before else []
        true = np.concatenate([c.true for c in clips])
        cells = []
        for pose, share, of in (('single', 'accepted', true), ('fused', 'accepted_fused', true[:, 0])):
            was = f'{pa(np.concatenate([getattr(p, pose) for p in plain]), of):.1f}' if before else ''
            now = pa(np.concatenate([getattr(p, pose) for p in parts]), of)
            cells.append(f'{was} | {now:.1f} | {np.concatenate([getattr(p, share) for p in parts]).mean():.0%}')
        sys.stdout.write(f'| {what} | {" | ".join(cells)} |\n')
        sys.stdout.flush()

    try:
        lifter, motion = open_lifter(args.model), read_motion(args.motion)
        if args.instants:
            sys.stdout.write('| views | instants | mean: without | with | median: without | with |\n'
                             '|---|---|---|---|---|---|\n')
            cut = [make_clip(motion, p, args.seed, Conditions()) for p in pieces(motion)[::args.every]]
            for views in (1, 2, 3, 4):
                off, on = shown(lifter, cut, views, args.instants)
                figures_mm = [f(x) for f in (np.mean, np.median) for x in (off, on)]
                sys.stdout.write(f'| {views} | {len(off)} | {" | ".join(f"{x:.1f}" for x in figures_mm)} |\n')
                sys.stdout.flush()
            return 0
        sys.stdout.write('| 2D joints | one view: lifted | corrected | accepted | views together: lifted | corrected | '
                         'accepted |\n|---|---|---|---|---|---|---|\n')
        for noise in args.noise:
            clips = [lift_clip(lifter, make_clip(motion, p, args.seed, Conditions(noise=noise)))
                     for p in pieces(motion)[::args.every]]
            row('as in the protocol' if noise == 1 else f'noise {noise:g} x', clips, CorrectionConfig())
            if noise != 1:
                continue
            for what, change in WRONG.items():
                wrong = [replace(c, rays=change(c.rays), k=change(c.k)) for c in clips]
                row(f'wrong: {what}', wrong, CorrectionConfig(), False)
                row(f'wrong: {what}, no guards', wrong, CorrectionConfig(guarded=False), False)
    except (IoError, ModelError, InferenceError) as error:
        sys.stderr.write(f'corrected: error: {error}\n')
        return 2
    sys.stdout.write('\nPA-MPJPE, mm.\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
