# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Keypoints topics -> skeletons, markers, rig, TF, diagnostics: the node that understands."""
from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from std_srvs.srv import Trigger

from ..core.contacts import FeetHeld
from ..core.convention import Convention
from ..core.estimator import Estimator, EstimatorConfig
from ..core.lifting import Lifter
from ..core.observation import Skeleton3D, View2D
from ..core.rig import Rig
from ..core.tracks.identities import Identities
from ..core.view_buffer import ViewBufferConfig
from ..inference.backend import ON_CPU, Backend
from ..inference.errors import InferenceError
from ..inference.lifter_choice import LifterChoice
from ..io.convention_file import read_convention
from ..io.errors import IoError
from ..models.errors import ModelError
from .backend_report import BUILD_LOG_S, backend_entries, backend_of, build_lines
from .debug_log import fusion_lines
from .diagnostics import Entry
from .errors import NodeError, ParameterError
from .fusion_outputs import FusionOutputs
from .fusion_report import camera_entry, fusion_entry
from .fusion_worker import FusionWorker, Result
from .graph import offers
from .keypoints_input import INFO_TYPE, LOCAL, KeypointsInput
from .meters import Meter
from .model_swap import ModelSwap, Version
from .parameters import FusionSettings, camera_group
from .process import run_alone
from .rig_file import load_rig, save_rig
from .swapping_node import SwappingNode
from .trial_lifter import TrialLifter

__all__ = ['FusionNode', 'main']

#: how often publishers are looked for, s
_LOOK_S = 0.25
_SUFFIX = '/keypoints_info'
#: cameras need not agree on whom they are surest of
_ROWS_PER_PERSON = 4


def _convention(path: str) -> Convention | None:
    try:
        return read_convention(Path(path).expanduser()) if path else None
    except IoError as error:
        raise ParameterError.of(error).within('parameter convention') from error


def _lifter(name: str, backend: Backend = ON_CPU) -> tuple[Lifter | None, str]:
    """What the parameter means, and a sentence on it.

    Raises:
        NodeError: it cannot be used.
    """
    try:
        return LifterChoice(name, backend).fresh()
    except (ModelError, InferenceError) as error:
        raise NodeError(f'parameter lifter: {error}') from error


