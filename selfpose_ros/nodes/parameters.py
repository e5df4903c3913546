# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Every parameter of both nodes, declared once; nodes, `config/default.yaml` and docs/parameters.md are made from this.

No ROS import: a node is anything with the parameter methods of `rclpy.node.Node`.
"""
from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

from ..inference.backend import BACKENDS
from ..io.ros_messages.images import MAX_MEGAPIXELS
from ..models.catalogue import DEFAULT
from .anchor_parameters import anchor_places, anchor_pose
from .errors import ParameterError

__all__ = [
    'FusionSettings', 'NODES', 'Parameter', 'Pose2DSettings', 'camera_names', 'checked', 'default_yaml',
    'markdown_table', 'settings_from', 'table', 'unknown_names',
]

_KINDS = {bool: 'bool', int: 'int', float: 'double', str: 'string', tuple[str, ...]: 'string[]'}
_CAMERA = re.compile(r'[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*')
#: the first column of a sentence that goes on in the YAML file
_YAML_WIDTH = 112
#: no parameter comes near; beyond, whole numbers are no floats any more
_MOST = 2**63
_PER_CAMERA = 'give one topic for each camera in the same order, or none'


def _of(default: Any, sentence: str, *, unit: str = '', low: float | None = None, high: float | None = None,
        choices: Sequence[str] = (), any_time: bool = False, read_only: bool = False) -> Any:
    return field(default=default, metadata={
        'sentence': sentence, 'unit': unit, 'low': low, 'high': high, 'choices': tuple(choices),
        'any_time': any_time, 'read_only': read_only})


_BACKEND = ('What runs {}: onnxruntime (CPU), tensorrt (NVIDIA GPU, or an error that says why not), or auto = tensorrt '
            'where it works, else onnxruntime.')
_STARTUP = ('For so long after the node was activated, what does not come yet is no fault: camera drivers and networks '
            'may still be loading.')
_ENABLED = ('Whether it works; `~/enable` sets it, too. false: the node stays as it is (networks, rig), takes nothing, '
            'sends nothing and costs next to nothing.')
_BOND = ('Time between two beats of the bond by which a lifecycle manager, as that of Nav2, sees that the node lives; '
         '0 = no bond. Where the package bond is installed, and while somebody listens.')
_ENGINES = 'Folder of the engines that TensorRT builds on this machine; empty = ~/.cache/selfpose_ros/engines.'


def camera_group(text: str) -> tuple[str, ...]:
    """Names that stand in one text, each once: 'cam1, cam2'."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(',') if name.strip()))


