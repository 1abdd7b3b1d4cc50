/* ping: the least that waking another process costs: 64 bytes to a child over a socket pair, and back.
 *
 *   cc -O2 ping.c -o ping
 *   ./ping NAME,TRIPS,PAUSE ...
 *
 * PAUSE milliseconds pass before every trip. It prints the median, the 99th percentile and the extremes. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 64 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static int by_size(const void *a, const void *b) {
  double d = *(const double *)a - *(const double *)b;
  return d < 0 ? -1 : d > 0;
}

int main(int argc, char **argv) {
  int ends[2];
  char message[BYTES] = {0};
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) {
    perror("ping: socketpair");
    return 1;
  }
  pid_t child = fork();
  if (child < 0) {
    perror("ping: fork");
    return 1;
  }
  if (child == 0) {
    close(ends[0]);
    while (read(ends[1], message, BYTES) == BYTES && write(ends[1], message, BYTES) == BYTES) {
    }
    return 0;
  }
  close(ends[1]);
  for (int i = 1; i < argc; i++) {
    char name[64];
    long trips, pause;
    if (sscanf(argv[i], "%63[^,],%ld,%ld", name, &trips, &pause) != 3 || trips < 1 || pause < 0) {
      fprintf(stderr, "usage: ping NAME,TRIPS,PAUSE ...\n");
      return 2;
    }
    double *times = malloc(sizeof *times * trips);
    for (long k = -10; k < trips; k++) {
      if (pause > 0 && k < 0) continue;
      struct timespec t = {pause / 1000, pause % 1000 * 1000000};
      if (pause > 0) nanosleep(&t, NULL);
      double begin = now();
      if (write(ends[0], message, BYTES) != BYTES || read(ends[0], message, BYTES) != BYTES) {
        perror("ping");
        return 1;
      }
      if (k >= 0) times[k] = now() - begin;
    }
    qsort(times, trips, sizeof *times, by_size);
    printf("RANKPOOL-BENCH {\"%s.min\":%.9g,\"%s.p50\":%.9g,\"%s.p99\":%.9g,\"%s.max\":%.9g}\n", name, times[0], name,
           times[trips / 2], name, times[trips * 99 / 100], name, times[trips - 1]);
    fflush(stdout);
    free(times);
  }
  close(ends[0]);
  waitpid(child, NULL, 0);
  return 0;
}
