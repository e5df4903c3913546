# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a learned joint convention takes away of a 2D network's offsets, joint by joint; motion capture is the truth.

    python -m selfpose_training.evaluation.convention --motion mocap17_val.npz --seed 1

The benchmark's virtual cameras and 2D errors, of a network that places hips, knees, shoulders, elbows and ankles beside
where limbs turn (`--offset 0`: of one that does not). Every other clip is learned from, with cameras found from it; the
others are reconstructed off line with and without what was learned. One similarity lays a clip on the truth.
"""
from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfpose_ros.core.convention import Convention, ConventionError, move_matrices
from selfpose_ros.core.convention_estimate import Halves, estimate_convention, halves_of
from selfpose_ros.core.estimator import EstimatorConfig
from selfpose_ros.core.offline import reconstruct_offline
from selfpose_ros.evaluation.alignment import SCORED, align
from selfpose_ros.io.errors import IoError
from selfpose_ros.io.motion_capture import read_motion
from selfpose_ros.synthetic.clips import Clip, make_clip
from selfpose_ros.synthetic.motion_capture import Motion, pieces

from ..metrics import LIMB_JOINTS

__all__ = ['OFFSETS', 'joint_errors', 'main', 'offset']

Array = NDArray[np.floating]

#: joints of the simulated network: outer hips, lower; knees, elbows and ankles farther up; shoulders farther in
OFFSETS = {('hip', 'pelvis', 'hip'): .35, ('hip', 'pelvis', 'thorax'): -.06, ('knee', 'knee', 'hip'): .06,
           ('shoulder', 'shoulder', 'thorax'): .15, ('elbow', 'elbow', 'shoulder'): .08,
           ('ankle', 'ankle', 'knee'): .05}
#: clips of fewer frames have too little movement for a rig
_SHORTEST = 150


def offset(motion: Motion, factor: float) -> Motion:
    """The motion with the joints that such a network would see."""
    W = np.eye(17) + factor * np.tensordot(list(OFFSETS.values()), move_matrices(tuple(OFFSETS)), 1)
    return dataclasses.replace(motion, joints=W @ motion.joints)


def joint_errors(clip: Clip, truth: Array, convention: Convention | None, every: int) -> Array:
    """(T, 17) mm: distance of an off-line reconstruction from the truth (T, 17, 3) m; NaN = not known."""
    people, _ = reconstruct_offline(clip.frames()[::every], EstimatorConfig(convention=convention))
    out = np.full((len(people), 17), np.nan)
    found = [(i, p[0].joints) for i, p in enumerate(people) if p and np.isfinite(p[0].joints).all()]
    if found:
        rows, X = np.array([i for i, _ in found]), np.stack([x for _, x in found])
        true, j = truth[::every][rows], list(SCORED)
        moved = align(X[:, j].reshape(-1, 3), true[:, j].reshape(-1, 3)).apply(X.reshape(-1, 3))
        out[rows] = 1e3 * np.linalg.norm(moved.reshape(X.shape) - true, axis=-1)
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog='python -m selfpose_training.evaluation.convention', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--motion', type=Path, required=True)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--offset', type=float, default=1., metavar='FACTOR', help='on how far joints lie off')
    parser.add_argument('--every', type=int, default=2, metavar='N', help='take every n-th frame (default: 2)')
    parser.add_argument('--compare', type=int, default=8, metavar='N', help='clips to compare on (default: 8)')
    args = parser.parse_args(arguments)
    try:
        motion = read_motion(args.motion)
        seen = offset(motion, args.offset)
        clips = [p for p in pieces(motion) if len(p) >= _SHORTEST]
        halves: list[Halves] = []
        learned, refused = clips[::2], 0
        for piece in learned:
            try:
                halves += halves_of(make_clip(seen, piece, args.seed).frames()[::args.every])
            except ConventionError:
                refused += 1
        found = estimate_convention(halves)
    except (ConventionError, IoError) as error:
        sys.stderr.write(f'convention: error: {error}\n')
        return 2
    sys.stdout.write(f'learned from {len(learned) - refused} clips of {len(learned)}: ' + (', '.join(
        f'{" ".join(m)} {s:+.3f}' for m, s in found.shares.items()) or 'no joint is moved') + '\n')
    errors: dict[str, list[Array]] = {'as the network has them': [], 'with the convention': [], 'a network without': []}
    for piece in clips[1::2][:args.compare]:
        clip, right = (make_clip(m, piece, args.seed) for m in (seen, motion))
        for name, which, convention in zip(errors, (clip, clip, right), (None, found, None), strict=True):
            errors[name].append(joint_errors(which, right.truth.joints, convention, args.every))
    sys.stdout.write(_table({k: np.concatenate(v) for k, v in errors.items()}))
    return 0


def _table(errors: dict[str, Array]) -> str:
    limbs = list(LIMB_JOINTS)
    rows = [f'| {name} | ' + ' | '.join(f'{np.nanmean(e[:, list(LIMB_JOINTS[k])]):.1f}' for k in limbs)
            + f' | {np.nanmean(e[:, list(SCORED)]):.1f} |' for name, e in errors.items()]
    return '\n'.join([f'| mm | {" | ".join(limbs)} | all |', '|---' * (len(limbs) + 2) + '|', *rows]) + '\n'


if __name__ == '__main__':
    sys.exit(main())
