/* The other file of the project, so that the header is taken in twice. */
#ifndef COORDINATOR_H
#define COORDINATOR_H

#include <coordha.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts a session that no configuration allows; returns the code that this gives. */
int32_t start_without_a_role(void);

#ifdef __cplusplus
}
#endif

#endif
