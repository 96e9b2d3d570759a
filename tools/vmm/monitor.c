// SPDX-License-Identifier: GPL-2.0
/*
 * Commands from outside, one a line, on a unix socket. The answer is a line as
 * well: "ok", "error: WHY", or what was asked for. The main thread never waits
 * for a client. It hangs up on a client that does not read its answers and, if
 * there are too many clients, on the one that has been silent for longest.
 */
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vmm.h"

#define CLIENTS_MAX	8

struct client {
	int fd;
	bool used;
	char line[256];
	size_t length;
	uint64_t turn;		/* when it last sent something */
};

static int listener;
static struct client clients[CLIENTS_MAX];
static uint64_t turns;

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

static void command(FILE *out, char *line)
{
	char *rest = line, *word = strsep(&rest, " ");
	uint64_t slot;

	if (!rest)
		rest = "";
	if (!strcmp(word, "plug")) {
		answer(out, pci_plug(rest));
	} else if (!strcmp(word, "unplug")) {
		answer(out, number_parse(rest, "", PCI_SLOTS - 1, &slot) ?
		       pci_unplug(slot) : fail("'%s' is no slot", rest));
	} else if (!strcmp(word, "reset")) {
		vm_request(VM_RESET);
		answer(out, 0);
	} else if (!strcmp(word, "powerdown")) {
		power_button_press();
		answer(out, 0);
	} else if (!strcmp(word, "stats")) {
		stats_print(out);
	} else if (!strcmp(word, "quit")) {
		vm_request(VM_STOP);
		answer(out, 0);
	} else if (!strcmp(word, "help")) {
		fputs("plug BDF[,OPTIONS] | unplug SLOT | powerdown | reset | stats | quit\n",
		      out);
	} else {
		answer(out, fail("no command '%s'; help says what there is", word));
	}
}

static void hang_up(struct client *client)
{
	event_del(client->fd);
	close(client->fd);
	client->used = false;
}

/* Run the client's line. Return: whether the client has taken the answer */
static bool run_line(struct client *client)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t sent;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return false;
	command(out, client->line);
	sent = fclose(out) ? -1 : send(client->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	free(text);
	return sent == (ssize_t)size;
}

static void read_client(void *arg)
{
	struct client *client = arg;
	char *next = client->line + client->length;
	ssize_t n = recv(client->fd, next, 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	client->turn = ++turns;
	if (n <= 0) {
		hang_up(client);
	} else if (*next == '\n') {
		*next = 0;
		client->length = 0;
		if (run_line(client))
			return;
		say("monitor: a client that does not read its answer is hung up");
		hang_up(client);
	} else if (++client->length == sizeof(client->line)) {
		hang_up(client);
	}
}

/* Find a place for a client: a free one, or that of the client silent for longest. */
static struct client *make_room(void)
{
	struct client *client, *silent = clients;

	for (client = clients; client < &clients[CLIENTS_MAX]; client++) {
		if (!client->used)
			return client;
		if (client->turn < silent->turn)
			silent = client;
	}
	hang_up(silent);
	return silent;
}

static void accept_client(void *arg)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	(void)arg;
	if (fd < 0)
		return;
	client = make_room();
	*client = (struct client) { .fd = fd, .used = true, .turn = ++turns };
	if (event_add(fd, read_client, client)) {
		say("monitor: %s", failure());
		close(fd);
		client->used = false;
	}
}

static int open_socket(const char *path, struct sockaddr_un *addr, int flags)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	*addr = (struct sockaddr_un) { .sun_family = AF_UNIX };
	if (fd < 0 || strlen(path) >= sizeof(addr->sun_path))
		die("--monitor: %s: %s", path, fd < 0 ? strerror(errno) : "too long");
	strcpy(addr->sun_path, path);
	return fd;
}

void monitor_init(const char *path)
{
	struct sockaddr_un addr;

	listener = open_socket(path, &addr, SOCK_NONBLOCK);
	unlink(path);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, CLIENTS_MAX))
		die("--monitor: %s: %s", path, strerror(errno));
	if (event_add(listener, accept_client, NULL))
		die("--monitor: %s", failure());
}

/**
 * monitor_send - Send a command to another VMM and print its answer
 * @path: the socket
 * @text: the command
 *
 * Return: true if the answer was an error
 */
bool monitor_send(const char *path, const char *text)
{
	struct sockaddr_un addr;
	int fd = open_socket(path, &addr, 0);
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
