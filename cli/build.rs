//! Tells the linker how to keep the program small.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // Addresses that are corrected at start take a bit each instead of 24 bytes. Linkers that do not know this
        // leave it out.
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
