"""A model's folder from a stranger: nothing in it runs, leads outside, or is taken for a model."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import sys
import zipfile
from functools import partial

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import meddistill as package
from meddistill.config.compose import build_network
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import UserError
from meddistill.inference.card import Card, save_card
from meddistill.inference.estimator_file import dump_estimator
from meddistill.inference.loading import copy_model, load_model
from meddistill.inference.weights import save_weights
from meddistill.teachers.checkpoint import CheckpointTeacher

MLP = {"_target_": "meddistill.models.mlp.MLP", "width": 4, "depth": 1, "dropout": 0.0}
BEST = "checkpoints/best.ckpt"
NEVER_IMPORTED = ("unittest.__main__", "antigravity", "this", "__phello__")


class Own(nn.Module):
    """A network of the user's own."""

    def __init__(self, in_shape, num_classes, inner=None, width=3):
        super().__init__()
        self.inner, self.linear = inner, nn.Linear(in_shape[0], num_classes)

    def forward(self, inputs):
        return self.linear(inputs if self.inner is None else self.inner(inputs))


OWN = f"{Own.__module__}.Own"


@pytest.fixture(scope="module")
def made(tmp_path_factory, cohort, split):
    """A good model's folder."""
    folder = tmp_path_factory.mktemp("model")
    write_model(folder, CohortDataModule(cohort, split), MLP)
    return folder


def write_model(folder, data, node):
    network = build_network(node, "student", data.in_shape, data.num_classes, 0)
    save_weights(network.state_dict(), folder / BEST)
    data.save_preprocessing(folder)
    save_card(folder, Card.of(node, [BEST], data))


@pytest.fixture
def folder(made, tmp_path):
    """A copy of it to spoil."""
    shutil.copytree(made, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """What a command in a folder would make, if it ran."""
    monkeypatch.setenv("MARKER", str(tmp_path / "pwned"))
    return tmp_path / "pwned"


RUNS = "__import__('os').system('touch $MARKER')"
EVAL = {"_target_": "builtins.eval", "_args_": [RUNS]}
NESTED = {"_target_": "builtins.float", "_args_": [EVAL]}
OURS, OPERATOR = "meddistill.models.mlp", "OperatorFuncNode"


def network(**changes):
    """Change the network in `model.json`."""

    def change(folder):
        card = json.loads((folder / "model.json").read_text())
        card["network"] = {**card["network"], **changes}
        (folder / "model.json").write_text(json.dumps(card))

    return change


def card(**changes):
    """Change `model.json` itself; None takes a value out."""

    def change(folder):
        values = {**json.loads((folder / "model.json").read_text()), **changes}
        kept = {key: value for key, value in values.items() if value is not None}
        (folder / "model.json").write_text(json.dumps(kept))

    return change


def file(name, content):
    """Replace a file's content."""

    def change(folder):
        (folder / name).write_bytes(content if isinstance(content, bytes) else content())

    return change


def estimator(content):
    """Make it the folder of a classifier, with that file."""

    def change(folder):
        card(kind="estimator", network={}, checkpoints=["estimator.skops"], clamp=1e-3)(folder)
        (folder / "estimator.skops").write_bytes(content())

    return change


class Runs:
    """Unpickled, it runs a command."""

    def __reduce__(self):
        return os.system, ("touch $MARKER",)


def saved(value, **how):
    buffer = io.BytesIO()
    torch.save(value, buffer, **how)
    return buffer.getvalue()


def packed():
    """A good checkpoint's size times a thousand, packed into little."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10**7)
    return buffer.getvalue()


def fitted(*steps):
    rows = np.random.default_rng(0).normal(size=(20, 30))
    return make_pipeline(*steps, LogisticRegression()).fit(rows, np.arange(20) % 2)


def with_loader(loader):
    """A classifier's file whose objects are made by another loader of skops."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(skops.io.dumps(fitted()))) as old,
        zipfile.ZipFile(buffer, "w") as new,
    ):
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                content = content.replace(b"ObjectNode", loader.encode())
            new.writestr(name, content)
    return buffer.getvalue()


def calling():
    return skops.io.dumps(fitted(FunctionTransformer(np.sin)))


def old_file():
    return saved(Runs(), _use_new_zipfile_serialization=False)


def linked(name):
    """Put a link to the same file outside in its place."""

    def change(folder):
        (folder / name).rename(folder.parent / "outside")
        (folder / name).symlink_to(folder.parent / "outside")

    return change


def linked_folder(folder):
    (folder / "checkpoints").rename(folder.parent / "outside")
    (folder / "checkpoints").symlink_to(folder.parent / "outside")


def pipe(name):
    def change(folder):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def outside(folder):
    shutil.copy(folder / BEST, folder.parent / "outside.ckpt")
    card(checkpoints=["../outside.ckpt"])(folder)


