// What plain MPI takes for the work of the program probe: one message to a worker and one back, one at a time.
//
//   raw ROUNDS BYTES [fresh]    BYTES below 1024 are sent as bytes, else as doubles; with fresh, each message is received
//                               into memory allocated for it, as by a library that hands results to its user
//
// It prints the median time of a round.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_time(const void *a, const void *b) {
  double d = *(const double *)a - *(const double *)b;
  return d < 0 ? -1 : d > 0;
}

enum { WORK = 1, END = 2 };

int main(int argc, char **argv) {
  int level, rank, fresh = argc > 3;
  long rounds = argc > 1 ? atol(argv[1]) : 1000, bytes = argc > 2 ? atol(argv[2]) : 64;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Datatype type = bytes < 1024 ? MPI_BYTE : MPI_DOUBLE;
  int count = (int)(bytes < 1024 ? bytes : bytes / 8);
  char *arg = malloc(bytes), *got = malloc(bytes);
  memset(arg, 1, bytes);
  memset(got, 2, bytes);
  if (rank == 0) {
    double *took = malloc(sizeof *took * rounds);
    for (long i = -100; i < rounds; i++) {
      if (i < -10 && bytes >= 1024) continue;
      double begin = MPI_Wtime();
      MPI_Send(arg, count, type, 1, WORK, MPI_COMM_WORLD);
      if (fresh) {
        free(got);
        got = malloc(bytes);
      }
      MPI_Recv(got, count, type, MPI_ANY_SOURCE, WORK, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      if (i >= 0) took[i] = MPI_Wtime() - begin;
      if (memcmp(got, arg, bytes < 1024 ? bytes : 1024)) MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Send(arg, 0, type, 1, END, MPI_COMM_WORLD);
    qsort(took, rounds, sizeof *took, by_time);
    printf("took %.0f ns\n", took[rounds / 2] * 1e9);
  } else if (rank == 1) {
    for (;;) {
      MPI_Status s;
      if (fresh) {
        free(got);
        got = malloc(bytes);
      }
      MPI_Recv(got, count, type, 0, MPI_ANY_TAG, MPI_COMM_WORLD, &s);
      if (s.MPI_TAG == END) break;
      MPI_Send(got, count, type, 0, WORK, MPI_COMM_WORLD);
    }
  }
  MPI_Finalize();
}
