"""A killed fit in the store goes on with what is whole of it, to the same weights."""

from __future__ import annotations

import pytest
from test_targets import TRAINER, teacher

from damages import DAMAGES, damage
from meddistill.files.atomic import read_json
from meddistill.files.ledger import MANIFEST
from meddistill.teachers.neural import NeuralTeacher
from meddistill.teachers.targets import find_targets
from meddistill.training.checkpoints import SaveState

BEST = "members/{}/checkpoints/best.ckpt"


@pytest.fixture(scope="module")
def whole(cohort, split, tmp_path_factory):
    return find_targets(teacher(), cohort, split, tmp_path_factory.mktemp("whole"), TRAINER)


@pytest.fixture
def fits(monkeypatch):
    """The seeds of the networks that are trained."""
    seeds, original = [], NeuralTeacher.train

    def watch(self, module, *given):
        seeds.append(module.seed)
        return original(self, module, *given)

    monkeypatch.setattr(NeuralTeacher, "train", watch)
    return seeds


def kill_at(monkeypatch, what, work, *given):
    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(*what, die)
        with pytest.raises(KeyboardInterrupt):
            work(*given)


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_piece_of_a_killed_fit_is_named_and_made_anew(
    kind, whole, cohort, split, tmp_path, monkeypatch, fits, caplog
):
    given = (teacher(), cohort, split, tmp_path, TRAINER)
    kill_at(monkeypatch, (NeuralTeacher, "answers"), find_targets, *given)
    (partial,) = (tmp_path / "teachers").glob("*.partial")
    pieces = [BEST.format(1), "cost.json", "model.json", "preprocessing.json"]
    for piece in pieces:
        damage(partial / piece, kind)
    seeds, again = fits[:], find_targets(*given)
    assert fits == [*seeds, seeds[1]]  # the first network is whole
    for piece in pieces:
        assert f"{partial / piece} is damaged" in caplog.text
    manifest = read_json(again.folder / MANIFEST)
    good = read_json(whole.folder / MANIFEST)
    for name in (BEST.format(0), BEST.format(1), "answers.parquet", "model.json"):
        assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()
        assert manifest[name] == good[name]
    assert again.seconds() is None


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_training_state_of_a_killed_fit_is_named_and_training_begun_anew(
    kind, whole, cohort, split, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(SaveState, "__init__", _always)
    given = (teacher(), cohort, split, tmp_path, TRAINER)
    kill_at(monkeypatch, ("meddistill.training.fit.save_weights",), find_targets, *given)
    (state,) = (tmp_path / "teachers").glob("*.partial/members/0/checkpoints/last.ckpt")
    damage(state, kind)
    again = find_targets(*given)
    assert f"{state} is damaged" in caplog.text
    name = BEST.format(0)
    assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert not list(again.folder.rglob("last.ckpt"))


def _always(self, folder, seconds):
    self.folder, self.seconds, self._saved = folder, 0, 0.0
