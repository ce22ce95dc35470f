/* verbs.h: the rows that main.c puts into commands[], one file per verb. */
#pragma once

#include "ctl/ctl.h"

extern const struct ctl_command verb_status;
extern const struct ctl_command verb_events;
extern const struct ctl_command verb_top;
extern const struct ctl_command verb_logs;
extern const struct ctl_command verb_denials;
extern const struct ctl_command verb_restart, verb_redeploy, verb_pause, verb_resume, verb_release,
    verb_reload;
extern const struct ctl_command verb_check_config;
extern const struct ctl_command verb_init, verb_deploy, verb_remove, verb_diff;
extern const struct ctl_command verb_explain;
extern const struct ctl_command verb_import_compose;
extern const struct ctl_command verb_capacity;
extern const struct ctl_command verb_doctor;
extern const struct ctl_command verb_upgrade;
extern const struct ctl_command verb_version;
