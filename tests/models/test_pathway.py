"""A network of gene sets reads what its files say, and nothing else."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

import meddistill as package
from meddistill.data.preprocessing import Features
from meddistill.errors import SettingError, UserError
from meddistill.inference.folder_networks import folder_network
from meddistill.inference.network import multiply_adds
from meddistill.inference.pathways import between_classes
from meddistill.models.gene_sets import gene_sets, read_gmt, read_hierarchy
from meddistill.models.pathway import Pathway

GENES = Features(["A", "B", "C", "D", "E", "A"])
"""Of six inputs; the last says whether A is missing."""
GMT = "ONE\tx\tA\tB\nTWO\tx\tB\tC\tZ\nBIG\tx\tA\tB\tC\tD\nNONE\tx\tQ\n"
PAIRS = "BIG\tONE\nBIG\tTWO\nROOT\tBIG\nOTHER\tSTRANGE\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "sets.gmt").write_text(GMT)
    (tmp_path / "pairs.txt").write_text(PAIRS)
    return {"gmt": str(tmp_path / "sets.gmt"), "hierarchy": str(tmp_path / "pairs.txt")}


def built(files, **settings):
    torch.manual_seed(0)
    return Pathway(GENES, 2, **files, **settings)


def test_a_set_reads_its_own_genes_alone_and_all_inputs_of_each(files):
    network = built({"gmt": files["gmt"]})
    inputs = torch.rand(1, 6, requires_grad=True)
    reads = {}
    for place, name in enumerate(network.sets[0]):
        (own,) = torch.autograd.grad(network.activations(inputs)[0][0, place], inputs)
        reads[name] = own[0].nonzero().flatten().tolist()
    assert reads == {"ONE": [0, 1, 5], "TWO": [1, 2], "BIG": [0, 1, 2, 3, 5]}


def test_with_a_hierarchy_a_gene_joins_the_smallest_sets_and_levels_end_at_the_roots(files):
    gmt = read_gmt(files["gmt"])
    found = gene_sets(list("ABCDE"), gmt.sets, read_hierarchy(files["hierarchy"], gmt), 1)
    levels = [dict(zip(each.names, each.members, strict=True)) for each in found.levels]
    assert levels[0] == {"BIG": (3,), "ONE": (0, 1), "TWO": (1, 2)}
    assert levels[1] == {"BIG": (0, 1, 2), "ROOT": (0,)}
    assert levels[2] == {"ROOT": (0, 1)}
    assert found.alone == ("E",)
    assert found.empty == ("NONE",)
    assert "1 columns are in no set" in found.describe()


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "a.gmt").write_text("ONE\tx\tA\tB\n", encoding="utf-8-sig")
    (tmp_path / "a.txt").write_text("BIG\tONE\n", encoding="utf-8-sig")
    gmt = read_gmt(str(tmp_path / "a.gmt"))
    assert gmt.sets == {"ONE": ("A", "B")}
    assert read_hierarchy(str(tmp_path / "a.txt"), gmt) == {"ONE": ("BIG",)}


def test_a_hierarchy_may_name_sets_by_their_descriptions(tmp_path):
    (tmp_path / "r.gmt").write_text("Small\tR-1\tA\nLarge\tR-2\tA\tB\nX\tna\tC\nY\tna\tC\n")
    (tmp_path / "r.txt").write_text("R-2\tR-1\nR-9\tR-2\nna\tR-1\n")
    gmt = read_gmt(str(tmp_path / "r.gmt"))
    found = read_hierarchy(str(tmp_path / "r.txt"), gmt)
    assert found == {"Small": ("Large", "na"), "Large": ("R-9",)}


def test_the_layer_is_a_masked_linear_one(files):
    network = built(files)
    inputs = torch.randn(7, 6)
    for layer, names in zip(network.layers, network.sets, strict=True):
        ends = [*layer.starts.tolist()[1:], len(layer.places)]
        dense = torch.zeros(len(names), inputs.shape[1])
        for unit, (first, last) in enumerate(zip(layer.starts.tolist(), ends, strict=True)):
            dense[unit, layer.places[first:last].long()] = layer.weight[first:last].detach()
        expected = (inputs @ dense.T + layer.bias).tanh()
        inputs = layer(inputs).tanh()
        assert torch.allclose(inputs, expected, atol=1e-6)


def test_its_multiply_adds_are_those_of_its_connections_and_heads(files):
    network = built(files)
    connections = sum(len(layer.weight) for layer in network.layers)
    heads = sum(2 * len(names) for names in network.sets)
    assert multiply_adds(network, torch.rand(3, 6)) == 3 * (connections + heads)


def test_a_folder_needs_none_of_the_files(files):
    network = built(files, dropout=0.2)
    node = {"_target_": "meddistill.models.pathway.Pathway", **network.plain}
    again = folder_network(node, (6,), 2, network.state_dict())
    inputs = torch.randn(5, 6)
    assert torch.equal(again.eval()(inputs), network.eval()(inputs))
    assert again.sets == network.sets


@pytest.mark.parametrize(
    ("key", "value"), [("layers.0.places", 6), ("layers.0.places", -1), ("layers.1.starts", 99)]
)
def test_a_folder_whose_sets_read_other_memory_is_refused(files, key, value):
    network = built(files)
    node = {"_target_": "meddistill.models.pathway.Pathway", **network.plain}
    weights = {name: each.clone() for name, each in network.state_dict().items()}
    weights[key][-1] = value
    with pytest.raises(ValueError, match="not there"):
        folder_network(node, (6,), 2, weights)


def test_a_folder_that_asks_for_more_memory_than_its_weights_is_refused(files):
    network = built(files)
    node = {"_target_": "meddistill.models.pathway.Pathway", **network.plain}
    with pytest.raises(ValueError, match="more than its checkpoint's weights"):
        folder_network({**node, "joined": [10**9, 1, 1]}, (6,), 2, network.state_dict())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no gene set is in it"),
        ("ONE\tx\n", "line 1 is no gene set"),
        ("ONE x A B\n", "line 1 is no gene set"),
        ("ONE\tx\tA\nONE\tx\tB\n", "line 2: the set 'ONE' is there twice"),
        ("ONE\tx\tQ\nTWO\tx\tW\n", "no gene of the sets is a column of the table"),
    ],
)
def test_a_file_that_is_none_of_these_genes_is_refused(tmp_path, text, said):
    (tmp_path / "bad.gmt").write_text(text)
    with pytest.raises(UserError, match=said):
        Pathway(GENES, 2, gmt=str(tmp_path / "bad.gmt"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("BIG ONE\n", "line 1 is no pair"),
        ("X\tY\n", "none of its sets is one of the gene sets"),
        ("BIG\tONE\nONE\tBIG\n", "lies within itself"),
    ],
)
def test_a_hierarchy_that_is_none_of_these_sets_is_refused(files, tmp_path, text, said):
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(UserError, match=said):
        Pathway(GENES, 2, files["gmt"], str(tmp_path / "bad.txt"))


def test_settings_that_nothing_could_obey_are_refused(files, tmp_path):
    with pytest.raises(UserError, match="no such file"):
        Pathway(GENES, 2, gmt=str(tmp_path / "absent.gmt"))
    with pytest.raises(UserError, match="largest has 4"):
        Pathway(GENES, 2, files["gmt"], fewest=5)
    with pytest.raises(SettingError, match="names the file of gene sets"):
        Pathway(GENES, 2)
    with pytest.raises(UserError, match="these rows have none"):
        Pathway((6,), 2, files["gmt"])
    with pytest.raises(SettingError, match="model folder's own"):
        Pathway(GENES, 2, files["gmt"], sets=[["ONE"]], joined=[1])


def test_a_shape_keeps_its_columns_when_it_is_copied():
    for again in (copy.deepcopy(GENES), pickle.loads(pickle.dumps(GENES))):
        assert again == (6,)
        assert again.columns == GENES.columns


def test_the_share_between_classes_is_the_correlation_ratio():
    values = np.array([[0, 1, 5], [0, 2, 5], [1, 1, 5], [1, 2, 5]], dtype=np.float32)
    shares = between_classes(values, np.array([0, 0, 1, 1]))
    assert np.array_equal(shares, [1.0, 0.0, np.nan], equal_nan=True)


@pytest.fixture
def table(tmp_path):
    """Eighty rows of eight genes; the first three make the class."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 8)), columns=[f"G{k}" for k in range(8)])
    frame["target"] = np.where(frame[["G0", "G1", "G2"]].sum(axis=1) > 0, "ill", "well")
    frame.to_csv(tmp_path / "genes.csv", index=False)
    (tmp_path / "own.gmt").write_text("TRUE\tx\tG0\tG1\tG2\nFALSE\tx\tG5\tG6\tG7\n")
    return ["data=table", "data.path=genes.csv", "data.target=target", "data.positive=ill"]


