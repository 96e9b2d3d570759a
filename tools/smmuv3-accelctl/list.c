// SPDX-License-Identifier: GPL-2.0
/*
 * smmuv3-accelctl list
 */
#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "accelctl.h"

static void print_registers(const struct vsmmu *v)
{
	static const char * const names[] = {
		"cr0", "gbpa", "strtab_base", "strtab_base_cfg", "cmdq_base",
	};
	size_t i;

	out_object("registers");
	for (i = 0; i < ARRAY_LEN(names); i++)
		out_string(names[i], "%s", v->regs[i]);
	out_end();
}

static void print_phys(const struct vsmmu_phys *p)
{
	out_object(NULL);
	out_number("index", p->index);
	out_number("viommu_id", p->viommu_id);
	out_number("s2_hwpt_id", p->s2_hwpt_id);
	out_number("streams", p->stream_num);
	out_end();
}

static void print_stream(const struct vsmmu_stream *s)
{
	out_object(NULL);
	out_vsid(s);
	out_string("device", "%s", s->device);
	if (s->has_device) {
		out_number("phys", s->phys);
		out_number("dev_id", s->dev_id);
		out_number("vdevice_id", s->vdevice_id);
		out_number("hwpt_id", s->hwpt_id);
	}
	out_string("installed", "%s", s->kind);
	if (s->reason) {
		out_string("reason", "%s", reason_name(s->reason));
		out_string("because", "%s", reason_text(s->reason));
	}
	/* The STE has no effect while another domain is attached. */
	if (s->ste[0] && strcmp(s->kind, "other"))
		out_string("ste", "0x%016llx 0x%016llx", s->ste[0], s->ste[1]);
	out_end();
}

static void print_vsmmu(const struct vsmmu *v)
{
	size_t i;

	out_vsmmu(v);
	if (v->has_detail) {
		out_string("mode", v->table_mode ? "table" : "explicit");
		if (v->table_mode)
			print_registers(v);
		out_array("phys");
		for (i = 0; i < v->phys_num; i++)
			print_phys(&v->phys[i]);
		out_end();
		out_array("streams");
		for (i = 0; i < v->stream_num; i++)
			print_stream(&v->streams[i]);
		out_end();
	}
	out_end();
}

int cmd_list(int argc, char **argv)
{
	static const struct option long_options[] = {
		JSON_OPTION,
		HELP_OPTION,
		{}
	};
	int c;

	while ((c = getopt_long(argc, argv, COMMON_OPTIONS, long_options, NULL)) != -1)
		common_option(c);
	if (optind < argc)
		die(EXIT_USAGE, "list takes no argument '%s'", argv[optind]);
	module_require();
	out_vsmmus(true, 0, print_vsmmu);
	return 0;
}
