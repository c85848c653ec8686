/* Known to be bad: linked to the tester for C, so that the run under sanitizers has something to find. */
#include <stdlib.h>

static char *volatile block;

#ifdef PLANT_LEAK
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
