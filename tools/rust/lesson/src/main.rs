// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! A lesson in the crate smmuv3-accel, and its test on the real module: one device behind a
//! virtual SMMU, first in explicit mode, then in table mode. The program is both the VMM and
//! the guest.
//!
//! Run it in the emulated host: `tools/testing/vm/run.sh --testdev 1 -- rust-lesson`

mod backend;
mod machine;

use backend::Backend;
use machine::{cfgi_ste, sync, sync_irq, tlbi_va, Dma, Machine, IOVA};
use smmuv3_accel::{
    sys, BadSte, Command, CreateFlags, Emulated, Kind, Reason, Run, Ste, SteEntry, StreamId,
    VsidChange, Vsmmu,
};

const VSID: u32 = 0x42;
const EMULATED: u32 = 0x43;

/// Config = stage 2: a guest has none.
const STAGE2: Ste = Ste([1 | (6 << 1), 0, 0, 0, 0, 0, 0, 0]);

fn sid(id: u32) -> StreamId {
    StreamId::new(id).expect("a StreamID has 31 bits")
}

fn install(vsmmu: &Vsmmu, ste: &Ste) -> Reason {
    Backend { vsmmu }.install_table_entry(VSID, ste.0).unwrap()
}

fn invalidate(vsmmu: &Vsmmu, commands: &[[u64; 2]]) {
    let commands: Vec<Command> = commands.iter().map(|words| Command::new(*words)).collect();
    assert_eq!(Backend { vsmmu }.invalidate(&commands), Ok(None));
}

fn create(m: &mut Machine, vsmmu: &Vsmmu) {
    assert_eq!(vsmmu.detach(sid(VSID)).unwrap_err().reason(), Reason::NOT_CREATED);
    let info = vsmmu.info().unwrap();
    assert_eq!(info.api_version, sys::SMMUV3_ACCEL_API_VERSION);
    assert!(info.has_ioctl(sys::SMMUV3_ACCEL_CMD_SET_VSIDS) && !info.has_ioctl(63));
    let flags = CreateFlags { feed: true, ..Default::default() };
    vsmmu.create(m.iommufd(), Some(m.ioas_id()), flags).unwrap();
    let error = vsmmu.create(m.iommufd(), Some(m.ioas_id()), flags).unwrap_err();
    assert_eq!((error.call(), error.reason()), ("CREATE", Reason::ALREADY_CREATED));
    println!("# {error}");
    // IDR0.S1P has to be 1.
    let error = vsmmu.set_idr([0; 6]).unwrap_err();
    assert_eq!(error.reason(), Reason::IDR_ILLEGAL);
    assert_ne!(error.bad_idr()[0] & (1 << 1), 0);
    println!("# {error}");
}

fn attach(m: &mut Machine, vsmmu: &Vsmmu) {
    vsmmu.attach_dry_run(m.vfio(), sid(VSID), None).unwrap();
    assert_eq!(vsmmu.stream(sid(VSID)).unwrap_err().reason(), Reason::NO_STREAM);
    let attached = vsmmu.attach(m.vfio(), sid(VSID), None).unwrap();
    assert!(attached.vdevice_id.is_some() && attached.phys == Some(0));
    let phys = vsmmu.phys(0).unwrap();
    assert_eq!((phys.viommu_id, phys.stream_num), (attached.viommu_id, 1));
    let stream = vsmmu.stream(sid(VSID)).unwrap();
    assert_eq!((stream.kind, stream.reason), (Kind::Abort, Reason::NO_STE));
    assert_eq!((stream.dev_id, stream.phys), (attached.dev_id, Some(0)));
    assert_eq!(m.dma(m.page[0]), Dma::Aborted);
}

fn translate(m: &mut Machine, vsmmu: &Vsmmu) {
    m.map(0);
    let ste = m.stage1();
    assert_eq!(install(vsmmu, &ste), Reason::NONE);
    let stream = vsmmu.stream(sid(VSID)).unwrap();
    assert_eq!((stream.kind, stream.ste[0]), (Kind::Stage1, ste.0[0]));
    assert_eq!(m.dma(IOVA), Dma::Page(0));
    assert_eq!(m.dma(IOVA + 0x5000), Dma::Aborted);
}

fn invalidate_stale(m: &mut Machine, vsmmu: &Vsmmu) {
    m.map(1);
    assert_eq!(m.dma(IOVA), Dma::Page(0), "the SMMU did not cache the old translation");
    invalidate(vsmmu, &[tlbi_va(IOVA), sync()]);
    assert_eq!(m.dma(IOVA), Dma::Page(1), "the stale translation is left");
}

