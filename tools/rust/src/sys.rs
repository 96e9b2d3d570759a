// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! `linux/smmuv3_accel.h` as bindgen reads it: structs, enumerators and constants.

#![allow(non_camel_case_types, missing_docs, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

/// bindgen does not evaluate this macro, because it has a cast.
pub const SMMUV3_ACCEL_NO_PHYS: u32 = !0;
