# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Images of several cameras in one run: who is in it, who gets what, and who is not harmed.

No time decides a test: where a run waits for an announced image, the test gives it patience without end.
"""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selfpose_ros.inference.batching import PATIENCE_S, SharedRun, shared_run
from selfpose_ros.inference.errors import InferenceError, InputError, OutputError
from selfpose_ros.inference.session import TensorSpec

#: nothing waits this long when all is well
LONG_S = 20.


class FakeSession:
    """Gives each image's own number back, and counts."""

    device = 'fake'

    def __init__(self, prefers_batches: bool = True, max_batch: int | None = 8, axis: int | None = None) -> None:
        self.prefers_batches, self.max_batch = prefers_batches, max_batch
        self.inputs = (TensorSpec('image', (axis, 1), 'tensor(float)'),)
        self.outputs = (TensorSpec('number', (axis, 1), 'tensor(float)'),)
        self.batches: list[int] = []
        self.hold: threading.Event | None = None
        self.running = threading.Semaphore(0)

    def run(self, feeds: Any, names: Sequence[str]) -> list[np.ndarray]:
        image = feeds['image']
        self.batches.append(len(image))
        self.running.release()
        if self.hold is not None:
            assert self.hold.wait(LONG_S)
        if (image < 0).any():
            raise InputError('negative')
        return [image * 10. for _ in names]

    def close(self) -> None:
        pass


class Callers:
    """Threads that each bring images of their own."""

    def __init__(self) -> None:
        self.results: dict[int, Any] = {}
        self.threads: list[threading.Thread] = []

    def start(self, who: int, work: Callable[[], Any]) -> None:
        def run() -> None:
            try:
                self.results[who] = work()
            except Exception as error:  # noqa: BLE001 - looked at by the test
                self.results[who] = error
        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def wait(self) -> dict[int, Any]:
        for t in self.threads:
            t.join(LONG_S)
            assert not t.is_alive(), 'a caller hangs'
        return self.results


def images(*numbers: float) -> dict[str, np.ndarray]:
    return {'image': np.array(numbers, np.float32)[:, None]}


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end, 'never came'
        time.sleep(.0005)


