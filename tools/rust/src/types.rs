// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! What the calls take and return.

use std::fmt;

use crate::error::Reason;
use crate::sys;

/// A virtual StreamID, or the name of a stream whose StreamID is not set
///
/// They are of one type, because all calls take either. A number from the guest can never
/// be a name: [`new`](StreamId::new) refuses it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct StreamId(u32);

impl StreamId {
    /// A StreamID. `None` if it has more than 31 bits, so that no stream table can hold it.
    pub const fn new(id: u32) -> Option<Self> {
        if id & sys::SMMUV3_ACCEL_VSID_UNSET == 0 {
            Some(Self(id))
        } else {
            None
        }
    }

    /// A stream whose bus the guest has not numbered yet. The VMM chooses `name`, of
    /// 31 bits: the highest bit has no effect.
    pub const fn unset(name: u32) -> Self {
        Self(name | sys::SMMUV3_ACCEL_VSID_UNSET)
    }

    /// Whether this is a StreamID and no name
    pub const fn is_set(self) -> bool {
        self.0 & sys::SMMUV3_ACCEL_VSID_UNSET == 0
    }

    /// As the kernel has it: a name has [`sys::SMMUV3_ACCEL_VSID_UNSET`].
    pub const fn raw(self) -> u32 {
        self.0
    }

    pub(crate) const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({:#x})", self.0)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A Stream Table Entry (Arm IHI 0070, section 5.2), in the byte order of the CPU
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ste(pub [u64; 8]);

impl Ste {
    /// V = 1, Config = abort: the stream's DMA aborts.
    pub const ABORT: Self = Self([1, 0, 0, 0, 0, 0, 0, 0]);
    /// V = 1, Config = bypass: DMA addresses are guest physical addresses.
    pub const BYPASS: Self = Self([1 | (4 << 1), 0, 0, 0, 0, 0, 0, 0]);

    /// An STE as it is in guest memory
    pub fn from_le_bytes(bytes: &[u8; 64]) -> Self {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().unwrap());
        }
        Self(words)
    }
}

/// A command of the guest (Arm IHI 0070, chapter 4), as it is in the command queue
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Command([u64; 2]);

impl Command {
    /// A command of two words in the byte order of the CPU
    pub const fn new(words: [u64; 2]) -> Self {
        Self([words[0].to_le(), words[1].to_le()])
    }

    /// A command as it is in guest memory
    pub fn from_le_bytes(bytes: &[u8; 16]) -> Self {
        let word = |i: usize| u64::from_le_bytes(bytes[i..i + 8].try_into().unwrap());
        Self::new([word(0), word(8)])
    }

    /// Its two words in the byte order of the CPU
    pub const fn words(self) -> [u64; 2] {
        [u64::from_le(self.0[0]), u64::from_le(self.0[1])]
    }

    /// Its opcode
    pub const fn opcode(self) -> u8 {
        self.words()[0] as u8
    }
}

/// An illegal command, or one that failed: the guest's error
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// For SMMU_CMDQ_CONS.ERR, such as [`sys::SMMUV3_ACCEL_CERROR_ILL`]
    pub cerror: u32,
    /// Which rule the command broke
    pub reason: Reason,
}

impl CommandError {
    pub(crate) fn from_raw(cerror: u32, reason: u32) -> Option<Self> {
        let reason = Reason::new(reason);
        (cerror != sys::SMMUV3_ACCEL_CERROR_NONE).then_some(Self { cerror, reason })
    }
}

/// What INVALIDATE has done
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Invalidated {
    /// How many commands are done
    pub done: usize,
    /// What is wrong with the command at index `done`
    pub error: Option<CommandError>,
}

/// An entry of INSTALL_STE
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct SteEntry(sys::smmuv3_accel_ste);

impl SteEntry {
    /// `ste` for the stream `vsid`
    pub fn new(vsid: StreamId, ste: &Ste) -> Self {
        let ste = ste.0.map(u64::to_le);
        Self(sys::smmuv3_accel_ste { vsid: vsid.raw(), ste, ..Default::default() })
    }

    /// The stream
    pub fn stream(&self) -> StreamId {
        StreamId::from_raw(self.0.vsid)
    }

    /// After the call: if the entry failed, its errno, positive
    pub fn errno(&self) -> Option<i32> {
        (self.0.out_errno != 0).then(|| self.0.out_errno.wrapping_neg())
    }

    /// After the call: why the entry failed or, if it is installed, why the stream aborts.
    /// [`Reason::NONE`]: the STE is in force.
    pub fn reason(&self) -> Reason {
        Reason::new(self.0.out_reason)
    }
}

/// A stream whose STE is not legal
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct BadSte(sys::smmuv3_accel_bad_ste);

impl BadSte {
    /// The stream
    pub fn stream(&self) -> StreamId {
        StreamId::from_raw(self.0.vsid)
    }

    /// Why it aborts
    pub fn reason(&self) -> Reason {
        Reason::new(self.0.reason)
    }
}

/// An entry of SET_VSIDS
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct VsidChange(sys::smmuv3_accel_vsid);

