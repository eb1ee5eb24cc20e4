/* SPDX-License-Identifier: MIT */
/* What is to be done, in the words of this distribution's own tools. */
#include <stdio.h>

#include "host/check.h"

/* Before and behind the option, to add it; to remove it; and what makes a change of the files
 * effective. All take a restart. */
static const struct {
	const char *add[2];
	const char *remove[2];
	const char *refresh;
} loaders[WR_BOOTS] = {
	[WR_BOOT_OTHER] = {
		{ "add ", " to the kernel's command line in the boot loader's configuration" },
		{ "remove ", " from the kernel's command line in the boot loader's configuration" },
		"have the boot loader's configuration made again",
	},
	[WR_BOOT_UPDATE_GRUB] = {
		{ "add ",
		  " to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, run 'update-grub'" },
		{ "remove ", " from /etc/default/grub, run 'update-grub'" },
		"run 'update-grub'",
	},
	[WR_BOOT_GRUB] = {
		{ "add ", " to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, run "
		  "'grub-mkconfig -o /boot/grub/grub.cfg'" },
		{ "remove ", " from /etc/default/grub, run "
		  "'grub-mkconfig -o /boot/grub/grub.cfg'" },
		"run 'grub-mkconfig -o /boot/grub/grub.cfg'",
	},
	[WR_BOOT_GRUB2] = {
		{ "add ", " to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, run "
		  "'grub2-mkconfig -o /boot/grub2/grub.cfg'" },
		{ "remove ", " from /etc/default/grub, run "
		  "'grub2-mkconfig -o /boot/grub2/grub.cfg'" },
		"run 'grub2-mkconfig -o /boot/grub2/grub.cfg'",
	},
	[WR_BOOT_GRUBBY] = {
		{ "run 'grubby --update-kernel=ALL --args=\"", "\"'" },
		{ "run 'grubby --update-kernel=ALL --remove-args=\"", "\"'" },
		"run 'grub2-mkconfig -o /boot/grub2/grub.cfg', or give the option by 'grubby "
		"--update-kernel=ALL --args=...'",
	},
	[WR_BOOT_KERNELSTUB] = {
		{ "run 'kernelstub -a \"", "\"'" },
		{ "run 'kernelstub -d \"", "\"'" },
		"give the option by 'kernelstub -a ...'",
	},
	[WR_BOOT_PROXMOX] = {
		{ "add ", " to the one line of /etc/kernel/cmdline, run 'proxmox-boot-tool "
		  "refresh'" },
		{ "remove ", " from /etc/kernel/cmdline, run 'proxmox-boot-tool refresh'" },
		"run 'proxmox-boot-tool refresh'",
	},
	[WR_BOOT_KERNEL_CMDLINE] = {
		{ "add ", " to the one line of /etc/kernel/cmdline, have the boot entries made "
		  "again (kernel-install)" },
		{ "remove ", " from /etc/kernel/cmdline, have the boot entries made again "
		  "(kernel-install)" },
		"have the boot entries made again (kernel-install)",
	},
	[WR_BOOT_RPM_OSTREE] = {
		{ "run 'rpm-ostree kargs --append=", "'" },
		{ "run 'rpm-ostree kargs --delete=", "'" },
		"give the option by 'rpm-ostree kargs --append=...'",
	},
	[WR_BOOT_BOOTC] = {
		{ "add ", " to a file in /usr/lib/bootc/kargs.d of the image" },
		{ "remove ", " from the files in /usr/lib/bootc/kargs.d of the image" },
		"give the option in a file in /usr/lib/bootc/kargs.d of the image",
	},
};

/* How the initramfs is made again, and where the modules are named that must be in it. */
static const struct {
	const char *make;
	const char *modules;
} families[] = {
	[WR_FAMILY_OTHER] = { "have the initramfs made again",
			      "have vfio-pci in the initramfs" },
	[WR_FAMILY_DEBIAN] = { "run 'update-initramfs -u -k all'",
			       "add vfio_pci to /etc/initramfs-tools/modules" },
	[WR_FAMILY_FEDORA] = { "run 'dracut -f'",
			       "add the line 'force_drivers+=\" vfio_pci vfio vfio_iommu_type1 "
			       "\"' to /etc/dracut.conf.d/vfio.conf" },
	[WR_FAMILY_ARCH] = { "run 'mkinitcpio -P'",
			     "put vfio_pci first in MODULES=(...) of /etc/mkinitcpio.conf" },
	[WR_FAMILY_SUSE] = { "run 'dracut -f'",
			     "add the line 'force_drivers+=\" vfio_pci vfio vfio_iommu_type1 \"' "
			     "to /etc/dracut.conf.d/vfio.conf" },
};

void wr_cure_option(struct wr_exam *exam, const char *option)
{
	wr_cure(exam, "%s%s%s, and restart", loaders[exam->m->boot].add[0], option,
		loaders[exam->m->boot].add[1]);
}

void wr_cure_no_option(struct wr_exam *exam, const char *option)
{
	if (!wr_is_plain(option)) {
		wr_cure(exam, "remove that from the kernel's command line, and restart");
		return;
	}
	wr_cure(exam, "%s%s%s, and restart", loaders[exam->m->boot].remove[0], option,
		loaders[exam->m->boot].remove[1]);
}

void wr_cure_refresh(struct wr_exam *exam)
{
	wr_cure(exam, "%s, and restart", loaders[exam->m->boot].refresh);
}

void wr_cure_initramfs(struct wr_exam *exam)
{
	if (exam->m->boot == WR_BOOT_RPM_OSTREE)
		wr_cure(exam, "run 'rpm-ostree initramfs --enable'");
	else if (exam->m->boot == WR_BOOT_BOOTC)
		wr_cure(exam, "have the initramfs made again in the image");
	else
		wr_cure(exam, "%s", families[exam->m->family].make);
}

void wr_cure_module(struct wr_exam *exam, const char *module, const char *option)
{
	/* Others may be there already. */
	wr_cure(exam, "add the line 'options %s %s' to /etc/modprobe.d/vfio.conf", module, option);
	wr_cure_initramfs(exam);
	wr_cure(exam, "load the module again, or restart");
}

void wr_cure_early(struct wr_exam *exam)
{
	wr_cure(exam, "%s", families[exam->m->family].modules);
	wr_cure_initramfs(exam);
	wr_cure(exam, "restart");
}
