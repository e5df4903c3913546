# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What cross-view self-fusion does to 2D joints: joint detection rates before and after, limb by limb.

    python -m selfpose_training.evaluation.refinement runs/cross_view --motion mocap_test.npz --seed 1

Views are those of the benchmark's virtual cameras, on all frames; with `--occlusion 3` limbs are mistaken three times
as often. A joint is found when it lies within half a head of the truth (methods.md 1; Kim et al., ACCV 2022).
"""
from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selfpose_ros.core.skeleton import JOINTS
from selfpose_ros.io.errors import IoError
from selfpose_ros.synthetic.network2d import Network2D

from .. import checkpoint
from ..data.arrays import Sampling
from ..data.batch import Batch
from ..data.motion import MotionViews, Poses, read_poses
from ..data.normalise import denormalise
from ..errors import TrainingError
from ..methods import get
from ..methods.cross_view import CrossView
from ..metrics import jdr
from ..networks import Lifter
from ..trainer.run_folder import read_settings

__all__ = ['Refined', 'main', 'open_run', 'refined', 'table']

_THORAX, _HEAD_TOP = JOINTS.index('thorax'), JOINTS.index('head')
#: a share of time that is not exceeded, however much is occluded
_MOST = .6


@dataclass(frozen=True)
class Refined:
    """Joint detection rates, per cent.

    Attributes:
        before, after: by limb joint, both sides.  moved: share of joints that were refined.
        poses: single views that were looked at.  occlusion: factor on the protocol's share of mistaken limbs.
    """

    before: dict[str, float]
    after: dict[str, float]
    moved: float
    poses: int
    occlusion: float

    @property
    def worse(self) -> list[str]:
        """Limb joints that were found more often before."""
        return [k for k in self.before if self.after[k] < self.before[k]]


def open_run(folder: Path) -> tuple[CrossView, Lifter]:
    """Method and network of a run's folder, with the weights of its last checkpoint (averaged, if they were).

    Raises:
        TrainingError: no run, or one of a method that refines nothing.
    """
    name, settings = read_settings(folder)
    method = get(name)
    if not isinstance(method, CrossView):
        raise TrainingError(f'a training of {method.name}, which does not refine 2D joints',
                            'name a run of cross_view or cvsf', place=folder)
    network = method.configure(settings).build()
    state = checkpoint.load(folder / checkpoint.CHECKPOINT)
    try:
        network.load_state_dict(state['average'] or state['network'])
    except (RuntimeError, KeyError) as error:
        raise TrainingError('the checkpoint holds another network than config.json describes', 'train again',
                            place=folder) from error
    return method, network.eval()


@torch.no_grad()
def refined(method: CrossView, network: Lifter, poses: Poses, seed: int, *, views: int = 4,
            occlusion: float = 1.) -> Refined:
    """Rates over all frames of a motion, with a rig for every clip.

    Args:
        seed: of cameras and 2D errors.
        occlusion: factor on the share of time in which a limb is mistaken for something else.
    """
    plain = Network2D()
    noise = dataclasses.replace(plain, mistaken=tuple(
        (part, min(share * occlusion, _MOST)) for part, share in plain.mistaken))
    data = MotionViews(poses, views, seed=seed, noise=noise)
    found: list[tuple[np.ndarray[Any, Any], ...]] = []
    moved = []
    for batch in data.batches(0, 512, sampling=Sampling(ordered=True, partial=True, truth=True, intrinsics=True)):
        true, head = _truth(batch)
        # the cameras served for the truth: the network does not get them
        batch = dataclasses.replace(batch, K=None)
        fused = method.refine(network.lift(batch), batch)
        n = batch.normalised
        px = denormalise(fused.w2d, n.root_px, n.scale_px, n.ray_rot, batch.pinhole)
        px = torch.where(fused.refined[..., None], px, batch.kp_px)
        moved.append(fused.refined.float().mean())
        found.append(tuple(x.flatten(0, 1).numpy() for x in (batch.kp_px, px, true, head)))
    before, after, true_px, head_px = (np.concatenate(x) for x in zip(*found, strict=True))
    return Refined(jdr(before, true_px, head_px), jdr(after, true_px, head_px), float(torch.stack(moved).mean()),
                   len(true_px), occlusion)


def _truth(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """True joints (B, V, 17, 2) px, and the length (B, V) px that the head would have across the view."""
    assert batch.X is not None and batch.R is not None and batch.t is not None and batch.K is not None
    at = torch.einsum('bvij,bkj->bvki', batch.R, batch.X) + batch.t[:, :, None]
    h = at @ batch.K.mT
    head = (batch.X[:, _HEAD_TOP] - batch.X[:, _THORAX]).norm(dim=-1)
    return h[..., :2] / h[..., 2:], head[:, None] * batch.K[..., 0, 0] / at[..., 0, 2]


def table(found: Sequence[Refined]) -> str:
    """A table to print."""
    limbs = list(found[0].before)
    lines = ['| 2D joints | ' + ' | '.join(limbs) + ' |', '|---' * (len(limbs) + 1) + '|']
    for f in found:
        of = 'as in the protocol' if f.occlusion == 1 else f'limbs mistaken {f.occlusion:g} times as often'
        lines += [f'| {what}, {of} | ' + ' | '.join(f'{rates[k]:.1f}' for k in limbs) + ' |'
                  for what, rates in (('detected', f.before), ('refined', f.after))]
    shares = ', '.join(f'{f.moved:.0%}' for f in found)
    note = f'Joint detection rate, per cent, {found[0].poses} poses; {shares} of the joints were refined.'
    return '\n'.join([*lines, '', note]) + '\n'


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; exit status 1 when a limb joint got worse."""
    parser = argparse.ArgumentParser(prog='python -m selfpose_training.evaluation.refinement', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('run', type=Path, help='folder of a training of cross_view or cvsf')
    parser.add_argument('--motion', type=Path, required=True)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--views', type=int, default=4)
    parser.add_argument('--occlusion', type=float, nargs='+', default=[1., 3.], metavar='FACTOR')
    args = parser.parse_args(arguments)
    try:
        method, network = open_run(args.run)
        poses = read_poses(args.motion)
        found = [refined(method, network, poses, args.seed, views=args.views, occlusion=f) for f in args.occlusion]
    except (TrainingError, IoError) as error:
        sys.stderr.write(f'refined: error: {error}\n')
        return 2
    sys.stdout.write(table(found))
    return 1 if any(f.worse for f in found) else 0


if __name__ == '__main__':
    sys.exit(main())
