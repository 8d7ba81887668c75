"""What `makespan envs` says is what the environments are."""

import inspect

import gymnasium
import pytest
from makespan.envs.core.card import EnvCard, OptionCard, class_card
from makespan.envs.core.errors import UserError
from makespan.envs.core.ids import find_env
from makespan.envs.job_shop.card import CARD
from makespan.envs.job_shop.env import JobShopEnv
from makespan.envs.job_shop.env import make_engine as make_job_shop
from makespan.envs.registry import BUILT_IN, CARDS, contract_ids, find_card


class Documented(gymnasium.Env):  # type: ignore[type-arg]
    """One sentence over
    two lines.

    Args:
        size: how large;
            really.
        a, b: both.
    """

    metadata = {"objective": {"name": "cost", "unit": "EUR", "sense": "min"}}

    def __init__(self, size: int, a: float = 0.5, b: str = "x", render_mode: str | None = None) -> None:
        pass


class Undocumented(gymnasium.Env):  # type: ignore[type-arg]
    metadata = {"render_modes": []}


@pytest.fixture(autouse=True)
def _registered():
    for kind in (Documented, Undocumented):
        gymnasium.register(id=f"test/{kind.__name__}-v0", entry_point=kind, kwargs={"b": "y"})
    yield
    for kind in (Documented, Undocumented):
        del gymnasium.registry[f"test/{kind.__name__}-v0"]


def test_the_job_shop_is_what_its_card_says():
    env = JobShopEnv(**{option.name: option.default for option in CARD.options})
    env.reset(seed=0)
    assert env.metadata["objective"] == dict(CARD.objective)
    assert (inspect.getdoc(JobShopEnv) or "").startswith(CARD.description)
    assert all(option.description for option in CARD.options)


def test_the_job_shops_card_has_every_option():
    own = [name for name, one in inspect.signature(make_job_shop).parameters.items() if one.kind is not one.VAR_KEYWORD]
    listed = {option.name for option in CARD.options}
    assert {name for name in own if name not in ("num_copies", "record", "threads")} <= listed
    with pytest.raises(UserError, match="did you mean 'blocking'"):
        JobShopEnv(blockings="swap")


def test_every_id_of_ours_has_a_card():
    for env_id, *_ in BUILT_IN:
        assert env_id in CARDS
        assert isinstance(find_card(env_id), EnvCard)


def test_a_class_describes_itself():
    card = class_card(find_env("test/Documented-v0"))
    assert card.description == "One sentence over two lines."
    assert card.options == (
        OptionCard("size", None, "how large; really."),
        OptionCard("a", 0.5, "both."),
        OptionCard("b", "y", "both."),
    )


def test_others_ids_are_listed_and_gymnasiums_are_not():
    ids = contract_ids()
    assert "test/Documented-v0" in ids
    assert "makespan/JobShop-v0" in ids
    assert "CartPole-v1" not in ids
    assert find_card("test/Documented-v0").objective["unit"] == "EUR"
    with pytest.raises(UserError, match="names no metadata"):
        find_card("test/Undocumented-v0")
