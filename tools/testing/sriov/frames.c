// SPDX-License-Identifier: GPL-2.0
/*
 * frames send INTERFACE CHANNEL <FILE
 * frames receive INTERFACE CHANNEL >FILE
 *
 * Copy a file over Ethernet without IP, for sriov.sh: in frames that the receiver
 * acknowledges one by one. The first goes to all stations, and who answers is the
 * receiver. Several copies may run at a time, each by a channel of its own.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sys/socket.h>

#define ETHERTYPE	0x88b5	/* for experiments */
#define ADDRESS_LEN	6
#define DATA_MAX	1400
#define RETRY_MS	1000
#define PATIENCE_MS	60000

enum { FRAME_DATA, FRAME_ACK };

/* A frame of data with no data is the last one. */
struct frame {
	uint8_t to[ADDRESS_LEN];
	uint8_t from[ADDRESS_LEN];
	uint16_t type;
	uint16_t channel;
	uint32_t number;
	uint16_t kind;
	uint16_t len;
	uint8_t data[DATA_MAX];
} __attribute__((packed));

#define HEADER_LEN	offsetof(struct frame, data)

static int sock;
static uint16_t channel;
static uint8_t self[ADDRESS_LEN];

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "frames: %s\n", what);
	exit(1);
}

static void open_socket(const char *interface)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE),
		.sll_ifindex = if_nametoindex(interface),
	};
	socklen_t len = sizeof(address);

	sock = socket(AF_PACKET, SOCK_RAW, htons(ETHERTYPE));
	if (sock < 0 || !address.sll_ifindex ||
	    bind(sock, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockname(sock, (struct sockaddr *)&address, &len))
		fail(strerror(errno));
	memcpy(self, address.sll_addr, ADDRESS_LEN);
}

static void put(struct frame *frame, const uint8_t to[ADDRESS_LEN], uint32_t number, int kind,
		size_t len)
{
	memcpy(frame->to, to, ADDRESS_LEN);
	memcpy(frame->from, self, ADDRESS_LEN);
	frame->type = htons(ETHERTYPE);
	frame->channel = htons(channel);
	frame->number = htonl(number);
	frame->kind = htons(kind);
	frame->len = htons(len);
	if (send(sock, frame, HEADER_LEN + len, 0) < 0 && errno != ENOBUFS)
		fail(strerror(errno));
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Get a frame of @kind in this channel. Return: whether one came until @deadline */
static bool get(struct frame *frame, int kind, int64_t deadline)
{
	struct pollfd poll_fd = { .fd = sock, .events = POLLIN };
	int64_t left;
	ssize_t len;

	while ((left = deadline - now_ms()) > 0 && poll(&poll_fd, 1, left) > 0) {
		len = recv(sock, frame, sizeof(*frame), 0);
		if (len < 0)
			fail(strerror(errno));
		if ((size_t)len >= HEADER_LEN && ntohs(frame->channel) == channel &&
		    ntohs(frame->kind) == kind && ntohs(frame->len) <= len - HEADER_LEN)
			return true;
	}
	return false;
}

static void send_file(void)
{
	uint8_t receiver[ADDRESS_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct frame frame, ack;
	uint32_t number = 0;
	int64_t deadline;
	size_t len;
	int tries;

	do {
		len = fread(frame.data, 1, DATA_MAX, stdin);
		if (ferror(stdin))
			fail("cannot read the file");
		for (tries = 0; tries < PATIENCE_MS / RETRY_MS; tries++) {
			put(&frame, receiver, number, FRAME_DATA, len);
			deadline = now_ms() + RETRY_MS;
			while (get(&ack, FRAME_ACK, deadline))
				if (ntohl(ack.number) == number)
					goto answered;
		}
		fail("nobody answers");
answered:
		memcpy(receiver, ack.from, ADDRESS_LEN);
		number++;
	} while (len);
}

static void receive_file(void)
{
	uint32_t expected = 0, number;
	int timeout = PATIENCE_MS;
	struct frame frame, ack = { 0 };
	size_t len;

	while (get(&frame, FRAME_DATA, now_ms() + timeout)) {
		number = ntohl(frame.number);
		len = ntohs(frame.len);
		if (number > expected)
			fail("a frame is missing");
		if (number == expected) {
			if (fwrite(frame.data, 1, len, stdout) != len)
				fail("cannot write the file");
			expected++;
			/* The sender may repeat the last one. */
			if (!len)
				timeout = 2 * RETRY_MS;
		}
		put(&ack, frame.from, number, FRAME_ACK, 0);
	}
	if (timeout == PATIENCE_MS)
		fail("nothing comes");
	if (fflush(stdout))
		fail("cannot write the file");
}

int main(int argc, char *argv[])
{
	if (argc != 4)
		fail("usage: frames send|receive INTERFACE CHANNEL");
	channel = atoi(argv[3]);
	open_socket(argv[2]);
	if (!strcmp(argv[1], "send"))
		send_file();
	else
		receive_file();
	return 0;
}
