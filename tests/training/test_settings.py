"""An entry of the table of settings is an argument, an option, a check, and a row of the docs."""

import argparse
import dataclasses
import inspect
import json
import re
import typing
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from c_build import ROOT
from networks import small_spec

from fastwavenet.cli.train import OPTIONS, _add_setting
from fastwavenet.training import PRESETS, train
from fastwavenet.training.checkpoint import Checkpoint, Progress
from fastwavenet.training.computer import Computer
from fastwavenet.training.network import Network
from fastwavenet.training.presets import preset_spec
from fastwavenet.training.resume import choose_settings
from fastwavenet.training.settings import CALL, RUN, Budget, Call, Recordings, Settings
from fastwavenet.training.table import check, describe, entries, given, positive_whole, setting

TABLE = (*RUN, *CALL)
KEPT = entries(Settings)
SPEC = small_spec()
PARAMETERS = inspect.signature(train).parameters


def each(table):
    return pytest.mark.parametrize("entry", table, ids=lambda entry: entry.name)


def another(entry):
    """A value that differs from the default."""
    if entry.kind is bool:
        return not entry.default
    if entry.name == "schedule":
        return "trapezoid"
    return (entry.default or 1) / 2 if entry.kind is float else (entry.default or 1) * 2 + 1


def option_parser(table):
    parser = argparse.ArgumentParser()
    for entry in table:
        _add_setting(parser.add_argument, entry)
    return parser


# ---- the signature and help(train) ---------------------------------------------------------------


def test_train_takes_the_settings_of_the_table_in_its_order_after_source_and_output():
    assert list(PARAMETERS) == ["source", "output", *(entry.name for entry in TABLE)]


@each(TABLE)
def test_an_argument_of_train_has_the_type_of_its_entry_and_none_unless_it_is_of_the_call(entry):
    hint = typing.get_type_hints(train)[entry.name]
    parameter = PARAMETERS[entry.name]
    kinds = set(typing.get_args(hint)) or {hint}
    assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
    assert parameter.default is (entry.default if entry in entries(Call) else None)
    if entry.kind is Path:
        assert kinds >= {str, type(None)}
    else:
        assert kinds == {entry.kind} | ({type(None)} if parameter.default is None else set())


@each(TABLE)
def test_help_explains_a_setting_with_its_default(entry):
    words = " ".join((train.__doc__ or "").split())
    default = entry.otherwise or str(entry.default)
    assert f"{entry.name} {entry.help} ({default})" in words


# ---- the command line ----------------------------------------------------------------------------


def test_the_command_line_has_all_settings_but_those_that_only_a_program_can_give():
    assert {entry.name for entry in TABLE} - {entry.name for entry in OPTIONS} == {
        "spec", "progress", "stop"
    }  # fmt: skip


@each(OPTIONS)
def test_help_of_the_command_line_explains_a_setting(run, entry):
    code, said, _ = run("train", "--help")
    words = re.sub(r"(?<=-) ", "", " ".join(said.split()))
    assert code == 0
    assert f"{entry.flag}" in words
    assert re.sub(r"(?<=-) ", "", entry.help) in words


@each(OPTIONS)
def test_an_option_gives_a_value_of_its_type_or_no_argument(entry):
    parser = option_parser(OPTIONS)
    assert vars(parser.parse_args([])) == {}
    words = [entry.flag] if entry.kind is bool else [entry.flag, "3"]
    assert vars(parser.parse_args(words)) == {
        entry.name: True if entry.kind is bool else entry.kind("3")
    }


# ---- checks, and the checkpoint ------------------------------------------------------------------


@each([entry for entry in (*KEPT, *entries(Budget))])
def test_a_setting_refuses_a_wrong_value_by_its_name(entry):
    wrong = {entry.name: "\x1b[31m"}
    with pytest.raises(ValueError, match=rf"^{entry.name} must be .*, not '\\x1b\[31m'$"):
        Settings(spec=SPEC, **wrong) if entry in KEPT else Budget(**wrong)


@each(KEPT)
def test_a_checkpoint_keeps_a_setting(entry):
    settings = Settings(spec=SPEC, **{entry.name: another(entry)})
    assert settings != Settings(spec=SPEC)
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@each(KEPT)
def test_a_checkpoint_without_a_setting_is_refused(entry):
    fields = Settings(spec=SPEC).to_dict()
    for wrong in (fields | {"more": 1}, {k: v for k, v in fields.items() if k != entry.name}):
        with pytest.raises(ValueError, match="^the settings must be accumulate, batch, bfloat16, "):
            Settings.from_dict(wrong)


def started(spec=SPEC):
    settings = Settings(spec=spec, bfloat16=False)
    return Checkpoint(settings, Budget(), {}, Progress(), {}, Computer.here(torch.device("cpu")))


@each(KEPT)
def test_a_resumed_run_has_a_setting_and_refuses_another_value(entry):
    run, kept = started(), getattr(started().settings, entry.name)
    others = {"bfloat16": True, "learning_rate": 0.02}  # a lower rate is taken
    other = others.get(entry.name, another(entry))
    assert choose_settings(run, Network(), {}) is run.settings
    assert choose_settings(run, Network(), {entry.name: kept}) is run.settings
    message = rf"^{entry.name} is {kept!r} in this run, not {other!r}: leave it out to resume"
    with pytest.raises(ValueError, match=message):
        choose_settings(run, Network(), {entry.name: other})


