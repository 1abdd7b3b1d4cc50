"""How long does a gambler last? A study with a pool."""
from multiprocessing import Pool

rules = {}


class BadSeed(ValueError):
    pass


def set_rules(goal, limit):
    """Called once in every worker."""
    rules.update(goal=goal, limit=limit)


def play(seed):
    """Bets 1 a round until broke, rich or tired."""
    if seed < 0:
        raise BadSeed(f"seed {seed} is below 0")
    money, rounds = rules["goal"] // 2, 0
    while (0 < money < rules["goal"]
           and rounds < rules["limit"]):
        seed = (1103515245 * seed + 12345) % 2**31
        money += 1 if seed >> 16 & 1 else -1
        rounds += 1
    return money, rounds


def total(first, last, step=1):
    """All rounds of several games."""
    return sum(play(s)[1] for s in range(first, last, step))


def main():
    with Pool(4, initializer=set_rules, initargs=(40, 900)) as pool:
        # One by one, in the order in which they end.
        ends = {"broke": 0, "rich": 0, "tired": 0}
        for money, rounds in pool.imap_unordered(
                play, range(2000), chunksize=50):
            if money == 0:
                ends["broke"] += 1
            elif money == 40:
                ends["rich"] += 1
            else:
                ends["tired"] += 1
        for end in sorted(ends):
            print(f"{end}: {ends[end]}")

        # In the background, with callbacks.
        done, failed = [], []
        for seed in (7, -1, 8):
            pool.apply_async(play, (seed,),
                             callback=done.append,
                             error_callback=failed.append)

        # Several arguments, and one by its name.
        ranges = [(0, 100), (100, 200), (200, 300)]
        sums = pool.starmap(total, ranges)
        for (first, last), n in zip(ranges, sums):
            print(f"games {first} to {last}: {n} rounds")
        result = pool.apply_async(total, (0, 300), {"step": 3})
        print(f"each third: {result.get(timeout=60)} rounds")

        # An exception of a task is raised here.
        try:
            pool.map(play, [1, 2, -3, 4])
        except BadSeed as e:
            print(f"map: {e}")

        pool.close()
        pool.join()  # the callbacks have run
    for money, rounds in sorted(done):
        print(f"callback: {money} left after {rounds} rounds")
    for e in failed:
        print(f"error callback: {e}")


if __name__ == "__main__":
    main()
