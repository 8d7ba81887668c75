"""Our networks as a policy of sb3-contrib's MaskablePPO."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sb3_contrib.common.maskable.distributions import MaskableDistribution
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from ..agents.learned import build
from ..agents.networks.common import SlotNetwork
from ..envs.core.spec import ObservationSpec


class _NoExtractor(BaseFeaturesExtractor):
    """Our networks read the observation themselves."""

    def __init__(self, observation_space: Any) -> None:
        super().__init__(observation_space, features_dim=1)

    def forward(self, observations: Any) -> Any:
        return observations


class SlotPolicy(MaskableActorCriticPolicy):
    """Actor and critic in one `SlotNetwork`.

    Args:
        spec: of the observation.
        network: the card's description of the network, ``{"kind": ..., "width": ..., ...}``.
    """

    def __init__(self, *args: Any, spec: ObservationSpec, network: Mapping[str, Any], **kwargs: Any) -> None:
        self._description = spec, dict(network)
        super().__init__(*args, net_arch=[], features_extractor_class=_NoExtractor, ortho_init=False, **kwargs)
        # What is played in rollouts, from the actions that were drawn and the most probable ones.
        self.guide: Callable[[Tensor, Tensor], Tensor] | None = None

    def _build(self, lr_schedule: Any) -> None:
        spec, network = self._description
        self.network: SlotNetwork = build(network, spec)
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    def _distribution(self, logits: Tensor, masks: Any) -> MaskableDistribution:
        distribution = self.action_dist.proba_distribution(action_logits=logits)
        if masks is not None:
            distribution.apply_masking(masks)
        return distribution

    def forward(self, obs: Any, deterministic: bool = False, action_masks: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        logits, values = self.network(obs)
        distribution = self._distribution(logits, action_masks)
        actions = distribution.get_actions(deterministic=deterministic)
        if self.guide is not None:
            actions = self.guide(actions, distribution.mode())
        return actions, values[:, None], distribution.log_prob(actions)

    def evaluate_actions(
        self, obs: Any, actions: Tensor, action_masks: Any = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        logits, values = self.network(obs)
        distribution = self._distribution(logits, action_masks)
        return values[:, None], distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: Any, action_masks: Any = None) -> MaskableDistribution:
        return self._distribution(self.network(obs)[0], action_masks)

    def predict_values(self, obs: Any) -> Tensor:
        return self.network(obs)[1][:, None]
