/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_SMMUV3_ACCEL_HARNESS_H
#define SELFTEST_SMMUV3_ACCEL_HARNESS_H

#include "kselftest_harness.h"

/*
 * Seconds for a test. The default is for hardware; an emulated host with a debug
 * kernel takes a hundred times as long.
 */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	600

#endif
