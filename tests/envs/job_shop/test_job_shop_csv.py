"""Instances from a table: what is read, and what is refused in one line that names row, column, value, expectation."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makespan.cli.main import main
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.formats import parse_text
from makespan.envs.job_shop.generator import resolve
from makespan.envs.job_shop.instance import JobShopInstance

SHOP = """job,operation,machine,time
pump,10,lathe,3
pump,20,"drill, small",2
valve,20,lathe,4
valve,10,"drill, small",2
"""


def load(tmp_path, text, name="shop.csv", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return JobShopInstance.load(path, **options)


def routes(instance):
    rows = zip(instance.machines.tolist(), instance.times.tolist(), instance.lengths.tolist(), strict=True)
    return [list(zip(machines[:n], times[:n], strict=True)) for machines, times, n in rows]


def test_a_table(tmp_path):
    instance = load(tmp_path, SHOP)
    assert instance.name == "shop"
    assert instance.num_machines == 2
    assert routes(instance) == [[(1, 3), (0, 2)], [(0, 2), (1, 4)]]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + SHOP,
        SHOP.replace("\n", "\r\n"),
        SHOP.replace("\n", "\n\n").replace("valve", "  valve "),
        SHOP.replace("job,operation", "Job, OPERATION") + ",,,\n",
        "machine,job,time\nlathe,pump,3\n'drill,valve,2\n'drill,pump,2\nlathe,valve,4".replace("'drill", "drill"),
    ],
)
def test_other_ways_to_write_it(tmp_path, text):
    assert load(tmp_path, text, "SHOP.CSV").same_as(load(tmp_path, SHOP))


def test_names_are_numbered_in_their_order(tmp_path):
    instance = load(tmp_path, "job,machine,time\nj10,M10,1\nj9,M2,2\nj9,M10,3\n")
    assert routes(instance) == [[(0, 2), (1, 3)], [(1, 1)]]
    numbered = load(
        tmp_path, "job,machine,time\n" + "".join(f"0,{m},{m + 1}\n" for m in (11, 3, *range(3), *range(4, 11)))
    )
    assert routes(numbered)[0][:3] == [(11, 12), (3, 4), (0, 1)]
    assert numbered.num_machines == 12


def test_a_table_can_be_played(tmp_path, capsys):
    load(tmp_path, SHOP)
    assert [instance.name for instance in resolve(str(tmp_path / "*.csv"))] == ["shop"]
    given = ["makespan/JobShop-v0:blocking=swap", "--agents", "mwkr", "--instances", str(tmp_path / "shop.csv")]
    assert main(["evaluate", *given, "--seeds", "0"]) == 0
    assert "mwkr" in capsys.readouterr().out


def test_the_tutorial_shows_what_comes_out(tmp_path, capsys, monkeypatch):
    text = (Path(__file__).parents[3] / "docs" / "tutorials" / "csv_to_schedule.md").read_text(encoding="utf-8")
    load(tmp_path, text.partition("```text\n")[2].partition("```")[0])
    monkeypatch.chdir(tmp_path)
    commands = [line.split("#")[0].split()[1:] for line in text.splitlines() if line.startswith("makespan ")]
    evaluate, *shows = [command for command in commands if "results/shop" in command]
    assert main(evaluate) == 0
    for agent, makespan in re.findall(r"^\| `(\S+)`.* \| ([0-9]+) \|$", text, re.MULTILINE):
        rows = json.loads(Path("results/shop/results.json").read_text())
        assert [row["objective"] for row in rows if row["agent"] == agent] == [int(makespan)]
    capsys.readouterr()
    for command in shows:
        assert main(command) == 0
    assert capsys.readouterr().out in text
    assert {path.name for path in tmp_path.iterdir()} == {
        "shop.csv",
        "results",
        "gantt.png",
        "schedule.json",
        "trace.json",
    }
    damaged = Path("shop.csv").read_text().replace("gear,20,mill,3", "gear,20,mill,3.5")
    Path("shop.csv").write_text(damaged)
    with pytest.raises(UserError) as caught:
        resolve("./shop.csv")
    assert f"\n{caught.value}\n" in text


def test_revisits_are_a_choice(tmp_path):
    text = "job,machine,time\na,x,1\na,y,1\na,x,2\n"
    with pytest.raises(UserError, match=re.escape("shop.csv: jobs[0].machines[2] is 0, expected a machine that")):
        load(tmp_path, text)
    assert routes(load(tmp_path, text, recirculation=True)) == [[(0, 1), (1, 1), (0, 2)]]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the header is '', expected a column 'job'"),
        ("\n \n", "the header is '', expected a column 'job'"),
        ("job,time\na,3\n", "the header is 'job,time', expected a column 'machine'"),
        ("job;machine;time\na;b;3\n", "column 1 of the header is 'job;machine;time', expected one of job, machine"),
        (
            "job,machine,time,due\na,b,3,4\n",
            "column 4 of the header is 'due', expected one of job, machine, time, operation",
        ),
        ("job,machine,time,operaton\na,b,3,4\n", "column 4 of the header is 'operaton'"),
        ("job,machine,job,time\n", "column 3 of the header is 'job', expected one of"),
        ("pump,lathe,3\n", "column 1 of the header is 'pump'"),
        ("job,machine,time\n", "no row below the header, expected one per operation"),
        ("job,machine,time\na,b\n", "row 2 is 'a,b', expected 3 cells, as the header has"),
        ("job,machine,time\na,b,1\n\na,c,1,\n", "row 4 is 'a,c,1,', expected 3 cells"),
        ("job,machine,time\na,b,2.5\n", "row 2, column 'time' is '2.5', expected an integer from 0 to 1000000000"),
        ("job,machine,time\na,b,-1\n", "row 2, column 'time' is '-1', expected an integer from 0 to"),
        ("job,machine,time\na,b,\n", "row 2, column 'time' is '', expected an integer from 0 to"),
        ("job,machine,time\na,b,1000000001\n", "row 2, column 'time' is '1000000001', expected"),
        (f"job,machine,time\na,b,{'9' * 5000}\n", "row 2, column 'time' is '9999"),
        ("job,machine,time\na,b,٣\n", "row 2, column 'time' is '٣'"),
        ("job,machine,time\na,b,1\n,b,1\n", "row 3, column 'job' is '', expected a name of 1 to 120 printable"),
        ("job,machine,time\na,,1\n", "row 2, column 'machine' is '', expected a name"),
        (f"job,machine,time\na,{'m' * 121},1\n", "row 2, column 'machine' is 'mmm"),
        ('job,machine,time\na,"b\nc",1\n', "row 2, column 'machine' is 'b\\nc', expected a name"),
        ("job,machine,time\na,\x00,1\n", "row 2"),
        ('job,machine,time\na,"b,1\n', "row 2 is not CSV: unexpected end of data"),
        (f"job,machine,time\na,{'m' * 200_000},1\n", "row 2 is not CSV: field larger than field limit"),
        ("job,machine,time,operation\na,b,1,x\n", "row 2, column 'operation' is 'x', expected an integer from 0"),
        (
            "job,machine,time,operation\na,b,1,5\nz,b,1,5\na,c,1,05\n",
            "row 4, column 'operation' is '05', expected a number that no other row of job 'a' has",
        ),
        (b"job,machine,time\na,\xff,1\n", "is not UTF-8"),
    ],
)
def test_malformed_tables(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "shop.csv"))
    assert "\n" not in str(caught.value)


def test_more_machines_than_allowed(tmp_path):
    text = "job,machine,time\n" + "".join(f"a,{m},1\n" for m in range(10_001))
    with pytest.raises(UserError, match=r"machines\[10000\] is 10000, expected an integer from 0 to 9999"):
        load(tmp_path, text)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
    lambda name: name == name.strip() and name.isprintable()
)


@given(
    table=st.dictionaries(
        names, st.dictionaries(names, st.integers(0, 10**9), min_size=1, max_size=4), min_size=1, max_size=4
    ),
    seed=st.integers(0, 2**32),
)
def test_a_table_round_trips_however_its_rows_are_shuffled(table, seed):
    """Each job's (machine, time) pairs, by name: as given."""
    rows = [
        [job, str(k), machine, str(t)] for job, route in table.items() for k, (machine, t) in enumerate(route.items())
    ]
    random.Random(seed).shuffle(rows)
    file = io.StringIO()
    csv.writer(file).writerows([["job", "operation", "machine", "time"], *rows])
    found = parse_text(file.getvalue(), "x.csv")
    assert found.num_machines == len({machine for route in table.values() for machine in route})
    assert sorted(map(tuple, found.times)) == sorted(tuple(route.values()) for route in table.values())
    machines_of = {tuple(times): machines for times, machines in zip(found.times, found.machines, strict=True)}
    if len(machines_of) == len(table):
        numbers = {}
        for route in table.values():
            for name, number in zip(route, machines_of[tuple(route.values())], strict=True):
                assert numbers.setdefault(name, number) == number
        assert len(set(numbers.values())) == len(numbers)