def ready_at_once(shared: SharedRun, bring: Sequence[dict[str, np.ndarray]]) -> dict[int, Any]:
    """Every caller announces, all prepare, all bring."""
    barrier, callers = threading.Barrier(len(bring)), Callers()

    def one(feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        with shared.expected():
            barrier.wait(LONG_S)
            return shared.run(feeds, ['number'])

    for i, feeds in enumerate(bring):
        callers.start(i, lambda feeds=feeds: one(feeds))
    return callers.wait()


def test_all_cameras_that_are_ready_are_one_run():
    session = FakeSession()
    got = ready_at_once(SharedRun(session, LONG_S), [images(i, i + .5) if i % 2 else images(i) for i in range(5)])
    assert session.batches == [7]
    for i in range(5):
        np.testing.assert_allclose(got[i][0][:, 0], [10 * i, 10 * i + 5] if i % 2 else [10 * i])


def test_no_run_is_larger_than_the_session_takes():
    session = FakeSession(max_batch=4)
    got = ready_at_once(SharedRun(session, LONG_S), [images(i) for i in range(10)])
    assert sum(session.batches) == 10 and max(session.batches) == 4 and len(session.batches) <= 4
    assert [float(got[i][0][0, 0]) for i in range(10)] == [10. * i for i in range(10)]


def test_one_camera_with_more_people_than_fit_into_a_run():
    session = FakeSession(max_batch=4)
    np.testing.assert_allclose(SharedRun(session).run(images(*range(9)), ['number'])[0][:, 0], 10. * np.arange(9))
    assert session.batches == [4, 4, 1]


def test_nobody_waits_for_the_clock_when_nobody_is_announced():
    session = FakeSession()
    shared = SharedRun(session, 1e9)                       # it would wait for ever
    assert shared.run(images(3.), ['number'])[0][0, 0] == 30. and session.batches == [1]


def test_who_comes_while_it_runs_is_in_the_next_run():
    session, callers = FakeSession(), Callers()
    shared, session.hold = SharedRun(session), threading.Event()
    callers.start(0, lambda: shared.run(images(0.), ['number']))
    assert session.running.acquire(timeout=LONG_S)
    for i in (1, 2, 3):
        callers.start(i, lambda i=i: shared.run(images(i), ['number']))
    until(lambda: len(shared._waiting) == 3)
    session.hold.set()
    got = callers.wait()
    assert session.batches == [1, 3] and all(got[i][0][0, 0] == 10. * i for i in range(4))


def test_a_slow_camera_that_is_announced_is_not_waited_for_longer_than_promised():
    """Its image goes into another run; the others have theirs before it is there."""
    session, callers, go = FakeSession(), Callers(), threading.Event()
    shared = SharedRun(session)
    announced = threading.Event()

    def slow() -> list[np.ndarray]:
        with shared.expected():
            announced.set()
            assert go.wait(LONG_S)
            return shared.run(images(9.), ['number'])

    callers.start(9, slow)
    assert announced.wait(LONG_S)
    for i in range(20):
        assert shared.run(images(i), ['number'])[0][0, 0] == 10. * i
    assert 9 not in callers.results and session.batches == [1] * 20 and PATIENCE_S <= .002
    go.set()
    assert callers.wait()[9][0][0, 0] == 90.


def test_a_camera_whose_image_cannot_be_used_is_waited_for_no_more():
    """It had announced an image; it leaves without one."""
    session, callers, inside, leave = FakeSession(), Callers(), threading.Event(), threading.Event()
    shared = SharedRun(session, 1e9)

    def broken() -> None:
        with shared.expected():
            inside.set()
            assert leave.wait(LONG_S)
            raise ValueError('no JPEG')

    callers.start(0, broken)
    assert inside.wait(LONG_S)
    callers.start(1, lambda: shared.run(images(4.), ['number']))
    until(lambda: shared._running)
    assert session.batches == []
    leave.set()
    got = callers.wait()
    assert isinstance(got[0], ValueError) and got[1][0][0, 0] == 40. and session.batches == [1]


def test_what_one_camera_brings_does_not_fail_the_others():
    session = FakeSession()
    got = ready_at_once(SharedRun(session, LONG_S), [images(-1. if i == 2 else i) for i in range(4)])
    assert isinstance(got[2], InputError) and [float(got[i][0][0, 0]) for i in (0, 1, 3)] == [0., 10., 30.]
    assert session.batches[0] == 4 and sorted(session.batches[1:]) == [1, 1, 1, 1], 'together, then each by itself'


def test_images_of_other_sizes_and_other_outputs_are_not_mixed():
    session = FakeSession()
    shared, callers = SharedRun(session), Callers()
    session.hold = threading.Event()
    callers.start(0, lambda: shared.run(images(0.), ['number']))
    assert session.running.acquire(timeout=LONG_S)
    callers.start(1, lambda: shared.run({'image': np.ones((1, 2), np.float32)}, ['number']))
    callers.start(2, lambda: shared.run(images(2.), ['number', 'number']))
    callers.start(3, lambda: shared.run(images(3.), ['number']))
    until(lambda: len(shared._waiting) == 3)
    session.hold.set()
    got = callers.wait()
    assert session.batches == [1] * 4 and got[1][0].shape == (1, 2) and len(got[2]) == 2 and got[3][0][0, 0] == 30.


def test_closing_wakes_who_waits_and_refuses_who_comes():
    session, callers = FakeSession(), Callers()
    shared, session.hold = SharedRun(session), threading.Event()
    callers.start(0, lambda: shared.run(images(0.), ['number']))
    assert session.running.acquire(timeout=LONG_S)
    callers.start(1, lambda: shared.run(images(1.), ['number']))
    until(lambda: len(shared._waiting) == 1)
    shared.close()
    until(lambda: 1 in callers.results)                    # while the run of the first still goes on
    session.hold.set()
    got = callers.wait()
    assert got[0][0][0, 0] == 0. and isinstance(got[1], InferenceError) and 'closed' in str(got[1])
    with pytest.raises(InferenceError, match='closed'):
        shared.run(images(1.), ['number'])


def test_closing_ends_the_wait_for_an_announced_image():
    session, callers, leave = FakeSession(), Callers(), threading.Event()
    shared, inside = SharedRun(session, 1e9), threading.Event()

    def slow() -> None:
        with shared.expected():
            inside.set()
            assert leave.wait(LONG_S)

    callers.start(0, slow)
    assert inside.wait(LONG_S)
    callers.start(1, lambda: shared.run(images(1.), ['number']))
    until(lambda: shared._running)
    shared.close()
    until(lambda: 1 in callers.results)
    leave.set()
    callers.wait()


def test_where_batches_do_not_pay_everybody_runs_alone_and_at_the_same_time():
    session, callers = FakeSession(prefers_batches=False), Callers()
    shared, session.hold = SharedRun(session, 1e9), threading.Event()
    with shared.expected():                                # and nobody waits
        for i in range(3):
            callers.start(i, lambda i=i: shared.run(images(i, i), ['number']))
        for _ in range(3):
            assert session.running.acquire(timeout=LONG_S), 'three runs at the same time'
        session.hold.set()
        callers.wait()
    assert session.batches == [2, 2, 2] and not shared.prefers_batches


def test_a_session_may_begin_to_prefer_batches():
    session = FakeSession(prefers_batches=False)
    shared = SharedRun(session, LONG_S)
    shared.run(images(1.), ['number'])
    session.prefers_batches = True
    assert shared.prefers_batches
    ready_at_once(shared, [images(i) for i in range(3)])
    assert session.batches == [1, 3]


def test_a_graph_for_a_fixed_number_of_images_is_filled_up():
    session = FakeSession(axis=4)
    got = ready_at_once(SharedRun(session, LONG_S), [images(i) for i in range(3)])
    assert session.batches == [4] and [float(got[i][0][0, 0]) for i in range(3)] == [0., 10., 20.]
    assert got[2][0].shape == (1, 1)
    alone = FakeSession(axis=1)
    assert not SharedRun(alone).prefers_batches
    assert len(SharedRun(alone).run(images(1., 2.), ['number'])[0]) == 2 and alone.batches == [1, 1]


class _Flat(FakeSession):
    """All its finds in one list, whichever image they are of."""

    def run(self, feeds: Any, names: Sequence[str]) -> list[np.ndarray]:
        super().run(feeds, names)
        return [np.concatenate([feeds['image'] * 10.] * 3)]


def test_outputs_that_do_not_belong_to_images_are_run_one_by_one():
    session = _Flat()
    shared = SharedRun(session, LONG_S)
    got = ready_at_once(shared, [images(i) for i in range(3)])
    assert all((got[i][0] == 10. * i).all() and got[i][0].shape == (3, 1) for i in range(3))
    assert session.batches == [3, 1, 1, 1] and not shared.prefers_batches
    assert shared.run(images(7.), ['number'])[0].shape == (3, 1) and session.batches[-1] == 1


def test_no_image_is_an_error():
    with pytest.raises(OutputError, match='no image'):
        SharedRun(FakeSession()).run(images(), ['number'])


def test_a_session_has_one_place_to_meet():
    session, other = FakeSession(), FakeSession()
    shared = shared_run(session)
    assert shared_run(session) is shared and shared_run(other) is not shared


# -- networks of every kind: what each camera sees is its own

@pytest.fixture(scope='module')
def models(tmp_path_factory) -> Path:
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    from functools import partial

    import colour_networks as nets

    from selfpose_ros.inference.pose2d.importing import Request, import_model
    root = tmp_path_factory.mktemp('models')
    small = {'size': (320, 320)}
    for preset, make in (('rtmpose', nets.simcc), ('hrnet', nets.heatmap), ('rtmo', partial(nets.rtmo, **small)),
                         ('yolo-pose', partial(nets.yolo, **small)), ('rtmdet', nets.rtmdet)):
        import_model(Request(make(root / f'{preset}.onnx'), root / preset, preset))
    return root


class _Batching:
    """ONNX Runtime's session, as if batches paid."""

    prefers_batches, max_batch = True, 8

    def __init__(self, session: Any) -> None:
        self.session, self.batches = session, []
        self.inputs, self.outputs, self.device = session.inputs, session.outputs, session.device

    def run(self, feeds: Any, names: Sequence[str]) -> list[np.ndarray]:
        self.batches.append(len(next(iter(feeds.values()))))
        return self.session.run(feeds, names)

    def close(self) -> None:
        pass


@pytest.mark.parametrize('preset', ['rtmpose', 'hrnet', 'rtmo', 'yolo-pose', 'rtmpose+rtmdet'])
def test_cameras_see_their_own_people(models: Path, preset: str):
    import colour_networks as nets
    from colour_networks import SIZE, body

    from selfpose_ros.inference.pose2d.network import VisionNetwork
    from selfpose_ros.inference.pose2d.one_stage import OneStage
    from selfpose_ros.inference.pose2d.top_down import TopDown
    from selfpose_ros.inference.session import OrtSession
    from selfpose_ros.models.store import open_model
    opened = [open_model(models / name) for name in preset.split('+')]
    sessions = [_Batching(OrtSession(m.file)) for m in opened]

    def network() -> Any:
        parts = [VisionNetwork(m, session=s) for m, s in zip(opened, sessions, strict=True)]
        for p in parts:
            p.shared._patience = LONG_S
        return TopDown(*parts, detect_every=2) if parts[0].vision.about.top_down else OneStage(parts[0])

    cameras = [network() for _ in range(4)]
    assert all(c.prefers_batches for c in cameras)
    where = [body(320. + 8 * i, 235. + 3 * i, 1.2) for i in range(4)]
    pictures = [nets.picture(p, SIZE) for p in where]
    for _ in range(3):
        barrier, callers = threading.Barrier(4), Callers()

        def one(i: int, barrier: threading.Barrier = barrier) -> Any:
            with cameras[i].expected():
                barrier.wait(LONG_S)
                return cameras[i].infer(pictures[i])

        for i in range(4):
            callers.start(i, lambda i=i: one(i))
        for i, people in callers.wait().items():
            assert len(people) == 1, people
            assert np.abs(people.keypoints[0] - where[i]).max() < 2.5
    # announced images come together; what is asked for in a second look meets whoever is there
    assert sessions[-1].batches[0] == 4 and all(n <= 8 for s in sessions for n in s.batches)
    if preset in ('rtmo', 'yolo-pose'):
        assert sessions[0].batches == [4, 4, 4]