fn guest_errors(m: &mut Machine, vsmmu: &Vsmmu) {
    let commands = [Command::new(sync()), Command::new([0xff, 0]), Command::new(sync())];
    let (index, error) = Backend { vsmmu }.invalidate(&commands).unwrap().unwrap();
    assert_eq!((index, error.cerror), (1, sys::SMMUV3_ACCEL_CERROR_ILL));
    assert_eq!(error.reason, Reason::CMD_OPCODE);

    assert_eq!(install(vsmmu, &STAGE2), Reason::STE_CONFIG);
    assert_eq!(m.dma(m.page[0]), Dma::Aborted);
}

fn passthrough_and_blocking(m: &mut Machine, vsmmu: &Vsmmu) {
    let backend = Backend { vsmmu };
    backend.set_passthrough(VSID).unwrap();
    assert_eq!(vsmmu.stream(sid(VSID)).unwrap().kind, Kind::Bypass);
    assert_eq!(m.dma(m.page[1]), Dma::Page(1));
    backend.set_blocking(VSID).unwrap();
    assert_eq!(vsmmu.stream(sid(VSID)).unwrap().reason, Reason::STE_ABORT);
    assert_eq!(m.dma(m.page[1]), Dma::Aborted);
    // No device has these.
    backend.set_passthrough(0x99).unwrap();
    backend.set_blocking(u32::MAX).unwrap();
    assert_eq!(backend.hw_info().unwrap(), [vsmmu.phys(0).unwrap().idr]);
}

fn first_failure(m: &mut Machine, vsmmu: &Vsmmu) {
    let mut entries = [
        SteEntry::new(sid(VSID), &Ste::BYPASS),
        SteEntry::new(sid(0x99), &Ste::BYPASS),
        SteEntry::new(sid(VSID), &Ste::ABORT),
    ];
    let error = vsmmu.install_ste(&mut entries).unwrap_err();
    assert_eq!((error.done(), error.reason()), (1, Reason::NO_STREAM));
    assert_eq!((entries[0].errno(), entries[1].errno()), (None, Some(error.errno())));
    assert_eq!(m.dma(m.page[0]), Dma::Page(0), "the entry after the failure was installed");
}

fn renumber(m: &mut Machine, vsmmu: &Vsmmu) {
    let name = StreamId::unset(1);
    vsmmu.set_vsids(&[VsidChange::new(sid(VSID), name)]).unwrap();
    assert_eq!(vsmmu.stream(name).unwrap().reason, Reason::NO_VSID);
    assert_eq!(m.dma(m.page[0]), Dma::Aborted);
    let error = vsmmu.set_vsids(&[VsidChange::new(sid(VSID), name)]).unwrap_err();
    assert_eq!((error.stream(), error.reason()), (Some(sid(VSID)), Reason::NO_STREAM));
    vsmmu.set_vsids(&[VsidChange::new(name, sid(VSID))]).unwrap();
    assert_eq!(install(vsmmu, &Ste::BYPASS), Reason::NONE);
    assert_eq!(m.dma(m.page[0]), Dma::Page(0));
}

fn table_mode(m: &mut Machine, vsmmu: &Vsmmu) {
    m.map(0);
    let ste = m.stage1();
    m.write_ste(sid(VSID), &ste);
    let regs = m.regs();
    assert_eq!(vsmmu.set_regs(&regs).unwrap_err().reason(), Reason::NO_MEM_TABLE);
    // SAFETY: the machine outlives the virtual SMMU.
    unsafe { vsmmu.set_mem_table(&[m.ram()]) }.unwrap();
    vsmmu.set_regs(&regs).unwrap();
    invalidate(vsmmu, &[tlbi_va(IOVA)]);
    assert_eq!(m.dma(IOVA), Dma::Page(0));
    let mut entry = [SteEntry::new(sid(VSID), &ste)];
    assert_eq!(vsmmu.install_ste(&mut entry).unwrap_err().reason(), Reason::TABLE_MODE);
    // The file belongs to this process already.
    vsmmu.change_process(m.iommufd()).unwrap();
}

fn doorbell(m: &mut Machine, vsmmu: &Vsmmu) {
    m.map(1);
    assert_eq!(m.dma(IOVA), Dma::Page(0), "the SMMU did not cache the old translation");
    let (cons, prod) = m.queue(&[tlbi_va(IOVA), sync_irq()]);
    let mut run = Run::new(prod, cons).with_max_cmds(1);
    vsmmu.run_cmdq(&mut run).unwrap();
    assert_eq!((run.cons(), run.wants_sync_irq()), (cons + 1, false));
    vsmmu.run_cmdq(&mut run).unwrap();
    assert!(run.is_done() && run.wants_sync_irq() && !run.did_cfgi() && run.error().is_none());
    assert_eq!(m.dma(IOVA), Dma::Page(1), "the stale translation is left");
}