@pytest.mark.parametrize("rate", [0.009, 1e-9])
def test_a_resumed_run_takes_a_lower_learning_rate_and_nothing_else_with_it(rate):
    run = started()
    lower = choose_settings(run, Network(), {"learning_rate": rate})
    assert lower == dataclasses.replace(run.settings, learning_rate=rate)
    for changes in ({"batch": 2}, {"learning_rate": 0.011}, {"learning_rate": -1}):
        with pytest.raises(ValueError, match=f"^{[*changes][0]} "):
            choose_settings(run, Network(), {"learning_rate": rate} | changes)


@pytest.mark.parametrize(
    "network",
    [
        Network(preset="small"),
        Network(sample_rate=8000),
        Network(spec=SPEC),
        Network(preset="tiny", sample_rate=8000),
    ],
)
def test_a_resumed_run_refuses_another_network(network):
    run = started(preset_spec("tiny", 16000))
    assert choose_settings(run, Network(preset="tiny"), {}) is run.settings
    assert choose_settings(run, Network(sample_rate=16000), {}) is run.settings
    with pytest.raises(ValueError, match="in this run, not"):
        choose_settings(run, network, {})


def test_a_network_is_small_at_16_kilohertz_unless_it_is_chosen():
    assert Network().choose(None) == preset_spec("small", 16000)
    assert Network(preset="tiny", sample_rate=8000).choose(None) == preset_spec("tiny", 8000)
    assert Network(spec=SPEC).choose(None) is SPEC
    assert list(PRESETS) == re.findall(r"\w+", RUN[0].help.partition(":")[2])


def test_only_given_arguments_are_settings():
    arguments = {entry.name: None for entry in TABLE} | {"batch": 2, "minutes": 0, "resume": False}
    assert given(Settings, arguments) == {"batch": 2}
    assert given(Budget, arguments) == {"minutes": 0}
    assert given(Call, arguments) == {"resume": False}


def test_an_event_that_is_none_is_refused():
    with pytest.raises(TypeError, match=r"^stop must be an event with is_set\(\), not 5$"):
        Call(stop=5)


# ---- a setting that is added ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class MoreSettings(Settings):
    """The settings of a later version."""

    beams: int = setting(
        2, "beams per step, 100 % of them", check=positive_whole, before=1, metavar="N"
    )
    speaker_count: int | None = setting(None, "number of speakers", check=positive_whole)


NEW = entries(MoreSettings)[-2:]


def test_an_added_setting_is_an_option_and_is_explained():
    parser = option_parser(NEW)
    line = ["--beams", "3", "--speaker-count", "4"]
    assert vars(parser.parse_args(line)) == {"beams": 3, "speaker_count": 4}
    assert "--beams N             beams per step, 100 % of them (2)" in parser.format_help()
    assert describe(NEW) == (
        "beams          beams per step, 100 % of them (2)\nspeaker_count  number of speakers (None)"
    )


def test_an_added_setting_is_checked_kept_and_the_same_in_a_resumed_run():
    settings = MoreSettings(spec=SPEC, beams=3, speaker_count=4)
    assert MoreSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    with pytest.raises(ValueError, match="^beams must be a positive whole number, not 0$"):
        dataclasses.replace(settings, beams=0)
    other = dataclasses.replace(settings, beams=4, speaker_count=5)
    assert list(settings.differences(other, {"beams"})) == [("beams", 3, 4)]


def test_a_checkpoint_that_is_older_than_a_setting_is_read_if_the_setting_has_a_value_before():
    older = Settings(spec=SPEC).to_dict()
    with pytest.raises(
        ValueError, match="^the settings must be accumulate, batch, beams, bfloat16"
    ):
        MoreSettings.from_dict(older)
    read = MoreSettings.from_dict(older | {"speaker_count": None})
    assert (read.beams, read.speaker_count) == (1, None)


def test_an_entry_without_a_check_takes_every_value():
    @dataclass
    class Free:
        place: str = setting("here", "a place")

    check(Free(place=5))


# ---- the docs ------------------------------------------------------------------------------------


def row(entry):
    name = entry.flag if entry.option else entry.name
    return f"| `{name}` | {entry.help} | {entry.otherwise or entry.default} |"


@pytest.mark.parametrize(
    ("heading", "table"), [("Settings of a run", RUN), ("Settings of a call", CALL)]
)
def test_the_docs_have_a_row_for_each_setting(heading, table):
    """The expected rows are those of the failure's message."""
    text = (ROOT / "docs/training.md").read_text()
    section = text.partition("\n## All settings\n")[2].partition("\n## ")[0]
    rows = section.partition(f"\n{heading}")[2].partition("|---|---|---|\n")[2].partition("\n\n")[0]
    assert rows.splitlines() == [row(entry) for entry in table]


def test_every_field_of_a_run_is_in_the_table():
    names = [
        field.name for kind in (Network, Recordings, Settings) for field in dataclasses.fields(kind)
    ]
    kept = ["source", "spec"]  # the positional argument, and the network that was chosen
    assert sorted(names) == sorted([entry.name for entry in RUN] + kept)
