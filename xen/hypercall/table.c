/* Who may make which hypercall: the one table. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A hypercall or sub-op that is not here does not exist: -ENOSYS. What is here is checked
 * before its handler runs, or, where the sub-op or the target is in the caller's memory,
 * as the first thing that the handler does with its copy (hcall_check, hcall_target). The
 * meaning of each right is in abi.h. The numbers and what stock Xen 4.17 answers an HVM
 * caller are the source. Missing as in a Xen that was built without them: argo, hypfs,
 * XSM. Missing because HVM guests have no use for them: what is for PV guests only.
 */
#include "hypercall/abi.h"
#include "hypercall/table.h"
#include <xen/domctl.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/dm_op.h>
#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/pmu.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>
#include <xen/version.h>

static const uint8_t who_single[] = {WHO_ANY};

static const uint8_t who_memory_op[] = {
    [XENMEM_increase_reservation] = WHO_TARGET,
    [XENMEM_decrease_reservation] = WHO_TARGET,
    [XENMEM_populate_physmap] = WHO_TARGET,
    [XENMEM_exchange] = WHO_TARGET,
    [XENMEM_maximum_ram_page] = WHO_ANY,
    [XENMEM_current_reservation] = WHO_TARGET,
    [XENMEM_maximum_reservation] = WHO_TARGET,
    [XENMEM_maximum_gpfn] = WHO_TARGET,
    [XENMEM_add_to_physmap] = WHO_TARGET,
    [XENMEM_add_to_physmap_batch] = WHO_TARGET,
    [XENMEM_remove_from_physmap] = WHO_TARGET,
    [XENMEM_memory_map] = WHO_ANY,
    [XENMEM_set_memory_map] = WHO_TARGET,
    [XENMEM_set_pod_target] = WHO_DOM0,
    [XENMEM_get_pod_target] = WHO_DOM0,
    [XENMEM_get_sharing_freed_pages] = WHO_ANY,
    [XENMEM_get_sharing_shared_pages] = WHO_ANY,
    [XENMEM_access_op] = WHO_DM,
    [XENMEM_claim_pages] = WHO_DOM0,
    [XENMEM_get_vnumainfo] = WHO_TARGET,
    [XENMEM_reserved_device_memory_map] = WHO_ANY,
    [XENMEM_acquire_resource] = WHO_DM,
};

static const uint8_t who_xen_version[] = {
    [XENVER_version] = WHO_ANY,
    [XENVER_extraversion] = WHO_ANY,
    [XENVER_compile_info] = WHO_ANY,
    [XENVER_capabilities] = WHO_ANY,
    [XENVER_changeset] = WHO_ANY,
    [XENVER_platform_parameters] = WHO_ANY,
    [XENVER_get_features] = WHO_ANY,
    [XENVER_pagesize] = WHO_ANY,
    [XENVER_guest_handle] = WHO_ANY,
    [XENVER_commandline] = WHO_ANY, /* others than Dom0 get "<denied>" */
    [XENVER_build_id] = WHO_DOM0,
};

static const uint8_t who_console_io[] = {
    [CONSOLEIO_write] = WHO_ANY,
    [CONSOLEIO_read] = WHO_DOM0,
};

static const uint8_t who_grant_table_op[] = {
    [GNTTABOP_map_grant_ref] = WHO_ANY,  [GNTTABOP_unmap_grant_ref] = WHO_ANY,
    [GNTTABOP_setup_table] = WHO_TARGET, [GNTTABOP_copy] = WHO_ANY,
    [GNTTABOP_query_size] = WHO_TARGET,  [GNTTABOP_set_version] = WHO_ANY,
    [GNTTABOP_get_version] = WHO_TARGET, [GNTTABOP_swap_grant_ref] = WHO_ANY,
};

