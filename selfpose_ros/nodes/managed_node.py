# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What both lifecycle nodes share: parameters, transitions that say why they fail, diagnostics, the end."""
from __future__ import annotations

import dataclasses
import math
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Generic

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter

from ..core.errors import CoreError
from ..inference.errors import InferenceError
from ..models.errors import ModelError
from .diagnostics import Entry, StateLog, array_from
from .errors import NodeError, ParameterError
from .parameters import Settings, checked, settings_from, table, unknown_names

__all__ = ['ManagedNode']

#: errors that the user can mend: their message is all there is to say
_EXPECTED = (NodeError, CoreError, InferenceError, ModelError, OSError)


class ManagedNode(LifecycleNode, Generic[Settings]):
    """A lifecycle node over one settings class.

    Subclasses fill in `_configure`, `_activate`, `_deactivate`, `_cleanup` and `_entries`.

    Attributes:
        settings: as of the last configure, later changes of `any_time` parameters included.
        error: why the last transition failed, '' if it did not.
    """

    settings: Settings

    def __init__(self, name: str, settings: type[Settings], **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._kind: type[Settings] = settings
        self.settings = settings()
        self.error = ''
        self._configured = False
        self._running = False
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers_made: list[Any] = []
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._log = StateLog(self.get_logger())
        for sentence in unknown_names(settings, getattr(self, '_parameter_overrides', {})):
            self.get_logger().warning(sentence)
        for p in table(settings):
            default = list(p.default) if isinstance(p.default, tuple) else p.default
            # any type: YAML writes 1 for 1.0 and [] for an empty list, launch files 'a,b'; `checked` sorts it out
            given = self.declare_parameter(p.name, default, ParameterDescriptor(
                description=p.sentence, dynamic_typing=True, additional_constraints=p.allowed))
            if not given.value and isinstance(p.default, tuple):        # [] alone has no type, or that of bytes
                self.set_parameters([RosParameter(p.name, RosParameter.Type.STRING_ARRAY, [])])
        self.add_on_set_parameters_callback(self._on_set)

    # -- for subclasses

    def _configure(self) -> None:
        """Make what costs time; may raise what says what is wrong."""

    def _activate(self) -> None:
        """Start."""

    def _deactivate(self) -> None:
        """Stop; must be harmless when nothing runs."""

    def _cleanup(self) -> None:
        """Give everything back; must be harmless when nothing was made."""

    def _entries(self) -> Sequence[Entry]:
        """The present state, for /diagnostics and the log."""
        return ()

    def now_s(self) -> float:
        """The node's clock (simulated time if so set), s."""
        return float(self.get_clock().now().nanoseconds) * 1e-9

    def since_s(self, stamp_s: float) -> float:
        """Seconds from a stamp to now; NaN while simulated time has not begun."""
        now = self.now_s()
        return now - stamp_s if now else math.nan

    def every(self, period_s: float, callback: Callable[[], None]) -> None:
        """Call back in real time while the node is configured, also when simulated time stands still."""
        def guarded() -> None:
            try:
                callback()
            except Exception:  # noqa: BLE001 - it would end the executor, and with it every camera
                if self.context.ok():
                    self.get_logger().error(f'defect of this program:\n{traceback.format_exc()}',
                                            throttle_duration_sec=10.)

        self._timers_made.append(self.create_timer(period_s, guarded, clock=self._steady))

    # -- transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters and make ready."""
        def climb() -> None:
            self.settings = settings_from(self._kind, {p.name: self.get_parameter(p.name).value
                                                       for p in table(self._kind)})
            self._configure()
            self.every(self.settings.diagnostics_period_s, self._report)
            self._configured = True
            super(ManagedNode, self).on_configure(state)

        return self._transition('configure', climb)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to work."""
        def climb() -> None:
            super(ManagedNode, self).on_activate(state)
            self._activate()
            self._running = True

        return self._transition('activate', climb)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, keep what was made."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        self._drop()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and give everything back."""
        self._drop()
        return super().on_shutdown(state)

    def destroy_node(self) -> None:
        """Stop and give everything back, whatever the state; a second call does nothing."""
        self._drop()
        super().destroy_node()

    def bring_up(self) -> None:
        """Configure and activate.

        Raises:
            NodeError: one of them failed; the message says why.
        """
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                raise NodeError(self.error)

    def _transition(self, verb: str, climb: Callable[[], None]) -> TransitionCallbackReturn:
        self.error = ''
        try:
            climb()
            return TransitionCallbackReturn.SUCCESS
        except _EXPECTED as error:
            self.error = str(error)
            self.get_logger().error(f'cannot {verb}: {error}')
        except Exception as error:  # noqa: BLE001 - rclpy would swallow it without a word
            self.error = f'defect: {type(error).__name__}: {error}'
            if not self.context.ok():                       # the process is being ended: everything fails now
                return TransitionCallbackReturn.FAILURE
            self.get_logger().error(f'cannot {verb}, which is a defect of this program:\n{traceback.format_exc()}')
        if verb == 'configure':
            self._drop()
        else:
            self._stop()
        return TransitionCallbackReturn.FAILURE

    def _stop(self) -> None:
        self._running = False
        self._deactivate()

    def _drop(self) -> None:
        self._stop()
        for timer in self._timers_made:
            self.destroy_timer(timer)
        self._timers_made.clear()
        self._cleanup()
        self._configured = False

    # -- parameters, diagnostics

    def _on_set(self, changes: list[RosParameter]) -> SetParametersResult:
        known = {p.name: p for p in table(self._kind)}
        mine = {c.name: c.value for c in changes if c.name in known}
        try:
            new = {name: checked(known[name], value) for name, value in mine.items()}
            late = [name for name in new if not known[name].any_time and new[name] != getattr(self.settings, name)]
            if late and self._configured:
                raise ParameterError(f'parameter {late[0]} takes effect when the node is configured; deactivate '
                                     'it and clean it up first')
            if self._configured:
                self.settings = dataclasses.replace(self.settings, **new)
                self._changed()
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _changed(self) -> None:
        """Parameters that may change at any time did."""

    def _report(self) -> None:
        entries = self._entries()
        self._diagnostics.publish(array_from(entries, self.get_name(), self.get_clock().now().to_msg()))
        self._log.note(entries)
