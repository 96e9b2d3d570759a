// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! An ioctl: its number, its struct, and the call.

use std::io;
use std::os::unix::io::{AsRawFd, BorrowedFd};

use crate::error::{Error, Reason, Result};
use crate::sys;

/// The number of an ioctl, `_IO(SMMUV3_ACCEL_TYPE, nr)` in C. `nr` is one of
/// `enum smmuv3_accel_cmd`, such as [`sys::SMMUV3_ACCEL_CMD_ATTACH`].
pub const fn ioctl_number(nr: u32) -> libc::c_ulong {
    ((sys::SMMUV3_ACCEL_TYPE << 8) | nr) as libc::c_ulong
}

/// What `out_reason` is before a call. The kernel overwrites it, unless it does not know the
/// ioctl or refuses the struct's size. Then it has written nothing: counts are still those
/// of the caller.
const UNANSWERED: u32 = u32::MAX;

/// The struct of an ioctl
pub(crate) trait Request: Default + 'static {
    const NR: u32;
    const NAME: &'static str;
    fn prepare(&mut self, reason: u32);
    fn out_reason(&self) -> u32;
}

macro_rules! requests {
    ($($name:ident: $nr:ident, $text:literal;)*) => {
        $(impl Request for sys::$name {
            const NR: u32 = sys::$nr;
            const NAME: &'static str = $text;
            fn prepare(&mut self, reason: u32) {
                self.size = std::mem::size_of::<Self>() as u32;
                self.out_reason = reason;
            }
            fn out_reason(&self) -> u32 {
                self.out_reason
            }
        })*
        #[cfg(test)]
        pub(crate) const REQUESTS: &[(u32, &str)] = &[$((sys::$nr, $text)),*];
    };
}

requests! {
    smmuv3_accel_info: SMMUV3_ACCEL_CMD_GET_INFO, "GET_INFO";
    smmuv3_accel_create: SMMUV3_ACCEL_CMD_CREATE, "CREATE";
    smmuv3_accel_set_idr: SMMUV3_ACCEL_CMD_SET_IDR, "SET_IDR";
    smmuv3_accel_mem_table: SMMUV3_ACCEL_CMD_SET_MEM_TABLE, "SET_MEM_TABLE";
    smmuv3_accel_attach: SMMUV3_ACCEL_CMD_ATTACH, "ATTACH";
    smmuv3_accel_detach: SMMUV3_ACCEL_CMD_DETACH, "DETACH";
    smmuv3_accel_phys: SMMUV3_ACCEL_CMD_GET_PHYS, "GET_PHYS";
    smmuv3_accel_stream: SMMUV3_ACCEL_CMD_GET_STREAM, "GET_STREAM";
    smmuv3_accel_install_ste: SMMUV3_ACCEL_CMD_INSTALL_STE, "INSTALL_STE";
    smmuv3_accel_invalidate: SMMUV3_ACCEL_CMD_INVALIDATE, "INVALIDATE";
    smmuv3_accel_set_regs: SMMUV3_ACCEL_CMD_SET_REGS, "SET_REGS";
    smmuv3_accel_run_cmdq: SMMUV3_ACCEL_CMD_RUN_CMDQ, "RUN_CMDQ";
    smmuv3_accel_reset: SMMUV3_ACCEL_CMD_RESET, "RESET";
    smmuv3_accel_stats: SMMUV3_ACCEL_CMD_GET_STATS, "GET_STATS";
    smmuv3_accel_change_process: SMMUV3_ACCEL_CMD_CHANGE_PROCESS, "CHANGE_PROCESS";
    smmuv3_accel_set_vsids: SMMUV3_ACCEL_CMD_SET_VSIDS, "SET_VSIDS";
}

#[cfg(not(test))]
use libc::ioctl;
#[cfg(test)]
use tests::fake::ioctl;

#[cfg(test)]
use crate::tests;

/// Make a call. The error lacks what the struct has besides the reason.
///
/// # Safety
///
/// Each pointer in the struct has to be valid for as many entries as the struct says, for
/// writing if the kernel writes there.
pub(crate) unsafe fn call<T: Request>(fd: BorrowedFd<'_>, arg: &mut T) -> Result<()> {
    arg.prepare(UNANSWERED);
    let arg_ptr: *mut T = arg;
    // SAFETY: the struct is the one of this ioctl, and the caller answers for its pointers.
    if unsafe { ioctl(fd.as_raw_fd(), ioctl_number(T::NR) as _, arg_ptr) } == 0 {
        return Ok(());
    }
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    let answered = arg.out_reason() != UNANSWERED;
    let reason = if answered { arg.out_reason() } else { 0 };
    Err(Error::new(T::NAME, errno, Reason::new(reason), answered))
}

/// How many entries an array has, as the kernel counts them. It refuses longer arrays.
pub(crate) fn count<T>(array: &[T]) -> u32 {
    u32::try_from(array.len()).unwrap_or(u32::MAX)
}

/// The address of an array
pub(crate) fn address<T>(array: &[T]) -> u64 {
    array.as_ptr() as usize as u64
}

/// The address of an array that the kernel writes to
pub(crate) fn address_mut<T>(array: &mut [T]) -> u64 {
    array.as_mut_ptr() as usize as u64
}
