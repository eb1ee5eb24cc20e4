/* SPDX-License-Identifier: MIT */
/*
 * What happens to a device while it is in use: the host wants it back, it reports an error, it is
 * pulled out. Each has a root port of its own: HOT is an edu, LOST an e1000e, NET a virtio-net
 * with error reporting. EDU shares their address spaces and stays.
 */
#include <glob.h>
#include <linux/pci_regs.h>
#include <signal.h>

#include "tests/vm/guest/guest.h"

/* An e1000e's register that nothing depends on without traffic: VLAN Ether Type. */
#define E1000E_VET	0x38
#define E1000E_VET_RESET 0x8100

/* A root port with a slot, through its config space. */
struct port {
	int fd;
	off_t slot_control;
};

/* With these off QEMU has taken the device out of the slot (hw/pci/pcie.c). */
#define SLOT_OFF (PCI_EXP_SLTCTL_PWR_OFF | PCI_EXP_SLTCTL_PWR_IND_OFF)

static struct port port_open(const char *which)
{
	struct port port;
	uint8_t config[256];
	char path[128];
	unsigned int at;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", device(which));
	port.fd = open(path, O_RDWR);
	assert_true(port.fd >= 0);
	assert_int_equal(pread(port.fd, config, sizeof(config), 0), sizeof(config));
	at = config[PCI_CAPABILITY_LIST];
	while (at && config[at] != PCI_CAP_ID_EXP)
		at = config[at + 1];
	assert_true(at);
	port.slot_control = at + PCI_EXP_SLTCTL;
	return port;
}

static uint16_t slot_control(struct port port)
{
	uint16_t value;

	assert_int_equal(pread(port.fd, &value, 2, port.slot_control), 2);
	return value;
}

static void slot_control_set(struct port port, uint16_t value)
{
	assert_int_equal(pwrite(port.fd, &value, 2, port.slot_control), 2);
}

/*
 * Pull the device out, as by hand. QEMU has no command for that, but takes a device out of a slot
 * without power. Meanwhile the slot must not interrupt, or pciehp would find the power off and
 * think that somebody had asked for it; so it finds it on, and the slot empty.
 */
static void pull_out(struct port port)
{
	uint16_t before = slot_control(port);

	slot_control_set(port, (before & ~PCI_EXP_SLTCTL_HPIE) | SLOT_OFF);
	slot_control_set(port, before);
}

static bool present(const char *which)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vendor", device(which));
	return !access(path, F_OK);
}

/* Is a slot's power off, and its indicator, which pciehp switches off last? */
static bool slot_is_off(struct port port)
{
	return (slot_control(port) & SLOT_OFF) == SLOT_OFF;
}

/*
 * Does pciehp wait for something to happen, in all its threads? One that is about to end what it
 * does for a device that left finds the next one twice: by a look at the slot, and then by the
 * button that QEMU presses, which switches the slot off again.
 */