def absolute(folder):
    shutil.copy(folder / BEST, folder.parent / "outside.ckpt")
    card(checkpoints=[str(folder.parent / "outside.ckpt")])(folder)


def weights(change):
    def spoil(folder):
        state = torch.load(folder / BEST, weights_only=True)["state_dict"]
        change(state)
        (folder / BEST).write_bytes(saved({"state_dict": state}))

    return spoil


def set_nan(state):
    next(iter(state.values()))[0] = float("nan")


def mixture(**changes):
    """Make it the folder of several models."""

    def change(folder):
        how = {"weights": {"one": 1.0}, "average": "probabilities", **changes}
        card(kind="several", network=how, checkpoints=[])(folder)

    return change


def linked_part(folder):
    outside = folder.parent / "part"
    shutil.copytree(folder, outside)
    mixture()(folder)
    (folder / "parts").mkdir()
    (folder / "parts" / "one").symlink_to(outside)


HOSTILE = {
    # Code
    "a nested class": (network(dropout=NESTED), "trust"),
    "a nested call": (network(dropout=EVAL), "trust"),
    "a call deep in a list": (network(width=[[EVAL]]), "plain"),
    "a call in a plain mapping": (network(width={"a": EVAL}), "plain"),
    "an import": (network(_target_="unittest.__main__.X"), "trust"),
    "an import below our package": (network(_target_=f"{OURS}.torch.os.system"), "trust"),
    "an import of a name beside": (network(_target_="meddistill.models..antigravity.X"), "trust"),
    "another callable of ours": (network(_target_="meddistill.cli.main"), "trust"),
    "a function in our models": (network(_target_="meddistill.models.mlp.integer"), "Module"),
    "a command": (network(_target_="subprocess.Popen", args="touch $MARKER"), "trust"),
    "no class at all": (network(_target_=None), "trust"),
    "a class as a list": (network(_target_=["meddistill.models.mlp.MLP"]), "trust"),
    "hydra's own words": (network(_partial_=True), "_partial_"),
    "positional arguments": (network(_args_=[[1], 2]), "_args_"),
    "other inputs": (network(in_shape=[10**9]), "in_shape"),
    "a setting that is none": (network(colour="red"), "colour"),
    "a network too wide for memory": (network(width=10**12), "width"),
    "a network too deep for memory": (network(depth=10**9), "depth"),
    "an infinite number": (file("model.json", b'{"network": {"width": Infinity}}'), "model.json"),
    "a pickle for weights": (file(BEST, lambda: pickle.dumps(Runs())), "damaged"),
    "a pickle in torch's file": (file(BEST, lambda: saved({"state_dict": Runs()})), "damaged"),
    "a pickle in torch's old file": (file(BEST, old_file), "damaged"),
    "a whole module for weights": (file(BEST, lambda: saved(nn.Linear(2, 2))), "damaged"),
    "a packed checkpoint": (file(BEST, packed), "packed"),
    "a pickle for preprocessing": (file("preprocessing.json", lambda: pickle.dumps(Runs())), "."),
    "a pickle for a classifier": (estimator(lambda: pickle.dumps(Runs())), "damaged"),
    "a classifier that calls a function": (estimator(calling), "FunctionTransformer"),
    "a classifier with a method": (estimator(partial(with_loader, "MethodNode")), "MethodNode"),
    "a classifier with an operator": (estimator(partial(with_loader, OPERATOR)), OPERATOR),
    "a classifier with a partial": (estimator(partial(with_loader, "PartialNode")), "PartialNode"),
    "a packed classifier": (estimator(packed), "packed"),
    # Files
    "weights outside": (outside, "inside"),
    "weights by an absolute name": (absolute, "inside"),
    "a windows path": (card(checkpoints=["..\\outside.ckpt"]), "inside"),
    "a name with a zero": (card(checkpoints=["a\0b"]), "inside"),
    "the folder itself": (card(checkpoints=["."]), "inside"),
    "a folder for weights": (card(checkpoints=["checkpoints"]), "regular"),
    "linked weights": (linked(BEST), "link"),
    "linked preprocessing": (linked("preprocessing.json"), "link"),
    "a linked card": (linked("model.json"), "link"),
    "a linked folder": (linked_folder, "link"),
    "a pipe for weights": (pipe(BEST), "regular"),
    "a pipe for the card": (pipe("model.json"), "regular"),
    "a part outside": (mixture(weights={"../model": 1.0}), "several"),
    "a linked part": (linked_part, "link"),
    # No model
    "an empty card": (file("model.json", b""), "JSON"),
    "a card that is a list": (file("model.json", b"[]"), "mapping"),
    "a card too deep": (file("model.json", b"[" * 100_000 + b"]" * 100_000), "JSON"),
    "a card of another version": (card(trained_on=["PATIENT-1"]), "version"),
    "a card without classes": (card(classes=None), "classes"),
    "one class twice": (card(classes=["benign", "benign"]), "classes"),
    "a class without a name": (card(classes=["", "malignant"]), "classes"),
    "three classes for two": (card(classes=["a", "b", "c"]), "fit|weights"),
    "an unknown kind": (card(kind="oracle"), "kind"),
    "temperature 0": (card(temperature=0), "temperature"),
    "a negative temperature": (card(temperature=-1.0), "temperature"),
    "a temperature in words": (card(temperature="2"), "temperature"),
    "a clamp of 1": (card(clamp=1.0), "clamp"),
    "columns beyond the classes": (card(columns=[0, 7]), "columns"),
    "no checkpoint": (card(checkpoints=[]), "checkpoints"),
    "a mixture of nothing": (mixture(weights={}), "several"),
    "a negative weight": (mixture(weights={"one": -1.0}), "several"),
    "inputs of another size": (card(in_shape=[7]), "fit together"),
    "inputs of no size": (card(in_shape=[-1]), "in_shape"),
    "empty weights": (file(BEST, b""), "damaged"),
    "cut weights": (lambda folder: os.truncate(folder / BEST, 900), "damaged"),
    "weights that are NaN": (weights(set_nan), "finite"),
    "another network's weights": (weights(lambda state: state.pop(next(iter(state)))), "weights"),
    "a schema without columns": (card(schema={"numeric": []}), "."),
    "a schema with more keys": (card(schema={"numeric": ["a"], "colour": ["b"]}), "."),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_in_words_and_nothing_of_it_runs(
    name, folder, marker, tmp_path, cohort
):
    spoil, said = HOSTILE[name]
    spoil(folder)
    before = {path: path.lstat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))}
    loaded = set(sys.modules)
    for opened in (
        load_model,
        CheckpointTeacher,
        lambda f: package.predict(f, cohort.records.frame),
    ):
        with pytest.raises(UserError, match=said) as refused:
            opened(str(folder))
        assert str(folder) in str(refused.value)
    assert not marker.exists()
    assert {path: path.lstat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))} == before
    assert not [module for module in NEVER_IMPORTED if module in set(sys.modules) - loaded]


