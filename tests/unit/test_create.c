/* test_create.c: create bodies: each row of the policy with a value that only this row refuses, the limits
 * that are forced, what stock command lines send, and the comparison of the engine's answer with the model.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>

#include "filter/create.h"
#include "filter_fixture.h"

static int parse(const struct policy *p, const char *text, struct create_model **m, struct refusal *r)
{
    _cleanup_json_ json_t *body = fixture_json(text);

    return create_parse(p, "box", body, m, r);
}

/* The model of a HostConfig beside an Image; the test fails unless it is accepted. */
static struct create_model *accept(const struct policy *p, const char *host)
{
    struct create_model *m = NULL;
    struct refusal r = {0};
    char text[2048];

    (void)snprintf(text, sizeof(text), "{\"Image\":\"img\",\"HostConfig\":{%s}}", host);
    cr_assert_eq(parse(p, text, &m, &r), 0, "%s: %s", host, r.reason);
    return m;
}

static json_t *rendered(struct create_model *m, unsigned minor)
{
    _cleanup_free_ char *text = NULL;
    char staged[64];

    cr_assert_eq(create_set_image(m, FIXTURE_IMAGE), 0);
    for (size_t i = 0; i < m->n_binds; i++) {
        (void)snprintf(staged, sizeof(staged), "/run/clawsup/.supervisor/staging/a/%zu", i);
        cr_assert_eq(create_set_staged(m, i, staged), 0);
    }
    cr_assert_eq(create_render(m, minor, &text), 0);
    return fixture_json(text);
}

/* ---------------------------------------------------------------- one row per rule */
struct row {
    char top[256];  /* members of the body beside Image and HostConfig */
    char host[256]; /* members of HostConfig */
    int status;
    char rule[64];
};

