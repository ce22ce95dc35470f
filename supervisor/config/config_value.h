/* config_value.h: what single values must look like, and the readers of those that are more than one scalar.
 * Internal to the room. */
#pragma once

#include "base/defs.h"
#include "config/config_schema.h"

/* NULL for a valid text, else what would be valid. */
const char *config_check_path(const char *v);
const char *config_check_data_root(const char *v);
const char *config_check_bind_root(const char *v);
const char *config_check_socket(const char *v);
const char *config_check_image(const char *v);
const char *config_check_container(const char *v);
const char *config_check_label(const char *v);
const char *config_check_env(const char *v);
const char *config_check_url(const char *v);
const char *config_check_account(const char *v);
const char *config_check_user(const char *v);
const char *config_check_word(const char *v);
const char *config_check_pattern(const char *v);
const char *config_check_api_version(const char *v);
const char *config_check_plain(const char *v);
const char *config_check_runtime_dir(const char *v);
const char *config_check_metrics_file(const char *v);

/* Bytes of a listening socket's path: it is bound under a temporary name, four bytes longer. */
#define CONFIG_LISTEN_PATH_MAX 103

/* "127.0.0.1:80" or "[::1]:80": a literal address (written without brackets) and a port, or -EINVAL. */
int config_parse_address(const char *text, char ret_address[static 64], uint16_t *ret_port);
bool config_is_loopback(const char *address);

void config_read_slug(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_listen(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_components(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_publish(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_mounts(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_expect_json(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_tcp(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_delays(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_sandbox_network(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_api_version(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_docker_gid(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_log_level(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);
void config_read_defaults(
    struct config_reader *r, const struct config_setting_t *s, const struct config_key *k, void *at);

bool config_equal_slug(const void *a, const void *b);
bool config_equal_listen(const void *a, const void *b);
bool config_equal_components(const void *a, const void *b);
bool config_equal_publish(const void *a, const void *b);
bool config_equal_mounts(const void *a, const void *b);
bool config_equal_expect_json(const void *a, const void *b);
bool config_equal_tcp(const void *a, const void *b);
bool config_equal_delays(const void *a, const void *b);
bool config_equal_int(const void *a, const void *b);
bool config_equal_string(const void *a, const void *b);

void config_listen_free(struct config_proxy *p);
void config_ports_free(struct config_gateway *g);
void config_mounts_free(struct config_gateway *g);
void config_health_free(struct config_health *h);
void config_gateway_free(struct config_gateway *g);
void config_components_free(struct config_tenant *t);
const char *config_check_component(const char *v);
