/* SPDX-License-Identifier: MIT */
/*
 * weir eeh: has POWER stopped a device, and how to have it back.
 *
 * JSON: {"device": "0001:01:00.0", "backend": "spaprv2", "state": "normal" | "reset active" |
 *	  "frozen" | "DMA frozen" | "unavailable", "reset": "hot" | "fundamental" | null}
 */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include <weir/weir.h>

#include "options.h"
#include "out.h"
#include "weir.h"

static const char usage[] =
	"usage: weir eeh [OPTION...] DEVICE\n"
	"\n"
	"Says whether POWER's extended error handling has stopped a device. That it is opened\n"
	"for this lets a frozen one go already; a reset puts in order what made it freeze.\n"
	"DEVICE is a PCI function bound to vfio-pci. All of its IOMMU group is reset with it.\n"
	"\n"
	"      --reset hot|fundamental\n"
	"                  reset it: its bus, or its slot\n"
	"      --json      for programs\n"
	"  -h, --help      this text\n"
	"\n"
	"Exit status: 0 it works, 1 it is stopped, 2 could not tell.\n"
	"\n"
	"Example: weir eeh --reset hot 0001:01:00.0";

static void print(struct weir_device *dev, int state, const char *reset, bool json)
{
	struct weir_device_info info;
	struct json_object *object;

	if (weir_device_info(dev, &info)) {
		fail("%s", weir_errmsg());
		return;
	}
	if (!json) {
		say("%s by %s: %s%s%s%s", info.name, info.backend, weir_eeh_state_name(state),
		    reset ? ", after a " : "", reset ? reset : "", reset ? " reset" : "");
		return;
	}
	object = js_object();
	js_add(object, "device", js_text(info.name));
	js_add(object, "backend", js_text(info.backend));
	js_add(object, "state", js_text(weir_eeh_state_name(state)));
	js_add(object, "reset", js_text(reset));
	js_print(object);
}

static int show(struct weir_device *dev, const char *reset, bool json)
{
	int state, ret = 0;

	if (reset)
		ret = weir_eeh_recover(dev, *reset == 'h' ? WEIR_EEH_RESET_HOT :
				       WEIR_EEH_RESET_FUNDAMENTAL);
	if (ret)
		fail("%s", weir_errmsg());
	if (ret && ret != -EIO && ret != -EAGAIN)
		return EXIT_UNKNOWN;
	state = weir_eeh_state(dev);
	if (state < 0)
		return fail("%s", weir_errmsg());
	print(dev, state, reset, json);
	return state == WEIR_EEH_NORMAL && !ret ? EXIT_YES : EXIT_NO;
}

/* What keeps it from being opened doesn't matter where there is nothing to ask it. */
static int no_device(const char *name)
{
	struct utsname us;

	if (!uname(&us) && strncmp(us.machine, "ppc64", 5))
		return fail("%s: EEH is POWER's, and this machine is %s", name, us.machine);
	return fail("%s", weir_errmsg());
}

int cmd_eeh(int argc, char **argv)
{
	struct options options = { 0 };
	const char *reset = NULL;
	const struct own_option own[] = { { .name = "reset", .value = &reset } };
	struct weir_device *dev;
	int status = read_own_options(argc, argv, own, 1, usage, &options);

	if (status != GO_ON)
		return status;
	if (reset && strcmp(reset, "hot") && strcmp(reset, "fundamental"))
		return fail("eeh: --reset is hot or fundamental, not %s", reset);
	if (argc - optind != 1)
		return fail("eeh wants one device, as in 'weir eeh 0001:01:00.0'");
	if (weir_device_open(NULL, argv[optind], NULL, &dev))
		return no_device(argv[optind]);
	status = show(dev, reset, options.json);
	weir_device_close(dev);
	return status;
}