#define BIND "\"Binds\":"
#define MOUNT(x) "\"Mounts\":[{" x "}]"
static struct row rows[] = {
    /* HostConfig's fields at the top level */
    {"\"Privileged\":true", "", 403, "create.Privileged"},
    {"\"Binds\":[\"/:/h\"]", "", 403, "create.Binds"},
    {"\"PidMode\":\"host\"", "", 403, "create.PidMode"},
    {"\"Cpuset\":\"0\"", "", 403, "create.Cpuset"},
    {"\"privileged\":true", "", 400, "create.privileged"},
    {"\"hostconfig\":{\"privileged\":true}", "", 400, "create.hostconfig"},
    {"\"HOSTCONFIG\":null", "", 400, "create.HOSTCONFIG"},
    {"\"HoſtConfig\":{}", "", 400, "create.Ho??tConfig"},
    {"\"Frobnicate\":1", "", 403, "create.Frobnicate"},
    {"\"Caf\\u00e9\":0", "", 400, "create.Caf??"},
    /* Config */
    {"\"Volumes\":{\"/v\":{}}", "", 403, "create.Volumes"},
    {"\"Volumes\":{\"/w\":{},\"/v\":{}}", BIND "[\"/data/tenants/a/workspace:/w\"]", 403, "create.Volumes"},
    {"\"Volumes\":{\"/w\":{\"x\":1}}", BIND "[\"/data/tenants/a/workspace:/w\"]", 403, "create.Volumes"},
    {"\"Volumes\":{\"/w/x\":{}}", BIND "[\"/data/tenants/a/workspace:/w\"]", 403, "create.Volumes"},
    {"\"Volumes\":{\"/w//\":{}}", BIND "[\"/data/tenants/a/workspace:/w\"]", 403, "create.Volumes"},
    {"\"volumes\":{\"/w\":{}}", BIND "[\"/data/tenants/a/workspace:/w\"]", 400, "create.volumes"},
    {"\"Volumes\":[\"/w\"]", BIND "[\"/data/tenants/a/workspace:/w\"]", 400, "create.Volumes"},
    {"\"ExposedPorts\":{\"80/tcp\":{}}", "", 403, "create.ExposedPorts"},
    {"\"OnBuild\":[\"RUN x\"]", "", 403, "create.OnBuild"},
    {"\"NetworkDisabled\":true", "", 403, "create.NetworkDisabled"},
    {"\"ArgsEscaped\":true", "", 403, "create.ArgsEscaped"},
    {"\"MacAddress\":\"02:42:ac:11:00:02\"", "", 403, "create.MacAddress"},
    {"\"Hostname\":\"../../x\"", "", 400, "create.Hostname"},
    {"\"Hostname\":\"a_b\"", "", 400, "create.Hostname"},
    {"\"Hostname\":\"-a\"", "", 400, "create.Hostname"},
    {"\"Hostname\":\"a\\nb\"", "", 400, "create.Hostname"},
    {"\"Domainname\":\"a..b\"", "", 400, "create.Domainname"},
    {"\"WorkingDir\":\"/proc/self/fd/7\"", "", 403, "create.WorkingDir"},
    {"\"WorkingDir\":\"/dev/fd/7\"", "", 403, "create.WorkingDir"},
    {"\"WorkingDir\":\"/a/../proc\"", "", 403, "create.WorkingDir"},
    {"\"WorkingDir\":\"a\"", "", 403, "create.WorkingDir"},
    {"\"User\":\"a b\"", "", 400, "create.User"},
    {"\"User\":\"-x\"", "", 400, "create.User"},
    {"\"User\":\"1000:\"", "", 400, "create.User"},
    {"\"User\":7", "", 400, "create.User"},
    {"\"Env\":[\"=x\"]", "", 400, "create.Env"},
    {"\"Env\":[\"A\\nB=x\"]", "", 400, "create.Env"},
    {"\"Env\":[7]", "", 400, "create.Env"},
    {"\"Env\":\"A=1\"", "", 400, "create.Env"},
    {"\"Cmd\":[1]", "", 400, "create.Cmd"},
    {"\"Cmd\":{}", "", 400, "create.Cmd"},
    {"\"Entrypoint\":[null]", "", 400, "create.Entrypoint"},
    {"\"Shell\":[1]", "", 400, "create.Shell"},
    {"\"Labels\":{\"clawsup.tenant\":\"b\"}", "", 403, "create.Labels"},
    {"\"Labels\":{\"CLAWSUP.Tenant\":\"b\"}", "", 403, "create.Labels"},
    {"\"Labels\":{\"claw\\u017fup.tenant\":\"b\"}", "", 403, "create.Labels"},
    {"\"Labels\":{\"x\":1}", "", 400, "create.Labels"},
    {"\"Labels\":{\"\":\"x\"}", "", 400, "create.Labels"},
    {"\"Labels\":{\"a\\nb\":\"x\"}", "", 400, "create.Labels"},
    {"\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"x\"]}", "", 403, "create.Healthcheck.Test"},
    {"\"Healthcheck\":{\"test\":[\"CMD\",\"x\"]}", "", 400, "create.Healthcheck.test"},
    {"\"StopSignal\":\"KILL;rm\"", "", 400, "create.StopSignal"},
    {"\"StopSignal\":\"65\"", "", 400, "create.StopSignal"},
    {"\"StopTimeout\":61", "", 403, "create.StopTimeout"},
    {"\"StopTimeout\":-1", "", 403, "create.StopTimeout"},
    {"\"StopTimeout\":1.0", "", 400, "create.StopTimeout"},
    {"\"Tty\":1", "", 400, "create.Tty"},
    /* privilege */
    {"", "\"Privileged\":true", 403, "create.HostConfig.Privileged"},
    {"", "\"privileged\":true", 400, "create.HostConfig.privileged"},
    {"", "\"CapAdd\":[\"sys_admin\"]", 403, "create.HostConfig.CapAdd"},
    {"", "\"Capabilities\":[\"CAP_SYS_ADMIN\"]", 403, "create.HostConfig.Capabilities"},
    {"", "\"CapDrop\":[\"a b\"]", 400, "create.HostConfig.CapDrop"},
    {"", "\"SecurityOpt\":[\"seccomp:unconfined\"]", 403, "create.HostConfig.SecurityOpt"},
    {"", "\"SecurityOpt\":[\"seccomp=unconfined\"]", 403, "create.HostConfig.SecurityOpt"},
    {"", "\"SecurityOpt\":[\"seccomp={}\"]", 403, "create.HostConfig.SecurityOpt"},
    {"", "\"SecurityOpt\":[\"no-new-privileges:false\"]", 403, "create.HostConfig.SecurityOpt"},
    {"", "\"SecurityOpt\":[\"label=disable\"]", 403, "create.HostConfig.SecurityOpt"},
    {"", "\"MaskedPaths\":[\"/x\"]", 403, "create.HostConfig.MaskedPaths"},
    {"", "\"ReadonlyPaths\":[\"/x\"]", 403, "create.HostConfig.ReadonlyPaths"},
    {"", "\"GroupAdd\":[\"0\"]", 403, "create.HostConfig.GroupAdd"},
    {"", "\"Devices\":[{\"PathOnHost\":\"/dev/sda\"}]", 403, "create.HostConfig.Devices"},
    {"", "\"DeviceCgroupRules\":[\"b *:* rwm\"]", 403, "create.HostConfig.DeviceCgroupRules"},
    {"", "\"DeviceRequests\":[{\"Count\":-1}]", 403, "create.HostConfig.DeviceRequests"},
    {"", "\"Runtime\":\"evil\"", 403, "create.HostConfig.Runtime"},
    {"", "\"Annotations\":{\"a\":\"b\"}", 403, "create.HostConfig.Annotations"},
    {"", "\"Isolation\":\"process\"", 403, "create.HostConfig.Isolation"},
    {"", "\"Sysctls\":{\"kernel.shmmax\":\"1\"}", 403, "create.HostConfig.Sysctls"},
    /* namespaces */
    {"", "\"PidMode\":\"host\"", 403, "create.HostConfig.PidMode"},
    {"", "\"PidMode\":\"container:openclaw-sbx-b-v\"", 403, "create.HostConfig.PidMode"},
    {"", "\"IpcMode\":\"host\"", 403, "create.HostConfig.IpcMode"},
    {"", "\"IpcMode\":\"shareable\"", 403, "create.HostConfig.IpcMode"},
    {"", "\"UTSMode\":\"host\"", 403, "create.HostConfig.UTSMode"},
    {"", "\"UsernsMode\":\"host\"", 403, "create.HostConfig.UsernsMode"},
    {"", "\"CgroupnsMode\":\"host\"", 403, "create.HostConfig.CgroupnsMode"},
    /* network */
    {"", "\"NetworkMode\":\"host\"", 403, "create.HostConfig.NetworkMode"},
    {"", "\"NetworkMode\":\"container:openclaw-sbx-b-v\"", 403, "create.HostConfig.NetworkMode"},
    {"", "\"NetworkMode\":\"clawsup-net-b\"", 403, "create.HostConfig.NetworkMode"},
    {"", "\"NetworkMode\":\"1111\"", 403, "create.HostConfig.NetworkMode"},
    {"\"NetworkingConfig\":{\"EndpointsConfig\":{\"clawsup-net-b\":{}}}", "\"NetworkMode\":\"none\"", 403,
        "create.EndpointsConfig"},
    {"\"NetworkingConfig\":{\"EndpointsConfig\":{\"host\":{}}}", "", 403, "create.EndpointsConfig"},
    {"\"NetworkingConfig\":{\"EndpointsConfig\":{\"none\":{\"Aliases\":[\"v\"]}}}",
        "\"NetworkMode\":\"none\"", 403, "create.EndpointsConfig.Aliases"},
    {"\"NetworkingConfig\":{\"EndpointsConfig\":{\"none\":{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.2\"}}}}",
        "\"NetworkMode\":\"none\"", 403, "create.EndpointsConfig.IPAMConfig"},
    {"\"NetworkingConfig\":{\"EndpointsConfig\":{\"none\":{\"aliases\":[\"v\"]}}}",
        "\"NetworkMode\":\"none\"", 400, "create.EndpointsConfig.aliases"},
    {"\"NetworkingConfig\":{\"EndpointsConfig\":{\"none\":{},\"default\":{}}}", "\"NetworkMode\":\"none\"",
        403, "create.NetworkingConfig.EndpointsConfig"},
    {"\"NetworkingConfig\":{\"EndpointsConfig\":{\"bridge\":{}}}", "\"NetworkMode\":\"none\"", 403,
        "create.EndpointsConfig"},
    {"", "\"PortBindings\":{\"80/tcp\":[{}]}", 403, "create.HostConfig.PortBindings"},
    {"", "\"PublishAllPorts\":true", 403, "create.HostConfig.PublishAllPorts"},
    {"", "\"Links\":[\"openclaw-sbx-b-v:v\"]", 403, "create.HostConfig.Links"},
    {"", "\"Dns\":[\"1.1.1.1\"]", 403, "create.HostConfig.Dns"},
    {"", "\"DnsOptions\":[\"x\"]", 403, "create.HostConfig.DnsOptions"},
    {"", "\"DnsSearch\":[\"x\"]", 403, "create.HostConfig.DnsSearch"},
    {"", "\"ExtraHosts\":[\"h:10.0.0.1\\n10.0.0.2 other\"]", 403, "create.HostConfig.ExtraHosts"},
    /* limits */
    {"", "\"CgroupParent\":\"/../../x\"", 403, "create.HostConfig.CgroupParent"},
    {"", "\"Cgroup\":\"x\"", 403, "create.HostConfig.Cgroup"},
    {"", "\"Memory\":4096", 400, "create.HostConfig.Memory"},
    {"", "\"Memory\":1e9", 400, "create.HostConfig.Memory"},
    {"", "\"MemorySwap\":\"1g\"", 400, "create.HostConfig.MemorySwap"},
    {"", "\"MemorySwappiness\":60", 403, "create.HostConfig.MemorySwappiness"},
    {"", "\"NanoCpus\":1000000,\"CpuQuota\":1000", 400, "create.HostConfig.NanoCpus"},
    {"", "\"NanoCPUs\":1000000000", 400, "create.HostConfig.NanoCPUs"},
    {"", "\"CpuPeriod\":1000001,\"CpuQuota\":1000", 400, "create.HostConfig.CpuPeriod"},
    {"", "\"CpuShares\":2048", 403, "create.HostConfig.CpuShares"},
    {"", "\"CpuRealtimePeriod\":1", 403, "create.HostConfig.CpuRealtimePeriod"},
    {"", "\"CpuRealtimeRuntime\":1", 403, "create.HostConfig.CpuRealtimeRuntime"},
    {"", "\"CpusetCpus\":\"0\"", 403, "create.HostConfig.CpusetCpus"},
    {"", "\"CpusetMems\":\"0\"", 403, "create.HostConfig.CpusetMems"},
    {"", "\"CpuCount\":1", 403, "create.HostConfig.CpuCount"},
    {"", "\"CpuPercent\":1", 403, "create.HostConfig.CpuPercent"},
    {"", "\"IOMaximumIOps\":1", 403, "create.HostConfig.IOMaximumIOps"},
    {"", "\"IOMaximumBandwidth\":1", 403, "create.HostConfig.IOMaximumBandwidth"},
    {"", "\"BlkioWeight\":10", 403, "create.HostConfig.BlkioWeight"},
    {"", "\"BlkioWeightDevice\":[{}]", 403, "create.HostConfig.BlkioWeightDevice"},
    {"", "\"BlkioDeviceReadBps\":[{}]", 403, "create.HostConfig.BlkioDeviceReadBps"},
    {"", "\"BlkioDeviceWriteBps\":[{}]", 403, "create.HostConfig.BlkioDeviceWriteBps"},
    {"", "\"BlkioDeviceReadIOps\":[{}]", 403, "create.HostConfig.BlkioDeviceReadIOps"},
    {"", "\"BlkioDeviceWriteIOps\":[{}]", 403, "create.HostConfig.BlkioDeviceWriteIOps"},
    {"", "\"PidsLimit\":\"1\"", 400, "create.HostConfig.PidsLimit"},
    {"", "\"OomKillDisable\":true", 403, "create.HostConfig.OomKillDisable"},
    {"", "\"OomScoreAdj\":-1", 403, "create.HostConfig.OomScoreAdj"},
    {"", "\"OomScoreAdj\":1001", 403, "create.HostConfig.OomScoreAdj"},
    {"", "\"Ulimits\":[{\"Name\":\"bogus\",\"Soft\":1,\"Hard\":1}]", 400, "create.HostConfig.Ulimits"},
    {"", "\"Ulimits\":[{\"Name\":\"core\"},{\"Name\":\"core\"}]", 400, "create.HostConfig.Ulimits"},
    {"", "\"Ulimits\":[{\"Name\":\"nofile\",\"Hard\":-2}]", 400, "create.Ulimits.Hard"},
    {"", "\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":-2}]", 400, "create.Ulimits.Soft"},
    {"", "\"StorageOpt\":{\"size\":\"100G\"}", 403, "create.HostConfig.StorageOpt"},
    {"", "\"LogConfig\":{\"Type\":\"syslog\"}", 403, "create.LogConfig.Type"},
    {"", "\"RestartPolicy\":{\"Name\":\"always\"}", 403, "create.RestartPolicy.Name"},
    {"", "\"ContainerIDFile\":\"/x\"", 403, "create.HostConfig.ContainerIDFile"},
    {"", "\"ConsoleSize\":[1]", 400, "create.HostConfig.ConsoleSize"},
    {"", "\"ConsoleSize\":[1,20000]", 403, "create.HostConfig.ConsoleSize"},
    {"", "\"Frobnicate\":true", 403, "create.HostConfig.Frobnicate"},
    /* mounts */
    {"", "\"VolumesFrom\":[\"openclaw-sbx-b-v\"]", 403, "create.HostConfig.VolumesFrom"},
    {"", "\"VolumeDriver\":\"local\"", 403, "create.HostConfig.VolumeDriver"},
    {"", BIND "[\"/:/h\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace/../../b/workspace:/w\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspaces:/w\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a:/w\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data//tenants/a/workspace:/w\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace//:/w\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace/./x:/w\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"volume:/w\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"./x:/w\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/w\"]", 400, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:\"]", 400, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/w:ro:x\"]", 400, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/w:rshared\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/w:ro,rw\"]", 400, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/w:\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/proc/x\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/sys\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/dev/x\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/etc/passwd\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:w\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/w/../etc\"]", 403, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/w\",\"/data/tenants/a/sandboxes:/w/\"]", 400,
        "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/work\\nspace:/w\"]", 400, "create.HostConfig.Binds"},
    {"", BIND "[\"/data/tenants/a/workspace:/w\"],\"Tmpfs\":{\"/w\":\"\"}", 400, "create.HostConfig.Tmpfs"},
    {"", MOUNT("\"Type\":\"bind\",\"Source\":\"/etc\",\"Target\":\"/w\""), 403, "create.HostConfig.Mounts"},
    {"",
        MOUNT("\"Type\":\"volume\",\"Target\":\"/"
              "w\",\"VolumeOptions\":{\"DriverConfig\":{\"Name\":\"local\"}}"),
        403, "create.Mounts.VolumeOptions"},
    {"", MOUNT("\"Type\":\"volume\",\"Source\":\"v\",\"Target\":\"/w\""), 403, "create.HostConfig.Mounts"},
    {"", MOUNT("\"Type\":\"image\",\"Source\":\"v\",\"Target\":\"/w\""), 403, "create.HostConfig.Mounts"},
    {"", MOUNT("\"Type\":\"cluster\",\"Source\":\"v\",\"Target\":\"/w\""), 403, "create.HostConfig.Mounts"},
    {"", MOUNT("\"Type\":\"npipe\",\"Source\":\"v\",\"Target\":\"/w\""), 403, "create.HostConfig.Mounts"},
    {"", MOUNT("\"Source\":\"/data/tenants/a/workspace\",\"Target\":\"/w\""), 403,
        "create.HostConfig.Mounts"},
    {"", MOUNT("\"type\":\"bind\",\"Target\":\"/w\""), 400, "create.Mounts.type"},
    {"",
        MOUNT("\"Type\":\"bind\",\"Source\":\"/data/tenants/a/workspace\",\"Target\":\"/w\","
              "\"BindOptions\":{\"Propagation\":\"rshared\"}"),
        403, "create.BindOptions.Propagation"},
    {"",
        MOUNT("\"Type\":\"bind\",\"Source\":\"/data/tenants/a/workspace\",\"Target\":\"/w\","
              "\"BindOptions\":{\"CreateMountpoint\":true}"),
        403, "create.BindOptions.CreateMountpoint"},
    {"", MOUNT("\"Type\":\"tmpfs\",\"Target\":\"/dev/shm\""), 403, "create.HostConfig.Mounts"},
    {"", MOUNT("\"Type\":\"tmpfs\",\"Target\":\"/t\",\"TmpfsOptions\":{\"Mode\":2541}"), 403,
        "create.TmpfsOptions.Mode"},
    {"", MOUNT("\"Type\":\"tmpfs\",\"Target\":\"/t\",\"TmpfsOptions\":{\"Options\":[[\"suid\"]]}"), 403,
        "create.TmpfsOptions.Options"},
    {"", MOUNT("\"Type\":\"tmpfs\",\"Target\":\"/t\",\"TmpfsOptions\":{\"SizeBytes\":-1}"), 400,
        "create.TmpfsOptions.SizeBytes"},
    {"", MOUNT("\"Type\":\"tmpfs\",\"Source\":\"/x\",\"Target\":\"/t\""), 400, "create.HostConfig.Mounts"},
    /* a place that the tenant can turn into a link to /dev */
    {"", BIND "[\"/data/tenants/a/workspace:/w\"],\"Tmpfs\":{\"/w/t\":\"\"}", 403,
        "create.HostConfig.Mounts"},
    {"", BIND "[\"/data/tenants/a/workspace:/w/l\"]", 403, "create.HostConfig.Mounts"},
    {"", BIND "[\"/data/tenants/a/workspace:/w/l\"],\"ReadonlyRootfs\":false", 403,
        "create.HostConfig.Mounts"},
    {"", "\"Tmpfs\":{\"/t\":\"suid\"}", 403, "create.HostConfig.Tmpfs"},
    {"", "\"Tmpfs\":{\"/t\":\"exec,suid,dev\"}", 403, "create.HostConfig.Tmpfs"},
    {"", "\"Tmpfs\":{\"/t\":\"mode=4777\"}", 400, "create.HostConfig.Tmpfs"},
    {"", "\"Tmpfs\":{\"/t\":\"size=50%\"}", 400, "create.HostConfig.Tmpfs"},
    {"", "\"Tmpfs\":{\"/proc\":\"\"}", 403, "create.HostConfig.Tmpfs"},
    {"", "\"Tmpfs\":{\"t\":\"\"}", 403, "create.HostConfig.Tmpfs"},
    {"", "\"Tmpfs\":{\"/t\":1}", 400, "create.HostConfig.Tmpfs"},
};

