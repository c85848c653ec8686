#include "coordinator.h"

int32_t start_without_a_role(void)
{
    ha_config *config = ha_config_new();
    ha_session *session = NULL;
    int32_t status = ha_session_start(config, NULL, &session, NULL);

    ha_session_free(session);
    ha_config_free(config);
    return status;
}