@dataclass(frozen=True)
class Pose2DSettings:
    """Parameters of pose2d_node."""

    cameras: tuple[str, ...] = _of((), 'Names of the cameras, one for each; topics are named after them.')
    image_topics: tuple[str, ...] = _of(
        (), 'Image topics in the order of `cameras`; empty = `<camera>/image_raw`.')
    camera_info_topics: tuple[str, ...] = _of(
        (), 'CameraInfo topics in the order of `cameras`; empty = `camera_info` beside each image topic. '
        'Optional: a camera without CameraInfo, or with K[0] = 0, is calibrated from the motion of people.')
    image_transport: str = _of(
        'auto', 'auto = raw images, but `<image topic>/compressed` where only that is published, or where raw '
        'images are offered best effort alone.', choices=('auto', 'raw', 'compressed'))
    image_reliability: str = _of(
        'auto', 'auto = what the publisher offers. best_effort loses most raw images larger than 512 kB with '
        'default Fast DDS settings.', choices=('auto', 'reliable', 'best_effort'))
    model: str = _of(DEFAULT, 'The 2D pose network: one of the catalogue (selfpose model get), or a model folder '
                              '(selfpose model import). While the node works, another one is loaded and checked beside '
                              'the one that runs, and takes over between two images.', any_time=True)
    model_options: tuple[str, ...] = _of((), "Options of the network as 'name=value', e.g. 'detect_every=5'.",
                                         any_time=True)
    backend: str = _of('onnxruntime', _BACKEND.format('a model folder (mediapipe runs by itself)'), choices=BACKENDS)
    engine_cache: str = _of('', _ENGINES)
    workers: int = _of(2, 'Threads that decode images and run the network; one per core that may be used. Where '
                       'a GPU takes the images of all cameras together, each camera has one.', low=1, high=64)
    max_megapixels: float = _of(
        MAX_MEGAPIXELS, 'Larger images are refused before memory is taken for them, million px.', unit='Mpx', low=0.1,
        high=1000., any_time=True)
    max_people: int = _of(6, 'No more people than this are looked for and published per camera: the nearest '
                          '(largest) ones.', low=1, high=50, any_time=True)
    min_confidence: float = _of(0., 'Joints with less confidence count as not seen.', low=0., high=1.,
                                any_time=True)
    look_again: bool = _of(True, 'Where `fusion` expects somebody whom the network has not found in an image, it looks '
                           'there again; while that has no rig, its detector looks in every image, for 20 s at most.',
                       any_time=True)
    max_age_s: float = _of(0.5, 'Images and keypoints older than this are left out and counted, not sent as if they '
                           'were new: cameras and network are too much for this machine then. 0 = all are sent.',
                           unit='s', low=0., high=60., any_time=True)
    stale_after_s: float = _of(2., 'A camera without images for this long, and for three of its own periods, counts as '
                               'gone in the diagnostics.', unit='s', low=0.1, high=3600., any_time=True)
    startup_s: float = _of(10., _STARTUP, unit='s', low=0., high=3600., any_time=True)
    diagnostics_period_s: float = _of(1., 'Time between two messages on /diagnostics.', unit='s', low=0.1,
                                      high=60.)
    bond_period_s: float = _of(0.1, _BOND, unit='s', low=0., high=2.)
    overlay_hz: float = _of(10., 'No more pictures a second of a camera than this on `~/overlay/<camera>`, and none '
                            'unless somebody subscribes.', unit='Hz', low=0.1, high=120., any_time=True)
    fusion: str = _of('fusion_node', 'Name of the node whose people are looked for, and drawn into these pictures, '
                      'relative to the namespace or absolute.')
    enabled: bool = _of(True, _ENABLED, any_time=True)
    autostart: bool = _of(True, 'Configure and activate at the start; false = wait for a lifecycle manager.',
                          read_only=True)

    def __post_init__(self) -> None:
        camera_names(self.cameras)
        for name in ('image_topics', 'camera_info_topics'):
            topics = getattr(self, name)
            if topics and len(topics) != len(self.cameras):
                raise ParameterError(f'{len(topics)} entries for {len(self.cameras)} cameras', _PER_CAMERA,
                                     place=f'parameter {name}')
        for option in self.model_options:
            if '=' not in option:
                raise ParameterError(f'{option!r} has no =', "write each option as 'name=value'",
                                     place='parameter model_options')


