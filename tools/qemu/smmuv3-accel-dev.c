/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arm-smmuv3 on /dev/smmuv3-accel
 *
 * The registers stay QEMU's. The module gets them whenever they change what the SMMU
 * does, runs the guest's command queue, and installs the guest's STEs on the host
 * SMMUs. A stream is an endpoint behind the SMMU: a device that vfio-pci passes
 * through, or one that QEMU emulates. For the latter QEMU walks the guest's tables
 * itself, as it does for the address of an MSI, and the module hands it the commands
 * that its caches must see.
 *
 * All is done under the BQL, so no field has a lock of its own. QEMU's caches of
 * translations have SMMUv3State.mutex.
 */
#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/iommufd.h>
#include <linux/smmuv3_accel.h>
#include "qemu/bitmap.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_bus.h"
#include "hw/qdev-core.h"
#include "migration/blocker.h"
#include "hw/arm/smmuv3-accel-dev.h"
#include "smmuv3-internal.h"
#if __has_include("hw/vfio/vfio-device.h")
#include "hw/vfio/vfio-device.h"
#include "hw/vfio/vfio-iommufd.h"
#include "system/address-spaces.h"
#include "system/iommufd.h"
#else
#include "exec/address-spaces.h"
#include "hw/vfio/vfio-common.h"
#include "system/iommufd.h"
#endif

/* linux/iommufd.h has this since Linux 6.15. */
#ifndef IOMMU_VEVENTQ_ALLOC
#define IOMMU_VEVENTQ_ALLOC _IO(IOMMUFD_TYPE, 0x93)
#define IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 1
#define IOMMU_VEVENTQ_FLAG_LOST_EVENTS (1U << 0)
struct iommu_veventq_alloc {
    uint32_t size;
    uint32_t flags;
    uint32_t viommu_id;
    uint32_t type;
    uint32_t veventq_depth;
    uint32_t out_veventq_id;
    uint32_t out_veventq_fd;
    uint32_t __reserved;
};
struct iommufd_vevent_header {
    uint32_t flags;
    uint32_t sequence;
};
#endif

#define EVENTQ_DEPTH 256
/* Sequence numbers of events have 31 bits. */
#define EVENT_SEQUENCE 0x7fffffffU
/* After a failure that may pass */
#define RETRY_MS 10

/* The registers have two pages. Page 0 has all that a guest reads often. */
#define REGS_PAGE_SIZE (64 * KiB)

/* An endpoint behind the SMMU */
typedef struct Stream {
    QLIST_ENTRY(Stream) next;
    PCIBus *bus;
    int devfn;
    SMMUDevice *sdev;
    /* NULL if QEMU emulates the endpoint */
    VFIODevice *vdev;
    /* The module's name for it as long as its bus has no number */
    uint32_t name;
    /* What the module knows, if it is attached: the StreamID or the name */
    bool attached;
    uint32_t vsid;
    uint32_t viommu_id;
} Stream;

/* The events of one host SMMU */
typedef struct Events {
    QLIST_ENTRY(Events) next;
    struct SMMUv3AccelDev *ad;
    uint32_t viommu_id;
    uint32_t id;
    int fd;
    bool seen;
    uint32_t sequence;
} Events;

typedef struct SMMUv3AccelDev {
    QLIST_ENTRY(SMMUv3AccelDev) next;
    SMMUv3State *s;
    /* Properties */
    char *path;
    bool ril;
    bool no_global;
    uint32_t max_cmds;

    int fd;
    struct smmuv3_accel_info info;
    /* The file is bound to this iommufd. */
    IOMMUFDBackend *iommufd;
    /* The guest has seen the ID registers; the module has them. */
    bool started;
    bool idr_sent;
    uint32_t idr[6];
    Error *migration_blocker;

    QLIST_HEAD(, Stream) streams;
    unsigned int devices;
    uint32_t names;
    /*
     * The device that VFIO realizes: its container asks for the HWPT's flags. Later
     * it may be gone, so this is only compared.
     */
    const DeviceState *coming;
    QLIST_HEAD(, Events) events;
    const PCIIOMMUOps *smmu_ops;

    MemoryListener listener;
    GArray *regions;
    GArray *new_regions;

    /* Still to be sent to the module */
    bool want_mem;
    bool want_regs;
    bool want_vsids;
    struct smmuv3_accel_set_regs regs;
    QEMUTimer *retry;

    /* Room for the module's answers */
    uint32_t (*feed)[4];
    struct smmuv3_accel_bad_ste *bad;

    const MemoryRegionOps *regs_ops;
    MemoryRegion page;
    uint32_t *page_words;
    MemoryRegion page_1;
} SMMUv3AccelDev;

static QLIST_HEAD(, SMMUv3AccelDev) accel_devs =
    QLIST_HEAD_INITIALIZER(accel_devs);

SMMUv3State *smmuv3_accel_dev_next(SMMUv3State *s)
{
    SMMUv3AccelDev *ad = s ? QLIST_NEXT(s->accel_dev, next) :
                             QLIST_FIRST(&accel_devs);

    return ad ? ad->s : NULL;
}

/* Calls of the module */

static const struct {
    uint32_t reason;
    const char *text;
} reasons[] = {
#define REASON(name, text) { SMMUV3_ACCEL_REASON_##name, text },
#include "smmuv3-accel-reasons.c.inc"
#undef REASON
};

static const char *reason_text(uint32_t reason)
{
    for (int i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (reasons[i].reason == reason) {
            return reasons[i].text;
        }
    }
    return "The module gives a reason that this QEMU does not know.";
}

/* Say why a call failed, in the words of linux/smmuv3_accel.h. */
static void G_GNUC_PRINTF(4, 5)
call_failed(Error **errp, int rc, uint32_t reason, const char *what, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, what);
    text = g_strdup_vprintf(what, ap);
    va_end(ap);
    if (reason) {
        error_setg_errno(errp, -rc, "%s: %s", text, reason_text(reason));
    } else {
        error_setg_errno(errp, -rc, "%s", text);
    }
}

/* A guest can make the host fail again and again: say each reason once. */
static void host_failed(const char *call, int rc, uint32_t reason)
{
    static DECLARE_BITMAP(said, 128);

    if (!test_and_set_bit(MIN(reason, 127), said)) {
        error_report("smmuv3-accel: %s: %s (%s)", call, reason_text(reason),
                     strerror(-rc));
    }
}

static int call(SMMUv3AccelDev *ad, unsigned long request, void *arg)
{
    int rc = RETRY_ON_EINTR(ioctl(ad->fd, request, arg));

    return rc ? -errno : 0;
}

static bool is_active(SMMUv3AccelDev *ad)
{
    return ad->started && ad->devices;
}

/* The page that the guest reads without exits */

