# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A node over one settings class: its parameters, and the QoS overrides of its topics."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Generic

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import QoSProfile

from .declaration import declare, ros_parameter
from .errors import ParameterError
from .parameters import Parameter, Settings, checked, settings_from, table, unknown_names
from .qos_overrides import QosOverrides, own_profile

__all__ = ['DeclaredNode']


class DeclaredNode(LifecycleNode, Generic[Settings]):
    """Declares the parameters of `nodes/parameters.py`, and lets nobody set what cannot be.

    Attributes:
        settings: as of the last configure, later changes of `any_time` parameters included.
    """

    settings: Settings

    def __init__(self, name: str, settings: type[Settings], **kwargs: Any) -> None:
        self._overrides_used: set[tuple[str, str]] = set()
        super().__init__(name, **kwargs)
        self._kind: type[Settings] = settings
        self.settings = settings()
        self._configured: bool = False
        # values of the start that cannot be had, by name: configuring fails until they are set
        self._refused: dict[str, Any] = {}
        given: dict[str, Any] = self._given()
        strange: list[str] = unknown_names(settings, given)
        for sentence in (*strange, *QosOverrides.among(given).strange):
            self.get_logger().warning(sentence)
        for p in table(settings):
            value = p.default
            try:
                # YAML writes 1 for 1.0 and [] for an empty list, launch files 'a,b'
                value = checked(p, given.get(p.name))
            except ParameterError:
                self._refused[p.name] = given[p.name]
            declare(self, p, value)

    def _changed(self) -> None:
        """Parameters that may change at any time did."""

    def _check(self, settings: Settings) -> None:
        """Settings that a configured node is about to have; may raise a ParameterError."""

    # -- parameters

    def _given(self) -> dict[str, Any]:
        """What the node was started with (files, -p, launch), by name."""
        given: dict[str, RosParameter] = getattr(self, '_parameter_overrides', {})
        return {name: parameter.value for name, parameter in given.items()}

    def _read_settings(self) -> None:
        """Take over all parameters.

        Raises:
            ParameterError: one of them, or an override of QoS, cannot be used.
        """
        QosOverrides.among(self._given()).check()
        self.settings = settings_from(self._kind, {p.name: self.get_parameter(p.name).value
                                                   for p in table(self._kind)} | self._refused)

    def set_parameters(self, parameter_list: list[RosParameter]) -> list[SetParametersResult]:
        """One by one, see `set_parameters_atomically`."""
        return [self.set_parameters_atomically([p]) for p in parameter_list]

    def set_parameters_atomically(self, parameter_list: list[RosParameter]) -> SetParametersResult:
        """All or none, each in its parameter's own type; what cannot be set is refused with a sentence.

        It is done here and not in a callback: rclpy compares types and ranges before it asks any, and takes a value
        without a type (`ros2 param delete`) for the end of the parameter.
        """
        known = {p.name: p for p in table(self._kind)}
        try:
            new = {c.name: self._fit(known[c.name], c) for c in parameter_list if c.name in known}
            if self._configured:
                settings = dataclasses.replace(self.settings, **new)
                self._check(settings)
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        changes = [ros_parameter(known[c.name], new[c.name]) if c.name in new else c for c in parameter_list
                   if c.name not in new or not known[c.name].read_only]
        result = super().set_parameters_atomically(changes) if changes else SetParametersResult(successful=True)
        if result.successful:
            self._refused = {name: value for name, value in self._refused.items() if name not in new}
            if self._configured:
                self.settings = settings
                self._changed()
        return result

    def _fit(self, parameter: Parameter, change: RosParameter) -> Any:
        """The value to set.

        Raises:
            ParameterError: it cannot be set, or not now.
        """
        name, place = parameter.name, f'parameter {parameter.name}'
        if change.type_ == RosParameter.Type.NOT_SET:
            default = ros_parameter(parameter, parameter.default).value
            raise ParameterError('it cannot be deleted', f'set it to its default, {default!r}, instead', place=place)
        value = checked(parameter, change.value)
        if parameter.read_only and value != checked(parameter, self.get_parameter(name).value):
            raise ParameterError('it takes effect when the node is started',
                                 f'give it there, in a parameter file or as -p {name}:=...', place=place)
        if self._configured and not parameter.any_time and value != getattr(self.settings, name):
            raise ParameterError('it takes effect when the node is configured', 'deactivate it and clean it up first',
                                 place=place)
        return value

    # -- topics

    def create_publisher(self, msg_type: Any, topic: str, qos_profile: QoSProfile | int, **kwargs: Any) -> Any:
        """As any node's, with the `qos_overrides` of this topic."""
        qos, kwargs = self._overridden(topic, 'publisher', qos_profile, kwargs)
        return super().create_publisher(msg_type, topic, qos, **kwargs)

    def create_lifecycle_publisher(self, msg_type: Any, topic: str, qos_profile: QoSProfile | int,
                                   **kwargs: Any) -> Any:
        """As any lifecycle node's, with the `qos_overrides` of this topic."""
        qos, kwargs = self._overridden(topic, 'publisher', qos_profile, kwargs)
        return super().create_lifecycle_publisher(msg_type, topic, qos, **kwargs)

    def create_subscription(self, msg_type: Any, topic: str, callback: Callable[[Any], None],
                            qos_profile: QoSProfile | int, **kwargs: Any) -> Any:
        """As any node's, with the `qos_overrides` of this topic."""
        qos, kwargs = self._overridden(topic, 'subscription', qos_profile, kwargs)
        return super().create_subscription(msg_type, topic, callback, qos, **kwargs)

    def _overridden(self, topic: str, entity: str, qos: QoSProfile | int,
                    kwargs: dict[str, Any]) -> tuple[QoSProfile | int, dict[str, Any]]:
        overrides = QosOverrides.among(self._given())
        if not overrides.policies:
            return qos, kwargs
        full = self.resolve_topic_name(topic)
        options = overrides.options(full, entity)
        if options is None:
            return qos, kwargs
        self._overrides_used.add((full, entity))
        return own_profile(qos), {'qos_overriding_options': options, **kwargs}

    def _overrides_unused(self) -> list[str]:
        """A sentence for each topic whose overrides have found no publisher or subscription up to now."""
        unused = sorted(set(QosOverrides.among(self._given()).policies) - self._overrides_used)
        return [f'qos_overrides.{topic}.{entity} has no effect so far: the node has no {entity} of {topic}'
                for topic, entity in unused]
