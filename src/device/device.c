/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/err.h"
#include "base/process.h"
#include "device/device.h"
#include "ioas/handover.h"
#include "ioas/iommu.h"
#include "model/model.h"
#include "pci/addr.h"
#include "pci/config.h"

static int check_opts(const struct weir_device_opts *opts, const char *name,
		      struct weir_iommu *iommu)
{
	if (!iommu && opts->ioas)
		iommu = opts->ioas->iommu;
	if (iommu && wr_check_process(iommu->process))
		return -EPERM;
	if (WR_RESERVED(opts, "weir_device_opts"))
		return -EINVAL;
	if (opts->dma_bits > 64)
		return wr_fail(-EINVAL, "%s: %u address bits: a device drives at most 64", name,
			       opts->dma_bits);
	if (opts->ioas && opts->ioas->iommu != iommu)
		return wr_fail(-EINVAL, "%s: the address space belongs to another context than the "
			       "one given", name);
	return 0;
}

static int open_transport(struct weir_device *dev, struct weir_ioas *as,
			  const struct weir_device_opts *opts)
{
	int ret = dev->transport->prepare(dev, as->iommu);

	if (!ret)
		ret = wr_ioas_attach(as, &dev->ep);
	dev->ep.vf_token = NULL;	/* the caller's */
	if (ret)
		return ret;
	dev->backend = dev->ep.domain->ops->name;
	ret = dev->transport->open(dev, opts);
	if (!ret && dev->ep.parcel)
		ret = wr_irqs_unpack(dev, dev->ep.parcel);
	if (ret)
		wr_ioas_detach(&dev->ep);
	else
		wr_ioas_unpacked(&dev->ep);
	return ret;
}

/* Give back what a detached device still has, in whatever state opening it stopped. */
static void give_back(struct weir_device *dev)
{
	if (dev->t)
		dev->transport->undo(dev);
	weir_ioas_close(dev->own);
	pthread_mutex_destroy(&dev->lock);
	free(dev->name);
	free(dev);
}

static struct weir_device *new_device(const char *name)
{
	struct weir_device *dev = calloc(1, sizeof(*dev));

	if (dev)
		dev->name = strdup(name);
	if (!dev || !dev->name) {
		free(dev);
		wr_fail(-ENOMEM, "%s: no memory for a device", name);
		return NULL;
	}
	pthread_mutex_init(&dev->lock, NULL);
	return dev;
}

/* From here on the same for all transports. Takes @dev over. */
static int finish_open(struct weir_device *dev, struct weir_iommu *iommu,
		       const struct weir_device_opts *opts, struct weir_device **out)
{
	int ret = 0;

	dev->process = wr_process();
	dev->ep.name = dev->name;
	dev->ep.dev = dev;
	dev->ep.dma_bits = opts->dma_bits ? opts->dma_bits : 64;
	dev->ep.vf_token = opts->vf_token;
	dev->ep.use_fd = opts->use_fd;
	dev->ep.given_fd = opts->fd;
	dev->ep.vector = wr_irqs_vector;
	wr_list_init(&dev->ep.link);
	if (!opts->ioas)
		ret = weir_ioas_open(iommu, &dev->own);
	if (!ret)
		ret = open_transport(dev, opts->ioas ? opts->ioas : dev->own, opts);
	if (ret) {
		give_back(dev);
		return ret;
	}
	*out = dev;
	return 0;
}

static const struct weir_device_opts automatic;

int weir_device_open(struct weir_iommu *iommu, const char *name,
		     const struct weir_device_opts *opts, struct weir_device **out)
{
	char address[WR_PCI_ADDR_MAX];
	struct weir_device *dev;
	struct wr_pci_addr addr;
	bool soft;
	int ret;

	if (!name)
		return wr_fail(-EINVAL, "no device is named");
	soft = !strncmp(name, "soft:", 5);
	if (!opts)
		opts = &automatic;
	ret = check_opts(opts, name, iommu);
	if (ret)
		return ret;
	if (!soft) {
		ret = wr_pci_addr_parse(name, &addr);
		if (ret)
			return ret;
		wr_pci_addr_format(&addr, address);
	}
	dev = new_device(soft ? name : address);
	if (!dev)
		return -ENOMEM;
	dev->transport = soft ? &wr_transport_soft : &wr_transport_kernel;
	if (soft)
		ret = wr_soft_sample(dev, name + 5);
	else
		dev->ep.requester = wr_pci_addr_requester(&addr);
	if (ret) {
		give_back(dev);
		return ret;
	}
	return finish_open(dev, iommu, opts, out);
}

int weir_device_open_model(struct weir_iommu *iommu, struct weir_model *model,
			   const struct weir_device_opts *opts, struct weir_device **out)
{
	struct weir_device *dev;
	int ret;

	if (!model)
		return wr_fail(-EINVAL, "no model is given");
	if (!opts)
		opts = &automatic;
	ret = check_opts(opts, wr_model_name(model), iommu);
	if (ret)
		return ret;
	dev = new_device(wr_model_name(model));
	if (!dev)
		return -ENOMEM;
	dev->transport = &wr_transport_soft;
	ret = wr_soft_use(dev, model);
	if (ret) {
		give_back(dev);
		return ret;
	}
	return finish_open(dev, iommu, opts, out);
}