static const uint8_t who_vcpu_op[] = {
    [VCPUOP_initialise] = WHO_ANY,
    [VCPUOP_up] = WHO_ANY,
    [VCPUOP_down] = WHO_ANY,
    [VCPUOP_is_up] = WHO_ANY,
    [VCPUOP_get_runstate_info] = WHO_ANY,
    [VCPUOP_register_runstate_memory_area] = WHO_ANY,
    [VCPUOP_set_periodic_timer] = WHO_ANY,
    [VCPUOP_stop_periodic_timer] = WHO_ANY,
    [VCPUOP_set_singleshot_timer] = WHO_ANY,
    [VCPUOP_stop_singleshot_timer] = WHO_ANY,
    [VCPUOP_register_vcpu_info] = WHO_ANY,
    [VCPUOP_send_nmi] = WHO_ANY,
    [VCPUOP_get_physid] = WHO_ANY,
    [VCPUOP_register_vcpu_time_memory_area] = WHO_ANY,
};

static const uint8_t who_sched_op[] = {
    [SCHEDOP_yield] = WHO_ANY,          [SCHEDOP_block] = WHO_ANY,
    [SCHEDOP_shutdown] = WHO_ANY,       [SCHEDOP_poll] = WHO_ANY,
    [SCHEDOP_remote_shutdown] = WHO_DM, [SCHEDOP_shutdown_code] = WHO_ANY,
    [SCHEDOP_watchdog] = WHO_ANY,       [SCHEDOP_pin_override] = WHO_DOM0,
};

static const uint8_t who_event_channel_op[] = {
    [EVTCHNOP_bind_interdomain] = WHO_ANY,
    [EVTCHNOP_bind_virq] = WHO_ANY,
    [EVTCHNOP_bind_pirq] = WHO_ANY,
    [EVTCHNOP_close] = WHO_ANY,
    [EVTCHNOP_send] = WHO_ANY,
    [EVTCHNOP_status] = WHO_TARGET,
    [EVTCHNOP_alloc_unbound] = WHO_TARGET,
    [EVTCHNOP_bind_ipi] = WHO_ANY,
    [EVTCHNOP_bind_vcpu] = WHO_ANY,
    [EVTCHNOP_unmask] = WHO_ANY,
    [EVTCHNOP_reset] = WHO_TARGET,
    [EVTCHNOP_init_control] = WHO_ANY,
    [EVTCHNOP_expand_array] = WHO_ANY,
    [EVTCHNOP_set_priority] = WHO_ANY,
};

/* The PIRQ ops are for HVM guests that have them, the device ops are Dom0's; for others
 * they do not exist. */
static const uint8_t who_physdev_op[] = {
    [PHYSDEVOP_map_pirq] = WHO_ANY,
    [PHYSDEVOP_unmap_pirq] = WHO_ANY,
    [PHYSDEVOP_eoi] = WHO_ANY,
    [PHYSDEVOP_irq_status_query] = WHO_ANY,
    [PHYSDEVOP_get_free_pirq] = WHO_ANY,
    [PHYSDEVOP_pci_mmcfg_reserved] = WHO_ANY,
    [PHYSDEVOP_pci_device_add] = WHO_ANY,
    [PHYSDEVOP_pci_device_remove] = WHO_ANY,
    [PHYSDEVOP_dbgp_op] = WHO_ANY,
};

static const uint8_t who_hvm_op[] = {
    [HVMOP_set_param] = WHO_TARGET,
    [HVMOP_get_param] = WHO_TARGET,
    [HVMOP_flush_tlbs] = WHO_ANY,
    [HVMOP_get_time] = WHO_ANY,
    [HVMOP_xentrace] = WHO_ANY,
    [HVMOP_pagetable_dying] = WHO_ANY,
    [HVMOP_get_mem_type] = WHO_TARGET,
    [HVMOP_set_evtchn_upcall_vector] = WHO_ANY,
    [HVMOP_guest_request_vm_event] = WHO_ANY,
    [HVMOP_altp2m] = WHO_ANY,
};

