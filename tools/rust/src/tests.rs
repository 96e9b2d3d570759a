// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! Unit tests, which play the kernel.

use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::io::{AsFd, FromRawFd, OwnedFd};

use crate::request::{ioctl_number, REQUESTS};
use crate::*;

/// The kernel as the tests have it: one answer for the calls of a thread
pub(crate) mod fake {
    use super::ioctl_number;
    use crate::request::Request;
    use std::any::{type_name, Any};
    use std::cell::RefCell;

    type Answer = Box<dyn FnMut(&mut dyn Any) -> i32>;

    thread_local! {
        static KERNEL: RefCell<Option<Answer>> = RefCell::new(None);
    }

    /// Answer each call of this thread. `answer` returns 0 or an errno.
    pub(crate) fn kernel<T: Request>(mut answer: impl FnMut(&mut T) -> i32 + 'static) {
        let answer = move |arg: &mut dyn Any| match arg.downcast_mut() {
            Some(arg) => answer(arg),
            None => panic!("this is no call with {}", type_name::<T>()),
        };
        KERNEL.with(|kernel| *kernel.borrow_mut() = Some(Box::new(answer)));
    }

    /// In place of `libc::ioctl`, which it calls in a thread that has no `kernel()`
    pub(crate) unsafe fn ioctl<T: Request>(
        fd: libc::c_int,
        number: libc::c_ulong,
        arg: *mut T,
    ) -> libc::c_int {
        KERNEL.with(|kernel| match kernel.borrow_mut().as_mut() {
            Some(answer) => {
                assert_eq!(number, ioctl_number(T::NR));
                // SAFETY: the caller's struct
                match answer(unsafe { &mut *arg }) {
                    0 => 0,
                    errno => {
                        // SAFETY: the thread's errno
                        unsafe { *libc::__errno_location() = errno };
                        -1
                    }
                }
            }
            // SAFETY: as for the caller
            None => unsafe { libc::ioctl(fd, number, arg) },
        })
    }
}

fn vsmmu() -> Vsmmu {
    Vsmmu::from(OwnedFd::from(File::open("/dev/null").unwrap()))
}

fn sid(id: u32) -> StreamId {
    StreamId::new(id).unwrap()
}

/// An array at an address that a struct has
fn array<'a, T>(address: u64, num: u32) -> &'a mut [T] {
    // SAFETY: a pointer and a count that the library has made of one array
    unsafe { std::slice::from_raw_parts_mut(address as *mut T, num as usize) }
}

#[test]
fn every_ioctl_has_a_request() {
    let mut numbers: Vec<u32> = REQUESTS.iter().map(|request| request.0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let header = concat!(env!("SMMUV3_ACCEL_INCLUDE"), "/linux/smmuv3_accel.h");
    let header = std::fs::read_to_string(header).unwrap();
    assert_eq!(numbers.len(), header.matches("\n\tSMMUV3_ACCEL_CMD_").count());
    for (_, name) in REQUESTS {
        assert!(header.contains(&format!("\n\tSMMUV3_ACCEL_CMD_{name} = ")), "{name}");
    }
}

#[test]
fn drop_closes_the_file() {
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    let mut reader = unsafe { File::from_raw_fd(ends[0]) };
    let vsmmu = Vsmmu::from(unsafe { OwnedFd::from_raw_fd(ends[1]) });
    drop(vsmmu);
    // If the other end were open, this would wait for ever.
    unsafe { libc::fcntl(ends[0], libc::F_SETFL, libc::O_NONBLOCK) };
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_unknown_ioctl_has_no_reason() {
    // This is the real kernel: /dev/null has no ioctls.
    let error = vsmmu().invalidate(&[Command::default(); 3]).unwrap_err();
    assert_eq!((error.errno(), error.reason(), error.done()), (libc::ENOTTY, Reason::NONE, 0));
    assert_eq!(error.call(), "INVALIDATE");
    let mut run = Run::new(5, 3);
    assert_eq!(vsmmu().run_cmdq(&mut run).unwrap_err().errno(), libc::ENOTTY);
    assert_eq!((run.cons(), run.error(), run.is_done()), (3, None, false));
}

#[test]
fn a_struct_has_its_size() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_reset| {
        assert_eq!(arg.size as usize, std::mem::size_of_val(arg));
        assert_eq!((arg.flags, arg.__reserved), (0, 0));
        arg.out_reason = 0;
        0
    });
    vsmmu().reset().unwrap();
}

