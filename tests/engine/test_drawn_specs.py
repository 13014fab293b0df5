"""The networks that the adversary draws differ in all that a spec admits."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

from drawn_specs import specs
from hypothesis import Phase, given, settings

import fastwavenet as fw
from fastwavenet import ends
from fastwavenet.spec import WaveNetSpec


def fields(end: object) -> Iterator[tuple[str, object]]:
    """(class.field, value) of an end and of the ends within it; a Mel is one value."""
    for field in dataclasses.fields(end):
        value = getattr(end, field.name)
        yield f"{type(end).__name__}.{field.name}", value
        for each in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(each) and not isinstance(each, fw.Mel):
                yield from fields(each)


def test_every_field_of_a_spec_is_drawn():
    """A new end or field needs a choice in drawn_specs.py."""
    drawn = defaultdict(set)

    @settings(max_examples=500, derandomize=True, database=None, phases=[Phase.generate])
    @given(specs())
    def draw(spec: WaveNetSpec) -> None:
        for name, value in fields(spec):
            drawn[name].add(value)

    draw()
    constant = {name for name, values in drawn.items() if len(values) == 1}
    assert constant == {"WaveNetSpec.output"}
    found = {name.partition(".")[0] for name in drawn}
    assert found == {"WaveNetSpec", *ends.__all__} - {"SoftmaxOutput"}  # which has no fields
