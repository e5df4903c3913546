# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The package as a package: what the manifests say, what is shipped, what a robot finds after the installation."""
from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import types
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import selfpose_ros

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {'package.xml', 'setup.py', 'pyproject.toml', 'Makefile', 'README.md', 'LICENSE', 'CHANGELOG.rst',
             'selfpose_ros', 'launch', 'config', 'training', 'test', 'docs'}
HEADER = ['Copyright 2026 The selfpose_ros developers', 'SPDX-License-Identifier: Apache-2.0']
COMMANDS = {'selfpose', 'pose2d_node', 'fusion_node', 'composed_node'}
LAUNCH_FILES = {'selfpose.launch.py', 'pose2d.launch.py', 'fusion.launch.py', 'record.launch.py'}


def tracked() -> list[Path]:
    """Files of the checkout, those not yet committed too; everything where there is no git."""
    if shutil.which('git') and (ROOT / '.git').exists():
        done = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=ROOT,
                              capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return [ROOT / name for name in done.stdout.split('\0') if name and (ROOT / name).is_file()]
    return [f for f in ROOT.rglob('*') if f.is_file() and not any(
        p.startswith('.') or p in ('build', 'install', 'log', 'out', '__pycache__')
        for p in f.relative_to(ROOT).parts)]


@pytest.fixture(scope='module')
def setup_arguments() -> dict[str, Any]:
    """What setup.py hands to setup(), without running a command."""
    given: dict[str, Any] = {}
    fake = types.ModuleType('setuptools')
    fake.setup = lambda **kwargs: given.update(kwargs)                         # type: ignore[attr-defined]
    fake.find_packages = lambda **kwargs: []                                   # type: ignore[attr-defined]
    code = compile((ROOT / 'setup.py').read_text(encoding='utf-8'), str(ROOT / 'setup.py'), 'exec')
    before, here = sys.modules.get('setuptools'), os.getcwd()
    sys.modules['setuptools'] = fake
    os.chdir(ROOT)
    try:
        exec(code, {'__name__': '__main__', '__file__': str(ROOT / 'setup.py')})
    finally:
        os.chdir(here)
        sys.modules.pop('setuptools')
        if before is not None:
            sys.modules['setuptools'] = before
    return given


@pytest.fixture(scope='module')
def manifest() -> ElementTree.Element:
    """The root of package.xml."""
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def text(manifest: ElementTree.Element, tag: str) -> str:
    """Text of the one element of this name."""
    found = manifest.findall(tag)
    assert len(found) == 1, tag
    return ' '.join((found[0].text or '').split())


def test_manifests_say_the_same(manifest: ElementTree.Element, setup_arguments: dict[str, Any]):
    for tag in ('name', 'version', 'description', 'license'):
        assert text(manifest, tag) == setup_arguments[tag]
    assert text(manifest, 'version') == selfpose_ros.__version__
    assert text(manifest, 'maintainer') == setup_arguments['maintainer']
    assert manifest.find('maintainer').get('email') == setup_arguments['maintainer_email']
    assert manifest.find('license').get('file') == 'LICENSE'


def test_changelog_begins_with_this_version(manifest: ElementTree.Element):
    lines = (ROOT / 'CHANGELOG.rst').read_text(encoding='utf-8').splitlines()
    entries = [(a, b) for a, b in zip(lines, lines[1:], strict=False) if re.fullmatch('-{3,}', b)]
    assert re.fullmatch(rf'{re.escape(text(manifest, "version"))} \(\d{{4}}-\d\d-\d\d\)', entries[0][0])
    assert all(len(a) == len(b) for a, b in entries)


def test_colcon_can_take_it_for_a_ros_package(manifest: ElementTree.Element):
    # what catkin_pkg refuses makes colcon silently build a plain Python package that ROS does not find
    assert manifest.tag == 'package' and manifest.get('format') == '3'
    assert manifest.findtext('export/build_type') == 'ament_python'
    assert re.fullmatch(r'[a-z][a-z0-9_]*', text(manifest, 'name'))
    assert re.fullmatch(r'\d+\.\d+\.\d+', text(manifest, 'version'))
    assert re.fullmatch(r'[\w.+-]+@(\w[\w-]*\.)+[a-z]{2,}', manifest.find('maintainer').get('email'))


