# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The trainer: repeatable, resumable, stoppable, and honest about what went wrong."""
from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, fields

import pytest

pytest.importorskip('torch')
import torch
from raising import raises
from small_training import Reprojection, people

from selfpose_training import checkpoint
from selfpose_training.errors import SettingError, TrainingError
from selfpose_training.methods import METHODS, base
from selfpose_training.settings import RENAMED, Settings, configured, parsed
from selfpose_training.trainer import training
from selfpose_training.trainer.feed import Feed, size_of
from selfpose_training.trainer.fit import fit
from selfpose_training.trainer.optimiser import adam, averaged, scheduled, set_averages_taken
from selfpose_training.trainer.process import stoppable
from selfpose_training.trainer.schedule import Patience, Schedule

#: a checkpoint whenever one may be written
EAGER = {'log_every': 2, 'checkpoint_minutes': 0}


def run(folder, method=None, resume=False, **settings):
    return fit(method or Reprojection(), people(), folder, EAGER | settings, val=people(48, 5), resume=resume,
               device='cpu')


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def logged(outcome, key):
    return [h[key] for h in outcome.history if key in h]


def test_same_seed_same_weights_other_seed_others(tmp_path):
    a, b, c = (run(tmp_path / n, seed=s).network.state_dict() for n, s in (('a', 1), ('b', 1), ('c', 2)))
    assert same(a, b) and not same(a, c)


def test_it_learns_and_logs(tmp_path):
    outcome = run(tmp_path, epochs=8, width=32)
    criteria = logged(outcome, 'criterion')
    assert outcome.reason == 'done' and outcome.step == outcome.total == 48
    assert len(criteria) == 8 and criteria[-1] < .7 * criteria[0]
    assert outcome.criterion == pytest.approx(min(criteria), rel=1e-5)
    history = json.loads((tmp_path / 'history.json').read_text())
    assert [h['step'] for h in history if 'terms' in h] == list(range(2, 49, 2))
    first = history[0]['terms']
    assert first['loss'] == pytest.approx(first['rep'] + first['mix'], rel=1e-5)
    assert all('chirality' in h['collapse'] for h in history if 'criterion' in h)
    settings = json.loads((tmp_path / 'config.json').read_text())
    assert settings['method'] == 'reprojection' and settings['width'] == 32 and settings['lr'] == 1e-2