ParameterizedTestParameters(create, refused)
{
    return cr_make_param_array(struct row, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct row *row, create, refused)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    struct create_model *m = NULL;
    struct refusal r = {0};
    char text[1024];

    (void)snprintf(text, sizeof(text), "{\"Image\":\"img\"%s%s%s%s%s}", *row->top ? "," : "", row->top,
        *row->host ? ",\"HostConfig\":{" : "", row->host, *row->host ? "}" : "");
    int rc = parse(p, text, &m, &r);
    cr_expect_eq(rc, row->status == 400 ? -EINVAL : -EPERM, "%s gave %d %s", text, rc, r.reason);
    cr_expect_eq(r.status, row->status, "%s gave %d %s", text, r.status, r.reason);
    cr_expect_str_eq(r.rule, row->rule, "%s", text);
    /* Refused by its own row, not because the row is gone. */
    cr_expect_eq(strstr(r.reason, "not a known field") != NULL, strstr(row->rule, "Frobnicate") != NULL, "%s",
        r.reason);
    cr_expect_null(m);
}

/* ---------------------------------------------------------------- body and image */
Test(create, body_must_be_an_object_with_an_allowlisted_image)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    static const struct {
        const char *text;
        int status;
    } cases[] = {{"[]", 400}, {"{}", 400}, {"{\"Image\":\"\"}", 400}, {"{\"Image\":\"other\"}", 403},
        {"{\"Image\":\"2222\"}", 403}, {"{\"Image\":\"img:other\"}", 403}, {"{\"Image\":\"img:latest\"}", 0},
        {"{\"Image\":\"img\",\"HostConfig\":null}", 0}, {"{\"Image\":\"img\",\"HostConfig\":[1]}", 400}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_create_model_ struct create_model *m = NULL;
        struct refusal r = {0};

        (void)!parse(p, cases[i].text, &m, &r);
        cr_expect_eq(r.status, cases[i].status, "%s: %d %s", cases[i].text, r.status, r.reason);
        cr_expect_eq(m != NULL, cases[i].status == 0);
    }
}