def test_every_ros_package_that_is_imported_is_declared(manifest: ElementTree.Element):
    declared = {e.text for e in manifest if e.tag in ('depend', 'exec_depend')}
    imported = set()
    for file in (ROOT / 'selfpose_ros').rglob('*.py'):
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
                [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else [])
            imported |= {n.partition('.')[0] for n in names}
    ours = re.compile(r'rclpy|launch(_ros)?|cv_bridge|std_srvs|\w+_msgs|\w+_interfaces')
    ros = {n for n in imported if ours.fullmatch(n)}
    assert ros, 'no ROS import found: this test reads nothing'
    assert ros <= declared


def test_we_ask_for_one_opencv_and_for_ros_wheels_of_one_distribution(setup_arguments: dict[str, Any]):
    groups = [setup_arguments['install_requires'], *setup_arguments['extras_require'].values()]
    wanted = {re.split(r'[<>=\[]', r)[0] for group in groups for r in group}
    assert {w for w in wanted if w.startswith('opencv')} == {'opencv-python-headless'}
    ros = [r for r in setup_arguments['extras_require']['ros'] if r.startswith(('ros-', 'cv-bridge'))]
    assert ros and all('==' in r for r in ros), 'an unpinned ROS wheel pulls libraries of another distribution'


#: extra -> why a Jetson or a Raspberry Pi need not get it from the index
NOT_ON_AARCH64 = {
    'ros': 'wheels of ROS exist for x86-64 alone; there ROS comes from apt',
    'mediapipe': 'the package of old, for x86-64 alone: its marker leaves it out',
    'dev': 'is no part of a robot', 'test': 'is no part of a robot',
    'c3d': 'is for our tests; there is no wheel of ezc3d for aarch64',
    'tensorrt': 'JetPack brings it', 'training': 'pip asks this machine, not that one, whether torch needs CUDA'}
#: wheels may be named after an older glibc than that of the machine
AARCH64 = ('manylinux_2_28', 'manylinux_2_27', 'manylinux_2_26', 'manylinux_2_24', 'manylinux_2_17', 'manylinux2014')


def test_all_that_a_robot_needs_has_wheels_for_aarch64(setup_arguments: dict[str, Any], tmp_path: Path):
    """Resolved by pip for Python 3.12 of Ubuntu 24.04; nothing is installed."""
    if os.environ.get('SELFPOSE_ASK_INDEX') != '1':
        pytest.skip('asks the package index and waits for it: make test-matrix, or SELFPOSE_ASK_INDEX=1, runs it')
    assert set(NOT_ON_AARCH64) < set(setup_arguments['extras_require'])
    wanted = list(setup_arguments['install_requires'])
    for extra, requirements in setup_arguments['extras_require'].items():
        wanted += [] if extra in NOT_ON_AARCH64 else requirements
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--retries', '0', '--timeout', '15']
    asked = subprocess.run([*pip, 'download', '-q', '--no-deps', '-d', str(tmp_path), 'mdurl'], capture_output=True,
                           text=True, check=False)
    if asked.returncode:
        pytest.skip(f'no package index is at hand: {asked.stderr.strip().splitlines()[-1]}')
    platforms = [word for p in AARCH64 for word in ('--platform', f'{p}_aarch64')]
    done = subprocess.run([*pip, 'install', '--dry-run', '--ignore-installed', '-q', '--report',
                           str(tmp_path / 'report.json'), '--target', str(tmp_path / 'there'), *platforms,
                           '--python-version', '3.12', '--implementation', 'cp', '--only-binary=:all:', *wanted],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / 'report.json').read_text(encoding='utf-8'))['install']
    names = {p['metadata']['name'].lower().replace('_', '-') for p in found}
    assert {re.split(r'[<>=;\[ ]', w)[0].lower().replace('.', '-') for w in wanted} <= {
        n.replace('.', '-') for n in names}
    files = [p['download_info']['url'].rpartition('/')[2] for p in found]
    assert all(f.endswith(('-any.whl', 'aarch64.whl')) for f in files), files