#[test]
fn errors_have_errno_and_reason() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_attach| {
        assert_eq!((arg.vsid, arg.s2_hwpt_id, arg.flags), (0x42, 7, 0));
        arg.out_reason = sys::SMMUV3_ACCEL_REASON_IDR_HOST;
        arg.out_bad_idr = [0, 0xc0, 0, 0, 0, 7];
        libc::EOPNOTSUPP
    });
    let vsmmu = vsmmu();
    let error = vsmmu.attach(vsmmu.as_fd(), sid(0x42), Some(7)).unwrap_err();
    assert_eq!((error.call(), error.errno()), ("ATTACH", libc::EOPNOTSUPP));
    assert_eq!((error.reason(), error.bad_idr()[1]), (Reason::IDR_HOST, 0xc0));
    let text = error.to_string();
    assert!(text.starts_with("ATTACH: Operation not supported"), "{text}");
    assert!(text.contains(": A host SMMU cannot honour these ID registers. "), "{text}");
    assert!(text.ends_with(" SMMU_IDR1: 0xc0. SMMU_IDR5: 0x7."), "{text}");
    assert!(!error.is_temporary() && !error.is_interrupted());

    let error = io::Error::from(error);
    assert_eq!(error.to_string(), text);
    let inner = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    assert_eq!(inner.unwrap().reason(), Reason::IDR_HOST);
}

#[test]
fn reasons_are_those_of_the_header() {
    assert_eq!(Reason::GROUP_SHARED.value(), sys::SMMUV3_ACCEL_REASON_GROUP_SHARED);
    assert_eq!(Reason::GROUP_SHARED.name(), "GROUP_SHARED");
    assert!(Reason::GROUP_SHARED.text().starts_with("The device shares its IOMMU group with"));
    assert_eq!(format!("{:?}", Reason::RETRY), "RETRY");
    let unknown = Reason::new(0xffff);
    assert_eq!((unknown.name(), unknown.text()), ("", ""));
    assert_eq!(unknown.to_string(), "Reason 65535 is not known to this version.");
    assert_eq!(format!("{unknown:?}"), "Reason(65535)");
}

#[test]
fn temporary_failures() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_set_regs| {
        assert_eq!((arg.cr0, arg.gbpa, arg.strtab_base_cfg), (1, 2, 3));
        assert_eq!((arg.strtab_base, arg.cmdq_base), (4, 5));
        arg.out_vsid = 0x10;
        arg.out_reason = sys::SMMUV3_ACCEL_REASON_RETRY;
        libc::EBUSY
    });
    let regs = Regs { cr0: 1, gbpa: 2, strtab_base_cfg: 3, strtab_base: 4, cmdq_base: 5 };
    let error = vsmmu().set_regs(&regs).unwrap_err();
    assert!(error.is_temporary());
    assert_eq!(error.stream(), Some(sid(0x10)));

    fake::kernel(|arg: &mut sys::smmuv3_accel_reset| {
        arg.out_reason = 0;
        libc::EINTR
    });
    assert!(vsmmu().reset().unwrap_err().is_interrupted());
}

#[test]
fn names_and_stream_ids_differ() {
    assert_eq!(StreamId::new(1 << 31), None);
    assert_eq!(StreamId::new(u32::MAX), None);
    assert!(sid(i32::MAX as u32).is_set());
    let name = StreamId::unset(5);
    assert_eq!((name.is_set(), name.raw()), (false, 5 | (1 << 31)));
    assert_eq!(name, StreamId::unset(5 | (1 << 31)));
}

#[test]
fn memory_is_little_endian() {
    let mut bytes = [0; 64];
    bytes[0] = 0x0b;
    bytes[15] = 0x80;
    bytes[56] = 1;
    let ste = Ste::from_le_bytes(&bytes);
    assert_eq!(ste, Ste([0x0b, 0x80 << 56, 0, 0, 0, 0, 0, 1]));
    let command = Command::from_le_bytes(bytes[..16].try_into().unwrap());
    assert_eq!(command, Command::new([0x0b, 0x80 << 56]));
    assert_eq!((command.opcode(), command.words()), (0x0b, [0x0b, 0x80 << 56]));
    assert_eq!((Ste::ABORT.0[0], Ste::BYPASS.0[0]), (0b0001, 0b1001));
}

