"""report.html: a whole page without outside resources, whose numbers and sounds are the run's."""

import dataclasses
import math
import re

import numpy as np
import pytest
from pages import Page, read_page, whole_page
from recordings import full_disk, record, tone, two_tones
from runs import SPEC, interrupt, log, quick
from snapshots import rec, snapshot

from fastwavenet.training.console import Console
from fastwavenet.training.previews import SAMPLES, Preview, Previews
from fastwavenet.training.report_charts import Axis, Curve, chart, round_step, short, thinned
from fastwavenet.training.report_page import MOST_ROWS, render, speeds
from fastwavenet.training.report_remarks import duration
from fastwavenet.training.reporters import Page as PageReporter
from fastwavenet.training.reporters import Reporters
from fastwavenet.training.run import RunFolder
from fastwavenet.training.settings import MOST_PREVIEWS, Call, Settings
from fastwavenet.training.sounds import MOST_SETS, ORIGINAL, kept, read_sounds, sounds_of

pytestmark = pytest.mark.usefixtures("one_thread")
MOST_PAGE = 10_000_000  # bytes


def sounds(step, count=1, n=1600, rate=16000, seed=0):
    noise = np.random.default_rng(seed).uniform(-1, 1, (count, 2, n)).astype(np.float32)
    previews = [Preview("a sound", made, n // 4, original) for made, original in noise]
    return sounds_of(step, previews, rate)


# ---- of a real run -----------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def short_previews():
    """Previews of a tenth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastwavenet.training.previews.SECONDS", 0.1)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory, one_thread):
    folder = tmp_path_factory.mktemp("report")
    quick(two_tones(folder / "recordings"), folder / "<run> & co", steps=3, previews=2)
    return folder / "<run> & co"


def test_a_page_is_well_formed_and_has_no_outside_resources(run):
    assert whole_page((run / "report.html").read_text()).figures


def test_a_page_shows_the_name_of_its_folder_as_text(run):
    assert "<run> & co" in read_page(run).text
    assert "<run>" not in (run / "report.html").read_text()


def test_the_numbers_of_a_page_are_those_of_the_log(run):
    page = read_page(run)
    titles = re.findall(r"(training|held out), step (\d+): ([\d.]+)", page.text)
    for name, key in (("training", "train_loss"), ("held out", "validation_loss")):
        found = [(int(step), value) for each, step, value in titles if each == name]
        assert found == [(line["step"], f"{line[key]:.4g}") for line in log(run)]
    table = page.text.partition("learning rate")[2]
    for line in log(run):
        assert f"{line['train_loss']:.3f}{line['validation_loss']:.3f}" in table
    assert f"Held-out loss is {log(run)[-1]['validation_loss']:.3f} nats" in page.text


def test_a_page_has_the_sounds_of_the_first_and_of_the_last_weights_and_the_recording(run):
    found = read_page(run).sounds()
    steps = {step for step, _ in found}
    assert {ORIGINAL, 1, 3} <= steps
    for step in steps - {ORIGINAL}:
        facts, samples = found[step, 0]
        original = found[ORIGINAL, 0][1]
        begins = round(facts["begins"] * 16000)
        assert 0 < begins < len(samples) == round(facts["seconds"] * 16000)
        np.testing.assert_array_equal(samples[:begins], original[:begins])
        assert found[step, 1][0]["title"] == "from silence"


def test_without_previews_a_page_has_curves_only(tmp_path):
    quick(two_tones(tmp_path / "recordings"), tmp_path / "run")
    page = read_page(tmp_path / "run")
    assert page.figures == [] and page.text.count("nats per sample") > 1


def test_an_interrupted_run_shows_the_weights_that_it_leaves(tmp_path, monkeypatch):
    interrupt(monkeypatch, at=3)
    quick(two_tones(tmp_path / "recordings"), tmp_path / "run", steps=100, previews=1)
    page = read_page(tmp_path / "run")
    assert "step 4 after" in page.text and "reload the page" in page.text
    assert (4, 0) in page.sounds()


def test_a_resumed_run_goes_on_with_the_page(tmp_path, monkeypatch):
    source, run = two_tones(tmp_path / "recordings"), tmp_path / "run"
    with monkeypatch.context() as context:
        interrupt(context, at=3)
        quick(source, run, steps=40, previews=1)
    before = read_page(run).sounds()
    quick(source, run, resume=True, previews=1)
    page = read_page(run)
    after = page.sounds()
    assert {step for step, _ in before} < {step for step, _ in after}
    for place, (facts, samples) in before.items():
        assert after[place][0] == facts
        np.testing.assert_array_equal(after[place][1], samples)
    assert all(f"step {line['step']}: " in page.text for line in log(run))
    assert "training has ended" in page.text


@pytest.mark.parametrize("left", [None, b"", b"\xff", b"<p>mine", b"<figure data-sound='{}'>"])
def test_a_run_resumes_without_the_page_and_with_any_other_one(tmp_path, monkeypatch, left):
    source, run = two_tones(tmp_path / "recordings"), tmp_path / "run"
    with monkeypatch.context() as context:
        interrupt(context, at=3)
        quick(source, run, steps=20, previews=1)
    (run / "report.html").unlink()
    if left is not None:
        (run / "report.html").write_bytes(left)
    quick(source, run, resume=True, previews=1)
    assert {20, ORIGINAL} <= {step for step, _ in read_page(run).sounds()}


def test_a_new_run_keeps_no_sounds_of_the_page_of_another_one(tmp_path):
    (tmp_path / "report.html").write_text(render("x", snapshot([rec(1)]), sounds(1)))
    for resumed, expected in ((False, set()), (True, {ORIGINAL, 1})):
        page = (tmp_path / "report.html").read_text()
        PageReporter(tmp_path / "report.html", resumed).report(snapshot([rec(2)]), [])
        assert {step for step, _ in read_page(tmp_path).sounds()} == expected
        (tmp_path / "report.html").write_text(page)


# ---- errors ------------------------------------------------------------------------------------


def test_a_page_that_cannot_be_written_ends_no_run(tmp_path, monkeypatch, capsys):
    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fastwavenet.training.reporters.replace_atomically", fail)
    quick(two_tones(tmp_path / "recordings"), tmp_path / "run", progress=True)
    assert len(log(tmp_path / "run")) == 3
    said = capsys.readouterr().out
    line = "report.html could not be made, and training goes on: [Errno 28] No space left on device"
    assert said.count(line) == 3 and "report: " not in said


def test_a_disk_without_room_for_the_page_ends_no_run(tmp_path, capsys, monkeypatch):
    """Its other files are smaller: a network of 4 kB."""
    monkeypatch.setattr("fastwavenet.training.previews.SECONDS", 2.0)
    tiny = dataclasses.replace(
        SPEC, dilations=(1,), kernel=2, residual=2, dilation_channels=2, skip=2, head=2
    )
    with full_disk(60_000):
        source = record(tmp_path / "a.wav", tone(20_000))
        quick(source, tmp_path / "run", spec=tiny, steps=1, previews=1, progress=True)
    assert "report.html could not be made" in capsys.readouterr().out
    assert {file.name for file in (tmp_path / "run").iterdir()} == {
        "checkpoint.safetensors", "checkpoint.previous.safetensors", "latest.safetensors",
        "log.jsonl", "model.safetensors",
    }  # fmt: skip


def test_an_engine_that_fails_ends_no_run_and_leaves_a_page_without_sounds(
    tmp_path, monkeypatch, capsys
):
    def fail(*_arguments):
        raise MemoryError

    monkeypatch.setattr("fastwavenet.training.previews.Model", fail)
    quick(two_tones(tmp_path / "recordings"), tmp_path / "run", previews=1, progress=True)
    said = capsys.readouterr().out
    assert said.count("previews could not be made, and training goes on: MemoryError") == 3
    assert read_page(tmp_path / "run").figures == []


def test_ctrl_c_in_a_report_is_no_error_of_it(tmp_path, monkeypatch):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Previews, "make", interrupted)
    with (
        Reporters(RunFolder(tmp_path), Console(False), Call()) as reporters,
        pytest.raises(KeyboardInterrupt),
    ):
        reporters.report(snapshot([rec(1)]))


# ---- size --------------------------------------------------------------------------------------


def test_the_page_of_a_long_run_with_the_most_and_longest_sounds_stays_below_10_megabytes(
    tmp_path, monkeypatch
):
    """White noise, which neither FLAC nor PNG makes small."""
    rate, longest = 48000, SAMPLES + 48000
    reporter = PageReporter(tmp_path / "report.html")
    history = [rec(step, wrong_frames=3.0, wrong_speakers=3.0) for step in range(1, 20_001)]
    drawn = sounds(1, MOST_PREVIEWS, longest, rate)
    monkeypatch.setattr(
        "fastwavenet.training.reporters.sounds_of",
        lambda step, _previews, _rate: [
            dataclasses.replace(s, facts=dataclasses.replace(s.facts, step=step))
            if s.facts.step != ORIGINAL else s for s in drawn
        ],
    )  # fmt: skip
    for n in (1, 2, 3, 20_000):
        reporter.report(snapshot(history[:n]), [])
    page = (tmp_path / "report.html").read_bytes()
    assert 4_000_000 < len(page) < MOST_PAGE
    found = {step for step, _ in Page(page.decode()).sounds()}
    assert {ORIGINAL, 20_000} <= found


def test_of_many_validations_the_first_the_last_and_some_between_are_kept():
    found = []
    for step in range(1, 101):
        found = kept([*found, *sounds(step, n=160)])
        steps = sorted({s.facts.step for s in found})
        assert steps[0] == ORIGINAL and steps[-1] == step and steps[1] == 1
        assert len(steps) <= MOST_SETS + 1
    assert len(steps) == MOST_SETS + 1
    ratios = np.diff(np.log(steps[1:-1]))
    assert ratios.max() / ratios.min() < 3  # evenly spaced by the logarithm, about


def test_sounds_are_read_back_from_a_page_as_they_were_written():
    given = [*sounds(5, 2), *sounds(9, 2, seed=1)]
    given = kept(given)
    page = render("x", snapshot([rec(9)]), given)
    key = lambda s: (s.facts.step, s.facts.index)  # noqa: E731
    assert sorted(read_sounds(page), key=key) == sorted(given, key=key)


@pytest.mark.parametrize(
    "old_new",
    [
        ("data:audio/flac;base64,", "http://example.org/"),
        ("data:image/png;base64,", "javascript:"),
        ("base64,iVBO", "base64,&quot;&gt;"),
        ("&quot;step&quot;: 5", "&quot;step&quot;: -5"),
        ("&quot;seconds&quot;: 0.1", "&quot;seconds&quot;: NaN"),
        ("&quot;title&quot;: &quot;a sound&quot;", "&quot;title&quot;: 5"),
    ],
)
def test_a_page_with_a_foreign_sound_gives_none(old_new):
    page = render("x", snapshot([rec(5)]), sounds(5))
    assert len(read_sounds(page)) == 2 and old_new[0] in page
    assert read_sounds(page.replace(*old_new)) == []


# ---- remarks -----------------------------------------------------------------------------------


def text_of(history, made=(), **changes):
    return Page(render("x", snapshot(history, **changes), list(made))).text


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], "Nothing was measured yet"),
        ([rec(1, 5.5)], "Held-out loss is 5.500 nats per sample. Guessing among 256 values costs "
                        "5.545, and less is better: almost nothing is learnt yet"),
        ([rec(1, 4.5)], "gets 2.8 times the probability that guessing gives it."),
        ([rec(1, 4.5)], "A crude linear predictor reaches 3.96"),
        ([rec(i, 3 - i / 10) for i in range(1, 9)],
         "Since step 6 held-out loss fell by 0.200: it is still falling"),
        ([rec(i, 3 - i / 1000) for i in range(1, 9)],
         "Since step 6 held-out loss changed by 0.002 only: more steps at this learning rate"),
        ([rec(i, 3 - i / 1000, learning_rate=0.01 / i) for i in range(1, 9)],
         "changed by 0.002 only, with the learning rate at 0.0013 near its end: a longer run"),
        ([rec(1, 2.5, 2.6), rec(2, 2.0, 2.1), rec(3, 2.2, 1.9)],
         "Since step 2 held-out loss rose by 0.200 while training loss fell by 0.200: the network "
         "learns its recordings by heart."),
        ([rec(1, 2.5, 2.6), rec(2, 2.0, 2.1), rec(3, 2.2, 2.2)],
         "Held-out loss is 0.200 above its lowest, at step 2"),
        ([rec(1, 2.5, wrong_frames=2.51)], "ignores its frames"),
        ([rec(1, 2.5, wrong_frames=2.8)], "With wrong frames the loss is 0.300 higher: the network "
                                          "follows its frames"),
        ([rec(1, 2.5, wrong_speakers=2.4)], "ignores its speakers"),
        ([rec(40)], "Training has passed over 50 % of the audio: a longer run"),
        ([rec(400)], "Training has passed over the audio 5.0 times."),
        ([rec(400)], "50 % of the budget is used; at this pace 1 h 7 min are left."),
        ([rec(1)], "There are 1.0 seconds of audio to train on"),
    ],
)  # fmt: skip
def test_a_remark_has_the_numbers_of_the_run(history, expected):
    assert expected in text_of(history)


@pytest.mark.parametrize(("decay", "advised"), [(None, True), (0.01, True), (0.5, False)])
def test_weight_decay_is_advised_to_those_who_have_little(decay, advised):
    history = [rec(1, 2.5, 2.6), rec(2, 2.0, 2.1), rec(3, 2.2, 1.9)]
    text = text_of(history, settings=Settings(spec=SPEC, weight_decay=decay))
    assert "by heart. More audio helps, or a smaller preset" in text
    assert ("--weight-decay 1" in text) == advised


def test_no_remark_stands_where_its_numbers_are_not():
    text = text_of([rec(1, 2.5)])
    for word in ("Since step", "wrong", "At step", "linear predictor"):
        assert word not in text.partition("Numbers")[0]


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        (np.zeros(16000), "100 % silent"),
        (np.zeros(16000), "it is nearly silent"),
        (np.random.default_rng(1).normal(0, 0.1, 16000), "level −20 dB of full scale, 0 % silent"),
        (np.random.default_rng(1).normal(0, 0.1, 16000), "it is mostly hiss"),
        (tone(), "spectral flatness 0.000 (the recording: level −9 dB of full scale"),
    ],
)
def test_a_remark_has_the_measures_of_a_preview(audio, expected):
    preview = Preview("a sound", np.asarray(audio, np.float32), 0, tone())
    text = text_of([rec(7)], sounds_of(7, [preview], 16000))
    assert expected in text and "At step 7, a sound: level" in text


def test_a_tone_is_neither_silence_nor_hiss():
    text = text_of([rec(7)], sounds_of(7, [Preview("a sound", tone(), 0, None)], 16000))
    assert "silent, as" not in text and "hiss" not in text


@pytest.mark.parametrize("n", [1, 2, 15, 16, 319, 320])
def test_a_sound_of_few_samples_has_a_figure(n):
    made = sounds_of(3, [Preview("short", tone(400)[-n:], 0, None)], 16000)
    (facts, samples) = Page(render("x", snapshot([rec(3)]), made)).sounds()[3, 0]
    assert len(samples) == n and facts["silent"] in (None, 0.0, 1.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.32, "0.3 s"), (9.9, "9.9 s"), (59, "59 s"), (60, "1 min"), (3570, "1 h 0 min"),
     (90_000, "25 h 0 min")],
)  # fmt: skip
def test_a_duration_is_put_into_words(seconds, words):
    assert duration(seconds) == words


# ---- curves ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 60, 61, 400, 401, 5000])
def test_a_chart_of_any_number_of_points_is_drawn_within_its_frame(count):
    points = [(i, 5 * math.exp(-i / 100)) for i in range(count)]
    page = Page(chart("Loss", [Curve("a & b", points)], "nats"))
    (line,) = (attributes for tag, attributes in page.tags if tag == "polyline")
    places = np.array([pair.split(",") for pair in line["points"].split()], float)
    assert len(places) == min(count, 400)
    assert (places >= 0).all() and (places <= (480, 270)).all()
    assert len([tag for tag, _ in page.tags if tag == "circle"]) == (count if count <= 60 else 0)


def test_a_level_is_marked_if_it_is_among_the_curves():
    curve = [Curve("a", [(1, 5.6), (2, 3.0)])]
    assert "guessing" in chart("Loss", curve, "", (5.545, "guessing"))
    assert "guessing" not in chart("Loss", curve, "", (8.0, "guessing"))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (2.21, 5.4), (-3, 3), (1e-6, 2e-6), (0, 9e6)])
def test_ticks_are_round_and_within_the_axis(low, high):
    ticks = Axis(low, high, 0, 100).ticks()
    assert 3 <= len(ticks) <= 6
    assert low - 1e-9 <= min(ticks) and max(ticks) <= high * (1 + 1e-9)
    assert all(len(short(tick)) <= 7 for tick in ticks)


@pytest.mark.parametrize(("least", "step"), [(1, 1), (1.1, 2), (2.1, 5), (5.1, 10), (0.02, 0.02)])
def test_a_step_of_ticks_is_1_2_or_5_times_a_power_of_ten(least, step):
    assert round_step(least) == pytest.approx(step)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 100])
def test_thinning_keeps_the_first_and_the_last(n):
    left = thinned(range(n), 4)
    assert len(left) == min(n, 4) and left == sorted(set(left))
    assert n == 0 or (left[0], left[-1]) == (0, n - 1)


def test_speeds_are_steps_over_the_seconds_between_two_records():
    history = [rec(2) | {"seconds": 1.0}, rec(8) | {"seconds": 4.0}, rec(9) | {"seconds": 4.0}]
    assert speeds(history) == [(2, 2.0), (8, 2.0)]


def test_a_table_of_many_reports_has_some_of_them():
    history = [rec(step) for step in range(1, 1001)]
    page = Page(render("x", snapshot(history), []))
    assert len([tag for tag, _ in page.tags if tag == "tr"]) == MOST_ROWS + 1
    assert "940 of the reports are left out here; log.jsonl has all." in page.text