def test_event_files_hold_the_terms_and_the_detectors(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    run(tmp_path)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert {'loss/rep', 'loss/mix', 'loss/loss', 'lr', 'steps_per_s', 'criterion',
            'collapse/chirality'} <= set(events.Tags()['scalars'])
    assert [e.step for e in events.Scalars('criterion')] == [6, 12, 18]


def test_killed_and_resumed_ends_as_if_never_interrupted(tmp_path, start):
    settings = EAGER | {'epochs': 4, 'ema': .9, 'seed': 3}
    whole = run(tmp_path / 'whole', **settings)
    killed = start(tmp_path / 'killed', settings | {'dies_at': 9 / 24})
    out, _ = killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL, out
    state = checkpoint.load(tmp_path / 'killed' / checkpoint.CHECKPOINT)
    assert state['step'] == 8 and state['total'] == 24     # in the middle of the second epoch
    resumed = run(tmp_path / 'killed', resume=True, **settings)
    assert same(whole.network.state_dict(), resumed.network.state_dict())
    ends = [checkpoint.load(tmp_path / n / checkpoint.CHECKPOINT) for n in ('whole', 'killed')]
    assert same(ends[0]['network'], ends[1]['network']) and ends[0]['patience'] == ends[1]['patience']
    assert logged(whole, 'criterion') == logged(resumed, 'criterion')
    assert logged(whole, 'terms') == logged(resumed, 'terms')


def test_stop_by_signal_saves_and_can_be_resumed(tmp_path, start):
    settings = {'epochs': 4, 'log_every': 2}
    whole = run(tmp_path / 'whole', **settings)
    stopped = start(tmp_path / 'stopped', settings | {'slow_s': .1})
    deadline = time.monotonic() + 60
    while not (tmp_path / 'stopped' / checkpoint.BEST).exists():     # the first epoch is over
        assert stopped.poll() is None and time.monotonic() < deadline, stopped.communicate()[0]
        time.sleep(.02)
    stopped.send_signal(signal.SIGINT)
    out, _ = stopped.communicate(timeout=30)
    assert stopped.returncode == 0, out
    assert 6 <= checkpoint.load(tmp_path / 'stopped' / checkpoint.CHECKPOINT)['step'] < 24
    resumed = run(tmp_path / 'stopped', resume=True, **settings)
    assert same(whole.network.state_dict(), resumed.network.state_dict())


def test_second_ctrl_c_stops_at_once():
    with stoppable() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert bool(stop)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_time_is_up(tmp_path):
    outcome = fit(Reprojection(.05), people(), tmp_path, {'epochs': 1000, 'log_every': 2}, val=people(48, 5),
                  max_minutes=.5 / 60, device='cpu')
    assert outcome.reason == 'time' and 1 < outcome.step < 100
    assert math.isfinite(outcome.criterion) and (tmp_path / checkpoint.CHECKPOINT).exists()


def test_early_stop_looks_at_the_criterion_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(base, 'detect', lambda network, batch: {'chirality': .1})

    class Worse(Reprojection):
        """Its criterion rises from the third evaluation on, its loss does not."""

        count = 0

        def criterion(self, network, batch):
            self.count += 1
            return 3. if self.count == 1 else 1.8 + .1 * self.count

    outcome = run(tmp_path, Worse(), epochs=20, patience=2)
    kept = checkpoint.load(tmp_path / checkpoint.BEST)
    assert outcome.reason == 'patience' and outcome.step == 4 * 6
    assert kept['step'] == 12 and same(outcome.network.state_dict(), kept['network'])


def test_last_weights_when_asked_for(tmp_path):
    outcome = run(tmp_path, keep='last')
    assert same(outcome.network.state_dict(), checkpoint.load(tmp_path / checkpoint.CHECKPOINT)['network'])


def follow_the_flag(monkeypatch, size):
    """A detector that says +-size by the network's own flag; the flags that it saw."""
    seen = []

    def chirality(network, batch):
        seen.append(network.flipped)
        return {'chirality': size if network.flipped else -size}
    monkeypatch.setattr(base, 'detect', chirality)
    return seen


def test_reversed_depth_is_turned_round_once(tmp_path, monkeypatch):
    """A detector that follows the network's own flag: reversed as it starts, right after one turn."""
    seen = follow_the_flag(monkeypatch, .1)
    monkeypatch.setattr(training, 'verdict', lambda figures: ['reversed'] if figures['chirality'] < 0 else [])
    outcome = run(tmp_path, sign_check_after=.5)                 # of 18 steps: evaluations at 6, 12 and 18
    assert outcome.flipped and outcome.network.flipped and outcome.collapsed == []
    assert seen == [False, False, True, True, True]
    state = checkpoint.load(tmp_path / checkpoint.CHECKPOINT)
    assert state['sign_flipped'] and state['network']['head.depth'] == -1


def test_a_sign_that_is_not_learnt_yet_is_left_alone_until_the_end(tmp_path, monkeypatch):
    """Slightly reversed as long as it is not turned: nothing happens on the way, and the model is turned."""
    seen = follow_the_flag(monkeypatch, .01)
    outcome = run(tmp_path, sign_check_after=.0)
    assert seen == [False] * 4 + [True] and outcome.flipped
    assert not checkpoint.load(tmp_path / checkpoint.CHECKPOINT)['sign_flipped']


def test_best_weights_from_before_the_cure_are_turned_too(tmp_path, monkeypatch):
    monkeypatch.setattr(base, 'detect', lambda n, b: {'chirality': .1 if n.flipped else -.1})

    class FirstIsBest(Reprojection):
        count = 0

        def criterion(self, network, batch):
            self.count += 1
            return float(self.count)

    outcome = run(tmp_path, FirstIsBest(), sign_check_after=.5)
    assert not checkpoint.load(tmp_path / checkpoint.BEST)['network']['head.depth'] < 0
    assert outcome.network.flipped and outcome.figures['chirality'] > 0


def test_collapse_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(training, 'verdict', lambda figures: ['all views are one camera'])
    outcome = run(tmp_path)
    assert outcome.collapsed == ['all views are one camera'] and (tmp_path / checkpoint.CHECKPOINT).exists()


def test_infinite_loss_is_an_error_and_spoils_no_checkpoint(tmp_path):
    class Breaks(Reprojection):
        def loss(self, network, batch, progress):
            terms = super().loss(network, batch, progress)
            return {k: v / (0. if progress > .5 else 1.) for k, v in terms.items()}

    with pytest.raises(TrainingError, match='no longer finite at step 1[0-2].*lower --lr'):
        run(tmp_path, Breaks())
    state = checkpoint.load(tmp_path / checkpoint.CHECKPOINT)
    assert state['step'] <= 10 and all(torch.isfinite(v).all() for v in state['network'].values())


@pytest.mark.parametrize(('change', 'message'), [
    ({'width': 16}, 'was started with width=8'), ({'lr': .5}, 'was started with lr=0.01'),
    ({'epochs': 5}, 'was started with epochs=3')])
def test_resume_with_other_settings_is_refused(tmp_path, change, message):
    run(tmp_path)
    with pytest.raises(TrainingError, match=message):
        run(tmp_path, resume=True, **change)


def test_resume_with_other_data_or_none_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(TrainingError, match='other data'):
        fit(Reprojection(), people(128), tmp_path, EAGER, resume=True, device='cpu')
    with pytest.raises(TrainingError):
        fit(Reprojection(), people(), tmp_path, EAGER, resume=True, device='cpu', data_hash='x')
    with pytest.raises(TrainingError, match='no checkpoint here'):
        run(tmp_path / 'none', resume=True)


def test_second_run_in_a_folder_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(TrainingError, match='--resume'):
        run(tmp_path)


def test_crash_while_saving_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / checkpoint.CHECKPOINT
    checkpoint.save(path, {'step': 1})

    def half(state, file):
        file.write(b'half')
        raise MemoryError
    monkeypatch.setattr(torch, 'save', half)
    with pytest.raises(MemoryError):
        checkpoint.save(path, {'step': 2})
    assert checkpoint.load(path)['step'] == 1 and [p.name for p in tmp_path.iterdir()] == [path.name]


def test_damaged_checkpoint_is_one_sentence(tmp_path):
    path = tmp_path / checkpoint.CHECKPOINT
    path.write_bytes(b'not a checkpoint')
    with pytest.raises(TrainingError, match='not a readable checkpoint'):
        checkpoint.load(path)
    torch.save({'format': 0}, path)
    with pytest.raises(TrainingError, match='another version'):
        checkpoint.load(path)


def test_training_goes_on_from_a_parent(tmp_path):
    parent = run(tmp_path / 'a').network
    before = {k: v.clone() for k, v in parent.state_dict().items()}
    child = fit(Reprojection(), people(), tmp_path / 'b', {'steps': 1, 'lr': 1e-6}, val=people(48, 5), parent=parent,
                device='cpu').network
    assert all(torch.allclose(before[k], v, atol=1e-5) for k, v in child.state_dict().items())
    assert not same(before, child.state_dict())


def test_schedules():
    step = Schedule('step', 100, decays=((.3, .1), (.6, .5), (.9, .01))).factor
    assert [step(s) for s in (0, 29, 30, 59, 60, 90, 99)] == pytest.approx([1, 1, .1, .1, .5, .01, .01])
    cosine = Schedule('cosine', 110, warmup=10, floor=.1).factor
    assert [cosine(0), cosine(4), cosine(10), cosine(60), cosine(110)] == pytest.approx([1 / 11, 5 / 11, 1, .55, .1])
    assert Schedule('constant', 10).factor(9) == 1.
    assert Schedule('constant', 10, warmup=100).factor(1) == pytest.approx(2 / 3)    # a short one: two steps rise
    for bad, setting in (({'kind': 'steps'}, 'schedule'), ({'warmup': -1}, 'warmup'),
                         ({'decays': ((.5, .1), (.2, .1))}, 'decays'), ({'decays': ((.5, 0.),)}, 'decays')):
        with raises(SettingError, setting=setting):
            Schedule(**{'kind': 'step', 'total': 100} | bad)
    for lr in (0, math.nan, -1):
        with raises(SettingError, 'must be a number above 0', setting='lr'):
            Settings(lr=lr)


@pytest.mark.parametrize('first', [0, 7])
def test_the_learning_rate_follows_the_schedule_also_from_a_later_step_on(first):
    schedule = Schedule('cosine', 20, warmup=4, floor=.1)
    optimiser = adam(torch.nn.Linear(1, 1).parameters(), .5)
    scheduler = scheduled(optimiser, schedule, .5, first)
    rates = []
    for _ in range(first, 20):
        rates.append(optimiser.param_groups[0]['lr'])
        optimiser.step()
        scheduler.step()
    assert rates == pytest.approx([.5 * schedule.factor(s) for s in range(first, 20)])


def test_patience_counts_evaluations_without_a_new_best():
    patience = Patience(2, margin=.1)
    assert [patience.better(v) for v in (1., .95, .8, .81)] == [True, True, True, False]
    assert not patience.over and patience.best == .8
    other = Patience(2, margin=.1)
    other.restore(patience.state())
    assert not other.better(.82) and other.over and other.best == .8


def test_average_follows():
    network = torch.nn.Linear(2, 2)
    average = averaged(network, .9)
    start = average.module.weight.clone()
    assert not average.module.weight.requires_grad
    with torch.no_grad():
        network.weight += 1
    average.update_parameters(network)                     # after 20 steps: faster than .9 lets it
    assert torch.allclose(average.module.weight, start + 1 - .7 ** 20, atol=1e-4)
    for _ in range(19):
        average.update_parameters(network)
    assert torch.allclose(average.module.weight, start + 1, atol=1e-4)
    network.weight.data += 1
    average.update_parameters(network)
    assert torch.allclose(average.module.weight, start + 1 + (1 - .9 ** 20), atol=1e-4)
    other = averaged(network, .99)
    set_averages_taken(other, 4000)
    before = other.module.weight.clone()
    network.weight.data += 1
    other.update_parameters(network)
    assert torch.allclose(other.module.weight, before + 1 - .99 ** 20, atol=1e-4)


def test_feed_is_ahead_in_order_and_passes_errors_on():
    made, release = [], threading.Event()

    def make(epoch):
        for i in range(3):
            if epoch == 2 and i == 1:
                raise TrainingError('no more')
            made.append((epoch, i))
            yield torch.tensor([epoch, i])
        if epoch == 1:
            release.set()

    with Feed(make, 0, 9) as feed:
        assert release.wait(10)                            # two epochs are made before anything was taken
        assert [b.tolist() for b in feed.epoch()] == [[0, 0], [0, 1], [0, 2]]
        assert len(list(feed.epoch())) == 3
        with pytest.raises(TrainingError, match='no more'):
            list(feed.epoch())


def test_feed_is_bounded_and_ends_when_left(monkeypatch):
    monkeypatch.setattr('selfpose_training.trainer.feed._AHEAD_BYTES', 100)
    made = []

    def make(epoch):
        for i in range(1000):
            made.append(i)
            yield torch.zeros(10)                          # 40 bytes

    with Feed(make, 0, 1) as feed:
        next(feed.epoch())
        time.sleep(.1)
        assert len(made) == 4                              # one taken, two wait, one has no room
    assert not feed._thread.is_alive()
    assert size_of({'a': torch.zeros(3), 'b': torch.zeros(2, dtype=torch.float64), 'c': 1}) == 28


@dataclass(frozen=True, kw_only=True)
class OwnSettings(Settings):
    """Of a method of the tests."""

    lr: float = .1
    own_text: str = 'x'


def test_settings():
    assert configured(OwnSettings, {'steps': 5.0, 'lr': 1}) == OwnSettings(steps=5, lr=1., own_text='x')
    assert parsed(['lr=1e-3', 'keep=last', 'decays=[[0.5,0.1]]', 'use_intrinsics=true', 'own_text=a=b']) == {
        'lr': 1e-3, 'keep': 'last', 'decays': [[.5, .1]], 'use_intrinsics': True, 'own_text': 'a=b'}
    for change, message in (
            ({'lrr': 1}, 'is not known to m; did you mean lr'), ({'batch': 0}, '1 or more'),
            ({'batch': 'many'}, 'whole number'), ({'lr': 'x'}, 'a number'), ({'ema': 2.}, 'from 0 to 1'),
            ({'keep': 'worst'}, 'one of best, last'), ({'use_intrinsics': 1}, 'true or false'),
            ({'decays': .5}, 'a JSON list'), ({'steps': -1}, '0 or more')):
        with raises(SettingError, message, setting=next(iter(change))):
            configured(Settings, change, 'm')
    with pytest.raises(SettingError, match='name=value'):
        parsed(['lr'])


def test_settings_of_the_release_before_are_read_with_a_note(caplog):
    assert configured(Settings, {'give_k': True}) == Settings(use_intrinsics=True)
    assert [r.getMessage() for r in caplog.records] == [
        'note: settings have new names, the old ones are read until the next release: give_k is use_intrinsics']
    with raises(SettingError, 'is given twice, give_k is its old name', setting='use_intrinsics'):
        configured(Settings, {'give_k': True, 'use_intrinsics': True})
    with raises(SettingError, setting='depth_elongation'):
        configured(Settings, {'drawn_out': 1.}, 'm')       # another method's


def test_every_new_name_is_a_setting_and_no_old_one_is():
    known = {f.name for m in METHODS.values() for f in fields(m.settings_type)}
    assert set(RENAMED.values()) <= known and not set(RENAMED) & known


def test_a_checkpoint_of_the_release_before_goes_on(tmp_path):
    """Its keys and the names of its settings are those of then; the weights come out the same."""
    whole = run(tmp_path / 'whole', epochs=4, ema=.9)
    fit(Reprojection(), people(), tmp_path / 'old', EAGER | {'epochs': 4, 'ema': .9}, val=people(48, 5),
        max_minutes=1e-9, device='cpu')
    path = tmp_path / 'old' / checkpoint.CHECKPOINT
    state = checkpoint.load(path)
    then = {v: k for k, v in RENAMED.items()}
    assert state['step'] < 24
    state['settings'] = {then.get(k, k): v for k, v in state['settings'].items()}
    for group in state['optimiser']['param_groups']:
        del group['initial_lr']
    state['companions'], state['cured'] = state.pop('auxiliary'), state.pop('sign_flipped')
    checkpoint.save(path, {k: v for k, v in state.items() if k != 'format'})
    resumed = run(tmp_path / 'old', resume=True, epochs=4, ema=.9)
    assert same(whole.network.state_dict(), resumed.network.state_dict())


def test_no_batch_is_told(tmp_path):
    class Empty:
        def __len__(self):
            return 4

        def batches(self, n, size, device, *, sampling):
            return iter(())

    with pytest.raises(TrainingError, match='no batch of 16 samples'):
        fit(Reprojection(), Empty(), tmp_path, val=people(48, 5), device='cpu')


def test_peak_memory_is_that_of_the_process_alone() -> None:
    """300 MB that were held for a moment count; what the process had that started this one, 2 GB, does not."""
    own = ('import numpy as np; from selfpose_training.trainer.process import peak_memory_mb;'
           'before = peak_memory_mb(); np.ones(300 << 17); print(before, peak_memory_mb())')
    parent = ('import numpy, subprocess, sys; x = numpy.ones(2000 << 17);'
              f'subprocess.run([sys.executable, "-c", {own!r}])')
    found = subprocess.run([sys.executable, '-c', parent], text=True, capture_output=True, check=True).stdout.split()
    before, after = map(float, found)
    assert 100 < before < 1500 and before + 250 < after < before + 350