#[test]
fn install_ste_stops_at_the_first_failure() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_install_ste| {
        let entries = array::<sys::smmuv3_accel_ste>(arg.entries_uptr, arg.entry_num);
        assert_eq!((entries.len(), arg.entry_len), (3, 80));
        assert_eq!((entries[0].vsid, entries[0].ste[0], entries[0].ste[7]), (1, 9, 0));
        assert_eq!((entries[2].vsid, entries[2].ste[7]), (3, 0x1122));
        entries[0].out_reason = sys::SMMUV3_ACCEL_REASON_STE_CONFIG;
        entries[1].out_errno = -libc::ENOENT;
        entries[1].out_reason = sys::SMMUV3_ACCEL_REASON_NO_STREAM;
        (arg.entry_num, arg.out_reason) = (1, sys::SMMUV3_ACCEL_REASON_NO_STREAM);
        libc::ENOENT
    });
    let last = Ste([0, 0, 0, 0, 0, 0, 0, 0x1122]);
    let mut entries = [
        SteEntry::new(sid(1), &Ste::BYPASS),
        SteEntry::new(sid(2), &Ste::ABORT),
        SteEntry::new(sid(3), &last),
    ];
    let error = vsmmu().install_ste(&mut entries).unwrap_err();
    assert_eq!((error.done(), error.reason()), (1, Reason::NO_STREAM));
    assert_eq!((entries[0].errno(), entries[0].reason()), (None, Reason::STE_CONFIG));
    assert_eq!((entries[1].errno(), entries[1].stream()), (Some(libc::ENOENT), sid(2)));
    assert_eq!((entries[2].errno(), entries[2].reason()), (None, Reason::NONE));
}

#[test]
fn install_ste_ends_early_after_a_signal() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_install_ste| {
        (arg.entry_num, arg.out_reason) = (1, 0);
        0
    });
    let mut entries = [SteEntry::new(sid(1), &Ste::BYPASS); 2];
    assert_eq!(vsmmu().install_ste(&mut entries), Ok(1));
}

#[test]
fn invalidate_reports_the_guests_error() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_invalidate| {
        let cmds = array::<u64>(arg.cmds_uptr, 2 * arg.cmd_num);
        assert_eq!(cmds, [0x12, 0x3000, 0xff, 0].map(u64::to_le));
        (arg.cmd_num, arg.out_error) = (1, sys::SMMUV3_ACCEL_CERROR_ILL);
        arg.out_reason = sys::SMMUV3_ACCEL_REASON_CMD_OPCODE;
        0
    });
    let cmds = [Command::new([0x12, 0x3000]), Command::new([0xff, 0])];
    let done = vsmmu().invalidate(&cmds).unwrap();
    let error = CommandError { cerror: 1, reason: Reason::CMD_OPCODE };
    assert_eq!(done, Invalidated { done: 1, error: Some(error) });
}

#[test]
fn invalidate_says_how_far_it_came() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_invalidate| {
        (arg.cmd_num, arg.out_vsid) = (2, 9);
        arg.out_reason = sys::SMMUV3_ACCEL_REASON_HOST_REJECT;
        libc::EIO
    });
    let error = vsmmu().invalidate(&[Command::default(); 3]).unwrap_err();
    assert_eq!((error.done(), error.stream()), (2, Some(sid(9))));
}

/// An answer of RUN_CMDQ: two commands of the feed, one stream
fn answer_run(arg: &mut sys::smmuv3_accel_run_cmdq) {
    let feed = array::<[u64; 2]>(arg.feed_uptr, arg.feed_num);
    let bad = array::<sys::smmuv3_accel_bad_ste>(arg.bad_uptr, arg.bad_num);
    (feed[0][0], feed[1][0]) = (0x11u64.to_le(), 0x12u64.to_le());
    (bad[0].vsid, bad[0].reason) = (3, sys::SMMUV3_ACCEL_REASON_STE_S1FMT);
    (arg.feed_num, arg.bad_num) = (2, 1);
    arg.cons += 4;
    (arg.out_error, arg.out_reason, arg.out_vsid) = (0, 0, 0);
    arg.out_flags = sys::SMMUV3_ACCEL_RUN_SYNC_IRQ | sys::SMMUV3_ACCEL_RUN_BAD_STE;
}

