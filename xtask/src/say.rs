//! What the tasks print. Used by all of them.

use std::io::Write as _;

/// Prints one line.
///
/// Not `println!`, which panics when the reader of a pipe has gone (`cargo xtask test | head`).
pub(crate) fn line(text: &str) {
    bytes(format!("{text}\n").as_bytes());
}

/// Passes on what another program printed, as it is.
pub(crate) fn bytes(text: &[u8]) {
    if cfg!(test) {
        return; // would stand between the results of tests
    }
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text);
    let _ = out.flush();
}
