"""Which copy has which key: subsets begin anew, the others go on."""

import numpy as np
from makespan.agents.streams import Streams


def test_copies_that_begin_anew_leave_the_others_alone() -> None:
    streams = Streams()
    streams.begin(np.array([0, 1, 2]), np.array([10, 11, 12], dtype=np.uint64))
    streams.of(3)[1][:] += 5
    streams.begin(np.array([2, 0]), np.array([22, 20], dtype=np.uint64))
    keys, counts = streams.of(3)
    assert keys.tolist() == [20, 11, 22]
    assert counts.tolist() == [0, 5, 0]
    assert keys.dtype == np.uint64


def test_room_grows_without_a_loss_and_is_seen_as_far_as_asked() -> None:
    streams = Streams()
    streams.begin(np.array([0]), np.array([2**64 - 1], dtype=np.uint64))
    streams.of(1)[1][0] = 7
    streams.begin(np.array([3]), np.array([13], dtype=np.uint64))
    assert streams.of(4)[0].tolist() == [2**64 - 1, 0, 0, 13]
    assert streams.of(2)[1].tolist() == [7, 0]
