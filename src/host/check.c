/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "base/root.h"
#include "host/check.h"

static const struct wr_check *const tables[] = {
	wr_checks_guest, wr_checks_iommu, wr_checks_boot, wr_checks_vfio, wr_checks_memory,
	wr_checks_device, wr_checks_driver, wr_checks_group, wr_checks_reset,
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

void wr_report(struct wr_exam *exam, enum weir_host_severity severity, const char *file,
	       const char *fmt, ...)
{
	struct weir_host_finding finding = {
		.id = exam->id,
		.severity = severity,
		.device = exam->fn ? exam->fn->address : "",
		.file = file,
		.cure = exam->cure,
	};
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	finding.text = text;
	exam->found(exam->arg, &finding);
	exam->cure[0] = '\0';
}

void wr_unread(struct wr_exam *exam, const char *file, int err)
{
	if (err == -EACCES || err == -EPERM)
		wr_cure(exam, "run it as root");
	wr_report(exam, exam->worst == WEIR_HOST_STOP ? WEIR_HOST_UNKNOWN : WEIR_HOST_NOTE, file,
		  "this can't be told: %s can't be read: %s", file, strerror(-err));
}

void wr_cure(struct wr_exam *exam, const char *fmt, ...)
{
	size_t len = strlen(exam->cure);
	va_list ap;

	if (len && len + sizeof("; ") < sizeof(exam->cure)) {
		strcat(exam->cure, "; ");
		len = strlen(exam->cure);
	}
	va_start(ap, fmt);
	vsnprintf(exam->cure + len, sizeof(exam->cure) - len, fmt, ap);
	va_end(ap);
}

const char *wr_log_text(const char *line)
{
	const char *text = strchr(line, ';');

	return text ? text + 1 : line;
}

bool wr_has_iommu(const struct wr_exam *exam)
{
	/* POWER's shows by its groups alone. */
	return weir_host_has_iommu(exam->host) ||
	       (exam->m->cpu == WR_CPU_POWER && weir_host_next_group(exam->host, -1) >= 0);
}

bool wr_noiommu_mode(const struct wr_exam *exam, char file[WR_LINE_MAX])
{
	char value[8];
	int ret = wr_module_param(exam->m, "vfio", "enable_unsafe_noiommu_mode", file, value,
				  sizeof(value));

	if (ret < 0 && !wr_module_here(exam->m, "vfio"))
		strcpy(file, "/sys/module/vfio");
	return ret > 0 && (value[0] == 'Y' || value[0] == '1');
}

bool wr_noiommu_missing(const struct wr_exam *exam)
{
	return wr_module_here(exam->m, "vfio") && !wr_root_has(exam->m->root, WR_NOIOMMU_MODE);
}

void wr_cure_noiommu(struct wr_exam *exam)
{
	if (wr_noiommu_missing(exam))
		wr_cure(exam, "or, at your own risk, a kernel with CONFIG_VFIO_NOIOMMU");
	else if (wr_module_here(exam->m, "vfio"))
		wr_cure(exam, "or, at your own risk, 'echo 1 > " WR_NOIOMMU_MODE "'");
	else
		wr_cure(exam, "or, at your own risk, 'modprobe vfio enable_unsafe_noiommu_mode=1'");
}

int wr_attr(const struct wr_exam *exam, const char *name, char path[WR_LINE_MAX], char *value,
	    size_t size)
{
	snprintf(path, WR_LINE_MAX, "/sys/bus/pci/devices/%s/%s", exam->fn->address, name);
	return wr_root_text(exam->m->root, path, value, size);
}

int wr_peek_config(const struct weir_host *host, const struct weir_host_function *fn, void *buf,
		   size_t size)
{
	if (weir_host_is_asleep(host, fn))
		return -EBUSY;
	return weir_host_config(host, fn, buf, size);
}

const struct weir_host_check_info *weir_host_check_info(unsigned int n)
{
	for (size_t t = 0; t < TABLES; t++)
		for (const struct wr_check *check = tables[t]; check->run; check++)
			if (!n--)
				return &check->info;
	return NULL;
}

int weir_host_check(const struct weir_host *host, const struct weir_host_function *function,
		    weir_host_found found, void *arg)
{
	struct wr_exam exam = {
		.host = host, .fn = function, .m = wr_machine(host), .found = found, .arg = arg,
	};

	if (!exam.m)
		return -ENOMEM;
	for (size_t t = 0; t < TABLES; t++)
		for (const struct wr_check *check = tables[t]; check->run && !exam.settled;
		     check++) {
			if (check->info.of_function != !!function)
				continue;
			exam.id = check->info.id;
			exam.worst = check->info.worst;
			exam.cure[0] = '\0';
			check->run(&exam);
		}
	return 0;
}