Test(create, counts_and_sizes_have_caps)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    static const struct {
        const char *key;
        size_t n;
        bool labels;
    } cases[] = {{"Env", 513, false}, {"Cmd", 1025, false}, {"Labels", 129, true}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ json_t *body = json_pack("{s:s}", "Image", "img");
        json_t *v = cases[i].labels ? json_object() : json_array();
        struct create_model *m = NULL;
        struct refusal r = {0};
        char text[24];

        for (size_t k = 0; k < cases[i].n; k++) {
            (void)snprintf(text, sizeof(text), "A%zu", k);
            if (cases[i].labels)
                json_object_set_new(v, text, json_string("x"));
            else
                json_array_append_new(v, json_string(text));
        }
        json_object_set_new(body, cases[i].key, v);
        cr_expect_eq(create_parse(p, "box", body, &m, &r), -EFBIG, "%s", cases[i].key);
        cr_expect_eq(r.status, 413);
    }
}

Test(create, binds_have_a_count_cap)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *body = fixture_json("{\"Image\":\"img\",\"HostConfig\":{\"Binds\":[]}}");
    json_t *binds = json_object_get(json_object_get(body, "HostConfig"), "Binds");
    struct create_model *m = NULL;
    struct refusal r = {0};
    char text[64];

    for (int i = 0; i <= CREATE_MOUNTS_MAX; i++) {
        (void)snprintf(text, sizeof(text), "/data/tenants/a/workspace:/w%d", i);
        json_array_append_new(binds, json_string(text));
    }
    cr_expect_eq(create_parse(p, "box", body, &m, &r), -EFBIG);
}

/* Docker's Python library repeats there the targets of its binds. */
Test(create, volumes_may_repeat_mount_targets_and_are_not_written)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m = NULL;
    struct refusal r = {0};

    cr_assert_eq(parse(p,
                     "{\"Image\":\"img\",\"Volumes\":{\"/w/\":{},\"/t\":null},\"HostConfig\":{\"Binds\":["
                     "\"/data/tenants/a/workspace:/w:rw\"],\"Tmpfs\":{\"/t\":\"\"}}}",
                     &m, &r),
        0, "%s", r.reason);
    _cleanup_json_ json_t *o = rendered(m, 41);
    cr_expect_null(json_object_get(o, "Volumes"));
    cr_expect_eq(json_array_size(json_object_get(json_object_get(o, "HostConfig"), "Mounts")), 1);
}

/* What the image declares becomes a volume unless a mount is there. */
Test(create, volumes_of_the_image)
{
    static const struct {
        const char *config;
        int r;
    } rows[] = {{"{}", 0}, {"{\"Config\":null}", 0}, {"{\"Config\":{\"Volumes\":null}}", 0},
        {"{\"Config\":{\"Volumes\":{}}}", 0}, {"{\"Config\":{\"Volumes\":{\"/t\":{},\"/w/\":{}}}}", 0},
        {"{\"Config\":{\"Volumes\":{\"/t\":{},\"/data\":{}}}}", -EPERM},
        {"{\"Config\":{\"Volumes\":{\"/t/sub\":{}}}}", -EPERM},
        /* inside another bind: no mount of the engine's own */
        {"{\"Config\":{\"Volumes\":{\"/w/skills\":{}}}}", -EPERM}};
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m =
        accept(p, BIND "[\"/data/tenants/a/workspace:/w\",\"/data/tenants/a/sandboxes:/w/skills\"],"
                       "\"Tmpfs\":{\"/t\":\"\"}");

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_json_ json_t *image = fixture_json(rows[i].config);
        struct refusal r = {0};

        cr_expect_eq(create_check_image(m, image, &r), rows[i].r, "%s", rows[i].config);
        cr_expect_eq(r.status, rows[i].r ? 403 : 0);
    }
}

