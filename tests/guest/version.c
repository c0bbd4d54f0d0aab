/*
 * xen_version, each sub-op of the 4.17 ABI (xen/version.h), and what a bad one gets.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

const char test_title[] = "version";

#define UNMAPPED_VA 0x800000000000ul - 0x1000 /* canonical, no page table */

static bool contains(const char *text, const char *part)
{
    for (size_t n = strlen(part); *text; text++)
        if (!strncmp(text, part, n))
            return true;
    return false;
}

static bool terminated(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!text[i])
            return true;
    return false;
}

static void strings(void)
{
    xen_extraversion_t extra;
    xen_compile_info_t compile;
    xen_capabilities_info_t capabilities;
    xen_changeset_info_t changeset;
    xen_commandline_t commandline;

    memset(&extra, 0xff, sizeof(extra));
    check_eq((uint64_t)xen_version_op(XENVER_extraversion, &extra), 0, "extraversion");
    check(terminated(extra, sizeof(extra)), "extraversion is a string");

    memset(&compile, 0xff, sizeof(compile));
    check_eq((uint64_t)xen_version_op(XENVER_compile_info, &compile), 0, "compile_info");
    check(terminated(compile.compiler, sizeof(compile.compiler)) &&
              terminated(compile.compile_date, sizeof(compile.compile_date)),
          "compile_info holds strings");

    memset(&capabilities, 0, sizeof(capabilities));
    check_eq((uint64_t)xen_version_op(XENVER_capabilities, &capabilities), 0,
             "capabilities");
    print("# capabilities: %s\n", capabilities);
    check(contains(capabilities, "hvm-3.0-x86_64") &&
              contains(capabilities, "hvm-3.0-x86_32 ") &&
              contains(capabilities, "hvm-3.0-x86_32p"),
          "capabilities name the three HVM kinds");

    memset(&changeset, 0xff, sizeof(changeset));
    check_eq((uint64_t)xen_version_op(XENVER_changeset, &changeset), 0, "changeset");
    check(terminated(changeset, sizeof(changeset)), "changeset is a string");

    memset(&commandline, 0xff, sizeof(commandline));
    check_eq((uint64_t)xen_version_op(XENVER_commandline, &commandline), 0,
             "commandline");
    check(terminated(commandline, sizeof(commandline)), "commandline is a string");
}

static void numbers(void)
{
    struct xen_platform_parameters platform = {0};
    struct xen_feature_info features = {.submap_idx = 0};
    xen_domain_handle_t handle;
    long version = xen_version_op(XENVER_version, NULL);

    check_eq((uint64_t)version, env.xen_version, "version is that of CPUID");
    check_eq((uint64_t)version >> 16, 4, "major version");
    check_eq((uint64_t)xen_version_op(XENVER_pagesize, NULL), PAGE_SIZE, "pagesize");
    check_eq((uint64_t)xen_version_op(XENVER_guest_handle, &handle), 0, "guest_handle");
    check_eq((uint64_t)xen_version_op(XENVER_platform_parameters, &platform), 0,
             "platform_parameters");

    check_eq((uint64_t)xen_version_op(XENVER_get_features, &features), 0,
             "get_features 0");
    print("# features: %x\n", features.submap);
    check(features.submap & 1u << XENFEAT_auto_translated_physmap,
          "auto_translated_physmap");
    check(features.submap & 1u << XENFEAT_hvm_callback_vector, "hvm_callback_vector");
    check(features.submap & 1u << XENFEAT_hvm_safe_pvclock, "hvm_safe_pvclock");
    check(features.submap & 1u << XENFEAT_memory_op_vnode_supported,
          "memory_op_vnode_supported");
    check_eq(features.submap >> XENFEAT_dom0 & 1, env.dom0, "the dom0 feature is Dom0's");
    features.submap_idx = 1;
    check_eq((uint64_t)xen_version_op(XENVER_get_features, &features),
             (uint64_t)-XEN_EINVAL, "get_features 1");
}

static void build_id(void)
{
    char buffer[sizeof(xen_build_id_t) + 64];
    xen_build_id_t *id = (void *)buffer;
    long length = xen_version_op(XENVER_build_id, NULL);

    if (length == -XEN_ENODATA) {
        skip("this hypervisor has no build id", "build_id");
        return;
    }
    check(length > 0 && length <= 64, "build_id length %ld", length);
    id->len = 64;
    check_eq((uint64_t)xen_version_op(XENVER_build_id, id), (uint64_t)length, "build_id");
    id->len = 0;
    check_eq((uint64_t)xen_version_op(XENVER_build_id, id), (uint64_t)-XEN_EINVAL,
             "build_id, no room");
    id->len = 1;
    check_eq((uint64_t)xen_version_op(XENVER_build_id, id), (uint64_t)-XEN_ENOBUFS,
             "build_id, too little room");
}

static void errors(void)
{
    void *nowhere = (void *)(UNMAPPED_VA);

    check_eq((uint64_t)xen_version_op(1000, NULL), (uint64_t)-XEN_ENOSYS,
             "unknown sub-op");
    check_eq((uint64_t)xen_version_op(XENVER_extraversion, nowhere),
             (uint64_t)-XEN_EFAULT, "unmapped buffer");
    check_eq((uint64_t)xen_version_op(XENVER_get_features, nowhere),
             (uint64_t)-XEN_EFAULT, "unmapped argument");
}

void test_main(void)
{
    if (!env.xen) {
        skip("no Xen here", "xen_version");
        return;
    }
    numbers();
    strings();
    build_id();
    errors();
}
