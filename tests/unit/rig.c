/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/sys.h"
#include "idle_model.h"
#include "ioas/iommu.h"
#include "rig.h"
#include "says.h"

size_t page;

int rig_setup_for(struct rig *rig, const char *interface)
{
	const struct weir_iommu_opts opts = { .interface = interface };
	const struct weir_model_desc desc = { .name = "tiny", .vendor = 1 };

	page = wr_page_size();
	fake_start();
	memset(rig, 0, sizeof(*rig));
	rig->memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(rig->memory != MAP_FAILED);
	assert_int_equal(weir_model_create(&desc, &idle_model, NULL, &rig->model), 0);
	assert_int_equal(weir_iommu_open(&opts, &rig->iommu), 0);
	assert_int_equal(weir_ioas_open(rig->iommu, &rig->as), 0);
	for (unsigned int i = 0; i < FAKE_GROUPS; i++)
		rig->eps[i] = (struct wr_endpoint){ .name = fake.groups[i].device, .dma_bits = 64 };
	return 0;
}

int rig_setup(void **state)
{
	static struct rig rig;

	*state = &rig;
	return rig_setup_for(&rig, NULL);
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(weir_device_close(rig->soft), 0);
	assert_int_equal(weir_ioas_close(rig->as), 0);
	assert_int_equal(weir_iommu_close(rig->iommu), 0);
	assert_int_equal(weir_model_destroy(rig->model), 0);
	munmap(rig->memory, PAGES * page);
	assert_int_equal(fake.open_fds, 0);
	assert_int_equal(fake.mapped, 0);
	fake_stop();
	return 0;
}

int get_group(struct rig *rig, unsigned int n)
{
	return wr_iommu_group_get(rig->iommu, FAKE_GROUP((int)n), &rig->eps[n].group);
}

int attach(struct rig *rig, unsigned int n)
{
	int ret = get_group(rig, n);

	if (ret)
		return ret;
	ret = wr_ioas_attach(rig->as, &rig->eps[n]);
	if (ret)
		wr_iommu_group_put(rig->iommu, rig->eps[n].group);
	return ret;
}

void detach(struct rig *rig, unsigned int n)
{
	wr_ioas_detach(&rig->eps[n]);
	wr_iommu_group_put(rig->iommu, rig->eps[n].group);
	assert_null(rig->eps[n].domain);
}

const char *backend(struct rig *rig)
{
	const char *name;

	assert_int_equal(attach(rig, 0), 0);
	name = rig->eps[0].domain->ops->name;
	detach(rig, 0);
	return name;
}

void attach_soft(struct rig *rig)
{
	const struct weir_device_opts opts = { .ioas = rig->as };

	assert_int_equal(weir_device_open_model(rig->iommu, rig->model, &opts, &rig->soft), 0);
	assert_int_equal(weir_device_bus_master(rig->soft, true), 0);
}

int map_at(struct rig *rig, weir_iova iova, void *vaddr, size_t len)
{
	const struct weir_map_opts opts = { .fixed = true };

	return weir_ioas_map(rig->as, vaddr, len, &opts, &iova);
}

bool is_mapped(struct rig *rig, weir_iova iova)
{
	void *vaddr;

	return !weir_ioas_to_vaddr(rig->as, iova, &vaddr, NULL);
}

struct weir_ioas_caps caps_of(struct rig *rig)
{
	struct weir_ioas_caps caps;

	assert_int_equal(weir_ioas_caps(rig->as, &caps), 0);
	return caps;
}

int soft_reaches(struct rig *rig, weir_iova iova)
{
	char byte;

	return weir_model_dma_read(rig->model, iova, &byte, 1);
}
