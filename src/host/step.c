/* SPDX-License-Identifier: MIT */
/*
 * Driver binding in sysfs: Documentation/ABI/testing/sysfs-bus-pci, drivers/base/bus.c. A driver's
 * attribute bind answers with what its probe said, while drivers_probe answers that all is well
 * also when no driver wanted the function.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sys.h"
#include "host/step.h"

int wr_plan_add(struct wr_plan *plan, enum weir_host_action action, const char *subject,
		const char *from, const char *to, const char *why)
{
	struct weir_host_step *more, *step;

	more = reallocarray(plan->steps, plan->n + 1, sizeof(*more));
	if (!more)
		return wr_fail(-ENOMEM, "no memory for the list of steps");
	plan->steps = more;
	step = &more[plan->n++];
	*step = (struct weir_host_step){ .action = action };
	snprintf(step->subject, sizeof(step->subject), "%s", subject);
	snprintf(step->from, sizeof(step->from), "%s", from);
	snprintf(step->to, sizeof(step->to), "%s", to);
	snprintf(step->why, sizeof(step->why), "%s", why);
	return 0;
}

void wr_plan_free(struct wr_plan *plan)
{
	free(plan->steps);
	*plan = (struct wr_plan){ 0 };
}

/* Names end up in the journal, which has lines. */
static bool is_line(const char *text)
{
	for (; *text; text++)
		if (*text > 0 && *text < 0x20)
			return false;
	return true;
}

static int read_override(const char *root, const char *address, char *override, size_t size)
{
	int ret = wr_pci_attr(root, address, "driver_override", override, size);

	if (ret == -ENOENT)
		return wr_fail(-ENOTSUP, "%s has no attribute driver_override: the kernel is older "
			       "than 3.16", address);
	if (ret < 0)
		return wr_fail(ret, "%s: its attribute driver_override can't be read: %s", address,
			       strerror(-ret));
	/* What the kernel prints for none. */
	if (!strcmp(override, "(null)"))
		override[0] = '\0';
	return 0;
}

int wr_state_read(const char *root, const char *address, struct wr_entry *state)
{
	struct weir_host_function fn = { 0 };
	int ret;

	*state = (struct wr_entry){ 0 };
	snprintf(fn.address, sizeof(fn.address), "%s", address);
	ret = wr_host_scan(root, &fn);
	if (ret < 0)
		return ret;
	strcpy(state->address, fn.address);
	strcpy(state->driver, fn.driver);
	state->vendor = fn.vendor;
	state->device = fn.device;
	ret = read_override(root, address, state->override, sizeof(state->override));
	if (ret < 0)
		return ret;
	if (!is_line(state->driver) || !is_line(state->override))
		return wr_fail(-EIO, "%s: the name of its driver or override isn't text", address);
	return 0;
}

int wr_plan_move(struct wr_plan *plan, const struct wr_entry *now, const char *driver,
		 const char *override)
{
	bool moves = strcmp(now->driver, driver);
	int ret = 0;

	if (strcmp(now->override, override))
		ret = wr_plan_add(plan, WEIR_HOST_OVERRIDE, now->address, now->override, override,
				  "");
	if (!ret && moves && now->driver[0])
		ret = wr_plan_add(plan, WEIR_HOST_UNBIND, now->address, now->driver, "", "");
	if (!ret && moves && driver[0])
		ret = wr_plan_add(plan, WEIR_HOST_BIND, now->address, "", driver, "");
	return ret;
}

static int write_file(const char *path, const char *text)
{
	ssize_t ret;
	int fd;

	fd = wr_sys->open(path, O_WRONLY);
	if (fd < 0)
		return fd;
	do {
		ret = wr_sys->pwrite(fd, text, strlen(text), 0);
	} while (ret == -EINTR);
	wr_close(fd);
	return ret < 0 ? (int)ret : 0;
}

static const char *cure(int err)
{
	return err == -EACCES || err == -EPERM ? "; run as root" :
	       err == -EROFS ? "; sysfs is mounted read-only here (in a container?)" : "";
}

static int set_override(const char *root, const struct weir_host_step *step)
{
	char path[WR_PCI_PATH_MAX], now[WR_PCI_NAME_MAX];
	int ret;

	if (snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/driver_override", root,
		     step->subject) >= (int)sizeof(path))
		return wr_fail(-ENAMETOOLONG, "the root is longer than a path can be");
	ret = write_file(path, step->to[0] ? step->to : "\n");
	if (ret < 0)
		return wr_fail(ret, "%s: '%s' can't be written to %s: %s%s", step->subject,
			       step->to, path, strerror(-ret), cure(ret));
	ret = read_override(root, step->subject, now, sizeof(now));
	if (!ret && strcmp(now, step->to))
		ret = wr_fail(-EIO, "%s: driver_override is '%s' after '%s' was written to it",
			      step->subject, now, step->to);
	return ret;
}

/* "" when it has none. */
static int driver_of(const char *root, const char *address, char driver[WR_PCI_NAME_MAX])
{
	int ret = wr_pci_link(root, address, "driver", driver);

	if (ret == -ENOENT)
		driver[0] = '\0';
	else if (ret < 0)
		return wr_fail(ret, "%s: its driver can't be read: %s", address, strerror(-ret));
	return 0;
}

