// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! A run of the guest command queue.

use crate::request::{address_mut, count};
use crate::sys;
use crate::types::{BadSte, Command, CommandError};

/// What RUN_CMDQ takes and returns. It may be run repeatedly, until [`is_done`](Run::is_done).
///
/// After each call, also after one that failed, the VMM
///
/// 1. applies the [`feed`](Run::feed) to the software IOTLBs of its emulated endpoints, and
///    invalidates these completely if [`feed_overflowed`](Run::feed_overflowed),
/// 2. passes on the events that its vEVENTQs have if [`did_cfgi`](Run::did_cfgi),
/// 3. records an event for each of [`bad_stes`](Run::bad_stes),
/// 4. shows [`cons`](Run::cons) and the [`error`](Run::error) to the guest,
/// 5. raises the CMD_SYNC interrupt if [`wants_sync_irq`](Run::wants_sync_irq).
///
/// ```no_run
/// # fn doorbell(vsmmu: &smmuv3_accel::Vsmmu, prod: u32, mut cons: u32) -> smmuv3_accel::Result<u32> {
/// use smmuv3_accel::Run;
/// let mut run = Run::new(prod, cons);
/// while !run.is_done() && run.error().is_none() {
///     match vsmmu.run_cmdq(&mut run) {
///         Err(e) if e.is_interrupted() => (),
///         Err(e) => return Err(e),
///         Ok(()) => (),
///     }
///     cons = run.cons();
/// }
/// # Ok(cons)
/// # }
/// ```
#[derive(Debug)]
pub struct Run<'a> {
    prod: u32,
    cons: u32,
    max_cmds: u32,
    feed: &'a mut [Command],
    bad: &'a mut [BadSte],
    feed_num: usize,
    bad_num: usize,
    flags: u32,
    error: Option<CommandError>,
    found_nothing: bool,
}

impl<'a> Run<'a> {
    /// From SMMU_CMDQ_CONS to SMMU_CMDQ_PROD, index and wrap bit
    pub fn new(prod: u32, cons: u32) -> Self {
        Self {
            prod,
            cons,
            max_cmds: 0,
            feed: &mut [],
            bad: &mut [],
            feed_num: 0,
            bad_num: 0,
            flags: 0,
            error: None,
            found_nothing: false,
        }
    }

    /// Room for the commands that emulated endpoints must see
    #[must_use]
    pub fn with_feed(mut self, feed: &'a mut [Command]) -> Self {
        self.feed = feed;
        self
    }

    /// Room for the streams whose STE is not legal
    #[must_use]
    pub fn with_bad_stes(mut self, bad: &'a mut [BadSte]) -> Self {
        self.bad = bad;
        self
    }

    /// The most commands for one call. 0: a lap of the queue
    #[must_use]
    pub fn with_max_cmds(mut self, max_cmds: u32) -> Self {
        self.max_cmds = max_cmds;
        self
    }

    /// SMMU_CMDQ_CONS, index and wrap bit, after what is done
    pub fn cons(&self) -> u32 {
        self.cons
    }

    /// Whether all commands are done: CONS is PROD, or the last call found none to run. A guest
    /// can write bits above the wrap bit to PROD. The kernel ignores these, and CONS has none.
    pub fn is_done(&self) -> bool {
        self.cons == self.prod || self.found_nothing
    }

    /// What is wrong with the command at [`cons`](Run::cons)
    pub fn error(&self) -> Option<CommandError> {
        self.error
    }

    /// The commands of the last call that emulated endpoints must see
    pub fn feed(&self) -> &[Command] {
        &self.feed[..self.feed_num]
    }

    /// There was no room for all commands of the feed.
    pub fn feed_overflowed(&self) -> bool {
        self.flags & sys::SMMUV3_ACCEL_RUN_FEED_OVERFLOW != 0
    }

    /// The streams of the last call whose STE is not legal. They abort.
    pub fn bad_stes(&self) -> &[BadSte] {
        &self.bad[..self.bad_num]
    }

    /// A command of the last call named a stream whose STE is not legal.
    pub fn found_bad_ste(&self) -> bool {
        self.flags & sys::SMMUV3_ACCEL_RUN_BAD_STE != 0
    }

    /// There was no room for all such streams. GET_STREAM has the reason of each.
    pub fn bad_stes_overflowed(&self) -> bool {
        self.flags & sys::SMMUV3_ACCEL_RUN_BAD_OVERFLOW != 0
    }

    /// A CFGI_* of the last call is done. A CMD_SYNC behind it promises the guest that
    /// earlier faults are in its event queue.
    pub fn did_cfgi(&self) -> bool {
        self.flags & sys::SMMUV3_ACCEL_RUN_CFGI != 0
    }

    /// The last call came to a CMD_SYNC that asks for an interrupt.
    pub fn wants_sync_irq(&self) -> bool {
        self.flags & sys::SMMUV3_ACCEL_RUN_SYNC_IRQ != 0
    }

    pub(crate) fn request(&mut self) -> sys::smmuv3_accel_run_cmdq {
        sys::smmuv3_accel_run_cmdq {
            feed_uptr: address_mut(self.feed),
            bad_uptr: address_mut(self.bad),
            prod: self.prod,
            max_cmds: self.max_cmds,
            cons: self.cons,
            feed_num: count(self.feed),
            bad_num: count(self.bad),
            ..Default::default()
        }
    }

    /// Take over what a call has returned. `None`: the kernel has not done anything. `ok`:
    /// the call has succeeded.
    pub(crate) fn finish(&mut self, arg: Option<&sys::smmuv3_accel_run_cmdq>, ok: bool) {
        let nothing = sys::smmuv3_accel_run_cmdq { cons: self.cons, ..Default::default() };
        let arg = arg.unwrap_or(&nothing);
        // A call that succeeds runs one command at least, if there is any.
        self.found_nothing = ok && arg.out_error == 0 && arg.cons == self.cons;
        self.cons = arg.cons;
        self.feed_num = (arg.feed_num as usize).min(self.feed.len());
        self.bad_num = (arg.bad_num as usize).min(self.bad.len());
        self.flags = arg.out_flags;
        self.error = CommandError::from_raw(arg.out_error, arg.out_reason);
    }
}
