"""What multiprocessing.Pool does with the work of rankpool bench, on one worker.

python3 multiprocessing_pool.py NAME,KIND,N,SIZE ...

KIND is submit (N calls of apply_async, then their results), map (N elements, SIZE a chunk), latency (N calls of apply),
echo (N times SIZE bytes there and back) or start (SIZE workers until each has answered; N is not used).
"""
import json
import multiprocessing
import sys
import time


def add(x):
    return x + 1


def echo(x):
    return x


def submit(pool, n, _):
    begin = time.perf_counter()
    for i, r in enumerate([pool.apply_async(add, (i,)) for i in range(n)]):
        assert r.get() == i + 1
    took = time.perf_counter() - begin
    return {"per_second": n / took, "each": took / n}


def mapped(pool, n, chunk):
    begin = time.perf_counter()
    assert len(pool.map(add, range(n), chunksize=chunk)) == n
    return {"each": (time.perf_counter() - begin) / n}


def trips(pool, f, x, n):
    times = []
    for _ in range(n):
        begin = time.perf_counter()
        pool.apply(f, (x,))
        times.append(time.perf_counter() - begin)
    times.sort()
    return {"min": times[0], "p50": times[n // 2], "p99": times[n * 99 // 100], "max": times[-1]}


def latency(pool, n, _):
    return trips(pool, add, 1, n)


def echoes(pool, n, size):
    x = b"x" * size
    trips(pool, echo, x, 2)
    return trips(pool, echo, x, n)


def start(_, __, workers):
    begin = time.perf_counter()
    with multiprocessing.Pool(workers) as pool:
        pool.map(add, range(workers), chunksize=1)
        return {"ready": time.perf_counter() - begin}


if __name__ == "__main__":
    kinds = {"submit": submit, "map": mapped, "latency": latency, "echo": echoes, "start": start}
    with multiprocessing.Pool(1) as pool:
        pool.map(add, range(200))
        for spec in sys.argv[1:]:
            name, kind, n, size = spec.split(",")
            values = kinds[kind](pool, int(n), int(size))
            print("RANKPOOL-BENCH " + json.dumps({name + "." + k: v for k, v in values.items()}), flush=True)
