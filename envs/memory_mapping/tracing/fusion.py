"""Greedy fusion, as compilers do it: elementwise operations are computed where their operands are made or needed."""

from __future__ import annotations

from .program import MAX_OP_NAME, Operation, Program

MOST_FUSED = 12


def fuse(program: Program, most: int = MOST_FUSED) -> Program:
    """The same program with elementwise operations fused into others.

    One with a single operand, needed by elementwise operations only, is computed again in each of them, unless that
    means to read more. Then, in program order, each goes into the last of the operations that make its operands, if
    that makes one that it reads element by element, has taken fewer than `most` operations, and comes after all that
    need what is overwritten. What only the fused operation needs is never written.

    Args:
        program: one without loops; its operations are used up.
        most: operations fused into one, at most.
    """
    program = _sink(program)
    groups: list[list[Operation]] = []
    made: dict[int, int] = {}  # value -> its group
    needed: dict[int, int] = {}  # value -> the last group that needs it
    for operation in program.operations:
        host = max((made[value] for value in operation.needs() if value in made), default=None)
        if host is None or len(groups[host]) >= most or not _joins(operation, host, made, needed):
            host = len(groups)
            groups.append([])
        groups[host].append(operation)
        made.update((value, host) for value in operation.makes())
        for value in operation.needs():
            needed[value] = max(host, needed.get(value, -1))
    return Program(program.values, [_merge(group, g, program, needed) for g, group in enumerate(groups)])


def _sink(program: Program) -> Program:
    """The same program where operations with one operand have moved into all that need their results."""
    users: dict[int, list[Operation]] = {}
    for operation in program.operations:
        for value in operation.needs():
            users.setdefault(value, []).append(operation)
    kept = []
    for operation in program.operations:
        ends = _single(operation)
        if ends is None or not _sinks(ends, users, program):
            kept.append(operation)
            continue
        operand, result = ends
        for user in users.get(result, ()):
            del user.reads[result]
            user.reads[operand] = min(
                program.values[operand].bytes, user.reads.get(operand, 0) + operation.reads[operand]
            )
            user.through = user.through - {result} | {operand}
            user.op = f"{operation.op}+{user.op}"
            user.vec_flops += operation.vec_flops
            users[operand].append(user)
    return Program(program.values, kept)


def _single(operation: Operation) -> tuple[int, int] | None:
    """The only operand and the only result of an elementwise operation that has but these."""
    if len(operation.reads) == len(operation.writes) == 1 and not operation.in_place:
        operand, result = *operation.reads, *operation.writes
        return (operand, result) if operand in operation.through else None
    return None


def _sinks(ends: tuple[int, int], users: dict[int, list[Operation]], program: Program) -> bool:
    operand, result = ends
    values = program.values
    return (
        not values[result].is_output
        and values[operand].bytes <= values[result].bytes
        and all(result in user.through for user in users.get(result, ()))
    )


def _joins(operation: Operation, host: int, made: dict[int, int], needed: dict[int, int]) -> bool:
    return any(made.get(value) == host for value in operation.through) and all(
        needed.get(wish.old, -1) <= host and made.get(wish.old, -1) < host for wish in operation.in_place
    )


def _merge(group: list[Operation], number: int, program: Program, needed: dict[int, int]) -> Operation:
    if len(group) == 1:
        return group[0]
    made = {value for operation in group for value in operation.makes()}
    merged = Operation("+".join(operation.op for operation in group)[:MAX_OP_NAME])
    for operation in group:
        for value, size in operation.reads.items():
            if value not in made:
                merged.reads[value] = min(program.values[value].bytes, merged.reads.get(value, 0) + size)
        for value, size in operation.writes.items():
            if program.values[value].is_output or needed.get(value, -1) > number:
                merged.writes[value] = size
        merged.mxu_flops += operation.mxu_flops
        merged.vec_flops += operation.vec_flops
        merged.in_place += operation.in_place
    return merged
