"""What Hydra would say in its parser's words, or not at all."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from meddistill.sweeps.jobs import as_typed

QUICK = ("loss=ce", "trainer.max_epochs=1", "hydra.run.dir=run")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["teacher=null"], "teacher=null: can't be left out (loss=ce trains a student alone); "),
        (["~teacher"], "~teacher: can't be left out (loss=ce trains a student alone); there are"),
        (["data=null"], "data=null: can't be left out; there are breast_cancer, breast_ultrasound"),
        (["data.path=a=b"], "data.path=a=b: can't be read; a value with any of"),
        (["data.path=a(b.csv"], "in it goes into quotes"),
        (["data.path=~/x.csv"], "'data.path=\"~/x.csv\"'"),
        (["-m", "loss.alpha=choice(null,0.5)"], "null has no place in choice(): write loss.alpha="),
        (['columns.costs={"age, years":3}'], r"in it: 'columns.costs={age\, years:3}'; one with"),
        (
            ["columns.costs={'a: b' : 3, c: 1}"],
            r"'columns.costs={a\: b: 3, c: 1}'; one with",
        ),
        (['columns.costs={"a#b":3}'], r"'columns.costs={age\, years: 3}'; one with other signs"),
        (["columns.keep=[age (years),sex]"], "'columns.keep=[\"age (years)\",sex]'"),
        (['data.path=a "b" (c)'], r"""'data.path="a \"b\" (c)"'"""),
        (["lonely"], "lonely: is no key=value"),
    ],
)
def test_what_hydras_parser_refuses_is_one_sentence_with_its_mend(meddistill, arguments, message):
    code, _, err = meddistill("distill", *arguments)
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert message in err


@pytest.mark.parametrize(
    "override",
    ['columns.costs={"age, years":3}', "columns.costs={'a [b]':3}", 'columns.costs={"x#":3}',
     "columns.keep=[age (years),sex]", 'columns.keep=["a,b",c d(e)]', 'data.path=a "b" (c)'],
)  # fmt: skip
def test_the_mend_offered_is_one_that_is_read(meddistill, override):
    said = meddistill("distill", override)[2]
    mend, *_ = shlex.split(said[said.rindex(": '") + 2 :].replace(";", " ;"))
    value = OverridesParser.create().parse_override(mend).value()
    assert type(value) is {"{": dict, "[": list}.get(override.partition("=")[2][0], str)


@pytest.mark.parametrize(
    "override",
    ["logger=null", "~logger", "~logger=csv", "synthetic=null", "~synthetic", "callbacks=null",
     "~scheduler", "experiment=null", "~experiment"],
)  # fmt: skip
def test_null_and_a_tilde_choose_none_where_there_is_one(meddistill, monkeypatch, override):
    monkeypatch.setattr("meddistill.tasks._work", lambda config, settings, run: settings)
    monkeypatch.setattr("meddistill.tasks._show", lambda *_: None)
    settings = []
    monkeypatch.setattr("meddistill.tasks.check_targets", settings.append)
    monkeypatch.setattr("meddistill.tasks._work", lambda *_: {"score": 0})
    code, _, err = meddistill("distill", *QUICK, override)
    assert code == 0, err
    group = override.strip("~").partition("=")[0]
    assert not settings[0].get(group)


@pytest.mark.parametrize("quoted", ['data.path="a=(~b).csv"', "data.path='a=(~b).csv'"])
def test_a_value_in_quotes_is_read(meddistill, cohort, quoted):
    table = cohort.records.frame.iloc[:, :3].assign(target=cohort.target)
    table.to_csv("a=(~b).csv", index=False)
    code, _, err = meddistill("distill", "data=table", quoted, "data.target=target", *QUICK)
    assert code == 0, err


def test_relative_paths_are_from_where_the_command_was_called(meddistill, cohort):
    cohort.records.frame.iloc[:, :3].assign(target=cohort.target).to_csv("mine.csv", index=False)
    given = ["data=table", "data.path=mine.csv", "data.target=target", "store=mystore",
             "teacher=forest", "teacher.trees=3", "trainer.max_epochs=1"]  # fmt: skip
    code, out, err = meddistill("distill", *given, "hydra.job.chdir=true")
    assert code == 0, err
    assert Path("mystore/teachers").is_dir()
    (run,) = Path("outputs").glob("distill-*")
    assert f"Report: {run}/report.md" in out
    assert f"meddistill report {run}\n" in out
    content = yaml.safe_load((run / "identity.json").read_text())["content of data.path"]
    assert content != "absent"
    assert meddistill("distill", *given)[0] == 0
    assert list(Path("outputs").glob("distill-*")) == [run], "and it is the same run"


@pytest.mark.parametrize(
    "flags", [["-m", "--cfg", "job"], ["--info", "all", "--cfg", "job"], ["--resolve"]]
)
def test_flags_of_hydra_that_do_not_go_together_are_one_message(meddistill, flags):
    code, _, err = meddistill("distill", "seed=0,1", *flags)
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert "--cfg" in err


def test_a_jobs_settings_are_listed_as_they_were_typed():
    assert as_typed(r"trainer.max_time=00\:00\:00\:02") == "trainer.max_time=00:00:00:02"
    assert as_typed("loss.temperature=4") == "loss.temperature=4"
    assert as_typed("trainer.max_time=null") == "trainer.max_time=null"
