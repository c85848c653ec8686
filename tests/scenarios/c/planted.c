/* Known to be bad: linked to the tester for C, so that the run under sanitizers has something to find. */
#include <stdlib.h>

#include "coordha.h"

static char *volatile block;

#if defined PLANT_IN_LIBRARY
/* The library reads what it has freed, as the program breaks the rules of the header. */
__attribute__((destructor)) static void use_in_library(void) {
    ha_config *config = ha_config_new();
    ha_config_free(config);
    ha_config_check(config, NULL);
}
#elif defined PLANT_LEAK
__attribute__((constructor)) static void lose(void) {
    block = malloc(42);
    block = NULL;
}
#else
__attribute__((destructor)) static void use_after_free(void) {
    block = malloc(42);
    free(block);
    *block = 1;
}
#endif