/* Write the function's address into a driver's attribute bind or unbind. */
static int tell_driver(const char *root, const char *driver, const char *attr, const char *address)
{
	char path[WR_PCI_PATH_MAX];
	int ret;

	if (snprintf(path, sizeof(path), "%s/sys/bus/pci/drivers/%s/%s", root, driver, attr) >=
	    (int)sizeof(path))
		return wr_fail(-ENAMETOOLONG, "the root is longer than a path can be");
	ret = write_file(path, address);
	if (ret == -ENOENT)
		return wr_fail(ret, "%s: there is no driver %s (%s): load its module, then try "
			       "again", address, driver, path);
	if (ret < 0)
		return wr_fail(ret, "%s: it can't be written to %s: %s%s; the kernel's log may say "
			       "why", address, path, strerror(-ret), cure(ret));
	return 0;
}

static int unbind(const char *root, const struct weir_host_step *step)
{
	char driver[WR_PCI_NAME_MAX];
	int ret;

	ret = driver_of(root, step->subject, driver);
	if (!ret && strcmp(driver, step->from))
		ret = wr_fail(-EAGAIN, "%s went from %s to %s meanwhile; try again", step->subject,
			      step->from, driver[0] ? driver : "no driver");
	if (!ret)
		ret = tell_driver(root, step->from, "unbind", step->subject);
	if (!ret)
		ret = driver_of(root, step->subject, driver);
	if (!ret && driver[0])
		ret = wr_fail(-EBUSY, "%s is with %s though it was taken from %s", step->subject,
			      driver, step->from);
	return ret;
}

static bool has_driver(const char *root, const char *driver)
{
	char path[WR_PCI_PATH_MAX];

	return snprintf(path, sizeof(path), "%s/sys/bus/pci/drivers/%s", root, driver) <
	       (int)sizeof(path) && !wr_sys->access(path);
}

static int give(const char *root, const struct weir_host_step *step)
{
	char driver[WR_PCI_NAME_MAX];
	int ret;

	/* A former driver's module may have been unloaded; most have its name. */
	if (!has_driver(root, step->to))
		wr_module_load(step->to);
	ret = driver_of(root, step->subject, driver);
	if (!ret && !strcmp(driver, step->to))
		return 0;	/* it took the function as it came */
	if (!ret)
		ret = tell_driver(root, step->to, "bind", step->subject);
	if (!ret)
		ret = driver_of(root, step->subject, driver);
	if (!ret && strcmp(driver, step->to))
		ret = wr_fail(-EIO, "%s is with %s though %s took it", step->subject,
			      driver[0] ? driver : "no driver", step->to);
	return ret;
}

const char *wr_container_module(void)
{
	return wr_sys->power() ? "vfio_iommu_spapr_tce" : "vfio_iommu_type1";
}

/* Whether the kernel has one for containers at all, only libkmod would know. */
static int no_libkmod(const char *module)
{
	if (strcmp(module, wr_container_module()))
		return wr_fail(-ENOSYS, "the module %s isn't loaded, and weir has no libkmod to "
			       "load it: 'modprobe %s' does", module, module);
	wr_log(WEIR_LOG_WARN, "the module %s isn't loaded, and weir has no libkmod to load it: if "
	       "this kernel has it, 'modprobe %s' does", module, module);
	return 0;
}

static int load_module(const struct weir_host_step *step)
{
	int ret = wr_module_load(step->subject);

	if (ret == -ENOENT && !strcmp(step->subject, wr_container_module())) {
		wr_log(WEIR_LOG_INFO, "this kernel has no module %s", step->subject);
		return 0;
	}
	if (ret == -ENOSYS)
		return no_libkmod(step->subject);
	if (ret == -ENOENT)
		return wr_fail(ret, "this kernel has no module %s: install the package with the "
			       "rest of its modules, or a kernel with CONFIG_VFIO_PCI",
			       step->subject);
	if (ret < 0)
		return wr_fail(ret, "the module %s can't be loaded: %s%s", step->subject,
			       strerror(-ret), cure(ret));
	return 0;
}

int wr_step_take(const char *root, const struct weir_host_step *step)
{
	switch (step->action) {
	case WEIR_HOST_LOAD:
		return load_module(step);
	case WEIR_HOST_OVERRIDE:
		return set_override(root, step);
	case WEIR_HOST_UNBIND:
		return unbind(root, step);
	case WEIR_HOST_BIND:
		return give(root, step);
	case WEIR_HOST_OWNER:
	case WEIR_HOST_FORGET:
	case WEIR_HOST_KEEP:
		break;
	}
	return 0;
}

int wr_restore(const char *root, const struct wr_entry *had)
{
	struct wr_plan plan = { 0 };
	struct wr_entry now;
	int ret;

	ret = wr_state_read(root, had->address, &now);
	if (ret == -ENOENT)
		return wr_fail(ret, "%s was unplugged", had->address);
	if (!ret)
		ret = wr_plan_move(&plan, &now, had->driver, had->override);
	for (size_t i = 0; !ret && i < plan.n; i++)
		ret = wr_step_take(root, &plan.steps[i]);
	wr_plan_free(&plan);
	return ret;
}

int wr_node_set(const char *root, const struct wr_node *node)
{
	char path[WR_PCI_PATH_MAX];
	int ret;

	if (snprintf(path, sizeof(path), "%s%s", root, node->path) >= (int)sizeof(path))
		return wr_fail(-ENAMETOOLONG, "the root is longer than a path can be");
	ret = wr_sys->chown(path, node->uid, node->gid);
	if (!ret)
		ret = wr_sys->chmod(path, node->mode);
	if (ret == -ENOENT)
		return 0;
	if (ret < 0)
		return wr_fail(ret, "%s can't be given to user %u, group %u, mode %04o: %s%s", path,
			       node->uid, node->gid, node->mode, strerror(-ret), cure(ret));
	return 0;
}
