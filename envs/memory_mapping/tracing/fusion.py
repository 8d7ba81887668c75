"""Greedy fusion, as compilers do it: elementwise operations are computed where their operands are made or needed."""

from __future__ import annotations

from .program import MAX_OP_NAME, Operation, Program

MOST_FUSED = 12


def fuse(program: Program, most: int = MOST_FUSED) -> Program:
    """The same program with elementwise operations fused into others.

    One with a single operand, needed by elementwise operations only, is computed again in each of them, unless that
    means to read more. Then, in program order, each goes into the last of the operations that make its operands, if
    that makes one that it reads element by element, has taken fewer than `most` operations, and comes after all that
    need what is overwritten. At last elementwise operations that only one other needs, element by element, go into
    that. What only a fused operation needs is never written.

    Args:
        program: one without loops; its operations are used up.
        most: operations fused into one, at most.
    """
    program = _sink(program)
    groups = _join_producers(program, most)
    _join_consumers(groups, program, most)
    needing: dict[int, set[int]] = {}
    for g, group in enumerate(groups):
        for operation in group:
            for value in operation.needs():
                needing.setdefault(value, set()).add(g)
    kept = {v for v, value in enumerate(program.values) if value.is_output}
    merged = [
        _merge(group, program, kept | {v for v, users in needing.items() if users != {g}})
        for g, group in enumerate(groups)
        if group
    ]
    return Program(program.values, merged)


def _sink(program: Program) -> Program:
    """The same program where operations with one operand have moved into all that need their results."""
    users: dict[int, list[Operation]] = {}
    for operation in program.operations:
        for value in operation.needs():
            users.setdefault(value, []).append(operation)
    kept = []
    for operation in program.operations:
        ends = _single(operation)
        if ends is None or not _sinks(ends, operation.reads[ends[0]], users, program):
            kept.append(operation)
            continue
        operand, result = ends
        for user in users.get(result, ()):
            del user.reads[result]
            user.reads[operand] = min(
                program.values[operand].bytes, user.reads.get(operand, 0) + operation.reads[operand]
            )
            user.through = user.through - {result} | operation.through
            user.op = f"{operation.op}+{user.op}"
            user.vec_flops += operation.vec_flops
            users[operand].append(user)
    return Program(program.values, kept)


def _single(operation: Operation) -> tuple[int, int] | None:
    """The only operand and the only result of an elementwise operation that has but these."""
    if operation.elementwise and len(operation.reads) == len(operation.writes) == 1 and not operation.in_place:
        (operand,), (result,) = operation.reads, operation.writes
        return operand, result
    return None


def _sinks(ends: tuple[int, int], size: int, users: dict[int, list[Operation]], program: Program) -> bool:
    """Whether an operation that reads `size` bytes of its operand may move."""
    result = program.values[ends[1]]
    return not result.is_output and size <= result.bytes and all(ends[1] in x.through for x in users.get(ends[1], ()))


def _join_producers(program: Program, most: int) -> list[list[Operation]]:
    """Operations in groups, each with what its operands come from where it can be."""
    groups: list[list[Operation]] = []
    made: dict[int, int] = {}  # value -> its group
    needed: dict[int, int] = {}  # value -> the last group that needs it
    for operation in program.operations:
        host = max((made[value] for value in operation.needs() if value in made), default=-1)
        if (
            host < 0
            or len(groups[host]) >= most
            or not any(made.get(value) == host for value in operation.through)
            or any(needed.get(wish.old, -1) > host or made.get(wish.old, -1) >= host for wish in operation.in_place)
        ):
            host = len(groups)
            groups.append([])
        groups[host].append(operation)
        made.update((value, host) for value in operation.makes())
        needed.update((value, max(host, needed.get(value, -1))) for value in operation.needs())
    return groups


def _join_consumers(groups: list[list[Operation]], program: Program, most: int) -> None:
    """Let groups of elementwise operations that only one other group needs go into that; they become empty."""
    users: dict[int, list[Operation]] = {}
    overwritten = {wish.old for operation in program.operations for wish in operation.in_place}
    for operation in program.operations:
        for value in operation.needs():
            users.setdefault(value, []).append(operation)
    holder = {id(operation): g for g, group in enumerate(groups) for operation in group}
    for g in range(len(groups) - 1, -1, -1):
        group = groups[g]
        results = {value for operation in group for value in operation.makes()}
        outside = [(value, user) for value in results for user in users.get(value, ()) if holder[id(user)] != g]
        hosts = {holder[id(user)] for _, user in outside}
        if (
            len(hosts) == 1
            and len(group) + len(groups[min(hosts)]) <= most
            and all(operation.elementwise for operation in group)
            and all(value in user.through for value, user in outside)
            and not any(program.values[value].is_output for value in results)
            and overwritten.isdisjoint(value for operation in group for value in (*operation.needs(), *results))
        ):
            host = min(hosts)
            holder.update((id(operation), host) for operation in group)
            groups[host] = group + groups[host]
            groups[g] = []


def _merge(group: list[Operation], program: Program, needed: set[int]) -> Operation:
    """One operation that does what a group does; it writes what is needed outside."""
    if len(group) == 1:
        return group[0]
    made = {value for operation in group for value in operation.makes()}
    merged = Operation("+".join(operation.op for operation in group)[:MAX_OP_NAME])
    for operation in group:
        for value, size in operation.reads.items():
            if value not in made:
                merged.reads[value] = min(program.values[value].bytes, merged.reads.get(value, 0) + size)
        merged.writes.update((value, size) for value, size in operation.writes.items() if value in needed)
        merged.mxu_flops += operation.mxu_flops
        merged.vec_flops += operation.vec_flops
        merged.in_place += operation.in_place
    return merged