#[test]
fn run_cmdq_goes_on_where_it_stopped() {
    let mut calls = 0;
    fake::kernel(move |arg: &mut sys::smmuv3_accel_run_cmdq| {
        assert_eq!((arg.prod, arg.cons, arg.max_cmds), (8, 4 * calls, 6));
        assert_eq!((arg.feed_num, arg.bad_num), (3, 2));
        calls += 1;
        answer_run(arg);
        0
    });
    let (mut feed, mut bad) = ([Command::default(); 3], [BadSte::default(); 2]);
    let mut run = Run::new(8, 0).with_feed(&mut feed).with_bad_stes(&mut bad).with_max_cmds(6);
    let vsmmu = vsmmu();
    vsmmu.run_cmdq(&mut run).unwrap();
    assert_eq!((run.cons(), run.is_done(), run.error()), (4, false, None));
    let opcodes: Vec<u8> = run.feed().iter().map(|command| command.opcode()).collect();
    assert_eq!(opcodes, [0x11, 0x12]);
    assert_eq!(run.bad_stes().len(), 1);
    let bad = run.bad_stes()[0];
    assert_eq!((bad.stream(), bad.reason()), (sid(3), Reason::STE_S1FMT));
    assert!(run.wants_sync_irq() && run.found_bad_ste());
    assert!(!run.feed_overflowed() && !run.bad_stes_overflowed() && !run.did_cfgi());
    vsmmu.run_cmdq(&mut run).unwrap();
    assert!(run.is_done());
}

#[test]
fn run_cmdq_ends_whatever_the_guest_wrote_to_prod() {
    // A queue of 8 commands: the kernel ignores the bits above the wrap bit.
    fake::kernel(|arg: &mut sys::smmuv3_accel_run_cmdq| {
        arg.cons = arg.prod & 0xf;
        (arg.feed_num, arg.bad_num) = (0, 0);
        0
    });
    let vsmmu = vsmmu();
    let mut run = Run::new(0x4000_0009, 0x10);
    let mut calls = 0;
    while !run.is_done() && calls < 5 {
        vsmmu.run_cmdq(&mut run).unwrap();
        calls += 1;
    }
    assert_eq!((run.cons(), calls), (9, 2));
}

#[test]
fn run_cmdq_keeps_what_was_done_before_a_failure() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_run_cmdq| {
        answer_run(arg);
        (arg.out_vsid, arg.out_reason) = (5, sys::SMMUV3_ACCEL_REASON_RETRY);
        arg.out_flags |= sys::SMMUV3_ACCEL_RUN_FEED_OVERFLOW | sys::SMMUV3_ACCEL_RUN_BAD_OVERFLOW;
        arg.out_flags |= sys::SMMUV3_ACCEL_RUN_CFGI;
        libc::EBUSY
    });
    let (mut feed, mut bad) = ([Command::default(); 2], [BadSte::default(); 1]);
    let mut run = Run::new(8, 0).with_feed(&mut feed).with_bad_stes(&mut bad);
    let error = vsmmu().run_cmdq(&mut run).unwrap_err();
    assert_eq!((error.stream(), error.reason()), (Some(sid(5)), Reason::RETRY));
    assert_eq!((run.cons(), run.feed().len(), run.bad_stes().len()), (4, 2, 1));
    assert!(run.feed_overflowed() && run.bad_stes_overflowed() && run.did_cfgi());
    assert_eq!(run.error(), None);

    // The kernel refuses the struct: nothing is left of the call before.
    fake::kernel(|_: &mut sys::smmuv3_accel_run_cmdq| libc::E2BIG);
    vsmmu().run_cmdq(&mut run).unwrap_err();
    assert_eq!((run.cons(), run.feed().len(), run.bad_stes().len()), (4, 0, 0));
    assert!(!run.feed_overflowed() && !run.wants_sync_irq() && !run.did_cfgi());
}