def test_the_folder_that_is_spoilt_here_is_good(folder, cohort):
    answers = package.predict(folder, cohort.records.frame)
    assert np.allclose(answers.sum(axis=1), 1)


@pytest.mark.parametrize("name", ["../evil.ckpt", "/tmp/evil.ckpt", "checkpoints/../../evil.ckpt"])
def test_no_file_is_copied_to_or_from_outside(name, folder, tmp_path):
    (tmp_path / "evil.ckpt").write_text("theirs")
    model = load_model(folder)
    model.card.checkpoints.append(name)
    with pytest.raises(UserError, match="inside the folder"):
        copy_model(model.card, folder, tmp_path / "copy")
    assert (tmp_path / "evil.ckpt").read_text() == "theirs"


def test_a_network_of_ones_own_is_opened_only_where_it_is_trusted_by_name(tmp_path, data, cohort):
    write_model(tmp_path, data, {"_target_": OWN, "width": 3})
    with pytest.raises(UserError, match=r"trust=\[\.\.\.\]"):
        load_model(tmp_path)
    with pytest.raises(UserError, match="trust"):
        load_model(tmp_path, trust=[f"{Own.__module__}.Other"])
    expected = load_model(tmp_path, trust=[OWN]).predict_proba(cohort.records.frame)
    pd.testing.assert_frame_equal(package.predict(tmp_path, cohort.records.frame, [OWN]), expected)
    assert CheckpointTeacher(str(tmp_path), trust=[OWN]).live


def test_trusting_a_class_does_not_trust_what_its_settings_name(tmp_path, data, marker):
    write_model(tmp_path, data, {"_target_": OWN, "width": 3})
    network(inner=EVAL)(tmp_path)
    with pytest.raises(UserError, match=r"builtins\.eval"):
        load_model(tmp_path, trust=[OWN])
    network(inner={"_target_": "torch.nn.Identity"})(tmp_path)
    with pytest.raises(UserError, match=r"torch\.nn\.Identity"):
        load_model(tmp_path, trust=[OWN])
    assert load_model(tmp_path, trust=[OWN, "torch.nn.Identity"])
    network(inner={"_target_": "os.system"})(tmp_path)
    with pytest.raises(UserError, match=r"no torch\.nn\.Module"):
        load_model(tmp_path, trust=[OWN, "os.system"])
    assert not marker.exists()


def test_a_classifier_that_holds_functions_is_refused_before_it_is_stored():
    with pytest.raises(UserError, match="FunctionTransformer"):
        dump_estimator(fitted(FunctionTransformer(np.sin)))
