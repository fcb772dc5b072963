"""A key is read by something, or refused with the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from composing import composed
from conftest import SMALL_TEACHER
from meddistill.config.confdir import VERBS
from meddistill.config.identity import flatten
from meddistill.config.known import check_sections, check_targets
from meddistill.config.nearest import nearest
from meddistill.config.resolvers import resolved
from meddistill.errors import UserError

ALONE = ("arm=[student_alone,logistic]", "trial.main=logistic")


def check(config) -> None:
    check_sections(config)
    check_targets(resolved(config))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_own_config_holds_known_keys_alone(verb):
    check(composed(verb))


@pytest.mark.parametrize("verb", VERBS)
def test_beside_any_key_of_a_verbs_config_an_unknown_one_is_refused(verb):
    """Each place where a key can stand, with every choice at its default."""
    config = composed(verb)
    keys = {key.rpartition(".")[0] for key, _ in flatten(OmegaConf.to_container(config))}
    free = {key for key in keys if ".tune" in key}  # names of others' settings
    assert len(keys) > 4
    for parent in keys - free:
        key = f"{parent}.zzz" if parent else "zzz"
        changed = config.copy()
        OmegaConf.update(changed, key, 1, force_add=True)
        if parent == "trial.margins":
            continue  # names of measures, checked by the trial
        with pytest.raises(UserError, match=rf"^{key}=1: (no such|nothing reads it)"):
            check(changed)


@pytest.mark.parametrize("verb", VERBS)
def test_a_key_that_was_taken_out_is_missed(verb):
    for key in ("verb", "store", "threads", "data"):
        config = composed(verb)
        OmegaConf.set_struct(config, False)
        del config[key]
        if key != "verb":
            with pytest.raises(UserError, match=f"^{key} is not there: "):
                check_sections(config)


@pytest.mark.parametrize(
    ("choices", "override", "message"),
    [
        ((), "+foo=1", "foo=1: no such setting"),
        ((), "+tempreature=3", "tempreature=3: no such setting; did you mean loss.temperature?"),
        ((), "++patience2=3", "patience2=3: no such setting; did you mean patience?"),
        ((), "+stack.chunks=3", "stack.chunks=3: no such setting; did you mean stack.chunk?"),
        ((), "+data.foo=1", "data.foo=1: no such setting; there are split, split_seed"),
        ((), "+data.tests=1", "data.tests=1: no such setting; did you mean test?"),
        ((), "+trainer.max_epoch=1", "did you mean trainer.max_epochs?"),
        ((), "+teacher.trainer.max_epoch=1", "did you mean teacher.trainer.max_epochs?"),
        ((), "+logger.csv.nam=x", "logger.csv.nam=x: no such setting; did you mean name?"),
        ((), "+callbacks.swa=1", "callbacks.swa=1: nothing reads it"),
        (("loss=ce",), "+teacher.pathos=3", "teacher.pathos=3: no such setting; there are"),
        (("loss=ce", "synthetic=munge"), "+synthetic.copys=3", "did you mean copies?"),
        (("synthetic=none",), "+synthetic.copies=3", "synthetic.copies=3: nothing reads it"),
        (("teacher=several",), "+teacher.of.forest.tree=3", "did you mean trees?"),
        (("scheduler=cosine",), "+scheduler.warm=3", "no such setting; did you mean warmup?"),
        (("scheduler=cosine",), "+scheduler.zzz=3", "there are total_steps, warmup, floor, inter"),
        (("+schedule@loss.alpha=linear",), "+loss.alpha.foo=3", "loss.alpha.foo=3: no such"),
        (("loss=combined",), "+loss.losses.kd.foo=3", "loss.losses.kd.foo=3: no such setting"),
        ((), "+loss._targe_=x", "loss._targe_=x: no such setting"),
        ((), "+student@other=mlp_small", "other="),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(choices, override, message):
    with pytest.raises(UserError) as refused:
        check(composed("distill", *choices, override))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [("+trial.repeat=1", "did you mean trial.repeats?"),
     ("+arms.distilled.lable=1", "did you mean label?"),
     ("+arms.distilled.loss.foo=1", "arms.distilled.loss.foo=1: nothing reads it")],
)  # fmt: skip
def test_an_unknown_key_of_a_trial_is_refused(override, message):
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        check(composed("trial", override))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("teacher.view=none", "is chosen as view@teacher.view=none"),
        ("teacher.scheduler=cosine", "is chosen as scheduler@teacher.scheduler=cosine"),
        ("teacher.missing=knn", "is chosen as missing@teacher.missing=knn"),
        ("teacher.optimizer=quick", "is chosen as optimizer@teacher.optimizer=adam"),
    ],
)
def test_the_name_of_a_choice_is_no_setting(override, message):
    with pytest.raises(UserError, match=message):
        check(composed("distill", "teacher=mlp", override))


def test_the_nearest_key_is_beside_or_has_the_same_last_name():
    known = ["seed", "loss.temperature", "stack.chunk", "data.split_seed"]
    assert nearest("sead", known) == "seed"
    assert nearest("temprature", known) == "loss.temperature"
    assert nearest("stack.chunks", known) == "stack.chunk"
    assert nearest("nothing.alike", known) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distill", "+foo=1"], "foo=1: no such setting"),
        (["distill", "+hydra.jobs=1"], "hydra.jobs=1: no such setting; did you mean hydra.job"),
        (["distill", "-m", "seed=0,1", "+foo=1"], "foo=1: no such setting"),
        (["distill", "-m", "+seeds=0,1"], "seeds=0: no such setting; did you mean seed?"),
        (["distill", "-m", "hydra/sweeper=basic", "+loss.warmth=0,1"], "loss.warmth=0: no such"),
        (["distill", "-m", "seed=0,1", "+hydra.sweeper.foo=1"], "hydra.sweeper.foo: no such"),
        (["distill", "-m", "store=a,b"], "store changes no result"),
        (["distill", "+experiment=few_labels"], "experiment=few_labels: leave out the +"),
        (["distill", "~seed"], "seed is not there: give it a value"),
        (["distill", "+student.in_shape=3"], "student.in_shape=3: is no setting"),
        (["trial", "+trial.margins.f1=1"], "trial.margins.f1=1: is no measure; there are accuracy"),
    ],
)
def test_an_unknown_key_leaves_no_folder(meddistill, arguments, message):
    code, _, err = meddistill(*arguments)
    assert (code, len(err.strip().splitlines())) == (2, 1), err
    assert message in err
    assert not Path("outputs").exists() or not list(Path("outputs").iterdir())


def test_an_unknown_key_of_a_config_of_ones_own_is_refused(meddistill):
    folder = Path("mine", "student")
    folder.mkdir(parents=True)
    text = "_target_: meddistill.models.mlp.MLP\nwidth: 48\ndeepth: 2\n"
    (folder / "wide.yaml").write_text(text)
    code, _, err = meddistill("distill", "--config-dir", "mine", "student=wide")
    assert code == 2
    assert "student.deepth=2: no such setting; did you mean depth?" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["teacher", "student=mlp_small"], "only teacher=self reads it"),
        (["teacher", "trainer.gradient_clip_val=1"], "a teacher's own is teacher.trainer.gradient"),
        (["teacher", "+trainer.max_epochs=3"], "a teacher's own is teacher.trainer.max_epochs"),
        (["teacher", "+teacher.trainer.devices=2"], "teacher.trainer.devices=2: a teacher is"),
        (["distill", "stack.members=[0,1]"], "stack.members=[0,1]: is a part of the students"),
        (["trial", "stack.axes=['seed=0,1']"], "a trial has arms and splits in their place"),
        (["trial", "data.fold=[0,5]", "trial.folds=5"], "leave one of the two out"),
        (
            ["distill", "data.test=0.3", "data.fold=[0,5]", "loss=ce"],
            "data.test=0.3: the test part",
        ),
        (
            ["trial", "data.test=0.3", "trial.folds=5"],
            "data.test=0.3: the test part is fold 0 of 5",
        ),
        (["distill", "answers=live", "loss=ce"], "answers=live: loss=ce asks no teacher"),
        (["distill", "synthetic=munge", "loss=ce"], "synthetic=munge: loss=ce asks no teacher"),
        (
            ["distill", "synthetic=munge", "loss=ce", "stack.axes=['seed=0,1']"],
            "synthetic=munge: los",
        ),
        (["trial", "answers=live", *ALONE], "answers=live: no arm's loss asks a teacher"),
        (
            [
                "trial",
                "+arms.student_alone.synthetic._target_=meddistill.data.tables.munge.Munge",
                *ALONE,
            ],
            "arms.student_alone.synthetic=meddistill.data.tables.munge.Munge: its loss asks no",
        ),
        (["distill", "-m", "seed=0,1", "trainer.devices=2"], "trainer.devices=2: students that"),
        (["trial", "trainer.devices=2"], "trainer.devices=2: students that are trained side by"),
    ],
)
def test_a_setting_that_nothing_would_read_is_refused(meddistill, arguments, message):
    code, out, err = meddistill(*arguments)
    assert code == 2 or "-m" in arguments
    assert message in out + err


def test_in_a_sweep_a_job_without_a_teacher_says_what_it_does_not_read(meddistill):
    code, out, _ = meddistill(
        "distill", "-m", "loss=ce,kd", "answers=live", *SMALL_TEACHER, "trainer.max_epochs=1"
    )
    assert code == 0
    assert out.count("answers=live: loss=ce asks no teacher, so nothing reads it") == 1


def test_a_threshold_is_refused_where_no_class_is_positive(meddistill, tmp_path):
    rows = [f"{k % 7},{'abc'[k % 3]}" for k in range(60)]
    Path("three.csv").write_text("\n".join(["x,y", *rows]))
    table = ("data=table", "data.path=three.csv", "data.target=y")
    for verb in (["distill", "loss=ce"], ["teacher"], ["trial"]):
        code, _, err = meddistill(*verb, *table, "threshold=0.3")
        assert code == 2
        assert "threshold=0.3: there are 3 classes, so none is positive" in err


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["~trainer"], "trainer"),
        (["~privacy.fewest"], "privacy.fewest"),
        (["privacy=null"], "privacy.fewest"),
        (["~trainer.max_epochs"], "trainer.max_epochs"),
        (["~optimizer._partial_"], "optimizer._partial_"),
        (["~teacher.network"], "teacher.network"),
        (["teacher=self", "~teacher.optimizer"], "teacher.optimizer"),
        (["loss=kd_learned", "~loss.reversal.start"], "loss.reversal.start"),
        (["callbacks=swa", "~callbacks.swa.swa_lrs"], "callbacks.swa.swa_lrs"),
    ],
)
def test_a_setting_that_was_taken_out_is_asked_for_in_one_line(meddistill, arguments, key):
    code, _, err = meddistill("distill", *arguments)
    assert (code, err) == (2, f"meddistill: error: {key} is not there: give it a value\n")


def test_an_arm_without_a_loss_is_told_so(meddistill):
    code, _, err = meddistill("trial", "~arms.student_alone.loss", *ALONE)
    assert code == 2
    assert "arms.student_alone.loss._target_ is not there" in err


@pytest.mark.parametrize("flag", [["-m"], ["--multirun"], ["--config-dir", "."]])
def test_hydras_flags_may_stand_between_the_overrides(meddistill, flag):
    code, _, err = meddistill("distill", "loss=ce", *flag, "+foo=1")
    assert code == 2
    assert err.startswith("meddistill: error: foo=1: no such setting")
