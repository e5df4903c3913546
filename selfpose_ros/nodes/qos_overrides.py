# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters `qos_overrides.<topic>.<publisher | subscription>.<policy>`: the QoS of any topic, as ROS has it.

Only policies that are given are declared. A subscription follows what its publishers offer, from one driver to the
next; parameters declared for what nobody asked for would hold it to the first.
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from .errors import ParameterError

__all__ = ['PREFIX', 'QosOverrides', 'own_profile']

PREFIX = 'qos_overrides.'
_NAME = re.compile(r'qos_overrides\.(/[^.]+)\.(publisher|subscription)\.(\w+)')
#: policy -> the words that may be given; those that are not here take a whole number (depth, or nanoseconds)
_WORDS = {policy: [m.name.lower() for m in kind if m.name not in ('UNKNOWN', 'BEST_AVAILABLE')]
          for policy, kind in (('history', HistoryPolicy), ('reliability', ReliabilityPolicy),
                               ('durability', DurabilityPolicy), ('liveliness', LivelinessPolicy))}
_NUMBERS = ('depth', 'deadline', 'lifespan', 'liveliness_lease_duration')


def own_profile(profile: QoSProfile | int) -> QoSProfile:
    """A profile that may be written to: overrides are, and those of this package are shared by several topics."""
    if isinstance(profile, int):
        return QoSProfile(depth=profile)
    return QoSProfile(**{slot[1:]: getattr(profile, slot[1:]) for slot in QoSProfile.__slots__})


@dataclass(frozen=True)
class QosOverrides:
    """Those that a node was started with.

    Attributes:
        policies: of each (topic, 'publisher' | 'subscription').
        strange: names that are no override of anything, one sentence each: they have no effect.
        wrong: values that a policy cannot have, an error each.
    """

    policies: Mapping[tuple[str, str], tuple[QoSPolicyKind, ...]]
    strange: tuple[str, ...] = ()
    wrong: tuple[ParameterError, ...] = ()

    @classmethod
    def among(cls, given: Mapping[str, Any]) -> QosOverrides:
        """Sort out what a node was started with: values by parameter name."""
        policies: dict[tuple[str, str], tuple[QoSPolicyKind, ...]] = {}
        strange: list[str] = []
        wrong: list[ParameterError] = []
        for name in sorted(n for n in given if n.startswith(PREFIX)):
            found = _NAME.fullmatch(name)
            topic, entity, policy = found.groups() if found else ('', '', '')
            if policy not in (*_WORDS, *_NUMBERS) or (entity, policy) == ('subscription', 'lifespan'):
                strange.append(
                    f'parameter {name} has no effect; write qos_overrides.<full topic name>.<publisher or '
                    f'subscription>.<policy>, with a policy of: {", ".join((*_WORDS, *_NUMBERS))}')
                continue
            value = given[name]
            if policy in _WORDS and str(value).lower() not in _WORDS[policy]:
                wrong.append(ParameterError(f'{value!r} cannot be chosen', f'give one of: {", ".join(_WORDS[policy])}',
                                            place=f'parameter {name}'))
            elif policy in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                wrong.append(ParameterError(
                    f'{value!r} is not a whole number, or negative',
                    'give one of 0 or more' + ('' if policy == 'depth' else ', nanoseconds'),
                    place=f'parameter {name}'))
            else:
                key = topic, entity
                policies[key] = (*policies.get(key, ()), QoSPolicyKind[policy.upper()])
        return cls(policies, tuple(strange), tuple(wrong))

    def options(self, topic: str, entity: str) -> QoSOverridingOptions | None:
        """For one publisher or subscription of a topic's full name; None = it is left as it is."""
        kinds = self.policies.get((topic, entity))
        return QoSOverridingOptions(kinds) if kinds else None

    def check(self) -> None:
        """Raise for the first wrong value.

        Raises:
            ParameterError: there is one.
        """
        if self.wrong:
            raise self.wrong[0]
