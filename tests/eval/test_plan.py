"""What an evaluation is to play, read from text."""

import json

import pytest
from makespan.envs.core.errors import FieldError, UnknownNameError, UserError
from makespan.envs.job_shop.generator import named_instance
from makespan.eval.plan import Request, instance_name, make_plan, parse_environment

SHOP = "makespan/JobShop-v0"


def plan(env=SHOP, agents="mwkr", **options):
    return make_plan(Request(env, agents, **options))


def names(made):
    return [instance_name(case.instance) for case in made.cases]


def test_an_id_with_options():
    assert parse_environment(f"{SHOP}:law=bernoulli:p=0.01:allow-wait=false") == (
        SHOP,
        {"law": "bernoulli", "p": 0.01, "allow_wait": False},
    )


@pytest.mark.parametrize(
    "text, kind, message",
    [
        ("JobShop-v0", UnknownNameError, "did you mean 'makespan/JobShop-v0'"),
        ("makespan/JobShip-v0", UnknownNameError, "did you mean 'makespan/JobShop-v0'"),
        ("", UnknownNameError, "unknown environment ''"),
        (f"{SHOP}:p", UserError, "'p' is not of the form key=value"),
        (f"{SHOP}:p=1:p=2", UserError, "given twice"),
        (f"{SHOP}:lwa=none", UnknownNameError, "did you mean 'law'"),
        (f"{SHOP}:law=sometimes", FieldError, "option law is 'sometimes'"),
        (f"{SHOP}:p=2", FieldError, "option p is 2"),
        ("test/ThreeJobs-v0:strech=2", UnknownNameError, "did you mean 'stretch'"),
        ("test/ThreeJobs-v0:stretch=0", UserError, "stretch is 0, expected at least 1"),
        ("CartPole-v1", UserError, "run 'makespan check CartPole-v1'"),
    ],
)
def test_environments_that_are_not(text, kind, message):
    with pytest.raises(kind) as caught:
        plan(text)
    assert message in str(caught.value)


def test_instances_by_seeds():
    made = plan(instances="la01-la03,ft06", seeds="0,5-6")
    assert names(made) == [name for name in ("la01", "la02", "la03", "ft06") for _ in range(3)]
    assert [case.seed for case in made.cases] == [0, 5, 6] * 4
    assert made.variants[0].arena_options["instance"] == list(made.instances or ())
    assert made.variants[0].options == {}


def test_random_sets_and_files(tmp_path):
    named_instance("ft06").save(tmp_path / "mine.json")
    (tmp_path / "other.txt").write_text("1 1\n0 5\n")
    made = plan(instances=f"random:size=3x2:count=2:seed=7,{tmp_path}/*.json,{tmp_path}/other.txt")
    assert names(made) == ["random-3x2-s7", "random-3x2-s8", "ft06", "other"]


@pytest.mark.parametrize("instances", [None, "random:size=3x2", "random:size=3x2,random:size=2x2"])
def test_families_leave_the_instance_to_the_seed(instances):
    made = plan(instances=instances, seeds="0-3")
    assert [case.instance for case in made.cases] == [None] * 4
    assert made.variants[0].arena_options == ({} if instances is None else {"instance": instances})


def test_plain_environments_have_names_and_ranges():
    made = plan("test/ThreeJobs-v0", "random", instances="short1-short2,long1")
    assert names(made) == ["short1", "short2", "long1"]
    assert made.variants[0].arena_options == {}


