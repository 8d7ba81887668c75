"""The best solutions held of public instances, each with a bound: data for `makespan.eval.records`."""