static void page_put(SMMUv3AccelDev *ad, hwaddr offset, uint32_t value)
{
    uint32_t *word = &ad->page_words[offset / 4];

    if (le32_to_cpu(qatomic_read(word)) == value) {
        return;
    }
    qatomic_set(word, cpu_to_le32(value));
#ifdef __aarch64__
    /*
     * The guest maps registers as Device memory, so its loads may go past the
     * caches: clean the line to the point of coherency.
     */
    asm volatile("dc cvac, %0\n\tdsb sy" : : "r" (word) : "memory");
#endif
}

/* Page 0 has them all but the event queue's PROD and CONS. */
static const struct {
    uint16_t first;
    uint16_t last;
} page_regs[] = {
    { A_IDR0, A_CR2 },
    { A_STATUSR, A_GBPA },
    { A_IRQ_CTRL, A_IRQ_CTRL_ACK },
    { A_GERROR, A_GERROR_IRQ_CFG2 },
    { A_STRTAB_BASE, A_STRTAB_BASE_CFG },
    { A_CMDQ_BASE, A_EVENTQ_BASE + 4 },
    { A_EVENTQ_IRQ_CFG0, A_EVENTQ_IRQ_CFG2 },
    { A_IDREGS, A_IDREGS + 0x2c },
};

static void page_put_all(SMMUv3AccelDev *ad)
{
    for (int i = 0; i < ARRAY_SIZE(page_regs); i++) {
        for (hwaddr at = page_regs[i].first; at <= page_regs[i].last; at += 4) {
            uint64_t value = 0;

            ad->regs_ops->read_with_attrs(&ad->s->smmu_state, at, &value, 4,
                                          MEMTXATTRS_UNSPECIFIED);
            page_put(ad, at, value);
        }
    }
}

static void sync_all(SMMUv3AccelDev *ad);

static MemTxResult page_write(void *opaque, hwaddr addr, uint64_t value,
                              unsigned size, MemTxAttrs attrs)
{
    SMMUv3AccelDev *ad = opaque;
    MemTxResult r = ad->regs_ops->write_with_attrs(&ad->s->smmu_state, addr,
                                                   value, size, attrs);

    if (addr == A_CMDQ_PROD) {
        page_put(ad, A_CMDQ_PROD, ad->s->cmdq.prod);
        page_put(ad, A_CMDQ_CONS, ad->s->cmdq.cons);
    } else {
        /* QEMU's model tells of some registers only, when it runs the queue. */
        sync_all(ad);
        page_put_all(ad);
    }
    return r;
}

static MemTxResult page_read(void *opaque, hwaddr addr, uint64_t *value,
                             unsigned size, MemTxAttrs attrs)
{
    SMMUv3AccelDev *ad = opaque;

    return ad->regs_ops->read_with_attrs(&ad->s->smmu_state, addr, value, size,
                                         attrs);
}

static const MemoryRegionOps page_ops = {
    .read_with_attrs = page_read,
    .write_with_attrs = page_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 8 },
    .impl = { .min_access_size = 4, .max_access_size = 8 },
};

/*
 * KVM makes a read-only slot of a ROM device: loads do not exit, stores do. In QEMU's
 * model page 1 is an alias of page 0, so stores to it have the same effects.
 */
static bool page_init(SMMUv3AccelDev *ad, Error **errp)
{
    MemoryRegion *iomem = &ad->s->smmu_state.iomem;

    ad->regs_ops = iomem->ops;
    if (!memory_region_init_rom_device_nomigrate(&ad->page, OBJECT(ad->s),
                                                 &page_ops, ad,
                                                 "smmuv3-page-0",
                                                 REGS_PAGE_SIZE, errp)) {
        return false;
    }
    ad->page_words = memory_region_get_ram_ptr(&ad->page);
    memory_region_add_subregion(iomem, 0, &ad->page);
    memory_region_init_io(&ad->page_1, OBJECT(ad->s), &page_ops, ad,
                          "smmuv3-page-1", REGS_PAGE_SIZE);
    memory_region_add_subregion(iomem, REGS_PAGE_SIZE, &ad->page_1);
    return true;
}

void smmuv3_accel_dev_gerror(SMMUv3State *s)
{
    if (s->accel_dev && s->accel_dev->page_words) {
        page_put(s->accel_dev, A_GERROR, s->gerror);
    }
}

/* Guest memory */

static void mem_begin(MemoryListener *listener)
{
    SMMUv3AccelDev *ad = container_of(listener, SMMUv3AccelDev, listener);

    g_array_set_size(ad->new_regions, 0);
}

/* The guest's queue and tables can be in RAM, and nowhere else. */
static void mem_section(MemoryListener *listener, MemoryRegionSection *section)
{
    SMMUv3AccelDev *ad = container_of(listener, SMMUv3AccelDev, listener);
    struct smmuv3_accel_mem_region region, *last;
    MemoryRegion *mr = section->mr;
    GArray *regions = ad->new_regions;

    if (!memory_region_is_ram(mr) || memory_region_is_ram_device(mr) ||
        mr->readonly) {
        return;
    }
    region.gpa = section->offset_within_address_space;
    region.size = int128_get64(section->size);
    region.uaddr = (uintptr_t)memory_region_get_ram_ptr(mr) +
                   section->offset_within_region;
    if (regions->len) {
        last = &g_array_index(regions, struct smmuv3_accel_mem_region,
                              regions->len - 1);
        if (last->gpa + last->size == region.gpa &&
            last->uaddr + last->size == region.uaddr) {
            last->size += region.size;
            return;
        }
    }
    g_array_append_val(regions, region);
}

static void mem_send(SMMUv3AccelDev *ad)
{
    struct smmuv3_accel_mem_table arg = {
        .size = sizeof(arg),
        .regions_uptr = (uintptr_t)ad->regions->data,
        .region_num = ad->regions->len,
    };
    int rc = call(ad, SMMUV3_ACCEL_SET_MEM_TABLE, &arg);

    ad->want_mem = rc;
    if (rc) {
        host_failed("SET_MEM_TABLE", rc, arg.out_reason);
    }
}

static void mem_commit(MemoryListener *listener)
{
    SMMUv3AccelDev *ad = container_of(listener, SMMUv3AccelDev, listener);
    GArray *old = ad->regions, *new = ad->new_regions;

    if (old->len == new->len &&
        !memcmp(old->data, new->data,
                old->len * sizeof(struct smmuv3_accel_mem_region))) {
        return;
    }
    ad->regions = new;
    ad->new_regions = old;
    if (ad->iommufd) {
        ad->want_mem = true;
        sync_all(ad);
    }
}

/* QEMU's own caches */

/* A notifier with mappings of its own, such as vhost, drops them all. */
static void flush_notifiers(SMMUState *bs)
{
    if (!QLIST_EMPTY(&bs->devices_with_notifiers)) {
        smmu_inv_notifiers_all(bs);
    }
}

