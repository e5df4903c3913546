# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What both lifecycle nodes share: transitions with the reason why they fail, diagnostics, the end."""
from __future__ import annotations

import dataclasses
import math
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from ..core.errors import CoreError
from ..inference.errors import InferenceError
from ..models.errors import ModelError
from .bond import Bond, bonded
from .debug_log import DebugLog
from .declared_node import DeclaredNode
from .defects import Defects
from .diagnostics import OK, WARN, Entry, StateLog, array_from
from .errors import NodeError, StuckThread
from .graph import twins
from .memory import give_back, keep_large_blocks_apart
from .parameters import Settings

__all__ = ['ManagedNode']

#: by then the publishers and subscriptions that a node makes at its start are made, s
_SETTLED_S = 5.
#: an answer is on its way for this long, s
_ANSWER_S = .5
#: errors that the user can mend: their message is all there is to say
_EXPECTED = (NodeError, CoreError, InferenceError, ModelError, OSError)


class ManagedNode(DeclaredNode[Settings]):
    """A lifecycle node over one settings class.

    Subclasses fill in `_configure`, `_activate`, `_deactivate`, `_cleanup` and `_entries`.

    Attributes:
        error: why the last transition failed, '' if it did not.
        finished: it was shut down by the lifecycle some moments ago: nothing can be done with it any more.
        defects: exceptions of callbacks, which end no node.
    """

    def __init__(self, name: str, settings: type[Settings], **kwargs: Any) -> None:
        self.defects = Defects(self.get_logger, lambda: self.context.ok())  # rclpy's constructor makes callbacks
        keep_large_blocks_apart()
        super().__init__(name, settings, **kwargs)         # type: ignore[arg-type]  # mypy compares per class
        for service in self.services:                       # those of lifecycle nodes are made in another way
            if not hasattr(service.callback, '__wrapped__'):
                service.callback = self.defects.guard_service(service.srv_name, service.callback)
        self.error: NodeError | None = None                 # why the last transition failed
        self.finished = False
        self._running = self._enabled = False
        self._since = math.inf
        self._overrides_logged = False
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers_made: list[Any] = []
        self._bond: Bond | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._log = StateLog(self.get_logger())
        self._debug = DebugLog(self.get_logger())
        self.create_service(SetBool, '~/enable', self._on_enable)

    # -- for subclasses

    def _configure(self) -> None:
        """Make what costs time; may raise what says what is wrong."""

    def _activate(self) -> None:
        """Start."""

    def _deactivate(self) -> None:
        """Stop; must be harmless when nothing runs."""

    def _cleanup(self) -> None:
        """Give everything back; must be harmless when nothing was made."""

    def _enable(self, enabled: bool) -> None:
        """Of an active node: take what comes again, or take nothing any more."""

    def _entries(self) -> Sequence[Entry]:
        """The present state, for /diagnostics and the log; first that of the node as a whole."""
        raise NotImplementedError

    @property
    def working(self) -> bool:
        """It is active and enabled."""
        return self._running and self.settings.enabled

    @property
    def starting(self) -> bool:
        """It is not long since the node was activated: others may not be ready yet."""
        return time.monotonic() - self._since < self.settings.startup_s

    def now_s(self) -> float:
        """The node's clock (simulated time if so set), s."""
        return float(self.get_clock().now().nanoseconds) * 1e-9

    def _left_behind(self, sentence: str) -> None:
        """A thread does not end: a defect, in the log and in /diagnostics. '' = all ended."""
        if sentence:
            self.defects.caught('the end of its threads', StuckThread(sentence))

    def since_s(self, stamp_s: float) -> float:
        """Seconds from a stamp to now; NaN while simulated time has not begun."""
        now = self.now_s()
        return now - stamp_s if now else math.nan

    def every(self, period_s: float, callback: Callable[[], None]) -> None:
        """Call back in real time while the node is configured, also when simulated time stands still."""
        self._timers_made.append(self.create_timer(period_s, callback, clock=self._steady))

    # -- enabling

    def _changed(self) -> None:
        if self._running and self.settings.enabled != self._enabled:
            self._enabled = self.settings.enabled
            if self._enabled:
                self._since = time.monotonic()             # as at the start: others need a moment
            self._enable(self._enabled)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """The parameter `enabled` by a service; that of a node that is not active counts from then on."""
        result = self.set_parameters_atomically([Parameter('enabled', Parameter.Type.BOOL, request.data)])
        word = 'enabled' if request.data else 'disabled'
        response.success = result.successful
        response.message = result.reason or (
            word if self._running else f'the node is not active; once it is, it is {word}')
        return response

    @staticmethod
    def _disabled(name: str) -> Entry:
        return Entry(name, OK, 'disabled', 'disabled by ~/enable or the parameter enabled; set it to true to go on')

    # -- every callback of a node ends here with its exceptions

    def create_subscription(self, msg_type: Any, topic: str, callback: Callable[..., None], *args: Any,
                            **kwargs: Any) -> Any:
        """As rclpy's; an exception of the callback ends nothing."""
        return super().create_subscription(msg_type, topic, self.defects.guard(f'the callback of {topic}', callback),
                                           *args, **kwargs)

    def create_timer(self, timer_period_sec: float, callback: Callable[..., None], *args: Any, **kwargs: Any) -> Any:
        """As rclpy's; an exception of the callback ends nothing."""
        where = f'the timer of {getattr(callback, "__name__", "something").strip("_")}'
        return super().create_timer(timer_period_sec, self.defects.guard(where, callback), *args, **kwargs)

    def create_service(self, srv_type: Any, srv_name: str, callback: Callable[..., Any], *args: Any,
                       **kwargs: Any) -> Any:
        """As rclpy's; an exception of the callback ends nothing, and the caller gets an answer."""
        return super().create_service(srv_type, srv_name, self.defects.guard_service(srv_name, callback), *args,
                                      **kwargs)

    # -- transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters and make ready."""
        def climb() -> None:
            self._read_settings()
            self._configure()
            self.every(self.settings.diagnostics_period_s, self._report)
            self._configured = True
            super(ManagedNode, self).on_configure(state)

        return self._transition('configure', climb)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to work."""
        def climb() -> None:
            super(ManagedNode, self).on_activate(state)
            self._since = time.monotonic()
            self._enabled = self.settings.enabled
            self._running = True                           # what it starts asks for it
            self._activate()
            self._bond = bonded(self, self.settings.bond_period_s, self._steady)

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
        # not at once: whoever asked is still to get an answer
        self.create_timer(_ANSWER_S, self._finish, clock=self._steady)
        return super().on_shutdown(state)

    def _finish(self) -> None:
        self.finished = True

    def destroy_node(self) -> None:
        """Stop and give everything back, whatever the state; a second call does nothing."""
        self._drop()
        super().destroy_node()
        # rclpy leaves it, and it would keep the node in the graph until Python collects this object
        machine = getattr(self, '_state_machine', None)
        if machine is not None:
            machine.destroy_when_not_in_use()

    def bring_up(self) -> None:
        """Configure and activate.

        Raises:
            NodeError: one of them failed, and why.
        """
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                raise self.error or NodeError('rclpy refused the transition')

    def _transition(self, verb: str, climb: Callable[[], None]) -> TransitionCallbackReturn:
        self.error = None
        try:
            climb()
            return TransitionCallbackReturn.SUCCESS
        except _EXPECTED as error:
            self.error = NodeError.of(error)
            self.get_logger().error(f'cannot {verb}: {error}')
        except Exception as error:  # noqa: BLE001 - rclpy would swallow it without a word
            self.error = NodeError(f'defect: {type(error).__name__}: {error}')
            if not self.context.ok():                       # the process is being ended: everything fails now
                return TransitionCallbackReturn.FAILURE
            self.get_logger().error(f'cannot {verb}, which is a defect of this program:\n{traceback.format_exc()}')
        if verb == 'configure':
            self._drop()
        else:
            self._stop()
        return TransitionCallbackReturn.FAILURE

    def _stop(self) -> None:
        bond, self._bond = self._bond, None
        if bond is not None and self.context.ok():
            bond.close()
        self._running = False
        self._since = math.inf
        self._deactivate()

    def _drop(self) -> None:
        self._stop()
        for timer in self._timers_made:
            self.destroy_timer(timer)
        self._timers_made.clear()
        self._cleanup()
        if self._configured:
            give_back()
        self._configured = False

    # -- diagnostics

    def _report(self) -> None:
        entries: list[Entry] = []
        try:
            entries += self._entries()
            doubled = twins(self)
            if doubled:                                    # the first entry is about the node as a whole
                first = entries[0]
                entries[0] = dataclasses.replace(first, level=max(first.level, WARN), state=f'{first.state}, twins',
                                                 message=f'{doubled}; {first.message}')
        except Exception as error:  # noqa: BLE001 - the report of it must still come
            self.defects.caught('the report of the state', error)
        entries.append(self.defects.entry())
        self._diagnostics.publish(array_from(entries, self.get_fully_qualified_name(), self.get_clock().now().to_msg()))
        self._log.note(entries)
        if not self._overrides_logged and time.monotonic() - self._since > _SETTLED_S:
            self._overrides_logged = True
            for sentence in self._overrides_unused():
                self.get_logger().warning(sentence)
