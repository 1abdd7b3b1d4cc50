"""What Python's pools do with the figure grain of rankpool bench: see bench/ours/grain.go, of which this does the same.

python3 grain.py WORKERS grain,ms=MILLISECONDS
mpiexec -n WORKERS+1 python3 -m mpi4py.futures grain.py WORKERS grain,ms=MILLISECONDS

Maps are in four chunks a worker, as multiprocessing.Pool has it by default.
"""
import json
import math
import multiprocessing
import sys
import time

CLOCKED = 2000
LENGTHS = [round(20 * 10 ** (i / 10)) for i in range(61)]


def toil(length):
    if length < 0:
        for _ in range(-length):
            pass
        return 0
    end = time.perf_counter_ns() + length
    while time.perf_counter_ns() < end:
        pass
    return 0


def pace(tries):
    many, best = 50_000, math.inf
    for _ in range(tries):
        begin = time.perf_counter_ns()
        toil(-many)
        best = min(best, (time.perf_counter_ns() - begin) / many)
    return best


def map_of_pool(pool, _, arg, n):
    pool.map(toil, [arg] * n)


def calls_of_pool(pool, _, arg, n):
    for r in [pool.apply_async(toil, (arg,)) for _ in range(n)]:
        r.get()


def single_of_pool(pool, _, arg, n):
    for _ in range(n):
        pool.apply(toil, (arg,))


def map_of_executor(ex, workers, arg, n):
    for _ in ex.map(toil, [arg] * n, chunksize=-(-n // (4 * workers))):
        pass


def calls_of_executor(ex, _, arg, n):
    for f in [ex.submit(toil, arg) for _ in range(n)]:
        f.result()


def single_of_executor(ex, _, arg, n):
    for _ in range(n):
        ex.submit(toil, arg).result()


def took(run, pool, workers, arg, n):
    begin = time.perf_counter_ns()
    run(pool, workers, arg, n)
    return time.perf_counter_ns() - begin


def share(run, pool, workers, turn, sitting, length):
    arg, exact = length, length
    if length < CLOCKED:
        turns = max(1, round(length / turn))
        arg, exact = -turns, turns * turn
    n, most = 32 * workers, 500_000
    while n < most:
        times = sitting / took(run, pool, workers, arg, n)
        if times < 1.5:
            break
        n = int(n * min(times, 20))
    n = min(n, most)
    shares = sorted(n * exact / workers / took(run, pool, workers, arg, n) for _ in range(3))
    return shares[1]


def shortest_half(share_at):
    below, low, above, high = -1, 0.0, len(LENGTHS), 1.0
    while above - below > 1:
        i = (below + above) // 2
        s = share_at(LENGTHS[i])
        if s < 0.5:
            below, low = i, s
        else:
            above, high = i, s
    if below < 0:
        return LENGTHS[0]
    if above == len(LENGTHS):
        return None
    return LENGTHS[below] * (LENGTHS[above] / LENGTHS[below]) ** ((0.5 - low) / (high - low))


def measure(pool, ways, turn, workers, specs):
    for spec in specs:
        sitting = int(spec.split("=")[1]) * 1_000_000
        values = {}
        for way, run in ways.items():
            def at(length):
                return share(run, pool, workers, turn, sitting, length)
            half = shortest_half(at)
            if half is not None:
                values[way + ".metg"] = half / 1e9
            for micros in (20, 50, 100, 200, 500, 1000):
                values[f"{way}.at{micros}"] = at(micros * 1000)
        print("RANKPOOL-BENCH " + json.dumps({"grain." + k: v for k, v in values.items()}), flush=True)


if __name__ == "__main__":
    workers, specs = int(sys.argv[1]), sys.argv[2:]
    if "mpi4py.futures" in sys.modules:
        from mpi4py.futures import MPIPoolExecutor
        with MPIPoolExecutor() as ex:
            ways = {"map": map_of_executor, "calls": calls_of_executor, "single": single_of_executor}
            measure(ex, ways, ex.submit(pace, 20).result(), workers, specs)
    else:
        with multiprocessing.Pool(workers) as pool:
            ways = {"map": map_of_pool, "calls": calls_of_pool, "single": single_of_pool}
            measure(pool, ways, pool.apply(pace, (20,)), workers, specs)
