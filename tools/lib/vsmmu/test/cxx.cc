// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The library as a C++ program uses it.
 */
#include "vsmmu.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

extern "C" {
#include "fake.h"
}

static int failed;

static void expect(bool holds, const char *what)
{
	static int number;

	failed += !holds;
	std::printf("%sok %d - %s\n", holds ? "" : "not ", ++number, what);
}

int main()
{
	static struct fake fake;
	struct vsmmu_config config = vsmmu_config();
	struct vsmmu_error error;
	struct vsmmu *v = nullptr;
	uint64_t value;
	char text[512];

	std::printf("1..6\n");
	fake_init(&fake);
	config.kernel = &fake_kernel;
	config.kernel_data = &fake;
	expect(vsmmu_new(&config, &v, &error) == -EINVAL && !v &&
	       error.reason == VSMMU_REASON_CONFIG,
	       "a config of zeros is refused");
	expect(std::strstr(vsmmu_strerror(&error, text, sizeof(text)),
			   "vsmmu_config_init()"),
	       "with a sentence");

	vsmmu_config_init(&config);
	config.accel_fd = FAKE_FD;
	config.iommufd = FAKE_IOMMUFD;
	config.kernel = &fake_kernel;
	config.kernel_data = &fake;
	expect(!vsmmu_new(&config, &v, &error) && v, "vsmmu_config_init()");
	expect(!vsmmu_start(v, nullptr), "vsmmu_start()");
	expect(!vsmmu_write(v, VSMMU_CMDQ_PROD, 5, 4) &&
	       !vsmmu_read(v, VSMMU_CMDQ_PROD, &value, 4) && value == 5,
	       "registers");
	vsmmu_free(v);
	expect(vsmmu_version() == VSMMU_VERSION, "vsmmu_version()");
	return failed != 0;
}