static bool pciehp_is_idle(void)
{
	bool idle = true;
	glob_t found;
	char line[64];
	FILE *stat;

	assert_int_equal(glob("/proc/[0-9]*/stat", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		stat = fopen(found.gl_pathv[i], "r");
		if (!stat)
			continue;
		if (fgets(line, sizeof(line), stat) && strstr(line, "-pciehp) "))
			idle = idle && strstr(line, "-pciehp) S ");
		fclose(stat);
	}
	globfree(&found);
	return idle;
}

/* As write_text(), but without a driver there, or before the device is ready, it's no failure. */
static void offer(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		assert_int_equal(errno, ENOENT);
	else if (write(fd, text, strlen(text)) < 0)
		assert_true(errno == EINVAL || errno == ENODEV);
	if (fd >= 0)
		close(fd);
}

/* Hand a device to vfio-pci: from a driver of the kernel's own, which may have been quicker, and
 * unless it is too early: the kernel shows a device before drivers get it. */
static bool taken(const char *which)
{
	char path[128], driver[128] = "";

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", device(which));
	if (readlink(path, driver, sizeof(driver) - 1) > 0 && strstr(driver, "/vfio-pci"))
		return true;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", device(which));
	offer(path, device(which));
	offer("/sys/bus/pci/drivers_probe", device(which));
	return false;
}

/* Put a device back by the host's action, and take it for vfio-pci. */
static void plug(const char *which, struct port port, const char *action)
{
	char path[128];

	EVENTUALLY(!present(which));
	EVENTUALLY(slot_is_off(port));
	EVENTUALLY(pciehp_is_idle());
	host(action);
	EVENTUALLY(present(which));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", device(which));
	write_text(path, "vfio-pci");
	EVENTUALLY(taken(which));
	close(port.fd);
}

/* An address space that a device which leaves has in common with one that stays. */
struct common {
	struct weir_iommu *iommu;
	struct weir_ioas *as;
	struct opened stays;
	struct weir_mem *mem;
};

/* With the interface that weir takes by itself where it is there: a node for each device. */
static struct common common_open(void)
{
	bool nodes = !access("/dev/vfio/devices", F_OK);
	struct weir_device_info info;
	struct common c;

	MUST(weir_iommu_open(NULL, &c.iommu));
	MUST(weir_ioas_open(c.iommu, &c.as));
	c.stays = open_edu(c.iommu, device("WEIR_TEST_EDU"), c.as);
	MUST(weir_device_info(c.stays.dev, &info));
	assert_string_equal(info.backend, nodes ? "iommufd" : "type1v2");
	MUST(weir_mem_alloc(c.as, 2 * PAGE, NULL, &c.mem));
	return c;
}

/* Both what was mapped before and what is mapped now, and nothing after that. */
static void common_works(struct common *c, unsigned char byte)
{
	unsigned char *page = page_of(byte, 2);
	weir_iova iova;

	round_trip(c->stays.edu, weir_mem_ptr(c->mem), byte);
	MUST(weir_ioas_map(c->as, page, 2 * PAGE, NULL, &iova));
	round_trip(c->stays.edu, page, (unsigned char)~byte);
	MUST(weir_ioas_unmap(c->as, iova, 2 * PAGE));
	must_be_blocked(c->stays.edu, iova, page);
	munmap(page, 2 * PAGE);
}

static void common_close(struct common *c)
{
	MUST(weir_mem_free(c->mem));
	close_edu(c->stays);
	MUST(weir_ioas_close(c->as));
	MUST(weir_iommu_close(c->iommu));
}

/* The host asks for the device, and waits; what the device is used for can be brought to its end.
 * When it is closed it goes, and another one in its place is a device like any other, in the
 * address space that the first one was in. */
static void given_back_on_request(void **state)
{
	struct port port = port_open("WEIR_TEST_HOT_PORT");
	struct common c = common_open();
	struct opened a = open_edu(c.iommu, device("WEIR_TEST_HOT"), c.as);
	struct weir_irq_info info;

	(void)state;
	MUST(weir_irq_info(a.dev, WEIR_IRQ_REQ, &info));
	assert_int_equal(info.count, 1);
	MUST(weir_irq_enable(a.dev, WEIR_IRQ_REQ, 1));
	must_fail(weir_irq_wait(a.dev, WEIR_IRQ_REQ, 0, 100), -ETIMEDOUT, "request");
	host("unplug");
	MUST(weir_irq_wait(a.dev, WEIR_IRQ_REQ, 0, 20000));
	assert_int_equal(MUST(weir_device_gone(a.dev)), 0);
	round_trip(a.edu, weir_mem_ptr(c.mem), 0x5a);
	assert_true(present("WEIR_TEST_HOT"));
	common_works(&c, 0x11);
	close_edu(a);

	plug("WEIR_TEST_HOT", port, "plug");
	common_works(&c, 0x22);
	a = open_edu(c.iommu, device("WEIR_TEST_HOT"), c.as);
	round_trip(a.edu, weir_mem_ptr(c.mem), 0xa5);
	common_works(&c, 0x33);
	close_edu(a);
	common_close(&c);
}

/* The bar that the handler below is for. */
static struct weir_bar *guarded;
static volatile sig_atomic_t bus_errors;

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (weir_bar_sigbus(guarded, info->si_addr) == 1)
		bus_errors = bus_errors + 1;
	else
		signal(sig, SIG_DFL);
}

static unsigned int power_control(struct weir_device *dev)
{
	struct weir_cap caps[32];
	int n = MUST(weir_config_caps(dev, caps, 32));

	for (int i = 0; i < n && i < 32; i++) {
		if (!caps[i].extended && caps[i].id == PCI_CAP_ID_PM)
			return caps[i].offset + PCI_PM_CTRL;
	}
	fail_msg("it has no power management capability");
	return 0;
}

/*
 * QEMU answers an access to registers that aren't there with zeros (hardware with ones). The
 * kernel lets it through until it learns that the device can't be reached, which it does when
 * asked to change its power state; from then on, accesses are refused.
 */
