# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who may import whom. Read from the source (imports inside functions too) and tried in a process that refuses.

    commands, benchmark, demo, nodes -> io, inference, models -> core
    benchmark, demo, training -> evaluation -> synthetic -> core
    io, inference -> synthetic: motion capture as a value, people to try a network on

The core is numpy, SciPy, OpenCV and the standard library; ROS lives in nodes, and inside functions of commands and
demo; the command line starts with the standard library alone; training is imported by nobody but a command that trains.
"""
from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'selfpose_ros'

#: room -> the other rooms that it may import; what lies directly in the package is a room of its own, ''
ROOMS = {
    'core': set(),
    'synthetic': {'core'},
    'evaluation': {'core', 'synthetic'},
    'inference': {'core', 'models', 'synthetic'},
    'models': {'core'},
    'io': {'core', 'synthetic'},
    'nodes': {'core', 'inference', 'io', 'models'},
    'demo': {'core', 'evaluation', 'inference', 'io', 'models', 'nodes', 'synthetic'},
    'benchmark': {'core', 'evaluation', 'inference', 'io', 'models', 'synthetic'},
    'commands': {'benchmark', 'core', 'inference', 'io', 'models', 'nodes', 'demo'},
    '': {'commands'},
}
CORE_MAY = {'numpy', 'cv2'}
#: rooms that may import ROS: anywhere, or only inside functions
ROS_ANYWHERE, ROS_LATE = {'nodes'}, {'commands', 'demo'}
ROS = re.compile(r'rclpy|rcl_\w+|rosidl_\w+|ament_\w+|launch|launch_ros|ros2\w+|cv_bridge|tf2_\w+|message_filters|'
                 r'rosbag2_py|std_srvs|\w+_msgs|\w+_interfaces')
#: nowhere in the package: training and the running system share the model folder and nothing else. A command that
#: trains may start it, inside a function. SciPy has 140 MB and takes every process that starts a third of a second;
#: what is needed of it is a few functions.
TRAINING = 'selfpose_training'
NOWHERE = {TRAINING, 'torch', 'tensorboard', 'scipy'}
#: package -> the only module that may import it, by a name that it puts together or in a function
DOORS = {'onnxruntime': 'inference.onnx_runtime', 'ai_edge_litert': 'inference.lite_rt'}
#: rooms that the training may import
TRAINING_MAY = {'core', 'synthetic', 'evaluation', 'io', 'models', 'inference'}


@dataclass(frozen=True)
class Import:
    """One imported module, absolute, and where."""

    module: str
    late: bool
    file: Path
    line: int

    @property
    def top(self) -> str:
        """The package it belongs to."""
        return self.module.partition('.')[0]


def imports(file: Path, root: Path) -> Iterator[Import]:
    """Every import of a file: statements, and import_module and __import__ with a literal name."""
    package = file.relative_to(root).with_suffix('').parts[:-1]

    def visit(node: ast.AST, late: bool) -> Iterator[Import]:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            up = package[:len(package) - node.level + 1] if node.level else ()
            base = '.'.join([*up, *([node.module] if node.module else [])])
            # `from .. import io`: the name may be a room, so it counts with the name
            names = [f'{base}.{a.name}' for a in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')
            if called in ('import_module', '__import__') and isinstance(node.args[0].value, str):
                names = [node.args[0].value]
        for name in names:
            yield Import(name, late, file, node.lineno)
        inside = late or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(ast.parse(file.read_text(encoding='utf-8'), str(file)), False)


def violations(root: Path) -> list[str]:
    """One line for each import in root/selfpose_ros that goes through a wall."""
    found = []
    for file in sorted((root / PACKAGE).rglob('*.py')):
        parts = file.relative_to(root / PACKAGE).parts
        room = parts[0] if len(parts) > 1 else ''
        if room not in ROOMS:
            found.append(f'{file.relative_to(root)}: room {room!r} has no rule; add it to ROOMS')
            continue
        for i in imports(file, root):
            reason = forbidden(i, room)
            if reason:
                found.append(f'{file.relative_to(root)}:{i.line}: {i.module}: {reason}')
    return found


def forbidden(i: Import, room: str) -> str:
    """Why this room must not import that, or ''."""
    if i.top == TRAINING and room == 'commands' and i.late:
        return ''
    if i.top in DOORS and i.file.parts[-2:] != (*DOORS[i.top].split('.')[:-1], f'{DOORS[i.top].split(".")[-1]}.py'):
        return f'only {DOORS[i.top]} may'
    if i.top in NOWHERE:
        return 'training is not part of the running system'
    if i.top == PACKAGE:
        parts = i.module.split('.')
        other = parts[1] if len(parts) > 1 and parts[1] in ROOMS else ''
        if other and other != room and other not in ROOMS[room]:
            return f'{room or "the top"} must not import {other}'
        return ''
    if i.top in sys.stdlib_module_names:
        return ''
    if ROS.fullmatch(i.top) and room not in ROS_ANYWHERE and not (room in ROS_LATE and i.late):
        return 'ROS belongs into nodes' + (', or inside a function here' if room in ROS_LATE else '')
    if room == 'core' and i.top not in CORE_MAY:
        return f'the core is {", ".join(sorted(CORE_MAY))} and the standard library'
    if room == '' and not i.late:
        return 'the command line starts with the standard library alone'
    return ''


def training_violations(root: Path) -> list[str]:
    """One line for each import in root/training of a room that it must not know."""
    found = []
    for file in sorted((root / 'training').rglob('*.py')):
        for i in imports(file, root):
            room = (*i.module.split('.'), '')[1] if i.top == PACKAGE else ''
            if i.top in DOORS:
                found.append(f'{file.relative_to(root)}:{i.line}: {i.module}: only {DOORS[i.top]} may')
            if ROS.fullmatch(i.top) or (room and room in ROOMS and room not in TRAINING_MAY):
                found.append(f'{file.relative_to(root)}:{i.line}: {i.module}: training and the nodes never meet')
    return found


def modules(root: Path, package: str, folder: str) -> dict[str, Path]:
    """Name of each module of a package that lies in root/folder, and its file."""
    out = {}
    for file in (root / folder).rglob('*.py'):
        parts = file.relative_to(root / folder).with_suffix('').parts
        out['.'.join([package, *(parts[:-1] if parts[-1] == '__init__' else parts)])] = file
    return out


def imported(root: Path, package: str = PACKAGE, folder: str = PACKAGE) -> dict[str, set[str]]:
    """The modules of a package that each of its files imports, inside functions and for types alone, too.

    Something that a file lies in does not count: that is loaded before it.
    """
    files = modules(root, package, folder)
    to: dict[str, set[str]] = {}
    for name, file in files.items():
        to[name] = set()
        for i in imports(file, root):
            module = i.module.replace(f'{folder}.', f'{package}.', 1) if i.module.startswith(f'{folder}.') else i.module
            while module and module not in files:                       # a name in a module, and not one itself
                module = module.rpartition('.')[0]
            if module and not f'{name}.'.startswith(f'{module}.'):
                to[name].add(module)
    return to


def circles(to: dict[str, set[str]]) -> list[list[str]]:
    """Groups of names that lead to each other in a circle."""
    reach = {name: _reached(name, to) for name in to}
    groups = {frozenset(b for b in reach[a] if a in reach[b]) for a in to if a in reach[a]}
    return sorted(sorted(g) for g in groups)


def folders(to: dict[str, set[str]], within: str) -> dict[str, set[str]]:
    """Imports between the folders that lie directly in a package or room; a file beside them is a folder of its own."""
    def of(module: str) -> str:
        return '.'.join(module.split('.')[:within.count('.') + 2])

    out: dict[str, set[str]] = {}
    for name, modules_ in to.items():
        if f'{name}.'.startswith(f'{within}.'):
            out.setdefault(of(name), set()).update(of(m) for m in modules_ if f'{m}.'.startswith(f'{within}.'))
    return {a: b - {a} for a, b in out.items()}


def _reached(start: str, to: dict[str, set[str]]) -> set[str]:
    """What a file imports, and what those import, and so on."""
    seen: set[str] = set()
    rest = [start]
    while rest:
        for module in to[rest.pop()] - seen:
            seen.add(module)
            rest.append(module)
    return seen


def test_no_files_import_each_other_in_a_circle():
    assert circles(imported(ROOT)) == []
    assert circles(imported(ROOT, TRAINING, 'training')) == []


def test_no_rooms_and_no_folders_of_a_room_import_each_other_in_a_circle():
    to = imported(ROOT)
    core = folders(to, f'{PACKAGE}.core')
    assert len(core) > 20 and 'selfpose_ros.core.rig' in core['selfpose_ros.core.rig_model']
    for room in set(ROOMS) - {''}:
        assert circles(folders(to, f'{PACKAGE}.{room}')) == [], room
    assert circles(folders(to, PACKAGE)) == []
    assert circles(folders(imported(ROOT, TRAINING, 'training'), TRAINING)) == []


def test_the_guard_of_circles_between_folders_bites(tmp_path: Path):
    for file, code in (('io/a/one.py', 'from ..b.two import x'), ('io/b/two.py', ''), ('io/b/three.py', '')):
        (tmp_path / PACKAGE / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / PACKAGE / file).write_text(code)
    assert circles(folders(imported(tmp_path), f'{PACKAGE}.io')) == []
    (tmp_path / PACKAGE / 'io' / 'b' / 'three.py').write_text('from ..a import one')
    assert circles(imported(tmp_path)) == []
    assert circles(folders(imported(tmp_path), f'{PACKAGE}.io')) == [['selfpose_ros.io.a', 'selfpose_ros.io.b']]


@pytest.mark.parametrize('back', ['from .a import x', 'def f():\n    from . import a', 'import selfpose_ros.io.a',
                                  'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import x'])
def test_the_guard_of_circles_bites(tmp_path: Path, back: str):
    room = tmp_path / PACKAGE / 'io'
    room.mkdir(parents=True)
    (room / 'a.py').write_text('from .b import y')
    (room / 'b.py').write_text('from ..core.c import z')
    (room / '__init__.py').write_text('from .a import x')
    (tmp_path / PACKAGE / 'core').mkdir()
    (tmp_path / PACKAGE / 'core' / 'c.py').write_text('')
    assert circles(imported(tmp_path)) == []
    (room / 'b.py').write_text(back)
    assert circles(imported(tmp_path)) == [['selfpose_ros.io.a', 'selfpose_ros.io.b']]


def test_nothing_goes_through_a_wall():
    assert violations(ROOT) == []
    assert training_violations(ROOT) == []


@pytest.mark.parametrize('code', [
    'import rclpy', 'from selfpose_ros.nodes import messages', 'from selfpose_ros.benchmark import rows',
    'def f():\n    import std_msgs',
    'import selfpose_ros.commands.run', 'def f():\n    import onnxruntime', 'from selfpose_ros.demo.film import Film'])
def test_the_guard_of_the_training_bites(tmp_path: Path, code: str):
    (tmp_path / 'training').mkdir()
    (tmp_path / 'training' / 'x.py').write_text(code)
    assert len(training_violations(tmp_path)) == 1


@pytest.mark.parametrize(('file', 'code'), [
    ('core/rig/x.py', 'import rclpy'),
    ('core/x.py', 'def f():\n    import yaml'),
    ('core/x.py', 'from ..io import npz'),
    ('core/rig/x.py', 'from ... import inference'),
    ('core/x.py', 'import importlib\nimportlib.import_module("torch")'),
    ('core/x.py', 'try:\n    import onnxruntime\nexcept ImportError:\n    pass'),
    ('core/x.py', 'from ..synthetic import walker'),
    ('core/x.py', 'from scipy.stats import median_abs_deviation'),
    ('nodes/x.py', 'import scipy.signal'),
    ('synthetic/x.py', 'from ..io import npz'),
    ('synthetic/x.py', 'from ..evaluation.alignment import align'),
    ('evaluation/x.py', 'def f():\n    from ..benchmark import rows'),
    ('nodes/x.py', 'from ..synthetic import walker'),
    ('io/x.py', 'from ..evaluation import scoring'),
    ('io/x.py', 'from ..inference.pose2d import make_pose2d'),
    ('io/x.py', 'from selfpose_ros.nodes import messages'),
    ('io/x.py', 'def f():\n    from sensor_msgs.msg import Image'),
    ('inference/x.py', 'import cv_bridge'),
    ('inference/x.py', 'def f():\n    import onnxruntime'),
    ('inference/x.py', 'def f():\n    from ai_edge_litert.interpreter import Interpreter'),
    ('inference/onnx_runtime.py', 'import importlib\nimportlib.import_module("ai_edge_litert")'),
    ('commands/x.py', 'from onnxruntime.transformers.float16 import convert_float_to_float16'),
    ('models/x.py', 'import torch'),
    ('nodes/x.py', 'from ..commands import run'),
    ('nodes/x.py', 'class C:\n    def f(self):\n        import selfpose_training.trainer.fit'),
    ('commands/x.py', 'import rclpy'),
    ('commands/x.py', 'import selfpose_training'),
    ('commands/x.py', 'def f():\n    import torch'),
    ('demo/x.py', 'from std_msgs.msg import String'),
    ('x.py', 'import numpy'),
    ('x.py', 'from .core import skeleton'),
    ('utils/x.py', ''),
])
def test_the_reading_guard_bites(tmp_path: Path, file: str, code: str):
    path = tmp_path / PACKAGE / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert len(violations(tmp_path)) == 1


@pytest.mark.parametrize(('file', 'code'), [
    ('core/rig/x.py', 'import json, numpy as np, cv2\nfrom ..skeleton import X\nfrom . import y'),
    ('io/x.py', 'from rosbags.rosbag2 import Reader\nfrom ..core.rig import Rig'),
    ('nodes/x.py', 'import rclpy\nfrom ..inference import pose2d\nfrom std_srvs.srv import Trigger'),
    ('commands/x.py', 'from ..nodes import parameters\ndef f():\n    import rclpy'),
    ('commands/x.py', 'def f():\n    from selfpose_training.run import train'),
])
def test_the_reading_guard_lets_through_what_is_right(tmp_path: Path, file: str, code: str):
    path = tmp_path / PACKAGE / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert violations(tmp_path) == []


# A process that refuses every module but those named. find_spec, because find_module is ignored since Python 3.12.
REFUSING = textwrap.dedent("""
    import importlib, pkgutil, sys

    class Refusing:
        def __init__(self, allowed):
            self.allowed = allowed

        def find_spec(self, name, path=None, target=None):
            top, _, rest = name.partition('.')
            if top in sys.stdlib_module_names or top.startswith('_sysconfigdata') or top in self.allowed:
                return None
            if top == 'selfpose_ros' and (not rest or rest.split('.')[0] in self.allowed):
                return None
            raise ModuleNotFoundError(f'refused: {name}', name=name)

    def every_module(package):
        importlib.import_module(package)
        for found in pkgutil.walk_packages(sys.modules[package].__path__, package + '.'):
            importlib.import_module(found.name)
            print(found.name)

