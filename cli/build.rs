//! Tells the linker how to keep the program small, as far as the linker knows how.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Addresses that are corrected at start take a bit each instead of 24 bytes; functions with the same code are kept once.
const WISHES: [&str; 2] = ["-Wl,-z,pack-relative-relocs", "-Wl,--icf=all"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for wish in WISHES {
        if is_known(wish) {
            println!("cargo:rustc-link-arg-bins={wish}");
        }
    }
}

/// Whether a program links with that argument. Linkers differ, and an argument that one does not know may be an error.
fn is_known(argument: &str) -> bool {
    let variable = |name| std::env::var_os(name).unwrap_or_default();
    let folder = PathBuf::from(variable("OUT_DIR"));
    let source = folder.join("probe.rs");
    if std::fs::write(&source, "fn main() {}").is_err() {
        return false;
    }
    let mut probe = Command::new(variable("RUSTC"));
    probe.arg(&source).arg("-o").arg(folder.join("probe")).arg("--target").arg(variable("TARGET"));
    probe.arg("-C").arg(format!("link-arg={argument}"));
    if let Some(linker) = std::env::var_os("RUSTC_LINKER") {
        probe.arg("-C").arg(format!("linker={}", linker.to_string_lossy()));
    }
    let outcome = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    outcome.is_ok_and(|status| status.success())
}
