# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What error goes with a network's confidences, as its card has it; and entries of a card that are set anew."""
from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from model_folder import write_model

from selfpose_ros.core.noise import Accuracy
from selfpose_ros.models.card import parse_card, read_card
from selfpose_ros.models.card_text import set_on_card
from selfpose_ros.models.catalogue import CATALOGUE
from selfpose_ros.models.errors import ModelError
from selfpose_ros.models.store import open_model, shipped

TOLD = {'confidence': [.2, .6, 1], 'sigma': [.05, .02, .005], 'measured': 'by a test'}


def card(**more: object) -> dict[str, object]:
    sound = open_model('rendered_pose').card.everything
    return {k: v for k, v in {**sound, **more}.items() if v is not None}


def test_a_card_with_an_accuracy_and_one_without() -> None:
    assert parse_card(card(accuracy=TOLD), 'here').accuracy == Accuracy((.2, .6, 1.), (.05, .02, .005))
    assert parse_card(card(accuracy=None), 'here').accuracy is None


@pytest.mark.parametrize(('wrong', 'words'), [
    ('good', 'here: accuracy must be a mapping: confidence and sigma'),
    ({'confidence': [.5]}, 'here: accuracy: sigma is missing'),
    ({'confidence': [.5], 'sigma': ['low']}, 'here: accuracy: sigma must be a list of numbers'),
    ({'confidence': [.9, .1], 'sigma': [.1, .1]}, 'here: accuracy: confidences must rise.*selfpose model calibrate'),
    ({'confidence': [.1, .9], 'sigma': [.01, .1]}, 'here: accuracy: sigmas .*selfpose model calibrate'),
])
def test_one_that_is_none_is_named(wrong: object, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        parse_card(card(accuracy=wrong), 'here')


def test_networks_that_could_be_measured_here_have_one() -> None:
    """On their cards; of one that is fetched, in the catalogue, from where it comes onto its card."""
    poses = [open_model(n) for n in shipped()]
    assert [m.card.name for m in poses if m.card.kind == 'pose2d' and m.card.accuracy is None] == []
    told = CATALOGUE['blazepose-full'].accuracy
    assert told is not None and parse_card(card(accuracy=dict(told)), 'here').accuracy is not None


def test_held_out_pictures_agree_with_the_cards() -> None:
    """Of their errors along an axis about 68 % are within one sigma; tails are heavier than Gaussian ones."""
    for told in (open_model('rendered_pose').card.everything['accuracy'], CATALOGUE['blazepose-full'].accuracy):
        assert told is not None
        held_out = told['held_out']
        assert 60 <= held_out['within_1_sigma'] <= 76 and held_out['within_2_sigma'] >= 84
        assert held_out['error_to_predicted'] == pytest.approx(1., abs=.15)


def test_an_entry_is_set_anew_and_the_rest_stays_as_it_was(tmp_path: Path) -> None:
    folder = write_model(tmp_path / 'm')
    text = '# whose it is\n' + (folder / 'card.yaml').read_text() + 'notes: |\n  first\n\n  second\n'
    (folder / 'card.yaml').write_text(text)
    set_on_card(folder, 'accuracy', TOLD)
    assert (folder / 'card.yaml').read_text().startswith(text.rstrip())
    first = (folder / 'card.yaml').read_text()
    set_on_card(folder, 'accuracy', TOLD)
    assert (folder / 'card.yaml').read_text() == first
    set_on_card(folder, 'joints', yaml.safe_load(text)['joints'])            # in the middle, a list without indents
    set_on_card(folder, 'accuracy', {'confidence': [1.], 'sigma': [.01]})
    for digest in ('aa' * 32, 'bb' * 32):
        set_on_card(folder, 'fp16_sha256', digest)
    wanted = {**yaml.safe_load(text), 'accuracy': {'confidence': [1.], 'sigma': [.01]}, 'fp16_sha256': 'bb' * 32}
    assert yaml.safe_load((folder / 'card.yaml').read_text()) == wanted
    assert read_card(folder).name == 'tiny' and [p.name for p in folder.iterdir() if p.name.startswith('.')] == []
