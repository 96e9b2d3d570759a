// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! `/dev/smmuv3-accel` for VMMs in Rust: an accelerated virtual SMMUv3.
//!
//! A [`Vsmmu`] is an open file, a virtual SMMU. Each ioctl is one of its methods, with types
//! for what the ioctl takes and returns. The module's documentation describes what they do;
//! `include/uapi/linux/smmuv3_accel.h` has the details. The structs of that header are in
//! [`sys`].
//!
//! A call that fails returns an [`Error`] with the errno and the [`Reason`]. The guest's
//! mistakes are no errors of the call: an illegal STE makes its stream abort
//! ([`SteEntry::reason`]), and an illegal command is a [`CommandError`].
//!
//! No method repeats a call. After a signal a call may end early, with what is done until
//! then, or with an error for which [`Error::is_interrupted`] is true.
//!
//! ```no_run
//! use smmuv3_accel::{CreateFlags, Ste, SteEntry, StreamId, Vsmmu};
//! # use std::os::unix::io::BorrowedFd;
//! # fn vmm(iommufd: BorrowedFd, vfio: BorrowedFd, ioas_id: u32, ste: [u8; 64])
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let vsmmu = Vsmmu::open()?;
//! vsmmu.create(iommufd, Some(ioas_id), CreateFlags::default())?;
//! // From here on the device's DMA aborts.
//! let vsid = StreamId::new(0x10).ok_or("no StreamID")?;
//! vsmmu.attach(vfio, vsid, None)?;
//! // The guest sent a CFGI_STE, and the VMM has read the STE.
//! let mut entry = [SteEntry::new(vsid, &Ste::from_le_bytes(&ste))];
//! vsmmu.install_ste(&mut entry)?;
//! println!("{}", entry[0].reason());
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs, unsafe_op_in_unsafe_fn)]

mod error;
mod request;
mod run;
pub mod sys;
#[cfg(test)]
mod tests;
mod types;
mod vsmmu;

pub use error::{Error, Reason, Result};
pub use request::ioctl_number;
pub use run::Run;
pub use types::{
    Attached, BadSte, Command, CommandError, CreateFlags, Info, Invalidated, Kind, MemRegion, Phys,
    Regs, Stats, Ste, SteEntry, Stream, StreamId, VsidChange,
};
pub use vsmmu::{Emulated, Vsmmu, DEVICE};