/* ---------------------------------------------------------------- forced values */
Test(create, limits_are_forced_when_unset_unlimited_or_too_high)
{
    static const char *const hosts[] = {"", "\"PidsLimit\":-1,\"Memory\":0,\"MemorySwap\":-1",
        "\"PidsLimit\":100000,\"Memory\":99999999999,\"NanoCpus\":64000000000,\"ShmSize\":99999999999",
        "\"PidsLimit\":0,\"Memory\":-1,\"NanoCpus\":-5,\"ShmSize\":-1",
        "\"CpuQuota\":9223372036854775807,\"CpuPeriod\":1000"};
    _cleanup_policy_ struct policy *p = fixture_policy();

    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        _cleanup_create_model_ struct create_model *m = accept(p, hosts[i]);
        _cleanup_json_ json_t *o = rendered(m, 41);
        const json_t *h = json_object_get(o, "HostConfig");

        cr_expect_eq(json_integer_value(json_object_get(h, "Memory")), 1073741824);
        cr_expect_eq(json_integer_value(json_object_get(h, "MemorySwap")), 1073741824);
        cr_expect_eq(json_integer_value(json_object_get(h, "NanoCpus")), 1000000000);
        cr_expect_eq(json_integer_value(json_object_get(h, "PidsLimit")), 256);
        cr_expect_eq(json_integer_value(json_object_get(h, "ShmSize")), 67108864);
    }
}

Test(create, smaller_wishes_are_kept)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m = accept(p,
        "\"Memory\":67108864,\"MemoryReservation\":33554432,\"MemorySwap\":999999999999,\"PidsLimit\":10,"
        "\"CpuQuota\":50000,\"ShmSize\":1048576,\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":10,\"Hard\":20},"
        "{\"Name\":\"nproc\",\"Soft\":-1,\"Hard\":-1}]");

    cr_expect_eq(m->memory_bytes, 67108864);
    cr_expect_eq(m->memory_reservation, 33554432);
    cr_expect_eq(m->nano_cpus, 500000000);
    cr_expect_eq(m->pids, 10);
    cr_expect_eq(m->shm_bytes, 1048576);
    _cleanup_json_ json_t *want =
        fixture_json("[{\"Name\":\"nofile\",\"Soft\":10,\"Hard\":20},"
                     "{\"Name\":\"nproc\",\"Soft\":65536,\"Hard\":65536},"
                     "{\"Name\":\"core\",\"Soft\":0,\"Hard\":0},"
                     "{\"Name\":\"fsize\",\"Soft\":68719476736,\"Hard\":68719476736}]");
    cr_expect(json_equal(m->ulimits, want), "%s", json_dumps(m->ulimits, 0));
}

/* The whole body for a plain wish, key by key: what must be there, and nothing that must never be. */
Test(create, rendered_body_is_exactly_the_cage)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m =
        accept(p, BIND "[\"/data/tenants/a/workspace/x/:/w:ro,Z\"],\"MaskedPaths\":[],\"ReadonlyPaths\":[]");
    _cleanup_json_ json_t *got = rendered(m, 41);
    _cleanup_json_ json_t *want = fixture_file("create-rendered.json");

    cr_expect(json_equal(got, want), "%s", json_dumps(got, JSON_INDENT(2)));
}

Test(create, policy_forces_cgroup_runtime_readonly_and_profile)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    p->cgroup_parent = strdup("clawsup-a.slice");
    p->runtime = strdup("runsc");
    p->readonly_rootfs = true;
    cr_assert_eq(policy_list_add(&p->security_opt, "apparmor=clawsup"), 0);
    cr_assert_eq(policy_list_add(&p->cap_keep, "CHOWN"), 0);
    cr_assert_eq(policy_list_add(&p->cap_keep, "KILL"), 0);
    _cleanup_create_model_ struct create_model *m =
        accept(p, "\"Runtime\":\"runsc\",\"CgroupParent\":\"clawsup-a.slice\",\"CapDrop\":[\"cap_kill\"],"
                  "\"SecurityOpt\":[\"apparmor=clawsup\",\"no-new-privileges:true\"]");
    _cleanup_json_ json_t *o = rendered(m, 41);
    const json_t *h = json_object_get(o, "HostConfig");
    _cleanup_json_ json_t *opts = fixture_json("[\"no-new-privileges\",\"apparmor=clawsup\"]");
    _cleanup_json_ json_t *add = fixture_json("[\"CAP_CHOWN\"]");
    _cleanup_json_ json_t *drop = fixture_json("[\"ALL\"]");

    cr_expect_str_eq(json_string_value(json_object_get(h, "CgroupParent")), "clawsup-a.slice");
    cr_expect_str_eq(json_string_value(json_object_get(h, "Runtime")), "runsc");
    cr_expect(json_is_true(json_object_get(h, "ReadonlyRootfs")));
    cr_expect(json_equal(json_object_get(h, "SecurityOpt"), opts));
    cr_expect(json_equal(json_object_get(h, "CapAdd"), add));
    cr_expect(json_equal(json_object_get(h, "CapDrop"), drop));

    _cleanup_create_model_ struct create_model *all = accept(p, "\"CapDrop\":[\"ALL\"]");
    cr_expect_eq(json_array_size(all->cap_add), 0, "what the client drops is not kept");
}

Test(create, users_of_the_policy)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    struct refusal r = {0};
    cr_assert_eq(policy_list_add(&p->users, "1000:1000"), 0);
    _cleanup_create_model_ struct create_model *m = accept(p, "");
    cr_expect_str_eq(m->user, "1000:1000");

    struct create_model *none = NULL;
    cr_expect_eq(parse(p, "{\"Image\":\"img\",\"User\":\"0\"}", &none, &r), -EPERM);
    cr_expect_str_eq(r.rule, "create.User");
    _cleanup_create_model_ struct create_model *empty = NULL;
    cr_expect_eq(parse(p, "{\"Image\":\"img\",\"User\":\"\"}", &empty, &r), 0);
    cr_expect_str_eq(empty->user, "1000:1000");
}

Test(create, labels_are_ours)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m = NULL;
    struct refusal r = {0};
    cr_assert_eq(parse(p,
                     "{\"Image\":\"img\",\"Labels\":{\"x\":\"y\",\"clawsup.tenant\":\"a\",\"Clawsup.Role\":"
                     "\"gateway\","
                     "\"clawsup.binds\":\"[1]\",\"claw\\u017fup.name\":\"z\"}}",
                     &m, &r),
        0, "%s", r.reason);
    _cleanup_json_ json_t *o = rendered(m, 41);
    _cleanup_json_ json_t *want = fixture_json(
        "{\"x\":\"y\",\"clawsup.tenant\":\"a\",\"clawsup.role\":\"sandbox\",\"clawsup.name\":\"box\","
        "\"clawsup.image\":\"img\",\"clawsup.binds\":\"[]\"}");
    cr_expect(json_equal(json_object_get(o, "Labels"), want), "%s", json_dumps(o, 0));
}

