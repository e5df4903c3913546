# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Machines that lack something of what TensorRT needs: NVIDIA's own packages say so, and we say what to do."""
from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from wheels import CUDA, process, wheel

from selfpose_ros.inference.backend import Backend
from selfpose_ros.inference.errors import BackendUnavailable
from selfpose_ros.inference.tensorrt.cuda import CudaBindings
from selfpose_ros.inference.tensorrt.engine_factory import EngineFactory
from selfpose_ros.inference.tensorrt.library import Messages, find_tensorrt

ASK = """
from selfpose_ros.inference.errors import BackendUnavailable
from selfpose_ros.inference.tensorrt.cuda import CudaBindings
try:
    print('devices', CudaBindings().devices())
except BackendUnavailable as error:
    print('unavailable:', error)
"""


@pytest.mark.parametrize('name', CUDA)
def test_nvidias_bindings_without_a_driver_are_one_sentence(name: str):
    done = process(['-c', ASK], wheel(name))
    assert done.returncode == 0, done.stderr
    if done.stdout.startswith('devices'):
        pytest.skip('this machine has a CUDA device')
    assert done.stdout.startswith('unavailable: no CUDA device can be used (cuda') and 'nvidia-smi' in done.stdout


def test_without_the_bindings_the_line_that_installs_them_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cuda', None)
    monkeypatch.setitem(sys.modules, 'cuda.bindings', None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'cuda-bindings>=12.8,<14'"):
        CudaBindings()


@pytest.mark.parametrize('version', ['8.6.1', '10.2.0', '12.0.0.1', '', 'unknown'])
def test_versions_that_nobody_looked_at_are_refused(monkeypatch, version: str):
    monkeypatch.setitem(sys.modules, 'tensorrt', SimpleNamespace(__version__=version))
    with pytest.raises(BackendUnavailable, match=r'10.3 to 11.x is needed'):
        find_tensorrt()


@pytest.mark.parametrize('version', ['10.3.0', '10.16.1.11', '11.4.0.106'])
def test_versions_that_were_looked_at_are_taken(monkeypatch, version: str):
    monkeypatch.setitem(sys.modules, 'tensorrt', SimpleNamespace(__version__=version))
    assert find_tensorrt().__version__ == version


def test_a_package_whose_libraries_are_missing_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / 'broken_tensorrt').mkdir()
    (tmp_path / 'broken_tensorrt' / '__init__.py').write_text(
        'import ctypes\nctypes.CDLL("libnvinfer_that_is_not_there.so.10")\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BackendUnavailable, match='libnvinfer_that_is_not_there.*must be of one version'):
        find_tensorrt('broken_tensorrt')


def test_cuda_is_asked_before_tensorrt_is_started(monkeypatch):
    """Without a driver TensorRT's own classes end the process."""
    def end(logger: object) -> None:
        raise AssertionError('started')

    monkeypatch.setitem(sys.modules, 'tensorrt', SimpleNamespace(__version__='10.3.0', Runtime=end, Builder=end))
    monkeypatch.setattr('selfpose_ros.inference.tensorrt.engine_factory.CudaBindings', lambda: SimpleNamespace(
        devices=lambda: (_ for _ in ()).throw(BackendUnavailable('no CUDA device can be used'))))
    with pytest.raises(BackendUnavailable, match='no CUDA device'):
        EngineFactory.here(Backend('tensorrt'))


def test_what_tensorrt_says_after_every_error_is_not_the_reason():
    from fake_device import FakeCuda, Severity, fake_tensorrt
    messages = Messages(fake_tensorrt(FakeCuda(), b''))
    for severity, text in ((Severity.ERROR, 'the  reason'), (Severity.ERROR, 'catchCudaError failed'),
                           (Severity.WARNING, 'a warning'), (Severity.INTERNAL_ERROR, 'another\nreason'),
                           (Severity.ERROR, 'the  reason')):
        messages.logger.log(severity, text)
    assert messages.take() == 'the reason | another reason'
    assert messages.take() == 'TensorRT gave no reason'
    messages.logger.log(Severity.ERROR, 'catchCudaError alone')
    assert messages.take() == 'catchCudaError alone'
    for i in range(50):
        messages.logger.log(Severity.ERROR, f'{i} ' + 'x' * 100)
    assert len(messages.take()) == 600
