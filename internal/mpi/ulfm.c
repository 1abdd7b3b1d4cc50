//go:build mpi && cgo && !mpiload

#include "ulfm.h"

#include <stdlib.h>

#if defined(OPEN_MPI)
#include <mpi-ext.h>
#endif

#if defined(OMPI_HAVE_MPI_EXT_FTMPI)

void rp_want_losses(int on) { setenv("OMPI_MCA_mpi_ft_enable", on ? "1" : "0", 0); }

int rp_is_loss(int code) {
  int class;
  if (code == MPI_SUCCESS || MPI_Error_class(code, &class) != MPI_SUCCESS) return 0;
  return class == MPIX_ERR_PROC_FAILED || class == MPIX_ERR_PROC_FAILED_PENDING;
}

int rp_acknowledge(MPI_Comm c, unsigned char *dead, int ranks) {
  MPI_Group failed, all;
  int inter = 0, n = 0;
  int rc = MPIX_Comm_failure_ack(c);
  if (rc == MPI_SUCCESS) rc = MPI_Comm_test_inter(c, &inter);
  if (rc == MPI_SUCCESS) rc = MPIX_Comm_failure_get_acked(c, &failed);
  if (rc != MPI_SUCCESS) return rc;
  rc = inter ? MPI_Comm_remote_group(c, &all) : MPI_Comm_group(c, &all);
  if (rc == MPI_SUCCESS) {
    rc = MPI_Group_size(failed, &n);
    for (int i = 0; i < n && rc == MPI_SUCCESS; i++) {
      int rank = MPI_UNDEFINED;
      rc = MPI_Group_translate_ranks(failed, 1, &i, all, &rank);
      if (rc == MPI_SUCCESS && rank >= 0 && rank < ranks) dead[rank] = 1;
    }
    MPI_Group_free(&all);
  }
  MPI_Group_free(&failed);
  return rc;
}

int rp_mitigates(void) { return 1; }

int rp_revoke(uintptr_t c) { return MPIX_Comm_revoke((MPI_Comm)c); }

#else

int rp_mitigates(void) { return 0; }

int rp_revoke(uintptr_t c) {
  (void)c;
  return MPI_ERR_UNSUPPORTED_OPERATION;
}

void rp_want_losses(int on) { (void)on; }

int rp_is_loss(int code) {
  (void)code;
  return 0;
}

int rp_acknowledge(MPI_Comm c, unsigned char *dead, int ranks) {
  (void)c, (void)dead, (void)ranks;
  return MPI_SUCCESS;
}

#endif
