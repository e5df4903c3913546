# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From a model to an engine that may be used: looked up or built, warmed up, and compared with ONNX Runtime."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...models.card import sha256_of
from ...models.store import Model
from ..backend_choice import Backend
from ..errors import BackendUnavailable, BuildCancelled, EngineBuildError, ExecutionError, GraphRefused
from ..parity import Agreement, compare
from ..session import InferenceSession
from .background import BackgroundSession, Step
from .builder import BuildOptions, Built, build_engine
from .cuda import Cuda, CudaBindings, Device
from .engine_cache import EngineCache, EngineKey, default_folder
from .engine_session import EngineSession
from .interface import TensorRT
from .library import find_tensorrt

__all__ = ['EngineFactory']


class EngineFactory:
    """TensorRT and the first CUDA device of this machine, and where engines are kept.

    Args:
        trt, cuda: the libraries.
        folder: of the engine cache.
        batch: images or poses that usually come at once.

    Raises:
        BackendUnavailable: there is no device.
    """

    def __init__(self, trt: TensorRT, cuda: Cuda, folder: Path, batch: int = 4) -> None:
        self.trt, self.cuda, self.folder = trt, cuda, folder
        most = BuildOptions.most
        self.options = BuildOptions(batch=min(max(batch, 1), most))
        cuda.devices()
        try:
            cuda.use(0)
            self.device: Device = cuda.device(0)
        except ExecutionError as error:
            raise BackendUnavailable(f'the CUDA device cannot be used ({error})', 'check it with nvidia-smi') from error

    @classmethod
    def here(cls, backend: Backend) -> EngineFactory:
        """What this machine has.

        Raises:
            BackendUnavailable: no TensorRT of a known version, no cuda-bindings, no driver or no device.
        """
        trt = find_tensorrt()
        return cls(trt, CudaBindings(), Path(backend.engines) if backend.engines else default_folder(), backend.batch)

    @property
    def words(self) -> str:
        """What it works with."""
        return f'GPU {self.device.name} (TensorRT {self.trt.__version__})'

    def session(self, model: Model, standin: InferenceSession, backend: Backend) -> BackgroundSession:
        """A session that runs the model at once, and on the engine as soon as there is one."""
        return BackgroundSession(standin, lambda step, note: self.engine(model, standin, step, note)[0],
                                 model.card.name, backend.name)

    def holds(self, model: Model) -> bool:
        """Whether an engine of the model's first choice of graph lies in the cache."""
        return EngineCache(self.folder).holds(self._key(model, self._graphs(model)[0]))

    def engine(self, model: Model, reference: InferenceSession, step: Step = lambda state, share: True,
               note: Callable[[str], None] = lambda text: None) -> tuple[EngineSession, Agreement]:
        """An engine that agrees with ONNX Runtime. Half precision first, where the model has it.

        Args:
            reference: ONNX Runtime's session of the model.
            step: called with the progress; cancels when it returns False.
            note: called with what is odd, but no reason to stop.

        Raises:
            GraphRefused: TensorRT does not take the graph.
            EngineBuildError: none came about, or none that agrees.
            BuildCancelled: `step` returned False.
            BackendUnavailable, ExecutionError: the device cannot do it.
        """
        cache = EngineCache(self.folder, warn=note)
        graphs = self._graphs(model)
        for last, graph in ((graph is graphs[-1], graph) for graph in graphs):
            try:
                return self._one(model, graph, cache, reference, step)
            except (GraphRefused, EngineBuildError) as error:
                if last or isinstance(error, BuildCancelled):
                    raise
                note(f'{error}; {graphs[-1].name} is used instead')
        raise AssertionError('a model has a graph')

    def _one(self, model: Model, graph: Path, cache: EngineCache, reference: InferenceSession,
             step: Step) -> tuple[EngineSession, Agreement]:
        key = self._key(model, graph)

        def build(timing: bytes) -> Built:
            try:
                content = graph.read_bytes()
            except OSError as error:
                raise EngineBuildError(f'cannot be read ({error.strerror or error})', place=graph) from error
            self.cuda.use(0)
            return build_engine(self.trt, content, self.options, name=f'{model.card.name} ({graph.name})',
                                timing=timing, progress=lambda share: step('building', share))

        def load(plan: bytes) -> EngineSession:
            return EngineSession(self.trt, self.cuda, plan, name=model.card.name)

        step('building', 0.)
        session = cache.obtain(key, load, build, lambda: step('building', 0.))
        try:
            if not step('checking', 1.):
                raise BuildCancelled('was closed before its engine was compared', place=model.card.name)
            session.warm_up([*range(1, self.options.batch + 1), session.most])
            agreement = compare(model, reference, session)
            if not agreement.good:
                raise EngineBuildError(f'{model.card.name} ({graph.name}): TensorRT does not give what ONNX Runtime '
                                       f'gives, {agreement.sentence}')
        except BaseException:
            session.close()
            raise
        return session, agreement

    def _graphs(self, model: Model) -> list[Path]:
        return [*([model.half_file] if model.half_file is not None else []), model.file]

    def _key(self, model: Model, graph: Path) -> EngineKey:
        sha256 = model.card.sha256 if graph == model.file else sha256_of(graph)
        return EngineKey(model.card.name, sha256, self.options, str(self.trt.__version__), self.device)
