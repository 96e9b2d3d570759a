// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! Generate from the uAPI header: the bindings, the words of the reasons, and what
//! tests/layout.rs compares with C.
//!
//! bindgen and awk have to be there. Environment:
//!
//! - `BINDGEN`: the program bindgen
//! - `SMMUV3_ACCEL_TREE`: the root of smmuv3-accel's tree, by default that around this folder
//! - `BINDGEN_EXTRA_CLANG_ARGS`: bindgen itself reads this, for instance to find the headers
//!   of another architecture

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn var(name: &str) -> Option<String> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var(name).ok()
}

fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("the output is not UTF-8")
}

fn bindings(header: &Path, include: &Path) -> String {
    let (target, host) = (env::var("TARGET").unwrap(), env::var("HOST").unwrap());
    let mut bindgen = Command::new(var("BINDGEN").unwrap_or_else(|| "bindgen".into()));
    bindgen
        .arg(header)
        .args(["--allowlist-type", "smmuv3_accel_.*"])
        .args(["--allowlist-var", "SMMUV3_ACCEL_.*"])
        .args(["--no-prepend-enum-name", "--with-derive-default"])
        .args(["--no-doc-comments", "--no-layout-tests", "--"])
        .arg("-I")
        .arg(include);
    if target != host {
        bindgen.arg(format!("--target={target}"));
    }
    var("BINDGEN_EXTRA_CLANG_ARGS");
    output_of(&mut bindgen)
}

/// Turn each line `REASON(NAME, "text")` of reasons.awk into a constant and a table entry.
fn reasons(header: &Path, script: &Path) -> String {
    let lines = output_of(Command::new("awk").arg("-f").arg(script).arg(header));
    let (mut consts, mut table) = (String::new(), String::new());
    for line in lines.lines() {
        let (name, text) = line
            .strip_prefix("REASON(")
            .and_then(|line| line.strip_suffix(')'))
            .and_then(|line| line.split_once(", "))
            .unwrap_or_else(|| panic!("reasons.awk printed {line}"));
        let value = format!("crate::sys::SMMUV3_ACCEL_REASON_{name}");
        writeln!(consts, "#[doc = {text}] pub const {name}: Self = Self({value});").unwrap();
        writeln!(table, "({value}, \"{name}\", {text}),").unwrap();
    }
    format!("impl Reason {{ {consts} }}\nconst REASONS: &[(u32, &str, &str)] = &[ {table} ];\n")
}

/// The structs of the header with their fields, and its enumerators
struct Names {
    structs: Vec<(String, Vec<String>)>,
    values: Vec<String>,
}

fn names(header: &str) -> Names {
    let mut names = Names { structs: Vec::new(), values: Vec::new() };
    let mut in_struct = false;
    for line in header.lines() {
        let word = line.split_whitespace().nth(1).unwrap_or("");
        if line.starts_with("struct ") && line.ends_with('{') {
            names.structs.push((word.into(), Vec::new()));
            in_struct = true;
        } else if line == "};" {
            in_struct = false;
        } else if in_struct {
            let field = word.trim_end_matches(';').split('[').next().unwrap();
            names.structs.last_mut().unwrap().1.push(field.into());
        } else if line.starts_with("\tSMMUV3_ACCEL_") {
            names.values.push(line.split_whitespace().next().unwrap().into());
        }
    }
    names
}

/// A program in C, and an expression in Rust, that print the same lines
fn layout(names: &Names) -> (String, String) {
    let mut c = String::from(
        "#include <stddef.h>\n#include <stdio.h>\n#include <linux/smmuv3_accel.h>\n\
         #define VALUE(name) printf(#name \" %lu\\n\", (unsigned long)(name))\n\
         #define SIZE(type) printf(#type \" %zu\\n\", sizeof(struct type))\n\
         #define FIELD(type, field) printf(#type \".\" #field \" %zu %zu\\n\", \\\n\
         \toffsetof(struct type, field), sizeof(((struct type *)0)->field))\n\
         int main(void)\n{\n",
    );
    let mut rust = String::from("{\n");
    for (name, fields) in &names.structs {
        writeln!(c, "SIZE({name});").unwrap();
        writeln!(rust, "size!({name});").unwrap();
        for field in fields {
            writeln!(c, "FIELD({name}, {field});").unwrap();
            writeln!(rust, "field!({name}, {field});").unwrap();
        }
    }
    for name in &names.values {
        writeln!(c, "VALUE({name});").unwrap();
        writeln!(rust, "value!(\"{name}\", sys::{name});").unwrap();
        if let Some(call) = name.strip_prefix("SMMUV3_ACCEL_CMD_") {
            writeln!(c, "VALUE(SMMUV3_ACCEL_{call});").unwrap();
            writeln!(rust, "value!(\"SMMUV3_ACCEL_{call}\", ioctl_number(sys::{name}));").unwrap();
        }
    }
    for name in ["NO_PHYS", "VSID_UNSET", "API_VERSION"] {
        writeln!(c, "VALUE(SMMUV3_ACCEL_{name});").unwrap();
        writeln!(rust, "value!(\"SMMUV3_ACCEL_{name}\", sys::SMMUV3_ACCEL_{name});").unwrap();
    }
    (c + "return 0;\n}\n", rust + "}\n")
}

fn main() {
    let tree = var("SMMUV3_ACCEL_TREE")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("../.."));
    let include = tree.join("include/uapi");
    let header = include.join("linux/smmuv3_accel.h");
    let script = tree.join("scripts/reasons.awk");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    for file in [&header, &script] {
        println!("cargo:rerun-if-changed={}", file.display());
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=SMMUV3_ACCEL_INCLUDE={}", include.display());

    let text = fs::read_to_string(&header).expect("cannot read the uAPI header");
    let (c, rust) = layout(&names(&text));
    for (name, text) in [
        ("bindings.rs", bindings(&header, &include)),
        ("reasons.rs", reasons(&header, &script)),
        ("layout.c", c),
        ("layout.rs", rust),
    ] {
        fs::write(out.join(name), text).unwrap_or_else(|e| panic!("cannot write {name}: {e}"));
    }
}
