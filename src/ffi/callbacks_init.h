
/** Initialises a `ha_callbacks`: `ha_callbacks cb = HA_CALLBACKS_INIT;` */
#define HA_CALLBACKS_INIT { sizeof(ha_callbacks), NULL, NULL, NULL, NULL, NULL }
