# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A process with nodes in it: start, one executor, and an end that leaves nothing behind."""
from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence

import rclpy
from rclpy.exceptions import ROSInterruptException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from .errors import NodeError
from .managed_node import ManagedNode
from .ros_start import nodes_begin, start_ros

__all__ = ['run_alone', 'serve', 'spin']

#: what the executor raises at every turn must not take a core, s
_PAUSE_S = .01


def serve(make_nodes: Callable[[], Sequence[ManagedNode]], ros_args: Sequence[str], *,
          bring_up: bool = False) -> int:
    """Run nodes in this process until SIGINT or SIGTERM, or until all of them were shut down by their lifecycle.

    Args:
        make_nodes: called once ROS is up.
        ros_args: command line, program name first; what lies after `--ros-args` is for ROS.
        bring_up: configure and activate them; else only those whose parameter `autostart` says so.

    Returns:
        0, or 2 if a node could not be brought up (it has logged why).

    Raises:
        NodeError: ROS does not start, see `start_ros` and `nodes_begin`.
    """
    start_ros(ros_args)
    nodes: list[ManagedNode] = []
    # MultiThreadedExecutor loses most messages at the rates of four cameras
    executor = SingleThreadedExecutor()
    try:
        with nodes_begin():
            nodes += make_nodes()
        for node in nodes:
            executor.add_node(node)
        for node in nodes:
            if bring_up or node.get_parameter('autostart').value is True:
                node.bring_up()
            else:
                node.get_logger().info('waits to be configured (lifecycle)')
        spin(executor, nodes)
    except (KeyboardInterrupt, ExternalShutdownException, ROSInterruptException):
        pass
    except NodeError:
        if not nodes:
            raise
        if rclpy.ok():
            return 2
    except Exception:
        # a signal that comes just before the executor waits makes it raise a private class of rclpy
        if rclpy.ok():
            raise
    finally:
        _end(nodes, executor)
    return 0


def spin(executor: SingleThreadedExecutor, nodes: Sequence[ManagedNode]) -> None:
    """Spin until the context ends, or all nodes were shut down. What rclpy itself raises ends none of them."""
    while executor.context.ok() and not all(node.finished for node in nodes):
        try:
            executor.spin_once()
        except (ExternalShutdownException, ROSInterruptException):
            raise
        except Exception as error:
            if not executor.context.ok():
                raise
            nodes[0].defects.caught('the executor', error)
            time.sleep(_PAUSE_S)


def _end(nodes: Sequence[ManagedNode], executor: SingleThreadedExecutor) -> None:
    # under `ros2 launch` Ctrl-C arrives twice; the second one must not cut the cleanup short
    before = [(s, signal.signal(s, signal.SIG_IGN)) for s in (signal.SIGINT, signal.SIGTERM)]
    try:
        rclpy.try_shutdown()
        executor.shutdown()
        for node in reversed(nodes):
            node.destroy_node()
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def run_alone(make: Callable[[], ManagedNode | Sequence[ManagedNode]], args: Sequence[str] | None) -> int:
    """Entry point of a process with a node or several; `args` as `sys.argv`, None = that."""
    import sys
    try:
        def nodes() -> Sequence[ManagedNode]:
            made = make()
            return [made] if isinstance(made, ManagedNode) else made

        return serve(nodes, sys.argv if args is None else args)
    except NodeError as error:
        sys.stderr.write(f'{error}\n')
        return 2
