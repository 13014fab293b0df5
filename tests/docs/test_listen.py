"""docs/listen.html: a page of all versions of some recordings, made by docs/listen.py."""

import importlib.util

import numpy as np
import pytest
from c_build import ROOT
from networks import random_weights, small_spec
from pages import whole_page
from recordings import noise, record

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.ends import FrameConditioning
from fastwavenet.piano_roll import piano_roll_name

MOST_BYTES = 3_000_000
MEL = fw.mel_presets()["hifigan-16k"]
VOCODER = small_spec(
    sample_rate=16000,
    levels=256,
    conditioning=FrameConditioning(MEL.mels, MEL.hop, "linear", features=MEL),
)
PLAYER = small_spec(
    sample_rate=8000,
    conditioning=FrameConditioning(14, hop=80, features=piano_roll_name(60, 72)),
)
LAST = ["the network's samples", "codec alone", "Griffin-Lim", "matched noise"]
ALL = ["recording", "float32", "bfloat16", "int8", "temperature 0.6", *LAST]
FEW = ["recording", "vocoder", *LAST]


@pytest.fixture
def listen(monkeypatch):
    spec = importlib.util.spec_from_file_location("listen", ROOT / "docs/listen.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "MOST_SECONDS", 0.2)
    monkeypatch.setattr(module, "MELODY_SECONDS", 0.2)
    return module


@pytest.fixture
def line(tmp_path):
    """Arguments with small models and two recordings."""
    for name, spec in (("v", VOCODER), ("p", PLAYER)):
        weights = {key: 0.1 * array for key, array in random_weights(spec, seed=1).items()}
        modelfile.save(tmp_path / f"{name}.safetensors", spec, weights)
    files = [record(tmp_path / f"{name}.wav", noise(n)) for name, n in (("a", 9000), ("b", 300))]
    models = ("--vocoder", tmp_path / "v.safetensors", "--instrument", tmp_path / "p.safetensors")
    return [str(part) for part in (*files, "-o", tmp_path / "page.html", *models)]


def test_a_page_has_the_first_recording_in_all_versions_and_the_others_in_some(
    listen, line, tmp_path, capsys
):
    listen.main([*line, "--credit", "Noise of <our> own."])
    html = (tmp_path / "page.html").read_text()
    page = whole_page(html)
    found = page.named_sounds()
    assert [name for name, _, _ in found] == [*ALL, *FEW, *FEW, "melody"]
    lengths = [len(samples) for _, samples, _ in found]
    assert lengths == [12 * MEL.hop] * 9 + [MEL.hop] * 6 + [12 * MEL.hop] * 6 + [1600]
    assert capsys.readouterr().out == f"{tmp_path / 'page.html'}: {len(html):,} bytes\n"
    for name in ("a", "b", "arctic_a0009"):
        assert f"<h2>{name}</h2>" in html
    for text in ("Noise of <our> own.", "CMU ARCTIC"):
        assert text in page.text
    model = fw.load(tmp_path / "v.safetensors", "int8")
    clip, rate = fw.read_audio(tmp_path / "a.wav")
    expected = fw.vocode(model, clip[: 12 * MEL.hop], seed=listen.SEED, sample_rate=rate)
    np.testing.assert_array_equal(found[3][1], np.rint(expected * 32768).clip(-32768, 32767))


def test_a_page_that_is_too_large_is_refused_and_the_one_before_stays(
    listen, line, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(listen, "MOST_BYTES", 1000)
    (tmp_path / "page.html").write_text("before")
    with pytest.raises(SystemExit):
        listen.main(line)
    assert "expected at most 1,000: give fewer or shorter" in capsys.readouterr().err
    assert (tmp_path / "page.html").read_text() == "before"


def test_a_model_of_another_kind_is_refused(listen, line, capsys):
    with pytest.raises(SystemExit):
        listen.main([*line, "--vocoder", line[-1]])
    assert "the model takes no mel frames, expected a vocoder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs").glob("listen.html")), ids=lambda path: path.name
)
def test_the_page_in_docs_is_whole_and_small(path):
    assert path.stat().st_size <= MOST_BYTES
    names = [name for name, _, _ in whole_page(path.read_text()).named_sounds()]
    assert names[:9] == ALL and names[-7:] == [*FEW, "melody"]