class FusionNode(SwappingNode[FusionSettings]):
    """3D skeletons from the keypoints of all cameras.

    Args:
        local_cameras: cameras whose views are handed over with `take`, by a pose2d_node in the same process.
        make_estimator: given the configuration and a rig to start from (or None); see `FusionWorker`. None = an
            `Estimator` with the lifter of the parameters.
        kwargs: to the node.
    """

    MODEL_PARAMETERS = ('lifter',)

    def __init__(self, *, local_cameras: Collection[str] = (), name: str = 'fusion_node',
                 make_estimator: Callable[[EstimatorConfig, Rig | None], Any] | None = None,
                 **kwargs: Any) -> None:
        self._local = tuple(local_cameras)
        self._make_estimator = make_estimator
        self._inputs: dict[str, KeypointsInput] = {}
        # when somebody was last seen to publish the keypoints of a camera that is named nowhere, monotonic s
        self._announced: dict[str, float] = {}
        self._worker: FusionWorker | None = None
        self._outputs: FusionOutputs | None = None
        self._lifter: Any = None
        self._people: tuple[Skeleton3D, ...] = ()
        self._feet: dict[int, FeetHeld] = {}
        self._identities = Identities()                    # for as long as the node lives
        self._latency, self._failures, self._failure = Meter(), Meter(), ''
        self._own_services: list[Any] = []
        super().__init__(name, FusionSettings, **kwargs)

    def take(self, view: View2D) -> None:
        """A view of a local camera, from any thread. Left out while the node is not active, or disabled."""
        source = self._inputs.get(view.camera)
        if source is not None and self.working:
            source.take(view)

    def _configure(self) -> None:
        s = self.settings
        self._config = EstimatorConfig(
            s.person_height_m, s.baseline_m, s.baseline_cameras, s.max_people, s.rig_solver, s.rig_first_solve_s,
            s.lag_s, s.rig_min_quality, s.correction, s.reentry_s,
            tuple(camera_group(g) for g in s.same_lens),
            _convention(s.convention))
        self._lifter, what = _lifter(s.lifter, self._backend(s))
        self.get_logger().info(what)
        swap: ModelSwap[Lifter | None] = ModelSwap(self._load, self._adopt, lambda lifter: None)
        swap.start(Version(self._model_values(s), what, self._lifter))
        self._swap_models(swap)
        self._start_rig = load_rig(s.rig_file)
        if self._start_rig is not None:
            self.get_logger().info(f'starts with the rig of {s.rig_file}: {", ".join(self._start_rig.cameras)}')
        self._outputs = FusionOutputs(self, s)
        self._own_services = [self.create_service(Trigger, '~/reset', self._on_reset),
                              self.create_service(Trigger, '~/save_rig', self._on_save_rig)]
        self.every(_LOOK_S, self._look)
        self.every(BUILD_LOG_S, self._log_builds)

    def _activate(self) -> None:
        s = self.settings
        assert self._outputs is not None
        self._outputs.open()
        self._worker = FusionWorker(ViewBufferConfig(max_wait_s=s.max_wait_s),
                                    partial(self._make_estimator or self._estimator, self._config), self._start_rig,
                                    self._publish, self._failed, self.now_s, s.max_age_s, s.correct_clocks)
        for name in dict.fromkeys((*self._local, *s.cameras)):
            self._add_camera(name)
        self._look()

    def _deactivate(self) -> None:
        for source in self._inputs.values():
            source.close()
        self._inputs, self._announced = {}, {}
        worker, self._worker = self._worker, None
        if worker is not None:
            self._left_behind(worker.close())
            self._start_rig = worker.known
        if self._outputs is not None:
            self._outputs.rest()

    def _cleanup(self) -> None:
        for service in self._own_services:
            self.destroy_service(service)
        self._own_services = []
        outputs, self._outputs = self._outputs, None
        if outputs is not None:
            outputs.close()
        self._close_models()
        self._lifter = None                                # and with it what runs it

    def _enable(self, enabled: bool) -> None:
        if not enabled:
            for source in self._inputs.values():
                source.pause()
        self._look()

    def _changed(self) -> None:
        super()._changed()
        if self._outputs is not None:
            self._outputs.settings = self.settings

    # -- another lifting network

    def _backend(self, settings: FusionSettings) -> Backend:
        return backend_of(settings, len(settings.cameras or self._local) or 4)

    def _check_model(self, settings: FusionSettings) -> None:
        LifterChoice(settings.lifter, self._backend(settings)).check()

    def _load(self, parameters: Mapping[str, Any]) -> tuple[str, Lifter | None]:
        """It tries itself when it is opened; in a thread of its own."""
        lifter, what = _lifter(parameters['lifter'], replace(self._backend(self.settings), wait=True))
        return what, lifter

    def _adopt(self, lifter: Lifter | None, spare: Lifter | None) -> None:
        swap = self._swap
        self._lifter = lifter if lifter is None or swap is None else TrialLifter(
            lifter, spare, partial(swap.fail, lifter))
        if self._worker is not None:
            lifting = self._lifter
            self._worker.between(lambda estimator: estimator.lift_with(lifting))

    # -- cameras

    def _add_camera(self, name: str) -> None:
        s = self.settings
        if name in self._local:
            topic = LOCAL
        elif s.keypoints_topics and name in s.cameras:
            topic = s.keypoints_topics[s.cameras.index(name)]
        else:
            topic = f'{name}/keypoints'
        assert self._worker is not None
        self._inputs = {**self._inputs, name: KeypointsInput(
            self, name, topic, self._worker.submit, _ROWS_PER_PERSON * s.max_people)}

    def _look(self) -> None:
        if self._worker is None or self._outputs is None:
            return
        if not self.working:
            self._outputs.rest()                           # a last result may have come in between
            return
        if not self.settings.cameras:
            self._discover()
        for source in self._inputs.values():
            source.look()
        self._outputs.tend()
        self._debug.note(partial(fusion_lines, self._worker, self._people))

    def _discover(self) -> None:
        """Cameras that are named nowhere come with their publishers, and leave some time after them."""
        now, announced = time.monotonic(), self._published() - set(self._local)
        for name in sorted(announced - set(self._inputs)):
            self.get_logger().info(f'camera {name}: its keypoints are published')
            self._add_camera(name)
        self._announced.update(dict.fromkeys(announced, now))
        for name in [n for n, seen in self._announced.items() if now - seen > self.settings.leave_after_s]:
            self.get_logger().info(f'camera {name}: nobody publishes its keypoints any more, it is taken for removed')
            del self._announced[name]
            self._inputs[name].close()
            self._inputs = {n: source for n, source in self._inputs.items() if n != name}

    def _published(self) -> set[str]:
        """Cameras of this node's namespace whose keypoints somebody announces."""
        space = self.get_namespace().rstrip('/') + '/'
        return {name[len(space):-len(_SUFFIX)] for name, kinds in self.get_topic_names_and_types()
                if name.startswith(space) and name.endswith(_SUFFIX) and INFO_TYPE in kinds
                and offers(self, name, INFO_TYPE)}

    # -- in the fusion's thread

    def _estimator(self, config: EstimatorConfig, rig: Rig | None) -> Estimator:
        """With the lifter, unless what runs it is dead: fusion goes on without."""
        lifter = self._lifter
        dead = lifter is not None and lifter.session.report.state == 'failed'
        return Estimator(config, rig=rig, lifter=None if dead else lifter, identities=self._identities)

    def _publish(self, result: Result) -> None:
        if self._outputs is not None and self.working:
            result = self._feet_held(result)
            self._outputs.publish(result)
            self._people = result.people
            self._latency.add(self.since_s(result.stamp))

    def _feet_held(self, result: Result) -> Result:
        if not self.settings.hold_feet:
            self._feet = {}
            return result
        self._feet = {p.person: self._feet.get(p.person) or FeetHeld() for p in result.people}
        return replace(result, people=tuple(self._feet[p.person].update(p) for p in result.people))

    def _failed(self, error: Exception) -> None:
        if not self.context.ok():
            return
        self._failures.add()
        if isinstance(error, InferenceError):
            self._failure = f'the lifting network failed, the people are tracked anew: {error}'
            self.get_logger().error(self._failure, throttle_duration_sec=10.)
            return
        self._failure = f'defect of this program, the people are tracked anew: {type(error).__name__}: {error}'
        self.get_logger().error('defect of this program, the people are tracked anew:\n'
                                + ''.join(traceback.format_exception(error)), throttle_duration_sec=10.)

    # -- services, diagnostics

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._worker is None or self._outputs is None:
            response.success, response.message = False, 'fusion_node is not active; activate it first'
            return response
        self._worker.reset()
        self._outputs.publish_rig(None, 'reset by the service')
        response.success, response.message = True, 'people, history and rig are forgotten'
        return response

    def _on_save_rig(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        rig = self._worker.rig if self._worker is not None else None
        try:
            if rig is None:
                raise NodeError('there is no rig yet: '
                                + (self._worker.status.sentence if self._worker is not None else 'not active'))
            file = save_rig(self.settings.rig_file, rig)
            response.success, response.message = True, f'rig of {", ".join(rig.cameras)} written to {file}'
        except (NodeError, OSError) as error:
            response.success, response.message = False, str(error)
        return response

    def _entries(self) -> Sequence[Entry]:
        worker, inputs = self._worker, self._inputs
        if worker is not None and not self.working:
            return [self._disabled('fusion'), *self._model_entries(), *backend_entries(self._sessions())]
        entries = [fusion_entry(worker, list(inputs.values()), self._latency, self._failures, self._failure,
                                self.settings, self.starting),
                   *self._model_entries(), *backend_entries(self._sessions())]
        if worker is not None and self._outputs is not None:
            entries += self._outputs.entries()
        if worker is not None:
            entries += [camera_entry(source, worker.streams.get(name), worker.status.cameras.get(name),
                                     self.settings, self.starting, worker.findings, worker.clocks.get(name, ''))
                        for name, source in inputs.items()]
        return entries

    def _sessions(self) -> list[Any]:
        return [] if self._lifter is None else [self._lifter.session]

    def _log_builds(self) -> None:
        for line in build_lines(self._sessions()):
            self.get_logger().info(line)


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own; see `start`."""
    return run_alone(FusionNode, args)