Test(create, what_lists_repeat_has_a_cap)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    static const struct {
        const char *key, *fill;
        size_t fits, over;
    } cases[] = {{"Cmd", "a", 65000, 65600}, {"Cmd", "\"", 32000, 33000}, {"Cmd", "\n", 10000, 11000},
        {"Entrypoint", "a", 65000, 65600}, {"Labels", "a", 16300, 16382}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (int over = 0; over < 2; over++) {
            _cleanup_create_model_ struct create_model *m = NULL;
            _cleanup_json_ json_t *body = json_pack("{s:s}", "Image", "img");
            size_t n = over ? cases[i].over : cases[i].fits;
            struct refusal r = {0};
            char *text = malloc(n + 1);

            cr_assert_not_null(text);
            memset(text, *cases[i].fill, n);
            text[n] = '\0';
            (void)json_object_set_new(body, cases[i].key,
                strcmp(cases[i].key, "Labels") == 0
                    ? json_pack("{s:s, s:s, s:s, s:s}", "a", text, "b", text, "c", text, "d", text)
                    : json_pack("[s]", text));
            free(text);
            cr_expect_eq(create_parse(p, "box", body, &m, &r), over ? -EFBIG : 0, "%s %zu: %s", cases[i].key,
                n, r.reason);
            cr_expect_eq(r.status, over ? 413 : 0);
        }
}

/* ---------------------------------------------------------------- mounts */
Test(create, binds_become_mounts_with_staged_sources)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m = accept(p,
        BIND "[\"/data/tenants/a/workspace:/w:z\",\"/data/tenants/a/sandboxes/1/s:/s:rprivate,ro,Z\"]," MOUNT(
            "\"Type\":\"bind\",\"Source\":\"/data/tenants/a/workspace/sub\",\"Target\":\"/m\","
            "\"ReadOnly\":true,\"BindOptions\":{\"Propagation\":\"rprivate\"}"));
    _cleanup_free_ char *text = NULL;

    cr_assert_eq(m->n_binds, 3);
    cr_expect_str_eq(m->binds[0].root, "/data/tenants/a/workspace");
    cr_expect_eq(m->binds[0].relabel, 'z');
    cr_expect_not(m->binds[0].readonly);
    cr_expect_str_eq(m->binds[1].root, "/data/tenants/a/sandboxes");
    cr_expect_str_eq(m->binds[1].source, "/data/tenants/a/sandboxes/1/s");
    cr_expect(m->binds[1].readonly);
    cr_expect(m->binds[2].readonly);
    cr_assert_eq(create_set_image(m, FIXTURE_IMAGE), 0);
    cr_expect_eq(create_render(m, 41, &text), -ENODATA, "an unstaged source is never rendered");
    cr_expect_eq(create_set_staged(m, 3, "/x"), -EINVAL);
    cr_expect_eq(create_set_staged(m, 0, "/x/../y"), -EINVAL);
    cr_expect_eq(create_set_staged(m, 0, "/"), -EINVAL);

    _cleanup_json_ json_t *o = rendered(m, 41);
    const json_t *h = json_object_get(o, "HostConfig"),
                 *one = json_array_get(json_object_get(h, "Mounts"), 1);
    _cleanup_json_ json_t *want = fixture_json(
        "{\"Type\":\"bind\",\"Source\":\"/run/clawsup/.supervisor/staging/a/1\",\"Target\":\"/s\","
        "\"ReadOnly\":true,\"BindOptions\":{\"Propagation\":\"rprivate\"}}");
    cr_expect(json_equal(one, want));
    cr_expect_null(json_object_get(h, "Binds"));
}

Test(create, a_bind_inside_another_is_no_mount_of_the_engines)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m =
        accept(p, BIND "[\"/data/tenants/a/workspace/s/deep:/w/s/d:ro,z\",\"/data/tenants/a/sandboxes:/wx\","
                       "\"/data/tenants/a/workspace/s:/w/s\",\"/data/tenants/a/workspace:/w:ro\"]");
    _cleanup_free_ char *path = NULL, *deep = NULL, *text = NULL;
    struct create_bind *b = NULL;
    size_t n = 0;

    cr_assert_eq(m->n_binds, 4);
    cr_expect_str_eq(m->binds[0].target, "/w");
    cr_expect_str_eq(m->binds[1].target, "/wx");
    cr_expect_str_eq(m->binds[2].target, "/w/s");
    cr_expect_str_eq(m->binds[3].target, "/w/s/d");
    cr_expect_eq(m->binds[0].inside, 0);
    cr_expect_eq(m->binds[1].inside, 0);
    cr_expect_eq(m->binds[2].inside, 1);
    cr_expect_eq(m->binds[3].inside, 3);
    cr_assert_eq(create_set_image(m, FIXTURE_IMAGE), 0);
    cr_assert_eq(create_set_staged(m, 0, "/staging/7"), 0);
    cr_assert_eq(create_set_staged(m, 1, "/staging/8"), 0);
    cr_expect_eq(create_render(m, 41, &text), -ENODATA, "the inner ones are staged too");
    path = create_binds_path(m->binds, 2);
    cr_expect_str_eq(path, "/staging/7/s");
    cr_assert_eq(create_set_staged(m, 2, path), 0);
    deep = create_binds_path(m->binds, 3);
    cr_expect_str_eq(deep, "/staging/7/s/d");
    cr_assert_eq(create_set_staged(m, 3, deep), 0);
    cr_assert_eq(create_render(m, 41, &text), 0);

    _cleanup_json_ json_t *o = fixture_json(text);
    const json_t *mounts = json_object_get(json_object_get(o, "HostConfig"), "Mounts");
    cr_assert_eq(json_array_size(mounts), 2);
    cr_expect_str_eq(json_string_value(json_object_get(json_array_get(mounts, 0), "Target")), "/w");
    cr_expect_str_eq(json_string_value(json_object_get(json_array_get(mounts, 1), "Target")), "/wx");
    cr_assert_eq(create_binds_from_labels(json_object_get(o, "Labels"), &b, &n), 0);
    cr_assert_eq(n, 4);
    cr_expect_eq(b[3].inside, 3);
    cr_expect_str_eq(b[3].staged, "/staging/7/s/d");
    cr_expect(b[3].readonly);
    create_binds_free(b, n);
}

Test(create, a_bind_may_lie_deep_in_a_root_that_nobody_can_change)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m =
        accept(p, "\"ReadonlyRootfs\":true,\"Tmpfs\":{\"/w\":\"\"}," BIND
                  "[\"/data/tenants/a/workspace:/w/l\",\"/data/tenants/a/sandboxes:/w/lm\"]");

    cr_expect_eq(m->n_binds, 2);
    p->readonly_rootfs = true;
    _cleanup_create_model_ struct create_model *forced =
        accept(p, BIND "[\"/data/tenants/a/workspace:/home/user/w\"]");
    cr_expect(forced->readonly_rootfs);
}