impl VsidChange {
    /// The stream `old` is `new` from now on; they may be the same.
    pub fn new(old: StreamId, new: StreamId) -> Self {
        Self(sys::smmuv3_accel_vsid { old_vsid: old.raw(), new_vsid: new.raw() })
    }
}

/// A region of guest memory
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct MemRegion(sys::smmuv3_accel_mem_region);

impl MemRegion {
    /// `size` bytes at the guest physical address `gpa`, which are at `memory` in this process
    pub fn new(gpa: u64, memory: *const u8, size: u64) -> Self {
        let uaddr = memory as usize as u64;
        Self(sys::smmuv3_accel_mem_region { gpa, size, uaddr })
    }
}

/// Flags of CREATE: what the VMM asserts of its guest, and wants
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreateFlags {
    /// The guest draws the ASIDs of all virtual SMMUs with this flag from one pool.
    pub shared_asids: bool,
    /// The VMM may attach emulated endpoints.
    pub feed: bool,
    /// The guest maps nothing global in stage 1.
    pub no_global: bool,
}

impl CreateFlags {
    pub(crate) fn raw(self) -> u32 {
        [
            (self.shared_asids, sys::SMMUV3_ACCEL_CREATE_SHARED_ASIDS),
            (self.feed, sys::SMMUV3_ACCEL_CREATE_FEED),
            (self.no_global, sys::SMMUV3_ACCEL_CREATE_NO_GLOBAL),
        ]
        .iter()
        .filter(|(on, _)| *on)
        .fold(0, |flags, (_, flag)| flags | flag)
    }
}

/// What GET_INFO says of the module
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// [`sys::SMMUV3_ACCEL_API_VERSION`] of the kernel
    pub api_version: u32,
    /// The most streams of a virtual SMMU
    pub max_streams: u32,
    /// The most physical SMMUs that a virtual SMMU can span
    pub max_phys: u32,
    /// The most memory regions
    pub max_regions: u32,
    /// The most commands of INVALIDATE
    pub max_cmds: u32,
    /// The most commands that the module hands to the host in one call
    pub max_batch: u32,
    /// After how many STEs RUN_CMDQ stops
    pub max_stes: u32,
    /// The flags of CREATE that the kernel has
    pub create_flags: u32,
    /// The flags of ATTACH that the kernel has
    pub attach_flags: u32,
    /// The ioctls that the kernel has, one bit for each number
    pub ioctls: u64,
}

impl Info {
    /// Whether the kernel has an ioctl, such as [`sys::SMMUV3_ACCEL_CMD_SET_VSIDS`]
    pub fn has_ioctl(&self, nr: u32) -> bool {
        self.ioctls.checked_shr(nr).unwrap_or(0) & 1 != 0
    }
}

impl From<sys::smmuv3_accel_info> for Info {
    fn from(arg: sys::smmuv3_accel_info) -> Self {
        Self {
            api_version: arg.out_api_version,
            max_streams: arg.out_max_streams,
            max_phys: arg.out_max_phys,
            max_regions: arg.out_max_regions,
            max_cmds: arg.out_max_cmds,
            max_batch: arg.out_max_batch,
            max_stes: arg.out_max_stes,
            create_flags: arg.out_create_flags,
            attach_flags: arg.out_attach_flags,
            ioctls: arg.out_ioctls,
        }
    }
}

/// The ID of an object. The kernel has 0 if there is none.
fn object(id: u32) -> Option<u32> {
    (id != 0).then_some(id)
}

/// The index of a physical SMMU
fn phys(index: u32) -> Option<u32> {
    (index != sys::SMMUV3_ACCEL_NO_PHYS).then_some(index)
}

/// A stream that is attached
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The device in the iommufd; none for a bridge or an emulated endpoint
    pub dev_id: Option<u32>,
    /// The vIOMMU for the device's physical SMMU
    pub viommu_id: Option<u32>,
    /// The device's vDEVICE; none if the StreamID is not set
    pub vdevice_id: Option<u32>,
    /// The stage-2 parent in use on the device's physical SMMU
    pub s2_hwpt_id: Option<u32>,
    /// The index of that SMMU; none for a bridge or an emulated endpoint
    pub phys: Option<u32>,
}

impl From<sys::smmuv3_accel_attach> for Attached {
    fn from(arg: sys::smmuv3_accel_attach) -> Self {
        Self {
            dev_id: object(arg.out_dev_id),
            viommu_id: object(arg.out_viommu_id),
            vdevice_id: object(arg.out_vdevice_id),
            s2_hwpt_id: object(arg.out_s2_hwpt_id),
            phys: phys(arg.out_phys),
        }
    }
}

/// A physical SMMU
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phys {
    /// Its vIOMMU; none if no stream is left
    pub viommu_id: Option<u32>,
    /// Its stage-2 parent
    pub s2_hwpt_id: Option<u32>,
    /// How many streams are attached behind it
    pub stream_num: u32,
    /// SMMU_IDR0 to SMMU_IDR5
    pub idr: [u32; 6],
    /// SMMU_IIDR
    pub iidr: u32,
    /// SMMU_AIDR
    pub aidr: u32,
    /// Combination of `enum iommu_hw_info_arm_smmuv3_flags`
    pub hw_flags: u32,
    /// The nested HWPT of its streams that abort
    pub abort_hwpt_id: Option<u32>,
    /// The nested HWPT of its streams that bypass stage 1
    pub bypass_hwpt_id: Option<u32>,
}