""")


def _refusing(allowed: set[str], code: str) -> subprocess.CompletedProcess[str]:
    start = f'sys.path.insert(0, {str(ROOT)!r})\nsys.meta_path.insert(0, Refusing({allowed!r}))\n'
    return subprocess.run([sys.executable, '-c', REFUSING + start + code], check=False, capture_output=True,
                          text=True, timeout=120)


def test_every_module_of_the_core_loads_where_nothing_else_can():
    done = _refusing(CORE_MAY | {'core'}, "every_module('selfpose_ros.core')")
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    on_disk = {'.'.join(f.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
               for f in (ROOT / PACKAGE / 'core').rglob('*.py')} - {'selfpose_ros.core'}
    assert loaded == on_disk


@pytest.mark.parametrize('arguments', [['--help'], ['--version'], ['no such command']])
def test_the_command_line_starts_with_the_standard_library_alone(arguments: list[str]):
    code = f'from selfpose_ros.cli import main\nsys.exit(main({arguments!r}))'
    done = _refusing({'cli', 'commands', 'threads'}, code)
    assert done.returncode in (0, 2), done.stderr
    assert 'refused' not in done.stderr and 'selfpose' in done.stdout + done.stderr


@pytest.mark.parametrize('module', ['rclpy', 'torch', 'yaml', 'selfpose_ros.io', 'selfpose_training'])
def test_the_refusing_process_refuses(module: str):
    done = _refusing(CORE_MAY | {'core'}, f'import {module}')
    assert done.returncode == 1
    assert f'refused: {module}' in done.stderr
