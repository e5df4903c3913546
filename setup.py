# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One package for `colcon build` (ament_python) and for `pip install .`.

Metadata lives here and not in pyproject.toml: the setuptools of Ubuntu 22.04, which colcon uses there, would not
read it there. Version, name, licence and description are checked against package.xml by test/test_package.py.
"""
from __future__ import annotations

import sys
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

NAME = 'selfpose_ros'
#: the folder training/ is imported under this name; a robot does not need it, and it imports torch only when it is used
TRAINING = 'selfpose_training'
SHARE = f'share/{NAME}'
# not the working directory: `colcon build --symlink-install` runs a link to this file from its build folder
HERE = Path(__file__).resolve().parent

DATA_FILES = [
    ('share/ament_index/resource_index/packages', [f'config/ament_index/{NAME}']),
    (SHARE, ['package.xml']),
    (f'{SHARE}/launch', sorted(glob('launch/*.launch.py'))),
    (f'{SHARE}/config', sorted(f for kind in ('rviz', 'xml', 'yaml', 'json') for f in glob(f'config/*.{kind}'))),
]
if 'bdist_wheel' in sys.argv:
    # colcon writes the commands into lib/selfpose_ros (see OPTIONS), where `ros2 run` looks; a wheel puts them
    # into bin/, so it carries forwarders for that place
    DATA_FILES.append((f'lib/{NAME}', sorted(glob('config/ros2run/*'))))

# for colcon; wheels ignore it. It stands here and not in a setup.cfg because colcon run from a virtual environment
# makes setuptools ignore install paths of setup.cfg.
OPTIONS = {
    'install': {'install_scripts': f'$base/lib/{NAME}'},
    'develop': {'script_dir': f'$base/lib/{NAME}'},
}

INSTALL_REQUIRES = [
    'numpy>=1.23',
    # opencv-python, -headless and -contrib-python all own the folder cv2/ and overwrite each other (docs/operation.md:
    # what that means where another one is there). This one opens no windows, which nothing here does, and needs no
    # system library; it is 54 MB smaller than contrib. MediaPipe asks for contrib: with the extra mediapipe there are
    # both, of one version, and whichever came last serves all (tried in both orders). From 4.12 on they want numpy 2;
    # pip takes an older one where something else wants numpy 1. 5.1 was tried: it undistorts otherwise.
    'opencv-python-headless>=4.5,<5',
    'PyYAML>=5.4',
    'rosbags>=0.10',
    # for compressed bags; rosbags brings them, too
    'lz4>=4',
    'backports.zstd>=1; python_version < "3.14"',
    'rich>=12',
]
# The 2D network of old: the reference of the tests, and `model: mediapipe` for one more release. Its pose solution
# ends with 0.10.21, which wants numpy 1 and any jax, and has wheels for these alone. From 0.7.2 on jax wants numpy 2;
# without the bound pip finds that out by downloading a dozen releases of 80 MB each.
WHERE = "python_version < '3.13' and platform_machine == 'x86_64'"
MEDIAPIPE = [f'{r}; {WHERE}' for r in ('mediapipe==0.10.21', 'jax<0.7.2', 'jaxlib<0.7.2')]
#: `colcon test` looks for pytest here, or in `tests_require`; without it, it runs unittest, which finds no test
TEST = ['pytest>=8', 'hypothesis>=6.100', 'scipy>=1.9']
EXTRAS_REQUIRE = {
    'test': TEST,
    # Jazzy. All ros-* wheels stay pinned and in one pip call: an unpinned one pulls libraries of another ROS
    # distribution and breaks the environment. On a robot, ROS itself provides all of these. They work with numpy 1
    # and 2, and exist for x86-64 alone.
    'ros': ['ros-rclpy[fastrtps]==7.1.6', 'ros-common-interfaces==5.3.6', 'cv-bridge==1.13.0.post0'],
    'cpu': ['onnxruntime>=1.17', 'ai-edge-litert>=2.0', 'simplejpeg>=1.8'],
    'mediapipe': MEDIAPIPE,
    # beside cpu: ONNX Runtime serves until an engine is built, and is what engines are compared with. On a Jetson
    # JetPack brings TensorRT, see docs/backends.md
    'tensorrt': ['tensorrt>=10.3,<12', 'cuda-bindings>=12.8,<14'],
    # `selfpose view`
    'view': ['rerun-sdk>=0.24'],
    # reads our C3D files back in the tests; nothing of the package needs it
    'c3d': ['ezc3d>=1.5'],
    'training': ['torch==2.13.0', 'scipy>=1.9', 'onnx>=1.17', 'onnxscript', 'tensorboard', 'h5py'],
    # setuptools: the package test builds a wheel, and 70.1 is the first that needs no further package for it
    'dev': [*TEST, 'pytest-xdist>=3.5', 'ruff>=0.9', 'mypy>=1.10', 'types-PyYAML', 'setuptools>=70.1'],
}

setup(
    name=NAME,
    version='0.8.0',
    description='Uncalibrated cameras in, metric 3D skeletons on ROS 2 topics out.',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8') if (HERE / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    author='The selfpose_ros developers',
    maintainer='selfpose developers',
    maintainer_email='maintainers@selfpose.dev',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords=['ROS', 'human pose estimation', 'multi-camera', 'self-calibration'],
    classifiers=[
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    python_requires='>=3.10',
    packages=[*find_packages(include=[NAME, f'{NAME}.*']), TRAINING,
              *(f'{TRAINING}.{p}' for p in find_packages(where=str(HERE / 'training')))],
    package_dir={TRAINING: 'training'},
    package_data={f'{NAME}.models': ['*/card.yaml', '*/model.onnx']},
    data_files=DATA_FILES,
    options=OPTIONS,
    zip_safe=False,
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={
        'console_scripts': [
            'selfpose = selfpose_ros.cli:entry',
            'pose2d_node = selfpose_ros.nodes.start:pose2d',
            'fusion_node = selfpose_ros.nodes.start:fusion',
            'composed_node = selfpose_ros.nodes.start:composed',
        ],
    },
)