int wr_device_check(struct weir_device *dev)
{
	int ret = wr_check_process(dev->process);

	if (ret || !wr_ioas_handed(weir_device_ioas(dev)))
		return ret;
	return wr_fail(-EPERM, "%s: it was handed over with its address space by "
		       "weir_ioas_export(), and is another process's: weir_ioas_keep() takes it "
		       "back", dev->name);
}

int weir_device_close(struct weir_device *dev)
{
	unsigned int bars;
	bool handed;
	int ret;

	if (!dev)
		return 0;
	ret = wr_check_process(dev->process);
	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	bars = dev->bars;
	pthread_mutex_unlock(&dev->lock);
	if (bars)
		return wr_fail(-EBUSY, "%s: %u of its bars are open: close them first", dev->name,
			       bars);
	ret = wr_ioas_check_close(dev->ep.as);
	if (!ret && dev->own)
		ret = wr_ioas_in_use(dev->own, dev->name);
	if (!ret)
		ret = wr_ioas_check_virtual(&dev->ep);
	if (ret)
		return ret;
	handed = wr_ioas_handed(dev->ep.as);
	/* The kernel clears it at close anyhow, but only when the last fd of the device goes. */
	if (!handed)
		weir_device_bus_master(dev, false);
	wr_irqs_close(dev, handed);
	if (dev->transport->close)
		dev->transport->close(dev);
	wr_ioas_detach(&dev->ep);
	give_back(dev);
	return 0;
}

int weir_device_fd(struct weir_device *dev)
{
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	return dev->ep.group ? dev->ep.fd :
	       wr_fail(-ENODEV, "%s: a model in this process has no fd", dev->name);
}

struct weir_ioas *weir_device_ioas(struct weir_device *dev)
{
	return __atomic_load_n(&dev->ep.as, __ATOMIC_RELAXED);
}

int weir_device_move(struct weir_device *dev, struct weir_ioas *ioas)
{
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	if (!ioas)
		return wr_fail(-EINVAL, "%s: no address space is given", dev->name);
	if (ioas->iommu != weir_device_ioas(dev)->iommu)
		return wr_fail(-EINVAL, "%s: the address space belongs to another context than the "
			       "device's", dev->name);
	return wr_ioas_move(&dev->ep, ioas);
}

int weir_device_info(struct weir_device *dev, struct weir_device_info *info)
{
	unsigned char head[64];
	int ret = weir_region_read(dev, WEIR_REGION_CONFIG, 0, head, sizeof(head));

	if (ret)
		return ret;
#define LE16(at) ((uint16_t)(head[at] | head[(at) + 1] << 8))
	*info = (struct weir_device_info){
		.name = dev->name,
		.backend = dev->backend,
		.vendor = LE16(WR_PCI_VENDOR),
		.device = LE16(WR_PCI_DEVICE),
		.subsystem_vendor = LE16(WR_PCI_SUBSYSTEM_VENDOR),
		.subsystem_device = LE16(WR_PCI_SUBSYSTEM_DEVICE),
		.class_code = head[WR_PCI_CLASS] | (uint32_t)LE16(WR_PCI_CLASS + 1) << 8,
		.revision = head[WR_PCI_REVISION],
		.can_reset = dev->transport->can_reset(dev),
		.requester = __atomic_load_n(&dev->ep.requester, __ATOMIC_RELAXED),
	};
#undef LE16
	return 0;
}

int weir_device_bus_master(struct weir_device *dev, bool on)
{
	uint16_t command;
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	/* Read, change and write belong together. */
	pthread_mutex_lock(&dev->lock);
	ret = weir_config_read16(dev, WR_PCI_COMMAND, &command);
	/* Its upper bits are reserved, and zero, on every device that answers. */
	if (!ret && (command & WR_PCI_COMMAND_RESERVED) == WR_PCI_COMMAND_RESERVED)
		ret = wr_fail(-ENODEV, "%s: its command register reads all ones: the device is "
			      "gone, or doesn't answer for now", dev->name);
	if (ret == -ENODEV)
		wr_eeh_explain(dev, ret);
	if (!ret) {
		if (on)
			command |= WR_PCI_COMMAND_MASTER;
		else
			command &= (uint16_t)~WR_PCI_COMMAND_MASTER;
		ret = weir_config_write16(dev, WR_PCI_COMMAND, command);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

int weir_device_gone(struct weir_device *dev)
{
	int ret = wr_device_check(dev);

	if (ret)
		return ret;
	ret = dev->transport->gone(dev);
	/* What is frozen is there, and can be had back. */
	if (ret > 0 && wr_eeh_frozen(dev))
		return 0;
	return ret < 0 ? wr_fail_in(ret, "%s", dev->name) : ret;
}
