# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A parameter of the table as ROS declares it: type, range, description, and values in ROS's own types."""
from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from .parameters import Parameter

__all__ = ['declare', 'descriptor_of', 'ros_parameter']

_TYPES = {'bool': RosParameter.Type.BOOL, 'int': RosParameter.Type.INTEGER, 'double': RosParameter.Type.DOUBLE,
          'string': RosParameter.Type.STRING, 'string[]': RosParameter.Type.STRING_ARRAY}


def descriptor_of(parameter: Parameter) -> ParameterDescriptor:
    """What `ros2 param describe` and rqt show of a parameter; its range is what rqt makes a slider of."""
    out = ParameterDescriptor(description=parameter.sentence, additional_constraints=parameter.constraints,
                              read_only=parameter.read_only)
    if parameter.low is not None and parameter.high is not None:
        if parameter.kind == 'int':
            out.integer_range = [IntegerRange(from_value=int(parameter.low), to_value=int(parameter.high), step=1)]
        else:
            out.floating_point_range = [FloatingPointRange(from_value=float(parameter.low),
                                                           to_value=float(parameter.high))]
    return out


def ros_parameter(parameter: Parameter, value: Any) -> RosParameter:
    """A value that `checked` let through, in the parameter's own type."""
    return RosParameter(parameter.name, _TYPES[parameter.kind], list(value) if isinstance(value, tuple) else value)


def declare(node: Node, parameter: Parameter, value: Any) -> None:
    """Declare it with this value, which `checked` let through; what the node was started with is not looked at."""
    # by type, not by value: [] has none of its own
    if parameter.kind == 'string[]':
        node.declare_parameter(parameter.name, _TYPES[parameter.kind], descriptor_of(parameter), True)
        Node.set_parameters(node, [ros_parameter(parameter, value)])
    else:
        node.declare_parameter(parameter.name, value, descriptor_of(parameter), True)
