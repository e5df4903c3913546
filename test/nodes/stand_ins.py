# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A node that keeps what is published, and messages of packages that are not installed."""
from __future__ import annotations

from typing import Any


class Message:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class Publisher:
    def __init__(self, kind: Any, topic: str) -> None:
        self.kind, self.topic, self.sent = kind, topic, []

    def publish(self, message: Any) -> None:
        self.sent.append(message)

    def get_subscription_count(self) -> int:
        return 1

    def on_activate(self, _: Any) -> None:
        pass


class Node:
    def __init__(self) -> None:
        self.made: dict[str, Publisher] = {}

    def create_lifecycle_publisher(self, kind: Any, topic: str, qos: Any) -> Publisher:
        self.made[topic] = Publisher(kind, topic)
        return self.made[topic]

    def get_clock(self) -> Any:
        return Message(now=lambda: Message(to_msg=lambda: None))

    def destroy_lifecycle_publisher(self, publisher: Publisher) -> None:
        del self.made[publisher.topic]