def test_a_student_of_gene_sets_is_taught_reported_and_answers_without_their_file(
    meddistill, table, tmp_path
):
    code, out, err = meddistill(
        "distill", *table, "teacher=forest", "teacher.trees=5", "student=pathway",
        "student.gmt=own.gmt", "trainer.max_epochs=30", "optimizer.lr=0.05", "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, err
    assert "2 columns are in no set and are not read ('G3', 'G4')" in out
    lines = [line for line in out.splitlines() if "│" in line]
    assert lines.index(next(line for line in lines if "TRUE" in line)) < lines.index(
        next(line for line in lines if "FALSE" in line)
    )
    found = pd.read_parquet("run/activations.parquet")
    assert len(found) == 80
    assert list(found.columns) == ["row", "split", "1: FALSE", "1: TRUE"]
    (tmp_path / "own.gmt").unlink()
    model = package.load_model("run")
    rows = pd.read_csv("genes.csv").drop(columns="target")
    kept = pd.read_parquet("run/predictions.parquet").set_index("row")
    answers = model.predict_proba(rows)["ill"]
    assert np.allclose(answers, kept.loc[answers.index.astype(str), "p_ill"], atol=1e-6)
    assert meddistill("report", "run")[0] == 0
    assert "Gene sets" in (tmp_path / "run" / "report.html").read_text()


def test_another_files_content_makes_another_run_and_another_teacher(meddistill, table, tmp_path):
    small = ["student=mlp_tiny", "teacher.trainer.max_epochs=1", "trainer.max_epochs=1"]
    command = ["distill", *table, "teacher=pathway", "teacher.network.gmt=own.gmt", *small]
    assert "not in the store" in meddistill(*command)[1]
    (tmp_path / "own.gmt").write_text("TRUE\tx\tG0\tG1\n")
    assert "not in the store" in meddistill(*command)[1]


def test_a_student_of_gene_sets_is_picked_from_a_sweep(meddistill, table, tmp_path):
    code, out, err = meddistill(
        "distill", "-m", *table, "loss=ce", "student=pathway", "student.gmt=own.gmt", "seed=0,1",
        "trainer.max_epochs=1", "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert code == 0, err
    assert "one by one" in out
    code, _, err = meddistill("pick", "sweep", "seed=1", "--to", "picked")
    assert code == 0, err
    (tmp_path / "own.gmt").unlink()
    rows = pd.read_csv("genes.csv").drop(columns="target")
    assert len(package.load_model("picked").predict_proba(rows)) == 80