static void flush_all(SMMUState *bs)
{
    g_hash_table_remove_all(bs->configs);
    smmu_iotlb_inv_all(bs);
    flush_notifiers(bs);
}

/* Invalidate at least what a command says. Returns whether that was a TLBI. */
static bool flush_for(SMMUState *bs, const uint32_t le[4])
{
    SMMUSIDRange sids;
    uint64_t mask = 0;
    int asid = -1;
    Cmd cmd;

    for (int i = 0; i < ARRAY_SIZE(cmd.word); i++) {
        cmd.word[i] = le32_to_cpu(le[i]);
    }
    switch (CMD_TYPE(&cmd)) {
    case SMMU_CMD_CFGI_STE_RANGE: /* and CFGI_ALL */
        mask = (2ULL << CMD_STE_RANGE(&cmd)) - 1;
        /* fall through */
    case SMMU_CMD_CFGI_STE:
    case SMMU_CMD_CFGI_CD:
    case SMMU_CMD_CFGI_CD_ALL:
        sids.start = CMD_SID(&cmd) & ~mask;
        sids.end = sids.start + mask;
        smmu_configs_inv_sid_range(bs, sids);
        return false;
    case SMMU_CMD_TLBI_NH_VA:
        asid = CMD_ASID(&cmd);
        /* fall through */
    case SMMU_CMD_TLBI_NH_VAA:
        if (!CMD_TG(&cmd)) {
            smmu_iotlb_inv_iova(bs, asid, -1, CMD_ADDR(&cmd), 0, 1, 0);
        } else if (asid < 0) {
            smmu_iotlb_inv_all(bs);
        } else {
            smmu_iotlb_inv_asid_vmid(bs, asid, -1);
        }
        return true;
    case SMMU_CMD_TLBI_NH_ASID:
        smmu_iotlb_inv_asid_vmid(bs, CMD_ASID(&cmd), -1);
        return true;
    case SMMU_CMD_TLBI_NH_ALL:
    case SMMU_CMD_TLBI_NSNH_ALL:
        smmu_iotlb_inv_all(bs);
        return true;
    default:
        return false;
    }
}

/*
 * QEMU looks at the tables for a device that is passed through too: for the address of
 * an MSI. The feed has no CFGI for it, nor for an endpoint that could not be attached,
 * and without an attached endpoint there is no feed.
 */
static void take_feed(SMMUv3AccelDev *ad, const struct smmuv3_accel_run_cmdq *run)
{
    SMMUState *bs = &ad->s->smmu_state;
    bool tlbi = false, fed = false;
    Stream *st;

    QEMU_LOCK_GUARD(&ad->s->mutex);
    QLIST_FOREACH(st, &ad->streams, next) {
        if (st->attached && !st->vdev) {
            fed = true;
        } else {
            g_hash_table_remove(bs->configs, st->sdev);
        }
    }
    if (!fed || (run->out_flags & SMMUV3_ACCEL_RUN_FEED_OVERFLOW)) {
        flush_all(bs);
        return;
    }
    for (uint32_t i = 0; i < run->feed_num; i++) {
        tlbi |= flush_for(bs, ad->feed[i]);
    }
    if (tlbi) {
        flush_notifiers(bs);
    }
}

/* Events */

static void event_put(SMMUv3AccelDev *ad, const uint64_t le[4])
{
    Evt evt;

    for (int i = 0; i < 4; i++) {
        evt.word[2 * i] = extract64(le64_to_cpu(le[i]), 0, 32);
        evt.word[2 * i + 1] = extract64(le64_to_cpu(le[i]), 32, 32);
    }
    /* If the guest's queue is full or off, the event is lost, as on hardware. */
    smmuv3_write_eventq(ad->s, &evt);
}

/* A record: a header and, unless that tells of lost events, an event */
typedef struct Record {
    struct iommufd_vevent_header header;
    uint64_t evt[4];
} Record;

/* Take one record. Returns its length, or 0 if it is not complete. */
static size_t event_take(Events *ev, const uint8_t *buf, size_t len)
{
    Record record;
    bool lost;

    if (len < sizeof(record.header)) {
        return 0;
    }
    memcpy(&record, buf, MIN(len, sizeof(record)));
    lost = record.header.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
    if (!lost && len < sizeof(record)) {
        return 0;
    }
    /* If records were lost between others, only the sequence shows it. */
    if (lost || (ev->seen && ((record.header.sequence - ev->sequence) &
                              EVENT_SEQUENCE) != 1)) {
        warn_report_once("smmuv3-accel: the host lost events for the guest");
    }
    ev->seen = true;
    ev->sequence = record.header.sequence;
    if (lost) {
        return sizeof(record.header);
    }
    event_put(ev->ad, record.evt);
    return sizeof(record);
}

/* Take what is there now, but no more than the queue can have. */
static void events_take(Events *ev)
{
    uint8_t buf[64 * sizeof(Record)];
    size_t len;
    ssize_t n;

    for (int i = 0; i < EVENTQ_DEPTH / 64; i++) {
        n = RETRY_ON_EINTR(read(ev->fd, buf, sizeof(buf)));
        if (n <= 0) {
            return;
        }
        for (ssize_t at = 0; at < n; at += len) {
            len = event_take(ev, buf + at, n - at);
            if (!len) {
                return;
            }
        }
    }
}

static void events_readable(void *opaque)
{
    events_take(opaque);
}

static void events_take_all(SMMUv3AccelDev *ad)
{
    Events *ev;

    QLIST_FOREACH(ev, &ad->events, next) {
        events_take(ev);
    }
}

static Events *events_find(SMMUv3AccelDev *ad, uint32_t viommu_id)
{
    Events *ev;

    QLIST_FOREACH(ev, &ad->events, next) {
        if (ev->viommu_id == viommu_id) {
            return ev;
        }
    }
    return NULL;
}

static bool events_open(SMMUv3AccelDev *ad, uint32_t viommu_id, Error **errp)
{
    struct iommu_veventq_alloc arg = {
        .size = sizeof(arg),
        .viommu_id = viommu_id,
        .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
        .veventq_depth = EVENTQ_DEPTH,
    };
    Events *ev;

    if (events_find(ad, viommu_id)) {
        return true;
    }
    if (ioctl(ad->iommufd->fd, IOMMU_VEVENTQ_ALLOC, &arg)) {
        error_setg_errno(errp, errno, "cannot allocate a queue for the host "
                         "SMMU's events");
        return false;
    }
    ev = g_new0(Events, 1);
    ev->ad = ad;
    ev->viommu_id = viommu_id;
    ev->id = arg.out_veventq_id;
    ev->fd = arg.out_veventq_fd;
    g_unix_set_fd_nonblocking(ev->fd, true, NULL);
    qemu_set_fd_handler(ev->fd, events_readable, NULL, ev);
    QLIST_INSERT_HEAD(&ad->events, ev, next);
    return true;
}