#[test]
fn run_cmdq_takes_nothing_after_efault() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_run_cmdq| {
        answer_run(arg);
        libc::EFAULT
    });
    let (mut feed, mut bad) = ([Command::default(); 2], [BadSte::default(); 1]);
    let mut run = Run::new(8, 0).with_feed(&mut feed).with_bad_stes(&mut bad);
    let error = vsmmu().run_cmdq(&mut run).unwrap_err();
    assert_eq!((error.errno(), error.stream()), (libc::EFAULT, None));
    assert_eq!((run.cons(), run.feed().len(), run.bad_stes().len()), (0, 0, 0));
    assert!(!run.wants_sync_irq() && !run.found_bad_ste());
}

#[test]
fn every_flag_of_run_cmdq_has_a_method() {
    let header = concat!(env!("SMMUV3_ACCEL_INCLUDE"), "/linux/smmuv3_accel.h");
    let header = std::fs::read_to_string(header).unwrap();
    let lines = header.split("\n\tSMMUV3_ACCEL_RUN_").skip(1);
    let flags: Vec<_> = lines.map(|line| line.split_once(" = 1 << ").unwrap()).collect();
    for (name, rest) in &flags {
        let bit: u32 = rest.split(',').next().unwrap().parse().unwrap();
        fake::kernel(move |arg: &mut sys::smmuv3_accel_run_cmdq| {
            (arg.out_flags, arg.out_reason) = (1 << bit, 0);
            0
        });
        let mut run = Run::new(1, 0);
        vsmmu().run_cmdq(&mut run).unwrap();
        let methods = [
            ("SYNC_IRQ", run.wants_sync_irq()),
            ("BAD_STE", run.found_bad_ste()),
            ("FEED_OVERFLOW", run.feed_overflowed()),
            ("BAD_OVERFLOW", run.bad_stes_overflowed()),
            ("CFGI", run.did_cfgi()),
        ];
        assert_eq!(flags.len(), methods.len());
        for (method, is_set) in methods {
            assert_eq!(is_set, *name == method, "{name}: {method}");
        }
    }
}

#[test]
fn counts_never_exceed_the_arrays() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_run_cmdq| {
        assert_eq!((arg.feed_num, arg.bad_num), (0, 0));
        (arg.feed_num, arg.bad_num, arg.out_reason) = (7, 7, 0);
        0
    });
    let mut run = Run::new(8, 0);
    vsmmu().run_cmdq(&mut run).unwrap();
    assert_eq!((run.feed().len(), run.bad_stes().len()), (0, 0));
}

#[test]
fn create_and_its_flags() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_create| {
        assert_eq!((arg.ioas_id, arg.flags), (3, 0b101));
        assert!(arg.iommufd > 2);
        arg.out_reason = 0;
        0
    });
    let (vsmmu, iommufd) = (vsmmu(), File::open("/dev/null").unwrap());
    let flags = CreateFlags { shared_asids: true, feed: false, no_global: true };
    vsmmu.create(iommufd.as_fd(), Some(3), flags).unwrap();
    assert_eq!(CreateFlags { feed: true, ..Default::default() }.raw(), 1 << 1);

    fake::kernel(|arg: &mut sys::smmuv3_accel_create| {
        assert_eq!((arg.ioas_id, arg.flags), (0, 0));
        0
    });
    vsmmu.create(iommufd.as_fd(), None, CreateFlags::default()).unwrap();

    fake::kernel(move |arg: &mut sys::smmuv3_accel_change_process| {
        assert!(arg.iommufd > 2);
        arg.out_reason = 0;
        0
    });
    vsmmu.change_process(iommufd.as_fd()).unwrap();
}

