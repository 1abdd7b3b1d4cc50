//go:build mpi && cgo && !mpiload

// Ports and published names, MPI 4.0 section 11.9.
#ifndef RANKPOOL_DYNPORT_H
#define RANKPOOL_DYNPORT_H

#include "shim.h"

int rp_port_name_size(void);
int rp_open_port(char *name);
int rp_close_port(char *name);
int rp_accept(char *port, int root, uintptr_t c, uintptr_t *out);
int rp_connect(char *port, int root, uintptr_t c, int ninfo, char **keys, char **values, uintptr_t *out);
int rp_publish(char *service, char *port);
int rp_unpublish(char *service, char *port);
int rp_lookup(char *service, char *port);

#endif