def test_every_source_file_has_its_two_lines():
    endings = {'.py', '.yaml', '.rviz', '.xml', '.toml', '.sh'}
    bare = []
    for file in tracked():
        if file.suffix in endings or file.parent.name == 'ros2run' or file.name == 'Makefile':
            head = ' '.join(file.read_text(encoding='utf-8').splitlines()[:6])
            if not all(line in head for line in HEADER):
                bare.append(str(file.relative_to(ROOT)))
    assert bare == []


def test_the_top_level_holds_what_belongs_there():
    names = {f.relative_to(ROOT).parts[0] for f in tracked()}
    assert {n for n in names if not n.startswith('.')} <= TOP_LEVEL
    assert {'LICENSE', 'setup.py', 'package.xml', 'Makefile', '.ci'} <= names
    assert 'Apache License' in (ROOT / 'LICENSE').read_text(encoding='utf-8')


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy, so that no build folder of the checkout adds to it or stays behind."""
    if importlib.util.find_spec('setuptools.command.bdist_wheel') is None:
        pytest.skip('building a wheel needs setuptools 70.1 or later: pip install -e .[dev]')
    source = tmp_path_factory.mktemp('source') / 'selfpose_ros'
    for file in tracked():
        target = source / file.relative_to(ROOT)
        if target.relative_to(source).parts[0] not in ('test', 'docs'):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    out = tmp_path_factory.mktemp('wheel')
    done = subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation',
                           '--no-index', '-w', str(out), str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(out.glob('*.whl')))


def _data(wheel: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Path below the installation's prefix -> member."""
    return {i.filename.partition('.data/data/')[2]: i for i in wheel.infolist() if '.data/data/' in i.filename}


def test_wheel_ships_what_ros_looks_for(wheel: zipfile.ZipFile):
    data = _data(wheel)
    share = 'share/selfpose_ros'
    expected = {'share/ament_index/resource_index/packages/selfpose_ros', f'{share}/package.xml'}
    expected |= {f'lib/selfpose_ros/{name}' for name in COMMANDS}
    expected |= {f'{share}/launch/{name}' for name in LAUNCH_FILES}
    expected |= {f'{share}/config/{f.name}' for f in (ROOT / 'config').iterdir() if f.is_file()}
    assert set(data) == expected
    assert {f'{share}/config/selfpose.rviz', f'{share}/config/fastdds_large_images.xml'} <= expected
    for name in COMMANDS:
        assert data[f'lib/selfpose_ros/{name}'].external_attr >> 16 & 0o111, f'{name} cannot be executed'
    points = wheel.read(next(n for n in wheel.namelist() if n.endswith('entry_points.txt'))).decode()
    assert set(re.findall(r'^(\w+) =', points, re.M)) == COMMANDS


def test_wheel_ships_every_module_and_nothing_else(wheel: zipfile.ZipFile):
    shipped = {n for n in wheel.namelist() if n.endswith('.py') and '.data/' not in n}
    files = [f.relative_to(ROOT) for f in tracked()]
    assert shipped == {re.sub('^training/', 'selfpose_training/', str(f)) for f in files
                       if f.suffix == '.py' and f.parts[0] in ('selfpose_ros', 'training')}
    models = {str(f) for f in files if f.parts[:2] == ('selfpose_ros', 'models') and f.suffix in ('.onnx', '.yaml')}
    assert 'selfpose_ros/models/lifter/model.onnx' in models
    assert models == {n for n in wheel.namelist() if n.endswith(('.onnx', '.yaml')) and '.data/' not in n}


