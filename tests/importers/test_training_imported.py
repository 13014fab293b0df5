"""Imported networks are trained on like any other."""

import kan_bayashi_files
import numpy as np
import pytest
import r9y9_files
from recordings import noise, record
from runs import quick
from wavenet_coding_files import CONFIG, random_tensors, write

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.ends import Start
from fastwavenet.importers.call import imported

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("conditioned", [False, True])
@pytest.mark.parametrize("window", [60, 2000])
def test_the_held_out_loss_of_a_fine_tuned_network_is_the_engines_score(
    tmp_path, conditioned, window
):
    """Its start code is fed, so the loss has the first sample too."""
    config = CONFIG | {"use_conditioning": conditioned}
    network = imported(write(tmp_path / "theirs", config, random_tensors(config)))
    modelfile.save(tmp_path / "imported.safetensors", network.spec, network.weights)
    rng, length = np.random.default_rng(1), 700
    (tmp_path / "rows").mkdir()
    for name in "ab":
        record(tmp_path / f"{name}.wav", noise(length, amplitude=0.3), rate=16000)
        np.save(tmp_path / f"rows/{name}.npy", rng.standard_normal((length, 3), np.float32))
    summary = quick(
        tmp_path / "a.wav",
        tmp_path / "run",
        spec=None,
        from_=tmp_path / "imported.safetensors",
        validation=tmp_path / "b.wav",
        window=window,
        **({"frames": tmp_path / "rows"} if conditioned else {}),
    )
    tuned = fw.load(summary.model, "float32")
    assert tuned.spec.start.fed
    audio, _ = fw.read_audio(tmp_path / "b.wav")
    frames = np.load(tmp_path / "rows/b.npy") if conditioned else None
    nats = fw.score(tuned, audio, frames=frames)
    assert len(nats) == length
    assert summary.validation_loss == pytest.approx(nats.mean(), abs=1e-4)


KAN_BAYASHI = {
    "as_zip": True, "final": True, "n_quantize": 256, "n_aux": 2, "n_resch": 4, "n_skipch": 4,
    "dilation_depth": 3, "dilation_repeat": 1, "kernel_size": 2, "upsampling_factor": 6,
    "use_upsampling_layer": True, "feature_type": "world", "stats": "<f4",
}  # fmt: skip
R9Y9 = {
    "head": True, "as_zip": True, "form": "weight_norm", "quantize_channels": 256, "layers": 4,
    "stacks": 2, "residual_channels": 4, "gate_channels": 4, "skip_out_channels": 4,
    "kernel_size": 2, "cin_channels": 2, "cin_pad": 1, "upsample_conditional_features": True,
    "upsample_scales": [2, 3], "freq_axis_kernel_size": 1, "upsample_activation": "none",
    "gin_channels": -1, "n_speakers": 3,
}  # fmt: skip


@pytest.mark.parametrize("window", [60, 2000])
@pytest.mark.parametrize(
    ("files", "options", "code"),
    [(kan_bayashi_files, KAN_BAYASHI, 128), (r9y9_files, R9Y9, 127)],
    ids=["kan-bayashi", "r9y9"],
)
def test_the_held_out_loss_of_a_fine_tuned_vocoder_is_the_engines_score(
    tmp_path, files, options, code, window
):
    """A start code that was fed several times is fed once, as in training.

    Windows at the ends of a recording see the zeros with which stages are padded.
    """
    network = imported(files.write(tmp_path / "theirs", options, files.random_tensors(options)))
    modelfile.save(tmp_path / "imported.safetensors", network.spec, network.weights)
    (tmp_path / "rows").mkdir()
    rows = np.random.default_rng(1).standard_normal((100, 2), np.float32)
    for name in "ab":
        record(tmp_path / f"{name}.wav", noise(600, amplitude=0.3), rate=network.spec.sample_rate)
        np.save(tmp_path / f"rows/{name}.npy", rows)
    summary = quick(
        tmp_path / "a.wav",
        tmp_path / "run",
        spec=None,
        from_=tmp_path / "imported.safetensors",
        validation=tmp_path / "b.wav",
        window=window,
        frames=tmp_path / "rows",
    )
    tuned = fw.load(summary.model, "float32")
    assert tuned.spec.start == Start(code, fed=True)
    audio, _ = fw.read_audio(tmp_path / "b.wav")
    nats = fw.score(tuned, audio, frames=rows)
    assert len(nats) == 600
    assert summary.validation_loss == pytest.approx(nats.mean(), abs=1e-4)
