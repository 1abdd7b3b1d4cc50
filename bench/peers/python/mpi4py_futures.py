"""What mpi4py.futures does with the work of rankpool bench.

mpiexec -n 2 python3 -m mpi4py.futures mpi4py_futures.py NAME,KIND,N,SIZE ...

KIND is submit (N tasks, then their results), map (N elements, SIZE a chunk), latency (N tasks, one at a time) or echo (N
times SIZE bytes there and back: a NumPy array of float64 where there is NumPy, else bytes).
"""
import json
import sys
import time

from mpi4py.futures import MPIPoolExecutor


def add(x):
    return x + 1


def echo(x):
    return x


def submit(ex, n, _):
    begin = time.perf_counter()
    for i, f in enumerate([ex.submit(add, i) for i in range(n)]):
        assert f.result() == i + 1
    took = time.perf_counter() - begin
    return {"per_second": n / took, "each": took / n}


def mapped(ex, n, chunk):
    begin = time.perf_counter()
    count = sum(1 for _ in ex.map(add, range(n), chunksize=chunk))
    assert count == n
    return {"each": (time.perf_counter() - begin) / n}


def trips(ex, f, x, n):
    times = []
    for _ in range(n):
        begin = time.perf_counter()
        ex.submit(f, x).result()
        times.append(time.perf_counter() - begin)
    times.sort()
    return {"min": times[0], "p50": times[n // 2], "p99": times[n * 99 // 100], "max": times[-1]}


def latency(ex, n, _):
    return trips(ex, add, 1, n)


def echoes(ex, n, size):
    try:
        import numpy
        x = numpy.ones(size // 8)
    except ImportError:
        x = b"x" * size
    trips(ex, echo, x, 2)
    return trips(ex, echo, x, n)


if __name__ == "__main__":
    kinds = {"submit": submit, "map": mapped, "latency": latency, "echo": echoes}
    with MPIPoolExecutor() as ex:
        list(ex.map(add, range(200)))
        for spec in sys.argv[1:]:
            name, kind, n, size = spec.split(",")
            values = kinds[kind](ex, int(n), int(size))
            print("RANKPOOL-BENCH " + json.dumps({name + "." + k: v for k, v in values.items()}), flush=True)