static void events_close(SMMUv3AccelDev *ad, Events *ev)
{
    events_take(ev);
    qemu_set_fd_handler(ev->fd, NULL, NULL, NULL);
    close(ev->fd);
    iommufd_backend_free_id(ad->iommufd, ev->id);
    QLIST_REMOVE(ev, next);
    g_free(ev);
}

/* Streams */

static Stream *stream_find(SMMUv3AccelDev *ad, PCIBus *bus, int devfn)
{
    Stream *st;

    QLIST_FOREACH(st, &ad->streams, next) {
        if (st->bus == bus && st->devfn == devfn) {
            return st;
        }
    }
    return NULL;
}

/* The StreamID, or the name if firmware or guest have not numbered the bus */
static uint32_t stream_sid(const Stream *st)
{
    int num = pci_bus_num(st->bus);

    if (!num && !pci_bus_is_root(st->bus)) {
        return st->name;
    }
    return PCI_BUILD_BDF(num, st->devfn);
}

/* As stream_sid(), but if an earlier stream has that, it cannot be. */
static uint32_t stream_wanted_vsid(SMMUv3AccelDev *ad, const Stream *st)
{
    uint32_t sid = stream_sid(st);
    const Stream *other;

    QLIST_FOREACH(other, &ad->streams, next) {
        if (other == st) {
            break;
        }
        if (other->attached && stream_sid(other) == sid) {
            return st->name;
        }
    }
    return sid;
}

static const char *idr_field(int reg, uint32_t bits)
{
    static const struct {
        int reg;
        uint32_t mask;
        const char *name;
    } fields[] = {
        { 0, R_IDR0_TTF_MASK | (1U << 3), "TTF" },
        { 0, R_IDR0_ASID16_MASK, "ASID16" },
        { 0, R_IDR0_TTENDIAN_MASK, "TTENDIAN" },
        { 0, R_IDR0_TERM_MODEL_MASK, "TERM_MODEL" },
        { 0, R_IDR0_STLEVEL_MASK, "ST_LEVEL" },
        { 1, R_IDR1_SIDSIZE_MASK, "SIDSIZE" },
        { 3, R_IDR3_HAD_MASK, "HAD" },
        { 3, R_IDR3_RIL_MASK, "RIL" },
        { 3, R_IDR3_BBML_MASK, "BBML" },
        { 5, R_IDR5_OAS_MASK, "OAS" },
        { 5, R_IDR5_GRAN4K_MASK, "GRAN4K" },
        { 5, R_IDR5_GRAN16K_MASK, "GRAN16K" },
        { 5, R_IDR5_GRAN64K_MASK, "GRAN64K" },
    };

    for (int i = 0; i < ARRAY_SIZE(fields); i++) {
        if (fields[i].reg == reg && (fields[i].mask & bits)) {
            return fields[i].name;
        }
    }
    return NULL;
}

static void hint_idrs(Error **errp, const uint32_t bad[6])
{
    for (int i = 0; i < 6; i++) {
        const char *name = idr_field(i, bad[i]);

        if (bad[i]) {
            error_append_hint(errp, "SMMU_IDR%d: 0x%x%s%s\n", i, bad[i],
                              name ? ", first " : "", name ? name : "");
        }
    }
}

static bool stream_attach(SMMUv3AccelDev *ad, Stream *st, Error **errp)
{
    ERRP_GUARD();
    struct smmuv3_accel_attach arg = {
        .size = sizeof(arg),
        .flags = st->vdev ? 0 : SMMUV3_ACCEL_ATTACH_FEED,
        .vfio_fd = st->vdev ? st->vdev->fd : -1,
        .vsid = stream_wanted_vsid(ad, st),
        .s2_hwpt_id = st->vdev ? st->vdev->hwpt->hwpt_id : 0,
    };
    int rc = call(ad, SMMUV3_ACCEL_ATTACH, &arg);

    if (rc) {
        call_failed(errp, rc, arg.out_reason, "cannot put %s behind the SMMU",
                    st->vdev ? st->vdev->name : "an emulated endpoint");
        if (arg.out_reason == SMMUV3_ACCEL_REASON_PARENT_IN_USE ||
            arg.out_reason == SMMUV3_ACCEL_REASON_PARENT_REJECTED) {
            error_append_hint(errp, "Give the devices of each SMMU an iommufd "
                              "object of their own.\n");
        }
        hint_idrs(errp, arg.out_bad_idr);
        return false;
    }
    st->attached = true;
    st->vsid = arg.vsid;
    st->viommu_id = st->vdev ? arg.out_viommu_id : 0;
    return true;
}

/* The queue of a host SMMU's events keeps the module from giving its objects up. */
static void stream_detach(SMMUv3AccelDev *ad, Stream *st)
{
    struct smmuv3_accel_detach arg = {
        .size = sizeof(arg),
        .vsid = st->vsid,
    };
    Events *ev = NULL;
    Stream *other;
    int rc;

    if (!st->attached) {
        return;
    }
    st->attached = false;
    if (st->viommu_id) {
        ev = events_find(ad, st->viommu_id);
    }
    QLIST_FOREACH(other, &ad->streams, next) {
        if (other->attached && other->viommu_id == st->viommu_id) {
            ev = NULL;
        }
    }
    if (ev) {
        events_close(ad, ev);
    }
    rc = call(ad, SMMUV3_ACCEL_DETACH, &arg);
    if (rc) {
        host_failed("DETACH", rc, arg.out_reason);
    }
}

static Stream *stream_new(SMMUv3AccelDev *ad, PCIBus *bus, int devfn,
                          AddressSpace *as)
{
    Stream *st = g_new0(Stream, 1);

    st->bus = bus;
    object_ref(bus);
    if (bus->parent_dev) {
        object_ref(bus->parent_dev);
    }
    st->devfn = devfn;
    st->sdev = container_of(as, SMMUDevice, as);
    st->name = SMMUV3_ACCEL_VSID_UNSET | ad->names++;
    QLIST_INSERT_HEAD(&ad->streams, st, next);
    return st;
}

static void stream_free(Stream *st)
{
    QLIST_REMOVE(st, next);
    if (st->bus->parent_dev) {
        object_unref(st->bus->parent_dev);
    }
    object_unref(st->bus);
    g_free(st);
}

/* Registers */

/* Those that have an effect */
static void regs_now(SMMUv3AccelDev *ad, struct smmuv3_accel_set_regs *regs)
{
    SMMUv3State *s = ad->s;

    *regs = (struct smmuv3_accel_set_regs) {
        .size = sizeof(*regs),
        .cr0 = s->cr[0] & (R_CR0_SMMU_ENABLE_MASK | R_CR0_CMDQEN_MASK),
        .gbpa = s->gbpa & R_GBPA_ABORT_MASK,
    };
    if (smmu_enabled(s)) {
        regs->strtab_base_cfg = s->strtab_base_cfg;
        regs->strtab_base = s->strtab_base;
    }
    if (smmuv3_cmdq_enabled(s)) {
        regs->cmdq_base = s->cmdq.base;
    }
}

