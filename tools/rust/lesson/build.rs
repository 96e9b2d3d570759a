// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//! Build and bind the kselftests' fixture, guest.h: what a VMM has before it opens
//! `/dev/smmuv3-accel`, and what a guest writes. The Makefile sets the environment.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn var(name: &str) -> String {
    println!("cargo:rerun-if-env-changed={name}");
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: use make lesson"))
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(status.success(), "{command:?} failed");
}

fn main() {
    let tree = PathBuf::from(var("SMMUV3_ACCEL_TREE"));
    let dir = tree.join("tools/testing/selftests/smmuv3-accel");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let headers = var("KHDR_INCLUDES");
    let includes: Vec<&str> = headers.split_whitespace().collect();
    let uapi = tree.join("include/uapi");
    println!("cargo:rerun-if-changed=build.rs");
    for file in ["guest.h", "guest.c", "device.c"] {
        println!("cargo:rerun-if-changed={}", dir.join(file).display());
    }

    let mut objects = Vec::new();
    for name in ["guest", "device"] {
        let object = out.join(name).with_extension("o");
        run(Command::new(var("CC"))
            .args(["-O2", "-Wall", "-Werror", "-D_GNU_SOURCE", "-c", "-o"])
            .arg(&object)
            .arg(dir.join(name).with_extension("c"))
            .args(&includes)
            .arg("-I")
            .arg(&uapi));
        objects.push(object);
    }
    let archive = out.join("libguest.a");
    let _ = std::fs::remove_file(&archive);
    run(Command::new(var("AR")).arg("rcs").arg(&archive).args(&objects));
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static=guest");
    bind(&dir.join("guest.h"), &out.join("guest.rs"), &includes, &uapi);
}

fn bind(header: &Path, output: &Path, includes: &[&str], uapi: &Path) {
    let target = format!("--target={}", env::var("TARGET").unwrap());
    run(Command::new(var("BINDGEN"))
        .arg(header)
        .args(["--allowlist-file", ".*/guest\\.h", "--no-prepend-enum-name"])
        .args(["--with-derive-default", "--no-doc-comments", "--no-layout-tests", "-o"])
        .arg(output)
        .arg("--")
        .arg(target)
        .args(includes)
        .arg("-I")
        .arg(uapi));
}