static const uint8_t who_sysctl[] = {
    [XEN_SYSCTL_readconsole] = WHO_DOM0,
    [XEN_SYSCTL_tbuf_op] = WHO_DOM0,
    [XEN_SYSCTL_physinfo] = WHO_DOM0,
    [XEN_SYSCTL_sched_id] = WHO_DOM0,
    [XEN_SYSCTL_getdomaininfolist] = WHO_DOM0,
    [XEN_SYSCTL_debug_keys] = WHO_DOM0,
    [XEN_SYSCTL_getcpuinfo] = WHO_DOM0,
    [XEN_SYSCTL_availheap] = WHO_DOM0,
    [XEN_SYSCTL_get_pmstat] = WHO_DOM0,
    [XEN_SYSCTL_cpu_hotplug] = WHO_DOM0,
    [XEN_SYSCTL_pm_op] = WHO_DOM0,
    [XEN_SYSCTL_page_offline_op] = WHO_DOM0,
    [XEN_SYSCTL_cputopoinfo] = WHO_DOM0,
    [XEN_SYSCTL_numainfo] = WHO_DOM0,
    [XEN_SYSCTL_cpupool_op] = WHO_DOM0,
    [XEN_SYSCTL_scheduler_op] = WHO_DOM0,
    [XEN_SYSCTL_coverage_op] = WHO_DOM0,
    [XEN_SYSCTL_psr_cmt_op] = WHO_DOM0,
    [XEN_SYSCTL_pcitopoinfo] = WHO_DOM0,
    [XEN_SYSCTL_psr_alloc] = WHO_DOM0,
    [XEN_SYSCTL_get_cpu_levelling_caps] = WHO_DOM0,
    [XEN_SYSCTL_get_cpu_featureset] = WHO_DOM0,
    [XEN_SYSCTL_get_cpu_policy] = WHO_DOM0,
};

