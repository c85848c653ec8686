/* A user's project of two files, built as C99 and as C++17 against an installed coordha. */
#include "coordinator.h"

#include <stdio.h>

int main(void)
{
    if (ha_version_number() != HA_VERSION_NUMBER) {
        fprintf(stderr, "header %d, library %d\n", (int)HA_VERSION_NUMBER, (int)ha_version_number());
        return 1;
    }
    if (start_without_a_role() != HA_ERR_CONFIG_MISSING) {
        fprintf(stderr, "a session without a role was not refused\n");
        return 1;
    }
    printf("%s\n", ha_version_string());
    return 0;
}
