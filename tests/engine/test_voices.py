"""The voices that ship: complete, small enough, as their cards describe them, the same bits."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from voice_records import BLOCK, FACTS, RECORDS, SAMPLES, digest, network_of, samples_of

import fastwavenet as fw
from fastwavenet import bundled_voices
from fastwavenet.spec import ONLY_BY_NAME, PRECISIONS

EXPECTED = ["recorder-16k", "speech-16k", "speech-16k-small"]
MOST_BYTES = 10_000_000  # of all files of the voices
HEADINGS = [
    "Use",
    "Good for, and not good for",
    "Data and licences",
    "Training",
    "Network",
    "Quality",
    "Sampling",
]
VOICES = {voice.name: voice for voice in fw.voices()}
every_voice = pytest.mark.parametrize("voice", VOICES.values(), ids=VOICES)


def sections(card: str) -> dict[str, str]:
    """Heading -> text behind it."""
    found = re.split(r"^## (.+)$", card, flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


def test_the_voices_that_are_expected_ship_and_no_other():
    assert list(VOICES) == EXPECTED
    assert bundled_voices.INSTRUMENT in EXPECTED


def test_all_files_are_those_of_a_voice_and_small_enough():
    files = sorted(bundled_voices.FOLDER.iterdir())
    suffixes = (".COPYING.txt", ".md", ".safetensors")
    assert [file.name for file in files] == sorted(
        f"{name}{suffix}" for name in EXPECTED for suffix in suffixes
    )
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES


@every_voice
def test_a_voice_is_found_by_its_name(voice):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", voice.name)
    assert voice.path == bundled_voices.FOLDER / f"{voice.name}.safetensors"
    assert fw.load(voice.name).spec == fw.load(voice.path).spec
    assert f"{fw.load(voice.name).sample_rate // 1000}k" in voice.name.split("-")


# ---- card and notices ----------------------------------------------------------------------------


@every_voice
def test_a_card_has_its_title_a_summary_and_every_section(voice):
    assert voice.card.startswith(f"# {voice.name}\n\n")
    assert 20 <= len(voice.summary) <= 120
    found = sections(voice.card)
    assert list(found) == HEADINGS
    assert [heading for heading, text in found.items() if not text.strip()] == []


@every_voice
def test_a_card_names_the_notices_and_those_are_there(voice):
    data = sections(voice.card)["Data and licences"]
    assert f"{voice.name}.COPYING.txt" in data
    assert re.search(r"Copyright", voice.notices)
    assert "minutes" in data


@every_voice
def test_a_card_has_the_nats_of_every_precision(voice):
    rows = dict(re.findall(r"^\| (\w+) \| ([\d.]+) \|", sections(voice.card)["Quality"], re.M))
    assert rows.keys() == {*PRECISIONS} - ONLY_BY_NAME
    guessing = math.log(fw.load(voice.path).spec.levels)
    assert all(0 < float(nats) < guessing for nats in rows.values())


@every_voice
def test_a_card_has_the_network_that_info_shows(voice):
    (block,) = BLOCK.findall(voice.card)
    assert block == network_of(voice.name)
    assert [line.split("  ")[0] for line in block.splitlines()] == list(FACTS)


# ---- models --------------------------------------------------------------------------------------


@every_voice
def test_a_voice_loads_in_every_precision_whose_costs_are_recorded(voice, precision):
    model = fw.load(voice.name, precision)
    assert model.precision == precision
    assert {*PRECISIONS} - ONLY_BY_NAME <= {*model.precision_cost, "float32"} <= {*PRECISIONS}


@every_voice
def test_a_thousand_samples_are_those_of_every_other_machine(voice, precision, isa):
    """Another digest means that the voice sounds different in this version than in the last."""
    samples = samples_of(voice.name, precision, isa)
    assert samples.shape == (SAMPLES,) and len(np.unique(samples)) > SAMPLES // 10
    assert digest(samples) == json.loads(RECORDS.read_text())[voice.name][precision]


def test_the_records_are_those_of_the_voices():
    records = json.loads(RECORDS.read_text())
    assert sorted(records) == EXPECTED
    assert all(list(found) == list(PRECISIONS) for found in records.values())


@pytest.mark.parametrize("name", ["speech-16k", "speech-16k-small"])
def test_a_vocoder_follows_the_bundled_clip(name):
    """Its sound is loud where the recording is: the log-energies of frames correlate."""
    model = fw.load(name)
    clip = Path(fw.__file__).parent / "data" / "arctic_a0009.flac"
    audio, _ = fw.read_audio(clip, model.sample_rate)
    made = fw.vocode(model, audio, seed=7)
    frames = (sound[: len(made)].reshape(-1, 256) for sound in (audio, made))
    levels = [np.log10(np.square(sound).mean(axis=1) + 1e-5) for sound in frames]
    assert np.corrcoef(levels)[0, 1] > 0.8