@pytest.mark.parametrize(
    "env, instances, message",
    [
        (SHOP, "la91", "did you mean"),
        (SHOP, "la01,,la02", "empty item"),
        (SHOP, "la05-la01", "runs backwards"),
        (SHOP, "la01-la03,la02", "hold 'la02' twice"),
        (SHOP, "random:size=3x2:count=0", "option count is 0"),
        (SHOP, "random:size=3y2:count=1", "option size is '3y2'"),
        (SHOP, "/nowhere/*.json", "matches no file"),
        (SHOP, "/nowhere/x.json", "no such file"),
        ("test/ThreeJobs-v0", "shirt-1", "did you mean 'short1'"),
        ("test/ThreeJobs-v0", "random:size=3", "has no random families"),
    ],
)
def test_instances_that_are_not(env, instances, message):
    with pytest.raises(UserError) as caught:
        plan(env, "random", instances=instances)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"seeds": "a"}, "'a' is neither"),
        ({"seeds": "3-1"}, "runs backwards"),
        ({"seeds": "1,1"}, "a seed twice"),
        ({"seeds": ""}, "option seeds: list '' has an empty item"),
        ({"agents": ""}, "option agents: list '' has an empty item"),
        ({"agents": "spt,"}, "option agents: list 'spt,' has an empty item"),
        ({"instances": "la01,,la02"}, "option instances: list 'la01,,la02' has an empty item"),
        ({"sweep": ("p=",)}, "option sweep: list '' has an empty item"),
        ({"env": f"{SHOP}:instance=la01", "instances": "la02"}, "instances are given twice: 'la02'"),
        ({"sweep": ("instance=la01,la02",), "instances": "la03"}, "instances are given twice: 'la03'"),
        ({"env": f"{SHOP}:p=0:p=1"}, f"environment '{SHOP}:p=0:p=1': option 'p' is given twice"),
        ({"seeds": "-1"}, "'-1' is neither"),
        ({"batch": 0}, "option batch is 0"),
        ({"agent_seed": -1}, "option agent-seed is -1"),
        ({"agents": "mwkr,mwkr"}, "name 'mwkr' twice"),
        ({"agents": "MWKR"}, "not of the form"),
        ({"reference": "spt"}, "unknown reference"),
        ({"sweep": ("p",)}, "option sweep is 'p'"),
        ({"sweep": ("p=0,0",)}, "a value twice"),
        ({"sweep": ("p=0", "p=1")}, "given already"),
        ({"sweep": ("pp=0",)}, "did you mean 'p'"),
        ({"sweep": ("law=none,often",)}, "option law is 'often'"),
    ],
)
def test_options_that_are_not(options, message):
    with pytest.raises(UserError) as caught:
        plan(**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sweeps_are_multiplied_out():
    made = plan(f"{SHOP}:law=bernoulli", sweep=("p=0,0.005", "blocking=swap,none"))
    assert [variant.options for variant in made.variants] == [
        {"law": "bernoulli", "p": p, "blocking": blocking} for p in (0, 0.005) for blocking in ("swap", "none")
    ]
    assert str(made.variants[1]) == f"{SHOP}:law=bernoulli:p=0:blocking=none"


@pytest.mark.parametrize(
    "agents, given, expected",
    [
        ("mwkr,best-rule", None, "best-rule"),
        ("random,checkpoints/x,spt,mwkr", None, "spt"),
        ("checkpoints/x,random", None, "checkpoints/x"),
        ("best-rule:hindsight=1,random:samples=4,spt", None, "spt"),
        ("mwkr,spt", "spt", "spt"),
        ("cp-sat:time=1,rollout,spt,mwkr", None, "spt"),
        ("rollout,cp-sat:time=1", None, "rollout"),
    ],
)
def test_the_reference(agents, given, expected):
    made = plan(agents=agents, reference=given)
    assert (made.reference, made.reference_given) == (expected, given is not None)


def test_the_fingerprint_sees_what_names_hide(tmp_path):
    path = tmp_path / "mine.json"
    named_instance("ft06").save(path)
    before = plan(instances=str(path)).fingerprint
    data = json.loads(path.read_text())
    data["jobs"][0]["times"][0] += 1
    path.write_text(json.dumps(data))
    assert plan(instances=str(path)).fingerprint != before

    weights = tmp_path / "net" / "weights.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"1")
    before = plan(agents=f"{tmp_path}/net:samples=2").fingerprint
    weights.write_bytes(b"2")
    assert plan(agents=f"{tmp_path}/net:samples=2").fingerprint != before


def test_the_fingerprint_sees_scorers_that_go_on_in_rollouts(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "weights.safetensors").write_bytes(b"one")
    before = [plan(agents=f"rollout:of={of}").fingerprint for of in (f"{tmp_path}/s", f"lrm+{tmp_path}/s:worlds=2")]
    assert before[0] == before[1] != plan(agents="rollout:of=lrm").fingerprint
    (tmp_path / "s" / "weights.safetensors").write_bytes(b"two")
    assert plan(agents=f"rollout:of={tmp_path}/s").fingerprint != before[0]
    assert plan(agents=f"rollout:of=lrm+{tmp_path}/s:worlds=2").fingerprint != before[0]


def weights_of(folder, content):
    """A folder that is found as a checkpoint's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").write_text("{}")
    (folder / "weights.safetensors").write_bytes(content)


@pytest.mark.parametrize(
    "agent",
    ["{}", "{}/best", "reconsider:of=lrm:plan={}/best", "hybrid:of=spt+{}@samples=4", "gumbel:of={}", "a:b=x+{}@c=2"],
)
def test_the_fingerprint_sees_what_is_played_however_it_is_named(tmp_path, monkeypatch, agent):
    monkeypatch.chdir(tmp_path)
    weights_of(tmp_path / "runs/x/best", b"one")
    agent = agent.format("runs/x")
    before = plan(agents=agent).fingerprint
    assert before != plan().fingerprint
    # Training on leaves the best as it is.
    weights_of(tmp_path / "runs/x/last", b"two")
    (tmp_path / "runs/x/state.safetensors").write_bytes(b"two")
    assert plan(agents=agent).fingerprint == before
    weights_of(tmp_path / "runs/x/best", b"two")
    assert plan(agents=agent).fingerprint != before


def test_a_checkpoints_path_may_hold_what_parts_names(tmp_path):
    weights_of(tmp_path / "a+b@c=1/best", b"one")
    before = plan(agents=f"{tmp_path}/a+b@c=1").fingerprint
    weights_of(tmp_path / "a+b@c=1/best", b"two")
    assert plan(agents=f"{tmp_path}/a+b@c=1").fingerprint != before


def test_the_fingerprint_sees_the_network_of_a_card(tmp_path):
    weights_of(tmp_path / "x", b"one")
    card = {"format": "makespan/checkpoint", "version": 1, "network": {"kind": "tree", "lead": 1}, "notes": "a"}
    found = []
    for change in ({}, {"notes": "b"}, {"network": {"kind": "tree", "lead": 2}}):
        (tmp_path / "x/card.json").write_text(json.dumps({**card, **change}))
        found.append(plan(agents=f"{tmp_path}/x").fingerprint)
    assert found[0] == found[1] != found[2]


def test_the_fingerprint_sees_checkpoints_that_ship(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = plan(agents="checkpoints/job_shop_scorer").fingerprint
    assert shipped != plan().fingerprint
    assert shipped != plan(agents="checkpoints/soc_tree").fingerprint


def test_a_request_is_its_command():
    request = Request(
        SHOP, "mwkr,spt", "./my files/*.json", sweep=("p=0,1", "law=none,bernoulli"), batch=8, agent_seed=3
    )
    assert request.command("results/x") == (
        f"makespan evaluate {SHOP} --agents mwkr,spt --instances './my files/*.json' --sweep p=0,1 "
        "--sweep law=none,bernoulli --batch 8 --agent-seed 3 --out results/x"
    )


def test_every_instance_may_have_seeds_of_its_own():
    plan = make_plan(Request("makespan/JobShop-v0", "spt", instances="ft06,la01", seeds="each:2:first=7"))
    assert [(case.instance.name, case.seed) for case in plan.cases] == [
        ("ft06", 7),
        ("ft06", 8),
        ("la01", 9),
        ("la01", 10),
    ]
    assert plan.seeds == (7, 8, 9, 10)