/*
 * The host cannot do what the guest wants of one device, and will not be able to. It
 * must not keep the others waiting: block its DMA until the machine is reset.
 */
static bool give_up(SMMUv3AccelDev *ad, uint32_t reason, uint32_t vsid)
{
    Stream *st;

    if (reason != SMMUV3_ACCEL_REASON_HOST_REJECT &&
        reason != SMMUV3_ACCEL_REASON_NO_POWER) {
        return false;
    }
    QLIST_FOREACH(st, &ad->streams, next) {
        if (st->vdev && st->attached && st->vsid == vsid) {
            error_report("smmuv3-accel: %s does no more DMA until the machine is "
                         "reset: %s", st->vdev->name, reason_text(reason));
            stream_detach(ad, st);
            return true;
        }
    }
    return false;
}

static void regs_send(SMMUv3AccelDev *ad)
{
    struct smmuv3_accel_set_regs arg;
    int rc;

    regs_now(ad, &arg);
    if (!ad->want_regs && !memcmp(&arg, &ad->regs, sizeof(arg))) {
        return;
    }
    ad->regs = arg;
    rc = call(ad, SMMUV3_ACCEL_SET_REGS, &arg);
    ad->want_regs = rc;
    if (rc && arg.out_reason != SMMUV3_ACCEL_REASON_RETRY &&
        !give_up(ad, arg.out_reason, arg.out_vsid)) {
        host_failed("SET_REGS", rc, arg.out_reason);
    }
}

static bool vsids_are_right(SMMUv3AccelDev *ad)
{
    Stream *st;

    QLIST_FOREACH(st, &ad->streams, next) {
        if (!BUS(st->bus)->realized ||
            (st->attached && st->vsid != stream_sid(st))) {
            return false;
        }
    }
    return true;
}

/* Nobody tells the SMMU that an emulated endpoint was unplugged together with its bus. */
static void streams_purge(SMMUv3AccelDev *ad)
{
    Stream *st, *next;

    QLIST_FOREACH_SAFE(st, &ad->streams, next, next) {
        if (!BUS(st->bus)->realized) {
            stream_detach(ad, st);
            stream_free(st);
        }
    }
}

/* Whether a failed SET_VSIDS has left all StreamIDs as they were */
static bool vsids_kept(int rc, uint32_t reason)
{
    switch (reason) {
    case SMMUV3_ACCEL_REASON_NO_MEM_TABLE:
    case SMMUV3_ACCEL_REASON_NO_STREAM:
    case SMMUV3_ACCEL_REASON_VSID_IN_USE:
    case SMMUV3_ACCEL_REASON_VSID_RANGE:
    case SMMUV3_ACCEL_REASON_VSID_TWICE:
        return true;
    default:
        return rc == -ENOMEM;
    }
}

/*
 * The guest numbers buses by stores to bridges, of which the SMMU hears nothing. It
 * may use a number from its next command on.
 */
static void vsids_send(SMMUv3AccelDev *ad)
{
    g_autoptr(GArray) entries = NULL;
    struct smmuv3_accel_set_vsids arg = { .size = sizeof(arg) };
    Stream *st;
    int rc;

    if (!ad->want_vsids && vsids_are_right(ad)) {
        return;
    }
    streams_purge(ad);
    entries = g_array_new(false, false, sizeof(struct smmuv3_accel_vsid));
    QLIST_FOREACH(st, &ad->streams, next) {
        struct smmuv3_accel_vsid entry = {
            .old_vsid = st->vsid,
            .new_vsid = stream_wanted_vsid(ad, st),
        };

        if (st->attached &&
            (ad->want_vsids || entry.old_vsid != entry.new_vsid)) {
            g_array_append_val(entries, entry);
        }
    }
    if (!entries->len) {
        return;
    }
    arg.entries_uptr = (uintptr_t)entries->data;
    arg.entry_num = entries->len;
    rc = call(ad, SMMUV3_ACCEL_SET_VSIDS, &arg);
    ad->want_vsids = rc;
    if (rc && arg.out_reason != SMMUV3_ACCEL_REASON_RETRY) {
        host_failed("SET_VSIDS", rc, arg.out_reason);
    }
    if (rc && vsids_kept(rc, arg.out_reason)) {
        return;
    }
    QLIST_FOREACH(st, &ad->streams, next) {
        for (guint i = 0; i < entries->len; i++) {
            struct smmuv3_accel_vsid *entry =
                &g_array_index(entries, struct smmuv3_accel_vsid, i);

            if (st->attached && st->vsid == entry->old_vsid) {
                st->vsid = entry->new_vsid;
                break;
            }
        }
    }
}

/* Bring the module up to date. A call that fails is repeated. */
static void sync_all(SMMUv3AccelDev *ad)
{
    if (ad->want_mem) {
        mem_send(ad);
    }
    if (!is_active(ad)) {
        return;
    }
    vsids_send(ad);
    regs_send(ad);
    if (ad->want_mem || ad->want_regs || ad->want_vsids) {
        timer_mod(ad->retry, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + RETRY_MS);
    }
}

/* The command queue */

/* An event for a stream whose STE is not legal (Arm IHI 0070, 7.3) */
static void report_bad(SMMUv3AccelDev *ad, const struct smmuv3_accel_bad_ste *bad)
{
    SMMUEventInfo info = { .sid = bad->vsid };
    Stream *st;

    QLIST_FOREACH(st, &ad->streams, next) {
        /* For the others QEMU finds out when they do DMA. */
        if (st->vdev && st->attached && st->vsid == bad->vsid) {
            break;
        }
    }
    if (!st) {
        return;
    }
    switch (bad->reason) {
    case SMMUV3_ACCEL_REASON_STE_SID_RANGE:
    case SMMUV3_ACCEL_REASON_STE_L1_INVALID:
        info.type = SMMU_EVT_C_BAD_STREAMID;
        break;
    case SMMUV3_ACCEL_REASON_STE_UNREADABLE:
        info.type = SMMU_EVT_F_STE_FETCH;
        break;
    default:
        info.type = SMMU_EVT_C_BAD_STE;
    }
    smmuv3_record_event(ad->s, &info);
}

/* Whether the guest waits for its queue */
static bool cmdq_pending(SMMUv3State *s)
{
    return smmuv3_cmdq_enabled(s) && !smmuv3_q_empty(&s->cmdq) &&
           !FIELD_EX32(s->gerror ^ s->gerrorn, GERROR, CMDQ_ERR);
}

