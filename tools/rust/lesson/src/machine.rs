// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! What a VMM has besides the virtual SMMU: an iommufd with guest memory in an IOAS, and a
//! device that is bound to it. And what the guest writes to its memory. All this is C, of the
//! kselftests: a VMM has its own.

use smmuv3_accel::{MemRegion, Regs, Ste, StreamId};
use std::os::raw::c_int;
use std::os::unix::io::BorrowedFd;
use std::ptr;

#[allow(non_camel_case_types, dead_code, clippy::all)]
mod c {
    include!(concat!(env!("OUT_DIR"), "/guest.rs"));
}

/// Where the guest maps its buffer for the device
pub const IOVA: u64 = 0x1000_0000;
pub const ASID: u32 = 7;

/// Where a DMA arrived
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dma {
    /// It arrived in the guest's page of this index.
    Page(usize),
    /// It arrived in neither page.
    Astray,
    /// The SMMU aborted it.
    Aborted,
}

/// A guest and a device. The structs of C have pointers to each other, so they stay in place.
pub struct Machine {
    guest: Box<c::guest>,
    dev: Box<c::dma_dev>,
    table: Box<c::pgtable>,
    ring: Box<c::ring>,
    strtab: Box<c::strtab>,
    pub page: [u64; 2],
}

fn check(rc: c_int, what: &str) {
    assert!(rc >= 0, "{what}: {}", std::io::Error::from_raw_os_error(-rc));
}

// SAFETY, for all of this: the structs outlive the calls, and guest_ptr() is in guest memory.
impl Machine {
    /// `None`: there is no device.
    pub fn open() -> Option<Self> {
        let mut m = Self {
            guest: Box::default(),
            dev: Box::default(),
            table: Box::default(),
            ring: Box::default(),
            strtab: Box::default(),
            page: [0; 2],
        };
        let g: *mut c::guest = &mut *m.guest;
        unsafe {
            check(c::guest_open_memory(g), "guest memory");
            if c::dma_open(&mut *m.dev, (*g).iommufd, c::DMA_TESTDEV, 0) < 0 {
                return None;
            }
            m.page = [c::guest_alloc(g, 4096), c::guest_alloc(g, 4096)];
            c::pgtable_init(&mut *m.table, g, c::GRANULE_4K);
            check(c::ring_init(&mut *m.ring, g, 6), "command queue");
            check(c::strtab_init(&mut *m.strtab, g, 8, 6), "stream table");
        }
        Some(m)
    }

    pub fn iommufd(&self) -> BorrowedFd<'_> {
        unsafe { BorrowedFd::borrow_raw(self.guest.iommufd) }
    }

    pub fn ioas_id(&self) -> u32 {
        self.guest.ioas_id
    }

    pub fn vfio(&self) -> BorrowedFd<'_> {
        unsafe { BorrowedFd::borrow_raw(self.dev.fd) }
    }

    pub fn ram(&self) -> MemRegion {
        MemRegion::new(c::GUEST_BASE.into(), self.guest.ram as *const u8, c::GUEST_SIZE.into())
    }

    /// The guest maps IOVA to a page. It does not invalidate anything.
    pub fn map(&mut self, page: usize) {
        let attr = u64::from(c::PTE_NOT_GLOBAL);
        unsafe { c::pgtable_map(&mut *self.table, IOVA, self.page[page], attr) }
    }

    /// The guest writes a CD. Returns an STE that points to it.
    pub fn stage1(&mut self) -> Ste {
        let mut ste = Ste([0; 8]);
        unsafe {
            let cd = c::cd_new(&mut *self.guest, &*self.table, ASID);
            c::ste_s1(ste.0.as_mut_ptr(), cd);
        }
        ste
    }

    /// The guest writes an STE to its stream table.
    pub fn write_ste(&mut self, vsid: StreamId, ste: &Ste) {
        unsafe { c::strtab_write(&mut *self.strtab, vsid.raw(), ste.0.as_ptr()) }
    }

    /// The guest's registers: its SMMU and its command queue are enabled.
    pub fn regs(&self) -> Regs {
        Regs {
            cr0: c::CR0_SMMUEN | c::CR0_CMDQEN,
            gbpa: 0,
            strtab_base_cfg: self.strtab.base_cfg,
            strtab_base: self.strtab.base,
            cmdq_base: self.ring.base | u64::from(self.ring.log2size),
        }
    }

    /// The guest puts commands in its queue. Returns SMMU_CMDQ_CONS before and SMMU_CMDQ_PROD
    /// after them.
    pub fn queue(&mut self, commands: &[[u64; 2]]) -> (u32, u32) {
        let cons = self.ring.prod;
        for w in commands {
            unsafe { c::ring_put(&mut *self.ring, c::cmd { w: *w }) }
        }
        (cons, self.ring.prod)
    }

    /// Let the device write at an address.
    pub fn dma(&mut self, iova: u64) -> Dma {
        unsafe {
            let at = self.page.map(|page| c::guest_ptr(&mut *self.guest, page).cast::<u32>());
            at.iter().for_each(|at| ptr::write_volatile(*at, 0));
            if c::testdev_write(&mut *self.dev, iova) != 0 {
                return Dma::Aborted;
            }
            let landed = at.iter().position(|at| ptr::read_volatile(*at) == c::TESTDEV_PATTERN);
            landed.map_or(Dma::Astray, Dma::Page)
        }
    }
}

pub fn tlbi_va(iova: u64) -> [u64; 2] {
    unsafe { c::cmd_tlbi_va(ASID, iova, true).w }
}

pub fn cfgi_ste(vsid: StreamId) -> [u64; 2] {
    unsafe { c::cmd_cfgi_ste(vsid.raw(), true).w }
}

pub fn sync() -> [u64; 2] {
    unsafe { c::cmd_sync().w }
}

pub fn sync_irq() -> [u64; 2] {
    unsafe { c::cmd_sync_irq().w }
}
