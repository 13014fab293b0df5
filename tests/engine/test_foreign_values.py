"""Whatever a message quotes, it is one short printable line."""

import numpy as np
import pytest
from networks import small_spec

import fastwavenet as fw
from fastwavenet import modelfile
from fastwavenet.instruction_sets import isa
from fastwavenet.precision import resolve_precision

VALUES = {
    "lines and colours": "two\nlines\x1b[31m" * 50,
    "6,000 digits": 10**6000,
    "a long list": [["\n\x1b"] * 99] * 99,
    "no UTF-8": "caf\udce9\u202e",
    "an array": np.zeros(3),
    "a dictionary": {"\n": 1},
}
QUOTED_BY = {
    **{
        f"a spec's {name}": lambda value, name=name: small_spec(**{name: value})
        for name in ("sample_rate", "residual", "dilations", "kernel", "bias", "input", "codec")
    },
    "one of a spec's dilations": lambda value: small_spec(dilations=(1, value)),
    "weight_bytes": lambda value: small_spec().weight_bytes(value),
    "precision": lambda value: resolve_precision(value, {}),
    "isa": isa,
    "levels": lambda value: fw.mu_law_encode(np.zeros(3), value),
    "a loss": lambda value: modelfile.check_precision_cost({"int8": value}),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("quote", QUOTED_BY.values(), ids=QUOTED_BY)
def test_a_value_in_a_message_is_short_and_printable(quote, value):
    with pytest.raises(ValueError) as caught:
        quote(value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["two\nlines\x1b[31m", "x" * 10_000, "caf\udce9"])
def test_a_name_in_a_message_is_short_and_printable(name):
    spec = small_spec()
    for quote in (
        lambda: fw.WaveNetSpec.from_dict(spec.to_dict() | {name: 1}),
        lambda: modelfile.check_weights(spec, {name: np.zeros(1, np.float32)}),
        lambda: modelfile.check_precision_cost({name: 1.0}),
    ):
        with pytest.raises(ValueError) as caught:
            quote()
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300
