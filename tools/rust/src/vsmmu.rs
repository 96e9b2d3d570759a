// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! A virtual SMMU: a method for each ioctl.

use std::fs::File;
use std::io;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::request::{address, address_mut, call, count, Request};
use crate::run::Run;
use crate::sys;
use crate::types::{
    Attached, Command, CommandError, CreateFlags, Info, Invalidated, MemRegion, Phys, Regs, Stats,
    SteEntry, Stream, StreamId, VsidChange,
};

/// The device node
pub const DEVICE: &str = "/dev/smmuv3-accel";

/// An endpoint that the VMM emulates
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulated {
    /// A bridge or root port, which does no DMA of its own
    Bridge,
    /// An endpoint that does DMA. The VMM walks the guest's tables for it; see
    /// [`CreateFlags::feed`].
    Endpoint,
}

/// A virtual SMMU: an open file of `/dev/smmuv3-accel`
///
/// Dropping it closes the file, which detaches all devices and blocks their DMA. Any thread
/// may make any call; the kernel locks.
#[derive(Debug)]
pub struct Vsmmu {
    file: OwnedFd,
}

impl Vsmmu {
    /// Open [`DEVICE`]. For a descriptor from elsewhere there is `Vsmmu::from(OwnedFd)`.
    pub fn open() -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(DEVICE)?;
        Ok(Self { file: file.into() })
    }

    /// Make a call whose struct has no pointers.
    fn call<T: Request>(&self, arg: &mut T) -> Result<()> {
        // SAFETY: no pointers.
        unsafe { call(self.as_fd(), arg) }
    }

    /// GET_INFO: describe the module. Works at any time.
    pub fn info(&self) -> Result<Info> {
        let mut arg = sys::smmuv3_accel_info::default();
        self.call(&mut arg)?;
        Ok(arg.into())
    }

    /// CREATE: make this file a virtual SMMU of `iommufd`. `ioas_id` holds the guest's
    /// physical address space. `None`: the VMM names all stage-2 parents in
    /// [`attach`](Vsmmu::attach). The file keeps a reference to the iommufd.
    pub fn create(
        &self,
        iommufd: BorrowedFd<'_>,
        ioas_id: Option<u32>,
        flags: CreateFlags,
    ) -> Result<()> {
        self.call(&mut sys::smmuv3_accel_create {
            flags: flags.raw(),
            iommufd: iommufd.as_raw_fd(),
            ioas_id: ioas_id.unwrap_or(0),
            ..Default::default()
        })
    }

    /// SET_IDR: set SMMU_IDR0 to SMMU_IDR5 as the guest sees them. [`Error::bad_idr`] has the
    /// fields that are refused.
    pub fn set_idr(&self, idr: [u32; 6]) -> Result<()> {
        let mut arg = sys::smmuv3_accel_set_idr { idr, ..Default::default() };
        self.call(&mut arg).map_err(|e| e.with_bad_idr(arg.out_bad_idr))
    }

    /// SET_MEM_TABLE: set the whole table of guest memory. [`Error::region`] is the index of
    /// the region that is refused; the old table stays then.
    ///
    /// # Safety
    ///
    /// Until the next SET_MEM_TABLE, CHANGE_PROCESS or close, the module reads at these
    /// addresses what it takes for the guest's stream table and command queue, and hands
    /// commands that it finds there to the host. So they have to be guest memory as long. If
    /// anything else gets to be mapped there, the guest makes the module read that.
    pub unsafe fn set_mem_table(&self, regions: &[MemRegion]) -> Result<()> {
        let mut arg = sys::smmuv3_accel_mem_table {
            regions_uptr: address(regions),
            region_num: count(regions),
            ..Default::default()
        };
        // SAFETY: the kernel reads the array during the call. The caller answers for what is
        // in it.
        unsafe { call(self.as_fd(), &mut arg) }.map_err(|e| e.with_region(arg.out_bad_region))
    }

    fn attach_call(&self, mut arg: sys::smmuv3_accel_attach) -> Result<Attached> {
        self.call(&mut arg).map_err(|e| e.with_bad_idr(arg.out_bad_idr))?;
        Ok(arg.into())
    }

    fn attach_vfio(
        &self,
        vfio: BorrowedFd<'_>,
        vsid: StreamId,
        s2_hwpt_id: Option<u32>,
        flags: u32,
    ) -> Result<Attached> {
        self.attach_call(sys::smmuv3_accel_attach {
            flags,
            vfio_fd: vfio.as_raw_fd(),
            vsid: vsid.raw(),
            s2_hwpt_id: s2_hwpt_id.unwrap_or(0),
            ..Default::default()
        })
    }

    /// ATTACH: attach a device, which is bound to the virtual SMMU's iommufd. Its DMA aborts
    /// until an STE says otherwise. `s2_hwpt_id` is a stage-2 parent for the device's SMMU.
    /// `None`: the parent that is in use there, or a new one of the IOAS of
    /// [`create`](Vsmmu::create).
    pub fn attach(
        &self,
        vfio: BorrowedFd<'_>,
        vsid: StreamId,
        s2_hwpt_id: Option<u32>,
    ) -> Result<Attached> {
        self.attach_vfio(vfio, vsid, s2_hwpt_id, 0)
    }

    /// ATTACH as a dry run: find out whether [`attach`](Vsmmu::attach) would succeed, and
    /// leave nothing behind.
    pub fn attach_dry_run(
        &self,
        vfio: BorrowedFd<'_>,
        vsid: StreamId,
        s2_hwpt_id: Option<u32>,
    ) -> Result<()> {
        let flags = sys::SMMUV3_ACCEL_ATTACH_DRY_RUN;
        self.attach_vfio(vfio, vsid, s2_hwpt_id, flags).map(|_| ())
    }

    /// ATTACH of an endpoint that the VMM emulates. It has a StreamID and an STE, but no host
    /// object.
    pub fn attach_emulated(&self, kind: Emulated, vsid: StreamId) -> Result<Attached> {
        let flags = match kind {
            Emulated::Bridge => sys::SMMUV3_ACCEL_ATTACH_BRIDGE,
            Emulated::Endpoint => sys::SMMUV3_ACCEL_ATTACH_FEED,
        };
        self.attach_call(sys::smmuv3_accel_attach {
            flags,
            vfio_fd: -1,
            vsid: vsid.raw(),
            ..Default::default()
        })
    }

    /// DETACH: block the device's DMA and release the VFIO file.
    pub fn detach(&self, vsid: StreamId) -> Result<()> {
        self.call(&mut sys::smmuv3_accel_detach { vsid: vsid.raw(), ..Default::default() })
    }

    /// GET_PHYS: describe a physical SMMU. The indices start at 0 and have no gaps.
    pub fn phys(&self, index: u32) -> Result<Phys> {
        let mut arg = sys::smmuv3_accel_phys { index, ..Default::default() };
        self.call(&mut arg)?;
        Ok(arg.into())
    }

    /// GET_STREAM: describe what is installed for a stream.
    pub fn stream(&self, vsid: StreamId) -> Result<Stream> {
        let mut arg = sys::smmuv3_accel_stream { vsid: vsid.raw(), ..Default::default() };
        self.call(&mut arg)?;
        Ok(arg.into())
    }

    /// INSTALL_STE, for a VMM that walks the guest's stream table itself: install STEs. Returns
    /// how many are installed, which may be less than all after a signal. An STE that is not
    /// legal is installed too: its stream aborts, and [`SteEntry::reason`] says why.
    ///
    /// The call stops at the first entry that fails. [`Error::done`] is its index, and
    /// [`SteEntry::errno`] has its errno. The entries after it are not touched.
    pub fn install_ste(&self, entries: &mut [SteEntry]) -> Result<usize> {
        let mut arg = sys::smmuv3_accel_install_ste {
            entries_uptr: address_mut(entries),
            entry_len: std::mem::size_of::<SteEntry>() as u32,
            entry_num: count(entries),
            ..Default::default()
        };
        // SAFETY: the kernel reads and writes the entries during the call.
        match unsafe { call(self.as_fd(), &mut arg) } {
            Ok(()) => Ok(arg.entry_num as usize),
            Err(e) if e.is_answered() => Err(e.with_done(arg.entry_num)),
            Err(e) => Err(e),
        }
    }

    /// INVALIDATE: carry out an array of commands. [`Invalidated::done`] may be less than all
    /// after a signal. [`Error::done`] says how many were done before the call failed.
    pub fn invalidate(&self, cmds: &[Command]) -> Result<Invalidated> {
        let mut arg = sys::smmuv3_accel_invalidate {
            cmds_uptr: address(cmds),
            cmd_num: count(cmds),
            ..Default::default()
        };
        // SAFETY: the kernel reads the commands during the call.
        match unsafe { call(self.as_fd(), &mut arg) } {
            Ok(()) => Ok(Invalidated {
                done: arg.cmd_num as usize,
                error: CommandError::from_raw(arg.out_error, arg.out_reason),
            }),
            Err(e) if e.is_answered() => Err(e.with_done(arg.cmd_num).with_stream(arg.out_vsid)),
            Err(e) => Err(e),
        }
    }

    /// SET_REGS: set the guest's registers. The first call starts table mode: until
    /// [`reset`](Vsmmu::reset), the module reads the guest's stream table itself.
    pub fn set_regs(&self, regs: &Regs) -> Result<()> {
        let mut arg = sys::smmuv3_accel_set_regs {
            cr0: regs.cr0,
            gbpa: regs.gbpa,
            strtab_base_cfg: regs.strtab_base_cfg,
            strtab_base: regs.strtab_base,
            cmdq_base: regs.cmdq_base,
            ..Default::default()
        };
        self.call(&mut arg).map_err(|e| e.with_stream(arg.out_vsid))
    }

    /// RUN_CMDQ: run the guest's command queue. `run` says what is done, also if the call
    /// fails: the VMM has to look at it in either case.
    pub fn run_cmdq(&self, run: &mut Run<'_>) -> Result<()> {
        let mut arg = run.request();
        // SAFETY: the kernel writes to the two arrays during the call. Any bits are valid
        // commands and entries.
        let result = unsafe { call(self.as_fd(), &mut arg) };
        match result {
            // After EFAULT what the kernel has returned means nothing.
            Err(e) if !e.is_answered() || e.errno() == libc::EFAULT => {
                run.finish(None, false);
                Err(e)
            }
            result => {
                run.finish(Some(&arg), result.is_ok());
                result.map_err(|e| e.with_stream(arg.out_vsid))
            }
        }
    }

    /// RESET, for a reset of the virtual machine: all streams abort, and the module forgets the
    /// registers.
    pub fn reset(&self) -> Result<()> {
        self.call(&mut sys::smmuv3_accel_reset::default())
    }

    /// GET_STATS: read the counters.
    pub fn stats(&self) -> Result<Stats> {
        let mut arg = sys::smmuv3_accel_stats::default();
        self.call(&mut arg)?;
        Ok(arg.into())
    }

    /// CHANGE_PROCESS, for a live update of the VMM: take the file over from another process.
    /// `iommufd` is the one that CREATE named.
    pub fn change_process(&self, iommufd: BorrowedFd<'_>) -> Result<()> {
        let iommufd = iommufd.as_raw_fd();
        self.call(&mut sys::smmuv3_accel_change_process { iommufd, ..Default::default() })
    }

    /// SET_VSIDS: set or change StreamIDs, all at once. [`Error::stream`] is the stream that
    /// is refused or could not be set up.
    pub fn set_vsids(&self, changes: &[VsidChange]) -> Result<()> {
        let mut arg = sys::smmuv3_accel_set_vsids {
            entries_uptr: address(changes),
            entry_num: count(changes),
            ..Default::default()
        };
        // SAFETY: the kernel reads the array during the call.
        unsafe { call(self.as_fd(), &mut arg) }.map_err(|e| e.with_stream(arg.out_vsid))
    }
}

impl From<OwnedFd> for Vsmmu {
    fn from(file: OwnedFd) -> Self {
        Self { file }
    }
}

impl From<Vsmmu> for OwnedFd {
    fn from(vsmmu: Vsmmu) -> Self {
        vsmmu.file
    }
}

impl AsFd for Vsmmu {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Vsmmu {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