static void pulled_out(void **state)
{
	struct port port = port_open("WEIR_TEST_LOST_PORT");
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
	struct common c = common_open();
	struct weir_device_opts opts = { .ioas = c.as };
	struct sigaction before;
	struct weir_bar *mapped, *calls;
	struct weir_device *dev;
	unsigned int power;

	(void)state;
	MUST(weir_device_open(c.iommu, device("WEIR_TEST_LOST"), &opts, &dev));
	MUST(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_MAPPED, &mapped));
	MUST(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_CALLS, &calls));
	MUST(weir_irq_enable(dev, WEIR_IRQ_REQ, 1));
	power = power_control(dev);
	weir_write32(mapped, E1000E_VET, 0x1234);
	assert_int_equal(weir_read32(calls, E1000E_VET), 0x1234);
	assert_int_equal(MUST(weir_device_gone(dev)), 0);

	pull_out(port);
	assert_int_equal(MUST(weir_device_gone(dev)), 1);
	MUST(weir_irq_wait(dev, WEIR_IRQ_REQ, 0, 20000));
	assert_int_equal(weir_read32(mapped, E1000E_VET), 0);
	assert_int_equal(weir_read32(calls, E1000E_VET), 0);

	MUST(weir_config_write16(dev, power, 3));
	assert_int_equal(weir_read32(calls, E1000E_VET), UINT32_MAX);
	guarded = mapped;
	assert_int_equal(sigaction(SIGBUS, &action, &before), 0);
	assert_int_equal(weir_read32(mapped, E1000E_VET), UINT32_MAX);
	weir_write32(mapped, E1000E_VET, 1);
	assert_int_equal(sigaction(SIGBUS, &before, NULL), 0);
	assert_true(bus_errors > 0);
	assert_int_equal(MUST(weir_device_gone(dev)), 1);
	common_works(&c, 0x44);
	MUST(weir_bar_close(calls));
	MUST(weir_bar_close(mapped));
	MUST(weir_device_close(dev));

	plug("WEIR_TEST_LOST", port, "plug-lost");
	common_works(&c, 0x55);
	MUST(weir_device_open(c.iommu, device("WEIR_TEST_LOST"), &opts, &dev));
	MUST(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_MAPPED, &mapped));
	assert_int_equal(MUST(weir_device_gone(dev)), 0);
	assert_int_equal(weir_read32(mapped, E1000E_VET), E1000E_VET_RESET);
	MUST(weir_bar_close(mapped));
	MUST(weir_device_close(dev));
	common_close(&c);
}

/* The slot's reset takes the register back; bus mastering and interrupts stay. */
static void reset_with_its_slot(void **state)
{
	struct weir_dependent list[4];
	struct weir_device *dev;
	struct weir_bar *bar;
	uint16_t command;

	(void)state;
	MUST(weir_device_open(NULL, device("WEIR_TEST_LOST"), NULL, &dev));
	MUST(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_MAPPED, &bar));
	MUST(weir_device_bus_master(dev, true));
	MUST(weir_irq_enable(dev, WEIR_IRQ_MSI, 1));
	assert_int_equal(MUST(weir_device_hot_reset_info(dev, list, 4)), 1);
	assert_string_equal(list[0].address, device("WEIR_TEST_LOST"));
	assert_true(list[0].owned);
	weir_write32(bar, E1000E_VET, 0x1234);
	assert_int_equal(weir_read32(bar, E1000E_VET), 0x1234);
	MUST(weir_device_hot_reset(dev));
	assert_int_equal(weir_read32(bar, E1000E_VET), E1000E_VET_RESET);
	MUST(weir_config_read16(dev, PCI_COMMAND, &command));
	assert_true(command & PCI_COMMAND_MASTER);
	MUST(weir_irq_trigger(dev, WEIR_IRQ_MSI, 0));
	assert_int_equal(MUST(weir_irq_wait(dev, WEIR_IRQ_MSI, 0, 5000)), 1);
	MUST(weir_bar_close(bar));
	MUST(weir_device_close(dev));
}

/*
 * While it is on, the kernel may put the device to sleep (D3hot, which this one has): registers by
 * calls wake it, mapped ones are gone.
 */