fn bad_ste_and_feed(m: &mut Machine, vsmmu: &Vsmmu) {
    vsmmu.attach_emulated(Emulated::Endpoint, sid(EMULATED)).unwrap();
    m.write_ste(sid(VSID), &STAGE2);
    m.write_ste(sid(EMULATED), &STAGE2);
    let commands = [cfgi_ste(sid(VSID)), tlbi_va(IOVA), cfgi_ste(sid(EMULATED)), [0xff, 0]];
    let (cons, prod) = m.queue(&commands);
    let (mut feed, mut bad) = ([Command::default(); 4], [BadSte::default(); 4]);
    let mut run = Run::new(prod, cons).with_feed(&mut feed).with_bad_stes(&mut bad);
    vsmmu.run_cmdq(&mut run).unwrap();
    let bad: Vec<_> = run.bad_stes().iter().map(|bad| (bad.stream(), bad.reason())).collect();
    let want = [(sid(VSID), Reason::STE_CONFIG), (sid(EMULATED), Reason::STE_CONFIG)];
    assert_eq!(bad, want);
    assert!(run.found_bad_ste() && run.did_cfgi());
    assert_eq!(run.feed(), [Command::new(commands[1]), Command::new(commands[2])]);
    let error = run.error().expect("an unknown opcode was taken");
    assert_eq!((run.cons(), error.reason), (cons + 3, Reason::CMD_OPCODE));
    assert_eq!(m.dma(IOVA), Dma::Aborted);
    vsmmu.detach(sid(EMULATED)).unwrap();
}

fn reset_and_detach(m: &mut Machine, vsmmu: &Vsmmu) {
    vsmmu.reset().unwrap();
    assert_eq!(install(vsmmu, &Ste::BYPASS), Reason::NONE);
    assert_eq!(m.dma(m.page[0]), Dma::Page(0));
    vsmmu.detach(sid(VSID)).unwrap();
    assert_eq!(m.dma(m.page[0]), Dma::Aborted);
    assert_eq!(vsmmu.detach(sid(VSID)).unwrap_err().reason(), Reason::NO_STREAM);
    let stats = vsmmu.stats().unwrap();
    assert!(stats.ste_installed > 0 && stats.host_calls > 0 && stats.cmd_errors == 2);
    vsmmu.attach(m.vfio(), sid(VSID), None).unwrap();
}

type Step = (&'static str, fn(&mut Machine, &Vsmmu));

const STEPS: &[Step] = &[
    ("CREATE: the file is a virtual SMMU", create),
    ("ATTACH: the device's DMA aborts", attach),
    ("INSTALL_STE: the guest's stage 1 translates", translate),
    ("INVALIDATE: a stale translation goes", invalidate_stale),
    ("the guest's errors have codes and reasons", guest_errors),
    ("INSTALL_STE: passthrough and blocking", passthrough_and_blocking),
    ("INSTALL_STE stops at the first failure", first_failure),
    ("SET_VSIDS: a stream has no StreamID for a while", renumber),
    ("SET_REGS: the module reads the stream table", table_mode),
    ("RUN_CMDQ: a stale translation goes", doorbell),
    ("RUN_CMDQ names bad STEs and feeds an emulated endpoint", bad_ste_and_feed),
    ("RESET, DETACH: the device's DMA is blocked", reset_and_detach),
];

/// Dropping a virtual SMMU closes its file, which releases the device.
fn drop_releases(m: &mut Machine, vsmmu: Vsmmu) {
    let other = Vsmmu::open().unwrap();
    other.create(m.iommufd(), Some(m.ioas_id()), CreateFlags::default()).unwrap();
    let error = other.attach(m.vfio(), sid(VSID), None).unwrap_err();
    assert_eq!(error.reason(), Reason::DEVICE_IN_USE);
    drop(vsmmu);
    other.attach(m.vfio(), sid(VSID), None).unwrap();
}

fn main() {
    let mut m = match Machine::open() {
        Some(m) => m,
        None => return println!("1..0 # SKIP no iommu-testdev"),
    };
    println!("1..{}", STEPS.len() + 1);
    let vsmmu = Vsmmu::open().unwrap();
    for (i, (name, step)) in STEPS.iter().enumerate() {
        step(&mut m, &vsmmu);
        println!("ok {} - {name}", i + 1);
    }
    drop_releases(&mut m, vsmmu);
    println!("ok {} - drop releases the device", STEPS.len() + 1);
}
