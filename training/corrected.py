# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lifted poses of a clip, corrected by their 2D joints as at run time, and a table of what that is good for.

    python -m selfpose_training.corrected out/model --motion mocap_test.npz --seed 1

Every view by itself, and all views of an instant together; at the protocol's 2D noise and at other levels; and with 2D
joints that are wrong, those of a second later or with sides exchanged, with the guards and without them.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.correction import CorrectionConfig
from selfpose_ros.core.fusion.corrected import RunningLengths, correct_views
from selfpose_ros.core.skeleton import MIRROR

__all__ = ['WRONG', 'Corrections', 'corrected', 'main']

Array = NDArray[np.float64]

#: frames of the protocol's motion in a second
_SECOND = 25


@dataclass(frozen=True)
class Corrections:
    """Of T instants and V views.

    Attributes:
        single: (T, V, 17, 3) m, each view by itself, in its camera's axes.  accepted: (T, V).
        fused: (T, 17, 3) m, of all views together, in axes of its own.  accepted_fused: (T,).
    """

    single: Array
    fused: Array
    accepted: NDArray[np.bool_]
    accepted_fused: NDArray[np.bool_]


def corrected(joints: Array, sigma: Array, rays: Array, k: Array, config: CorrectionConfig) -> Corrections:
    """Correct the lifted poses of a clip of one person.

    Args:
        joints, sigma, rays, k: (T, V, 17, ...) as in `evaluate.Lifted`. Lengths of bones are running means of what was
            lifted until then.
    """
    running = RunningLengths()
    lengths = np.stack([running.add(0, pose) for pose in joints])
    T, V = joints.shape[:2]

    def apart(x: Array) -> Array:
        return x.reshape(T * V, 1, *x.shape[2:])
    one, *_ = correct_views(apart(joints), apart(sigma), apart(rays), apart(k), np.repeat(lengths, V, 0), config)
    if V == 1:
        return Corrections(one.joints.reshape(T, V, 17, 3), one.joints, one.accepted[:, None], one.accepted)
    both, *_ = correct_views(joints, sigma, rays, k, lengths, config)
    return Corrections(one.joints.reshape(T, V, 17, 3), both.joints, one.accepted.reshape(T, V), both.accepted)


#: 2D joints that are not those of the pose: name -> what is done to (T, V, 17, ...)
WRONG: dict[str, Callable[[Array], Array]] = {
    'of a second later': lambda x: np.roll(x, -min(_SECOND, len(x) // 2), axis=0),
    'sides exchanged': lambda x: x[:, :, list(MIRROR)],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    from selfpose_ros.benchmark.errors import BenchmarkError
    from selfpose_ros.benchmark.motion import pieces, read_motion
    from selfpose_ros.benchmark.protocol import Conditions, make_clip
    from selfpose_ros.inference.errors import InferenceError
    from selfpose_ros.inference.lifter import open_lifter
    from selfpose_ros.io.errors import IoError
    from selfpose_ros.models.errors import ModelError

    from .evaluate import EVAL16, Lifted, figures, lift_clip
    parser = argparse.ArgumentParser(prog='python -m selfpose_training.corrected', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', help='model folder, or name of a shipped model')
    parser.add_argument('--motion', type=Path, required=True)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--every', type=int, default=1, metavar='N', help='every N-th clip (default: 1, all)')
    parser.add_argument('--noise', type=float, nargs='+', default=[1., .4, 2.], metavar='FACTOR')
    args = parser.parse_args(arguments)

    def pa(poses: Array, true: Array) -> float:
        return figures(poses[..., EVAL16, :].reshape(-1, len(EVAL16), 3),
                       true[..., EVAL16, :].reshape(-1, len(EVAL16), 3)).pa_mpjpe

    def row(what: str, clips: list[Lifted], config: CorrectionConfig, before: bool = True) -> None:
        parts = [corrected(c.joints, c.sigma, c.rays, c.k, config) for c in clips]
        plain = [corrected(c.joints, c.sigma, c.rays, 0 * c.k, config) for c in clips] if before else []
        true = np.concatenate([c.true for c in clips])
        told = []
        for pose, share, of in (('single', 'accepted', true), ('fused', 'accepted_fused', true[:, 0])):
            was = f'{pa(np.concatenate([getattr(p, pose) for p in plain]), of):.1f}' if before else ''
            now = pa(np.concatenate([getattr(p, pose) for p in parts]), of)
            told.append(f'{was} | {now:.1f} | {np.concatenate([getattr(p, share) for p in parts]).mean():.0%}')
        sys.stdout.write(f'| {what} | {" | ".join(told)} |\n')
        sys.stdout.flush()

    try:
        lifter, motion = open_lifter(args.model), read_motion(args.motion)
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
                row('the same, no guards', wrong, CorrectionConfig(guarded=False), False)
    except (IoError, ModelError, InferenceError, BenchmarkError) as error:
        sys.stderr.write(f'corrected: error: {error}\n')
        return 2
    sys.stdout.write('\nPA-MPJPE, mm.\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