TOKENS = [
    b"",
    b"-1",
    b"1.5",
    b"9" * 30,
    b"9" * 5000,
    b"NaN",
    b",",
    b";",
    b'"',
    b"\n",
    b"\r",
    b"job",
    b"time",
    b"\xff",
    b"\x00",
]


def damage(rng, content):
    kind = rng.randrange(5)
    at = rng.randrange(len(content))
    if kind == 0:
        return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
    if kind == 1:
        return content[:at]
    if kind == 2:
        return content[:at] + rng.choice(TOKENS) + content[at:]
    lines = content.splitlines(keepends=True)
    if kind == 3:
        del lines[rng.randrange(len(lines))]
        return b"".join(lines)
    cells = lines[a := rng.randrange(len(lines))].split(b",")
    cells[rng.randrange(len(cells))] = rng.choice(TOKENS)
    lines[a] = b",".join(cells)
    return b"".join(lines)


def test_damaged_tables_are_read_or_refused(tmp_path):
    rng = random.Random(7)
    read, messages = 0, []
    for _ in range(3000):
        content = SHOP.encode()
        for _ in range(rng.randint(1, 2)):
            content = damage(rng, content) or b"\n"
        try:
            instance = load(tmp_path, content, recirculation=rng.random() < 0.5)
        except UserError as error:
            messages.append(str(error))
            continue
        assert 1 <= int(instance.lengths.sum()) <= 5
        read += 1
    assert all("shop.csv" in message and "\n" not in message and len(message) < 400 for message in messages)
    assert read > 300
    assert len(messages) > 300