/* Before CONS shows that commands are done, do all that the guest may then expect. */
static void before_cons(SMMUv3AccelDev *ad,
                        const struct smmuv3_accel_run_cmdq *run)
{
    take_feed(ad, run);
    if (run->out_flags & SMMUV3_ACCEL_RUN_CFGI) {
        events_take_all(ad);
    }
    for (uint32_t i = 0; i < run->bad_num; i++) {
        report_bad(ad, &ad->bad[i]);
    }
}

/* After EFAULT what the kernel returned means nothing, so nothing is done. */
static int call_run_cmdq(SMMUv3AccelDev *ad, struct smmuv3_accel_run_cmdq *run)
{
    uint32_t cons = run->cons;
    int rc = ioctl(ad->fd, SMMUV3_ACCEL_RUN_CMDQ, run) ? -errno : 0;

    if (rc == -EFAULT) {
        *run = (struct smmuv3_accel_run_cmdq) {
            .cons = cons,
            .out_reason = SMMUV3_ACCEL_REASON_BAD_POINTER,
        };
    }
    return rc;
}

/* One call. Returns whether there may be more to do at once. */
static bool run_once(SMMUv3AccelDev *ad)
{
    SMMUv3State *s = ad->s;
    SMMUQueue *q = &s->cmdq;
    struct smmuv3_accel_run_cmdq run = {
        .size = sizeof(run),
        .prod = q->prod & WRAP_INDEX_MASK(q),
        .cons = q->cons & WRAP_INDEX_MASK(q),
        .max_cmds = ad->max_cmds ?: ad->info.out_max_batch,
        .feed_uptr = (uintptr_t)ad->feed,
        .feed_num = ad->info.out_max_batch,
        .bad_uptr = (uintptr_t)ad->bad,
        .bad_num = ad->info.out_max_streams,
    };
    uint32_t cons = run.cons;
    int rc = call_run_cmdq(ad, &run);

    if (run.cons != cons) {
        before_cons(ad, &run);
        q->cons = deposit32(q->cons, 0, q->log2size + 1, run.cons);
    }
    if (run.out_error) {
        smmu_write_cmdq_err(s, run.out_error);
    }
    page_put(ad, A_CMDQ_CONS, q->cons);
    if (run.out_flags & SMMUV3_ACCEL_RUN_SYNC_IRQ) {
        smmuv3_trigger_irq(s, SMMU_IRQ_CMD_SYNC, 0);
    }
    if (run.out_error) {
        qemu_log_mask(LOG_GUEST_ERROR, "smmuv3-accel: command at 0x%x: %s\n",
                      run.cons, reason_text(run.out_reason));
        smmuv3_trigger_irq(s, SMMU_IRQ_GERROR, R_GERROR_CMDQ_ERR_MASK);
        return false;
    }
    if (rc == -EINTR || (!rc && run.cons != cons)) {
        return true;
    }
    if (give_up(ad, run.out_reason, run.out_vsid)) {
        return true;
    }
    if (run.out_reason == SMMUV3_ACCEL_REASON_CMDQ_INDEX) {
        /* More than a lap: CONSTRAINED UNPREDICTABLE. Here nothing is run. */
        qemu_log_mask(LOG_GUEST_ERROR, "smmuv3-accel: CMDQ_PROD is more than a "
                      "lap ahead of CMDQ_CONS\n");
        return false;
    }
    if (run.out_reason != SMMUV3_ACCEL_REASON_RETRY) {
        host_failed("RUN_CMDQ", rc, run.out_reason);
    }
    timer_mod(ad->retry, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + RETRY_MS);
    return false;
}

bool smmuv3_accel_dev_consume(SMMUv3State *s)
{
    SMMUv3AccelDev *ad = s->accel_dev;

    if (!ad || !is_active(ad)) {
        return false;
    }
    sync_all(ad);
    while (cmdq_pending(s) && run_once(ad)) {
        ;
    }
    return true;
}

static void retry(void *opaque)
{
    SMMUv3AccelDev *ad = opaque;

    /* If the last device is gone, QEMU's own loop has to go on. */
    page_write(ad, A_GERRORN, ad->s->gerrorn, 4, MEMTXATTRS_UNSPECIFIED);
}

/* The file's life */

static bool file_open(SMMUv3AccelDev *ad, Error **errp)
{
    ERRP_GUARD();

    ad->fd = qemu_open(ad->path, O_RDWR, errp);
    if (ad->fd < 0) {
        error_prepend(errp, "accel-dev: ");
        error_append_hint(errp, "Load the module smmuv3-accel, and allow this "
                          "user to open its device.\n");
        return false;
    }
    return true;
}

static bool file_check(SMMUv3AccelDev *ad, Error **errp)
{
    struct smmuv3_accel_info *info = &ad->info;
    int rc;

    *info = (struct smmuv3_accel_info) { .size = sizeof(*info) };
    rc = call(ad, SMMUV3_ACCEL_GET_INFO, info);
    if (rc) {
        error_setg_errno(errp, -rc, "accel-dev: %s is not the device of the "
                         "module smmuv3-accel", ad->path);
        return false;
    }
    if (info->out_api_version != SMMUV3_ACCEL_API_VERSION ||
        !(info->out_create_flags & SMMUV3_ACCEL_CREATE_FEED) ||
        !(info->out_ioctls & (1ULL << SMMUV3_ACCEL_CMD_SET_VSIDS))) {
        error_setg(errp, "accel-dev: this QEMU wants a newer module "
                   "smmuv3-accel");
        return false;
    }
    return true;
}

/*
 * The file is bound to one iommufd for good, so keep that open when the last device
 * goes. Nothing in the module keeps the IOAS: VFIO's parents are named.
 */
static bool create(SMMUv3AccelDev *ad, IOMMUFDBackend *iommufd, Error **errp)
{
    struct smmuv3_accel_create arg = {
        .size = sizeof(arg),
        .flags = SMMUV3_ACCEL_CREATE_FEED,
        .iommufd = iommufd->fd,
    };
    int rc;

    if (ad->no_global) {
        arg.flags |= SMMUV3_ACCEL_CREATE_NO_GLOBAL;
    }
    if (!iommufd_backend_connect(iommufd, errp)) {
        return false;
    }
    rc = call(ad, SMMUV3_ACCEL_CREATE, &arg);
    if (rc) {
        call_failed(errp, rc, arg.out_reason, "cannot create a virtual SMMU");
        iommufd_backend_disconnect(iommufd);
        return false;
    }
    ad->iommufd = iommufd;
    ad->want_mem = true;
    ad->want_regs = true;
    sync_all(ad);
    return true;
}

/* Offer what the host SMMU has in those fields that it refuses. */
static void trim_idr(SMMUv3AccelDev *ad, uint32_t index, const uint32_t bad[6])
{
    struct smmuv3_accel_phys phys = { .size = sizeof(phys), .index = index };

    if (call(ad, SMMUV3_ACCEL_GET_PHYS, &phys)) {
        return;
    }
    for (int i = 0; i < 6; i++) {
        ad->idr[i] = (ad->idr[i] & ~bad[i]) | (phys.out_idr[i] & bad[i]);
    }
}

