/* spec.h: what a gateway container should be, as the engine's create body: from the tenant's configuration,
 * or captured from the inspect of a container that somebody else made. Reads no file but env_file. */
#pragma once

#include <jansson.h>

#include "base/defs.h"
#include "base/err.h"
#include "base/hash.h"
#include "config/config.h"

#define SPEC_LABEL_TENANT "clawsup.tenant"
#define SPEC_LABEL_ROLE "clawsup.role"
#define SPEC_LABEL_SAGA "clawsup.saga" /* on what a redeploy has made */
#define SPEC_LABEL_HASH "clawsup.spec"
#define SPEC_LABEL_COMPONENT "clawsup.component" /* on those with the role "component" */
#define SPEC_ROLE_GATEWAY "gateway"
#define SPEC_ROLE_COMPONENT "component"

/* "clawsup-net-SLUG"; `n` >= 64 is always enough. */
void spec_network_name(char *out, size_t n, const char *slug);

/* POST /networks/create for the tenant's bridge: internal or not, and with the subnet of a tcp listener's
 * address when there is one, so that the address is the bridge's own. New reference in *ret; -ENOMEM. */
int spec_network(const struct config_tenant *t, json_t **ret);

/* POST /containers/create for a managed gateway, or for the tenant's component `extra`. `network_id` is the
 * tenant's bridge; `cgroup_parent` may be "". The body carries its own fingerprint as label clawsup.spec
 * (without the network's id, which may change). `ret_hash` may be asked for alone (ret NULL). -errno of
 * env_file, -EINVAL for a malformed line in it; -ENOMEM. */
int spec_container(const struct config_tenant *t, const struct config_component *extra,
    const char *network_id, const char *cgroup_parent, json_t **ret, char ret_hash[static HASH_HEX_SIZE],
    struct err *e);

/* The create body that makes a container like the inspected one: its configuration with every label, host
 * configuration, and endpoints with aliases (without what the engine assigned). -EINVAL, -ENOMEM. */
int spec_capture(const json_t *inspect, json_t **ret);

/* The fingerprint label of an inspected container, or "" if it has none; borrowed from `inspect`. */
const char *spec_hash_of(const json_t *inspect);
/* True if the container carries this tenant's label. */
bool spec_is_ours(const json_t *inspect, const char *slug);
