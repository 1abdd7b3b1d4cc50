/* raw_mpi: what a pool costs without a library: a master and workers written by hand, one message out and one back per
 * task.
 *
 *   mpicc -O2 raw_mpi.c -o raw_mpi
 *   mpiexec -n 2 ./raw_mpi NAME,TASKS,DEPTH,BYTES,WHERE ...
 *
 * DEPTH messages are kept on the way to each worker; 1 means strict round trips, each begun when the one before has ended.
 * DEPTH times BYTES must stay below the eager limit, for the sends block. DEPTH 0 is 1 with every trip timed.
 * WHERE is "reused", or "fresh": then every message is received into newly allocated memory, as by any library that hands
 * results to its user.
 *
 * All that is asked for is done in one run. Rank 0 prints, for each, the tasks a second, the time of one, and with DEPTH 0
 * the median, the 99th percentile and the extremes of the trips. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORK = 1, NEXT = 2 };

struct job {
  char name[64], where[16];
  long tasks, bytes;
  int depth, fresh, timed;
};

static int by_size(const void *a, const void *b) {
  double d = *(const double *)a - *(const double *)b;
  return d < 0 ? -1 : d > 0;
}

static char *memory(long bytes) {
  char *m = malloc(bytes);
  if (m == NULL) {
    fprintf(stderr, "raw_mpi: no memory for %ld bytes\n", bytes);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  return m;
}

static char *renewed(struct job *j, char *m) {
  if (!j->fresh) return m;
  free(m);
  return memory(j->bytes);
}

/* drive is the master: it returns how long n tasks took, and stores what each took if times is not NULL. */
static double drive(struct job *j, long n, int workers, double *times) {
  char *arg = memory(j->bytes), *result = memory(j->bytes);
  memset(arg, 1, j->bytes);
  memset(result, 2, j->bytes);
  long sent = 0, done = 0;
  double begin = MPI_Wtime(), last = begin;
  for (int w = 1; w <= workers; w++)
    for (int d = 0; d < j->depth && sent < n; d++, sent++)
      MPI_Send(arg, (int)j->bytes, MPI_BYTE, w, WORK, MPI_COMM_WORLD);
  while (done < n) {
    MPI_Status s;
    result = renewed(j, result);
    MPI_Recv(result, (int)j->bytes, MPI_BYTE, MPI_ANY_SOURCE, WORK, MPI_COMM_WORLD, &s);
    if (times) {
      double now = MPI_Wtime();
      times[done] = now - last;
      last = now;
    }
    done++;
    if (sent < n) {
      MPI_Send(arg, (int)j->bytes, MPI_BYTE, s.MPI_SOURCE, WORK, MPI_COMM_WORLD);
      sent++;
    }
  }
  double took = MPI_Wtime() - begin;
  if (memcmp(arg, result, j->bytes)) {
    fprintf(stderr, "raw_mpi: what came back is something else\n");
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  free(arg);
  free(result);
  return took;
}

/* serve is a worker: it sends back what it gets until the job is over. */
static void serve(struct job *j) {
  char *m = memory(j->bytes);
  memset(m, 3, j->bytes);
  for (;;) {
    MPI_Status s;
    m = renewed(j, m);
    MPI_Recv(m, (int)j->bytes, MPI_BYTE, 0, MPI_ANY_TAG, MPI_COMM_WORLD, &s);
    if (s.MPI_TAG == NEXT) break;
    MPI_Send(m, (int)j->bytes, MPI_BYTE, 0, WORK, MPI_COMM_WORLD);
  }
  free(m);
}

static void report(struct job *j, double took, double *times) {
  printf("RANKPOOL-BENCH {\"%s.per_second\":%.9g,\"%s.each\":%.9g", j->name, j->tasks / took, j->name, took / j->tasks);
  if (times) {
    qsort(times, j->tasks, sizeof *times, by_size);
    printf(",\"%s.min\":%.9g,\"%s.p50\":%.9g,\"%s.p99\":%.9g,\"%s.max\":%.9g", j->name, times[0], j->name, times[j->tasks / 2],
           j->name, times[j->tasks * 99 / 100], j->name, times[j->tasks - 1]);
  }
  printf("}\n");
  fflush(stdout);
}

int main(int argc, char **argv) {
  int level, rank, size;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level); /* as the library has it */
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  for (int i = 1; i < argc; i++) {
    struct job j;
    if (sscanf(argv[i], "%63[^,],%ld,%d,%ld,%15s", j.name, &j.tasks, &j.depth, &j.bytes, j.where) != 5 || j.tasks < 1 ||
        j.depth < 0 || j.bytes < 1 || j.bytes > 2147483647 || size < 2) {
      fprintf(stderr, "usage: mpiexec -n 2 raw_mpi NAME,TASKS,DEPTH,BYTES,fresh|reused ...\n");
      MPI_Abort(MPI_COMM_WORLD, 2);
    }
    j.fresh = strcmp(j.where, "fresh") == 0;
    j.timed = j.depth == 0;
    if (j.timed) j.depth = 1;
    if (rank) {
      serve(&j);
      continue;
    }
    double *times = j.timed ? malloc(sizeof *times * j.tasks) : NULL;
    drive(&j, j.bytes < 1 << 16 ? 1000 : 2, size - 1, NULL); /* connections are made by the first messages */
    double took = drive(&j, j.tasks, size - 1, times);
    for (int w = 1; w < size; w++) MPI_Send("", 0, MPI_BYTE, w, NEXT, MPI_COMM_WORLD);
    report(&j, took, times);
    free(times);
  }
  MPI_Finalize();
  return 0;
}
