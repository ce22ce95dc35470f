/* messages.h: one fixed MESSAGE_ID per transition, for the journal and its catalog (units/clawsup.catalog
 * explains each; a test holds the two together). An id never changes its meaning; a new meaning gets a new
 * id. */
#pragma once

#include "base/defs.h"
#include "recovery/recovery.h"

#define MESSAGE_STARTED "9d5777dbccaa4108b2be926efa54724e" /* clawsupd is up */
#define MESSAGE_STOPPING "2f3576121116483fb0df0da969881bba"
#define MESSAGE_CONFIG_LOADED "d36cafe288d448f4bf63b847cb1b3eee"
#define MESSAGE_CONFIG_REFUSED "f218c1d49af74ba29ca3da48cecfb2b1" /* a reload whose files have errors */
#define MESSAGE_HOST_NORMAL "7dd6ae7ec03647179f23b1c50bfb8f6b"
#define MESSAGE_HOST_ENGINE_DOWN "6620754854a04a538a4b57e17b41bc77"
#define MESSAGE_HOST_MASS_FAILURE "dc33e4bd6e9b4d1b992374f2d9fec56f" /* many tenants at once */
#define MESSAGE_HOST_SETTLING "8cdbe8035dbf4cdcbe9badd6f37ae0f9"
#define MESSAGE_HOST_SAFE "d94eff50cc2e4b0fa403faae97d2548a" /* too many starts of our own */
#define MESSAGE_COMPONENT_UNKNOWN "2aff8f16130e4467b63aef2ef4cfdb5b"
#define MESSAGE_COMPONENT_STARTING "e3d88775649140418f2c329c998190b6"
#define MESSAGE_COMPONENT_HEALTHY "82f5f39ff31d4a31a7edd7dbef0303d8"
#define MESSAGE_COMPONENT_SUSPECT "cd4e6c94230641fe846341e84f3fb543"
#define MESSAGE_COMPONENT_BACKOFF "efe78c6e433b401d93a834c325f62845"
#define MESSAGE_COMPONENT_RECOVERING "617a3962c2144e50994b816e9bdb2122"
#define MESSAGE_COMPONENT_VERIFYING "f8c7af9593994d5895c1c3d6dc93cca6"
#define MESSAGE_COMPONENT_QUARANTINED "7caa73fa080643de95bd62d14205f62f"
#define MESSAGE_COMPONENT_HELD "6b1fe19769e246f5b4378d799c4427a8"
#define MESSAGE_ACTION_STARTED "c8050de5374e4fc2a503c9304ad2a152"
#define MESSAGE_ACTION_DONE "9b2ed02add46444290b2bce09818b82d"
#define MESSAGE_ACTION_FAILED "3ca69dbc1c3b467c8194f4b7cdb03c1f"  /* failed or rolled back */
#define MESSAGE_ACTION_REFUSED "d7be867c8c9740ea815d4176e42fdd7e" /* a precondition is missing */
#define MESSAGE_TENANT_ADDED "a70457932d1c44fca0a68e948fbff1a4"
#define MESSAGE_TENANT_REFUSED "5c8e2a7b90d14f6d8e3b1f4a6c2d7e95" /* its limits do not fit the host */
#define MESSAGE_TENANT_REMOVED "af01eb65be2d49fbb10d8d01d956cd2f"
#define MESSAGE_TENANT_LEVEL "4ea71adb05144bf1a88f27a1ed7f554a"       /* the ladder's position changed */
#define MESSAGE_TENANT_QUARANTINED "edebca9afedc4550b74327054e6951a8" /* people must look */
#define MESSAGE_TENANT_RELEASED "2c9ce5aa190843f98c74593689dee938"    /* by the operator */
#define MESSAGE_TENANT_FLAPPING "13534f0e60ec4c0bb579b253a9f9cdc0"
#define MESSAGE_TENANT_PAUSED "e6828dbc2545431c8ce297c9f3b27da7" /* by the operator */
#define MESSAGE_TENANT_RESUMED "9ed3a70227ca45babaf2ce7a43138f05"
#define MESSAGE_PROXY_RELAUNCHED "ec4fb4711f674b2abb04c9c7b92d2e21"
#define MESSAGE_PROXY_DENIED "3a87dd7d5f3045f790fb96ee925629b8"     /* a request was refused */
#define MESSAGE_GATEWAY_TAMPERED "6785624f5a4e4343ac2a240b7bc5485e" /* a link in the way of a mount */
#define MESSAGE_LIMITS_DRIFT "6e8865bc21d84209b6ecf1ba731d3a54"     /* repaired */
#define MESSAGE_LIMITS_OOM "b37b444e0927463080e606e043ed4347"
#define MESSAGE_LIMITS_VIOLATED "f3bf5a5c5cb14a2cb71c7c4b5bd0b0b1" /* and cannot be put right */
#define MESSAGE_LIMITS_PIDS "0d2f3b1e5f0b4dd6a7d6a0a3f9d5f1c2"
#define MESSAGE_LIMITS_PRESSURE "a4c9d0f1b6c34a1c8a5d2b7e6f9c3d84"
#define MESSAGE_DISK_LOW "80ea485c685c4c21853aaca300c27a3d"
#define MESSAGE_DISK_FULL "89dec654e9d74f67843c6303c40dad89"
#define MESSAGE_DISK_ROOM "fee1840ac30046f9bad8ad38d516c2f3"   /* again */
#define MESSAGE_DISK_READY "98fb14c2f5a249719b34468d7f100c90"  /* made, grown, repaired */
#define MESSAGE_DISK_LIMIT "5151f4d46b9a4789a73802c1a0ef034b"  /* not as configured */
#define MESSAGE_DISK_FROZEN "dc0122b92a3c4e8294358af708bfef12" /* best-effort: who grew most */
#define MESSAGE_DISK_THAWED "807621f00e7743bb839ebadacf27bcb4"
#define MESSAGE_STORE_DEGRADED "4259bf7e45fc41618284016ba93f8a8b" /* state.db cannot be written */
#define MESSAGE_STORE_RESTORED "f8f6ca6c46e34976bff3f41252f408d0"
#define MESSAGE_RELIST_DIVERGENCE "1195696f77744bb2b95ac683c2388345"

/* The id for entering a state; NULL out of range. */
const char *message_for_component(enum rec_state s);
const char *message_for_host(enum rec_host_state s);
