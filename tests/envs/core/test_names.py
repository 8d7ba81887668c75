"""The grammar of names, ranges and seeds."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.envs.core.errors import UnknownNameError, UserError
from makespan.envs.core.names import (
    Name,
    check_options,
    expand_range,
    parse_name,
    parse_seeds,
    parse_value,
    seeds_for_each,
    split_list,
)

KNOWN = [*(f"la{number:02d}" for number in range(1, 41)), *(f"yn{number}" for number in range(1, 5)), "x-1", "a1-a3"]

bases = st.from_regex(r"[a-z0-9._-]{1,12}", fullmatch=True)
keys = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
words = st.from_regex(r"[a-z+x/][a-z0-9+x/.=-]{0,8}", fullmatch=True)
values = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), words)


@settings(deadline=None)
@given(bases, st.dictionaries(keys, values, max_size=4))
def test_a_name_is_what_it_prints(base, options):
    options = {key: parse_value(value) if isinstance(value, str) else value for key, value in options.items()}
    name = Name(base, options)
    again = parse_name(str(name))
    assert again == name
    assert [type(value) for value in again.options.values()] == [type(value) for value in options.values()]


@pytest.mark.parametrize(
    "text, base, options, is_path",
    [
        ("fdd-mwkr", "fdd-mwkr", {}, False),
        (" mwkr ", "mwkr", {}, False),
        ("random:samples=64", "random", {"samples": 64}, False),
        ("checkpoints/job_shop:beam=8", "checkpoints/job_shop", {"beam": 8}, True),
        ("makespan/JobShop-v0:law=bernoulli:p=0.005", "makespan/JobShop-v0", {"law": "bernoulli", "p": 0.005}, True),
        ("random:size=15x15:count=100:seed=7", "random", {"size": "15x15", "count": 100, "seed": 7}, False),
        ("hybrid:of=xla-like+checkpoints/mm", "hybrid", {"of": "xla-like+checkpoints/mm"}, False),
        ("x:allow-wait=false:a=b=c", "x", {"allow_wait": False, "a": "b=c"}, False),
        ("Some Folder/*.json", "Some Folder/*.json", {}, True),
    ],
)
def test_names(text, base, options, is_path):
    name = parse_name(text)
    assert (name.base, dict(name.options), name.is_path) == (base, options, is_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ":a=1",
        "FT06",
        "a b",
        "a:b",
        "a:b=",
        "a:=1",
        "a:B=1",
        "a:1b=1",
        "a:b=1:b=2",
        "a:b-c=1:b_c=2",
        "ä",
        "a\nb",
    ],
)
def test_malformed_names(text):
    with pytest.raises(UserError, match="agent"):
        parse_name(text, "agent")


@pytest.mark.parametrize(
    "text, value",
    [
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("7", 7),
        ("-7", -7),
        ("007", 7),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("6x6", "6x6"),
        # Not numbers to whoever types them, though Python's converters take them.
        ("nan", "nan"),
        ("inf", "inf"),
        ("-Infinity", "-Infinity"),
        ("1e400", "1e400"),
        ("1_000", "1_000"),
        ("١٢", "١٢"),
        ("9" * 5000, "9" * 5000),
        ("e5", "e5"),
        (".", "."),
    ],
)
def test_values(text, value):
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_lists():
    assert split_list("a, b ,c") == ["a", "b", "c"]
    for text in ("", "a,,b", "a,", ","):
        with pytest.raises(UserError, match="empty item"):
            split_list(text)


@pytest.mark.parametrize(
    "text, names",
    [
        ("la01", ["la01"]),
        ("la01-la03", ["la01", "la02", "la03"]),
        ("la01-03", ["la01", "la02", "la03"]),
        ("la09-la11", ["la09", "la10", "la11"]),
        ("la40-la40", ["la40"]),
        ("la01-la40", KNOWN[:40]),
        ("yn1-yn4", ["yn1", "yn2", "yn3", "yn4"]),
        ("x-1", ["x-1"]),
        ("a1-a3", ["a1-a3"]),
    ],
)
def test_ranges(text, names):
    assert expand_range(text, KNOWN) == names


@pytest.mark.parametrize(
    "text, message",
    [
        ("la3", "unknown instance 'la3'"),
        ("la41", "unknown instance 'la41'"),
        ("la39-la41", "unknown instance 'la41'"),
        ("la1-la3", "unknown instance 'la1'"),
        ("la03-la01", "runs backwards"),
        ("la01-yn3", "unknown instance 'la01-yn3'"),
        ("la01-la99999999999999", "unknown instance 'la41'"),
        ("la" + "0" * 5000 + "1-la02", "unknown instance"),
        ("la01-la" + "9" * 5000, "unknown instance"),
        ("la٠١-la٠٣", "unknown instance"),
        ("la01-", "unknown instance"),
        ("-la01", "unknown instance"),
    ],
)
def test_malformed_ranges(text, message):
    with pytest.raises(UserError, match=message):
        expand_range(text, KNOWN)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_a_range_is_what_lies_between(first, last):
    text = f"la{first:02d}-la{last:02d}"
    if first <= last:
        assert expand_range(text, KNOWN) == [name for name in KNOWN if f"la{first:02d}" <= name <= f"la{last:02d}"]
    else:
        with pytest.raises(UserError):
            expand_range(text, KNOWN)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text):
    for read in (parse_name, parse_seeds, split_list, lambda given: expand_range(given, KNOWN)):
        with contextlib.suppress(UserError):
            read(text)


@pytest.mark.parametrize(
    "text, seeds",
    [
        ("0", [0]),
        ("0,7,9", [0, 7, 9]),
        ("0-3", [0, 1, 2, 3]),
        ("9,0-2,5", [9, 0, 1, 2, 5]),
        (str(2**62 - 1), [2**62 - 1]),
        ("4-4", [4]),
    ],
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    ["", "a", "-1", "1.5", "3-1", "0-", "1,1", "0-5,3", "0,,1", str(2**62), "0-1000000", "9" * 5000, "٣", "1_0", "0x1"],
)
def test_malformed_seeds(text):
    with pytest.raises(UserError):
        parse_seeds(text)


def test_check_options():
    check_options(parse_name("a:size=1"), "instance", ["size"])
    with pytest.raises(UnknownNameError, match="'sizes'; did you mean 'size'"):
        check_options(parse_name("a:sizes=1"), "instance", ["size"])


def test_every_instance_may_have_seeds_of_its_own():
    assert seeds_for_each("each:2", 3) == [[0, 1], [2, 3], [4, 5]]
    assert seeds_for_each("each:2:first=7", 2) == [[7, 8], [9, 10]]
    assert seeds_for_each("0,7", 2) == [[0, 7], [0, 7]]


@pytest.mark.parametrize(
    "text", ["each:", "each:0", "each:2:first=", "each:2000000", "each:1:first=9999999999999999999"]
)
def test_malformed_seeds_for_each(text):
    with pytest.raises(UserError, match="seeds"):
        seeds_for_each(text, 2)