@dataclass(frozen=True)
class FusionSettings:
    """Parameters of fusion_node."""

    cameras: tuple[str, ...] = _of((), 'Names of the cameras; empty = every camera whose keypoints are published.')
    keypoints_topics: tuple[str, ...] = _of(
        (), 'Keypoints topics in the order of `cameras`; empty = `<camera>/keypoints`.')
    max_wait_s: float = _of(0.15, 'How long an instant waits for a camera that is late.', unit='s', low=0.,
                            high=5.)
    correct_clocks: bool = _of(
        False, 'Stamps of cameras on hosts whose clocks are more than 0.15 s off are put right by how people move, '
        'within some 10 s of movement in the sight of all; false: such a camera is named, and left out.')
    person_height_m: float = _of(
        0., 'Standing height of the person that is seen, which sets the metric scale; 0 = not known.', unit='m',
        low=0., high=2.5)
    baseline_m: float = _of(
        0., 'Distance between two cameras, which sets the metric scale if no height is given; 0 = not known. With '
        'neither, the average adult sets it.', unit='m', low=0., high=1000.)
    baseline_cameras: tuple[str, ...] = _of((), 'The two cameras of `baseline_m`; empty = the first two by name.')
    same_lens: tuple[str, ...] = _of((), 'Cameras that have equal lenses (one type, one zoom), a group an entry, as in '
                                     '"cam1,cam2": they share focal length and distortion.')
    convention: str = _of('', 'File of `selfpose model convention` for the 2D network: joints are moved to where limbs '
                          'turn. Empty = they are used as they are.')
    max_people: int = _of(6, 'No more people than this are followed; of a message with more than four times as many '
                          'the surest are taken.', low=1, high=50)
    reentry_s: float = _of(15., 'Somebody who leaves and comes back within this has the identity that he had, when '
                           'motion, size and place allow.', unit='s', low=0., high=600.)
    max_age_s: float = _of(0.5, 'Results older than this (and than twice `max_wait_s`) are left out and counted, not '
                           'sent as if they were new: what fuses is too slow then. 0 = all are sent.', unit='s', low=0.,
                           high=60.)
    lag_s: float = _of(0., 'Results are this much older and smoother, in the light of later images; 0 = no delay.',
                       unit='s', low=0., high=1.)
    lifter: str = _of(
        'auto', 'The lifting network, which gives poses from the first image and from one camera: auto = the one that '
        'is shipped, none, the name of a shipped model, or a model folder. While the node works, another one is loaded '
        'and checked beside the one that runs, and takes over between two instants.', any_time=True)
    correction: bool = _of(
        False, 'Below level 3, poses of the lifting network are corrected by the joints in all images, instant by '
        'instant: truer, less smooth. Without effect with `lag_s`.')
    backend: str = _of('onnxruntime', _BACKEND.format('the lifting network'), choices=BACKENDS)
    engine_cache: str = _of('', _ENGINES)
    rig_solver: str = _of(
        'process', 'Where the positions of the cameras are solved: process (does not slow the node down), thread, '
        'or inline (same result in every replay).', choices=('process', 'thread', 'inline'))
    rig_first_solve_s: float = _of(0., 'First attempt to find the cameras after this much footage of people; 0 = at '
                                   'once.', unit='s', low=0., high=600.)
    rig_min_quality: float = _of(0.3, 'A rig with a lower predicted quality (0..1) is refused.', low=0., high=1.)
    rig_file: str = _of('', 'File that `~/save_rig` writes; a rig found there is used from the first image. Empty '
                            '= none.')
    world_frame: str = _of('selfpose_world', 'Frame of people whose position is known: z up, origin on the floor.')
    provisional_frame: str = _of(
        'selfpose_provisional', 'Frame of people seen before the cameras are trusted (levels 1 and 2): it may '
        'jump from one message to the next, and no transform links it to another frame.')
    parent_frame: str = _of(
        '', 'A frame of the robot, `base_link` say, that `world_frame` gets its place in, on /tf_static and '
        '~/world_transform; empty = none. The place is told by one of the three below.', any_time=True)
    anchor_camera: str = _of('', 'A camera whose pose in `parent_frame` is known.', any_time=True)
    anchor_pose: str = _of(
        '0 0 0 0 0 0', "'x y z roll pitch yaw', m and rad, in `parent_frame`: of the optical frame (z forward, x "
        'right) of `anchor_camera`, or, without one, of `world_frame` itself.', any_time=True)
    anchor_places: tuple[str, ...] = _of(
        (), "Places of three cameras or more in `parent_frame`, m, in place of a pose: 'cam1=0.5 1.2 2.0'.",
        any_time=True)
    static_cameras: bool = _of(
        False, 'The camera frames go to /tf_static once the rig has not changed for 10 s, instead of to /tf with every '
        'result: fewer messages, but a rig that is given up leaves them behind.', any_time=True)
    publish_tf: bool = _of(True, 'Publish the camera frames `<camera>_optical` on /tf once they are known.',
                           any_time=True)
    people_frames: str = _of(
        'body', 'Frames of people on /tf: body = `body_<id>` and `pelvis_<id>` (place, turn of the pelvis), '
        'joints = all 17 as well, none. Where tf2_msgs is installed, and at level 3.',
        choices=('none', 'body', 'joints'),
        any_time=True)
    publish_humans: bool = _of(True, 'Publish `/humans/bodies/<id>/joint_states` and the like (REP-155); computed '
                               'while somebody subscribes.')
    hold_feet: bool = _of(False, 'Feet that stand do not slide: for looks, joints are a little further from the truth.',
                          any_time=True)
    marker_size_m: float = _of(0.05, 'Diameter of the joints in ~/markers.', unit='m', low=0.001, high=1.,
                               any_time=True)
    stale_after_s: float = _of(2., 'A camera without keypoints for this long, and for three of its own periods, counts '
                               'as gone in the diagnostics.', unit='s', low=0.1, high=3600., any_time=True)
    leave_after_s: float = _of(
        30., 'A camera that is not named in `cameras` is taken for removed when nobody has published its keypoints for '
        'this long.', unit='s', low=0.1, high=86400., any_time=True)
    startup_s: float = _of(10., _STARTUP, unit='s', low=0., high=3600., any_time=True)
    diagnostics_period_s: float = _of(1., 'Time between two messages on /diagnostics.', unit='s', low=0.1,
                                      high=60.)
    bond_period_s: float = _of(0.1, _BOND, unit='s', low=0., high=2.)
    enabled: bool = _of(True, _ENABLED, any_time=True)
    autostart: bool = _of(True, 'Configure and activate at the start; false = wait for a lifecycle manager.',
                          read_only=True)

    def __post_init__(self) -> None:
        camera_names(self.cameras)
        if self.keypoints_topics and len(self.keypoints_topics) != len(self.cameras):
            raise ParameterError(f'{len(self.keypoints_topics)} entries for {len(self.cameras)} cameras', _PER_CAMERA,
                                 place='parameter keypoints_topics')
        if self.baseline_cameras and len(set(self.baseline_cameras)) != 2:
            raise ParameterError(f'{list(self.baseline_cameras)} are not two cameras', 'name two, or none',
                                 place='parameter baseline_cameras')
        self._check_cameras('baseline_cameras', self.baseline_cameras)
        for group in self.same_lens:
            names = camera_group(group)
            if len(names) < 2:
                raise ParameterError(f'{group!r} is one camera', 'name two cameras or more, as in "cam1,cam2"',
                                     place='parameter same_lens')
            self._check_cameras('same_lens', names)
        if not self.world_frame or self.world_frame == self.provisional_frame:
            raise ParameterError(f'{self.world_frame!r} is empty, or that of provisional_frame, too',
                                 'give two different names', place='parameter world_frame')
        if self.parent_frame in (self.world_frame, self.provisional_frame):
            raise ParameterError(f'{self.parent_frame!r} is one of the frames that it is to be the parent of',
                                 'name another frame', place='parameter parent_frame')
        anchor_pose(self.anchor_pose)
        anchor_places(self.anchor_places)

    def _check_cameras(self, parameter: str, names: Sequence[str]) -> None:
        strange = sorted(set(names) - set(self.cameras)) if self.cameras else []
        if strange:
            raise ParameterError(f'{strange[0]!r} is not in cameras ({", ".join(self.cameras)})', 'name one that is',
                                 place=f'parameter {parameter}')