static void low_power(void **state)
{
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
	struct weir_bar *mapped, *calls;
	struct sigaction before;
	struct weir_device *dev;

	(void)state;
	MUST(weir_device_open(NULL, device("WEIR_TEST_LOST"), NULL, &dev));
	assert_int_equal(MUST(weir_device_has(dev, WEIR_FEATURE_LOW_POWER)), 1);
	assert_int_equal(MUST(weir_device_has(dev, WEIR_FEATURE_MIGRATION)), 0);
	MUST(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_MAPPED, &mapped));
	MUST(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_CALLS, &calls));
	MUST(weir_device_low_power(dev, true, -1));
	must_fail(weir_device_low_power(dev, true, -1), -EINVAL, "is on already");
	assert_int_not_equal(weir_read32(calls, E1000E_VET), UINT32_MAX);
	guarded = mapped;
	bus_errors = 0;
	assert_int_equal(sigaction(SIGBUS, &action, &before), 0);
	assert_int_equal(weir_read32(mapped, E1000E_VET), UINT32_MAX);
	assert_int_equal(sigaction(SIGBUS, &before, NULL), 0);
	assert_int_equal(bus_errors, 1);
	MUST(weir_bar_close(mapped));
	MUST(weir_device_low_power(dev, false, -1));
	MUST(weir_bar_open(dev, WEIR_REGION_BAR0, WEIR_BAR_MAPPED, &mapped));
	weir_write32(mapped, E1000E_VET, 0x4321);
	assert_int_equal(weir_read32(calls, E1000E_VET), 0x4321);
	MUST(weir_bar_close(mapped));
	MUST(weir_bar_close(calls));
	MUST(weir_device_close(dev));
}

/* The common configuration of a virtio device (Virtio 1.2, section 4.1.4): where it is. */
static unsigned int virtio_common(struct weir_device *dev, uint32_t *offset)
{
	struct weir_cap caps[32];
	int n = MUST(weir_config_caps(dev, caps, 32));
	uint8_t type, bar;

	for (int i = 0; i < n && i < 32; i++) {
		if (caps[i].extended || caps[i].id != PCI_CAP_ID_VNDR)
			continue;
		MUST(weir_config_read8(dev, caps[i].offset + 3, &type));
		MUST(weir_config_read8(dev, caps[i].offset + 4, &bar));
		MUST(weir_config_read32(dev, caps[i].offset + 8, offset));
		if (type == 1)
			return bar;
	}
	fail_msg("no common configuration");
	return 0;
}

/* An uncorrectable error that the host's root port reports, and that the device survives. */
static void reports_an_error(void **state)
{
	struct weir_device *dev;
	struct weir_bar *bar;
	uint32_t common;

	(void)state;
	MUST(weir_device_open(NULL, device("WEIR_TEST_NET"), NULL, &dev));
	MUST(weir_bar_open(dev, WEIR_REGION_BAR0 + virtio_common(dev, &common), WEIR_BAR_AUTO,
			   &bar));
	MUST(weir_irq_enable(dev, WEIR_IRQ_ERR, 1));
	MUST(weir_irq_enable(dev, WEIR_IRQ_REQ, 1));
	must_fail(weir_irq_wait(dev, WEIR_IRQ_ERR, 0, 100), -ETIMEDOUT, "error");
	host("error");
	assert_int_equal(MUST(weir_irq_wait(dev, WEIR_IRQ_ERR, 0, 20000)), 1);
	must_fail(weir_irq_wait(dev, WEIR_IRQ_REQ, 0, 0), -ETIMEDOUT, "request");
	assert_int_equal(MUST(weir_device_gone(dev)), 0);

	/* device_feature_select: 1, and bit 0 of the features from 32 on is VIRTIO_F_VERSION_1. */
	weir_write32(bar, common, 1);
	assert_int_equal(weir_read32(bar, common), 1);
	assert_int_equal(weir_read32(bar, common + 4) & 1, 1);
	/* device_status: ACKNOWLEDGE, and nothing after a reset. */
	weir_write8(bar, common + 20, 1);
	assert_int_equal(weir_read8(bar, common + 20), 1);
	/* The kernel's recovery may still hold the device: -EAGAIN. */
	EVENTUALLY(weir_device_reset(dev) == 0);
	assert_int_equal(weir_read8(bar, common + 20), 0);
	MUST(weir_bar_close(bar));
	MUST(weir_device_close(dev));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(given_back_on_request),
		cmocka_unit_test(reset_with_its_slot),
		cmocka_unit_test(low_power),
		cmocka_unit_test(pulled_out),
		cmocka_unit_test(reports_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