#[test]
fn attach_says_which_objects_there_are() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_attach| {
        (arg.out_reason, arg.out_phys) = (0, 0);
        (arg.out_dev_id, arg.out_viommu_id, arg.out_s2_hwpt_id) = (4, 5, 6);
        assert_eq!((arg.s2_hwpt_id, arg.vsid), (0, 8 | (1 << 31)));
        assert!(arg.vfio_fd > 2);
        0
    });
    let vsmmu = vsmmu();
    let attached = vsmmu.attach(vsmmu.as_fd(), StreamId::unset(8), None).unwrap();
    assert_eq!((attached.dev_id, attached.viommu_id), (Some(4), Some(5)));
    assert_eq!((attached.vdevice_id, attached.s2_hwpt_id, attached.phys), (None, Some(6), Some(0)));

    fake::kernel(|arg: &mut sys::smmuv3_accel_attach| {
        assert_eq!((arg.flags, arg.s2_hwpt_id), (1 << 2, 2));
        arg.out_reason = 0;
        0
    });
    vsmmu.attach_dry_run(vsmmu.as_fd(), sid(1), Some(2)).unwrap();

    for (kind, flags) in [(Emulated::Bridge, 1 << 0), (Emulated::Endpoint, 1 << 1)] {
        fake::kernel(move |arg: &mut sys::smmuv3_accel_attach| {
            assert_eq!((arg.flags, arg.vfio_fd, arg.vsid), (flags, -1, 1));
            (arg.out_reason, arg.out_phys) = (0, !0);
            0
        });
        let attached = vsmmu.attach_emulated(kind, sid(1)).unwrap();
        assert_eq!((attached.dev_id, attached.phys), (None, None));
    }
}

#[test]
fn streams_and_physical_smmus() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_stream| {
        assert_eq!(arg.vsid, 2);
        (arg.out_kind, arg.out_reason, arg.out_phys) = (3, 0, 1);
        (arg.out_hwpt_id, arg.out_ste) = (9, [0xb, 4].map(u64::to_le));
        0
    });
    let stream = vsmmu().stream(sid(2)).unwrap();
    assert_eq!((stream.kind, stream.reason, stream.phys), (Kind::Stage1, Reason::NONE, Some(1)));
    assert_eq!((stream.hwpt_id, stream.ste, stream.vdevice_id), (Some(9), [0xb, 4], None));

    for (raw, kind) in
        [(1, Kind::Abort), (2, Kind::Bypass), (4, Kind::Other), (9, Kind::Unknown(9))]
    {
        fake::kernel(move |arg: &mut sys::smmuv3_accel_stream| {
            (arg.out_kind, arg.out_reason, arg.out_phys) = (raw, 63, !0);
            0
        });
        let stream = vsmmu().stream(sid(2)).unwrap();
        assert_eq!((stream.kind, stream.reason, stream.phys), (kind, Reason::NO_VSID, None));
    }

    fake::kernel(|arg: &mut sys::smmuv3_accel_phys| {
        assert_eq!(arg.index, 1);
        (arg.out_reason, arg.out_viommu_id, arg.out_stream_num) = (0, 5, 2);
        (arg.out_idr, arg.out_iidr, arg.out_aidr) = ([1, 2, 3, 4, 5, 6], 7, 8);
        (arg.out_hw_flags, arg.out_abort_hwpt_id) = (9, 10);
        0
    });
    let phys = vsmmu().phys(1).unwrap();
    assert_eq!((phys.viommu_id, phys.s2_hwpt_id, phys.stream_num), (Some(5), None, 2));
    assert_eq!((phys.idr, phys.iidr, phys.aidr), ([1, 2, 3, 4, 5, 6], 7, 8));
    assert_eq!((phys.hw_flags, phys.abort_hwpt_id, phys.bypass_hwpt_id), (9, Some(10), None));
}