Test(create, binds_label_round_trip)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m =
        accept(p, BIND "[\"/data/tenants/a/workspace/x:/w:ro,z\"]");
    _cleanup_json_ json_t *o = rendered(m, 41);
    struct create_bind *b = NULL;
    size_t n = 0;

    cr_assert_eq(create_binds_from_labels(json_object_get(o, "Labels"), &b, &n), 0);
    cr_assert_eq(n, 1);
    cr_expect_str_eq(b[0].source, "/data/tenants/a/workspace/x");
    cr_expect_str_eq(b[0].root, "/data/tenants/a/workspace");
    cr_expect_str_eq(b[0].staged, "/run/clawsup/.supervisor/staging/a/0");
    cr_expect_str_eq(b[0].target, "/w");
    cr_expect(b[0].readonly);
    cr_expect_eq(b[0].relabel, 'z');
    create_binds_free(b, n);

    static const char *const bad[] = {"{\"clawsup.binds\":\"x\"}", "{\"clawsup.binds\":\"{}\"}",
        "{\"clawsup.binds\":\"[{}]\"}",
        "{\"clawsup.binds\":\"[{\\\"source\\\":\\\"/b\\\",\\\"root\\\":\\\"/a\\\",\\\"staged\\\":\\\"\\\","
        "\\\"target\\\":\\\"/w\\\",\\\"readonly\\\":true,\\\"relabel\\\":\\\"\\\"}]\"}"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_json_ json_t *labels = fixture_json(bad[i]);
        cr_expect_eq(create_binds_from_labels(labels, &b, &n), -EBADMSG, "%s", bad[i]);
        cr_expect_null(b);
    }
    _cleanup_json_ json_t *none = fixture_json("{}");
    cr_expect_eq(create_binds_from_labels(none, &b, &n), 0);
    cr_expect_eq(n, 0);
}

struct tmpfs_row {
    char in[64], want[96];
};
ParameterizedTestParameters(create, tmpfs)
{
    static struct tmpfs_row cases[] = {
        {"", "rw,nosuid,nodev,noexec,size=268435456,mode=1777"},
        {"rw,noexec,nosuid,size=64m", "rw,nosuid,nodev,noexec,size=67108864,mode=1777"},
        {"exec,size=1K,mode=0700,uid=1000,gid=0", "rw,nosuid,nodev,exec,size=1024,mode=700,uid=1000,gid=0"},
        {"size=100g", "rw,nosuid,nodev,noexec,size=268435456,mode=1777"},
        {"size=0", "rw,nosuid,nodev,noexec,size=268435456,mode=1777"},
        {"exec,noexec", "rw,nosuid,nodev,noexec,size=268435456,mode=1777"},
    };
    return cr_make_param_array(struct tmpfs_row, cases, ARRAY_SIZE(cases));
}
ParameterizedTest(struct tmpfs_row *row, create, tmpfs)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    char host[128];

    (void)snprintf(host, sizeof(host), "\"Tmpfs\":{\"/t\":\"%s\"}", row->in);
    _cleanup_create_model_ struct create_model *m = accept(p, host);
    _cleanup_json_ json_t *o = rendered(m, 41);
    cr_expect_str_eq(
        json_string_value(json_object_get(json_object_get(json_object_get(o, "HostConfig"), "Tmpfs"), "/t")),
        row->want);
}

/* ---------------------------------------------------------------- network */
Test(create, network_is_none_or_the_tenants_own)
{
    _cleanup_policy_ struct policy *p = fixture_policy(), *q = fixture_policy();
    static const char *const open[] = {
        "", "\"NetworkMode\":\"default\"", "\"NetworkMode\":\"bridge\"", "\"NetworkMode\":\"\""};
    fixture_network(q);

    for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
        _cleanup_create_model_ struct create_model *m = accept(p, open[i]), *n = accept(q, open[i]);
        _cleanup_json_ json_t *o = rendered(m, 41), *w = rendered(n, 41);
        _cleanup_json_ json_t *none = fixture_json("{\"EndpointsConfig\":{}}");
        _cleanup_json_ json_t *own = fixture_json("{\"EndpointsConfig\":{\"" FIXTURE_NETWORK "\":{}}}");

        cr_expect_null(m->network_id, "%s", open[i]);
        cr_expect(json_equal(json_object_get(o, "NetworkingConfig"), none));
        cr_expect_str_eq(n->network_id, FIXTURE_NETWORK, "%s", open[i]);
        cr_expect_str_eq(json_string_value(json_object_get(json_object_get(w, "HostConfig"), "NetworkMode")),
            FIXTURE_NETWORK);
        cr_expect(json_equal(json_object_get(w, "NetworkingConfig"), own));
    }
    _cleanup_create_model_ struct create_model *none = accept(q, "\"NetworkMode\":\"none\"");
    cr_expect_null(none->network_id);
    _cleanup_create_model_ struct create_model *named = accept(q, "\"NetworkMode\":\"clawsup-net-a\"");
    cr_expect_str_eq(named->network_id, FIXTURE_NETWORK);
    _cleanup_create_model_ struct create_model *id = accept(q, "\"NetworkMode\":\"" FIXTURE_NETWORK "\"");
    cr_expect_str_eq(id->network_id, FIXTURE_NETWORK);
}

/* ---------------------------------------------------------------- stock command lines */
struct cli_row {
    char file[48];
    int status;
    char rule[48];
};
ParameterizedTestParameters(create, command_lines)
{
    static struct cli_row cases[] = {
        {"cli/create-2010-min.json", 0, ""},
        {"cli/create-2010-openclaw.json", 0, ""},
        {"cli/create-2010-full.json", 403, "create.HostConfig.Dns"},
        {"cli/create-2010-seccomp.json", 403, "create.HostConfig.SecurityOpt"},
        {"cli/create-2010-run.json", 0, ""},
        {"cli/create-2010-tty.json", 0, ""},
        {"cli/create-2010-publish.json", 403, "create.ExposedPorts"},
        {"cli/create-2010-bridge.json", 0, ""},
        {"cli/create-2010-oom.json", 0, ""},
        {"cli/create-2010-runtty.json", 0, ""},
        {"cli/create-282-min.json", 0, ""},
        {"cli/create-282-openclaw.json", 0, ""},
        {"cli/create-282-full.json", 403, "create.HostConfig.Dns"},
        {"cli/create-282-seccomp.json", 403, "create.HostConfig.SecurityOpt"},
        {"cli/create-282-run.json", 0, ""},
        {"cli/create-282-tty.json", 0, ""},
        {"cli/create-282-publish.json", 403, "create.ExposedPorts"},
        {"cli/create-282-bridge.json", 0, ""},
        {"cli/create-282-oom.json", 0, ""},
        {"cli/create-282-runtty.json", 0, ""},
    };
    return cr_make_param_array(struct cli_row, cases, ARRAY_SIZE(cases));
}
ParameterizedTest(struct cli_row *row, create, command_lines)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *body = fixture_file(row->file);
    _cleanup_create_model_ struct create_model *m = NULL;
    struct refusal r = {0};

    (void)!create_parse(p, "box", body, &m, &r);
    cr_expect_eq(r.status, row->status, "%s: %s %s", row->file, r.rule, r.reason);
    cr_expect_str_eq(r.rule, row->rule, "%s", row->file);
    /* What we write ourselves must pass our own reader: no key that the engine would not know either. */
    if (m) {
        _cleanup_json_ json_t *o = rendered(m, 49);
        cr_expect(json_is_object(json_object_get(o, "HostConfig")));
    }
}

