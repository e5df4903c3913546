# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One table of finished trainings: how good, how large, how long they took, how quick they are.

    python -m selfpose_training.evaluation.compare RUN RUN RUN --motion mocap_test.npz

Runs that differ in their seed alone are one row, with the least and the largest figure of them. Lifters see the
motion as in `selfpose evaluate`, single views; networks of images see rendered people in these poses. PCK is of 3D,
within 150 mm. Latency: one person in one view through the exported model in ONNX Runtime, all models in turn in one
process, threads as at run time; the median. Compare it within one table alone.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfpose_ros.models.store import Model, open_model
from selfpose_ros.synthetic.motion_capture import Motion

from ..errors import TrainingError
from ..methods import get
from ..trainer.display import Display
from ..trainer.run_folder import read_settings
from .figures import Figures
from .lifter import evaluate

__all__ = ['Finished', 'latencies', 'main', 'read_run', 'table']

#: settings that do not make another training of it
_SAME = {'method', 'seed', 'threads', 'log_every', 'checkpoint_minutes', 'epochs', 'steps'}
_ROUNDS = 200


@dataclass(frozen=True)
class Finished:
    """A training that has ended.

    Attributes:
        method: its name.  changes: settings that differ from the method's own, as on the command line.
        seed: of the training.  minutes: that the training took, without what was made before it (teacher, pictures).
        model: what was exported.
    """

    method: str
    changes: str
    seed: int
    minutes: float
    model: Model

    @property
    def parameters(self) -> int:
        """Of the exported network."""
        return int(self.model.card.everything['parameters'])


def read_run(folder: Path) -> Finished:
    """What a run left.

    Raises:
        TrainingError: no finished training lies there.
    """
    name, settings = read_settings(folder)
    method = get(name)
    try:
        minutes = float(json.loads((folder / 'history.json').read_text())[-1]['minutes'])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise TrainingError(f'no training lies there ({error})', 'name the folder that was given to selfpose train -o',
                            place=folder) from error
    if not (folder / 'model').is_dir():
        raise TrainingError('the training has no model', 'let it end (--resume), see its messages', place=folder)
    return Finished(method.name, _changes(asdict(method.settings), settings), int(settings['seed']), minutes,
                    open_model(folder / 'model'))


def _changes(usual: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    length = [f'--{name} {settings[name]}' for name in ('epochs', 'steps')
              if settings[name] and (name == 'steps' or not settings['steps'])]
    return ' '.join(length + [f'--set {k}={str(v).replace(" ", "").lower()}' for k, v in settings.items()
                              if k not in _SAME and k in usual and usual[k] != v])


def latencies(models: Sequence[Model], rounds: int = _ROUNDS) -> list[float]:
    """Median ms for one person in one view, the models in turn."""
    calls = [_call(m) for m in models]
    spent = np.empty((rounds, len(calls)))
    for n in range(-3, rounds):
        for i, call in enumerate(calls):
            begun = time.perf_counter()
            call()
            if n >= 0:
                spent[n, i] = time.perf_counter() - begun
    return [float(x) for x in 1e3 * np.median(spent, 0)]


def _call(model: Model) -> Callable[[], object]:
    if model.card.kind == 'lifter':
        from selfpose_ros.inference.lifter import Lifter
        lifter = Lifter(model)
        rng = np.random.default_rng(0)
        pose = np.concatenate([rng.normal(scale=.2, size=(17, 2)), np.ones((17, 1))], 1)
        batch = pose[None] if lifter.frames == 1 else np.repeat(pose[None, None], lifter.frames, 1)
        return lambda: lifter.lift(batch)
    from selfpose_ros.inference.pose2d.network import VisionNetwork
    from selfpose_ros.inference.tensors.geometry import Placement
    network = VisionNetwork(model)
    w, h = network.vision.size
    image, place = np.full((h, w, 3), 127, np.uint8), Placement(np.eye(2, 3))
    return lambda: network.decode_people(network.run(network.blob(image, [place])))


def _measured(model: Model, motion: Motion, seed: int) -> Figures:
    """Raises TrainingError: the model gives no 3D."""
    if model.card.kind == 'lifter':
        from selfpose_ros.inference.lifter import Lifter
        return evaluate(Lifter(model), motion, seed).single
    from selfpose_ros.inference.pose2d.network import VisionNetwork

    from .images import evaluate_images
    single = evaluate_images(VisionNetwork(model), motion.joints, seed, jobs=os.cpu_count() or 1).single
    if single is None:
        raise TrainingError('gives no 3D', 'leave it out', place=model.folder)
    return single


def table(runs: Sequence[Finished], figures: Sequence[Figures], ms: Sequence[float]) -> str:
    """Markdown; rows in the order in which their first run comes."""
    rows: dict[tuple[str, str], list[int]] = {}
    for i, run in enumerate(runs):
        rows.setdefault((run.method, run.changes), []).append(i)
    lines = ['| `selfpose train` | seeds | N-MPJPE mm | PA-MPJPE mm | PCK % | CPS | parameters | minutes | ms |',
             '|---|---|---|---|---|---|---|---|---|']
    for (method, changes), mine in rows.items():
        cells = [_range([getattr(figures[i], name) for i in mine]) for name in ('n_mpjpe', 'pa_mpjpe', 'n_pck', 'cps')]
        lines.append(f'| `{" ".join([method, changes]).strip()}` | {len(mine)} | {" | ".join(cells)} | '
                     f'{runs[mine[0]].parameters / 1e6:.2f} M | {_range([runs[i].minutes for i in mine])} | '
                     f'{np.median([ms[i] for i in mine]):.2f} |')
    return '\n'.join([*lines, ''])


def _range(values: Sequence[float]) -> str:
    low, high = (f'{x:.1f}' for x in (min(values), max(values)))
    return low if low == high else f'{low} to {high}'


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    from selfpose_ros.inference.errors import InferenceError
    from selfpose_ros.io.errors import IoError
    from selfpose_ros.io.motion_capture import read_motion
    from selfpose_ros.models.errors import ModelError
    parser = argparse.ArgumentParser(prog='python -m selfpose_training.evaluation.compare', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='+', type=Path, metavar='RUN', help='folder of a finished training')
    parser.add_argument('--motion', type=Path, required=True, help='motion capture, as for selfpose evaluate')
    parser.add_argument('--seed', type=int, default=1, help='of cameras and 2D errors (default: 1)')
    args = parser.parse_args(arguments)
    display = Display(prefix='compare')
    try:
        motion, runs = read_motion(args.motion), [read_run(folder) for folder in args.runs]
        figures = []
        for folder, run in zip(args.runs, runs, strict=True):
            display.note(f'{folder}')
            figures.append(_measured(run.model, motion, args.seed))
        sys.stdout.write(table(runs, figures, latencies([r.model for r in runs])))
    except (TrainingError, IoError, ModelError, InferenceError) as error:
        sys.stderr.write(f'compare: error: {error}\n')
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
