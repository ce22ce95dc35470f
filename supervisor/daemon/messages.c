/* messages.c: see messages.h. */
#include "daemon/messages.h"

static const char *const component_ids[_REC_STATE_MAX] = {
    [REC_UNKNOWN] = MESSAGE_COMPONENT_UNKNOWN,
    [REC_STARTING] = MESSAGE_COMPONENT_STARTING,
    [REC_HEALTHY] = MESSAGE_COMPONENT_HEALTHY,
    [REC_SUSPECT] = MESSAGE_COMPONENT_SUSPECT,
    [REC_BACKOFF] = MESSAGE_COMPONENT_BACKOFF,
    [REC_RECOVERING] = MESSAGE_COMPONENT_RECOVERING,
    [REC_VERIFYING] = MESSAGE_COMPONENT_VERIFYING,
    [REC_QUARANTINED] = MESSAGE_COMPONENT_QUARANTINED,
    [REC_HELD] = MESSAGE_COMPONENT_HELD,
};
static const char *const host_ids[_REC_HOST_STATE_MAX] = {
    [REC_HOST_NORMAL] = MESSAGE_HOST_NORMAL,
    [REC_HOST_ENGINE_DOWN] = MESSAGE_HOST_ENGINE_DOWN,
    [REC_HOST_MASS_FAILURE] = MESSAGE_HOST_MASS_FAILURE,
    [REC_HOST_SETTLING] = MESSAGE_HOST_SETTLING,
    [REC_HOST_SAFE] = MESSAGE_HOST_SAFE,
};

const char *message_for_component(enum rec_state s)
{
    return (unsigned)s < _REC_STATE_MAX ? component_ids[s] : NULL;
}

const char *message_for_host(enum rec_host_state s)
{
    return (unsigned)s < _REC_HOST_STATE_MAX ? host_ids[s] : NULL;
}
