"""An episode of restless bandits for interactive pictures: arms over time by their states, and what the epochs pay."""

from __future__ import annotations

import numpy as np

from ..core.chart import Bar, Bars, Chart, Grid, Panel, Point, Points
from .picture import describe, epoch_rewards
from .schedule import BanditSchedule


def chart(schedule: BanditSchedule) -> Chart:
    """Arms over time, a point where an arm is acted on, between the states that the action leads from and to."""
    instance, levels = schedule.instance, schedule.levels()
    lanes = list(instance.arm_names) or [str(j) for j in range(instance.num_arms)]
    acted = [
        Point(epoch + 0.5, arm, f"arm {lanes[arm]} is acted on", f"epoch {epoch}, level {levels[epoch, arm]}")
        for epoch, arm in np.argwhere(levels > 0).tolist()
    ]
    arms = (
        Grid("state", schedule.states.T.tolist(), most=instance.num_states - 1),
        Points("acted on", acted, colour=1, symbol="diamond"),
    )
    rewards = [
        Bar(paid / 2, epoch + 0.1, epoch + 0.9, f"epoch {epoch}", detail=f"pays {paid:.6g}", height=abs(paid))
        for epoch, paid in enumerate(epoch_rewards(schedule).tolist())
    ]
    panels = (
        Panel("arm", arms, lanes, weight=max(len(lanes) / 3, 4)),
        Panel("reward", (Bars("reward of the epoch", rewards, by_group=False),), weight=2),
    )
    return Chart(describe(schedule), panels, "epoch", "arm", note="Numbers in cells are states.")