Test(create, the_gateways_own_wish_comes_through)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_json_ json_t *body = fixture_file("cli/create-282-openclaw.json");
    _cleanup_create_model_ struct create_model *m = NULL;
    struct refusal r = {0};

    cr_assert_eq(create_parse(p, "openclaw-sbx-a-1", body, &m, &r), 0, "%s", r.reason);
    cr_expect(m->init && m->init_set && m->readonly_rootfs);
    cr_expect_str_eq(m->workdir, "/workspace");
    cr_expect_eq(m->n_tmpfs, 3);
    cr_expect_eq(m->n_binds, 1);
    cr_expect_eq(json_array_size(m->env), 2);
    cr_expect_eq(json_array_size(m->cmd), 2);
    cr_expect_null(m->entrypoint);
    cr_expect_str_eq(json_string_value(json_object_get(m->labels, "openclaw.sandbox")), "1");
    cr_expect_null(m->network_id);
}

Test(create, console_size_only_where_the_version_knows_it)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m = accept(p, "\"ConsoleSize\":[24,80]");
    _cleanup_json_ json_t *old = rendered(m, 41), *new = rendered(m, 42);

    cr_expect_null(json_object_get(json_object_get(old, "HostConfig"), "ConsoleSize"));
    cr_expect_not_null(json_object_get(json_object_get(new, "HostConfig"), "ConsoleSize"));
}

Test(create, one_string_is_a_command_too)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m = NULL;
    struct refusal r = {0};

    cr_assert_eq(
        parse(p, "{\"Image\":\"img\",\"Cmd\":\"sh\",\"Entrypoint\":\"\"}", &m, &r), 0, "%s", r.reason);
    cr_expect_eq(json_array_size(m->cmd), 1);
    cr_expect_null(m->entrypoint);
}

Test(create, image_ids_are_full)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m = accept(p, "");
    _cleanup_free_ char *text = NULL;

    cr_expect_eq(create_render(m, 41, &text), -ENODATA);
    cr_expect_eq(create_set_image(m, "img"), -EINVAL);
    cr_expect_eq(create_set_image(m, "sha256:2222"), -EINVAL);
    cr_expect_eq(create_set_image(m, FIXTURE_IMAGE), 0);
    cr_expect_eq(create_render(m, 41, &text), 0);
}

/* ---------------------------------------------------------------- rows that differ in their key only */
/* BEFORE "KEY":VALUE AFTER is a body that the row WHERE.KEY refuses with `status`. */
struct key_rows {
    const char *before, *after, *where, *value;
    int status;
    const char *keys[16];
};

static const struct key_rows key_rows[] = {
    {"\"NetworkingConfig\":{\"EndpointsConfig\":{\"default\":{", "}}}", "create.EndpointsConfig", "[1]", 403,
        {"Links", "MacAddress", "DriverOpts", "GwPriority", "NetworkID", "EndpointID", "Gateway", "IPAddress",
            "IPPrefixLen", "IPv6Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "DNSNames"}},
    {"\"HostConfig\":{\"Mounts\":[{\"BindOptions\":{", "}}]}", "create.BindOptions", "true", 403,
        {"NonRecursive", "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"}},
    {"\"HostConfig\":{\"Mounts\":[{", "}]}", "create.Mounts", "{\"x\":1}", 403,
        {"VolumeOptions", "ImageOptions", "ClusterOptions"}},
    {"\"HostConfig\":{\"Mounts\":[{", "}]}", "create.Mounts", "7", 400, {"Consistency", "Type", "Source"}},
    {"\"HostConfig\":{", "}", "create.HostConfig", "\"x\"", 400,
        {"KernelMemory", "KernelMemoryTCP", "AutoRemove", "Init", "LogConfig", "RestartPolicy", "Memory"}},
    {"\"HostConfig\":{\"LogConfig\":{", "}}", "create.LogConfig", "7", 400, {"Config", "Type"}},
    {"\"HostConfig\":{\"RestartPolicy\":{", "}}", "create.RestartPolicy", "\"x\"", 400,
        {"MaximumRetryCount"}},
    {"\"Healthcheck\":{", "}", "create.Healthcheck", "\"x\"", 400,
        {"Interval", "Timeout", "StartPeriod", "StartInterval", "Retries", "Test"}},
    {"", "", "create", "\"x\"", 400,
        {"AttachStdin", "AttachStdout", "AttachStderr", "OpenStdin", "StdinOnce", "Tty"}},
};

Test(create, every_key_has_its_row)
{
    _cleanup_policy_ struct policy *p = fixture_policy();

    for (size_t i = 0; i < ARRAY_SIZE(key_rows); i++)
        for (size_t k = 0; k < ARRAY_SIZE(key_rows[i].keys) && key_rows[i].keys[k]; k++) {
            const struct key_rows *row = &key_rows[i];
            struct create_model *m = NULL;
            struct refusal r = {0};
            char text[256], rule[64];

            (void)snprintf(text, sizeof(text), "{\"Image\":\"img\",%s\"%s\":%s%s}", row->before, row->keys[k],
                row->value, row->after);
            (void)snprintf(rule, sizeof(rule), "%s.%s", row->where, row->keys[k]);
            cr_expect(parse(p, text, &m, &r) < 0, "%s", text);
            cr_expect_eq(r.status, row->status, "%s: %s", text, r.reason);
            cr_expect_str_eq(r.rule, rule, "%s", text);
            cr_expect_null(strstr(r.reason, "not a known field"), "%s", text);
        }
}

Test(create, flags_reach_the_body)
{
    static const char *const top[] = {
        "AttachStdin", "AttachStdout", "AttachStderr", "OpenStdin", "StdinOnce", "Tty"};
    static const char *const host[] = {"AutoRemove", "Init", "ReadonlyRootfs"};
    _cleanup_policy_ struct policy *p = fixture_policy();

    for (size_t i = 0; i < ARRAY_SIZE(top) + ARRAY_SIZE(host); i++) {
        bool is_host = i >= ARRAY_SIZE(top);
        const char *key = is_host ? host[i - ARRAY_SIZE(top)] : top[i];
        _cleanup_create_model_ struct create_model *m = NULL;
        struct refusal r = {0};
        char text[128];

        (void)snprintf(text, sizeof(text), "{\"Image\":\"img\",%s\"%s\":true}%s",
            is_host ? "\"HostConfig\":{" : "", key, is_host ? "}" : "");
        cr_assert_eq(parse(p, text, &m, &r), 0, "%s", r.reason);
        _cleanup_json_ json_t *o = rendered(m, 41);
        cr_expect(
            json_is_true(json_object_get(is_host ? json_object_get(o, "HostConfig") : o, key)), "%s", key);
        for (size_t k = 0; k < ARRAY_SIZE(top); k++)
            if (strcmp(top[k], key) != 0)
                cr_expect(json_is_false(json_object_get(o, top[k])), "%s with %s", top[k], key);
    }
}

Test(create, a_long_list_of_ulimits_is_not_read)
{
    _cleanup_policy_ struct policy *p = fixture_policy();
    _cleanup_create_model_ struct create_model *m = NULL;
    _cleanup_json_ json_t *list = json_array(), *body = NULL;
    struct refusal r = {0};

    for (unsigned i = 0; i < 17; i++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:i}", "Name", "core", "Soft", 0, "Hard", 0));
    body = json_pack("{s:s, s:{s:O}}", "Image", "img", "HostConfig", "Ulimits", list);
    cr_expect_eq(create_parse(p, "box", body, &m, &r), -EFBIG);
    cr_expect_eq(r.status, 413);
}
