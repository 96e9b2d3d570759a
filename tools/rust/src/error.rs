// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! What went wrong: errno and reason.

use std::fmt;
use std::io;

use crate::types::StreamId;

/// Why a call failed, or why a stream aborts: one of `enum smmuv3_accel_reason`
///
/// A kernel that is newer than this crate may have reasons that the crate does not know.
/// [`name`](Reason::name) and [`text`](Reason::text) are empty then.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Reason(u32);

include!(concat!(env!("OUT_DIR"), "/reasons.rs"));

impl Reason {
    pub(crate) const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number
    pub const fn value(self) -> u32 {
        self.0
    }

    fn entry(self) -> Option<&'static (u32, &'static str, &'static str)> {
        REASONS.iter().find(|entry| entry.0 == self.0)
    }

    /// The name without its prefix, such as `GROUP_SHARED`
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |entry| entry.1)
    }

    /// What the reason means and what helps, in the words of the header
    pub fn text(self) -> &'static str {
        self.entry().map_or("", |entry| entry.2)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some(entry) => f.write_str(entry.1),
            None => write!(f, "Reason({})", self.0),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some(entry) => f.write_str(entry.2),
            None => write!(f, "Reason {} is not known to this version.", self.0),
        }
    }
}

/// A call that failed
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    call: &'static str,
    errno: i32,
    reason: Reason,
    answered: bool,
    done: u32,
    stream: Option<StreamId>,
    region: Option<u32>,
    bad_idr: [u32; 6],
}

/// The result of a call
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(call: &'static str, errno: i32, reason: Reason, answered: bool) -> Self {
        let (done, stream, region, bad_idr) = (0, None, None, [0; 6]);
        Self { call, errno, reason, answered, done, stream, region, bad_idr }
    }

    /// The ioctl, such as `ATTACH`
    pub fn call(&self) -> &'static str {
        self.call
    }

    /// The errno, positive
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// The reason. [`Reason::NONE`] if the errno says it all.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// INSTALL_STE and INVALIDATE: how many entries or commands were done before the call
    /// failed. Repeat the call with the rest.
    pub fn done(&self) -> usize {
        self.done as usize
    }

    /// INVALIDATE, SET_REGS, RUN_CMDQ, SET_VSIDS: the stream that made the call fail. StreamID
    /// 0 if no stream did.
    pub fn stream(&self) -> Option<StreamId> {
        self.stream
    }

    /// SET_MEM_TABLE: the index of the region that was refused. 0 if no region was.
    pub fn region(&self) -> Option<usize> {
        self.region.map(|region| region as usize)
    }

    /// SET_IDR, ATTACH: for each of SMMU_IDR0 to SMMU_IDR5 the fields that were refused
    pub fn bad_idr(&self) -> [u32; 6] {
        self.bad_idr
    }

    /// A signal came before the call could do anything. Repeat it.
    pub fn is_interrupted(&self) -> bool {
        self.errno == libc::EINTR
    }

    /// The cause may go away by itself, for instance a device that is in reset. Repeat the
    /// call in some milliseconds.
    pub fn is_temporary(&self) -> bool {
        self.reason == Reason::RETRY
    }

    pub(crate) fn with_done(self, done: u32) -> Self {
        Self { done, ..self }
    }

    pub(crate) fn with_stream(self, vsid: u32) -> Self {
        Self { stream: Some(StreamId::from_raw(vsid)), ..self }
    }

    pub(crate) fn with_region(self, index: u32) -> Self {
        Self { region: Some(index), ..self }
    }

    pub(crate) fn with_bad_idr(self, bad_idr: [u32; 6]) -> Self {
        Self { bad_idr, ..self }
    }

    /// Whether the kernel has written the struct's outputs
    pub(crate) fn is_answered(&self) -> bool {
        self.answered
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = io::Error::from_raw_os_error(self.errno);
        write!(f, "{}: {errno}", self.call)?;
        if self.reason != Reason::NONE {
            write!(f, ": {}", self.reason)?;
        }
        for (i, bits) in self.bad_idr.iter().enumerate().filter(|(_, bits)| **bits != 0) {
            write!(f, " SMMU_IDR{i}: {bits:#x}.")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    /// Keeps the sentence. [`io::Error::kind`] is that of the errno, and
    /// [`io::Error::get_ref`] has the [`Error`].
    fn from(error: Error) -> Self {
        let kind = io::Error::from_raw_os_error(error.errno).kind();
        io::Error::new(kind, error)
    }
}