impl From<sys::smmuv3_accel_phys> for Phys {
    fn from(arg: sys::smmuv3_accel_phys) -> Self {
        Self {
            viommu_id: object(arg.out_viommu_id),
            s2_hwpt_id: object(arg.out_s2_hwpt_id),
            stream_num: arg.out_stream_num,
            idr: arg.out_idr,
            iidr: arg.out_iidr,
            aidr: arg.out_aidr,
            hw_flags: arg.out_hw_flags,
            abort_hwpt_id: object(arg.out_abort_hwpt_id),
            bypass_hwpt_id: object(arg.out_bypass_hwpt_id),
        }
    }
}

/// What is installed for a stream
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// DMA aborts
    Abort,
    /// DMA addresses are guest physical addresses
    Bypass,
    /// The guest's stage 1 translates
    Stage1,
    /// The VMM detached the device, or attached it to another domain
    Other,
    /// A kind that this crate does not know
    Unknown(u32),
}

impl Kind {
    fn from_raw(kind: u32) -> Self {
        match kind {
            sys::SMMUV3_ACCEL_KIND_ABORT => Self::Abort,
            sys::SMMUV3_ACCEL_KIND_BYPASS => Self::Bypass,
            sys::SMMUV3_ACCEL_KIND_S1 => Self::Stage1,
            sys::SMMUV3_ACCEL_KIND_OTHER => Self::Other,
            kind => Self::Unknown(kind),
        }
    }
}

/// A stream, as GET_STREAM describes it
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// What is installed
    pub kind: Kind,
    /// Why the stream aborts
    pub reason: Reason,
    /// The index of its physical SMMU; none for a bridge or an emulated endpoint
    pub phys: Option<u32>,
    /// The device in the iommufd
    pub dev_id: Option<u32>,
    /// Its vDEVICE
    pub vdevice_id: Option<u32>,
    /// The nested HWPT that is attached
    pub hwpt_id: Option<u32>,
    /// The first two words of the STE that the host has; 0 if the stream does not translate
    pub ste: [u64; 2],
}

impl From<sys::smmuv3_accel_stream> for Stream {
    fn from(arg: sys::smmuv3_accel_stream) -> Self {
        Self {
            kind: Kind::from_raw(arg.out_kind),
            reason: Reason::new(arg.out_reason),
            phys: phys(arg.out_phys),
            dev_id: object(arg.out_dev_id),
            vdevice_id: object(arg.out_vdevice_id),
            hwpt_id: object(arg.out_hwpt_id),
            ste: arg.out_ste.map(u64::from_le),
        }
    }
}

/// The registers of SET_REGS, raw
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regs {
    /// SMMU_CR0
    pub cr0: u32,
    /// SMMU_GBPA
    pub gbpa: u32,
    /// SMMU_STRTAB_BASE_CFG
    pub strtab_base_cfg: u32,
    /// SMMU_STRTAB_BASE
    pub strtab_base: u64,
    /// SMMU_CMDQ_BASE
    pub cmdq_base: u64,
}

/// Counters since CREATE. `cmds` and `syncs` count what is done, the others each attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Commands that are done
    pub cmds: u64,
    /// CMD_SYNCs among them
    pub syncs: u64,
    /// Commands given to the host
    pub issued: u64,
    /// Commands left out because other commands do their work
    pub subsumed: u64,
    /// Range invalidations merged into another one
    pub merged: u64,
    /// Host calls for invalidations
    pub host_calls: u64,
    /// Host calls that read the commands from the VMM's memory directly
    pub zero_copy: u64,
    /// STEs that changed the stream's domain
    pub ste_installed: u64,
    /// STEs that asked for what was already installed
    pub ste_unchanged: u64,
    /// STEs that were not legal, or could not be read
    pub ste_bad: u64,
    /// Command errors of the guest
    pub cmd_errors: u64,
    /// Host calls that were repeated after an error
    pub replays: u64,
    /// Invalidations not given to a physical SMMU in use that has no entry they could hit
    pub withheld: u64,
}

impl From<sys::smmuv3_accel_stats> for Stats {
    fn from(arg: sys::smmuv3_accel_stats) -> Self {
        Self {
            cmds: arg.out_cmds,
            syncs: arg.out_syncs,
            issued: arg.out_issued,
            subsumed: arg.out_subsumed,
            merged: arg.out_merged,
            host_calls: arg.out_host_calls,
            zero_copy: arg.out_zero_copy,
            ste_installed: arg.out_ste_installed,
            ste_unchanged: arg.out_ste_unchanged,
            ste_bad: arg.out_ste_bad,
            cmd_errors: arg.out_cmd_errors,
            replays: arg.out_replays,
            withheld: arg.out_withheld,
        }
    }
}