static const uint8_t who_domctl[] = {
    [XEN_DOMCTL_createdomain] = WHO_DOM0,
    [XEN_DOMCTL_destroydomain] = WHO_DOM0,
    [XEN_DOMCTL_pausedomain] = WHO_DOM0,
    [XEN_DOMCTL_unpausedomain] = WHO_DOM0,
    [XEN_DOMCTL_getdomaininfo] = WHO_DOM0,
    [XEN_DOMCTL_setvcpuaffinity] = WHO_DOM0,
    [XEN_DOMCTL_shadow_op] = WHO_DOM0,
    [XEN_DOMCTL_max_mem] = WHO_DOM0,
    [XEN_DOMCTL_setvcpucontext] = WHO_DOM0,
    [XEN_DOMCTL_getvcpucontext] = WHO_DOM0,
    [XEN_DOMCTL_getvcpuinfo] = WHO_DOM0,
    [XEN_DOMCTL_max_vcpus] = WHO_DOM0,
    [XEN_DOMCTL_scheduler_op] = WHO_DOM0,
    [XEN_DOMCTL_setdomainhandle] = WHO_DOM0,
    [XEN_DOMCTL_setdebugging] = WHO_DOM0,
    [XEN_DOMCTL_irq_permission] = WHO_DOM0,
    [XEN_DOMCTL_iomem_permission] = WHO_DOM0,
    [XEN_DOMCTL_ioport_permission] = WHO_DOM0,
    [XEN_DOMCTL_hypercall_init] = WHO_DOM0,
    [XEN_DOMCTL_settimeoffset] = WHO_DOM0,
    [XEN_DOMCTL_getvcpuaffinity] = WHO_DOM0,
    [XEN_DOMCTL_resumedomain] = WHO_DOM0,
    [XEN_DOMCTL_sendtrigger] = WHO_DOM0,
    [XEN_DOMCTL_subscribe] = WHO_DOM0,
    [XEN_DOMCTL_gethvmcontext] = WHO_DOM0,
    [XEN_DOMCTL_sethvmcontext] = WHO_DOM0,
    [XEN_DOMCTL_set_address_size] = WHO_DOM0,
    [XEN_DOMCTL_get_address_size] = WHO_DOM0,
    [XEN_DOMCTL_assign_device] = WHO_DOM0,
    [XEN_DOMCTL_bind_pt_irq] = WHO_DM,
    [XEN_DOMCTL_memory_mapping] = WHO_DM,
    [XEN_DOMCTL_ioport_mapping] = WHO_DM,
    [XEN_DOMCTL_set_ext_vcpucontext] = WHO_DOM0,
    [XEN_DOMCTL_get_ext_vcpucontext] = WHO_DOM0,
    [XEN_DOMCTL_test_assign_device] = WHO_DOM0,
    [XEN_DOMCTL_set_target] = WHO_DOM0,
    [XEN_DOMCTL_deassign_device] = WHO_DOM0,
    [XEN_DOMCTL_unbind_pt_irq] = WHO_DM,
    [XEN_DOMCTL_get_device_group] = WHO_DOM0,
    [XEN_DOMCTL_debug_op] = WHO_DOM0,
    [XEN_DOMCTL_gethvmcontext_partial] = WHO_DOM0,
    [XEN_DOMCTL_vm_event_op] = WHO_DOM0,
    [XEN_DOMCTL_mem_sharing_op] = WHO_DOM0,
    [XEN_DOMCTL_gettscinfo] = WHO_DOM0,
    [XEN_DOMCTL_settscinfo] = WHO_DOM0,
    [XEN_DOMCTL_getpageframeinfo3] = WHO_DOM0,
    [XEN_DOMCTL_setvcpuextstate] = WHO_DOM0,
    [XEN_DOMCTL_getvcpuextstate] = WHO_DOM0,
    [XEN_DOMCTL_set_access_required] = WHO_DOM0,
    [XEN_DOMCTL_audit_p2m] = WHO_DOM0,
    [XEN_DOMCTL_set_virq_handler] = WHO_DOM0,
    [XEN_DOMCTL_set_broken_page_p2m] = WHO_DOM0,
    [XEN_DOMCTL_setnodeaffinity] = WHO_DOM0,
    [XEN_DOMCTL_getnodeaffinity] = WHO_DOM0,
    [XEN_DOMCTL_get_vcpu_msrs] = WHO_DOM0,
    [XEN_DOMCTL_set_vcpu_msrs] = WHO_DOM0,
    [XEN_DOMCTL_setvnumainfo] = WHO_DOM0,
    [XEN_DOMCTL_psr_cmt_op] = WHO_DOM0,
    [XEN_DOMCTL_monitor_op] = WHO_DOM0,
    [XEN_DOMCTL_psr_alloc] = WHO_DOM0,
    [XEN_DOMCTL_soft_reset] = WHO_DOM0,
    [XEN_DOMCTL_vuart_op] = WHO_DOM0,
    [XEN_DOMCTL_get_cpu_policy] = WHO_DOM0,
    [XEN_DOMCTL_set_cpu_policy] = WHO_DOM0,
    [XEN_DOMCTL_vmtrace_op] = WHO_DOM0,
    [XEN_DOMCTL_get_paging_mempool_size] = WHO_DOM0,
    [XEN_DOMCTL_set_paging_mempool_size] = WHO_DOM0,
};

static const uint8_t who_platform_op[] = {
    [XENPF_settime32] = WHO_DOM0,        [XENPF_settime64] = WHO_DOM0,
    [XENPF_add_memtype] = WHO_DOM0,      [XENPF_del_memtype] = WHO_DOM0,
    [XENPF_read_memtype] = WHO_DOM0,     [XENPF_microcode_update] = WHO_DOM0,
    [XENPF_platform_quirk] = WHO_DOM0,   [XENPF_get_cpu_version] = WHO_DOM0,
    [XENPF_efi_runtime_call] = WHO_DOM0, [XENPF_firmware_info] = WHO_DOM0,
    [XENPF_enter_acpi_sleep] = WHO_DOM0, [XENPF_change_freq] = WHO_DOM0,
    [XENPF_getidletime] = WHO_DOM0,      [XENPF_set_processor_pminfo] = WHO_DOM0,
    [XENPF_get_cpuinfo] = WHO_DOM0,      [XENPF_cpu_online] = WHO_DOM0,
    [XENPF_cpu_offline] = WHO_DOM0,      [XENPF_cpu_hotadd] = WHO_DOM0,
    [XENPF_mem_hotadd] = WHO_DOM0,       [XENPF_core_parking] = WHO_DOM0,
    [XENPF_resource_op] = WHO_DOM0,      [XENPF_get_symbol] = WHO_DOM0,
};

