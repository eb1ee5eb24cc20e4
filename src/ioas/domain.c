/* SPDX-License-Identifier: MIT */
#include "ioas/domain.h"

const struct wr_domain_ops *const wr_domains[] = {
	&wr_domain_iommufd,
	&wr_domain_type1v2,
	&wr_domain_type1,
	&wr_domain_compat,
	&wr_domain_spapr_v2,
	&wr_domain_spapr,
	&wr_domain_iommufd_noiommu,
	&wr_domain_noiommu,
	&wr_domain_soft,
	NULL,
};
