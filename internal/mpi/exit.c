//go:build mpi && cgo && !mpiload

#define _GNU_SOURCE
#include "exit.h"
#include "shim.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

// Go's end of a process has to come after libc's, and libc's exit does not return. So it runs on a thread of its own, which
// stays in the last handler of this program, and from there tells the other one to go on.

static pthread_mutex_t rp_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rp_changed = PTHREAD_COND_INITIALIZER;
static int rp_begun, rp_over;

// Destructors run after the handlers of atexit, and the one with the lowest number as the last of this program.
__attribute__((destructor(101))) static void rp_last(void) {
  pthread_mutex_lock(&rp_lock);
  int begun = rp_begun;
  pthread_mutex_unlock(&rp_lock);
  if (!begun) return; // another one has called exit: the race detector
  fflush(NULL);
  pthread_mutex_lock(&rp_lock);
  rp_over = 1;
  pthread_cond_broadcast(&rp_changed);
  pthread_mutex_unlock(&rp_lock);
  for (;;) pause();
}

static void *rp_exit(void *status) { exit((int)(intptr_t)status); }

void rp_run_exit_handlers(int status, int64_t limit_ns) {
  struct timespec end;
  sigset_t mask;
  pthread_t thread;
  clock_gettime(CLOCK_REALTIME, &end);
  limit_ns += end.tv_nsec;
  end.tv_sec += limit_ns / 1000000000;
  end.tv_nsec = limit_ns % 1000000000;
  pthread_mutex_lock(&rp_lock);
  rp_begun = 1;
  rp_calm_threads(&mask);
  int rc = pthread_create(&thread, NULL, rp_exit, (void *)(intptr_t)status);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  while (rc == 0 && !rp_over) rc = pthread_cond_timedwait(&rp_changed, &rp_lock, &end);
  pthread_mutex_unlock(&rp_lock);
}