Settings = TypeVar('Settings', Pose2DSettings, FusionSettings)
#: node name -> its parameters
NODES: dict[str, type[Pose2DSettings] | type[FusionSettings]] = {
    'pose2d_node': Pose2DSettings, 'fusion_node': FusionSettings}


@dataclass(frozen=True)
class Parameter:
    """One parameter as it is declared.

    Attributes:
        kind: 'bool' | 'int' | 'double' | 'string' | 'string[]'.
        unit: '' for none.  low, high: inclusive range, None = open.  choices: allowed words.
        any_time: takes effect at once; else at the next configure.
        read_only: takes effect when the node is started, and cannot be set afterwards.
    """

    name: str
    kind: str
    default: Any
    sentence: str
    unit: str = ''
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    any_time: bool = False
    read_only: bool = False

    @property
    def changes_at(self) -> str:
        """'any time' | 'configure' | 'start'."""
        return 'start' if self.read_only else 'any time' if self.any_time else 'configure'

    @property
    def constraints(self) -> str:
        """What may be set and when it takes effect, in words."""
        when = {'start': 'takes effect when the node is started', 'any time': 'takes effect at once',
                'configure': 'takes effect when the node is configured'}[self.changes_at]
        return f'{self.allowed}; {when}' if self.allowed else when

    @property
    def allowed(self) -> str:
        """What may be set, in words; '' = anything of its kind."""
        if self.choices:
            return ' | '.join(self.choices)
        if self.low is None:
            return ''
        return f'{self.low:g} to {self.high:g}' + (f' {self.unit}' if self.unit else '')


def table(settings: type[Pose2DSettings] | type[FusionSettings]) -> tuple[Parameter, ...]:
    """The parameters of one node in the order of their declaration."""
    hints = get_type_hints(settings)
    return tuple(Parameter(f.name, _KINDS[hints[f.name]], f.default, **f.metadata)
                 for f in dataclasses.fields(settings))