/*
 * Offer what QEMU's SMMU has, but before the guest has seen it no more than all host
 * SMMUs have. The refusal does not say which of them it is about, so each has a turn.
 */
static bool set_idr(SMMUv3AccelDev *ad, Error **errp)
{
    struct smmuv3_accel_set_idr arg;
    int rc;

    for (uint32_t i = 0; ; i++) {
        arg = (struct smmuv3_accel_set_idr) { .size = sizeof(arg) };
        memcpy(arg.idr, ad->idr, sizeof(arg.idr));
        rc = call(ad, SMMUV3_ACCEL_SET_IDR, &arg);
        if (!rc) {
            ad->idr_sent = true;
            return true;
        }
        if (ad->started || arg.out_reason != SMMUV3_ACCEL_REASON_IDR_HOST ||
            i == ad->info.out_max_phys) {
            break;
        }
        trim_idr(ad, i, arg.out_bad_idr);
    }
    call_failed(errp, rc, arg.out_reason, "cannot offer this SMMU");
    return false;
}

static bool attach_all(SMMUv3AccelDev *ad, Error **errp)
{
    Stream *st;

    QLIST_FOREACH(st, &ad->streams, next) {
        if (!st->attached && !stream_attach(ad, st, errp)) {
            return false;
        }
        if (st->vdev && !events_open(ad, st->viommu_id, errp)) {
            return false;
        }
    }
    return true;
}

/* The machine is complete. Nobody takes an error any more. */
static void start(SMMUv3AccelDev *ad)
{
    Error *err = NULL;

    if (ad->devices && (!set_idr(ad, &err) || !attach_all(ad, &err))) {
        error_report_err(err);
        exit(EXIT_FAILURE);
    }
    ad->started = true;
}

void smmuv3_accel_dev_reset(SMMUv3State *s)
{
    SMMUv3AccelDev *ad = s->accel_dev;
    struct smmuv3_accel_reset arg = { .size = sizeof(arg) };
    Error *err = NULL;
    int rc;

    if (!ad) {
        return;
    }
    if (!ad->ril) {
        s->idr[3] = FIELD_DP32(s->idr[3], IDR3, RIL, 0);
    }
    if (!ad->path) {
        return;
    }
    if (!ad->started) {
        memcpy(ad->idr, s->idr, sizeof(ad->idr));
        start(ad);
    } else if (ad->iommufd) {
        rc = call(ad, SMMUV3_ACCEL_RESET, &arg);
        if (rc) {
            host_failed("RESET", rc, arg.out_reason);
        }
        if (ad->devices && !attach_all(ad, &err)) {
            error_report_err(err);
        }
    }
    memcpy(s->idr, ad->idr, sizeof(s->idr));
    /* Firmware uses devices without a stage 1. */
    ad->want_regs = true;
    sync_all(ad);
    page_put_all(ad);
}

/* Callbacks for PCI and VFIO */

/* A mediated device does DMA by its parent, which no guest stage 1 translates. */
static bool is_mdev(PCIDevice *pdev)
{
    g_autofree char *sysfs = object_property_get_str(OBJECT(pdev), "sysfsdev",
                                                     NULL);
    g_autofree char *link = NULL, *target = NULL;

    if (!sysfs) {
        return false;
    }
    link = g_build_filename(sysfs, "subsystem", NULL);
    target = realpath(link, NULL);
    return target && g_str_has_suffix(target, "/mdev");
}

/*
 * VFIO maps the guest's memory for a device that it is about to pass through. All else
 * that asks, for an endpoint or for the address of an MSI, wants a translation.
 */
static AddressSpace *get_address_space(PCIBus *bus, void *opaque, int devfn)
{
    SMMUv3State *s = opaque;
    SMMUv3AccelDev *ad = s->accel_dev;
    PCIDevice *pdev = bus->devices[devfn];
    AddressSpace *as = ad->smmu_ops->get_address_space(bus, &s->smmu_state,
                                                       devfn);
    Stream *st = stream_find(ad, bus, devfn);
    Error *err = NULL;

    if (st && st->vdev) {
        return as;
    }
    if (pdev && object_dynamic_cast(OBJECT(pdev), "vfio-pci") &&
        !is_mdev(pdev)) {
        ad->coming = DEVICE(pdev);
        return &address_space_memory;
    }
    if (!st) {
        st = stream_new(ad, bus, devfn, as);
        if (is_active(ad) && !stream_attach(ad, st, &err)) {
            error_report_err(err);
        }
    }
    return as;
}

static bool check_device(SMMUv3AccelDev *ad, PCIBus *bus, int devfn,
                         HostIOMMUDevice *hiod, Error **errp)
{
    VFIODevice *vdev;

    if (!object_dynamic_cast(OBJECT(hiod), TYPE_HOST_IOMMU_DEVICE_IOMMUFD)) {
        error_setg(errp, "a device behind an SMMU with accel-dev= must have "
                   "iommufd=");
        return false;
    }
    vdev = hiod->agent;
    if (hiod->aliased_bus != bus || hiod->aliased_devfn != devfn) {
        error_setg(errp, "%s is behind a PCI bridge, so the guest's SMMU cannot "
                   "tell it from other devices", vdev->name);
        return false;
    }
    if (ad->iommufd && ad->iommufd != vdev->iommufd) {
        error_setg(errp, "all devices behind an SMMU with accel-dev= must have "
                   "the same iommufd=");
        return false;
    }
    return true;
}

/*
 * Before the machine is complete, only find out whether the device can be attached,
 * because what the SMMU offers is not known yet.
 */
static bool plug(SMMUv3AccelDev *ad, Stream *st, Error **errp)
{
    if (ad->started) {
        /* Emulated endpoints that are gone may have the StreamIDs. */
        vsids_send(ad);
        return (ad->idr_sent || set_idr(ad, errp)) && attach_all(ad, errp);
    }
    if (!stream_attach(ad, st, errp)) {
        return false;
    }
    stream_detach(ad, st);
    return true;
}

static bool set_iommu_device(PCIBus *bus, void *opaque, int devfn,
                             HostIOMMUDevice *hiod, Error **errp)
{
    SMMUv3State *s = opaque;
    SMMUv3AccelDev *ad = s->accel_dev;
    VFIODevice *vdev;
    Stream *st;

    if (!check_device(ad, bus, devfn, hiod, errp)) {
        return false;
    }
    vdev = hiod->agent;
    if (!ad->iommufd && !create(ad, vdev->iommufd, errp)) {
        return false;
    }
    /* PCI asked for an address space before the device was there. */
    st = stream_find(ad, bus, devfn);
    if (st) {
        stream_detach(ad, st);
    } else {
        st = stream_new(ad, bus, devfn,
                        ad->smmu_ops->get_address_space(bus, &s->smmu_state,
                                                        devfn));
    }
    st->vdev = vdev;
    if (!plug(ad, st, errp)) {
        stream_detach(ad, st);
        stream_free(st);
        return false;
    }
    ad->devices++;
    sync_all(ad);
    return true;
}

