//! Cargo does not notice a new migration by itself.

#[expect(clippy::print_stdout, reason = "how a build script speaks to cargo")]
fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