static const uint8_t who_dm_op[] = {
    [XEN_DMOP_create_ioreq_server] = WHO_DM,
    [XEN_DMOP_get_ioreq_server_info] = WHO_DM,
    [XEN_DMOP_map_io_range_to_ioreq_server] = WHO_DM,
    [XEN_DMOP_unmap_io_range_from_ioreq_server] = WHO_DM,
    [XEN_DMOP_set_ioreq_server_state] = WHO_DM,
    [XEN_DMOP_destroy_ioreq_server] = WHO_DM,
    [XEN_DMOP_track_dirty_vram] = WHO_DM,
    [XEN_DMOP_set_pci_intx_level] = WHO_DM,
    [XEN_DMOP_set_isa_irq_level] = WHO_DM,
    [XEN_DMOP_set_pci_link_route] = WHO_DM,
    [XEN_DMOP_modified_memory] = WHO_DM,
    [XEN_DMOP_set_mem_type] = WHO_DM,
    [XEN_DMOP_inject_event] = WHO_DM,
    [XEN_DMOP_inject_msi] = WHO_DM,
    [XEN_DMOP_map_mem_type_to_ioreq_server] = WHO_DM,
    [XEN_DMOP_remote_shutdown] = WHO_DM,
    [XEN_DMOP_relocate_memory] = WHO_DM,
    [XEN_DMOP_pin_memory_cacheattr] = WHO_DM,
    [XEN_DMOP_nr_vcpus] = WHO_DM,
};

#define BY_ARG(function, list, mask)                                                     \
    {                                                                                    \
        .fn = (function), .who = (list), .count = ARRAY_SIZE(list), .subop_mask = (mask) \
    }
#define IN_MEMORY(function, list)                                                        \
    {                                                                                    \
        .fn = (function), .who = (list), .count = ARRAY_SIZE(list), .in_memory = true    \
    }
#define SINGLE(function) IN_MEMORY(function, who_single)

#define ALL_BITS 0xffffffffu

const struct hcall_entry hcall_table[HCALL_COUNT] = {
    [__HYPERVISOR_platform_op] = IN_MEMORY(do_platform_op, who_platform_op),
    [__HYPERVISOR_memory_op] = BY_ARG(do_memory_op, who_memory_op, MEMOP_SUBOP),
    [__HYPERVISOR_multicall] = SINGLE(do_multicall),
    [__HYPERVISOR_set_timer_op] = SINGLE(do_set_timer_op),
    [__HYPERVISOR_xen_version] = BY_ARG(do_xen_version, who_xen_version, ALL_BITS),
    [__HYPERVISOR_console_io] = BY_ARG(do_console_io, who_console_io, ALL_BITS),
    [__HYPERVISOR_grant_table_op] =
        BY_ARG(do_grant_table_op, who_grant_table_op, GNTOP_SUBOP),
    [__HYPERVISOR_vm_assist] = SINGLE(do_vm_assist),
    [__HYPERVISOR_vcpu_op] = BY_ARG(do_vcpu_op, who_vcpu_op, ALL_BITS),
    [__HYPERVISOR_sched_op] = BY_ARG(do_sched_op, who_sched_op, ALL_BITS),
    [__HYPERVISOR_event_channel_op] =
        BY_ARG(do_event_channel_op, who_event_channel_op, ALL_BITS),
    [__HYPERVISOR_physdev_op] = BY_ARG(do_physdev_op, who_physdev_op, ALL_BITS),
    [__HYPERVISOR_hvm_op] = BY_ARG(do_hvm_op, who_hvm_op, HVMOP_SUBOP),
    [__HYPERVISOR_sysctl] = IN_MEMORY(do_sysctl, who_sysctl),
    [__HYPERVISOR_domctl] = IN_MEMORY(do_domctl, who_domctl),
    [__HYPERVISOR_xenpmu_op] = SINGLE(do_xenpmu_op),
    [__HYPERVISOR_dm_op] = IN_MEMORY(do_dm_op, who_dm_op),
};