def camera_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names, if each can be part of a topic name and none occurs twice.

    Raises:
        ParameterError: otherwise.
    """
    for name in names:
        if not _CAMERA.fullmatch(name):
            raise ParameterError(f'{name!r} cannot name a topic',
                                 'use letters, digits, _ and / and begin with a letter', place='parameter cameras')
    double = sorted({n for n in names if list(names).count(n) > 1})
    if double:
        raise ParameterError(f'{double[0]!r} is given twice', 'every camera needs a name of its own',
                             place='parameter cameras')
    return tuple(names)


def checked(parameter: Parameter, value: Any) -> Any:
    """The value in the parameter's own type.

    A whole number is taken for a double and the other way round, a word or 'a,b' for a list of strings, None (an
    empty list in YAML) for the default: that is what YAML files and launch files hand over.

    Raises:
        ParameterError: another type, or not allowed.
    """
    if value is None:
        return parameter.default
    kind, wrong, place = parameter.kind, False, f'parameter {parameter.name}'
    if isinstance(value, int) and abs(value) > _MOST:
        raise ParameterError(f'a number of about {len(hex(value)) * 6 // 5} digits cannot be used',
                             f'give {parameter.allowed or _WORDS[kind]}', place=place)
    if kind == 'string[]':
        if isinstance(value, str):
            value = [v.strip() for v in value.strip('[] ').split(',')]
        try:
            value = tuple(v for v in value if v != '') if not isinstance(value, bytes) else ()
        except TypeError:
            wrong = True
        wrong = wrong or not all(isinstance(v, str) for v in value)
    elif kind == 'double':
        wrong = isinstance(value, bool) or not isinstance(value, (int, float))
        value = value if wrong else float(value)
    elif kind == 'int':
        wrong = (isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
                 or value != int(value))
        value = value if wrong else int(value)
    else:
        wrong = not isinstance(value, {'bool': bool, 'string': str}[kind])
    if wrong:
        raise ParameterError(f'{value!r} is not {_WORDS[kind]}', f'give {parameter.allowed or _WORDS[kind]}',
                             place=place)
    if parameter.choices and value not in parameter.choices:
        near = difflib.get_close_matches(value, parameter.choices, 1, 0.5)
        raise ParameterError(f'{value!r} cannot be chosen', f'give one of: {", ".join(parameter.choices)}' + (
            f'; did you mean {near[0]}?' if near else ''), place=place)
    if parameter.low is not None and not parameter.low <= value <= (parameter.high or value):
        raise ParameterError(f'{value:g} is out of range', f'give {parameter.allowed}', place=place)
    return value


_WORDS = {'bool': 'true or false', 'int': 'a whole number', 'double': 'a number', 'string': 'a string',
          'string[]': 'a list of strings'}


def settings_from(settings: type[Settings], values: dict[str, Any]) -> Settings:
    """Settings from plain values; what is not given has its default.

    Raises:
        ParameterError: a value that is not allowed, or values that do not fit each other.
    """
    return settings(**{p.name: checked(p, values.get(p.name)) for p in table(settings)})


def unknown_names(settings: type[Pose2DSettings] | type[FusionSettings], given: Iterable[str]) -> list[str]:
    """One sentence for each given name that is no parameter of the node (nor one that every node has)."""
    known = [p.name for p in table(settings)]
    out = []
    for name in sorted(set(given) - set(known)):
        if name in ('use_sim_time', 'start_type_description_service') or name.startswith('qos_overrides.'):
            continue                                       # of the latter see `QosOverrides`
        near = difflib.get_close_matches(name, known, 1)
        out.append(f'parameter {name} is not known here and has no effect'
                   + (f'; did you mean {near[0]}?' if near else ''))
    return out


def _yaml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, tuple):
        return f'[{", ".join(_yaml_value(v) for v in value)}]'
    return repr(value)


def _wrapped(text: str, indent: str) -> list[str]:
    lines, line = [], indent
    for word in text.split():
        if len(line) + len(word) + 1 > _YAML_WIDTH and line != indent:
            lines.append(line)
            line = indent
        line += ('' if line == indent else ' ') + word
    return [*lines, line]


def default_yaml() -> str:
    """The text of `config/default.yaml`: every parameter with its default and its sentence."""
    lines = ['# Copyright 2026 The selfpose_ros developers', '# SPDX-License-Identifier: Apache-2.0',
             '# Every parameter with its default. Generated from nodes/parameters.py; a test compares.',
             '# For your own robot, copy it and keep only the lines that you change.', '']
    for node, settings in NODES.items():
        lines += [f'/**/{node}:', '  ros__parameters:']
        for p in table(settings):
            allowed = f' Allowed: {p.allowed}.' if p.allowed else ''
            lines += _wrapped(p.sentence + allowed, '    # ')
            lines.append(f'    {p.name}: {_yaml_value(p.default)}')
        lines.append('')
    return '\n'.join(lines).rstrip() + '\n'


def markdown_table(node: str) -> str:
    """The table of one node's parameters in docs/parameters.md, `node` being a key of `NODES`."""
    rows = ['| parameter | type | default | allowed | changes at | meaning |', '|---|---|---|---|---|---|']
    for p in table(NODES[node]):
        default = '`[]`' if p.default == () else "`''`" if p.default == '' else f'`{_yaml_value(p.default)}`'
        rows.append(f'| `{p.name}` | {p.kind} | {default} | {p.allowed.replace("|", "/")} | '
                    f'{p.changes_at} | {p.sentence} |')
    return '\n'.join(rows)
