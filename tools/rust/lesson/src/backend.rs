// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! Explicit mode for a VMM that emulates the SMMU's registers and walks the guest's tables
//! itself: the five calls that such a VMM makes to the host's SMMU, as Cloud Hypervisor's
//! trait `PhysicalIommu` has them.

use smmuv3_accel::{Command, CommandError, Error, Reason, Result, Ste, SteEntry, StreamId, Vsmmu};
use std::{thread, time::Duration};

pub struct Backend<'a> {
    pub vsmmu: &'a Vsmmu,
}

/// Repeats a call: at once after a signal, and in some milliseconds if its failure is
/// temporary. Any other error comes back, and a temporary one that lasts for a second.
struct Patience(u32);

impl Patience {
    fn new() -> Self {
        Self(100)
    }

    fn wait(&mut self, error: Error) -> Result<()> {
        if error.is_interrupted() {
            return Ok(());
        }
        if !error.is_temporary() || self.0 == 0 {
            return Err(error);
        }
        self.0 -= 1;
        thread::sleep(Duration::from_millis(10));
        Ok(())
    }
}

impl Backend<'_> {
    /// SMMU_IDR0 to SMMU_IDR5 of each physical SMMU. The devices have to be attached.
    pub fn hw_info(&self) -> Result<Vec<[u32; 6]>> {
        let mut idrs = Vec::new();
        loop {
            match self.vsmmu.phys(idrs.len() as u32) {
                Ok(phys) => idrs.push(phys.idr),
                Err(e) if e.reason() == Reason::NO_PHYS => return Ok(idrs),
                Err(e) => return Err(e),
            }
        }
    }

    /// Returns why the stream aborts, for the guest's event queue.
    pub fn install_table_entry(&self, device_id: u32, ste: [u64; 8]) -> Result<Reason> {
        // A guest may configure StreamIDs that no device has.
        let vsid = match StreamId::new(device_id) {
            Some(vsid) => vsid,
            None => return Ok(Reason::NONE),
        };
        let mut entry = [SteEntry::new(vsid, &Ste(ste))];
        let mut patience = Patience::new();
        loop {
            match self.vsmmu.install_ste(&mut entry) {
                Ok(1) => return Ok(entry[0].reason()),
                Ok(_) => (),
                Err(e) if e.reason() == Reason::NO_STREAM => return Ok(Reason::NONE),
                Err(e) => patience.wait(e)?,
            }
        }
    }

    pub fn set_passthrough(&self, device_id: u32) -> Result<()> {
        self.install_table_entry(device_id, Ste::BYPASS.0).map(|_| ())
    }

    pub fn set_blocking(&self, device_id: u32) -> Result<()> {
        self.install_table_entry(device_id, Ste::ABORT.0).map(|_| ())
    }

    /// All commands but those that name STEs, CMD_SYNC among them; best all that the guest has
    /// queued up to a CFGI_STE. Returns the guest's error, for SMMU_CMDQ_CONS, and the index of
    /// its command.
    pub fn invalidate(&self, commands: &[Command]) -> Result<Option<(usize, CommandError)>> {
        let (mut done, mut patience) = (0, Patience::new());
        while done < commands.len() {
            match self.vsmmu.invalidate(&commands[done..]) {
                Ok(invalidated) => {
                    done += invalidated.done;
                    if let Some(error) = invalidated.error {
                        return Ok(Some((done, error)));
                    }
                }
                Err(e) => {
                    done += e.done();
                    patience.wait(e)?;
                }
            }
        }
        Ok(None)
    }
}