def test_the_forwarder_starts_the_command_of_its_name(wheel: zipfile.ZipFile, tmp_path: Path):
    (tmp_path / 'bin').mkdir()
    library = tmp_path / 'lib' / 'selfpose_ros'
    library.mkdir(parents=True)
    for name in COMMANDS:
        command, forwarder = tmp_path / 'bin' / name, library / name
        command.write_text(f'#!/bin/sh\necho {name} "$@"\nexit 7\n')
        forwarder.write_bytes(wheel.read(_data(wheel)[f'lib/selfpose_ros/{name}']))
        command.chmod(0o755)
        forwarder.chmod(0o755)
        done = subprocess.run([str(forwarder), '--ros-args', 'a b'], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (7, f'{name} --ros-args a b\n')


def test_colcon_puts_the_commands_where_ros_looks(setup_arguments: dict[str, Any]):
    assert setup_arguments['options']['install']['install_scripts'] == '$base/lib/selfpose_ros'
    assert setup_arguments['options']['develop']['script_dir'] == '$base/lib/selfpose_ros'
    points = dict(p.split(' = ') for p in setup_arguments['entry_points']['console_scripts'])
    assert set(points) == COMMANDS
    for target in points.values():
        module, _, function = target.partition(':')
        file = ROOT.joinpath(*module.split('.')).with_suffix('.py')
        body = ast.parse(file.read_text(encoding='utf-8')).body
        assert function in {n.name for n in body if isinstance(n, ast.FunctionDef)}, target


def test_colcon_finds_pytest_among_the_requirements_of_the_tests(setup_arguments: dict[str, Any],
                                                                 manifest: ElementTree.Element):
    # where it does not, `colcon test` runs unittest, which finds none of these tests and is content
    assert any(re.match(r'pytest\b(?!-)', r) for r in setup_arguments['extras_require']['test'])
    assert set(setup_arguments['extras_require']['test']) <= set(setup_arguments['extras_require']['dev'])
    assert 'python3-pytest' in {e.text for e in manifest.findall('test_depend')}


def test_colcon_test_runs_the_tests(tmp_path: Path):
    """Built and tested as on a robot, a few of the tests only."""
    if importlib.util.find_spec('colcon_core') is None:
        pytest.skip('colcon is not installed: pip install colcon-common-extensions')
    for file in tracked():
        target = tmp_path / 'src' / 'selfpose_ros' / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
    result = tmp_path / 'build' / 'selfpose_ros' / 'pytest.xml'
    environment = {k: v for k, v in os.environ.items() if k != 'PYTEST_ADDOPTS'}
    for words in (['build'], ['test', '--pytest-args', 'test/test_walls.py', '-k', 'lets_through']):
        done = subprocess.run([sys.executable, '-m', 'colcon', *words], cwd=tmp_path, capture_output=True, text=True,
                              check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    suites = list(ElementTree.parse(result).getroot().iter('testsuite'))
    assert sum(int(s.get('tests', 0)) for s in suites) >= 5
    assert sum(int(s.get('errors', 0)) + int(s.get('failures', 0)) for s in suites) == 0


def test_fast_dds_profile_holds_large_images():
    space = '{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}'
    root = ElementTree.parse(ROOT / 'config' / 'fastdds_large_images.xml').getroot()
    transports = {t.findtext(f'{space}transport_id'): t for t in root.iter(f'{space}transport_descriptor')}
    used = [e.text for e in root.find(f'.//{space}userTransports')]
    assert set(used) == set(transports)
    sizes = [int(t.findtext(f'{space}segment_size')) for t in transports.values()
             if t.findtext(f'{space}type') == 'SHM']
    assert sizes == [32 * 2**20]
    assert root.find(f'.//{space}participant').get('is_default_profile') == 'true'


def test_rviz_needs_stock_displays_only():
    config = yaml.safe_load((ROOT / 'config' / 'selfpose.rviz').read_text(encoding='utf-8'))
    displays = config['Visualization Manager']['Displays']
    classes = {d['Class'] for d in displays}
    assert all(c.startswith('rviz_default_plugins/') for c in classes)
    assert {'TF', 'MarkerArray', 'PointCloud2'} <= {c.partition('/')[2] for c in classes}
    topics = {d['Topic']['Value'] for d in displays if 'Topic' in d}
    assert topics == {'fusion_node/markers', 'fusion_node/skeletons'}
