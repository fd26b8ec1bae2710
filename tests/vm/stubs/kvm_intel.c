// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module with the name and the "nested" parameter of Intel's KVM, for hosts without VMX: real
 * sysfs files, uevents, reference counts and load errors, and no virtualization behind them.
 */
#include <linux/module.h>

static bool nested = true;
module_param(nested, bool, 0444);
MODULE_PARM_DESC(nested, "as in arch/x86/kvm/vmx/vmx.c");

static int init_error;
module_param(init_error, int, 0444);
MODULE_PARM_DESC(init_error, "errno with which the load fails, 0 to succeed");

static int __init stub_init(void)
{
	return -init_error;
}

static void __exit stub_exit(void)
{
}

module_init(stub_init);
module_exit(stub_exit);
MODULE_DESCRIPTION("stand-in for kvm_intel");
MODULE_LICENSE("GPL");