#[test]
fn info_and_counters() {
    fake::kernel(|arg: &mut sys::smmuv3_accel_info| {
        (arg.out_reason, arg.out_api_version, arg.out_max_stes) = (0, 1, 64);
        (arg.out_max_streams, arg.out_max_phys, arg.out_max_regions) = (2, 3, 4);
        (arg.out_max_cmds, arg.out_max_batch) = (5, 6);
        (arg.out_create_flags, arg.out_attach_flags, arg.out_ioctls) = (7, 3, 0b10001);
        0
    });
    let info = vsmmu().info().unwrap();
    assert_eq!((info.api_version, info.max_streams, info.max_phys), (1, 2, 3));
    assert_eq!((info.max_regions, info.max_cmds, info.max_batch, info.max_stes), (4, 5, 6, 64));
    assert_eq!((info.create_flags, info.attach_flags), (7, 3));
    assert!(info.has_ioctl(sys::SMMUV3_ACCEL_CMD_ATTACH));
    assert!(!info.has_ioctl(sys::SMMUV3_ACCEL_CMD_DETACH) && !info.has_ioctl(64));

    fake::kernel(|arg: &mut sys::smmuv3_accel_stats| {
        (arg.out_reason, arg.out_cmds, arg.out_syncs, arg.out_issued) = (0, 1, 2, 3);
        (arg.out_subsumed, arg.out_merged, arg.out_host_calls) = (4, 5, 6);
        (arg.out_zero_copy, arg.out_ste_installed, arg.out_ste_unchanged) = (7, 8, 9);
        (arg.out_ste_bad, arg.out_cmd_errors, arg.out_replays) = (10, 11, 12);
        arg.out_withheld = 13;
        0
    });
    let stats = vsmmu().stats().unwrap();
    assert_eq!((stats.cmds, stats.syncs, stats.issued, stats.subsumed), (1, 2, 3, 4));
    assert_eq!((stats.merged, stats.host_calls, stats.zero_copy), (5, 6, 7));
    assert_eq!((stats.ste_installed, stats.ste_unchanged, stats.ste_bad), (8, 9, 10));
    assert_eq!((stats.cmd_errors, stats.replays, stats.withheld), (11, 12, 13));
}

#[test]
fn what_a_refusal_names() {
    let vsmmu = vsmmu();
    fake::kernel(|arg: &mut sys::smmuv3_accel_set_idr| {
        assert_eq!(arg.idr, [1, 2, 3, 4, 5, 6]);
        arg.out_bad_idr[2] = 3;
        arg.out_reason = sys::SMMUV3_ACCEL_REASON_IDR_ILLEGAL;
        libc::EOPNOTSUPP
    });
    assert_eq!(vsmmu.set_idr([1, 2, 3, 4, 5, 6]).unwrap_err().bad_idr()[2], 3);

    let ram = [0u8; 16];
    let address = ram.as_ptr() as u64;
    fake::kernel(move |arg: &mut sys::smmuv3_accel_mem_table| {
        let regions = array::<sys::smmuv3_accel_mem_region>(arg.regions_uptr, arg.region_num);
        assert_eq!((regions.len(), regions[0].gpa, regions[0].size), (2, 0x1000, 16));
        assert_eq!((regions[0].uaddr, regions[1].size), (address, 0));
        (arg.out_bad_region, arg.out_reason) = (1, sys::SMMUV3_ACCEL_REASON_REGION_EMPTY);
        libc::EINVAL
    });
    let regions = [MemRegion::new(0x1000, ram.as_ptr(), 16), MemRegion::new(0, ram.as_ptr(), 0)];
    let error = unsafe { vsmmu.set_mem_table(&regions) }.unwrap_err();
    assert_eq!((error.region(), error.reason()), (Some(1), Reason::REGION_EMPTY));

    fake::kernel(|arg: &mut sys::smmuv3_accel_set_vsids| {
        let entries = array::<sys::smmuv3_accel_vsid>(arg.entries_uptr, arg.entry_num);
        assert_eq!((entries.len(), entries[0].old_vsid, entries[0].new_vsid), (1, 1 << 31, 3));
        (arg.out_vsid, arg.out_reason) = (1 << 31, sys::SMMUV3_ACCEL_REASON_NO_STREAM);
        libc::ENOENT
    });
    let changes = [VsidChange::new(StreamId::unset(0), sid(3))];
    let error = vsmmu.set_vsids(&changes).unwrap_err();
    assert_eq!(error.stream(), Some(StreamId::unset(0)));

    fake::kernel(|arg: &mut sys::smmuv3_accel_detach| {
        assert_eq!(arg.vsid, 3);
        arg.out_reason = sys::SMMUV3_ACCEL_REASON_NO_STREAM;
        libc::ENOENT
    });
    assert_eq!(vsmmu.detach(sid(3)).unwrap_err().reason(), Reason::NO_STREAM);
}
