# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""`selfpose model build` and `fp16`, and which backends can run a model here."""
from __future__ import annotations

import argparse
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .argument_types import whole

if TYPE_CHECKING:
    from ..inference.tensorrt.background import Step
    from ..io.recording import Progress
    from ..models.store import Model

__all__ = ['add_build', 'backends_here', 'build', 'half']

T = TypeVar('T')


def add_build(parser: argparse.ArgumentParser) -> None:
    """Arguments of `selfpose model build`."""
    parser.add_argument('model', metavar='MODEL', nargs='+')
    parser.add_argument('--engines', metavar='DIR', type=Path, help='folder of the engine cache, as in the parameter '
                        'engine_cache; default: ~/.cache/selfpose_ros/engines')
    parser.add_argument('--batch', metavar='N', type=whole(1, 8), default=4, help='images or poses that usually come '
                        'at once: the number of cameras (default: 4)')
    parser.add_argument('--quiet', action='store_true', help='no progress')


def build(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Build the engines of models and compare them with ONNX Runtime: what to tell, and as text.

    Raises:
        InferenceError, ModelError: it cannot be had here, or does not agree.
    """
    from ..inference.backend import Backend
    from ..inference.session import OrtSession
    from ..inference.tensorrt.engine_factory import EngineFactory
    from ..models.errors import ModelError
    from ..models.store import open_model
    from .progress import ProgressDisplay
    models = [open_model(name) for name in args.model]
    for model in models:
        if model.lite:
            raise ModelError('is a TensorFlow Lite graph, which runs on LiteRT on the CPU alone',
                             'build engines of networks that were imported from ONNX files', place=model.file)
    factory = EngineFactory.here(Backend('tensorrt', str(args.engines or ''), args.batch))
    content, text = [], []
    for model in models:
        notes: list[str] = []
        with ProgressDisplay(quiet=args.quiet, prefix=f'{model.card.name}: ') as progress:
            reference = OrtSession(model.file)
            session, agreement = _interruptible(partial(factory.engine, model, reference, note=notes.append), progress)
        session.close()
        content.append({'model': model.card.name, 'device': factory.words, 'folder': str(factory.folder),
                     'agreement': agreement.sentence, 'notes': notes})
        text += [f'{model.card.name}: engine for {factory.words} in {factory.folder}\n', f'  {agreement.sentence}\n',
                 *(f'  note: {n}\n' for n in notes)]
    return content, ''.join(text)


def _interruptible(work: Callable[[Step], T], progress: Progress) -> T:
    """Do it in a thread: Ctrl-C cannot come through TensorRT, which would swallow it, but a `Step` can say no."""
    stop = threading.Event()

    def step(state: str, share: float) -> bool:
        progress(state, round(100 * share), 100)
        return not stop.is_set()

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(work, step)
        try:
            while not wait([job], timeout=.5).done:        # a wait without end would not be ended by Ctrl-C
                pass
        finally:
            stop.set()
        return job.result()


def half(model: Model) -> tuple[dict[str, Any], str]:
    """Write `model.fp16.onnx`: what to tell, and as text.

    Raises:
        InferenceError, ModelError: see `inference.half_precision.write_half`.
    """
    from ..inference.half_precision import write_half
    agreement = write_half(model)
    file = model.folder / 'model.fp16.onnx'
    sizes = [f.stat().st_size / 1e6 for f in (model.file, file)]
    return ({'file': str(file), 'agreement': agreement.sentence},
            f'{file}: {sizes[1]:.1f} MB instead of {sizes[0]:.1f}; {agreement.sentence}\n')


def backends_here(model: Model) -> dict[str, str]:
    """Backend -> 'yes: what' or 'no: why', on this machine."""
    from ..inference.backend import Backend
    from ..inference.errors import InferenceError
    from ..inference.litert_session import LiteRtSession
    from ..inference.session import OrtSession
    from ..inference.tensorrt.engine_factory import EngineFactory
    from ..models.errors import ModelError
    found = {}
    if model.lite:
        try:
            return {'litert': f'yes: {LiteRtSession(model.file).device}'}
        except (InferenceError, ModelError) as error:
            return {'litert': f'no: {error}'}
    try:
        found['onnxruntime'] = f'yes: {OrtSession(model.file).device}'
    except (InferenceError, ModelError) as error:
        found['onnxruntime'] = f'no: {error}'
    try:
        factory = EngineFactory.here(Backend('tensorrt'))
        kept = 'its engine is there' if factory.holds(model) else 'its engine is built at the first start'
        found['tensorrt'] = f'yes: {factory.words}, {kept}'
    except (InferenceError, ModelError) as error:
        found['tensorrt'] = f'no: {error}'
    return found