static void unset_iommu_device(PCIBus *bus, void *opaque, int devfn)
{
    SMMUv3State *s = opaque;
    SMMUv3AccelDev *ad = s->accel_dev;
    Stream *st = stream_find(ad, bus, devfn);

    if (!st || !st->vdev) {
        return;
    }
    stream_detach(ad, st);
    stream_free(st);
    if (!--ad->devices) {
        /* QEMU runs the queue until the next device comes. */
        ad->want_regs = true;
    }
}

static const PCIIOMMUOps accel_ops = {
    .get_address_space = get_address_space,
    .set_iommu_device = set_iommu_device,
    .unset_iommu_device = unset_iommu_device,
};

/* VFIO allocates an HWPT for the device. It becomes the stage-2 parent. */
uint32_t smmuv3_accel_dev_hwpt_flags(VFIODevice *vbasedev, uint32_t flags)
{
    SMMUv3AccelDev *ad;

    QLIST_FOREACH(ad, &accel_devs, next) {
        if (ad->coming == vbasedev->dev) {
            return IOMMU_HWPT_ALLOC_NEST_PARENT;
        }
    }
    return flags;
}

/* Properties */

static SMMUv3AccelDev *accel_of(Object *obj)
{
    SMMUv3State *s = ARM_SMMUV3(obj);

    if (!s->accel_dev) {
        s->accel_dev = g_new0(SMMUv3AccelDev, 1);
        s->accel_dev->s = s;
        s->accel_dev->fd = -1;
        s->accel_dev->ril = true;
    }
    return s->accel_dev;
}

static bool may_set(Object *obj, Error **errp)
{
    if (DEVICE(obj)->realized) {
        error_setg(errp, "the SMMU is already realized");
        return false;
    }
    return true;
}

static char *get_path(Object *obj, Error **errp)
{
    return g_strdup(accel_of(obj)->path ?: "");
}

static void set_path(Object *obj, const char *value, Error **errp)
{
    if (may_set(obj, errp)) {
        g_free(accel_of(obj)->path);
        accel_of(obj)->path = *value ? g_strdup(value) : NULL;
    }
}

static bool get_ril(Object *obj, Error **errp)
{
    return accel_of(obj)->ril;
}

static void set_ril(Object *obj, bool value, Error **errp)
{
    if (may_set(obj, errp)) {
        accel_of(obj)->ril = value;
    }
}

static bool get_no_global(Object *obj, Error **errp)
{
    return accel_of(obj)->no_global;
}

static void set_no_global(Object *obj, bool value, Error **errp)
{
    if (may_set(obj, errp)) {
        accel_of(obj)->no_global = value;
    }
}

static void get_max_cmds(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    visit_type_uint32(v, name, &accel_of(obj)->max_cmds, errp);
}

static void set_max_cmds(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    if (may_set(obj, errp)) {
        visit_type_uint32(v, name, &accel_of(obj)->max_cmds, errp);
    }
}

void smmuv3_accel_dev_class_init(ObjectClass *klass)
{
    object_class_property_add_str(klass, "accel-dev", get_path, set_path);
    object_class_property_set_description(klass, "accel-dev",
        "The device of the Linux module smmuv3-accel, or an fdset that has it");
    object_class_property_add_bool(klass, "ril", get_ril, set_ril);
    object_class_property_set_description(klass, "ril",
        "Offer range invalidation");
    object_class_property_add_bool(klass, "accel-no-global", get_no_global,
                                   set_no_global);
    object_class_property_set_description(klass, "accel-no-global",
        "The guest maps nothing global for DMA, as Linux");
    object_class_property_add(klass, "accel-max-cmds", "uint32", get_max_cmds,
                              set_max_cmds, NULL, NULL);
    object_class_property_set_description(klass, "accel-max-cmds",
        "The most commands of one call of the module; 0: as many as it takes");
}

static void find_vfio(PCIBus *bus, PCIDevice *pdev, void *opaque)
{
    bool *found = opaque;

    *found |= !!object_dynamic_cast(OBJECT(pdev), "vfio-pci");
}

static void find_vfio_on_bus(PCIBus *bus, void *opaque)
{
    pci_for_each_device_under_bus(bus, find_vfio, opaque);
}

void smmuv3_accel_dev_realize(SMMUv3State *s, Error **errp)
{
    SMMUv3AccelDev *ad = s->accel_dev;
    PCIBus *bus = s->smmu_state.primary_bus;
    bool late = false;

    if (!ad || !ad->path) {
        return;
    }
    /* The machine's own SMMU has both stages. Stage 2 is the host's. */
    if (s->stage && !strcmp(s->stage, "2")) {
        error_setg(errp, "accel-dev= needs stage=1");
        return;
    }
    g_free(s->stage);
    s->stage = g_strdup("1");
    /* VFIO has asked for the address space of such a device already. */
    pci_for_each_bus(bus, find_vfio_on_bus, &late);
    if (late) {
        error_setg(errp, "accel-dev=: name this SMMU before the vfio-pci "
                   "devices behind it");
        return;
    }
    if (!file_open(ad, errp) || !file_check(ad, errp) || !page_init(ad, errp)) {
        return;
    }
    error_setg(&ad->migration_blocker,
               "an SMMU with accel-dev= cannot be migrated");
    if (migrate_add_blocker(&ad->migration_blocker, errp) < 0) {
        return;
    }
    QLIST_INIT(&ad->streams);
    QLIST_INIT(&ad->events);
    ad->feed = g_malloc0_n(ad->info.out_max_batch, sizeof(*ad->feed));
    ad->bad = g_new0(struct smmuv3_accel_bad_ste, ad->info.out_max_streams);
    ad->regions = g_array_new(false, false,
                              sizeof(struct smmuv3_accel_mem_region));
    ad->new_regions = g_array_new(false, false,
                                  sizeof(struct smmuv3_accel_mem_region));
    ad->retry = timer_new_ms(QEMU_CLOCK_REALTIME, retry, ad);
    ad->listener = (MemoryListener) {
        .name = "smmuv3-accel",
        .begin = mem_begin,
        .commit = mem_commit,
        .region_add = mem_section,
        .region_nop = mem_section,
    };
    memory_listener_register(&ad->listener, &address_space_memory);
    ad->smmu_ops = bus->iommu_ops;
    pci_setup_iommu(bus, &accel_ops, s);
    QLIST_INSERT_HEAD(&accel_devs, ad, next);
    smmuv3_accel_dev_firmware();
}
