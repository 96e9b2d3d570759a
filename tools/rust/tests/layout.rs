// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! The bindings agree with C: size and offset of all structs and fields, the values of all
//! enumerators, and the numbers of the ioctls. The build has made both lists from the header:
//! `layout.c`, a program that prints what C has, and `layout.rs`, the same in Rust.

use smmuv3_accel::{ioctl_number, sys};
use std::fmt::Write as _;
use std::mem::{size_of, size_of_val, MaybeUninit};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// What a program in C prints. It is compiled with CC, or cc.
fn printed_by_c() -> String {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout");
    let cc = env::var("CC").unwrap_or_else(|_| "cc".into());
    let built = Command::new(&cc)
        .args(["-Wall", "-Werror", "-I", env!("SMMUV3_ACCEL_INCLUDE"), "-o"])
        .arg(&program)
        .arg(concat!(env!("OUT_DIR"), "/layout.c"))
        .status()
        .unwrap();
    assert!(built.success(), "{cc} failed");
    let output = Command::new(&program).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Offset and size of each field of a struct, in the order of the header
struct Fields(&'static str, usize, Vec<(usize, usize)>);

impl Fields {
    /// If a field were missing in the lists, there would be a gap.
    fn check_gaps(&self) {
        let mut end = 0;
        for (offset, size) in &self.2 {
            assert_eq!(*offset, end, "{} has a gap", self.0);
            end = offset + size;
        }
        assert_eq!(end, self.1, "{} has a gap at its end", self.0);
    }
}

fn printed_by_rust() -> (String, Vec<Fields>) {
    let mut text = String::new();
    let mut structs: Vec<Fields> = Vec::new();
    macro_rules! size {
        ($name:ident) => {
            let size = size_of::<sys::$name>();
            writeln!(text, concat!(stringify!($name), " {}"), size).unwrap();
            structs.push(Fields(stringify!($name), size, Vec::new()));
        };
    }
    macro_rules! field {
        ($name:ident, $field:ident) => {
            // SAFETY: all fields are integers or arrays of them.
            let value: sys::$name = unsafe { MaybeUninit::zeroed().assume_init() };
            let base = &value as *const _ as usize;
            let offset = &value.$field as *const _ as usize - base;
            let size = size_of_val(&value.$field);
            let name = concat!(stringify!($name), ".", stringify!($field));
            writeln!(text, "{} {} {}", name, offset, size).unwrap();
            structs.last_mut().unwrap().2.push((offset, size));
        };
    }
    macro_rules! value {
        ($name:literal, $value:expr) => {
            writeln!(text, "{} {}", $name, u64::from($value)).unwrap();
        };
    }
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
    (text, structs)
}

#[test]
fn agrees_with_c() {
    let (rust, c) = (printed_by_rust().0, printed_by_c());
    for (rust, c) in rust.lines().zip(c.lines()) {
        assert_eq!(rust, c);
    }
    assert_eq!(rust, c);
}

#[test]
fn lists_are_complete() {
    let structs = printed_by_rust().1;
    structs.iter().for_each(Fields::check_gaps);
    let header = concat!(env!("SMMUV3_ACCEL_INCLUDE"), "/linux/smmuv3_accel.h");
    let header = fs::read_to_string(header).unwrap();
    let in_header = header.matches("\nstruct smmuv3_accel_").count();
    assert_eq!(structs.len(), in_header);
    assert!(in_header > 0);
}
