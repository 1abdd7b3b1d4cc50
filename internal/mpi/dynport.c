//go:build mpi && cgo && !mpiload

#include "dynport.h"

static MPI_Comm rp_to_comm(uintptr_t h) { return h ? RP_COMM(h) : MPI_COMM_NULL; }

static int rp_joined(int rc, MPI_Comm made, uintptr_t *out) {
  *out = 0;
  if (rc != MPI_SUCCESS || made == MPI_COMM_NULL) return rc;
  *out = RP_TO(made);
  return MPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN);
}

int rp_port_name_size(void) { return MPI_MAX_PORT_NAME; }

int rp_open_port(char *name) { return MPI_Open_port(MPI_INFO_NULL, name); }

int rp_close_port(char *name) { return MPI_Close_port(name); }

int rp_accept(char *port, int root, uintptr_t c, uintptr_t *out) {
  MPI_Comm made = MPI_COMM_NULL;
  int rc = MPI_Comm_accept(port, MPI_INFO_NULL, root, rp_to_comm(c), &made);
  return rp_joined(rc, made, out);
}

int rp_connect(char *port, int root, uintptr_t c, int ninfo, char **keys, char **values, uintptr_t *out) {
  MPI_Info info = MPI_INFO_NULL;
  MPI_Comm made = MPI_COMM_NULL;
  int rc = MPI_SUCCESS;
  if (ninfo > 0) rc = MPI_Info_create(&info);
  for (int i = 0; i < ninfo && rc == MPI_SUCCESS; i++) rc = MPI_Info_set(info, keys[i], values[i]);
  if (rc == MPI_SUCCESS) rc = MPI_Comm_connect(port, info, root, rp_to_comm(c), &made);
  if (info != MPI_INFO_NULL) MPI_Info_free(&info);
  return rp_joined(rc, made, out);
}

int rp_publish(char *service, char *port) { return MPI_Publish_name(service, MPI_INFO_NULL, port); }

int rp_unpublish(char *service, char *port) { return MPI_Unpublish_name(service, MPI_INFO_NULL, port); }

int rp_lookup(char *service, char *port) { return MPI_Lookup_name(service, MPI_INFO_NULL, port); }
