// SPDX-License-Identifier: GPL-2.0
/*
 * Commands from outside: a line each, on a unix socket. The answer is a line as
 * well: "ok", "error: WHY", or what was asked for. One client at a time.
 */
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vmm.h"

static int listener, client = -1;
static char line[256];
static size_t length;

void stats_print(FILE *out)
{
	static const char * const names[] = {
		[EXIT_SMMU] = "mmio_smmu",
		[EXIT_UART] = "mmio_uart",
		[EXIT_PCI_CONFIG] = "mmio_pci_config",
		[EXIT_MSIX] = "mmio_msix",
		[EXIT_OTHER] = "other",
	};
	uint64_t total = 0;
	unsigned int i;

	for (i = 0; i < EXIT_CLASSES; i++)
		total += vm_exits(i);
	fprintf(out, "{\"exits\": {\"total\": %llu", (unsigned long long)total);
	for (i = 0; i < EXIT_CLASSES; i++)
		fprintf(out, ", \"%s\": %llu", names[i], (unsigned long long)vm_exits(i));
	fprintf(out, "}, \"vsmmus\": [");
	smmu_stats(out);
	fprintf(out, "]}\n");
}

static void answer(FILE *out, int rc)
{
	if (rc < 0)
		fprintf(out, "error: %s\n", failure());
	else
		fprintf(out, "ok\n");
}

static void command(FILE *out)
{
	char *rest = line, *word = strsep(&rest, " "), *end;
	unsigned long slot;

	if (!rest)
		rest = "";
	if (!strcmp(word, "plug")) {
		answer(out, pci_plug(rest));
	} else if (!strcmp(word, "unplug")) {
		slot = strtoul(rest, &end, 10);
		answer(out, *end || end == rest || slot >= PCI_SLOTS ?
		       fail("'%s' is no slot", rest) : pci_unplug(slot));
	} else if (!strcmp(word, "reset")) {
		vm_request(VM_RESET);
		answer(out, 0);
	} else if (!strcmp(word, "stats")) {
		stats_print(out);
	} else if (!strcmp(word, "quit")) {
		vm_request(VM_STOP);
		answer(out, 0);
	} else if (!strcmp(word, "help")) {
		fprintf(out, "plug BDF[,OPTIONS] | unplug SLOT | reset | stats | quit\n");
	} else {
		answer(out, fail("no command '%s'; help says what there is", word));
	}
}

static void accept_client(void *arg);

static void hang_up(void)
{
	event_del(client);
	close(client);
	client = -1;
	event_add(listener, accept_client, NULL);
}

static void run_line(void)
{
	FILE *out = fdopen(dup(client), "w");

	if (!out)
		return;
	command(out);
	fclose(out);
}

static void read_client(void *arg)
{
	ssize_t n = read(client, line + length, 1);

	(void)arg;
	if (n <= 0) {
		hang_up();
	} else if (line[length] == '\n') {
		line[length] = 0;
		length = 0;
		run_line();
	} else if (++length == sizeof(line)) {
		hang_up();
	}
}

static void accept_client(void *arg)
{
	(void)arg;
	client = accept(listener, NULL, NULL);
	if (client < 0)
		return;
	length = 0;
	event_del(listener);
	event_add(client, read_client, NULL);
}

static int open_socket(const char *path, struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*addr = (struct sockaddr_un) { .sun_family = AF_UNIX };
	if (fd < 0 || strlen(path) >= sizeof(addr->sun_path))
		die("--monitor: %s: %s", path, fd < 0 ? strerror(errno) : "too long");
	strcpy(addr->sun_path, path);
	return fd;
}

void monitor_init(const char *path)
{
	struct sockaddr_un addr;

	listener = open_socket(path, &addr);
	unlink(path);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 1))
		die("--monitor: %s: %s", path, strerror(errno));
	event_add(listener, accept_client, NULL);
}

/**
 * monitor_send - Be the client: send a command to another VMM, print its answer
 * @path: the socket
 * @text: the command
 *
 * Return: whether that was an error
 */
bool monitor_send(const char *path, const char *text)
{
	struct sockaddr_un addr;
	int fd = open_socket(path, &addr);
	char reply[4096];
	FILE *stream;

	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("--monitor: %s: %s", path, strerror(errno));
	stream = fdopen(fd, "r+");
	if (!stream || fprintf(stream, "%s\n", text) < 0 || fflush(stream) ||
	    !fgets(reply, sizeof(reply), stream))
		die("--monitor: %s: no answer", path);
	fputs(reply, stdout);
	return !strncmp(reply, "error", 5);
}
